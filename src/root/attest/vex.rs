//! OpenVEX 0.2.0: what is known of vulnerabilities of what is in a root.

use serde_json::{Map, Value, json};

use super::contents::{Component, Contents, Role, Tarball};
use super::standing::Standing;
use super::{created, name};
use base::digest::Sha256;
use base::name::PackageName;
use model::recipe::Cve;

/// The document; none if no recipe of what is in the tarballs names a vulnerability, since one without a statement says
/// nothing and is not valid.
///
/// Tools are left out: nothing of them is in a tarball.
pub fn openvex(contents: &Contents<'_>) -> Option<Value> {
    let mut statements: Vec<Value> = Vec::new();
    for (package, component) in &contents.components {
        if component.role == Role::Tool {
            continue;
        }
        let products = products(contents, package, component);
        let of_component = component.recipe.cves.iter();
        statements.extend(of_component.map(|cve| statement(component, cve, &products)));
    }
    if statements.is_empty() {
        return None;
    }
    let mut document = json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "author": "The k3sroot project",
        "role": "Builder of the root",
        "timestamp": created(),
        "version": 1,
        "tooling": concat!("k3sroot ", env!("CARGO_PKG_VERSION")),
        "statements": statements,
    });
    // Named by what it says, and by the tarballs that it says it of.
    let digest = Sha256::of(format!("{}\n{document}", name(contents)).as_bytes());
    document["@id"] = json!(format!("https://openvex.dev/docs/public/vex-{digest}"));
    Some(document)
}

/// The tarballs that a component is in.
fn products(contents: &Contents<'_>, package: &PackageName, component: &Component<'_>) -> Vec<Value> {
    let has =
        |tarball: &&Tarball<'_>| tarball.files.iter().any(|file| contents.parts(file).contains(package));
    contents.tarballs.iter().filter(has).map(|tarball| product(tarball, component)).collect()
}

fn product(tarball: &Tarball<'_>, component: &Component<'_>) -> Value {
    let mut identifiers = Map::new();
    identifiers.extend(component.purl().map(|purl| ("purl".to_owned(), json!(purl))));
    identifiers.extend(component.cpe().map(|cpe| ("cpe23".to_owned(), json!(cpe))));
    let mut subcomponent = Map::new();
    subcomponent.extend(component.purl().map(|purl| ("@id".to_owned(), json!(purl))));
    if !identifiers.is_empty() {
        subcomponent.insert("identifiers".to_owned(), Value::Object(identifiers));
    }
    let mut product = json!({
        "@id": tarball.purl(),
        "identifiers": { "purl": tarball.purl() },
        "hashes": { "sha-256": tarball.sha256.to_string() },
    });
    // One that nothing identifies would not be valid.
    if !subcomponent.is_empty() {
        product["subcomponents"] = json!([subcomponent]);
    }
    product
}

fn statement(component: &Component<'_>, cve: &Cve, products: &[Value]) -> Value {
    let standing = component.standing(cve);
    let mut statement = json!({
        "vulnerability": { "@id": cve.reference, "name": cve.id },
        "products": products,
    });
    let mut say = |key: &str, value: Value| statement[key] = value;
    // Elsewhere the statement's other words have it all.
    if matches!(
        standing,
        Standing::Patched(_) | Standing::Fixed(_) | Standing::FixedLater(_) | Standing::Unknown
    ) {
        say("status_notes", json!(standing.to_string()));
    }
    match standing {
        Standing::Patched(_) | Standing::Fixed(_) => say("status", json!("fixed")),
        Standing::NotAffected { justification, because } => {
            say("status", json!("not_affected"));
            say("justification", json!(justification));
            say("impact_statement", json!(because));
        }
        Standing::Affected { .. } | Standing::FixedLater(_) => {
            let action = match standing {
                Standing::Affected { action } => action.to_owned(),
                _ => format!("use a root that has a later {}", component.recipe.name),
            };
            say("status", json!("affected"));
            say("action_statement", json!(action));
            say("action_statement_timestamp", json!(created()));
        }
        Standing::Unknown => say("status", json!("under_investigation")),
    }
    statement
}
