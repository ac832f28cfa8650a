//! What was built, packed for an arch, and the documents that say what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::args::SbomFormat;
use super::error::CliError;
use super::project::{Planned, Project};
use crate::attest::{Contents, Given, cyclonedx, spdx};
use crate::digest::{BlobDigest, TreeDigest};
use crate::name::{ArchName, PackageName};
use crate::pack::{self, PackageTree, Rendered, Root, TreeEntry};
use crate::plan::policy::SOURCE_DATE_EPOCH;
use crate::store::{Entry, Store};

/// What was built for an arch, packed.
pub(super) struct Packed {
    /// The members.
    pub(super) root: Root<Arc<[u8]>>,
    /// Packages that are not there.
    pub(super) missing: BTreeSet<PackageName>,
    /// The tarballs, and the list of their checksums.
    pub(super) files: Vec<Rendered>,
}

/// Packs the packages that have a tree; none if none has.
pub(super) fn packed(
    project: &Project,
    store: &Store,
    arch: &ArchName,
    tree_of: impl Fn(&PackageName) -> Option<TreeDigest>,
) -> Result<Option<Packed>, CliError> {
    let mut trees = BTreeMap::new();
    let mut missing: BTreeSet<PackageName> = BTreeSet::new();
    for package in project.layout.packages() {
        match tree_of(&package) {
            Some(digest) => {
                trees.insert(package, tree(store, &digest)?);
            }
            None => {
                missing.insert(package);
            }
        }
    }
    if trees.is_empty() {
        return Ok(None);
    }
    let record = project.arches.get(arch)?;
    let root = pack::assemble(&project.layout, &trees, &missing)?;
    let root = root.load(|blob| store.read_blob(blob).map(Arc::<[u8]>::from))?;
    let real_paths = [store.root().display().to_string()];
    pack::inspect_root(record, &root, &real_paths).map_err(CliError::Unsound)?;
    let files = pack::render_root(&root, arch, SOURCE_DATE_EPOCH.unsigned_abs())?;
    Ok(Some(Packed { root, missing, files }))
}

/// A tree of the store as `pack` sees it.
fn tree(store: &Store, digest: &TreeDigest) -> Result<PackageTree<BlobDigest>, CliError> {
    let tree = store.tree(digest)?;
    let entry = |entry: &Entry| match entry {
        Entry::File { blob, .. } => TreeEntry::File(*blob),
        Entry::Symlink { target } => TreeEntry::Symlink(target.clone()),
        Entry::Dir => TreeEntry::Dir,
    };
    Ok(tree.entries().iter().map(|(path, found)| (path.clone(), entry(found))).collect())
}

/// Packs what the store has of the root for an arch; says what it has not.
pub(super) fn from_store(
    project: &Project,
    store: &Store,
    planned: &Planned,
    arch: &ArchName,
) -> Result<Packed, CliError> {
    let trees = planned.trees(store, arch)?;
    let packed = packed(project, store, arch, |package| trees.get(package).copied().flatten())?
        .ok_or_else(|| CliError::NothingPacked { arch: arch.clone() })?;
    packed.warn_if_incomplete(arch, "not built");
    Ok(packed)
}

impl Packed {
    /// Says which packages are not there, and why.
    pub(super) fn warn_if_incomplete(&self, arch: &ArchName, why: &str) {
        if !self.missing.is_empty() {
            let names: Vec<&str> = self.missing.iter().map(PackageName::as_str).collect();
            eprintln!("warning: the root for {arch} is not complete; {why}: {}", names.join(", "));
        }
    }
}

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Document {
    Sbom(SbomFormat),
}

/// Every kind.
pub(super) const DOCUMENTS: [Document; 2] =
    [Document::Sbom(SbomFormat::Spdx), Document::Sbom(SbomFormat::Cyclonedx)];

impl Document {
    /// The name of its file.
    pub(super) fn file(self, arch: &ArchName) -> String {
        let end = match self {
            Self::Sbom(SbomFormat::Spdx) => "spdx",
            Self::Sbom(SbomFormat::Cyclonedx) => "cdx",
        };
        format!("k3s-root-{arch}.{end}.json")
    }

    /// Its text.
    pub(super) fn text(self, contents: &Contents<'_>) -> String {
        let value = match self {
            Self::Sbom(SbomFormat::Spdx) => spdx(contents),
            Self::Sbom(SbomFormat::Cyclonedx) => cyclonedx(contents),
        };
        format!("{value:#}\n")
    }
}

/// What a packed root is made of.
pub(super) fn contents<'a>(
    project: &'a Project,
    planned: &'a Planned,
    arch: &'a ArchName,
    root: &'a Root<Arc<[u8]>>,
    files: &[Rendered],
    compiler: Option<&'a str>,
) -> Contents<'a> {
    Contents::gather(Given { recipes: &project.recipes, plan: &planned.plan, arch, root, files, compiler })
}

/// Documents about a root, of these kinds.
pub(super) fn documents(kinds: &[Document], contents: &Contents<'_>) -> Vec<Rendered> {
    let render = |kind: &Document| Rendered::new(kind.file(contents.arch), kind.text(contents).into_bytes());
    kinds.iter().map(render).collect()
}
