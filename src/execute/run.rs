//! A run in progress: what happens when a source is here, a core is free, a unit is finished.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use super::schedule::{self, Schedule};
use super::{ActionError, Event, ExecuteError, Executor, Failure, How, Report, Shared, work};
use base::digest::TreeDigest;
use base::name::Unit;
use fetch::{FetchError, Obtained};
use store::{Outcome, Took};

/// What the threads of a run tell the one that drives it.
pub(super) enum Message {
    Fetched(Unit, Result<Vec<Obtained>, FetchError>),
    Token,
    Finished(Unit, Box<Result<(Outcome, How), work::Failed>>),
}

/// A run in progress; lives on one thread, which alone touches the schedule.
pub(super) struct Run<'a> {
    pub(super) shared: Shared<'a>,
    pub(super) schedule: Schedule<'a>,
    pub(super) report: Report,
    pub(super) obtained: BTreeMap<Unit, Vec<Obtained>>,
    /// Why there is no source for units that may not need theirs.
    pub(super) sourceless: BTreeMap<Unit, FetchError>,
    pub(super) wants: Sender<Unit>,
    pub(super) fetching: usize,
    pub(super) token_requested: bool,
    /// When the units that run were started.
    pub(super) started: BTreeMap<Unit, Instant>,
    pub(super) sender: Sender<Message>,
}

