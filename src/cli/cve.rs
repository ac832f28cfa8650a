//! `k3sroot cve`: what databases of vulnerabilities say of the components of a root.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::args::{Cve, FailOn, Global};
use super::error::CliError;
use super::packed::components;
use super::project::{Planned, Project, open_store};
use super::table::{Paint, Tone, table};
use super::{colour, print, print_json};
use base::name::{ArchName, Machine, PackageName, Unit};
use model::plan::UNKNOWN;
use root::advisory::{Database, Finding, Report, Severity, State, Subject, findings};
use root::attest::{Component, Role};

impl FailOn {
    fn severity(self) -> Severity {
        match self {
            Self::Low => Severity::Low,
            Self::Medium => Severity::Medium,
            Self::High => Severity::High,
            Self::Critical => Severity::Critical,
        }
    }
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    arches: &'a [ArchName],
    database: Told<'a>,
    components: Vec<Looked<'a>>,
    findings: &'a [Finding],
    /// How many of the findings are open and severe enough.
    open: usize,
    /// Components of which nothing can be said, since nobody knows their version. They fail the check too.
    not_judged: &'a [PackageName],
}

/// How much of a database there is.
#[derive(Serialize)]
struct Told<'a> {
    advisories: usize,
    withdrawn: usize,
    without_products: usize,
    concerning: usize,
    undecided: usize,
    of_repositories: usize,
    newest: Option<&'a str>,
}

/// A component that was looked up.
#[derive(Serialize)]
struct Looked<'a> {
    package: &'a PackageName,
    /// None if nobody knows it.
    version: Option<&'a str>,
    /// Whether an advisory names it, in whatever version.
    named: bool,
}

/// What was found, with what it was found for and in.
struct Found<'a> {
    planned: &'a Planned,
    subjects: Vec<Subject>,
    database: Database,
    report: Report,
}

pub(super) fn run(global: &Global, args: &Cve) -> Result<(), CliError> {
    let no_answer = |error: CliError| CliError::NoAnswer(Box::new(error));
    let project = Project::load(global).map_err(no_answer)?;
    let planned = open_store(global).and_then(|store| project.plan(&args.selection, &store));
    let planned = planned.map_err(no_answer)?;
    let found = look(&project, &planned, args).map_err(no_answer)?;
    let from = args.fail_on.severity();
    let open: Vec<&Finding> = found.report.failing(from, args.accept_affected).collect();
    if args.json {
        print_json(&found.printed(open.len()))?;
    } else {
        print(&found.text(&open, Paint(colour(&std::io::stdout()))))?;
    }
    found.say(global);
    let not_judged = &found.report.not_judged;
    if open.is_empty() && not_judged.is_empty() {
        return Ok(());
    }
    Err(CliError::OpenFindings { count: open.len(), from, not_judged: not_judged.clone() })
}

fn look<'a>(project: &Project, planned: &'a Planned, args: &Cve) -> Result<Found<'a>, CliError> {
    let mut by_name: BTreeMap<&PackageName, Component<'_>> = BTreeMap::new();
    for arch in &planned.arches {
        let shipped = shipped(project, planned, arch);
        for (package, component) in components(project, planned, arch, &shipped)? {
            if component.role != Role::Tool || args.tools {
                by_name.entry(package).or_insert(component);
            }
        }
    }
    let components: Vec<Component<'_>> = by_name.into_values().collect();
    let subjects: Vec<Subject> = components.iter().map(Subject::new).collect();
    let database = Database::read(&args.db, &subjects)?;
    if database.concerning() == 0 {
        return Err(CliError::NothingNamed { advisories: database.advisories() });
    }
    let report = findings(&components, &subjects, &database);
    Ok(Found { planned, subjects, database, report })
}

/// The packages that have files in a tarball for an arch, or those that were asked for.
fn shipped<'a>(project: &'a Project, planned: &Planned, arch: &ArchName) -> BTreeSet<&'a PackageName> {
    let of_layout = project.layout.packages();
    let is_wanted = |package: &PackageName| {
        let unit = Unit { package: package.clone(), machine: Machine::Target(arch.clone()) };
        if planned.named { planned.plan.goals().contains(&unit) } else { of_layout.contains(package) }
    };
    project.recipes.keys().filter(|package| is_wanted(package)).collect()
}

