//! Which products have a vulnerability, and on which conditions, as NVD says it: names of CPE, joined by AND, OR and NOT.

use serde::{Deserialize, Deserializer};

use super::cpe::Cpe;
use super::versions::Range;
use super::{Subject, Truth};

/// One way to be affected.
#[derive(Debug, Deserialize)]
pub(super) struct Configuration {
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
    #[serde(deserialize_with = "name")]
    criteria: Option<Cpe>,
    version_start_including: Option<String>,
    version_start_excluding: Option<String>,
    version_end_including: Option<String>,
    version_end_excluding: Option<String>,
}

/// A name of CPE; none if it is no such name, which then means nothing that is known here.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cpe>, D::Error> {
    Ok(Cpe::parse(&String::deserialize(deserializer)?))
}

impl Configuration {
    /// Whether it says of any product that it is vulnerable.
    pub(super) fn names_products(&self) -> bool {
        self.nodes.iter().flat_map(|node| &node.cpe_match).any(|one| one.vulnerable)
    }

    /// What it says of a subject; none if it does not name it as vulnerable.
    ///
    /// What else has to be there (another program, a device) may or may not be: a subject whose version is affected is
    /// so for sure only if that does not matter.
    pub(super) fn says(&self, subjects: &[Subject], place: usize) -> Option<Truth> {
        let nodes = self.nodes.iter().filter(|node| !node.negate);
        let vulnerable = nodes.flat_map(|node| &node.cpe_match).filter(|one| one.vulnerable);
        let direct = vulnerable.filter_map(|one| one.of(&subjects[place])).max()?;
        let nodes = self.nodes.iter().map(|node| node.truth(subjects));
        Some(direct.min(negated(self.negate, joined(self.operator, nodes))))
    }
}

impl Node {
    fn truth(&self, subjects: &[Subject]) -> Truth {
        let truths = self.cpe_match.iter().map(|one| one.truth(subjects));
        negated(self.negate, joined(self.operator, truths))
    }
}

impl Match {
    /// Whether a subject's version is meant; none if another product is.
    fn of(&self, subject: &Subject) -> Option<Truth> {
        let (cpe, known) = (self.criteria.as_ref()?, subject.cpe.as_ref()?);
        let range = Range {
            from: self.version_start_including.as_deref(),
            after: self.version_start_excluding.as_deref(),
            up_to: self.version_end_including.as_deref(),
            before: self.version_end_excluding.as_deref(),
        };
        let has = || subject.version.as_deref().map_or(Truth::Maybe, |version| cpe.has(&range, version));
        cpe.is_product(known).then(has)
    }

    /// Whether it is there: for a product that is no subject nobody knows.
    fn truth(&self, subjects: &[Subject]) -> Truth {
        subjects.iter().filter_map(|subject| self.of(subject)).max().unwrap_or(Truth::Maybe)
    }
}

/// All of several, or one of them, as is usual.
fn joined(operator: Option<Operator>, truths: impl Iterator<Item = Truth>) -> Truth {
    let joined = if operator == Some(Operator::And) { truths.min() } else { truths.max() };
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
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    fn subjects() -> Vec<Subject> {
        [("busybox", "1.37.0"), ("musl", "1.2.5"), ("scripts", "1")]
            .map(|(name, version)| Subject {
                package: name.parse().unwrap(),
                version: Some(version.to_owned()),
                cpe: Cpe::parse(&format!("cpe:2.3:a:{name}:{name}:{version}:*:*:*:*:*:*:*")),
                purl: None,
                repositories: BTreeSet::new(),
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
        let configurations: Vec<Configuration> = serde_json::from_value(configurations.clone()).unwrap();
        let said = |place| configurations.iter().filter_map(|one| one.says(&subjects(), place)).max();
        (0..3).filter_map(|place| Some((place, said(place)?))).collect()
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
}
