//! `k3sroot verify --golden`: whether builds gave the bits that the checkout says they give.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::{Compiler, Global, Selection, ToolchainChoice, Verify};
use super::build::{missing_note, overrides_note};
use super::error::CliError;
use super::place::io_error;
use super::project::{Project, open_store, recipes_folder};
use super::table::{Paint, Tone, table};
use super::{colour, print, print_json, whole};
use base::beneath;
use base::digest::Sha256;
use base::name::ArchName;
use check::Golden;

/// What is said of a package or a tarball.
#[derive(Serialize)]
struct Held {
    arch: ArchName,
    name: String,
    verdict: Verdict,
    golden: Option<String>,
    found: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Same,
    Different,
    NotBuilt,
    NoGoldenDigest,
}

impl Held {
    fn new(arch: &ArchName, name: String, golden: Option<String>, found: Option<String>) -> Self {
        let verdict = match (&golden, &found) {
            (_, None) => Verdict::NotBuilt,
            (None, Some(_)) => Verdict::NoGoldenDigest,
            (Some(golden), Some(found)) if golden == found => Verdict::Same,
            (Some(_), Some(_)) => Verdict::Different,
        };
        Self { arch: arch.clone(), name, verdict, golden, found }
    }

    fn row(&self) -> Vec<(String, Tone)> {
        let (word, tone) = match self.verdict {
            Verdict::Same => ("same", Tone::Good),
            Verdict::Different => ("different", Tone::Bad),
            Verdict::NotBuilt => ("not built", Tone::Plain),
            Verdict::NoGoldenDigest => ("no golden digest", Tone::Odd),
        };
        let short = |digest: &Option<String>| digest.as_ref().map_or("-", |digest| &digest[..12]).to_owned();
        let plain = |text: String| (text, Tone::Plain);
        vec![
            plain(format!("{} {}", self.arch, self.name)),
            (word.to_owned(), tone),
            plain(short(&self.golden)),
            plain(short(&self.found)),
        ]
    }
}

pub(super) fn run(global: &Global, args: &Verify) -> Result<(), CliError> {
    let held = look(global, args).map_err(|error| CliError::NoAnswer(Box::new(error)))?;
    if args.json {
        print_json(&held)?;
    } else {
        let rows: Vec<_> = held.iter().map(Held::row).collect();
        let columns = [("package", false), ("bits", false), ("golden", false), ("found", false)];
        let mut text = table(&columns, &rows, Paint(colour(&io::stdout())));
        let count = |verdict| held.iter().filter(|one| one.verdict == verdict).count();
        let _ = writeln!(
            text,
            "{} same, {} different, {} not built, {} without a golden digest",
            count(Verdict::Same),
            count(Verdict::Different),
            count(Verdict::NotBuilt),
            count(Verdict::NoGoldenDigest),
        );
        print(&text)?;
    }
    let unbuilt = held.iter().filter(|one| one.verdict == Verdict::NotBuilt && one.golden.is_some()).count();
    if unbuilt > 0 {
        eprintln!("warning: {unbuilt} with a golden digest are not built here, and not compared");
    }
    let different = held.iter().filter(|one| one.verdict == Verdict::Different).count();
    if different > 0 {
        return Err(CliError::NotGolden { different });
    }
    if held.iter().all(|one| one.verdict != Verdict::Same) {
        return Err(CliError::NothingGolden);
    }
    Ok(())
}

/// Compares everything; with `--update`, writes what there is first.
fn look(global: &Global, args: &Verify) -> Result<Vec<Held>, CliError> {
    let project = Project::load(global)?;
    let store = open_store(global)?;
    let recipes = recipes_folder(global)?;
    let selection = Selection {
        arch: args.arch.iter().flat_map(|text| text.split(',')).map(str::to_owned).collect(),
        packages: Vec::new(),
        overrides: Vec::new(),
        // Golden digests are those of the compiler from source: another's belong to its machine.
        compiler: Compiler { toolchain: ToolchainChoice::Source, cross_prefix: Vec::new() },
    };
    let planned = project.plan(&selection, &store)?;
    refuse_other_names(&project, args, &planned.arches)?;
    let mut held = Vec::new();
    for arch in &planned.arches {
        let path = Golden::path(&recipes, arch);
        let mut golden = Golden::read(&path)?;
        let packages = planned.trees(&store, arch)?;
        let tarballs = tarballs(&project, args, arch)?;
        if args.update {
            // What is not built here stays as it was; what is no package any more goes.
            golden.packages.retain(|package, _| packages.contains_key(package));
            golden.packages.extend(packages.iter().filter_map(|(name, tree)| Some((name.clone(), (*tree)?))));
            golden.tarballs.extend(tarballs.iter().cloned());
            whole::replace(&path, &golden.text())?;
            global.say(&format!("wrote {}", path.display()));
        }
        for (package, found) in packages {
            let golden = golden.packages.get(&package).map(ToString::to_string);
            held.push(Held::new(arch, package.to_string(), golden, found.map(|tree| tree.to_string())));
        }
        for (name, found) in tarballs {
            let golden = golden.tarballs.get(&name).map(ToString::to_string);
            held.push(Held::new(arch, name, golden, Some(found.to_string())));
        }
    }
    Ok(held)
}

/// Golden digests go by names: a file with another would not be compared.
fn refuse_other_names(project: &Project, args: &Verify, arches: &[ArchName]) -> Result<(), CliError> {
    let known: Vec<String> = arches.iter().flat_map(|arch| tarball_names(project, arch)).collect();
    let is_other =
        |path: &&PathBuf| !path.file_name().is_some_and(|name| known.iter().any(|one| name == &**one));
    match args.tars.iter().find(is_other) {
        Some(path) => Err(CliError::NoGoldenName { path: path.clone(), known }),
        None => Ok(()),
    }
}

fn tarball_names(project: &Project, arch: &ArchName) -> impl Iterator<Item = String> {
    project.layout.tarball_files(arch).into_iter().map(|(_, file)| file)
}

/// The digests of those tarballs that are for `arch`, by name. One that nobody else can build is refused.
fn tarballs(project: &Project, args: &Verify, arch: &ArchName) -> Result<Vec<(String, Sha256)>, CliError> {
    let names: Vec<String> = tarball_names(project, arch).collect();
    let mut found = Vec::new();
    for path in &args.tars {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !names.contains(&name) {
            continue;
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        for note in [missing_note(arch, folder), overrides_note(arch, folder)] {
            if note.exists() {
                return Err(CliError::NotPinned { path: path.clone(), note });
            }
        }
        let bytes = beneath::read_named(path).map_err(io_error("read", path))?;
        found.push((name, Sha256::of(&bytes)));
    }
    Ok(found)
}
