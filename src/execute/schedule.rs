//! Decides what runs next. A pure state machine: it is told what happened and says what may start, and the outside
//! world (store, sources, processes, tokens) stays outside.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base::name::Unit;
use model::plan::{Action, Plan};
use store::Took;

/// How long a unit is thought to take, in seconds, when it was never built here.
const UNKNOWN_DURATION: f64 = 10.0;

/// Where a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody asked for it yet.
    Idle,
    /// It waits for needs or for its source.
    Waiting,
    /// Everything is there.
    Ready,
    /// It is being built.
    Running,
    /// It has an outcome.
    Done,
    /// It will have none in this run.
    Failed,
}

/// The state of a run.
#[derive(Debug)]
pub(super) struct Schedule<'a> {
    plan: &'a Plan,
    states: BTreeMap<&'a Unit, State>,
    /// Which units have this one among their inputs.
    dependents: BTreeMap<&'a Unit, Vec<&'a Unit>>,
    /// Seconds from the start of the unit to the end of the last one that waits for it.
    remaining: BTreeMap<&'a Unit, f64>,
    /// Units whose source is here.
    fetched: BTreeSet<&'a Unit>,
    /// How long units took that were built here before.
    known: BTreeMap<&'a Unit, Took>,
}

impl<'a> Schedule<'a> {
    /// A schedule in which nothing happened yet; `durations` are remembered from earlier builds, by unit.
    pub(super) fn new(plan: &'a Plan, durations: &BTreeMap<String, Took>) -> Self {
        let mut dependents: BTreeMap<&Unit, Vec<&Unit>> = BTreeMap::new();
        for action in plan.actions() {
            for input in inputs(plan, action.unit()) {
                dependents.entry(input).or_default().push(action.unit());
            }
        }
        let states: BTreeMap<&Unit, State> =
            plan.actions().iter().map(|action| (action.unit(), State::Idle)).collect();
        let known: BTreeMap<&Unit, Took> = states
            .keys()
            .filter_map(|&unit| durations.get(&unit.to_string()).map(|took| (unit, *took)))
            .collect();
        let own = |unit: &Unit| Some(known.get(unit).map_or(UNKNOWN_DURATION, |took| took.seconds));
        let remaining = longest_ways(plan, &dependents, own);
        Self { plan, states, dependents, remaining, fetched: BTreeSet::new(), known }
    }

    fn set(&mut self, unit: &Unit, state: State) {
        if let Some(entry) = self.states.get_mut(unit) {
            *entry = state;
        }
    }

    /// Whether nobody asked for `unit` yet.
    pub(super) fn is_idle(&self, unit: &Unit) -> bool {
        self.states.get(unit) == Some(&State::Idle)
    }

    /// `unit` is wanted and has no outcome.
    pub(super) fn wait(&mut self, unit: &Unit) {
        self.set(unit, State::Waiting);
    }

    /// The source of `unit` is here.
    pub(super) fn source_is_here(&mut self, unit: &Unit) {
        if let Some((&unit, _)) = self.states.get_key_value(unit) {
            self.fetched.insert(unit);
        }
    }

    /// Whether `unit` may turn out not to need its source: its needs are not all there, and may turn out the same as when
    /// it was built before. One that was never built here needs its source for sure.
    pub(super) fn may_be_cut_off(&self, unit: &Unit) -> bool {
        self.states.get(unit) == Some(&State::Waiting) && self.known.contains_key(unit)
    }

    /// `unit` has an outcome.
    pub(super) fn done(&mut self, unit: &Unit) {
        self.set(unit, State::Done);
    }

    /// How long `unit` took when it was last built here.
    pub(super) fn took(&self, unit: &Unit) -> Option<Duration> {
        Duration::try_from_secs_f64(self.known.get(unit)?.seconds).ok()
    }

    /// `unit` starts.
    pub(super) fn start(&mut self, unit: &Unit) {
        self.set(unit, State::Running);
    }

