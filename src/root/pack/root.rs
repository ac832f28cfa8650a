//! The root: what each tarball holds, member by member, in the order in which it is written.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::{FileKind, expand};
use base::name::{ArchName, PackageName};

/// The chosen files. `F` is what stands for a file's contents: a handle after `assemble`, the bytes after
/// [`Root::load`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root<F> {
    /// The tarballs in the layout's order.
    pub tarballs: Vec<Tarball<F>>,
    /// What is not in them because a package could not be had; empty if the root is whole.
    pub left_out: Vec<LeftOut>,
    pub(super) checksums: String,
}

/// One tarball.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tarball<F> {
    /// What the layout calls it (`root`, `xtables`).
    pub name: String,
    /// The members in byte order of their names, so `./bin/` comes first and a folder before what is in it.
    pub members: Vec<Member<F>>,
    pub(super) file: String,
}

/// One member of a tarball.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<F> {
    /// The name as it is in the tarball: `./bin/ls`, and `./bin/` for a folder.
    pub name: String,
    /// What it is.
    pub content: Content<F>,
    /// The package it comes from; the layout's own folders have none.
    pub origin: Option<Origin>,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<F> {
    /// A folder.
    Folder,
    /// A regular file; in the tarball every one is executable.
    File {
        /// The contents, or what they can be read by.
        contents: F,
        /// What it must be.
        kind: FileKind,
    },
    /// A symlink.
    Link {
        /// Where it leads, relative to its folder.
        target: String,
    },
}

/// Where a member comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The package.
    pub package: PackageName,
    /// The path in its tree; none if the layout makes the link itself.
    pub path: Option<String>,
}

/// What one missing package would have brought.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// The package.
    pub package: PackageName,
    /// The members that the layout names, `tarball: ./bin/name`.
    pub names: Vec<String>,
    /// The files whose links, however many its tree has, are left out too.
    pub links_to: Vec<String>,
}

impl<F> Root<F> {
    /// Reads what is packed, and only that: each file once, though it may be in several tarballs.
    pub fn load<C: Clone, E>(self, mut read: impl FnMut(&F) -> Result<C, E>) -> Result<Root<C>, E> {
        let mut known: BTreeMap<Origin, C> = BTreeMap::new();
        let mut tarballs = Vec::new();
        for tarball in self.tarballs {
            let mut members = Vec::new();
            for Member { name, content, origin } in tarball.members {
                let content = match content {
                    Content::Folder => Content::Folder,
                    Content::Link { target } => Content::Link { target },
                    Content::File { contents, kind } => {
                        let contents = match origin.as_ref().and_then(|origin| known.get(origin)) {
                            Some(contents) => contents.clone(),
                            None => read(&contents)?,
                        };
                        if let Some(origin) = &origin {
                            known.entry(origin.clone()).or_insert_with(|| contents.clone());
                        }
                        Content::File { contents, kind }
                    }
                };
                members.push(Member { name, content, origin });
            }
            tarballs.push(Tarball { name: tarball.name, members, file: tarball.file });
        }
        Ok(Root { tarballs, left_out: self.left_out, checksums: self.checksums })
    }

    /// The regular files, each once however many tarballs it is in.
    pub fn files(&self) -> impl Iterator<Item = (&Member<F>, &F, FileKind)> {
        let mut seen = BTreeSet::new();
        self.tarballs.iter().flat_map(|tarball| &tarball.members).filter_map(move |member| {
            match &member.content {
                Content::File { contents, kind } if seen.insert(&member.origin) => {
                    Some((member, contents, *kind))
                }
                _ => None,
            }
        })
    }

    /// The file name of the list of checksums for `arch`.
    pub fn checksums_file(&self, arch: &ArchName) -> String {
        expand(&self.checksums, arch)
    }
}

impl<F> Tarball<F> {
    /// The tarball's file name for `arch`.
    pub fn file_name(&self, arch: &ArchName) -> String {
        expand(&self.file, arch)
    }
}