impl Found<'_> {
    /// Says how much was read, and what could not be looked up: that nothing was found may have that reason.
    fn say(&self, global: &Global) {
        let database = &self.database;
        let newest = database.newest().map(|time| format!(", the newest of {time}")).unwrap_or_default();
        global.say(&format!(
            "{} advisories{newest}; {} withdrawn, {} without a product yet; {} name a component",
            database.advisories(),
            database.withdrawn(),
            database.without_products(),
            database.concerning()
        ));
        if database.undecided() > 0 {
            global.say(&format!(
                "note: {} of these name commits alone, which no version can be compared with",
                database.undecided()
            ));
        }
        if database.of_repositories() > 0 {
            global.say(&format!(
                "note: {} others name a repository only, and none that a recipe tells: they were not compared",
                database.of_repositories()
            ));
        }
        let named = database.named();
        let others = self.subjects.iter().enumerate().filter(|(place, _)| !named.contains(place));
        let others: Vec<&str> = others.map(|(_, subject)| subject.package.as_str()).collect();
        if !others.is_empty() {
            global.say(&format!("note: no advisory names {}", others.join(", ")));
        }
        let nameless = self.subjects.iter().filter(|subject| !subject.has_cpe());
        let nameless: Vec<&str> = nameless.map(|subject| subject.package.as_str()).collect();
        if !nameless.is_empty() {
            global.say(&format!("note: NVD cannot name what has no CPE: {}", nameless.join(", ")));
        }
    }

    fn text(&self, open: &[&Finding], paint: Paint) -> String {
        let row = |finding: &Finding| {
            let is_open = open.contains(&finding);
            let tone = match finding.state {
                State::Explained => Tone::Good,
                _ if is_open => Tone::Bad,
                _ => Tone::Odd,
            };
            let severity = finding.severity.map_or("unknown", Severity::as_str);
            let mut what = finding.what.clone();
            // What is explained is certain.
            let uncertain = finding.uncertain && finding.state == State::Unexplained;
            for (is_so, word) in
                [(uncertain, "not certain: read the advisory"), (finding.disputed, "disputed")]
            {
                if is_so {
                    what = format!("{what}; {word}");
                }
            }
            vec![
                (finding.package.to_string(), Tone::Plain),
                (finding.version.clone(), Tone::Plain),
                (finding.id.clone(), Tone::Plain),
                (severity.to_owned(), Tone::Plain),
                (finding.state.as_str().to_owned(), tone),
                (what, Tone::Plain),
            ]
        };
        let not_judged = self.report.not_judged.iter().map(|package| {
            let rest = ["", "unknown", "not judged", "the version of the local tree is unknown"];
            let cells = rest.map(|cell| (cell.to_owned(), Tone::Bad));
            [(package.to_string(), Tone::Plain), (UNKNOWN.to_owned(), Tone::Plain)]
                .into_iter()
                .chain(cells)
                .collect()
        });
        let rows: Vec<_> = self.report.findings.iter().map(row).chain(not_judged).collect();
        if rows.is_empty() {
            return "no advisory speaks of these versions\n".to_owned();
        }
        let heads = ["component", "version", "id", "severity", "state", "what"];
        table(&heads.map(|head| (head, false)), &rows, paint)
    }

    fn printed(&self, open: usize) -> Printed<'_> {
        let database = &self.database;
        let named = database.named();
        Printed {
            arches: &self.planned.arches,
            database: Told {
                advisories: database.advisories(),
                withdrawn: database.withdrawn(),
                without_products: database.without_products(),
                concerning: database.concerning(),
                undecided: database.undecided(),
                of_repositories: database.of_repositories(),
                newest: database.newest(),
            },
            components: self
                .subjects
                .iter()
                .enumerate()
                .map(|(place, subject)| Looked {
                    package: &subject.package,
                    version: subject.version.as_deref(),
                    named: named.contains(&place),
                })
                .collect(),
            findings: &self.report.findings,
            open,
            not_judged: &self.report.not_judged,
        }
    }
}
