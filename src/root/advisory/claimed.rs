//! What they say of products who gave a vulnerability its number: all there is in a record that NVD has not analysed.

use std::cmp::Ordering;

use serde::Deserialize;

use super::versions::{Range, of_tag, order};
use super::{Subject, Truth};

/// Products that somebody calls affected.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Claims {
    #[serde(default)]
    affected_data: Vec<Claim>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claim {
    #[serde(default)]
    vendor: String,
    #[serde(default)]
    product: String,
    #[serde(rename = "packageURL")]
    package_url: Option<String>,
    /// A package of `product`, which is a distribution then.
    #[serde(default)]
    package_name: String,
    #[serde(default)]
    default_status: Status,
    #[serde(default)]
    versions: Vec<Versions>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Affected,
    Unaffected,
    #[default]
    Unknown,
}

/// A version, or a range of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    #[serde(default)]
    version: String,
    less_than: Option<String>,
    less_than_or_equal: Option<String>,
    #[serde(default)]
    version_type: String,
    status: Status,
    #[serde(default)]
    changes: Vec<Change>,
}

/// Where in a range another status begins.
#[derive(Debug, Deserialize)]
struct Change {
    at: String,
    status: Status,
}

/// What people write who say nothing.
const NOTHING: [&str; 5] = ["", "n/a", "unknown", "unspecified", "-"];

impl Claims {
    /// Whether a product is named at all.
    pub(super) fn name_products(&self) -> bool {
        self.affected_data.iter().any(|claim| !NOTHING.contains(&claim.product.to_lowercase().as_str()))
    }

    /// What is said of a subject: by its own name, else by that of a distribution's package, whose versions are others;
    /// none if it is not named.
    pub(super) fn says(claims: &[Self], subject: &Subject) -> Option<Truth> {
        let all = || claims.iter().flat_map(|claims| &claims.affected_data);
        let own = all().filter_map(|claim| claim.says(subject)).max();
        own.or_else(|| {
            all().any(|claim| subject.is_called(None, &plain(&claim.package_name))).then_some(Truth::Maybe)
        })
    }
}

/// A name as CPE writes it.
fn plain(name: &str) -> String {
    name.to_lowercase().replace(' ', "_")
}

impl Subject {
    /// Whether it is a product of this name, and of this vendor if one is given.
    fn is_called(&self, vendor: Option<&str>, product: &str) -> bool {
        let known = self.cpe.as_ref().is_some_and(|cpe| cpe.is_called(vendor, product));
        known || (vendor.is_none() && product == self.package.as_str())
    }
}

impl Claim {
    fn says(&self, subject: &Subject) -> Option<Truth> {
        let nobodys = NOTHING.contains(&self.product.to_lowercase().as_str());
        let product = plain(if nobodys { &self.package_name } else { &self.product });
        let by_purl = self.package_url.as_deref().is_some_and(|purl| subject.is_purl(purl));
        if !by_purl && !subject.is_called(None, &product) {
            return None;
        }
        let truth = subject.version.as_deref().map_or(Truth::Maybe, |version| self.status(version));
        // Another vendor's product may be another one of the same name.
        let known = by_purl || nobodys || subject.is_called(Some(&plain(&self.vendor)), &product);
        Some(if known { truth } else { truth.min(Truth::Maybe) })
    }

    fn status(&self, version: &str) -> Truth {
        let ordered = || self.versions.iter().filter(|versions| versions.version_type != "git");
        let listed = ordered().filter_map(|versions| versions.status(version)).max();
        match (listed, self.default_status) {
            (Some(truth), _) => truth,
            (None, Status::Affected) => Truth::Yes,
            // Commits alone, or nothing.
            (None, Status::Unknown) if ordered().next().is_none() => Truth::Maybe,
            (None, Status::Unaffected | Status::Unknown) => Truth::No,
        }
    }
}

impl Versions {
    /// What is said of a version; none if it is not among these.
    fn status(&self, version: &str) -> Option<Truth> {
        let told = |status| match status {
            Status::Affected => Truth::Yes,
            Status::Unaffected => Truth::No,
            Status::Unknown => Truth::Maybe,
        };
        if NOTHING.contains(&self.version.to_lowercase().as_str()) && self.end().is_none() {
            return Some(told(self.status).min(Truth::Maybe));
        }
        if !self.has(version) {
            return None;
        }
        let is_past = |change: &&Change| order(&of_tag(&change.at), version) != Ordering::Greater;
        let status = self.changes.iter().filter(is_past).map(|change| change.status).next_back();
        Some(told(status.unwrap_or(self.status)))
    }

    fn end(&self) -> Option<&String> {
        self.less_than.as_ref().or(self.less_than_or_equal.as_ref())
    }

