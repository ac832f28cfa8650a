//! What a root is made of: the facts that every document tells in its own words.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha1::{Digest as _, Sha1};

use crate::pack::{Content, FileKind, Rendered, Root};
use base::digest::{ActionDigest, CompilerDigest, Sha256, SourceDigest};
use base::name::{ArchName, Machine, PackageName, Unit, Version};
use model::arch::Arch;
use model::plan::{Action, Input, Override, Plan, UNKNOWN};
use model::recipe::{Archive, Cve, CveStatus, Origin, Recipe, Recipes, Source};

/// What documents are made from.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// All recipes.
    pub recipes: &'a Recipes,
    /// How everything was built.
    pub plan: &'a Plan,
    /// The arch that the root is for.
    pub arch: &'a Arch,
    /// The build machine's own compiler, where it was used: what programs have of it is not from a recipe.
    pub compiler: Option<MachineCompiler<'a>>,
    /// The digest of the file that says where in the tarballs everything goes.
    pub layout: Sha256,
    /// Which archives were used for the sources of units, in the recipe's order, as far as that is known.
    pub archives: &'a BTreeMap<Unit, Vec<SourceDigest>>,
}

/// A compiler of the build machine.
#[derive(Debug, Clone, Copy)]
pub struct MachineCompiler<'a> {
    /// Its path and version.
    pub words: &'a str,
    /// What it consists of.
    pub digest: CompilerDigest,
}

/// What a root is made of.
#[derive(Debug, Clone)]
pub struct Contents<'a> {
    /// The arch that it is for.
    pub arch: &'a ArchName,
    /// The digest of the arch's record.
    pub record: Sha256,
    /// The digest of the layout.
    pub layout: Sha256,
    /// The tarballs, in the layout's order.
    pub tarballs: Vec<Tarball<'a>>,
    /// Every package that had a part in it.
    pub components: BTreeMap<&'a PackageName, Component<'a>>,
    /// The build machine's own compiler, if it was used.
    pub compiler: Option<MachineCompiler<'a>>,
    /// Packages of a whole root that are not in it.
    pub left_out: BTreeSet<&'a PackageName>,
}

/// A tarball and the files in it.
#[derive(Debug, Clone)]
pub struct Tarball<'a> {
    /// Its file name.
    pub file: String,
    /// The digest of the whole.
    pub sha256: Sha256,
    /// The regular files, in the tarball's order.
    pub files: Vec<File<'a>>,
}

impl Tarball<'_> {
    /// Its package URL: by its digest nobody takes it for another one.
    pub fn purl(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        format!("pkg:generic/k3s-root@{version}?checksum=sha256:{}&file_name={}", self.sha256, self.file)
    }
}

/// A regular file of a tarball.
#[derive(Debug, Clone)]
pub struct File<'a> {
    /// Its name in the tarball.
    pub name: &'a str,
    /// The package that it comes from.
    pub package: Option<&'a PackageName>,
    /// What it is.
    pub kind: FileKind,
    /// Its SHA-1 in hexadecimal: SPDX demands one of every file.
    pub sha1: String,
    /// Its SHA-256.
    pub sha256: Sha256,
}

/// What part a package had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Files of it are in a tarball.
    Shipped,
    /// Programs of others are linked against it.
    Linked,
    /// It ran while others were built, and nothing of it is in a tarball.
    Tool,
}

/// A package that had a part in it.
#[derive(Debug, Clone)]
pub struct Component<'a> {
    /// Its recipe.
    pub recipe: &'a Recipe,
    /// What part it had.
    pub role: Role,
    /// The packages whose code may be in its programs, which are static.
    pub linked: BTreeSet<&'a PackageName>,
    /// The local tree that it was built from in place of its sources.
    pub overridden: Option<&'a Override>,
    /// The archives that were used for its sources, in the recipe's order, if that is known.
    pub archives: Option<&'a [SourceDigest]>,
    /// All that went into it.
    pub action: ActionDigest,
}

impl Role {
    /// It in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Linked => "linked",
            Self::Tool => "build tool",
        }
    }
}

/// The compiler's own recipe: its support library is in every program.
const COMPILER: &str = "gcc";

