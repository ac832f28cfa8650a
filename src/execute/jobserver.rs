//! One GNU make jobserver for the whole run: every unit, and every `make` and `ninja` below it, takes its tokens from
//! the same pipe, so the machine is full and never oversubscribed.
//!
//! The pipe is a named one, because the two clients want it differently: ninja opens it by name, and GNU make before
//! 4.4 knows only inherited file descriptors. Facts from the GNU make manual, "POSIX Jobserver Interaction".

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// What a token looks like; its value means nothing.
const TOKEN: [u8; 1] = [b'+'];

/// The pipe with the tokens that are free.
pub(super) struct Jobserver {
    path: PathBuf,
    jobs: usize,
    /// Open for reading and writing, and inherited by every child: its number is what `make` is told. What a child does to
    /// it (filling it, making it fail where it would block) reaches whoever uses it, so k3sroot does not.
    pipe: File,
    /// The same for k3sroot itself: what would block fails.
    tokens: File,
    /// Asks for a token on behalf of the scheduler.
    requests: Sender<()>,
    /// How many tokens are held back because the machine has other things to do.
    withheld: Arc<AtomicUsize>,
}

/// A limit on what a machine does altogether, beyond which the jobserver holds tokens back, all but one.
pub(super) struct Limit<F> {
    /// The most.
    pub(super) load: f64,
    /// Says what the machine does.
    pub(super) measure: F,
    /// How often to look. Each time one token is held back, or given free.
    pub(super) interval: Duration,
}

impl Jobserver {
    /// Makes a jobserver with `jobs` tokens as a named pipe in `folder`. Each token that was asked for with
    /// [`Jobserver::request`] is announced by a call of `granted`, from a thread of its own.
    pub(super) fn new(folder: &Path, jobs: usize, granted: impl Fn() + Send + 'static) -> io::Result<Self> {
        let path = folder.join("jobserver");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let pipe = OpenOptions::new().read(true).write(true).open(&path)?;
        fcntl(pipe.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
        let tokens = own_end(&path)?;
        give(&tokens, jobs)?;
        let mut reader = OpenOptions::new().read(true).write(true).open(&path)?;
        let (requests, asked) = mpsc::channel();
        thread::Builder::new().name("jobserver".to_owned()).spawn(move || {
            while asked.recv().is_ok() {
                if reader.read_exact(&mut [0]).is_err() {
                    return;
                }
                granted();
            }
        })?;
        Ok(Self { path, jobs, pipe, tokens, requests, withheld: Arc::default() })
    }

    /// Holds back a token each time that there is more load than `limit` allows, until the returned sender is dropped.
    pub(super) fn keep_under<F>(&self, limit: Limit<F>) -> io::Result<Sender<()>>
    where
        F: Fn() -> Option<f64> + Send + 'static,
    {
        let mut pipe = own_end(&self.path)?;
        let (most, withheld) = (self.jobs.saturating_sub(1), Arc::clone(&self.withheld));
        let (running, over) = mpsc::channel::<()>();
        thread::Builder::new().name("load".to_owned()).spawn(move || {
            while over.recv_timeout(limit.interval) == Err(RecvTimeoutError::Timeout) {
                // What cannot be told is no reason to wait.
                let load = (limit.measure)().unwrap_or(0.0);
                let held = withheld.load(Ordering::Relaxed);
                // A token that is in use comes back when its process ends: then there is one to be had.
                let changed = if load > limit.load {
                    held < most && pipe.read_exact(&mut [0]).is_ok()
                } else {
                    held > 0 && pipe.write_all(&TOKEN).is_ok()
                };
                if changed {
                    withheld.store(if load > limit.load { held + 1 } else { held - 1 }, Ordering::Relaxed);
                }
            }
        })?;
        Ok(running)
    }

    /// Asks for one token. A token that was granted belongs to whoever asked, until [`Jobserver::release`].
    pub(super) fn request(&self) {
        // The thread ends only when its pipe breaks; then nothing is granted, and the caller has nothing to start.
        let _ = self.requests.send(());
    }

    /// Gives one token back.
    pub(super) fn release(&self) -> io::Result<()> {
        give(&self.tokens, 1)
    }

    /// Puts all tokens back if none is left, when nobody can hold one but whoever waits for one: if some are, that one is
    /// merely slow.
    pub(super) fn refill(&self) -> io::Result<()> {
        let mut there = [PollFd::new(self.tokens.as_fd(), PollFlags::POLLIN)];
        if poll(&mut there, PollTimeout::ZERO)? > 0 {
            return Ok(());
        }
        give(&self.tokens, self.jobs - self.withheld.load(Ordering::Relaxed))
    }

    /// The named pipe, for mounting into a sandbox.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The pipe as `make` inherits it.
    pub(super) fn fd(&self) -> RawFd {
        self.pipe.as_raw_fd()
    }

    /// What `MAKEFLAGS` tells a program; `fifo` is where the program sees the pipe.
    pub(super) fn makeflags(&self, program: &str, fifo: &str) -> String {
        if program == "ninja" {
            format!(" -j{} --jobserver-auth=fifo:{fifo}", self.jobs)
        } else {
            let fd = self.fd();
            format!(" -j{} --jobserver-auth={fd},{fd}", self.jobs)
        }
    }
}

/// An end of the pipe at `path` that no child inherits and that never blocks.
fn own_end(path: &Path) -> io::Result<File> {
    let end = OpenOptions::new().read(true).write(true).open(path)?;
    fcntl(end.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(end)
}

/// Puts tokens into the pipe. If a child has filled it to the brim, there are more than enough.
fn give(mut pipe: &File, count: usize) -> io::Result<()> {
    match pipe.write_all(&TOKEN.repeat(count)) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn never_grants_more_than_its_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, granted) = mpsc::channel();
        let jobserver = Jobserver::new(folder.path(), 2, move || sender.send(()).unwrap()).unwrap();
        (0..3).for_each(|_| jobserver.request());
        granted.recv_timeout(Duration::from_secs(5)).unwrap();
        granted.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(granted.recv_timeout(Duration::from_millis(50)).is_err());
        jobserver.release().unwrap();
        granted.recv_timeout(Duration::from_secs(5)).unwrap();
    }

