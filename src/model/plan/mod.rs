//! From units to frozen actions: everything that decides an output, said before anything runs.
//!
//! The plan is a pure function of the recipes, the arch records and the overrides. Planning reads no disk, no clock and no
//! environment, so the same checkout gives the same plan on every machine. What every package gets (flags, fixed
//! paths, environment) is in [`policy`]; how a build system turns options into commands is in `systems`.

mod action;
mod description;
mod difference;
mod error;
mod executor;
mod local;
pub mod policy;
mod systems;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::arch::{Arch, Arches};
use crate::graph::Graph;
use crate::recipe::{Origin, Recipe, Recipes, Toolchain};
use base::digest::{ActionDigest, CompilerDigest};
use base::name::{ArchName, Machine, PackageName, Unit};

pub use action::{Action, Input, Keep, Phase, Step};
pub use description::{Description, OriginDescription, PatchDescription, SourceDescription};
pub use difference::{Change, Difference, Role, differences};
pub use error::{PlanError, ResolveError};
pub use executor::EXECUTOR;
pub use local::{Override, UNKNOWN};

/// Overrides by package.
pub type Overrides = BTreeMap<PackageName, Override>;

/// The build machine's own compilers, by the arch they compile for, where these are used in place of one made from source.
pub type Compilers = BTreeMap<ArchName, CompilerDigest>;

/// The actions that lead to the wanted packages, each after all that it needs.
#[derive(Debug, Clone)]
pub struct Plan {
    actions: Vec<Action>,
    by_unit: BTreeMap<Unit, usize>,
    goals: Vec<Unit>,
}

impl Plan {
    /// Plans every unit of `graph`.
    pub fn new(
        graph: &Graph,
        recipes: &Recipes,
        arches: &Arches,
        overrides: &Overrides,
        compilers: &Compilers,
    ) -> Result<Self, PlanError> {
        let mut plan = Self { actions: Vec::new(), by_unit: BTreeMap::new(), goals: graph.goals().to_vec() };
        for unit in graph.ordered() {
            let inputs = graph.inputs(&unit);
            let digests = |needs: &BTreeSet<Unit>| -> Result<BTreeMap<Unit, ActionDigest>, PlanError> {
                let digest = |need: &Unit| {
                    let missing = || PlanError::NotPlanned { unit: unit.clone(), need: need.clone() };
                    Ok((need.clone(), plan.get(need).ok_or_else(missing)?.digest()))
                };
                needs.iter().map(digest).collect()
            };
            let job = Job {
                recipe: &recipes[&unit.package],
                arch: unit.machine.arch().map(|arch| arches.get(arch)).transpose()?,
                exports: inputs.tools.iter().map(|tool| &recipes[&tool.package]).collect(),
                compiler: compiler(compilers, &unit, &recipes[&unit.package]),
                over: overrides.get(&unit.package),
                tools: digests(&inputs.tools)?,
                sysroot: digests(&inputs.sysroot)?,
                unit: &unit,
            };
            let action = job.plan();
            plan.by_unit.insert(unit, plan.actions.len());
            plan.actions.push(action);
        }
        Ok(plan)
    }

    /// Every action, each after all that it needs.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// The action of `unit`.
    pub fn get(&self, unit: &Unit) -> Option<&Action> {
        self.by_unit.get(unit).map(|&index| &self.actions[index])
    }

    /// The units that were asked for.
    pub fn goals(&self) -> &[Unit] {
        &self.goals
    }
}

/// The build machine's compiler for `unit`, if it needs one and that is used.
fn compiler(compilers: &Compilers, unit: &Unit, recipe: &Recipe) -> Option<CompilerDigest> {
    match &unit.machine {
        Machine::Target(arch) if recipe.needs.toolchain != Toolchain::None => compilers.get(arch).copied(),
        _ => None,
    }
}

/// What there is to know of one unit while its action is written down.
struct Job<'a> {
    unit: &'a Unit,
    recipe: &'a Recipe,
    arch: Option<&'a Arch>,
    /// The recipes of the tools, whose exports are part of the environment.
    exports: Vec<&'a Recipe>,
    compiler: Option<CompilerDigest>,
    over: Option<&'a Override>,
    tools: BTreeMap<Unit, ActionDigest>,
    sysroot: BTreeMap<Unit, ActionDigest>,
}

impl Job<'_> {
    fn plan(self) -> Action {
        let options = self.recipe.build.options(&self.unit.machine);
        let words = Words { recipe: self.recipe, arch: self.arch };
        let equipment =
            policy::Equipment { tools: !self.tools.is_empty(), host_compiler: self.compiler.is_some() };
        let mut env = policy::environment(self.unit, self.arch, &options, equipment);
        for tool in &self.exports {
            // A tool's words are its own: its version, not that of what it is used for.
            let words = Words { recipe: tool, arch: self.arch };
            env.extend(tool.exports.iter().map(|(name, value)| (name.clone(), words.expand(value))));
        }
        env.extend(options.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let phases = systems::phases(self.unit, self.recipe, self.arch, &options, &env);
        let inputs = match self.over {
            // What an override replaces is upstream's code; files of our own stay.
            Some(over) => {
                let own =
                    self.recipe.sources.iter().filter(|source| matches!(source.origin, Origin::Local(_)));
                let upstream = Input::Override(over.clone());
                std::iter::once(upstream).chain(own.cloned().map(Input::Source)).collect()
            }
            None => self.recipe.sources.iter().cloned().map(Input::Source).collect(),
        };
        let license = if self.over.is_some() { BTreeMap::new() } else { self.recipe.license.files.clone() };
        Action::new(action::Parts {
            unit: self.unit.clone(),
            version: self.recipe.version.clone(),
            recipe: self.recipe.path.clone(),
            inputs,
            license,
            compiler: self.compiler,
            tools: self.tools,
            sysroot: self.sysroot,
            env: env.into_iter().map(|(name, value)| (name, words.expand(&value))).collect(),
            phases: phases.into_iter().map(|phase| phase.map_words(|word| words.expand(word))).collect(),
            keep: policy::keep(&self.recipe.keep),
            installed_under: policy::installed_under(self.unit),
        })
    }
}

/// Fills in the placeholders of a recipe's words.
struct Words<'a> {
    recipe: &'a Recipe,
    arch: Option<&'a Arch>,
}

impl Words<'_> {
    fn expand(&self, word: &str) -> String {
        let mut text = word.replace("{version}", self.recipe.version.as_str());
        if let Some(arch) = self.arch {
            text = text.replace("{triple}", &arch.triple).replace("{kernel-arch}", &arch.kernel_arch);
        }
        text
    }
}
