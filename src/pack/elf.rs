//! Looks into the files before they are packed: an ELF program must be for the arch, static, hardened and stripped, and no
//! file may mention the build.

use std::fmt;

use object::elf::{
    DF_1_NOW, DF_1_PIE, DF_BIND_NOW, DF_TEXTREL, DT_BIND_NOW, DT_FLAGS, DT_FLAGS_1, DT_NEEDED, DT_STRTAB,
    DT_TEXTREL, ET_DYN, ET_EXEC, FileHeader32, FileHeader64, PF_W, PF_X, PT_DYNAMIC, PT_GNU_RELRO,
    PT_GNU_STACK, PT_INTERP, PT_LOAD, SHT_SYMTAB,
};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _};
use object::{Endianness, FileKind as Format};

use super::layout::FileKind;
use super::needles::build_paths;
use super::root::Root;
use crate::arch::Arch;
use crate::name::PackageName;

/// What a sound program turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfReport {
    /// The file's name.
    pub name: String,
    /// Whether it is a static PIE, which the kernel loads at a random address.
    pub pie: bool,
    /// Its size in bytes.
    pub size: u64,
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

/// What can be wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// Code must be written to when it is loaded.
    #[error("has text relocations")]
    TextRelocations,
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

/// Inspects every regular file of `root`; `forbidden` are the real folders of the build that no file may mention.
pub fn inspect_root<C: AsRef<[u8]>>(
    arch: &Arch,
    root: &Root<C>,
    forbidden: &[String],
) -> Result<Vec<ElfReport>, Vec<ElfFinding>> {
    let mut reports = Vec::new();
    let mut findings = Vec::new();
    for (member, contents, kind) in root.files() {
        let outcome = match kind {
            FileKind::Program => {
                inspect(arch, &member.name, contents.as_ref(), forbidden).map(|report| reports.push(report))
            }
            FileKind::Script => inspect_script(&member.name, contents.as_ref(), forbidden),
        };
        let package = member.origin.as_ref().map(|origin| &origin.package);
        findings.extend(
            outcome
                .err()
                .into_iter()
                .flatten()
                .map(|finding| ElfFinding { package: package.cloned(), ..finding }),
        );
    }
    if findings.is_empty() { Ok(reports) } else { Err(findings) }
}

/// Inspects a script.
pub fn inspect_script(name: &str, bytes: &[u8], forbidden: &[String]) -> Result<(), Vec<ElfFinding>> {
    let mut problems = mentions(bytes, forbidden);
    if !bytes.starts_with(b"#!") {
        problems.insert(0, ElfProblem::NotScript);
    }
    if problems.is_empty() { Ok(()) } else { Err(findings(name, problems)) }
}

/// Inspects an ELF program; all that is wrong is found, unless it is for another machine.
pub fn inspect(
    arch: &Arch,
    name: &str,
    bytes: &[u8],
    forbidden: &[String],
) -> Result<ElfReport, Vec<ElfFinding>> {
    let outcome = match Format::parse(bytes) {
        Ok(Format::Elf32) => examine::<FileHeader32<Endianness>>(arch, bytes),
        Ok(Format::Elf64) => examine::<FileHeader64<Endianness>>(arch, bytes),
        _ => Ok((false, vec![ElfProblem::NotElf])),
    };
    let (pie, mut problems) =
        outcome.unwrap_or_else(|error| (false, vec![ElfProblem::Damaged { reason: error.to_string() }]));
    problems.extend(mentions(bytes, forbidden));
    if problems.is_empty() {
        Ok(ElfReport { name: name.to_owned(), pie, size: bytes.len() as u64 })
    } else {
        Err(findings(name, problems))
    }
}

fn findings(name: &str, problems: Vec<ElfProblem>) -> Vec<ElfFinding> {
    problems.into_iter().map(|problem| ElfFinding { name: name.to_owned(), package: None, problem }).collect()
}

fn mentions(bytes: &[u8], forbidden: &[String]) -> Vec<ElfProblem> {
    let paths = build_paths(bytes, forbidden).into_iter();
    paths.map(|(offset, text)| ElfProblem::BuildPath { offset, text }).collect()
}