impl<'a> Run<'a> {
    pub(super) fn drive(
        mut self,
        receiver: &Receiver<Message>,
        spawn: impl Fn(Box<dyn FnOnce() + Send + 'a>),
    ) -> Result<Report, ExecuteError> {
        for goal in self.shared.plan.goals() {
            self.visit(goal)?;
        }
        loop {
            self.settle()?;
            let stopping = self.stopping();
            let pending = self.schedule.pending();
            let running = self.schedule.running();
            if running == 0 && (stopping || (pending == 0 && self.fetching == 0)) {
                break;
            }
            if !stopping && !self.token_requested && self.schedule.next().is_some() {
                self.shared.jobserver.request();
                self.token_requested = true;
            }
            if running == 0 && self.fetching == 0 && !self.token_requested {
                return Err(ExecuteError::Stuck { waiting: pending });
            }
            match receiver.recv_timeout(Duration::from_millis(200)) {
                Ok(Message::Fetched(unit, result)) => self.fetched(&unit, result),
                Ok(Message::Token) => self.granted(&spawn)?,
                Ok(Message::Finished(unit, result)) => self.finished(&unit, *result)?,
                // Time to look at `stop`. And a token that does not come although nothing runs was lost with a
                // process that was killed while it held one.
                Err(_) => {
                    if running == 0 && self.token_requested {
                        self.shared.jobserver.refill().map_err(ExecuteError::Jobserver)?;
                    }
                }
            }
        }
        self.report.cancelled = self.shared.executor.stop.is_thrown() && self.broken().is_none();
        Ok(self.report)
    }

    fn stopping(&self) -> bool {
        let Executor { options, stop, .. } = self.shared.executor;
        stop.is_thrown() || (self.broken().is_some() && !options.keep_going)
    }

    /// A unit that failed in its build, as opposed to one whose source is missing: that is no reason to stop others.
    fn broken(&self) -> Option<&Failure> {
        self.report.failures.iter().find(|failure| !matches!(failure.source, ActionError::Source(_)))
    }

    /// Looks for the outcome of `unit`; if there is none, looks at what it needs and sends for its source.
    fn visit(&mut self, unit: &'a Unit) -> Result<(), ExecuteError> {
        let mut next = vec![unit];
        while let Some(unit) = next.pop() {
            if !self.schedule.is_idle(unit) {
                continue;
            }
            let Some(action) = self.shared.plan.get(unit) else { continue };
            if let Some(outcome) = self.shared.executor.store.lookup(&self.shared.key(action))? {
                self.done(unit, outcome, How::Cached);
                continue;
            }
            self.schedule.wait(unit);
            next.extend(schedule::inputs(self.shared.plan, unit));
            self.fetching += 1;
            // The threads that receive live as long as the run.
            let _ = self.wants.send(unit.clone());
        }
        self.say_what_is_left();
        Ok(())
    }

    fn say_what_is_left(&self) {
        let elapsed = |unit: &Unit| self.started.get(unit).map_or(0.0, |start| start.elapsed().as_secs_f64());
        let left = self.schedule.left(self.shared.executor.options.jobs, elapsed);
        let left = left.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        (self.shared.events)(Event::Pending { units: self.schedule.pending(), left });
    }

    fn done(&mut self, unit: &Unit, outcome: Outcome, how: How) {
        self.schedule.done(unit);
        (self.shared.events)(Event::Done { unit, how });
        self.report.outcomes.insert(unit.clone(), (outcome, how));
    }

    /// The trees of what `action` links against, once all are there.
    fn trees(&self, units: impl Iterator<Item = &'a Unit>) -> BTreeMap<Unit, TreeDigest> {
        units
            .filter_map(|unit| {
                self.report.outcomes.get(unit).map(|(outcome, _)| (unit.clone(), outcome.tree))
            })
            .collect()
    }

    /// Cuts off or makes ready every unit whose inputs are all there.
    fn settle(&mut self) -> Result<(), ExecuteError> {
        loop {
            let resolvable = self.schedule.resolvable();
            if resolvable.is_empty() {
                return Ok(());
            }
            for unit in resolvable {
                let Some(action) = self.shared.plan.get(unit) else { continue };
                let sysroot = self.trees(action.sysroot().keys());
                match self.shared.look_up_resolved(action, &sysroot)? {
                    Some(outcome) => self.done(unit, outcome, How::CutOff),
                    None => match self.sourceless.remove(unit) {
                        Some(error) => self.failed(unit, no_source(error)),
                        None => self.schedule.must_build(unit),
                    },
                }
            }
        }
    }

    fn fetched(&mut self, unit: &Unit, result: Result<Vec<Obtained>, FetchError>) {
        self.fetching -= 1;
        match result {
            Ok(obtained) => {
                self.obtained.insert(unit.clone(), obtained);
                self.schedule.source_is_here(unit);
            }
            Err(_) if self.report.outcomes.contains_key(unit) => {}
            Err(error) if self.schedule.may_be_cut_off(unit) => {
                self.sourceless.insert(unit.clone(), error);
            }
            Err(error) => self.failed(unit, no_source(error)),
        }
    }

    fn granted(&mut self, spawn: &impl Fn(Box<dyn FnOnce() + Send + 'a>)) -> Result<(), ExecuteError> {
        self.token_requested = false;
        let next = if self.stopping() { None } else { self.schedule.next() };
        let Some((unit, action)) = next.and_then(|unit| Some((unit, self.shared.plan.get(unit)?))) else {
            return self.shared.jobserver.release().map_err(ExecuteError::Jobserver);
        };
        self.schedule.start(unit);
        self.started.insert(unit.clone(), Instant::now());
        (self.shared.events)(Event::Started { unit, before: self.schedule.took(unit) });
        let job = work::Job {
            shared: self.shared,
            action,
            obtained: self.obtained.get(unit).cloned().unwrap_or_default(),
            inputs: work::Inputs {
                tools: self.trees(action.tools().keys()),
                sysroot: self.trees(action.sysroot().keys()),
            },
        };
        let sender = self.sender.clone();
        spawn(Box::new(move || {
            let result = job.run();
            // Only a run that broke off does not listen.
            let _ = sender.send(Message::Finished(job.action.unit().clone(), Box::new(result)));
        }));
        Ok(())
    }

    fn finished(
        &mut self,
        unit: &Unit,
        result: Result<(Outcome, How), work::Failed>,
    ) -> Result<(), ExecuteError> {
        self.shared.jobserver.release().map_err(ExecuteError::Jobserver)?;
        match result {
            Ok((outcome, how)) => {
                let took = Took { seconds: outcome.seconds, cpu_seconds: outcome.cpu_seconds };
                self.shared.executor.store.remember_duration(unit, took);
                self.done(unit, outcome, how);
            }
            Err(failed) => self.failed(unit, failed),
        }
        self.say_what_is_left();
        Ok(())
    }

    fn failed(&mut self, unit: &Unit, failed: work::Failed) {
        for blocked in self.schedule.fail(unit) {
            self.report.blocked.insert(blocked, unit.clone());
        }
        if matches!(*failed.error, ActionError::Cancelled) {
            return;
        }
        let took = self.started.get(unit).map(Instant::elapsed);
        (self.shared.events)(Event::Failed { unit, took });
        let Some(action) = self.shared.plan.get(unit) else { return };
        self.report.failures.push(Failure {
            unit: unit.clone(),
            version: action.shown_version().to_owned(),
            recipe: action.recipe().to_owned(),
            source: *failed.error,
            log: failed.log,
            cache: self.shared.executor.store.root().to_owned(),
        });
        // Throwing it twice would kill the helpers before they have cleaned up.
        if self.stopping() && !self.shared.executor.stop.is_thrown() {
            self.shared.executor.stop.throw();
        }
    }
}

fn no_source(error: FetchError) -> work::Failed {
    work::Failed { error: Box::new(error.into()), log: None }
}
