//! SPDX 2.3, as JSON.

use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::contents::{Component, Contents, File, LIBGCC, Role, Tarball};
use super::standing::Standing;
use super::{created, digest, name};
use crate::pack::FileKind;
use base::digest::Sha256;
use base::name::{PackageName, Version};
use model::recipe::Archive;

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const COMPILER: &str = "SPDXRef-Compiler";

/// The document.
pub fn spdx(contents: &Contents<'_>) -> Value {
    let mut packages: Vec<Value> = Vec::new();
    let mut files: Vec<Value> = Vec::new();
    let mut relationships: Vec<Value> = Vec::new();
    let mut relate = |from: &str, how: &str, to: &str| {
        relationships
            .push(json!({ "spdxElementId": from, "relationshipType": how, "relatedSpdxElement": to }));
    };
    for (number, tarball) in contents.tarballs.iter().enumerate() {
        let id = tarball_id(number);
        packages.push(tarball_package(&id, contents, tarball));
        relate(DOCUMENT, "DESCRIBES", &id);
        for (place, file) in tarball.files.iter().enumerate() {
            let file_id = format!("SPDXRef-File-{number}-{place}");
            files.push(packed_file(&file_id, contents, file));
            relate(&id, "CONTAINS", &file_id);
            if let Some(package) = file.package {
                relate(&file_id, "GENERATED_FROM", &component_id(package));
            }
        }
    }
    for (package, component) in &contents.components {
        let id = component_id(package);
        packages.push(component_package(&id, component));
        component.linked.iter().for_each(|linked| relate(&id, "STATIC_LINK", &component_id(linked)));
        if component.role == Role::Tool {
            (0..contents.tarballs.len()).for_each(|number| relate(&id, "BUILD_TOOL_OF", &tarball_id(number)));
        }
        if contents.compiler.is_some() && contents.ships_programs(package) {
            relate(&id, "STATIC_LINK", COMPILER);
        }
        for (number, (patch, _)) in component.patches().into_iter().enumerate() {
            let patch_id = format!("SPDXRef-Patch-{}-{number}", in_id(package));
            files.push(json!({
                "SPDXID": patch_id,
                "fileName": format!("./patches/{package}/{}", patch.name),
                "fileTypes": ["SOURCE"],
                "checksums": [
                    { "algorithm": "SHA1", "checksumValue": format!("{:x}", Sha1::digest(&patch.text)) },
                    { "algorithm": "SHA256", "checksumValue": Sha256::of(patch.text.as_bytes()).to_string() },
                ],
                "licenseConcluded": component.recipe.license.spdx,
                "licenseInfoInFiles": ["NOASSERTION"],
                "copyrightText": "NOASSERTION",
            }));
            relate(&patch_id, "PATCH_FOR", &id);
        }
    }
    if let Some(compiler) = contents.compiler {
        packages.push(json!({
            "SPDXID": COMPILER,
            "name": "libgcc",
            "versionInfo": compiler.words,
            "comment": "The support library of the build machine's own compiler.",
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "licenseConcluded": LIBGCC,
            "licenseDeclared": LIBGCC,
            "copyrightText": "NOASSERTION",
        }));
    }
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": name(contents),
        "creationInfo": {
            "created": created(),
            "creators": [concat!("Tool: k3sroot-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "files": files,
        "relationships": relationships,
    });
    if !contents.left_out.is_empty() {
        let names: Vec<&str> = contents.left_out.iter().map(|package| package.as_str()).collect();
        document["comment"] = json!(format!("Not in it: {}", names.join(", ")));
    }
    let namespace = format!("https://spdx.org/spdxdocs/{}-{}", name(contents), digest(&document));
    document["documentNamespace"] = json!(namespace);
    document
}

fn tarball_id(number: usize) -> String {
    format!("SPDXRef-Tarball-{number}")
}

fn component_id(package: &PackageName) -> String {
    format!("SPDXRef-Package-{}", in_id(package))
}

/// A package's name in an identifier, which has letters, digits, dots and dashes alone: what else there is by its number,
/// and so are dots, so that no two names become one.
fn in_id(package: &PackageName) -> String {
    let letter = |c: char| match c {
        c if c.is_ascii_alphanumeric() || c == '-' => c.to_string(),
        c => format!(".{:x}.", u32::from(c)),
    };
    package.as_str().chars().map(letter).collect()
}

fn tarball_package(id: &str, contents: &Contents<'_>, tarball: &Tarball<'_>) -> Value {
    let mut sums: Vec<&str> = tarball.files.iter().map(|file| file.sha1.as_str()).collect();
    sums.sort_unstable();
    let terms: std::collections::BTreeSet<String> =
        tarball.files.iter().map(|file| format!("({})", contents.terms(file))).collect();
    json!({
        "SPDXID": id,
        "name": tarball.file,
        "versionInfo": env!("CARGO_PKG_VERSION"),
        "packageFileName": tarball.file,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": true,
        "packageVerificationCode": { "packageVerificationCodeValue": format!("{:x}", Sha1::digest(sums.concat())) },
        "checksums": [{ "algorithm": "SHA256", "checksumValue": tarball.sha256.to_string() }],
        "licenseConcluded": terms.into_iter().collect::<Vec<_>>().join(" AND "),
        "licenseDeclared": "NOASSERTION",
        "licenseInfoFromFiles": ["NOASSERTION"],
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "ARCHIVE",
        "externalRefs": [reference("PACKAGE-MANAGER", "purl", &tarball.purl())],
    })
}

fn packed_file(id: &str, contents: &Contents<'_>, file: &File<'_>) -> Value {
    json!({
        "SPDXID": id,
        "fileName": file.name,
        "fileTypes": [match file.kind { FileKind::Program => "BINARY", FileKind::Script => "TEXT" }],
        "checksums": [
            { "algorithm": "SHA1", "checksumValue": file.sha1 },
            { "algorithm": "SHA256", "checksumValue": file.sha256.to_string() },
        ],
        "licenseConcluded": contents.terms(file),
        "licenseInfoInFiles": ["NOASSERTION"],
        "copyrightText": "NOASSERTION",
    })
}

fn component_package(id: &str, component: &Component<'_>) -> Value {
    let recipe = component.recipe;
    // A local tree takes the place of all of them.
    let sources: Vec<&[Archive]> = component.sources().filter(|_| component.overridden.is_none()).collect();
    let first = sources.first().and_then(|archives| archives.first());
    let mut package = json!({
        "SPDXID": id,
        "name": recipe.name,
        "versionInfo": component.version().map_or("NOASSERTION", Version::as_str),
        "summary": recipe.summary,
        "homepage": recipe.homepage,
        "downloadLocation": first.and_then(|archive| archive.web_address()).unwrap_or("NOASSERTION"),
        "filesAnalyzed": false,
        "licenseConcluded": recipe.license.spdx,
        "licenseDeclared": recipe.license.spdx,
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": match component.role {
            Role::Shipped | Role::Tool => "APPLICATION",
            Role::Linked => "LIBRARY",
        },
        "externalRefs": references(component),
    });
    if let Some(first) = first {
        let algorithm = first.digest.algorithm().to_uppercase();
        package["checksums"] = json!([{ "algorithm": algorithm, "checksumValue": first.digest.hex() }]);
    }
    let note = match component.overridden {
        Some(over) if over.version.is_none() => {
            "Built from a local tree in place of its pinned source. Its version is unknown.".to_owned()
        }
        Some(_) => "Built from a local tree in place of its pinned source.".to_owned(),
        None => note(&sources),
    };
    if !note.is_empty() {
        package["comment"] = json!(note);
    }
    package
}

