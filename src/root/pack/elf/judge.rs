//! Whether the facts will do: a program must be for the arch, static, hardened and stripped.

use super::canary::Protector;
use super::error::ElfError;
use super::facts::{ElfFacts, ElfType, Segment};
use model::arch::Arch;

/// What can be wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum ElfProblem {
    /// It is no ELF file.
    #[error("is not an ELF file")]
    NotElf,
    /// It is no script.
    #[error("is not a script: it does not begin with `#!`")]
    NotScript,
    /// It cannot be read as an ELF file.
    #[error("is a damaged ELF file: {reason}")]
    Damaged {
        /// What the reader says.
        reason: String,
    },
    /// It is for another machine.
    #[error("is for another machine: {field} is {found}, the arch's is {expected}")]
    Machine {
        /// Which part of the machine's identity: `machine`, `class` or `endian`.
        field: &'static str,
        /// What the arch's record says.
        expected: String,
        /// What the file says.
        found: String,
    },
    /// It is an object file, a shared library or a core dump.
    #[error("is not a program (ELF type {e_type})")]
    NotProgram {
        /// `e_type`; 3 here is a shared library.
        e_type: u16,
    },
    /// It is loaded at one address, which an attacker then knows.
    #[error("is not a PIE: it is loaded at a fixed address")]
    NotPie,
    /// It asks for a dynamic linker.
    #[error("is not static: it asks for the interpreter `{interpreter}`")]
    Interpreter {
        /// The interpreter.
        interpreter: String,
    },
    /// It needs a shared library.
    #[error("is not static: it needs `{library}`")]
    Needed {
        /// The library.
        library: String,
    },
    /// Its stack is executable, or it does not say that it is not.
    #[error("has an executable stack")]
    ExecutableStack,
    /// A segment is both writable and executable.
    #[error("has a segment that is writable and executable, at {address:#x}")]
    WritableCode {
        /// The segment's address.
        address: u64,
    },
    /// No part becomes read-only after relocation.
    #[error("has no RELRO segment")]
    NoRelro,
    /// It relocates itself and does not ask for that to be done at once.
    #[error("is not linked with BIND_NOW")]
    NoBindNow,
    /// No function of it is protected.
    #[error("has no stack protector: nothing reads the canary")]
    NoStackProtector,
    /// Code must be written to when it is loaded.
    #[error("has text relocations")]
    TextRelocations,
    /// The linker left work for a dynamic linker that there is not: the pointers stay null.
    #[error("has {count} relocations against symbols, which no static program applies to itself")]
    SymbolicRelocations {
        /// How many.
        count: usize,
    },
    /// It still has symbols or debugging information.
    #[error("is not stripped: it has `{section}`")]
    NotStripped {
        /// The section.
        section: String,
    },
    /// A segment could not be mapped where pages are large.
    #[error("has a segment at {address:#x} aligned to {align:#x}, pages of the arch can be {page_size:#x}")]
    Alignment {
        /// The segment's address.
        address: u64,
        /// Its alignment.
        align: u64,
        /// The arch's largest page size.
        page_size: u64,
    },
    /// It mentions a folder of the build.
    #[error("mentions the build at offset {offset:#x}: `{text}`")]
    BuildPath {
        /// Where.
        offset: usize,
        /// The path.
        text: String,
    },
}

impl From<ElfError> for ElfProblem {
    fn from(error: ElfError) -> Self {
        match error {
            ElfError::NotElf => Self::NotElf,
            ElfError::Damaged { reason } => Self::Damaged { reason },
        }
    }
}

impl ElfProblem {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotElf | Self::NotProgram { .. } => "pack the program that the linker made",
            Self::NotScript => "begin the script with `#!/bin/sh`",
            Self::Damaged { .. } => "build or copy the file again",
            Self::Machine { .. } => "build it for the arch, or name the tarball's arch with `--arch`",
            Self::NotPie => "compile with `-fPIE` and link with `-static-pie`",
            Self::Interpreter { .. } | Self::Needed { .. } => "link with `-static-pie`",
            Self::ExecutableStack => {
                "link with `-Wl,-z,noexecstack`, and mark assembler files with `.note.GNU-stack`"
            }
            Self::WritableCode { .. } => {
                "link without `-N` and `-z rwx`, so that code has a segment of its own"
            }
            Self::NoRelro => "link with `-Wl,-z,relro`",
            Self::NoBindNow => "link with `-Wl,-z,now`",
            Self::NoStackProtector => "compile with `-fstack-protector-strong`",
            Self::TextRelocations => "compile everything in it with `-fPIE`",
            Self::SymbolicRelocations { .. } => {
                "link with `-Wl,--dynamic-list-cpp-new`, which makes symbols local"
            }
            Self::NotStripped { .. } => "link with `-s`",
            Self::Alignment { .. } => "link with `-Wl,-z,max-page-size=` and the arch's page size",
            Self::BuildPath { .. } => "compile with `-ffile-prefix-map=`, or configure it without the path",
        }
    }
}

/// Everything that is wrong with a program for `arch`; with one for another machine, that alone.
pub fn judge(arch: &Arch, facts: &ElfFacts) -> Vec<ElfProblem> {
    let mut problems = other_machine(arch, facts);
    if !problems.is_empty() {
        return problems;
    }
    problems
        .extend(facts.writable_code().map(|segment| ElfProblem::WritableCode { address: segment.address }));
    let page_size = arch.page_size;
    let small = facts.segments.iter().filter(|segment| segment.align < page_size);
    problems.extend(small.map(|&Segment { address, align, .. }| ElfProblem::Alignment {
        address,
        align,
        page_size,
    }));
    let interpreter = facts.interpreter.clone();
    problems.extend(interpreter.map(|interpreter| ElfProblem::Interpreter { interpreter }));
    match facts.elf_type {
        ElfType::Pie => {}
        ElfType::Fixed => problems.push(ElfProblem::NotPie),
        ElfType::Other(e_type) => problems.push(ElfProblem::NotProgram { e_type }),
    }
    let flaws = [
        (facts.executable_stack, ElfProblem::ExecutableStack),
        (!facts.relro, ElfProblem::NoRelro),
        (facts.bind_now == Some(false), ElfProblem::NoBindNow),
        (facts.protector == Protector::Absent, ElfProblem::NoStackProtector),
        (facts.text_relocations, ElfProblem::TextRelocations),
    ];
    let symbolic = Some(facts.relocations.symbolic).filter(|count| *count > 0 && facts.is_static());
    problems.extend(symbolic.map(|count| ElfProblem::SymbolicRelocations { count }));
    problems.extend(flaws.into_iter().filter(|(is_so, _)| *is_so).map(|(_, problem)| problem));
    problems.extend(facts.needed.iter().cloned().map(|library| ElfProblem::Needed { library }));
    problems.extend(facts.symbols.iter().cloned().map(|section| ElfProblem::NotStripped { section }));
    problems
}

fn other_machine(arch: &Arch, facts: &ElfFacts) -> Vec<ElfProblem> {
    [
        ("machine", arch.elf.number.to_string(), facts.machine.to_string()),
        ("class", arch.elf.class.to_string(), facts.class.to_string()),
        ("endian", arch.elf.endian.clone(), facts.endian.to_owned()),
    ]
    .into_iter()
    .filter(|(_, expected, found)| expected != found)
    .map(|(field, expected, found)| ElfProblem::Machine { field, expected, found })
    .collect()
}
