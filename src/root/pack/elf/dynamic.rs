//! The dynamic section: how a program is bound and relocated. A static PIE has one too, for relocating itself.

use object::elf::{
    DF_1_NOW, DF_1_PIE, DF_BIND_NOW, DF_TEXTREL, DT_BIND_NOW, DT_FLAGS, DT_FLAGS_1, DT_NEEDED, DT_REL,
    DT_RELA, DT_RELASZ, DT_RELSZ, DT_STRTAB, DT_TEXTREL, PT_DYNAMIC, PT_LOAD,
};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use object::{Endian as _, Endianness};
use serde::Serialize;

use super::error::{ElfError, Names};

/// The relocations of the gABI's `SHT_RELR`, which `object` has no names for.
const DT_RELRSZ: u32 = 35;
const DT_RELR: u32 = 36;

/// How many relocations a file applies to itself when it is loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Relocations {
    /// In the tables with an entry for each (`DT_RELA`, `DT_REL`).
    pub listed: usize,
    /// In the table of bitmaps (`DT_RELR`), which holds nothing but relative ones.
    pub packed: usize,
    /// Those of the listed ones that ask for the address of a symbol. Linkers leave them to a dynamic linker; the start
    /// code of a static program does the relative ones alone (musl's `crt/rcrt1.c`).
    pub symbolic: usize,
}

impl Relocations {
    /// Which tables there are, in a word.
    pub fn form(self) -> &'static str {
        match (self.listed, self.packed) {
            (0, 0) => "none",
            (_, 0) => "listed",
            (0, _) => "packed",
            _ => "listed and packed",
        }
    }
}

/// What the dynamic section says.
#[derive(Default)]
pub(super) struct Dynamic {
    pub(super) marked_pie: bool,
    /// None if there is no dynamic section.
    pub(super) bind_now: Option<bool>,
    /// Whether it says of itself that code is relocated.
    pub(super) text_relocations: bool,
    pub(super) needed: Vec<String>,
    pub(super) relocations: Relocations,
    /// The addresses that are relocated.
    pub(super) targets: Vec<u64>,
}

impl Dynamic {
    pub(super) fn read<H: FileHeader<Endian = Endianness>>(
        header: &H,
        endian: Endianness,
        bytes: &[u8],
        names: &mut Names,
    ) -> Result<Self, ElfError> {
        let mut dynamic = Self::default();
        let mut needed = Vec::new();
        let mut strings = None;
        // Tables of entries of two words (offset, info), of three (with an addend), and of bitmaps: address and size.
        let (mut pairs, mut triples, mut bitmaps) = ((None, 0), (None, 0), (None, 0));
        for segment in header.program_headers(endian, bytes)? {
            if segment.p_type(endian) == PT_DYNAMIC && dynamic.bind_now.replace(false).is_some() {
                return Err(ElfError::damaged("it has more than one dynamic section"));
            }
            for entry in segment.dynamic(endian, bytes)?.unwrap_or_default() {
                let value: u64 = entry.d_val(endian).into();
                let flag = |mask: u32| value & u64::from(mask) != 0;
                match entry.tag32(endian) {
                    // What follows the end is room that the linker left.
                    Some(0) => break,
                    Some(DT_FLAGS) => {
                        dynamic.bind(flag(DF_BIND_NOW));
                        dynamic.text_relocations |= flag(DF_TEXTREL);
                    }
                    Some(DT_FLAGS_1) => {
                        dynamic.bind(flag(DF_1_NOW));
                        dynamic.marked_pie |= flag(DF_1_PIE);
                    }
                    Some(DT_BIND_NOW) => dynamic.bind(true),
                    Some(DT_TEXTREL) => dynamic.text_relocations = true,
                    Some(DT_NEEDED) => needed.push(value),
                    Some(DT_STRTAB) => strings = Some(value),
                    Some(DT_REL) => pairs.0 = Some(value),
                    Some(DT_RELSZ) => pairs.1 = value,
                    Some(DT_RELA) => triples.0 = Some(value),
                    Some(DT_RELASZ) => triples.1 = value,
                    Some(DT_RELR) => bitmaps.0 = Some(value),
                    Some(DT_RELRSZ) => bitmaps.1 = value,
                    _ => {}
                }
            }
        }
        let image = Image { header, endian, bytes };
        for offset in needed {
            let name = strings.and_then(|strings| image.at(strings.checked_add(offset)?));
            dynamic.needed.push(match name {
                None => "?".to_owned(),
                Some(rest) => names.take(rest.split(|byte| *byte == 0).next().unwrap_or_default())?,
            });
        }
        for (table, words) in [(pairs, 2), (triples, 3)] {
            let table = image.words(table)?;
            // Linkers leave entries that say nothing where they needed fewer than they had counted.
            for entry in table.chunks_exact(words).filter(|entry| entry[1] != 0) {
                dynamic.targets.push(entry[0]);
                dynamic.relocations.symbolic += usize::from(entry[1] >> image.symbol_shift() != 0);
            }
        }
        dynamic.relocations.listed = dynamic.targets.len();
        dynamic.targets.extend(unpack(&image.words(bitmaps)?, image.word_size()));
        dynamic.relocations.packed = dynamic.targets.len() - dynamic.relocations.listed;
        Ok(dynamic)
    }

