//! Tarballs held against the contract: sound ones, and ones with one thing wrong each.

use std::collections::BTreeSet;

use proptest::prelude::*;
use root::pack::{ArchiveError, Check, Finding, Report, TarballKind, Verdict, VerifyError, verify};
use tar::EntryType;

use crate::fake::{FakeElf, LOAD, RELRO, Raw, STACK, arch, arches, tar_of, tarball};

fn report(name: &str, members: &[Raw]) -> Report {
    verify(name, &tar_of(members), &arches(), None).unwrap()
}

#[test]
fn whole_tarballs_of_every_arch_are_sound() {
    for name in ["amd64", "arm64", "arm", "riscv64"] {
        for (kind, programs) in [(TarballKind::Root, 20), (TarballKind::Xtables, 5)] {
            let report = report("any.tar", &tarball(kind, &arch(name)));
            assert!(report.is_sound() && report.findings.is_empty(), "{name}: {:#?}", report.findings);
            assert_eq!((report.tarball, report.arch.as_str()), (kind, name));
            assert_eq!(report.programs.len(), programs);
            let checks: Vec<Check> = report.checks.iter().map(|checked| checked.check).collect();
            assert_eq!(checks, Check::ALL);
        }
    }
}

/// A tarball of one arch in which one thing was changed.
type Spoil = fn(&mut Vec<Raw>);

fn member<'m>(members: &'m mut [Raw], name: &str) -> &'m mut Raw {
    members.iter_mut().find(|member| member.name == name).unwrap()
}

fn add(members: &mut Vec<Raw>, name: &str, kind: EntryType, target: &str) {
    members.push(Raw::new(name, kind, target, b""));
}

/// Changes the program `pigz`.
fn program(members: &mut [Raw], spoil: impl FnOnce(&mut FakeElf)) {
    let mut elf = FakeElf::sound(&arch("amd64"));
    spoil(&mut elf);
    member(members, "./bin/pigz").contents = elf.bytes();
}

