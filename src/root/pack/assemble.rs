//! Chooses the files: the layout is held against the packages' trees. Pure: contents are handles and nothing is read.
//!
//! Every rule claims names in folders. A name with one claim is a member; of several, the one that all others give way to,
//! or it is an error. What a missing package would have claimed is not there to win, so what gives way to it stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::layout::{FileRule, Layout, LinksRule, Place, base_name, resolve};
use super::root::{Content, LeftOut, Member, Origin, Root, Tarball};
use base::name::PackageName;

/// What a package left, by relative path.
pub type PackageTree<F> = BTreeMap<String, TreeEntry<F>>;

/// An entry of a package's tree. `F` is what the caller reads a file's contents by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeEntry<F> {
    /// A regular file.
    File(F),
    /// A symlink and its target.
    Symlink(String),
    /// A folder.
    Dir,
}

/// Raised when layout and trees do not fit.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A package of the layout has no tree and is not known to be missing.
    #[error("the root needs `{package}`, which was not built")]
    NoTree {
        /// The package.
        package: PackageName,
    },
    /// A file that the layout names is not in the tree.
    #[error("the layout takes `{path}` from `{package}`, which {found}")]
    NoFile {
        /// The package.
        package: PackageName,
        /// The path.
        path: String,
        /// What the tree has in its place.
        found: &'static str,
    },
    /// A glob that no fitting symlink matches.
    #[error("the layout takes links to `{target}` at `{glob}` from `{package}`, which has none there")]
    NoLink {
        /// The package.
        package: PackageName,
        /// The glob.
        glob: String,
        /// The base name that the links should lead to.
        target: String,
    },
    /// A symlink that a glob matches and that leads to nothing that is packed.
    #[error(
        "`{path}` of `{package}` leads to `{target}`, which no [[links]] of the package has as its target"
    )]
    StrayLink {
        /// The package.
        package: PackageName,
        /// The symlink.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// An exception that matches nothing.
    #[error(
        "the layout excepts `{name}` from the links to `{target}` of `{package}`, which has no such link: remove it"
    )]
    StaleExcept {
        /// The package.
        package: PackageName,
        /// The name that is excepted.
        name: String,
        /// The base name that the links lead to.
        target: String,
    },
    /// Several claims to one name, and no rule says who wins.
    #[error(
        "`{name}` in the tarball `{tarball}` is claimed by {}: say in [gives-way] who gives way",
        list(claimants)
    )]
    Conflict {
        /// The tarball.
        tarball: String,
        /// The member's name.
        name: String,
        /// Who claims it.
        claimants: Vec<Claimant>,
    },
    /// A link to something that is not in the tarball.
    #[error("`{name}` in the tarball `{tarball}` leads to `{target}`, which is not a file there")]
    Dangling {
        /// The tarball.
        tarball: String,
        /// The link's name.
        name: String,
        /// Where it leads.
        target: String,
    },
}

/// Who claims a name, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// The package; none for a folder of the layout.
    pub origin: Option<Origin>,
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            None => f.write_str("a folder of the layout"),
            Some(Origin { package, path: Some(path) }) => write!(f, "`{package}` (`{path}`)"),
            Some(Origin { package, path: None }) => write!(f, "`{package}` (a [[link]] of the layout)"),
        }
    }
}

