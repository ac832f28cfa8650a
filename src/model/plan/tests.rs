//! What changes a digest and what does not.

mod fields;

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::arch::Arches;
use crate::graph::CompilerFrom;
use crate::graph::tests::{example, graph, graph_with};
use crate::recipe::{Origin, Patch};
use base::digest::{Sha256, SourceDigest, TreeDigest};
use base::name::Unit;

fn arches() -> Arches {
    Arches::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sysroot")).unwrap()
}

/// The plan of a small root, with a toolchain.
fn example_plan() -> Plan {
    let recipes = example();
    let graph = graph(&recipes, "iptables", &["amd64"]).unwrap();
    Plan::new(&graph, &recipes, &arches(), &Overrides::new(), &Compilers::new()).unwrap()
}

fn digests(recipes: &Recipes, overrides: &Overrides) -> BTreeMap<Unit, ActionDigest> {
    let graph = graph(recipes, "iptables", &["amd64"]).unwrap();
    let plan = Plan::new(&graph, recipes, &arches(), overrides, &Compilers::new()).unwrap();
    plan.actions().iter().map(|action| (action.unit().clone(), action.digest())).collect()
}

/// The units whose digest differs after `change` of the recipe `name`.
fn changed(name: &str, change: impl FnOnce(&mut Recipe)) -> Vec<String> {
    let mut recipes = example();
    let before = digests(&recipes, &Overrides::new());
    change(recipes.get_mut(&name.parse().unwrap()).unwrap());
    let after = digests(&recipes, &Overrides::new());
    before
        .iter()
        .filter(|(unit, digest)| after[*unit] != **digest)
        .map(|(unit, _)| unit.to_string())
        .collect()
}

fn archive(recipe: &mut Recipe) -> &mut crate::recipe::Archive {
    match &mut recipe.sources[0].origin {
        Origin::Archives(archives) => &mut archives[0],
        Origin::Local(_) => unreachable!("the example has archives"),
    }
}

