//! What K3s expects of a tarball, as data: `inventory.tsv` has every member of upstream's tarballs, name by name.
//!
//! Measured for amd64; the other arches have the same names. The columns are tarball, name, type, mode, a link's target,
//! and upstream's size, which nothing is held against.

use std::fmt;

use serde::Serialize;

const INVENTORY: &str = include_str!("inventory.tsv");

/// Which of an arch's two tarballs one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TarballKind {
    /// All programs.
    Root,
    /// The packet filter alone.
    Xtables,
}

impl TarballKind {
    /// What the layout and the inventory call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Xtables => "xtables",
        }
    }

    /// Names that must not be there: in `bin` they would shadow the node's own programs.
    pub fn barred(self) -> &'static [&'static str] {
        match self {
            Self::Root => &["./bin/mount", "./bin/modprobe"],
            Self::Xtables => &["./bin/mount", "./bin/modprobe", "./bin/nft"],
        }
    }

    /// Every member that must be there, in byte order of the names.
    pub fn members(self) -> impl Iterator<Item = Expected> {
        INVENTORY.lines().skip(1).filter_map(Expected::parse).filter(move |row| row.tarball == self.as_str())
    }
}

impl fmt::Display for TarballKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A member of the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The tarball: `root` or `xtables`.
    pub tarball: &'static str,
    /// Its name, as in the tarball.
    pub name: &'static str,
    /// What it is.
    pub what: ExpectedType,
    /// Its permissions, in octal.
    pub mode: &'static str,
}

/// What a member of the inventory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedType {
    /// A folder.
    Folder,
    /// An ELF program.
    Program,
    /// A text that begins with `#!`.
    Script,
    /// A symlink, and where it leads.
    Link(&'static str),
}

impl fmt::Display for ExpectedType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str("a folder"),
            Self::Program | Self::Script => f.write_str("a file"),
            Self::Link(target) => write!(f, "a link to `{target}`"),
        }
    }
}

impl Expected {
    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.split('\t');
        let [tarball, name, what, mode, target] = [(); 5].map(|()| fields.next());
        let what = match what? {
            "dir" => ExpectedType::Folder,
            "file" => ExpectedType::Program,
            "script" => ExpectedType::Script,
            "link" => ExpectedType::Link(target?),
            _ => return None,
        };
        Some(Self { tarball: tarball?, name: name?, what, mode: mode? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        let counts = [TarballKind::Root, TarballKind::Xtables].map(|kind| kind.members().count());
        assert_eq!(counts, [352, 47]);
        assert_eq!(counts.iter().sum::<usize>(), INVENTORY.lines().count() - 1);
    }

    #[test]
    fn what_is_barred_is_not_expected() {
        for kind in [TarballKind::Root, TarballKind::Xtables] {
            assert!(kind.members().all(|member| !kind.barred().contains(&member.name)), "{kind}");
        }
    }
}
