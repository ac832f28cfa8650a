//! Runs one command where it sees its declared inputs and nothing else of the machine.
//!
//! [`Mode::Namespaces`]: an empty root with the build machine's `/usr` read-only, the declared [`Mount`]s, fresh
//! `/tmp`, `/proc` and `/dev`, an `/etc` of a few fixed files, no network, host name `k3sroot`, uid and gid 1000
//! without capabilities, umask 022 and no variables but the declared ones. `/proc` shows the command's own
//! processes; they all die with it, whatever sessions they moved to. What is still seen of the machine: its kernel's
//! release, its processors, how much memory it has, and the real paths of the mounts in `/proc/self/mountinfo`.
//!
//! [`Mode::None`] is for machines that forbid namespaces. The environment is scrubbed the same way and the guest
//! paths that a command names are replaced by the real ones ([`Translation`]), with compiler drivers wrapped so that
//! real paths stay out of outputs ([`Shim`]). What it gives up:
//! - where the kernel has no Landlock, what is not declared can be read, and what the user may write can be written,
//!   read-only mounts too; where it has no seccomp, the network is there. [`Sandbox::fences`] tells;
//! - modes, owners and times of files whose paths a command knows can be set, but for setuid and setgid;
//! - uid, gid, host name and `/etc/passwd` are the caller's; processes see each other;
//! - guest paths written in *files* (a cross file, a `#!` line, a script in `/tools`) are not translated: who writes
//!   them passes them through [`Translation::text`]; a compiler called by its absolute path goes round the shims;
//! - if k3sroot's helper itself is killed with SIGKILL, the main process dies with it, but what that forked may live
//!   on. When k3sroot dies, however it dies, the helper ends them all.
//!
//! In both modes a command is kept from harming the machine by mistake: a log has a largest size, a command a longest
//! time, a process a largest memory; and when the machine itself runs out of memory, the kernel is told to end a
//! command's processes before anybody else's. Where cgroups v2 can be had, the number of processes has a limit
//! ([`Sandbox::processes`]). The largest file that it writes has one; the room that all of them take has none.
//!
//! How: `run` starts k3sroot again with a hidden first argument ([`helper_main`]), single-threaded from its first
//! instruction, so that it may unshare namespaces and be the parent of everything that runs. In goes an
//! [`Invocation`], out comes an [`Exit`]; the module knows nothing of recipes, plans or the store.

mod cancel;
mod children;
mod error;
mod fence;
mod group;
mod guest;
mod helper;
mod inside;
mod launch;
mod mounts;
mod output;
mod probe;
mod root;
mod shims;
mod spec;
mod translate;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tempfile::TempDir;

use base::files::remove_tree;

pub use self::cancel::Cancel;
pub use self::error::SandboxError;
pub use self::fence::{Fences, installation};
use self::group::Group;
pub use self::guest::{GuestPath, GuestPathError};
pub use self::helper::helper_main;
pub use self::mounts::{Access, Mount};
pub use self::shims::Shim;
pub use self::spec::Status;
pub use self::translate::Translation;

use self::output::Copied;
use self::spec::{Conversation, Report, Spec};

/// How commands are kept apart from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Mode {
    /// In namespaces of their own.
    Namespaces,
    /// In the machine's own, with real paths; the module's documentation says what that gives up.
    None,
}

/// Where a command's streams go.
#[derive(Debug, Clone, Copy)]
pub enum Output<'a> {
    /// stdout and stderr appended to this file; stdin is empty, and there is no terminal.
    Log(&'a File),
    /// The caller's own three streams and terminal, for `k3sroot shell`.
    Inherit,
}