/// What there is to say of sources beyond the first archive of the first.
fn note(sources: &[&[Archive]]) -> String {
    let told = |archive: &Archive| format!("{} ({})", archive.urls.join(", "), archive.digest);
    let mut notes = Vec::new();
    for (number, archives) in sources.iter().enumerate() {
        let Some((first, others)) = archives.split_first() else { continue };
        if number > 0 {
            notes.push(format!("A further source: {}.", told(first)));
        }
        if !others.is_empty() {
            let others: Vec<String> = others.iter().map(told).collect();
            let what = if number > 0 { "that" } else { "downloadLocation" };
            notes.push(format!(
                "The same code as {what}, and perhaps used in its place, which the provenance tells: {}.",
                others.join("; ")
            ));
        }
    }
    notes.join(" ")
}

fn reference(category: &str, kind: &str, locator: &str) -> Value {
    json!({ "referenceCategory": category, "referenceType": kind, "referenceLocator": locator })
}

/// What scanners know it by, and where it is said which vulnerabilities it does not have any more.
fn references(component: &Component<'_>) -> Vec<Value> {
    let purl = component.purl().map(|purl| reference("PACKAGE-MANAGER", "purl", &purl));
    let cpe = component.cpe().map(|cpe| reference("SECURITY", "cpe23Type", &cpe));
    let fixes = component
        .recipe
        .cves
        .iter()
        .filter(|cve| matches!(component.standing(cve), Standing::Patched(_) | Standing::Fixed(_)))
        .map(|cve| reference("SECURITY", "fix", &cve.reference));
    purl.into_iter().chain(cpe).chain(fixes).collect()
}
