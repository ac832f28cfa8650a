//! `k3sroot bump`: another version of a package: its archives, licence texts and patches.

use std::path::{Path, PathBuf};

use super::args::{Bump, Global};
use super::error::{CliError, unpack_error};
use super::outdated::{Latest, latest};
use super::place::io_error;
use super::printer::Printer;
use super::project::{Project, open_store};
use super::{means, print, whole};
use base::beneath;
use base::digest::{Sha256, SourceDigest};
use base::name::Version;
use base::version::newer;
use execute::{Event, Stop};
use fetch::{Attempt, FetchError, Fetcher, Obtained, SOURCE_LIMIT, UnpackSpec, apply_patch, unpack};
use model::plan::policy::SOURCE_DATE_EPOCH;
use model::recipe::{Archive, Origin, Recipe, Source};
use upkeep::Edit;

/// What everything here goes by.
struct Work<'a> {
    recipe: &'a Recipe,
    fetcher: &'a Fetcher,
    stop: &'a Stop,
    events: &'a (dyn Fn(fetch::Event) + Sync),
}

pub(super) fn run(global: &Global, args: &Bump) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let recipe = project.recipe(&args.package)?;
    let store = open_store(global)?;
    let fetcher = means::fetcher(&args.sources, &store)?;
    let (printer, stop) = (Printer::new(global, &store), means::stop());
    let events = |event: fetch::Event| printer.event(&Event::Fetch(&event));
    let work = Work { recipe, fetcher: &fetcher, stop: &stop, events: &events };
    let version = work.version(args)?;
    let text = beneath::read_own(&recipe.path).map_err(io_error("read", &recipe.path))?;
    let mut edit = Edit::new(&text)?;
    edit.version(&version)?;
    if recipe.held.as_ref().is_some_and(|held| !newer(&held.newest, &version)) {
        edit.remove_held();
    }
    let mut open = Vec::new();
    let archives = work.archives(&mut edit, &version, args.leave_out, &mut open)?;
    let folder = store.temp_dir("bump")?;
    let tree = folder.path().join("new");
    work.unpack(&version, &archives, &tree)?;
    let old = folder.path().join("old");
    // Without it there is no comparison, which is said where it is missed.
    let unpacked = work.earlier().and_then(|archives| work.unpack(&recipe.version, &archives, &old));
    let old = unpacked.is_ok().then_some(old);
    drop(printer);
    if stop.is_thrown() {
        return Err(CliError::Stopped);
    }
    let mut said = Vec::new();
    licenses(recipe, &mut edit, &tree, old.as_deref(), &mut said, &mut open)?;
    patches(recipe, &tree, &mut said, &mut open);
    let changed = edit.finish();
    let shown = diffy::create_patch(&text, &changed).to_string();
    print(&shown.replacen("--- original", &format!("--- {}", recipe.path.display()), 1).replacen(
        "+++ modified",
        &format!("+++ {}", recipe.path.display()),
        1,
    ))?;
    for line in said {
        global.say(line.trim_end());
    }
    if newer(&recipe.version, &version) {
        global.say(&format!("note: {version} is older than {}", recipe.version));
    }
    if !args.dry_run {
        whole::replace(&recipe.path, &changed)?;
        global.say(&format!(
            "wrote {}\nnext: compare the digests with what upstream publishes, `k3sroot build --arch amd64 {}`, `make digests`",
            recipe.path.display(),
            recipe.name
        ));
    }
    if open.is_empty() { Ok(()) } else { Err(CliError::BumpOpen { open }) }
}

