//! The command line's words: one type per verb, with the help that users read.

mod recipes;
mod roots;
mod rpm;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::quantity;
pub(in crate::cli) use recipes::{Bump, Lint, New, Outdated};
pub(in crate::cli) use roots::{
    Compare, CompareFormat, Cve, Diff, FailOn, Legal, Provenance, Sbom, SbomFormat, Verify, Vex,
};
pub(in crate::cli) use rpm::{DistributionChoice, PackageChoice, Rpm};

/// Where the tarballs go if nobody says where.
pub(in crate::cli) const DIST: &str = "dist";

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
pub(in crate::cli) struct Cli {
    #[command(subcommand)]
    pub(in crate::cli) verb: Verb,
    #[command(flatten)]
    pub(in crate::cli) global: Global,
}

/// Options that every verb takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(in crate::cli) struct Global {
    /// Folder of recipes [default: `recipes` of the checkout around the current folder].
    #[arg(long, global = true, value_name = "DIR")]
    pub(in crate::cli) recipes: Option<PathBuf>,
    /// Folder of the cache [default: `$K3SROOT_CACHE`, or `k3sroot` in `$XDG_CACHE_HOME` or `~/.cache`].
    #[arg(long, global = true, value_name = "DIR")]
    pub(in crate::cli) cache: Option<PathBuf>,
    /// Show what builds print, each line behind the name of its unit.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(in crate::cli) verbose: bool,
    /// Say nothing but errors and warnings.
    #[arg(short, long, global = true)]
    pub(in crate::cli) quiet: bool,
}

