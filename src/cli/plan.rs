//! `k3sroot plan`: every action, its digest, and whether the store has its outcome.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{Global, Plan};
use super::error::CliError;
use super::means;
use super::project::{Project, open_store};
use super::{print, print_json};
use execute::{describe, key};
use model::plan::Description;

/// An action, as `--json` prints it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    action: Description,
    stored: bool,
}

pub(super) fn run(global: &Global, args: &Plan) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = open_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    let machine = means::machine(&args.isolation)?;
    let mut shown = Vec::new();
    for action in planned.plan.actions() {
        let stored = store.lookup(&key(action, &machine))?.is_some();
        shown.push(Shown { action: describe(action, &store)?, stored });
    }
    if args.json {
        return print_json(&shown);
    }
    let mut text = String::new();
    for Shown { action: Description { unit, version, digest, .. }, stored } in &shown {
        let state = if *stored { "stored" } else { "to build" };
        let _ = writeln!(text, "{}  {state:8}  {unit:32} {version}", digest.short());
    }
    print(&text)
}
