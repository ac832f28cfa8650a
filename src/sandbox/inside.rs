//! Namespaces: making them, and being pid 1 in them.
//!
//! There are two user namespaces, one in the other. In the outer one the helper is root and may mount; in the inner
//! one the command is uid 1000, and the mounts belong to a namespace above it, so that it can undo none. Real root on
//! a kernel that forbids user namespaces goes without: then the command is uid 0, without any capability.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode as FileMode, umask};
use nix::unistd::{chdir, getegid, geteuid, setgroups, sethostname};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::WaitOptions;

use super::children::{exited, parent_in, pid_of, reap};
use super::fence;
use super::launch;
use super::root;
use super::spec::{During, Report, Spec, Step};

/// What the machine is called inside.
const HOST_NAME: &str = "k3sroot";
/// Who the command is, user and group.
const ID: u32 = 1000;

/// Moves this process into new namespaces, root in them; its next child is their pid 1. The mounts are the child's
/// own affair, so that the supervisor keeps seeing the machine's.
pub(super) fn unshare() -> Step<()> {
    let (uid, gid) = (geteuid(), getegid());
    if uid.is_root() {
        // Only root can drop its supplementary groups, and only before it is root of something less.
        let _ = setgroups(&[]);
    }
    let others = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    match nix::sched::unshare(others | CloneFlags::CLONE_NEWUSER) {
        Ok(()) => map_ids(&machines_proc()?, 0, uid.as_raw(), gid.as_raw()),
        Err(_) if uid.is_root() => {
            nix::sched::unshare(others).during(|| "unshare namespaces, as root".into())
        }
        Err(errno) => Err(errno).during(|| "unshare namespaces".into()),
    }
}

/// A handle on `/proc` as it is before the root changes. The command's own may be read-only.
fn machines_proc() -> Step<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, "/proc", flags, Mode::empty()).map_err(io::Error::from).during(|| "open `/proc`".into())
}

/// Makes this process's user and group, called `uid` and `gid` outside, `id` in its new user namespace; no other
/// exists there.
fn map_ids(proc: &OwnedFd, id: u32, uid: u32, gid: u32) -> Step<()> {
    for (file, line) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{id} {uid} 1")),
        ("gid_map", format!("{id} {gid} 1")),
    ] {
        let step = || format!("write `/proc/self/{file}`");
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let opened = openat(proc, format!("self/{file}"), flags, Mode::empty()).map_err(io::Error::from);
        File::from(opened.during(step)?).write_all(line.as_bytes()).during(step)?;
    }
    Ok(())
}

/// Pid 1: makes the root, starts the command in it, reaps what dies, and ends when the command does; with it, by the
/// kernel's hand, ends every process in the namespace.
pub(super) fn run(spec: &Spec, supervisor: i32) -> Step<Report> {
    prctl::set_pdeathsig(Signal::SIGKILL).during(|| "follow its supervisor's death".into())?;
    // Had the supervisor died before that line, somebody else would be our parent, in the numbers of the machine's
    // `/proc`; in those of the namespace it is 0 whoever it is.
    let stat = fs::read_to_string("/proc/self/stat").during(|| "read `/proc/self/stat`".into())?;
    if parent_in(&stat) != Some(supervisor) {
        return Err(io::Error::from(Errno::ESRCH)).during(|| "find its supervisor".into());
    }
    umask(FileMode::from_bits_truncate(0o022));
    nix::sched::unshare(CloneFlags::CLONE_NEWNS).during(|| "unshare mounts".into())?;
    let proc = machines_proc()?;
    root::enter(&spec.mounts, &proc)?;
    sethostname(HOST_NAME).during(|| "set the host name".into())?;
    rustix::system::setdomainname(HOST_NAME.as_bytes())
        .map_err(io::Error::from)
        .during(|| "set the domain name".into())?;
    chdir(spec.cwd.as_str()).during(|| format!("enter `{}`", spec.cwd))?;
    launch::settle(spec)?;
    drop_privileges(&proc)?;
    drop(proc);
    // Again: the change of credentials may have forgotten it.
    prctl::set_pdeathsig(Signal::SIGKILL).during(|| "follow its supervisor's death".into())?;
    if spec.argv.is_empty() {
        return exited(super::Status::Code(0));
    }
    fence::close(spec)?;
    let mut command = launch::command(spec)?;
    let child = command.spawn().map_err(|error| launch::not_started(spec, &error))?;
    loop {
        match reap(WaitOptions::empty())? {
            Some((pid, status)) if pid == pid_of(&child) => return exited(status),
            Some(_) => {}
            None => return Err(io::Error::from(Errno::ECHILD)).during(|| "wait for the command".into()),
        }
    }
}

/// Becomes uid 1000 in a user namespace that owns nothing, or failing that root without capabilities.
fn drop_privileges(proc: &OwnedFd) -> Step<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    if nix::sched::unshare(CloneFlags::CLONE_NEWUSER).is_ok() {
        // The capabilities that come with the namespace end where the command is executed, as it is not root.
        return map_ids(proc, ID, uid, gid);
    }
    fence::capabilities(super::Mode::Namespaces)
}
