//! Opens files that somebody else names: a recipe, a layout, an archive's tree. In goes a folder and a name, out comes a
//! plain file that lies in the folder.
//!
//! A name cannot lead out of the folder, by `..`, an absolute path or a link on the way. What is no plain file (a pipe,
//! a device) is refused before anything is read, so that nothing blocks and nothing is endless.
//!
//! A [`Folder`] is stricter, for folders in which a build has run: it is held open, so that what is done in it is done
//! there whatever its path leads to by now, and no link is followed in it at all.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat, renameat,
    statat,
};
use rustix::io::Errno;

/// The largest file that is read whole, in bytes. The largest that any recipe names is a licence text of 60 KiB.
const LARGEST: u64 = 64 << 20;
/// A pipe that nobody writes to does not block, and a terminal does not become ours.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// What is there, without opening it.
const HANDLE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const WRITE: OFlags = OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// The contents of the plain file `name` in `folder`.
pub fn read(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    contents(open(folder, name)?)
}

/// The text of the plain file `name` in `folder`, which must be UTF-8.
pub fn read_to_string(folder: &Path, name: &str) -> io::Result<String> {
    text(read(folder, name)?)
}

/// The text of a plain file of a checkout. If it is a link, that stays in the folder of `path`.
pub fn read_own(path: &Path) -> io::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidInput)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    read_to_string(folder.unwrap_or(Path::new(".")), name)
}

/// Opens the plain file that the user names, wherever it is and whatever links lead there.
pub fn open_named(path: &Path) -> io::Result<File> {
    plain(openat(CWD, path, READ, Mode::empty())?)
}

/// The contents of the plain file that the user names, of any size.
pub fn read_named(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_named(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of the plain file that the user names: UTF-8, and of no more than 64 MiB.
pub fn read_named_to_string(path: &Path) -> io::Result<String> {
    text(contents(open_named(path)?)?)
}

/// Opens the plain file `name` in `folder`, for reading.
fn open(folder: &Path, name: &str) -> io::Result<File> {
    let folder = openat(CWD, folder, FOLDER, Mode::empty())?;
    plain(resolve(folder.as_fd(), Path::new(name), READ, ResolveFlags::empty())?)
}

/// Opens `name` beneath `folder`, with the rules of `more` besides.
fn resolve(folder: BorrowedFd<'_>, name: &Path, flags: OFlags, more: ResolveFlags) -> io::Result<OwnedFd> {
    let rules = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | more;
    loop {
        return match openat2(folder, name, flags, mode(flags), rules) {
            Ok(file) => Ok(file),
            // Something was renamed at that moment, and the kernel could not tell whether it leads out.
            Err(Errno::AGAIN) => continue,
            Err(Errno::XDEV) => Err(leaves()),
            Err(Errno::LOOP) => Err(on_the_way()),
            // Linux before 5.6, or a container whose filter does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => step_by_step(folder, name, flags),
            Err(errno) => Err(errno.into()),
        };
    }
}

/// The same without `openat2`: one part of the name after the other, none of which may be a link.
fn step_by_step(folder: BorrowedFd<'_>, name: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let mut folder = folder.try_clone_to_owned()?;
    let mut parts = name.components().peekable();
    while let Some(part) = parts.next() {
        let part = match part {
            Component::Normal(part) => part,
            Component::CurDir => Path::new(".").as_os_str(),
            _ => return Err(leaves()),
        };
        let flags = if parts.peek().is_some() { FOLDER } else { flags };
        let is_link = |folder: &OwnedFd| {
            statat(folder, part, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink)
        };
        folder = match openat(&folder, part, flags | OFlags::NOFOLLOW, mode(flags)) {
            Ok(next) => next,
            Err(Errno::LOOP | Errno::NOTDIR) if is_link(&folder) => return Err(on_the_way()),
            Err(errno) => return Err(errno.into()),
        };
    }
    Ok(folder)
}

/// The mode of what is made with these flags.
fn mode(flags: OFlags) -> Mode {
    if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o644) } else { Mode::empty() }
}

