//! The bytes of a tar: what is written reads back, whatever the order, and what K3s could not use is refused.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use proptest::prelude::*;
use root::pack::{
    Archive, ArchiveType, Check, Content, FileKind, Member, TarError, Verdict, verify, write_tar,
};

use crate::fake::arches;

type Made = Member<Vec<u8>>;

fn member(name: &str, content: Content<Vec<u8>>) -> Made {
    Member { name: name.to_owned(), content, origin: None }
}

fn folder(name: &str) -> Made {
    member(name, Content::Folder)
}

fn file(name: &str, contents: &[u8]) -> Made {
    member(name, Content::File { contents: contents.to_vec(), kind: FileKind::Program })
}

fn link(name: &str, target: &str) -> Made {
    member(name, Content::Link { target: target.to_owned() })
}

fn bytes(members: &[Made]) -> Vec<u8> {
    let mut out = Vec::new();
    write_tar(members, 1_735_689_600, &mut out).unwrap();
    out
}

fn refused(members: &[Made]) -> String {
    let mut out = Vec::new();
    let error = write_tar(members, 0, &mut out).unwrap_err();
    assert!(out.is_empty(), "nothing is written of what is refused");
    error.to_string()
}

#[test]
fn the_format_is_fixed() {
    let tar = bytes(&[folder("./bin/"), file("./bin/a", b"a"), link("./bin/b", "a")]);
    // Three headers, one block of contents, the end, filled up to GNU tar's record.
    assert_eq!(tar.len(), 10240);
    assert_eq!(&tar[257..265], b"ustar  \0");
    assert_eq!(&tar[100..108], b"0000755\0");
    assert_eq!(&tar[108..116], b"0000000\0");
    assert!(tar[265..329].iter().all(|byte| *byte == 0), "owner and group have no names");
    assert_eq!(&tar[136..148], b"14735102600\0");
    assert_eq!(&tar[1536 + 100..1536 + 108], b"0000777\0");
    // The digest pins every byte: a change here changes what every user of a tarball pins.
    insta::assert_snapshot!(
        base::digest::Sha256::of(&tar),
        @"37f1d55ad28e3e3da9ab2684f99e83743ebd592763997387370e955b2e487c5a"
    );
}

#[test]
fn the_end_is_filled_up_to_whole_records() {
    for size in [0, 1, 512, 8192, 9216, 9217, 10240, 100_000] {
        let tar = bytes(&[folder("./bin/"), file("./bin/a", &vec![1; size])]);
        assert_eq!(tar.len() % 10240, 0, "{size}");
        assert!(tar.ends_with(&[0; 1024]), "{size}");
    }
}

#[test]
fn names_that_k3s_could_not_use_are_refused() {
    let bin = || folder("./bin/");
    for (name, rule) in [
        ("bin/a", "begin with `./`"),
        ("/bin/a", "begin with `./`"),
        ("./bin/a b", "white space"),
        ("./bin/a\u{a0}b", "white space"),
        ("./bin/a\n", "white space and control"),
        ("./bin/\u{1b}", "control characters"),
        ("./bin/../a", "`..` component"),
        ("./bin//a", "empty"),
        ("./bin/a/", "end with `/`"),
        ("./", "empty"),
    ] {
        let message = refused(&[bin(), file(name, b"")]);
        assert!(message.contains(rule), "{name:?}: {message}");
    }
    assert!(refused(&[folder("./bin")]).contains("end with `/`"));
    assert!(refused(&[folder("./")]).contains("end with `/`"));
}

#[test]
fn links_that_lead_astray_are_refused() {
    for (target, rule) in [
        ("/bin/busybox", "absolute"),
        ("../../etc/passwd", "outside"),
        ("../..", "outside"),
        ("", "empty"),
        ("a b", "white space"),
    ] {
        let message = refused(&[folder("./bin/"), link("./bin/x", target)]);
        assert!(message.contains(rule), "{target:?}: {message}");
    }
    bytes(&[folder("./bin/"), link("./bin/x", "../bin/y")]);
}

#[test]
fn members_come_once_and_after_their_folders() {
    assert_eq!(
        refused(&[folder("./bin/"), file("./bin/a", b""), link("./bin/a", "b")]),
        "`./bin/a` is in the tarball twice"
    );
    assert_eq!(
        refused(&[folder("./bin/"), file("./bin/a", b""), folder("./bin/a/")]),
        "`./bin/a/` is in the tarball twice"
    );
    assert_eq!(refused(&[file("./bin/a", b"")]), "`./bin/a` is in the tarball, its folder is not");
    assert_eq!(refused(&[folder("./a/b/")]), "`./a/b/` is in the tarball, its folder is not");
    // At the top no folder is needed.
    bytes(&[file("./a", b"")]);
}

