//! Small graphs, right and wrong.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::recipe::{self, LocalFile};

struct Nothing;

impl recipe::Beside for Nothing {
    fn patch(&self, _: &str, _: &str) -> std::io::Result<String> {
        Ok(String::new())
    }

    fn local(&self, _: &str) -> std::io::Result<BTreeMap<String, LocalFile>> {
        Ok(BTreeMap::new())
    }
}

/// Recipes from `name` and the lines of their `[needs]` and `[build]` tables.
pub(crate) fn recipes(list: &[(&str, &str, &str)]) -> Recipes {
    list.iter()
        .map(|(name, needs, build)| {
            let text = format!(
                "name = \"{name}\"\nversion = \"1\"\nsummary = \"\"\nhomepage = \"\"\n[license]\nspdx = \"MIT\"\n\
                 [[source]]\nurls = [\"https://example.invalid/{name}\"]\nsha256 = \"{}\"\n\
                 [needs]\n{needs}\n[build]\nsystem = \"make\"\n{build}\n",
                "1".repeat(64),
            );
            let recipe = recipe::parse(Path::new(&format!("recipes/{name}.toml")), &text, &Nothing).unwrap();
            (recipe.name.clone(), recipe)
        })
        .collect()
}

/// A toolchain and a program with a library and a tool that needs another.
pub(crate) fn example() -> Recipes {
    recipes(&[
        ("linux-headers", "toolchain = \"none\"", ""),
        ("musl", "toolchain = \"compiler\"", ""),
        ("gmp", "", ""),
        ("binutils", "", "cross = true"),
        (
            "gcc",
            "tools = [\"binutils\"]\nlink = [\"gmp\"]\ntarget = [\"linux-headers\"]\nrun = [\"binutils\"]",
            "cross = true",
        ),
        ("m4", "", ""),
        ("bison", "tools = [\"m4\"]\nrun = [\"m4\"]", ""),
        ("libmnl", "", ""),
        ("libnftnl", "link = [\"libmnl\"]", ""),
        ("iptables", "tools = [\"bison\"]\nlink = [\"libnftnl\"]", ""),
    ])
}

pub(crate) fn graph(recipes: &Recipes, package: &str, arches: &[&str]) -> Result<Graph, GraphError> {
    graph_with(recipes, package, arches, CompilerFrom::Source)
}

pub(crate) fn graph_with(
    recipes: &Recipes,
    package: &str,
    arches: &[&str],
    compiler: CompilerFrom,
) -> Result<Graph, GraphError> {
    let arches: Vec<ArchName> = arches.iter().map(|arch| arch.parse().unwrap()).collect();
    Graph::build(recipes, &[package.parse().unwrap()], &arches, compiler)
}

fn names(units: &BTreeSet<Unit>) -> Vec<String> {
    units.iter().map(ToString::to_string).collect()
}

#[test]
fn inputs_bring_along_what_they_need() {
    let recipes = example();
    let graph = graph(&recipes, "iptables", &["arm64"]).unwrap();
    let inputs = graph.inputs(&"iptables@arm64".parse().unwrap());
    assert_eq!(names(&inputs.tools), ["binutils@build-arm64", "bison@build", "gcc@build-arm64", "m4@build"]);
    assert_eq!(
        names(&inputs.sysroot),
        ["libmnl@arm64", "libnftnl@arm64", "linux-headers@arm64", "musl@arm64"]
    );
    let inputs = graph.inputs(&"gcc@build-arm64".parse().unwrap());
    assert_eq!(names(&inputs.tools), ["binutils@build-arm64", "gmp@build"]);
    assert_eq!(names(&inputs.sysroot), ["linux-headers@arm64"]);
}

#[test]
fn every_unit_comes_after_what_it_needs_and_build_machine_units_come_once() {
    let recipes = example();
    let graph = graph(&recipes, "iptables", &["amd64", "arm64"]).unwrap();
    let ordered = graph.ordered();
    for (index, unit) in ordered.iter().enumerate() {
        for (_, before) in graph.direct_needs(unit) {
            assert!(ordered[..index].contains(&before), "{before} is not before {unit}");
        }
    }
    let text: Vec<String> = ordered.iter().map(ToString::to_string).collect();
    assert_eq!(text.iter().filter(|unit| *unit == "gmp@build").count(), 1);
    assert_eq!(text.len(), 3 + 2 * 7, "{text:?}");
}

