//! The tarballs as K3s and other images use them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use base::digest::Sha256;
use model::arch::Arches;
use model::recipe;
use root::pack::{Check, ExpectedType, Layout, Program, Protector, TarballKind, Verdict, verify};
use walkdir::WalkDir;

use crate::rootfs::{Root, root};
use crate::skipped::skipped;

/// Members by name: the type and, for links, the target.
pub(crate) fn members(tar: &Path) -> BTreeMap<String, (char, String)> {
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

/// What the contract has, for every arch.
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
        [(TarballKind::Root, "k3s-root-{arch}.tar"), (TarballKind::Xtables, "k3s-root-xtables-{arch}.tar")];
    for (tarball, file) in tarballs {
        let (path, file) = (root.dist(file), file.replace("{arch}", root.arch()));
        let ours = members(&path);
        let theirs = inventory(tarball);
        let extra: Vec<_> = ours.keys().filter(|name| !theirs.contains_key(*name)).collect();
        assert!(extra.is_empty(), "{file} has {extra:?}, which upstream's has not");
        if root.is_whole() {
            let lost: Vec<_> = theirs.iter().filter(|(name, what)| ours.get(*name) != Some(what)).collect();
            assert!(lost.is_empty(), "{file} lacks, or has in another form: {lost:?}");
        } else {
            skipped(&format!("the names that {file} lacks"), "the root is not whole");
        }
    }
}

/// Bytes of the tarballs of upstream's release v0.15.2 for amd64, with programs that are not hardened.
const UPSTREAM: [(&str, u64); 2] =
    [("k3s-root-{arch}.tar", 9_062_400), ("k3s-root-xtables-{arch}.tar", 1_566_720)];

#[test]
fn the_tarballs_are_no_larger_than_upstreams() {
    let Some(root) = root() else { return };
    if root.arch() != "amd64" {
        skipped(&format!("the sizes for {}", root.arch()), "upstream's are known for amd64 only");
        return;
    }
    for (file, theirs) in UPSTREAM {
        let ours = fs::metadata(root.dist(file)).unwrap().len();
        assert!(ours <= theirs, "{file}: {ours} bytes, upstream's has {theirs}");
    }
}

#[test]
fn the_tarballs_are_sound() {
    let Some(root) = root() else { return };
    let arches = Arches::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sysroot")).unwrap();
    for file in ["k3s-root-{arch}.tar", "k3s-root-xtables-{arch}.tar"] {
        let (path, file) = (root.dist(file), file.replace("{arch}", root.arch()));
        let report = verify(&file, &fs::read(path).unwrap(), &arches, None).unwrap();
        // What could not be built is absent, and said to be; links to it too.
        let wrong = report.findings.iter().filter(|finding| finding.verdict == Verdict::Wrong);
        let wrong: Vec<_> =
            wrong.filter(|finding| root.is_whole() || finding.check != Check::Members).collect();
        assert!(wrong.is_empty(), "{file}: {wrong:#?}");
        // Elsewhere than on amd64 a program without it is a note: it may be another compiler's. Ours is gcc.
        let unprotected =
            report.programs.iter().filter(|one| !matches!(one.facts.protector, Protector::Reads(_)));
        assert_eq!(unprotected.map(|one| &one.name).collect::<Vec<_>>(), Vec::<&String>::new(), "{file}");
    }
}

