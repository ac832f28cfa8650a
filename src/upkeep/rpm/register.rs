//! What a distribution keeps beside specs: digests of sources, and lists of components and of licences.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::distribution::Distribution;
use base::digest::Sha256;

/// The text of `<name>.signatures.json`: the digest of every source, by file name.
pub fn signatures(sources: &BTreeMap<String, Sha256>) -> String {
    let of_file: serde_json::Map<String, Value> =
        sources.iter().map(|(file, sha256)| (file.clone(), sha256.to_string().into())).collect();
    text(&json!({ "Signatures": of_file }))
}

/// A component as `cgmanifest.json` registers it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where its source is had.
    pub download_url: String,
}

/// Registrations to add to `cgmanifest.json`, in the form that it has: sorted by name, each once.
pub fn registrations(mut components: Vec<Registration>) -> String {
    #[derive(Serialize)]
    struct Component {
        r#type: &'static str,
        other: Registration,
    }
    #[derive(Serialize)]
    struct Registered {
        component: Component,
    }
    components.sort();
    components.dedup();
    let registered = |other| Registered { component: Component { r#type: "other", other } };
    let registered: Vec<Registered> = components.into_iter().map(registered).collect();
    // In the order that the fields have there, which a `Value` would not keep.
    let list = serde_json::to_string_pretty(&BTreeMap::from([("Registrations", registered)]));
    list.expect("text under names is JSON") + "\n"
}

/// The entry to add to the licence map, which lists specs by who wrote them first.
pub fn licence_map(distribution: Distribution, spec: &str) -> String {
    let (origin, license) = distribution.conventions().origin;
    text(&json!({ "licenses": { origin: { "license": license, "specs": [spec] } } }))
}

fn text(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_are_in_order_and_each_once() {
        let of = |name: &str, version: &str| Registration {
            name: name.to_owned(),
            version: version.to_owned(),
            download_url: format!("https://words.invalid/{name}.tar"),
        };
        let text = registrations(vec![of("b", "2"), of("a", "1"), of("b", "2")]);
        insta::assert_snapshot!(text, @r#"
        {
          "Registrations": [
            {
              "component": {
                "type": "other",
                "other": {
                  "name": "a",
                  "version": "1",
                  "downloadUrl": "https://words.invalid/a.tar"
                }
              }
            },
            {
              "component": {
                "type": "other",
                "other": {
                  "name": "b",
                  "version": "2",
                  "downloadUrl": "https://words.invalid/b.tar"
                }
              }
            }
          ]
        }
        "#);
    }

    #[test]
    fn signatures_and_the_licence_map_have_the_form_of_the_distribution() {
        let sources = BTreeMap::from([("a-1.tar".to_owned(), Sha256::of(b"a"))]);
        insta::assert_snapshot!(signatures(&sources), @r#"
        {
          "Signatures": {
            "a-1.tar": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
          }
        }
        "#);
        insta::assert_snapshot!(licence_map(Distribution::Emt, "k3s-root"), @r#"
        {
          "licenses": {
            "Intel": {
              "license": "[MIT License](/LICENSES-AND-NOTICES/LICENSE.md)",
              "specs": [
                "k3s-root"
              ]
            }
          }
        }
        "#);
    }
}
