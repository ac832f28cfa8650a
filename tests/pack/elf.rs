//! ELF inspection, of files made by hand with one thing wrong each and of what this machine's compiler makes.

use k3sroot::pack::{ElfProblem, inspect, inspect_script};

use crate::fake::{DYNAMIC, FakeElf, INTERP, LOAD, RELRO, STACK, arch};

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
        assert!(report.pie, "{name}");
        // Without position independence there is no dynamic section to ask for BIND_NOW.
        let mut fixed = FakeElf::sound(&arch);
        fixed.e_type = 2;
        fixed.segments.retain(|segment| segment.p_type != DYNAMIC);
        assert!(!inspect(&arch, "x", &fixed.bytes(), &[]).unwrap().pie, "{name}");
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
    check(
        &|elf| elf.push(INTERP, b"/lib/ld-musl.so.1\0"),
        "is not static: it asks for the interpreter `/lib/ld-musl.so.1`",
    );
    check(
        &|elf| {
            elf.segments[0].data = b"\0libc.so\0".to_vec();
            elf.dynamic.extend([(1, 1), (5, 0)]);
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
        .args(["-O1", "-g0", "-o", "a", "a.c"])
        .args(options)
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    fs::read(folder.path().join("a")).unwrap()
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
    assert_eq!(found(&["-static", "-no-pie", "-s", "-Wl,-z,relro,-z,noexecstack"]), []);
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
