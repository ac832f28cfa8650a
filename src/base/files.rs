//! Removing trees that somebody else has made: as deep and as large as they like, with folders that nobody may write to.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, renameat, unlinkat};
use rustix::io::Errno;

use crate::beneath::Folder;
use crate::deadline::Deadline;

/// Removes `path` and all below it, folders without write permission included. Nothing there is fine.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    remove_tree_until(path, &Deadline::NEVER)
}

/// The same until `deadline`, which makes it an error: then a part is still there, not always where it was.
pub fn remove_tree_until(path: &Path, deadline: &Deadline) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            let top = path.file_name().ok_or(ErrorKind::InvalidInput)?;
            empty(&writable(&Folder::open(&path.with_file_name("."))?, top)?, deadline)
                .and_then(|()| fs::remove_dir(path))
        }
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Removes what is in `top`. A folder in a folder in it is moved up into it, so that however deep a tree is, no path gets
/// long, no stack deep, and two folders are open at a time.
fn empty(top: &Folder, deadline: &Deadline) -> io::Result<()> {
    let mut folders = remove_files(top, deadline)?;
    let mut moved = 0_u64;
    while let Some(name) = folders.pop() {
        if remove_folder(top, &name)? {
            continue;
        }
        let folder = writable(top, &name)?;
        for inner in remove_files(&folder, deadline)? {
            if remove_folder(&folder, &inner)? {
                continue;
            }
            // A folder that is moved must be writable itself: its `..` changes.
            writable(&folder, &inner)?;
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
fn remove_files(folder: &Folder, deadline: &Deadline) -> io::Result<Vec<OsString>> {
    let mut folders = Vec::new();
    for (name, kind) in folder.entries(Path::new(""))? {
        deadline.check().map_err(io::Error::other)?;
        if kind == FileType::Directory {
            folders.push(name);
            continue;
        }
        match unlinkat(folder, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(folders)
}

/// Removes an empty folder; says whether it is gone.
fn remove_folder(folder: &Folder, name: &OsStr) -> io::Result<bool> {
    match unlinkat(folder, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// The folder `name`, no link, whose owner may do everything with it.
fn writable(folder: &Folder, name: &OsStr) -> io::Result<Folder> {
    let folder = folder.folder(Path::new(name))?;
    folder.allow(Path::new(""), 0o700)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
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
        let handle = OFlags::PATH.union(OFlags::DIRECTORY);
        let mut folder = openat(CWD, &top, handle, Mode::empty()).unwrap();
        for _ in 0..10_000 {
            mkdirat(&folder, "d", Mode::RWXU).unwrap();
            folder = openat(&folder, "d", handle, Mode::empty()).unwrap();
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
