//! Holds a finished tarball, anybody's, against what K3s expects of it and the project of its programs.
//!
//! In: the bytes, the file's name, the arch records. Out: a [`Report`]: a verdict per check, a row per program, and
//! everything that was found with its remedy. Build paths are k3sroot's own: another pipeline's are not known here.

mod members;
mod programs;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::archive::{Archive, ArchiveError};
use super::contract::TarballKind;
use super::elf::{ElfFacts, Protector};
use base::digest::Sha256;
use base::name::ArchName;
use model::arch::{Arch, Arches};

/// Raised when a tarball cannot be held against anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Neither its name nor its programs tell the arch.
    #[error("neither its name nor its programs tell which arch it is for: give `--arch ARCH`")]
    NoArch,
}

/// One thing that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Every member of the inventory is there and is what it should be.
    Members,
    /// The names can be used.
    Names,
    /// Links are relative and lead to members.
    Links,
    /// Permissions, owner, and no other types than folder, file and symlink.
    Modes,
    /// Files are programs or scripts, and whole.
    Files,
    /// Programs are for the arch, and for one.
    Machine,
    /// Programs need nothing of the node's libraries.
    Static,
    /// Programs can be loaded anywhere.
    Pie,
    /// Part of a program becomes read-only after relocation.
    Relro,
    /// Everything is bound when a program is loaded.
    BindNow,
    /// The stack protector.
    StackProtector,
    /// The stack is not executable.
    Stack,
    /// No segment is writable and executable, and code is not relocated.
    WritableCode,
    /// Programs can be loaded with the arch's largest pages.
    PageSize,
    /// No symbols, no debugging information.
    Stripped,
    /// No file mentions the build.
    BuildPaths,
}

impl Check {
    /// All checks in the order in which they are shown.
    pub const ALL: [Self; 16] = [
        Self::Members,
        Self::Names,
        Self::Links,
        Self::Modes,
        Self::Files,
        Self::Machine,
        Self::Static,
        Self::Pie,
        Self::Relro,
        Self::BindNow,
        Self::StackProtector,
        Self::Stack,
        Self::WritableCode,
        Self::PageSize,
        Self::Stripped,
        Self::BuildPaths,
    ];
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Members => "members",
            Self::Names => "names",
            Self::Links => "links",
            Self::Modes => "modes",
            Self::Files => "files",
            Self::Machine => "machine",
            Self::Static => "static",
            Self::Pie => "PIE",
            Self::Relro => "RELRO",
            Self::BindNow => "BIND_NOW",
            Self::StackProtector => "stack protector",
            Self::Stack => "stack",
            Self::WritableCode => "W^X",
            Self::PageSize => "page size",
            Self::Stripped => "stripped",
            Self::BuildPaths => "build paths",
        })
    }
}

/// How well it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is as it should be.
    Ok,
    /// Something is worth knowing and is no error.
    Note,
    /// It is not as it should be.
    Wrong,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// By which check.
    pub check: Check,
    /// How bad it is; never [`Verdict::Ok`].
    pub verdict: Verdict,
    /// What it is, to be read after the member's name if there is one.
    pub text: String,
    /// The member; none if it is about the whole tarball.
    pub member: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// A verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// On what.
    pub check: Check,
    /// The verdict.
    pub verdict: Verdict,
    /// What was found where there should be something, in a few words.
    pub said: String,
}

/// A program of the tarball.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: usize,
    /// Its version, where its bytes tell exactly one.
    pub version: Option<String>,
    /// What it says of itself.
    pub facts: ElfFacts,
}

/// What a tarball turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Which of the two tarballs it is held to be.
    pub tarball: TarballKind,
    /// The arch that it is held to be for.
    pub arch: ArchName,
    /// The digest of the file.
    pub sha256: Sha256,
    /// The size of the file in bytes.
    pub size: usize,
    /// A verdict for each of [`Check::ALL`].
    pub checks: Vec<Checked>,
    /// The programs in byte order of their names.
    pub programs: Vec<Program>,
    /// Everything that was found, by check.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether K3s can use the tarball and the project vouches for its programs.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Wrong)
    }
}

