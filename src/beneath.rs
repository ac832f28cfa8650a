//! Opens files that somebody else names: a recipe, a layout, an archive's tree. In goes a folder and a name, out comes a
//! plain file that lies in the folder.
//!
//! A name cannot lead out of the folder, by `..`, an absolute path or a link on the way. What is no plain file (a pipe,
//! a device) is refused before anything is read, so that nothing blocks and nothing is endless.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// The largest file that is read whole, in bytes. The largest that any recipe names is a licence text of 60 KiB.
const LARGEST: u64 = 64 << 20;
/// A pipe that nobody writes to does not block, and a terminal does not become ours.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

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
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    loop {
        return match openat2(&folder, name, READ, Mode::empty(), beneath) {
            Ok(file) => plain(file),
            // Something was renamed at that moment, and the kernel could not tell whether it leads out.
            Err(Errno::AGAIN) => continue,
            Err(Errno::XDEV) => Err(leaves()),
            // Linux before 5.6, or a container whose filter does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => plain(step_by_step(folder, name)?),
            Err(errno) => Err(errno.into()),
        };
    }
}

/// The same without `openat2`: one part of the name after the other, none of which may be a link.
fn step_by_step(mut folder: OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let mut parts = Path::new(name).components().peekable();
    while let Some(part) = parts.next() {
        let part = match part {
            Component::Normal(part) => part,
            Component::CurDir => continue,
            _ => return Err(leaves()),
        };
        let flags = if parts.peek().is_some() { FOLDER } else { READ };
        folder =
            openat(folder.as_fd(), part, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(
                |errno| match errno {
                    Errno::LOOP => io::Error::new(ErrorKind::InvalidInput, "a link is on the way"),
                    errno => errno.into(),
                },
            )?;
    }
    Ok(folder)
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

fn contents(file: File) -> io::Result<Vec<u8>> {
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
    const OPENERS: [Opener; 2] =
        [open, |folder, name| plain(step_by_step(openat(CWD, folder, FOLDER, Mode::empty())?, name)?)];

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
}
