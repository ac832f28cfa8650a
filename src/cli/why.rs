//! `k3sroot why`: why a package would be rebuilt.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use indicatif::HumanDuration;
use serde::Serialize;

use super::args::{Global, Selection, Why};
use super::error::CliError;
use super::means;
use super::project::{Planned, Project, open_store};
use super::{print, print_json};
use base::name::{ArchName, Machine, PackageName, ParseNameError, Unit};
use execute::{ActionError, Answer, Last, Verdict, why};
use model::plan::{Change, Difference, Plan, Role};
use store::Store;

/// How many files are named of a unit; `--json` has them all.
const MOST_FILES: usize = 20;

const NOT_DESCRIBED: &str = "what its newest outcome was made of is not known: an older k3sroot or another build machine \
                             made it, or the record was lost";

pub(super) fn run(global: &Global, args: &Why) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = open_store(global)?;
    let (planned, units) = find(&project, &args.selection, &store)?;
    let machine = means::machine(&args.isolation)?;
    let answers = why(&planned.plan, &store, &machine, &units)?;
    if args.json {
        return print_json(&answers.iter().map(shown).collect::<Vec<_>>());
    }
    print(&text(&answers, |at| at.elapsed().unwrap_or_default()))
}

/// The units that are asked about, in the plan of the whole root or else in one of their own.
fn find(project: &Project, selection: &Selection, store: &Store) -> Result<(Planned, Vec<Unit>), CliError> {
    let whole = project.plan(&Selection { packages: Vec::new(), ..selection.clone() }, store)?;
    if selection.packages.is_empty() {
        let goals = whole.plan.goals().to_vec();
        return Ok((whole, goals));
    }
    let units = |planned: &Planned| -> Result<Vec<Vec<Unit>>, CliError> {
        let found = selection.packages.iter().map(|text| units(&planned.plan, text, &planned.arches));
        Ok(found.collect::<Result<_, _>>()?)
    };
    let found = units(&whole)?;
    if found.iter().all(|units| !units.is_empty()) {
        return Ok((whole, found.concat()));
    }
    let named = project.plan(selection, store)?;
    let found = units(&named)?;
    match selection.packages.iter().zip(&found).find(|(_, units)| units.is_empty()) {
        Some((text, _)) => Err(ActionError::NotPlanned { unit: text.parse()? }.into()),
        None => Ok((named, found.concat())),
    }
}

/// The units of `plan` that `text` names: itself, or the package as it is built for each of `arches`, or else as it is
/// built to run here.
fn units(plan: &Plan, text: &str, arches: &[ArchName]) -> Result<Vec<Unit>, ParseNameError> {
    let planned = |units: Vec<Unit>| -> Vec<Unit> {
        units.into_iter().filter(|unit| plan.get(unit).is_some()).collect()
    };
    if text.contains('@') {
        return Ok(planned(vec![text.parse()?]));
    }
    let package: PackageName = text.parse()?;
    let unit = |machine| Unit { package: package.clone(), machine };
    let machines =
        arches.iter().flat_map(|arch| [Machine::Target(arch.clone()), Machine::Cross(arch.clone())]);
    let units = planned(machines.map(unit).collect());
    Ok(if units.is_empty() { planned(vec![unit(Machine::Build)]) } else { units })
}

/// An answer, as `--json` prints it.
#[derive(Serialize)]
struct Shown<'a> {
    unit: &'a Unit,
    verdict: &'static str,
    /// `none`, `not_described` or `described`.
    last_outcome: &'static str,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    described_at: Option<u64>,
    differences: &'a [Difference],
}

fn shown(answer: &Answer) -> Shown<'_> {
    let Answer { unit, verdict, last } = answer;
    let (last_outcome, described_at, differences): (_, _, &[Difference]) = match last {
        Last::None => ("none", None, &[]),
        Last::NotDescribed => ("not_described", None, &[]),
        Last::Described { at, differences } => {
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            ("described", Some(since.as_secs()), differences)
        }
    };
    let verdict = match verdict {
        Verdict::Stored => "stored",
        Verdict::CutOff => "cut_off",
        Verdict::BuildIfNeedsDiffer => "build_if_needs_differ",
        Verdict::Build => "build",
    };
    Shown { unit, verdict, last_outcome, described_at, differences }
}

