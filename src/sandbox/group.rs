//! A control group for each command, where cgroups v2 can be had: it limits how many processes a command has at once.
//!
//! They can be had where this process may make groups beneath its own one and the `pids` controller is there: as root, or
//! where the service manager delegates (`systemd-run --user --scope --property=Delegate=yes`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use tempfile::Builder;

/// How many processes and threads a command may have at once: more than ten times what 64 jobs of `make` have, of which
/// each is a shell, a compiler's driver, a compiler and an assembler.
pub(super) const PROCESSES: u32 = 4096;

const MEMBERS: &str = "cgroup.procs";

/// A group with a limit, for one command. It is removed when it is dropped, when all of its processes must have ended.
pub(super) struct Group(PathBuf);

impl Group {
    /// A new group beneath this process's own one; none where that cannot be had.
    pub(super) fn new() -> Option<Self> {
        let own = own(
            &fs::read_to_string("/proc/self/cgroup").ok()?,
            &fs::read_to_string("/proc/self/mountinfo").ok()?,
        )?;
        // A process moves from one group to another if the one above both lets it.
        let writable = rustix::fs::access(own.join(MEMBERS), rustix::fs::Access::WRITE_OK);
        writable.ok().filter(|()| lists(&own, "cgroup.controllers"))?;
        if !lists(&own, "cgroup.subtree_control") {
            fs::write(own.join("cgroup.subtree_control"), "+pids").ok()?;
        }
        let folder = Builder::new().prefix(&format!("k3sroot-{}-", process::id())).tempdir_in(own).ok()?;
        let group = Self(folder.keep());
        // Beneath a group that has processes of its own, the kernel allows threaded groups alone.
        let kind = fs::read_to_string(group.0.join("cgroup.type")).ok()?;
        if kind.trim() == "domain invalid" {
            fs::write(group.0.join("cgroup.type"), "threaded").ok()?;
        }
        fs::write(group.0.join("pids.max"), PROCESSES.to_string()).ok()?;
        Some(group)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The last process may still be on its way out. What stays is empty, and goes with the group above it.
        for _ in 0..50 {
            match fs::remove_dir(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    thread::sleep(Duration::from_millis(10));
                }
                _ => return,
            }
        }
    }
}

/// Moves this process into the group at `path`.
pub(super) fn enter(path: &Path) -> io::Result<()> {
    fs::write(path.join(MEMBERS), "0")
}

/// Moves this process out of the group at `path`, and removes it: for who sees that nobody else is left to.
pub(super) fn leave(path: &Path) {
    // An empty group costs next to nothing.
    let _ = path.parent().map(enter);
    let _ = fs::remove_dir(path);
}

fn lists(group: &Path, file: &str) -> bool {
    fs::read_to_string(group.join(file)).is_ok_and(|list| list.split_whitespace().any(|name| name == "pids"))
}

/// The folder of the group that a process with these `/proc` files is in.
fn own(groups: &str, mounts: &str) -> Option<PathBuf> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        let inside = Path::new(group).strip_prefix(root).ok()?;
        after.starts_with("cgroup2 ").then(|| Path::new(place).join(inside))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_found_beneath_its_mount() {
        let mounts = "24 1 0:22 / /proc rw - proc proc rw\n\
                      35 24 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                      36 24 0:31 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        let found = |groups: &str| own(groups, mounts);
        assert_eq!(found("0::/a.slice/b.scope\n"), Some("/sys/fs/cgroup/a.slice/b.scope".into()));
        assert_eq!(found("4:pids:/x\n0::/\n"), Some("/sys/fs/cgroup/".into()));
        assert_eq!(found("4:pids:/x\n"), None, "there is no second version here");
        let below = mounts.replace("0:31 / ", "0:31 /docker/1 ");
        assert_eq!(own("0::/docker/1/sub\n", &below), Some("/sys/fs/cgroup/sub".into()));
        assert_eq!(own("0::/elsewhere\n", &below), None);
    }
}
