//! The graph of units: which package is built for which machine, and what must come before it.
//!
//! Recipes and a list of wanted packages go in; a [`Graph`] comes out in which every need exists and nothing waits
//! for itself. It knows names and order, nothing of commands, digests or files.

mod error;
mod picture;
mod render;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::Direction;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::{EdgeRef as _, Topo};

use crate::recipe::{Recipe, Recipes, Toolchain};
use base::name::{ArchName, Machine, PackageName, Unit};

pub use error::GraphError;
pub use picture::{Frame, Line, Picture};
pub use render::{Edge, render_dot, render_svg, render_text};

/// The packages that make up the target toolchain, which ordinary recipes need without naming them.
mod toolchain {
    /// The cross compiler; it brings its assembler and linker along.
    pub(super) const COMPILER: &str = "gcc";
    /// The C library and the kernel's headers.
    pub(super) const LIBC: [&str; 2] = ["linux-headers", "musl"];
}

/// Where the compiler for the target comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompilerFrom {
    /// It is built, from a recipe.
    Source,
    /// The build machine has one, and its binutils.
    Machine,
}

/// Why one unit comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// It runs while the other is built.
    Tool,
    /// The other links against it.
    Link,
    /// It is there for the arch that the other, a cross tool, is made for.
    Target,
    /// The other needs it while it runs as a tool.
    Run,
}

impl Need {
    /// The recipe's key for such a need.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Link => "link",
            Self::Target => "target",
            Self::Run => "run",
        }
    }
}

/// What lies in the folders that a unit's build sees, each with everything it brings along, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Units merged at `/tools`.
    pub tools: BTreeSet<Unit>,
    /// Units merged at `/sysroot`.
    pub sysroot: BTreeSet<Unit>,
}

/// Units and the needs between them; an edge goes from what is needed to what needs it.
#[derive(Debug, Clone)]
pub struct Graph {
    edges: StableDiGraph<Unit, Need>,
    nodes: BTreeMap<Unit, NodeIndex>,
    goals: Vec<Unit>,
}

impl Graph {
    /// The graph of everything that `wanted` packages need, for each of `arches`.
    pub fn build(
        recipes: &Recipes,
        wanted: &[PackageName],
        arches: &[ArchName],
        compiler: CompilerFrom,
    ) -> Result<Self, GraphError> {
        let mut graph = Self { edges: StableDiGraph::new(), nodes: BTreeMap::new(), goals: Vec::new() };
        for arch in arches {
            for package in wanted {
                let recipe = recipe(recipes, package)?;
                let machine = if recipe.build.cross {
                    Machine::Cross(arch.clone())
                } else {
                    Machine::Target(arch.clone())
                };
                let unit = Unit { package: package.clone(), machine };
                graph.add(recipes, &unit, compiler)?;
                graph.goals.push(unit);
            }
        }
        graph.refuse_cycles(recipes)?;
        Ok(graph)
    }

    fn add(
        &mut self,
        recipes: &Recipes,
        unit: &Unit,
        compiler: CompilerFrom,
    ) -> Result<NodeIndex, GraphError> {
        if let Some(&node) = self.nodes.get(unit) {
            return Ok(node);
        }
        let node = self.edges.add_node(unit.clone());
        self.nodes.insert(unit.clone(), node);
        for (need, package) in needs(&recipes[&unit.package], &unit.machine, compiler) {
            let recipe = recipes.get(&package).ok_or_else(|| GraphError::MissingNeed {
                path: recipes[&unit.package].path.clone(),
                key: need.key(),
                package: package.clone(),
                similar: similar(recipes, &package),
            })?;
            let machine = machine_of(recipes, unit, need, recipe)?;
            let before = self.add(recipes, &Unit { package, machine }, compiler)?;
            self.edges.add_edge(before, node, need);
        }
        Ok(node)
    }

    /// What was asked for.
    pub fn goals(&self) -> &[Unit] {
        &self.goals
    }

