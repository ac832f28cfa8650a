//! Blobs: files named after their contents, verified before their first use and set aside when they are damaged.
//!
//! A blob has up to two names, `<digest>` with mode 0444 and `<digest>.x` with mode 0555, so that a hard link to it has
//! the right mode. Its time is always [`FIXED_TIME`]: a write through a hard link changes the time, so a blob that was
//! verified once in this process is only verified again when its length, mode or time are not as they should be.

use std::fs::{self, File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::error::{Item, Refusal, StoreError, at};
use super::{BLOBS, DAMAGED, Store, held, read_if_there};
use base::deadline::Deadline;
use base::digest::BlobDigest;

/// The modification time of everything that the store hands out, in seconds since 1970: 2025-01-01, the
/// `SOURCE_DATE_EPOCH` of all builds.
pub const FIXED_TIME: u64 = 1_735_689_600;

/// A blob under one of its two names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BlobName {
    pub(super) digest: BlobDigest,
    pub(super) executable: bool,
}

impl BlobName {
    pub(super) fn file_name(self) -> String {
        format!("{}{}", self.digest, if self.executable { ".x" } else { "" })
    }

    /// The blob with this file name; only the spelling of [`Self::file_name`] is one.
    pub(super) fn from_file_name(name: &str) -> Option<Self> {
        let (digest, executable) = name.strip_suffix(".x").map_or((name, false), |digest| (digest, true));
        let blob = Self { digest: digest.parse().ok()?, executable };
        (blob.file_name() == name).then_some(blob)
    }

    /// Where it is, relative to the store.
    pub(super) fn relative(self) -> PathBuf {
        let name = self.file_name();
        Path::new(BLOBS).join(&name[..2]).join(name)
    }

    pub(super) fn mode(self) -> u32 {
        if self.executable { 0o555 } else { 0o444 }
    }
}

impl From<BlobName> for Item {
    fn from(name: BlobName) -> Self {
        Self::Blob(name.digest)
    }
}

/// Renames a file to the path that it is given.
type Mover<'a> = &'a dyn Fn(&Path) -> io::Result<()>;

/// A file on its way into the store.
pub(super) struct Arrival<'a> {
    /// Where it is, for messages.
    pub(super) path: PathBuf,
    /// The file itself.
    pub(super) file: File,
    /// What it will be called.
    pub(super) name: BlobName,
    /// Its length in bytes.
    pub(super) size: u64,
    /// Renames it; none if it must stay where it is.
    pub(super) mover: Option<Mover<'a>>,
    /// Until when it may take.
    pub(super) deadline: &'a Deadline,
}

/// How [`Store::check_blob`] found a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    /// Its contents are those it is named after.
    Sound,
    /// There is none.
    Absent,
    /// They are not; it is now here.
    Damaged(PathBuf),
}

impl Store {
    /// The contents of a blob, verified.
    pub fn read_blob(&self, digest: &BlobDigest) -> Result<Vec<u8>, StoreError> {
        let _activity = self.active();
        for executable in [false, true] {
            let name = BlobName { digest: *digest, executable };
            let path = self.path(name.relative());
            match read_if_there(&path)? {
                Some(contents) if BlobDigest::of(&contents) == *digest => return Ok(contents),
                Some(_) => return Err(self.damaged(name.into(), &path)?),
                None => {}
            }
        }
        Err(StoreError::Missing { item: Item::Blob(*digest) })
    }

    /// The path of a blob whose contents are sound.
    pub(super) fn sound_blob(&self, name: BlobName, size: u64) -> Result<PathBuf, StoreError> {
        match self.check_blob(name, size)? {
            Check::Sound => Ok(self.path(name.relative())),
            Check::Absent => Err(StoreError::Missing { item: name.into() }),
            Check::Damaged(set_aside) => Err(StoreError::Damaged { item: name.into(), set_aside }),
        }
    }

    /// Looks at a blob, and reads it unless this process did so before and it looks unchanged.
    pub(super) fn check_blob(&self, name: BlobName, size: u64) -> Result<Check, StoreError> {
        let path = self.path(name.relative());
        let Some(meta) = stat(&path)? else { return Ok(Check::Absent) };
        if is_pristine(name, &meta) && meta.len() == size && held(&self.inner.verified).contains(&name) {
            return Ok(Check::Sound);
        }
        self.rehash_blob(name)
    }

    /// Whether a blob is there and looks as it should. One that does not is read.
    pub(super) fn glance_at_blob(&self, name: BlobName, size: u64) -> Result<Check, StoreError> {
        match stat(&self.path(name.relative()))? {
            None => Ok(Check::Absent),
            Some(meta) if is_pristine(name, &meta) && meta.len() == size => Ok(Check::Sound),
            Some(_) => self.rehash_blob(name),
        }
    }

