//! `k3sroot fetch`: gets and verifies every source, into the cache or a folder, or lists them.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::args::{Fetch, Global};
use super::collect::{Wanted, all_wanted, collect, lacks};
use super::error::{CliError, render_missing};
use super::place::refuse_other_than_folder;
use super::project::{Project, open_store};
use super::{print, print_json};
use fetch::LockedArchive;

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

/// An archive that was got, as `--json` prints it.
#[derive(Serialize)]
struct Got<'a> {
    package: &'a str,
    version: &'a str,
    /// Which of the package's sources it is, from 0.
    source: usize,
    path: PathBuf,
}

impl<'a> Got<'a> {
    fn new((archive, path): (&'a LockedArchive, PathBuf)) -> Self {
        Self { package: &archive.name, version: &archive.version, source: archive.source, path }
    }
}

pub(super) fn run(global: &Global, args: &Fetch) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = open_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    if let Some(folder) = &args.out {
        refuse_other_than_folder(folder)?;
    }
    if args.list {
        return list(&all_wanted(&planned), args.json);
    }
    let collected = collect(global, &args.sources, &store, &planned)?;
    let here = match &args.out {
        Some(folder) => collected.put_into(global, folder)?,
        None => collected.archives.iter().map(|(archive, path)| (archive, path.clone())).collect(),
    };
    let rows: Vec<Got<'_>> = here.into_iter().map(Got::new).collect();
    if args.json {
        print_json(&rows)?;
    } else {
        let mut text = String::new();
        for Got { package, version, path, .. } in &rows {
            let _ = writeln!(text, "{:32} {}", format!("{package} {version}"), path.display());
        }
        print(&text)?;
    }
    if collected.missing.is_empty() {
        return Ok(());
    }
    let errors: Vec<_> = collected.missing.iter().map(|(_, error)| error).collect();
    let lacking = lacks(global, &args.selection, &args.sources.distfiles, &errors);
    let (missing, all) = (collected.missing.len(), collected.missing.len() + rows.len());
    eprint!("{}", render_missing(&errors));
    for line in lacking {
        eprintln!("hint: {line}");
    }
    Err(match &args.out {
        Some(folder) => CliError::NotCollected {
            folder: folder.clone(),
            missing: collected.missing.into_iter().map(|(label, _)| label).collect(),
            all,
        },
        None => CliError::MissingSources { missing, all },
    })
}

fn list(sources: &Wanted, json: bool) -> Result<(), CliError> {
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
