//! `tmp/`: a folder for each open store, where everything begins before it is renamed into place.
//!
//! ```text
//! tmp/<pid>.<random>/          one session: an open store
//!     lock                     flocked as long as the session lives
//!     <label>.<random>/        temporary folders
//!     <random>                 files on their way into the store
//!     k3sroot-sandbox-<random> what running sandboxes keep beside the build's own folders
//!     swept.<n>/               what another session's death left, being removed
//! ```
//!
//! A session whose lock can be taken is dead, whatever became of its process id; where locks keep nobody out, none is.
//! Where another machine may have made it, whose locks may not be seen here, it counts as alive for a week. Making a session and looking for dead
//! ones exclude each other (`locks/sessions`), so none is swept before it has its lock.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::{Builder, NamedTempFile};

use super::error::{StoreError, at};
use super::lock::FileLock;
use super::{LOCKS, Store, TMP};
use base::deadline::Deadline;
use base::files::remove_tree_until;
use base::locks;

const LOCK: &str = "lock";
/// How long another machine's session counts as alive after its folder last changed.
const ELSEWHERE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The mode of a session's folder. Who knows the name of something in it may get there: a build that is another user does.
const SESSION: u32 = 0o711;
/// How long whoever opens the store waits for what dead sessions left to be gone.
const SWEEPING: Duration = Duration::from_secs(1);

/// An open store's part of `tmp/`; removed when dropped.
#[derive(Debug)]
pub(super) struct Session {
    path: PathBuf,
    /// Whether its lock keeps others out.
    locks_hold: bool,
    /// Set when nobody waits any longer for what is being removed.
    hurry: Arc<AtomicBool>,
    /// Removes what dead sessions left.
    sweeping: Option<JoinHandle<()>>,
    _lock: FileLock,
}

impl Session {
    /// Starts a session in the store at `root` and removes what dead ones left.
    pub(super) fn start(root: &Path) -> Result<Self, StoreError> {
        let tmp = root.join(TMP);
        let turn = FileLock::exclusive(&root.join(LOCKS).join("sessions"))?;
        let folder = Builder::new()
            .prefix(&format!("{}.", process::id()))
            .permissions(Permissions::from_mode(SESSION))
            .tempdir_in(&tmp)
            .map_err(at("make a folder in", &tmp))?;
        // In a cache of a group, folders inherit that they are setgid. Builds may not set such modes, nor keep them.
        fs::set_permissions(folder.path(), Permissions::from_mode(SESSION))
            .map_err(at("set the mode of", folder.path()))?;
        let place = folder.path().join(LOCK);
        let lock = FileLock::exclusive(&place)?;
        fs::write(&place, machine()).map_err(at("write", &place))?;
        let locks_hold = locks::keep_out(&place).map_err(at("lock", &place))?;
        let mut session =
            Self { path: folder.keep(), locks_hold, hurry: Arc::default(), sweeping: None, _lock: lock };
        let dead = if locks_hold { session.take_over_dead(&tmp)? } else { Vec::new() };
        drop(turn);
        session.sweep(dead)?;
        Ok(session)
    }

    /// Removes what dead sessions left. A build may have left so much that it takes minutes: nobody waits so long.
    fn sweep(&mut self, dead: Vec<PathBuf>) -> Result<(), StoreError> {
        if dead.is_empty() {
            return Ok(());
        }
        let deadline = self.patience();
        let (done, waiting) = mpsc::channel();
        self.sweeping = Some(thread::spawn(move || {
            let remove = |path: &PathBuf| remove_tree_until(path, &deadline).map_err(at("remove", path));
            // Who opened the store may have gone on.
            let _ = done.send(dead.iter().try_for_each(remove));
        }));
        waiting.recv_timeout(SWEEPING).unwrap_or(Ok(()))
    }

    /// How long what this session removes may take.
    fn patience(&self) -> Deadline {
        Deadline::new(&self.hurry, None)
    }

    /// Moves dead sessions into this one, which is quick; they can then be removed without anyone waiting.
    fn take_over_dead(&self, tmp: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let mut swept = Vec::new();
        let (_, shared) = locks::file_system(tmp);
        for entry in fs::read_dir(tmp).map_err(at("list", tmp))? {
            let path = entry.map_err(at("list", tmp))?.path();
            if path == self.path {
                continue;
            }
            let lock = path.join(LOCK);
            let alive = lock.exists()
                && (shared && is_elsewhere(&path)
                    || match FileLock::try_exclusive(&lock) {
                        Ok(held) => held.is_none(),
                        // A session that ended by itself meanwhile.
                        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                            continue;
                        }
                        Err(error) => return Err(error),
                    });
            if !alive {
                let target = self.path.join(format!("swept.{}", swept.len()));
                match fs::rename(&path, &target) {
                    // A session that ended by itself meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    result => {
                        result.map_err(at("sweep", &path))?;
                        swept.push(target);
                    }
                }
            }
        }
        Ok(swept)
    }

    /// Whether the locks of this store keep others out.
    pub(super) fn locks_hold(&self) -> bool {
        self.locks_hold
    }

    /// Whether another machine uses the store, or may: its locks may not be seen here.
    pub(super) fn has_elsewhere(&self) -> bool {
        let Some(tmp) = self.path.parent().filter(|tmp| locks::file_system(tmp).1) else { return false };
        fs::read_dir(tmp).into_iter().flatten().flatten().any(|entry| is_elsewhere(&entry.path()))
    }

    /// Where its files are.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A new file of this session.
    pub(super) fn file(&self) -> Result<NamedTempFile, StoreError> {
        Builder::new().prefix("").tempfile_in(&self.path).map_err(at("make a file in", &self.path))
    }
}

