//! Watches a run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::record::{Download, FailureRecord, PhaseRecord, Record, Span, State, TarballRecord, UnitRecord};
use base::name::Unit;
use execute::{Event, Failure, How, Report, log_end};
use model::plan::{Action, Plan};
use store::{Entry, Store, Tree};

/// How much of a failed build's log is kept, in bytes.
const LOG_END: u64 = 64 << 10;

/// Takes the times of what happens, from any thread.
pub struct Recorder {
    began: Instant,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    spans: BTreeMap<Unit, (f64, Option<f64>)>,
    phases: BTreeMap<Unit, Vec<PhaseRecord>>,
    downloading: BTreeMap<String, f64>,
    downloads: Vec<Download>,
    /// When something last happened.
    last: f64,
}

/// What is known when a run is over.
pub struct Ending<'a> {
    /// What the run is called.
    pub id: String,
    /// The command line.
    pub words: Vec<String>,
    /// What ended it, if it did not come to its end.
    pub error: Option<String>,
    /// How many processes were allowed at once.
    pub jobs: usize,
    /// What was to be done.
    pub plan: &'a Plan,
    /// What was done.
    pub report: &'a Report,
    /// Where the outcomes are.
    pub store: &'a Store,
    /// What was written.
    pub tarballs: Vec<TarballRecord>,
    /// How a failure is shown.
    pub show: &'a dyn Fn(&Failure) -> String,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { began: Instant::now(), seen: Mutex::default() }
    }
}

impl Recorder {
    /// Takes note of one event.
    pub fn event(&self, event: &Event<'_>) {
        let now = self.began.elapsed().as_secs_f64();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.last = now;
        match event {
            Event::Started { unit, .. } => {
                seen.spans.insert((*unit).clone(), (now, None));
            }
            Event::Phase { unit, phase } => {
                let phase = PhaseRecord { name: (*phase).to_owned(), from: now };
                seen.phases.entry((*unit).clone()).or_default().push(phase);
            }
            Event::Done { unit, how: How::Built { .. } } | Event::Failed { unit, .. } => {
                if let Some((_, end)) = seen.spans.get_mut(*unit) {
                    *end = Some(now);
                }
            }
            // Another k3sroot was faster, or its needs came out the same: it was not at work here.
            Event::Done { unit, .. } => {
                seen.spans.remove(*unit);
            }
            Event::Fetch(fetch::Event::Started { label, .. }) => {
                seen.downloading.insert(label.clone(), now);
            }
            Event::Fetch(fetch::Event::Finished { label, bytes, .. }) => {
                let span = Span { from: seen.downloading.remove(label).unwrap_or(now), to: now };
                seen.downloads.push(Download { label: label.clone(), span, bytes: *bytes });
            }
            Event::Fetch(_) | Event::Pending { .. } | Event::WaitingForOther(_) => {}
        }
    }

    /// The record of the run, which is over.
    pub fn finish(self, ending: Ending<'_>) -> Record {
        let seconds = self.began.elapsed().as_secs_f64();
        let mut seen = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        let units = ending.plan.actions().iter().map(|action| unit(action, &mut seen, &ending));
        Record {
            units: units.collect(),
            id: ending.id,
            k3sroot: env!("CARGO_PKG_VERSION").to_owned(),
            words: ending.words,
            error: ending.error,
            seconds,
            jobs: ending.jobs,
            saved: ending.report.saved(ending.plan, &ending.store.durations()),
            downloads: seen.downloads,
            tarballs: ending.tarballs,
        }
    }
}

fn unit(action: &Action, seen: &mut Seen, ending: &Ending<'_>) -> UnitRecord {
    let (unit, report) = (action.unit(), ending.report);
    let outcome = report.outcomes.get(unit);
    let failure = report.failures.iter().find(|failure| failure.unit == *unit);
    let blocked_by = report.blocked.get(unit).cloned();
    let over = seen.last;
    let span = seen.spans.remove(unit).map(|(from, to)| Span { from, to: to.unwrap_or(over) });
    let state = match (outcome, failure, &blocked_by) {
        (Some((_, How::Built { .. })), ..) => State::Built,
        (Some((_, How::Cached)), ..) => State::Cached,
        (Some((_, How::CutOff)), ..) => State::CutOff,
        (None, Some(_), _) => State::Failed,
        (None, None, Some(_)) => State::Blocked,
        (None, None, None) if span.is_some() => State::Stopped,
        (None, None, None) => State::Idle,
    };
    // A listing that cannot be read is found by whoever needs it; here it is but two figures.
    let tree = outcome.and_then(|(outcome, _)| ending.store.tree(&outcome.tree).ok());
    let files =
        |tree: &Tree| tree.entries().values().filter(|entry| matches!(entry, Entry::File { .. })).count();
    UnitRecord {
        unit: unit.clone(),
        version: action.shown_version().to_owned(),
        state,
        phases: seen.phases.remove(unit).filter(|_| span.is_some()).unwrap_or_default(),
        span,
        cpu_seconds: outcome.map(|(outcome, _)| outcome.cpu_seconds),
        files: tree.as_ref().map(|tree| files(tree) as u64),
        bytes: tree.as_ref().map(Tree::size),
        needs: action.tools().keys().chain(action.sysroot().keys()).cloned().collect(),
        failure: failure.map(|failure| FailureRecord {
            text: (ending.show)(failure),
            // A log that cannot be read any more is not what failed.
            log: failure.log.as_deref().and_then(|path| log_end(path, LOG_END).ok()),
        }),
        blocked_by,
    }
}
