//! What can be seen of the stack protector in a stripped program: code that reads the canary, the secret that a protected
//! function puts on its stack and compares before it returns.
//!
//! On x86-64 the ABI has the canary at `%fs:0x28`, so every read of it looks alike, and a program without one has no
//! protected function. Elsewhere the canary is a variable without a fixed place; there gcc emits load, store and clear
//! of one register as three instructions that nothing can come between, and these are counted. That pattern is gcc's own,
//! so where it is not found, nothing is known. A count says that functions are protected, not which ones: a static
//! program has those of its libraries too.

use object::elf::{EM_AARCH64, EM_ARM, EM_RISCV, EM_X86_64};
use serde::Serialize;

/// What can be seen of the stack protector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protector {
    /// So many places in the code read the canary.
    Reads(usize),
    /// No place reads it: no function is protected.
    Absent,
    /// It cannot be told from the code of this machine.
    NotVisible,
}

/// Looks through the executable segments.
pub(super) fn look(machine: u16, big_endian: bool, code: &[&[u8]]) -> Protector {
    let count: fn(&[u8]) -> usize = match machine {
        EM_X86_64 => x86_64,
        EM_AARCH64 if !big_endian => aarch64,
        EM_ARM if !big_endian => arm,
        EM_RISCV => riscv64,
        _ => return Protector::NotVisible,
    };
    match code.iter().map(|segment| count(segment)).sum() {
        0 if machine == EM_X86_64 => Protector::Absent,
        0 => Protector::NotVisible,
        reads => Protector::Reads(reads),
    }
}

/// `mov`, `sub`, `xor` or `cmp` of a 64-bit register and `%fs:0x28`.
fn x86_64(code: &[u8]) -> usize {
    let reads = |at: &&[u8]| match **at {
        [0x64, 0x48 | 0x4c, 0x8b | 0x2b | 0x33 | 0x3b, register, 0x25, 0x28, 0, 0, 0] => {
            register & 0xc7 == 0x04
        }
        _ => false,
    };
    code.windows(9).filter(reads).count()
}

/// `ldr x, [y, #a]; str x, [z, #b]; mov x, #0`.
fn aarch64(code: &[u8]) -> usize {
    in_words(code, |load, store, clear| {
        let register = load & 0x1f;
        let stores = store & 0xffc0_0000 == 0xf900_0000 || store & 0xffe0_0c00 == 0xf800_0000;
        load & 0xffc0_0000 == 0xf940_0000
            && stores
            && store & 0x1f == register
            && clear == 0xd280_0000 | register
    })
}

/// `ldr x, [y]; str x, [z, #a]; mov x, #0`, in ARM instructions (where y is x) or in Thumb ones. Programs mix the two.
fn arm(code: &[u8]) -> usize {
    let arm = in_words(code, |load, store, clear| {
        let register = load & 0xf000;
        load & 0xfff0_0fff == 0xe590_0000
            && load >> 4 & 0xf000 == register
            && store & 0xff70_0000 == 0xe500_0000
            && store & 0xf000 == register
            && clear == 0xe3a0_0000 | register
    });
    arm + in_halves(code, thumb_load, thumb_store, thumb_clear)
}

fn thumb_load(halves: &[u16]) -> Option<(u32, usize)> {
    let half = u32::from(*halves.first()?);
    if half & 0xffc0 == 0x6800 {
        return Some((half & 7, 1));
    }
    let second = u32::from(*halves.get(1)?);
    ((half & 0xfff0, second & 0xfff) == (0xf8d0, 0)).then_some((second >> 12, 2))
}

/// The offset is from the stack pointer, from another register, or negative.
fn thumb_store(halves: &[u16]) -> Option<(u32, usize)> {
    let half = u32::from(*halves.first()?);
    match half & 0xf800 {
        0x9000 => return Some((half >> 8 & 7, 1)),
        0x6000 => return Some((half & 7, 1)),
        _ => {}
    }
    let second = u32::from(*halves.get(1)?);
    let below = half & 0xfff0 == 0xf840 && second & 0xf00 == 0xc00;
    (half & 0xfff0 == 0xf8c0 || below).then_some((second >> 12, 2))
}