    fn bind(&mut self, now: bool) {
        *self.bind_now.get_or_insert(false) |= now;
    }
}

/// The addresses of a table of bitmaps: an even word is an address, an odd one has a bit for each of the words that
/// follow what came before.
fn unpack(table: &[u64], word_size: u64) -> Vec<u64> {
    let places = word_size * 8 - 1;
    let mut next = 0_u64;
    let mut targets = Vec::new();
    for word in table {
        if word & 1 == 0 {
            targets.push(*word);
            next = word.wrapping_add(word_size);
        } else {
            let set = (0..places).filter(|place| word >> (place + 1) & 1 == 1);
            targets.extend(set.map(|place| next.wrapping_add(place * word_size)));
            next = next.wrapping_add(places * word_size);
        }
    }
    targets
}

/// The file as it is in memory.
struct Image<'a, H> {
    header: &'a H,
    endian: Endianness,
    bytes: &'a [u8],
}

impl<H: FileHeader<Endian = Endianness>> Image<'_, H> {
    fn word_size(&self) -> u64 {
        if self.header.is_class_64() { 8 } else { 4 }
    }

    /// Where in a relocation's second word the symbol begins.
    fn symbol_shift(&self) -> u32 {
        if self.header.is_class_64() { 32 } else { 8 }
    }

    /// The bytes of the file from an address on.
    fn at(&self, address: u64) -> Option<&[u8]> {
        let segments = self.header.program_headers(self.endian, self.bytes).ok()?;
        segments.iter().filter(|segment| segment.p_type(self.endian) == PT_LOAD).find_map(|segment| {
            let inside = address.checked_sub(segment.p_vaddr(self.endian).into())?;
            segment.data(self.endian, self.bytes).ok()?.get(usize::try_from(inside).ok()?..)
        })
    }

    /// A table of words: its address, if there is one, and its size in bytes.
    fn words(&self, (address, size): (Option<u64>, u64)) -> Result<Vec<u64>, ElfError> {
        let Some(address) = address.filter(|_| size > 0) else { return Ok(Vec::new()) };
        let table = usize::try_from(size).ok().and_then(|size| self.at(address)?.get(..size));
        let table = table.ok_or_else(|| ElfError::damaged("a table of relocations is not in the file"))?;
        let four = |word: &[u8]| {
            word.try_into().map(|word| u64::from(self.endian.read_u32_bytes(word))).unwrap_or_default()
        };
        let eight =
            |word: &[u8]| word.try_into().map(|word| self.endian.read_u64_bytes(word)).unwrap_or_default();
        Ok(if self.header.is_class_64() {
            table.chunks_exact(8).map(eight).collect()
        } else {
            table.chunks_exact(4).map(four).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::unpack;

    #[test]
    fn bitmaps_are_read_as_the_gabi_has_them() {
        assert!(unpack(&[], 8).is_empty());
        assert_eq!(unpack(&[0x1000], 8), [0x1000]);
        // The first place of a bitmap is the word after the address, bit 0 the mark of a bitmap.
        assert_eq!(unpack(&[0x1000, 0b1011], 8), [0x1000, 0x1008, 0x1018]);
        assert_eq!(unpack(&[0x1000, 0b1011], 4), [0x1000, 0x1004, 0x100c]);
        // A second bitmap goes on behind all 63 (or 31) places of the first.
        assert_eq!(unpack(&[0x1000, 1, 3], 8), [0x1000, 0x1008 + 63 * 8]);
        assert_eq!(unpack(&[0x1000, 1, 3], 4), [0x1000, 0x1004 + 31 * 4]);
        assert_eq!(unpack(&[0x1000, 1 << 63 | 1], 8), [0x1000, 0x1008 + 62 * 8]);
        assert_eq!(unpack(&[0x1000, 0x2000, 3], 8), [0x1000, 0x2000, 0x2008]);
    }
}
