//! Records of NVD's JSON 2.0: feeds, what its interface returns, and single records.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::claimed::Claims;
use super::configuration::Configuration;
use super::{Record, Says, Severity, Source, Subject};

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

impl Feed {
    pub(super) fn records(self, subjects: &[Subject]) -> Vec<Record> {
        self.vulnerabilities.into_iter().map(|item| item.cve.record(subjects)).collect()
    }
}

impl Cve {
    /// What matters of it to these subjects.
    pub(super) fn record(self, subjects: &[Subject]) -> Record {
        let concerns = (0..subjects.len()).filter_map(|place| {
            let truth = if self.configurations.is_empty() {
                Claims::says(&self.affected, &subjects[place])
            } else {
                self.configurations
                    .iter()
                    .filter_map(|configuration| configuration.says(subjects, place))
                    .max()
            };
            Some((place, truth?))
        });
        let names_products = self.configurations.iter().any(Configuration::names_products)
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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
