//! Records of OSV: one advisory, about packages of ecosystems.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::Deserialize;

use super::versions::{of_tag, order};
use super::{Record, Says, Severity, Source, Subject, Truth};

/// A record.
#[derive(Debug, Deserialize)]
pub(super) struct Advisory {
    id: String,
    modified: String,
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    /// What it was made from: the same under another name if it is one, a collection if it is several.
    #[serde(default)]
    upstream: Vec<String>,
    #[serde(default)]
    severity: Vec<Vector>,
    #[serde(default)]
    affected: Vec<Affected>,
    database_specific: Option<Specific>,
}

#[derive(Debug, Deserialize)]
struct Vector {
    score: String,
}

/// What a database adds: GitHub's has a word for the severity.
#[derive(Debug, Deserialize)]
struct Specific {
    severity: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Affected {
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
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
}

/// The type that purls have for an ecosystem. Those of distributions are not there: their versions are not upstream's.
const ECOSYSTEMS: [(&str, &str); 3] = [("OSS-Fuzz", "generic"), ("PyPI", "pypi"), ("Bitnami", "bitnami")];

impl Advisory {
    /// What matters of it to these subjects.
    pub(super) fn record(self, subjects: &[Subject]) -> Record {
        let concerns = subjects.iter().enumerate().filter_map(|(place, subject)| {
            let of_subject = self.affected.iter().filter(|affected| affected.names(subject));
            Some((place, of_subject.map(|affected| affected.has(&subject.version)).max()?))
        });
        let concerns = concerns.collect();
        let of_commits = |affected: &Affected| {
            affected.is_of_commits() && subjects.iter().any(|subject| affected.names(subject))
        };
        let says = match () {
            () if self.affected.is_empty() => Says::Nothing,
            () if self.affected.iter().any(of_commits) => Says::Commits,
            () => Says::Versions,
        };
        let upstream = Some(self.upstream).filter(|upstream| upstream.len() == 1).unwrap_or_default();
        let vectors = self.affected.iter().flat_map(|affected| &affected.severity).chain(&self.severity);
        // The highest of several: they may be of different packages.
        let severity = vectors.filter_map(|vector| Severity::of_vector(&vector.score)).max();
        let word = self.database_specific.as_ref().and_then(|specific| specific.severity.as_ref()?.as_str());
        Record {
            source: Source::Osv,
            concerns,
            severity: severity.or_else(|| word.and_then(Severity::of_word)),
            withdrawn: self.withdrawn.is_some(),
            disputed: false,
            says,
            aliases: self.aliases.into_iter().chain(upstream).collect::<BTreeSet<_>>(),
            modified: self.modified,
            id: self.id,
        }
    }
}

impl Affected {
    fn names(&self, subject: &Subject) -> bool {
        let (Some(package), Some(purl)) = (&self.package, &subject.purl) else { return false };
        match &package.purl {
            Some(other) => subject.is_purl(other),
            None => ECOSYSTEMS
                .iter()
                .filter(|(ecosystem, _)| package.ecosystem == *ecosystem)
                .any(|(_, kind)| format!("pkg:{kind}/{}", package.name) == *purl),
        }
    }

