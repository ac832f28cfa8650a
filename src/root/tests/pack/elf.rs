//! ELF inspection, of files made by hand with one thing wrong each and of what this machine's compiler makes.

use root::pack::{ElfFacts, ElfProblem, ElfType, Protector, inspect, inspect_script};

use crate::fake::{DYNAMIC, FakeElf, INTERP, LOAD, RELRO, STACK, arch};
use crate::skipped::skipped;

fn problems(arch_name: &str, bytes: &[u8]) -> Vec<ElfProblem> {
    match inspect(&arch(arch_name), "x", bytes, &[]) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.into_iter().map(|finding| finding.problem).collect(),
    }
}

fn spoilt(spoil: impl Fn(&mut FakeElf)) -> Vec<String> {
    let mut texts = Vec::new();
    for name in ["amd64", "arm64", "arm"] {
        let mut elf = FakeElf::sound(&arch(name));
        spoil(&mut elf);
        texts = problems(name, &elf.bytes()).iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 1, "{name}: {texts:?}");
    }
    texts
}

#[test]
fn sound_files_of_every_arch_pass() {
    for name in ["amd64", "arm64", "arm", "riscv64"] {
        let arch = arch(name);
        let report = inspect(&arch, "x", &FakeElf::sound(&arch).bytes(), &[]).unwrap();
        assert_eq!(report.facts.elf_type, ElfType::Pie, "{name}");
        assert_eq!(report.facts.protector, Protector::Reads(1), "{name}");
        assert_eq!(report.facts.hardening().map(|(_, word)| word)[..4], ["yes", "full", "yes", "yes"]);
    }
}

#[test]
fn each_thing_wrong_is_found() {
    let check = |spoil: &dyn Fn(&mut FakeElf), text: &str| assert_eq!(spoilt(spoil), [text]);
    check(&|elf| elf.segment(STACK).flags = 7, "has an executable stack");
    check(&|elf| elf.segments.retain(|one| one.p_type != STACK), "has an executable stack");
    check(&|elf| elf.segments.retain(|one| one.p_type != RELRO), "has no RELRO segment");
    check(&|elf| elf.segments[1].flags = 7, "has a segment that is writable and executable, at 0x20000");
    check(&|elf| elf.dynamic = vec![(0x6fff_fffb, 0x0800_0000)], "is not linked with BIND_NOW");
    check(&|elf| elf.dynamic.push((22, 0)), "has text relocations");
    check(&|elf| elf.dynamic[0].1 = 8 | 4, "has text relocations");
    check(&|elf| elf.dynamic[1].1 = 1, "is not a program (ELF type 3)");
    check(&|elf| elf.e_type = 1, "is not a program (ELF type 1)");
    check(&|elf| elf.e_type = 2, "is not a PIE: it is loaded at a fixed address");
    check(
        &|elf| elf.push(INTERP, b"/lib/ld-musl.so.1\0"),
        "is not static: it asks for the interpreter `/lib/ld-musl.so.1`",
    );
    check(
        &|elf| {
            let at = elf.segments[0].data.len() as u64;
            elf.segments[0].data.extend(b"libc.so\0");
            elf.dynamic.extend([(1, at), (5, 0)]);
        },
        "is not static: it needs `libc.so`",
    );
    check(&|elf| elf.dynamic.push((1, 1)), "is not static: it needs `?`");
    check(&|elf| elf.sections.insert(1, (".symtab", 2)), "is not stripped: it has `.symtab`");
    check(&|elf| elf.sections.insert(1, (".debug_info", 1)), "is not stripped: it has `.debug_info`");
    let mention = &|elf: &mut FakeElf| elf.tail = b"\0/build/main.c\0".to_vec();
    assert!(spoilt(mention)[0].ends_with(": `/build/main.c`"));
}

#[test]
fn without_position_independence_nothing_is_left_to_bind() {
    let mut fixed = FakeElf::sound(&arch("amd64"));
    fixed.e_type = 2;
    fixed.segments.retain(|segment| segment.p_type != DYNAMIC);
    assert_eq!(problems("amd64", &fixed.clone().bytes()), [ElfProblem::NotPie]);
    let facts = ElfFacts::read(&fixed.bytes()).unwrap();
    assert_eq!((facts.bind_now, facts.relro), (None, true));
}

#[test]
fn a_stack_protector_is_missed_only_where_it_would_be_seen() {
    let without = |name: &str| {
        let mut elf = FakeElf::sound(&arch(name));
        elf.segments[0].data = vec![0; 64];
        problems(name, &elf.bytes())
    };
    assert_eq!(without("amd64"), [ElfProblem::NoStackProtector]);
    for name in ["arm64", "arm", "riscv64"] {
        assert_eq!(without(name), [], "{name}");
    }
    // Data that looks like code is none.
    let mut elf = FakeElf::sound(&arch("amd64"));
    elf.segments[1].data = std::mem::take(&mut elf.segments[0].data);
    assert_eq!(problems("amd64", &elf.bytes()), [ElfProblem::NoStackProtector]);
}

fn damage(bytes: &[u8]) -> String {
    ElfFacts::read(bytes).unwrap_err().to_string()
}

