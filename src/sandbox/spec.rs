//! What k3sroot and its helper tell each other: a file with the specification on its first line, reports after it.
//!
//! A file and no pipe: an inherited descriptor other than the three standard streams, which are the command's, cannot
//! be taken up without `unsafe`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{Mode, Mount, SandboxError};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// All that the helper needs to know. Its fields are those of [`super::Invocation`], with real paths put in place of
/// guest paths where there are no namespaces.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    pub(super) mode: Mode,
    /// The process whose death ends the sandbox.
    pub(super) parent: i32,
    pub(super) mounts: Vec<Mount>,
    /// Empty to leave as soon as the sandbox is made.
    pub(super) argv: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) cwd: String,
    pub(super) timeout: Option<Duration>,
    pub(super) memory: Option<u64>,
    pub(super) file_size: Option<u64>,
    pub(super) inherit_fds: Vec<RawFd>,
    /// Whether the terminal stays the command's.
    pub(super) interactive: bool,
    /// The private folder to remove if nobody else is left to do it.
    pub(super) scratch: Option<PathBuf>,
    /// The control group to be in, which is removed like `scratch`.
    pub(super) group: Option<PathBuf>,
}

/// What became of it. The first report of a conversation is the one that counts.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    Exited { status: Status, user: Duration, system: Duration, max_rss_kib: u64 },
    TimedOut,
    SetupFailed { step: String, errno: i32 },
    NotStarted { program: String, errno: i32 },
}

/// A step of the helper's that failed, on its way to becoming a report.
pub(super) type Step<T> = Result<T, Report>;

/// Says what a system call was for, should it fail.
pub(super) trait During<T> {
    fn during(self, step: impl FnOnce() -> String) -> Step<T>;
}

impl<T> During<T> for nix::Result<T> {
    fn during(self, step: impl FnOnce() -> String) -> Step<T> {
        self.map_err(|errno| Report::SetupFailed { step: step(), errno: errno as i32 })
    }
}

impl<T> During<T> for io::Result<T> {
    fn during(self, step: impl FnOnce() -> String) -> Step<T> {
        self.map_err(|error| Report::SetupFailed { step: step(), errno: errno(&error) })
    }
}

/// The system's number of an error; those that std makes itself come from data that is not as it should be.
pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(nix::errno::Errno::EINVAL as i32)
}

/// k3sroot's end.
pub(super) struct Conversation {
    file: NamedTempFile,
}

impl Conversation {
    /// Writes the specification down for a helper.
    pub(super) fn begin(folder: &Path, spec: &Spec) -> Result<Self, SandboxError> {
        let error = |source| SandboxError::Scratch { path: folder.to_owned(), source };
        let mut file = NamedTempFile::with_prefix_in("k3sroot-sandbox-", folder).map_err(error)?;
        let mut line = serde_json::to_vec(spec).map_err(|source| error(source.into()))?;
        line.push(b'\n');
        file.write_all(&line).map_err(error)?;
        Ok(Self { file })
    }

    /// Where the helper finds it.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// The first report, if there is one.
    pub(super) fn outcome(&mut self) -> Result<Option<Report>, SandboxError> {
        let path = self.file.path().to_owned();
        let mut read = || -> io::Result<Option<Report>> {
            let mut text = String::new();
            self.file.rewind()?;
            self.file.read_to_string(&mut text)?;
            // A line without its end was cut off by a helper's death.
            let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            Ok(lines.nth(1).map(serde_json::from_str).transpose()?)
        };
        read().map_err(|source| SandboxError::Scratch { path, source })
    }
}

/// The helper's end.
pub(super) struct Reporter {
    file: File,
}

impl Reporter {
    /// Opens a conversation; the name goes, so that nothing stays behind whatever happens, unless it is `kept` for
    /// one more process.
    pub(super) fn open(path: &Path, kept: bool) -> io::Result<(Self, Spec)> {
        let mut file = OpenOptions::new().read(true).append(true).open(path)?;
        if !kept {
            std::fs::remove_file(path)?;
        }
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(&mut file), &mut line)?;
        Ok((Self { file }, serde_json::from_str(&line)?))
    }

    /// The open file.
    pub(super) fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Adds a report.
    pub(super) fn report(&mut self, report: &Report) -> io::Result<()> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec {
            mode: Mode::None,
            parent: 1,
            mounts: Vec::new(),
            argv: vec!["printf".into(), "a\nb".into()],
            env: BTreeMap::from([("A".into(), "\u{e9}\n\"".into())]),
            cwd: "/".into(),
            timeout: Some(Duration::from_millis(1500)),
            memory: None,
            file_size: None,
            inherit_fds: Vec::new(),
            interactive: false,
            scratch: None,
            group: None,
        }
    }

    #[test]
    fn the_first_report_counts_and_half_a_report_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut conversation = Conversation::begin(folder.path(), &spec()).unwrap();
        assert_eq!(conversation.outcome().unwrap(), None);

        let (mut reporter, read) = Reporter::open(conversation.path(), false).unwrap();
        assert_eq!((read.argv, read.env, read.timeout), (spec().argv, spec().env, spec().timeout));
        assert!(!conversation.path().exists());

        reporter.file.write_all(b"{\"Exited\":").unwrap();
        assert_eq!(conversation.outcome().unwrap(), None);
    }

    #[test]
    fn later_reports_do_not_replace_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut conversation = Conversation::begin(folder.path(), &spec()).unwrap();
        let (mut reporter, _) = Reporter::open(conversation.path(), true).unwrap();
        let first = Report::NotStarted { program: "x\ny".into(), errno: 2 };
        reporter.report(&first).unwrap();
        reporter.report(&Report::TimedOut).unwrap();
        assert_eq!(conversation.outcome().unwrap(), Some(first));
    }
}
