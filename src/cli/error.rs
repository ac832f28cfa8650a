//! Every way in which a command can end badly, and how that looks: the error, its causes as a tree, the log, hints.

use std::error::Error;
use std::fmt::Write as _;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};

use super::quantity::QuantityError;
use super::table::shown;
use base::digest::{BlobDigest, Sha256};
use base::name::{ArchName, PackageName, ParseNameError, Version};
use check::{GoldenError, ParseVariationError, StageError, Variation};
use execute::{ActionError, CompilerError, ExecuteError, Failure, MachineError, is_disk_full};
use fetch::{FetchError, UnpackError, hints};
use model::arch::ArchError;
use model::graph::GraphError;
use model::plan::PlanError;
use model::recipe::RecipeError;
use root::advisory::{DatabaseError, Severity};
use root::attest::dsse::DsseError;
use root::attest::{LegalError, StatementError};
use root::compare::ListError;
use root::pack::{ArchiveError, AssembleError, ElfFinding, LayoutError, PackError};
use sandbox::SandboxError;
use store::StoreError;
use upkeep::EditError;
use upkeep::lint::LintError;
use upkeep::rpm::{CratesError, K3sError};

/// Why a command could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error("there is no `recipes/root.toml` in `{}` or above it", start.display())]
    NoProject { start: PathBuf },
    #[error("there is no place for the cache: set K3SROOT_CACHE or give `--cache DIR`")]
    NoCache,
    #[error(
        "without namespaces, makefiles and scripts see the cache's real path, which they would take apart: `{}`\n\
         give `--cache DIR` a path of letters, digits and `/._-+@`",
        path.display()
    )]
    CachePath { path: PathBuf },
    #[error(
        "the cache's path has {} bytes, and builds {how} have room for {most}: give a shorter `--cache DIR`",
        path.as_os_str().len()
    )]
    CacheLong { path: PathBuf, how: &'static str, most: usize },
    #[error(
        "the cache `{}` is on a file system that is mounted `noexec`, where builds cannot run what they make: \
         give another `--cache DIR`",
        path.display()
    )]
    CacheNoexec { path: PathBuf },
    #[error("the current folder cannot be found")]
    CurrentDir(#[source] std::io::Error),
    #[error(
        "`--override {text}` has no `=`: write `--override PACKAGE=DIR` or `--override PACKAGE=DIR@VERSION`"
    )]
    OverrideForm { text: String },
    #[error("`--override` names `{package}`, which no recipe describes")]
    OverrideUnknown { package: PackageName },
    #[error("`{text}` is a unit of another machine: name the package, and its arch with `--arch`")]
    UnitNamed { text: String },
    #[error("`--override` names `{package}` twice")]
    OverrideTwice { package: PackageName },
    #[error("`--override` wants a folder, which `{}` is not", path.display())]
    OverrideFolder { path: PathBuf },
    #[error("`--distfiles` wants a folder, which `{}` is not", path.display())]
    DistfilesFolder { path: PathBuf },
    #[error("`{}` has `[build.arch]` options for an arch that is not known", path.display())]
    RecipeArch { path: PathBuf, source: ArchError },
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    #[error("there is no cache in `{}`: build something first, or say with `--cache` where it is", path.display())]
    NothingCached { path: PathBuf },
    #[error(
        "nothing of what was asked for is in the cache for {arch} as the recipes are now: `k3sroot build --arch {arch}` first, with the \
         same options"
    )]
    NothingPacked { arch: ArchName },
    #[error(
        "nothing of what was asked for has files of its own in the root: name the package whose programs it is in, which `k3sroot graph` shows"
    )]
    NotInRoot,
    #[error("`{option}` changes nothing: with packages named, only `--out DIR` writes files")]
    NothingWritten { option: &'static str },
    #[error("`{}` is no key that can be used here", path.display())]
    Key { path: PathBuf, source: DsseError },
    #[error("`{}` cannot be relied on", path.display())]
    Statement { path: PathBuf, source: StatementError },
    #[error("the statement does not hold: {wrong} wrong")]
    NotAttested { wrong: usize },
    #[error(
        "no `[[cve]]` entry is in the recipes of what is in the root for {arch}, and an OpenVEX document without statements is not valid"
    )]
    NothingKnown { arch: ArchName },
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(
        "none of the {advisories} advisories names a component of this root: is it the right database, and do the recipes have the right \
         `[identity]`?"
    )]
    NothingNamed { advisories: usize },
    #[error("{}", open_findings(*count, *from, not_judged))]
    OpenFindings { count: usize, from: Severity, not_judged: Vec<PackageName> },
    #[error("there is no log of `{unit}`: it was not built here")]
    NoLog { unit: String },
    #[error("this machine lacks something that every build needs")]
    Unfit,
    #[error("{count} of the cache's entries were damaged; they are set aside and will be built again")]
    Damaged { count: usize },
    #[error("{missing} of {all} sources could not be had")]
    MissingSources { missing: usize, all: usize },
    #[error(
        "`{}` lacks {} of {all} archives, so no `k3sroot.lock` is written: {}",
        folder.display(), missing.len(), missing.join(", ")
    )]
    NotCollected { folder: PathBuf, missing: Vec<String>, all: usize },
    #[error(
        "nothing was copied: these files have other bytes than the archives of their names; move them away, or collect in another folder\n{}",
        files.iter().map(|file| format!("  {}", file.display())).collect::<Vec<_>>().join("\n")
    )]
    OtherBytes { files: Vec<PathBuf> },
    #[error("`{}` was copied, and what came is not it\nexpected: {expected}\ncomputed: {computed}", path.display())]
    CopyDiffers { path: PathBuf, expected: Sha256, computed: Sha256 },
    #[error("not sound: {wrong} of {all} tarballs")]
    NotSound { wrong: usize, all: usize },
    /// Said already: that two tarballs differ is an answer, no failure.
    #[error("the tarballs differ")]
    Different,
    #[error("there are no arch records without a checkout: give `--recipes DIR`, its `recipes` folder")]
    NoRecords(#[source] Box<CliError>),
    /// Whatever kept a verb whose status 1 is an answer from answering.
    #[error(transparent)]
    NoAnswer(Box<CliError>),
    #[error("`{}` would not be compared: golden digests are those of {}", path.display(), known.join(", "))]
    NoGoldenName { path: PathBuf, known: Vec<String> },
    #[error(
        "{different} of the golden digests are not those that were built\n\
         if a change of this checkout means to change the bits, `--update` writes them anew; its commit says why"
    )]
    NotGolden { different: usize },
    #[error(
        "nothing could be compared: build with `--toolchain source` first, or write golden digests with `--update`"
    )]
    NothingGolden,
    #[error("`{}` is not the whole root from pinned sources: see `{}`", path.display(), note.display())]
    NotPinned { path: PathBuf, note: PathBuf },
    #[error("`{}` is no folder: `--out` wants one, which is made if it is not there", path.display())]
    OutNoFolder { path: PathBuf },
    #[error("a legal pack lacks sources, as its `manifest.md` says: it is not to be handed out")]
    LegalLacks,
    #[error(
        "with packages named, `--out DIR` says where their pack goes: that of the whole root may be in `dist`"
    )]
    LegalNowhere,
    #[error(
        "`{}` is of another root than the one that the pack would be of: `--out` names another folder for it, and \
         `k3sroot build` with the same `--out` writes that root and its pack in its place",
        path.display()
    )]
    LegalOfAnother { path: PathBuf },
    #[error(transparent)]
    Legal(#[from] LegalError),
    #[error("the two builds are not the same")]
    NotReproducible,
    #[error("what was built is the same, but neither build has {missing} of the packages: see above why")]
    CheckedInPart { missing: usize },
    #[error("the {side} build could not be carried out: see above")]
    CheckBuild { side: &'static str },
    #[error("cannot vary `{variation}` for a build, although it could be looked at before: {why}")]
    Conditions { variation: Variation, why: String },
    #[error(transparent)]
    Variation(#[from] ParseVariationError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    Golden(#[from] GoldenError),
    #[error("cannot compare `{}`", path.display())]
    Archive { path: PathBuf, source: ArchiveError },
    #[error("`{}` has no programs: give a tarball, or the folder that has `bin` or `usr` in it", path.display())]
    NoPrograms { path: PathBuf },
    #[error("`{}` is no list of packages", path.display())]
    List { path: PathBuf, source: ListError },
    #[error("building `{unit}` does not involve `{need}`")]
    NotInvolved { unit: String, need: String },
    #[error("name two units: there is no way from `{unit}` to itself")]
    NotTwo { unit: String },
    #[error("`{text}` is not in this graph: `k3sroot graph`, with the same options, shows what is")]
    NotInGraph { text: String },
    #[error("no run is remembered in this cache: build something first")]
    NoRuns,
    #[error("no run `{name}` is remembered: `k3sroot report --list` names those that are")]
    UnknownRun { name: String },
    #[error("the record of the run `{name}` is damaged, or of another version of k3sroot")]
    Record { name: String, source: serde_json::Error },
    #[error("not everything that was asked for could be built")]
    Unfinished { our_own: bool },
    #[error("the command in the sandbox failed")]
    ShellCommand,
    #[error("{count} finding{}; `k3sroot lint --rules` says why there are the rules", if *.count == 1 { "" } else { "s" })]
    Findings { count: usize },
    #[error("there is a recipe already: `{}`", path.display())]
    RecipeThere { path: PathBuf },
    #[error("the URL does not end in `NAME-VERSION.tar.xz` or the like: give `--version`")]
    NoVersion,
    #[error("`{option}`: {reason}, which `k3sroot lint` would refuse")]
    LintedOption { option: &'static str, reason: String },
    #[error("the URL does not say who publishes it: give `--homepage`")]
    NoHomepage,
    #[error(
        "there is no COPYING, LICENSE or the like at the top of the archive: find out under which terms it comes, and write the recipe by hand"
    )]
    NoLicenseText,
    #[error(
        "which licence is `{files}`? read it and the heads of the sources, and give `--license SPDX`{}",
        if others.is_empty() { String::new() } else { format!("\npackages with the same texts have {others}") }
    )]
    LicenseUnknown { files: String, others: String },
    #[error("`{}`, line {line}: write a package's name, a blank and a version", path.display())]
    ListingLine { path: PathBuf, line: usize },
    #[error("cannot use `{}`", path.display())]
    ListingToml { path: PathBuf, source: upkeep::NewestError },
    #[error("{package} has no later version in {listing}")]
    NothingNewer { package: PackageName, listing: String },
    #[error("no listing names a version of {package}: give the version")]
    NoListing { package: PackageName },
    #[error("of {unknown} of {all} packages the latest version is not known: see `unknown` above")]
    LatestUnknown { unknown: usize, all: usize },
    #[error("`{text}` is no SPDX expression: {reason}")]
    NoExpression { text: String, reason: String },
    #[error(
        "no URL of {package} has `{{version}}` in it, so nothing says where another version is: change the recipe by hand"
    )]
    NoPlaceholder { package: PackageName },
    #[error("{package} has version {version} already")]
    SameVersion { package: PackageName, version: Version },
    #[error("the archive of {package} {version} has the bytes of the version that the recipe has: `{}`", path.display())]
    SameBytes { package: PackageName, version: Version, path: PathBuf },
    #[error(
        "not every archive of {label} could be had{}",
        if *others { "; `--leave-out` takes those out of the recipe that could not" } else { "" }
    )]
    ArchivesGone { label: String, others: bool, source: FetchError },
    #[error("left to do:\n{}", open.iter().map(|item| format!("- {}", item.replace('\n', "\n  "))).collect::<Vec<_>>().join("\n"))]
    BumpOpen { open: Vec<String> },
    #[error("a file of the root, blob `{blob}`, has {size} bytes; no more than {limit} can be packed")]
    LargeMember { blob: BlobDigest, size: u64, limit: u64 },
    #[error("cannot unpack `{}`", path.display())]
    Unpack { path: PathBuf, source: UnpackError },
    #[error(
        "`--override {text}`: a package is made of pinned sources, so that whoever builds it has the same; give the \
         package a recipe with the archive of that tree"
    )]
    RpmOverride { text: String },
    #[error(
        "with `--toolchain host` a machine builds the root for its own arch: give one arch, or `--toolchain source`"
    )]
    RpmHostArches,
    #[error(
        "these archives could not be had; put each where it belongs, or nobody can build from the spec that lists it\n{}",
        files.iter().map(|file| format!("  {file}")).collect::<Vec<_>>().join("\n")
    )]
    RpmSources { files: Vec<String> },
    #[error("cannot change `{}`", path.display())]
    K3sSpec { path: PathBuf, source: K3sError },
    #[error(
        "`{}` has no Cargo.toml, so the tool cannot be packed from there: `--only k3s-root` leaves it out",
        root.display()
    )]
    NoCargoToml { root: PathBuf },
    #[error(
        "this is k3sroot {}, and `{}` is the checkout of {found}: pack it with the k3sroot that is built from it",
        env!("CARGO_PKG_VERSION"), root.display()
    )]
    OtherVersion { root: PathBuf, found: String },
    #[error("`{}` is no `.tar.gz` with the folder `vendor`", path.display())]
    NoVendor { path: PathBuf },
    #[error(
        "`{program}` is not installed here{}",
        if *program == "cargo" { ": `--only k3s-root` leaves out the tool, whose crates it packs" } else { "" }
    )]
    NoProgram { program: &'static str },
    #[error("`{command}` failed\n{said}")]
    Program { command: String, said: String },
    #[error(transparent)]
    Crates(#[from] CratesError),
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Name(#[from] ParseNameError),
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Arch(#[from] ArchError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error(transparent)]
    Lint(#[from] LintError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Machine(#[from] MachineError),
    #[error(transparent)]
    Compiler(#[from] CompilerError),
    #[error("{reason}")]
    CrossPrefix { reason: String },
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    #[error(transparent)]
    Action(#[from] ActionError),
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error("what was built cannot go into a tarball\n{}", list(.0))]
    Unsound(Vec<ElfFinding>),
    #[error(
        "temporary files cannot be made in `{}`, which TMPDIR names\n\
         set TMPDIR to a folder that you can write to, or unset it",
        folder.display()
    )]
    Temporary { folder: PathBuf, source: std::io::Error },
    #[error("cannot {what}")]
    Io { what: String, source: std::io::Error },
}

fn list(findings: &[ElfFinding]) -> String {
    findings.iter().map(|finding| format!("  {finding}")).collect::<Vec<_>>().join("\n")
}

/// What an archive could not be unpacked for; who stopped it is not told of an error.
pub(super) fn unpack_error(archive: &Path) -> impl FnOnce(UnpackError) -> CliError {
    move |source| match source {
        UnpackError::Expired(_) => CliError::Stopped,
        source => CliError::Unpack { path: archive.to_owned(), source },
    }
}

impl CliError {
    /// 1 when the build or the input failed, 2 when k3sroot itself did.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Store(_)
            | Self::Sandbox(_)
            | Self::Execute(_)
            | Self::Lint(_)
            | Self::Io { .. }
            | Self::CopyDiffers { .. }
            | Self::CurrentDir(_)
            | Self::NoAnswer(_)
            | Self::CheckBuild { .. }
            | Self::Conditions { .. }
            | Self::Stage(_)
            | Self::Unfinished { our_own: true } => ExitCode::from(2),
            Self::Action(error) if error.is_our_own() => ExitCode::from(2),
            error if is_disk_full(error) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }

    /// The error as people read it.
    pub(super) fn render(&self, colour: bool) -> String {
        match self {
            Self::Recipe(RecipeError::Invalid { path, text, span, message, help })
            | Self::Layout(LayoutError::Invalid { path, text, span, message, help }) => {
                let shown = snippet(path, text, span.clone(), message, help.as_deref(), colour);
                format!("error: `{}` cannot be used\n{shown}", path.display())
            }
            Self::Fetch(error) => tree(self, &[], None, &hints(&[error])),
            Self::NoAnswer(error) => error.render(colour),
            Self::Different => String::new(),
            _ if is_disk_full(self) => tree(self, &[], None, &[NO_ROOM.to_owned()]),
            _ => tree(self, &[], None, &[]),
        }
    }
}

/// The remedy where the error names a path on a disk that is full.
const NO_ROOM: &str = "no room is left on the disk of that path; if it is the cache's, `k3sroot cache gc --max-size SIZE` makes that smaller";

/// A failed unit as people read it.
pub(super) fn render_failure(failure: &Failure) -> String {
    let excerpt: &[String] = match &failure.source {
        ActionError::Command { excerpt, .. } => excerpt,
        _ => &[],
    };
    tree(failure, excerpt, failure.log.as_deref(), &failure.hints())
}

/// Sources that could not be had as people read it: each, and then once what can be done.
pub(super) fn render_missing(errors: &[&FetchError]) -> String {
    let mut text: String = errors.iter().map(|error| tree(*error, &[], None, &[])).collect();
    for (index, hint) in hints(errors).iter().enumerate() {
        let _ = writeln!(text, "{}hint: {hint}", if index == 0 { "\n" } else { "" });
    }
    text
}

/// What caused an error, what caused that, and so on.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'a)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(error.source(), |cause| (*cause).source())
}

/// `error: …`, its causes and what was last written as a tree, the log, the hints.
fn tree(error: &dyn Error, excerpt: &[String], log: Option<&Path>, hints: &[String]) -> String {
    // Errors quote what others wrote.
    let plain = |error: &dyn Error| shown(&error.to_string(), &['\n', '\t']);
    let mut text = format!("error: {}\n", plain(error));
    let mut items: Vec<String> = Vec::new();
    for cause in causes(error) {
        let item = plain(cause);
        if items.last() != Some(&item) {
            items.push(item);
        }
    }
    items.extend_from_slice(excerpt);
    for (index, item) in items.iter().enumerate() {
        let (corner, under) = if index + 1 == items.len() { ("╰─", "  ") } else { ("├─", "│ ") };
        for (line_index, line) in item.lines().enumerate() {
            let _ = writeln!(text, "  {} {line}", if line_index == 0 { corner } else { under });
        }
    }
    if let Some(log) = log {
        let _ = writeln!(text, "  log: {}", log.display());
    }
    if !hints.is_empty() {
        text.push('\n');
    }
    for hint in hints {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

/// A place in a file, shown with the lines around it.
pub(super) fn snippet(
    path: &Path,
    text: &str,
    span: std::ops::Range<usize>,
    message: &str,
    help: Option<&str>,
    colour: bool,
) -> String {
    let mut diagnostic = miette::MietteDiagnostic::new(message.to_owned())
        .with_label(LabeledSpan::new_primary_with_span(Some("here".to_owned()), span));
    if let Some(help) = help {
        diagnostic = diagnostic.with_help(help);
    }
    let report = miette::Report::from(diagnostic).with_source_code(
        NamedSource::new(path.display().to_string(), text.to_owned()).with_language("TOML"),
    );
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let mut rendered = String::new();
    match GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .render_report(&mut rendered, report.as_ref())
    {
        Ok(()) => rendered,
        Err(_) => format!("{}: {message}\n", path.display()),
    }
}

/// What is open, and of which components nothing can be said.
fn open_findings(count: usize, from: Severity, not_judged: &[PackageName]) -> String {
    let mut parts = Vec::new();
    if count > 0 {
        parts.push(format!(
            "{count} open finding{} of severity {from} or above, or of unknown severity\n\
             a `[[cve]]` entry in the component's recipe says whether it is fixed, not there, or what to do",
            if count == 1 { "" } else { "s" }
        ));
    }
    if !not_judged.is_empty() {
        let names: Vec<&str> = not_judged.iter().map(PackageName::as_str).collect();
        parts.push(format!(
            "cannot judge {}: the version of the local tree is unknown\n\
             `--override PACKAGE=DIR@VERSION` says which version it is",
            names.join(", ")
        ));
    }
    parts.join("\n")
}