/// What tells this machine, since it was started, from others: clones have one name.
fn machine() -> Vec<u8> {
    let mut machine = rustix::system::uname().nodename().to_bytes().to_vec();
    machine.push(b' ');
    machine.extend(fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default());
    machine
}

/// Whether the session at `path` is another machine's that may still be alive.
fn is_elsewhere(path: &Path) -> bool {
    let Ok(name) = fs::read(path.join(LOCK)) else { return false };
    let changed = fs::metadata(path).and_then(|found| found.modified()).ok();
    // A clock that is behind makes it younger, never older.
    let is_old = changed.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > ELSEWHERE);
    name != machine() && !is_old
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.sweeping.as_ref().is_some_and(|sweeping| !sweeping.is_finished()) {
            self.hurry.store(true, Ordering::Relaxed);
        }
        // What cannot be removed now is swept by the next session.
        let _ = remove_tree_until(&self.path, &self.patience());
    }
}

/// A folder in `tmp/`, removed when dropped.
#[derive(Debug)]
pub struct TempDir {
    path: PathBuf,
    session: Arc<Session>,
}

impl TempDir {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folder and says if that failed.
    pub fn close(self) -> Result<(), StoreError> {
        remove_tree_until(&self.path, &self.session.patience()).map_err(at("remove", &self.path))
    }
}

impl AsRef<Path> for TempDir {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What cannot be removed now goes with the session or is swept by a later one.
        let _ = remove_tree_until(&self.path, &self.session.patience());
    }
}

impl Store {
    /// Has what this session is removing, or would remove at its end, left to the next one: somebody wants to go.
    pub fn leave_the_rest(&self) {
        self.inner.session.hurry.store(true, Ordering::Relaxed);
    }

    /// A new folder in `tmp/` whose name starts with `label`. It is removed when dropped, or when a store is opened
    /// after this process died. The path has no characters that shells, make or sed treat specially.
    pub fn temp_dir(&self, label: &str) -> Result<TempDir, StoreError> {
        let session = Arc::clone(&self.inner.session);
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
        let label: String = label.chars().map(plain).collect();
        let folder = Builder::new()
            .prefix(&format!("{label}."))
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(&session.path)
            .map_err(at("make a folder in", &session.path))?;
        Ok(TempDir { path: folder.keep(), session })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn temporary_folders_go_when_dropped_even_if_read_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let temp = store.temp_dir("gcc@build-arm64/../x y").unwrap();
        let path = temp.path().to_owned();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name.starts_with("gcc-build-arm64----x-y."), "{name}");
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/c"), "").unwrap();
        fs::set_permissions(path.join("a/b"), Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(path.join("a"), Permissions::from_mode(0o500)).unwrap();
        drop(temp);
        assert!(!path.exists());

        let kept = store.temp_dir("x").unwrap();
        drop(store);
        assert!(kept.path().is_dir(), "a folder outlives the handle it came from");
        kept.close().unwrap();
        assert!(names(&folder.path().join(TMP)).is_empty(), "the session ends with its last folder");
    }

    #[test]
    fn dead_sessions_are_swept_and_live_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let tmp = folder.path().join(TMP);
        let live = Store::open(folder.path()).unwrap();
        let kept = live.temp_dir("live").unwrap();

        // A session cut off before it had a lock, one with a lock that nobody holds, a process id that is in use, and
        // a stray file.
        fs::create_dir_all(tmp.join("1.unlocked/a")).unwrap();
        let dead = tmp.join(format!("{}.dead", process::id()));
        fs::create_dir_all(dead.join("gcc/read-only")).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        fs::set_permissions(dead.join("gcc/read-only"), Permissions::from_mode(0o500)).unwrap();
        fs::write(tmp.join("stray"), "").unwrap();

        let second = Store::open(folder.path()).unwrap();
        assert!(kept.path().is_dir());
        assert_eq!(names(&tmp).len(), 2, "{:?}", names(&tmp));
        drop(second);
        assert_eq!(names(&tmp).len(), 1);
    }
}
