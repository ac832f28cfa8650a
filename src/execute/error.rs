//! How a unit's build can fail, and what may help.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use base::deadline::Expired;
use base::digest::Sha256;
use base::name::{Machine, Unit};
use fetch::{FetchError, PatchError, UnpackError};
use model::plan::ResolveError;
use sandbox::SandboxError;
use store::{Refusal, StoreError};

/// Why the build machine's compiler cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CompilerError {
    /// There is none.
    #[error(
        "this machine has no C compiler for {arch}; looked for {}\n\
         install one, name it with `--cross-prefix {arch}=PREFIX`, or use `--toolchain source`",
        tried.join(", ")
    )]
    Absent {
        /// The arch.
        arch: String,
        /// What was looked for.
        tried: Vec<String>,
    },
    /// It is not gcc.
    #[error("`{}` is not gcc, and only gcc can be told to use another C library", driver.display())]
    NotGcc {
        /// The driver.
        driver: PathBuf,
    },
    /// It could not be run or probed.
    #[error("cannot ask `{}` what it is: {reason}", driver.display())]
    Probe {
        /// The driver.
        driver: PathBuf,
        /// What it or the system said.
        reason: String,
    },
    /// It compiles for something else.
    #[error("`{}` does not compile for {arch} with `{flags}`: {reason}", driver.display())]
    OtherMachine {
        /// The driver.
        driver: PathBuf,
        /// The arch.
        arch: String,
        /// The flags that choose the processor.
        flags: String,
        /// What came out.
        reason: String,
    },
    /// A part of it is not there.
    #[error("`{}` has no `{part}`: is its package installed whole?", driver.display())]
    Incomplete {
        /// The driver.
        driver: PathBuf,
        /// What is missing.
        part: String,
    },
    /// The machine refused something.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A unit that has no outcome, and why.
#[derive(Debug, thiserror::Error)]
#[error("{} {version} for {} failed", unit.package, unit.machine)]
pub struct Failure {
    /// The unit.
    pub unit: Unit,
    /// Its version; `unknown` for a local tree that does not state it.
    pub version: String,
    /// Its recipe.
    pub recipe: PathBuf,
    /// What went wrong.
    pub source: ActionError,
    /// The log, if the build got far enough to have one.
    pub log: Option<PathBuf>,
    /// The folder that was built in.
    pub cache: PathBuf,
}

/// What can go wrong with one action.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// Its source could not be had.
    #[error("the source could not be had")]
    Source(#[source] FetchError),
    /// Whether there is a source was not even found out.
    #[error("the source could not be fetched")]
    Fetch(#[source] FetchError),
    /// What it needs is not known: a mistake in k3sroot.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Its source could not be unpacked.
    #[error("the source could not be unpacked")]
    Unpack(#[source] UnpackError),
    /// A step of k3sroot's own took too long.
    #[error("unpacking its sources, or storing what it installed, took longer than {}", time(*after))]
    TimedOut {
        /// How long it may take.
        after: Duration,
    },
    /// A patch does not fit.
    #[error("patch `{name}` does not apply")]
    Patch {
        /// The patch.
        name: String,
        /// Why.
        source: PatchError,
    },
    /// A licence text is missing or not what the recipe knows.
    #[error("licence file `{path}` is not what the recipe says\nexpected: {expected}\ncomputed: {}", computed.map_or_else(|| "no such file".to_owned(), |digest| digest.to_string()))]
    License {
        /// Its path in the source.
        path: String,
        /// What the recipe says.
        expected: Sha256,
        /// What is there.
        computed: Option<Sha256>,
    },
    /// A command failed.
    #[error("`{command}` {ending} in {phase}")]
    Command {
        /// In which phase.
        phase: &'static str,
        /// The command, shortened.
        command: String,
        /// `exited with status 1`, `was killed by signal 9`, `took longer than 60 minutes`.
        ending: String,
        /// The last lines that it wrote.
        excerpt: Vec<String>,
    },
    /// Configuration symbols that were asked for did not survive.
    #[error("the configuration does not keep what the recipe asks for: {}", list(lost))]
    Symbols {
        /// `NAME (asked for y, got n)`.
        lost: Vec<String>,
    },
    /// A `keep` glob of the recipe matches nothing that was installed.
    #[error("[install] keep: `{glob}` matches nothing that was installed")]
    KeepMatchesNothing {
        /// The glob.
        glob: String,
    },
    /// Something was installed that no package has.
    #[error("`{path}` was installed: {reason}")]
    Installed {
        /// Its guest path.
        path: String,
        /// What is wrong with it.
        reason: Refusal,
    },
    /// Something that a build made stands where k3sroot reads or writes, and leads elsewhere.
    #[error("`{path}` is neither a file nor a folder: a build made a link or something stranger of it")]
    Stranger {
        /// Its guest path.
        path: String,
    },
    /// Nothing was installed.
    #[error("nothing was installed under `{folder}`")]
    NothingInstalled {
        /// The guest folder.
        folder: String,
    },
    /// A unit that is not in the plan.
    #[error("`{unit}` is not needed by anything in the root")]
    NotPlanned {
        /// The unit.
        unit: Unit,
    },
    /// Something that the unit needs was not built yet.
    #[error("`{need}` is needed and was not built: run `k3sroot build` first")]
    NeedNotBuilt {
        /// What is needed.
        need: Unit,
    },
    /// The sandbox could not run a command.
    #[error("a command could not be run")]
    Sandbox(#[from] SandboxError),
    /// The build machine's compiler could not be put in place.
    #[error(transparent)]
    Compiler(#[from] CompilerError),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// A file of the build could not be read or written.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The run was stopped.
    #[error("stopped")]
    Cancelled,
}

impl ActionError {
    /// Whether k3sroot or the machine failed, and not the build or what went into it.
    pub fn is_our_own(&self) -> bool {
        match self {
            // Two needs that do not fit together.
            Self::Store(StoreError::Clash(_)) => false,
            Self::Fetch(_) | Self::Sandbox(_) | Self::Compiler(_) | Self::Store(_) | Self::Io { .. } => true,
            _ => is_disk_full(self),
        }
    }
}

impl From<FetchError> for ActionError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Cancelled { .. } => Self::Cancelled,
            error @ FetchError::Unobtainable { .. } => Self::Source(error),
            error => Self::Fetch(error),
        }
    }
}

impl From<StoreError> for ActionError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Expired(expired) => expired.into(),
            error => Self::Store(error),
        }
    }
}

