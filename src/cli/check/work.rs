//! The folder of a check: k3sroot, the recipes and the sources that both builds use, and a folder for each of them.
//!
//! ```text
//! k3sroot  clock.so  checkout/  distfiles/  overrides/  for both; another user can read them
//! <name>/cache  <name>/dist                             while a build runs; the name differs, if that is varied
//! first/  second/                                       the same once it has ended
//! stage/<side>/                                         what the stage needs
//! ```

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use walkdir::WalkDir;

use super::super::args::{Check, Global, ToolchainChoice};
use super::super::error::CliError;
use super::super::means;
use super::super::place::io_error;
use super::super::printer::Printer;
use super::super::project::{Planned, recipes_folder, variable};
use base::files::remove_tree;
use base::name::PackageName;
use check::{Conditions, Shuffle, Variation};
use execute::{Stop, wanted};
use model::plan::{Action, Override};
use sandbox::Mode;
use store::{Placement, Store};

/// What the folders of a build are called while it runs.
const USUAL: &str = "build";
const VARIED: &str = "another-folder+with@a-longer.name";

/// How k3sroot is called for a build, apart from what is built.
pub(super) struct Call<'a> {
    /// The option that says how much it shall say.
    pub(super) talk: Option<&'static str>,
    pub(super) folder: &'a Path,
    pub(super) mode: Mode,
    pub(super) last_archive_first: bool,
    pub(super) jobs: usize,
    /// Those of the packages whose local trees are built, which are in the folder.
    pub(super) overrides: Vec<(&'a PackageName, &'a Override)>,
}

/// A folder that goes when it is dropped, or when the next k3sroot finds this one dead.
enum Folder {
    /// Where the user wants it; there it stays if this process is killed.
    Given(tempfile::TempDir),
    /// In the cache; what is kept goes to the failed builds, `kept`.
    InCache { folder: store::TempDir, kept: PathBuf },
}

pub(super) struct Work {
    folder: Folder,
    path: String,
    home: String,
    vary_path: bool,
}

impl Work {
    /// `vary_path`: whether the second build has a folder of another name.
    pub(super) fn new(args: &Check, store: &Store, vary_path: bool) -> Result<Self, CliError> {
        let folder = match &args.work {
            None => {
                let folder = store.temp_dir("check")?;
                let name = folder.path().file_name().unwrap_or_default().to_owned();
                Folder::InCache { folder, kept: store.failed().join(name) }
            }
            Some(base) => {
                let make = || {
                    fs::create_dir_all(base)?;
                    let folder =
                        tempfile::Builder::new().prefix("check.").tempdir_in(base.canonicalize()?)?;
                    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
                    Ok(Folder::Given(folder))
                };
                make().map_err(io_error("make a folder in", base))?
            }
        };
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
        Ok(Self {
            folder,
            path: text("PATH").unwrap_or_else(|| "/usr/bin:/bin".to_owned()),
            home: text("HOME").unwrap_or_else(|| "/".to_owned()),
            vary_path,
        })
    }

    pub(super) fn path(&self) -> &Path {
        match &self.folder {
            Folder::Given(folder) => folder.path(),
            Folder::InCache { folder, .. } => folder.path(),
        }
    }

    /// The folder above this one, if there is one, through which the other user of a varied build cannot go.
    pub(super) fn closed_to_others(&self) -> Option<&Path> {
        // Without root it is a namespace that gives another number to the same user.
        let is_closed = |folder: &&Path| fs::metadata(folder).is_ok_and(|folder| folder.mode() & 0o001 == 0);
        self.path().ancestors().filter(|_| geteuid().is_root()).find(is_closed)
    }

    /// k3sroot, where another user can run it.
    pub(super) fn program(&self) -> PathBuf {
        self.path().join("k3sroot")
    }

    /// The library that moves the clock.
    pub(super) fn clock(&self) -> PathBuf {
        self.path().join("clock.so")
    }

    /// What the stage of a side needs.
    pub(super) fn scratch(&self, side: &str) -> PathBuf {
        self.path().join("stage").join(side)
    }

    /// The tarballs of a build that has ended.
    pub(super) fn tarballs(&self, side: &str) -> PathBuf {
        self.path().join(side).join("dist")
    }

    /// Where something in the folder will be once that is kept.
    pub(super) fn once_kept(&self, path: &Path) -> PathBuf {
        match &self.folder {
            Folder::Given(_) => path.to_owned(),
            Folder::InCache { folder, kept } => kept.join(path.strip_prefix(folder.path()).unwrap_or(path)),
        }
    }