fn thumb_clear(halves: &[u16]) -> Option<u32> {
    let second = u32::from(*halves.get(1)?);
    (halves[0] == 0xf04f && second & 0xf0ff == 0).then_some(second >> 8)
}

/// Counts places where three words of code fit.
fn in_words(code: &[u8], fits: fn(u32, u32, u32) -> bool) -> usize {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    let words: Vec<u32> = code.chunks_exact(4).map(word).collect();
    words.windows(3).filter(|three| fits(three[0], three[1], three[2])).count()
}

/// The register of an instruction at the head of these halves, and the instruction's length in halves.
type Halves = fn(&[u16]) -> Option<(u32, usize)>;

/// Counts places where load, store and clear of one register follow each other, each of one or two halves.
fn in_halves(code: &[u8], load: Halves, store: Halves, clear: fn(&[u16]) -> Option<u32>) -> usize {
    let halves: Vec<u16> = code.chunks_exact(2).map(|half| u16::from_le_bytes([half[0], half[1]])).collect();
    let fits = |at: usize| {
        let (register, length) = load(&halves[at..])?;
        let (stored, more) = store(halves.get(at + length..)?)?;
        let cleared = clear(halves.get(at + length + more..)?)?;
        (stored == register && cleared == register).then_some(())
    };
    (0..halves.len()).filter(|at| fits(*at).is_some()).count()
}

/// `ld x, a(y); sd x, b(z); li x, 0`, each as four bytes or, compressed, as two.
fn riscv64(code: &[u8]) -> usize {
    in_halves(code, riscv_load, riscv_store, riscv_clear)
}

fn riscv_load(halves: &[u16]) -> Option<(u32, usize)> {
    let half = u32::from(*halves.first()?);
    match (half & 0xe003, half & 0x707f) {
        (0x6000, _) => Some(((half >> 2 & 7) + 8, 1)),
        (0x6002, _) => Some((half >> 7 & 31, 1)),
        (_, 0x3003) => Some((wide(halves)? >> 7 & 31, 2)),
        _ => None,
    }
}

fn riscv_store(halves: &[u16]) -> Option<(u32, usize)> {
    let half = u32::from(*halves.first()?);
    match (half & 0xe003, half & 0x707f) {
        (0xe000, _) => Some(((half >> 2 & 7) + 8, 1)),
        (0xe002, _) => Some((half >> 2 & 31, 1)),
        (_, 0x3023) => Some((wide(halves)? >> 20 & 31, 2)),
        _ => None,
    }
}

fn riscv_clear(halves: &[u16]) -> Option<u32> {
    let half = u32::from(*halves.first()?);
    if half & 0xf07f == 0x4001 {
        return Some(half >> 7 & 31);
    }
    let word = wide(halves)?;
    (word & 0xffff_f07f == 0x13).then_some(word >> 7 & 31)
}

