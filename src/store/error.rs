//! What can go wrong in the store, with the data a reader needs in typed fields.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::listing::ListingError;
use base::deadline::Expired;
use base::digest::{BlobDigest, TreeDigest};

/// Something that the store names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A file's contents.
    Blob(BlobDigest),
    /// The listing of a tree.
    Tree(TreeDigest),
    /// An entry of the action index, by its file name.
    Outcome(String),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(digest) => write!(f, "blob `{digest}`"),
            Self::Tree(digest) => write!(f, "tree `{digest}`"),
            Self::Outcome(name) => write!(f, "outcome `{name}`"),
        }
    }
}

/// Why a file cannot be part of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is a device, a socket or a pipe.
    Special,
    /// It runs with its owner's or group's rights.
    SetId,
    /// Its name or target has a newline or is not UTF-8.
    Name,
    /// Its path is so long that it could not be put everywhere.
    Deep {
        /// How many bytes a path may have.
        limit: usize,
    },
    /// Its contents changed while they were read.
    Changed,
    /// With it there is more than may be kept.
    Large {
        /// How many bytes may be kept.
        limit: u64,
    },
    /// With it there are more files and folders than may be.
    Many {
        /// How many may be.
        limit: usize,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Special => f.write_str("devices, sockets and pipes cannot be kept"),
            Self::SetId => f.write_str("setuid and setgid files cannot be kept"),
            Self::Name => f.write_str("names and link targets must be UTF-8 without newlines"),
            Self::Deep { limit } => write!(f, "paths of more than {limit} bytes cannot be kept"),
            Self::Changed => {
                f.write_str("it changed while it was read: is a process of the build still running?")
            }
            Self::Large { limit } => {
                write!(f, "with it, the build leaves more than the {limit} bytes that it may leave")
            }
            Self::Many { limit } => {
                write!(
                    f,
                    "with it, the build leaves more than the {limit} files and folders that it may leave"
                )
            }
        }
    }
}

/// Two trees that put different things at one path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is {left_entry} in {left} and {right_entry} in {right}")]
pub struct Clash {
    /// Where, relative to the merged tree.
    pub path: String,
    /// The label of the tree that came first.
    pub left: String,
    /// What it has there.
    pub left_entry: String,
    /// The label of the other.
    pub right: String,
    /// What that one has there.
    pub right_entry: String,
}

/// Raised by everything in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It was stopped, or took too long.
    #[error(transparent)]
    Expired(#[from] Expired),
    /// The operating system refused something.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb with its preposition.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder was made by a program with another layout.
    #[error(
        "the store `{}` has format `{found}`, this k3sroot uses `{expected}`: \
         give it another folder, or remove this one to start afresh",
        root.display()
    )]
    Version {
        /// The store's folder.
        root: PathBuf,
        /// What its version file says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// The folder has other things in it and no version file.
    #[error(
        "`{}` is not a store and not empty (it has `{found}`): give an empty or a new folder",
        root.display()
    )]
    NotAStore {
        /// The folder.
        root: PathBuf,
        /// One name in it that no store has.
        found: String,
    },
    /// Bytes in the store are not what they are named after.
    #[error(
        "{item} in the store is damaged and was set aside as `{}`: \
         run the same command again and what needs it is built anew",
        set_aside.display()
    )]
    Damaged {
        /// What is damaged.
        item: Item,
        /// Where it is now.
        set_aside: PathBuf,
    },
    /// Something that is referred to is not there.
    #[error("{item} is missing from the store: run the same command again and what needs it is built anew")]
    Missing {
        /// What is missing.
        item: Item,
    },
    /// A file cannot be captured.
    #[error("`{}` cannot be part of a tree: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: Refusal,
    },
    /// Two trees do not fit together.
    #[error(transparent)]
    Clash(#[from] Box<Clash>),
    /// Entries do not make a tree.
    #[error("the entries do not make a tree")]
    Listing(#[from] ListingError),
    /// Trees are only placed in a folder that is new or empty.
    #[error("`{}` is not empty: trees are placed in a new or an empty folder", dest.display())]
    NotEmpty {
        /// The folder.
        dest: PathBuf,
    },
    /// Locks keep nobody out, so that nobody can tell whether the store is in use.
    #[error(
        "the store `{}` is on a file system ({kind}) that grants a lock to everybody, so that other k3sroots in it \
         cannot be seen: {}",
        root.display(),
        base::locks::REMEDY
    )]
    Unlocked {
        /// The store's folder.
        root: PathBuf,
        /// The file system's type.
        kind: String,
    },
    /// Files cannot be moved from one of its folders to another.
    #[error(
        "`{}` is not on the same file system as `tmp` next to it, so files cannot be moved between them: \
         keep the whole cache on one file system",
        folder.display()
    )]
    Split {
        /// The folder.
        folder: PathBuf,
    },
    /// Another process is using the store.
    #[error(
        "the store `{}` is in use by another k3sroot: shrink it when that has finished",
        root.display()
    )]
    InUse {
        /// The store's folder.
        root: PathBuf,
    },
}

/// Adds to an [`io::Error`] what was tried on which path.
pub(super) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
}