    fn has(&self, version: &str) -> bool {
        let number = |text: &String| Some(of_tag(text)).filter(|text| !text.is_empty());
        if self.end().is_some() {
            let [from, before, up_to] = [
                number(&self.version),
                self.less_than.as_ref().and_then(number),
                self.less_than_or_equal.as_ref().and_then(number),
            ];
            let range = Range {
                from: from.as_deref(),
                before: before.as_deref(),
                up_to: up_to.as_deref(),
                ..Range::default()
            };
            return range.has(version);
        }
        // GitHub writes `>= 1.0, < 1.2`.
        self.version.split(',').all(|part| {
            let part = part.trim();
            let bound = part.trim_start_matches(['<', '>', '=']);
            let orders: &[Ordering] = match &part[..part.len() - bound.len()] {
                "<" => &[Ordering::Less],
                "<=" => &[Ordering::Less, Ordering::Equal],
                ">" => &[Ordering::Greater],
                ">=" => &[Ordering::Greater, Ordering::Equal],
                _ => &[Ordering::Equal],
            };
            bound.trim() == "*" || orders.contains(&order(version, &of_tag(bound.trim())))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::super::cpe::Cpe;
    use super::*;

    fn says(claim: &Value) -> Option<Truth> {
        let subject = Subject {
            package: "libslirp".parse().unwrap(),
            version: Some("4.8.0".to_owned()),
            cpe: Cpe::parse("cpe:2.3:a:libslirp_project:libslirp:4.8.0:*:*:*:*:*:*:*"),
            purl: Some("pkg:generic/libslirp".to_owned()),
            repositories: BTreeSet::new(),
        };
        // A distribution has something to say of nearly everything.
        let packaged =
            json!({ "vendor": "Red Hat", "product": "Red Hat Enterprise Linux 10", "packageName": "rhcos" });
        let claims = json!([{ "affectedData": [packaged] }, { "affectedData": [claim] }]);
        Claims::says(&serde_json::from_value::<Vec<Claims>>(claims).unwrap(), &subject)
    }

    #[test]
    fn versions_are_weighed() {
        let of = |default: &str, versions: Value| {
            says(
                &json!({ "vendor": "libslirp project", "product": "LibSlirp", "defaultStatus": default, "versions": versions }),
            )
        };
        let below = |end: &str| json!([{ "version": "0", "lessThan": end, "status": "affected" }]);
        for (default, versions, expected) in [
            ("unaffected", below("4.9.2"), Truth::Yes),
            ("unaffected", below("4.8.0"), Truth::No),
            ("affected", json!([{ "version": "4.8.0", "lessThan": "*", "status": "unaffected" }]), Truth::No),
            (
                "affected",
                json!([{ "version": "4.9.2", "lessThan": "*", "status": "unaffected" }]),
                Truth::Yes,
            ),
            ("unknown", json!([{ "version": "4.8", "status": "affected" }]), Truth::Yes),
            (
                "unknown",
                json!([{ "version": "v4.7.0", "lessThanOrEqual": "v4.8.0", "status": "affected" }]),
                Truth::Yes,
            ),
            ("unknown", json!([{ "version": ">= 4.0, < 4.8.0", "status": "affected" }]), Truth::No),
            ("unknown", json!([{ "version": "< 4.9", "status": "affected" }]), Truth::Yes),
            ("unknown", json!([{ "version": "n/a", "status": "affected" }]), Truth::Maybe),
            (
                "unknown",
                json!([{ "version": "c0ffee", "versionType": "git", "lessThan": "beef", "status": "affected" }]),
                Truth::Maybe,
            ),
            ("unknown", json!([]), Truth::Maybe),
            (
                "unknown",
                json!([{ "version": "0", "lessThan": "*", "status": "affected", "changes": [{ "at": "4.7.2", "status": "unaffected" }] }]),
                Truth::No,
            ),
        ] {
            assert_eq!(of(default, versions.clone()), Some(expected), "{default} {versions}");
        }
    }

    #[test]
    fn a_product_of_another_vendor_is_not_certain() {
        let affected = json!([{ "version": "0", "lessThan": "4.9.2", "status": "affected" }]);
        let of = |vendor: &str, product: &str, purl: &str| {
            says(&json!({ "vendor": vendor, "product": product, "packageURL": purl, "versions": affected }))
        };
        assert_eq!(of("freedesktop.org", "libslirp", "pkg:github/a/b"), Some(Truth::Maybe));
        assert_eq!(of("freedesktop.org", "slirp", "pkg:generic/libslirp@4.8.0"), Some(Truth::Yes));
        assert_eq!(of("libslirp_project", "slirp", "pkg:github/a/b"), None);
        let packaged = |name: &str| {
            says(
                &json!({ "vendor": "Red Hat", "product": "Red Hat Enterprise Linux 10", "packageName": name }),
            )
        };
        assert_eq!((packaged("libslirp"), packaged("slirp4netns")), (Some(Truth::Maybe), None));
    }
}
