//! The files of a tarball: what each is, and what is wrong with it.

use std::collections::BTreeMap;

use super::{Check, Finding, Program, Verdict};
use crate::pack::archive::Archive;
use crate::pack::contract::{ExpectedType, TarballKind};
use crate::pack::elf::{ElfFacts, ElfProblem, Protector, judge, mentions, script_problems};
use crate::pack::version::version;
use model::arch::Arch;

/// What the files turned out to be.
pub(super) struct Looked {
    pub(super) programs: Vec<Program>,
    /// What is wrong whatever the arch: files that are neither program nor script, and that mention the build.
    problems: Vec<(String, ElfProblem)>,
}

/// Looks into every regular file. The contract says which are programs and which are scripts; of what is beyond it, a
/// file that begins with `#!` is a script.
pub(super) fn look(archive: &Archive<'_>, tarball: TarballKind) -> Looked {
    let expected: BTreeMap<&str, ExpectedType> =
        tarball.members().map(|member| (member.name, member.what)).collect();
    let mut looked = Looked { programs: Vec::new(), problems: Vec::new() };
    for (member, bytes) in archive.files() {
        let name = member.name.escape_debug().to_string();
        let script = match expected.get(member.name.as_str()) {
            Some(what) => *what == ExpectedType::Script,
            None => bytes.starts_with(b"#!"),
        };
        let problems = if script {
            script_problems(bytes, &[])
        } else {
            let mut problems = mentions(bytes, &[]);
            match ElfFacts::read(bytes) {
                Ok(facts) => {
                    let version = version(name.rsplit('/').next().unwrap_or(&name), bytes);
                    looked.programs.push(Program { name: name.clone(), size: bytes.len(), version, facts });
                }
                Err(error) => problems.push(error.into()),
            }
            problems
        };
        looked.problems.extend(problems.into_iter().map(|problem| (name.clone(), problem)));
    }
    looked.programs.sort_by(|left, right| left.name.cmp(&right.name));
    looked
}

pub(super) fn findings(arch: &Arch, looked: &Looked) -> Vec<Finding> {
    let judged = looked.programs.iter().flat_map(|program| {
        judge(arch, &program.facts).into_iter().map(|problem| (program.name.clone(), problem))
    });
    let problems = looked.problems.iter().cloned().chain(judged);
    let mut findings: Vec<Finding> = problems
        .map(|(name, problem)| Finding {
            check: check_of(&problem),
            verdict: Verdict::Wrong,
            text: problem.to_string(),
            member: Some(name),
            remedy: Some(problem.remedy().to_owned()),
        })
        .collect();
    findings.extend(several_machines(&looked.programs));
    let hidden = looked.programs.iter().filter(|program| program.facts.protector == Protector::NotVisible);
    findings.extend(hidden.map(|program| Finding {
        check: Check::StackProtector,
        verdict: Verdict::Note,
        text: "shows no sign of a stack protector, which cannot always be seen on its machine".to_owned(),
        member: Some(program.name.clone()),
        remedy: None,
    }));
    findings
}

/// A tarball is for one arch.
fn several_machines(programs: &[Program]) -> Option<Finding> {
    let mut machines: BTreeMap<(u16, u8, &str), Vec<&str>> = BTreeMap::new();
    for Program { name, facts, .. } in programs {
        machines.entry((facts.machine, facts.class, facts.endian)).or_default().push(name);
    }
    if machines.len() < 2 {
        return None;
    }
    let list = machines.iter().map(|((machine, class, endian), names)| {
        let more = if names.len() > 1 { format!(" and {} more", names.len() - 1) } else { String::new() };
        format!("{machine} ({class} bits, {endian} endian): `{}`{more}", names[0])
    });
    Some(Finding {
        check: Check::Machine,
        verdict: Verdict::Wrong,
        text: format!("programs are for several machines: {}", list.collect::<Vec<_>>().join("; ")),
        member: None,
        remedy: Some("pack the programs of one arch".to_owned()),
    })
}

fn check_of(problem: &ElfProblem) -> Check {
    match problem {
        ElfProblem::NotElf | ElfProblem::NotScript | ElfProblem::Damaged { .. } => Check::Files,
        ElfProblem::Machine { .. } => Check::Machine,
        ElfProblem::Interpreter { .. }
        | ElfProblem::Needed { .. }
        | ElfProblem::SymbolicRelocations { .. } => Check::Static,
        ElfProblem::NotPie | ElfProblem::NotProgram { .. } => Check::Pie,
        ElfProblem::NoRelro => Check::Relro,
        ElfProblem::NoBindNow => Check::BindNow,
        ElfProblem::NoStackProtector => Check::StackProtector,
        ElfProblem::ExecutableStack => Check::Stack,
        ElfProblem::WritableCode { .. } | ElfProblem::TextRelocations => Check::WritableCode,
        ElfProblem::Alignment { .. } => Check::PageSize,
        ElfProblem::NotStripped { .. } => Check::Stripped,
        ElfProblem::BuildPath { .. } => Check::BuildPaths,
    }
}
