//! Records of OSV: one advisory, about packages of ecosystems.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::affected::Affected;
use super::severity::Vector;
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

/// What a database adds: GitHub's has a word for the severity.
#[derive(Debug, Deserialize)]
struct Specific {
    severity: Option<serde_json::Value>,
}

impl Advisory {
    /// What matters of it to these subjects.
    pub(super) fn record(self, subjects: &[Subject]) -> Record {
        let concerns = subjects.iter().enumerate().filter_map(|(place, subject)| {
            let of_subject = self.affected.iter().filter(|affected| affected.names(subject));
            Some((place, of_subject.map(|affected| affected.has(subject)).max()?))
        });
        let concerns: Vec<(usize, Truth)> = concerns.collect();
        let is_undecided = |affected: &Affected| {
            let named = || subjects.iter().filter(|subject| affected.names(subject));
            affected.is_of_commits() && named().any(|subject| affected.has(subject) == Truth::No)
        };
        let says = match () {
            () if self.affected.iter().any(is_undecided) => Says::Commits,
            () if !concerns.is_empty() => Says::Versions,
            () if self.affected.iter().any(Affected::is_of_repository) => Says::Repository,
            () if !self.affected.iter().any(Affected::is_of_package) => Says::Nothing,
            () => Says::Versions,
        };
        let upstream = Some(self.upstream).filter(|upstream| upstream.len() == 1).unwrap_or_default();
        let vectors = self.affected.iter().flat_map(Affected::severity).chain(&self.severity);
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::repository::Repository;
    use super::*;

    fn record(affected: &Value) -> Record {
        let subject = |name: &str, version: &str, purl: &str| Subject {
            package: name.parse().unwrap(),
            version: Some(version.to_owned()),
            cpe: None,
            purl: Some(purl.to_owned()),
            repositories: Repository::of_address(&format!("https://gitlab.gnome.org/GNOME/{name}"))
                .into_iter()
                .collect(),
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
    }

    #[test]
    fn what_has_no_package_is_known_by_its_repository() {
        let fixed = json!([{ "introduced": "0" }, { "fixed": "c0ffee" }]);
        let git = |repo: &str, events: &Value| json!({ "type": "GIT", "repo": repo, "events": events });
        let (glib, other) = ("https://gitlab.gnome.org/gnome/glib.git", "https://github.com/GNOME/glib");
        let of = |affected: Value| {
            let record = record(&json!([affected]));
            (record.concerns.first().copied(), record.says)
        };
        let named = |truth| (Some((0, truth)), Says::Versions);
        for (versions, expected) in [
            (["2.84.3", "2.84.4"], named(Truth::Yes)),
            (["v2.84.3", "v2.84.4"], named(Truth::Yes)),
            (["2_84_4", "x"], named(Truth::Yes)),
            (["glib-2.84.3", "glib-2.84.4"], named(Truth::Yes)),
            (["2.84.3", "2.84.4-rc1"], named(Truth::No)),
        ] {
            assert_eq!(of(json!({ "ranges": [git(glib, &fixed)], "versions": versions })), expected);
        }
        assert_eq!(of(json!({ "ranges": [git(glib, &fixed)] })), (Some((0, Truth::No)), Says::Commits));
        let endless = json!([{ "introduced": "0" }]);
        assert_eq!(of(json!({ "ranges": [git(glib, &endless)] })), named(Truth::Maybe));
        // Whose versions these are nobody says; nor is ours endless if another is.
        let both = json!([git(other, &endless), git(glib, &fixed)]);
        assert_eq!(of(json!({ "ranges": both, "versions": ["2.84.4"] })), named(Truth::Maybe));
        assert_eq!(of(json!({ "ranges": both, "versions": ["2.84.3"] })), named(Truth::No));
        // OSS-Fuzz has names of its own, a distribution versions of its own.
        let packaged = |ecosystem: &str| {
            let package = json!({ "ecosystem": ecosystem, "name": "glib2" });
            of(json!({ "package": package, "ranges": [git(glib, &fixed)], "versions": ["2.84.4"] }))
        };
        assert_eq!(packaged("OSS-Fuzz"), named(Truth::Yes));
        assert_eq!(packaged("Debian:13"), (None, Says::Versions));
        for repo in [other, "https://good.example/gnome/glib", "glib", ""] {
            let said = of(json!({ "ranges": [git(repo, &fixed)], "versions": ["2.84.4"] }));
            assert_eq!(said, (None, Says::Repository), "{repo}");
        }
        let nowhere = json!({ "ranges": [{ "type": "GIT", "repo": null }] });
        assert_eq!(of(nowhere), (None, Says::Repository));
        assert_eq!(of(json!({ "versions": ["2.84.4"] })), (None, Says::Nothing));
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
