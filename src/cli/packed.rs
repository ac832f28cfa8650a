//! What was built, packed for an arch, and the documents that say what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::args::{Global, SbomFormat, Signing};
use super::error::CliError;
use super::place::io_error;
use super::project::{Planned, Project};
use base::beneath;
use base::digest::{BlobDigest, CompilerDigest, SourceDigest, TreeDigest};
use base::name::{ArchName, Machine, PackageName, Unit};
use model::plan::policy::SOURCE_DATE_EPOCH;
use root::attest::dsse::{self, PrivateKey};
use root::attest::provenance::ANYBODY;
use root::attest::{Component, Contents, Given, MachineCompiler, cyclonedx, openvex, provenance, spdx};
use root::pack::{self, PackageTree, Rendered, Root, TreeEntry};
use store::{Entry, Store};

/// The largest file that is packed, in bytes: tarballs are made in memory. busybox, the largest, has 1.3 MiB.
const LARGEST: u64 = 256 << 20;

/// What was built for an arch, packed.
pub(super) struct Packed {
    /// The members.
    pub(super) root: Root<Arc<[u8]>>,
    /// Packages of a whole root that are not there.
    pub(super) missing: BTreeSet<PackageName>,
    /// Those of them that nobody asked for.
    unasked: BTreeSet<PackageName>,
    /// The tarballs, and the list of their checksums.
    pub(super) files: Vec<Rendered>,
}

/// Packs the packages that were asked for and have a tree; none if none has. Whether a need that nobody asked for has a tree depends
/// on what is in the store, and must not show.
pub(super) fn packed(
    project: &Project,
    store: &Store,
    planned: &Planned,
    arch: &ArchName,
    tree_of: impl Fn(&Unit) -> Option<TreeDigest>,
) -> Result<Option<Packed>, CliError> {
    let (mut trees, mut missing, mut unasked) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for package in project.layout.packages() {
        let unit = Unit { package: package.clone(), machine: Machine::Target(arch.clone()) };
        let is_asked_for = planned.is_asked_for(&unit);
        if let Some(digest) = tree_of(&unit).filter(|_| is_asked_for) {
            trees.insert(package, tree(store, &digest)?);
            continue;
        }
        if !is_asked_for {
            unasked.insert(package.clone());
        }
        missing.insert(package);
    }
    if trees.is_empty() {
        return Ok(None);
    }
    let record = project.arches.get(arch)?;
    let root = pack::assemble(&project.layout, &trees, &missing)?;
    let root = root.load(|(blob, size)| {
        if *size > LARGEST {
            return Err(CliError::LargeMember { blob: *blob, size: *size, limit: LARGEST });
        }
        Ok(Arc::<[u8]>::from(store.read_blob(blob)?))
    })?;
    let real_paths = [store.root().display().to_string()];
    pack::inspect_root(record, &root, &real_paths).map_err(CliError::Unsound)?;
    let files = pack::render_root(&root, arch, SOURCE_DATE_EPOCH.unsigned_abs())?;
    Ok(Some(Packed { root, missing, unasked, files }))
}

/// A tree of the store as `pack` sees it.
fn tree(store: &Store, digest: &TreeDigest) -> Result<PackageTree<(BlobDigest, u64)>, CliError> {
    let tree = store.tree(digest)?;
    let entry = |entry: &Entry| match entry {
        Entry::File { blob, size, .. } => TreeEntry::File((*blob, *size)),
        Entry::Symlink { target } => TreeEntry::Symlink(target.clone()),
        Entry::Dir => TreeEntry::Dir,
    };
    Ok(tree.entries().iter().map(|(path, found)| (path.clone(), entry(found))).collect())
}

/// Packs what the store has of the root for an arch; says what it has not.
pub(super) fn from_store(
    global: &Global,
    project: &Project,
    store: &Store,
    planned: &Planned,
    arch: &ArchName,
) -> Result<Packed, CliError> {
    let trees = planned.trees(store, arch)?;
    let tree_of = |unit: &Unit| trees.get(&unit.package).copied().flatten();
    let packed = packed(project, store, planned, arch, tree_of)?;
    let packed = packed.ok_or_else(|| {
        if project.none_ships(planned) {
            CliError::NotInRoot
        } else {
            CliError::NothingPacked { arch: arch.clone() }
        }
    })?;
    packed.say_what_is_missing(global, arch);
    Ok(packed)
}

