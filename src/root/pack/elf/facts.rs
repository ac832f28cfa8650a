//! What an ELF file says of itself.

use std::ops::Range;

use object::elf::{
    ET_DYN, ET_EXEC, FileHeader32, FileHeader64, PF_W, PF_X, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, PT_LOAD,
    SHT_NOBITS, SHT_SYMTAB,
};
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};
use object::{Endianness, FileKind as Format};
use serde::Serialize;

use super::canary::{self, Protector};
use super::dynamic::{Dynamic, Relocations};
use super::error::{ElfError, Names};

/// The facts of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ElfFacts {
    /// `e_machine`, from the ELF specification's registry.
    pub machine: u16,
    /// 32 or 64.
    pub class: u8,
    /// `little` or `big`.
    pub endian: &'static str,
    /// What the file is for.
    pub elf_type: ElfType,
    /// The dynamic linker that it asks for.
    pub interpreter: Option<String>,
    /// The shared libraries that it needs.
    pub needed: Vec<String>,
    /// Whether part of it becomes read-only after relocation.
    pub relro: bool,
    /// Whether everything is bound when it is loaded; none if it has no dynamic section, so nothing is left to bind.
    pub bind_now: Option<bool>,
    /// Whether its stack is executable; a file that does not say counts, since some kernels then make it so.
    pub executable_stack: bool,
    /// Whether code must be written to when it is loaded.
    pub text_relocations: bool,
    /// The relocations that it applies to itself.
    pub relocations: Relocations,
    /// What is loaded.
    pub segments: Vec<Segment>,
    /// The sections, which are for people and debuggers: what is loaded is in the segments.
    pub sections: Vec<Section>,
    /// The first section of symbols or debugging information; none if the file is stripped.
    pub symbols: Option<String>,
    /// What can be seen of the stack protector.
    pub protector: Protector,
}

/// What a file is for, from its type and, since programs and shared libraries have the same one, the linker's mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ElfType {
    /// A program that can be loaded anywhere.
    Pie,
    /// A program that is loaded at one address.
    Fixed,
    /// An object file, a shared library or a core dump, by its `e_type`; 3 is a shared library.
    Other(u16),
}

/// A loadable segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Where it is loaded.
    pub address: u64,
    /// Its size in memory, in bytes.
    pub size: u64,
    /// Its alignment.
    pub align: u64,
    /// Whether it can be written to.
    pub writable: bool,
    /// Whether it is code.
    pub executable: bool,
}

/// A section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the file holds its bytes; `.bss` has a size and no bytes.
    pub in_file: bool,
}

impl ElfFacts {
    /// Reads the facts of `bytes`.
    pub fn read(bytes: &[u8]) -> Result<Self, ElfError> {
        match Format::parse(bytes) {
            Ok(Format::Elf32) => read::<FileHeader32<Endianness>>(bytes),
            Ok(Format::Elf64) => read::<FileHeader64<Endianness>>(bytes),
            _ => Err(ElfError::NotElf),
        }
    }

    /// Whether it is a program that can be loaded anywhere.
    pub fn is_pie(&self) -> bool {
        self.elf_type == ElfType::Pie
    }

    /// Whether it runs without a dynamic linker and shared libraries.
    pub fn is_static(&self) -> bool {
        self.interpreter.is_none() && self.needed.is_empty()
    }

    /// The largest page size with which it can be loaded; none if nothing is loaded.
    pub fn page_size(&self) -> Option<u64> {
        self.segments.iter().map(|segment| segment.align).min()
    }

    /// What protects it, in words: the columns of a table for people.
    pub fn hardening(&self) -> [(&'static str, String); 9] {
        let yes = |is_so: bool| if is_so { "yes" } else { "no" };
        let relro = match (self.relro, self.bind_now) {
            (false, _) => "no",
            // What is bound later must stay writable.
            (true, Some(false)) => "partial",
            (true, _) => "full",
        };
        let protector = match self.protector {
            Protector::Reads(_) => "yes",
            Protector::Absent => "no",
            Protector::NotVisible => "not visible",
        };
        let page = self.page_size().map_or_else(|| "-".to_owned(), |size| size.to_string());
        [
            ("PIE", yes(self.is_pie()).to_owned()),
            ("RELRO", relro.to_owned()),
            ("NOW", self.bind_now.map_or("-", yes).to_owned()),
            ("protector", protector.to_owned()),
            ("NX", yes(!self.executable_stack).to_owned()),
            ("W^X", yes(self.keeps_code_apart()).to_owned()),
            ("static", yes(self.is_static()).to_owned()),
            ("stripped", yes(self.symbols.is_none()).to_owned()),
            ("page", page),
        ]
    }

    /// Whether nothing that is executed is ever written to.
    pub fn keeps_code_apart(&self) -> bool {
        !self.text_relocations && self.writable_code().next().is_none()
    }

    /// The segments that are both writable and executable.
    pub fn writable_code(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.writable && segment.executable)
    }
}

