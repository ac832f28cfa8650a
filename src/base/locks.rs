//! What `flock` is worth on the file system of a path. Network file systems may refuse it, grant it to everybody, or
//! grant it on each machine apart.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// File systems by the number that `statfs` gives, and whether other machines may write to them.
const KINDS: [(u64, &str, bool); 18] = [
    (0x6969, "nfs", true),
    (0xff53_4d42, "cifs", true),
    (0xfe53_4d42, "smb", true),
    (0x517b, "smbfs", true),
    (0x6573_5546, "fuse", true),
    (0x0102_1997, "9p", true),
    (0x00c3_6400, "ceph", true),
    (0x0bd0_0bd0, "lustre", true),
    (0x4750_4653, "gpfs", true),
    (0x5346_414f, "afs", true),
    (0x786f_4256, "vboxsf", true),
    (0x0102_1994, "tmpfs", false),
    (0x794c_7630, "overlay", false),
    (0xef53, "ext4", false),
    (0x5846_5342, "xfs", false),
    (0x9123_683e, "btrfs", false),
    (0x2fc1_2fc1, "zfs", false),
    (0xf2f5_2010, "f2fs", false),
];

/// What is to be done where locks do not work.
pub const REMEDY: &str = "put the cache on a local disk, with `--cache DIR` or K3SROOT_CACHE";

/// The type of the file system that `path` is on, and whether other machines may write to it.
pub fn file_system(path: &Path) -> (String, bool) {
    let Ok(found) = rustix::fs::statfs(path) else { return ("unknown".to_owned(), false) };
    // The field's type differs between machines; the numbers have 32 bits.
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "signed on some machines only")]
    let number = (found.f_type as u64) & 0xffff_ffff;
    match KINDS.iter().find(|(known, ..)| *known == number) {
        Some((_, name, shared)) => ((*name).to_owned(), *shared),
        None => (format!("{number:#x}"), false),
    }
}

/// The error of a lock on `path`. Where the file system has no locks, it says so, and what to do.
pub fn error(path: &Path, errno: Errno) -> io::Error {
    if !matches!(errno, Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS) {
        return errno.into();
    }
    let folder = path.parent().unwrap_or(path);
    let (kind, _) = file_system(folder);
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!("the file system there ({kind}) has no locks ({}): {REMEDY}", errno.desc()),
    )
}

/// Whether the lock that the caller holds on `path` keeps a second holder out.
pub fn keep_out(path: &Path) -> io::Result<bool> {
    let second = OpenOptions::new().read(true).write(true).open(path)?;
    excludes(second).map_err(|errno| error(path, errno))
}

fn excludes(second: File) -> Result<bool, Errno> {
    match Flock::lock(second, FlockArg::LockExclusiveNonblock) {
        Ok(_) => Ok(false),
        Err((_, Errno::EWOULDBLOCK)) => Ok(true),
        Err((_, errno)) => Err(errno),
    }
}

/// Locks a new file in `folder` twice: `Ok` where the second is refused, and else why locks are not to be relied on.
pub fn examine(folder: &Path) -> Result<String, String> {
    let (kind, shared) = file_system(folder);
    let look = || -> io::Result<bool> {
        let file = tempfile::NamedTempFile::new_in(folder)?;
        let held = Flock::lock(file.reopen()?, FlockArg::LockExclusive);
        let _held = held.map_err(|(_, errno)| error(file.path(), errno))?;
        keep_out(file.path())
    };
    match look() {
        Ok(true) if shared => Err(format!(
            "the file system of `{}` ({kind}) may keep the locks of each machine apart: use the cache from one machine \
             at a time, or {REMEDY}",
            folder.display()
        )),
        Ok(true) => Ok(format!("one k3sroot waits for another ({kind})")),
        Ok(false) => Err(format!(
            "the file system of `{}` ({kind}) grants a lock to everybody: two k3sroots may do the same work, and \
             nothing is cleaned up; {REMEDY}",
            folder.display()
        )),
        Err(error) => Err(format!("`{}`: {error}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_locks_is_named_with_the_remedy() {
        for errno in [Errno::ENOLCK, Errno::EOPNOTSUPP, Errno::ENOSYS] {
            let said = error(Path::new("/proc/lock"), errno).to_string();
            assert!(said.contains("has no locks") && said.contains("--cache DIR"), "{said}");
            assert!(said.contains("(0x9fa0)"), "the number where there is no name: {said}");
        }
        assert_eq!(error(Path::new("/proc/lock"), Errno::EACCES).raw_os_error(), Some(Errno::EACCES as i32));
    }

    #[test]
    fn a_lock_that_is_held_keeps_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(!keep_out(file.path()).unwrap());
        let held = Flock::lock(file.reopen().unwrap(), FlockArg::LockExclusive).unwrap();
        assert!(keep_out(file.path()).unwrap());
        drop(held);
        assert!(!keep_out(file.path()).unwrap());
    }
}
