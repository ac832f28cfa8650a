//! [`Fetcher`]: tries every alternative, every URL and every place it stands for, until one gives the right bytes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::cache::{Cache, Kept, Partial};
use super::distfiles::Distfiles;
use super::download::Download;
use super::error::{Attempt, FetchError, UrlError};
use super::http::Http;
use super::locate::{Locator, Place};
use super::{Archive, Event, Obtained, Options, Want};
use base::beneath;
use base::digest::{Sha256, SourceDigest};

/// Fetches archives into a folder, and remembers for the run which hosts do not answer.
///
/// Several threads may use one, and several processes one folder.
pub struct Fetcher {
    options: Options,
    pub(super) cache: Cache,
    distfiles: Distfiles,
    locator: Locator,
    http: Http,
}

impl Fetcher {
    /// A fetcher that keeps archives in the folder `cache`, which is made if need be.
    pub fn new(cache: &Path, mut options: Options) -> Result<Self, FetchError> {
        Ok(Self {
            cache: Cache::open(cache)?,
            distfiles: Distfiles::new(std::mem::take(&mut options.distfiles)),
            locator: Locator::default(),
            http: Http::new(&options)?,
            options,
        })
    }

    /// The archive, if it is here already, in the cache or a `distfiles` folder; its digest has been checked.
    pub fn cached(&self, archive: &Archive) -> Option<PathBuf> {
        self.look_up(&archive.label, archive, &|_| ())
    }

    /// Whether the cache has something under this digest; nobody has looked whether it is that.
    pub fn keeps(&self, digest: &SourceDigest) -> bool {
        self.cache.path(digest).is_file()
    }

    /// The SHA-256 digest of a file, which is read once while it stays the same.
    pub fn sha256(&self, path: &Path) -> Result<Sha256, FetchError> {
        let like = SourceDigest::Sha256(Sha256::of(b""));
        match self.cache.verifier.digest(path, &like) {
            Ok(SourceDigest::Sha256(digest)) => Ok(digest),
            Ok(SourceDigest::Sha512(_)) => unreachable!("it is of the kind that was asked for"),
            Err(source) => Err(FetchError::Cache { path: path.to_owned(), source }),
        }
    }

    /// The first of `archives` that can be had. `events` is told what happens; setting `cancel` ends it soon.
    pub fn obtain(
        &self,
        archives: &[Archive],
        events: &(dyn Fn(Event) + Sync),
        cancel: &AtomicBool,
    ) -> Result<Obtained, FetchError> {
        let label = archives.first().map(|archive| archive.label.as_str()).unwrap_or_default();
        self.obtain_labelled(label, archives, events, cancel)
    }

