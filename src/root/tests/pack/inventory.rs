//! The real layout and whole trees give upstream's tarballs, name by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use base::digest::Sha256;
use root::pack::{
    Content, ExpectedType, FileKind, PackError, Root, Written, assemble, inspect_root, render_root,
    write_files,
};

use crate::fake::{arch, contents, inventory, layout, package, trees};

const MTIME: u64 = 1_735_689_600;

fn root() -> Root<String> {
    assemble(&layout(), &trees(), &BTreeSet::new()).unwrap()
}

fn loaded(arch_name: &str) -> Root<Vec<u8>> {
    let arch = arch(arch_name);
    root().load(|handle| Ok::<_, ()>(contents(handle, &arch))).unwrap()
}

fn write_root(root: &Root<Vec<u8>>, folder: &Path) -> Result<Vec<Written>, PackError> {
    write_files(folder, &render_root(root, &arch("amd64").name, MTIME)?)
}

#[test]
fn the_root_is_upstreams_name_by_name() {
    let root = root();
    assert!(root.left_out.is_empty());
    let kind = |content: &Content<String>| match content {
        Content::Folder => ("dir", "0755", String::new()),
        Content::File { kind: FileKind::Program, .. } => ("file", "0755", String::new()),
        Content::File { kind: FileKind::Script, .. } => ("script", "0755", String::new()),
        Content::Link { target } => ("link", "0777", target.clone()),
    };
    let ours: Vec<String> = root
        .tarballs
        .iter()
        .flat_map(|tarball| tarball.members.iter().map(move |member| (tarball, member)))
        .map(|(tarball, member)| {
            let (kind, mode, target) = kind(&member.content);
            format!("{} {} {kind} {mode} {target}", tarball.name, member.name)
        })
        .collect();
    let upstream: Vec<String> = inventory()
        .iter()
        .map(|row| {
            let (kind, target) = match row.what {
                ExpectedType::Folder => ("dir", ""),
                ExpectedType::Program => ("file", ""),
                ExpectedType::Script => ("script", ""),
                ExpectedType::Link(target) => ("link", target),
            };
            format!("{} {} {kind} {} {target}", row.tarball, row.name, row.mode)
        })
        .collect();
    // The same order too: the inventory is sorted by bytes.
    assert_eq!(ours, upstream);
    assert_eq!(root.tarballs.iter().map(|tarball| tarball.members.len()).collect::<Vec<_>>(), [352, 47]);
}

#[test]
fn links_are_counted_as_the_contract_does() {
    let root = root();
    let mut counts = BTreeMap::new();
    for member in &root.tarballs[0].members {
        if let Content::Link { target } = &member.content {
            *counts.entry(target.as_str()).or_insert(0) += 1;
        }
    }
    let expected = [
        ("../busybox", 2),
        ("busybox", 180),
        ("coreutils", 105),
        ("iptables-apply", 1),
        ("iptables-detect.sh", 6),
        ("pigz", 1),
        ("xtables-legacy-multi", 6),
        ("xtables-nft-multi", 25),
    ];
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn only_what_is_packed_is_read_and_only_once() {
    let mut read = Vec::new();
    root()
        .load(|handle| {
            read.push(handle.clone());
            Ok::<_, ()>(Vec::<u8>::new())
        })
        .unwrap();
    assert_eq!(read.len(), 23);
    assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), 23);
    assert!(!read.contains(&"iproute2:usr/sbin/tc".to_owned()));
}

#[test]
fn every_packed_file_is_inspected_for_its_arch() {
    for name in ["amd64", "arm64", "arm", "riscv64"] {
        let root = loaded(name);
        // 23 files, three of them scripts.
        assert_eq!(inspect_root(&arch(name), &root, &[]).unwrap().len(), 20, "{name}");
    }
    let findings = inspect_root(&arch("arm64"), &loaded("amd64"), &[]).unwrap_err();
    assert_eq!(findings.len(), 20);
    assert_eq!(
        findings[0].to_string(),
        "`./bin/aux/ebtables-legacy` of `ebtables` is for another machine: machine is 62, the arch's is 183"
    );
}

