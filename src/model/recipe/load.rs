//! Reads a folder of recipes with the patches and files that belong to them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::validate::{Beside, parse};
use super::{LocalFile, RecipeError, Recipes};
use base::beneath;

/// `root.toml` lies among the recipes and is not one: it is the layout of the tarballs.
const LAYOUT: &str = "root.toml";

/// Reads every recipe of `folder`, patches from the folder `patches` beside it and our own files from its subfolder
/// `files`.
pub fn load(folder: &Path) -> Result<Recipes, RecipeError> {
    let disk = Disk { files: folder.join("files"), patches: folder.with_file_name("patches") };
    let mut recipes = Recipes::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|source| RecipeError::Read { path: folder.to_owned(), source })?;
    paths.retain(|path| {
        path.extension().is_some_and(|extension| extension == "toml") && !path.ends_with(LAYOUT)
    });
    paths.sort();
    for path in paths {
        let text =
            beneath::read_own(&path).map_err(|source| RecipeError::Read { path: path.clone(), source })?;
        let recipe = parse(&path, &text, &disk)?;
        recipes.insert(recipe.name.clone(), recipe);
    }
    if recipes.is_empty() {
        return Err(RecipeError::Empty { folder: folder.to_owned() });
    }
    Ok(recipes)
}

struct Disk {
    files: PathBuf,
    patches: PathBuf,
}

impl Beside for Disk {
    fn patch(&self, package: &str, name: &str) -> io::Result<String> {
        beneath::read_to_string(&self.patches.join(package), name)
    }

    fn local(&self, name: &str) -> io::Result<BTreeMap<String, LocalFile>> {
        let root = self.files.join(name);
        let mut files = BTreeMap::new();
        for entry in walkdir::WalkDir::new(&root).sort_by_file_name() {
            let entry = entry.map_err(io::Error::other)?;
            if entry.file_type().is_dir() {
                continue;
            }
            let path = entry.path().strip_prefix(&root).map_err(io::Error::other)?;
            let path = path.to_str().ok_or_else(|| io::Error::other("a file name is not UTF-8"))?;
            if !entry.file_type().is_file() {
                return Err(io::Error::other(format!("`{path}` is neither a plain file nor a folder")));
            }
            let executable = entry.metadata().map_err(io::Error::other)?.permissions().mode() & 0o100 != 0;
            files.insert(path.to_owned(), LocalFile { contents: beneath::read(&root, path)?, executable });
        }
        Ok(files)
    }
}
