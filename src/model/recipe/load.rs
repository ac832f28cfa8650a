//! Reads a folder of recipes with the patches and files that belong to them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::validate::{Beside, parse};
use super::{LocalFile, RecipeError, Recipes};
use base::beneath::{self, Folder};

/// `root.toml` lies among the recipes and is not one: it is the layout of the tarballs.
const LAYOUT: &str = "root.toml";

/// The most bytes that files of our own may have in all for one recipe: they are held in memory. The largest real ones,
/// the scripts of K3s, have 20 KiB.
const LARGEST: usize = 64 << 20;

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
        beneath::read_to_string(&self.patches, &format!("{package}/{name}"))
    }

    fn local(&self, name: &str) -> io::Result<BTreeMap<String, LocalFile>> {
        let root = Folder::open(&self.files)?.folder(Path::new(name))?;
        let (mut files, mut size) = (BTreeMap::new(), 0);
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            for (name, kind) in root.entries(&folder)? {
                let path = folder.join(name);
                let text =
                    path.to_str().ok_or_else(|| io::Error::other("a file name is not UTF-8"))?.to_owned();
                match kind {
                    FileType::Directory => folders.push(path),
                    FileType::RegularFile => {
                        let file = root.file(&path)?;
                        let executable = file.metadata()?.permissions().mode() & 0o100 != 0;
                        let contents = beneath::contents(file)?;
                        size += contents.len();
                        if size > LARGEST {
                            let message = format!("its files have more than {} MiB", LARGEST >> 20);
                            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
                        }
                        files.insert(text, LocalFile { contents, executable });
                    }
                    _ => {
                        return Err(io::Error::other(format!(
                            "`{text}` is neither a plain file nor a folder"
                        )));
                    }
                }
            }
        }
        Ok(files)
    }
}