impl Work<'_> {
    fn version(&self, args: &Bump) -> Result<Version, CliError> {
        let recipe = self.recipe;
        let version = match &args.version {
            Some(version) => version.clone(),
            None => match latest(recipe, self.fetcher, self.stop)? {
                Some(latest) if newer(&latest.version, &recipe.version) => latest.version,
                Some(Latest { listing, .. }) => {
                    return Err(CliError::NothingNewer { package: recipe.name.clone(), listing });
                }
                None => return Err(CliError::NoListing { package: recipe.name.clone() }),
            },
        };
        if version == recipe.version {
            return Err(CliError::SameVersion { package: recipe.name.clone(), version });
        }
        Ok(version)
    }

    /// Downloads the archives of the new version and writes their digests; for each source the first archive.
    fn archives(
        &self,
        edit: &mut Edit,
        version: &Version,
        leave_out: bool,
        open: &mut Vec<String>,
    ) -> Result<Vec<Option<Obtained>>, CliError> {
        let label = format!("{} {version}", self.recipe.name);
        let (mut paths, mut any) = (Vec::new(), false);
        for (number, source) in self.recipe.sources.iter().enumerate() {
            let Origin::Archives(archives) = &source.origin else {
                paths.push(None);
                continue;
            };
            let mut first = None;
            let (mut gone, mut tried) = (Vec::new(), Vec::new());
            for (at, archive) in archives.iter().enumerate() {
                // What has no placeholder names the same bytes whatever the version.
                let urls: Vec<String> = edit
                    .urls(number, at)?
                    .iter()
                    .filter(|url| url.contains("{version}"))
                    .map(|url| url.replace("{version}", version.as_str()))
                    .collect();
                if urls.is_empty() {
                    let wanted = wanted(&label, &[archive]);
                    let Obtained { path, .. } =
                        self.fetcher.obtain(&wanted, self.events, &self.stop.downloads)?;
                    first = first.or(Some(Obtained { index: at, path }));
                    continue;
                }
                any = true;
                match self.discover(&label, &urls, archive, open) {
                    Ok((path, digest)) if digest == archive.digest => {
                        let version = version.clone();
                        return Err(CliError::SameBytes { package: self.recipe.name.clone(), version, path });
                    }
                    Ok((path, digest)) => {
                        edit.digest(number, at, &digest)?;
                        first = first.or(Some(Obtained { index: at, path }));
                    }
                    Err(FetchError::NoArchive { attempts }) => {
                        gone.push(at);
                        tried.extend(attempts);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if !gone.is_empty() && (first.is_none() || !leave_out) {
                return Err(CliError::ArchivesGone {
                    label,
                    others: first.is_some(),
                    source: FetchError::NoArchive { attempts: tried },
                });
            }
            // From the end, so that the numbers of the others stay.
            for at in gone.into_iter().rev() {
                edit.remove_archive(number, at)?;
            }
            paths.push(first);
        }
        if any { Ok(paths) } else { Err(CliError::NoPlaceholder { package: self.recipe.name.clone() }) }
    }

    /// What the `urls` of an archive's new version give. All of them are asked: a later build may depend on any. What is
    /// wrong with some is for people to put right.
    fn discover(
        &self,
        label: &str,
        urls: &[String],
        archive: &Archive,
        open: &mut Vec<String>,
    ) -> Result<(PathBuf, SourceDigest), FetchError> {
        let mut found: Option<(&String, (PathBuf, SourceDigest))> = None;
        let mut failed = Vec::new();
        for url in urls {
            let one = std::slice::from_ref(url);
            match self.fetcher.discover(label, one, &archive.digest, self.events, &self.stop.downloads) {
                Ok(here) => match &found {
                    Some((first, there)) if there.1 != here.1 => {
                        open.push(format!("`{url}` gives other bytes than `{first}`: which are upstream's?"));
                    }
                    Some(_) => {}
                    None => found = Some((url, here)),
                },
                Err(FetchError::Unobtainable { attempts, .. }) => failed.extend(attempts),
                Err(error) => return Err(error),
            }
        }
        let Some((_, found)) = found else { return Err(FetchError::NoArchive { attempts: failed }) };
        open.extend(
            failed
                .iter()
                .map(|Attempt { url, problem }| format!("`{url}` does not give it: {}", problem.explained())),
        );
        Ok(found)
    }

    /// The archives of the recipe as it is.
    fn earlier(&self) -> Result<Vec<Option<Obtained>>, CliError> {
        let label = format!("{} {}", self.recipe.name, self.recipe.version);
        let path = |source: &Source| match &source.origin {
            Origin::Local(_) => Ok(None),
            Origin::Archives(archives) => {
                let wanted = wanted(&label, &archives.iter().collect::<Vec<_>>());
                Ok(Some(self.fetcher.obtain(&wanted, self.events, &self.stop.downloads)?))
            }
        };
        self.recipe.sources.iter().map(path).collect()
    }

    /// Makes the tree of a version that is built, without its patches and our own files.
    fn unpack(&self, version: &Version, archives: &[Option<Obtained>], tree: &Path) -> Result<(), CliError> {
        for (source, archive) in self.recipe.sources.iter().zip(archives) {
            let (Some(Obtained { index, path }), Origin::Archives(all)) = (archive, &source.origin) else {
                continue;
            };
            // In the recipe as it was read, the version is written out.
            let nested = all.get(*index).and_then(|archive| archive.nested.as_deref());
            let nested = nested.map(|glob| glob.replace(self.recipe.version.as_str(), version.as_str()));
            let spec = UnpackSpec {
                nested: nested.as_deref(),
                only: &source.only,
                strip_top: true,
                mtime: SOURCE_DATE_EPOCH,
                limit: SOURCE_LIMIT,
                deadline: &self.stop.deadline(None),
            };
            let dest = source.into.as_ref().map_or_else(|| tree.to_owned(), |into| tree.join(into));
            unpack(path, &spec, &dest).map_err(unpack_error(path))?;
        }
        Ok(())
    }
}

/// Compares the licence texts, and writes their digests.
fn licenses(
    recipe: &Recipe,
    edit: &mut Edit,
    tree: &Path,
    old: Option<&Path>,
    said: &mut Vec<String>,
    open: &mut Vec<String>,
) -> Result<(), CliError> {
    for (file, digest) in &recipe.license.files {
        let Ok(text) = beneath::read(tree, file) else {
            open.push(format!("the licence text `{file}` is not in the new version: name the one that is"));
            continue;
        };
        let new = Sha256::of(&text);
        if new == *digest {
            said.push(format!("licence text {file}: the same"));
            continue;
        }
        edit.license(file, &new)?;
        open.push(format!(
            "the licence text `{file}` has changed: read it, and whether `spdx` still says what it does"
        ));
        match old.and_then(|old| beneath::read(old, file).ok()) {
            Some(before) => {
                let (before, text) = (String::from_utf8_lossy(&before), String::from_utf8_lossy(&text));
                said.push(format!("licence text {file}:\n{}", diffy::create_patch(&before, &text)));
            }
            None => said.push(format!("licence text {file}: changed; the old one could not be had")),
        }
    }
    Ok(())
}

/// Says which patches still apply.
fn patches(recipe: &Recipe, tree: &Path, said: &mut Vec<String>, open: &mut Vec<String>) {
    for source in &recipe.sources {
        let tree = source.into.as_ref().map_or_else(|| tree.to_owned(), |into| tree.join(into));
        for patch in &source.patches {
            match apply_patch(&tree, &patch.name, &patch.text) {
                Ok(()) => said.push(format!("patch {}: applies", patch.name)),
                Err(error) => open.push(format!("{error}\nif upstream has taken it, remove it")),
            }
        }
    }
}

fn wanted(label: &str, archives: &[&Archive]) -> Vec<fetch::Archive> {
    let archive = |archive: &&Archive| fetch::Archive {
        label: label.to_owned(),
        urls: archive.urls.clone(),
        digest: archive.digest,
    };
    archives.iter().map(archive).collect()
}
