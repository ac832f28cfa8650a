//! Patches onto a tree: unified diffs of many files, as `diff -Nur` and git write them, at strip level 1.
//!
//! Every hunk must apply exactly, though not at the very line; nothing is written unless all of them do. Files keep
//! their modification times and new ones get that of the tree's root, so that a patch makes no build system rerun
//! things by accident.

mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use parse::{FilePatch, Hunk, parse};

/// Raised when a patch cannot be read or does not fit.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// No diff in it.
    #[error("patch `{patch}` changes no files")]
    Empty {
        /// The patch.
        patch: String,
    },
    /// Not a unified diff.
    #[error("patch `{patch}`, line {line}: {why}")]
    Malformed {
        /// The patch.
        patch: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// A file name that leaves the tree.
    #[error("patch `{patch}`, line {line}: `{file}` is refused: {why}")]
    Name {
        /// The patch.
        patch: String,
        /// The line, counted from 1.
        line: usize,
        /// The name.
        file: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file to change is not there.
    #[error("patch `{patch}`, line {line}: there is no file `{file}` to change")]
    Missing {
        /// The patch.
        patch: String,
        /// The line, counted from 1.
        line: usize,
        /// The file.
        file: String,
    },
    /// The file to make is there already.
    #[error("patch `{patch}`, line {line}: `{file}` is to be made, but is there already")]
    Exists {
        /// The patch.
        patch: String,
        /// The line, counted from 1.
        line: usize,
        /// The file.
        file: String,
    },
    /// A hunk does not fit.
    #[error(
        "patch `{patch}`, line {line}: hunk {hunk} does not fit `{file}`; expected around line {at}:\n{expected}"
    )]
    Hunk {
        /// The patch.
        patch: String,
        /// The line of the hunk in the patch, counted from 1.
        line: usize,
        /// Which hunk of the file, counted from 1.
        hunk: usize,
        /// The file.
        file: String,
        /// The line in the file where the hunk should fit.
        at: usize,
        /// The lines that should be there, and whether they end otherwise than those of the file.
        expected: String,
    },
    /// A file that is to be deleted has more in it than the patch knows.
    #[error("patch `{patch}`, line {line}: `{file}` is to be deleted, but has other contents")]
    NotEmptied {
        /// The patch.
        patch: String,
        /// The line, counted from 1.
        line: usize,
        /// The file.
        file: String,
    },
    /// A file could not be read or written.
    #[error("cannot patch `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A file while the patch is worked out; `contents` is `None` once it is deleted, `mode` if it never was there.
#[derive(Clone)]
struct Draft {
    contents: Option<Vec<u8>>,
    mode: Option<u32>,
}

/// Applies the patch `text`, called `name` in errors, to the tree `dir`, leaving out the first component of its file
/// names.
pub fn apply_patch(dir: &Path, name: &str, text: &str) -> Result<(), PatchError> {
    let patches = parse(name, text)?;
    let mut tree = Tree { dir, patch: name, drafts: BTreeMap::new() };
    for patch in &patches {
        tree.apply(patch)?;
    }
    tree.write()
}

struct Tree<'a> {
    dir: &'a Path,
    patch: &'a str,
    drafts: BTreeMap<String, Draft>,
}