#[test]
fn with_the_machines_own_compiler_none_is_built() {
    let recipes = example();
    let graph = graph_with(&recipes, "iptables", &["arm64"], CompilerFrom::Machine).unwrap();
    let units: Vec<String> = graph.ordered().iter().map(ToString::to_string).collect();
    let libraries = ["libmnl@arm64", "libnftnl@arm64", "linux-headers@arm64", "musl@arm64"];
    assert_eq!(names(&graph.inputs(&"iptables@arm64".parse().unwrap()).sysroot), libraries);
    for absent in ["gcc@build-arm64", "binutils@build-arm64", "gmp@build"] {
        assert!(!units.contains(&absent.to_owned()), "{units:?}");
    }
}

#[test]
fn a_package_can_be_needed_in_two_ways() {
    let recipes = example();
    let graph = graph(&recipes, "iptables", &["arm64"]).unwrap();
    let needs = graph.direct_needs(&"bison@build".parse().unwrap());
    let m4: Unit = "m4@build".parse().unwrap();
    assert_eq!(needs, [(Need::Tool, m4.clone()), (Need::Run, m4)].into());
}

#[test]
fn a_cycle_is_shown_from_end_to_end() {
    let recipes = recipes(&[
        ("linux-headers", "toolchain = \"none\"", ""),
        ("a", "toolchain = \"none\"\nlink = [\"b\"]", ""),
        ("b", "toolchain = \"none\"\nlink = [\"c\"]", ""),
        ("c", "toolchain = \"none\"\nlink = [\"b\"]", ""),
    ]);
    let error = graph(&recipes, "a", &["arm"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "packages need each other: b@arm -> c@arm -> b@arm\nlook at [needs] in `recipes/b.toml`, `recipes/c.toml`"
    );
}

#[test]
fn what_is_missing_is_named_with_the_file_that_wants_it() {
    let recipes = recipes(&[
        ("libmnl", "toolchain = \"none\"", ""),
        ("a", "toolchain = \"none\"\nlink = [\"libmn\"]", ""),
    ]);
    let error = graph(&recipes, "a", &["arm"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "`recipes/a.toml` needs `libmn` ([needs] link), which no recipe describes; did you mean `libmnl`?"
    );
    let error = graph(&recipes, "zzz", &["arm"]).unwrap_err().to_string();
    assert_eq!(error, "there is no package `zzz`");
}

#[test]
fn a_tool_for_an_arch_is_refused_where_there_is_none() {
    let recipes = recipes(&[
        ("gcc", "", "cross = true"),
        ("m4", "tools = [\"gcc\"]", ""),
        ("a", "toolchain = \"none\"\ntools = [\"m4\"]", ""),
    ]);
    let error = graph(&recipes, "a", &["arm"]).unwrap_err().to_string();
    assert!(
        error.contains("`gcc`, which is made for an arch, but `m4@build` is for the build machine"),
        "{error}"
    );
}

#[test]
fn the_forms_for_people_show_every_need() {
    let recipes = example();
    let graph = graph(&recipes, "libnftnl", &["amd64"]).unwrap();
    insta::assert_snapshot!(render_text(&graph), @r"
    libnftnl@amd64
    ├─ gcc@build-amd64 (tools)
    │  ├─ binutils@build-amd64 (tools)
    │  ├─ gmp@build (link)
    │  ├─ linux-headers@amd64 (target)
    │  └─ binutils@build-amd64 (run)
    ├─ libmnl@amd64 (link)
    │  ├─ gcc@build-amd64 (tools) …
    │  ├─ linux-headers@amd64 (link)
    │  └─ musl@amd64 (link)
    │     └─ gcc@build-amd64 (tools) …
    ├─ linux-headers@amd64 (link)
    └─ musl@amd64 (link) …
    ");
    let dot = render_dot(&graph);
    for edge in graph.edges() {
        assert!(dot.contains(&format!("\"{}\" -> \"{}\"", edge.unit, edge.on)), "{dot}");
    }
}
