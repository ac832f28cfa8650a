//! Bytes that come in: from a list of URLs to a verified file, from an archive to a tree, and patches onto it.
//!
//! [`Fetcher`] takes [`Archive`]s (a digest and where to look) to files whose digest has been checked, [`unpack()`]
//! takes such a file to a folder, [`apply_patch`] changes that folder. A URL only says *where*: what decides is the
//! digest, so mirrors, proxies, local folders and half-finished downloads may be mixed freely. No registry or mirror
//! host is named here: `debian:` and `pypi:` go where the machine's own apt and pip go. A [`Lock`] lists archives that
//! were collected in a folder.
//!
//! The module knows neither recipes nor the store's layout; it is given a folder to keep archives in.

mod apt;
mod cache;
mod distfiles;
mod download;
mod error;
mod fetcher;
mod hosts;
mod http;
mod kept;
mod locate;
mod lock;
mod patch;
mod pip;
mod unpack;

use std::path::PathBuf;
use std::time::Duration;

pub use error::{Attempt, FetchError, UrlError, hints};
pub use fetcher::Fetcher;
pub use lock::{Lock, LockError, LockedArchive, Named, file_name, names_apart};
pub use patch::{PatchError, apply_patch};
pub use unpack::{SOURCE_LIMIT, UnpackError, UnpackSpec, read_files, unpack};

use base::digest::SourceDigest;

/// One archive: the bytes by their digest, and the places where they may be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// What people call it: `iptables 1.8.11`.
    pub label: String,
    /// Where to look, in order: `https:`, `http:`, `file:`, `debian:<source package>/<file>`, `pypi:<project>/<file>`.
    pub urls: Vec<String>,
    /// What the bytes must be.
    pub digest: SourceDigest,
}

/// One thing to fetch: any of its archives will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// What people call it: `iptables 1.8.11`. It names the want in every [`Event`].
    pub label: String,
    /// The alternatives, best first.
    pub archives: Vec<Archive>,
}

/// A verified archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obtained {
    /// Which of the alternatives it is.
    pub index: usize,
    /// Where it lies: in the cache, or in one of the `--distfiles` folders.
    pub path: PathBuf,
}

/// How to fetch. `Options::default()` is what people want; the tests shorten the times.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folders of archives (`--distfiles`), searched before anything else. A file there is found by its digest,
    /// whatever its name.
    pub distfiles: Vec<PathBuf>,
    /// No network: only the cache, `distfiles` and `file:` URLs.
    pub offline: bool,
    /// The Debian mirrors for `debian:` URLs (`--debian-mirror`); `None` asks apt's configuration.
    pub debian_mirrors: Option<Vec<String>>,
    /// The package index for `pypi:` URLs (`--pypi-index`); `None` asks pip.
    pub pypi_index: Option<String>,
    /// How long a host may take to answer at all: name lookup, connection and TLS together.
    pub connect_timeout: Duration,
    /// The same for the second chance that slow hosts get when nothing else had the archive.
    pub patient_timeout: Duration,
    /// How long a download may go without a byte.
    pub stall_timeout: Duration,
    /// The pause before the second try of a URL; it doubles for each further one.
    pub retry_delay: Duration,
    /// The longest `Retry-After` that is honoured; a server that asks for more is given up.
    pub longest_retry_after: Duration,
    /// The largest archive, in bytes.
    pub size_limit: u64,
    /// Where several archives would do, the last one is tried first: what is built must not depend on it.
    pub last_archive_first: bool,
    /// How many wants are worked on at once.
    pub parallel: usize,
    /// How many downloads one host serves at once.
    pub per_host: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            distfiles: Vec::new(),
            offline: false,
            debian_mirrors: None,
            pypi_index: None,
            connect_timeout: Duration::from_millis(1500),
            patient_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            retry_delay: Duration::from_millis(500),
            longest_retry_after: Duration::from_secs(10),
            size_limit: 2 << 30,
            last_archive_first: false,
            parallel: 4,
            per_host: 2,
        }
    }
}

/// What happens while fetching, for whoever shows it. Calls come from several threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The archive was here already: in the cache or in a `distfiles` folder.
    Found {
        /// The want or archive.
        label: String,
        /// Where it lies.
        path: PathBuf,
    },
    /// Another thread or process is fetching the same archive.
    Waiting {
        /// The want or archive.
        label: String,
    },
    /// A server answered with the archive.
    Started {
        /// The want or archive.
        label: String,
        /// Where from, without passwords.
        url: String,
        /// The size of the whole archive in bytes, where the server says so.
        total: Option<u64>,
        /// How many bytes an earlier, interrupted download left.
        resumed: u64,
    },
    /// Bytes arrived.
    Progress {
        /// The want or archive.
        label: String,
        /// How many bytes of the archive are here by now.
        bytes: u64,
    },
    /// A URL failed in a way that may pass and is tried again.
    Retried {
        /// The want or archive.
        label: String,
        /// The URL, without passwords.
        url: String,
        /// What went wrong.
        reason: String,
        /// The pause before the next try.
        wait: Duration,
    },
    /// A URL failed for good; the next one is tried.
    Failed {
        /// The want or archive.
        label: String,
        /// The URL, without passwords.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// A file in the cache was not what its name says; it was set aside.
    Damaged {
        /// The want or archive.
        label: String,
        /// Where the damaged file is now.
        path: PathBuf,
    },
    /// The archive is here and verified.
    Finished {
        /// The want or archive.
        label: String,
        /// Where from, without passwords.
        url: String,
        /// Its size.
        bytes: u64,
        /// Where it lies.
        path: PathBuf,
    },
}

/// The Debian mirrors that apt is set up with, where `debian:` URLs are looked for.
pub fn debian_mirrors() -> Vec<String> {
    apt::mirrors(std::path::Path::new("/"))
}

/// The package indexes that pip is set up with, where `pypi:` URLs are looked for.
pub fn pypi_indexes() -> Result<Vec<String>, UrlError> {
    pip::indexes()
}