/// The version in the bytes of each program, which `verify` and `diff` show, is the recipe's.
#[test]
fn the_programs_are_of_their_recipes_versions() {
    let Some(root) = root() else { return };
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let arches = Arches::load(&project.join("sysroot")).unwrap();
    let recipes = recipe::load(&project.join("recipes")).unwrap();
    let overridden = fs::read_to_string(root.dist("k3s-root-{arch}.overrides.txt")).unwrap_or_default();
    let layout = project.join("recipes/root.toml");
    let layout = Layout::parse(&layout, &fs::read_to_string(&layout).unwrap()).unwrap();
    let maker: BTreeMap<&str, _> =
        layout.files().map(|(package, path)| (path.rsplit('/').next().unwrap(), package)).collect();
    let report =
        verify("k3s-root.tar", &fs::read(root.dist("k3s-root-{arch}.tar")).unwrap(), &arches, None).unwrap();
    let mut unknown = Vec::new();
    for Program { name, version, .. } in &report.programs {
        let name = name.rsplit('/').next().unwrap();
        let package = maker[name];
        let Some(version) = version else {
            unknown.push(name);
            continue;
        };
        if overridden.lines().any(|line| line.split_whitespace().next() == Some(package.as_str())) {
            skipped(&format!("the version of {name}"), "it was built from a local tree");
        } else {
            assert_eq!(version, &recipes[package].version.to_string(), "{name}");
        }
    }
    // Their bytes have no text that tells; `cases/versions.sh` asks them.
    assert!(unknown.iter().all(|name| ["fuse-overlayfs", "slirp4netns"].contains(name)), "{unknown:?}");
}

#[test]
fn the_list_of_checksums_is_true() {
    let Some(root) = root() else { return };
    let list = fs::read_to_string(root.dist("sha256sum-{arch}.txt")).unwrap();
    assert_eq!(list.lines().count(), 2);
    for line in list.lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        let mut bytes = Vec::new();
        fs::File::open(root.dist(name)).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(Sha256::of(&bytes).to_string(), sum, "{name}");
    }
}

/// Extracts as downstream's container files do, and returns the names that are then in the folder.
fn extract(root: &Root, file: &str, arguments: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("tar");
    command.arg("xvf").arg(root.dist(file)).arg("-C").arg(folder.path()).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let mut names: Vec<String> = WalkDir::new(folder.path())
        .min_depth(1)
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| entry.path().strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn other_images_extract_by_literal_patterns() {
    let Some(root) = root() else { return };
    let tar = "k3s-root-{arch}.tar";
    // A pattern that matches nothing is an error of tar's.
    let unless_lacking = |package: &str, file: &str, arguments: &[&str]| {
        if root.lacks(package) {
            skipped(&format!("extracting {arguments:?}"), &format!("the root was built without `{package}`"));
            return Vec::new();
        }
        extract(root, file, arguments)
    };
    let has = |names: &[String], expected: &[&str]| {
        for name in expected {
            assert!(names.iter().any(|there| there == name), "no {name} in {names:?}");
        }
    };

    let all = ["--strip-components=3", "--exclude=./bin/aux/mo*", "./bin/aux/"];
    let names = unless_lacking("k3s-scripts", tar, &all);
    if !names.is_empty() {
        has(&names, &["iptables-detect.sh", "xtables-set-mode.sh", "iptables"]);
        assert!(!names.iter().any(|name| name == "mount" || name == "modprobe"), "{names:?}");
    }

    let tables = ["bin/aux/iptables-apply", "bin/aux/iptables-legacy", "bin/aux/iptables-nft"];
    let names = unless_lacking("iptables", tar, &["--wildcards", "./bin/aux/*tables*"]);
    if !names.is_empty() {
        has(&names, &tables);
        has(&names, &["bin/aux/xtables-nft-multi", "bin/aux/xtables-legacy-multi"]);
        assert!(names.iter().all(|name| name.contains("tables")), "{names:?}");
    }
    if !root.lacks("iptables") {
        let both = ["--wildcards", "--strip-components=2", "./bin/aux/*tables*", "./bin/aux/nft"];
        let names = unless_lacking("nftables", tar, &both);
        if !names.is_empty() {
            has(&names, &["aux/nft", "aux/iptables"]);
        }
        let names = extract(root, "k3s-root-xtables-{arch}.tar", &[]);
        has(&names, &["bin/iptables", "bin/iptables-legacy", "bin/xtables-nft-multi"]);
    }
    let names = unless_lacking("ipset", tar, &["./bin/ipset"]);
    assert!(root.lacks("ipset") || names == ["bin/ipset"], "{names:?}");
}