/// One command to run.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// The folders and files it sees beside the machine's `/usr`, in any order.
    pub mounts: &'a [Mount],
    /// The program, searched in the `PATH` of `env` unless it has a slash, and its arguments.
    pub argv: &'a [String],
    /// Its whole environment (in [`Mode::None`] also `HOME` and `TMPDIR`, private folders).
    pub env: &'a BTreeMap<String, String>,
    /// Its working directory, a guest path.
    pub cwd: &'a str,
    /// The compiler drivers that [`Mode::None`] wraps; namespaces need none and ignore them.
    pub shims: &'a [Shim],
    /// Where its output goes.
    pub output: Output<'a>,
    /// How many bytes it may add to a log.
    pub log_limit: u64,
    /// How long it may take; `None` is for ever.
    pub timeout: Option<Duration>,
    /// How many bytes of memory each of its processes may use as its data (`RLIMIT_DATA`); `None` is without limit.
    pub memory: Option<u64>,
    /// How many bytes a file may have that it writes, holes included (`RLIMIT_FSIZE`); `None` is without limit.
    pub file_size: Option<u64>,
    /// The file descriptors without `CLOEXEC` that reach it (a make jobserver's); all others from 3 up are closed.
    pub inherit_fds: &'a [RawFd],
}

/// How a command ended, and what it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code or the signal that killed it.
    pub status: Status,
    /// From the start of the sandbox to its end.
    pub wall: Duration,
    /// CPU time in user mode, of all its processes that were waited for.
    pub user: Duration,
    /// CPU time in the kernel, of the same processes.
    pub system: Duration,
    /// The largest resident set of any one of these processes, in KiB.
    pub max_rss_kib: u64,
}

impl Exit {
    /// Whether the command exited with code 0.
    pub fn success(&self) -> bool {
        self.status == Status::Code(0)
    }
}

/// Runs commands in one [`Mode`].
#[derive(Debug, Clone)]
pub struct Sandbox {
    mode: Mode,
    helper: PathBuf,
    scratch: PathBuf,
}

impl Sandbox {
    /// `helper` is the k3sroot executable, whose `main` begins with [`helper_main`].
    pub fn new(mode: Mode, helper: PathBuf) -> Self {
        Self { mode, helper, scratch: std::env::temp_dir() }
    }

    /// The same, with private files in `folder`, which must allow execution, and not in the system's temporary folder.
    #[must_use]
    pub fn scratch_in(mut self, folder: PathBuf) -> Self {
        self.scratch = folder;
        self
    }

    /// How commands are kept apart from the machine.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether namespaces can be had here, by making a sandbox and leaving it. The error says what forbids them and
    /// what can be done.
    pub fn probe(helper: &Path) -> Result<(), SandboxError> {
        probe::probe(&Self::new(Mode::Namespaces, helper.to_owned()))
    }

    /// An `AppArmor` profile that lets this `helper` make namespaces, where `AppArmor` is what forbids them.
    pub fn apparmor_profile(helper: &Path) -> Option<String> {
        probe::is_restricted_by_apparmor().then(|| probe::apparmor_profile(helper))
    }

    /// Whether commands in namespaces see what else runs here: in a container that covers parts of `/proc`.
    pub fn lists_processes(helper: &Path) -> Result<bool, SandboxError> {
        probe::lists_processes(&Self::new(Mode::Namespaces, helper.to_owned()))
    }

    /// How many processes a command here may have at once; `None` is without limit.
    pub fn processes() -> Option<u32> {
        Group::new().map(|_| group::PROCESSES)
    }

    /// What the kernel refuses commands here beyond namespaces, or in place of them.
    pub fn fences() -> Fences {
        Fences::here()
    }

    /// Runs a command to its end. When this returns, whatever the result, none of its processes is left.
    ///
    /// Call it on a thread that outlives it, as any thread that blocks in it does: the kernel ties the sandbox's life
    /// to the thread's.
    pub fn run(&self, invocation: &Invocation<'_>, cancel: &Cancel) -> Result<Exit, SandboxError> {
        if invocation.argv.is_empty() {
            return Err(SandboxError::NoCommand);
        }
        self.run_unchecked(invocation, cancel)
    }

