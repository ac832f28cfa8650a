//! `k3sroot shell`: the sandbox and environment of a unit's build; after a failure, at the phase that failed.

use super::args::{Global, Selection, Shell};
use super::error::CliError;
use super::log::unit;
use super::means;
use super::project::{Project, open_store};
use execute::{Executor, Opened};

pub(super) fn run(global: &Global, args: &Shell) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = open_store(global)?;
    let unit = unit(&project, &args.package, &args.arch)?;
    let selection = Selection {
        arch: vec![args.arch.clone()],
        packages: vec![unit.package.to_string()],
        overrides: args.overrides.clone(),
        compiler: args.compiler.clone(),
    };
    // A tool is in the graph of what needs it, not of itself alone.
    let planned = match project.plan(&selection, &store)? {
        planned if planned.plan.get(&unit).is_some() => planned,
        _ => project.plan(&Selection { packages: Vec::new(), ..selection }, &store)?,
    };
    let fetcher = means::fetcher(&args.sources, &store)?;
    let sandbox = means::sandbox(global, &args.running, &store)?;
    let stop = means::stop();
    let executor = Executor {
        store: &store,
        fetcher: &fetcher,
        sandbox: &sandbox,
        compilers: &planned.compilers,
        options: means::options(&args.running),
        stop: &stop,
    };
    let opened = executor.open(&planned.plan, &unit)?;
    match &opened {
        Opened::Failed { kept, .. } => {
            global.say(&format!("{unit}: as the {} phase left it; it failed at", kept.phase));
            global.say(&format!("  cd {} && {}", kept.cwd, kept.argv.join(" ")));
        }
        Opened::Fresh { .. } => {
            global.say(&format!("{unit}: no failed build is kept; sources and inputs are fresh"));
        }
    }
    let command = if args.command.is_empty() { vec!["/bin/sh".to_owned()] } else { args.command.clone() };
    let exit = executor.enter(&planned.plan, &unit, &opened, &command)?;
    if exit.success() { Ok(()) } else { Err(CliError::ShellCommand) }
}
