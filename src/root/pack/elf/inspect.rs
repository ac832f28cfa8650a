//! Looks into the files before they are packed.

use std::fmt;

use super::facts::ElfFacts;
use super::judge::{ElfProblem, judge};
use crate::pack::layout::FileKind;
use crate::pack::needles::build_paths;
use crate::pack::root::Root;
use base::name::PackageName;
use model::arch::Arch;

/// A sound program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfReport {
    /// The file's name.
    pub name: String,
    /// What it says of itself.
    pub facts: ElfFacts,
}

/// Something wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfFinding {
    /// The file's name.
    pub name: String,
    /// The package it comes from, if that is known.
    pub package: Option<PackageName>,
    /// What is wrong.
    pub problem: ElfProblem,
}

impl fmt::Display for ElfFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.name)?;
        if let Some(package) = &self.package {
            write!(f, "of `{package}` ")?;
        }
        write!(f, "{}", self.problem)
    }
}

impl std::error::Error for ElfFinding {}

/// Inspects every regular file of `root`; `real_folders` are those of the build machine that no file may mention.
pub fn inspect_root<C: AsRef<[u8]>>(
    arch: &Arch,
    root: &Root<C>,
    real_folders: &[String],
) -> Result<Vec<ElfReport>, Vec<ElfFinding>> {
    let mut reports = Vec::new();
    let mut findings = Vec::new();
    for (member, contents, kind) in root.files() {
        let outcome = match kind {
            FileKind::Program => inspect(arch, &member.name, contents.as_ref(), real_folders)
                .map(|report| reports.push(report)),
            FileKind::Script => inspect_script(&member.name, contents.as_ref(), real_folders),
        };
        let package = member.origin.as_ref().map(|origin| &origin.package);
        let found = outcome.err().into_iter().flatten();
        findings.extend(found.map(|finding| ElfFinding { package: package.cloned(), ..finding }));
    }
    if findings.is_empty() { Ok(reports) } else { Err(findings) }
}

/// Inspects a script.
pub fn inspect_script(name: &str, bytes: &[u8], real_folders: &[String]) -> Result<(), Vec<ElfFinding>> {
    let problems = script_problems(bytes, real_folders);
    if problems.is_empty() { Ok(()) } else { Err(findings(name, problems)) }
}

/// Inspects an ELF program; all that is wrong is found, unless it is for another machine.
pub fn inspect(
    arch: &Arch,
    name: &str,
    bytes: &[u8],
    real_folders: &[String],
) -> Result<ElfReport, Vec<ElfFinding>> {
    let mentioned = mentions(bytes, real_folders);
    match ElfFacts::read(bytes) {
        Ok(facts) => {
            let problems = [judge(arch, &facts), mentioned].concat();
            if problems.is_empty() {
                Ok(ElfReport { name: name.to_owned(), facts })
            } else {
                Err(findings(name, problems))
            }
        }
        Err(error) => Err(findings(name, [vec![error.into()], mentioned].concat())),
    }
}

fn findings(name: &str, problems: Vec<ElfProblem>) -> Vec<ElfFinding> {
    problems.into_iter().map(|problem| ElfFinding { name: name.to_owned(), package: None, problem }).collect()
}

/// What is wrong with a script.
pub(in crate::pack) fn script_problems(bytes: &[u8], real_folders: &[String]) -> Vec<ElfProblem> {
    let no_script = (!bytes.starts_with(b"#!")).then_some(ElfProblem::NotScript);
    no_script.into_iter().chain(mentions(bytes, real_folders)).collect()
}

/// Where a file mentions the build.
pub(in crate::pack) fn mentions(bytes: &[u8], real_folders: &[String]) -> Vec<ElfProblem> {
    let paths = build_paths(bytes, real_folders).into_iter();
    paths.map(|(offset, text)| ElfProblem::BuildPath { offset, text }).collect()
}