/// A four-byte instruction.
fn wide(halves: &[u16]) -> Option<u32> {
    Some(u32::from(*halves.first()?) | u32::from(*halves.get(1)?) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn halves(halves: &[u16]) -> Vec<u8> {
        halves.iter().flat_map(|half| half.to_le_bytes()).collect()
    }

    fn count(machine: u16, code: &[u8]) -> Protector {
        look(machine, false, &[code])
    }

    #[test]
    fn reads_of_the_canary_are_counted_on_x86_64() {
        // mov %fs:0x28,%rax; sub %fs:0x28,%rdx; mov %fs:0x28,%r12
        let code =
            b"\x64\x48\x8b\x04\x25\x28\0\0\0\x64\x48\x2b\x14\x25\x28\0\0\0\x64\x4c\x8b\x24\x25\x28\0\0\0";
        assert_eq!(count(EM_X86_64, code), Protector::Reads(3));
        // %fs:0x30 is another variable, %gs another segment, and 0x89 writes.
        for other in [
            b"\x64\x48\x8b\x04\x25\x30\0\0\0",
            b"\x65\x48\x8b\x04\x25\x28\0\0\0",
            b"\x64\x48\x89\x04\x25\x28\0\0\0",
            b"\x64\x48\x8b\x84\x25\x28\0\0\0",
        ] {
            assert_eq!(count(EM_X86_64, other), Protector::Absent, "{other:x?}");
        }
        assert_eq!(look(EM_X86_64, false, &[]), Protector::Absent);
    }

    // What gcc 12 makes of `int f(void) { char b[64]; return g(b); }` with `-Os -fPIE -fstack-protector-strong`.

    #[test]
    fn gccs_three_instructions_are_counted_on_aarch64() {
        let code = [0x9100_03fd, 0xf940_0001, 0xf900_2fe1, 0xd280_0001, 0x9100_63e0];
        assert_eq!(count(EM_AARCH64, &words(&code)), Protector::Reads(1));
        // Below the frame pointer: stur x2, [x29, #-8].
        assert_eq!(count(EM_AARCH64, &words(&[0xf940_0022, 0xf81f_83a2, 0xd280_0002])), Protector::Reads(1));
        // Another register is stored, another one is cleared.
        for other in [[0xf940_0001, 0xf900_2fe2, 0xd280_0001], [0xf940_0001, 0xf900_2fe1, 0xd280_0002]] {
            assert_eq!(count(EM_AARCH64, &words(&other)), Protector::NotVisible);
        }
        assert_eq!(look(EM_AARCH64, true, &[&words(&code)]), Protector::NotVisible);
    }

    #[test]
    fn gccs_three_instructions_are_counted_on_arm() {
        let code = [0xe28d_0004, 0xe593_3000, 0xe58d_3044, 0xe3a0_3000, 0xebff_fffe];
        assert_eq!(count(EM_ARM, &words(&code)), Protector::Reads(1));
        for other in [[0xe593_3000, 0xe58d_2044, 0xe3a0_3000], [0xe592_3000, 0xe58d_3044, 0xe3a0_3000]] {
            assert_eq!(count(EM_ARM, &words(&other)), Protector::NotVisible);
        }
        // Thumb, stored relative to sp, to r1, and far from sp; then `ldr.w r9, [r9]; str.w r9, [r7, #-4]`.
        for thumb in [
            &[0x681b, 0x9311, 0xf04f, 0x0300][..],
            &[0x681b, 0x600b, 0xf04f, 0x0300],
            &[0xa804, 0x681b, 0xf8cd, 0x3fc4, 0xf04f, 0x0300],
            &[0xf8d9, 0x9000, 0xf847, 0x9c04, 0xf04f, 0x0900],
        ] {
            assert_eq!(count(EM_ARM, &halves(thumb)), Protector::Reads(1), "{thumb:x?}");
        }
        // Another register is stored, another one is cleared, and the end is missing.
        for other in [
            &[0x681b, 0x9211, 0xf04f, 0x0300][..],
            &[0x681b, 0x9311, 0xf04f, 0x0200],
            &[0x681b, 0x9311, 0xf04f],
        ] {
            assert_eq!(count(EM_ARM, &halves(other)), Protector::NotVisible, "{other:x?}");
        }
    }

    #[test]
    fn gccs_three_instructions_are_counted_on_riscv64() {
        let code = [0x3403, 0x0004, 0x601c, 0xe4be, 0x4781, 0x0028];
        assert_eq!(count(EM_RISCV, &halves(&code)), Protector::Reads(1));
        // Not compressed: ld a5,0(s1); sd a5,-40(s0); li a5,0.
        let wide = words(&[0x0004_b783, 0xfcf4_3c23, 0x0000_0793]);
        assert_eq!(count(EM_RISCV, &wide), Protector::Reads(1));
        assert_eq!(count(EM_RISCV, &wide[..10]), Protector::NotVisible, "cut in the middle");
        assert_eq!(count(EM_RISCV, &halves(&[0x601c, 0xe4be, 0x4701])), Protector::NotVisible);
    }

    #[test]
    fn nothing_is_claimed_of_other_machines() {
        assert_eq!(count(21, b"\x64\x48\x8b\x04\x25\x28\0\0\0"), Protector::NotVisible);
    }
}