impl Global {
    /// Says what is no error.
    pub(in crate::cli) fn say(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// The option that makes another k3sroot say as much as this one.
    pub(in crate::cli) fn talk(&self) -> Option<&'static str> {
        match () {
            () if self.quiet => Some("--quiet"),
            () if self.verbose => Some("--verbose"),
            () => None,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Verb {
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
    /// Print where a root came from: an in-toto statement with SLSA provenance.
    Provenance(Provenance),
    /// Print what is known of vulnerabilities of what is inside a root.
    Vex(Vex),
    /// Look the components of a root up in databases of vulnerabilities that lie in a folder.
    Cve(Cve),
    /// Write what to hand out with a root: sources, patches, licences, an offer.
    Legal(Legal),
    /// Say what two userlands have in common, and what one lacks.
    Compare(Compare),
    /// Write k3sroot and the root as source packages of a distribution that uses RPM.
    Rpm(Rpm),
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
pub(in crate::cli) struct Selection {
    /// Arches, separated by commas, or `all`. K3s's spelling, `x86_64`, `aarch64`, `armv7` and the like.
    #[arg(long, value_name = "ARCH", value_delimiter = ',', default_value = "amd64")]
    pub(in crate::cli) arch: Vec<String>,
    /// Packages [default: everything in the root].
    #[arg(value_name = "PACKAGE")]
    pub(in crate::cli) packages: Vec<String>,
    /// Build a package from a local tree instead of its source; may be given several times. Without VERSION, the tree's build
    /// files state the version, or it is unknown.
    #[arg(long = "override", value_name = "PACKAGE=DIR[@VERSION]")]
    pub(in crate::cli) overrides: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) compiler: Compiler,
}

/// Which compiler builds for the arches.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct Compiler {
    /// Where the compiler comes from.
    #[arg(long, value_enum, default_value_t = ToolchainChoice::Source)]
    pub(in crate::cli) toolchain: ToolchainChoice,
    /// What the name of this machine's compiler for an arch begins with, for `--toolchain host`; with a `/` in it, a path.
    /// `ARCH=` may be left out where one arch is built. May be given several times.
    #[arg(long, value_name = "[ARCH=]PREFIX")]
    pub(in crate::cli) cross_prefix: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ToolchainChoice {
    /// It is built from source: the same bits on every machine.
    Source,
    /// This machine's gcc, or its cross gcc: faster; the bits depend on it.
    Host,
}

/// Where sources come from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sources")]
pub(in crate::cli) struct Sources {
    /// A folder of archives, searched before anything is downloaded; files are found by their digest.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) distfiles: Vec<PathBuf>,
    /// Download nothing.
    #[arg(long)]
    pub(in crate::cli) offline: bool,
    /// Debian mirror for `debian:` URLs [default: those that apt is set up with].
    #[arg(long, value_name = "URL", value_parser = uri)]
    pub(in crate::cli) debian_mirror: Vec<String>,
    /// Package index for `pypi:` URLs [default: the one that pip is set up with].
    #[arg(long, value_name = "URL", value_parser = uri)]
    pub(in crate::cli) pypi_index: Option<String>,
    /// Where a recipe lists several archives of the same code, take the last that can be had, not the first.
    #[arg(long)]
    pub(in crate::cli) last_archive_first: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot build --arch amd64\n  \
    k3sroot build --arch amd64 pigz busybox\n  \
    k3sroot build --arch amd64 --override libmnl=../libmnl\n\n\
    If a source is unreachable, nothing is written: what an earlier build wrote stays as it is. With --partial, \
    tarballs without that package take its place, and the exit status is 1. \
    With packages named, tarballs are written only to a folder given with --out, and hold those packages alone.")]
pub(in crate::cli) struct Build {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    /// Folder for the tarballs [default: dist; with packages named, no tarball is written without this].
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Write tarballs even if packages are missing from them because a source is unreachable.
    #[arg(long)]
    pub(in crate::cli) partial: bool,
    /// Write no legal pack beside the tarballs.
    #[arg(long, conflicts_with = "contact")]
    pub(in crate::cli) no_legal: bool,
    /// Who is to be asked for the sources, for the offer in the legal pack: name and address.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) contact: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) sources: Sources,
    #[command(flatten)]
    pub(in crate::cli) signing: Signing,
    #[command(flatten)]
    pub(in crate::cli) running: Running,
}

/// Who answers for what is built.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Signing")]
pub(in crate::cli) struct Signing {
    /// Sign the statement of where the tarballs came from with this ed25519 key: PEM, PKCS #8, not encrypted.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) sign_key: Option<PathBuf>,
    /// Who builds: a URI that those who read the statement know [default: urn:k3sroot:builder:unnamed].
    #[arg(long, value_name = "URI", value_parser = uri)]
    pub(in crate::cli) builder_id: Option<String>,
}

/// A URI: a scheme and something of it, without blanks.
fn uri(text: &str) -> Result<String, String> {
    let scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
    };
    match text.split_once(':') {
        Some((head, rest)) if scheme(head) && !rest.is_empty() && !text.contains(char::is_whitespace) => {
            Ok(text.to_owned())
        }
        _ => Err("this is no URI like `https://ci.example.org/k3sroot`".to_owned()),
    }
}

/// How builds run.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Running")]
pub(in crate::cli) struct Running {
    /// Processes at once [default: the number of cores, or what there is memory for].
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub(in crate::cli) jobs: Option<u16>,
    /// Hold processes back, one more each second, while the machine's load average is above this; one always goes on.
    #[arg(long, value_name = "LOAD", value_parser = quantity::load)]
    pub(in crate::cli) load: Option<f64>,
    /// After a failure, go on with what does not depend on it.
    #[arg(short, long)]
    pub(in crate::cli) keep_going: bool,
    #[command(flatten)]
    pub(in crate::cli) isolation: Isolation,
    /// How long one command may take, and unpacking or storing of one package: minutes, or a number with `s`, `m` or `h`.
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = quantity::time)]
    pub(in crate::cli) timeout: Duration,
    /// How much memory one process of a build may use: bytes, or with K, M, G or T [default: as much as the machine has].
    #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
    pub(in crate::cli) memory: Option<u64>,
    /// How much one source may unpack to: bytes, or with K, M, G or T.
    #[arg(long, value_name = "SIZE", default_value = "4G", value_parser = quantity::size)]
    pub(in crate::cli) max_source: u64,
    /// How much one build may install, and how large any file of it may become: bytes, or with K, M, G or T.
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = quantity::size)]
    pub(in crate::cli) max_output: u64,
}