#[test]
fn a_hostile_file_costs_no_more_than_its_size() {
    // Two hundred libraries of one name, which is told once.
    let mut elf = FakeElf::sound(&arch("amd64"));
    let at = elf.segments[0].data.len() as u64;
    elf.segments[0].data.extend([b'a'; 1000]);
    elf.dynamic.extend(std::iter::repeat_n((1, at), 200));
    elf.dynamic.push((5, 0));
    assert_eq!(damage(&elf.bytes()), "is a damaged ELF file: its names are longer than the whole file");
    let mut elf = FakeElf::sound(&arch("arm"));
    elf.push(DYNAMIC, b"");
    assert_eq!(damage(&elf.bytes()), "is a damaged ELF file: it has more than one dynamic section");
    // Every segment is the whole file.
    let mut bytes = FakeElf::sound(&arch("amd64")).bytes();
    let length = bytes.len() as u64;
    for header in bytes[64..].chunks_exact_mut(56).take(2) {
        header[8..16].copy_from_slice(&0_u64.to_le_bytes());
        header[32..40].copy_from_slice(&length.to_le_bytes());
    }
    assert_eq!(damage(&bytes), "is a damaged ELF file: its segments are larger than the whole file");
}

#[test]
fn names_in_a_file_are_shown_without_what_a_terminal_acts_on() {
    let mut elf = FakeElf::sound(&arch("amd64"));
    elf.push(INTERP, b"/lib/\x1b[31m\0\0");
    elf.sections.insert(1, (".debug\n", 1));
    let texts: Vec<String> = problems("amd64", &elf.bytes()).iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            r"is not static: it asks for the interpreter `/lib/\u{1b}[31m`",
            r"is not stripped: it has `.debug\n`"
        ]
    );
}

/// A file that relocates itself: the words of a table behind the code, which `tags` (address and size) name.
fn relocated(name: &str, tags: (u64, u64), table: &[u64]) -> FakeElf {
    let arch = arch(name);
    let word = if arch.elf.class == 64 { 8 } else { 4 };
    let mut elf = FakeElf::sound(&arch);
    elf.segments[0].data.resize(64, 0);
    for value in table {
        elf.segments[0].data.extend(&value.to_le_bytes()[..word]);
    }
    elf.segments[1].data = vec![0; 64];
    elf.dynamic.extend([(tags.0, 64), (tags.1, (word * table.len()) as u64)]);
    elf
}

#[test]
fn relocations_of_every_kind_are_read() {
    const RELA: (u64, u64) = (7, 8);
    const REL: (u64, u64) = (17, 18);
    const RELR: (u64, u64) = (36, 35);
    for name in ["amd64", "arm64", "arm", "riscv64"] {
        let count = |tags, table: &[u64]| {
            let bytes = relocated(name, tags, table).bytes();
            assert_eq!(problems(name, &bytes), [], "{name}");
            let relocations = ElfFacts::read(&bytes).unwrap().relocations;
            (relocations.listed, relocations.packed)
        };
        assert_eq!(count(RELR, &[0x20000, 0b111]), (0, 3));
        assert_eq!(count(REL, &[0x20000, 8, 0x20008, 8]), (2, 0));
        // The second says nothing: linkers leave such entries.
        assert_eq!(count(RELA, &[0x20000, 8, 0, 0, 0, 0]), (1, 0));
        let wrong = |tags, table: &[u64]| problems(name, &relocated(name, tags, table).bytes());
        // Into code, and beyond what is loaded.
        assert_eq!(wrong(RELR, &[0x10]), [ElfProblem::TextRelocations]);
        assert_eq!(wrong(RELR, &[0x20000, 1 << 30]), [ElfProblem::TextRelocations]);
        assert_eq!(wrong(REL, &[0x10, 8]), [ElfProblem::TextRelocations]);
        // A symbol's address: the first symbol's.
        let symbol = if arch(name).elf.class == 64 { 1 << 32 } else { 1 << 8 };
        let count = 1;
        assert_eq!(wrong(REL, &[0x20000, symbol | 8]), [ElfProblem::SymbolicRelocations { count }], "{name}");
        // A table that is not in the file.
        let mut cut = relocated(name, RELR, &[0x20000]);
        cut.dynamic.last_mut().unwrap().1 = 1 << 20;
        assert!(matches!(&problems(name, &cut.bytes())[..], [ElfProblem::Damaged { .. }]), "{name}");
    }
}

#[test]
fn other_ways_to_say_bind_now_count() {
    for dynamic in [vec![(24, 0), (0x6fff_fffb, 0x0800_0000)], vec![(0x6fff_fffb, 0x0800_0001)]] {
        let mut elf = FakeElf::sound(&arch("amd64"));
        elf.dynamic = dynamic;
        assert_eq!(problems("amd64", &elf.bytes()), []);
    }
}

#[test]
fn segments_must_suit_the_largest_pages() {
    let mut elf = FakeElf::sound(&arch("arm64"));
    elf.segment(LOAD).align = 4096;
    let expected = ElfProblem::Alignment { address: 0, align: 4096, page_size: 65536 };
    assert_eq!(problems("arm64", &elf.bytes()), [expected]);
}

