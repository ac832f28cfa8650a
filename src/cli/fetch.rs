//! `k3sroot fetch`: gets and verifies every source, or lists them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::args::{Fetch, Global};
use super::error::CliError;
use super::printer::Printer;
use super::project::{Project, open_store};
use super::{means, print, print_json};
use crate::execute::{Event, wanted};
use crate::fetch::{Archive, Want};

/// One archive of one source, as `--list --json` prints it.
#[derive(Serialize)]
struct Listed<'a> {
    package: &'a str,
    version: &'a str,
    /// Which of the package's sources it is, from 0.
    source: usize,
    urls: &'a [String],
    algorithm: &'static str,
    digest: String,
}

pub(super) fn run(global: &Global, args: &Fetch) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = open_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    // A package is the same source for every machine.
    let mut sources: BTreeMap<(String, String), Vec<Vec<Archive>>> = BTreeMap::new();
    for action in planned.plan.actions() {
        let key = (action.unit().package.to_string(), action.version().to_string());
        sources.insert(key, wanted(action));
    }
    if args.list {
        return list(&sources, args.json);
    }
    let wants: Vec<Want> = sources
        .into_iter()
        .flat_map(|((package, version), sources)| {
            sources.into_iter().map(move |archives| Want { label: format!("{package} {version}"), archives })
        })
        .collect();
    let fetcher = means::fetcher(&args.sources, &store)?;
    let stop = means::stop();
    let printer = Printer::new(global, &store);
    let results = fetcher.obtain_all(&wants, &|event| printer.event(&Event::Fetch(&event)), &stop.downloads);
    drop(printer);
    if stop.is_thrown() {
        return Err(CliError::Stopped);
    }
    let mut missing = 0;
    let mut rows = Vec::new();
    for (want, result) in wants.iter().zip(&results) {
        match result {
            Ok(obtained) => rows.push((want.label.clone(), obtained.path.display().to_string())),
            Err(_) => missing += 1,
        }
    }
    if args.json {
        print_json(&rows.iter().cloned().collect::<BTreeMap<String, String>>())?;
    } else {
        let mut text = String::new();
        for (label, path) in &rows {
            let _ = writeln!(text, "{label:32} {path}");
        }
        print(&text)?;
    }
    for error in results.into_iter().filter_map(Result::err) {
        eprint!("{}", CliError::Fetch(error).render(super::colour(&std::io::stderr())));
    }
    if missing > 0 { Err(CliError::MissingSources { missing, all: wants.len() }) } else { Ok(()) }
}

fn list(sources: &BTreeMap<(String, String), Vec<Vec<Archive>>>, json: bool) -> Result<(), CliError> {
    let mut listed = Vec::new();
    for ((package, version), sources) in sources {
        for (source, archives) in sources.iter().enumerate() {
            listed.extend(archives.iter().map(|archive| Listed {
                package,
                version,
                source,
                urls: &archive.urls,
                algorithm: archive.digest.algorithm(),
                digest: archive.digest.hex(),
            }));
        }
    }
    if json {
        return print_json(&listed);
    }
    let mut text = String::new();
    for Listed { package, version, urls, algorithm, digest, .. } in &listed {
        let _ = writeln!(text, "{package} {version}  {algorithm}:{digest}");
        for url in *urls {
            let _ = writeln!(text, "    {url}");
        }
    }
    print(&text)
}
