//! The folder that keeps archives, and files with a digest in general.
//!
//! ```text
//! <cache>/sha256-<hex>             a verified archive, read-only
//! <cache>/sha256-<hex>.damaged     what was found under that name and was something else
//! <cache>/file-<hex>               a file out of an archive, by where it was
//! <cache>/partial/sha256-<hex>     a download under way or interrupted; whoever writes it holds its flock
//! <cache>/partial/new-<random>     what is being written and has no name yet; the same holds
//! ```
//! A partial file becomes an archive by fsync and rename, so an archive under its own name is complete, and several
//! k3sroot at once wait for each other's download instead of repeating it. Contents are verified again once a process.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use sha2::Digest as _;

use super::error::{FetchError, UrlError};
use base::beneath;
use base::digest::{Sha256, Sha512, SourceDigest};
use base::locks;

/// Computes a [`SourceDigest`] of the kind of another.
#[derive(Clone)]
pub(super) enum Hasher {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    pub(super) fn like(digest: &SourceDigest) -> Self {
        match digest {
            SourceDigest::Sha256(_) => Self::Sha256(sha2::Sha256::new()),
            SourceDigest::Sha512(_) => Self::Sha512(sha2::Sha512::new()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn finish(self) -> SourceDigest {
        match self {
            Self::Sha256(hasher) => SourceDigest::Sha256(Sha256::from_bytes(hasher.finalize().into())),
            Self::Sha512(hasher) => SourceDigest::Sha512(Sha512::from_bytes(hasher.finalize().into())),
        }
    }

    /// Feeds the rest of `reader`; returns how many bytes that was.
    pub(super) fn read(&mut self, reader: &mut impl Read) -> io::Result<u64> {
        let mut buffer = vec![0; 256 << 10];
        let mut total = 0;
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(total),
                Ok(count) => {
                    self.update(&buffer[..count]);
                    total += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What a file is identified by, so that it need not be hashed twice: device, inode, size and modification time.
type Stamp = (u64, u64, u64, i64, i64);

/// Hashes files, each once while it stays the same.
#[derive(Default)]
pub(super) struct Verifier {
    known: Mutex<BTreeMap<(Stamp, &'static str), SourceDigest>>,
}

impl Verifier {
    /// The digest of the regular file `path`, of the kind of `like`.
    pub(super) fn digest(&self, path: &Path, like: &SourceDigest) -> io::Result<SourceDigest> {
        let mut file = beneath::open_named(path)?;
        let metadata = file.metadata()?;
        let key = (stamp(&metadata), like.algorithm());
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*known);
        }
        let mut hasher = Hasher::like(like);
        hasher.read(&mut file)?;
        let digest = hasher.finish();
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, digest);
        Ok(digest)
    }

    fn note(&self, path: &Path, digest: SourceDigest) {
        if let Ok(metadata) = fs::metadata(path) {
            let key = (stamp(&metadata), digest.algorithm());
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, digest);
        }
    }
}

fn stamp(metadata: &fs::Metadata) -> Stamp {
    (metadata.dev(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

/// What the cache has under a digest.
pub(super) enum Kept {
    Verified(PathBuf),
    /// It was something else and has been moved here.
    Damaged(PathBuf),
    Nothing,
}

/// The folder.
pub(super) struct Cache {
    folder: PathBuf,
    pub(super) verifier: Verifier,
}

impl Cache {
    pub(super) fn open(folder: &Path) -> Result<Self, FetchError> {
        let partial = folder.join("partial");
        fs::create_dir_all(&partial).map_err(|source| FetchError::Cache { path: partial.clone(), source })?;
        remove_abandoned(&partial);
        Ok(Self { folder: folder.to_owned(), verifier: Verifier::default() })
    }

    pub(super) fn path(&self, digest: &SourceDigest) -> PathBuf {
        self.folder.join(file_name(digest))
    }

    pub(super) fn look_up(&self, digest: &SourceDigest) -> Kept {
        let path = self.path(digest);
        match self.verifier.digest(&path, digest) {
            Ok(computed) if computed == *digest => Kept::Verified(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::Nothing,
            Ok(_) | Err(_) => {
                let aside = self.folder.join(format!("{}.damaged", file_name(digest)));
                if fs::rename(&path, &aside).is_ok() { Kept::Damaged(aside) } else { Kept::Nothing }
            }
        }
    }

    /// The file `name` that somebody wrote; nobody has looked what it is.
    pub(super) fn read_file(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.join(name)).ok()
    }

    /// Writes the file `name`, in place of what is there; it can be had otherwise, so an error is no harm.
    pub(super) fn write_file(&self, name: &str, contents: &[u8]) {
        let like = SourceDigest::Sha256(Sha256::of(contents));
        let Ok(partial) = self.unknown(&like) else { return };
        let written = || -> io::Result<()> {
            (&*partial.file).write_all(contents)?;
            partial.file.set_permissions(fs::Permissions::from_mode(0o444))?;
            fs::rename(&partial.path, self.folder.join(name))
        };
        let _ = written();
    }

    /// A partial file for an archive that becomes known by what arrives; its digest will be of the kind of `like`.
    pub(super) fn unknown(&self, like: &SourceDigest) -> Result<Partial<'_>, UrlError> {
        let folder = self.folder.join("partial");
        let failed = |source| UrlError::Cache { path: folder.clone(), source };
        let made = tempfile::Builder::new().prefix(UNKNOWN).tempfile_in(&folder).map_err(failed)?;
        let (file, path) = made.keep().map_err(|error| failed(error.error))?;
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        Ok(Partial {
            cache: self,
            expected: Expected::Like(*like),
            path,
            hasher: Hasher::like(like),
            head: Vec::new(),
            bytes: 0,
            lasts: false,
            file: file.map_err(|(_, errno)| failed(locks::error(&folder.join(UNKNOWN), errno)))?,
        })
    }

    /// Opens the partial file for `digest` and locks it, waiting while someone else writes it (`waiting` is called
    /// once then). `None` if the archive turned up meanwhile.
    pub(super) fn partial(
        &self,
        digest: &SourceDigest,
        cancel: &AtomicBool,
        waiting: &dyn Fn(),
    ) -> Result<Option<Partial<'_>>, UrlError> {
        let path = self.folder.join("partial").join(file_name(digest));
        let failed = |source| UrlError::Cache { path: path.clone(), source };
        let mut told = false;
        loop {
            if self.path(digest).exists() {
                return Ok(None);
            }
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            match Flock::lock(file.map_err(failed)?, FlockArg::LockExclusiveNonblock) {
                Ok(file) => {
                    // Between open and lock the file may have been renamed into the cache or removed.
                    let here = file.metadata().map_err(failed)?;
                    if fs::metadata(&path)
                        .is_ok_and(|there| (there.dev(), there.ino()) == (here.dev(), here.ino()))
                    {
                        if self.path(digest).exists() {
                            let _ = fs::remove_file(&path);
                            return Ok(None);
                        }
                        if !locks::keep_out(&path).map_err(failed)? {
                            // Somebody else may write to it at this moment.
                            let mut own = self.unknown(digest)?;
                            own.expected = Expected::Exactly(*digest);
                            return Ok(Some(own));
                        }
                        let mut partial = Partial {
                            cache: self,
                            expected: Expected::Exactly(*digest),
                            path: path.clone(),
                            hasher: Hasher::like(digest),
                            head: Vec::new(),
                            bytes: 0,
                            lasts: true,
                            file,
                        };
                        partial.resume().map_err(failed)?;
                        return Ok(Some(partial));
                    }
                }
                Err((_, Errno::EWOULDBLOCK)) => {
                    if !told {
                        waiting();
                        told = true;
                    }
                    if cancel.load(Ordering::Relaxed) {
                        return Err(UrlError::Cancelled);
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err((_, errno)) => return Err(failed(locks::error(&path, errno))),
            }
        }
    }
}

/// Removes what was of no digest yet when its download was killed.
fn remove_abandoned(partial: &Path) {
    for entry in fs::read_dir(partial).into_iter().flatten().flatten() {
        let unknown = entry.file_name().to_string_lossy().starts_with(UNKNOWN);
        // Whoever still writes one holds its lock.
        let path = entry.path();
        let file = beneath::open_named(&path).ok().filter(|_| unknown);
        let held = file.and_then(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).ok());
        if held.is_some() && locks::keep_out(&path).unwrap_or_default() {
            let _ = fs::remove_file(&path);
        }
    }
}

/// How the names of partial files begin that have no digest yet.
const UNKNOWN: &str = "new-";

fn file_name(digest: &SourceDigest) -> String {
    format!("{}-{}", digest.algorithm(), digest.hex())
}

/// How many bytes tell an archive from a web page.
const HEAD: usize = 512;

/// What bytes are to become an archive.
#[derive(Clone, Copy)]
enum Expected {
    /// Those with this digest.
    Exactly(SourceDigest),
    /// Whatever comes, but no web page; only the kind of the digest counts.
    Like(SourceDigest),
}

/// An archive that is being written, locked against everybody else.
pub(super) struct Partial<'a> {
    cache: &'a Cache,
    expected: Expected,
    path: PathBuf,
    hasher: Hasher,
    head: Vec<u8>,
    bytes: u64,
    /// Whether a later download finds what this one leaves.
    lasts: bool,
    file: Flock<File>,
}

impl Partial<'_> {
    /// How many bytes there are.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes in what an earlier download left.
    fn resume(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.bytes = self.hasher.read(&mut *self.file)?;
        self.file.seek(SeekFrom::Start(0))?;
        (&*self.file).take(HEAD as u64).read_to_end(&mut self.head)?;
        self.file.seek(SeekFrom::End(0))?;
        Ok(())
    }

    /// Lets go of what earlier attempts brought, where no digest would tell whether the rest belongs to it.
    pub(super) fn begin(&mut self) -> Result<(), UrlError> {
        match self.expected {
            Expected::Like(_) if self.bytes > 0 => self.restart(),
            _ => Ok(()),
        }
    }

    pub(super) fn restart(&mut self) -> Result<(), UrlError> {
        let restart = || {
            self.file.set_len(0)?;
            (&*self.file).seek(SeekFrom::Start(0))
        };
        restart().map_err(|source| self.failed(source))?;
        let (Expected::Exactly(digest) | Expected::Like(digest)) = self.expected;
        self.hasher = Hasher::like(&digest);
        self.head.clear();
        self.bytes = 0;
        Ok(())
    }

    pub(super) fn write(&mut self, chunk: &[u8]) -> Result<(), UrlError> {
        self.file.write_all(chunk).map_err(|source| self.failed(source))?;
        self.hasher.update(chunk);
        let missing = HEAD.saturating_sub(self.head.len()).min(chunk.len());
        self.head.extend_from_slice(&chunk[..missing]);
        self.bytes += chunk.len() as u64;
        Ok(())
    }

    /// Checks the digest and moves the file into the cache; on a mismatch nothing of it stays.
    pub(super) fn finish(&mut self) -> Result<PathBuf, UrlError> {
        let computed = self.hasher.clone().finish();
        let web_page = looks_like_html(&self.head);
        let refused = match self.expected {
            Expected::Exactly(digest) if computed != digest => {
                Some(UrlError::Wrong { expected: digest.into(), computed: computed.into(), web_page })
            }
            Expected::Like(_) if web_page || self.bytes == 0 => Some(UrlError::NoArchive { web_page }),
            _ => None,
        };
        if let Some(refused) = refused {
            self.restart()?;
            return Err(refused);
        }
        let path = self.cache.path(&computed);
        let keep = || {
            self.file.set_permissions(fs::Permissions::from_mode(0o444))?;
            self.file.sync_all()?;
            fs::rename(&self.path, &path)?;
            File::open(&self.cache.folder)?.sync_all()
        };
        keep().map_err(|source| self.failed(source))?;
        self.cache.verifier.note(&path, computed);
        Ok(path)
    }

    fn failed(&self, source: io::Error) -> UrlError {
        UrlError::Cache { path: self.path.clone(), source }
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        // Still under the lock, so nobody else can be writing to it: an empty one is of no use to anyone, and one under
        // a name of its own will not be found again.
        if self.bytes == 0 || !self.lasts {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn looks_like_html(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    ["<!doctype html", "<html", "<head", "<body", "<script", "<!--"]
        .iter()
        .any(|start| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(bytes: &[u8]) -> SourceDigest {
        SourceDigest::Sha256(Sha256::of(bytes))
    }

    #[test]
    fn an_interrupted_download_goes_on_and_a_wrong_one_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let (digest, cancel) = (sha256(b"whole"), AtomicBool::new(false));
        let open = || cache.partial(&digest, &cancel, &|| ()).unwrap();
        open().unwrap().write(b"who").unwrap();
        let mut partial = open().unwrap();
        assert_eq!(partial.bytes(), 3);
        partial.write(b"lly wrong").unwrap();
        assert!(matches!(partial.finish(), Err(UrlError::Wrong { .. })));
        drop(partial);
        assert_eq!(fs::read_dir(folder.path().join("partial")).unwrap().count(), 0);
        let mut partial = open().unwrap();
        assert_eq!(partial.bytes(), 0);
        partial.write(b"whole").unwrap();
        partial.finish().unwrap();
        drop(partial);
        assert!(open().is_none());
        assert!(matches!(cache.look_up(&digest), Kept::Verified(_)));
    }

    #[test]
    fn a_damaged_archive_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let digest = sha256(b"right");
        fs::write(folder.path().join(file_name(&digest)), "wrong").unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        assert!(matches!(cache.look_up(&digest), Kept::Damaged(path) if path.exists()));
        assert!(matches!(cache.look_up(&digest), Kept::Nothing));
    }

    #[test]
    fn web_pages_are_told_from_archives() {
        assert!(looks_like_html(b"\n <!DOCTYPE html><html>"));
        assert!(!looks_like_html(b"\xfd7zXZ\0"));
    }
}