/// Holds the tarball `bytes`, called `file_name`, against the contract. The arch is `forced`, or what the name says, or
/// what the programs are for.
pub fn verify(
    file_name: &str,
    bytes: &[u8],
    arches: &Arches,
    forced: Option<&Arch>,
) -> Result<Report, VerifyError> {
    let archive = Archive::read(bytes)?;
    let tarball = kind_of(file_name, &archive);
    let looked = programs::look(&archive, tarball);
    let arch = forced
        .or_else(|| arch_of_name(file_name, arches))
        .or_else(|| looked.programs.iter().find_map(|program| arch_of_facts(&program.facts, arches)))
        .ok_or(VerifyError::NoArch)?;
    let mut findings = members::findings(&archive, tarball);
    findings.extend(programs::findings(arch, &looked));
    findings.sort();
    let checks = Check::ALL
        .map(|check| {
            let of_check = findings.iter().filter(|finding| finding.check == check);
            let verdict = of_check.map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
            Checked { check, verdict, said: said(check, arch, tarball, &archive, &looked.programs) }
        })
        .into();
    Ok(Report {
        tarball,
        arch: arch.name.clone(),
        sha256: archive.sha256,
        size: archive.size,
        checks,
        programs: looked.programs,
        findings,
    })
}

/// The kind of which the tarball has more of the members; where that does not tell, what the name says.
fn kind_of(file_name: &str, archive: &Archive<'_>) -> TarballKind {
    let names: BTreeSet<&str> = archive.members.iter().map(|member| member.name.as_str()).collect();
    let count = |kind: TarballKind| kind.members().filter(|member| names.contains(member.name)).count();
    let (root, xtables) = (count(TarballKind::Root), count(TarballKind::Xtables));
    if xtables > root || (xtables == root && file_name.contains("xtables")) {
        TarballKind::Xtables
    } else {
        TarballKind::Root
    }
}

/// The arch that a word of the file's name says, if there is one and no other.
fn arch_of_name<'a>(file_name: &str, arches: &'a Arches) -> Option<&'a Arch> {
    let mut found = file_name.split(['-', '.']).filter_map(|word| arches.find(word).ok());
    let first = found.next()?;
    found.all(|other| other.name == first.name).then_some(first)
}

fn arch_of_facts<'a>(facts: &ElfFacts, arches: &'a Arches) -> Option<&'a Arch> {
    arches.iter().find(|arch| {
        (arch.elf.number, arch.elf.class, arch.elf.endian.as_str())
            == (facts.machine, facts.class, facts.endian)
    })
}

/// What a check looked at, in a few words.
fn said(
    check: Check,
    arch: &Arch,
    tarball: TarballKind,
    archive: &Archive<'_>,
    programs: &[Program],
) -> String {
    let of = |count: usize| format!("{count} of {}", programs.len());
    let having = |fits: fn(&ElfFacts) -> bool| of(programs.iter().filter(|one| fits(&one.facts)).count());
    match check {
        Check::Members => {
            let expected: BTreeSet<&str> = tarball.members().map(|member| member.name).collect();
            let there: BTreeSet<&str> = archive.members.iter().map(|member| member.name.as_str()).collect();
            let extra = there.difference(&expected).count();
            format!("{} of {} names, {extra} more", there.intersection(&expected).count(), expected.len())
        }
        Check::Names => "each must begin with `./` and have no white space".to_owned(),
        Check::Links => "each must be relative and lead to a member".to_owned(),
        Check::Modes => "each must be 0755 and owned by 0:0, none a hard link".to_owned(),
        Check::Files => {
            format!("{} programs, {} other files", programs.len(), archive.files().count() - programs.len())
        }
        Check::Machine => {
            format!("{} ({} bits, {} endian)", arch.elf.machine, arch.elf.class, arch.elf.endian)
        }
        Check::Static => having(ElfFacts::is_static),
        Check::Pie => having(ElfFacts::is_pie),
        Check::Relro => having(|facts| facts.relro),
        Check::BindNow => having(|facts| facts.bind_now != Some(false)),
        Check::StackProtector => having(|facts| matches!(facts.protector, Protector::Reads(_))),
        Check::Stack => format!("not executable: {}", having(|facts| !facts.executable_stack)),
        Check::WritableCode => having(ElfFacts::keeps_code_apart),
        Check::PageSize => {
            let fit = |one: &&Program| one.facts.page_size().is_none_or(|size| size >= arch.page_size);
            format!("{} for pages of {}", of(programs.iter().filter(fit).count()), arch.page_size)
        }
        Check::Stripped => having(|facts| facts.symbols.is_none()),
        Check::BuildPaths => "no file may mention a folder of k3sroot's builds".to_owned(),
    }
}
