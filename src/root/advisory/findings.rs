//! What of a database concerns components, and what recipes say about it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Database, Record, Severity, Subject, Truth};
use crate::attest::{Component, Standing};
use base::name::PackageName;

/// A vulnerability that a database says a component has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The component.
    pub package: PackageName,
    /// Its version.
    pub version: String,
    /// The CVE number; the database's own identifier if it names none.
    pub id: String,
    /// Other names of the same.
    pub aliases: Vec<String>,
    /// How severe it is; none if no database says so.
    pub severity: Option<Severity>,
    /// What the component's recipe says.
    pub state: State,
    /// The same in words.
    pub what: String,
    /// Whether the database does not say for sure that this version has it, or under which conditions.
    pub uncertain: bool,
    /// Whether somebody disputes that it is a vulnerability.
    pub disputed: bool,
}

/// What a recipe says of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing, or it was built from a local tree, of which recipes do not speak.
    Unexplained,
    /// That the component has it, and what to do.
    Affected,
    /// That it is fixed, or not there.
    Explained,
}

impl State {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unexplained => "unexplained",
            Self::Affected => "affected",
            Self::Explained => "explained",
        }
    }
}

/// The findings of a root.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// In the order of components, then of identifiers.
    pub findings: Vec<Finding>,
    /// Components of which nothing can be said, since nobody knows their version.
    pub not_judged: Vec<PackageName>,
}

impl Report {
    /// The findings that nobody should ship unseen: what is not explained, and as severe as this or of unknown severity.
    pub fn failing(&self, from: Severity, accept_affected: bool) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| {
            let open = match finding.state {
                State::Unexplained => true,
                State::Affected => !accept_affected,
                State::Explained => false,
            };
            open && finding.severity.is_none_or(|severity| severity >= from)
        })
    }
}

/// What a database says of components, which stand at the same places as the subjects that it was read for; and what of
/// its advisories a recipe knows better: that a component is affected, or that one is about it which names no product.
pub fn findings(components: &[Component<'_>], subjects: &[Subject], database: &Database) -> Report {
    let mut known: BTreeMap<&str, Vec<(usize, bool)>> = BTreeMap::new();
    for (place, component) in components.iter().enumerate() {
        for cve in &component.recipe.cves {
            let standing = component.standing(cve);
            let is_affected = matches!(standing, Standing::Affected { .. } | Standing::FixedLater(_));
            known.entry(&cve.id).or_default().push((place, is_affected));
        }
    }
    let mut findings: BTreeMap<(PackageName, String), Finding> = BTreeMap::new();
    for record in database.records.values().filter(|record| !record.withdrawn) {
        for named in record.vulnerabilities() {
            let told = named.names().filter_map(|name| known.get(name)).flatten();
            let told = told.filter(|(_, is_affected)| *is_affected || record.says.names_nobody_known());
            let mut places: BTreeMap<usize, Truth> = told.map(|(place, _)| (*place, Truth::Yes)).collect();
            places.extend(record.concerns.iter().copied().filter(|(_, truth)| *truth != Truth::No));
            for (place, truth) in places {
                let Some(version) = &subjects[place].version else { continue };
                let finding = finding(&components[place], version, record, &named, truth);
                let key = (finding.package.clone(), finding.id.clone());
                match findings.get_mut(&key) {
                    Some(known) => known.join(finding),
                    None => {
                        findings.insert(key, finding);
                    }
                }
            }
        }
    }
    let not_judged = subjects.iter().filter(|subject| subject.version.is_none());
    Report {
        findings: findings.into_values().collect(),
        not_judged: not_judged.map(|subject| subject.package.clone()).collect(),
    }
}

/// A vulnerability that a record speaks of.
struct Named<'a> {
    /// What it goes by.
    id: &'a str,
    /// Its other names.
    aliases: Vec<&'a str>,
}

impl<'a> Named<'a> {
    fn names(&self) -> impl Iterator<Item = &'a str> {
        std::iter::once(self.id).chain(self.aliases.iter().copied())
    }
}

impl Record {
    /// The vulnerabilities that it speaks of. Several CVE numbers are several of them, and nobody says whose the other
    /// names are: only the record's own identifier stands for each.
    fn vulnerabilities(&self) -> Vec<Named<'_>> {
        let is_cve = |name: &&str| name.starts_with("CVE-");
        let names: BTreeSet<&str> =
            self.aliases.iter().map(String::as_str).chain([self.id.as_str()]).collect();
        let cves: Vec<&str> = names.iter().copied().filter(is_cve).collect();
        if cves.len() > 1 {
            let own = Some(self.id.as_str()).filter(|own| !is_cve(own));
            return cves.into_iter().map(|id| Named { id, aliases: own.into_iter().collect() }).collect();
        }
        let id = cves.first().copied().unwrap_or(&self.id);
        vec![Named { id, aliases: names.into_iter().filter(|name| *name != id).collect() }]
    }
}