    /// `unit` has no outcome, and so has nothing that needs it; returns what it takes down, in build order.
    pub(super) fn fail(&mut self, unit: &Unit) -> Vec<Unit> {
        self.set(unit, State::Failed);
        let mut blocked: BTreeSet<&Unit> = BTreeSet::new();
        let mut next = vec![unit.clone()];
        while let Some(unit) = next.pop() {
            for &dependent in self.dependents.get(&unit).into_iter().flatten() {
                if self.states[dependent] == State::Waiting && blocked.insert(dependent) {
                    next.push(dependent.clone());
                }
            }
        }
        let blocked: Vec<Unit> = blocked.into_iter().cloned().collect();
        for unit in &blocked {
            self.set(unit, State::Failed);
        }
        blocked
    }

    /// Units that wait although all their inputs have outcomes.
    pub(super) fn resolvable(&self) -> Vec<&'a Unit> {
        self.states
            .iter()
            .filter(|&(_, &state)| state == State::Waiting)
            .map(|(&unit, _)| unit)
            .filter(|unit| inputs(self.plan, unit).all(|input| self.states[input] == State::Done))
            .collect()
    }

    /// Everything for `unit` is there but perhaps its source; nothing but building it is left.
    pub(super) fn must_build(&mut self, unit: &Unit) {
        self.set(unit, State::Ready);
    }

    /// Whether `unit` could start now.
    fn startable(&self, unit: &Unit, useful: &BTreeSet<&Unit>) -> bool {
        self.states[unit] == State::Ready && self.fetched.contains(unit) && useful.contains(unit)
    }

    /// The unit to start next: of those that can and that a goal still needs, the one with the longest way to go.
    pub(super) fn next(&self) -> Option<&'a Unit> {
        let useful = self.useful();
        self.states.keys().copied().filter(|unit| self.startable(unit, &useful)).max_by(|left, right| {
            self.remaining[left].total_cmp(&self.remaining[right]).then(right.cmp(left))
        })
    }

    /// Units that are running.
    pub(super) fn running(&self) -> usize {
        self.states.values().filter(|&&state| state == State::Running).count()
    }

    /// Units that are not finished and that a goal still needs.
    pub(super) fn pending(&self) -> usize {
        self.useful().len()
    }

    /// Seconds until nothing is pending, when `jobs` processes run at once and running units have been at it for
    /// `elapsed` seconds. None if nothing is, or if most of it was never built here.
    pub(super) fn left(&self, jobs: usize, elapsed: impl Fn(&Unit) -> f64) -> Option<f64> {
        let useful = self.useful();
        if useful.is_empty()
            || useful.iter().filter(|unit| self.known.contains_key(**unit)).count() * 2 < useful.len()
        {
            return None;
        }
        let unknown = Took { seconds: UNKNOWN_DURATION, cpu_seconds: UNKNOWN_DURATION };
        let took = |unit: &Unit| self.known.get(unit).copied().unwrap_or(unknown);
        let seconds = |unit: &Unit| match self.states[unit] {
            State::Running => (took(unit).seconds - elapsed(unit)).max(0.0),
            _ => took(unit).seconds,
        };
        // A unit is as far with its processor time as with its time.
        let cpu = |unit: &Unit| match took(unit) {
            Took { seconds: whole, cpu_seconds } if whole > 0.0 => cpu_seconds * seconds(unit) / whole,
            _ => 0.0,
        };
        #[expect(clippy::cast_precision_loss, reason = "there are no 2^52 processors")]
        let by_work = useful.iter().map(|unit| cpu(unit)).sum::<f64>() / jobs as f64;
        let ways =
            longest_ways(self.plan, &self.dependents, |unit| useful.contains(unit).then(|| seconds(unit)));
        Some(ways.into_values().fold(by_work, f64::max))
    }

    /// Units without an outcome that lead to a goal that can still be reached.
    fn useful(&self) -> BTreeSet<&'a Unit> {
        let mut useful = BTreeSet::new();
        let mut next: Vec<&Unit> = self.plan.goals().iter().collect();
        while let Some(unit) = next.pop() {
            let Some((&unit, state)) = self.states.get_key_value(unit) else { continue };
            let open = matches!(state, State::Waiting | State::Ready | State::Running);
            if open && useful.insert(unit) {
                next.extend(inputs(self.plan, unit));
            }
        }
        useful
    }
}

