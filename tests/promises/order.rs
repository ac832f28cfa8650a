//! Graphs of made-up packages: the order of work is one in which everything comes after what it needs, and is the same
//! however the recipes are written down.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use base::name::{ArchName, PackageName, Unit};
use model::graph::{CompilerFrom, Graph, GraphError};
use model::recipe::{Beside, LocalFile, Recipes, parse};
use proptest::prelude::*;

/// What a package needs: other packages by their numbers.
#[derive(Debug, Clone)]
struct Needs {
    link: Vec<usize>,
    tools: Vec<usize>,
    run: Vec<usize>,
}

struct Nothing;

impl Beside for Nothing {
    fn patch(&self, _: &str, _: &str) -> io::Result<String> {
        Ok(String::new())
    }

    fn local(&self, _: &str) -> io::Result<BTreeMap<String, LocalFile>> {
        Ok(BTreeMap::new())
    }
}

fn name(number: usize) -> String {
    // Not in the order of the numbers, which are in the order of the needs.
    format!("p{}", number * 7 % 10)
}

fn recipes(packages: &[Needs]) -> Recipes {
    let list =
        |numbers: &[usize]| numbers.iter().map(|number| format!("\"{}\"", name(*number))).collect::<Vec<_>>();
    let recipe = |(number, needs): (usize, &Needs)| {
        let name = name(number);
        let text = format!(
            "name = \"{name}\"\nversion = \"1\"\nsummary = \"\"\nhomepage = \"\"\n[license]\nspdx = \"MIT\"\n\
             [[source]]\nurls = [\"https://example.invalid/{name}\"]\nsha256 = \"{}\"\n\
             [needs]\ntoolchain = \"none\"\nlink = [{}]\ntools = [{}]\nrun = [{}]\n[build]\nsystem = \"make\"\n",
            "1".repeat(64),
            list(&needs.link).join(", "),
            list(&needs.tools).join(", "),
            list(&needs.run).join(", "),
        );
        let recipe = parse(Path::new(&format!("{name}.toml")), &text, &Nothing).unwrap();
        (recipe.name.clone(), recipe)
    };
    packages.iter().enumerate().map(recipe).collect()
}

fn graph(packages: &[Needs], wanted: &[usize], arches: &[&str]) -> Result<Graph, GraphError> {
    let wanted: Vec<PackageName> = wanted.iter().map(|number| name(*number).parse().unwrap()).collect();
    let arches: Vec<ArchName> = arches.iter().map(|arch| arch.parse().unwrap()).collect();
    Graph::build(&recipes(packages), &wanted, &arches, CompilerFrom::Machine)
}

/// Up to ten packages; with `loops`, they may need each other.
fn packages(loops: bool) -> impl Strategy<Value = Vec<Needs>> {
    (1..10_usize).prop_flat_map(move |count| {
        let needs = move |number: usize| {
            let list = || prop::collection::vec(any::<prop::sample::Index>(), 0..3);
            (list(), list(), list()).prop_map(move |(link, tools, run)| {
                let below = if loops { count } else { number };
                let numbers = |list: Vec<prop::sample::Index>| -> Vec<usize> {
                    let mut list: Vec<usize> =
                        list.iter().filter(|_| below > 0).map(|one| one.index(below)).collect();
                    list.sort_unstable();
                    list.dedup();
                    list
                };
                Needs { link: numbers(link), tools: numbers(tools), run: numbers(run) }
            })
        };
        (0..count).map(needs).collect::<Vec<_>>()
    })
}

/// Every unit once, after all that it needs.
fn check(graph: &Graph) {
    let ordered = graph.ordered();
    let mut done: BTreeSet<Unit> = BTreeSet::new();
    for unit in &ordered {
        for (_, before) in graph.direct_needs(unit) {
            assert!(done.contains(&before), "{before} is not before {unit}");
        }
        assert!(done.insert(unit.clone()), "{unit} is there twice");
    }
    assert!(graph.goals().iter().all(|goal| done.contains(goal)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_comes_after_what_it_needs(packages in packages(false)) {
        let wanted: Vec<usize> = (0..packages.len()).collect();
        check(&graph(&packages, &wanted, &["amd64", "arm64"]).unwrap());
    }

    #[test]
    fn the_order_does_not_depend_on_how_it_is_written_down(packages in packages(false)) {
        let wanted: Vec<usize> = (0..packages.len()).collect();
        let back: Vec<usize> = wanted.iter().rev().copied().collect();
        let mut turned = packages.clone();
        for needs in &mut turned {
            for list in [&mut needs.link, &mut needs.tools, &mut needs.run] {
                list.reverse();
            }
        }
        let one = graph(&packages, &wanted, &["amd64", "arm64"]).unwrap();
        let other = graph(&turned, &back, &["arm64", "amd64"]).unwrap();
        prop_assert_eq!(one.ordered(), other.ordered());
        for unit in one.ordered() {
            prop_assert_eq!(one.inputs(&unit), other.inputs(&unit));
        }
    }

    #[test]
    fn what_needs_itself_is_shown_and_the_rest_has_an_order(packages in packages(true)) {
        match graph(&packages, &[0], &["arm"]) {
            Ok(graph) => check(&graph),
            Err(GraphError::Cycle { path, .. }) => {
                let recipes = recipes(&packages);
                prop_assert!(path.len() > 1 && path.first() == path.last(), "{:?}", path);
                for pair in path.windows(2) {
                    let needs = &recipes[&pair[0].package].needs;
                    let named = [&needs.link, &needs.tools, &needs.run];
                    prop_assert!(named.iter().any(|list| list.contains(&pair[1].package)), "{:?}", path);
                }
            }
            Err(other) => panic!("{other}"),
        }
    }
}
