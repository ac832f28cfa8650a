//! The record of a run. All times are in seconds since it began, all sizes in bytes.

use serde::{Deserialize, Serialize};

use base::name::{PackageName, Unit};

/// What a run did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What the run is called: when it ended, in UTC, `2026-11-21T22-42-06.123Z`.
    pub id: String,
    /// The version of k3sroot.
    pub k3sroot: String,
    /// The command line.
    pub words: Vec<String>,
    /// What ended it, if it did not come to its end: it was stopped, or no tarball could be written.
    pub error: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// How many processes were allowed at once.
    pub jobs: usize,
    /// Processor time, in seconds, of the builds that it found done; earlier versions did not say.
    #[serde(default)]
    pub saved: f64,
    /// Every unit of the plan, in build order.
    pub units: Vec<UnitRecord>,
    /// What was downloaded.
    pub downloads: Vec<Download>,
    /// What was written.
    pub tarballs: Vec<TarballRecord>,
}

/// What became of a unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// The unit.
    pub unit: Unit,
    /// Its version; `unknown` for a local tree that does not state it.
    pub version: String,
    /// How it came to have an outcome, or why it has none.
    pub state: State,
    /// When it was at work.
    pub span: Option<Span>,
    /// Its phases, in order.
    pub phases: Vec<PhaseRecord>,
    /// Processor time of its build, in this run or when its outcome was made.
    pub cpu_seconds: Option<f64>,
    /// How many files it has.
    pub files: Option<u64>,
    /// How large they are.
    pub bytes: Option<u64>,
    /// What its build sees.
    pub needs: Vec<Unit>,
    /// What went wrong.
    pub failure: Option<FailureRecord>,
    /// The failed unit that kept it from being built.
    pub blocked_by: Option<Unit>,
}

/// How a unit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was built.
    Built,
    /// It was in the store.
    Cached,
    /// Its needs came out the same, so it was in the store.
    CutOff,
    /// Its build failed, or its source could not be had.
    Failed,
    /// Something that it needs failed.
    Blocked,
    /// The run ended while it was built.
    Stopped,
    /// Nothing that was built needs it, or the run ended before it was its turn.
    Idle,
}

/// A time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Its begin.
    pub from: f64,
    /// Its end.
    pub to: f64,
}

/// A phase of a build; it lasts until the next one begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseRecord {
    /// `unpack`, `configure`, `build`, ….
    pub name: String,
    /// When it began.
    pub from: f64,
}

/// Why a unit failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// The error, as it was shown.
    pub text: String,
    /// The end of the log, if there is one.
    pub log: Option<String>,
}

/// An archive that came over the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Download {
    /// Whose it is: `gmp 6.3.0`.
    pub label: String,
    /// When it was on its way.
    pub span: Span,
    /// Its size.
    pub bytes: u64,
}

/// A tarball that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TarballRecord {
    /// Its file name.
    pub file: String,
    /// Its digest.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// What is in it.
    pub members: Vec<MemberRecord>,
}

/// A member of a tarball.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Its name.
    pub name: String,
    /// The size of its contents.
    pub bytes: u64,
    /// Where it leads, if it is a link.
    pub link: Option<String>,
    /// The package that it comes from.
    pub package: Option<PackageName>,
}
