//! One GNU make jobserver for the whole run: every unit, and every `make` and `ninja` below it, takes its tokens from
//! the same pipe, so the machine is full and never oversubscribed.
//!
//! The pipe is a named one, because the two clients want it differently: ninja opens it by name, and GNU make before
//! 4.4 knows only inherited file descriptors. Facts from the GNU make manual, "POSIX Jobserver Interaction".

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// What a token looks like; its value means nothing.
const TOKEN: [u8; 1] = [b'+'];

/// The pipe with the tokens that are free.
pub(super) struct Jobserver {
    path: PathBuf,
    jobs: usize,
    /// Open for reading and writing, and inherited by every child: its number is what `make` is told.
    pipe: File,
    /// Asks for a token on behalf of the scheduler.
    requests: Sender<()>,
}

impl Jobserver {
    /// Makes a jobserver with `jobs` tokens as a named pipe in `folder`. Each token that was asked for with
    /// [`Jobserver::request`] is announced by a call of `granted`, from a thread of its own.
    pub(super) fn new(folder: &Path, jobs: usize, granted: impl Fn() + Send + 'static) -> io::Result<Self> {
        let path = folder.join("jobserver");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let mut pipe = OpenOptions::new().read(true).write(true).open(&path)?;
        fcntl(pipe.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
        pipe.write_all(&TOKEN.repeat(jobs))?;
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
        Ok(Self { path, jobs, pipe, requests })
    }

    /// Asks for one token. A token that was granted belongs to whoever asked, until [`Jobserver::release`].
    pub(super) fn request(&self) {
        // The thread ends only when its pipe breaks; then nothing is granted, and the caller has nothing to start.
        let _ = self.requests.send(());
    }

    /// Gives one token back.
    pub(super) fn release(&self) -> io::Result<()> {
        (&self.pipe).write_all(&TOKEN)
    }

    /// Puts all tokens back, when nobody can hold one but whoever waits for one.
    pub(super) fn refill(&self) -> io::Result<()> {
        (&self.pipe).write_all(&TOKEN.repeat(self.jobs))
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
    fn make_shares_the_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let jobserver = Jobserver::new(folder.path(), 2, || {}).unwrap();
        let makefile =
            "all: a b c d\na b c d:\n\t@mkdir lock || exit 0; sleep 0.05; rmdir lock\n.PHONY: a b c d all\n";
        std::fs::write(folder.path().join("Makefile"), makefile).unwrap();
        let output = std::process::Command::new("make")
            .current_dir(folder.path())
            .env("MAKEFLAGS", jobserver.makeflags("make", ""))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert!(!errors.contains("jobserver"), "make did not accept the jobserver: {errors}");
    }
}
