//! Says why units would be built: what sets them apart from their newest outcomes, followed to the needs that it comes
//! from. Looks into the store and builds nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::SystemTime;

use super::machine::machine_of;
use super::{ExecuteError, key, resolved};
use base::digest::TreeDigest;
use base::name::Unit;
use model::plan::{Action, Change, Description, Difference, Plan, Role, differences};
use store::{Entry, Store, StoreError};

/// What there is to say of one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The unit.
    pub unit: Unit,
    /// What a build would do.
    pub verdict: Verdict,
    /// What is known of its newest outcome.
    pub last: Last,
}

/// What a build would do with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: its outcome is in the store.
    Stored,
    /// Nothing: what it needs is built and came out as it was.
    CutOff,
    /// Build what it needs, and it only if that comes out different.
    BuildIfNeedsDiffer,
    /// Build it.
    Build,
}

/// What is known of the newest outcome of a unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Last {
    /// There never was one here.
    None,
    /// There was one, and not what went into it.
    NotDescribed,
    /// What went into it.
    Described {
        /// When it was described, which is when it was made or found to be cut off.
        at: SystemTime,
        /// What sets the unit apart from it now.
        differences: Vec<Difference>,
    },
}

/// What goes into `action`, down to each file of an override, which the store has.
pub fn describe(action: &Action, store: &Store) -> Result<Description, StoreError> {
    action.describe(|tree| {
        let tree = store.tree(tree)?;
        Ok(tree.entries().iter().map(|(path, entry)| (path.clone(), describe_entry(entry))).collect())
    })
}

fn describe_entry(entry: &Entry) -> String {
    match entry {
        Entry::File { blob, executable, size: _ } => {
            format!("{} {blob}", if *executable { "program" } else { "file" })
        }
        Entry::Symlink { target } => format!("link to {target}"),
        Entry::Dir => "empty folder".to_owned(),
    }
}

/// Remembers what went into the outcome of `action`. Without it nothing is lost but an answer of [`why`].
pub(super) fn remember(action: &Action, store: &Store, machine: &str) {
    let text = describe(action, store).ok().and_then(|description| serde_json::to_vec(&description).ok());
    if let Some(text) = text {
        store.remember_description(action.unit(), machine_of(action, machine).as_deref(), &text);
    }
}

/// Why each of `units` would be built on `machine`, and then what it follows from: needs that are not as they were and
/// would be built too.
pub fn why(plan: &Plan, store: &Store, machine: &str, units: &[Unit]) -> Result<Vec<Answer>, ExecuteError> {
    let mut look = Look { plan, store, machine, standings: BTreeMap::new() };
    let built_before: BTreeSet<String> = store.durations().into_keys().collect();
    let mut answers = Vec::new();
    let mut seen: BTreeSet<Unit> = BTreeSet::new();
    let mut next: VecDeque<Unit> = units.iter().cloned().collect();
    while let Some(unit) = next.pop_front() {
        let Some(action) = plan.get(&unit) else { continue };
        if !seen.insert(unit.clone()) {
            continue;
        }
        let standing = look.standing(action)?;
        let last = last(action, store, machine, &built_before)?;
        let last = match last {
            // What is in the store may be older than what was described last.
            Last::Described { differences, .. } if standing.is_stored() && !differences.is_empty() => {
                Last::NotDescribed
            }
            last => last,
        };
        let verdict = standing.verdict(&last);
        if let (Verdict::Build | Verdict::BuildIfNeedsDiffer, Last::Described { differences, .. }) =
            (verdict, &last)
        {
            for difference in differences {
                if let Difference::Need { unit, change: Change::Changed, .. } = difference {
                    if let Some(action) = plan.get(unit) {
                        if look.standing(action)?.tree().is_none() {
                            next.push_back(unit.clone());
                        }
                    }
                }
            }
        }
        answers.push(Answer { unit, verdict, last });
    }
    Ok(answers)
}

/// What is known of the newest outcome of the unit of `action`.
fn last(
    action: &Action,
    store: &Store,
    machine: &str,
    built_before: &BTreeSet<String>,
) -> Result<Last, StoreError> {
    let unit = action.unit();
    let described = store.description(unit, machine_of(action, machine).as_deref())?;
    // A newer k3sroot may describe in words that this one does not know.
    let old = described.and_then(|found| Some((serde_json::from_slice(&found.text).ok()?, found.written)));
    Ok(match old {
        Some((old, at)) => Last::Described { at, differences: differences(&old, &describe(action, store)?) },
        None if built_before.contains(&unit.to_string()) => Last::NotDescribed,
        None => Last::None,
    })
}

/// What the store has for a unit.
#[derive(Debug, Clone, Copy)]
enum Standing {
    /// Its outcome.
    Stored(TreeDigest),
    /// An outcome that was made with what its needs turned out to be.
    CutOff(TreeDigest),
    /// Nothing, although all that it links is there.
    Nothing,
    /// Nothing yet: what it links has to be built first.
    Unknown,
}

impl Standing {
    fn is_stored(self) -> bool {
        matches!(self, Self::Stored(_))
    }

    /// What the unit installed, where that is known before anything is built.
    fn tree(self) -> Option<TreeDigest> {
        match self {
            Self::Stored(tree) | Self::CutOff(tree) => Some(tree),
            Self::Nothing | Self::Unknown => None,
        }
    }

    fn verdict(self, last: &Last) -> Verdict {
        match self {
            Self::Stored(_) => Verdict::Stored,
            Self::CutOff(_) => Verdict::CutOff,
            Self::Unknown if may_be_cut_off(last) => Verdict::BuildIfNeedsDiffer,
            Self::Nothing | Self::Unknown => Verdict::Build,
        }
    }
}

/// Whether nothing is known to be different but needs that may come out as they were.
fn may_be_cut_off(last: &Last) -> bool {
    let Last::Described { differences, .. } = last else { return false };
    let open = |difference: &Difference| {
        matches!(difference, Difference::Need { role: Role::Sysroot, change: Change::Changed, .. })
    };
    !differences.is_empty() && differences.iter().all(open)
}

/// A look into the store, which remembers what it saw.
struct Look<'a> {
    plan: &'a Plan,
    store: &'a Store,
    machine: &'a str,
    standings: BTreeMap<Unit, Standing>,
}

impl Look<'_> {
    fn standing(&mut self, action: &Action) -> Result<Standing, ExecuteError> {
        if let Some(standing) = self.standings.get(action.unit()) {
            return Ok(*standing);
        }
        let standing = self.look(action)?;
        self.standings.insert(action.unit().clone(), standing);
        Ok(standing)
    }

    fn look(&mut self, action: &Action) -> Result<Standing, ExecuteError> {
        if let Some(outcome) = self.store.lookup(&key(action, self.machine))? {
            return Ok(Standing::Stored(outcome.tree));
        }
        let (plan, mut sysroot) = (self.plan, BTreeMap::new());
        for unit in action.sysroot().keys() {
            let need = plan.get(unit).map(|need| self.standing(need)).transpose()?;
            match need.and_then(Standing::tree) {
                Some(tree) => sysroot.insert(unit.clone(), tree),
                None => return Ok(Standing::Unknown),
            };
        }
        let outcome = resolved(self.store, action, self.machine, &sysroot)?;
        Ok(outcome.map_or(Standing::Nothing, |outcome| Standing::CutOff(outcome.tree)))
    }
}
