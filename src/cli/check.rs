//! `k3sroot check`: builds twice under different conditions and compares.

mod compare;
mod seen;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::process::Stdio;

use serde::Serialize;

use super::args::{Check, Global};
use super::error::CliError;
use super::means;
use super::project::{Planned, Project, open_store};
use super::table::{Paint, Tone, table};
use super::{colour, print, print_json};
use base::name::Machine;
use check::{Conditions, Report, Stage, Variation, make_clock, parse_list};
use execute::{Stop, identity, key};
use model::plan::Action;
use sandbox::{Mode, Sandbox};
use store::Store;

use compare::{Compared, Tarball};
use seen::Seen;
use work::{Call, Work};

/// What is printed.
#[derive(Serialize)]
struct Answer {
    /// Whether nothing differs.
    alike: bool,
    /// How many of the packages neither build has: nothing is said of them.
    missing: usize,
    varied: Vec<Seen>,
    not_varied: BTreeMap<Variation, String>,
    packages: Vec<Compared>,
    tarballs: Vec<Tarball>,
}

pub(super) fn run(global: &Global, args: &Check) -> Result<(), CliError> {
    let wanted = parse_list(args.vary.iter().map(String::as_str))?;
    let project = Project::load(global)?;
    let store = open_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    let stop = means::stop();
    let work = Work::new(args, &store, wanted.contains(&Variation::BuildPath))?;
    let all_of = |action: &Action| {
        wanted.contains(&Variation::Archives) && (!args.reuse || is_checked(&planned, action))
    };
    let has_choice = work.fill(global, &planned, &store, args, &all_of, &stop)?;
    if stop.is_thrown() {
        return Err(CliError::Stopped);
    }
    // Its stages end in their own time, and so does the removal of what they made.
    let _waiting = stop.waiting();
    let mut check = Checker {
        global,
        args,
        store: &store,
        planned: &planned,
        stop: &stop,
        work,
        first_mode: Mode::Namespaces,
        wanted,
        obstacles: BTreeMap::new(),
    };
    check.look_at_calls(has_choice);
    let varied = check.look_at_conditions()?;
    check.say_what_is_varied(&varied);
    let packages = check.both()?;
    let tarballs = compare::tarballs(&check.work)?;
    let alike = packages.iter().all(Compared::is_alike) && tarballs.iter().all(Tarball::is_alike);
    let missing = packages.iter().filter(|one| !one.is_built()).count();
    let answer = Answer { alike, missing, varied, not_varied: check.obstacles.clone(), packages, tarballs };
    if args.json {
        print_json(&answer)?;
    } else {
        print(&answer.text(Paint(colour(&io::stdout()))))?;
    }
    if !alike || args.keep {
        let folder = check.work.persist()?;
        global.say(&format!("both builds are kept in `{}`", folder.display()));
    }
    match (alike, missing) {
        (true, 0) => Ok(()),
        (true, missing) => Err(CliError::CheckedInPart { missing }),
        (false, _) => Err(CliError::NotReproducible),
    }
}

/// A check in progress.
struct Checker<'a> {
    global: &'a Global,
    args: &'a Check,
    store: &'a Store,
    planned: &'a Planned,
    stop: &'a Stop,
    work: Work,
    /// How the first build runs.
    first_mode: Mode,
    /// What is varied.
    wanted: BTreeSet<Variation>,
    /// What was wanted and is not varied, and why.
    obstacles: BTreeMap<Variation, String>,
}

