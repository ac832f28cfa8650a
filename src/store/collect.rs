//! Shrinking the store to a size: what nothing refers to goes first, then what was not used for longest.
//!
//! Nothing goes while another process has the store open, and nothing that this process captured or looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::TryLockError;

use super::blob::{BlobName, is_strange};
use super::error::{StoreError, at};
use super::inventory::{FileFound, Inventory, file_name};
use super::listing::{Entry, Tree, digest_of};
use super::lock::FileLock;
use super::outcome::decode;
use super::{DAMAGED, DESCRIPTIONS, DISTFILES, DURATIONS, FAILED, LOCKS, LOGS, Store, held, read_if_there};
use base::digest::TreeDigest;
use base::files::remove_tree;
use base::locks;

/// Locks that stay when those of actions are removed.
const OWN_LOCKS: [&str; 4] = ["store", "sessions", "gc", DURATIONS];

/// What [`Store::collect`] removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GcReport {
    /// The size before, as [`Stats::kept_bytes`](super::Stats::kept_bytes) counts it.
    pub bytes_before: u64,
    /// The size after. More than was asked for if the rest is in use.
    pub bytes_after: u64,
    /// How many outcomes went.
    pub outcomes: u64,
    /// How many listings.
    pub trees: u64,
    /// How many blobs.
    pub blobs: u64,
    /// How many descriptions of what went into outcomes.
    pub descriptions: u64,
    /// How many source archives.
    pub distfiles: u64,
    /// How many logs.
    pub logs: u64,
    /// How many folders of failed builds.
    pub failed: u64,
}