/// Seconds from the start of each unit to the end of the last one that waits for it, for those that take time `own`.
fn longest_ways<'a>(
    plan: &'a Plan,
    dependents: &BTreeMap<&'a Unit, Vec<&'a Unit>>,
    own: impl Fn(&Unit) -> Option<f64>,
) -> BTreeMap<&'a Unit, f64> {
    let mut ways: BTreeMap<&Unit, f64> = BTreeMap::new();
    for unit in plan.actions().iter().rev().map(Action::unit) {
        let Some(own) = own(unit) else { continue };
        let after = dependents.get(unit).into_iter().flatten().filter_map(|unit| ways.get(unit).copied());
        let after = after.fold(0.0, f64::max);
        ways.insert(unit, own + after);
    }
    ways
}

/// What the build of `unit` sees.
pub(super) fn inputs<'a>(plan: &'a Plan, unit: &Unit) -> impl Iterator<Item = &'a Unit> + use<'a> {
    plan.get(unit).into_iter().flat_map(|action| action.tools().keys().chain(action.sysroot().keys()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::path::Path;

    use model::arch::Arches;
    use model::graph::{CompilerFrom, Graph};
    use model::plan::{Compilers, Overrides};
    use model::recipe::{Beside, LocalFile, Recipes, parse};

    /// The example recipes have no patches and no files of their own.
    struct Nothing;

    impl Beside for Nothing {
        fn patch(&self, _: &str, _: &str) -> io::Result<String> {
            Err(io::ErrorKind::NotFound.into())
        }

        fn local(&self, _: &str) -> io::Result<BTreeMap<String, LocalFile>> {
            Ok(BTreeMap::new())
        }
    }

    /// The plan of a toolchain and of a program with a library and a tool that need others.
    fn plan() -> Plan {
        let list = [
            ("linux-headers", "toolchain = \"none\"", ""),
            ("musl", "toolchain = \"compiler\"", ""),
            ("gmp", "", ""),
            ("gcc", "link = [\"gmp\"]\ntarget = [\"linux-headers\"]", "cross = true"),
            ("m4", "", ""),
            ("bison", "tools = [\"m4\"]\nrun = [\"m4\"]", ""),
            ("libmnl", "", ""),
            ("libnftnl", "link = [\"libmnl\"]", ""),
            ("iptables", "tools = [\"bison\"]\nlink = [\"libnftnl\"]", ""),
        ];
        let recipe = |(name, needs, build): (&str, &str, &str)| {
            let text = format!(
                "name = \"{name}\"\nversion = \"1\"\nsummary = \"\"\nhomepage = \"\"\n[license]\nspdx = \"MIT\"\n\
                 [[source]]\nurls = [\"https://example.invalid/{name}\"]\nsha256 = \"{}\"\n\
                 [needs]\n{needs}\n[build]\nsystem = \"make\"\n{build}\n",
                "1".repeat(64),
            );
            let recipe = parse(Path::new(&format!("recipes/{name}.toml")), &text, &Nothing).unwrap();
            (recipe.name.clone(), recipe)
        };
        let recipes: Recipes = list.map(recipe).into_iter().collect();
        let arches = Arches::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sysroot")).unwrap();
        let (goal, arch) = ("iptables".parse().unwrap(), "amd64".parse().unwrap());
        let graph = Graph::build(&recipes, &[goal], &[arch], CompilerFrom::Source).unwrap();
        Plan::new(&graph, &recipes, &arches, &Overrides::new(), &Compilers::new()).unwrap()
    }

    fn unit(text: &str) -> Unit {
        text.parse().unwrap()
    }

    /// A schedule in which everything waits and every source is here.
    fn waiting<'a>(plan: &'a Plan, durations: &[(&str, f64)]) -> Schedule<'a> {
        let took = |seconds| Took { seconds, cpu_seconds: 2.0 * seconds };
        let durations =
            durations.iter().map(|(unit, seconds)| ((*unit).to_owned(), took(*seconds))).collect();
        let mut schedule = Schedule::new(plan, &durations);
        for action in plan.actions() {
            schedule.wait(action.unit());
            schedule.source_is_here(action.unit());
        }
        schedule
    }

    /// Builds everything, one unit at a time; returns the order.
    fn order(schedule: &mut Schedule<'_>) -> Vec<String> {
        let mut order = Vec::new();
        loop {
            for unit in schedule.resolvable() {
                schedule.must_build(unit);
            }
            let Some(unit) = schedule.next() else { return order };
            schedule.start(unit);
            schedule.done(unit);
            order.push(unit.to_string());
        }
    }

    #[test]
    fn everything_is_built_and_nothing_before_its_inputs() {
        let plan = plan();
        let mut schedule = waiting(&plan, &[]);
        let order = order(&mut schedule);
        assert_eq!(order.len(), plan.actions().len());
        for (index, done) in order.iter().enumerate() {
            for input in inputs(&plan, &unit(done)) {
                assert!(order[..index].contains(&input.to_string()), "{input} is not before {done}");
            }
        }
        assert_eq!((schedule.pending(), schedule.running()), (0, 0));
    }

    #[test]
    fn the_longest_way_to_go_comes_first() {
        let plan = plan();
        assert_eq!(order(&mut waiting(&plan, &[("m4@build", 1000.0)]))[0], "m4@build");
        assert_ne!(order(&mut waiting(&plan, &[("m4@build", 0.1), ("bison@build", 0.1)]))[0], "m4@build");
    }

    #[test]
    fn a_failure_takes_down_what_needs_it_and_what_only_that_needed_is_not_started() {
        let plan = plan();
        let mut schedule = waiting(&plan, &[]);
        let blocked: Vec<String> =
            schedule.fail(&unit("libmnl@amd64")).iter().map(ToString::to_string).collect();
        assert_eq!(blocked, ["iptables@amd64", "libnftnl@amd64"]);
        assert_eq!(schedule.pending(), 0, "nothing leads to a goal any more");
        assert!(order(&mut schedule).is_empty());
    }

    #[test]
    fn nothing_starts_before_its_source_is_here() {
        let plan = plan();
        let mut schedule = Schedule::new(&plan, &BTreeMap::new());
        for action in plan.actions() {
            schedule.wait(action.unit());
        }
        for unit in schedule.resolvable() {
            schedule.must_build(unit);
        }
        assert_eq!(schedule.next(), None);
        schedule.source_is_here(&unit("gmp@build"));
        assert_eq!(schedule.next(), Some(&unit("gmp@build")));
    }

    #[test]
    fn what_is_left_is_the_longest_way_or_the_work_of_all_processors() {
        let plan = plan();
        let all = |seconds| plan.actions().iter().map(move |action| (action.unit().to_string(), seconds));
        let durations: Vec<(String, f64)> = all(10.0).collect();
        let durations: Vec<(&str, f64)> =
            durations.iter().map(|(unit, time)| (unit.as_str(), *time)).collect();
        let mut schedule = waiting(&plan, &durations);
        let whole = f64::from(u32::try_from(plan.actions().len()).unwrap()) * 20.0;
        let seconds = |time: f64| format!("{time:.3}");
        let left = |schedule: &Schedule<'_>, jobs| seconds(schedule.left(jobs, |_| 4.0).unwrap());
        assert_eq!([1, 2].map(|jobs| left(&schedule, jobs)), [whole, whole / 2.0].map(seconds));
        let way = schedule.remaining.values().copied().fold(0.0, f64::max);
        assert_eq!(left(&schedule, 1000), seconds(way));

        schedule.start(&unit("gmp@build"));
        assert_eq!(left(&schedule, 1), seconds(whole - 8.0));
        schedule.done(&unit("gmp@build"));
        assert_eq!(left(&schedule, 1), seconds(whole - 20.0));
        assert_eq!(waiting(&plan, &durations[..1]).left(1, |_| 0.0), None);
    }
}
