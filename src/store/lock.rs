//! Locks between processes and threads: `flock` on a file, which the kernel releases when its holder dies.
//!
//! Two handles on one file exclude each other within a process as well.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::error::{StoreError, at};
use super::outcome::OutcomeKey;
use super::{LOCKS, Store};
use base::locks;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct FileLock(Flock<File>);

impl FileLock {
    /// Waits until nobody else holds the lock.
    pub(super) fn exclusive(path: &Path) -> Result<Self, StoreError> {
        Self::wait(path, FlockArg::LockExclusive)
    }

    /// Waits until nobody holds the lock exclusively.
    pub(super) fn shared(path: &Path) -> Result<Self, StoreError> {
        Self::wait(path, FlockArg::LockShared)
    }

    fn wait(path: &Path, how: FlockArg) -> Result<Self, StoreError> {
        loop {
            if let Some(lock) = Self::attempt(path, how).map_err(at("lock", path))? {
                return Ok(lock);
            }
        }
    }

    /// The lock, or `None` if somebody else has it.
    pub(super) fn try_exclusive(path: &Path) -> Result<Option<Self>, StoreError> {
        Self::attempt(path, FlockArg::LockExclusiveNonblock).map_err(at("lock", path))
    }

    /// `None` also if the file was removed (by [`Store::collect`]) between opening and locking it: a lock on a file
    /// without a name keeps nobody out.
    fn attempt(path: &Path, how: FlockArg) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match Flock::lock(file, how) {
            Ok(lock) => {
                let ours = lock.metadata()?;
                let named = fs::metadata(path);
                let same = named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino()));
                Ok(same.then_some(Self(lock)))
            }
            Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => Ok(None),
            Err((_, errno)) => Err(locks::error(path, errno)),
        }
    }

    /// Turns a shared lock into an exclusive one if nobody else holds it.
    ///
    /// The kernel gives up the shared lock first, so after `false` nothing is held until [`Self::share`].
    pub(super) fn try_upgrade(&self) -> io::Result<bool> {
        match self.0.relock(FlockArg::LockExclusiveNonblock) {
            Ok(()) => Ok(true),
            Err(Errno::EWOULDBLOCK) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes the lock a shared one again.
    pub(super) fn share(&self) -> io::Result<()> {
        loop {
            match self.0.relock(FlockArg::LockShared) {
                Err(Errno::EINTR) => {}
                result => return result.map_err(io::Error::from),
            }
        }
    }
}

/// The right to do one action; given back when dropped, or by the kernel when the process dies.
#[derive(Debug)]
pub struct ActionLock {
    _lock: FileLock,
}

impl Store {
    /// Waits until no other thread or process works on `key`.
    pub fn lock(&self, key: &OutcomeKey) -> Result<ActionLock, StoreError> {
        let lock = FileLock::exclusive(&self.path(LOCKS).join(key.file_name()))?;
        Ok(ActionLock { _lock: lock })
    }

    /// As [`Self::lock`], but `None` at once if somebody else works on `key`: the caller can say so and then wait.
    pub fn try_lock(&self, key: &OutcomeKey) -> Result<Option<ActionLock>, StoreError> {
        let lock = FileLock::try_exclusive(&self.path(LOCKS).join(key.file_name()))?;
        Ok(lock.map(|lock| ActionLock { _lock: lock }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::digest::{ActionDigest, ResolvedDigest};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn one_at_a_time_for_a_key_and_keys_do_not_hinder_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let other = Store::open(folder.path()).unwrap();
        let digest = ActionDigest::from_bytes([1; 32]);
        let key = OutcomeKey::Action { digest, machine: None };
        let here = OutcomeKey::Action { digest, machine: Some("debian".to_owned()) };
        let resolved = OutcomeKey::Resolved { digest: ResolvedDigest::from_bytes([1; 32]), machine: None };

        let held = store.lock(&key).unwrap();
        assert!(store.try_lock(&key).unwrap().is_none());
        assert!(other.try_lock(&key).unwrap().is_none());
        assert!(other.try_lock(&here).unwrap().is_some());
        assert!(other.try_lock(&resolved).unwrap().is_some());

        let (send, receive) = mpsc::channel();
        let waiting = thread::spawn(move || {
            let lock = other.lock(&key).unwrap();
            send.send(()).unwrap();
            drop(lock);
        });
        assert!(receive.recv_timeout(Duration::from_millis(50)).is_err(), "it did not wait");
        drop(held);
        receive.recv_timeout(Duration::from_secs(10)).unwrap();
        waiting.join().unwrap();
    }

    #[test]
    fn a_lock_on_a_removed_file_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = FileLock::exclusive(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = FileLock::try_exclusive(&path).unwrap();
        assert!(second.is_some());
        drop(first);
        assert!(FileLock::try_exclusive(&path).unwrap().is_none());
    }
}
