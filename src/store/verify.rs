//! Verifying: everything in the store is read, and what is damaged is set aside.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::error::StoreError;
use super::inventory::file_name;
use super::listing::{Tree, digest_of};
use super::outcome::decode;
use super::{DESCRIPTIONS, Store, descriptions, held, read_if_there};

/// What [`Store::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// How many blobs were read.
    pub blobs: u64,
    /// How many listings.
    pub trees: u64,
    /// How many outcomes.
    pub outcomes: u64,
    /// How many descriptions of what went into them.
    pub descriptions: u64,
    /// Where the damaged ones are now, and the outcomes that refer to them or to something that is missing.
    pub set_aside: Vec<PathBuf>,
    /// Files that no k3sroot wrote; they were left alone.
    pub strays: Vec<PathBuf>,
}

impl Store {
    /// Reads everything again and sets aside what is damaged and the outcomes that need it. `progress` is told how many
    /// bytes of how many are done.
    pub fn verify(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<VerifyReport, StoreError> {
        let _activity = self.active();
        let before = held(&self.inner.set_aside).len();
        let inventory = self.inventory()?;
        let total: u64 = inventory.blobs.values().chain(inventory.trees.values()).sum();
        let done = AtomicU64::new(0);
        let advance = |bytes| progress(done.fetch_add(bytes, Ordering::Relaxed) + bytes, total);

        inventory.blobs.par_iter().try_for_each(|(name, bytes)| {
            self.rehash_blob(*name)?;
            advance(*bytes);
            Ok::<_, StoreError>(())
        })?;
        inventory.trees.par_iter().try_for_each(|(digest, bytes)| {
            let path = self.tree_path(digest);
            // What is gone by now was set aside by somebody else.
            if let Some(listing) = read_if_there(&path)? {
                if digest_of(&listing) != *digest || Tree::parse(&listing).is_err() {
                    self.set_aside(&path)?;
                }
            }
            advance(*bytes);
            Ok::<_, StoreError>(())
        })?;
        for file in &inventory.outcomes {
            let Some(entry) = read_if_there(&file.path)? else { continue };
            let usable = match decode(file_name(&file.path).unwrap_or_default(), &entry) {
                Ok(outcome) => self.is_complete(&outcome)?,
                Err(_) => false,
            };
            if !usable {
                self.set_aside(&file.path)?;
            }
        }

        let descriptions = self.files_in(DESCRIPTIONS)?;
        for file in &descriptions {
            let Some(entry) = read_if_there(&file.path)? else { continue };
            if descriptions::decode(file_name(&file.path).unwrap_or_default(), &entry).is_err() {
                self.set_aside(&file.path)?;
            }
        }

        let mut set_aside = held(&self.inner.set_aside)[before..].to_vec();
        set_aside.sort();
        Ok(VerifyReport {
            blobs: inventory.blobs.len() as u64,
            trees: inventory.trees.len() as u64,
            outcomes: inventory.outcomes.len() as u64,
            descriptions: descriptions.len() as u64,
            set_aside,
            strays: inventory.strays,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::{key, outcome};
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn what_is_damaged_is_set_aside_with_the_outcomes_that_need_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for byte in 0..4_u8 {
            let temp = store.temp_dir("out").unwrap();
            fs::write(temp.path().join("own"), [byte]).unwrap();
            fs::write(temp.path().join("shared"), "shared").unwrap();
            let tree = store.capture_all(temp.path()).unwrap();
            store.record(&key(byte), &outcome(tree)).unwrap();
        }
        for unit in ["a@amd64", "b@build"] {
            store.remember_description(&unit.parse().unwrap(), None, b"{}");
        }
        let complete = AtomicBool::new(false);
        let progress = |done, total| complete.store(done == total, Ordering::Relaxed);
        let sound = store.verify(&progress).unwrap();
        let expected =
            VerifyReport { blobs: 5, trees: 4, outcomes: 4, descriptions: 2, ..VerifyReport::default() };
        assert_eq!(sound, expected);
        assert!(complete.into_inner());

        let inventory = store.inventory().unwrap();
        let flip = |path: &std::path::Path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
            let mut bytes = fs::read(path).unwrap();
            bytes[0] ^= 1;
            fs::write(path, bytes).unwrap();
        };
        let blob = base::digest::BlobDigest::of(&[0]);
        flip(&store.path(super::super::blob::BlobName { digest: blob, executable: false }.relative()));
        let tree = store.lookup(&key(1)).unwrap().unwrap().tree;
        flip(&store.tree_path(&tree));
        flip(&inventory.outcomes[2].path);
        flip(&store.path(DESCRIPTIONS).join("b@build"));
        fs::write(store.path("blobs").join("README"), "").unwrap();

        let report = store.verify(&|_, _| ()).unwrap();
        assert_eq!(report.set_aside.len(), 6, "{report:?}");
        assert!(report.set_aside.iter().all(|path| path.is_file()), "{report:?}");
        assert_eq!(report.strays, [store.path("blobs").join("README")]);
        let known: Vec<_> = (0..4).filter(|byte| store.lookup(&key(*byte)).unwrap().is_some()).collect();
        assert_eq!(known, [3]);
        let again = store.verify(&|_, _| ()).unwrap();
        assert_eq!((again.outcomes, again.descriptions, again.set_aside), (1, 1, vec![]));
    }
}
