//! Records of NVD's JSON 2.0: feeds, what its interface returns, and single records.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::claimed::Claims;
use super::cpe::Cpe;
use super::versions::Range;
use super::{Record, Says, Severity, Source, Subject, Truth};

/// A feed, or a page of what the interface returns.
#[derive(Debug, Deserialize)]
pub(super) struct Feed {
    vulnerabilities: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    cve: Cve,
}

/// A record.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cve {
    id: String,
    #[serde(default)]
    last_modified: String,
    #[serde(default)]
    vuln_status: String,
    #[serde(default, rename = "cveTags")]
    tags: Vec<Tags>,
    #[serde(default)]
    metrics: Metrics,
    #[serde(default)]
    configurations: Vec<Configuration>,
    /// What they say who gave the number; it counts where NVD has not analysed it.
    #[serde(default)]
    affected: Vec<Claims>,
}

#[derive(Debug, Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Metrics {
    #[serde(default, rename = "cvssMetricV40")]
    v40: Vec<Metric>,
    #[serde(default, rename = "cvssMetricV31")]
    v31: Vec<Metric>,
    #[serde(default, rename = "cvssMetricV30")]
    v30: Vec<Metric>,
    #[serde(default, rename = "cvssMetricV2")]
    v2: Vec<Metric>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    #[serde(default)]
    r#type: String,
    cvss_data: Score,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Score {
    base_score: f64,
}

#[derive(Debug, Deserialize)]
struct Configuration {
    operator: Option<Operator>,
    #[serde(default)]
    negate: bool,
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Operator {
    And,
    Or,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    operator: Option<Operator>,
    #[serde(default)]
    negate: bool,
    #[serde(default)]
    cpe_match: Vec<Match>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Match {
    vulnerable: bool,
    criteria: String,
    version_start_including: Option<String>,
    version_start_excluding: Option<String>,
    version_end_including: Option<String>,
    version_end_excluding: Option<String>,
}

impl Feed {
    pub(super) fn records(self, subjects: &[Subject]) -> Vec<Record> {
        self.vulnerabilities.into_iter().map(|item| item.cve.record(subjects)).collect()
    }
}

impl Cve {
    /// What matters of it to these subjects.
    pub(super) fn record(self, subjects: &[Subject]) -> Record {
        let configurations: Vec<_> = self.configurations.iter().map(Configuration::read).collect();
        let concerns = (0..subjects.len()).filter_map(|place| {
            let of_subject = configurations.iter().filter_map(|known| known.says(subjects, place));
            let claimed = || Claims::says(&self.affected, &subjects[place]);
            let truth = if configurations.is_empty() { claimed() } else { of_subject.max() };
            Some((place, truth?))
        });
        let nodes = configurations.iter().flat_map(|configuration| &configuration.nodes);
        let names_products = nodes.flat_map(|node| &node.matches).any(|one| one.raw.vulnerable)
            || self.affected.iter().any(Claims::name_products);
        Record {
            source: Source::Nvd,
            concerns: concerns.collect(),
            says: if names_products { Says::Versions } else { Says::Nothing },
            aliases: BTreeSet::new(),
            severity: self.metrics.severity(),
            withdrawn: self.vuln_status == "Rejected",
            disputed: self.tags.iter().flat_map(|tags| &tags.tags).any(|tag| tag == "disputed"),
            modified: self.last_modified,
            id: self.id,
        }
    }
}

impl Metrics {
    /// What NVD has rated itself comes before what others have, a newer CVSS before an older one, CVSS 2 last; of several
    /// scores the highest counts.
    fn severity(&self) -> Option<Severity> {
        let highest = |metrics: &[Metric], primary: bool| {
            let scores = metrics.iter().filter(|metric| (metric.r#type == "Primary") == primary);
            scores.map(|metric| metric.cvss_data.base_score).reduce(f64::max)
        };
        let newer = |primary: bool| {
            let versions = [&self.v40, &self.v31, &self.v30];
            versions.into_iter().find_map(|metrics| highest(metrics, primary)).map(Severity::of_score)
        };
        let old = |primary: bool| highest(&self.v2, primary).map(Severity::of_score_2);
        newer(true).or_else(|| newer(false)).or_else(|| old(true)).or_else(|| old(false))
    }
}

/// A configuration whose names are read.
struct Known<'a> {
    all: bool,
    negate: bool,
    nodes: Vec<KnownNode<'a>>,
}

struct KnownNode<'a> {
    all: bool,
    negate: bool,
    matches: Vec<KnownMatch<'a>>,
}

struct KnownMatch<'a> {
    raw: &'a Match,
    /// None if it is no CPE name.
    cpe: Option<Cpe>,
}

impl Configuration {
    fn read(&self) -> Known<'_> {
        let known = |raw| KnownMatch { raw, cpe: Cpe::parse(&raw.criteria) };
        let node = |node: &'_ Node| KnownNode {
            all: node.operator == Some(Operator::And),
            negate: node.negate,
            matches: Vec::new(),
        };
        let nodes = self.nodes.iter().map(|raw| {
            let matches = raw.cpe_match.iter().map(known).collect();
            KnownNode { matches, ..node(raw) }
        });
        Known { all: self.operator == Some(Operator::And), negate: self.negate, nodes: nodes.collect() }
    }
}

