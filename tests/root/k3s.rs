//! The tarball as K3s uses it: its build untars it over its source tree, adds its own programs and links, lists what is
//! in `bin` and packs it; at start K3s unpacks that and compares it with the lists. Modelled after K3s's
//! `scripts/download`, `scripts/package-cli` and `pkg/dataverify`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use base::digest::Sha256;

use crate::rootfs::root;
use crate::tarball::members;

/// Programs that K3s puts into `bin` itself, removing what has the name; with what they are links to.
const OWN_LINKS: &[(&str, &[&str])] = &[
    (
        "k3s",
        &[
            "containerd",
            "crictl",
            "ctr",
            "kubectl",
            "k3s-agent",
            "k3s-certificate",
            "k3s-completion",
            "k3s-etcd-snapshot",
            "k3s-secrets-encrypt",
            "k3s-server",
            "k3s-token",
        ],
    ),
    ("cni", &["bandwidth", "bridge", "firewall", "flannel", "host-local", "loopback", "portmap"]),
];
const OWN_FILES: &[&str] = &[
    "bin/k3s",
    "bin/cni",
    "bin/runc",
    "bin/containerd-shim-runc-v2",
    "bin/check-config",
    "bin/aux/wg-add.sh",
];

/// Writes the two lists, by K3s's means: find, sha256sum, sed and sort of the machine that builds K3s.
const LISTS: &str = r"
    find . -type f ! -path '*/.*' -exec sha256sum {} + | sed 's| \./| |' | sort -k 2 > .sha256sums
    for link in $(find . -type l); do echo $link $(readlink $link); done | sed 's|^\./||' | sort > .links
";

fn shell(folder: &Path, script: &str) {
    let output = Command::new("sh").args(["-euc", script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// A list as K3s reads it: words of each line, one of them the name, another what is known of it.
fn list(path: &Path, name: usize, value: usize) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).unwrap();
    let mut list = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words.len(), 2, "{}: {line}", path.display());
        let before = list.insert(words[name].to_owned(), words[value].to_owned());
        assert_eq!(before, None, "{}: {line}", path.display());
    }
    assert!(!list.is_empty(), "{} is empty", path.display());
    list
}

/// What is not as the lists in `bin` say.
fn verify(bin: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, sum) in list(&bin.join(".sha256sums"), 1, 0) {
        if fs::read(bin.join(&name)).map(|bytes| Sha256::of(&bytes).to_string()).ok() != Some(sum) {
            wrong.push(name);
        }
    }
    for (name, target) in list(&bin.join(".links"), 0, 1) {
        if fs::read_link(bin.join(&name)).ok().as_deref() != Some(Path::new(&target)) {
            wrong.push(name);
        }
    }
    wrong
}

#[test]
fn k3s_builds_on_it_packs_it_and_verifies_it_at_start() {
    let Some(root) = root() else { return };
    let tar = root.dist("k3s-root-{arch}.tar");
    let ours = members(&tar);

    // scripts/download: read from a pipe, over a tree that has files.
    let source = tempfile::tempdir().unwrap();
    let tree = source.path();
    fs::write(tree.join("main.go"), "package main\n").unwrap();
    shell(tree, &format!("umask 022; cat '{}' | tar xf -", tar.display()));

    // scripts/build and scripts/package-cli: K3s's own programs hide nothing of ours.
    for name in OWN_FILES {
        assert!(!ours.contains_key(&format!("./{name}")), "K3s has a {name} of its own");
        fs::write(tree.join(name), name).unwrap();
    }
    for (target, names) in OWN_LINKS {
        for name in *names {
            assert!(!ours.contains_key(&format!("./bin/{name}")), "K3s has a {name} of its own");
            symlink(target, tree.join("bin").join(name)).unwrap();
        }
    }
    shell(&tree.join("bin"), LISTS);
    let count = |kind: char| ours.values().filter(|(member, _)| *member == kind).count();
    let links: usize = OWN_LINKS.iter().map(|(_, names)| names.len()).sum();
    assert_eq!(list(&tree.join("bin/.sha256sums"), 1, 0).len(), count('f') + OWN_FILES.len());
    assert_eq!(list(&tree.join("bin/.links"), 0, 1).len(), count('l') + links);
    shell(tree, "tar cf data.tar ./bin ./etc");

    // At start.
    let data = tempfile::tempdir().unwrap();
    shell(data.path(), &format!("tar xf '{}'", tree.join("data.tar").display()));
    assert_eq!(verify(&data.path().join("bin")), [""; 0]);
    assert!(data.path().join("etc").is_dir());

    // And what is not as it was is found.
    let bin = data.path().join("bin");
    fs::write(bin.join("busybox"), "not busybox").unwrap();
    fs::remove_file(bin.join("sh")).unwrap();
    symlink("coreutils", bin.join("sh")).unwrap();
    assert_eq!(verify(&bin), ["busybox", "sh"]);
}

/// K3s's untar takes a name only if it stays below the folder, and its lists take no white space.
#[test]
fn names_and_targets_are_plain_and_lead_to_members() {
    let Some(root) = root() else { return };
    for file in ["k3s-root-{arch}.tar", "k3s-root-xtables-{arch}.tar"] {
        let members = members(&root.dist(file));
        for (name, (kind, target)) in &members {
            let plain = |text: &str| !text.contains(|c: char| c.is_whitespace() || c == '\\');
            assert!(name.starts_with("./") && !name.contains("../") && plain(name), "{name}");
            if *kind == 'l' {
                let folder = &name[..name.rfind('/').unwrap()];
                let (folder, file) = match target.strip_prefix("../") {
                    Some(file) => (&folder[..folder.rfind('/').unwrap()], file),
                    None => (folder, target.as_str()),
                };
                let leads_to = members.get(&format!("{folder}/{file}"));
                assert!(leads_to.is_some_and(|(kind, _)| *kind == 'f'), "{name} -> {target}");
            }
        }
    }
}
