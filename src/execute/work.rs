//! Runs one action: puts its inputs in place, runs its phases in the sandbox, and takes in what it installed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::borrowed::{Borrowed, guest};
use super::error::time;
use super::machine::machine_of;
use super::symbols;
use super::workdir::{Kept, Limits, WorkDir, forget_kept, log_path, tail};
use super::{ActionError, Event, Executor, How, Shared};
use base::deadline::Deadline;
use base::digest::TreeDigest;
use base::name::Unit;
use fetch::Obtained;
use model::plan::policy::{OUT, SYSROOT, TOOLS};
use model::plan::{Action, Keep, Step};
use sandbox::{Access, Invocation, Mode, Mount, Output, SandboxError, Shim, Status};
use store::{Intake, Outcome, OutcomeKey, Placement, Store, StoreError};

/// Where a sandbox sees the folder with the jobserver's pipe.
const JOBSERVER: &str = "/run/k3sroot";
/// How many of a log's last lines a failure shows, and how many characters of each.
const EXCERPT: usize = 12;
const EXCERPT_LINE: usize = 400;
/// How large a log may become, in bytes. That of the C library, the largest, has 1.5 MiB.
const LOG_LIMIT: u64 = 64 << 20;

/// How many files and folders one build may leave.
const ENTRIES: usize = 100_000;

/// Why an action has no outcome, and where its log is.
pub(super) struct Failed {
    pub(super) error: Box<ActionError>,
    pub(super) log: Option<PathBuf>,
}

/// One action, with everything it needs.
pub(super) struct Job<'a> {
    pub(super) shared: Shared<'a>,
    pub(super) action: &'a Action,
    pub(super) obtained: Vec<Obtained>,
    pub(super) inputs: Inputs,
}

/// What an action finds in its read-only folders.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// Trees merged at `/tools`.
    pub(super) tools: BTreeMap<Unit, TreeDigest>,
    /// Trees merged at `/sysroot`.
    pub(super) sysroot: BTreeMap<Unit, TreeDigest>,
}

impl Inputs {
    /// Puts the trees in place: links, which a sandbox mounts read-only, or copies that know their real place.
    pub(super) fn place(&self, work: &WorkDir, store: &Store, mode: Mode) -> Result<(), ActionError> {
        for (guest, trees) in [(TOOLS, &self.tools), (SYSROOT, &self.sysroot)] {
            let dest = work.host(guest);
            let real = dest.display().to_string();
            let placement = match mode {
                Mode::Namespaces => Placement::Link,
                Mode::None => Placement::Copy { rewrite: Some((guest, &real)) },
            };
            let labelled: Vec<_> = trees.iter().map(|(unit, tree)| (unit.to_string(), *tree)).collect();
            store.materialise(&labelled, &dest, placement)?;
        }
        Ok(())
    }
}