    /// Whether only commits say what is affected. A release cannot be compared with those.
    fn is_of_commits(&self) -> bool {
        self.versions.is_empty()
            && !self.ranges.is_empty()
            && self.ranges.iter().all(|range| range.r#type == "GIT")
    }

    /// Whether a version is affected. Ranges of commits tell it only by the list of versions beside them.
    fn has(&self, version: &str) -> Truth {
        let listed = |text: &String| order(&of_tag(text), version) == Ordering::Equal;
        let mut ordered = self.ranges.iter().filter(|range| range.r#type != "GIT");
        match () {
            () if self.versions.iter().any(listed) => Truth::Yes,
            () if ordered.any(|range| range.has(version)) => Truth::Yes,
            () if self.versions.is_empty() && self.ranges.is_empty() => Truth::Yes,
            () => Truth::No,
        }
    }
}

impl Range {
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
    use serde_json::{Value, json};

    use super::*;

    fn record(affected: &Value) -> Record {
        let subject = |name: &str, version: &str, purl: &str| Subject {
            package: name.parse().unwrap(),
            version: version.to_owned(),
            cpe: None,
            purl: Some(purl.to_owned()),
        };
        let subjects =
            [subject("glib", "2.84.4", "pkg:generic/glib"), subject("meson", "1.7.0", "pkg:pypi/meson")];
        let advisory =
            json!({ "id": "OSV-2024-1", "modified": "2024-01-01T00:00:00Z", "affected": affected });
        serde_json::from_value::<Advisory>(advisory).unwrap().record(&subjects)
    }

    #[test]
    fn packages_are_known_by_purl_or_by_the_ecosystems_name() {
        for (package, expected) in [
            (json!({ "ecosystem": "OSS-Fuzz", "name": "glib", "purl": "pkg:generic/glib" }), Some(0)),
            (json!({ "ecosystem": "OSS-Fuzz", "name": "glib" }), Some(0)),
            (json!({ "purl": "pkg:generic/glib@2.84.4?arch=any" }), Some(0)),
            (json!({ "ecosystem": "PyPI", "name": "meson" }), Some(1)),
            (json!({ "ecosystem": "Debian:13", "name": "glib" }), None),
            (json!({ "ecosystem": "npm", "name": "glib", "purl": "pkg:npm/glib" }), None),
        ] {
            let concerns = record(&json!([{ "package": package, "versions": [] }])).concerns;
            assert_eq!(concerns.first().map(|(place, _)| *place), expected, "{package}");
        }
        assert!(
            record(&json!([{ "ranges": [{ "type": "GIT", "repo": "https://good.example/glib" }] }]))
                .concerns
                .is_empty()
        );
    }

    #[test]
    fn versions_are_listed_or_lie_between_events() {
        let of = |more: Value| {
            let mut affected = json!({ "package": { "purl": "pkg:generic/glib" } });
            affected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            record(&json!([affected])).concerns[0].1
        };
        let range = |events: Value| json!({ "ranges": [{ "type": "ECOSYSTEM", "events": events }] });
        for (more, expected) in [
            (json!({ "versions": ["2.84.3", "2.84.4"] }), Truth::Yes),
            (json!({ "versions": ["v2.84.4"], "ranges": [{ "type": "GIT" }] }), Truth::Yes),
            (json!({ "versions": ["v2.84.3"], "ranges": [{ "type": "GIT" }] }), Truth::No),
            (json!({ "ranges": [{ "type": "GIT" }] }), Truth::No),
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

    #[test]
    fn a_collection_is_none_of_what_is_in_it() {
        let aliases = |upstream: &[&str]| {
            let advisory =
                json!({ "id": "DSA-1", "modified": "2024", "aliases": ["GHSA-x"], "upstream": upstream });
            let record = serde_json::from_value::<Advisory>(advisory).unwrap().record(&[]);
            record.aliases.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(aliases(&["CVE-2024-10001"]), "CVE-2024-10001 GHSA-x");
        assert_eq!(aliases(&["CVE-2024-10001", "CVE-2024-10002"]), "GHSA-x");
    }

    #[test]
    fn a_word_counts_where_no_vector_does() {
        let rated = |more: Value| {
            let mut advisory = json!({ "id": "GHSA-x", "modified": "2024" });
            advisory.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value::<Advisory>(advisory).unwrap().record(&[]).severity
        };
        let vector = json!([{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:L/AC:H/PR:N/UI:R/S:U/C:H/I:H/A:H" }]);
        assert_eq!(
            rated(json!({ "severity": vector, "database_specific": { "severity": "LOW" } })),
            Some(Severity::High)
        );
        assert_eq!(rated(json!({ "database_specific": { "severity": "MODERATE" } })), Some(Severity::Medium));
        assert_eq!(rated(json!({ "database_specific": { "severity": 3 } })), None);
    }
}