/// Whether the file is a PIE, and what is wrong with it.
fn examine<H: FileHeader<Endian = Endianness>>(
    arch: &Arch,
    bytes: &[u8],
) -> object::Result<(bool, Vec<ElfProblem>)> {
    let header = H::parse(bytes)?;
    let endian = header.endian()?;
    let mut problems = other_machine(arch, header, endian);
    if !problems.is_empty() {
        return Ok((false, problems));
    }
    let segments = header.program_headers(endian, bytes)?;
    let has = |p_type| segments.iter().any(|segment| segment.p_type(endian) == p_type);
    for segment in segments {
        let flags = segment.p_flags(endian);
        let address: u64 = segment.p_vaddr(endian).into();
        match segment.p_type(endian) {
            PT_LOAD => {
                if flags & PF_W != 0 && flags & PF_X != 0 {
                    problems.push(ElfProblem::WritableCode { address });
                }
                let align: u64 = segment.p_align(endian).into();
                let page_size = arch.page_size;
                if align < page_size {
                    problems.push(ElfProblem::Alignment { address, align, page_size });
                }
            }
            PT_INTERP => {
                let text = segment.data(endian, bytes).unwrap_or_default();
                let interpreter = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
                problems.push(ElfProblem::Interpreter { interpreter });
            }
            PT_GNU_STACK if flags & PF_X != 0 => problems.push(ElfProblem::ExecutableStack),
            _ => {}
        }
    }
    // Without the segment, kernels of some arches make the stack executable.
    if !has(PT_GNU_STACK) {
        problems.push(ElfProblem::ExecutableStack);
    }
    if !has(PT_GNU_RELRO) {
        problems.push(ElfProblem::NoRelro);
    }
    let dynamic = Dynamic::read(header, endian, bytes)?;
    let e_type = header.e_type(endian);
    match e_type {
        ET_EXEC => {}
        // A shared library has the same type; the linker marks programs. If it is dynamic, that is said already.
        ET_DYN if dynamic.pie || has(PT_INTERP) => {}
        _ => problems.push(ElfProblem::NotProgram { e_type }),
    }
    if has(PT_DYNAMIC) && !dynamic.bind_now {
        problems.push(ElfProblem::NoBindNow);
    }
    if dynamic.text_relocations {
        problems.push(ElfProblem::TextRelocations);
    }
    problems.extend(dynamic.needed.into_iter().map(|library| ElfProblem::Needed { library }));
    problems.extend(symbols(header, endian, bytes)?);
    Ok((e_type == ET_DYN, problems))
}

fn other_machine<H: FileHeader>(arch: &Arch, header: &H, endian: H::Endian) -> Vec<ElfProblem> {
    let class = if header.is_class_64() { "64" } else { "32" };
    let order = if header.is_big_endian() { "big" } else { "little" };
    [
        ("machine", arch.elf.number.to_string(), header.e_machine(endian).to_string()),
        ("class", arch.elf.class.to_string(), class.to_owned()),
        ("endian", arch.elf.endian.clone(), order.to_owned()),
    ]
    .into_iter()
    .filter(|(_, expected, found)| expected != found)
    .map(|(field, expected, found)| ElfProblem::Machine { field, expected, found })
    .collect()
}

/// The first section of symbols or debugging information, if any.
fn symbols<H: FileHeader<Endian = Endianness>>(
    header: &H,
    endian: Endianness,
    bytes: &[u8],
) -> object::Result<Option<ElfProblem>> {
    let sections = header.sections(endian, bytes)?;
    for section in sections.iter() {
        let name = String::from_utf8_lossy(sections.section_name(endian, section)?).into_owned();
        if section.sh_type(endian) == SHT_SYMTAB || name.starts_with(".debug") || name.starts_with(".zdebug")
        {
            return Ok(Some(ElfProblem::NotStripped { section: name }));
        }
    }
    Ok(None)
}

/// What the dynamic section says.
#[derive(Default)]
struct Dynamic {
    pie: bool,
    bind_now: bool,
    text_relocations: bool,
    needed: Vec<String>,
}

impl Dynamic {
    fn read<H: FileHeader<Endian = Endianness>>(
        header: &H,
        endian: Endianness,
        bytes: &[u8],
    ) -> object::Result<Self> {
        let mut dynamic = Self::default();
        let segments = header.program_headers(endian, bytes)?;
        let mut needed = Vec::new();
        let mut strings = None;
        for segment in segments {
            for entry in segment.dynamic(endian, bytes)?.unwrap_or_default() {
                let value: u64 = entry.d_val(endian).into();
                let flag = |mask: u32| value & u64::from(mask) != 0;
                match entry.tag32(endian) {
                    Some(DT_FLAGS) => {
                        dynamic.bind_now |= flag(DF_BIND_NOW);
                        dynamic.text_relocations |= flag(DF_TEXTREL);
                    }
                    Some(DT_FLAGS_1) => {
                        dynamic.bind_now |= flag(DF_1_NOW);
                        dynamic.pie |= flag(DF_1_PIE);
                    }
                    Some(DT_BIND_NOW) => dynamic.bind_now = true,
                    Some(DT_TEXTREL) => dynamic.text_relocations = true,
                    Some(DT_NEEDED) => needed.push(value),
                    Some(DT_STRTAB) => strings = Some(value),
                    _ => {}
                }
            }
        }
        let name_at = |offset: u64| {
            let address = strings?.checked_add(offset)?;
            let rest =
                segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD).find_map(|segment| {
                    let inside = address.checked_sub(segment.p_vaddr(endian).into())?;
                    segment.data(endian, bytes).ok()?.get(usize::try_from(inside).ok()?..)
                })?;
            let length = rest.iter().position(|byte| *byte == 0)?;
            Some(String::from_utf8_lossy(&rest[..length]).into_owned())
        };
        dynamic.needed =
            needed.into_iter().map(|offset| name_at(offset).unwrap_or_else(|| "?".to_owned())).collect();
        Ok(dynamic)
    }
}