impl Store {
    /// Removes what nothing refers to and what was set aside; then, until at most `max_size` bytes are left, the folders
    /// of failed builds, the oldest first; the outcomes that were not looked up for longest with what only they need;
    /// the oldest descriptions, logs and source archives.
    ///
    /// [`StoreError::InUse`] if another process has the store open or this one is at work in it,
    /// [`StoreError::Unlocked`] if locks cannot tell.
    pub fn collect(&self, max_size: u64) -> Result<GcReport, StoreError> {
        let in_use = || StoreError::InUse { root: self.root().to_owned() };
        if !self.inner.session.locks_hold() {
            let (kind, _) = locks::file_system(self.root());
            return Err(StoreError::Unlocked { root: self.root().to_owned(), kind });
        }
        if self.inner.session.has_elsewhere() {
            return Err(in_use());
        }
        let _quiet = match self.inner.activity.try_write() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(in_use()),
        };
        // With this lock, no other process can shrink the store in the moment when the shared lock is given up.
        let locks = self.path(LOCKS);
        let _turn = FileLock::try_exclusive(&locks.join("gc"))?.ok_or_else(in_use)?;
        let result = match self.inner.usage.try_upgrade() {
            Ok(true) => self.shrink(max_size),
            Ok(false) => Err(in_use()),
            Err(error) => Err(at("lock", &locks)(error)),
        };
        self.inner.usage.share().map_err(at("lock", &locks))?;
        result
    }

    fn shrink(&self, max_size: u64) -> Result<GcReport, StoreError> {
        let inventory = self.inventory()?;
        let [mut descriptions, mut logs, mut distfiles] =
            [self.files_in(DESCRIPTIONS)?, self.files_in(LOGS)?, self.files_in(DISTFILES)?];
        let others = || descriptions.iter().chain(&logs).chain(&distfiles).map(|file| file.bytes);
        let entries = inventory.blobs.values().chain(inventory.trees.values()).copied();
        let mut failed = self.failed_builds()?;
        let of_failed: u64 = failed.iter().map(|file| file.bytes).sum();
        let outcomes = inventory.outcomes.iter().map(|file| file.bytes);
        let bytes_before = entries.chain(outcomes).chain(others()).sum::<u64>() + of_failed;
        let mut report = GcReport { bytes_before, ..GcReport::default() };

        let in_use = held(&self.inner.in_use).clone();
        let mut references = References::new(&inventory);
        let mut left = of_failed + others().sum::<u64>();
        for digest in &in_use {
            if let Some(tree) = self.readable_tree(digest)? {
                left += references.add(*digest, &tree);
            }
        }
        let (mut doomed, mut outcomes) = (Vec::new(), Vec::new());
        for file in &inventory.outcomes {
            let name = file_name(&file.path).unwrap_or_default();
            let outcome = read(&file.path)?.and_then(|entry| decode(name, &entry).ok());
            let tree = match &outcome {
                Some(outcome) => self.readable_tree(&outcome.tree)?.map(|tree| (outcome.tree, tree)),
                None => None,
            };
            match tree {
                Some((digest, tree)) => {
                    left += file.bytes + references.add(digest, &tree);
                    outcomes.push((file, digest));
                }
                None => doomed.push(file),
            }
        }
        failed.sort_by_key(|folder| (folder.changed, folder.path.clone()));
        for folder in failed {
            if left > max_size {
                left -= folder.bytes;
                remove_tree(&folder.path).map_err(at("remove", &folder.path))?;
                report.failed += 1;
            }
        }
        outcomes.sort_by_key(|(file, _)| (file.changed, &file.path));
        for (file, digest) in outcomes {
            if left > max_size && !in_use.contains(&digest) {
                left -= file.bytes + references.release(&digest);
                doomed.push(file);
            }
        }

        // The index first, then listings, then blobs: whenever this ends, what is left refers to what is there.
        report.outcomes = remove_all(doomed.iter().map(|file| &file.path))?;
        let (trees, blobs) = references.unreferenced();
        report.trees = remove_all(trees.map(|digest| self.tree_path(digest)))?;
        report.blobs = remove_all(blobs.map(|name| self.path(name.relative())))?;

        // A description tells something of an outcome that is gone, too.
        for (files, count) in [
            (&mut descriptions, &mut report.descriptions),
            (&mut logs, &mut report.logs),
            (&mut distfiles, &mut report.distfiles),
        ] {
            files.sort_by_key(|file| (file.changed, file.path.clone()));
            for file in files {
                if left > max_size {
                    left -= file.bytes;
                    *count += remove_all([&file.path])?;
                }
            }
        }
        remove_all(self.files_in(DAMAGED)?.iter().map(|file| &file.path))?;
        self.remove_action_locks()?;
        report.bytes_after = left;
        Ok(report)
    }

    /// The folders of failed builds, each as one.
    fn failed_builds(&self) -> Result<Vec<FileFound>, StoreError> {
        let folder = self.failed();
        let mut builds: BTreeMap<PathBuf, FileFound> = BTreeMap::new();
        for file in self.files_in(FAILED)?.into_iter().filter(|file| file.names == 1) {
            let Some(unit) = file.path.strip_prefix(&folder).ok().and_then(|path| path.iter().next()) else {
                continue;
            };
            let path = folder.join(unit);
            if let Some(build) = builds.get_mut(&path) {
                build.bytes += file.bytes;
            } else {
                let meta = fs::symlink_metadata(&path).map_err(at("look at", &path))?;
                let changed = meta.modified().map_err(at("look at", &path))?;
                builds.insert(path.clone(), FileFound { path, changed, ..file });
            }
        }
        Ok(builds.into_values().collect())
    }

    fn readable_tree(&self, digest: &TreeDigest) -> Result<Option<Tree>, StoreError> {
        let Some(listing) = read(&self.tree_path(digest))? else { return Ok(None) };
        let tree = Tree::parse(&listing).ok();
        Ok(tree.filter(|_| digest_of(&listing) == *digest))
    }

    /// Removes the locks of actions that nobody works on.
    fn remove_action_locks(&self) -> Result<(), StoreError> {
        for FileFound { path, .. } in self.files_in(LOCKS)? {
            let own = file_name(&path).is_some_and(|name| OWN_LOCKS.contains(&name));
            if !own && FileLock::try_exclusive(&path)?.is_some() {
                remove_all([&path])?;
            }
        }
        Ok(())
    }
}

/// How many outcomes need each tree, and how many of those trees need each blob.
struct References<'a> {
    inventory: &'a Inventory,
    trees: BTreeMap<TreeDigest, (u64, BTreeSet<BlobName>)>,
    blobs: BTreeMap<BlobName, u64>,
}

impl<'a> References<'a> {
    fn new(inventory: &'a Inventory) -> Self {
        Self { inventory, trees: BTreeMap::new(), blobs: BTreeMap::new() }
    }

    /// Counts a need for a tree; returns the bytes that are needed now and were not before.
    fn add(&mut self, digest: TreeDigest, tree: &Tree) -> u64 {
        let (count, names) = self.trees.entry(digest).or_default();
        *count += 1;
        if *count > 1 {
            return 0;
        }
        let mut bytes = self.inventory.trees.get(&digest).copied().unwrap_or(0);
        for entry in tree.entries().values() {
            if let Entry::File { blob, executable, .. } = entry {
                names.insert(BlobName { digest: *blob, executable: *executable });
            }
        }
        for name in &*names {
            let count = self.blobs.entry(*name).or_default();
            *count += 1;
            if *count == 1 {
                bytes += self.inventory.blobs.get(name).copied().unwrap_or(0);
            }
        }
        bytes
    }