#[test]
fn another_machine_is_all_that_is_said() {
    let fields = |bytes: &[u8], name: &str| {
        let fields = problems(name, bytes).into_iter().map(|problem| match problem {
            ElfProblem::Machine { field, .. } => field,
            other => panic!("{other}"),
        });
        fields.collect::<Vec<_>>()
    };
    assert_eq!(fields(&FakeElf::sound(&arch("amd64")).bytes(), "arm64"), ["machine"]);
    assert_eq!(fields(&FakeElf::sound(&arch("amd64")).bytes(), "arm"), ["machine", "class"]);
    let mut big = FakeElf::sound(&arch("arm"));
    big.big_endian = true;
    assert_eq!(fields(&big.bytes(), "arm"), ["endian"]);
}

#[test]
fn what_is_no_elf_file_is_said() {
    for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", &[0; 100]] {
        assert_eq!(problems("amd64", bytes), [ElfProblem::NotElf]);
    }
    let whole = FakeElf::sound(&arch("amd64")).bytes();
    for length in (64..whole.len()).step_by(7) {
        assert!(!problems("amd64", &whole[..length]).is_empty(), "cut at {length}");
    }
}

#[test]
fn scripts_are_scripts_and_mention_no_build() {
    assert!(inspect_script("x.sh", b"#!/bin/sh\n", &[]).is_ok());
    let findings = inspect_script("x.sh", b"exec /tools/bin/sh\n/real/store/x", &["/real/store".to_owned()]);
    let texts: Vec<String> = findings.unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "`x.sh` is not a script: it does not begin with `#!`",
            "`x.sh` mentions the build at offset 0x5: `/tools/bin/sh`",
            "`x.sh` mentions the build at offset 0x13: `/real/store/x`",
        ]
    );
}

/// What this machine's compiler makes of a tiny program.
#[cfg(target_arch = "x86_64")]
fn compiled(options: &[&str]) -> Vec<u8> {
    use std::{fs, process::Command};
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("a.c");
    fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let status = Command::new("gcc")
        .args(["-O1", "-g0", "-fstack-protector-all", "-o", "a", "a.c"])
        .args(options)
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    fs::read(folder.path().join("a")).unwrap()
}

/// Whether this machine's linker knows the option.
#[cfg(target_arch = "x86_64")]
fn linker_knows(option: &str) -> bool {
    let help = std::process::Command::new("ld").arg("--help").output().unwrap();
    let knows = String::from_utf8_lossy(&help.stdout).contains(option);
    if !knows {
        skipped(&format!("what `{option}` makes of a program"), "this machine's linker does not know it");
    }
    knows
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_compilers_own_files_are_read_right() {
    // Not looked at for build paths: the distribution's libc.a has some of its own.
    let found = |options: &[&str]| {
        let mut found = problems("amd64", &compiled(options));
        found.retain(|problem| !matches!(problem, ElfProblem::BuildPath { .. }));
        found
    };
    let hardened = ["-static-pie", "-s", "-Wl,-z,relro,-z,now,-z,noexecstack"];
    assert_eq!(found(&hardened), []);
    assert_eq!(found(&["-static", "-no-pie", "-s", "-Wl,-z,relro,-z,noexecstack"]), [ElfProblem::NotPie]);
    let bare = ["-nostdlib", "-fno-stack-protector"];
    assert_eq!(found(&[&hardened[..], &bare].concat()), [ElfProblem::NoStackProtector]);
    if linker_knows("pack-relative-relocs") {
        let packed = [&hardened[..], &["-Wl,-z,pack-relative-relocs"]].concat();
        assert_eq!(found(&packed), []);
        assert!(ElfFacts::read(&compiled(&packed)).unwrap().relocations.packed > 0);
    }
    let not_stripped = ElfProblem::NotStripped { section: ".symtab".to_owned() };
    assert_eq!(found(&["-static-pie", "-Wl,-z,relro,-z,now"]), [not_stripped]);
    assert_eq!(found(&["-static-pie", "-s", "-Wl,-z,now,-z,execstack"]), [ElfProblem::ExecutableStack]);
    let dynamic = found(&["-s", "-pie", "-Wl,-z,now"]);
    assert!(
        matches!(&dynamic[0], ElfProblem::Interpreter { interpreter } if interpreter.contains("ld-linux"))
    );
    assert!(matches!(&dynamic[1], ElfProblem::Needed { library } if library.starts_with("libc.so")));
    assert_eq!(dynamic.len(), 2, "{dynamic:?}");
    let lazy = found(&["-s", "-pie", "-Wl,-z,lazy,-z,norelro"]);
    assert!(lazy.contains(&ElfProblem::NoBindNow) && lazy.contains(&ElfProblem::NoRelro), "{lazy:?}");
    let library = found(&["-s", "-shared", "-nostdlib", "-fPIC", "-Wl,-z,now"]);
    assert!(library.contains(&ElfProblem::NotProgram { e_type: 3 }), "{library:?}");
}