    /// Reads a blob and sets it aside if it is damaged; a wrong mode or time is put right.
    pub(super) fn rehash_blob(&self, name: BlobName) -> Result<Check, StoreError> {
        let path = self.path(name.relative());
        let mut file = match open_plain(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Check::Absent),
            // A link, a socket or a file that its owner may not read is nothing that this program wrote. Any other
            // failure says nothing of the blob.
            Err(error) if is_strange(&error) => return Ok(Check::Damaged(self.set_aside(&path)?)),
            Err(error) => return Err(at("open", &path)(error)),
        };
        let meta = file.metadata().map_err(at("look at", &path))?;
        if meta.is_file() && hash(&mut file, &Deadline::NEVER).map_err(at("read", &path))?.0 == name.digest {
            if !is_pristine(name, &meta) {
                set_mode_and_time(&file, name.mode()).map_err(at("restore the mode of", &path))?;
            }
            held(&self.inner.verified).insert(name);
            return Ok(Check::Sound);
        }
        held(&self.inner.verified).remove(&name);
        // Meanwhile another thread or process may have put a sound one in its place.
        if stat(&path)?.is_some_and(|now| (now.dev(), now.ino()) != (meta.dev(), meta.ino())) {
            return self.rehash_blob(name);
        }
        Ok(Check::Damaged(self.set_aside(&path)?))
    }

    /// Takes a file into the store: by renaming it if that is possible, else by copying it.
    pub(super) fn adopt(&self, arrival: Arrival<'_>) -> Result<(), StoreError> {
        let Arrival { path, mut file, name, size, mover, deadline } = arrival;
        if self.check_blob(name, size)? == Check::Sound {
            return Ok(());
        }
        let target = self.path(name.relative());
        let shard = target.parent().expect("blobs are in shards");
        match fs::create_dir(shard) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(at("make", shard)(error));
            }
            _ => {}
        }
        let moved = mover.is_some_and(|rename| {
            set_mode_and_time(&file, name.mode()).is_ok()
                && is_plainly(&file, size)
                && rename(&target).is_ok()
        });
        if !moved {
            let mut copy = self.inner.session.file()?;
            io::Seek::rewind(&mut file).map_err(at("read", &path))?;
            let copied = copy_hashing(&mut file, copy.as_file_mut(), deadline);
            deadline.check()?;
            if copied.map_err(at("copy", &path))?.0 != name.digest {
                return Err(StoreError::Refused { path, reason: Refusal::Changed });
            }
            set_mode_and_time(copy.as_file(), name.mode()).map_err(at("set the mode of", copy.path()))?;
            copy.persist(&target).map_err(|error| at("write", &target)(error.error))?;
        }
        held(&self.inner.verified).insert(name);
        Ok(())
    }

    /// Moves a damaged entry to `damaged/` and remembers that for [`Store::set_aside_entries`].
    pub(super) fn set_aside(&self, path: &Path) -> Result<PathBuf, StoreError> {
        let relative = path.strip_prefix(self.root()).unwrap_or(path);
        let mut parts = relative.components().map(|part| part.as_os_str().to_string_lossy());
        let kind = parts.next().unwrap_or_default();
        let target = self.path(DAMAGED).join(format!("{kind}.{}", parts.next_back().unwrap_or_default()));
        match fs::rename(path, &target) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result.map_err(at("set aside", path))?,
        }
        held(&self.inner.set_aside).push(target.clone());
        Ok(target)
    }

    /// Sets an entry aside and makes the error that says so.
    pub(super) fn damaged(&self, item: Item, path: &Path) -> Result<StoreError, StoreError> {
        Ok(StoreError::Damaged { item, set_aside: self.set_aside(path)? })
    }
}

/// What is at `path`, without following a link; `None` if nothing is.
pub(super) fn stat(path: &Path) -> Result<Option<Metadata>, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("look at", path)(error)),
    }
}

/// Opens a file for reading, but no link, and without waiting for the other end of a pipe.
pub(super) fn open_plain(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

/// Whether a failure to open or read a file means that it is nothing that this program wrote: a link, a socket, a folder, or
/// not to be read by its owner. Others (too many open files, a disk's error) say nothing of what is there.
pub(super) fn is_strange(error: &io::Error) -> bool {
    let strange = [Errno::ELOOP, Errno::ENXIO, Errno::EISDIR, Errno::ENOTDIR, Errno::EACCES, Errno::EPERM];
    error.raw_os_error().is_some_and(|errno| strange.contains(&Errno::from_raw(errno)))
}

fn is_pristine(name: BlobName, meta: &Metadata) -> bool {
    meta.is_file() && meta.mode() & 0o7777 == name.mode() && has_fixed_time(meta)
}

fn has_fixed_time(meta: &Metadata) -> bool {
    u64::try_from(meta.mtime()) == Ok(FIXED_TIME) && meta.mtime_nsec() == 0
}

fn is_plainly(file: &File, size: u64) -> bool {
    file.metadata().is_ok_and(|meta| meta.len() == size && has_fixed_time(&meta))
}

/// Sets a mode whatever the umask, and the time to [`FIXED_TIME`].
pub(super) fn set_mode_and_time(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))?;
    set_time(file)
}

/// Sets the modification time to [`FIXED_TIME`].
pub(super) fn set_time(file: &File) -> io::Result<()> {
    file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(FIXED_TIME)))
}

/// The digest and length of what is left to read in `file`. An error if `deadline` expires meanwhile.
pub(super) fn hash(file: &mut File, deadline: &Deadline) -> io::Result<(BlobDigest, u64)> {
    copy_hashing(file, &mut io::sink(), deadline)
}

fn copy_hashing(
    from: &mut File,
    to: &mut impl io::Write,
    deadline: &Deadline,
) -> io::Result<(BlobDigest, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        deadline.check().map_err(io::Error::other)?;
        let length = match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        if length == 0 {
            return Ok((BlobDigest::from_bytes(*hasher.finalize().as_bytes()), hasher.count()));
        }
        hasher.update(&buffer[..length]);
        to.write_all(&buffer[..length])?;
    }
}
