//! Writes entries below a folder that starts out empty, so that what has been written is known and nothing is followed
//! by accident.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use base::deadline::Deadline;

use super::UnpackError;
use super::names::resolve;

/// How many symlinks may follow each other, as for Linux.
const LINKS: usize = 40;

/// The most entries that are written, the folders above them included: nearly ten times what the largest source has, gcc's
/// (10,999). Each costs the machine a name to make and to remove, however small it is.
const MOST: usize = 100_000;

enum Kind {
    Folder,
    File { executable: bool },
    Symlink { target: String },
}

/// The tree that is being written.
pub(super) struct Writer {
    root: PathBuf,
    mtime: i64,
    times: FileTimes,
    entries: BTreeMap<String, Kind>,
    bytes: u64,
    limit: u64,
    most: usize,
    deadline: Deadline,
    buffer: Vec<u8>,
}

impl Writer {
    pub(super) fn new(root: &Path, mtime: i64, limit: u64, deadline: &Deadline) -> Result<Self, UnpackError> {
        let failed = |source| UnpackError::Write { path: root.to_owned(), source };
        fs::create_dir_all(root).map_err(failed)?;
        if fs::read_dir(root).map_err(failed)?.next().is_some() {
            return Err(UnpackError::NotEmpty { path: root.to_owned() });
        }
        let offset = Duration::from_secs(mtime.unsigned_abs());
        let epoch = SystemTime::UNIX_EPOCH;
        let time =
            if mtime < 0 { epoch.checked_sub(offset) } else { epoch.checked_add(offset) }.unwrap_or(epoch);
        Ok(Self {
            root: root.to_owned(),
            mtime,
            times: FileTimes::new().set_accessed(time).set_modified(time),
            entries: BTreeMap::new(),
            bytes: 0,
            limit,
            most: MOST,
            deadline: deadline.clone(),
            buffer: vec![0; 128 << 10],
        })
    }

    pub(super) fn folder(&mut self, name: &str) -> Result<(), UnpackError> {
        match self.entries.get(name) {
            Some(Kind::Folder) => return Ok(()),
            Some(_) => return Err(UnpackError::Duplicate { entry: name.to_owned() }),
            None => {}
        }
        self.parents(name)?;
        self.make_folder(name)
    }

    /// Counts an entry that will be written, or a folder that is made for one.
    fn enter(&mut self, name: &str, kind: Kind) -> Result<(), UnpackError> {
        self.entries.insert(name.to_owned(), kind);
        if self.entries.len() > self.most {
            return Err(UnpackError::TooManyEntries { limit: self.most as u64 });
        }
        Ok(())
    }

