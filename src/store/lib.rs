//! The store: files and trees named by their contents, and an index from what goes into an action to what came out.
//!
//! ```text
//! <root>/
//!     version                      the format of all below
//!     blobs/ab/abcd…               a file's contents, read-only (0444), named by its BLAKE3 digest
//!     blobs/ab/abcd….x             the same to be run (0555)
//!     trees/ab/abcd…               the listing of a tree: which blob or link is at which path
//!     actions/action-…             an outcome under an ActionDigest (tools: and the build machine)
//!     actions/resolved-…           the same under a ResolvedDigest
//!     descriptions/…               what went into the newest outcome of a unit (of a tool: on a build machine)
//!     durations                    how long units took
//!     distfiles/  logs/  failed/   kept for `fetch` and `execute`; here they are only counted and shrunk
//!     tmp/<pid>.<random>/          one for each open store; where everything is written first
//!     locks/                       `store`: shared by every open store, exclusive to gc; one for each action at work
//!     damaged/                     what was set aside
//! ```
//!
//! Everything is renamed into place whole, and refers only to what is in place: an index entry to a listing, a listing
//! to blobs. So a process may die at any moment, and several may work at once. What is read is verified, and what turns
//! out damaged is set aside. The store knows digests and bytes; it knows nothing of recipes, plans or archives.

mod blob;
mod capture;
mod collect;
mod descriptions;
mod durations;
mod error;
mod frame;
mod index;
mod inventory;
mod listing;
mod lock;
mod materialise;
mod merge;
mod outcome;
mod rewrite;
mod runs;
mod session;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

pub use blob::FIXED_TIME;
pub use capture::Intake;
pub use collect::GcReport;
pub use descriptions::Described;
pub use durations::Took;
pub use error::{Clash, Item, Refusal, StoreError};
pub use frame::FrameError;
pub use inventory::{Stats, Usage};
pub use listing::{Entry, ListingError, Tree};
pub use lock::ActionLock;
pub use materialise::Placement;
pub use merge::merge;
pub use outcome::{EntryError, Outcome, OutcomeKey, decode as decode_outcome, encode as encode_outcome};
pub use session::TempDir;
pub use verify::VerifyReport;

use blob::BlobName;
use error::at;
use lock::FileLock;
use session::Session;

use base::digest::TreeDigest;

const ACTIONS: &str = "actions";
const BLOBS: &str = "blobs";
const DAMAGED: &str = "damaged";
const DESCRIPTIONS: &str = "descriptions";
const DISTFILES: &str = "distfiles";
const DURATIONS: &str = "durations";
const FAILED: &str = "failed";
const LOCKS: &str = "locks";
const LOGS: &str = "logs";
const TMP: &str = "tmp";
const TREES: &str = "trees";
const VERSION: &str = "version";

const FOLDERS: [&str; 10] =
    [BLOBS, TREES, ACTIONS, DESCRIPTIONS, DISTFILES, LOGS, FAILED, TMP, LOCKS, DAMAGED];
const FORMAT: &str = "k3sroot-store 1\n";

/// A handle on an open store. Clones share it; the last one to go closes it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    session: Arc<Session>,
    /// Shared: nobody removes what this process refers to.
    usage: FileLock,
    /// Read by whatever works with blobs and trees, so that [`Store::collect`] can tell that nothing does.
    activity: RwLock<()>,
    /// Blobs that this process read and found sound.
    verified: Mutex<BTreeSet<BlobName>>,
    /// Trees that were captured or loaded here: kept by [`Store::collect`].
    in_use: Mutex<BTreeSet<TreeDigest>>,
    /// Trees that are known to be on the disk with all their blobs.
    durable: Mutex<BTreeSet<TreeDigest>>,
    set_aside: Mutex<Vec<PathBuf>>,
}

impl Store {
    /// Opens the store at `root`, making it if need be, and removes what dead processes left in it. Waits while
    /// another process shrinks it.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(root).map_err(at("make the store", root))?;
        let root = root.canonicalize().map_err(at("find the store", root))?;
        check_format(&root)?;
        for folder in FOLDERS.map(|folder| root.join(folder)) {
            fs::create_dir_all(&folder).map_err(at("make", &folder))?;
        }
        // What comes in is renamed out of `tmp/`. Across mounts that is refused before the kernel looks for the file.
        for folder in FOLDERS.map(|folder| root.join(folder)) {
            let nothing = fs::rename(root.join(TMP).join("none"), folder.join("none"));
            if nothing.is_err_and(|error| error.kind() == io::ErrorKind::CrossesDevices) {
                return Err(StoreError::Split { folder });
            }
        }
        let usage = FileLock::shared(&root.join(LOCKS).join("store"))?;
        let session = Arc::new(Session::start(&root)?);
        let inner = Inner {
            root,
            session,
            usage,
            activity: RwLock::default(),
            verified: Mutex::default(),
            in_use: Mutex::default(),
            durable: Mutex::default(),
            set_aside: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The store's folder, absolute and without links.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// A folder of this handle and its clones alone, for files of helpers: it goes when the last of them does, and no other
    /// process sweeps it as long as this one lives. What else is in it is the store's.
    pub fn session_folder(&self) -> &Path {
        self.inner.session.path()
    }

    /// Where source archives are kept.
    pub fn distfiles(&self) -> PathBuf {
        self.path(DISTFILES)
    }

    /// Where the logs of actions are kept.
    pub fn logs(&self) -> PathBuf {
        self.path(LOGS)
    }

    /// Where the folders of failed builds are kept, one each.
    pub fn failed(&self) -> PathBuf {
        self.path(FAILED)
    }

    /// What this handle and its clones found damaged and moved to `damaged/`, in the order of discovery.
    pub fn set_aside_entries(&self) -> Vec<PathBuf> {
        held(&self.inner.set_aside).clone()
    }

    fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.inner.root.join(relative)
    }

    fn active(&self) -> RwLockReadGuard<'_, ()> {
        self.inner.activity.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the version file, or writes it if the folder can become a store.
fn check_format(root: &Path) -> Result<(), StoreError> {
    let version = root.join(VERSION);
    match fs::read_to_string(&version) {
        Ok(found) if found == FORMAT => Ok(()),
        Ok(found) => Err(StoreError::Version {
            root: root.to_owned(),
            found: found.trim_end().to_owned(),
            expected: FORMAT.trim_end(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            for entry in fs::read_dir(root).map_err(at("list", root))? {
                let name = entry.map_err(at("list", root))?.file_name().to_string_lossy().into_owned();
                // Another process may be making the store right now; mount points have a `lost+found`.
                let fine = name.starts_with('.')
                    || name == "lost+found"
                    || [VERSION, DURATIONS].contains(&name.as_str());
                if !fine && !FOLDERS.contains(&name.as_str()) {
                    return Err(StoreError::NotAStore { root: root.to_owned(), found: name });
                }
            }
            let mut file = tempfile::NamedTempFile::new_in(root).map_err(at("write to", root))?;
            file.write_all(FORMAT.as_bytes()).map_err(at("write", file.path()))?;
            file.as_file().sync_all().map_err(at("sync", file.path()))?;
            file.persist(&version).map_err(|error| at("write", &version)(error.error))?;
            Ok(())
        }
        Err(error) => Err(at("read", &version)(error)),
    }
}

/// The contents of a file, or `None` if there is none.
fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("read", path)(error)),
    }
}

/// Locks a mutex; a panic elsewhere leaves nothing half-done in these.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
