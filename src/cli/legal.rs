//! `k3sroot legal`, and the legal pack that `k3sroot build` writes: which archives were used, whence they and the licence texts
//! in them are had, and what of it is missing.

mod folder;
mod texts;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::args::{DIST, Global, Legal};
use super::collect::archive_file;
use super::error::{CliError, render_missing};
use super::means;
use super::packed::{About, from_store};
use super::place::{digest_of, io_error, refuse_other_than_folder};
use super::printer::Printer;
use super::project::{Planned, Project, existing_store};
use base::beneath;
use base::digest::SourceDigest;
use base::name::{ArchName, PackageName, Version};
use execute::{Event, Stop, identities};
use fetch::{FetchError, Fetcher, Named, Obtained, Want, names_apart};
use model::recipe::Archive;
use root::attest::{
    Component, Contents, LegalError, LegalPack, LocalTexts, Missing, OFFER, PackGiven, Role, Used,
    UsedArchive, contact, legal_pack,
};
use sandbox::Mode;
use store::Store;

use folder::Look;

pub(super) fn run(global: &Global, args: &Legal) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = existing_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    // Who wants the pack of one package must not lose that of the root in `dist`.
    let out = match &args.out {
        Some(out) => out.as_path(),
        None if planned.named => return Err(CliError::LegalNowhere),
        None => Path::new(DIST),
    };
    refuse_other_than_folder(out)?;
    let fetcher = means::fetcher(&args.sources, &store)?;
    let stop = means::stop();
    let packing = Packing {
        global,
        project: &project,
        store: &store,
        planned: &planned,
        fetcher: &fetcher,
        stop: &stop,
        contact: args.contact.as_deref(),
        in_passing: false,
    };
    let machines = identities(Mode::Namespaces)?;
    let mut lacking = 0;
    for arch in &planned.arches {
        let packed = from_store(global, &project, &store, &planned, arch)?;
        let about = About::new(&project, &planned, arch, &store, &machines)?;
        let contents = about.contents(&packed.root, &packed.files)?;
        refuse_beside_others(&contents, out)?;
        let done = packing.write(&contents, out)?;
        lacking += usize::from(done.lacks_sources());
        done.say(global);
    }
    if lacking > 0 { Err(CliError::LegalLacks) } else { Ok(()) }
}

/// The largest file of a local tree that is taken for a licence text, in bytes.
const LARGEST_TEXT: u64 = 1 << 20;

/// Where the pack of an arch is.
fn folder_of(arch: &ArchName, out: &Path) -> PathBuf {
    out.join(format!("k3s-root-{arch}.legal"))
}

/// Refuses to put a pack where tarballs lie that it is not of, or in place of one whose tarballs are elsewhere.
fn refuse_beside_others(contents: &Contents<'_>, out: &Path) -> Result<(), CliError> {
    let mut all_are_there = true;
    for tarball in &contents.tarballs {
        let path = out.join(&tarball.file);
        match digest_of(&path) {
            Ok(found) if found == tarball.sha256 => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => all_are_there = false,
            Ok(_) => return Err(CliError::LegalOfAnother { path }),
            Err(error) => return Err(io_error("read", &path)(error)),
        }
    }
    let pack = folder_of(contents.arch, out);
    if !all_are_there && folder::is_whole(&pack) && !folder::is_of(&pack, contents) {
        return Err(CliError::LegalOfAnother { path: pack });
    }
    Ok(())
}

/// Takes away what makes an earlier pack one: it is not of what is there now.
pub(super) fn discard(global: &Global, arch: &ArchName, out: &Path) -> Result<(), CliError> {
    let folder = folder_of(arch, out);
    if folder::invalidate(&folder)? {
        global.say(&format!(
            "note: `{}` is without its manifest now, and no pack: the next build of the root writes it anew",
            folder.display()
        ));
    }
    Ok(())
}

/// What packs are made with.
pub(super) struct Packing<'a> {
    pub(super) global: &'a Global,
    pub(super) project: &'a Project,
    pub(super) store: &'a Store,
    pub(super) planned: &'a Planned,
    pub(super) fetcher: &'a Fetcher,
    pub(super) stop: &'a Stop,
    /// Who is to be asked for the sources.
    pub(super) contact: Option<&'a str>,
    /// Whether something else is the purpose: then what could not be had once is not asked for again.
    pub(super) in_passing: bool,
}

/// A pack that is where it should be.
pub(super) struct Done {
    folder: PathBuf,
    /// Whether it was there already.
    was_there: bool,
    missing: Vec<Missing>,
    /// Why archives could not be had.
    errors: Vec<FetchError>,
}

