//! Removing trees that somebody else has made: as deep and as large as they like, with folders that nobody may write to.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::deadline::Deadline;

const HANDLE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Removes `path` and all below it, folders without write permission included. Nothing there is fine.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    remove_tree_until(path, &Deadline::NEVER)
}

/// The same until `deadline`, which makes it an error: then a part is still there, not always where it was.
pub fn remove_tree_until(path: &Path, deadline: &Deadline) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            empty(&writable(CWD, path.as_os_str())?, deadline).and_then(|()| fs::remove_dir(path))
        }
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Removes what is in `top`. A folder in a folder in it is moved up into it, so that however deep a tree is, no path gets
/// long, no stack deep, and two folders are open at a time.
fn empty(top: &OwnedFd, deadline: &Deadline) -> io::Result<()> {
    let mut folders = remove_files(top, deadline)?;
    let mut moved = 0_u64;
    while let Some(name) = folders.pop() {
        if remove_folder(top, &name)? {
            continue;
        }
        let folder = writable(top.as_fd(), &name)?;
        for inner in remove_files(&folder, deadline)? {
            if remove_folder(&folder, &inner)? {
                continue;
            }
            // A folder that is moved must be writable itself: its `..` changes.
            writable(folder.as_fd(), &inner)?;
            loop {
                let target = OsString::from(format!(".removed.{moved}"));
                moved += 1;
                match renameat(&folder, &inner, top, &target) {
                    Ok(()) => folders.push(target),
                    // Something is called so.
                    Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => continue,
                    Err(errno) => return Err(errno.into()),
                }
                break;
            }
        }
        if !remove_folder(top, &name)? {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
    }
    Ok(())
}

/// Removes what is no folder; returns the names of folders.
fn remove_files(folder: &OwnedFd, deadline: &Deadline) -> io::Result<Vec<OsString>> {
    let mut folders = Vec::new();
    for (name, kind) in list(folder)? {
        deadline.check().map_err(io::Error::other)?;
        if kind == FileType::Directory {
            folders.push(name);
            continue;
        }
        match unlinkat(folder, &name, AtFlags::empty()) {
            // Not every file system tells what is a folder.
            Err(Errno::ISDIR) => folders.push(name),
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(folders)
}

/// Removes an empty folder; says whether it is gone.
fn remove_folder(folder: &OwnedFd, name: &OsStr) -> io::Result<bool> {
    match unlinkat(folder, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn list(folder: &OwnedFd) -> io::Result<Vec<(OsString, FileType)>> {
    let mut found = Vec::new();
    for entry in Dir::new(openat(folder, ".", LIST, Mode::empty())?)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            found.push((OsString::from_vec(entry.file_name().to_bytes().to_owned()), entry.file_type()));
        }
    }
    Ok(found)
}

/// The folder `name`, no link, whose owner may do everything with it.
fn writable(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let handle = openat(folder, name, HANDLE, Mode::empty())?;
    let mode = fstat(&handle)?.st_mode & 0o7777;
    if mode & 0o700 != 0o700 {
        // The mode of what is not opened can be set by this name alone.
        let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
        fs::set_permissions(path, Permissions::from_mode(mode | 0o700))?;
    }
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::mkdirat;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn all_goes_but_what_links_lead_to() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        fs::create_dir_all(top.join("a/b/.removed.0/x")).unwrap();
        fs::create_dir_all(top.join(".removed.1/x")).unwrap();
        for file in ["a/f", "a/b/f", "a/b/c/f", ".removed.2"] {
            fs::write(top.join(file), "").unwrap();
        }
        fs::write(place.path().join("other"), "kept").unwrap();
        symlink(place.path(), top.join("a/link")).unwrap();
        symlink("/nowhere", top.join("a/b/c/dangling")).unwrap();
        for (folder, mode) in [("a/b/c", 0o000), ("a/b", 0o500), ("a", 0o100)] {
            fs::set_permissions(top.join(folder), Permissions::from_mode(mode)).unwrap();
        }
        remove_tree(&top).unwrap();
        assert!(!top.exists());
        assert_eq!(fs::read(place.path().join("other")).unwrap(), b"kept");

        remove_tree(&top).unwrap();
        symlink("other", &top).unwrap();
        remove_tree(&top).unwrap();
        assert!(top.symlink_metadata().is_err() && place.path().join("other").exists());
    }

    #[test]
    fn a_tree_may_be_deeper_than_any_path_is_long() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        fs::create_dir(&top).unwrap();
        let mut folder = openat(CWD, &top, HANDLE, Mode::empty()).unwrap();
        for _ in 0..10_000 {
            mkdirat(&folder, "d", Mode::RWXU).unwrap();
            folder = openat(&folder, "d", HANDLE, Mode::empty()).unwrap();
        }
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn a_deadline_is_heard_and_the_rest_can_be_removed_later() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/b/f"), "").unwrap();
        let stopped = Deadline::new(&Arc::new(AtomicBool::new(true)), None);
        assert_eq!(remove_tree_until(&top, &stopped).unwrap_err().to_string(), "stopped");
        assert!(top.exists());
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }
}
