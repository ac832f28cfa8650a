//! The layout of the tarballs, read from `recipes/root.toml`; the file's head describes its language.
//!
//! In: the text. Out: a [`Layout`] whose every reference holds: places are folders of tarballs, link targets are files
//! of the layout. What only the packages' trees can tell is for [`assemble`](super::assemble()).

mod check;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use globset::GlobSet;

use base::name::{ArchName, PackageName};

/// Raised when the layout cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Something in it is wrong, at a known place.
    #[error("`{}`: {message}", path.display())]
    Invalid {
        /// The layout's file.
        path: PathBuf,
        /// Its text, for showing the place.
        text: String,
        /// The place, in bytes from the start of the text.
        span: Range<usize>,
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
}

/// What the tarballs hold, and where it comes from.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) tarballs: Vec<TarballRule>,
    pub(super) checksums: String,
    pub(super) gives_way: BTreeMap<PackageName, BTreeSet<PackageName>>,
    pub(super) files: Vec<FileRule>,
    pub(super) links: Vec<LinksRule>,
    pub(super) own_links: Vec<LinkRule>,
}

/// A tarball and its folders, as paths without a slash at either end.
#[derive(Debug, Clone)]
pub(super) struct TarballRule {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) folders: BTreeSet<String>,
}

/// A folder in each of the tarballs that have the place: the tarball's index in the layout, and the folder.
pub(super) type Place = Vec<(usize, String)>;

/// What a packed file must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// An ELF program for the arch.
    Program,
    /// A text that begins with `#!`.
    Script,
}

/// Files of a package that keep their names.
#[derive(Debug, Clone)]
pub(super) struct FileRule {
    pub(super) package: PackageName,
    pub(super) from: Vec<String>,
    pub(super) kind: FileKind,
    pub(super) to: Place,
}

/// The symlinks of a package that lead to one of its files.
#[derive(Debug, Clone)]
pub(super) struct LinksRule {
    pub(super) package: PackageName,
    /// Globs as they are written, and what each matches.
    pub(super) from: Vec<(String, GlobSet)>,
    pub(super) target: String,
    pub(super) except: BTreeSet<String>,
    pub(super) to: Place,
}

/// Links that no package installs; they belong to the package of the file they lead to.
#[derive(Debug, Clone)]
pub(super) struct LinkRule {
    pub(super) names: Vec<String>,
    pub(super) target: String,
    pub(super) owner: PackageName,
    pub(super) to: Place,
}

impl Layout {
    /// Reads a layout; `path` is for complaints only.
    pub fn parse(path: &Path, text: &str) -> Result<Self, LayoutError> {
        check::parse(path, text)
    }

    /// The packages whose trees the root needs.
    pub fn packages(&self) -> BTreeSet<PackageName> {
        let files = self.files.iter().map(|rule| &rule.package);
        files.chain(self.links.iter().map(|rule| &rule.package)).cloned().collect()
    }

    /// The packages whose trees one of the tarballs needs, by its place among them.
    pub fn packages_in(&self, tarball: usize) -> BTreeSet<PackageName> {
        let is_in = |place: &Place| place.iter().any(|(index, _)| *index == tarball);
        let files = self.files.iter().filter(|rule| is_in(&rule.to)).map(|rule| &rule.package);
        let links = self.links.iter().filter(|rule| is_in(&rule.to)).map(|rule| &rule.package);
        files.chain(links).cloned().collect()
    }

    /// The files that are taken from packages, by package and path in its tree: a recipe must keep them.
    pub fn files(&self) -> impl Iterator<Item = (&PackageName, &str)> {
        self.files.iter().flat_map(|rule| rule.from.iter().map(|path| (&rule.package, path.as_str())))
    }

    /// The file name of the list of checksums for `arch`.
    pub fn checksums_file(&self, arch: &ArchName) -> String {
        expand(&self.checksums, arch)
    }

    /// The names of the tarballs, as the layout calls them, with their file names for `arch`.
    pub fn tarball_files(&self, arch: &ArchName) -> Vec<(String, String)> {
        self.tarballs.iter().map(|tarball| (tarball.name.clone(), expand(&tarball.file, arch))).collect()
    }

    /// Whether `loser` gives way to `winner`.
    pub(super) fn yields(&self, loser: &PackageName, winner: &PackageName) -> bool {
        self.gives_way.get(loser).is_some_and(|winners| winners.contains(winner))
    }
}

/// `pattern` with the arch's name in it.
pub(super) fn expand(pattern: &str, arch: &ArchName) -> String {
    pattern.replace("{arch}", arch.as_str())
}

/// The part of `path` after its last slash.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Where `target`, a relative link in `folder`, leads; `None` if that is outside the tarball.
pub(super) fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