impl Job<'_> {
    /// Runs the action under its lock; another k3sroot may have been faster.
    pub(super) fn run(&self) -> Result<(Outcome, How), Failed> {
        let store = self.shared.executor.store;
        let key = self.shared.key(self.action);
        let plain = |error: StoreError| Failed { error: Box::new(error.into()), log: None };
        let lock = if let Some(lock) = store.try_lock(&key).map_err(plain)? {
            lock
        } else {
            (self.shared.events)(Event::WaitingForOther(self.action.unit()));
            loop {
                thread::sleep(Duration::from_millis(200));
                if self.shared.executor.stop.is_thrown() {
                    return Err(Failed { error: Box::new(ActionError::Cancelled), log: None });
                }
                if let Some(lock) = store.try_lock(&key).map_err(plain)? {
                    break lock;
                }
            }
        };
        if let Some(outcome) = store.lookup(&key).map_err(plain)? {
            return Ok((outcome, How::Cached));
        }
        let outcome = self.build();
        drop(lock);
        outcome
    }

    fn build(&self) -> Result<(Outcome, How), Failed> {
        let store = self.shared.executor.store;
        let unit = self.action.unit();
        let log_path = log_path(store, unit);
        let no_log = |error: ActionError| Failed { error: Box::new(error), log: None };
        let log = io_step(create_log(&log_path), "create the log").map_err(no_log)?;
        let work = WorkDir::new(store, unit).map_err(no_log)?;
        let mut failed_at = None;
        let result = self.build_in(&work, log, &mut failed_at);
        if let Some(kept) = failed_at {
            // Where there is no room to keep it, what failed is still the news, and the room is needed.
            let _ = work.keep(store, unit, &kept);
        } else if let Ok(trash) = self.shared.trash.lock() {
            // It may hold a great deal, which takes its time to remove. Nobody to take it means: here and now.
            let _ = trash.send(work);
        }
        result.map_err(|error| Failed { error: Box::new(error), log: Some(log_path) })
    }

    /// Builds in `work`; says at which command it failed, if it failed there.
    fn build_in(
        &self,
        work: &WorkDir,
        log: File,
        failed_at: &mut Option<Kept>,
    ) -> Result<(Outcome, How), ActionError> {
        let store = self.shared.executor.store;
        let unit = self.action.unit();
        let started = Instant::now();
        self.phase("unpack");
        let options = &self.shared.executor.options;
        let limits = Limits { source: options.source, deadline: self.deadline() };
        work.fill(self.action, &self.obtained, store, &limits)?;
        self.inputs.place(work, store, self.shared.executor.sandbox.mode())?;
        let borrowed = self.shared.executor.borrowed(self.action)?;
        let mut running = Running { job: self, work, borrowed, log, cpu: Duration::ZERO, reached: None };
        if let Err(error) = running.phases() {
            *failed_at = running.reached.take().filter(|_| !matches!(error, ActionError::Cancelled));
            return Err(error);
        }
        let cpu = running.cpu;
        self.phase("store");
        let tree = self.take_in(work)?;
        let archives: Vec<_> = self
            .action
            .archives()
            .into_iter()
            .zip(&self.obtained)
            .filter_map(|(archives, obtained)| archives.get(obtained.index))
            .collect();
        let resolved = self.action.resolve(&self.inputs.sysroot, &archives)?;
        let outcome = Outcome {
            unit: unit.clone(),
            tree,
            action: self.action.digest(),
            resolved,
            archives: archives.iter().map(|archive| archive.digest).collect(),
            seconds: started.elapsed().as_secs_f64(),
            cpu_seconds: cpu.as_secs_f64(),
        };
        let resolved =
            OutcomeKey::Resolved { digest: resolved, machine: machine_of(self.action, self.shared.machine) };
        store.record(&resolved, &outcome)?;
        self.shared.record(self.action, &outcome)?;
        forget_kept(store, unit);
        Ok((outcome, How::Built { wall: started.elapsed(), cpu }))
    }

    fn phase(&self, phase: &str) {
        (self.shared.events)(Event::Phase { unit: self.action.unit(), phase });
    }

    /// The deadline of a step of k3sroot's own that begins now.
    fn deadline(&self) -> Deadline {
        let Executor { stop, options, .. } = self.shared.executor;
        stop.deadline(options.timeout)
    }

    /// Takes what the action installed into the store.
    fn take_in(&self, work: &WorkDir) -> Result<TreeDigest, ActionError> {
        let Executor { store, options, .. } = self.shared.executor;
        let under = format!("{OUT}/{}", self.action.installed_under());
        let nothing = || ActionError::NothingInstalled { folder: under.clone() };
        let folder = work.made(&under)?.ok_or_else(nothing)?;
        let capture = |keep: &(dyn Fn(&str) -> bool + Sync)| {
            let intake = Intake { keep, bytes: options.output, entries: ENTRIES, deadline: self.deadline() };
            store.capture(&folder, &intake).map_err(|error| match error {
                StoreError::Refused { path, reason } => {
                    let path = path.strip_prefix(folder.path()).unwrap_or(&path);
                    let path = format!("{}/{}", under.trim_end_matches('/'), path.display());
                    ActionError::Installed { path, reason }
                }
                error => error.into(),
            })
        };
        let tree = match self.action.keep() {
            Keep::AllBut(unwanted) => {
                let unwanted = globs(unwanted)?;
                capture(&|path| !unwanted.is_match(path))?
            }
            Keep::Only(wanted) => {
                let matcher = globs(wanted)?;
                let tree = capture(&|path| matcher.is_match(path))?;
                let listing = store.tree(&tree)?;
                for (index, glob) in wanted.iter().enumerate() {
                    if !listing.entries().keys().any(|path| matcher.matches(path).contains(&index)) {
                        return Err(ActionError::KeepMatchesNothing { glob: glob.clone() });
                    }
                }
                tree
            }
        };
        if store.tree(&tree)?.entries().is_empty() {
            return Err(nothing());
        }
        Ok(tree)
    }
}

/// The phases of an action, as they run.
struct Running<'a> {
    job: &'a Job<'a>,
    work: &'a WorkDir,
    borrowed: Borrowed,
    log: File,
    /// Processor time of all commands so far.
    cpu: Duration,
    /// The command that is running, or that failed.
    reached: Option<Kept>,
}

