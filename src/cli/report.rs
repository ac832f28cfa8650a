//! `k3sroot report`: a page that shows what a build did.

use std::fs;
use std::time::Duration;

use super::args::{Global, Report};
use super::error::CliError;
use super::place::io_error;
use super::printer::seconds;
use super::project::existing_store;
use super::table::{Paint, Tone, table};
use super::{colour, print, print_json};
use report::{Record, State, page};
use store::Store;

pub(super) fn run(global: &Global, args: &Report) -> Result<(), CliError> {
    let store = existing_store(global)?;
    let runs = store.runs()?;
    if args.list {
        return list(&store, &runs);
    }
    let name = match (&args.run, runs.last()) {
        (Some(name), _) => name,
        (None, Some(newest)) => newest,
        (None, None) => return Err(CliError::NoRuns),
    };
    let record = record(&store, name)?;
    if args.json {
        return print_json(&record);
    }
    let page = page(&record).map_err(|error| io_error("make", &args.out)(error.into()))?;
    if args.out.as_os_str() == "-" {
        return print(&page);
    }
    fs::write(&args.out, page).map_err(io_error("write", &args.out))?;
    print(&format!("{}\n", args.out.display()))
}

/// The record of the run `name`.
fn record(store: &Store, name: &str) -> Result<Record, CliError> {
    let Some(text) = store.run(name)? else {
        return Err(CliError::UnknownRun { name: name.to_owned() });
    };
    serde_json::from_slice(&text).map_err(|source| CliError::Record { name: name.to_owned(), source })
}

/// A line for each run, by which people know which one they want.
fn list(store: &Store, runs: &[String]) -> Result<(), CliError> {
    let plain = |text: String| (text, Tone::Plain);
    let row = |name: &String| {
        if let Ok(record) = record(store, name) {
            let count = |state| record.units.iter().filter(|unit| unit.state == state).count();
            let ended = match (count(State::Failed), &record.error) {
                (0, None) => (format!("{} built", count(State::Built)), Tone::Plain),
                (0, Some(_)) => ("not finished".to_owned(), Tone::Bad),
                (failed, _) => (format!("{failed} failed"), Tone::Bad),
            };
            let took = seconds(Duration::try_from_secs_f64(record.seconds).unwrap_or_default());
            let words = record.words.iter().skip(1).cloned().collect::<Vec<_>>().join(" ");
            vec![plain(record.id), plain(took), ended, plain(words)]
        } else {
            let damaged = ("damaged, or of another version".to_owned(), Tone::Bad);
            vec![plain(name.clone()), plain(String::new()), damaged, plain(String::new())]
        }
    };
    let rows: Vec<_> = runs.iter().rev().map(row).collect();
    let columns = [("run", false), ("took", true), ("ended", false), ("command", false)];
    print(&table(&columns, &rows, Paint(colour(&std::io::stdout()))))
}
