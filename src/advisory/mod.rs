//! Databases of advisories that lie in a folder, and what of them concerns the components of a root.
//!
//! Records of NVD's JSON 2.0 and of OSV go in. Which of them concern a component, how severe each is, and whether a
//! recipe's `[[cve]]` entry explains it, comes out. Nothing here touches the network or the clock.

mod claimed;
mod configuration;
mod cpe;
mod database;
mod findings;
mod nvd;
mod osv;
mod severity;
mod versions;

use std::collections::BTreeSet;

use crate::attest::Component;
use crate::name::PackageName;
use cpe::Cpe;

pub use database::{Database, DatabaseError};
pub use findings::{Finding, Report, State, findings};
pub use severity::Severity;

/// A component as databases know it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The package.
    pub package: PackageName,
    /// Its version.
    pub version: String,
    cpe: Option<Cpe>,
    /// Its package URL without the version.
    purl: Option<String>,
}

impl Subject {
    /// A component by the names that its recipe gives it.
    pub fn new(component: &Component<'_>) -> Self {
        Self {
            package: component.recipe.name.clone(),
            version: component.recipe.version.to_string(),
            cpe: component.cpe().as_deref().and_then(Cpe::parse),
            purl: component.recipe.identity.purl.clone(),
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
    /// It names a subject and commits, with which no version can be compared.
    Commits,
    /// It names products and their versions.
    Versions,
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