impl Packed {
    /// Says which packages are not there, and why.
    pub(super) fn say_what_is_missing(&self, global: &Global, arch: &ArchName) {
        let names = |packages: &mut dyn Iterator<Item = &PackageName>| {
            packages.map(PackageName::as_str).collect::<Vec<_>>().join(", ")
        };
        let not_built = names(&mut self.missing.difference(&self.unasked));
        if !not_built.is_empty() {
            eprintln!("warning: the root for {arch} is not complete; not built: {not_built}");
        }
        if !self.unasked.is_empty() {
            let unasked = names(&mut self.unasked.iter());
            global.say(&format!("note: not asked for, so not in the root for {arch}: {unasked}"));
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
            let text = beneath::read_named_to_string(path).map_err(io_error("read", path))?;
            PrivateKey::from_pem(&text).map_err(|source| CliError::Key { path: path.clone(), source })
        };
        let builder = args.builder_id.clone().unwrap_or_else(|| ANYBODY.to_owned());
        Ok(Self { builder, key: args.sign_key.as_ref().map(read).transpose()? })
    }
}

/// The name of the file with the signed statement of where a root came from: as SLSA has it, an envelope a line.
pub(super) fn envelope_file(arch: &ArchName) -> String {
    format!("k3s-root-{arch}.intoto.jsonl")
}

/// What is known of a root when documents about it are made.
pub(super) struct About<'a> {
    project: &'a Project,
    planned: &'a Planned,
    arch: &'a ArchName,
    archives: BTreeMap<Unit, Vec<SourceDigest>>,
    compiler: Option<(String, CompilerDigest)>,
}

impl<'a> About<'a> {
    /// Gathers it; `machines` are those whose tools are looked for in the store, to tell which archives were used.
    pub(super) fn new(
        project: &'a Project,
        planned: &'a Planned,
        arch: &'a ArchName,
        store: &Store,
        machines: &[String],
    ) -> Result<Self, CliError> {
        let compiler = planned.compilers.get(arch).map(|compiler| (compiler.describe(), compiler.digest()));
        Ok(Self { project, planned, arch, archives: planned.archives(store, machines)?, compiler })
    }

    /// What documents are made from.
    pub(super) fn given(&self) -> Result<Given<'_>, CliError> {
        let compiler = self.compiler.as_ref();
        Ok(Given {
            recipes: &self.project.recipes,
            plan: &self.planned.plan,
            arch: self.project.arches.get(self.arch)?,
            compiler: compiler.map(|(words, digest)| MachineCompiler { words, digest: *digest }),
            layout: self.project.layout_sha256,
            archives: &self.archives,
        })
    }

    /// What a packed root is made of.
    pub(super) fn contents<'b>(
        &'b self,
        root: &'b Root<Arc<[u8]>>,
        files: &[Rendered],
    ) -> Result<Contents<'b>, CliError> {
        Ok(Contents::gather(self.given()?, root, files))
    }
}

/// The packages that have a part in a root for `arch` with these packages in it, built or not.
pub(super) fn components<'a>(
    project: &'a Project,
    planned: &'a Planned,
    arch: &ArchName,
    shipped: &BTreeSet<&PackageName>,
) -> Result<BTreeMap<&'a PackageName, Component<'a>>, CliError> {
    static UNKNOWN: BTreeMap<Unit, Vec<SourceDigest>> = BTreeMap::new();
    let given = Given {
        recipes: &project.recipes,
        plan: &planned.plan,
        arch: project.arches.get(arch)?,
        compiler: None,
        layout: project.layout_sha256,
        archives: &UNKNOWN,
    };
    Ok(Contents::of_packages(given, shipped).components)
}

/// Documents about a root, of these kinds, as far as they have something to say; with a key, the statement of where it
/// came from is there signed as well.
pub(super) fn documents(kinds: &[Document], contents: &Contents<'_>, signer: &Signer) -> Vec<Rendered> {
    let render = |kind: &Document| {
        let text = kind.text(contents, &signer.builder)?;
        Some(Rendered::new(kind.file(contents.arch), text.into_bytes()))
    };
    let mut files: Vec<Rendered> = kinds.iter().filter_map(render).collect();
    let statement = Document::Provenance.file(contents.arch);
    let statement = files.iter().find(|file| file.name == statement);
    if let (Some(key), Some(statement)) = (&signer.key, statement) {
        let envelope = key.sign(dsse::IN_TOTO, &statement.bytes);
        // Text in a structure of text.
        let line = serde_json::to_string(&envelope).unwrap_or_default() + "\n";
        files.push(Rendered::new(envelope_file(contents.arch), line.into_bytes()));
    }
    files
}
