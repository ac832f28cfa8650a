//! Shows a run: a line per running unit with bars on a terminal, one plain line per event elsewhere, and in CI the log of
//! every build, folded.

mod bars;
mod groups;
mod logs;

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::HumanBytes;

use super::args::Global;
use base::name::Unit;
use execute::{Event, How, log_end, log_path};
use store::Store;

use bars::Bars;
use groups::Groups;
use logs::Logs;

/// Shows events as they come, from any thread.
pub(super) struct Printer {
    form: Form,
    store: Store,
    logs: Option<Logs>,
}

/// How what happens is shown.
#[derive(Clone)]
enum Form {
    /// Not at all.
    Nothing,
    /// In one line per event.
    Lines,
    /// In lines, and the log of each build in a group that can be opened.
    Groups(Groups),
    /// In bars, and lines for what stays.
    Bars(Bars),
}

/// How much of a log CI gets to see, in bytes: all logs of a root are more than CI systems keep.
const OF_BUILT: u64 = 32 << 10;
const OF_FAILED: u64 = 256 << 10;

/// A size for people.
pub(super) fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
}

/// A time for people.
pub(super) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// A time that is not known exactly.
fn about(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("about {} s", seconds.next_multiple_of(5).max(5)),
        seconds @ 60..3600 => format!("about {} min", seconds.div_ceil(60)),
        seconds => format!("about {} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

impl Form {
    fn of(global: &Global) -> Self {
        if global.quiet {
            return Self::Nothing;
        }
        if let Some(bars) = std::io::stderr().is_terminal().then(Bars::new).flatten() {
            return Self::Bars(bars);
        }
        // Who streams the logs has them already.
        match Groups::of_this_ci().filter(|_| !global.verbose) {
            Some(groups) => Self::Groups(groups),
            None => Self::Lines,
        }
    }

    fn bars(&self) -> Option<&Bars> {
        if let Self::Bars(bars) = self { Some(bars) } else { None }
    }

    /// Shows a line that stays.
    fn say(&self, line: &str) {
        match self {
            Self::Nothing => {}
            Self::Lines | Self::Groups(_) => eprintln!("{line}"),
            Self::Bars(bars) => bars.say(line),
        }
    }

    /// Shows a line that only says what bars show, too.
    fn say_without_bars(&self, line: &str) {
        if self.bars().is_none() {
            self.say(line);
        }
    }
}

impl Printer {
    /// As the options and the terminal want it. `store` is where the logs are.
    pub(super) fn new(global: &Global, store: &Store) -> Self {
        let form = Form::of(global);
        let logs = global.verbose.then(|| Logs::new(form.clone()));
        Self { form, store: store.clone(), logs }
    }

    /// Shows one event.
    pub(super) fn event(&self, event: &Event<'_>) {
        if let Some(bars) = self.form.bars() {
            bars.event(event);
        }
        match event {
            Event::Pending { .. } => {}
            Event::Phase { unit, .. } => {
                if let Some(logs) = &self.logs {
                    logs.follow(unit, &log_path(&self.store, unit));
                }
            }
            Event::Fetch(event) => self.fetch(event),
            Event::WaitingForOther(unit) => {
                self.form.say(&format!("{unit}: another k3sroot builds it, waiting"));
            }
            Event::Started { unit, before } => {
                let before = before.map(|before| format!(", {}", about(before))).unwrap_or_default();
                self.form.say_without_bars(&format!("{unit}: building{before}"));
            }
            Event::Done { unit, how } => {
                self.close(unit);
                match how {
                    How::Cached => {}
                    How::CutOff => self.form.say(&format!("{unit}: needs came out the same, not rebuilt")),
                    How::Built { wall, .. } => {
                        self.ended(unit, &format!("{unit}: built in {}", seconds(*wall)), *wall, OF_BUILT);
                    }
                }
            }
            Event::Failed { unit, took } => {
                self.close(unit);
                match took {
                    Some(took) => {
                        self.ended(
                            unit,
                            &format!("{unit}: failed after {}", seconds(*took)),
                            *took,
                            OF_FAILED,
                        );
                    }
                    None => self.form.say(&format!("{unit}: failed")),
                }
            }
        }
    }

    /// The build of `unit` is over.
    fn close(&self, unit: &Unit) {
        if let Some(logs) = &self.logs {
            logs.leave(unit);
        }
    }

    /// Says how the build of `unit` ended, in CI with the last `most` bytes of its log.
    fn ended(&self, unit: &Unit, title: &str, took: Duration, most: u64) {
        match &self.form {
            Form::Groups(groups) => {
                let log = log_end(&log_path(&self.store, unit), most).unwrap_or_default();
                eprint!("{}", groups.group(unit, title, took, &log));
            }
            form => form.say(title),
        }
    }

    fn fetch(&self, event: &fetch::Event) {
        match event {
            fetch::Event::Started { label, url, .. } => {
                self.form.say_without_bars(&format!("{label}: downloading {url}"));
            }
            fetch::Event::Retried { label, url, reason, wait } => {
                self.form.say(&format!("{label}: {url}: {reason}; trying again in {}", seconds(*wait)));
            }
            fetch::Event::Damaged { label, path } => {
                let path = path.display();
                self.form.say(&format!("{label}: the cached archive was damaged; it is now `{path}`"));
            }
            fetch::Event::Waiting { label } => {
                self.form.say(&format!("{label}: it is being downloaded already, waiting"));
            }
            fetch::Event::Finished { label, bytes: size, .. } => {
                self.form.say(&format!("{label}: downloaded {}", bytes(*size)));
            }
            fetch::Event::Failed { label, url, reason } => {
                self.form.say_without_bars(&format!("{label}: {url}: {reason}"));
            }
            fetch::Event::Progress { .. } | fetch::Event::Found { .. } => {}
        }
    }
}

impl Drop for Printer {
    /// Shows what is left of the logs, and takes the bars away.
    fn drop(&mut self) {
        self.logs.take();
        if let Some(bars) = self.form.bars() {
            bars.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_they_can_be() {
        let told = [0.04, 59.96, 60.0, 754.0].map(|time| seconds(Duration::from_secs_f64(time)));
        assert_eq!(told, ["0.0 s", "60.0 s", "1 min 00 s", "12 min 34 s"]);
        let told = [0, 3, 58, 61, 3599, 3600, 7500].map(|time| about(Duration::from_secs(time)));
        let expected = ["5 s", "5 s", "60 s", "2 min", "60 min", "1 h 00 min", "2 h 05 min"]
            .map(|time| format!("about {time}"));
        assert_eq!(told, expected);
    }
}
