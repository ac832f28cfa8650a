//! The sources of a plan: got into the cache, collected in a folder, and what such a folder lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::args::{Global, Selection, Sources, ToolchainChoice};
use super::error::CliError;
use super::means;
use super::place::{Placed, digest_of, io_error, place, remove_if_there};
use super::printer::{Printer, bytes};
use super::project::Planned;
use super::whole;
use base::beneath;
use base::digest::SourceDigest;
use execute::{Event, wanted};
use fetch::{Archive, FetchError, Fetcher, Lock, LockedArchive, Obtained, Want, file_name};
use model::recipe::web_address;
use store::Store;

/// The archives that would each do for every source of a package, by its name and version: it is the same for every machine.
pub(super) type Wanted = BTreeMap<(String, String), Vec<Vec<Archive>>>;

/// What a build of `planned` needs; a package that comes from a local tree needs nothing.
pub(super) fn all_wanted(planned: &Planned) -> Wanted {
    let of_action = |action: &model::plan::Action| {
        ((action.unit().package.to_string(), action.shown_version().to_owned()), wanted(action))
    };
    planned.plan.actions().iter().map(of_action).collect()
}

/// What was got of the sources of a plan.
pub(super) struct Collected {
    /// What could be had, in the order of a lock, each with where it lies.
    pub(super) archives: Vec<(LockedArchive, PathBuf)>,
    /// What could not, by the package and its version, and why.
    pub(super) missing: Vec<(String, FetchError)>,
}

/// Gets every archive that a build of `planned` needs, from wherever `sources` says.
pub(super) fn collect(
    global: &Global,
    sources: &Sources,
    store: &Store,
    planned: &Planned,
) -> Result<Collected, CliError> {
    let mut asked = Vec::new();
    let mut wants = Vec::new();
    for ((name, version), sources) in all_wanted(planned) {
        for (source, archives) in sources.into_iter().enumerate() {
            asked.push((name.clone(), version.clone(), source));
            wants.push(Want { label: format!("{name} {version}"), archives });
        }
    }
    let fetcher = means::fetcher(sources, store)?;
    let stop = means::stop();
    let printer = Printer::new(global, store);
    let results = fetcher.obtain_all(&wants, &|event| printer.event(&Event::Fetch(&event)), &stop.downloads);
    drop(printer);
    if stop.is_thrown() {
        return Err(CliError::Stopped);
    }
    let (mut archives, mut paths, mut missing) = (Vec::new(), BTreeMap::new(), Vec::new());
    for (((name, version, source), want), result) in asked.into_iter().zip(wants).zip(results) {
        match result {
            Ok(Obtained { index, path }) => {
                paths.insert((name.clone(), source), path.clone());
                let archive = &want.archives[index];
                archives.push(locked(&fetcher, (name, version, source), archive, &path)?);
            }
            Err(error) => missing.push((want.label, error)),
        }
    }
    let with_path = |archive: LockedArchive| {
        let path = paths.remove(&(archive.name.clone(), archive.source)).unwrap_or_default();
        (archive, path)
    };
    Ok(Collected { archives: Lock::new(archives).archives.into_iter().map(with_path).collect(), missing })
}

/// What an archive is called where it lies beside others: as those call it who have it, or by what it is a source of.
pub(super) fn archive_file(urls: &[String], package: &str, version: &str, source: usize) -> String {
    let best_first = web_address(urls).into_iter().chain(urls.iter().map(String::as_str));
    file_name(best_first).unwrap_or_else(|| format!("{package}-{version}-{source}"))
}

fn locked(
    fetcher: &Fetcher,
    (name, version, source): (String, String, usize),
    archive: &Archive,
    path: &Path,
) -> Result<LockedArchive, CliError> {
    let sha256 = match archive.digest {
        SourceDigest::Sha256(digest) => digest,
        SourceDigest::Sha512(_) => fetcher.sha256(path)?,
    };
    let metadata = fs::metadata(path).map_err(io_error("read", path))?;
    Ok(LockedArchive {
        url: web_address(&archive.urls).map(str::to_owned),
        file: archive_file(&archive.urls, &name, &version, source),
        name,
        version,
        source,
        sha256,
        size: metadata.len(),
    })
}