#[test]
fn what_is_missing_is_left_out_and_said() {
    let missing: BTreeSet<_> = ["coreutils", "k3s-scripts", "ethtool"].map(package).into();
    let mut trees = trees();
    trees.retain(|name, _| !missing.contains(name));
    let root = assemble(&layout(), &trees, &missing).unwrap();
    let left_out: Vec<_> = root.left_out.iter().map(|left| left.package.as_str()).collect();
    assert_eq!(left_out, ["coreutils", "ethtool", "k3s-scripts"]);
    assert_eq!(root.left_out[0].names, ["root: ./bin/coreutils"]);
    assert_eq!(root.left_out[0].links_to, ["coreutils"]);
    assert_eq!(root.left_out[1].names, ["root: ./bin/ethtool"]);
    // Two scripts and six links in two tarballs.
    assert_eq!(root.left_out[2].names.len(), 16);
    let find = |name: &str| root.tarballs[0].members.iter().find(|member| member.name == name);
    assert!(find("./bin/ethtool").is_none() && find("./bin/aux/iptables").is_none());
    assert!(find("./bin/b2sum").is_none());
    // What gives way to a missing package stays.
    let ls = find("./bin/ls").unwrap().origin.as_ref().unwrap();
    assert_eq!(ls.package.as_str(), "busybox");
}

fn tar(arguments: &[&str]) -> String {
    let output = Command::new("tar").args(arguments).env("TZ", "UTC").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_tarballs_are_whole_equal_and_usable() {
    let folder = tempfile::tempdir().unwrap();
    let root = loaded("amd64");
    let dist = folder.path().join("new/dist");
    let written = write_root(&root, &dist).unwrap();
    assert_eq!(
        names(&dist),
        ["k3s-root-amd64.tar", "k3s-root-xtables-amd64.tar", "sha256sum-amd64.txt"],
        "and no temporary file"
    );
    for file in &written {
        let bytes = fs::read(&file.path).unwrap();
        assert_eq!((Sha256::of(&bytes), bytes.len() as u64), (file.sha256, file.size));
    }
    let sums = format!(
        "{}  k3s-root-amd64.tar\n{}  k3s-root-xtables-amd64.tar\n",
        written[0].sha256, written[1].sha256
    );
    assert_eq!(fs::read_to_string(&written[2].path).unwrap(), sums);

    // Members in another order, over what is there: the same bytes.
    let mut turned = root.clone();
    turned.tarballs.iter_mut().for_each(|tarball| tarball.members.reverse());
    assert_eq!(write_root(&turned, &dist).unwrap(), written);

    let file = written[0].path.to_str().unwrap();
    let listing = tar(&["--full-time", "--numeric-owner", "-tvf", file]);
    assert_eq!(listing.lines().count(), 352);
    assert!(listing.lines().next().unwrap().ends_with("2025-01-01 00:00:00 ./bin/"), "{listing}");
    assert!(listing.lines().all(|line| line.contains(" 0/0 ")));

    // As downstream's Dockerfiles extract.
    let out = folder.path().join("aux");
    fs::create_dir(&out).unwrap();
    let to = out.to_str().unwrap();
    let strip = ["-C", to, "--strip-components=3", "--exclude=./bin/aux/mo*", "./bin/aux/"];
    tar(&[&["-xf", file][..], &strip].concat());
    let extracted = names(&out);
    assert_eq!(extracted.len(), 47, "{extracted:?}");
    assert!(!extracted.iter().any(|name| name.starts_with("mo")));
    assert_eq!(fs::read_link(out.join("iptables")).unwrap(), Path::new("iptables-detect.sh"));
    let tables = tar(&["-tf", file, "--wildcards", "./bin/aux/*tables*", "./bin/ipset"]);
    assert!(tables.lines().any(|line| line == "./bin/ipset") && tables.lines().count() > 40, "{tables}");
}

#[test]
fn nothing_is_replaced_when_a_tarball_cannot_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut root = loaded("amd64");
    let before = write_root(&root, folder.path()).unwrap();
    root.tarballs[1].members[3].name = "./bin/a b".to_owned();
    let error = write_root(&root, folder.path()).unwrap_err();
    assert_eq!(error.to_string(), "cannot make `k3s-root-xtables-amd64.tar`");
    assert_eq!(names(folder.path()).len(), 3);
    assert_eq!(Sha256::of(&fs::read(&before[0].path).unwrap()), before[0].sha256);
    let file = folder.path().join("sha256sum-amd64.txt");
    let error = write_root(&loaded("amd64"), &file).unwrap_err();
    assert!(error.to_string().starts_with("cannot write"), "{error}");
}
