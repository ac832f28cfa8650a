//! What came, went and changed from one tarball to another.
//!
//! In: two archives, of any arch. Out: a [`Difference`]. Times and the order of members are not compared one by one:
//! whether the bytes are equal says it all.

use std::collections::BTreeMap;

use serde::Serialize;

use super::archive::{Archive, ArchiveMember, ArchiveType};
use super::elf::ElfFacts;
use super::layout::base_name;
use super::version::version;
use base::digest::Sha256;

/// One of the two tarballs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The digest of the file.
    pub sha256: Sha256,
    /// The size of the file in bytes.
    pub size: usize,
    /// How many members it has.
    pub members: usize,
}

/// What came, went and changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The tarball that there was.
    pub old: Side,
    /// The tarball that there is.
    pub new: Side,
    /// Members of the new one alone.
    pub came: Vec<Sole>,
    /// Members of the old one alone.
    pub went: Vec<Sole>,
    /// Members of both that are not the same.
    pub changed: Vec<Changed>,
}

/// A member of one tarball alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sole {
    /// Its name.
    pub name: String,
    /// What it is, in words.
    pub what: String,
    /// The size of a file in bytes.
    pub size: Option<usize>,
}

/// A member that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// What is not the same about it.
    pub changes: Vec<Change>,
}

/// What is not the same about a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Change {
    /// A property in words: type, target, mode, owner, version, or one of the hardening table.
    Property {
        /// Which.
        name: &'static str,
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
    /// The file's size in bytes.
    Size {
        /// What it was.
        old: u64,
        /// What it is.
        new: u64,
    },
    /// The size of a section in bytes; a section that is not there has none.
    Section {
        /// Which.
        name: String,
        /// What it was.
        old: Option<u64>,
        /// What it is.
        new: Option<u64>,
    },
    /// The bytes, and nothing that is told above.
    Contents,
}

impl Difference {
    /// Whether the two files are equal byte for byte.
    pub fn is_equal(&self) -> bool {
        self.old.sha256 == self.new.sha256
    }

    /// Whether every member is the same; times, order and padding may differ.
    pub fn same_members(&self) -> bool {
        self.came.is_empty() && self.went.is_empty() && self.changed.is_empty()
    }
}

/// Compares two tarballs.
pub fn diff(old: &Archive<'_>, new: &Archive<'_>) -> Difference {
    let (before, after) = (by_name(old), by_name(new));
    let sole = |those: &Members<'_, '_>, others: &Members<'_, '_>| {
        let alone = those.iter().filter(|(key, _)| !others.contains_key(*key));
        alone.map(|(_, member)| Sole::of(member)).collect()
    };
    let both = before.iter().filter_map(|(key, old)| Some((*old, *after.get(key)?)));
    let changed = both.filter_map(|(old, new)| {
        let changes = changes(old, new);
        (!changes.is_empty()).then(|| Changed { name: shown(&new.name), changes })
    });
    Difference {
        old: side(old),
        new: side(new),
        came: sole(&after, &before),
        went: sole(&before, &after),
        changed: changed.collect(),
    }
}

/// By name, without the slash that a folder's has; of several members of one name the last, which is what unpacking
/// leaves.
type Members<'m, 'a> = BTreeMap<&'m str, &'m ArchiveMember<'a>>;

fn by_name<'m, 'a>(archive: &'m Archive<'a>) -> Members<'m, 'a> {
    archive.members.iter().map(|member| (member.name.trim_end_matches('/'), member)).collect()
}

fn side(archive: &Archive<'_>) -> Side {
    Side { sha256: archive.sha256, size: archive.size, members: archive.members.len() }
}

fn shown(text: &str) -> String {
    text.escape_debug().to_string()
}

impl Sole {
    fn of(member: &ArchiveMember<'_>) -> Self {
        let (what, size) = match &member.what {
            ArchiveType::Link(target) => (format!("link to {}", shown(target)), None),
            ArchiveType::HardLink(target) => (format!("hard link to {}", shown(target)), None),
            ArchiveType::File(contents) => ("file".to_owned(), Some(contents.len())),
            other => (type_of(other), None),
        };
        Self { name: shown(&member.name), what, size }
    }
}

fn type_of(what: &ArchiveType<'_>) -> String {
    match what {
        ArchiveType::Folder => "folder".to_owned(),
        ArchiveType::File(_) => "file".to_owned(),
        ArchiveType::Link(_) => "link".to_owned(),
        ArchiveType::HardLink(_) => "hard link".to_owned(),
        ArchiveType::Other(letter) => format!("type {}", letter.escape_debug()),
    }
}

/// Collects properties that differ.
struct Changes(Vec<Change>);

impl Changes {
    fn property(&mut self, name: &'static str, old: impl Into<String>, new: impl Into<String>) {
        let (old, new) = (old.into(), new.into());
        if old != new {
            self.0.push(Change::Property { name, old, new });
        }
    }
}

fn changes(old: &ArchiveMember<'_>, new: &ArchiveMember<'_>) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    changes.property("type", type_of(&old.what), type_of(&new.what));
    if let (Some(old), Some(new)) = (target_of(&old.what), target_of(&new.what)) {
        changes.property("target", shown(old), shown(new));
    }
    changes.property("mode", format!("{:04o}", old.mode), format!("{:04o}", new.mode));
    changes.property("owner", format!("{}:{}", old.uid, old.gid), format!("{}:{}", new.uid, new.gid));
    if let (ArchiveType::File(before), ArchiveType::File(after)) = (&old.what, &new.what) {
        if before != after {
            contents(base_name(&new.name), before, after, &mut changes);
        }
    }
    changes.0
}

fn target_of<'m>(what: &'m ArchiveType<'_>) -> Option<&'m str> {
    match what {
        ArchiveType::Link(target) | ArchiveType::HardLink(target) => Some(target),
        _ => None,
    }
}

fn contents(name: &str, before: &[u8], after: &[u8], changes: &mut Changes) {
    let earlier = changes.0.len();
    let version = |bytes| version(name, bytes).unwrap_or_else(|| "-".to_owned());
    changes.property("version", version(before), version(after));
    if before.len() != after.len() {
        changes.0.push(Change::Size { old: before.len() as u64, new: after.len() as u64 });
    }
    match (ElfFacts::read(before), ElfFacts::read(after)) {
        (Ok(old), Ok(new)) => facts(&old, &new, changes),
        (old, new) => {
            let what = |is_elf: bool| if is_elf { "ELF file" } else { "text or data" };
            changes.property("contents", what(old.is_ok()), what(new.is_ok()));
        }
    }
    if changes.0.len() == earlier {
        changes.0.push(Change::Contents);
    }
}

fn facts(old: &ElfFacts, new: &ElfFacts, changes: &mut Changes) {
    let machine =
        |facts: &ElfFacts| format!("{} ({} bits, {} endian)", facts.machine, facts.class, facts.endian);
    changes.property("machine", machine(old), machine(new));
    for ((name, old), (_, new)) in old.hardening().into_iter().zip(new.hardening()) {
        changes.property(name, old, new);
    }
    changes.property("relocations", old.relocations.form(), new.relocations.form());
    let sizes = |facts: &ElfFacts| {
        let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
        for section in &facts.sections {
            let size = sizes.entry(section.name.clone()).or_default();
            *size = size.saturating_add(section.size);
        }
        sizes
    };
    let (before, after) = (sizes(old), sizes(new));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (old, new) = (before.get(name).copied(), after.get(name).copied());
        if old != new {
            changes.0.push(Change::Section { name: name.clone(), old, new });
        }
    }
}
