//! Layout and trees that do not fit: each is an error that names the package and the file.

use std::collections::{BTreeMap, BTreeSet};

use root::pack::{AssembleError, Layout, TreeEntry, assemble};

use crate::fake::{LAYOUT, Trees, layout, package, trees};

fn file() -> TreeEntry<String> {
    TreeEntry::File("x".to_owned())
}

fn link(target: &str) -> TreeEntry<String> {
    TreeEntry::Symlink(target.to_owned())
}

/// What assembling says after `spoil` has been at the trees.
fn spoilt(spoil: impl FnOnce(&mut Trees)) -> String {
    let mut trees = trees();
    spoil(&mut trees);
    assemble(&layout(), &trees, &BTreeSet::new()).unwrap_err().to_string()
}

fn put(trees: &mut Trees, owner: &str, path: &str, entry: TreeEntry<String>) {
    trees.get_mut(&package(owner)).unwrap().insert(path.to_owned(), entry);
}

fn remove(trees: &mut Trees, owner: &str, path: &str) {
    trees.get_mut(&package(owner)).unwrap().remove(path).unwrap();
}

#[test]
fn a_package_that_was_not_built_is_named() {
    let message = spoilt(|trees| {
        trees.remove(&package("pigz"));
    });
    assert_eq!(message, "the root needs `pigz`, which was not built");
}

#[test]
fn a_file_that_is_not_there_names_package_and_path() {
    assert_eq!(
        spoilt(|trees| remove(trees, "ethtool", "usr/sbin/ethtool")),
        "the layout takes `usr/sbin/ethtool` from `ethtool`, which does not have it"
    );
    assert_eq!(
        spoilt(|trees| put(trees, "ethtool", "usr/sbin/ethtool", link("x"))),
        "the layout takes `usr/sbin/ethtool` from `ethtool`, which has a symlink there"
    );
    assert_eq!(
        spoilt(|trees| put(trees, "ethtool", "usr/sbin/ethtool", TreeEntry::Dir)),
        "the layout takes `usr/sbin/ethtool` from `ethtool`, which has a folder there"
    );
}

#[test]
fn links_that_are_not_there_name_package_and_glob() {
    assert_eq!(
        spoilt(|trees| remove(trees, "busybox", "linuxrc")),
        "the layout takes links to `busybox` at `linuxrc` from `busybox`, which has none there"
    );
    // A busybox installed without its symlinks.
    assert_eq!(
        spoilt(|trees| trees
            .get_mut(&package("busybox"))
            .unwrap()
            .retain(|_, entry| !matches!(entry, TreeEntry::Symlink(_)))),
        "the layout takes links to `busybox` at `linuxrc` from `busybox`, which has none there"
    );
    assert_eq!(
        spoilt(|trees| remove(trees, "busybox", "bin/mount")),
        "the layout excepts `mount` from the links to `busybox` of `busybox`, which has no such link: remove it"
    );
}

#[test]
fn a_link_that_leads_elsewhere_is_not_passed_over() {
    assert_eq!(
        spoilt(|trees| put(trees, "coreutils", "usr/bin/odd", link("other"))),
        "`usr/bin/odd` of `coreutils` leads to `other`, which no [[links]] of the package has as its target"
    );
    // Links to what other rules of the package take, and outside of all globs, are fine.
    let mut trees = trees();
    put(&mut trees, "coreutils", "usr/share/odd", link("other"));
    put(&mut trees, "coreutils", "usr/bin/deep/odd", link("other"));
    assemble(&layout(), &trees, &BTreeSet::new()).unwrap();
}

#[test]
fn an_exception_that_matches_nothing_is_stale() {
    let stale = LAYOUT.replace("\"dmesg\",", "\"dmesg\", \"tc\",");
    let layout = Layout::parse("root.toml".as_ref(), &stale).unwrap();
    let error = assemble(&layout, &trees(), &BTreeSet::new()).unwrap_err();
    assert!(matches!(&error, AssembleError::StaleExcept { name, .. } if name == "tc"), "{error}");
    // Not when the package is missing: then nothing is known of its links.
    assemble(&layout, &trees(), &[package("busybox")].into()).unwrap();
}

#[test]
fn two_claims_are_an_error_unless_the_layout_says_who_wins() {
    assert_eq!(
        spoilt(|trees| put(trees, "busybox", "sbin/ethtool", link("../bin/busybox"))),
        "`./bin/ethtool` in the tarball `root` is claimed by `ethtool` (`usr/sbin/ethtool`) and `busybox` \
         (`sbin/ethtool`): say in [gives-way] who gives way"
    );
    // Giving way is to one package, not to whoever comes: coreutils and findutils both claim `find`.
    let message = spoilt(|trees| put(trees, "coreutils", "usr/bin/find", link("coreutils")));
    assert!(message.starts_with("`./bin/find` in the tarball `root` is claimed by `findutils`"), "{message}");
    assert!(message.contains("`busybox`") && message.contains("`coreutils`"), "{message}");
    let message = spoilt(|trees| put(trees, "busybox", "bin/aux", link("busybox")));
    assert!(message.contains("claimed by `busybox` (`bin/aux`) and a folder of the layout"), "{message}");
    let twice = format!(
        "{LAYOUT}\n[[link]]\nnames = [\"iptables\"]\ntarget = \"xtables-set-mode.sh\"\nto = \"aux\"\n"
    );
    let layout = Layout::parse("root.toml".as_ref(), &twice).unwrap();
    let error = assemble(&layout, &trees(), &BTreeSet::new()).unwrap_err();
    assert!(matches!(&error, AssembleError::Conflict { claimants, .. } if claimants.len() == 2), "{error}");
}

#[test]
fn the_same_link_in_two_folders_of_a_package_is_one() {
    let mut trees = trees();
    put(&mut trees, "busybox", "usr/sbin/arp", link("../../bin/busybox"));
    put(&mut trees, "busybox", "sbin/arp", link("../bin/busybox"));
    put(&mut trees, "busybox", "bin/arp", link("busybox"));
    let root = assemble(&layout(), &trees, &BTreeSet::new()).unwrap();
    assert_eq!(root.tarballs[0].members.len(), 352);
}

#[test]
fn a_link_needs_its_file_in_the_tarball() {
    // `b` wins the name `x` with a link, so the links to `a`'s file `x` would lead to a link.
    let layout = r#"
        checksums = "sums-{arch}"
        places = { bin = { root = "bin" } }
        tarball = [{ name = "root", file = "root-{arch}.tar", folders = ["bin"] }]
        gives-way = { a = ["b"] }
        file = [
          { package = "a", from = ["bin/x"], to = "bin" },
          { package = "b", from = ["bin/y"], to = "bin" },
        ]
        links = [{ package = "b", from = ["bin/x"], target = "y", to = "bin" }]
        link = [{ names = ["z"], target = "x", to = "bin" }]
    "#;
    let layout = Layout::parse("root.toml".as_ref(), layout).unwrap();
    let mut trees: Trees = BTreeMap::new();
    trees.entry(package("a")).or_default().insert("bin/x".to_owned(), file());
    let b = trees.entry(package("b")).or_default();
    b.insert("bin/y".to_owned(), file());
    b.insert("bin/x".to_owned(), link("y"));
    assert_eq!(
        assemble(&layout, &trees, &BTreeSet::new()).unwrap_err().to_string(),
        "`./bin/z` in the tarball `root` leads to `x`, which is not a file there"
    );
}
