//! Turns a plan into outcomes: what the store has is taken from it, what is missing is built, as many units at once
//! as the machine has cores.
//!
//! A plan and the means (store, fetcher, sandbox) go in, a [`Report`] comes out; on the way, [`Event`]s say what
//! happens. `schedule` decides what runs next, `work` runs one action, `jobserver` shares the cores.

mod borrowed;
mod compiler;
mod error;
mod event;
mod jobserver;
mod machine;
mod open;
mod run;
mod schedule;
mod symbols;
mod why;
mod work;
mod workdir;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Add as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base::deadline::Deadline;
use base::digest::TreeDigest;
use base::name::{ArchName, Unit};
use fetch::{FetchError, Fetcher, Obtained};
use model::plan::{Action, Plan, ResolveError};
use model::recipe::Archive;
use sandbox::{Cancel, Sandbox};
use store::{Outcome, OutcomeKey, Store, StoreError, Took};

pub use compiler::HostCompiler;
pub use error::{ActionError, CompilerError, Failure, is_disk_full};
pub use event::{Event, How};
pub use machine::{MachineError, identities, identity, key};
pub use open::Opened;
pub use why::{Answer, Last, Verdict, describe, why};
pub use workdir::{Kept, WorkDir, log_end, log_path};

use jobserver::{Jobserver, Limit};
use machine::machine_of;
use run::{Message, Run};
use schedule::Schedule;

/// How many sources are fetched at once.
const FETCHES: usize = 4;

/// How often the machine's load is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How to run a plan.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many processes may run at once.
    pub jobs: usize,
    /// Whether to go on with what does not depend on a unit that failed.
    pub keep_going: bool,
    /// How long one command may take, and each step of k3sroot's own: unpacking and patching, hashing and storing.
    pub timeout: Option<Duration>,
    /// How many bytes of memory one process of a build may use.
    pub memory: Option<u64>,
    /// How many bytes one source may unpack to.
    pub source: u64,
    /// How many bytes one build may leave, and one file of it may have while it runs.
    pub output: u64,
    /// The machine's load average above which tokens of the jobserver are held back.
    pub load: Option<f64>,
}

/// Raised when a run could not be carried out at all; a unit that fails is a [`Failure`] in the report instead.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The build machine could not be told from others.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// What a unit needs is not known: a mistake in k3sroot.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The jobserver failed.
    #[error("the jobserver failed")]
    Jobserver(#[source] io::Error),
    /// The build machine's programs could not be linked.
    #[error("cannot link the programs of the build machine")]
    Borrowed(#[source] io::Error),
    /// Units wait and nothing will ever start them: a mistake in k3sroot.
    #[error(
        "nothing can start although {waiting} units wait: this is a mistake in k3sroot, please report it"
    )]
    Stuck {
        /// How many.
        waiting: usize,
    },
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Report {
    /// What tools that are made here are kept under, those of this run first; see [`identities`].
    pub machines: Vec<String>,
    /// Outcomes of the units that were looked at, with how each was had.
    pub outcomes: BTreeMap<Unit, (Outcome, How)>,
    /// Units that failed.
    pub failures: Vec<Failure>,
    /// Units that could not be built because of a failed one, with that one.
    pub blocked: BTreeMap<Unit, Unit>,
    /// Whether the run was stopped from outside.
    pub cancelled: bool,
}

impl Report {
    /// Processor time, in seconds, of the builds that this run of `plan` found done: what it took from the store, and what
    /// that would have needed, of which `durations` tell.
    pub fn saved(&self, plan: &Plan, durations: &BTreeMap<String, Took>) -> f64 {
        let found = self.outcomes.iter().filter(|(_, (_, how))| !matches!(how, How::Built { .. }));
        let mut saved = found.clone().map(|(_, (outcome, _))| outcome.cpu_seconds).fold(0.0, f64::add);
        let (mut next, mut seen): (Vec<&Unit>, BTreeSet<&Unit>) =
            (found.map(|(unit, _)| unit).collect(), BTreeSet::new());
        while let Some(unit) = next.pop() {
            for input in schedule::inputs(plan, unit) {
                let was_looked_at = self.outcomes.contains_key(input)
                    || self.blocked.contains_key(input)
                    || self.failures.iter().any(|failure| failure.unit == *input);
                if !was_looked_at && seen.insert(input) {
                    saved += durations.get(&input.to_string()).map_or(0.0, |took| took.cpu_seconds);
                    next.push(input);
                }
            }
        }
        saved
    }
}