    #[test]
    fn tokens_are_put_back_only_if_all_are_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, granted) = mpsc::channel();
        let jobserver = Jobserver::new(folder.path(), 2, move || sender.send(()).unwrap()).unwrap();
        jobserver.refill().unwrap();
        let granted_of_three = || {
            (0..3).for_each(|_| jobserver.request());
            std::iter::from_fn(|| granted.recv_timeout(Duration::from_millis(100)).ok()).count()
        };
        assert_eq!(granted_of_three(), 2, "none was lost");
        // Whoever had both is dead; the third request is still there.
        jobserver.refill().unwrap();
        assert_eq!(std::iter::from_fn(|| granted.recv_timeout(Duration::from_millis(100)).ok()).count(), 1);
    }

    #[test]
    fn a_child_that_fills_the_pipe_or_makes_it_fail_harms_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, granted) = mpsc::channel();
        let jobserver = Jobserver::new(folder.path(), 2, move || sender.send(()).unwrap()).unwrap();
        // What a child inherits is the same open pipe.
        let mut inherited = jobserver.pipe.try_clone().unwrap();
        fcntl(inherited.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        while inherited.write(&[b'x'; 4096]).is_ok() {}
        while inherited.write(b"x").is_ok() {}
        jobserver.release().unwrap();
        jobserver.refill().unwrap();
        jobserver.request();
        granted.recv_timeout(Duration::from_secs(5)).unwrap();
    }

    #[test]
    fn tokens_are_held_back_while_there_is_too_much_load() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, granted) = mpsc::channel();
        let jobserver = Jobserver::new(folder.path(), 4, move || sender.send(()).unwrap()).unwrap();
        let load = Arc::new(AtomicUsize::new(9));
        let seen = Arc::clone(&load);
        let limit = Limit {
            load: 2.0,
            measure: move || Some(if seen.load(Ordering::Relaxed) > 2 { 9.0 } else { 0.0 }),
            interval: Duration::from_millis(1),
        };
        let running = jobserver.keep_under(limit).unwrap();
        let held = |count| {
            let start = std::time::Instant::now();
            while jobserver.withheld.load(Ordering::Relaxed) != count {
                assert!(start.elapsed() < Duration::from_secs(5), "not {count}");
                thread::sleep(Duration::from_millis(1));
            }
        };
        held(3);
        (0..2).for_each(|_| jobserver.request());
        granted.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(granted.recv_timeout(Duration::from_millis(50)).is_err(), "one is left, and no more");
        load.store(0, Ordering::Relaxed);
        held(0);
        granted.recv_timeout(Duration::from_secs(5)).unwrap();
        drop(running);
    }

    #[test]
    fn make_shares_the_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, granted) = mpsc::channel();
        let jobserver = Jobserver::new(folder.path(), 3, move || sender.send(()).unwrap()).unwrap();
        let makefile = "jobs = 1 2 3 4 5 6 7 8\nall: $(jobs)\n$(jobs):\n\t@touch now.$@; sleep 0.1; \
                        ls now.* | wc -l >> seen; rm now.$@\n.PHONY: all $(jobs)\n";
        std::fs::write(folder.path().join("Makefile"), makefile).unwrap();
        let most_at_once = || {
            let output = std::process::Command::new("make")
                .current_dir(folder.path())
                .env("MAKEFLAGS", jobserver.makeflags("make", ""))
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let seen = std::fs::read_to_string(folder.path().join("seen")).unwrap();
            std::fs::remove_file(folder.path().join("seen")).unwrap();
            seen.lines().map(|line| line.trim().parse::<usize>().unwrap()).max().unwrap()
        };
        // Its own token, and each time another unit takes one more of the others.
        for most in [3, 2, 1] {
            jobserver.request();
            granted.recv_timeout(Duration::from_secs(5)).unwrap();
            assert_eq!(most_at_once(), most);
        }
    }
}