/// The answers as people read them; `age` says how long ago something was.
fn text(answers: &[Answer], age: impl Fn(&SystemTime) -> Duration) -> String {
    let verdicts: BTreeMap<&Unit, Verdict> =
        answers.iter().map(|answer| (&answer.unit, answer.verdict)).collect();
    let mut text = String::new();
    for Answer { unit, verdict, last } in answers {
        let _ = writeln!(text, "{unit}: {}", headline(*verdict, last, &age));
        if let Last::Described { differences, .. } = last {
            lines(&mut text, differences, &verdicts);
        }
    }
    text
}

/// What a build would do with a unit, and since when that is so.
fn headline(verdict: Verdict, last: &Last, age: impl Fn(&SystemTime) -> Duration) -> String {
    let ago = |at| format!("{} ago", HumanDuration(age(at)));
    let since = match last {
        Last::None => "it was never built in this cache".to_owned(),
        Last::NotDescribed => NOT_DESCRIBED.to_owned(),
        Last::Described { at, differences } if differences.is_empty() => {
            format!("nothing changed since its outcome of {}", ago(at))
        }
        Last::Described { at, .. } => format!("changed since its outcome of {}:", ago(at)),
    };
    match (verdict, last) {
        (Verdict::Stored, Last::Described { at, .. }) => {
            format!("up to date: its outcome of {} is in the store", ago(at))
        }
        (Verdict::Stored, _) => "up to date: its outcome is in the store".to_owned(),
        (Verdict::CutOff, _) => {
            format!("would not be rebuilt, what goes into it turned out to be the same; {since}")
        }
        (Verdict::BuildIfNeedsDiffer, _) => {
            format!("would be rebuilt only if a need comes out different; {since}")
        }
        (Verdict::Build, Last::Described { differences, .. }) if differences.is_empty() => {
            format!("would be rebuilt; {since}, but that is no longer in the store")
        }
        (Verdict::Build, Last::None) => format!("would be built; {since}"),
        (Verdict::Build, _) => format!("would be rebuilt; {since}"),
    }
}

