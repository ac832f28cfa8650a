//! What is known about hosts in this run: who answers, who does not, and how many downloads each serves right now.
//!
//! A host that cannot be reached is asked once: while the first visitor waits for an answer the others wait for the
//! first, and once it has failed they fail at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::UrlError;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Verdict {
    #[default]
    Unknown,
    Answers,
    /// It took longer than the short connect timeout; the patient one has not been tried.
    Slow,
    Dead,
}

#[derive(Debug, Default)]
struct Host {
    visitors: usize,
    verdict: Verdict,
}

/// The hosts of one run.
#[derive(Debug)]
pub(super) struct Hosts {
    per_host: usize,
    known: Mutex<BTreeMap<String, Host>>,
    changed: Condvar,
}

impl Hosts {
    pub(super) fn new(per_host: usize) -> Self {
        Self { per_host: per_host.max(1), known: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for a place at `host`. With `patient` a host that was merely slow is asked again.
    pub(super) fn visit(
        &self,
        host: &str,
        patient: bool,
        cancel: &AtomicBool,
    ) -> Result<Visit<'_>, UrlError> {
        let mut hosts = self.lock();
        loop {
            if cancel.load(Ordering::Relaxed) {
                return Err(UrlError::Cancelled);
            }
            let entry = hosts.entry(host.to_owned()).or_default();
            let places = match entry.verdict {
                Verdict::Answers => self.per_host,
                Verdict::Unknown => 1,
                Verdict::Slow if patient => 1,
                Verdict::Slow => return Err(UrlError::DeadHost { host: host.to_owned(), slow: true }),
                Verdict::Dead => return Err(UrlError::DeadHost { host: host.to_owned(), slow: false }),
            };
            if entry.visitors < places {
                entry.visitors += 1;
                return Ok(Visit { hosts: self, host: host.to_owned() });
            }
            let waited = self.changed.wait_timeout(hosts, Duration::from_millis(100));
            hosts = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place at a host, given back when dropped.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    hosts: &'a Hosts,
    host: String,
}

impl Visit<'_> {
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn answered(&self) {
        self.judge(Verdict::Answers);
    }

    pub(super) fn was_slow(&self, patient: bool) {
        self.judge(if patient { Verdict::Dead } else { Verdict::Slow });
    }

    pub(super) fn failed(&self) {
        self.judge(Verdict::Dead);
    }

    fn judge(&self, verdict: Verdict) {
        if let Some(host) = self.hosts.lock().get_mut(&self.host) {
            // A host that has answered in this run is alive, whatever one connection says.
            if host.verdict != Verdict::Answers {
                host.verdict = verdict;
            }
        }
        self.hosts.changed.notify_all();
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if let Some(host) = self.hosts.lock().get_mut(&self.host) {
            host.visitors -= 1;
        }
        self.hosts.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_host_is_asked_once_and_a_slow_one_twice() {
        let (hosts, cancel) = (Hosts::new(2), AtomicBool::new(false));
        hosts.visit("a:1", false, &cancel).unwrap().failed();
        assert!(matches!(hosts.visit("a:1", true, &cancel), Err(UrlError::DeadHost { slow: false, .. })));
        hosts.visit("b:1", false, &cancel).unwrap().was_slow(false);
        assert!(hosts.visit("b:1", false, &cancel).unwrap_err().is_slow_host());
        hosts.visit("b:1", true, &cancel).unwrap().was_slow(true);
        assert!(!hosts.visit("b:1", true, &cancel).unwrap_err().is_slow_host());
    }

    #[test]
    fn places_are_counted_and_waiting_ends_when_cancelled() {
        let (hosts, cancel) = (Hosts::new(2), AtomicBool::new(false));
        let first = hosts.visit("a:1", false, &cancel).unwrap();
        first.answered();
        let second = hosts.visit("a:1", false, &cancel).unwrap();
        cancel.store(true, Ordering::Relaxed);
        assert!(matches!(hosts.visit("a:1", false, &cancel), Err(UrlError::Cancelled)));
        cancel.store(false, Ordering::Relaxed);
        drop(second);
        hosts.visit("a:1", false, &cancel).unwrap();
    }
}