impl Checker<'_> {
    fn drop_variation(&mut self, variation: Variation, why: &str) {
        if self.wanted.remove(&variation) {
            self.obstacles.insert(variation, why.to_owned());
        }
    }

    /// Drops what is known beforehand not to be varied.
    fn look_at_calls(&mut self, has_choice: bool) {
        if let Err(error) = Sandbox::probe(&self.work.program()) {
            self.drop_variation(Variation::Sandbox, &format!("there are no namespaces: {error}"));
            self.first_mode = Mode::None;
        }
        if let Some(folder) = self.work.closed_to_others() {
            self.drop_variation(
                Variation::UserGroup,
                &format!(
                    "other users cannot pass `{}`: give `--work DIR` that they can reach",
                    folder.display()
                ),
            );
        }
        if !has_choice {
            self.drop_variation(
                Variation::Archives,
                "no source of what is built again is here in more than one archive",
            );
        }
        if self.wanted.contains(&Variation::Time) {
            if let Err(error) = make_clock(&self.work.clock()) {
                self.drop_variation(Variation::Time, &format!("no library that moves the clock: {error}"));
            }
        }
        if self.halves().is_none() {
            self.drop_variation(Variation::Cache, "there is one package alone");
        }
    }

    /// Sets up both conditions around a script that looks at them; what makes no difference is not varied.
    fn look_at_conditions(&mut self) -> Result<Vec<Seen>, CliError> {
        let (_, first) = self.observe("first", &BTreeSet::new())?;
        let wanted = self.wanted.clone();
        let (report, second) = self.observe("second", &wanted)?;
        for (variation, why) in report.obstacles {
            self.drop_variation(variation, &why);
        }
        let mut varied = Vec::new();
        for variation in wanted.intersection(&self.wanted.clone()).copied() {
            let seen =
                |at: &BTreeMap<String, String>| at.get(variation.as_str()).cloned().unwrap_or_default();
            let by_call = match variation {
                Variation::Sandbox => Some(("namespaces".to_owned(), "none".to_owned())),
                Variation::Archives => Some(("the first that is here".to_owned(), "the last".to_owned())),
                Variation::Cache => Some(("one run".to_owned(), "two runs".to_owned())),
                _ => None,
            };
            let (one, other) = by_call.unwrap_or_else(|| (seen(&first), seen(&second)));
            if one == other {
                self.drop_variation(variation, &format!("it makes no difference here: `{one}`"));
            } else {
                varied.push(Seen { variation, first: one, second: other });
            }
        }
        Ok(varied)
    }

    fn observe(
        &self,
        side: &'static str,
        variations: &BTreeSet<Variation>,
    ) -> Result<(Report, BTreeMap<String, String>), CliError> {
        self.work.prepare(side)?;
        self.work.hand_over(side, variations)?;
        let conditions = self.work.conditions(side, variations);
        let output = self.work.scratch(side).join("seen");
        let io = |source| CliError::Io { what: "look at a build's conditions".to_owned(), source };
        let file = std::fs::File::create(&output).map_err(io)?;
        let report = self.stage(side, conditions, vec![seen::command()], file.into())?;
        if report.status != Some(0) {
            return Err(CliError::CheckBuild { side });
        }
        let seen = seen::read(&std::fs::read_to_string(&output).map_err(io)?);
        self.work.clear(side)?;
        Ok((report, seen))
    }

    fn stage(
        &self,
        side: &'static str,
        conditions: Conditions,
        commands: Vec<Vec<String>>,
        stdout: Stdio,
    ) -> Result<Report, CliError> {
        let stage = Stage::new(conditions, commands, self.work.scratch(side));
        let report = stage.start(&self.work.program(), stdout)?.wait(|| self.stop.is_thrown());
        if self.stop.is_thrown() { Err(CliError::Stopped) } else { Ok(report?) }
    }

    fn say_what_is_varied(&self, varied: &[Seen]) {
        self.global.say(seen::text(varied, &self.obstacles).trim_end());
        let hidden: Vec<&str> = varied
            .iter()
            .map(|seen| seen.variation)
            .filter(|variation| variation.is_kept_out_by_namespaces())
            .map(Variation::as_str)
            .collect();
        if !self.wanted.contains(&Variation::Sandbox)
            && self.first_mode == Mode::Namespaces
            && !hidden.is_empty()
        {
            self.global.say(&format!(
                "note: the namespaces of a build keep these from it, so that k3sroot alone meets them: {}; vary `sandbox` as well",
                hidden.join(", ")
            ));
        }
    }

    /// Builds twice, and compares what every package installs.
    fn both(&self) -> Result<Vec<Compared>, CliError> {
        let (first, first_done) = self.build("first", &BTreeSet::new())?;
        let (second, second_done) = self.build("second", &self.wanted)?;
        // What tools are made of belongs to the machine and the mode; what is built for a target does not.
        let machine = identity(Mode::Namespaces)?;
        let compared: Vec<Compared> = self
            .targets()
            .map(|action| {
                compare::packages(&self.work, &first, &second, action.unit(), &key(action, &machine))
            })
            .collect::<Result<_, _>>()?;
        // Where every package was built, it was not for want of a source that a build failed.
        if compared.iter().all(|one| one.is_built() && one.is_alike()) && !(first_done && second_done) {
            return Err(CliError::CheckBuild { side: if first_done { "second" } else { "first" } });
        }
        Ok(compared)
    }

    /// Builds one side under these variations; the store that this left, and whether all was done.
    fn build(&self, side: &'static str, variations: &BTreeSet<Variation>) -> Result<(Store, bool), CliError> {
        let mode = if variations.contains(&Variation::Sandbox) { Mode::None } else { self.first_mode };
        self.seed(side, variations, mode)?;
        let conditions = self.work.conditions(side, variations);
        self.global.say(&format!("\n{side} build"));
        let call = Call {
            talk: self.global.talk(),
            folder: &conditions.cwd.clone(),
            mode,
            last_archive_first: variations.contains(&Variation::Archives),
            overrides: self.planned.overrides.iter().collect(),
            jobs: means::jobs(self.args.jobs) + usize::from(variations.contains(&Variation::NumCpus)),
        };
        let mut commands = Vec::new();
        if variations.contains(&Variation::Cache) {
            commands.extend(self.halves().map(|half| self.work.call(self.args, &call, &half, false)));
        }
        commands.push(self.work.call(self.args, &call, &self.args.selection.packages, true));
        let report = self.stage(side, conditions, commands, io::stderr().into())?;
        if let Some((variation, why)) = report.obstacles.first_key_value() {
            return Err(CliError::Conditions { variation: *variation, why: why.clone() });
        }
        if report.status.is_none_or(|status| status > 1) {
            return Err(CliError::CheckBuild { side });
        }
        Ok((Store::open(&self.work.settle(side)?)?, report.status == Some(0)))
    }

    /// Puts into a side's store what `--reuse` takes from the cache.
    fn seed(&self, side: &'static str, variations: &BTreeSet<Variation>, mode: Mode) -> Result<(), CliError> {
        let path = self.work.prepare(side)?;
        if self.args.reuse {
            let store = Store::open(&path)?;
            let machine = identity(mode)?;
            for action in self.planned.plan.actions() {
                if side == "first" || !is_checked(self.planned, action) {
                    store.import(self.store, &key(action, &machine))?;
                }
            }
        }
        self.work.hand_over(side, variations)
    }

    fn targets(&self) -> impl Iterator<Item = &Action> {
        self.planned.plan.actions().iter().filter(|action| is_target(action))
    }

    /// The first half of the packages, for a first run; none if there is nothing to halve.
    fn halves(&self) -> Option<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        for action in self.targets().filter(|action| !self.args.reuse || is_checked(self.planned, action)) {
            let name = action.unit().package.to_string();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.truncate(names.len() / 2);
        (!names.is_empty()).then_some(names)
    }
}