    /// Keeps everything, and says where.
    pub(super) fn persist(&mut self) -> Result<PathBuf, CliError> {
        match &mut self.folder {
            Folder::Given(folder) => {
                folder.disable_cleanup(true);
                Ok(folder.path().to_owned())
            }
            Folder::InCache { folder, kept } => {
                let moved = fs::create_dir_all(kept.parent().unwrap_or(kept))
                    .and_then(|()| fs::rename(folder.path(), &kept));
                moved.map_err(io_error("keep both builds in", kept))?;
                Ok(kept.clone())
            }
        }
    }

    /// Copies what both builds use, the sources of the actions that `all_of` names in all their archives. Says whether one
    /// of those is here in more than one.
    pub(super) fn fill(
        &self,
        global: &Global,
        planned: &Planned,
        store: &Store,
        args: &Check,
        all_of: &dyn Fn(&Action) -> bool,
        stop: &Stop,
    ) -> Result<bool, CliError> {
        let copied = || -> io::Result<()> {
            fs::copy("/proc/self/exe", self.program())?;
            fs::set_permissions(self.program(), Permissions::from_mode(0o755))
        };
        copied().map_err(|source| CliError::Io { what: "copy k3sroot's own program".to_owned(), source })?;
        for folder in ["distfiles", "overrides", "stage"].map(|name| self.path().join(name)) {
            fs::create_dir(&folder).map_err(io_error("make", &folder))?;
        }
        let recipes = recipes_folder(global)?;
        let above = recipes.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let checkout = self.path().join("checkout");
        for (from, to) in [
            (recipes.clone(), "recipes"),
            (above.join("sysroot"), "sysroot"),
            (above.join("patches"), "patches"),
        ] {
            if from.is_dir() {
                copy_readable(&from, &checkout.join(to)).map_err(io_error("copy", &from))?;
            }
        }
        for (package, over) in &planned.overrides {
            let trees = [(package.to_string(), over.tree)];
            store.materialise(&trees, &self.overridden(package), Placement::Copy { rewrite: None })?;
        }
        self.sources(global, planned, store, args, all_of, stop)
    }

    /// The local tree that is built in place of a package's source.
    fn overridden(&self, package: &PackageName) -> PathBuf {
        self.path().join("overrides").join(package.as_str())
    }

    /// Puts every source that can be had into `distfiles`, those of the actions that `all_of` names in all their archives.
    fn sources(
        &self,
        global: &Global,
        planned: &Planned,
        store: &Store,
        args: &Check,
        all_of: &dyn Fn(&Action) -> bool,
        stop: &Stop,
    ) -> Result<bool, CliError> {
        let fetcher = means::fetcher(&args.sources, store)?;
        let printer = Printer::new(global, store);
        let (mut files, mut has_choice) = (BTreeSet::new(), false);
        let sources = planned.plan.actions().iter().flat_map(|action| {
            let all = all_of(action);
            wanted(action).into_iter().map(move |archives| (archives, all))
        });
        for (archives, all) in sources {
            let obtain = |archives: &[_]| {
                fetcher.obtain(
                    archives,
                    &|event| printer.event(&execute::Event::Fetch(&event)),
                    &stop.downloads,
                )
            };
            // The build says what is missing.
            let Ok(obtained) = obtain(&archives) else { continue };
            files.insert(obtained.path);
            let others = archives.iter().enumerate().filter(|(index, _)| all && *index != obtained.index);
            for (_, archive) in others {
                if let Ok(other) = obtain(std::slice::from_ref(archive)) {
                    files.insert(other.path);
                    has_choice = true;
                }
            }
        }
        drop(printer);
        for (index, file) in files.iter().enumerate() {
            let dest = self.path().join("distfiles").join(index.to_string());
            let copied =
                fs::copy(file, &dest).and_then(|_| fs::set_permissions(&dest, Permissions::from_mode(0o644)));
            copied.map_err(io_error("copy", file))?;
        }
        Ok(has_choice)
    }

    /// The folder of a side while its build runs.
    fn running(&self, side: &str) -> PathBuf {
        self.path().join(if self.vary_path && side == "second" { VARIED } else { USUAL })
    }

    /// Where the files of a side are: below another folder where a file system stands over them.
    fn backing(&self, side: &str) -> PathBuf {
        self.running(side).with_extension("files")
    }

    /// Makes the folders of a side and says where its cache is.
    pub(super) fn prepare(&self, side: &str) -> Result<PathBuf, CliError> {
        let cache = self.backing(side).join("cache");
        let made = [cache.clone(), self.running(side), self.scratch(side)];
        for folder in made {
            fs::create_dir_all(&folder).map_err(io_error("make", &folder))?;
        }
        Ok(cache)
    }

