//! A folder to work in, and what is in it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// One thing on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// The type and the permissions, as `stat` has them.
    pub(crate) mode: u32,
    /// Seconds since 1970.
    pub(crate) mtime: i64,
    /// The names that a file has.
    pub(crate) links: u64,
    /// The contents of a file, the target of a link.
    pub(crate) bytes: Vec<u8>,
}

impl Node {
    pub(crate) fn is_folder(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    pub(crate) fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    pub(crate) fn is_link(&self) -> bool {
        self.mode & 0o170_000 == 0o120_000
    }
}

/// Everything below `root`, and `root` itself under the empty path; what is below `but` is left out.
pub(crate) fn snapshot(root: &Path, but: Option<&Path>) -> BTreeMap<String, Node> {
    let walk = walkdir::WalkDir::new(root).into_iter();
    let entries = walk.filter_entry(|entry| but.is_none_or(|but| entry.path() != but));
    entries
        .map(|entry| {
            let path = entry.unwrap().into_path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let bytes = if metadata.is_file() {
                fs::read(&path).unwrap()
            } else if metadata.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else {
                Vec::new()
            };
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let links = if metadata.is_file() { metadata.nlink() } else { 1 };
            (name, Node { mode: metadata.mode(), mtime: metadata.mtime(), links, bytes })
        })
        .collect()
}