impl Tree<'_> {
    fn apply(&mut self, patch: &FilePatch<'_>) -> Result<(), PatchError> {
        let line = patch.line;
        let malformed = |why| PatchError::Malformed { patch: self.patch.to_owned(), line, why };
        let source = match (&patch.old, &patch.new) {
            (Some(_), None) if patch.renames => {
                return Err(malformed("a rename or a copy names two files"));
            }
            (Some(old), Some(new))
                if old != new && !patch.renames && self.read(new, line)?.contents.is_some() =>
            {
                new
            }
            (Some(old), _) => old,
            (None, Some(new)) => new,
            (None, None) => return Err(malformed("no file is named")),
        };
        let draft = self.read(source, line)?;
        let new_file = patch.old.is_none() || (draft.contents.is_none() && patch.starts_from_nothing());
        let before = match (draft.contents, new_file) {
            (Some(contents), true) if !contents.is_empty() => {
                return Err(PatchError::Exists { patch: self.patch.to_owned(), line, file: source.clone() });
            }
            (_, true) => Vec::new(),
            (Some(contents), false) => contents,
            (None, false) => {
                return Err(PatchError::Missing { patch: self.patch.to_owned(), line, file: source.clone() });
            }
        };
        let after = self.apply_hunks(source, &before, &patch.hunks)?;
        let mode = patch.mode.or(draft.mode);
        if patch.new.is_none() || (patch.emptied_by_time && after.is_empty()) {
            if !after.is_empty() {
                return Err(PatchError::NotEmptied {
                    patch: self.patch.to_owned(),
                    line,
                    file: source.clone(),
                });
            }
            self.drafts.insert(source.clone(), Draft { contents: None, mode });
            return Ok(());
        }
        let target = match &patch.new {
            Some(new) if patch.renames => {
                if self.read(new, line)?.contents.is_some() {
                    let (patch, file) = (self.patch.to_owned(), new.clone());
                    return Err(PatchError::Exists { patch, line, file });
                }
                if !patch.copies {
                    self.drafts.insert(source.clone(), Draft { contents: None, mode });
                }
                new
            }
            _ => source,
        };
        self.make_room(target, line)?;
        self.drafts.insert(target.clone(), Draft { contents: Some(after), mode });
        Ok(())
    }

    /// Refuses a file where the patch has made a folder, and one in a folder where it has made a file.
    fn make_room(&self, file: &str, line: usize) -> Result<(), PatchError> {
        let is_file = |name: &str| self.drafts.get(name).is_some_and(|draft| draft.contents.is_some());
        let below = format!("{file}/");
        let mut inside =
            self.drafts.range(below.clone()..).take_while(|(other, _)| other.starts_with(&below));
        let is_folder = inside.any(|(_, draft)| draft.contents.is_some());
        let in_a_file = file.match_indices('/').any(|(end, _)| is_file(&file[..end]));
        if !is_folder && !in_a_file {
            return Ok(());
        }
        let (patch, file) = (self.patch.to_owned(), file.to_owned());
        Err(PatchError::Name { patch, line, file, why: "one path would be a file and a folder" })
    }

    fn apply_hunks(&self, file: &str, before: &[u8], hunks: &[Hunk<'_>]) -> Result<Vec<u8>, PatchError> {
        let apply = |hunks: &[Hunk<'_>]| {
            let mut text = "--- a\n+++ b\n".to_owned();
            text.extend(hunks.iter().map(|hunk| hunk.text.as_str()));
            let patch = diffy::Patch::from_bytes(text.as_bytes()).ok()?;
            diffy::apply_bytes(before, &patch).ok()
        };
        if hunks.is_empty() {
            return Ok(before.to_vec());
        }
        if let Some(after) = apply(hunks) {
            return Ok(after);
        }
        // Which one it was is told by applying more and more of them.
        let failing =
            (1..=hunks.len()).find(|count| apply(&hunks[..*count]).is_none()).unwrap_or(hunks.len());
        let hunk = &hunks[failing - 1];
        let ends = match (hunk.ends_in_crlf(), before.windows(2).any(|two| two == b"\r\n")) {
            (true, false) => "\nthe patch has CRLF line ends, the file has LF",
            (false, true) => "\nthe patch has LF line ends, the file has CRLF",
            _ => "",
        };
        Err(PatchError::Hunk {
            patch: self.patch.to_owned(),
            line: hunk.line,
            hunk: failing,
            file: file.to_owned(),
            at: hunk.old_start,
            expected: hunk.expected() + ends,
        })
    }

    /// The file as it is by now, from an earlier part of the patch or from the disk.
    fn read(&self, file: &str, line: usize) -> Result<Draft, PatchError> {
        if let Some(draft) = self.drafts.get(file) {
            return Ok(draft.clone());
        }
        let mut path = self.dir.to_owned();
        for component in file.split('/') {
            path.push(component);
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_symlink() => {
                    return Err(PatchError::Name {
                        patch: self.patch.to_owned(),
                        line,
                        file: file.to_owned(),
                        why: "a symlink is in the way",
                    });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Draft { contents: None, mode: None });
                }
                Err(source) => return Err(PatchError::Io { path, source }),
            }
        }
        let found = fs::metadata(&path).and_then(|metadata| Ok((fs::read(&path)?, metadata)));
        let (contents, metadata) = found.map_err(|source| PatchError::Io { path, source })?;
        Ok(Draft { contents: Some(contents), mode: Some(metadata.permissions().mode() & 0o7777) })
    }

    fn write(self) -> Result<(), PatchError> {
        let mut times = Times::default();
        times.note(self.dir, self.dir)?;
        for (file, draft) in &self.drafts {
            let path = self.dir.join(file);
            let failed = |source| PatchError::Io { path: path.clone(), source };
            for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(self.dir)) {
                times.note(folder, self.dir)?;
            }
            let Some(contents) = &draft.contents else {
                match fs::remove_file(&path) {
                    // It was made and deleted by the patch, and its folder may have become a file since.
                    Err(error) if !is_absent(&error) => return Err(failed(error)),
                    _ => continue,
                }
            };
            times.note(&path, self.dir)?;
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(failed)?;
            }
            fs::write(&path, contents).map_err(failed)?;
            let mode = fs::Permissions::from_mode(draft.mode.unwrap_or(0o644));
            fs::set_permissions(&path, mode).map_err(failed)?;
        }
        for folder in self.drafts.keys().filter_map(|file| self.dir.join(file).parent().map(Path::to_owned)) {
            remove_if_empty(&folder, self.dir);
        }
        times.restore()
    }
}

/// Whether nothing is there, nor can be because what is above it is a file.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// As git and patch do: a folder goes with its last file.
fn remove_if_empty(folder: &Path, root: &Path) {
    let mut folder = folder;
    while folder != root && fs::remove_dir(folder).is_ok() {
        let Some(parent) = folder.parent() else { return };
        folder = parent;
    }
}

/// The times that files and folders had, or are to have.
#[derive(Default)]
struct Times(BTreeMap<PathBuf, FileTimes>);

impl Times {
    /// Remembers the times of `path`; those of `root` if it is not there yet.
    fn note(&mut self, path: &Path, root: &Path) -> Result<(), PatchError> {
        if self.0.contains_key(path) {
            return Ok(());
        }
        let times = |path: &Path| {
            let modified = fs::metadata(path)?.modified()?;
            Ok::<_, io::Error>(FileTimes::new().set_accessed(modified).set_modified(modified))
        };
        let found = match times(path) {
            Err(error) if is_absent(&error) => match self.0.get(root) {
                Some(root) => *root,
                None => times(root).map_err(|source| PatchError::Io { path: root.to_owned(), source })?,
            },
            other => other.map_err(|source| PatchError::Io { path: path.to_owned(), source })?,
        };
        self.0.insert(path.to_owned(), found);
        Ok(())
    }

    fn restore(self) -> Result<(), PatchError> {
        for (path, times) in self.0 {
            let set = File::open(&path).and_then(|file| file.set_times(times));
            match set {
                Err(error) if !is_absent(&error) => return Err(PatchError::Io { path, source: error }),
                _ => {}
            }
        }
        Ok(())
    }
}