    /// Gives a side's folder to whoever its build is.
    pub(super) fn hand_over(&self, side: &str, variations: &BTreeSet<Variation>) -> Result<(), CliError> {
        let owner = self.conditions(side, variations).user;
        let given = || -> io::Result<()> {
            let backing = self.backing(side);
            // Without root it is a namespace that gives another number.
            if let Some(id) = owner.filter(|_| geteuid().is_root()) {
                // Where nothing can be mounted over it, the folder itself is what the build sees.
                for entry in WalkDir::new(&backing).into_iter().chain(WalkDir::new(self.running(side))) {
                    lchown(entry?.path(), Some(id), Some(id))?;
                }
            }
            if !variations.contains(&Variation::Fileordering) {
                // Nothing stands over it: the files are where they are seen.
                fs::remove_dir(self.running(side))?;
                fs::rename(&backing, self.running(side))?;
            }
            Ok(())
        };
        given()
            .map_err(|source| CliError::Io { what: "hand a folder over to another user".to_owned(), source })
    }

    /// The conditions of a side.
    pub(super) fn conditions(&self, side: &str, variations: &BTreeSet<Variation>) -> Conditions {
        let usual = Conditions::usual(self.running(side), &self.path, &self.home);
        let shuffle =
            Shuffle { program: "disorderfs".into(), backing: self.backing(side), mount: self.running(side) };
        usual.varied(variations, self.clock(), shuffle)
    }

    /// How k3sroot is called for a build of `packages`.
    pub(super) fn call(&self, args: &Check, call: &Call<'_>, packages: &[String], out: bool) -> Vec<String> {
        let path = |path: PathBuf| path.display().to_string();
        let selection = &args.selection;
        let mut words = vec![
            path(self.program()),
            "build".to_owned(),
            "--partial".to_owned(),
            "--keep-going".to_owned(),
            "--offline".to_owned(),
            format!("--recipes={}", path(self.path().join("checkout/recipes"))),
            format!("--cache={}", path(call.folder.join("cache"))),
            format!("--distfiles={}", path(self.path().join("distfiles"))),
            format!("--arch={}", selection.arch.join(",")),
            format!("--jobs={}", call.jobs),
            format!("--sandbox={}", if call.mode == Mode::None { "none" } else { "namespaces" }),
        ];
        words.extend(call.talk.map(str::to_owned));
        if selection.compiler.toolchain == ToolchainChoice::Host {
            words.push("--toolchain=host".to_owned());
        }
        words.extend(selection.compiler.cross_prefix.iter().map(|prefix| format!("--cross-prefix={prefix}")));
        for (package, over) in &call.overrides {
            let folder = path(self.overridden(package));
            words.push(format!("--override={package}={folder}@{}", over.shown_version()));
        }
        if call.last_archive_first {
            words.push("--last-archive-first".to_owned());
        }
        if out {
            words.push(format!("--out={}", path(call.folder.join("dist"))));
            // It says what archives were used, which may be varied.
            words.push("--no-legal".to_owned());
        }
        words.extend(packages.iter().cloned());
        words
    }

    /// Moves what a build left to where it is compared, and says where its cache is.
    pub(super) fn settle(&self, side: &str) -> Result<PathBuf, CliError> {
        let backing = self.backing(side);
        let left = if backing.exists() { backing } else { self.running(side) };
        let dest = self.path().join(side);
        let moved = fs::rename(&left, &dest).and_then(|()| match fs::remove_dir(self.running(side)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        moved.map_err(io_error("move", &left))?;
        Ok(dest.join("cache"))
    }

    /// Removes the folders of a side again.
    pub(super) fn clear(&self, side: &str) -> Result<(), CliError> {
        for folder in [self.running(side), self.backing(side), self.scratch(side)] {
            remove_tree(&folder).map_err(io_error("remove", &folder))?;
        }
        Ok(())
    }
}

/// Copies a folder so that anybody can read it.
fn copy_readable(from: &Path, to: &Path) -> io::Result<()> {
    for entry in WalkDir::new(from) {
        let entry = entry?;
        let dest = to.join(entry.path().strip_prefix(from).unwrap_or(entry.path()));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&dest)?;
            fs::set_permissions(&dest, Permissions::from_mode(0o755))?;
        } else if entry.file_type().is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &dest)?;
        } else {
            fs::copy(entry.path(), &dest)?;
            let executable = entry.metadata().map_err(io::Error::from)?.mode() & 0o111 != 0;
            fs::set_permissions(&dest, Permissions::from_mode(if executable { 0o755 } else { 0o644 }))?;
        }
    }
    Ok(())
}
