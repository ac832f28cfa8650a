//! Build systems: each turns a recipe's options into phases of argv lists. Nothing here runs anything.

mod autotools;
mod kconfig;
mod make;
mod meson;

use std::collections::BTreeMap;

use super::action::{Phase, Step};
use super::policy::{OUT, SRC};
use crate::arch::Arch;
use crate::recipe::{Options, Recipe, System};
use base::name::Unit;

/// What a build system may look at.
struct Context<'a> {
    unit: &'a Unit,
    arch: Option<&'a Arch>,
    options: &'a Options,
    env: &'a BTreeMap<String, String>,
    /// The source folder in which the build happens.
    source: String,
}

/// The phases of a unit: the recipe's own commands around those of its build system.
pub(super) fn phases(
    unit: &Unit,
    recipe: &Recipe,
    arch: Option<&Arch>,
    options: &Options,
    env: &BTreeMap<String, String>,
) -> Vec<Phase> {
    let build = &recipe.build;
    let source = build.subdir.as_ref().map_or_else(|| SRC.to_owned(), |subdir| format!("{SRC}/{subdir}"));
    let context = Context { unit, arch, options, env, source };
    let (mut phases, cwd) = match &build.system {
        System::Autotools { in_tree, autoreconf, targets, install } => {
            autotools::phases(&context, *in_tree, *autoreconf, targets, install)
        }
        System::Make { targets, install } => make::phases(&context, targets, install),
        System::Meson { targets, install } => meson::phases(&context, targets, *install),
        System::Kconfig { base, targets, install } => kconfig::phases(&context, base, targets, install),
        System::Script { steps } => (vec![commands("build", steps, &context.source)], context.source.clone()),
    };
    phases.insert(0, commands("prepare", &build.prepare, &context.source));
    phases.push(commands("finish", &build.finish, &cwd));
    phases.retain(|phase| !phase.steps.is_empty());
    phases
}

fn commands(name: &'static str, argvs: &[Vec<String>], cwd: &str) -> Phase {
    Phase { name, steps: argvs.iter().map(|argv| run(argv, cwd)).collect() }
}

fn run<T: AsRef<str>>(argv: &[T], cwd: &str) -> Step {
    Step::Run { argv: argv.iter().map(|word| word.as_ref().to_owned()).collect(), cwd: cwd.to_owned() }
}

/// The build and install phases that everything made by `make` has in common.
fn make_phases(words: &[String], targets: &[String], install: &[String], cwd: &str) -> Vec<Phase> {
    let make = |more: &[String]| -> Vec<String> { [&["make".to_owned()], words, more].concat() };
    let mut phases = vec![Phase { name: "build", steps: vec![run(&make(targets), cwd)] }];
    if !install.is_empty() {
        let words = [&[format!("DESTDIR={OUT}")], install].concat();
        phases.push(Phase { name: "install", steps: vec![run(&make(&words), cwd)] });
    }
    phases
}