impl Running<'_> {
    fn phases(&mut self) -> Result<(), ActionError> {
        for phase in self.job.action.phases() {
            self.job.phase(phase.name);
            for step in &phase.steps {
                self.reached = None;
                self.step(phase.name, step)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, phase: &'static str, step: &Step) -> Result<(), ActionError> {
        let executor = self.job.shared.executor;
        match step {
            Step::Run { argv, cwd } => {
                self.reached = Some(Kept {
                    action: self.job.action.digest(),
                    phase: phase.to_owned(),
                    cwd: cwd.clone(),
                    argv: argv.clone(),
                });
                self.command(phase, argv, cwd)
            }
            Step::Write { path, contents } => {
                let text = self.work.translated(executor.sandbox.mode(), &self.borrowed, contents)?;
                self.work.write(path, &text)
            }
            Step::SetSymbols { path, symbols } => {
                self.work.write(path, &symbols::set(&self.work.read(path)?, symbols))
            }
            Step::RequireSymbols { path, symbols } => {
                let text = self.work.read(path)?;
                let lost = symbols::lost(&text, symbols);
                if lost.is_empty() { Ok(()) } else { Err(ActionError::Symbols { lost }) }
            }
        }
    }

    fn command(&mut self, phase: &'static str, argv: &[String], cwd: &str) -> Result<(), ActionError> {
        let program = argv.first().map_or("", String::as_str);
        let log_error = |source| ActionError::Io { what: "write the log".to_owned(), source };
        writeln!(self.log, "--- {phase}: {}", argv.join(" ")).map_err(log_error)?;
        let start = self.log.stream_position().map_err(log_error)?;
        let Shared { executor, jobserver, .. } = self.job.shared;
        let mut env = self.job.action.env().clone();
        let folder = jobserver.path().parent().unwrap_or(jobserver.path());
        let fifo = match executor.sandbox.mode() {
            Mode::Namespaces => format!("{JOBSERVER}/jobserver"),
            Mode::None => jobserver.path().display().to_string(),
        };
        env.insert("MAKEFLAGS".to_owned(), jobserver.makeflags(program, &fifo));
        let mut mounts = self.work.mounts(&self.borrowed)?;
        // A pipe can be written to all the same, and nothing can be left there for another build.
        mounts.push(Mount { host: folder.to_owned(), guest: guest(JOBSERVER)?, access: Access::ReadOnly });
        let invocation = Invocation {
            mounts: &mounts,
            argv,
            env: &env,
            cwd,
            shims: &Shim::for_environment(&env),
            output: Output::Log(&self.log),
            log_limit: LOG_LIMIT.saturating_sub(start),
            timeout: executor.options.timeout,
            memory: executor.options.memory,
            file_size: Some(executor.options.output),
            inherit_fds: &[jobserver.fd()],
        };
        let ending = match executor.sandbox.run(&invocation, &executor.stop.processes) {
            Ok(exit) => {
                self.cpu += exit.user + exit.system;
                match exit.status {
                    Status::Code(0) => return Ok(()),
                    Status::Code(code) => format!("exited with status {code}"),
                    Status::Signal(signal) => format!("was killed by signal {signal}"),
                }
            }
            Err(SandboxError::Cancelled) => return Err(ActionError::Cancelled),
            Err(SandboxError::TimedOut { after }) => format!("took longer than {}", time(after)),
            Err(SandboxError::LogFull { .. }) => {
                format!("made the log larger than {} MiB", LOG_LIMIT >> 20)
            }
            Err(error) => return Err(error.into()),
        };
        let excerpt = excerpt(&self.log, start).map_err(log_error)?;
        Err(ActionError::Command { phase, command: shorten(argv), ending, excerpt })
    }
}

/// A new log, also readable: a failure shows its end.
fn create_log(path: &Path) -> io::Result<File> {
    // Always a new file: the old one may be a symlink that a build without namespaces left there.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => OpenOptions::new().read(true).write(true).create_new(true).open(path),
    }
}

fn io_step<T>(result: io::Result<T>, what: &str) -> Result<T, ActionError> {
    result.map_err(|source| ActionError::Io { what: what.to_owned(), source })
}

fn globs<T: AsRef<str>>(globs: &[T]) -> Result<GlobSet, ActionError> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let glob = GlobBuilder::new(glob.as_ref()).literal_separator(true).build();
        set.add(glob.map_err(|error| ActionError::Io {
            what: "use a `keep` glob".to_owned(),
            source: io::Error::other(error),
        })?);
    }
    set.build().map_err(|error| ActionError::Io {
        what: "use the `keep` globs".to_owned(),
        source: io::Error::other(error),
    })
}

/// A command as an error shows it: the beginning, when it is long.
fn shorten(argv: &[String]) -> String {
    const LONGEST: usize = 90;
    cut(&argv.join(" "), LONGEST)
}

/// The beginning of a text that has more than `longest` characters.
fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

/// The last lines of what was written to `log` since `start`.
fn excerpt(log: &File, start: u64) -> io::Result<Vec<String>> {
    let (_, text) = tail(log.try_clone()?, start, 64 << 10)?;
    // A terminal acts on control characters: what a build prints must not.
    let shown = |line: &str| line.chars().filter(|c| *c == '\t' || !c.is_control()).collect::<String>();
    let lines = text.lines().map(|line| shown(line).trim_end().to_owned()).filter(|line| !line.is_empty());
    let lines: Vec<String> = lines.collect();
    let last = lines.iter().skip(lines.len().saturating_sub(EXCERPT));
    Ok(last.map(|line| cut(line, EXCERPT_LINE)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_commands_are_cut_between_characters() {
        assert_eq!(shorten(&["make".to_owned(), "all".to_owned()]), "make all");
        let long = shorten(&["é".repeat(200)]);
        assert!(long.ends_with('…') && long.chars().count() == 92, "{long}");
    }
}