impl From<Expired> for ActionError {
    fn from(expired: Expired) -> Self {
        match expired {
            Expired::Stopped => Self::Cancelled,
            Expired::TimedOut { after } => Self::TimedOut { after },
        }
    }
}

/// A time as `--timeout` takes it.
pub(super) fn time(time: Duration) -> String {
    let (count, unit) = match time.as_secs() {
        seconds if seconds % 60 == 0 => (seconds / 60, "minute"),
        seconds => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Whether there was no room left on a disk for what `error` is about.
pub fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|error| {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    })
}

fn list(items: &[String]) -> String {
    items.join(", ")
}

const TOO_MUCH_MEMORY: &str = "a process wanted more memory than it may have: `--memory SIZE` allows more";
const TOO_LARGE: &str = "a file became larger than it may: `--max-output SIZE` allows more";
/// What a command ends with that the kernel killed, itself or its compiler.
const KILLED: [&str; 2] = ["was killed by signal 9", "Killed signal terminated program"];

/// What is often behind the text of a failed command, with the remedy.
const SYMPTOMS: [(&str, &str); 11] = [
    ("File size limit exceeded", TOO_LARGE),
    ("File too large", TOO_LARGE),
    ("Temporary failure in name resolution", "builds have no network: every byte comes from a `[[source]]`"),
    ("Network is unreachable", "builds have no network: every byte comes from a `[[source]]`"),
    ("Read-only file system", "a build may write only to /src, /build, /out and /tmp"),
    ("Cannot allocate memory", TOO_MUCH_MEMORY),
    ("MemoryError", TOO_MUCH_MEMORY),
    ("memory exhausted", TOO_MUCH_MEMORY),
    (
        ": not found",
        "a program is missing: if it is not among the build machine's, list its package under [needs] tools",
    ),
    (
        "No such file or directory\ncompilation terminated",
        "a header is missing: list its package under [needs] link",
    ),
    (
        "undefined reference to",
        "a library is missing: list its package under [needs] link, or its flag under [build] libs",
    ),
];

impl Failure {
    /// Advice that fits the failure, most specific first.
    pub fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        let full = format!(
            "no room is left on the disk of `{}`: `k3sroot cache gc --max-size SIZE` makes the cache smaller, `--cache DIR` puts it elsewhere",
            self.cache.display()
        );
        if is_disk_full(&self.source) {
            hints.push(full.clone());
        }
        match &self.source {
            ActionError::Source(error) => hints.extend(fetch::hints(&[error])),
            ActionError::Command { excerpt, ending, .. } => {
                let text = excerpt.join("\n");
                if text.contains("No space left on device") {
                    hints.push(full);
                }
                if KILLED.iter().any(|killed| ending.contains(killed) || text.contains(killed)) {
                    hints.push("the kernel does that when the machine has no memory left: fewer `--jobs` need less".to_owned());
                }
                let package = text.split_once("Package '").or_else(|| text.split_once("No package '"));
                if let Some((name, _)) = package.and_then(|(_, rest)| rest.split_once('\'')) {
                    hints.push(format!("`{}` does not list what provides `{name}` under [needs] link", self.recipe.display()));
                }
                hints.extend(
                    SYMPTOMS.iter().filter(|(symptom, _)| text.contains(symptom)).map(|(_, hint)| (*hint).to_owned()),
                );
                let unit = match &self.unit.machine {
                    Machine::Target(arch) => format!("{} --arch {arch}", self.unit.package),
                    Machine::Build | Machine::Cross(_) => self.unit.to_string(),
                };
                hints.push(format!("`k3sroot shell {unit}` opens the sandbox at the failed phase"));
            }
            ActionError::Installed { reason: Refusal::Large { .. }, .. } => {
                hints.push("`--max-output SIZE` allows more".to_owned());
            }
            ActionError::TimedOut { .. } => hints.push("`--timeout TIME` allows more".to_owned()),
            ActionError::Unpack(UnpackError::TooLarge { .. }) => {
                hints.push("`--max-source SIZE` allows more".to_owned());
            }
            ActionError::License { .. } => hints.push(
                "read the new text; if it is acceptable, put its digest under [license] files".to_owned(),
            ),
            ActionError::Symbols { .. } => hints.push(format!(
                "a symbol that this version does not have, or that depends on another, cannot be asked for: see [build.config] in `{}`",
                self.recipe.display()
            )),
            _ => {}
        }
        hints.dedup();
        hints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_they_were_given() {
        let told = [1, 60, 90, 7200].map(|seconds| time(Duration::from_secs(seconds)));
        assert_eq!(told, ["1 second", "1 minute", "90 seconds", "120 minutes"]);
    }
}