#[test]
fn a_time_or_an_output_that_does_not_do_is_an_error() {
    let late = write_tar(&[folder("./bin/")], u64::MAX, &mut Vec::new()).unwrap_err();
    assert!(matches!(late, TarError::Time { .. }), "{late}");
    let full = write_tar(&[folder("./bin/")], 0, &mut [0; 100].as_mut_slice()).unwrap_err();
    assert!(matches!(full, TarError::Write { .. }), "{full}");
}

/// What a tar says of its members, as read by somebody else's code.
fn read_back(tar: &[u8]) -> Vec<(String, u8, String, Vec<u8>)> {
    let mut archive = ::tar::Archive::new(tar);
    let mut members = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let target = entry.link_name_bytes().map(|target| String::from_utf8(target.into_owned()).unwrap());
        let header = entry.header();
        let owner = (header.uid().unwrap(), header.gid().unwrap());
        assert_eq!((owner, header.mtime().unwrap()), ((0, 0), 1_735_689_600));
        let kind = header.entry_type().as_byte();
        assert_eq!(header.mode().unwrap(), if kind == b'2' { 0o777 } else { 0o755 });
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        members.push((name, kind, target.unwrap_or_default(), contents));
    }
    members
}

fn component() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-zA-Z0-9\\[._+-]{1,12}", 1 => "[a-zé]{90,130}"]
        .prop_filter("not a folder's own name", |name| name != "." && name != "..")
}

fn content() -> impl Strategy<Value = Content<Vec<u8>>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..1500)
            .prop_map(|contents| Content::File { contents, kind: FileKind::Program }),
        component().prop_map(|target| Content::Link { target }),
    ]
}

/// Members in three levels of folders, in random order.
fn members() -> impl Strategy<Value = Vec<Made>> {
    let paths = prop::collection::btree_map(prop::collection::vec(component(), 1..4), content(), 0..20);
    let made = paths.prop_map(|paths| {
        let mut all = BTreeMap::new();
        for path in paths.keys() {
            for depth in 1..path.len() {
                all.insert(path[..depth].to_vec(), Content::Folder);
            }
        }
        for (path, content) in paths {
            all.entry(path).or_insert(content);
        }
        all.into_iter()
            .map(|(path, content)| {
                let slash = if matches!(content, Content::Folder) { "/" } else { "" };
                member(&format!("./{}{slash}", path.join("/")), content)
            })
            .collect::<Vec<_>>()
    });
    made.prop_flat_map(|members| Just(members).prop_shuffle())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back_in_order(members in members()) {
        let mut expected: Vec<_> = members
            .iter()
            .map(|member| match member.content.clone() {
                Content::Folder => (member.name.clone(), b'5', String::new(), Vec::new()),
                Content::File { contents, .. } => (member.name.clone(), b'0', String::new(), contents),
                Content::Link { target } => (member.name.clone(), b'2', target, Vec::new()),
            })
            .collect();
        expected.sort();
        prop_assert_eq!(read_back(&bytes(&members)), expected);
    }

    #[test]
    fn what_is_written_is_what_verify_reads_and_k3s_can_use(members in members()) {
        let tar = bytes(&members);
        let archive = Archive::read(&tar).unwrap();
        let mut expected: Vec<_> = members.iter().map(|member| (&member.name, &member.content)).collect();
        expected.sort_by_key(|(name, _)| *name);
        prop_assert_eq!(archive.members.len(), expected.len());
        for (found, (name, content)) in archive.members.iter().zip(expected) {
            prop_assert_eq!(&found.name, name);
            let same = match (&found.what, content) {
                (ArchiveType::Folder, Content::Folder) => true,
                (ArchiveType::File(found), Content::File { contents, .. }) => found == contents,
                (ArchiveType::Link(found), Content::Link { target }) => found == target,
                _ => false,
            };
            prop_assert!(same, "{:?}", found);
        }
        let report = verify("k3s-root-amd64.tar", &tar, &arches(), None).unwrap();
        let rules = [Check::Names, Check::Modes];
        let broken = report.checks.iter().find(|one| rules.contains(&one.check) && one.verdict != Verdict::Ok);
        prop_assert!(broken.is_none(), "{:?}: {:?}", broken, report.findings);
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(
        (left, right) in members().prop_flat_map(|members| (Just(members.clone()), Just(members).prop_shuffle())),
    ) {
        prop_assert_eq!(bytes(&left), bytes(&right));
    }

    #[test]
    fn no_name_makes_it_panic_or_leave_the_root(name in "(\\./)?.{0,8}", target in ".{0,8}") {
        let mut out = Vec::new();
        if write_tar(&[folder("./b/"), link(&name, &target)], 0, &mut out).is_ok() {
            prop_assert!(name.starts_with("./") && !target.starts_with('/'));
            let outside = Path::new(&name).components().any(|part| part == std::path::Component::ParentDir);
            prop_assert!(!outside);
        }
    }
}
