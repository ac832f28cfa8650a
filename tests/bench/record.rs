//! What a run of the benchmark found, kept beside this file for the next one to compare with.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, thread};

use indicatif::{BinaryBytes, HumanBytes};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::measure::Figures;

/// From what change on the processor time of a scenario is called worse or better: runs differ by some percent.
const NOTABLE: f64 = 0.10;
/// A change of less than this is noise, whatever part it is: of seconds, and of bytes of memory.
const NOISE_SECONDS: f64 = 0.02;
const NOISE_BYTES: f64 = (16 << 20) as f64;

/// One run of the benchmark.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The commit's date and short name; `+` if the tree had changes.
    pub(crate) commit: String,
    pub(crate) machine: Machine,
    pub(crate) setting: Setting,
    /// What the programs that were measured call themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) versions: Vec<String>,
    pub(crate) scenarios: Vec<Scenario>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    /// In bytes, to the next GiB: kernels keep more or less of it for themselves.
    pub(crate) memory: u64,
}

/// What was built.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) toolchain: String,
    pub(crate) arch: String,
    pub(crate) second: String,
    /// Packages that were left out because their source was not at hand.
    pub(crate) missing: Vec<String>,
    /// Packages that were built from local trees in place of their pinned sources.
    pub(crate) overridden: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

impl Machine {
    pub(crate) fn this() -> Result<Self> {
        let value = |path: &str, key: &str| -> Result<String> {
            let text = fs::read_to_string(path)?;
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.split_once(':'));
            Ok(line.map_or_else(String::new, |(_, value)| value.trim().to_owned()))
        };
        let memory = value("/proc/meminfo", "MemTotal")?;
        Ok(Self {
            processor: value("/proc/cpuinfo", "model name")?,
            cores: thread::available_parallelism()?.get(),
            memory: memory.trim_end_matches(" kB").parse::<u64>()?.div_ceil(1 << 20) << 30,
        })
    }
}

/// The commit's time and short name, so that records are in order of time.
pub(crate) fn commit() -> Result<String> {
    let git = |args: &[&str]| -> Result<String> {
        let output = Command::new("git").args(args).output()?;
        if !output.status.success() {
            return Err(format!("git {args:?}: {}", output.status).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    // The record of the run before this one changes nothing.
    let changed = git(&["status", "--porcelain", "--", ".", ":!tests/bench/*.json"])?;
    let changed = if changed.is_empty() { "" } else { "+" };
    Ok(git(&["log", "-1", "--date=format:%Y-%m-%dT%H%M", "--format=%cd-%h"])? + changed)
}

impl Record {
    /// Writes it beside this file, under the commit and `kind`; where that is, and a table for people.
    pub(crate) fn keep(&self, kind: &str) -> Result<(PathBuf, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench");
        let path = folder.join(format!("{}-{kind}.json", self.commit));
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        fs::write(&path, text)?;
        Ok((path, self.table(self.comparable(&folder)?.as_ref())))
    }

    /// The newest record in `folder` of the same work on the same machine.
    pub(crate) fn comparable(&self, folder: &Path) -> Result<Option<Self>> {
        let mut paths: Vec<_> = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in
            paths.iter().rev().filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        {
            let text = fs::read_to_string(path)?;
            let other: Self =
                serde_json::from_str(&text).map_err(|error| format!("`{}`: {error}", path.display()))?;
            if other.machine == self.machine && other.setting == self.setting && other.commit != self.commit {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    /// A line for each scenario, with what changed since `before`.
    pub(crate) fn table(&self, before: Option<&Self>) -> String {
        let mut text = format!(
            "{:<24}{:>9}{:>10}{:>7}{:>12}{:>12}{:>12}",
            "scenario", "CPU s", "wall s", "used", "peak memory", "read", "written"
        );
        if let Some(before) = before {
            let _ = write!(text, "   CPU s, wall s, memory since {}", before.commit);
        }
        text.push('\n');
        for Scenario { name, figures } in &self.scenarios {
            let _ = write!(
                text,
                "{name:<24}{:>9.2}{:>10.2}{:>6.0}%{:>12}{:>12}{:>12}",
                figures.cpu_seconds,
                figures.wall_seconds,
                100.0 * figures.utilisation,
                BinaryBytes(figures.peak_memory).to_string(),
                HumanBytes(figures.read).to_string(),
                HumanBytes(figures.written).to_string(),
            );
            let old = before.and_then(|before| before.scenarios.iter().find(|old| old.name == *name));
            if let Some(old) = old {
                let _ = write!(text, "   {}", changes(&old.figures, figures));
            }
            text.push('\n');
        }
        if before.is_none() {
            text += "No earlier record of the same work on the same machine: nothing to compare with.\n";
        }
        text
    }
}

/// What changed, and whether that is for the worse. The time on the clock decides nothing: others use the machine, too.
fn changes(before: &Figures, now: &Figures) -> String {
    let part = |before: f64, now: f64| (now - before) / before.max(f64::EPSILON);
    let notable = |before: f64, now: f64, noise: f64| {
        let part = part(before, now);
        if part.abs() < NOTABLE || (now - before).abs() < noise { 0.0 } else { part }
    };
    let (old_memory, memory) = (before.peak_memory as f64, now.peak_memory as f64);
    let decisive = [
        notable(before.cpu_seconds, now.cpu_seconds, NOISE_SECONDS),
        notable(old_memory, memory, NOISE_BYTES),
    ];
    let verdict = match () {
        () if decisive.iter().any(|part| *part > 0.0) => "  WORSE",
        () if decisive.iter().any(|part| *part < 0.0) => "  better",
        () => "",
    };
    format!(
        "{:+.0} %, {:+.0} %, {:+.0} %{verdict}",
        100.0 * part(before.cpu_seconds, now.cpu_seconds),
        100.0 * part(before.wall_seconds, now.wall_seconds),
        100.0 * part(old_memory, memory)
    )
}
