//! What changes all the time, on a terminal: a line per running unit and download, and one for the whole.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::about;
use base::name::Unit;
use execute::Event;

const UNIT: &str = "{spinner} {prefix:28} {msg:10} {elapsed}{before}";
const DOWNLOAD: &str = "{spinner} {prefix:28} {bytes}/{total_bytes} {bytes_per_sec}";
const WHOLE: &str = "{bar:30.cyan} {pos}/{len} units  {elapsed_precise}{left}";

/// The bars of a run. Clones share them.
#[derive(Clone)]
pub(super) struct Bars {
    all: MultiProgress,
    whole: ProgressBar,
    lines: Arc<Mutex<Lines>>,
    /// When the run will be over, as far as that can be told.
    end: Arc<Mutex<Option<Instant>>>,
}

#[derive(Default)]
struct Lines {
    units: BTreeMap<Unit, ProgressBar>,
    downloads: BTreeMap<String, ProgressBar>,
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Bars {
    /// None on a terminal that cannot move its cursor.
    pub(super) fn new() -> Option<Self> {
        let (all, end) = (MultiProgress::new(), Arc::new(Mutex::new(None::<Instant>)));
        if all.is_hidden() {
            return None;
        }
        let whole = all.add(ProgressBar::no_length());
        let at = Arc::clone(&end);
        let left = move |_: &ProgressState, line: &mut dyn Write| {
            let end = *at.lock().unwrap_or_else(PoisonError::into_inner);
            // A line that cannot be shown must not stop a build.
            let left = end.and_then(|end| end.checked_duration_since(Instant::now()));
            let _ = left.map(|left| write!(line, ", {} left", about(left)));
        };
        whole.set_style(style(WHOLE).with_key("left", left));
        Some(Self { all, whole, lines: Arc::default(), end })
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a line above the bars.
    pub(super) fn say(&self, line: &str) {
        let _ = self.all.println(line);
    }

    fn add(&self, style: ProgressStyle, prefix: String) -> ProgressBar {
        let bar = self.all.insert_before(&self.whole, ProgressBar::no_length());
        bar.set_style(style);
        bar.set_prefix(prefix);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    pub(super) fn event(&self, event: &Event<'_>) {
        match event {
            Event::Pending { units, left } => self.pending(*units as u64, *left),
            Event::Started { unit, before } => {
                let before = before.map(|before| format!(" of {}", about(before))).unwrap_or_default();
                let bar = self.add(
                    style(UNIT).with_key("before", move |_: &ProgressState, line: &mut dyn Write| {
                        let _ = line.write_str(&before);
                    }),
                    unit.to_string(),
                );
                self.lines().units.insert((*unit).clone(), bar);
            }
            Event::Phase { unit, phase } => {
                if let Some(bar) = self.lines().units.get(unit) {
                    bar.set_message((*phase).to_owned());
                }
            }
            Event::Done { unit, .. } | Event::Failed { unit, .. } => {
                if let Some(bar) = self.lines().units.remove(unit) {
                    bar.finish_and_clear();
                }
            }
            Event::Fetch(event) => self.fetch(event),
            Event::WaitingForOther(_) => {}
        }
    }

    fn pending(&self, units: u64, left: Option<Duration>) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = left.map(|left| Instant::now() + left);
        // The more is looked at, the more turns out to be missing.
        if units > 0 && self.whole.length().is_none_or(|length| length < units) {
            self.whole.set_length(units);
            self.whole.enable_steady_tick(Duration::from_secs(1));
        }
        self.whole.set_position(self.whole.length().unwrap_or(0).saturating_sub(units));
    }

    fn fetch(&self, event: &fetch::Event) {
        match event {
            fetch::Event::Started { label, total, resumed, .. } => {
                let bar = self.add(style(DOWNLOAD), label.clone());
                if let Some(total) = total {
                    bar.set_length(*total);
                }
                bar.set_position(*resumed);
                // What was here before says nothing of the rate.
                bar.reset_eta();
                self.lines().downloads.insert(label.clone(), bar);
            }
            fetch::Event::Progress { label, bytes } => {
                if let Some(bar) = self.lines().downloads.get(label) {
                    bar.set_position(*bytes);
                }
            }
            fetch::Event::Finished { label, .. } | fetch::Event::Failed { label, .. } => {
                if let Some(bar) = self.lines().downloads.remove(label) {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }

    /// Takes the bars away, those of what was stopped too.
    pub(super) fn finish(&self) {
        let Lines { units, downloads } = std::mem::take(&mut *self.lines());
        for bar in units.into_values().chain(downloads.into_values()) {
            bar.finish_and_clear();
        }
        self.whole.finish_and_clear();
    }
}
