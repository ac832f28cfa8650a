//! What was built, packed for an arch, and the documents that say what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::args::{SbomFormat, Signing};
use super::error::CliError;
use super::project::{Planned, Project};
use crate::attest::dsse::{self, PrivateKey};
use crate::attest::provenance::ANYBODY;
use crate::attest::{Contents, Given, MachineCompiler, cyclonedx, openvex, provenance, spdx};
use crate::digest::{BlobDigest, SourceDigest, TreeDigest};
use crate::name::{ArchName, PackageName, Unit};
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
    Provenance,
    Vex,
}

/// Every kind.
pub(super) const DOCUMENTS: [Document; 4] = [
    Document::Sbom(SbomFormat::Spdx),
    Document::Sbom(SbomFormat::Cyclonedx),
    Document::Provenance,
    Document::Vex,
];

impl Document {
    /// The name of its file.
    pub(super) fn file(self, arch: &ArchName) -> String {
        let end = match self {
            Self::Sbom(SbomFormat::Spdx) => "spdx",
            Self::Sbom(SbomFormat::Cyclonedx) => "cdx",
            Self::Provenance => "provenance",
            Self::Vex => "openvex",
        };
        format!("k3s-root-{arch}.{end}.json")
    }

    /// Its text; none if there is nothing to say.
    fn text(self, contents: &Contents<'_>, builder: &str) -> Option<String> {
        let value = match self {
            Self::Sbom(SbomFormat::Spdx) => spdx(contents),
            Self::Sbom(SbomFormat::Cyclonedx) => cyclonedx(contents),
            Self::Provenance => provenance(contents, builder),
            Self::Vex => openvex(contents)?,
        };
        Some(format!("{value:#}\n"))
    }
}

/// Who answers for documents.
pub(super) struct Signer {
    builder: String,
    key: Option<PrivateKey>,
}

impl Signer {
    /// Nobody: for documents that nobody answers for.
    pub(super) fn nobody() -> Self {
        Self { builder: ANYBODY.to_owned(), key: None }
    }

    /// Reads the key, if there is one.
    pub(super) fn new(args: &Signing) -> Result<Self, CliError> {
        let read = |path: &PathBuf| -> Result<PrivateKey, CliError> {
            let text = fs::read_to_string(path)
                .map_err(|source| CliError::Io { what: format!("read `{}`", path.display()), source })?;
            PrivateKey::from_pem(&text).map_err(|source| CliError::Key { path: path.clone(), source })
        };
        Ok(Self { builder: args.builder_id.clone(), key: args.sign_key.as_ref().map(read).transpose()? })
    }
}

/// The name of the file with the signed statement of where a root came from: as SLSA has it, an envelope a line.
pub(super) fn envelope_file(arch: &ArchName) -> String {
    format!("k3s-root-{arch}.intoto.jsonl")
}

/// What is known of a root when documents about it are made.
pub(super) struct About<'a> {
    pub(super) project: &'a Project,
    pub(super) planned: &'a Planned,
    pub(super) arch: &'a ArchName,
    /// Which archives were used, as far as that is known.
    pub(super) archives: &'a BTreeMap<Unit, Vec<SourceDigest>>,
}

impl About<'_> {
    /// Calls `with` with what documents are made from.
    pub(super) fn given<T>(&self, with: impl FnOnce(Given<'_>) -> T) -> Result<T, CliError> {
        let Self { project, planned, arch, archives } = *self;
        let compiler = planned.compilers.get(arch).map(|compiler| (compiler.describe(), compiler.digest()));
        let given = Given {
            recipes: &project.recipes,
            plan: &planned.plan,
            arch: project.arches.get(arch)?,
            compiler: compiler.as_ref().map(|(words, digest)| MachineCompiler { words, digest: *digest }),
            layout: project.layout_sha256,
            archives,
        };
        Ok(with(given))
    }

    /// Documents about what was packed, of these kinds, as far as they have something to say; with a key, the statement
    /// of where it came from is there signed as well.
    pub(super) fn documents(
        &self,
        kinds: &[Document],
        packed: &Packed,
        signer: &Signer,
    ) -> Result<Vec<Rendered>, CliError> {
        let mut files: Vec<Rendered> = self.given(|given| {
            let contents = Contents::gather(given, &packed.root, &packed.files);
            let render = |kind: &Document| {
                let text = kind.text(&contents, &signer.builder)?;
                Some(Rendered::new(kind.file(self.arch), text.into_bytes()))
            };
            kinds.iter().filter_map(render).collect()
        })?;
        let statement = Document::Provenance.file(self.arch);
        let statement = files.iter().find(|file| file.name == statement);
        if let (Some(key), Some(statement)) = (&signer.key, statement) {
            let envelope = key.sign(dsse::IN_TOTO, &statement.bytes);
            // Text in a structure of text.
            let line = serde_json::to_string(&envelope).unwrap_or_default() + "\n";
            files.push(Rendered::new(envelope_file(self.arch), line.into_bytes()));
        }
        Ok(files)
    }
}