const SPOILT: &[(Check, &str, Spoil)] = &[
    (Check::Members, "`./bin/ethtool` is absent: the contract has a file there", |all| {
        all.retain(|one| one.name != "./bin/ethtool");
    }),
    (Check::Members, "`./etc/` is absent: the contract has a folder there", |all| {
        all.retain(|one| one.name != "./etc/");
    }),
    (
        Check::Members,
        "`./bin/ls` is a link to `busybox`: the contract has a link to `coreutils` there",
        |all| {
            "busybox".clone_into(&mut member(all, "./bin/ls").target);
        },
    ),
    (Check::Members, "`./bin/ls` is a file: the contract has a link to `coreutils` there", |all| {
        *member(all, "./bin/ls") =
            Raw::new("./bin/ls", EntryType::Regular, "", &FakeElf::sound(&arch("amd64")).bytes());
    }),
    (Check::Members, "`./bin/mount` must not be there: it hides the node's own program", |all| {
        add(all, "./bin/mount", EntryType::Symlink, "busybox");
    }),
    (Check::Members, "`./bin/modprobe` must not be there", |all| {
        add(all, "./bin/modprobe", EntryType::Symlink, "busybox");
    }),
    (Check::Names, "`bin/x` has a name that will not do: names begin with `./`", |all| {
        add(all, "bin/x", EntryType::Symlink, "busybox");
    }),
    (Check::Names, "`./bin/a b` has a name that will not do: white space", |all| {
        add(all, "./bin/a b", EntryType::Symlink, "busybox");
    }),
    (
        Check::Names,
        "`./bin/../x` has a name that will not do: it has an empty, `.` or `..` component",
        |all| {
            add(all, "./bin/../x", EntryType::Symlink, "../../bin/busybox");
        },
    ),
    (Check::Names, "`./bin/\\u{1b}[2J` has a name that will not do", |all| {
        add(all, "./bin/\u{1b}[2J", EntryType::Symlink, "busybox");
    }),
    (Check::Names, "`./bin/ls` is in the tarball more than once", |all| {
        add(all, "./bin/ls", EntryType::Symlink, "coreutils");
    }),
    (Check::Links, "cannot lead to `/bin/busybox`: it is absolute", |all| {
        add(all, "./bin/x", EntryType::Symlink, "/bin/busybox");
    }),
    (Check::Links, "cannot lead to `../../x`: it is outside the root", |all| {
        add(all, "./bin/x", EntryType::Symlink, "../../x");
    }),
    (Check::Links, "leads to `nowhere`, which is not a file of the tarball", |all| {
        add(all, "./bin/x", EntryType::Symlink, "nowhere");
    }),
    (Check::Links, "leads to `x`, which is not a file of the tarball", |all| {
        add(all, "./bin/x", EntryType::Symlink, "x");
    }),
    (Check::Modes, "`./bin/pigz` has the mode 0644, not 0755", |all| {
        member(all, "./bin/pigz").mode = 0o644;
    }),
    (Check::Modes, "`./etc/` has the mode 0700, not 0755", |all| member(all, "./etc/").mode = 0o700),
    (Check::Modes, "`./bin/busybox` has the mode 4755, with setuid", |all| {
        member(all, "./bin/busybox").mode = 0o4755;
    }),
    (Check::Modes, "`./bin/ls` belongs to 1000:0, not to 0:0", |all| {
        member(all, "./bin/ls").owner = (1000, 0);
    }),
    (Check::Modes, "is a hard link to `./bin/busybox`", |all| {
        add(all, "./bin/x", EntryType::Link, "./bin/busybox");
    }),
    (Check::Modes, "is of the type `3`", |all| add(all, "./bin/x", EntryType::Char, "")),
    (Check::Files, "`./bin/pigz` is not an ELF file", |all| {
        member(all, "./bin/pigz").contents = b"#!/bin/sh\n".to_vec();
    }),
    (Check::Files, "`./bin/pigz` is a damaged ELF file", |all| {
        member(all, "./bin/pigz").contents.truncate(100);
    }),
    (Check::Files, "`./bin/aux/iptables-detect.sh` is not a script", |all| {
        member(all, "./bin/aux/iptables-detect.sh").contents = FakeElf::sound(&arch("amd64")).bytes();
    }),
    (Check::Static, "is not static: it asks for the interpreter `/lib/ld.so`", |all| {
        program(all, |elf| elf.push(crate::fake::INTERP, b"/lib/ld.so\0"));
    }),
    (Check::Static, "is not static: it needs `?`", |all| program(all, |elf| elf.dynamic.push((1, 1)))),
    (Check::Pie, "is not a PIE", |all| program(all, |elf| elf.e_type = 2)),
    (Check::Relro, "has no RELRO segment", |all| {
        program(all, |elf| elf.segments.retain(|one| one.p_type != RELRO));
    }),
    (Check::BindNow, "is not linked with BIND_NOW", |all| {
        program(all, |elf| elf.dynamic = vec![(0x6fff_fffb, 0x0800_0000)]);
    }),
    (Check::StackProtector, "has no stack protector", |all| {
        program(all, |elf| elf.segments[0].data.clear());
    }),
    (Check::Stack, "has an executable stack", |all| program(all, |elf| elf.segment(STACK).flags = 7)),
    (Check::WritableCode, "is writable and executable", |all| {
        program(all, |elf| elf.segments[1].flags = 7);
    }),
    (Check::WritableCode, "has text relocations", |all| program(all, |elf| elf.dynamic.push((22, 0)))),
    (Check::PageSize, "aligned to 0x200", |all| program(all, |elf| elf.segment(LOAD).align = 0x200)),
    (Check::Stripped, "is not stripped", |all| {
        program(all, |elf| elf.sections.insert(1, (".symtab", 2)));
    }),
    (Check::BuildPaths, "mentions the build", |all| {
        program(all, |elf| elf.tail = b"\0/build/main.c\0".to_vec());
    }),
];

fn wrong(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).collect()
}