impl<'a> Contents<'a> {
    /// Gathers what is known of `root`, whose tarballs are among `files` as they are written.
    pub fn gather(given: Given<'a>, root: &'a Root<Arc<[u8]>>, files: &[Rendered]) -> Self {
        let arch = &given.arch.name;
        let tarballs: Vec<Tarball<'a>> = root
            .tarballs
            .iter()
            .filter_map(|tarball| {
                let file = tarball.file_name(arch);
                let whole = files.iter().find(|rendered| rendered.name == file)?;
                let files = tarball.members.iter().filter_map(|member| match &member.content {
                    Content::File { contents, kind } => Some(File {
                        name: &member.name,
                        package: member.origin.as_ref().map(|origin| &origin.package),
                        kind: *kind,
                        sha1: format!("{:x}", Sha1::digest(contents)),
                        sha256: Sha256::of(contents),
                    }),
                    Content::Folder | Content::Link { .. } => None,
                });
                Some(Tarball { files: files.collect(), sha256: whole.sha256, file })
            })
            .collect();
        let shipped: BTreeSet<&PackageName> =
            tarballs.iter().flat_map(|tarball| &tarball.files).filter_map(|file| file.package).collect();
        let left_out = root.left_out.iter().map(|left| &left.package).collect();
        Self { tarballs, left_out, ..Self::of_packages(given, &shipped) }
    }

    /// What a root with these packages in it is made of, as far as that can be said before they are built.
    pub fn of_packages(given: Given<'a>, shipped: &BTreeSet<&PackageName>) -> Self {
        Self {
            arch: &given.arch.name,
            record: given.arch.sha256,
            layout: given.layout,
            tarballs: Vec::new(),
            components: components(&given, shipped),
            compiler: given.compiler,
            left_out: BTreeSet::new(),
        }
    }

    /// What is in a file: its package, and for a program all that it is linked from.
    pub(super) fn parts(&self, file: &File<'a>) -> BTreeSet<&'a PackageName> {
        let Some(package) = file.package else { return BTreeSet::new() };
        let linked = self.components.get(package).filter(|_| file.kind == FileKind::Program);
        let linked = linked.into_iter().flat_map(|component| component.linked.iter().copied());
        linked.chain([package]).collect()
    }

    /// Whether a program of the package is in a tarball.
    pub(super) fn ships_programs(&self, package: &PackageName) -> bool {
        let mut files = self.tarballs.iter().flat_map(|tarball| &tarball.files);
        files.any(|file| file.kind == FileKind::Program && file.package == Some(package))
    }

    /// The terms under which a file comes, as an SPDX expression: those of all that is in it.
    pub fn terms(&self, file: &File<'a>) -> String {
        let parts = self.parts(file);
        let components = parts.into_iter().filter_map(|package| self.components.get(package));
        let support = Some(LIBGCC).filter(|_| self.compiler.is_some() && file.kind == FileKind::Program);
        all_terms(components.map(|component| component.recipe.license.spdx.as_str()).chain(support))
    }
}

/// The terms of the support library of any gcc.
pub const LIBGCC: &str = "GPL-3.0-or-later WITH GCC-exception-3.1";

/// All of these SPDX expressions as one: the terms of each once, in order.
pub fn all_terms<'a>(expressions: impl IntoIterator<Item = &'a str>) -> String {
    let parts = |text: &str| -> Vec<String> {
        if text.contains(" OR ") {
            return vec![format!("({text})")];
        }
        text.split(" AND ").map(str::to_owned).collect()
    };
    let terms: BTreeSet<String> = expressions.into_iter().flat_map(parts).collect();
    terms.into_iter().collect::<Vec<_>>().join(" AND ")
}

