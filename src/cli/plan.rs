//! `k3sroot plan`: every action, its digest, and whether the store has its outcome.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::args::{Global, Plan};
use super::error::CliError;
use super::project::{Project, open_store};
use super::{print, print_json};
use crate::digest::ActionDigest;
use crate::execute::{Keys, wanted};
use crate::name::{Unit, Version};
use crate::plan::{Action, Input, Step};
use crate::sandbox::Mode;

/// An action, as `--json` prints it.
#[derive(Serialize)]
struct Shown<'a> {
    unit: &'a Unit,
    version: &'a Version,
    digest: ActionDigest,
    stored: bool,
    sources: Vec<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overridden: Option<String>,
    tools: &'a BTreeMap<Unit, ActionDigest>,
    sysroot: &'a BTreeMap<Unit, ActionDigest>,
    env: &'a BTreeMap<String, String>,
    phases: Vec<(&'static str, Vec<String>)>,
}

pub(super) fn run(global: &Global, args: &Plan) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = open_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    let keys = Keys::new(Mode::Namespaces)?;
    let mut shown = Vec::new();
    for action in planned.plan.actions() {
        shown.push(show(action, store.lookup(&keys.action(action))?.is_some()));
    }
    if args.json {
        return print_json(&shown);
    }
    let mut text = String::new();
    for Shown { unit, version, digest, stored, .. } in &shown {
        let state = if *stored { "stored" } else { "to build" };
        let _ = writeln!(text, "{}  {state:8}  {unit:32} {version}", digest.short());
    }
    print(&text)
}

fn show(action: &Action, stored: bool) -> Shown<'_> {
    let sources = wanted(action)
        .iter()
        .map(|archives| archives.iter().map(|archive| archive.digest.to_string()).collect())
        .collect();
    let overridden = action.inputs().iter().find_map(|input| match input {
        Input::Override { tree, .. } => Some(tree.to_string()),
        Input::Source(_) => None,
    });
    let phases = action.phases().iter().map(|phase| (phase.name, phase.steps.iter().map(describe).collect()));
    Shown {
        unit: action.unit(),
        version: action.version(),
        digest: action.digest(),
        stored,
        sources,
        overridden,
        tools: action.tools(),
        sysroot: action.sysroot(),
        env: action.env(),
        phases: phases.collect(),
    }
}

fn describe(step: &Step) -> String {
    match step {
        Step::Run { argv, cwd } => format!("in {cwd}: {}", argv.join(" ")),
        Step::Write { path, contents } => format!("write {path}:\n{contents}"),
        Step::SetSymbols { path, symbols } => format!("set {} symbols in {path}", symbols.len()),
        Step::RequireSymbols { path, symbols } => format!("require {} symbols in {path}", symbols.len()),
    }
}