impl Done {
    /// Says what is missing, and where the pack is.
    fn say(self, global: &Global) {
        let shown = self.folder.display().to_string();
        eprint!("{}", render_missing(&self.errors.iter().collect::<Vec<_>>()));
        for missing in &self.missing {
            eprintln!("warning: not in `{shown}`: {missing}");
        }
        global.say(&format!("{shown}  {}", if self.was_there { "as it was" } else { "written" }));
    }

    /// The same of a build, which writes a pack in passing: it warns of sources that are missing, and says the rest when the
    /// pack is new.
    pub(super) fn say_in_passing(self, global: &Global) {
        let shown = self.folder.display();
        let (archives, others): (Vec<_>, Vec<_>) =
            self.missing.iter().partition(|missing| matches!(missing, Missing::Archive(..)));
        for archive in &archives {
            eprintln!("warning: not in `{shown}`: {archive}");
        }
        if !archives.is_empty() {
            eprintln!("hint: `k3sroot legal`, with the same options, tries again and says why");
        }
        if self.was_there {
            return;
        }
        global.say(&format!("{shown}  written"));
        if !others.is_empty() {
            global.say(&format!("note: it lacks what `{shown}/manifest.md` names at its end"));
        }
    }

    fn lacks_sources(&self) -> bool {
        self.missing.iter().any(|missing| matches!(missing, Missing::Archive(..)))
    }
}

/// Where archives are, by package and which of its sources it is.
type Paths = BTreeMap<(PackageName, usize), PathBuf>;

/// A source of a component that comes from one of several archives.
struct Chosen<'a> {
    package: &'a PackageName,
    version: &'a Version,
    /// Which of the package's sources that come from archives.
    source: usize,
    /// What is known to have been used, or the archives that would each do.
    archives: Vec<&'a Archive>,
    /// Which of them it is.
    index: usize,
    is_here: bool,
}

