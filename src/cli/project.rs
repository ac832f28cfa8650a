//! What nearly every verb starts from: the recipes, the arch records, the store, and the graph and plan of what was
//! asked for.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::args::{Compiler, Global, Selection, ToolchainChoice};
use super::error::CliError;
use super::place::io_error;
use base::beneath;
use base::digest::{Sha256, SourceDigest, TreeDigest};
use base::name::{ArchName, Machine, PackageName, Unit};
use execute::{HostCompiler, identity, key};
use model::arch::Arches;
use model::graph::{self, CompilerFrom, Graph};
use model::plan::{Action, Compilers, Override, Overrides, Plan};
use model::recipe::{self, Recipe, Recipes};
use root::pack::Layout;
use sandbox::Mode;
use store::Store;

/// A checkout: recipes, arch records and layout.
pub(super) struct Project {
    pub(super) recipes: Recipes,
    pub(super) arches: Arches,
    pub(super) layout: Layout,
    /// The digest of the layout's file.
    pub(super) layout_sha256: Sha256,
}

/// What was asked for, planned.
pub(super) struct Planned {
    pub(super) arches: Vec<ArchName>,
    /// Whether packages were named.
    pub(super) named: bool,
    /// Local trees that are built in place of sources, as far as they are in the plan.
    pub(super) overrides: Overrides,
    /// This machine's compilers that the plan names, by the arch that they are for.
    pub(super) compilers: BTreeMap<ArchName, HostCompiler>,
    pub(super) plan: Plan,
}

impl Planned {
    /// Whether a unit is more than what others need.
    pub(super) fn is_asked_for(&self, unit: &Unit) -> bool {
        !self.named || self.plan.goals().contains(unit)
    }

    /// What the store has of each package for `arch`, whatever machine built it: what programs for the target are does
    /// not depend on that.
    pub(super) fn trees(
        &self,
        store: &Store,
        arch: &ArchName,
    ) -> Result<BTreeMap<PackageName, Option<TreeDigest>>, CliError> {
        let here = identity(Mode::Namespaces)?;
        let target = Machine::Target(arch.clone());
        let actions = self.plan.actions().iter().filter(|action| action.unit().machine == target);
        let tree = |action: &Action| -> Result<_, CliError> {
            let found = store.lookup(&key(action, &here))?.map(|outcome| outcome.tree);
            Ok((action.unit().package.clone(), found))
        };
        actions.map(tree).collect()
    }

    /// Which archives were used, as far as the store knows; `machines` are those whose tools count, the first most.
    pub(super) fn archives(
        &self,
        store: &Store,
        machines: &[String],
    ) -> Result<BTreeMap<Unit, Vec<SourceDigest>>, CliError> {
        let mut used = BTreeMap::new();
        for action in self.plan.actions() {
            for machine in machines {
                if let Some(outcome) = store.recorded(&key(action, machine))? {
                    used.insert(action.unit().clone(), outcome.archives);
                    break;
                }
            }
        }
        Ok(used)
    }
}

impl Project {
    /// Whether nothing of what was asked for has files in the root: it is libraries, or tools.
    pub(super) fn none_ships(&self, planned: &Planned) -> bool {
        let ships = self.layout.packages();
        !planned.plan.goals().iter().any(|unit| ships.contains(&unit.package))
    }

    /// Loads the checkout that the options or the current folder name.
    pub(super) fn load(global: &Global) -> Result<Self, CliError> {
        let folder = recipes_folder(global)?;
        let recipes = recipe::load(&folder)?;
        let arches = load_arches(&folder)?;
        let path = folder.join("root.toml");
        let text = beneath::read_own(&path).map_err(io_error("read", &path))?;
        let layout = Layout::parse(&path, &text)?;
        for recipe in recipes.values() {
            for arch in recipe.build.arches() {
                arches
                    .get(arch)
                    .map_err(|source| CliError::RecipeArch { path: recipe.path.clone(), source })?;
            }
        }
        let layout_sha256 = Sha256::of(text.as_bytes());
        Ok(Self { recipes, arches, layout, layout_sha256 })
    }

    /// The recipe of a package.
    pub(super) fn recipe(&self, package: &PackageName) -> Result<&Recipe, CliError> {
        Ok(graph::recipe(&self.recipes, package)?)
    }

