//! `k3sroot outdated`: which recipes have newer versions upstream.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::args::{Global, Outdated};
use super::error::CliError;
use super::place::io_error;
use super::project::{Project, open_store};
use super::table::{Paint, Tone, table};
use super::{colour, means, print, print_json};
use base::beneath;
use base::name::{PackageName, Version};
use base::version::{is_release, newer};
use execute::Stop;
use fetch::{FetchError, Fetcher};
use model::recipe::{Held, Origin, Recipe};
use upkeep::{listings, newest_releases};

/// How many listings are waited for at once.
const AT_ONCE: usize = 8;

/// A package as `--json` prints it.
#[derive(Serialize)]
struct Listed {
    package: PackageName,
    version: Version,
    /// The latest version that is listed; none if no listing could be had.
    latest: Option<Version>,
    /// Whether that is later than the recipe's, if it is known.
    outdated: Option<bool>,
    /// Why it stays at its version, if the recipe says so.
    held: Option<Held>,
    /// Which listing says so.
    listing: Option<String>,
    /// The series of versions that alone is listed there, if it is one.
    series: Option<String>,
}

/// The latest version that is listed.
#[derive(Debug, Clone)]
pub(super) struct Latest {
    pub(super) version: Version,
    /// Where.
    pub(super) listing: String,
    /// The series of versions that alone was looked into, if it was one.
    series: Option<String>,
}

pub(super) fn run(global: &Global, args: &Outdated) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let recipes = wanted(&project, &args.packages)?;
    let listed = if let Some(path) = &args.listing {
        by_file(&recipes, args.packages.is_empty(), path)?
    } else {
        let store = open_store(global)?;
        let fetcher = means::fetcher(&args.sources, &store)?;
        by_upstream(global, &recipes, &fetcher, &means::stop())?
    };
    if args.json {
        print_json(&listed)?;
    } else {
        print(&shown(&listed, Paint(colour(&std::io::stdout()))))?;
    }
    let unknown = listed.iter().filter(|listed| listed.latest.is_none()).count();
    if unknown == 0 { Ok(()) } else { Err(CliError::LatestUnknown { unknown, all: listed.len() }) }
}

/// The recipes of packages that come from elsewhere.
fn wanted<'a>(project: &'a Project, packages: &[PackageName]) -> Result<Vec<&'a Recipe>, CliError> {
    let elsewhere =
        |recipe: &&Recipe| recipe.sources.iter().any(|source| matches!(source.origin, Origin::Archives(_)));
    if packages.is_empty() {
        return Ok(project.recipes.values().filter(elsewhere).collect());
    }
    packages.iter().map(|package| project.recipe(package)).collect()
}

/// What a file says of the latest versions.
fn by_file(recipes: &[&Recipe], all: bool, path: &Path) -> Result<Vec<Listed>, CliError> {
    let shown = path.display();
    let text = beneath::read_named_to_string(path).map_err(io_error("read", path))?;
    let mut known = if path.extension().is_some_and(|end| end == "toml") {
        by_toml(path, &text)?
    } else {
        by_lines(path, &text)?
    };
    let listed = recipes.iter().map(|recipe| {
        let latest = known.remove(&recipe.name);
        listed(recipe, latest.map(|version| Latest { version, listing: shown.to_string(), series: None }))
    });
    let listed: Vec<Listed> = listed.collect();
    if !known.is_empty() && all {
        let names: Vec<&str> = known.keys().map(PackageName::as_str).collect();
        eprintln!("warning: no recipe describes what {shown} also names: {}", names.join(", "));
    }
    Ok(listed)
}

fn by_toml(path: &Path, text: &str) -> Result<BTreeMap<PackageName, Version>, CliError> {
    let known =
        newest_releases(text).map_err(|source| CliError::ListingToml { path: path.to_owned(), source })?;
    Ok(known.into_iter().map(|(package, newest)| (package, newest.version)).collect())
}

fn by_lines(path: &Path, text: &str) -> Result<BTreeMap<PackageName, Version>, CliError> {
    let mut known: BTreeMap<PackageName, Version> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let entry = line.split_once(char::is_whitespace);
        let entry =
            entry.and_then(|(package, version)| Some((package.parse().ok()?, numbered(version.trim())?)));
        let (package, version) =
            entry.ok_or_else(|| CliError::ListingLine { path: path.to_owned(), line: number + 1 })?;
        known.insert(package, version);
    }
    Ok(known)
}