impl Packing<'_> {
    /// Leaves an earlier pack alone if it is of this root.
    pub(super) fn skip(&self, contents: &Contents<'_>, out: &Path) -> Result<(), CliError> {
        if folder::is_of(&folder_of(contents.arch, out), contents) {
            return Ok(());
        }
        discard(self.global, contents.arch, out)
    }

    /// Writes the pack of a root below `out`, if it is not there.
    pub(super) fn write(&self, contents: &Contents<'_>, out: &Path) -> Result<Done, CliError> {
        let folder = folder_of(contents.arch, out);
        let mut chosen = self.chosen(contents);
        let offer = beneath::read_named_to_string(&folder.join(OFFER)).unwrap_or_default();
        let contact = self.contact.filter(|text| !text.trim().is_empty()).or_else(|| contact(&offer));
        let recipes = recipe_texts(self.project, contents)?;
        let local_texts = self.local_texts(contents)?;
        let pack = |chosen: &[Chosen<'_>]| -> Result<LegalPack, LegalError> {
            let (used, local_texts) = (&used(chosen), &local_texts);
            legal_pack(PackGiven { contents, used, local_texts, recipes: &recipes, contact })
        };
        let done = |pack: LegalPack, was_there, errors| Done {
            folder: folder.clone(),
            was_there,
            missing: pack.missing,
            errors,
        };
        let look = if self.in_passing { Look::Passing } else { Look::Whole };
        let planned = pack(&chosen)?;
        if folder::has(&folder, &planned, look) {
            return Ok(done(planned, true, Vec::new()));
        }
        if self.in_passing {
            for one in &mut chosen {
                one.is_here = self.fetcher.keeps(&one.archives[one.index].digest);
            }
            let lacking = pack(&chosen)?;
            if folder::has(&folder, &lacking, look) {
                return Ok(done(lacking, true, Vec::new()));
            }
        }
        let (paths, errors) = self.obtain(&mut chosen)?;
        let pack = pack(&chosen)?;
        if folder::has(&folder, &pack, look) {
            return Ok(done(pack, true, errors));
        }
        let texts = texts::texts(&folder, &pack, &chosen, &paths, self.fetcher, &self.stop.deadline(None))?;
        let mut archives = BTreeMap::new();
        for ((package, source), archive) in used(&chosen).into_iter().filter(|(_, archive)| archive.is_here) {
            let path = paths[&(package, source)].clone();
            let sha256 = match archive.digest {
                SourceDigest::Sha256(digest) => digest,
                SourceDigest::Sha512(_) => self.fetcher.sha256(&path)?,
            };
            archives.insert(format!("sources/{}", archive.file), (path, sha256));
        }
        folder::write(&folder, &pack, &archives, &texts, &self.store.distfiles())?;
        Ok(done(pack, false, errors))
    }

    /// The archives that the root was built from, as far as that is known; else the first that is here of those that would do.
    fn chosen<'a>(&self, contents: &'a Contents<'_>) -> Vec<Chosen<'a>> {
        let mut chosen = Vec::new();
        let concerned = contents.components.iter().filter(|(_, component)| is_concerned(component));
        for (package, component) in concerned {
            for (source, archives) in component.sources().enumerate() {
                let of_outcome = component.archives.and_then(|known| known.get(source));
                let is_known = |archive: &&Archive| Some(&archive.digest) == of_outcome;
                let archives: Vec<&Archive> = match archives.iter().find(is_known) {
                    Some(archive) => vec![archive],
                    None => archives.iter().collect(),
                };
                let is_kept = |archive: &&Archive| self.fetcher.keeps(&archive.digest);
                let index = archives.iter().position(is_kept).unwrap_or(0);
                let version = &component.recipe.version;
                chosen.push(Chosen { package, version, source, archives, index, is_here: true });
            }
        }
        chosen
    }

    /// What local trees have of the licence texts that recipes name.
    fn local_texts(&self, contents: &Contents<'_>) -> Result<LocalTexts, CliError> {
        let mut texts = LocalTexts::new();
        for (package, component) in &contents.components {
            let Some(over) = component.overridden.filter(|_| component.role != Role::Tool) else { continue };
            let tree = self.store.tree(&over.tree)?;
            let of_package = texts.entry((*package).clone()).or_default();
            for path in component.recipe.license.files.keys() {
                if let Some(blob) = tree.file(path, LARGEST_TEXT) {
                    of_package.insert(path.clone(), self.store.read_blob(&blob)?);
                }
            }
        }
        Ok(texts)
    }

    /// Gets the archives; what cannot be had is marked so.
    fn obtain(&self, chosen: &mut [Chosen<'_>]) -> Result<(Paths, Vec<FetchError>), CliError> {
        let want = |one: &Chosen<'_>| {
            let label = format!("{} {}", one.package, one.version);
            let (before, from) = one.archives.split_at(one.index);
            let archive = |archive: &&Archive| fetch::Archive {
                label: label.clone(),
                urls: archive.urls.clone(),
                digest: archive.digest,
            };
            Want { archives: from.iter().chain(before).map(archive).collect(), label: label.clone() }
        };
        let wants: Vec<Want> = chosen.iter().map(want).collect();
        let printer = Printer::new(self.global, self.store);
        let results = self.fetcher.obtain_all(
            &wants,
            &|event| printer.event(&Event::Fetch(&event)),
            &self.stop.downloads,
        );
        drop(printer);
        if self.stop.is_thrown() {
            return Err(CliError::Stopped);
        }
        let (mut paths, mut errors) = (BTreeMap::new(), Vec::new());
        for (one, result) in chosen.iter_mut().zip(results) {
            match result {
                Ok(Obtained { index, path }) => {
                    one.index = (one.index + index) % one.archives.len();
                    one.is_here = true;
                    paths.insert((one.package.clone(), one.source), path);
                }
                Err(error @ FetchError::Unobtainable { .. }) => {
                    one.is_here = false;
                    errors.push(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok((paths, errors))
    }
}

/// Whether a pack is about a component's own sources.
fn is_concerned(component: &Component<'_>) -> bool {
    component.role != Role::Tool && component.overridden.is_none()
}

/// The archives as the pack has them, under names of their own.
fn used(chosen: &[Chosen<'_>]) -> Used {
    let named = |one: &Chosen<'_>| {
        let archive = one.archives[one.index];
        Named {
            file: archive_file(&archive.urls, one.package.as_str(), one.version.as_str(), one.source),
            package: one.package.to_string(),
            digest: archive.digest.hex(),
        }
    };
    let files = names_apart(&chosen.iter().map(named).collect::<Vec<_>>());
    let entry = |(one, file): (&Chosen<'_>, String)| {
        let archive = one.archives[one.index];
        let used = UsedArchive {
            file,
            digest: archive.digest,
            address: public_address(archive).map(str::to_owned),
            nested: archive.nested.clone(),
            is_here: one.is_here,
        };
        ((one.package.clone(), one.source), used)
    };
    chosen.iter().zip(files).map(entry).collect()
}

/// Where an archive can be had by more than those who have our disk: on the web, or in a distribution's pool.
fn public_address(archive: &Archive) -> Option<&str> {
    let others = archive.urls.iter().map(String::as_str).find(|url| !url.starts_with("file:"));
    archive.web_address().or(others)
}

/// The texts of the recipes that a pack is about.
fn recipe_texts(
    project: &Project,
    contents: &Contents<'_>,
) -> Result<BTreeMap<PackageName, String>, CliError> {
    let concerned = contents.components.iter().filter(|(_, component)| component.role != Role::Tool);
    let text = |(package, _): (&&PackageName, _)| {
        let path = &project.recipe(package)?.path;
        let text = beneath::read_own(path).map_err(io_error("read", path))?;
        Ok(((*package).clone(), text))
    };
    concerned.map(text).collect()
}