/// The packages that have a part in a root, of which `shipped` have files in a tarball.
fn components<'a>(
    given: &Given<'a>,
    shipped: &BTreeSet<&PackageName>,
) -> BTreeMap<&'a PackageName, Component<'a>> {
    let Given { recipes, plan, archives, .. } = *given;
    let arch = &given.arch.name;
    let target =
        |package: &PackageName| Unit { package: package.clone(), machine: Machine::Target(arch.clone()) };
    let linked_into = |package: &PackageName| -> BTreeSet<&'a PackageName> {
        let Some(action) = plan.get(&target(package)) else { return BTreeSet::new() };
        let support =
            action.tools().keys().map(|unit| &unit.package).filter(|name| name.as_str() == COMPILER);
        let libraries = action.sysroot().keys().map(|unit| &unit.package);
        libraries
            .chain(support)
            .filter_map(|name| recipes.get_key_value(name))
            .map(|(name, _)| name)
            .collect()
    };
    let linked: BTreeSet<&PackageName> = shipped.iter().flat_map(|package| linked_into(package)).collect();
    // What had no part in what is shipped is not here, planned as it may be: for another arch, or left out.
    let mut parts: BTreeSet<&Unit> = BTreeSet::new();
    let mut next: Vec<&Action> = shipped.iter().filter_map(|package| plan.get(&target(package))).collect();
    while let Some(action) = next.pop() {
        if parts.insert(action.unit()) {
            let needs = action.tools().keys().chain(action.sysroot().keys());
            next.extend(needs.filter_map(|unit| plan.get(unit)));
        }
    }
    // Several units of a package have the same sources.
    let mut components = BTreeMap::new();
    for action in plan.actions().iter().filter(|action| parts.contains(action.unit())) {
        let Some((name, recipe)) = recipes.get_key_value(&action.unit().package) else { continue };
        let role = match () {
            () if shipped.contains(name) => Role::Shipped,
            () if linked.contains(name) => Role::Linked,
            () => Role::Tool,
        };
        let overridden = action.inputs().iter().find_map(|input| match input {
            Input::Override(over) => Some(over),
            Input::Source(_) => None,
        });
        let archives = archives.get(action.unit()).map(Vec::as_slice);
        let linked = if role == Role::Tool { BTreeSet::new() } else { linked_into(name) };
        let new = Component { recipe, role, linked, overridden, archives, action: action.digest() };
        // What is in programs comes from the unit for the target, where there is one.
        let is_target = matches!(action.unit().machine, Machine::Target(_));
        match components.entry(name) {
            Entry::Vacant(vacant) => _ = vacant.insert(new),
            Entry::Occupied(mut known) if is_target => {
                let archives = new.archives.or(known.get().archives);
                known.insert(Component { archives, ..new });
            }
            Entry::Occupied(mut known) => known.get_mut().archives = known.get().archives.or(archives),
        }
    }
    components
}

impl<'a> Component<'a> {
    /// The version of what was built: the recipe's, or that of the local tree, which may be unknown.
    pub fn version(&self) -> Option<&'a Version> {
        self.overridden.map_or(Some(&self.recipe.version), |over| over.version.as_ref())
    }

    /// The same in words.
    pub fn shown_version(&self) -> &'a str {
        self.version().map_or(UNKNOWN, Version::as_str)
    }

    /// Its package URL, with the version if that is known.
    pub fn purl(&self) -> Option<String> {
        let purl = self.recipe.identity.purl.as_ref()?;
        Some(self.version().map_or_else(|| purl.clone(), |version| format!("{purl}@{version}")))
    }

    /// Its name in the CPE dictionary, as a formatted string of CPE 2.3. A version that is unknown may be any.
    pub fn cpe(&self) -> Option<String> {
        let (vendor, product) = self.recipe.identity.cpe.as_deref()?.split_once(':')?;
        let part = if (vendor, product) == ("linux", "linux_kernel") { 'o' } else { 'a' };
        let escaped = |text: &str| -> String {
            let escape = |c: char| {
                if c.is_ascii_alphanumeric() || "._-".contains(c) { vec![c] } else { vec!['\\', c] }
            };
            text.chars().flat_map(escape).collect()
        };
        let (vendor, product) = (escaped(vendor), escaped(product));
        Some(format!(
            "cpe:2.3:{part}:{vendor}:{product}:{}:*:*:*:*:*:*:*",
            self.version().map_or_else(|| "*".to_owned(), |version| escaped(version.as_str()))
        ))
    }

    /// The archives that would each do for one of its sources, the preferred first; nothing for files of our own.
    pub fn sources(&self) -> impl Iterator<Item = &'a [Archive]> {
        self.recipe.sources.iter().filter_map(|source| match &source.origin {
            Origin::Archives(archives) => Some(archives.as_slice()),
            Origin::Local(_) => None,
        })
    }

    /// Its sources, each with the number that it has among those that come from archives; files of our own have none.
    pub fn numbered_sources(&self) -> impl Iterator<Item = (Option<usize>, &'a Source)> {
        let mut count = 0..;
        self.recipe.sources.iter().map(move |source| match &source.origin {
            Origin::Archives(_) => (count.next(), source),
            Origin::Local(_) => (None, source),
        })
    }

    /// Its patches, in order, each with the vulnerabilities that it takes away. A local tree gets none.
    pub fn patches(&self) -> Vec<(&'a model::recipe::Patch, Vec<&'a Cve>)> {
        let all = self
            .recipe
            .sources
            .iter()
            .flat_map(|source| &source.patches)
            .filter(|_| self.overridden.is_none());
        let with_cves = |patch: &'a model::recipe::Patch| {
            let of_patch =
                |cve: &&Cve| matches!(&cve.status, CveStatus::FixedBy { patch: name } if *name == patch.name);
            (patch, self.recipe.cves.iter().filter(of_patch).collect())
        };
        all.map(with_cves).collect()
    }
}
