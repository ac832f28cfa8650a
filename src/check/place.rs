//! Where two files differ first: the offset, and what stands there.

use std::fmt;

use object::read::archive::ArchiveFile;
use object::{Object as _, ObjectSection as _};
use serde::Serialize;

/// How many bytes are shown from where files differ.
const SHOWN: usize = 8;

/// The first place in which two files differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// How far it is from the beginning of the first file, in bytes.
    pub offset: u64,
    /// The member of a static library that it is in.
    pub member: Option<String>,
    /// The section of an ELF file that it is in, and how far into it; none where no section differs but a header does.
    pub section: Option<(String, u64)>,
    /// What the first file has there, in hexadecimal digits; empty where it ends.
    pub first: String,
    /// What the second file has there.
    pub second: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at offset {:#x}", self.offset)?;
        if let Some(member) = &self.member {
            write!(f, ", member `{member}`")?;
        }
        if let Some((section, within)) = &self.section {
            write!(f, ", section `{section}` + {within:#x}")?;
        }
        let shown = |bytes: &str| if bytes.is_empty() { "the end".to_owned() } else { bytes.to_owned() };
        write!(f, ": {} and {}", shown(&self.first), shown(&self.second))
    }
}

/// Where `first` and `second` differ; `None` if they are equal. Of two static libraries the first member that differs is
/// looked at, of two ELF files the first section: tables of what is where come before, and differ whenever a size does.
pub fn place(first: &[u8], second: &[u8]) -> Option<Place> {
    in_libraries(first, second).or_else(|| in_programs(first, second)).or_else(|| in_bytes(first, second))
}

fn in_bytes(first: &[u8], second: &[u8]) -> Option<Place> {
    let same = first.iter().zip(second).take_while(|(one, other)| one == other).count();
    let hex = |bytes: &[u8]| {
        let shown: Vec<String> = bytes[same..].iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
        shown.join(" ")
    };
    (same < first.len() || same < second.len()).then(|| Place {
        offset: same as u64,
        member: None,
        section: None,
        first: hex(first),
        second: hex(second),
    })
}

fn in_libraries(first: &[u8], second: &[u8]) -> Option<Place> {
    let (one, other) = (ArchiveFile::parse(first).ok()?, ArchiveFile::parse(second).ok()?);
    for (one, other) in one.members().zip(other.members()) {
        let (one, other) = (one.ok()?, other.ok()?);
        if one.name() != other.name() {
            return None;
        }
        if let Some(found) = place(one.data(first).ok()?, other.data(second).ok()?) {
            let name = String::from_utf8_lossy(one.name()).into_owned();
            return Some(Place { offset: one.file_range().0 + found.offset, member: Some(name), ..found });
        }
    }
    None
}

fn in_programs(first: &[u8], second: &[u8]) -> Option<Place> {
    let (one, other) = (object::File::parse(first).ok()?, object::File::parse(second).ok()?);
    for (one, other) in one.sections().zip(other.sections()) {
        let name = one.name().ok()?;
        if other.name().ok()? != name {
            return None;
        }
        let (Some((start, _)), Ok(one), Ok(other)) = (one.file_range(), one.data(), other.data()) else {
            continue;
        };
        if let Some(found) = in_bytes(one, other) {
            let section = Some((name.to_owned(), found.offset));
            return Some(Place { offset: start + found.offset, section, ..found });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_differ_at_an_offset() {
        assert_eq!(place(b"same", b"same"), None);
        let found = place(b"one two", b"one too").unwrap();
        assert_eq!(found.to_string(), "at offset 0x5: 77 6f and 6f 6f");
        let longer = place(b"one", b"one more").unwrap();
        assert_eq!(longer.to_string(), "at offset 0x3: the end and 20 6d 6f 72 65");
    }

    #[test]
    fn programs_differ_in_a_section() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        let file = object::File::parse(&*program).unwrap();
        let (start, _) = file.section_by_name(".rodata").unwrap().file_range().unwrap();
        let mut other = program.clone();
        let at = usize::try_from(start).unwrap() + 16;
        other[at] ^= 1;
        let found = place(&program, &other).unwrap();
        assert_eq!((found.offset, found.section), (start + 16, Some((".rodata".to_owned(), 16))));
        // The header is in no section.
        other[at] ^= 1;
        other[17] ^= 1;
        assert_eq!(place(&program, &other).unwrap().section, None);
    }

    #[test]
    fn libraries_differ_in_a_member() {
        let library = |contents: &str| {
            let header =
                format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "word.o/", 0, 0, 0, 644, contents.len());
            format!("!<arch>\n{header}{contents}").into_bytes()
        };
        let found = place(&library("abcd"), &library("abXd")).unwrap();
        assert_eq!(found.to_string(), "at offset 0x46, member `word.o`: 63 64 and 58 64");
        // Its size stands in a header before it.
        let found = place(&library("abcd"), &library("abcdef")).unwrap();
        assert_eq!(found.to_string(), "at offset 0x48, member `word.o`: the end and 65 66");
        let found = place(b"!<arch>\n", &library("abcd")).unwrap();
        assert_eq!((found.offset, found.member), (8, None));
    }
}
