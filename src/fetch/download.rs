//! One URL into one partial file: resuming, retrying, and checking what came.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::{StatusCode, Url};

use super::cache::Partial;
use super::error::UrlError;
use super::http::Http;
use super::http::without_password;
use super::{Event, Options};

/// How often a URL is tried without getting anywhere.
const TRIES: u32 = 3;
/// How often a URL is tried altogether, when each try brings a bit more.
const RESUMES: u32 = 20;
/// How often progress is told.
const TELL: Duration = Duration::from_millis(100);

/// Everything that a download needs beside the URL.
pub(super) struct Download<'a> {
    pub(super) http: &'a Http,
    pub(super) options: &'a Options,
    pub(super) label: &'a str,
    pub(super) events: &'a (dyn Fn(Event) + Sync),
    pub(super) cancel: &'a AtomicBool,
    pub(super) patient: bool,
}

impl Download<'_> {
    /// Downloads `url` into `partial`; returns the verified file in the cache.
    pub(super) fn archive(&self, url: &Url, partial: &mut Partial<'_>) -> Result<PathBuf, UrlError> {
        loop {
            let resumed = partial.bytes() > 0;
            self.retrying(url, || {
                let before = partial.bytes();
                self.try_once(url, partial).map_err(|error| (error, partial.bytes() > before))
            })?;
            let bytes = partial.bytes();
            match partial.finish() {
                Ok(path) => {
                    let label = self.label.to_owned();
                    (self.events)(Event::Finished {
                        label,
                        url: without_password(url),
                        bytes,
                        path: path.clone(),
                    });
                    return Ok(path);
                }
                // What an earlier download left may have been the wrong part.
                Err(UrlError::Wrong { .. }) if resumed => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The text of a small page, and where it came from in the end.
    pub(super) fn page(&self, url: &Url, accept: &'static str) -> Result<(Url, String), UrlError> {
        let limit = self.options.size_limit.min(64 << 20);
        self.retrying(url, || {
            self.http.text(url, accept, self.patient, limit, self.cancel).map_err(|error| (error, false))
        })
    }

    /// Repeats `attempt` while its errors may pass. Beside an error it says whether it got any further.
    fn retrying<T>(
        &self,
        url: &Url,
        mut attempt: impl FnMut() -> Result<T, (UrlError, bool)>,
    ) -> Result<T, UrlError> {
        let (mut fruitless, mut wait) = (0, self.options.retry_delay);
        for round in 1.. {
            let (error, further) = match attempt() {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            if further {
                (fruitless, wait) = (0, self.options.retry_delay);
            }
            fruitless += 1;
            if !error.is_transient() || fruitless >= TRIES || round >= RESUMES {
                return Err(error);
            }
            let mut pause = wait;
            if let UrlError::Status { retry_after: Some(seconds), .. } = error {
                pause = Duration::from_secs(seconds);
                if pause > self.options.longest_retry_after {
                    return Err(error);
                }
            }
            (self.events)(Event::Retried {
                label: self.label.to_owned(),
                url: without_password(url),
                reason: error.explained(),
                wait: pause,
            });
            self.pause(pause)?;
            wait *= 2;
        }
        unreachable!("the rounds end in an answer or an error")
    }

    fn pause(&self, length: Duration) -> Result<(), UrlError> {
        let start = Instant::now();
        while start.elapsed() < length {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(UrlError::Cancelled);
            }
            thread::sleep(Duration::from_millis(20).min(length));
        }
        Ok(())
    }

    fn try_once(&self, url: &Url, partial: &mut Partial<'_>) -> Result<(), UrlError> {
        partial.begin()?;
        let mut from = partial.bytes();
        let (mut head, mut transfer) = self.http.get(url, from, None, self.patient, self.cancel)?;
        if head.status == StatusCode::RANGE_NOT_SATISFIABLE {
            // All there is is here already, or it was of another file: the digest tells.
            if from == 0 {
                return Err(UrlError::Status { code: head.status.as_u16(), retry_after: None });
            }
            drop(transfer);
            partial.restart()?;
            from = 0;
            (head, transfer) = self.http.get(url, from, None, self.patient, self.cancel)?;
        }
        if from > 0 && !(head.status == StatusCode::PARTIAL_CONTENT && head.start == Some(from)) {
            if head.status == StatusCode::PARTIAL_CONTENT {
                drop(transfer);
                partial.restart()?;
                return self.try_once(url, partial);
            }
            // A server that does not do ranges sends the whole file.
            partial.restart()?;
            from = 0;
        }
        let limit = self.options.size_limit;
        let total = head.length.map(|length| from.saturating_add(length));
        if total.is_some_and(|total| total > limit) {
            return Err(UrlError::TooLarge { limit });
        }
        let label = self.label.to_owned();
        (self.events)(Event::Started { label, url: without_password(url), total, resumed: from });
        let mut told = Instant::now();
        while let Some(chunk) = transfer.chunk()? {
            partial.write(&chunk)?;
            if partial.bytes() > limit {
                partial.restart()?;
                return Err(UrlError::TooLarge { limit });
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                (self.events)(Event::Progress { label: self.label.to_owned(), bytes: partial.bytes() });
            }
        }
        Ok(())
    }
}
