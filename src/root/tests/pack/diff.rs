//! Two tarballs compared: each thing that can change is said, and nothing else is.

use std::slice::from_ref;

use root::pack::{Archive, Change, Difference, TarballKind, diff};
use tar::EntryType;

use crate::fake::{FakeElf, RELRO, Raw, STACK, arch, tar_of, tarball};

fn compare(old: &[Raw], new: &[Raw]) -> Difference {
    let (old, new) = (tar_of(old), tar_of(new));
    diff(&Archive::read(&old).unwrap(), &Archive::read(&new).unwrap())
}

fn elf(spoil: impl FnOnce(&mut FakeElf)) -> Vec<u8> {
    let mut elf = FakeElf::sound(&arch("amd64"));
    spoil(&mut elf);
    elf.bytes()
}

fn file(name: &str, contents: &[u8]) -> Raw {
    Raw::new(name, EntryType::Regular, "", contents)
}

/// What is said of one file that changes.
fn changes(name: &str, old: &[u8], new: &[u8]) -> Vec<String> {
    let difference = compare(&[file(name, old)], &[file(name, new)]);
    assert!(!difference.is_equal() && difference.changed.len() == 1);
    let words = |change: &Change| match change {
        Change::Property { name, old, new } => format!("{name}: {old} -> {new}"),
        Change::Size { old, new } => format!("size: {old} -> {new}"),
        Change::Section { name, old, new } => format!("{name}: {old:?} -> {new:?}"),
        Change::Contents => "contents".to_owned(),
    };
    difference.changed[0].changes.iter().map(words).collect()
}

#[test]
fn equal_tarballs_are_equal() {
    let members = tarball(TarballKind::Root, &arch("arm64"));
    let difference = compare(&members, &members);
    assert!(difference.is_equal() && difference.same_members());
    assert_eq!(difference.new.members, 352);
}

#[test]
fn another_order_is_not_equal_and_changes_no_member() {
    let members = tarball(TarballKind::Xtables, &arch("arm64"));
    let mut turned = members.clone();
    turned.reverse();
    let difference = compare(&members, &turned);
    assert!(!difference.is_equal() && difference.same_members());
}

#[test]
fn what_came_and_went_is_named() {
    let old = tarball(TarballKind::Root, &arch("amd64"));
    let mut new = old.clone();
    new.retain(|member| member.name != "./bin/ls" && member.name != "./etc/");
    new.push(file("./bin/new", b"#!/bin/sh\n"));
    let difference = compare(&old, &new);
    let words = |members: &[root::pack::Sole]| -> Vec<String> {
        members.iter().map(|one| format!("{} {} {:?}", one.name, one.what, one.size)).collect()
    };
    assert_eq!(words(&difference.came), ["./bin/new file Some(10)"]);
    assert_eq!(words(&difference.went), ["./bin/ls link to coreutils None", "./etc/ folder None"]);
    assert!(difference.changed.is_empty());
}

#[test]
fn types_targets_modes_and_owners_are_compared() {
    let link = |target: &str| Raw::new("./bin/x", EntryType::Symlink, target, b"");
    let mut other = file("./bin/x", b"");
    let said = |old: &Raw, new: &Raw| format!("{:?}", compare(from_ref(old), from_ref(new)).changed);
    let target = said(&link("a"), &link("b"));
    assert!(target.contains("\"target\", old: \"a\", new: \"b\""), "{target}");
    let kind = said(&link("a"), &other);
    assert!(kind.contains("\"type\", old: \"link\", new: \"file\""), "{kind}");
    // A folder's slash is no part of its name.
    let folder = said(&other, &Raw::new("./bin/x/", EntryType::Directory, "", b""));
    assert!(folder.contains("old: \"file\", new: \"folder\""), "{folder}");
    other.mode = 0o4755;
    other.owner = (0, 7);
    let changed = said(&file("./bin/x", b""), &other);
    assert!(changed.contains("\"mode\", old: \"0755\", new: \"4755\""), "{changed}");
    assert!(changed.contains("\"owner\", old: \"0:0\", new: \"0:7\""), "{changed}");
}

#[test]
fn versions_sizes_sections_and_hardening_are_compared() {
    let busybox = |version: &str, more: &[u8]| {
        elf(|elf| elf.tail = [format!("\0BusyBox v{version}\0").as_bytes(), more].concat())
    };
    let (old, new) = (busybox("1.36.1", b""), busybox("1.37.0", &[0; 8]));
    let size = format!("size: {} -> {}", old.len(), old.len() + 8);
    assert_eq!(changes("./bin/busybox", &old, &new), ["version: 1.36.1 -> 1.37.0".to_owned(), size]);
    // A program without a pattern has no version that could be told.
    assert_eq!(changes("./bin/x", &busybox("1.36.1", b""), &busybox("1.37.0", b"")), ["contents"]);

    let sound = elf(|_| {});
    let without = elf(|elf| {
        elf.segments.retain(|one| one.p_type != RELRO);
        elf.segment(STACK).flags = 7;
        elf.segments[0].data[0] = 0;
    });
    let said = changes("./bin/x", &sound, &without);
    assert_eq!(said[1..], ["RELRO: full -> no", "protector: yes -> no", "NX: yes -> no"], "{said:?}");
    let said = changes("./bin/x", &sound, &elf(|elf| elf.sections.insert(2, (".data", 1))));
    assert_eq!(said[1..], [".data: None -> Some(0)", ".shstrtab: Some(17) -> Some(23)"]);
    let said = changes("./bin/x", &sound, &FakeElf::sound(&arch("arm")).bytes());
    assert!(said.contains(&"machine: 62 (64 bits, little endian) -> 40 (32 bits, little endian)".to_owned()));
}

#[test]
fn what_is_no_program_is_compared_as_text() {
    assert_eq!(changes("./bin/x.sh", b"#!/bin/sh\n1\n", b"#!/bin/sh\n2\n"), ["contents"]);
    assert_eq!(changes("./bin/x.sh", b"#!/bin/sh\n", b"#!/bin/sh\n2\n"), ["size: 10 -> 12"]);
    let said = changes("./bin/x", b"#!/bin/sh\n", &elf(|_| {}));
    assert_eq!(said[1], "contents: text or data -> ELF file");
}
