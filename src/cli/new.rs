//! `k3sroot new`: the first recipe of a package, from its archive.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::args::{Global, New};
use super::error::{CliError, unpack_error};
use super::place::io_error;
use super::printer::Printer;
use super::project::{Project, open_store, recipes_folder};
use super::{means, print, whole};
use base::beneath;
use base::digest::{Sha256, SourceDigest};
use execute::Event;
use fetch::{SOURCE_LIMIT, UnpackSpec, unpack};
use model::plan::policy::SOURCE_DATE_EPOCH;
use upkeep::lint::{homepage_fault, summary_fault};
use upkeep::{Scaffold, named_by, system_of};

/// How the names of licence texts begin.
const LICENSES: &[&str] = &["COPYING", "LICENSE", "LICENCE", "COPYRIGHT"];

pub(super) fn run(global: &Global, args: &New) -> Result<(), CliError> {
    let path = recipes_folder(global)?.join(format!("{}.toml", args.name));
    if path.exists() {
        return Err(CliError::RecipeThere { path });
    }
    let project = Project::load(global)?;
    let version = match &args.version {
        Some(version) => version.clone(),
        None => named_by(&args.url).map(|(_, version)| version).ok_or_else(|| CliError::NoVersion)?,
    };
    if let Some(license) = &args.license {
        spdx::Expression::parse(license).map_err(|error| CliError::NoExpression {
            text: license.clone(),
            reason: error.reason.to_string(),
        })?;
    }
    let faults = [
        ("--summary", args.summary.as_deref().and_then(summary_fault)),
        ("--homepage", args.homepage.as_deref().and_then(homepage_fault)),
    ];
    for (option, fault) in faults {
        if let Some(reason) = fault {
            return Err(CliError::LintedOption { option, reason });
        }
    }
    let homepage = match &args.homepage {
        Some(homepage) => homepage.clone(),
        None => homepage(&args.url).ok_or(CliError::NoHomepage)?,
    };
    let store = open_store(global)?;
    let fetcher = means::fetcher(&args.sources, &store)?;
    let (printer, stop) = (Printer::new(global, &store), means::stop());
    let like = SourceDigest::Sha256(Sha256::of(b""));
    let label = format!("{} {version}", args.name);
    let urls = [args.url.clone()];
    let (archive, digest) = fetcher.discover(
        &label,
        &urls,
        &like,
        &|event| printer.event(&Event::Fetch(&event)),
        &stop.downloads,
    )?;
    drop(printer);
    let tree = store.temp_dir("new")?;
    let spec = UnpackSpec {
        nested: None,
        only: &[],
        strip_top: true,
        mtime: SOURCE_DATE_EPOCH,
        limit: SOURCE_LIMIT,
        deadline: &stop.deadline(None),
    };
    let source = tree.path().join("source");
    unpack(&archive, &spec, &source).map_err(unpack_error(&archive))?;
    let files = files(&source)?;
    let license_files: BTreeMap<String, Sha256> = licenses(&source, &files)?;
    let license = match &args.license {
        Some(license) => license.clone(),
        None => known_license(&project, &license_files)?,
    };
    let scaffold = Scaffold {
        name: args.name.to_string(),
        version,
        summary: args
            .summary
            .clone()
            .unwrap_or_else(|| format!("{}, which is yet to be described", args.name)),
        homepage,
        license,
        license_files,
        url: args.url.clone(),
        digest,
        system: system_of(&files),
    };
    let text = scaffold.text();
    whole::create(&path, &text)?;
    global.say(&format!(
        "wrote {}\nnext: its summary and needs, `k3sroot lint {name}`, `k3sroot build --arch amd64 {name}`, and what of it goes into \
         the root: recipes/root.toml (until something needs it, `lint` calls it unused)",
        path.display(),
        name = args.name
    ));
    print(&text)
}

/// The home page that a URL suggests.
fn homepage(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let mut parts = rest.split('/');
    let host = parts.next()?;
    match (host, parts.next(), parts.next()) {
        ("github.com", Some(owner), Some(project)) => Some(format!("https://{host}/{owner}/{project}")),
        _ => Some(format!("https://{host}/")),
    }
}

/// The names at the top of a tree.
fn files(tree: &Path) -> Result<BTreeSet<String>, CliError> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(tree).map_err(io_error("list", tree))? {
        names.insert(entry.map_err(io_error("list", tree))?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// The licence texts at the top of a tree.
fn licenses(tree: &Path, names: &BTreeSet<String>) -> Result<BTreeMap<String, Sha256>, CliError> {
    let mut found = BTreeMap::new();
    for name in
        names.iter().filter(|name| LICENSES.iter().any(|begin| name.to_ascii_uppercase().starts_with(begin)))
    {
        // What is not a plain file of the tree is no text of its licence.
        if let Ok(text) = beneath::read(tree, name) {
            found.insert(name.clone(), Sha256::of(&text));
        }
    }
    if found.is_empty() { Err(CliError::NoLicenseText) } else { Ok(found) }
}

/// The licence of the packages that have the same texts, if it is one: the text of the GPL does not say `or later`.
fn known_license(project: &Project, texts: &BTreeMap<String, Sha256>) -> Result<String, CliError> {
    let mut known: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for recipe in project.recipes.values() {
        if texts.values().all(|text| recipe.license.files.values().any(|file| file == text)) {
            known.entry(&recipe.license.spdx).or_default().push(recipe.name.as_str());
        }
    }
    if known.len() == 1 {
        return Ok(known.into_keys().collect());
    }
    let files = texts.keys().cloned().collect::<Vec<_>>().join("`, `");
    let others = known.iter().map(|(spdx, packages)| format!("{spdx} ({})", packages.join(", ")));
    Err(CliError::LicenseUnknown { files, others: others.collect::<Vec<_>>().join("; ") })
}