fn finding(
    component: &Component<'_>,
    version: &str,
    record: &Record,
    named: &Named<'_>,
    truth: Truth,
) -> Finding {
    // What is said of the number itself comes before what is said of an advisory about it.
    let entry = named.names().find_map(|name| component.recipe.cves.iter().find(|cve| cve.id == name));
    let (state, what) = match entry.map(|cve| component.standing(cve)) {
        None => (State::Unexplained, "the recipe says nothing of it".to_owned()),
        Some(standing @ Standing::Unknown) => (State::Unexplained, standing.to_string()),
        Some(standing @ (Standing::Affected { .. } | Standing::FixedLater(_))) => {
            (State::Affected, standing.to_string())
        }
        Some(standing) => (State::Explained, standing.to_string()),
    };
    Finding {
        package: component.recipe.name.clone(),
        version: version.to_owned(),
        id: named.id.to_owned(),
        aliases: named.aliases.iter().map(|&name| name.to_owned()).collect(),
        severity: record.severity,
        state,
        what,
        uncertain: truth == Truth::Maybe,
        disputed: record.disputed,
    }
}

impl Finding {
    /// Takes in what another database says of the same.
    fn join(&mut self, other: Self) {
        self.aliases.extend(other.aliases);
        self.aliases.sort_unstable();
        self.aliases.dedup();
        self.severity = self.severity.max(other.severity);
        self.uncertain &= other.uncertain;
        self.disputed |= other.disputed;
        // An alias may be what the recipe knows it by.
        if other.state > self.state {
            (self.state, self.what) = (other.state, other.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Says, Source};
    use super::*;

    fn finding(id: &str, state: State, severity: Option<Severity>) -> Finding {
        Finding {
            package: "box".parse().unwrap(),
            version: "1".to_owned(),
            id: id.to_owned(),
            aliases: Vec::new(),
            severity,
            state,
            what: String::new(),
            uncertain: false,
            disputed: false,
        }
    }

    #[test]
    fn what_is_open_and_severe_or_unknown_fails() {
        let report = Report {
            findings: vec![
                finding("explained", State::Explained, Some(Severity::Critical)),
                finding("affected", State::Affected, Some(Severity::Medium)),
                finding("high", State::Unexplained, Some(Severity::High)),
                finding("low", State::Unexplained, Some(Severity::Low)),
                finding("none", State::Unexplained, Some(Severity::None)),
                finding("unknown", State::Unexplained, None),
            ],
            not_judged: Vec::new(),
        };
        let failing = |from, accept| {
            report.failing(from, accept).map(|finding| finding.id.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(failing(Severity::Low, false), ["affected", "high", "low", "unknown"]);
        assert_eq!(failing(Severity::Low, true), ["high", "low", "unknown"]);
        assert_eq!(failing(Severity::Medium, false), ["affected", "high", "unknown"]);
        assert_eq!(failing(Severity::Critical, false), ["unknown"]);
    }

    #[test]
    fn several_numbers_are_several_vulnerabilities() {
        let named = |id: &str, aliases: &[&str]| -> Vec<String> {
            let record = Record {
                source: Source::Osv,
                id: id.to_owned(),
                aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
                modified: String::new(),
                severity: None,
                withdrawn: false,
                disputed: false,
                says: Says::Versions,
                concerns: Vec::new(),
            };
            record.vulnerabilities().iter().map(|named| named.names().collect::<Vec<_>>().join(" ")).collect()
        };
        let [one, other] = ["CVE-2024-10001", "CVE-2024-10002"];
        assert_eq!(named("GHSA-x", &[]), ["GHSA-x"]);
        assert_eq!(named("GHSA-x", &[one, "OSV-1"]), ["CVE-2024-10001 GHSA-x OSV-1"]);
        assert_eq!(named(one, &["GHSA-x", one]), ["CVE-2024-10001 GHSA-x"]);
        // Nobody says which of the two is OSV-1.
        assert_eq!(
            named("GHSA-x", &[one, other, "OSV-1"]),
            ["CVE-2024-10001 GHSA-x", "CVE-2024-10002 GHSA-x"]
        );
        assert_eq!(named(one, &[other]), [one, other]);
    }

    #[test]
    fn two_databases_speak_of_one_thing() {
        let mut known = finding("CVE-2024-10001", State::Unexplained, None);
        known.uncertain = true;
        let other = finding("CVE-2024-10001", State::Explained, Some(Severity::High));
        known.join(other);
        assert_eq!((known.severity, known.uncertain), (Some(Severity::High), false));
        assert_eq!(known.state, State::Explained);
    }
}
