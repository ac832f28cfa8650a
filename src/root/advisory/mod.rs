//! Databases of advisories that lie in a folder, and what of them concerns the components of a root.
//!
//! Records of NVD's JSON 2.0 and of OSV go in. Which of them concern a component, how severe each is, and whether a
//! recipe's `[[cve]]` entry explains it, comes out. Nothing here touches the network or the clock.

mod affected;
mod claimed;
mod configuration;
mod cpe;
mod database;
mod findings;
mod nvd;
mod osv;
mod repository;
mod severity;
mod versions;

use std::collections::BTreeSet;

use crate::attest::Component;
use base::name::PackageName;
use cpe::Cpe;
use model::recipe::{Origin, Recipe};
use repository::Repository;

pub use database::{Database, DatabaseError};
pub use findings::{Finding, Report, State, findings};
pub use severity::Severity;

/// A component as databases know it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The package.
    pub package: PackageName,
    /// Its version; none if nobody knows it, as of local trees that do not state theirs.
    pub version: Option<String>,
    cpe: Option<Cpe>,
    /// Its package URL without the version.
    purl: Option<String>,
    /// Where its source is kept, as far as its recipe tells.
    repositories: BTreeSet<Repository>,
}

impl Subject {
    /// A component by the names that its recipe gives it, and by the repositories that its home page, its purl and the
    /// addresses of its own archives belong to.
    pub fn new(component: &Component<'_>) -> Self {
        Self {
            package: component.recipe.name.clone(),
            version: component.version().map(ToString::to_string),
            cpe: component.cpe().as_deref().and_then(Cpe::parse),
            purl: component.recipe.identity.purl.clone(),
            repositories: repositories(component.recipe),
        }
    }

    /// Whether a package URL, of whatever version, is its own.
    fn is_purl(&self, other: &str) -> bool {
        let end = other.find(['?', '#']).unwrap_or(other.len());
        let other = &other[..end];
        // A scope's `@` stands before the last part.
        let base = match other.rfind('@') {
            Some(at) if !other[at..].contains('/') => &other[..at],
            _ => other,
        };
        self.purl.as_deref() == Some(base)
    }

    /// Whether NVD has a name for it.
    pub fn has_cpe(&self) -> bool {
        self.cpe.is_some()
    }
}

/// The repositories that a recipe tells. A tree that is unpacked beside the package's own is something else.
fn repositories(recipe: &Recipe) -> BTreeSet<Repository> {
    let own = recipe.sources.iter().filter(|source| source.into.is_none());
    let archives = own.flat_map(|source| match &source.origin {
        Origin::Archives(archives) => archives.as_slice(),
        Origin::Local(_) => &[],
    });
    let addresses = archives.flat_map(|archive| &archive.urls).chain([&recipe.homepage]);
    let of_purl = recipe.identity.purl.as_deref().and_then(Repository::of_purl);
    addresses.filter_map(|address| Repository::of_address(address)).chain(of_purl).collect()
}

/// Where a record comes from. A database that copies another's records does not take their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Nvd,
    Osv,
}

/// What a record says of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    No,
    /// It cannot be told from what the record says, or from what is known here.
    Maybe,
    Yes,
}

/// In which words a record says what is affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// It names no product: nothing can be compared with it.
    Nothing,
    /// It names a repository, of which nothing here tells what it is.
    Repository,
    /// It names a subject and commits, with which no version can be compared.
    Commits,
    /// It names products and their versions.
    Versions,
}

impl Says {
    /// Whether nothing tells which subject is meant, so that a recipe's entry may.
    fn names_nobody_known(self) -> bool {
        matches!(self, Self::Nothing | Self::Repository)
    }
}

/// A record of a database, as far as it matters here.
#[derive(Debug, Clone)]
struct Record {
    source: Source,
    id: String,
    /// Other databases' names of the same vulnerability.
    aliases: BTreeSet<String>,
    /// When it was changed last, as the database writes it: the later is the greater.
    modified: String,
    severity: Option<Severity>,
    /// Rejected by who gave the number, or withdrawn.
    withdrawn: bool,
    disputed: bool,
    says: Says,
    /// The subjects that it names, by their place, and whether their versions are affected.
    concerns: Vec<(usize, Truth)>,
}