    /// The arches that `texts` name, each once; `all` is all of them.
    pub(super) fn arches(&self, texts: &[String]) -> Result<Vec<ArchName>, CliError> {
        let mut names = Vec::new();
        for text in texts {
            let found: Vec<ArchName> = if text == "all" {
                self.arches.iter().map(|arch| arch.name.clone()).collect()
            } else {
                vec![self.arches.find(text)?.name.clone()]
            };
            for name in found {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    /// The graph of what was asked for.
    pub(super) fn graph(&self, selection: &Selection) -> Result<(Graph, Vec<ArchName>), CliError> {
        let arches = self.arches(&selection.arch)?;
        let packages: Vec<PackageName> = if selection.packages.is_empty() {
            self.layout.packages().into_iter().collect()
        } else {
            selection.packages.iter().map(|name| package(name, &arches)).collect::<Result<_, _>>()?
        };
        let compiler = match selection.compiler.toolchain {
            ToolchainChoice::Source => CompilerFrom::Source,
            ToolchainChoice::Host => CompilerFrom::Machine,
        };
        Ok((Graph::build(&self.recipes, &packages, &arches, compiler)?, arches))
    }

    /// The plan of what was asked for; overrides are taken into the store.
    pub(super) fn plan(&self, selection: &Selection, store: &Store) -> Result<Planned, CliError> {
        let (graph, arches) = self.graph(selection)?;
        let mut overrides = self.overrides(&selection.overrides, store)?;
        let found = self.compilers(&selection.compiler, &arches)?;
        let digests: Compilers =
            found.iter().map(|(arch, compiler)| (arch.clone(), compiler.digest())).collect();
        let plan = Plan::new(&graph, &self.recipes, &self.arches, &overrides, &digests)?;
        overrides.retain(|package, _| plan.actions().iter().any(|action| action.unit().package == *package));
        Ok(Planned { arches, named: !selection.packages.is_empty(), overrides, compilers: found, plan })
    }

    /// This machine's compilers for `arches`, if they are asked for.
    pub(super) fn compilers(
        &self,
        args: &Compiler,
        arches: &[ArchName],
    ) -> Result<BTreeMap<ArchName, HostCompiler>, CliError> {
        let refuse = |reason: String| Err(CliError::CrossPrefix { reason });
        if args.toolchain == ToolchainChoice::Source {
            return match args.cross_prefix.first() {
                Some(_) => refuse(
                    "`--cross-prefix` names a compiler of this machine: add `--toolchain host`".to_owned(),
                ),
                None => Ok(BTreeMap::new()),
            };
        }
        let mut prefixes: BTreeMap<&ArchName, &str> = BTreeMap::new();
        for text in &args.cross_prefix {
            let (arch, prefix) = match (text.split_once('='), arches) {
                (Some((arch, prefix)), _) => (&self.arches.find(arch)?.name, prefix),
                (None, [arch]) => (arch, text.as_str()),
                (None, _) => {
                    return refuse(format!(
                        "`--cross-prefix {text}` does not say for which arch: write `--cross-prefix {}={text}`",
                        arches[0]
                    ));
                }
            };
            if !arches.contains(arch) {
                return refuse(format!("`--cross-prefix {text}`: {arch} is not built; add it to `--arch`"));
            }
            if let Some(other) = prefixes.insert(arch, prefix) {
                return refuse(format!("`--cross-prefix {text}`: {arch} has the prefix `{other}` already"));
            }
        }
        let probe = |arch: &ArchName| -> Result<_, CliError> {
            let prefix = prefixes.get(arch).copied();
            Ok((arch.clone(), HostCompiler::probe(self.arches.get(arch)?, prefix)?))
        };
        arches.iter().map(probe).collect()
    }

    fn overrides(&self, texts: &[String], store: &Store) -> Result<Overrides, CliError> {
        let mut overrides = Overrides::new();
        for text in texts {
            let (package, folder) =
                text.split_once('=').ok_or_else(|| CliError::OverrideForm { text: text.clone() })?;
            let package: PackageName = package.parse()?;
            if !self.recipes.contains_key(&package) {
                return Err(CliError::OverrideUnknown { package });
            }
            let (path, said) = Override::place(folder)?;
            if overrides.contains_key(&package) {
                return Err(CliError::OverrideTwice { package });
            }
            if !path.is_dir() {
                return Err(CliError::OverrideFolder { path });
            }
            // Without version control's own files.
            let tree = store.copy_in(&path, &|name| name == ".git")?;
            overrides.insert(package, Override::new(path, tree, said));
        }
        Ok(overrides)
    }
}

/// The package that `text` names. Other verbs print units: one for an arch that is asked for will do too.
fn package(text: &str, arches: &[ArchName]) -> Result<PackageName, CliError> {
    let Some((package, machine)) = text.split_once('@') else { return Ok(text.parse()?) };
    let machine = machine.strip_prefix("build-").unwrap_or(machine);
    if arches.iter().any(|arch| arch.as_str() == machine) {
        Ok(package.parse()?)
    } else {
        Err(CliError::UnitNamed { text: text.to_owned() })
    }
}

/// The arch records alone, for verbs that need no recipes.
pub(super) fn arch_records(global: &Global) -> Result<Arches, CliError> {
    match recipes_folder(global) {
        Ok(folder) => load_arches(&folder),
        Err(error) => Err(CliError::NoRecords(Box::new(error))),
    }
}

fn load_arches(recipes: &Path) -> Result<Arches, CliError> {
    Ok(Arches::load(&recipes.with_file_name("sysroot"))?)
}

/// The folder of recipes that the options name, or that of the checkout around the current folder.
pub(super) fn recipes_folder(global: &Global) -> Result<PathBuf, CliError> {
    match &global.recipes {
        Some(folder) => Ok(folder.clone()),
        None => find_recipes(&env::current_dir().map_err(CliError::CurrentDir)?),
    }
}

/// The `recipes` folder of the checkout around `start`.
fn find_recipes(start: &Path) -> Result<PathBuf, CliError> {
    start
        .ancestors()
        .map(|folder| folder.join("recipes"))
        .find(|recipes| recipes.join("root.toml").is_file())
        .ok_or_else(|| CliError::NoProject { start: start.to_owned() })
}

/// Opens the store that the options or the environment name.
pub(super) fn open_store(global: &Global) -> Result<Store, CliError> {
    Ok(Store::open(&cache_folder(global)?)?)
}

/// The same where nothing is to be found without a store: to make one would only hide a mistyped path.
pub(super) fn existing_store(global: &Global) -> Result<Store, CliError> {
    let path = cache_folder(global)?;
    if path.is_dir() { Ok(Store::open(&path)?) } else { Err(CliError::NothingCached { path }) }
}

/// A variable of the environment that is set to something.
#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
pub(super) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

pub(super) fn cache_folder(global: &Global) -> Result<PathBuf, CliError> {
    let variable = |name: &str| variable(name).map(PathBuf::from);
    global
        .cache
        .clone()
        .or_else(|| variable("K3SROOT_CACHE"))
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("k3sroot")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/k3sroot")))
        .ok_or(CliError::NoCache)
}
