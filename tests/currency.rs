//! Every package has upstream's newest release, as `tests/newest.toml` knows it, or its recipe says why not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base::name::PackageName;
use base::version::newer;
use model::recipe::{Held, Origin, Recipe, Recipes, load};
use upkeep::{Newest, newest_releases};

fn known() -> BTreeMap<PackageName, Newest> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/newest.toml");
    newest_releases(&fs::read_to_string(path).unwrap()).unwrap()
}

fn recipes() -> Recipes {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes")).unwrap()
}

/// What is wrong with how the recipes stand to what is known.
fn faults(recipes: &Recipes, known: &BTreeMap<PackageName, Newest>) -> Vec<String> {
    let elsewhere =
        |recipe: &Recipe| recipe.sources.iter().any(|source| matches!(source.origin, Origin::Archives(_)));
    let one = |(package, recipe): (&PackageName, &Recipe)| {
        let Some(Newest { version: newest, .. }) = known.get(package) else {
            return Some(format!("{package} is not in tests/newest.toml"));
        };
        let version = &recipe.version;
        match &recipe.held {
            _ if newer(version, newest) => {
                Some(format!("{package} has {version}: tests/newest.toml knows {newest} only"))
            }
            Some(held) if held.newest != *newest => {
                Some(format!("{package}: `[held]` is about {}, and {newest} is the newest", held.newest))
            }
            None if newer(newest, version) => {
                Some(format!("{package} has {version}: take {newest}, or say in `[held]` why not"))
            }
            _ => None,
        }
    };
    let stray = known.keys().filter(|package| !recipes.contains_key(*package));
    let stray = stray.map(|package| format!("tests/newest.toml names {package}, which has no recipe"));
    recipes.iter().filter(|(_, recipe)| elsewhere(recipe)).filter_map(one).chain(stray).collect()
}

#[test]
fn every_package_is_at_its_newest_release_or_says_why_not() {
    let faults = faults(&recipes(), &known());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_not_at_its_newest_release_is_found() {
    let (all, known) = (recipes(), known());
    let [zlib, coreutils] = ["zlib", "coreutils"].map(|name| name.parse::<PackageName>().unwrap());
    let version = |text: &str| text.parse().unwrap();
    let wrong = |change: &dyn Fn(&mut Recipes, &mut BTreeMap<PackageName, Newest>)| {
        let (mut all, mut known) = (all.clone(), known.clone());
        change(&mut all, &mut known);
        faults(&all, &known)
    };
    let held = Held { newest: version("99"), because: String::new() };
    assert_eq!(wrong(&|_, known| drop(known.remove(&zlib))), ["zlib is not in tests/newest.toml"]);
    assert_eq!(
        wrong(&|all, _| drop(all.remove(&zlib))),
        ["tests/newest.toml names zlib, which has no recipe"]
    );
    let now = all[&zlib].version.clone();
    assert_eq!(
        wrong(&|_, known| known.get_mut(&zlib).unwrap().version = version("99")),
        [format!("zlib has {now}: take 99, or say in `[held]` why not")]
    );
    assert_eq!(
        wrong(&|all, _| all.get_mut(&zlib).unwrap().version = version("99")),
        [format!("zlib has 99: tests/newest.toml knows {now} only")]
    );
    let newest = &known[&coreutils].version;
    assert_eq!(
        wrong(&|all, _| all.get_mut(&coreutils).unwrap().held = Some(held.clone())),
        [format!("coreutils: `[held]` is about 99, and {newest} is the newest")]
    );
}
