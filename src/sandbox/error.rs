//! What can go wrong around a command; how the command itself ends is no error here.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::GuestPath;

/// Why a command could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// An invocation without a program.
    #[error("there is no command to run")]
    NoCommand,
    /// A declared input is not there.
    #[error("`{}`, to be mounted at `{guest}`, cannot be used", host.display())]
    MountSource {
        /// The path on the machine.
        host: PathBuf,
        /// Where the command would see it.
        guest: GuestPath,
        /// What the system said.
        source: io::Error,
    },
    /// Two mounts at one place.
    #[error("two mounts claim `{guest}`")]
    MountTwice {
        /// The place.
        guest: GuestPath,
    },
    /// A path on the machine that a command line or an environment could not carry.
    #[error("the path `{}` is not UTF-8", path.display())]
    NotUnicode {
        /// The path.
        path: PathBuf,
    },
    /// A shim's name that would leave its folder.
    #[error("`{name}` cannot be the name of a compiler driver")]
    ShimName {
        /// The name.
        name: String,
    },
    /// A private file or folder of the sandbox could not be written, read or removed.
    #[error("the sandbox's private files at `{}` failed", path.display())]
    Scratch {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The log could not be handed to the command.
    #[error("the log cannot be handed to the command")]
    Log {
        /// What the system said.
        source: io::Error,
    },
    /// What the command printed could not be written down.
    #[error("the command's output cannot be written to its log")]
    LogNotWritten {
        /// What the system said.
        source: io::Error,
    },
    /// The command printed without end and was killed with all its processes.
    #[error("the command was stopped: it wrote more than {limit} bytes to its log")]
    LogFull {
        /// How much it might have written.
        limit: u64,
    },
    /// The k3sroot executable could not be started again.
    #[error("`{}` cannot be started as the sandbox's helper", helper.display())]
    HelperNotStarted {
        /// The executable.
        helper: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The helper ended without a report: somebody killed it, or the machine ran out of memory.
    #[error("the sandbox's helper ended unexpectedly ({status})")]
    HelperDied {
        /// How it ended.
        status: ExitStatus,
    },
    /// A step of making the sandbox failed.
    #[error("the sandbox could not {step}")]
    Setup {
        /// What it tried to do, as in "mount `/usr`".
        step: String,
        /// What the system said.
        source: io::Error,
    },
    /// Namespaces cannot be had on this machine.
    #[error("this machine gives no namespaces: {reason}; {remedy}")]
    Unavailable {
        /// What forbids them.
        reason: String,
        /// What can be done.
        remedy: String,
        /// The step that failed.
        #[source]
        cause: Box<SandboxError>,
    },
    /// The program is not in the sandbox or cannot be executed.
    #[error("`{program}` cannot be started in the sandbox")]
    NotStarted {
        /// The program as the command names it.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The command took too long and was killed with all its processes.
    #[error("the command was stopped after {} s", after.as_secs_f64())]
    TimedOut {
        /// How long it was given.
        after: Duration,
    },
    /// [`super::Cancel`] stopped it.
    #[error("cancelled")]
    Cancelled,
}
