//! The helper's child processes: who they are, how they ended, and ending them.

use std::io;
use std::process::Child;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::unistd::{Pid, getpid};
use rustix::process::{WaitId, WaitIdOptions, WaitOptions, WaitStatus, wait, waitid};

use super::spec::{During, Report, Status, Step};

/// The next child that ended, if any; with `NOHANG` only one that already has.
pub(super) fn reap(options: WaitOptions) -> Step<Option<(Pid, Status)>> {
    loop {
        match wait(options) {
            Ok(Some((pid, status))) => {
                if let Some(status) = status_of(status) {
                    return Ok(Some((Pid::from_raw(pid.as_raw_nonzero().get()), status)));
                }
            }
            Ok(None) | Err(rustix::io::Errno::CHILD) => return Ok(None),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(io::Error::from(errno)).during(|| "wait for processes".into()),
        }
    }
}

fn status_of(status: WaitStatus) -> Option<Status> {
    let code = status.exit_status().map(Status::Code);
    code.or_else(|| status.terminating_signal().map(Status::Signal))
}

/// The report on a command that ended by itself, with what this process's children used.
pub(super) fn exited(status: Status) -> Step<Report> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).during(|| "read what was used".into())?;
    let time = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(time.num_microseconds().try_into().unwrap_or_default())
    };
    Ok(Report::Exited {
        status,
        user: time(usage.user_time()),
        system: time(usage.system_time()),
        max_rss_kib: usage.max_rss().try_into().unwrap_or_default(),
    })
}

/// Kills children, and as they fall to this process their children, until there are none.
pub(super) fn end_children() -> Step<()> {
    // Looking only, not reaping.
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    while !matches!(waitid(WaitId::All, look), Err(rustix::io::Errno::CHILD)) {
        for child in children().during(|| "list processes".into())? {
            // One that has just ended is reaped like the others.
            let _ = kill(child, Signal::SIGKILL);
        }
        reap(WaitOptions::empty())?;
    }
    Ok(())
}

/// This process's children, from the parents that `/proc/*/stat` name.
fn children() -> io::Result<Vec<Pid>> {
    let me = getpid().as_raw();
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // Processes come and go while we read.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        if parent_in(&stat) == Some(me) {
            children.push(Pid::from_raw(pid));
        }
    }
    Ok(children)
}

/// The parent's pid in the text of a `/proc/*/stat`: the second field after the command's name, which is in
/// parentheses and may contain some.
pub(super) fn parent_in(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// A child's pid, in nix's type.
pub(super) fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(rustix::process::Pid::from_child(child).as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_be_called_anything() {
        assert_eq!(parent_in("12 (sh) S 7 12 12 0"), Some(7));
        assert_eq!(parent_in("12 (a) S 9 (b) R 7 12"), Some(7));
        assert_eq!(parent_in(""), None);
    }
}
