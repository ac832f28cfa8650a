//! The command line's words: one type per verb, with the help that users read.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::quantity;
use crate::lint::Rule;
use crate::name::{PackageName, Version};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Builds K3s's userspace root from source: the same bits wherever it runs, nothing built twice.
#[derive(Debug, Parser)]
#[command(
    name = "k3sroot",
    version,
    styles = STYLES,
    after_help = "Start with `k3sroot doctor`, then `k3sroot build --arch amd64`.\n\
                  Exit status: 0 done, 1 the build or the input failed, 2 k3sroot itself failed."
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
    #[command(flatten)]
    pub(super) global: Global,
}

/// Options that every verb takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// Folder of recipes [default: `recipes` of the checkout around the current folder].
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) recipes: Option<PathBuf>,
    /// Folder of the cache [default: `$K3SROOT_CACHE`, or `k3sroot` in `$XDG_CACHE_HOME` or `~/.cache`].
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) cache: Option<PathBuf>,
    /// Show what builds print, each line behind the name of its unit.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(super) verbose: bool,
    /// Say nothing but errors and warnings.
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
}

impl Global {
    /// Says what is no error.
    pub(super) fn say(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// The option that makes another k3sroot say as much as this one.
    pub(super) fn talk(&self) -> Option<&'static str> {
        match () {
            () if self.quiet => Some("--quiet"),
            () if self.verbose => Some("--verbose"),
            () => None,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Build the root tarballs, or single packages.
    Build(Build),
    /// Download and verify the sources.
    Fetch(Fetch),
    /// Show which package needs which.
    Graph(Graph),
    /// Write the first recipe of a package.
    New(New),
    /// Say which recipes have newer versions upstream.
    Outdated(Outdated),
    /// Change a recipe to another version.
    Bump(Bump),
    /// Say what could be better about the recipes.
    Lint(Lint),
    /// Show every piece of work, its digest, and whether it is in the store.
    Plan(Plan),
    /// Say why a package would be rebuilt, down to the flag or file that changed.
    Why(Why),
    /// Print the log of a package's newest build.
    Log(Log),
    /// Write a page that shows what a build did, and when.
    Report(Report),
    /// Open the sandbox of a package's build.
    Shell(Shell),
    /// Build twice under different conditions and compare.
    Check(Check),
    /// Hold root tarballs, anybody's, against what K3s expects.
    Verify(Verify),
    /// Show what came, went and changed from one tarball to another.
    Diff(Diff),
    /// Print what is inside a root: its packages, licences, sources and patches.
    Sbom(Sbom),
    /// Say what two userlands have in common, and what one lacks.
    Compare(Compare),
    /// Show, verify and shrink the cache.
    Cache(Cache),
    /// Say what this machine lacks, and how to install it.
    Doctor(Doctor),
    /// Print completions for a shell.
    Completions(Completions),
    /// Write the manual pages.
    Man(Man),
}

/// Which packages, for which arches.
#[derive(Debug, Clone, Args)]
pub(super) struct Selection {
    /// Arches, separated by commas, or `all`. K3s's spelling, `x86_64`, `aarch64`, `armv7` and the like.
    #[arg(long, value_name = "ARCH", value_delimiter = ',', default_value = "amd64")]
    pub(super) arch: Vec<String>,
    /// Packages [default: everything in the root].
    #[arg(value_name = "PACKAGE")]
    pub(super) packages: Vec<String>,
    /// Build a package from a local tree instead of its source; may be given several times.
    #[arg(long = "override", value_name = "PACKAGE=DIR")]
    pub(super) overrides: Vec<String>,
    #[command(flatten)]
    pub(super) compiler: Compiler,
}

/// Which compiler builds for the arches.
#[derive(Debug, Clone, Args)]
pub(super) struct Compiler {
    /// Where the compiler comes from.
    #[arg(long, value_enum, default_value_t = ToolchainChoice::Source)]
    pub(super) toolchain: ToolchainChoice,
    /// What the name of this machine's compiler for an arch begins with, for `--toolchain host`; with a `/` in it, a path.
    /// `ARCH=` may be left out where one arch is built. May be given several times.
    #[arg(long, value_name = "[ARCH=]PREFIX")]
    pub(super) cross_prefix: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ToolchainChoice {
    /// It is built from source: the same bits on every machine.
    Source,
    /// This machine's gcc, or its cross gcc: faster; the bits depend on it.
    Host,
}

/// Where sources come from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sources")]
pub(super) struct Sources {
    /// A folder of archives, searched before anything is downloaded; files are found by their digest.
    #[arg(long, value_name = "DIR")]
    pub(super) distfiles: Vec<PathBuf>,
    /// Download nothing.
    #[arg(long)]
    pub(super) offline: bool,
    /// Debian mirror for `debian:` URLs [default: those that apt is set up with].
    #[arg(long, value_name = "URL")]
    pub(super) debian_mirror: Vec<String>,
    /// Package index for `pypi:` URLs [default: the one that pip is set up with].
    #[arg(long, value_name = "URL")]
    pub(super) pypi_index: Option<String>,
    /// Where a recipe lists several archives of the same code, take the last that can be had, not the first.
    #[arg(long)]
    pub(super) last_archive_first: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot build --arch amd64\n  \
    k3sroot build --arch amd64 pigz busybox\n  \
    k3sroot build --arch amd64 --override libmnl=../libmnl\n\n\
    A package whose source cannot be had is left out of the tarballs, named, and makes the exit status 1.\n\
    With packages named, tarballs are written only to a folder given with --out, and hold those packages alone.")]
pub(super) struct Build {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Folder for the tarballs [default: dist; with packages named, no tarball is written without this].
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) sources: Sources,
    #[command(flatten)]
    pub(super) running: Running,
}

/// How builds run.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Running")]
pub(super) struct Running {
    /// Processes at once [default: the number of cores, or what there is memory for].
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
    /// Hold processes back, one more each second, while the machine's load average is above this; one always goes on.
    #[arg(long, value_name = "LOAD", value_parser = quantity::load)]
    pub(super) load: Option<f64>,
    /// After a failure, go on with what does not depend on it.
    #[arg(short, long)]
    pub(super) keep_going: bool,
    #[command(flatten)]
    pub(super) isolation: Isolation,
    /// How long one command may take: minutes, or a number with `s`, `m` or `h`.
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = quantity::time)]
    pub(super) timeout: Duration,
    /// How much memory one process of a build may use: bytes, or with K, M, G or T [default: as much as the machine has].
    #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
    pub(super) memory: Option<u64>,
}

/// How builds are kept apart. Tools that were made without namespaces do not do for builds in them.
#[derive(Debug, Clone, Args)]
pub(super) struct Isolation {
    /// How builds are kept apart from the machine.
    #[arg(long, value_enum, default_value_t = SandboxChoice::Auto)]
    pub(super) sandbox: SandboxChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SandboxChoice {
    /// Namespaces where the kernel allows them, otherwise none, saying so.
    Auto,
    /// Namespaces, or an error.
    Namespaces,
    /// None: the environment is scrubbed all the same.
    None,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot fetch --arch amd64\n  \
    k3sroot fetch --arch all --list")]
pub(super) struct Fetch {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Print name, URLs and digest of every source; download nothing.
    #[arg(long)]
    pub(super) list: bool,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) sources: Sources,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot graph --arch arm64 pigz\n  \
    k3sroot graph --why iptables libmnl\n  \
    k3sroot graph --svg > graph.svg")]
pub(super) struct Graph {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Say how building the one comes to involve the other: a package or a unit each.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "format")]
    pub(super) why: Vec<String>,
    /// The form.
    #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
    pub(super) format: GraphFormat,
    /// The same as `--format svg`.
    #[arg(long, conflicts_with_all = ["format", "why"])]
    pub(super) svg: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum GraphFormat {
    /// An indented tree.
    Text,
    /// Graphviz.
    Dot,
    /// A picture for a browser.
    Svg,
    /// A list of needs.
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot new pigz --url https://zlib.net/pigz/pigz-2.8.tar.gz --license Zlib\n\n\
    The archive is downloaded and looked at: its digest, its licence texts, how it is built. What is written is\n\
    printed too. CONTRIBUTING.md says what comes next.")]
pub(super) struct New {
    /// What to call the package.
    #[arg(value_name = "PACKAGE")]
    pub(super) name: PackageName,
    /// Its archive: `https:`, `file:`, `debian:<source package>/<file>` or `pypi:<project>/<file>`.
    #[arg(long, value_name = "URL")]
    pub(super) url: String,
    /// Its version [default: what the archive's name says].
    #[arg(long, value_name = "VERSION")]
    pub(super) version: Option<Version>,
    /// What it is, in one line.
    #[arg(long, value_name = "TEXT")]
    pub(super) summary: Option<String>,
    /// Its home page [default: the host of the URL].
    #[arg(long, value_name = "URL")]
    pub(super) homepage: Option<String>,
    /// An SPDX expression [default: that of the recipes with the same licence texts, if it is one].
    #[arg(long, value_name = "SPDX")]
    pub(super) license: Option<String>,
    #[command(flatten)]
    pub(super) sources: Sources,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot outdated\n  \
    k3sroot outdated --listing versions.txt\n\n\
    Each recipe's own places are asked, in their order: the folder that the archive lies in, a git host's feed of\n\
    releases, the pool of a Debian mirror, a package index. The first that names a version counts; where that is\n\
    a folder for a series, the later of its and the next place's. `current in 2.84`: nobody knew of other series.\n\n\
    Exit status: 0 the latest version of each is known, 1 of some it is not.")]
pub(super) struct Outdated {
    /// Packages [default: all].
    #[arg(value_name = "PACKAGE")]
    pub(super) packages: Vec<PackageName>,
    /// Go by this file, of lines `package version`, and ask nobody.
    #[arg(long, value_name = "FILE")]
    pub(super) listing: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) sources: Sources,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot bump pigz\n  \
    k3sroot bump pigz 2.9 --dry-run\n\n\
    The new archives are downloaded, their digests written into the recipe, its licence texts compared and its patches\n\
    tried. Compare the digests with what upstream publishes: nobody has vouched for them yet.\n\n\
    Exit status: 0 changed and nothing is left to do, 1 something is left to do or nothing could be changed.")]
pub(super) struct Bump {
    /// The package.
    #[arg(value_name = "PACKAGE")]
    pub(super) package: PackageName,
    /// The version [default: the latest that `k3sroot outdated` finds].
    #[arg(value_name = "VERSION")]
    pub(super) version: Option<Version>,
    /// Print what would change, and change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Take those of a source's archives out of the recipe that cannot be had in the new version.
    #[arg(long)]
    pub(super) leave_out: bool,
    #[command(flatten)]
    pub(super) sources: Sources,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot lint\n  \
    k3sroot lint pigz --allow summary\n  \
    k3sroot lint --rules\n\n\
    Exit status: 0 nothing found, 1 something found or a recipe cannot be used, 2 k3sroot could not look.")]
pub(super) struct Lint {
    /// Packages [default: all, and what lies beside the recipes].
    #[arg(value_name = "PACKAGE")]
    pub(super) packages: Vec<PackageName>,
    /// Rules that do not count; may be given several times.
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    pub(super) allow: Vec<Rule>,
    /// Print the rules, with the reason for each.
    #[arg(long, conflicts_with = "packages")]
    pub(super) rules: bool,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot plan --arch amd64\n  \
    k3sroot plan --arch all --json")]
pub(super) struct Plan {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) isolation: Isolation,
    /// Print JSON with everything that goes into each action.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot why iptables\n  \
    k3sroot why gcc@build-amd64\n  \
    k3sroot why iptables --override libmnl=../libmnl\n\n\
    What is planned is compared with what went into the unit's newest outcome in the cache. Needs\n\
    that are not as they were are followed to the cause. Nothing is built. Give the options that the\n\
    build will get: they count.")]
pub(super) struct Why {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) isolation: Isolation,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot log pigz\n  \
    k3sroot log gcc@build-arm64")]
pub(super) struct Log {
    /// A package, or a unit such as `gcc@build-amd64`.
    pub(super) package: String,
    /// The arch, if the package was built for several.
    #[arg(long, value_name = "ARCH", default_value = "amd64")]
    pub(super) arch: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot report\n  \
    k3sroot report --list\n  \
    k3sroot report --out last.html 2026-11-21T22-42-06.123Z\n\n\
    The page is one file, which needs nothing but a browser: a timeline with the critical path, the graph,\n\
    the units, why some failed, and what is in the tarballs.")]
pub(super) struct Report {
    /// A run that `--list` names [default: the last one].
    #[arg(value_name = "RUN")]
    pub(super) run: Option<String>,
    /// Where to write the page; `-`: to standard output.
    #[arg(long, value_name = "FILE", default_value = "k3sroot-report.html", conflicts_with_all = ["list", "json"])]
    pub(super) out: PathBuf,
    /// Print the runs that are remembered, newest first: name, how long, how it ended, command line.
    #[arg(long, conflicts_with_all = ["run", "json"])]
    pub(super) list: bool,
    /// Print what the page is made of as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot shell pigz --arch arm64\n  \
    k3sroot shell pigz -- ls /sysroot/usr/include")]
pub(super) struct Shell {
    /// A package, or a unit such as `gcc@build-amd64`.
    pub(super) package: String,
    /// The arch.
    #[arg(long, value_name = "ARCH", default_value = "amd64")]
    pub(super) arch: String,
    /// Build a package from a local tree, as in the build that failed.
    #[arg(long = "override", value_name = "PACKAGE=DIR")]
    pub(super) overrides: Vec<String>,
    #[command(flatten)]
    pub(super) compiler: Compiler,
    /// A command to run in place of an interactive shell.
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
    #[command(flatten)]
    pub(super) sources: Sources,
    #[command(flatten)]
    pub(super) running: Running,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot check --reuse pigz                  # minutes: the compiler comes from the cache\n  \
    k3sroot check --arch amd64                  # twice the time of a first build\n  \
    k3sroot check --vary all,-fileordering pigz\n  \
    k3sroot check --vary time,umask pigz\n\n\
    Variations, by reprotest's names: environment, build_path, user_group, umask, time, timezone, locales, home, \
    exec_path, domain_host, fileordering, num_cpus, aslr, kernel. Our own: sandbox (namespaces or none), archives \
    (upstream's or a distribution's), cache (one run or two). What this machine cannot vary is named.\n\n\
    Exit status: 0 the same bits, 1 other bits or something could not be built, 2 k3sroot could not look.")]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// What differs between the two builds, separated by commas: names, `all`, and `-NAME` for what does not.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "all",
        allow_hyphen_values = true
    )]
    pub(super) vary: Vec<String>,
    /// Take the first build, and what the second needs, from the cache as far as it has them: only the packages are built
    /// again.
    #[arg(long)]
    pub(super) reuse: bool,
    /// Folder for both builds, with room for two caches [default: in the cache].
    #[arg(long, value_name = "DIR")]
    pub(super) work: Option<PathBuf>,
    /// Keep both builds, and not only when they differ.
    #[arg(long)]
    pub(super) keep: bool,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) sources: Sources,
    /// Processes at once [default: the number of cores, or what there is memory for].
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot verify dist/k3s-root-amd64.tar dist/k3s-root-xtables-amd64.tar\n  \
    k3sroot verify --arch arm64 download.tar\n  \
    k3sroot verify --golden --arch amd64 dist/k3s-root-amd64.tar\n\n\
    Exit status: 0 sound, 1 not sound, 2 k3sroot could not look.")]
pub(super) struct Verify {
    /// Tarballs, not compressed.
    #[arg(value_name = "TAR", required_unless_present = "golden")]
    pub(super) tars: Vec<PathBuf>,
    /// Compare what the cache has of every package, and the tarballs, with the golden digests of the checkout.
    #[arg(long, requires = "arch")]
    pub(super) golden: bool,
    /// Write the golden digests anew, in place of comparing.
    #[arg(long, requires = "golden")]
    pub(super) update: bool,
    /// The arch that they are for [default: what their names say, or what their programs are for].
    #[arg(long, value_name = "ARCH")]
    pub(super) arch: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot diff old/k3s-root-amd64.tar dist/k3s-root-amd64.tar\n\n\
    Exit status: 0 equal byte for byte, 1 different, 2 k3sroot could not compare.")]
pub(super) struct Diff {
    /// The tarball that there was, not compressed.
    #[arg(value_name = "OLD.tar")]
    pub(super) old: PathBuf,
    /// The tarball that there is.
    #[arg(value_name = "NEW.tar")]
    pub(super) new: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot sbom --arch amd64 > k3s-root-amd64.spdx.json\n  \
    k3sroot sbom --arch arm64 --format cyclonedx\n\n\
    It is of what the cache has; `k3sroot build` writes the same documents beside the tarballs.")]
pub(super) struct Sbom {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// The form.
    #[arg(long, value_enum, default_value_t = SbomFormat::Spdx)]
    pub(super) format: SbomFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SbomFormat {
    /// SPDX 2.3, as JSON.
    Spdx,
    /// CycloneDX 1.6, as JSON.
    Cyclonedx,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot compare dist/k3s-root-amd64.tar /\n  \
    rpm -qa --root /mnt > list && k3sroot compare dist/k3s-root-amd64.tar list --format markdown\n\n\
    A side is a root tarball, not compressed; a folder with a root or a whole system in it; what `rpm -qa` prints; or\n\
    dpkg's status file. `to do` is for who wants what the left side has on the right one. Links lead to programs with\n\
    many names; versions are what a program's bytes tell, or its package's.")]
pub(super) struct Compare {
    /// What there is.
    #[arg(value_name = "LEFT")]
    pub(super) left: PathBuf,
    /// What to look for it in.
    #[arg(value_name = "RIGHT")]
    pub(super) right: PathBuf,
    /// The form.
    #[arg(long, value_enum, default_value_t = CompareFormat::Text)]
    pub(super) format: CompareFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CompareFormat {
    /// Tables.
    Text,
    /// Tables for a document.
    Markdown,
    /// A line for every name.
    Csv,
    /// Everything.
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot cache\n  \
    k3sroot cache gc --max-size 10G")]
pub(super) struct Cache {
    #[command(subcommand)]
    pub(super) verb: Option<CacheVerb>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum CacheVerb {
    /// Show what the cache holds (the default).
    Show,
    /// Read everything and set aside what is damaged.
    Verify,
    /// Remove what was not used for longest until the cache is small enough.
    Gc {
        /// How large it may stay: bytes, or with K, M, G or T (powers of 1024).
        #[arg(long, value_name = "SIZE")]
        max_size: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot doctor\n  \
    k3sroot doctor --toolchain host --arch all")]
pub(super) struct Doctor {
    /// Arches whose compiler is looked for with `--toolchain host`, separated by commas, or `all`.
    #[arg(long, value_name = "ARCH", value_delimiter = ',', default_value = "amd64")]
    pub(super) arch: Vec<String>,
    #[command(flatten)]
    pub(super) compiler: Compiler,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot completions bash > ~/.local/share/bash-completion/completions/k3sroot")]
pub(super) struct Completions {
    /// The shell.
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  k3sroot man ~/.local/share/man/man1")]
pub(super) struct Man {
    /// Folder for them; it is made if it is not there. One page for k3sroot and one for every verb.
    #[arg(value_name = "DIR")]
    pub(super) out: PathBuf,
}