#[test]
fn what_decides_an_output_changes_the_digests_from_there_up() {
    type Change = (&'static str, fn(&mut Recipe));
    let changes: [Change; 8] = [
        ("source", |recipe| archive(recipe).digest = SourceDigest::Sha256(Sha256::of(b"other"))),
        ("nested", |recipe| archive(recipe).nested = Some("*.tar".to_owned())),
        ("only", |recipe| recipe.sources[0].only.push("src/**".to_owned())),
        ("into", |recipe| recipe.sources[0].into = Some("sub".to_owned())),
        ("patch", |recipe| {
            recipe.sources[0].patches.push(Patch { name: "a".to_owned(), text: "--- a".to_owned() });
        }),
        ("version", |recipe| recipe.version = "2".parse().unwrap()),
        ("keep", |recipe| recipe.keep.push("usr/lib/**".to_owned())),
        ("finish", |recipe| recipe.build.finish.push(vec!["true".to_owned()])),
    ];
    for (what, change) in changes {
        assert_eq!(changed("libnftnl", change), ["iptables@amd64", "libnftnl@amd64"], "{what}");
    }
}

#[test]
fn what_only_describes_changes_nothing() {
    type Change = (&'static str, fn(&mut Recipe));
    let changes: [Change; 7] = [
        ("url", |recipe| archive(recipe).urls = vec!["https://mirror.invalid/x".to_owned()]),
        ("summary", |recipe| recipe.summary = "other".to_owned()),
        ("homepage", |recipe| recipe.homepage = "other".to_owned()),
        ("licence", |recipe| recipe.license.spdx = "ISC".to_owned()),
        ("licence text", |recipe| {
            recipe.license.files.insert("COPYING".to_owned(), Sha256::of(b""));
        }),
        ("identity", |recipe| recipe.identity.cpe = Some("a:b".to_owned())),
        ("path", |recipe| recipe.path = "elsewhere/libnftnl.toml".into()),
    ];
    for (what, change) in changes {
        assert_eq!(changed("libnftnl", change), [""; 0], "{what}");
    }
}

#[test]
fn a_patch_counts_by_its_contents_not_its_name() {
    let patch = |name: &str| Patch { name: name.to_owned(), text: "--- a".to_owned() };
    let mut recipes = example();
    let name = "libmnl".parse().unwrap();
    let mut with = |name_of_patch| {
        let recipe: &mut Recipe = recipes.get_mut(&name).unwrap();
        recipe.sources[0].patches = vec![patch(name_of_patch)];
        digests(&recipes, &Overrides::new())
    };
    assert_eq!(with("one.patch"), with("two.patch"));
}

#[test]
fn a_tool_counts_for_all_that_it_builds() {
    let changed = changed("m4", |recipe| recipe.version = "2".parse().unwrap());
    assert_eq!(changed, ["bison@build", "iptables@amd64", "m4@build"]);
}

#[test]
fn an_override_counts_by_what_is_in_it() {
    let recipes = example();
    let with = |bytes: [u8; 32], path: &str| {
        let over = Override { path: path.into(), tree: TreeDigest::from_bytes(bytes), version: None };
        digests(&recipes, &[("libmnl".parse().unwrap(), over)].into())
    };
    assert_eq!(with([1; 32], "a"), with([1; 32], "b"));
    assert_ne!(with([1; 32], "a"), with([2; 32], "a"));
    assert_ne!(with([1; 32], "a"), digests(&recipes, &Overrides::new()));
}

#[test]
fn the_machines_compiler_counts_for_what_it_compiles_and_nothing_else() {
    let recipes = example();
    let graph = graph_with(&recipes, "iptables", &["arm64"], CompilerFrom::Machine).unwrap();
    let with = |byte: u8| {
        let compiler = CompilerDigest::from_bytes([byte; 32]);
        let compilers = [("arm64".parse().unwrap(), compiler)].into();
        Plan::new(&graph, &recipes, &arches(), &Overrides::new(), &compilers).unwrap()
    };
    let (one, two) = (with(1), with(2));
    for (one, two) in one.actions().iter().zip(two.actions()) {
        let unit = one.unit().to_string();
        let compiled = unit.ends_with("@arm64") && unit != "linux-headers@arm64";
        assert_eq!(one.digest() != two.digest(), compiled, "{unit}");
        assert_eq!(one.compiler().is_some(), compiled, "{unit}");
        assert_eq!(one.env()["PATH"].contains("/compiler/bin"), compiled, "{unit}");
    }
}

#[test]
fn what_a_tool_exports_is_in_the_tools_own_words() {
    let mut recipes = example();
    let bison = recipes.get_mut(&"bison".parse().unwrap()).unwrap();
    bison.version = "3.8".parse().unwrap();
    bison.exports.insert("BISON".to_owned(), "/tools/share/bison-{version}".to_owned());
    let graph = graph(&recipes, "iptables", &["amd64"]).unwrap();
    let plan = Plan::new(&graph, &recipes, &arches(), &Overrides::new(), &Compilers::new()).unwrap();
    let iptables = plan.get(&"iptables@amd64".parse().unwrap()).unwrap();
    assert_eq!(iptables.env()["BISON"], "/tools/share/bison-3.8");
}

#[test]
fn the_resolved_digest_follows_what_needs_turned_out_to_be() {
    let recipes = example();
    let graph = graph(&recipes, "iptables", &["amd64"]).unwrap();
    let plan = Plan::new(&graph, &recipes, &arches(), &Overrides::new(), &Compilers::new()).unwrap();
    let action = plan.get(&"libnftnl@amd64".parse().unwrap()).unwrap();
    let trees = |byte: u8| {
        action.sysroot().keys().map(|unit| (unit.clone(), TreeDigest::from_bytes([byte; 32]))).collect()
    };
    let archives: Vec<_> = action.archives().iter().map(|archives| &archives[0]).collect();
    assert_eq!(action.resolve(&trees(1), &archives).unwrap(), action.resolve(&trees(1), &archives).unwrap());
    assert_ne!(action.resolve(&trees(1), &archives).unwrap(), action.resolve(&trees(2), &archives).unwrap());
}

#[test]
fn target_commands_are_cross_commands_and_tools_are_not() {
    let recipes = example();
    let graph = graph(&recipes, "iptables", &["arm64"]).unwrap();
    let plan = Plan::new(&graph, &recipes, &arches(), &Overrides::new(), &Compilers::new()).unwrap();
    let env = |unit: &str| plan.get(&unit.parse().unwrap()).unwrap().env().clone();
    assert_eq!(env("libmnl@arm64")["CC"], "aarch64-linux-musl-gcc");
    assert!(env("libmnl@arm64")["LDFLAGS"].contains("max-page-size=65536"));
    assert_eq!(env("m4@build")["CC"], "gcc");
    assert!(!env("m4@build").contains_key("PKG_CONFIG_LIBDIR"));
    for variable in ["MAKEFLAGS", "USER", "PWD"] {
        assert!(!env("libmnl@arm64").contains_key(variable), "{variable}");
    }
}
