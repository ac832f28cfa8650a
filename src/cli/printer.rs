//! Shows a run: a line per running unit with bars on a terminal, one plain line per event elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

use crate::execute::{Event, How};
use crate::fetch;
use crate::name::Unit;

/// Shows events as they come, from any thread.
pub(super) struct Printer {
    bars: Option<MultiProgress>,
    state: Mutex<State>,
}

struct State {
    units: BTreeMap<Unit, Line>,
    downloads: BTreeMap<String, ProgressBar>,
    whole: ProgressBar,
    pending: usize,
}

struct Line {
    bar: ProgressBar,
    started: Instant,
}

/// A size for people.
pub(super) fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn seconds(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

impl Printer {
    /// Bars if stderr is a terminal, lines otherwise.
    pub(super) fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        let whole = ProgressBar::hidden();
        let whole = bars.as_ref().map_or(whole.clone(), |bars| {
            let bar = bars.add(whole);
            bar.set_style(style("{bar:30.cyan} {pos}/{len} units  {elapsed_precise}"));
            bar
        });
        let state = State { units: BTreeMap::new(), downloads: BTreeMap::new(), whole, pending: 0 };
        Self { bars, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, line: &str) {
        match &self.bars {
            // A line that cannot be shown must not stop a build.
            Some(bars) => drop(bars.println(line)),
            None => eprintln!("{line}"),
        }
    }

    fn add(&self, template: &str) -> ProgressBar {
        match &self.bars {
            Some(bars) => {
                let bar = bars.insert_before(&self.state().whole, ProgressBar::new_spinner());
                bar.set_style(style(template));
                bar.enable_steady_tick(Duration::from_millis(200));
                bar
            }
            None => ProgressBar::hidden(),
        }
    }

    /// Shows one event.
    pub(super) fn event(&self, event: &Event<'_>) {
        match event {
            Event::Pending { units } => {
                let mut state = self.state();
                if *units > state.pending && state.whole.length().is_none_or(|length| length < *units as u64)
                {
                    state.whole.set_length(*units as u64);
                }
                state.pending = *units;
                state.whole.set_position(state.whole.length().unwrap_or(0).saturating_sub(*units as u64));
            }
            Event::Fetch(event) => self.fetch(event),
            Event::WaitingForOther(unit) => self.say(&format!("{unit}: another k3sroot builds it, waiting")),
            Event::Started(unit) => {
                let bar = self.add("{spinner} {prefix:28} {msg:10} {elapsed}");
                bar.set_prefix(unit.to_string());
                if self.bars.is_none() {
                    self.say(&format!("{unit}: building"));
                }
                self.state().units.insert((*unit).clone(), Line { bar, started: Instant::now() });
            }
            Event::Phase { unit, phase } => {
                if let Some(line) = self.state().units.get(unit) {
                    line.bar.set_message((*phase).to_owned());
                }
            }
            Event::Done { unit, how } => {
                self.close(unit);
                match how {
                    How::Cached => {}
                    How::CutOff => self.say(&format!("{unit}: needs came out the same, not rebuilt")),
                    How::Built { wall, .. } => self.say(&format!("{unit}: built in {}", seconds(*wall))),
                }
            }
            Event::Failed(unit) => {
                let took =
                    self.close(unit).map(|took| format!(" after {}", seconds(took))).unwrap_or_default();
                self.say(&format!("{unit}: failed{took}"));
            }
        }
    }

    fn close(&self, unit: &Unit) -> Option<Duration> {
        let line = self.state().units.remove(unit)?;
        line.bar.finish_and_clear();
        Some(line.started.elapsed())
    }

    fn fetch(&self, event: &fetch::Event) {
        match event {
            fetch::Event::Started { label, url, total, resumed } => {
                let bar = self.add("{spinner} {prefix:28} {bytes}/{total_bytes} {bytes_per_sec}");
                bar.set_prefix(label.clone());
                if let Some(total) = total {
                    bar.set_length(*total);
                }
                bar.set_position(*resumed);
                if self.bars.is_none() {
                    self.say(&format!("{label}: downloading {url}"));
                }
                self.state().downloads.insert(label.clone(), bar);
            }
            fetch::Event::Progress { label, bytes } => {
                if let Some(bar) = self.state().downloads.get(label) {
                    bar.set_position(*bytes);
                }
            }
            fetch::Event::Retried { label, url, reason, wait } => {
                self.say(&format!("{label}: {url}: {reason}; trying again in {}", seconds(*wait)));
            }
            fetch::Event::Damaged { label, path } => {
                self.say(&format!("{label}: the cached archive was damaged; it is now `{}`", path.display()));
            }
            fetch::Event::Waiting { label } => {
                self.say(&format!("{label}: it is being downloaded already, waiting"));
            }
            fetch::Event::Finished { label, bytes: size, .. } => {
                if let Some(bar) = self.state().downloads.remove(label) {
                    bar.finish_and_clear();
                }
                self.say(&format!("{label}: downloaded {}", bytes(*size)));
            }
            fetch::Event::Failed { label, .. } => {
                if let Some(bar) = self.state().downloads.remove(label) {
                    bar.finish_and_clear();
                }
            }
            fetch::Event::Found { .. } => {}
        }
    }

    /// Takes the bars away.
    pub(super) fn finish(&self) {
        self.state().whole.finish_and_clear();
    }
}
