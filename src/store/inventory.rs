//! What is in the store and how much room it takes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use walkdir::WalkDir;

use super::blob::BlobName;
use super::error::{StoreError, at};
use super::{ACTIONS, BLOBS, DAMAGED, DESCRIPTIONS, DISTFILES, FAILED, LOGS, Store, TMP, TREES};
use base::digest::TreeDigest;

/// The unit in which file systems usually give out room, in bytes.
const BLOCK: u64 = 4096;

/// A number of files and the room they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// How many files.
    pub files: u64,
    /// Their size in bytes, each counted in whole blocks of 4 KiB.
    pub bytes: u64,
}

impl Usage {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// What the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Entries of the index.
    pub outcomes: Usage,
    /// Listings.
    pub trees: Usage,
    /// File contents.
    pub blobs: Usage,
    /// What went into outcomes.
    pub descriptions: Usage,
    /// Source archives.
    pub distfiles: Usage,
    /// Logs.
    pub logs: Usage,
    /// The folders of failed builds, without the hard links to blobs.
    pub failed: Usage,
    /// What was set aside.
    pub damaged: Usage,
    /// Temporary files of builds at work, without the hard links to blobs.
    pub temporary: Usage,
}

impl Stats {
    /// What [`Store::collect`] keeps below its limit: all but temporary files and what was set aside.
    pub fn kept_bytes(&self) -> u64 {
        [self.outcomes, self.trees, self.blobs, self.descriptions, self.distfiles, self.logs, self.failed]
            .iter()
            .map(|usage| usage.bytes)
            .sum()
    }
}

/// A file somewhere in the store.
#[derive(Debug, Clone)]
pub(super) struct FileFound {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) names: u64,
    pub(super) changed: SystemTime,
}

/// All blobs, listings and index entries, by name.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) blobs: BTreeMap<BlobName, u64>,
    pub(super) trees: BTreeMap<TreeDigest, u64>,
    pub(super) outcomes: Vec<FileFound>,
    /// Files among them whose names the store does not give.
    pub(super) strays: Vec<PathBuf>,
}

impl Store {
    /// Counts what is in the store.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let usage = |folder: &str, count: &dyn Fn(&FileFound) -> bool| {
            let mut usage = Usage::default();
            for file in self.files_in(folder)?.iter().filter(|file| count(file)) {
                usage.add(file.bytes);
            }
            Ok::<_, StoreError>(usage)
        };
        Ok(Stats {
            outcomes: usage(ACTIONS, &|_| true)?,
            trees: usage(TREES, &|_| true)?,
            blobs: usage(BLOBS, &|_| true)?,
            descriptions: usage(DESCRIPTIONS, &|_| true)?,
            distfiles: usage(DISTFILES, &|_| true)?,
            logs: usage(LOGS, &|_| true)?,
            failed: usage(FAILED, &|file| file.names == 1)?,
            damaged: usage(DAMAGED, &|_| true)?,
            temporary: usage(TMP, &|file| file.names == 1)?,
        })
    }

    pub(super) fn inventory(&self) -> Result<Inventory, StoreError> {
        let mut inventory = Inventory { outcomes: self.files_in(ACTIONS)?, ..Inventory::default() };
        for file in self.files_in(BLOBS)? {
            let name = file_name(&file.path).and_then(BlobName::from_file_name);
            match name.filter(|name| self.path(name.relative()) == file.path) {
                Some(name) => {
                    inventory.blobs.insert(name, file.bytes);
                }
                None => inventory.strays.push(file.path),
            }
        }
        for file in self.files_in(TREES)? {
            let digest = file_name(&file.path).and_then(|name| name.parse().ok());
            match digest.filter(|digest| self.tree_path(digest) == file.path) {
                Some(digest) => {
                    inventory.trees.insert(digest, file.bytes);
                }
                None => inventory.strays.push(file.path),
            }
        }
        Ok(inventory)
    }

    /// Every file and link below one of the store's folders, sorted by path. Those that go away meanwhile are left
    /// out.
    pub(super) fn files_in(&self, folder: &str) -> Result<Vec<FileFound>, StoreError> {
        let folder = self.path(folder);
        let mut files = Vec::new();
        for entry in WalkDir::new(&folder).min_depth(1).sort_by_file_name() {
            let found = entry.and_then(|entry| Ok((entry.metadata()?, entry)));
            match found {
                Ok((meta, _)) if meta.is_dir() => {}
                Ok((meta, entry)) => files.push(FileFound {
                    path: entry.into_path(),
                    bytes: meta.len().div_ceil(BLOCK) * BLOCK,
                    names: std::os::unix::fs::MetadataExt::nlink(&meta),
                    changed: meta.modified().map_err(at("look at", &folder))?,
                }),
                Err(error) => {
                    let is_too_deep = error.io_error().and_then(io::Error::raw_os_error)
                        == Some(Errno::ENAMETOOLONG as i32);
                    let error = io::Error::from(error);
                    // A folder of a build that nobody may list, or too deep for any path, is no reason to fail.
                    let is_strange = is_too_deep
                        || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
                    if !is_strange {
                        return Err(at("list", &folder)(error));
                    }
                }
            }
        }
        Ok(files)
    }
}

pub(super) fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}