fn list(claimants: &[Claimant]) -> String {
    claimants.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// Chooses the members of every tarball. `missing` are packages that could not be had: the root is made without what they
/// would bring, and says so in [`Root::left_out`].
pub fn assemble<F: Clone>(
    layout: &Layout,
    trees: &BTreeMap<PackageName, PackageTree<F>>,
    missing: &BTreeSet<PackageName>,
) -> Result<Root<F>, AssembleError> {
    let mut assembly =
        Assembly { layout, trees, missing, claims: BTreeMap::new(), left_out: BTreeMap::new() };
    for rule in &layout.files {
        assembly.files(rule)?;
    }
    for rule in &layout.links {
        assembly.links(rule)?;
    }
    for rule in &layout.own_links {
        let content = Content::Link { target: rule.target.clone() };
        for name in &rule.names {
            if missing.contains(&rule.owner) {
                assembly.leave_out(&rule.owner, &rule.to, name);
            } else {
                let origin = Origin { package: rule.owner.clone(), path: None };
                assembly.claim(&rule.to, name, &origin, &content);
            }
        }
    }
    let tarballs =
        (0..layout.tarballs.len()).map(|index| assembly.tarball(index)).collect::<Result<_, _>>()?;
    Ok(Root {
        tarballs,
        left_out: assembly.left_out.into_values().collect(),
        checksums: layout.checksums.clone(),
    })
}

/// A claim to a name.
struct Claim<F> {
    origin: Origin,
    content: Content<F>,
}

struct Assembly<'a, F> {
    layout: &'a Layout,
    trees: &'a BTreeMap<PackageName, PackageTree<F>>,
    missing: &'a BTreeSet<PackageName>,
    /// By tarball and path in it.
    claims: BTreeMap<(usize, String), Vec<Claim<F>>>,
    left_out: BTreeMap<PackageName, LeftOut>,
}