/// A version as a tag may write it, with a `v` before the number.
fn numbered(text: &str) -> Option<Version> {
    let version = text.strip_prefix('v').unwrap_or(text);
    version.parse().ok().filter(|_| version.starts_with(|c: char| c.is_ascii_digit()))
}

fn by_upstream(
    global: &Global,
    recipes: &[&Recipe],
    fetcher: &Fetcher,
    stop: &Stop,
) -> Result<Vec<Listed>, CliError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(AT_ONCE).build();
    let pool = pool.map_err(|error| CliError::Io {
        what: "start threads".to_owned(),
        source: std::io::Error::other(error),
    })?;
    let ask = |recipe: &&Recipe| -> Result<Listed, CliError> {
        match latest(recipe, fetcher, stop) {
            Ok(found) => Ok(listed(recipe, found)),
            Err(error @ FetchError::NoListing { .. }) => {
                global.say(&format!("note: {error}"));
                Ok(listed(recipe, None))
            }
            Err(error) => Err(error.into()),
        }
    };
    pool.install(|| recipes.par_iter().map(ask).collect())
}

/// The latest version that the first listing with any names; what one names that knows a series only has to stand up to the
/// next one. A version on the way to a release counts only if the recipe has one.
pub(super) fn latest(recipe: &Recipe, fetcher: &Fetcher, stop: &Stop) -> Result<Option<Latest>, FetchError> {
    let (mut best, mut asked) = (None::<Latest>, Vec::new());
    for listing in listings(recipe) {
        match fetcher.listing(recipe.name.as_str(), &listing.url, &stop.downloads) {
            Ok((place, text)) => {
                let counts = |version: &Version| is_release(version) || !is_release(&recipe.version);
                let Some(version) = listing.versions(&text).into_iter().find(counts) else { continue };
                let later = best.take().filter(|best| !newer(&version, &best.version));
                let mut found =
                    later.unwrap_or(Latest { version, listing: place, series: listing.series.clone() });
                if listing.series.is_none() {
                    found.series = None;
                    return Ok(Some(found));
                }
                best = Some(found);
            }
            Err(FetchError::NoListing { attempts, .. }) => asked.extend(attempts),
            Err(error) => return Err(error),
        }
    }
    if best.is_some() || asked.is_empty() {
        return Ok(best);
    }
    Err(FetchError::NoListing { label: recipe.name.to_string(), attempts: asked })
}

fn listed(recipe: &Recipe, found: Option<Latest>) -> Listed {
    let (latest, listing, series) = match found {
        Some(Latest { version, listing, series }) => (Some(version), Some(listing), series),
        None => (None, None, None),
    };
    Listed {
        package: recipe.name.clone(),
        version: recipe.version.clone(),
        outdated: latest.as_ref().map(|latest| newer(latest, &recipe.version)),
        held: recipe.held.clone(),
        latest,
        listing,
        series,
    }
}

fn shown(listed: &[Listed], paint: Paint) -> String {
    let rows: Vec<Vec<(String, Tone)>> = listed
        .iter()
        .map(|Listed { package, version, latest, outdated, held, listing, series }| {
            // Of what came after the version that it is held back from, the reason says nothing.
            let held = held.as_ref().map(|held| &held.newest);
            let held = held.filter(|held| latest.as_ref().is_some_and(|latest| !newer(latest, held)));
            let (word, tone) = match (latest, held) {
                (Some(_), Some(newest)) => (format!("{newest}, held"), Tone::Plain),
                (Some(latest), None) if *outdated == Some(true) => (latest.to_string(), Tone::Odd),
                (Some(latest), None) if latest == version => match series {
                    Some(series) => (format!("current in {series}"), Tone::Plain),
                    None => ("current".to_owned(), Tone::Good),
                },
                (Some(latest), None) => (format!("{latest}, older"), Tone::Plain),
                (None, _) => ("unknown".to_owned(), Tone::Plain),
            };
            vec![
                (package.to_string(), Tone::Plain),
                (version.to_string(), Tone::Plain),
                (word, tone),
                (listing.clone().unwrap_or_default(), Tone::Plain),
            ]
        })
        .collect();
    let columns = [("package", false), ("version", false), ("latest", false), ("listed by", false)];
    let mut text = table(&columns, &rows, paint);
    for (at, (package, held)) in
        listed.iter().filter_map(|listed| Some((&listed.package, listed.held.as_ref()?))).enumerate()
    {
        let head = if at == 0 { "\nheld back, as their recipes say:\n" } else { "" };
        let _ = writeln!(
            text,
            "{head}  {package}, from {}: {}",
            held.newest,
            super::table::shown(held.because.trim(), &[])
        );
    }
    text
}
