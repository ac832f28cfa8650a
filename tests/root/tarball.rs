//! The tarballs as K3s and other images use them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use k3sroot::arch::Arches;
use k3sroot::digest::Sha256;
use k3sroot::pack::{Check, ExpectedType, TarballKind, Verdict, verify};

use crate::rootfs::root;

/// Members by name: the type and, for links, the target.
fn members(tar: &Path) -> BTreeMap<String, (char, String)> {
    let bytes = fs::read(tar).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut members = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let target = entry
            .link_name_bytes()
            .map_or(String::new(), |name| String::from_utf8(name.into_owned()).unwrap());
        let kind = match header.entry_type() {
            tar::EntryType::Directory => 'd',
            tar::EntryType::Regular => 'f',
            tar::EntryType::Symlink => 'l',
            other => panic!("{name}: {other:?}"),
        };
        assert!(members.insert(name, (kind, target)).is_none());
    }
    members
}

/// What the contract has.
fn inventory(tarball: TarballKind) -> BTreeMap<String, (char, String)> {
    let members = tarball.members().map(|member| {
        let what = match member.what {
            ExpectedType::Folder => ('d', ""),
            ExpectedType::Program | ExpectedType::Script => ('f', ""),
            ExpectedType::Link(target) => ('l', target),
        };
        (member.name.to_owned(), (what.0, what.1.to_owned()))
    });
    members.collect()
}

#[test]
fn the_members_are_those_of_upstream() {
    let Some(root) = root() else { return };
    let tarballs =
        [(TarballKind::Root, "k3s-root-amd64.tar"), (TarballKind::Xtables, "k3s-root-xtables-amd64.tar")];
    for (tarball, file) in tarballs {
        let ours = members(&root.dist(file));
        let theirs = inventory(tarball);
        let extra: Vec<_> = ours.keys().filter(|name| !theirs.contains_key(*name)).collect();
        assert!(extra.is_empty(), "{file} has {extra:?}, which upstream's has not");
        if root.is_whole() {
            let lost: Vec<_> = theirs.iter().filter(|(name, what)| ours.get(*name) != Some(what)).collect();
            assert!(lost.is_empty(), "{file} lacks, or has in another form: {lost:?}");
        } else {
            eprintln!("SKIPPED: {file} is not whole, so only what it has is compared");
        }
    }
}

#[test]
fn the_tarballs_are_sound() {
    let Some(root) = root() else { return };
    let arches = Arches::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sysroot")).unwrap();
    for file in ["k3s-root-amd64.tar", "k3s-root-xtables-amd64.tar"] {
        let report = verify(file, &fs::read(root.dist(file)).unwrap(), &arches, None).unwrap();
        // What could not be built is absent, and said to be; links to it too.
        let wrong = report.findings.iter().filter(|finding| finding.verdict == Verdict::Wrong);
        let wrong: Vec<_> =
            wrong.filter(|finding| root.is_whole() || finding.check != Check::Members).collect();
        assert!(wrong.is_empty(), "{file}: {wrong:#?}");
    }
}

#[test]
fn the_list_of_checksums_is_true() {
    let Some(root) = root() else { return };
    let list = fs::read_to_string(root.dist("sha256sum-amd64.txt")).unwrap();
    assert_eq!(list.lines().count(), 2);
    for line in list.lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        let mut bytes = Vec::new();
        fs::File::open(root.dist(name)).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(Sha256::of(&bytes).to_string(), sum, "{name}");
    }
}

#[test]
fn other_images_extract_by_literal_patterns() {
    let Some(root) = root() else { return };
    let tar = root.dist("k3s-root-amd64.tar");
    let extract = |arguments: &[&str]| -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("tar")
            .arg("-xf")
            .arg(&tar)
            .arg("-C")
            .arg(folder.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    if !root.lacks("k3s-scripts") {
        let names = extract(&["--strip-components=3", "--exclude=./bin/aux/mo*", "./bin/aux/"]);
        assert!(names.contains(&"iptables-detect.sh".to_owned()), "{names:?}");
        assert!(!names.iter().any(|name| name == "mount" || name == "modprobe"), "{names:?}");
    }
    if !root.lacks("iptables") {
        assert_eq!(extract(&["--wildcards", "./bin/aux/*tables*"]), ["bin"]);
    }
    if !root.lacks("ipset") {
        assert_eq!(extract(&["./bin/ipset"]), ["bin"]);
    }
}
