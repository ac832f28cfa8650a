//! What a record of OSV says is affected: packages of ecosystems, or repositories, and which versions of them.

use std::cmp::Ordering;

use serde::Deserialize;

use super::repository::Repository;
use super::severity::Vector;
use super::versions::{of_tag, order};
use super::{Subject, Truth};

/// A package or a repository, and which of its versions are affected.
#[derive(Debug, Deserialize)]
pub(super) struct Affected {
    package: Option<Package>,
    #[serde(default)]
    severity: Vec<Vector>,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Package {
    #[serde(default)]
    ecosystem: String,
    #[serde(default)]
    name: String,
    purl: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Range {
    r#type: String,
    /// Where its commits are; none too if the address does not tell.
    #[serde(default, deserialize_with = "Repository::read")]
    repo: Option<Repository>,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

/// The ecosystem whose versions are the tags of its packages' repositories.
const OSS_FUZZ: &str = "OSS-Fuzz";

/// The type that purls have for an ecosystem. Those of distributions are not there: their versions are not upstream's.
const ECOSYSTEMS: [(&str, &str); 3] = [(OSS_FUZZ, "generic"), ("PyPI", "pypi"), ("Bitnami", "bitnami")];

impl Affected {
    pub(super) fn names(&self, subject: &Subject) -> bool {
        self.names_package(subject) || self.names_repository(subject)
    }

    fn names_package(&self, subject: &Subject) -> bool {
        let (Some(package), Some(purl)) = (&self.package, &subject.purl) else { return false };
        match &package.purl {
            Some(other) => subject.is_purl(other),
            None => ECOSYSTEMS
                .iter()
                .filter(|(ecosystem, _)| package.ecosystem == *ecosystem)
                .any(|(_, kind)| format!("pkg:{kind}/{}", package.name) == *purl),
        }
    }

    /// Whether it names the repository of a subject. A distribution's package is none of it: its versions are others.
    fn names_repository(&self, subject: &Subject) -> bool {
        let is_upstream = self.package.as_ref().is_none_or(|package| package.ecosystem == OSS_FUZZ);
        is_upstream && self.repositories().flatten().any(|repo| subject.repositories.contains(repo))
    }

    /// The repositories that it names; none in place of one whose address does not tell.
    fn repositories(&self) -> impl Iterator<Item = Option<&Repository>> {
        self.ranges.iter().filter(|range| range.r#type == "GIT").map(|range| range.repo.as_ref())
    }

    pub(super) fn severity(&self) -> &[Vector] {
        &self.severity
    }

    pub(super) fn is_of_package(&self) -> bool {
        self.package.is_some()
    }

    /// Whether nothing but a repository says what it is about.
    pub(super) fn is_of_repository(&self) -> bool {
        self.package.is_none() && self.repositories().next().is_some()
    }

    /// Whether only commits say what is affected. A release cannot be compared with those.
    pub(super) fn is_of_commits(&self) -> bool {
        self.versions.is_empty()
            && !self.ranges.is_empty()
            && self.ranges.iter().all(|range| range.r#type == "GIT")
    }

    /// Whether a subject's version is affected. Ranges of commits tell it only by the list of versions beside them.
    pub(super) fn has(&self, subject: &Subject) -> Truth {
        let Some(version) = subject.version.as_deref() else { return Truth::Maybe };
        let compared = |text: &String| order(&of_tag(text), version);
        let is_own = |repo: Option<&Repository>| repo.is_some_and(|repo| subject.repositories.contains(repo));
        let is_named = self.names_package(subject);
        // One list of versions for several repositories does not tell whose they are.
        let is_shared = !is_named && !self.repositories().all(is_own);
        let is_endless = |range: &Range| (is_named || is_own(range.repo.as_ref())) && range.is_endless();
        let mut ordered = self.ranges.iter().filter(|range| range.r#type != "GIT");
        let is_ordered = ordered.clone().next().is_some();
        match () {
            () if self.versions.iter().any(|text| compared(text) == Ordering::Equal) => {
                if is_shared {
                    Truth::Maybe
                } else {
                    Truth::Yes
                }
            }
            () if ordered.any(|range| range.has(version)) => Truth::Yes,
            () if self.versions.is_empty() && self.ranges.is_empty() => Truth::Yes,
            // Later than all that were there when the list was made, and nobody has said that it ends.
            () if !is_ordered
                && self.ranges.iter().any(is_endless)
                && self.versions.iter().all(|text| compared(text) == Ordering::Less) =>
            {
                Truth::Maybe
            }
            () => Truth::No,
        }
    }
}

impl Range {
    /// Whether it begins, and no event ends it.
    fn is_endless(&self) -> bool {
        let ends =
            |event: &Event| event.fixed.is_some() || event.last_affected.is_some() || event.limit.is_some();
        self.events.iter().any(|event| event.introduced.is_some()) && !self.events.iter().any(ends)
    }

    /// As the schema of OSV evaluates events: in the order of their versions, each turns the answer.
    fn has(&self, version: &str) -> bool {
        let mut events: Vec<(&str, u8)> = Vec::new();
        for event in &self.events {
            events.extend(event.introduced.as_deref().map(|at| (at, 0)));
            events.extend(event.fixed.as_deref().map(|at| (at, 1)));
            events.extend(event.last_affected.as_deref().map(|at| (at, 2)));
        }
        let at = |event: &str| if event == "0" { Ordering::Less } else { order(event, version) };
        events.sort_by(|(a, _), (b, _)| match (*a, *b) {
            ("0", "0") => Ordering::Equal,
            ("0", _) => Ordering::Less,
            (_, "0") => Ordering::Greater,
            (a, b) => order(a, b),
        });
        events.into_iter().fold(false, |affected, (event, kind)| match (kind, at(event)) {
            (0, Ordering::Less | Ordering::Equal) => true,
            (1, Ordering::Less | Ordering::Equal) | (2, Ordering::Less) => false,
            _ => affected,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn versions_are_listed_or_lie_between_events() {
        let glib = Subject {
            package: "glib".parse().unwrap(),
            version: Some("2.84.4".to_owned()),
            cpe: None,
            purl: Some("pkg:generic/glib".to_owned()),
            repositories: BTreeSet::new(),
        };
        let of = |more: Value| {
            let mut affected = json!({ "package": { "purl": "pkg:generic/glib" } });
            affected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let affected: Affected = serde_json::from_value(affected).unwrap();
            assert!(affected.names(&glib));
            affected.has(&glib)
        };
        let commits = |versions: &[&str], events: Value| json!({ "versions": versions, "ranges": [{ "type": "GIT", "events": events }] });
        let range = |events: Value| json!({ "ranges": [{ "type": "ECOSYSTEM", "events": events }] });
        for (more, expected) in [
            (json!({ "versions": ["2.84.3", "2.84.4"] }), Truth::Yes),
            (json!({ "versions": ["v2.84.4"], "ranges": [{ "type": "GIT" }] }), Truth::Yes),
            (json!({ "versions": ["v2.84.3"], "ranges": [{ "type": "GIT" }] }), Truth::No),
            (json!({ "ranges": [{ "type": "GIT" }] }), Truth::No),
            (commits(&[], json!([{ "introduced": "0" }])), Truth::Maybe),
            (commits(&[], json!([{ "introduced": "c0ffee" }])), Truth::Maybe),
            (commits(&[], json!([{ "introduced": "0" }, { "fixed": "beef" }])), Truth::No),
            (commits(&[], json!([{ "introduced": "0" }, { "last_affected": "beef" }])), Truth::No),
            (commits(&[], json!([{ "introduced": "0" }, { "limit": "beef" }])), Truth::No),
            // Who wrote this did not know 2.84.4 yet, or knew better.
            (commits(&["2.84.2", "2.84.3"], json!([{ "introduced": "0" }])), Truth::Maybe),
            (commits(&["2.84.3", "2.84.5"], json!([{ "introduced": "0" }])), Truth::No),
            (json!({}), Truth::Yes),
            (range(json!([{ "introduced": "0" }])), Truth::Yes),
            (range(json!([{ "introduced": "0" }, { "fixed": "2.84.4" }])), Truth::No),
            (range(json!([{ "introduced": "2.84.4" }, { "fixed": "2.86.0" }])), Truth::Yes),
            (range(json!([{ "introduced": "0" }, { "last_affected": "2.84.4" }])), Truth::Yes),
            (range(json!([{ "introduced": "0" }, { "last_affected": "2.84.3" }])), Truth::No),
            (range(json!([{ "introduced": "2.85" }])), Truth::No),
            // Not in the order of their versions.
            (
                range(
                    json!([{ "fixed": "2.80" }, { "introduced": "2.84" }, { "introduced": "0" }, { "fixed": "2.90" }]),
                ),
                Truth::Yes,
            ),
        ] {
            assert_eq!(of(more.clone()), expected, "{more}");
        }
    }
}