/// Whether a unit is built again with `--reuse`: the packages that were named, or all that is built for an arch.
fn is_checked(planned: &Planned, action: &Action) -> bool {
    let is_named = !planned.named || planned.plan.goals().contains(action.unit());
    is_named && is_target(action)
}

fn is_target(action: &Action) -> bool {
    matches!(action.unit().machine, Machine::Target(_))
}

impl Answer {
    fn text(&self, paint: Paint) -> String {
        let rows: Vec<Vec<(String, Tone)>> = self.packages.iter().map(Compared::row).collect();
        let mut text =
            table(&[("package", false), ("bits", false), ("first", false), ("second", false)], &rows, paint);
        let different: Vec<&Compared> = self.packages.iter().filter(|one| one.difference.is_some()).collect();
        for (index, one) in different.iter().enumerate() {
            let Some(difference) = &one.difference else { continue };
            let blank = if index == 0 { "\n" } else { "" };
            let _ = writeln!(text, "{blank}{}: {difference}", paint.word(Tone::Bad, &one.unit.to_string()));
            for line in &one.explained {
                let _ = writeln!(text, "  {line}");
            }
        }
        if different.len() > 1 {
            text += "What is named first is built first: others may differ only because they use it.\n";
        }
        text.push('\n');
        for tarball in &self.tarballs {
            let _ = writeln!(text, "{}", tarball.text(paint));
        }
        let alike = self.packages.iter().filter(|one| one.is_built() && one.is_alike()).count();
        let varied: Vec<&str> = self.varied.iter().map(|seen| seen.variation.as_str()).collect();
        let _ = writeln!(
            text,
            "{alike} of {} packages alike; varied: {}",
            self.packages.len(),
            varied.join(", ")
        );
        text
    }
}