    fn run_unchecked(&self, invocation: &Invocation<'_>, cancel: &Cancel) -> Result<Exit, SandboxError> {
        let started = Instant::now();
        let mounts = mounts::resolve(invocation.mounts)?;
        let mut spec = Spec {
            mode: self.mode,
            parent: nix::unistd::getpid().as_raw(),
            argv: invocation.argv.to_vec(),
            env: invocation.env.clone(),
            cwd: invocation.cwd.to_owned(),
            timeout: invocation.timeout,
            memory: invocation.memory,
            file_size: invocation.file_size,
            inherit_fds: invocation.inherit_fds.to_vec(),
            interactive: matches!(invocation.output, Output::Inherit),
            scratch: None,
            group: None,
            mounts,
        };
        let group = Group::new();
        spec.group = group.as_ref().map(|group| group.path().to_owned());
        let scratch = match self.mode {
            Mode::Namespaces => None,
            Mode::None => Some(translate::to_real_paths(&mut spec, invocation.shims, &self.scratch)?),
        };
        let report = self.supervise(&spec, invocation, cancel)?;
        drop(group);
        if let Some(scratch) = scratch {
            remove(scratch)?;
        }
        match report {
            Report::Exited { status, user, system, max_rss_kib } => {
                Ok(Exit { status, wall: started.elapsed(), user, system, max_rss_kib })
            }
            Report::TimedOut => Err(SandboxError::TimedOut { after: spec.timeout.unwrap_or_default() }),
            Report::SetupFailed { step, errno } => {
                Err(SandboxError::Setup { step, source: std::io::Error::from_raw_os_error(errno) })
            }
            Report::NotStarted { program, errno } => {
                Err(SandboxError::NotStarted { program, source: std::io::Error::from_raw_os_error(errno) })
            }
        }
    }

    /// Starts the helper, passes its output on, and waits for what it reports.
    fn supervise(
        &self,
        spec: &Spec,
        invocation: &Invocation<'_>,
        cancel: &Cancel,
    ) -> Result<Report, SandboxError> {
        let mut conversation = Conversation::begin(&self.scratch, spec)?;
        let mut command = Command::new(&self.helper);
        command.arg(helper::HIDDEN_WORD).arg(helper::SUPERVISE).arg(conversation.path()).env_clear();
        let (status, copied) = match invocation.output {
            Output::Inherit => (self.wait(command, &[cancel])?, Copied::Whole),
            Output::Log(log) => {
                let error = |source| SandboxError::Log { source };
                let (pump, stop, writer) = output::pump().map_err(error)?;
                let copy = writer.try_clone().map_err(error)?;
                command.stdin(Stdio::null()).stdout(copy).stderr(writer);
                std::thread::scope(|scope| {
                    // Ends a command whose output there is no room for.
                    let full = Cancel::new();
                    let ends = full.clone();
                    let pumping = scope.spawn(move || {
                        let copied = pump.run(log, invocation.log_limit);
                        if !matches!(copied, Ok(Copied::Whole)) {
                            ends.cancel();
                        }
                        copied
                    });
                    let status = self.wait(command, &[cancel, &full]);
                    drop(stop);
                    let copied = pumping.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                    Ok((status?, copied.map_err(|source| SandboxError::LogNotWritten { source })?))
                })?
            }
        };
        if cancel.is_cancelled() {
            return Err(SandboxError::Cancelled);
        }
        if copied == Copied::Cut {
            return Err(SandboxError::LogFull { limit: invocation.log_limit });
        }
        conversation.outcome()?.ok_or(SandboxError::HelperDied { status })
    }

    /// Runs the helper to its end, or to its end by one of `cancels`.
    fn wait(&self, mut command: Command, cancels: &[&Cancel]) -> Result<ExitStatus, SandboxError> {
        let error = |source| SandboxError::HelperNotStarted { helper: self.helper.clone(), source };
        let mut child = command.spawn().map_err(error)?;
        // It holds the writing ends of the pipe.
        drop(command);
        let pid = Pid::from_child(&child);
        let registrations: Vec<_> = cancels.iter().map(|cancel| cancel.register(pid)).collect();
        // The zombie is left until nobody can signal its pid any more.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), ended), Err(rustix::io::Errno::INTR)) {}
        drop(registrations);
        child.wait().map_err(error)
    }
}

/// Removes a private folder that the command may have filled with whatever it liked.
fn remove(scratch: TempDir) -> Result<(), SandboxError> {
    let path = scratch.keep();
    remove_tree(&path).map_err(|source| SandboxError::Scratch { path, source })
}
