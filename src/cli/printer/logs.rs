//! Shows logs while they are written, each line behind the name of its unit.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Form;
use base::name::Unit;

/// How often logs are looked at.
const PERIOD: Duration = Duration::from_millis(100);

/// The logs of units that run, which a thread of its own follows until this is dropped.
pub(super) struct Logs {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    form: Form,
    followed: Mutex<BTreeMap<Unit, Followed>>,
    over: AtomicBool,
}

struct Followed {
    log: File,
    /// The beginning of a line whose end was not written yet.
    begun: Vec<u8>,
}

impl Followed {
    /// The lines that were written since the last time; with `all`, also one that has no end.
    fn lines(&mut self, all: bool) -> Vec<String> {
        // What cannot be read now may be read the next time.
        let _ = self.log.read_to_end(&mut self.begun);
        let end = match self.begun.iter().rposition(|byte| *byte == b'\n') {
            _ if all => self.begun.len(),
            Some(end) => end + 1,
            None => 0,
        };
        let whole: Vec<u8> = self.begun.drain(..end).collect();
        String::from_utf8_lossy(&whole).lines().map(plain).collect()
    }
}

/// A line as it is when it is written to its end, without what would move a cursor or change a colour.
pub(super) fn plain(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    let shown = line.rsplit_once('\r').map_or(line, |(_, last)| last);
    shown.chars().filter(|c| *c == '\t' || !c.is_control()).collect()
}

impl Logs {
    pub(super) fn new(form: Form) -> Self {
        let shared = Arc::new(Shared { form, followed: Mutex::default(), over: AtomicBool::new(false) });
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while !theirs.over.load(Ordering::Relaxed) {
                thread::sleep(PERIOD);
                theirs.show();
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// From now on the log of `unit` is shown.
    pub(super) fn follow(&self, unit: &Unit, log: &Path) {
        let mut followed = self.shared.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if followed.contains_key(unit) {
            return;
        }
        // A log that is not there has nothing to show.
        if let Ok(log) = File::open(log) {
            followed.insert(unit.clone(), Followed { log, begun: Vec::new() });
        }
    }

    /// Shows what is left of the log of `unit`, and no more.
    pub(super) fn leave(&self, unit: &Unit) {
        let mut followed = self.shared.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut log) = followed.remove(unit) {
            self.shared.say(unit, &log.lines(true));
        }
    }
}

impl Shared {
    fn show(&self) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        for (unit, log) in followed.iter_mut() {
            self.say(unit, &log.lines(false));
        }
    }

    fn say(&self, unit: &Unit, lines: &[String]) {
        if !lines.is_empty() {
            let lines: Vec<String> = lines.iter().map(|line| format!("{unit} | {line}")).collect();
            self.form.say(&lines.join("\n"));
        }
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It shows, and has no result.
            let _ = thread.join();
        }
        let mut followed = self.shared.followed.lock().unwrap_or_else(PoisonError::into_inner);
        for (unit, mut log) in std::mem::take(&mut *followed) {
            self.shared.say(&unit, &log.lines(true));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn lines_are_shown_whole_and_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut followed = Followed { log: File::open(file.path()).unwrap(), begun: Vec::new() };
        let write = |text: &str| file.as_file().write_all(text.as_bytes()).unwrap();
        assert!(followed.lines(false).is_empty());
        write("checking…\nfor");
        assert_eq!(followed.lines(false), ["checking…"]);
        assert!(followed.lines(false).is_empty());
        write(" gcc\r\n10 %\r20 %");
        assert_eq!(followed.lines(false), ["for gcc"]);
        assert_eq!(followed.lines(true), ["20 %"]);
        assert!(followed.lines(true).is_empty());
    }
}