/// A folder that is held open. Paths in it are relative; a link on the way is an error of the kind `InvalidInput`, as is
/// what is no plain file where one is wanted.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    handle: OwnedFd,
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl Folder {
    /// The folder at `path`, which may lead there by links.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), handle: openat(CWD, path, FOLDER, Mode::empty())? })
    }

    /// Where it was when it was opened, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it.
    pub fn folder(&self, path: &Path) -> io::Result<Self> {
        Ok(Self { path: self.path.join(path), handle: self.resolve(path, FOLDER)? })
    }

    /// What is in the folder `path`, in no order.
    pub fn entries(&self, path: &Path) -> io::Result<Vec<(OsString, FileType)>> {
        let path = if path == Path::new("") { Path::new(".") } else { path };
        let folder = self.resolve(path, READ | OFlags::DIRECTORY)?;
        let mut found = Vec::new();
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                // Not every file system tells.
                FileType::Unknown => {
                    let found = statat(&folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(found.st_mode)
                }
                known => known,
            };
            found.push((OsString::from_vec(entry.file_name().to_bytes().to_owned()), kind));
        }
        Ok(found)
    }

    /// Opens a plain file for reading.
    pub fn file(&self, path: &Path) -> io::Result<File> {
        plain(self.resolve(path, READ)?)
    }

    /// The contents of a plain file of no more than 64 MiB.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        contents(self.file(path)?)
    }

    /// Makes a plain file, or replaces the contents of one.
    pub fn write(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        let mut file = plain(self.resolve(path, WRITE)?)?;
        file.set_len(0)?;
        file.write_all(contents)
    }

    /// Where a link leads.
    pub fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let target = readlinkat(self.resolve(path, HANDLE)?, "", Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// The size of what is at `path`, in bytes, holes included.
    pub fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(u64::try_from(fstat(self.resolve(path, HANDLE)?)?.st_size).unwrap_or(0))
    }

    /// Gives the owner these rights on a file or folder besides those that he has.
    pub fn allow(&self, path: &Path, rights: u32) -> io::Result<()> {
        let handle = if path == Path::new("") { None } else { Some(self.resolve(path, HANDLE)?) };
        let handle = handle.as_ref().unwrap_or(&self.handle);
        let mode = fstat(handle)?.st_mode;
        if FileType::from_raw_mode(mode) == FileType::Symlink {
            return Err(on_the_way());
        }
        let mode = mode & 0o7777;
        if mode & rights == rights {
            return Ok(());
        }
        // The mode of what is not opened can be set by this name alone.
        let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
        fs::set_permissions(path, Permissions::from_mode(mode | rights))
    }

    /// Moves what is at `path` to `to`, anywhere on the same file system.
    pub fn move_to(&self, path: &Path, to: &Path) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(leaves()) };
        if parent == Path::new("") {
            return Ok(renameat(&self.handle, name, CWD, to)?);
        }
        Ok(renameat(self.resolve(parent, FOLDER)?, name, CWD, to)?)
    }

    /// Whether this very folder is at `path`, and no link.
    pub fn is_at(&self, path: &Path) -> io::Result<bool> {
        let (here, there) = (fstat(&self.handle)?, statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?);
        Ok((here.st_dev, here.st_ino) == (there.st_dev, there.st_ino))
    }

    fn resolve(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        resolve(self.handle.as_fd(), path, flags, ResolveFlags::NO_SYMLINKS)
    }
}

fn on_the_way() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "a link is on the way")
}

fn leaves() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "it leads out of its folder")
}

fn plain(file: OwnedFd) -> io::Result<File> {
    let file = File::from(file);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(ErrorKind::InvalidInput, "it is not a plain file"))
    }
}