fn lines(text: &mut String, differences: &[Difference], verdicts: &BTreeMap<&Unit, Verdict>) {
    let mut files = 0;
    for difference in differences {
        match difference {
            Difference::Value { field, old, new } => {
                let _ = writeln!(text, "  {field}: {old} -> {new}");
            }
            Difference::List { field, removed, added } if removed.is_empty() && added.is_empty() => {
                let _ = writeln!(text, "  {field}: in another order");
            }
            Difference::List { field, removed, added } => {
                let _ = writeln!(text, "  {field}:");
                for (word, members) in [("removed", removed), ("added", added)] {
                    for (index, member) in members.iter().enumerate() {
                        let _ = writeln!(text, "    {:7} {member}", if index == 0 { word } else { "" });
                    }
                }
            }
            Difference::File { of, path, change } => {
                files += 1;
                if files <= MOST_FILES {
                    let _ = writeln!(text, "  file {path} of {of}: {}", word(*change));
                }
            }
            Difference::Patch { name, change } => {
                let _ = writeln!(text, "  patch {name}: {}", word(*change));
            }
            Difference::Need { role, unit, change } => {
                let role = match role {
                    Role::Tool => "tool",
                    Role::Sysroot => "sysroot",
                };
                let became = match (change, verdicts.get(unit)) {
                    (Change::Added | Change::Removed, _) => word(*change),
                    (Change::Changed, Some(Verdict::Build)) => "would be rebuilt",
                    (Change::Changed, Some(Verdict::BuildIfNeedsDiffer)) => "may be rebuilt",
                    (Change::Changed, _) => "changed, its outcome is in the store",
                };
                let _ = writeln!(text, "  {role} {unit}: {became}");
            }
        }
    }
    if files > MOST_FILES {
        let _ = writeln!(text, "  and {} more files; --json names them", files - MOST_FILES);
    }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(unit: &str, verdict: Verdict, last: Last) -> Answer {
        Answer { unit: unit.parse().unwrap(), verdict, last }
    }

    fn described(differences: Vec<Difference>) -> Last {
        Last::Described { at: SystemTime::UNIX_EPOCH, differences }
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn list(field: &str, removed: &[&str], added: &[&str]) -> Difference {
        Difference::List { field: field.to_owned(), removed: strings(removed), added: strings(added) }
    }

    fn need(role: Role, unit: &str, change: Change) -> Difference {
        Difference::Need { role, unit: unit.parse().unwrap(), change }
    }

    fn file(path: &str, change: Change) -> Difference {
        Difference::File { of: "the override".to_owned(), path: path.to_owned(), change }
    }

    fn said(answers: &[Answer]) -> String {
        text(answers, |_| Duration::from_secs(7200))
    }

    #[test]
    fn every_kind_of_difference_is_a_line_of_its_own() {
        let differences = vec![
            Difference::Value {
                field: "version".to_owned(),
                old: "1.8.10".to_owned(),
                new: "1.8.11".to_owned(),
            },
            list("env CFLAGS", &["-O2"], &["-Os", "-g"]),
            list("patches of the source", &[], &[]),
            Difference::Patch { name: "0001-a.patch".to_owned(), change: Change::Changed },
            need(Role::Tool, "bison@build", Change::Changed),
            need(Role::Sysroot, "libmnl@amd64", Change::Changed),
            need(Role::Sysroot, "zlib@amd64", Change::Changed),
            need(Role::Sysroot, "gmp@amd64", Change::Removed),
        ];
        let answers = [
            answer("iptables@amd64", Verdict::Build, described(differences)),
            answer("bison@build", Verdict::Build, Last::NotDescribed),
            answer(
                "libmnl@amd64",
                Verdict::BuildIfNeedsDiffer,
                described(vec![need(Role::Sysroot, "gmp@amd64", Change::Changed)]),
            ),
            answer("gmp@amd64", Verdict::Build, described(vec![])),
        ];
        insta::assert_snapshot!(said(&answers), @r"
        iptables@amd64: would be rebuilt; changed since its outcome of 2 hours ago:
          version: 1.8.10 -> 1.8.11
          env CFLAGS:
            removed -O2
            added   -Os
                    -g
          patches of the source: in another order
          patch 0001-a.patch: changed
          tool bison@build: would be rebuilt
          sysroot libmnl@amd64: may be rebuilt
          sysroot zlib@amd64: changed, its outcome is in the store
          sysroot gmp@amd64: removed
        bison@build: would be rebuilt; what its newest outcome was made of is not known: an older k3sroot or another build machine made it, or the record was lost
        libmnl@amd64: would be rebuilt only if a need comes out different; changed since its outcome of 2 hours ago:
          sysroot gmp@amd64: would be rebuilt
        gmp@amd64: would be rebuilt; nothing changed since its outcome of 2 hours ago, but that is no longer in the store
        ");
    }

    #[test]
    fn every_answer_says_what_a_build_would_do() {
        let answers = [
            answer("a@amd64", Verdict::Stored, described(vec![])),
            answer("b@amd64", Verdict::Stored, Last::NotDescribed),
            answer("c@amd64", Verdict::CutOff, described(vec![file("a.c", Change::Added)])),
            answer("d@amd64", Verdict::Build, Last::None),
        ];
        insta::assert_snapshot!(said(&answers), @r"
        a@amd64: up to date: its outcome of 2 hours ago is in the store
        b@amd64: up to date: its outcome is in the store
        c@amd64: would not be rebuilt, what goes into it turned out to be the same; changed since its outcome of 2 hours ago:
          file a.c of the override: added
        d@amd64: would be built; it was never built in this cache
        ");
    }

    #[test]
    fn many_files_are_counted() {
        let files = (0..25).map(|number| file(&format!("{number}.c"), Change::Removed)).collect();
        let said = said(&[answer("a@amd64", Verdict::Build, described(files))]);
        assert_eq!(said.lines().count(), 1 + MOST_FILES + 1);
        assert!(said.ends_with("  and 5 more files; --json names them\n"), "{said}");
    }
}