    /// Every unit, each after all that it needs; where the needs leave a choice, by name.
    pub fn ordered(&self) -> Vec<Unit> {
        let mut waiting: BTreeMap<&Unit, usize> = self
            .nodes
            .iter()
            .map(|(unit, &node)| (unit, self.edges.edges_directed(node, Direction::Incoming).count()))
            .collect();
        let mut ready: BTreeSet<&Unit> =
            waiting.iter().filter(|&(_, &count)| count == 0).map(|(&unit, _)| unit).collect();
        let mut ordered = Vec::with_capacity(self.nodes.len());
        while let Some(unit) = ready.pop_first() {
            ordered.push(unit.clone());
            for after in self.edges.neighbors_directed(self.nodes[unit], Direction::Outgoing) {
                let after = &self.edges[after];
                if let Some(count) = waiting.get_mut(after) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(after);
                    }
                }
            }
        }
        ordered
    }

    /// The units that `unit` names as needs, with the kind of each, sorted.
    pub fn direct_needs(&self, unit: &Unit) -> BTreeSet<(Need, Unit)> {
        self.nodes
            .get(unit)
            .into_iter()
            .flat_map(|&node| self.edges.edges_directed(node, Direction::Incoming))
            .map(|edge| (*edge.weight(), self.edges[edge.source()].clone()))
            .collect()
    }

    /// The shortest way from `unit` to `need`: every unit after `unit` itself, with the kind of need that leads to it. None if
    /// the build of `unit` does not involve `need`.
    pub fn way(&self, unit: &Unit, need: &Unit) -> Option<Vec<(Need, Unit)>> {
        let mut came: BTreeMap<Unit, (Need, Unit)> = BTreeMap::new();
        let mut next = VecDeque::from([unit.clone()]);
        while let Some(at) = next.pop_front() {
            if at == *need {
                let mut way = Vec::new();
                let mut at = at;
                while let Some((kind, before)) = came.remove(&at) {
                    way.push((kind, at));
                    at = before;
                }
                way.reverse();
                return Some(way);
            }
            for (kind, before) in self.direct_needs(&at) {
                if before != *unit && !came.contains_key(&before) {
                    came.insert(before.clone(), (kind, at.clone()));
                    next.push_back(before);
                }
            }
        }
        None
    }

    /// What the build of `unit` sees.
    pub fn inputs(&self, unit: &Unit) -> Inputs {
        let mut inputs = Inputs::default();
        for (need, before) in self.direct_needs(unit) {
            match need {
                Need::Tool => self.close(&before, &[Need::Run], &mut inputs.tools),
                Need::Link if unit.machine.runs_here() => {
                    self.close(&before, &[Need::Link], &mut inputs.tools);
                }
                Need::Link | Need::Target => self.close(&before, &[Need::Link], &mut inputs.sysroot),
                Need::Run => {}
            }
        }
        inputs
    }

    fn close(&self, unit: &Unit, along: &[Need], closure: &mut BTreeSet<Unit>) {
        if closure.insert(unit.clone()) {
            for (need, before) in self.direct_needs(unit) {
                if along.contains(&need) {
                    self.close(&before, along, closure);
                }
            }
        }
    }

    fn refuse_cycles(&self, recipes: &Recipes) -> Result<(), GraphError> {
        let mut sorted = BTreeSet::new();
        let mut topo = Topo::new(&self.edges);
        while let Some(node) = topo.next(&self.edges) {
            sorted.insert(node);
        }
        // What a topological walk never reaches waits for itself, or for something that does.
        let Some(mut unit) =
            self.nodes.iter().find(|(_, node)| !sorted.contains(*node)).map(|(unit, _)| unit.clone())
        else {
            return Ok(());
        };
        let mut path: Vec<Unit> = Vec::new();
        while !path.contains(&unit) {
            path.push(unit.clone());
            let next = self
                .direct_needs(&unit)
                .into_iter()
                .map(|(_, before)| before)
                .find(|before| !sorted.contains(&self.nodes[before]));
            match next {
                Some(next) => unit = next,
                None => return Ok(()),
            }
        }
        path.drain(..path.iter().position(|on_path| *on_path == unit).unwrap_or(0));
        path.push(unit);
        let files = path.iter().map(|unit| recipes[&unit.package].path.clone()).collect::<BTreeSet<_>>();
        Err(GraphError::Cycle { path, files: files.into_iter().collect() })
    }
}

/// The needs of a recipe on a machine: those it names and, for target units, the toolchain.
fn needs(recipe: &Recipe, machine: &Machine, compiler: CompilerFrom) -> Vec<(Need, PackageName)> {
    let named = &recipe.needs;
    let mut needs: Vec<(Need, PackageName)> = Vec::new();
    let mut add = |need: Need, packages: &[PackageName]| {
        needs.extend(packages.iter().map(|package| (need, package.clone())));
    };
    add(Need::Tool, &named.tools);
    add(Need::Link, &named.link);
    add(Need::Run, if machine.runs_here() { &named.run } else { &[] });
    match machine {
        Machine::Cross(_) => add(Need::Target, &named.target),
        Machine::Target(_) => {
            let known = |name: &str| name.parse::<PackageName>().into_iter().collect::<Vec<_>>();
            if named.toolchain != Toolchain::None && compiler == CompilerFrom::Source {
                add(Need::Tool, &known(toolchain::COMPILER));
            }
            if named.toolchain == Toolchain::Libc {
                for name in toolchain::LIBC {
                    add(Need::Link, &known(name));
                }
            }
        }
        Machine::Build => {}
    }
    needs
}

/// The machine for which `needed` must be built when `unit` needs it.
fn machine_of(recipes: &Recipes, unit: &Unit, need: Need, needed: &Recipe) -> Result<Machine, GraphError> {
    match need {
        Need::Link => Ok(match &unit.machine {
            Machine::Cross(_) => Machine::Build,
            other => other.clone(),
        }),
        Need::Target => Ok(unit.machine.arch().cloned().map_or(Machine::Build, Machine::Target)),
        Need::Tool | Need::Run if !needed.build.cross => Ok(Machine::Build),
        Need::Tool | Need::Run => {
            unit.machine.arch().cloned().map(Machine::Cross).ok_or_else(|| GraphError::CrossToolWithoutArch {
                path: recipes[&unit.package].path.clone(),
                unit: unit.clone(),
                package: needed.name.clone(),
            })
        }
    }
}

/// The recipe of `package`; [`GraphError::UnknownPackage`] if there is none.
pub fn recipe<'a>(recipes: &'a Recipes, package: &PackageName) -> Result<&'a Recipe, GraphError> {
    let unknown =
        || GraphError::UnknownPackage { package: package.clone(), similar: similar(recipes, package) };
    recipes.get(package).ok_or_else(unknown)
}

/// The known name that is most like `wanted`, if any is.
fn similar(recipes: &Recipes, wanted: &PackageName) -> Option<PackageName> {
    /// Names that have less in common than this are two names. It is what clap suggests options by.
    const ALIKE: f64 = 0.7;
    let likeness = |name: &PackageName| strsim::jaro_winkler(name.as_str(), wanted.as_str());
    let alike = recipes.keys().filter(|name| likeness(name) > ALIKE);
    alike.max_by(|left, right| likeness(left).total_cmp(&likeness(right))).cloned()
}