impl<'a, F: Clone> Assembly<'a, F> {
    /// The tree of `package`; none if the package is missing.
    fn tree(&self, package: &PackageName) -> Result<Option<&'a PackageTree<F>>, AssembleError> {
        if self.missing.contains(package) {
            return Ok(None);
        }
        let tree = self.trees.get(package);
        tree.map(Some).ok_or_else(|| AssembleError::NoTree { package: package.clone() })
    }

    fn files(&mut self, rule: &FileRule) -> Result<(), AssembleError> {
        let tree = self.tree(&rule.package)?;
        for path in &rule.from {
            let name = base_name(path);
            let Some(tree) = tree else {
                self.leave_out(&rule.package, &rule.to, name);
                continue;
            };
            let found = match tree.get(path) {
                Some(TreeEntry::File(contents)) => {
                    let origin = Origin { package: rule.package.clone(), path: Some(path.clone()) };
                    let content = Content::File { contents: contents.clone(), kind: rule.kind };
                    self.claim(&rule.to, name, &origin, &content);
                    continue;
                }
                Some(TreeEntry::Symlink(_)) => "has a symlink there",
                Some(TreeEntry::Dir) => "has a folder there",
                None => "does not have it",
            };
            return Err(AssembleError::NoFile { package: rule.package.clone(), path: path.clone(), found });
        }
        Ok(())
    }

    fn links(&mut self, rule: &LinksRule) -> Result<(), AssembleError> {
        let package = &rule.package;
        let target = base_name(&rule.target).to_owned();
        let Some(tree) = self.tree(package)? else {
            let left_out = self.left_out_of(package);
            if !left_out.links_to.contains(&target) {
                left_out.links_to.push(target);
            }
            return Ok(());
        };
        let mut idle: BTreeSet<usize> = (0..rule.from.len()).collect();
        let mut stale = rule.except.clone();
        let content = Content::Link { target: rule.target.clone() };
        for (path, entry) in tree {
            let TreeEntry::Symlink(leads_to) = entry else { continue };
            let matching: Vec<usize> =
                (0..rule.from.len()).filter(|&at| rule.from[at].1.is_match(path)).collect();
            if matching.is_empty() {
                continue;
            }
            if base_name(leads_to) != target {
                self.check_stray(package, path, leads_to)?;
                continue;
            }
            for at in matching {
                idle.remove(&at);
            }
            let name = base_name(path);
            if rule.except.contains(name) {
                stale.remove(name);
            } else {
                let origin = Origin { package: package.clone(), path: Some(path.clone()) };
                self.claim(&rule.to, name, &origin, &content);
            }
        }
        if let Some(&at) = idle.first() {
            let glob = rule.from[at].0.clone();
            return Err(AssembleError::NoLink { package: package.clone(), glob, target });
        }
        if let Some(name) = stale.pop_first() {
            return Err(AssembleError::StaleExcept { package: package.clone(), name, target });
        }
        Ok(())
    }

    /// A symlink that one rule's globs match may be another rule's, but must be somebody's.
    fn check_stray(&self, package: &PackageName, path: &str, leads_to: &str) -> Result<(), AssembleError> {
        let leads_there = |rule: &&LinksRule| base_name(&rule.target) == base_name(leads_to);
        let mut rules = self.layout.links.iter().filter(|rule| rule.package == *package);
        if rules.any(|rule| leads_there(&rule)) {
            return Ok(());
        }
        Err(AssembleError::StrayLink {
            package: package.clone(),
            path: path.to_owned(),
            target: leads_to.to_owned(),
        })
    }

    fn claim(&mut self, to: &Place, name: &str, origin: &Origin, content: &Content<F>) {
        for (tarball, folder) in to {
            let claims = self.claims.entry((*tarball, format!("{folder}/{name}"))).or_default();
            claims.push(Claim { origin: origin.clone(), content: content.clone() });
        }
    }

    fn left_out_of(&mut self, package: &PackageName) -> &mut LeftOut {
        let empty = || LeftOut { package: package.clone(), names: Vec::new(), links_to: Vec::new() };
        self.left_out.entry(package.clone()).or_insert_with(empty)
    }

    fn leave_out(&mut self, package: &PackageName, to: &Place, name: &str) {
        for (tarball, folder) in to {
            let text = format!("{}: ./{folder}/{name}", self.layout.tarballs[*tarball].name);
            self.left_out_of(package).names.push(text);
        }
    }

    /// The members of one tarball, every name with one owner and every link with a file to lead to.
    fn tarball(&self, index: usize) -> Result<Tarball<F>, AssembleError> {
        let rule = &self.layout.tarballs[index];
        let conflict = |path: &str, claimants| AssembleError::Conflict {
            tarball: rule.name.clone(),
            name: format!("./{path}"),
            claimants,
        };
        let mut members: BTreeMap<String, Member<F>> = BTreeMap::new();
        for folder in &rule.folders {
            let name = format!("./{folder}/");
            members.insert(name.clone(), Member { name, content: Content::Folder, origin: None });
        }
        let mut files = BTreeSet::new();
        for ((_, path), claims) in self.claims.iter().filter(|((tarball, _), _)| *tarball == index) {
            let claimant = |claim: &Claim<F>| Claimant { origin: Some(claim.origin.clone()) };
            if rule.folders.contains(path) {
                let folder = Claimant { origin: None };
                return Err(conflict(path, claims.iter().map(claimant).chain([folder]).collect()));
            }
            let Some(claim) = self.winner(claims) else {
                return Err(conflict(path, claims.iter().map(claimant).collect()));
            };
            if matches!(claim.content, Content::File { .. }) {
                files.insert(path.clone());
            }
            let name = format!("./{path}");
            let origin = Some(claim.origin.clone());
            members.insert(name.clone(), Member { name, content: claim.content.clone(), origin });
        }
        for member in members.values() {
            let Content::Link { target } = &member.content else { continue };
            let folder =
                member.name.trim_start_matches("./").rsplit_once('/').map_or("", |(folder, _)| folder);
            if !resolve(folder, target).is_some_and(|path| files.contains(&path)) {
                return Err(AssembleError::Dangling {
                    tarball: rule.name.clone(),
                    name: member.name.clone(),
                    target: target.clone(),
                });
            }
        }
        Ok(Tarball {
            name: rule.name.clone(),
            members: members.into_values().collect(),
            file: rule.file.clone(),
        })
    }

    /// The claim that all others give way to. A package that installs the same link in two folders claims it once.
    fn winner<'c>(&self, claims: &'c [Claim<F>]) -> Option<&'c Claim<F>> {
        claims.iter().find(|claim| {
            claims.iter().all(|other| {
                std::ptr::eq(other, *claim)
                    || self.layout.yields(&other.origin.package, &claim.origin.package)
                    || (other.origin.package == claim.origin.package
                        && same_link(&other.content, &claim.content))
            })
        })
    }
}

fn same_link<F>(left: &Content<F>, right: &Content<F>) -> bool {
    matches!((left, right), (Content::Link { target: left }, Content::Link { target: right }) if left == right)
}