#[test]
fn every_check_can_fail() {
    let mut seen = BTreeSet::from([Check::Machine]); // In a test of its own.
    for (check, text, spoil) in SPOILT {
        let mut members = tarball(TarballKind::Root, &arch("amd64"));
        spoil(&mut members);
        let report = report("k3s-root-amd64.tar", &members);
        let wrong = wrong(&report);
        assert_eq!(wrong.len(), 1, "{text}: {wrong:#?}");
        let said = format!("`{}` {}", wrong[0].member.as_deref().unwrap(), wrong[0].text);
        assert!(said.contains(text), "{said} is not {text}");
        assert!(wrong[0].remedy.is_some());
        assert!(!report.is_sound());
        for checked in &report.checks {
            assert_eq!(checked.verdict == Verdict::Wrong, checked.check == *check, "{text}");
        }
        seen.insert(*check);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), Check::ALL);
}

#[test]
fn the_xtables_tarball_has_no_nft() {
    let mut members = tarball(TarballKind::Xtables, &arch("amd64"));
    add(&mut members, "./bin/nft", EntryType::Symlink, "xtables-nft-multi");
    let report = report("k3s-root-xtables-amd64.tar", &members);
    assert!(wrong(&report)[0].text.starts_with("must not be there"));
}

#[test]
fn what_is_beyond_the_contract_is_a_note() {
    let mut members = tarball(TarballKind::Root, &arch("amd64"));
    members.push(Raw::new("./bin/more.sh", EntryType::Regular, "", b"#!/bin/sh\n"));
    add(&mut members, "./bin/ll", EntryType::Symlink, "ls");
    members.insert(0, Raw::new("./", EntryType::Directory, "", b""));
    let report = report("k3s-root-amd64.tar", &members);
    assert!(report.is_sound(), "{:#?}", report.findings);
    let noted: Vec<_> = report.findings.iter().map(|finding| finding.member.as_deref().unwrap()).collect();
    assert_eq!(noted, ["./", "./bin/ll", "./bin/more.sh"]);
    assert_eq!(report.checks[0].said, "352 of 352 names, 3 more");
}

#[test]
fn the_arch_is_what_one_says_then_the_name_then_the_programs() {
    let amd64 = tarball(TarballKind::Root, &arch("amd64"));
    let found = |name: &str| report(name, &amd64).arch.to_string();
    assert_eq!(found("k3s-root-arm64.tar"), "arm64");
    assert_eq!(found("k3s-root-aarch64-v0.15.tar"), "arm64");
    assert_eq!(found("k3s-root-x86_64.tar"), "amd64");
    assert_eq!(found("root.tar"), "amd64");
    assert_eq!(found("amd64-or-arm64.tar"), "amd64");
    let wrong_name = report("k3s-root-arm64.tar", &amd64);
    assert_eq!(wrong(&wrong_name).len(), 20);
    assert!(wrong(&wrong_name).iter().all(|finding| finding.check == Check::Machine));
    let arches = arches();
    let forced = verify("k3s-root-arm64.tar", &tar_of(&amd64), &arches, Some(arches.find("amd64").unwrap()));
    assert!(forced.unwrap().is_sound());
    let none = verify("root.tar", &tar_of(&[]), &arches, None).unwrap_err();
    assert_eq!(none, VerifyError::NoArch);
}

#[test]
fn programs_for_several_machines_are_an_error() {
    let mut members = tarball(TarballKind::Root, &arch("amd64"));
    member(&mut members, "./bin/pigz").contents = FakeElf::sound(&arch("riscv64")).bytes();
    let report = report("root.tar", &members);
    assert_eq!(report.arch.as_str(), "amd64");
    let texts: Vec<&str> = wrong(&report).iter().map(|finding| finding.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "is for another machine: machine is 243, the arch's is 62",
            "programs are for several machines: 62 (64 bits, little endian): `./bin/aux/ebtables-legacy` and 18 more; \
             243 (64 bits, little endian): `./bin/pigz`",
        ]
    );
}

#[test]
fn a_protector_that_cannot_be_seen_is_a_note() {
    let mut members = tarball(TarballKind::Root, &arch("arm64"));
    let mut elf = FakeElf::sound(&arch("arm64"));
    elf.segments[0].data.clear();
    member(&mut members, "./bin/pigz").contents = elf.bytes();
    let report = report("k3s-root-arm64.tar", &members);
    assert!(report.is_sound());
    assert_eq!(report.findings.len(), 1);
    assert!(report.findings[0].text.contains("cannot always be seen"));
    let protector = report.checks.iter().find(|checked| checked.check == Check::StackProtector).unwrap();
    assert_eq!((protector.verdict, protector.said.as_str()), (Verdict::Note, "19 of 20"));
}