/// How builds are kept apart. Tools that were made without namespaces do not do for builds in them.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct Isolation {
    /// How builds are kept apart from the machine.
    #[arg(long, value_enum, default_value_t = SandboxChoice::Auto)]
    pub(in crate::cli) sandbox: SandboxChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SandboxChoice {
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
    k3sroot fetch --arch amd64 --toolchain host --out sources\n  \
    k3sroot fetch --arch all --list\n\n\
    What --out collects is all that `k3sroot build --offline --distfiles DIR` needs, with the same options.")]
pub(in crate::cli) struct Fetch {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    /// Collect the archives in a folder, under names of their own, with a list of them: `k3sroot.lock`. What is there stays.
    #[arg(long, value_name = "DIR", conflicts_with = "list")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Print name, URLs and digest of every source; download nothing.
    #[arg(long)]
    pub(in crate::cli) list: bool,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) sources: Sources,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot graph --arch arm64 pigz\n  \
    k3sroot graph --why iptables libmnl\n  \
    k3sroot graph --svg > graph.svg")]
pub(in crate::cli) struct Graph {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    /// Say how building the one comes to involve the other: a package or a unit each.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "format")]
    pub(in crate::cli) why: Vec<String>,
    /// The form.
    #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
    pub(in crate::cli) format: GraphFormat,
    /// The same as `--format svg`.
    #[arg(long, conflicts_with_all = ["format", "why"])]
    pub(in crate::cli) svg: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum GraphFormat {
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
    k3sroot plan --arch amd64\n  \
    k3sroot plan --arch all --json")]
pub(in crate::cli) struct Plan {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    #[command(flatten)]
    pub(in crate::cli) isolation: Isolation,
    /// Print JSON with everything that goes into each action.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot why iptables\n  \
    k3sroot why gcc@build-amd64\n  \
    k3sroot why iptables --override libmnl=../libmnl\n\n\
    What is planned is compared with what went into the unit's newest outcome in the cache. Needs \
    that are not as they were are followed to the cause. Nothing is built. Give the options that the \
    build will get: they count.")]
pub(in crate::cli) struct Why {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    #[command(flatten)]
    pub(in crate::cli) isolation: Isolation,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot log pigz\n  \
    k3sroot log gcc@build-arm64")]
pub(in crate::cli) struct Log {
    /// A package, or a unit such as `gcc@build-amd64`.
    pub(in crate::cli) package: String,
    /// The arch, if the package was built for several.
    #[arg(long, value_name = "ARCH", default_value = "amd64")]
    pub(in crate::cli) arch: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot report\n  \
    k3sroot report --list\n  \
    k3sroot report --out last.html 2026-11-21T22-42-06.123Z\n\n\
    The page is one file, which needs nothing but a browser: a timeline with the critical path, the graph, \
    the units, why some failed, and what is in the tarballs.")]
pub(in crate::cli) struct Report {
    /// A run that `--list` names [default: the last one].
    #[arg(value_name = "RUN")]
    pub(in crate::cli) run: Option<String>,
    /// Where to write the page; `-`: to standard output.
    #[arg(long, value_name = "FILE", default_value = "k3sroot-report.html", conflicts_with_all = ["list", "json"])]
    pub(in crate::cli) out: PathBuf,
    /// Print the runs that are remembered, newest first: name, how long, how it ended, command line.
    #[arg(long, conflicts_with_all = ["run", "json"])]
    pub(in crate::cli) list: bool,
    /// Print what the page is made of as JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot shell pigz --arch arm64\n  \
    k3sroot shell pigz -- ls /sysroot/usr/include")]
pub(in crate::cli) struct Shell {
    /// A package, or a unit such as `gcc@build-amd64`.
    pub(in crate::cli) package: String,
    /// The arch.
    #[arg(long, value_name = "ARCH", default_value = "amd64")]
    pub(in crate::cli) arch: String,
    /// Build a package from a local tree, as in the build that failed.
    #[arg(long = "override", value_name = "PACKAGE=DIR[@VERSION]")]
    pub(in crate::cli) overrides: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) compiler: Compiler,
    /// A command to run in place of an interactive shell.
    #[arg(last = true, value_name = "COMMAND")]
    pub(in crate::cli) command: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) sources: Sources,
    #[command(flatten)]
    pub(in crate::cli) running: Running,
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
pub(in crate::cli) struct Check {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    /// What differs between the two builds, separated by commas: names, `all`, and `-NAME` for what does not.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "all",
        allow_hyphen_values = true
    )]
    pub(in crate::cli) vary: Vec<String>,
    /// Take the first build, and what the second needs, from the cache as far as it has them: only the packages are built
    /// again.
    #[arg(long)]
    pub(in crate::cli) reuse: bool,
    /// Folder for both builds, with room for two caches [default: in the cache].
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) work: Option<PathBuf>,
    /// Keep both builds, and not only when they differ.
    #[arg(long)]
    pub(in crate::cli) keep: bool,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) sources: Sources,
    /// Processes at once [default: the number of cores, or what there is memory for].
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub(in crate::cli) jobs: Option<u16>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot cache\n  \
    k3sroot cache gc --max-size 10G")]
pub(in crate::cli) struct Cache {
    #[command(subcommand)]
    pub(in crate::cli) verb: Option<CacheVerb>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CacheVerb {
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
pub(in crate::cli) struct Doctor {
    /// Arches whose compiler is looked for with `--toolchain host`, separated by commas, or `all` [default: amd64].
    #[arg(long, value_name = "ARCH", value_delimiter = ',', default_value_if("toolchain", "host", "amd64"))]
    pub(in crate::cli) arch: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) compiler: Compiler,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot completions bash > ~/.local/share/bash-completion/completions/k3sroot")]
pub(in crate::cli) struct Completions {
    /// The shell.
    pub(in crate::cli) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  k3sroot man ~/.local/share/man/man1")]
pub(in crate::cli) struct Man {
    /// Folder for them; it is made if it is not there. One page for k3sroot and one for every verb.
    #[arg(value_name = "DIR")]
    pub(in crate::cli) out: PathBuf,
}