impl Known<'_> {
    /// What it says of a subject; none if it does not name it as vulnerable.
    ///
    /// What else has to be there (another program, a device) may or may not be: a subject whose version is affected is
    /// so for sure only if that does not matter.
    fn says(&self, subjects: &[Subject], place: usize) -> Option<Truth> {
        let vulnerable = self.nodes.iter().filter(|node| !node.negate).flat_map(|node| &node.matches);
        let named = vulnerable.filter(|one| one.raw.vulnerable).filter_map(|one| one.of(&subjects[place]));
        let direct = named.max()?;
        let node = |node: &KnownNode<'_>| {
            let truths = node.matches.iter().map(|one| one.truth(subjects));
            negated(node.negate, joined(node.all, truths))
        };
        let whole = negated(self.negate, joined(self.all, self.nodes.iter().map(node)));
        Some(direct.min(whole))
    }
}

impl KnownMatch<'_> {
    /// Whether a subject's version is meant; none if another product is.
    fn of(&self, subject: &Subject) -> Option<Truth> {
        let (cpe, known) = (self.cpe.as_ref()?, subject.cpe.as_ref()?);
        let range = Range {
            from: self.raw.version_start_including.as_deref(),
            after: self.raw.version_start_excluding.as_deref(),
            up_to: self.raw.version_end_including.as_deref(),
            before: self.raw.version_end_excluding.as_deref(),
        };
        cpe.is_product(known).then(|| cpe.has(&range, &subject.version))
    }

    /// Whether it is there: for a product that is no subject nobody knows.
    fn truth(&self, subjects: &[Subject]) -> Truth {
        subjects.iter().filter_map(|subject| self.of(subject)).max().unwrap_or(Truth::Maybe)
    }
}

/// All of several, or one of them.
fn joined(all: bool, truths: impl Iterator<Item = Truth>) -> Truth {
    let joined = if all { truths.min() } else { truths.max() };
    joined.unwrap_or(Truth::Maybe)
}

