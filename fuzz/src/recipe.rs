//! What people write: a text is read as a recipe, as the layout of the tarballs and as the record of an arch.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use base::name::ArchName;
use model::arch::{Arch, ArchError};
use model::graph::{CompilerFrom, Graph};
use model::plan::{Compilers, Overrides, Plan};
use model::recipe::{Beside, LocalFile, Recipe, RecipeError, Recipes, Toolchain, parse};
use root::pack::{Layout, LayoutError};

/// What a text says depends on nothing but its words, and what is wrong with it has a place in it.
pub fn recipe(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let more = format!("{text}\n# Comments and blank lines say nothing.\n\n");
    let path = path_of(text);
    match parse(&path, text, &Files) {
        Ok(recipe) => {
            let again = parse(&path, &more, &Files).unwrap();
            assert_eq!(format!("{recipe:?}"), format!("{again:?}"));
            assert_eq!(planned(recipe), planned(again));
        }
        Err(RecipeError::Invalid { span, message, .. }) => complaint(text, &span, &message),
        Err(other) => panic!("{other:?}"),
    }
    match Layout::parse(Path::new("recipes/root.toml"), text) {
        Ok(layout) => {
            let again = Layout::parse(Path::new("recipes/root.toml"), &more).unwrap();
            assert_eq!(names_in(&layout), names_in(&again));
        }
        Err(LayoutError::Invalid { span, message, .. }) => complaint(text, &span, &message),
    }
    match Arch::parse(&path, text) {
        Ok(arch) => {
            let again = Arch::parse(&path, &more).unwrap();
            assert_eq!(format!("{arch:?}"), format!("{again:?}"));
        }
        Err(error @ (ArchError::Parse { .. } | ArchError::FileName { .. })) => drop(error.to_string()),
        Err(other) => panic!("{other:?}"),
    }
}

/// The file that a text with this name should be in.
fn path_of(text: &str) -> PathBuf {
    let name = text.lines().find_map(|line| line.strip_prefix("name")?.split('"').nth(1));
    PathBuf::from(format!("recipes/{}.toml", name.unwrap_or("pigz")))
}

fn complaint(text: &str, span: &Range<usize>, message: &str) {
    assert!(text.get(span.clone()).is_some(), "{span:?} is no place: {message}");
    assert!(!message.is_empty());
}

/// The digests of the recipe's own actions, as if it needed nothing.
fn planned(mut recipe: Recipe) -> Vec<String> {
    let arches = super::arches();
    let names: Vec<ArchName> = arches.iter().map(|arch| arch.name.clone()).collect();
    let wanted = [recipe.name.clone()];
    let alone = Recipes::from([(recipe.name.clone(), recipe.clone())]);
    if let Err(error) = Graph::build(&alone, &wanted, &names, CompilerFrom::Source) {
        assert!(!error.to_string().is_empty());
    }
    let needs = &mut recipe.needs;
    for list in [&mut needs.tools, &mut needs.link, &mut needs.target, &mut needs.run] {
        list.clear();
    }
    needs.toolchain = Toolchain::None;
    let recipes = Recipes::from([(recipe.name.clone(), recipe)]);
    let graph = Graph::build(&recipes, &wanted, &names, CompilerFrom::Machine).unwrap();
    let plan = Plan::new(&graph, &recipes, arches, &Overrides::new(), &Compilers::new()).unwrap();
    plan.actions().iter().map(|action| action.digest().to_string()).collect()
}

fn names_in(layout: &Layout) -> Vec<String> {
    let arch: ArchName = "amd64".parse().unwrap();
    let mut names = vec![layout.checksums_file(&arch)];
    names.extend(layout.tarball_files(&arch).into_iter().map(|(_, file)| file));
    for name in &names {
        assert!(name.contains("amd64") && !name.contains(['/', '\n']), "{name:?}");
    }
    names.extend(layout.files().map(|(package, path)| format!("{package}:{path}")));
    names.extend(layout.packages().iter().map(ToString::to_string));
    names
}

/// What lies beside a recipe: everything but what is called `absent`.
pub(crate) struct Files;

impl Beside for Files {
    fn patch(&self, _: &str, name: &str) -> io::Result<String> {
        if name == "absent" { Err(io::Error::other("absent")) } else { Ok("--- a/x\n".to_owned()) }
    }

    fn local(&self, name: &str) -> io::Result<BTreeMap<String, LocalFile>> {
        let file = LocalFile { contents: b"x".to_vec(), executable: true };
        if name == "absent" {
            Err(io::Error::other("absent"))
        } else {
            Ok(BTreeMap::from([("file".to_owned(), file)]))
        }
    }
}