fn read<H: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Result<ElfFacts, ElfError> {
    let header = H::parse(bytes)?;
    let endian = header.endian()?;
    let headers = header.program_headers(endian, bytes)?;
    let mut names = Names::of(bytes);
    let dynamic = Dynamic::read(header, endian, bytes, &mut names)?;
    let mut segments = Vec::new();
    let mut code = Vec::new();
    let mut unloaded = bytes.len();
    let (mut interpreter, mut relro, mut stack) = (None, false, None);
    for segment in headers {
        let flags = segment.p_flags(endian);
        let data =
            || segment.data(endian, bytes).map_err(|()| ElfError::damaged("a segment is not in the file"));
        match segment.p_type(endian) {
            PT_LOAD => {
                let (writable, executable) = (flags & PF_W != 0, flags & PF_X != 0);
                let data = data()?;
                let left = unloaded.checked_sub(data.len());
                unloaded =
                    left.ok_or_else(|| ElfError::damaged("its segments are larger than the whole file"))?;
                if executable {
                    code.push(data);
                }
                segments.push(Segment {
                    address: segment.p_vaddr(endian).into(),
                    size: segment.p_memsz(endian).into(),
                    align: segment.p_align(endian).into(),
                    writable,
                    executable,
                });
            }
            PT_INTERP => {
                let path = data()?;
                let end = path.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                interpreter = Some(names.take(&path[..end])?);
            }
            PT_GNU_STACK => stack = Some(flags & PF_X != 0),
            PT_GNU_RELRO => relro = true,
            _ => {}
        }
    }
    let machine = header.e_machine(endian);
    let e_type = header.e_type(endian);
    let elf_type = match e_type {
        ET_EXEC => ElfType::Fixed,
        // Older linkers do not mark a program, but only programs ask for an interpreter.
        ET_DYN if dynamic.marked_pie || interpreter.is_some() => ElfType::Pie,
        _ => ElfType::Other(e_type),
    };
    let (sections, symbols) = sections(header, endian, bytes, &mut names)?;
    let writable = writable(&segments);
    let text_relocations =
        dynamic.text_relocations || dynamic.targets.iter().any(|target| !is_within(&writable, *target));
    Ok(ElfFacts {
        machine,
        class: if header.is_class_64() { 64 } else { 32 },
        endian: if header.is_big_endian() { "big" } else { "little" },
        elf_type,
        interpreter,
        needed: dynamic.needed,
        relro,
        bind_now: dynamic.bind_now,
        executable_stack: stack.unwrap_or(true),
        text_relocations,
        relocations: dynamic.relocations,
        protector: canary::look(machine, header.is_big_endian(), &code),
        segments,
        sections,
        symbols,
    })
}

/// The addresses that may be written to: ranges in order, none of which touch each other.
fn writable(segments: &[Segment]) -> Vec<Range<u64>> {
    let mut found: Vec<Range<u64>> = segments
        .iter()
        .filter(|segment| segment.writable)
        .map(|segment| segment.address..segment.address.saturating_add(segment.size))
        .collect();
    found.sort_by_key(|range| range.start);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for range in found {
        match ranges.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => ranges.push(range),
        }
    }
    ranges
}

fn is_within(ranges: &[Range<u64>], address: u64) -> bool {
    let behind = ranges.partition_point(|range| range.start <= address);
    ranges[..behind].last().is_some_and(|range| range.contains(&address))
}

/// The sections, and the first of symbols or debugging information.
fn sections<H: FileHeader<Endian = Endianness>>(
    header: &H,
    endian: Endianness,
    bytes: &[u8],
    names: &mut Names,
) -> Result<(Vec<Section>, Option<String>), ElfError> {
    let table = header.sections(endian, bytes)?;
    let (mut sections, mut symbols) = (Vec::new(), None);
    // The first entry is no section.
    for section in table.iter().skip(1) {
        let name = names.take(table.section_name(endian, section)?)?;
        let sh_type = section.sh_type(endian);
        let tells = sh_type == SHT_SYMTAB || name.starts_with(".debug") || name.starts_with(".zdebug");
        if tells && symbols.is_none() {
            symbols = Some(name.clone());
        }
        sections.push(Section { name, size: section.sh_size(endian).into(), in_file: sh_type != SHT_NOBITS });
    }
    Ok((sections, symbols))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_written_to_is_found_in_any_order() {
        let segment = |address, size| Segment { address, size, align: 1, writable: true, executable: false };
        let fixed = Segment { writable: false, ..segment(0, 1000) };
        let ranges =
            writable(&[segment(50, 10), fixed, segment(10, 10), segment(15, 20), segment(90, u64::MAX)]);
        assert_eq!(ranges, [10..35, 50..60, 90..u64::MAX]);
        let found: Vec<u64> =
            [9, 10, 34, 35, 50, 59, 60, 90].into_iter().filter(|at| is_within(&ranges, *at)).collect();
        assert_eq!(found, [10, 34, 50, 59, 90]);
    }
}