    pub(super) fn file(
        &mut self,
        name: &str,
        executable: bool,
        contents: &mut impl Read,
    ) -> Result<(), UnpackError> {
        let path = self.make_way(name)?;
        let mode = if executable { 0o755 } else { 0o644 };
        let failed = |source| UnpackError::Write { path: path.clone(), source };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let mut file = file.map_err(failed)?;
        loop {
            let count = match contents.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(UnpackError::Format(error)),
            };
            self.deadline.check()?;
            self.bytes += count as u64;
            if self.bytes > self.limit {
                return Err(UnpackError::TooLarge { entry: name.to_owned(), limit: self.limit });
            }
            file.write_all(&self.buffer[..count]).map_err(failed)?;
        }
        self.settle(&file, mode).map_err(failed)?;
        self.enter(name, Kind::File { executable })
    }

    pub(super) fn symlink(&mut self, name: &str, target: &str) -> Result<(), UnpackError> {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        if resolve(folder, target).is_none() {
            return Err(UnpackError::LinkLeaves { entry: name.to_owned(), target: target.to_owned() });
        }
        if self.entries.contains_key(name) {
            return Err(UnpackError::Duplicate { entry: name.to_owned() });
        }
        let path = self.make_way(name)?;
        symlink(target, &path).map_err(|source| UnpackError::Write { path: path.clone(), source })?;
        self.enter(name, Kind::Symlink { target: target.to_owned() })?;
        self.settle_path(&path)
    }

    /// A hard link becomes a copy: two names of one file would not survive the way through the store.
    pub(super) fn hard_link(&mut self, name: &str, target: &str) -> Result<(), UnpackError> {
        let Some(Kind::File { executable }) = self.entries.get(target) else {
            return Err(UnpackError::HardLinkTarget { entry: name.to_owned(), target: target.to_owned() });
        };
        if name == target {
            return Ok(());
        }
        let executable = *executable;
        let path = self.root.join(target);
        let mut contents = File::open(&path).map_err(|source| UnpackError::Read { path, source })?;
        self.file(name, executable, &mut contents)
    }

    /// Checks where the symlinks lead now that all of them are known, and sets the times of the folders.
    pub(super) fn finish(self) -> Result<(), UnpackError> {
        for (name, kind) in &self.entries {
            self.deadline.check()?;
            if let Kind::Symlink { target } = kind {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                if !self.stays_inside(folder, target) {
                    return Err(UnpackError::LinkLeaves { entry: name.clone(), target: target.clone() });
                }
            }
        }
        let folders = self.entries.iter().filter(|(_, kind)| matches!(kind, Kind::Folder));
        for path in folders.map(|(name, _)| self.root.join(name)).chain([self.root.clone()]) {
            self.settle_path(&path)?;
        }
        Ok(())
    }

    /// Follows a target as the kernel would, through other links. By name alone `l/..` is inside even where `l` is a
    /// link to the root.
    fn stays_inside(&self, folder: &str, target: &str) -> bool {
        let components = |path: &str| path.split('/').map(str::to_owned).rev().collect::<Vec<_>>();
        let mut here: Vec<String> =
            folder.split('/').filter(|component| !component.is_empty()).map(str::to_owned).collect();
        let mut ahead = components(target);
        let mut followed = 0;
        while let Some(component) = ahead.pop() {
            match component.as_str() {
                "" | "." => continue,
                ".." => {
                    if here.pop().is_none() {
                        return false;
                    }
                    continue;
                }
                _ => here.push(component),
            }
            if let Some(Kind::Symlink { target }) = self.entries.get(&here.join("/")) {
                followed += 1;
                if followed > LINKS {
                    // A loop leads nowhere, so not outside either.
                    return true;
                }
                here.pop();
                ahead.extend(components(target));
            }
        }
        true
    }

    /// Makes the folders above a file or link and removes an earlier file of the same name: the last one wins.
    fn make_way(&mut self, name: &str) -> Result<PathBuf, UnpackError> {
        self.parents(name)?;
        let path = self.root.join(name);
        match self.entries.get(name) {
            None => {}
            Some(Kind::File { .. }) => {
                fs::remove_file(&path).map_err(|source| UnpackError::Write { path: path.clone(), source })?;
            }
            Some(_) => return Err(UnpackError::Duplicate { entry: name.to_owned() }),
        }
        Ok(path)
    }

    fn parents(&mut self, name: &str) -> Result<(), UnpackError> {
        let Some((parent, _)) = name.rsplit_once('/') else { return Ok(()) };
        match self.entries.get(parent) {
            Some(Kind::Folder) => Ok(()),
            Some(_) => Err(UnpackError::ThroughLink { entry: name.to_owned(), parent: parent.to_owned() }),
            None => {
                self.parents(parent).map_err(|error| match error {
                    UnpackError::ThroughLink { parent, .. } => {
                        UnpackError::ThroughLink { entry: name.to_owned(), parent }
                    }
                    other => other,
                })?;
                self.make_folder(parent)
            }
        }
    }

    fn make_folder(&mut self, name: &str) -> Result<(), UnpackError> {
        let path = self.root.join(name);
        let made = fs::create_dir(&path)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)));
        made.map_err(|source| UnpackError::Write { path, source })?;
        self.enter(name, Kind::Folder)
    }

    /// Sets the mode whatever the umask, and the times.
    fn settle(&self, file: &File, mode: u32) -> io::Result<()> {
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.set_times(self.times)
    }

    /// Sets the times of a folder, or of a symlink itself.
    fn settle_path(&self, path: &Path) -> Result<(), UnpackError> {
        let time = TimeSpec::new(self.mtime, 0);
        utimensat(AT_FDCWD, path, &time, &time, UtimensatFlags::NoFollowSymlink)
            .map_err(|errno| UnpackError::Write { path: path.to_owned(), source: errno.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_come_along_count_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path(), 0, 1, &Deadline::NEVER).unwrap();
        writer.most = 5;
        writer.file("a/b/c", false, &mut io::empty()).unwrap();
        writer.file("a/b/d", false, &mut io::empty()).unwrap();
        writer.symlink("l", "a").unwrap();
        writer.folder("a/b").unwrap();
        let error = writer.folder("e").unwrap_err();
        assert!(matches!(error, UnpackError::TooManyEntries { limit: 5 }), "{error}");
    }
}