impl Collected {
    /// Puts the archives into `folder` under the names of the lock, which is written last, and only if nothing is missing. What
    /// is there already stays, and whatever else lies there is left alone. Returns where each archive lies now.
    pub(super) fn put_into(
        &self,
        global: &Global,
        folder: &Path,
    ) -> Result<Vec<(&LockedArchive, PathBuf)>, CliError> {
        let lock_file = folder.join(Lock::FILE);
        fs::create_dir_all(folder).map_err(io_error("make", folder))?;
        let mut new = BTreeMap::new();
        let mut others = Vec::new();
        for (archive, path) in &self.archives {
            let dest = folder.join(&archive.file);
            match digest_of(&dest) {
                Ok(found) if found == archive.sha256 => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    new.insert(&archive.file, (archive, path));
                }
                Err(error) if error.kind() != io::ErrorKind::InvalidInput => {
                    return Err(io_error("read", &dest)(error));
                }
                Ok(_) | Err(_) => others.push(dest),
            }
        }
        if !others.is_empty() {
            return Err(CliError::OtherBytes { files: others });
        }
        // Until all is there, no list may say so; an earlier one may be of something else.
        remove_if_there(&lock_file)?;
        for (archive, path) in new.values() {
            place(path, &folder.join(&archive.file), archive.sha256, Placed::Own)?;
        }
        self.say_what_else_is_there(global, folder)?;
        let size: u64 = self.archives.iter().map(|(archive, _)| archive.size).sum();
        global.say(&format!(
            "archives in `{}`: {}, {} new, {}",
            folder.display(),
            self.archives.len(),
            new.len(),
            bytes(size)
        ));
        if self.missing.is_empty() {
            let archives = self.archives.iter().map(|(archive, _)| archive.clone()).collect();
            whole::replace(&lock_file, &Lock { archives }.text())?;
        }
        let here = |(archive, _): &'_ (LockedArchive, PathBuf)| folder.join(&archive.file);
        Ok(self.archives.iter().map(|one| (&one.0, here(one))).collect())
    }

    fn say_what_else_is_there(&self, global: &Global, folder: &Path) -> Result<(), CliError> {
        let ours: BTreeSet<&str> =
            self.archives.iter().map(|(archive, _)| archive.file.as_str()).chain([Lock::FILE]).collect();
        let mut foreign = Vec::new();
        for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
            let name = entry.map_err(io_error("list", folder))?.file_name();
            if !name.to_str().is_some_and(|name| ours.contains(name)) {
                foreign.push(name.to_string_lossy().into_owned());
            }
        }
        if !foreign.is_empty() {
            foreign.sort();
            let (count, folder) = (foreign.len(), folder.display());
            let more = if count > SHOWN { format!(" and {} more", count - SHOWN) } else { String::new() };
            foreign.truncate(SHOWN);
            global.say(&format!("note: left alone in `{folder}`, not needed: {}{more}", foreign.join(", ")));
        }
        Ok(())
    }
}

/// How many foreign files are named.
const SHOWN: usize = 8;

/// What of the folders that were collected for builds without a network is missing, where `errors` say what could not be had,
/// and the command that collects it: lines for people.
pub(super) fn lacks(
    global: &Global,
    selection: &Selection,
    distfiles: &[PathBuf],
    errors: &[&FetchError],
) -> Vec<String> {
    let mut lines = Vec::new();
    for folder in distfiles {
        let path = folder.join(Lock::FILE);
        let Ok(text) = beneath::read_named_to_string(&path) else { continue };
        let shown = path.display();
        let lock = Lock::parse(&text);
        if let Err(error) = &lock {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            lines.push(format!("`{shown}` cannot be used: {error}{}", cause.unwrap_or_default()));
        }
        for error in errors {
            let Ok(lock) = &lock else { break };
            let FetchError::Unobtainable { label, digests, .. } = error else { continue };
            let of_label = |archive: &&LockedArchive| {
                let LockedArchive { name, version, sha256, .. } = archive;
                // In a recipe it may have another kind of digest.
                let same =
                    |digest: &SourceDigest| !matches!(digest, SourceDigest::Sha256(other) if other != sha256);
                format!("{name} {version}") == *label && digests.iter().any(same)
            };
            lines.push(match lock.archives.iter().find(of_label) {
                Some(archive) => {
                    let there = folder.join(&archive.file).exists();
                    let what = if there { "has other bytes" } else { "is not there" };
                    format!("{label} is missing: `{}`, which `{shown}` lists, {what}", archive.file)
                }
                None => format!("{label} is missing: `{shown}` does not list it as the recipe has it"),
            });
        }
        if !lines.is_empty() {
            let command = collecting(global, selection, folder);
            lines.push(format!("where there is a network, `{command}` collects what is missing"));
        }
    }
    lines
}

/// The command that collects the archives of a selection in `folder`.
fn collecting(global: &Global, selection: &Selection, folder: &Path) -> String {
    let Selection { arch, packages, overrides, compiler } = selection;
    let mut words = vec!["k3sroot".to_owned(), "fetch".to_owned(), "--arch".to_owned(), arch.join(",")];
    if compiler.toolchain == ToolchainChoice::Host {
        words.extend(["--toolchain".to_owned(), "host".to_owned()]);
    }
    words.extend(compiler.cross_prefix.iter().map(|prefix| format!("--cross-prefix={prefix}")));
    words.extend(overrides.iter().map(|over| format!("--override={over}")));
    words.extend(global.recipes.iter().map(|recipes| format!("--recipes={}", recipes.display())));
    words.extend(["--out".to_owned(), folder.display().to_string()]);
    words.extend(packages.iter().cloned());
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+@=,:".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_apart() {
        assert_eq!(quoted("--arch=amd64,arm64"), "--arch=amd64,arm64");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
