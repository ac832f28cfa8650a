//! What happens during a run, for whoever shows it.

use std::time::Duration;

use base::name::Unit;

/// How a unit came to have an outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum How {
    /// It was in the store under its action's digest.
    Cached,
    /// Its needs changed and turned out the same: it was in the store under its resolved digest.
    CutOff,
    /// It was built in this run.
    Built {
        /// How long it took.
        wall: Duration,
        /// User and system time of all its processes.
        cpu: Duration,
    },
}

/// One thing that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// So many units have to be built or looked at again, as far as is known now.
    Pending {
        /// How many.
        units: usize,
        /// How long they will take, as far as earlier builds tell.
        left: Option<Duration>,
    },
    /// A source is on its way.
    Fetch(&'a fetch::Event),
    /// Another k3sroot builds this unit; this one waits for it.
    WaitingForOther(&'a Unit),
    /// A unit's build begins.
    Started {
        /// The unit.
        unit: &'a Unit,
        /// How long its last build here took; none if there was none.
        before: Option<Duration>,
    },
    /// A unit's build reaches a phase.
    Phase {
        /// The unit.
        unit: &'a Unit,
        /// `unpack`, `configure`, `build`, `install`, ….
        phase: &'a str,
    },
    /// A unit has its outcome.
    Done {
        /// The unit.
        unit: &'a Unit,
        /// How it got it.
        how: How,
    },
    /// A unit failed.
    Failed {
        /// The unit.
        unit: &'a Unit,
        /// How long it was at work; none if it was not even started.
        took: Option<Duration>,
    },
}
