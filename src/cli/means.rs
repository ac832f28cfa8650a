//! Makes what a run needs (fetcher, sandbox, stop switch) out of the command line's words.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::args::{Global, Isolation, Running, SandboxChoice, Sources};
use super::error::CliError;
use super::memory;
use execute::{Options, Stop, identity};
use fetch::Fetcher;
use sandbox::{Fences, Mode, Sandbox, SandboxError};
use store::Store;

/// The fetcher that the options describe.
pub(super) fn fetcher(sources: &Sources, store: &Store) -> Result<Fetcher, CliError> {
    if let Some(path) = sources.distfiles.iter().find(|path| !path.is_dir()) {
        return Err(CliError::DistfilesFolder { path: path.clone() });
    }
    let options = fetch::Options {
        distfiles: sources.distfiles.clone(),
        offline: sources.offline,
        debian_mirrors: (!sources.debian_mirror.is_empty()).then(|| sources.debian_mirror.clone()),
        pypi_index: sources.pypi_index.clone(),
        last_archive_first: sources.last_archive_first,
        ..fetch::Options::default()
    };
    Ok(Fetcher::new(&store.distfiles(), options)?)
}

/// The sandbox that the options describe; says so when there will be none.
pub(super) fn sandbox(global: &Global, running: &Running, store: &Store) -> Result<Sandbox, CliError> {
    let helper = helper()?;
    let (mode, refusal) = mode(&running.isolation, &helper)?;
    if let Some(refusal) = refusal {
        global.say(&format!("note: no namespaces: {refusal}"));
        global.say("note: `--sandbox namespaces` makes this an error");
    }
    if mode == Mode::None && !is_plain(store.root()) {
        return Err(CliError::CachePath { path: store.root().to_owned() });
    }
    fits(mode, store.root())?;
    if mode == Mode::None {
        let gap = gap(Sandbox::fences());
        global.say(&format!("note: without namespaces {gap}; the bits are the same"));
    }
    Ok(Sandbox::new(mode, helper).scratch_in(store.session_folder().to_owned()))
}

/// Refuses a cache in which builds would fail, or go wrong, only later.
fn fits(mode: Mode, cache: &Path) -> Result<(), CliError> {
    let (how, most) = match mode {
        // The kernel takes 4,095 bytes, of which names in archives and builds' own folders need a part.
        Mode::Namespaces => ("in namespaces", 3500),
        // The kernel looks at 255 bytes of a script's first line. A shell runs what has more as its own script.
        Mode::None => ("without namespaces", 150),
    };
    if cache.as_os_str().len() > most {
        return Err(CliError::CacheLong { path: cache.to_owned(), how, most });
    }
    if is_noexec(cache) {
        return Err(CliError::CacheNoexec { path: cache.to_owned() });
    }
    Ok(())
}

/// Whether the file system of `path` lets no program be executed.
pub(super) fn is_noexec(path: &Path) -> bool {
    let flags = rustix::fs::statvfs(path).map(|found| found.f_flag);
    flags.is_ok_and(|flags| flags.contains(rustix::fs::StatVfsMountFlags::NOEXEC))
}

/// What builds can reach without namespaces. README.md has the whole list.
pub(super) fn gap(fences: Fences) -> &'static str {
    match fences {
        Fences { files: true, calls: true, signals: true } => {
            "builds see the names of the machine's processes"
        }
        Fences { files: true, calls: true, signals: false } => {
            "builds see the names of the machine's processes, and can end yours"
        }
        Fences { files: true, calls: false, .. } => {
            "builds can reach the network other than by TCP, and sockets by their path"
        }
        Fences { files: false, calls: true, .. } => {
            "builds can read and change what you can, but not reach the network"
        }
        Fences { files: false, calls: false, .. } => {
            "builds can read and change what you can, and reach the network"
        }
    }
}

/// What the tools that are made here with these options are kept under.
pub(super) fn machine(isolation: &Isolation) -> Result<String, CliError> {
    let (mode, _) = mode(isolation, &helper()?)?;
    Ok(identity(mode)?)
}

/// How builds are kept apart, and what keeps them from being kept apart better although that was not asked for.
fn mode(isolation: &Isolation, helper: &Path) -> Result<(Mode, Option<SandboxError>), CliError> {
    match isolation.sandbox {
        SandboxChoice::None => Ok((Mode::None, None)),
        SandboxChoice::Namespaces => {
            Sandbox::probe(helper)?;
            Ok((Mode::Namespaces, None))
        }
        SandboxChoice::Auto => match Sandbox::probe(helper) {
            Ok(()) => Ok((Mode::Namespaces, None)),
            Err(refusal) => Ok((Mode::None, Some(refusal))),
        },
    }
}

/// k3sroot's own program, which starts again inside sandboxes.
fn helper() -> Result<PathBuf, CliError> {
    Path::new("/proc/self/exe")
        .canonicalize()
        .map_err(|source| CliError::Io { what: "find k3sroot's own program".to_owned(), source })
}

/// Whether a path means itself in a compiler's flags, a makefile, a shell script and a `PATH`.
fn is_plain(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.chars().all(|c| c.is_alphanumeric() || "/._-+@".contains(c)))
}

/// How many processes may run at once: what the option says, or as many as there are cores and memory for them.
pub(super) fn jobs(wanted: Option<u16>) -> usize {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    wanted.map_or_else(|| memory::jobs(cores(), memory::memory()), usize::from)
}

/// How to run, as the options say.
pub(super) fn options(running: &Running) -> Options {
    Options {
        jobs: jobs(running.jobs),
        keep_going: running.keep_going,
        timeout: Some(running.timeout),
        // A process that wants more than there is has lost its way.
        memory: running.memory.or_else(memory::memory),
        source: running.max_source,
        output: running.max_output,
        load: running.load,
    }
}

/// A switch that Ctrl-C and SIGTERM throw.
pub(super) fn stop() -> Stop {
    let stop = Stop::default();
    let thrown = stop.clone();
    let mut told = false;
    let handler = move || {
        thrown.throw();
        if !told {
            told = true;
            let thrown = thrown.clone();
            thread::spawn(move || end(&thrown));
        }
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        // Without a handler Ctrl-C ends k3sroot at once, and its sandboxes with it.
        eprintln!("warning: Ctrl-C cannot be handled: {error}");
    }
    stop
}

/// Ends the program if it has not ended by itself soon after nothing of a build runs any more. What looks at the switch has
/// ended by then; what does not, hashing a large file say, is as safe to break off as by `kill -9`.
fn end(thrown: &Stop) {
    const STEP: Duration = Duration::from_millis(50);
    let mut idle = Duration::ZERO;
    while idle < Duration::from_millis(800) {
        thread::sleep(STEP);
        idle = if thrown.is_idle() { idle + STEP } else { Duration::ZERO };
    }
    eprintln!("error: {}", CliError::Stopped);
    // The code that `main` would give.
    std::process::exit(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_scripts_would_take_apart_are_told() {
        assert!(is_plain(Path::new("/home/jürgen/.cache/k3sroot-1.0")));
        for odd in ["/a,b", "/a b", "/a:b", "/a=b", "/a$b", "/a'b", "/a\nb", "/a#b", "/a%b"] {
            assert!(!is_plain(Path::new(odd)), "{odd}");
        }
    }
}