    /// Takes back a need for a tree; returns the bytes that are no longer needed.
    fn release(&mut self, digest: &TreeDigest) -> u64 {
        match self.trees.get_mut(digest) {
            Some((count, _)) if *count > 1 => {
                *count -= 1;
                return 0;
            }
            _ => {}
        }
        let Some((_, names)) = self.trees.remove(digest) else { return 0 };
        let mut bytes = self.inventory.trees.get(digest).copied().unwrap_or(0);
        for name in names {
            match self.blobs.get_mut(&name) {
                Some(count) if *count > 1 => *count -= 1,
                _ => {
                    self.blobs.remove(&name);
                    bytes += self.inventory.blobs.get(&name).copied().unwrap_or(0);
                }
            }
        }
        bytes
    }

    /// The listings and blobs that nothing needs.
    fn unreferenced(&self) -> (impl Iterator<Item = &TreeDigest>, impl Iterator<Item = &BlobName>) {
        let trees = self.inventory.trees.keys().filter(|digest| !self.trees.contains_key(digest));
        let blobs = self.inventory.blobs.keys().filter(|name| !self.blobs.contains_key(name));
        (trees, blobs)
    }
}

/// Removes files, those that are already gone included; returns how many.
fn remove_all<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<u64, StoreError> {
    let mut count = 0;
    for path in paths {
        let path = path.as_ref();
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result.map_err(at("remove", path))?,
        }
        count += 1;
    }
    Ok(count)
}