/// The contents of a file of no more than 64 MiB.
pub fn contents(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        let message = format!("it has more than {} MiB", LARGEST >> 20);
        return Err(io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error.utf8_error()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    type Opener = fn(&Path, &str) -> io::Result<File>;

    /// With `openat2` and without.
    const OPENERS: [Opener; 2] = [open, |folder, name| {
        let folder = openat(CWD, folder, FOLDER, Mode::empty())?;
        plain(step_by_step(folder.as_fd(), Path::new(name), READ)?)
    }];

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(root.join("sub/file"), "inside").unwrap();
        fs::write(folder.path().join("secret"), "outside").unwrap();
        symlink("file", root.join("sub/link")).unwrap();
        symlink("../../secret", root.join("sub/out")).unwrap();
        symlink("..", root.join("up")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink("/dev/zero", root.join("zero")).unwrap();
        folder
    }

    #[test]
    fn a_file_in_the_folder_is_opened() {
        let folder = tree();
        for opener in OPENERS {
            for name in ["sub/file", "./sub/file", "sub/./file"] {
                assert_eq!(contents(opener(&folder.path().join("root"), name).unwrap()).unwrap(), b"inside");
            }
        }
        assert_eq!(
            read(&folder.path().join("root"), "sub/link").unwrap(),
            b"inside",
            "a link that stays inside"
        );
    }

    #[test]
    fn nothing_leads_out_and_nothing_blocks() {
        let folder = tree();
        let absolute = folder.path().join("secret").display().to_string();
        let hostile = [
            "../secret",
            "sub/../../secret",
            "sub/out",
            "up/secret",
            &absolute,
            "/dev/zero",
            "/proc/self/environ",
            "zero",
            "pipe",
            "sub",
            ".",
            "",
            "sub/none",
            "sub/file/more",
        ];
        for (which, opener) in OPENERS.iter().enumerate() {
            for name in hostile {
                assert!(opener(&folder.path().join("root"), name).is_err(), "`{name}`, opener {which}");
            }
        }
    }

    #[test]
    fn a_file_of_a_checkout_is_plain_and_small_and_its_own() {
        let folder = tree();
        for strange in ["root/pipe", "root/zero", "root/sub/out", "root/..", "root"] {
            assert!(read_own(&folder.path().join(strange)).is_err(), "{strange}");
        }
        assert!(read_own(Path::new("/dev/zero")).is_err());
        assert_eq!(read_own(&folder.path().join("root/sub/link")).unwrap(), "inside");
        let sparse = folder.path().join("sparse");
        File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read_own(&sparse).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_folder_that_is_held_open_is_the_same_whatever_becomes_of_its_path() {
        let folder = tree();
        let place = folder.path().join("root");
        let root = Folder::open(&place).unwrap();
        fs::rename(&place, folder.path().join("moved")).unwrap();
        fs::create_dir(folder.path().join("victim")).unwrap();
        symlink("victim", &place).unwrap();
        assert!(!root.is_at(&place).unwrap());
        assert!(root.is_at(&folder.path().join("moved")).unwrap());

        root.write(Path::new("sub/new"), b"a longer text").unwrap();
        root.write(Path::new("sub/new"), b"new").unwrap();
        assert_eq!(fs::read(folder.path().join("moved/sub/new")).unwrap(), b"new");
        assert_eq!(root.read(Path::new("sub/new")).unwrap(), b"new");
        assert_eq!(root.read_link(Path::new("sub/link")).unwrap(), Path::new("file"));
        let mut entries = root.entries(Path::new("sub")).unwrap();
        entries.sort_by(|left, right| left.0.cmp(&right.0));
        let kinds: Vec<_> = entries.iter().map(|(name, kind)| (name.to_str().unwrap(), *kind)).collect();
        let (file, link) = (FileType::RegularFile, FileType::Symlink);
        assert_eq!(kinds, [("file", file), ("link", link), ("new", file), ("out", link)]);
        root.move_to(Path::new("sub/new"), &folder.path().join("taken")).unwrap();
        assert_eq!(fs::read(folder.path().join("taken")).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path().join("victim")).unwrap().count(), 0);
    }

    #[test]
    fn in_a_folder_that_is_held_open_no_link_is_followed() {
        let folder = tree();
        let root = Folder::open(&folder.path().join("root")).unwrap();
        for link in ["sub/link", "sub/out", "zero", "up/root/sub/file"] {
            let link = Path::new(link);
            assert_eq!(root.read(link).unwrap_err().kind(), ErrorKind::InvalidInput, "{}", link.display());
            assert_eq!(root.write(link, b"x").unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(root.read(Path::new("pipe")).unwrap_err().kind(), ErrorKind::InvalidInput);
        // Nobody reads from the pipe, so that it cannot be written to either.
        root.write(Path::new("pipe"), b"x").unwrap_err();
        assert!(root.folder(Path::new("up")).is_err() && root.entries(Path::new("up")).is_err());
        root.allow(Path::new("sub/out"), 0o777).unwrap_err();
        assert_eq!(fs::read(folder.path().join("secret")).unwrap(), b"outside");
        let step = |name: &str, flags| step_by_step(root.handle.as_fd(), Path::new(name), flags).map(drop);
        assert_eq!(step("up/root", FOLDER).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(step("up", FOLDER).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(step("sub/file/more", FOLDER).unwrap_err().kind(), ErrorKind::NotADirectory);
    }
}
