//! The index: from what went into an action to what came out of it.
//!
//! An entry is written last and only after everything it refers to is on the disk, so an entry that exists can be
//! trusted as far as the disk can; what it refers to is looked at all the same.

use std::fs::File;
use std::io::Write as _;

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use nix::unistd::syncfs;

use super::blob::{BlobName, Check};
use super::error::{StoreError, at};
use super::listing::{Entry, Tree};
use super::materialise::Placement;
use super::outcome::{Outcome, OutcomeKey, decode, encode};
use super::{ACTIONS, Store, held, read_if_there};

impl Store {
    /// What is known under `key`, or `None`.
    ///
    /// Also `None` if the entry, its tree's listing or one of its blobs is damaged or missing; such an entry is set
    /// aside, so that the action is done again. [`Store::set_aside_entries`] tells of it.
    pub fn lookup(&self, key: &OutcomeKey) -> Result<Option<Outcome>, StoreError> {
        let _activity = self.active();
        let name = key.file_name();
        let path = self.path(ACTIONS).join(&name);
        let Some(entry) = read_if_there(&path)? else { return Ok(None) };
        let usable = match decode(&name, &entry) {
            Ok(outcome) => self.is_complete(&outcome)?.then_some(outcome),
            Err(_) => None,
        };
        match &usable {
            Some(outcome) => {
                held(&self.inner.durable).insert(outcome.tree);
                held(&self.inner.in_use).insert(outcome.tree);
                // The time of an entry is when it was last used; `collect` goes by it. Not vital.
                if let Ok(file) = File::open(&path) {
                    let _ = futimens(&file, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW);
                }
            }
            None => {
                self.set_aside(&path)?;
            }
        }
        Ok(usable)
    }

    /// What was recorded under `key`, whether or not what it refers to is still there. Nothing is touched: it does not
    /// count as a use, and a damaged entry is left for [`Store::lookup`].
    pub fn recorded(&self, key: &OutcomeKey) -> Result<Option<Outcome>, StoreError> {
        let _activity = self.active();
        let name = key.file_name();
        let entry = read_if_there(&self.path(ACTIONS).join(&name))?;
        Ok(entry.and_then(|entry| decode(&name, &entry).ok()))
    }

    /// Whether everything that `outcome` refers to is there; what is damaged is set aside.
    pub(super) fn is_complete(&self, outcome: &Outcome) -> Result<bool, StoreError> {
        match self.load_tree(&outcome.tree) {
            Ok(tree) => Ok(self.first_missing(&tree)?.is_none()),
            Err(StoreError::Damaged { .. } | StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn first_missing(&self, tree: &Tree) -> Result<Option<BlobName>, StoreError> {
        for entry in tree.entries().values() {
            if let Entry::File { blob, executable, size } = entry {
                let name = BlobName { digest: *blob, executable: *executable };
                if self.glance_at_blob(name, *size)? != Check::Sound {
                    return Ok(Some(name));
                }
            }
        }
        Ok(None)
    }

    /// Takes over what `other` knows under `key`, with everything that it refers to; says whether it knew anything.
    pub fn import(&self, other: &Self, key: &OutcomeKey) -> Result<bool, StoreError> {
        let Some(outcome) = other.lookup(key)? else { return Ok(false) };
        let scratch = self.temp_dir("import")?;
        let folder = scratch.path().join("tree");
        let trees = [(outcome.unit.to_string(), outcome.tree)];
        other.materialise(&trees, &folder, Placement::Copy { rewrite: None })?;
        // What was placed is what is captured: a tree has nothing that a folder does not keep.
        let tree = self.capture_all(&folder)?;
        self.record(key, &Outcome { tree, ..outcome })?;
        Ok(true)
    }

    /// Makes `outcome` known under `key`, after everything that it refers to is on the disk.
    pub fn record(&self, key: &OutcomeKey, outcome: &Outcome) -> Result<(), StoreError> {
        let _activity = self.active();
        if let Some(name) = self.first_missing(&self.load_tree(&outcome.tree)?)? {
            return Err(StoreError::Missing { item: name.into() });
        }
        let folder = self.path(ACTIONS);
        let path = folder.join(key.file_name());
        let mut file = self.inner.session.file()?;
        file.write_all(&encode(key, outcome)).map_err(at("write", file.path()))?;
        let durable = held(&self.inner.durable).contains(&outcome.tree);
        if durable {
            file.as_file().sync_all().map_err(at("sync", file.path()))?;
        } else {
            // One call for the blobs, the listing, their names and this entry.
            syncfs(file.as_file()).map_err(|errno| at("sync", file.path())(errno.into()))?;
        }
        file.persist(&path).map_err(|error| at("write", &path)(error.error))?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(at("sync", &folder))?;
        held(&self.inner.durable).insert(outcome.tree);
        Ok(())
    }
}