/// The means of a run.
pub struct Executor<'a> {
    /// Where outcomes are kept.
    pub store: &'a Store,
    /// Where sources come from.
    pub fetcher: &'a Fetcher,
    /// Where commands run.
    pub sandbox: &'a Sandbox,
    /// The compilers of the build machine that the plan names, by the arch that they are for.
    pub compilers: &'a BTreeMap<ArchName, HostCompiler>,
    /// How to run.
    pub options: Options,
    /// Stops the run.
    pub stop: &'a Stop,
}

/// A switch that ends a run from outside: whatever runs is killed, whatever is fetched is left.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Ends processes.
    pub processes: Cancel,
    /// Ends downloads, and what k3sroot does itself.
    pub downloads: Arc<AtomicBool>,
    /// How many other processes end by themselves once they are told, and are waited for.
    others: Arc<AtomicUsize>,
}

/// Held while another process is waited for that the switch does not know of; see [`Stop::waiting`].
pub struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stop {
    /// Throws the switch; there is no way back.
    pub fn throw(&self) {
        self.downloads.store(true, Ordering::Relaxed);
        self.processes.cancel();
    }

    /// Whether it was thrown.
    pub fn is_thrown(&self) -> bool {
        self.processes.is_cancelled()
    }

    /// Makes it known that somebody waits for a process that is to end in its own time.
    pub fn waiting(&self) -> Waiting<'_> {
        self.others.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.others)
    }

    /// Whether nothing runs that is to end in its own time: no sandbox, and nothing that [`Stop::waiting`] was said of.
    pub fn is_idle(&self) -> bool {
        self.processes.is_idle() && self.others.load(Ordering::Relaxed) == 0
    }

    /// The deadline of work that takes no longer than `after`, and ends when the switch is thrown.
    pub fn deadline(&self, after: Option<Duration>) -> Deadline {
        Deadline::new(&self.downloads, after)
    }
}

/// What is shared with the threads of a run.
#[derive(Clone, Copy)]
struct Shared<'a> {
    executor: &'a Executor<'a>,
    plan: &'a Plan,
    jobserver: &'a Jobserver,
    events: &'a (dyn Fn(Event<'_>) + Sync),
    machine: &'a str,
    /// Takes folders that are no longer needed: removing thousands of files must not delay what comes next.
    trash: &'a Mutex<Sender<WorkDir>>,
}

