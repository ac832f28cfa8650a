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
    /// How many bytes are the same before it.
    pub offset: u64,
    /// The member of a static library that it is in.
    pub member: Option<String>,
    /// The section of an ELF file that it is in, and how far; none where it is in a header or between sections.
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

/// Where `first` and `second` differ; `None` if they are equal.
pub fn place(first: &[u8], second: &[u8]) -> Option<Place> {
    let same = first.iter().zip(second).take_while(|(one, other)| one == other).count();
    if same == first.len() && same == second.len() {
        return None;
    }
    let offset = same as u64;
    // Of a file that is the other's beginning, the longer one knows what comes there.
    let longer = if same < first.len() { first } else { second };
    let (member, section) = match member_at(longer, offset) {
        Some((name, contents, within)) => (Some(name), section_at(contents, within)),
        None => (None, section_at(longer, offset)),
    };
    Some(Place { offset, member, section, first: hex(first, same), second: hex(second, same) })
}

fn hex(bytes: &[u8], from: usize) -> String {
    let shown: Vec<String> = bytes[from..].iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    shown.join(" ")
}

/// The member of a static library at `offset`, its contents, and how far into them that is.
fn member_at(bytes: &[u8], offset: u64) -> Option<(String, &[u8], u64)> {
    let archive = ArchiveFile::parse(bytes).ok()?;
    archive.members().filter_map(Result::ok).find_map(|member| {
        let (start, size) = member.file_range();
        let within = offset.checked_sub(start).filter(|within| *within < size)?;
        let name = String::from_utf8_lossy(member.name()).into_owned();
        Some((name, member.data(bytes).ok()?, within))
    })
}

/// The section of an ELF file at `offset`, and how far into it that is.
fn section_at(bytes: &[u8], offset: u64) -> Option<(String, u64)> {
    let file = object::File::parse(bytes).ok()?;
    file.sections().find_map(|section| {
        let (start, size) = section.file_range()?;
        let within = offset.checked_sub(start).filter(|within| *within < size)?;
        Some((section.name().unwrap_or("?").to_owned(), within))
    })
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
        // A member's header is in no member.
        let found = place(&library("abcd"), &library("abcdef")).unwrap();
        assert_eq!(found.member, None);
    }
}