    /// [`Self::obtain`] for many things, several at once; the results are in the order of `wants`.
    pub fn obtain_all(
        &self,
        wants: &[Want],
        events: &(dyn Fn(Event) + Sync),
        cancel: &AtomicBool,
    ) -> Vec<Result<Obtained, FetchError>> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::with_capacity(wants.len()));
        let work = || {
            while let Some((index, want)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                wants.get(index).map(|want| (index, want))
            } {
                let result = self.obtain_labelled(&want.label, &want.archives, events, cancel);
                results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.options.parallel.clamp(1, wants.len().max(1)) {
                scope.spawn(work);
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn obtain_labelled(
        &self,
        label: &str,
        archives: &[Archive],
        events: &(dyn Fn(Event) + Sync),
        cancel: &AtomicBool,
    ) -> Result<Obtained, FetchError> {
        let found = |index, path: PathBuf| {
            events(Event::Found { label: label.to_owned(), path: path.clone() });
            Obtained { index, path }
        };
        let mut order: Vec<(usize, &Archive)> = archives.iter().enumerate().collect();
        if self.options.last_archive_first {
            order.reverse();
        }
        for &(index, archive) in &order {
            if let Some(path) = self.look_up(label, archive, events) {
                return Ok(found(index, path));
            }
        }
        let mut search = Search::new(self, label, events, cancel);
        // First everything with little patience; then, only if that was not enough, the hosts that were slow.
        for patient in [false, true] {
            if patient && search.slow.is_empty() {
                break;
            }
            for &(index, archive) in &order {
                match search.archive(archive, patient) {
                    Ok(Some(Gained::Downloaded(path))) => return Ok(Obtained { index, path }),
                    Ok(Some(Gained::Elsewhere(path))) => return Ok(found(index, path)),
                    Ok(None) => {}
                    Err(problem) => return Err(search.given_up(&archive.label, problem)),
                }
            }
        }
        Err(search.fruitless(archives.iter().map(|archive| archive.digest).collect()))
    }

    /// The first archive that one of `urls` gives, whatever its bytes, and its digest, of the kind of `like`: for who wants to
    /// know the digest of a new archive. Nobody vouches for it.
    pub fn discover(
        &self,
        label: &str,
        urls: &[String],
        like: &SourceDigest,
        events: &(dyn Fn(Event) + Sync),
        cancel: &AtomicBool,
    ) -> Result<(PathBuf, SourceDigest), FetchError> {
        let mut search = Search::new(self, label, events, cancel);
        for patient in [false, true] {
            if patient && search.slow.is_empty() {
                break;
            }
            let found =
                self.cache.unknown(like).and_then(|mut partial| search.urls(urls, &mut partial, patient));
            match found {
                Ok(Some(path)) => {
                    let digest = self.cache.verifier.digest(&path, like);
                    let digest = digest.map_err(|source| FetchError::Cache { path: path.clone(), source })?;
                    return Ok((path, digest));
                }
                Ok(None) => {}
                Err(problem) => return Err(search.given_up(label, problem)),
            }
        }
        Err(search.fruitless(Vec::new()))
    }

    /// What says which versions of something there are, and where: the page at an `https:` URL; for a file in a distribution's
    /// pool, in a package index or here, what says what lies beside it.
    pub fn listing(
        &self,
        label: &str,
        url: &str,
        cancel: &AtomicBool,
    ) -> Result<(String, String), FetchError> {
        let mut search = Search::new(self, label, &|_| (), cancel);
        let places = match self.locator.places(url, &self.options) {
            Ok(places) if url.starts_with("http") => places,
            Ok(places) => places.into_iter().map(Place::folder).collect(),
            Err(problem) => {
                search.failed(url.to_owned(), problem, false);
                Vec::new()
            }
        };
        for patient in [false, true] {
            if patient && search.slow.is_empty() {
                break;
            }
            for place in &places {
                let shown = place.shown(url);
                if patient && !search.slow.contains(&shown) {
                    continue;
                }
                match search.listing(place, patient) {
                    Ok(text) => return Ok((shown, text)),
                    Err(problem @ UrlError::Cancelled) => return Err(search.given_up(url, problem)),
                    Err(problem) => search.failed(shown, problem, patient),
                }
            }
        }
        Err(FetchError::NoListing { label: label.to_owned(), attempts: search.attempts })
    }

    fn look_up(&self, label: &str, archive: &Archive, events: &dyn Fn(Event)) -> Option<PathBuf> {
        match self.cache.look_up(&archive.digest) {
            Kept::Verified(path) => return Some(path),
            Kept::Damaged(path) => events(Event::Damaged { label: label.to_owned(), path }),
            Kept::Nothing => {}
        }
        self.distfiles.find(&archive.digest, &archive.urls, &self.cache.verifier)
    }
}

enum Gained {
    Downloaded(PathBuf),
    /// Another thread or process was faster.
    Elsewhere(PathBuf),
}

/// One want on its way through all its URLs.
struct Search<'a> {
    fetcher: &'a Fetcher,
    label: &'a str,
    events: &'a (dyn Fn(Event) + Sync),
    cancel: &'a AtomicBool,
    attempts: Vec<Attempt>,
    /// The places whose hosts did not answer in the short time, as they are shown.
    slow: BTreeSet<String>,
}

impl<'a> Search<'a> {
    fn new(
        fetcher: &'a Fetcher,
        label: &'a str,
        events: &'a (dyn Fn(Event) + Sync),
        cancel: &'a AtomicBool,
    ) -> Self {
        Self { fetcher, label, events, cancel, attempts: Vec::new(), slow: BTreeSet::new() }
    }

    /// Nothing worked.
    fn fruitless(self, digests: Vec<SourceDigest>) -> FetchError {
        FetchError::Unobtainable {
            label: self.label.to_owned(),
            digests,
            attempts: self.attempts,
            offline: self.fetcher.options.offline,
        }
    }

    /// `problem` makes going on pointless.
    fn given_up(mut self, url: &str, problem: UrlError) -> FetchError {
        match problem {
            UrlError::Cancelled => FetchError::Cancelled { label: self.label.to_owned() },
            UrlError::Cache { path, source } => FetchError::Cache { path, source },
            problem => {
                self.attempts.push(Attempt { url: url.to_owned(), problem });
                self.fruitless(Vec::new())
            }
        }
    }

    /// Tries one archive's URLs. `Ok(None)` when none worked; an error only for what makes going on pointless.
    fn archive(&mut self, archive: &Archive, patient: bool) -> Result<Option<Gained>, UrlError> {
        let cache = &self.fetcher.cache;
        let waiting = || (self.events)(Event::Waiting { label: self.label.to_owned() });
        let mut partial = loop {
            match cache.partial(&archive.digest, self.cancel, &waiting)? {
                Some(partial) => break partial,
                None => {
                    if let Kept::Verified(path) = cache.look_up(&archive.digest) {
                        return Ok(Some(Gained::Elsewhere(path)));
                    }
                }
            }
        };
        self.urls(&archive.urls, &mut partial, patient).map(|path| path.map(Gained::Downloaded))
    }

    /// Tries the URLs of one archive.
    fn urls(
        &mut self,
        urls: &[String],
        partial: &mut Partial<'_>,
        patient: bool,
    ) -> Result<Option<PathBuf>, UrlError> {
        for url in urls {
            let places = match self.fetcher.locator.places(url, &self.fetcher.options) {
                Ok(places) => places,
                Err(_) if patient => continue,
                Err(problem) => {
                    self.failed(url.clone(), problem, patient);
                    continue;
                }
            };
            for place in places {
                let shown = place.shown(url);
                if patient && !self.slow.contains(&shown) {
                    continue;
                }
                match self.place(&place, partial, patient) {
                    Ok(path) => return Ok(Some(path)),
                    Err(problem @ (UrlError::Cancelled | UrlError::Cache { .. })) => return Err(problem),
                    Err(problem) => self.failed(shown, problem, patient),
                }
            }
        }
        Ok(None)
    }

    fn place(&self, place: &Place, partial: &mut Partial<'_>, patient: bool) -> Result<PathBuf, UrlError> {
        if let Place::File(path) = place {
            return self.copy(path, partial);
        }
        let download = self.download(patient)?;
        download.archive(&place.remote(&download)?, partial)
    }

    fn download(&self, patient: bool) -> Result<Download<'_>, UrlError> {
        if self.fetcher.options.offline {
            return Err(UrlError::Offline);
        }
        Ok(Download {
            http: &self.fetcher.http,
            options: &self.fetcher.options,
            label: self.label,
            events: self.events,
            cancel: self.cancel,
            patient,
        })
    }

    /// What a place says of the files in it.
    fn listing(&self, place: &Place, patient: bool) -> Result<String, UrlError> {
        if let Place::File(folder) = place {
            let failed = |source| UrlError::Io { path: folder.to_owned(), source };
            let mut names = String::new();
            for entry in fs::read_dir(folder).map_err(failed)? {
                names += &entry.map_err(failed)?.file_name().to_string_lossy();
                names.push('\n');
            }
            return Ok(names);
        }
        let page = match place {
            Place::Remote(page) | Place::Listed { page, .. } => page,
            Place::File(_) => unreachable!("it is here"),
        };
        Ok(self.download(patient)?.page(page, "*/*")?.1)
    }

    /// A `file:` URL: copied, so that what was verified is what stays.
    fn copy(&self, path: &Path, partial: &mut Partial<'_>) -> Result<PathBuf, UrlError> {
        use std::io::Read as _;

        let failed = |source| UrlError::Io { path: path.to_owned(), source };
        let mut file = beneath::open_named(path).map_err(failed)?;
        partial.restart()?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(UrlError::Cancelled);
            }
            match file.read(&mut buffer).map_err(failed)? {
                0 => break,
                count => partial.write(&buffer[..count])?,
            }
            if partial.bytes() > self.fetcher.options.size_limit {
                partial.restart()?;
                return Err(UrlError::TooLarge { limit: self.fetcher.options.size_limit });
            }
        }
        let bytes = partial.bytes();
        let kept = partial.finish()?;
        (self.events)(Event::Finished {
            label: self.label.to_owned(),
            url: format!("file://{}", path.display()),
            bytes,
            path: kept.clone(),
        });
        Ok(kept)
    }

    fn failed(&mut self, url: String, problem: UrlError, patient: bool) {
        (self.events)(Event::Failed {
            label: self.label.to_owned(),
            url: url.clone(),
            reason: problem.explained(),
        });
        if problem.is_slow_host() && !patient {
            self.slow.insert(url.clone());
        }
        // The second chance's answer replaces the first one's.
        match self.attempts.iter_mut().find(|attempt| attempt.url == url) {
            Some(attempt) if patient => attempt.problem = problem,
            _ => self.attempts.push(Attempt { url, problem }),
        }
    }
}
