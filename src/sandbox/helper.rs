//! The helper process: k3sroot, started again with a hidden first argument.
//!
//! It has two stages, each a process with one thread. The *supervisor* makes the namespaces, or without them becomes
//! the one to whom orphans fall; it starts the second stage, keeps the time, and when told to stop, or when k3sroot
//! is gone, kills all there is. The second stage is [`super::inside`] in namespaces, [`super::launch`] without.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpid, getppid, setsid};
use rustix::process::WaitOptions;

use base::files::remove_tree;

use super::children::{end_children, exited, pid_of, reap};
use super::spec::{During, Report, Reporter, Spec, Status, Step};
use super::{Mode, group, inside, launch};

/// What makes k3sroot a helper; no verb of the command line.
pub(super) const HIDDEN_WORD: &str = "__sandbox";
/// The stage that `run` starts.
pub(super) const SUPERVISE: &str = "supervise";
const INSIDE: &str = "inside";
const LAUNCH: &str = "launch";

/// To be called first thing in `main`: if this process was started as a sandbox's helper, it is one until it ends.
pub fn helper_main() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != HIDDEN_WORD {
        return None;
    }
    let (Some(stage), Some(path)) = (args.next(), args.next()) else { return Some(ExitCode::FAILURE) };
    let supervisor = args.next().and_then(|pid| pid.to_str()?.parse().ok()).unwrap_or_default();
    Some(run_stage(&stage, Path::new(&path), supervisor).unwrap_or(ExitCode::FAILURE))
}

fn run_stage(stage: &OsStr, path: &Path, supervisor: i32) -> io::Result<ExitCode> {
    let supervises = stage == SUPERVISE;
    let (mut reporter, spec) = Reporter::open(path, supervises)?;
    let mut orphaned = false;
    let report = if supervises {
        supervise(&spec, path, reporter.as_raw_fd(), &mut orphaned)
    } else if stage == INSIDE {
        inside::run(&spec, supervisor).map(Some)
    } else {
        launch::become_command(&spec, supervisor)
    };
    if supervises && (orphaned || getppid() != parent(&spec)) {
        // k3sroot is gone; what it would have removed is ours to remove.
        let _ = std::fs::remove_file(path);
        if let Some(scratch) = &spec.scratch {
            let _ = remove_tree(scratch);
        }
        spec.group.as_deref().map(group::leave);
    }
    match report {
        Ok(Some(report)) | Err(report) => reporter.report(&report)?,
        Ok(None) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The signal that says that k3sroot is gone. Not the one by which it stops a command: where it has several threads,
/// they die one after the other, and for a while this process still has the parent that sent the signal.
const ORPHANED: Signal = Signal::SIGUSR1;

/// Sees one command through. Gives no report where the second stage has given it, or nobody waits for one.
fn supervise(spec: &Spec, path: &Path, keep: RawFd, orphaned: &mut bool) -> Step<Option<Report>> {
    let signals =
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGCHLD, ORPHANED];
    let mask: SigSet = signals.into_iter().collect();
    mask.thread_block().during(|| "block signals".into())?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .during(|| "listen for signals".into())?;
    let ours = [keep, signals.as_fd().as_raw_fd()];
    close_others(&[&ours, &spec.inherit_fds[..]].concat()).during(|| "close inherited files".into())?;
    // When the machine runs out of memory, the kernel ends these processes first. Where it cannot be told, it chooses.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    if let Some(group) = &spec.group {
        group::enter(group).during(|| format!("enter the control group `{}`", group.display()))?;
    }
    if !spec.interactive {
        setsid().during(|| "start a session".into())?;
    }
    let stage = match spec.mode {
        Mode::Namespaces => {
            inside::unshare()?;
            // After the unshare: a change of credentials forgets it.
            prctl::set_pdeathsig(Signal::SIGKILL).during(|| "follow k3sroot's death".into())?;
            INSIDE
        }
        Mode::None => {
            prctl::set_child_subreaper(true).during(|| "adopt orphans".into())?;
            prctl::set_pdeathsig(ORPHANED).during(|| "follow k3sroot's death".into())?;
            LAUNCH
        }
    };
    if getppid() != parent(spec) {
        return Ok(None);
    }
    let started = Instant::now();
    let child = Command::new("/proc/self/exe")
        .arg0("k3sroot")
        .args([OsStr::new(HIDDEN_WORD), OsStr::new(stage), path.as_os_str()])
        .arg(getpid().to_string())
        .env_clear()
        .spawn()
        .during(|| "start its second stage".into())?;
    let main = pid_of(&child);
    let ended = watch(main, &signals, spec.timeout.map(|timeout| started + timeout))?;
    if !matches!(ended, Ended::Itself(_)) && spec.mode == Mode::None && !spec.interactive {
        // The whole group at one blow, before what left the group is hunted down.
        let _ = killpg(main, Signal::SIGKILL);
    }
    end_children()?;
    *orphaned = matches!(ended, Ended::Orphaned);
    match (ended, spec.mode) {
        (Ended::Itself(status), Mode::None) => exited(status).map(Some),
        (Ended::TimedOut, _) => Ok(Some(Report::TimedOut)),
        // Inside the namespaces, pid 1 has reported. A cancelled command has nothing to report.
        (Ended::Itself(_), Mode::Namespaces) | (Ended::Stopped | Ended::Orphaned, _) => Ok(None),
    }
}

enum Ended {
    Itself(Status),
    TimedOut,
    Stopped,
    Orphaned,
}

/// Waits for the second stage to end, for the deadline, for a SIGTERM or for k3sroot's death, whichever is first; adopts and reaps orphans.
fn watch(main: Pid, signals: &SignalFd, deadline: Option<Instant>) -> Step<Ended> {
    loop {
        while let Some((pid, status)) = reap(WaitOptions::NOHANG)? {
            if pid == main {
                return Ok(Ended::Itself(status));
            }
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(Ended::TimedOut);
        }
        // Rounded up, so as not to spin through the last millisecond; cut where `poll` cannot count further.
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno).during(|| "wait for signals".into()),
        }
        while let Some(signal) = signals.read_signal().during(|| "read signals".into())? {
            if i64::from(signal.ssi_signo) == Signal::SIGTERM as i64 {
                return Ok(Ended::Stopped);
            }
            if i64::from(signal.ssi_signo) == ORPHANED as i64 {
                return Ok(Ended::Orphaned);
            }
        }
    }
}

fn parent(spec: &Spec) -> Pid {
    Pid::from_raw(spec.parent)
}

/// Closes all files from 3 up but those to `keep`: nothing that k3sroot's caller left open is the command's business.
fn close_others(keep: &[RawFd]) -> io::Result<()> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        open.extend(entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    for fd in open {
        if fd > 2 && !keep.contains(&fd) {
            // The listing's own is closed already.
            let _ = nix::unistd::close(fd);
        }
    }
    Ok(())
}