impl Executor<'_> {
    /// Runs `plan` until every goal has an outcome or cannot have one.
    pub fn run(&self, plan: &Plan, events: &(dyn Fn(Event<'_>) + Sync)) -> Result<Report, ExecuteError> {
        let (sender, receiver) = mpsc::channel();
        let folder = self.store.temp_dir("run")?;
        let tokens = Mutex::new(sender.clone());
        let jobserver = Jobserver::new(folder.path(), self.options.jobs, move || {
            if let Ok(sender) = tokens.lock() {
                // The run may be over; then nobody wants the token.
                let _ = sender.send(Message::Token);
            }
        })
        .map_err(ExecuteError::Jobserver)?;
        let limit = self.options.load.map(|load| Limit { load, measure: load_average, interval: LOOK });
        // It goes on until this is dropped.
        let _limited =
            limit.map(|limit| jobserver.keep_under(limit)).transpose().map_err(ExecuteError::Jobserver)?;
        let machines = identities(self.sandbox.mode())?;
        let [machine, _] = &machines;
        borrowed::prepare(self.store).map_err(ExecuteError::Borrowed)?;
        let (trash, emptied) = mpsc::channel::<WorkDir>();
        let trash = Mutex::new(trash);
        let shared = Shared { executor: self, plan, jobserver: &jobserver, events, machine, trash: &trash };
        let (wants, queue) = mpsc::channel::<Unit>();
        let queue = Mutex::new(queue);
        let emptying = thread::spawn(move || emptied.into_iter().for_each(drop));
        let result = thread::scope(|scope| {
            for _ in 0..FETCHES {
                let (sender, queue) = (sender.clone(), &queue);
                scope.spawn(move || {
                    while let Some(unit) = next_want(queue) {
                        let result = shared.fetch(&unit);
                        if sender.send(Message::Fetched(unit, result)).is_err() {
                            return;
                        }
                    }
                });
            }
            let schedule = Schedule::new(plan, &self.store.durations());
            let run = Run {
                shared,
                schedule,
                report: Report { machines: machines.to_vec(), ..Report::default() },
                obtained: BTreeMap::new(),
                sourceless: BTreeMap::new(),
                wants,
                fetching: 0,
                token_requested: false,
                started: BTreeMap::new(),
                sender,
            };
            run.drive(&receiver, |work| {
                scope.spawn(work);
            })
        });
        drop(trash);
        if result.as_ref().is_ok_and(|report| report.cancelled) {
            let stopped = Instant::now();
            while !emptying.is_finished() && stopped.elapsed() < PATIENCE {
                thread::sleep(REMOVING);
            }
            if !emptying.is_finished() {
                self.store.leave_the_rest();
            }
        }
        // What it could not remove is swept when the store is next opened.
        let _ = emptying.join();
        result
    }
}

/// How often to look whether what builds leave is removed.
const REMOVING: Duration = Duration::from_millis(10);
/// How long somebody who stops a run waits for that.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many processes ran or wanted to, on average over the last minute.
fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn next_want(queue: &Mutex<Receiver<Unit>>) -> Option<Unit> {
    queue.lock().ok()?.recv().ok()
}

impl Shared<'_> {
    fn key(&self, action: &Action) -> OutcomeKey {
        key(action, self.machine)
    }

    /// Makes `outcome` known as that of `action`, with what went into it.
    fn record(&self, action: &Action, outcome: &Outcome) -> Result<(), StoreError> {
        let store = self.executor.store;
        store.record(&self.key(action), outcome)?;
        why::remember(action, store, self.machine);
        Ok(())
    }

    fn fetch(&self, unit: &Unit) -> Result<Vec<Obtained>, FetchError> {
        let Some(action) = self.plan.get(unit) else { return Ok(Vec::new()) };
        wanted(action)
            .iter()
            .map(|archives| {
                self.executor.fetcher.obtain(
                    archives,
                    &|event| (self.events)(Event::Fetch(&event)),
                    &self.executor.stop.downloads,
                )
            })
            .collect()
    }

    /// Looks for an outcome that cuts off the build of `action`, and makes it known as its own.
    fn look_up_resolved(
        &self,
        action: &Action,
        sysroot: &BTreeMap<Unit, TreeDigest>,
    ) -> Result<Option<Outcome>, ExecuteError> {
        let outcome = resolved(self.executor.store, action, self.machine, sysroot)?;
        if let Some(outcome) = &outcome {
            self.record(action, outcome)?;
        }
        Ok(outcome)
    }
}

/// The outcome that was made with the same sysroot and any of the archives that would do.
fn resolved(
    store: &Store,
    action: &Action,
    machine: &str,
    sysroot: &BTreeMap<Unit, TreeDigest>,
) -> Result<Option<Outcome>, ExecuteError> {
    for choice in choices(&action.archives()) {
        let digest = action.resolve(sysroot, &choice)?;
        let key = OutcomeKey::Resolved { digest, machine: machine_of(action, machine) };
        if let Some(outcome) = store.lookup(&key)? {
            return Ok(Some(outcome));
        }
    }
    Ok(None)
}

/// What to ask the fetcher for, one list of alternatives per source.
pub fn wanted(action: &Action) -> Vec<Vec<fetch::Archive>> {
    let label = format!("{} {}", action.unit().package, action.shown_version());
    let archive = |archive: &Archive| fetch::Archive {
        label: label.clone(),
        urls: archive.urls.clone(),
        digest: archive.digest,
    };
    action.archives().into_iter().map(|archives| archives.iter().map(archive).collect()).collect()
}

/// Every way to take one archive per source.
fn choices<'a>(sources: &[&'a [Archive]]) -> Vec<Vec<&'a Archive>> {
    sources.iter().fold(vec![Vec::new()], |choices, archives| {
        choices
            .iter()
            .flat_map(|choice| archives.iter().map(move |archive| [choice.as_slice(), &[archive]].concat()))
            .collect()
    })
}