/// What is in a file; nothing if it is not there or no file. Nothing is removed because it could not be read just now.
fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match read_if_there(path) {
        Err(StoreError::Io { source, .. }) if is_strange(&source) => Ok(None),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::{key, outcome};
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    /// A store with an outcome for each of `keys`, that of key 1 the oldest; each tree has a blob of its own and one
    /// that all have. The handle is a new one, which has nothing in use.
    fn store_with(folder: &Path, keys: &[u8]) -> Store {
        let store = Store::open(folder).unwrap();
        for &byte in keys {
            let out = store.temp_dir("out").unwrap();
            fs::write(out.path().join("own"), vec![byte; 5000]).unwrap();
            fs::write(out.path().join("shared"), "shared").unwrap();
            let tree = store.capture_all(out.path()).unwrap();
            store.record(&key(byte), &outcome(tree)).unwrap();
            age(&store.path("actions").join(key(byte).file_name()), u64::from(byte));
        }
        drop(store);
        Store::open(folder).unwrap()
    }

    fn age(path: &Path, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds);
        fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
    }

    fn known(folder: &Path) -> Vec<u8> {
        let store = Store::open(folder).unwrap();
        (1..10).filter(|byte| store.lookup(&key(*byte)).unwrap().is_some()).collect()
    }

    #[test]
    fn what_nothing_refers_to_goes_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(folder.path(), &[1, 2]);
        fs::write(store.logs().join("a.log"), "log").unwrap();
        fs::remove_file(store.path("actions").join(key(1).file_name())).unwrap();
        fs::write(store.path("actions").join(key(3).file_name()), "damaged").unwrap();
        fs::write(store.path("damaged").join("old"), "").unwrap();
        let report = store.collect(u64::MAX).unwrap();
        assert_eq!((report.outcomes, report.trees, report.blobs, report.logs), (1, 1, 1, 0));
        assert_eq!(report.bytes_after, store.stats().unwrap().kept_bytes());
        assert_eq!(store.stats().unwrap().damaged.files, 0);
        assert!(report.bytes_before > report.bytes_after);
        let again = store.collect(u64::MAX).unwrap();
        assert_eq!(again.bytes_before, again.bytes_after);
        drop(store);
        assert_eq!(known(folder.path()), [2]);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(folder.path(), &[1, 2, 3, 4]);
        // Looking it up makes the oldest the newest.
        assert!(Store::open(folder.path()).unwrap().lookup(&key(1)).unwrap().is_some());
        let size = store.stats().unwrap().kept_bytes();
        let report = store.collect(size - 1).unwrap();
        assert_eq!((report.outcomes, report.trees, report.blobs), (1, 1, 1));
        // One entry, one listing and two blocks of the blob that no other tree has.
        assert_eq!((report.bytes_before, report.bytes_after), (size, size - 4 * 4096));
        assert_eq!(store.stats().unwrap().kept_bytes(), report.bytes_after);
        assert_eq!(known(folder.path()), [1, 3, 4]);
        for (byte, seconds) in [(1, 9), (3, 3), (4, 4)] {
            age(&store.path("actions").join(key(byte).file_name()), seconds);
        }
        store.collect(size - 5 * 4096).unwrap();
        assert_eq!(known(folder.path()), [1, 4]);
    }

    #[test]
    fn two_outcomes_of_one_tree_share_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(folder.path(), &[1]);
        let found = Store::open(folder.path()).unwrap().lookup(&key(1)).unwrap().unwrap();
        store.record(&key(2), &found).unwrap();
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        age(&store.path("actions").join(key(1).file_name()), 1);
        let report = store.collect(store.stats().unwrap().kept_bytes() - 1).unwrap();
        assert_eq!((report.outcomes, report.trees, report.blobs), (1, 0, 0));
        assert_eq!(known(folder.path()), [2]);
    }

    #[test]
    fn descriptions_distfiles_and_logs_count_and_go_last() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(folder.path(), &[1]);
        let files: Vec<PathBuf> = ["old", "new"].map(|name| store.distfiles().join(name)).into();
        for (index, path) in files.iter().enumerate() {
            fs::write(path, vec![0; 10_000]).unwrap();
            age(path, index as u64);
        }
        fs::write(store.logs().join("a.log"), "log").unwrap();
        store.remember_description(&"a@amd64".parse().unwrap(), None, b"{}");
        let report = store.collect(12_288).unwrap();
        assert_eq!((report.outcomes, report.descriptions, report.logs, report.distfiles), (1, 1, 1, 1));
        assert_eq!(report.bytes_after, 12_288);
        assert!(!files[0].exists() && files[1].exists());
        assert_eq!(store.collect(0).unwrap().bytes_after, 0);
    }

    #[test]
    fn failed_builds_count_and_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(folder.path(), &[1]);
        let size = store.stats().unwrap().kept_bytes();
        for name in ["old", "new"] {
            let locked = store.failed().join(name).join("build/locked");
            fs::create_dir_all(&locked).unwrap();
            fs::write(locked.join("a"), vec![0; 10_000]).unwrap();
            fs::write(store.failed().join(name).join("kept.json"), "").unwrap();
            fs::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
        }
        let old = fs::File::open(store.failed().join("old")).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        assert_eq!(store.stats().unwrap().kept_bytes(), size + 2 * 12_288);
        let report = store.collect(size + 20_000).unwrap();
        assert_eq!((report.failed, report.outcomes, report.bytes_after), (1, 0, size + 12_288));
        assert!(!store.failed().join("old").exists() && store.failed().join("new").exists());
        let report = store.collect(size).unwrap();
        assert_eq!((report.failed, report.outcomes, report.bytes_after), (1, 0, size));
        drop(store);
        assert_eq!(known(folder.path()), [1]);
    }

    #[test]
    fn what_this_process_uses_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(folder.path(), &[1, 2]);
        let used = store.lookup(&key(1)).unwrap().unwrap();
        let out = store.temp_dir("out").unwrap();
        fs::write(out.path().join("new"), "new").unwrap();
        let captured = store.capture_all(out.path()).unwrap();
        let lock = store.lock(&key(9)).unwrap();
        let report = store.collect(0).unwrap();
        assert_eq!(report.outcomes, 1);
        assert!(out.path().is_dir());
        assert!(Store::open(folder.path()).unwrap().try_lock(&key(9)).unwrap().is_none());
        drop(lock);
        store.record(&key(3), &outcome(captured)).unwrap();
        let trees = [("a".to_owned(), used.tree), ("b".to_owned(), captured)];
        store.materialise(&trees, &out.path().join("d"), crate::Placement::Link).unwrap();
        assert_eq!(known(folder.path()), [1, 3]);
    }

    #[test]
    fn a_store_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(folder.path(), &[1]);
        let other = Store::open(folder.path()).unwrap();
        let error = store.collect(0).unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        // The lock that was given up for the attempt is held again.
        assert!(matches!(other.collect(0), Err(StoreError::InUse { .. })));
        let at_work = store.active();
        drop(other);
        assert!(matches!(store.clone().collect(0), Err(StoreError::InUse { .. })));
        drop(at_work);
        assert_eq!(known(folder.path()), [1]);
        assert_eq!(store.collect(0).unwrap().outcomes, 1);
    }
}