fn negated(negate: bool, truth: Truth) -> Truth {
    match truth {
        Truth::Yes if negate => Truth::No,
        Truth::No if negate => Truth::Yes,
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn subjects() -> Vec<Subject> {
        [("busybox", "1.37.0"), ("musl", "1.2.5"), ("scripts", "1")]
            .map(|(name, version)| Subject {
                package: name.parse().unwrap(),
                version: version.to_owned(),
                cpe: Cpe::parse(&format!("cpe:2.3:a:{name}:{name}:{version}:*:*:*:*:*:*:*")),
                purl: None,
            })
            .to_vec()
    }

    fn cpe_match(name: &str, vulnerable: bool, end: &str) -> Value {
        json!({ "vulnerable": vulnerable, "criteria": format!("cpe:2.3:a:{name}:{name}:*:*:*:*:*:*:*:*"), "versionEndIncluding": end })
    }

    fn node(negate: bool, matches: &[Value]) -> Value {
        json!({ "operator": "OR", "negate": negate, "cpeMatch": matches })
    }

    fn concerns(configurations: &Value) -> Vec<(usize, Truth)> {
        let record = json!({ "id": "CVE-2024-10001", "configurations": configurations });
        serde_json::from_value::<Cve>(record).unwrap().record(&subjects()).concerns
    }

    #[test]
    fn versions_and_conditions_are_weighed() {
        let busybox = |end| cpe_match("busybox", true, end);
        let with = |name, end| cpe_match(name, false, end);
        let both = |nodes: &[Value]| json!([{ "operator": "AND", "nodes": nodes }]);
        let cases = [
            (json!([{ "nodes": [node(false, &[busybox("1.37.0")])] }]), vec![(0, Truth::Yes)]),
            (json!([{ "nodes": [node(false, &[busybox("1.36.1")])] }]), vec![(0, Truth::No)]),
            (json!([{ "nodes": [node(false, &[cpe_match("zlib", true, "9")])] }]), vec![]),
            // Named, but not as what is vulnerable.
            (json!([{ "nodes": [node(false, &[with("busybox", "9")])] }]), vec![]),
            // On some device: nobody knows.
            (
                both(&[node(false, &[busybox("1.37.0")]), node(false, &[with("router", "9")])]),
                vec![(0, Truth::Maybe)],
            ),
            // With a C library that the root has, in another version; and with the one that it has.
            (
                both(&[node(false, &[busybox("1.37.0")]), node(false, &[with("musl", "1.2.4")])]),
                vec![(0, Truth::No)],
            ),
            (
                both(&[node(false, &[busybox("1.37.0")]), node(false, &[with("musl", "1.2.5")])]),
                vec![(0, Truth::Yes)],
            ),
            (
                both(&[node(false, &[busybox("1.37.0")]), node(true, &[with("musl", "1.2.5")])]),
                vec![(0, Truth::No)],
            ),
            // What is named where it is taken away is not what is vulnerable.
            (json!([{ "nodes": [node(true, &[busybox("1.0")])] }]), vec![]),
            // One of two is enough.
            (
                json!([{ "nodes": [node(false, &[busybox("1.0")])] }, { "nodes": [node(false, &[busybox("2.0"), cpe_match("musl", true, "1")])] }]),
                vec![(0, Truth::Yes), (1, Truth::No)],
            ),
        ];
        for (configurations, expected) in cases {
            assert_eq!(concerns(&configurations), expected, "{configurations:#}");
        }
    }

    #[test]
    fn of_several_scores_one_counts() {
        let metric = |kind: &str, score: f64| json!({ "type": kind, "cvssData": { "baseScore": score } });
        let severity = |metrics: Value| {
            let record = json!({ "id": "CVE-2024-10001", "metrics": metrics });
            serde_json::from_value::<Cve>(record).unwrap().record(&[]).severity
        };
        let old = metric("Primary", 10.0);
        for (metrics, expected) in [
            (
                json!({ "cvssMetricV2": [old], "cvssMetricV31": [metric("Primary", 3.2)] }),
                Some(Severity::Low),
            ),
            (json!({ "cvssMetricV2": [old] }), Some(Severity::High)),
            (
                json!({ "cvssMetricV31": [metric("Secondary", 9.8), metric("Primary", 5.5)] }),
                Some(Severity::Medium),
            ),
            (
                json!({ "cvssMetricV30": [metric("Secondary", 9.8), metric("Secondary", 5.5)] }),
                Some(Severity::Critical),
            ),
            (
                json!({ "cvssMetricV40": [metric("Secondary", 8.7)], "cvssMetricV31": [old] }),
                Some(Severity::Critical),
            ),
            (
                json!({ "cvssMetricV40": [metric("Secondary", 8.7)], "cvssMetricV31": [metric("Secondary", 9.8)] }),
                Some(Severity::High),
            ),
            (
                json!({ "cvssMetricV31": [metric("Secondary", 5.5)], "cvssMetricV2": [old] }),
                Some(Severity::Medium),
            ),
            (json!({}), None),
        ] {
            assert_eq!(severity(metrics.clone()), expected, "{metrics}");
        }
    }

    #[test]
    fn what_was_rejected_and_what_is_disputed_is_known() {
        let read = |more: Value| {
            let mut record = json!({ "id": "CVE-2024-10001" });
            record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let record = serde_json::from_value::<Cve>(record).unwrap().record(&[]);
            (record.withdrawn, record.disputed)
        };
        assert_eq!(read(json!({ "vulnStatus": "Rejected" })), (true, false));
        assert_eq!(
            read(json!({ "vulnStatus": "Analyzed", "cveTags": [{ "tags": ["disputed"] }] })),
            (false, true)
        );
    }
}
