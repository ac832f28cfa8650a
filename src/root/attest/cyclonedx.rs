//! CycloneDX 1.6, as JSON.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::contents::{Component, Contents, File, LIBGCC, Role};
use super::{created, digest, name};
use base::name::PackageName;
use model::recipe::Archive;

const COMPILER: &str = "compiler";

/// The document.
pub fn cyclonedx(contents: &Contents<'_>) -> Value {
    let root = name(contents);
    let mut components: Vec<Value> = contents.components.values().map(component).collect();
    let mut dependencies: Vec<Value> = Vec::new();
    let mut depends = |from: &str, on: BTreeSet<String>| {
        dependencies.push(json!({ "ref": from, "dependsOn": on.into_iter().collect::<Vec<_>>() }));
    };
    let shipped = contents.components.iter().filter(|(_, component)| component.role == Role::Shipped);
    depends(&root, shipped.map(|(package, _)| reference(package)).collect());
    for (package, component) in &contents.components {
        let mut on: BTreeSet<String> = component.linked.iter().map(|linked| reference(linked)).collect();
        if contents.compiler.is_some() && contents.ships_programs(package) {
            on.insert(COMPILER.to_owned());
        }
        depends(&reference(package), on);
    }
    if let Some(compiler) = contents.compiler {
        components.push(json!({
            "type": "library",
            "bom-ref": COMPILER,
            "name": "libgcc",
            "version": compiler.words,
            "description": "The support library of the build machine's own compiler",
            "licenses": [{ "expression": LIBGCC, "acknowledgement": "declared" }],
        }));
        depends(COMPILER, BTreeSet::new());
    }
    let tarballs: Vec<Value> = contents
        .tarballs
        .iter()
        .map(|tarball| {
            json!({
                "type": "file",
                "bom-ref": tarball.file,
                "name": tarball.file,
                "purl": tarball.purl(),
                "hashes": [{ "alg": "SHA-256", "content": tarball.sha256.to_string() }],
                "components": tarball.files.iter().map(|file| packed(contents, &tarball.file, file)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let left_out = contents.left_out.iter().map(|package| property("k3sroot:left-out", package.as_str()));
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": created(),
            "tools": { "components": [{ "type": "application", "name": "k3sroot", "version": env!("CARGO_PKG_VERSION") }] },
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": root,
                "version": env!("CARGO_PKG_VERSION"),
                "components": tarballs,
                "properties": left_out.collect::<Vec<_>>(),
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    document["serialNumber"] = json!(format!("urn:uuid:{}", uuid(&document)));
    document
}

/// A name for a document that is another one for another document: a UUID of the kind whose bits are free to choose.
fn uuid(document: &Value) -> String {
    let mut bits = [0; 16];
    bits.copy_from_slice(&digest(document).as_bytes()[..16]);
    bits[6] = bits[6] & 0x0f | 0x80;
    bits[8] = bits[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bits));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn reference(package: &PackageName) -> String {
    format!("package:{package}")
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

fn packed(contents: &Contents<'_>, tarball: &str, file: &File<'_>) -> Value {
    let package = file.package.map(|package| property("k3sroot:package", package.as_str()));
    json!({
        "type": "file",
        "bom-ref": format!("{tarball}:{}", file.name),
        "name": file.name,
        "hashes": [
            { "alg": "SHA-1", "content": file.sha1 },
            { "alg": "SHA-256", "content": file.sha256.to_string() },
        ],
        "licenses": [{ "expression": contents.terms(file), "acknowledgement": "concluded" }],
        "properties": package.into_iter().collect::<Vec<_>>(),
    })
}

fn component(component: &Component<'_>) -> Value {
    let recipe = component.recipe;
    let mut properties = vec![property("k3sroot:role", component.role.word())];
    if component.overridden.is_some() {
        properties.push(property("k3sroot:source", "a local tree in place of the pinned source"));
    }
    let archives = component.sources().flatten().filter(|_| component.overridden.is_none());
    let website = json!({ "type": "website", "url": recipe.homepage });
    let mut value = json!({
        "type": if component.role == Role::Linked { "library" } else { "application" },
        "bom-ref": reference(&recipe.name),
        "name": recipe.name,
        "description": recipe.summary,
        "scope": if component.role == Role::Tool { "excluded" } else { "required" },
        "licenses": [{ "expression": recipe.license.spdx, "acknowledgement": "declared" }],
        "externalReferences": archives.flat_map(distributions).chain([website]).collect::<Vec<_>>(),
        "properties": properties,
    });
    if let Some(version) = component.version() {
        value["version"] = json!(version);
    }
    if let Some(purl) = component.purl() {
        value["purl"] = json!(purl);
    }
    if let Some(cpe) = component.cpe() {
        value["cpe"] = json!(cpe);
    }
    let patches: Vec<Value> = component
        .patches()
        .into_iter()
        .map(|(patch, cves)| {
            let resolves = cves
                .into_iter()
                .map(|cve| json!({ "type": "security", "id": cve.id, "source": { "url": cve.reference } }));
            json!({
                "type": "unofficial",
                "diff": { "text": { "contentType": "text/x-diff", "content": patch.text } },
                "resolves": resolves.collect::<Vec<_>>(),
            })
        })
        .collect();
    if !patches.is_empty() {
        value["pedigree"] = json!({ "patches": patches });
    }
    value
}

/// Where an archive can be had.
fn distributions(archive: &Archive) -> impl Iterator<Item = Value> {
    let algorithm = archive.digest.algorithm().replace("sha", "SHA-");
    let hash = json!({ "alg": algorithm, "content": archive.digest.hex() });
    let one =
        move |url: &String| json!({ "type": "source-distribution", "url": url, "hashes": [hash.clone()] });
    archive.urls.iter().map(one)
}