/// As upstream links: no PIE, no RELRO, no stack protector, pages of 4 KiB.
#[test]
fn upstreams_programs_are_reported_one_by_one() {
    let mut members = tarball(TarballKind::Root, &arch("amd64"));
    for member in members.iter_mut().filter(|member| member.contents.starts_with(b"\x7fELF")) {
        let mut elf = FakeElf::sound(&arch("amd64"));
        elf.e_type = 2;
        elf.segments.retain(|one| one.p_type == LOAD || one.p_type == STACK);
        elf.segments[0].data.clear();
        member.contents = elf.bytes();
    }
    let report = report("k3s-root-amd64.tar", &members);
    let wrong = wrong(&report);
    for check in [Check::Pie, Check::Relro, Check::StackProtector] {
        assert_eq!(wrong.iter().filter(|finding| finding.check == check).count(), 20, "{check}");
    }
    assert_eq!(wrong.len(), 60);
}

fn unreadable(bytes: &[u8]) -> String {
    match verify("k3s-root-amd64.tar", bytes, &arches(), None).unwrap_err() {
        VerifyError::Archive(error) => error.to_string(),
        other @ VerifyError::NoArch => panic!("{other}"),
    }
}

#[test]
fn what_is_no_plain_tar_is_said_to_be_none() {
    for (magic, format) in [
        (&b"\x1f\x8b\x08\0"[..], "gzip -dc"),
        (b"\xfd7zXZ\0", "xz -dc"),
        (b"\x28\xb5\x2f\xfd", "zstd -dc"),
        (b"BZh91AY", "bzip2 -dc"),
    ] {
        let said = unreadable(magic);
        assert!(said.contains("compressed") && said.contains(format), "{said}");
    }
    assert!(unreadable(&[1; 2000]).starts_with("it is not a tar: "), "{}", unreadable(&[1; 2000]));
    assert!(unreadable(b"short").starts_with("it is not a tar: "));
    assert!(unreadable(b"").starts_with("it ends after 0 members"));
}

#[test]
fn damaged_tars_are_said_to_be_damaged() {
    let whole = tar_of(&tarball(TarballKind::Xtables, &arch("amd64")));
    for length in (512..whole.len()).step_by(509).chain([whole.len() - 1]) {
        let said = unreadable(&whole[..length]);
        assert!(said.contains("members"), "cut at {length}: {said}");
    }
    let behind = [&whole[..], b"more"].concat();
    assert_eq!(
        unreadable(&behind),
        "it has 4 bytes behind its end, which no tar shows: copy or build it again"
    );
    // A size that is larger than the file, and one that is no number.
    let mut members = tarball(TarballKind::Xtables, &arch("amd64"));
    members.truncate(1);
    let first = tar_of(&members).len() - 1024;
    let mut absurd = whole.clone();
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes().copy_from_slice(&whole[first..first + 512]);
    header.set_entry_type(EntryType::Regular);
    header.set_size(1 << 60);
    header.set_cksum();
    absurd[first..first + 512].copy_from_slice(header.as_bytes());
    let said = unreadable(&absurd);
    assert!(
        said.starts_with("it is damaged after 1 members: `./bin/arptables` claims 1152921504606846976 bytes"),
        "{said}"
    );
    header.as_old_mut().size.copy_from_slice(b"nonsense....");
    header.set_cksum();
    absurd[first..first + 512].copy_from_slice(header.as_bytes());
    assert!(unreadable(&absurd).starts_with("it is damaged after 1 members"));
}

#[test]
fn an_error_says_how_far_it_came() {
    let error = ArchiveError::Cut { members: 7 };
    assert!(error.to_string().starts_with("it ends after 7 members without the two empty blocks"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_makes_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut bytes = tar_of(&tarball(TarballKind::Xtables, &arch("arm")));
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = verify("k3s-root-xtables-arm.tar", &bytes, &arches(), None);
    }
}
