//! `k3sroot report`: a page that shows what a build did.

use std::fs;

use super::args::{Global, Report};
use super::error::CliError;
use super::project::open_store;
use super::{print, print_json};
use crate::report::{Record, page};

pub(super) fn run(global: &Global, args: &Report) -> Result<(), CliError> {
    let store = open_store(global)?;
    let runs = store.runs()?;
    if args.list {
        let newest_first: Vec<&str> = runs.iter().rev().flat_map(|run| [run.as_str(), "\n"]).collect();
        return print(&newest_first.concat());
    }
    let name = match (&args.run, runs.last()) {
        (Some(name), _) => name,
        (None, Some(newest)) => newest,
        (None, None) => return Err(CliError::NoRuns),
    };
    let Some(text) = store.run(name)? else {
        return Err(CliError::UnknownRun { name: name.clone() });
    };
    let record: Record =
        serde_json::from_slice(&text).map_err(|source| CliError::Record { name: name.clone(), source })?;
    if args.json {
        return print_json(&record);
    }
    let io = |what: &str| format!("{what} `{}`", args.out.display());
    let page = page(&record).map_err(|error| CliError::Io { what: io("make"), source: error.into() })?;
    fs::write(&args.out, page).map_err(|source| CliError::Io { what: io("write"), source })?;
    print(&format!("{}\n", args.out.display()))
}
