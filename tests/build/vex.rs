//! What is known of vulnerabilities of a root: the OpenVEX document, held against what the specification demands.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::workspace::{ARCH, Workspace};

const PATCH: &str = "0001-say-that-it-is-patched.patch";
const JUSTIFICATIONS: [&str; 5] = [
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
];

/// A `[[cve]]` entry.
fn entry(number: u32, status: &str) -> String {
    format!(
        "[[cve]]\nid = \"CVE-2024-{number}\"\n{status}\nreference = \"https://words.invalid/{number}\"\n\n"
    )
}

/// A checkout whose library has an entry of every kind, and whose tool has one too.
fn with_entries() -> Workspace {
    let workspace = Workspace::new();
    let patch = format!("patches/libword/{PATCH}");
    let text = workspace.read(&patch);
    fs::write(workspace.path(&patch), format!("Patch it\n\ncves = [\"CVE-2024-11111\"]\n\n{text}")).unwrap();
    let entries = [
        entry(11111, &format!("fixed-by = \"{PATCH}\"")),
        entry(11112, "fixed-in = \"1.1\""),
        entry(11113, "not-affected = \"vulnerable_code_not_present\"\nbecause = \"nothing is spoken aloud\""),
        entry(11114, "affected = \"speak softly\""),
        entry(11115, "fixed-in = \"1.10\""),
    ];
    let identity = "[identity]\ncpe = \"words:lib+word\"\npurl = \"pkg:generic/libword\"\n\n";
    workspace.edit("recipes/libword.toml", "[needs]", &format!("{identity}{}[needs]", entries.concat()));
    workspace.edit(
        "recipes/codegen.toml",
        "[build]",
        &format!("{}[build]", entry(22222, "affected = \"hide\"")),
    );
    workspace
}

fn path() -> String {
    format!("dist/k3s-root-{ARCH}.openvex.json")
}

fn document(workspace: &Workspace) -> Value {
    serde_json::from_str(&workspace.read(&path())).unwrap()
}

/// The keys of an object: all of `required`, and beyond them only such as may be there.
fn keys(value: &Value, required: &[&str], optional: &[&str]) {
    let keys: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    for key in required {
        assert!(keys.contains(key), "no {key}: {value:#}");
    }
    for key in keys {
        assert!(required.contains(&key) || optional.contains(&key), "{key} is unknown: {value:#}");
    }
}

fn is_time(value: &Value) {
    let text = value.as_str().unwrap();
    assert!(text.len() == 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z'), "{text}");
}

fn is_iri(value: &Value) {
    let text = value.as_str().unwrap();
    assert!(text.starts_with("https://") || text.starts_with("pkg:"), "{text}");
    assert!(!text.contains([' ', '<', '>', '"', '{', '}']), "{text}");
}

fn identifiers(component: &Value) {
    keys(&component["identifiers"], &[], &["purl", "cpe22", "cpe23"]);
    assert!(!component["identifiers"].as_object().unwrap().is_empty());
    is_iri(&component["@id"]);
}

/// The specification's rules: what must be there, what may be, and of what form it is.
fn is_valid(document: &Value) {
    keys(
        document,
        &["@context", "@id", "author", "timestamp", "version", "statements"],
        &["role", "last_updated", "tooling"],
    );
    assert_eq!(document["@context"], "https://openvex.dev/ns/v0.2.0");
    is_iri(&document["@id"]);
    is_time(&document["timestamp"]);
    assert_eq!(document["version"], 1);
    let statements = document["statements"].as_array().unwrap();
    assert!(!statements.is_empty());
    for (number, statement) in statements.iter().enumerate() {
        assert!(!statements[..number].contains(statement), "twice: {statement:#}");
        keys(
            statement,
            &["vulnerability", "status", "products"],
            &[
                "status_notes",
                "justification",
                "impact_statement",
                "action_statement",
                "action_statement_timestamp",
            ],
        );
        keys(&statement["vulnerability"], &["name"], &["@id", "description", "aliases"]);
        is_iri(&statement["vulnerability"]["@id"]);
        let products = statement["products"].as_array().unwrap();
        assert!(!products.is_empty());
        for product in products {
            keys(product, &["@id"], &["identifiers", "hashes", "subcomponents"]);
            identifiers(product);
            keys(&product["hashes"], &["sha-256"], &[]);
            for part in product["subcomponents"].as_array().into_iter().flatten() {
                keys(part, &["@id"], &["identifiers", "hashes"]);
                identifiers(part);
            }
        }
        let has = |key: &str| statement[key].as_str().is_some_and(|text| !text.is_empty());
        match statement["status"].as_str().unwrap() {
            "not_affected" => assert!(JUSTIFICATIONS.contains(&statement["justification"].as_str().unwrap())),
            "affected" => {
                assert!(has("action_statement"));
                is_time(&statement["action_statement_timestamp"]);
            }
            other => assert!(["fixed", "under_investigation"].contains(&other), "{other}"),
        }
        assert_eq!(has("justification"), statement["status"] == "not_affected");
        assert_eq!(has("action_statement"), statement["status"] == "affected");
    }
}

/// What a document says of each vulnerability.
fn said(document: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let line = |statement: &Value| {
        let more =
            ["impact_statement", "action_statement"].map(|key| statement[key].as_str().unwrap_or_default());
        let line = format!(
            "{} {} {} | {}",
            text(&statement["vulnerability"]["name"]),
            text(&statement["status"]),
            more.concat(),
            statement["status_notes"].as_str().unwrap_or("-")
        );
        line
    };
    document["statements"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn what_recipes_know_is_in_a_valid_document() {
    let workspace = with_entries();
    workspace.build_all();
    let document = document(&workspace);
    is_valid(&document);
    insta::assert_snapshot!(said(&document).join("\n"), @r"
    CVE-2024-11111 fixed  | the patch 0001-say-that-it-is-patched.patch takes it away
    CVE-2024-11112 fixed  | upstream has taken it away in 1.1
    CVE-2024-11113 not_affected nothing is spoken aloud | -
    CVE-2024-11114 affected speak softly | -
    CVE-2024-11115 affected use a root that has a later libword | upstream has taken it away later, in 1.10
    ");
    let digest =
        |name: &str| format!("{:x}", Sha256::digest(fs::read(workspace.path("dist").join(name)).unwrap()));
    // Both tarballs have `hello`, and with it the library.
    for statement in document["statements"].as_array().unwrap() {
        let products = statement["products"].as_array().unwrap();
        let names = [format!("k3s-root-{ARCH}.tar"), format!("k3s-root-xtables-{ARCH}.tar")];
        assert_eq!(products.len(), names.len());
        for (product, name) in products.iter().zip(&names) {
            let digest = digest(name);
            assert_eq!(product["hashes"]["sha-256"], digest.as_str());
            let purl = product["identifiers"]["purl"].as_str().unwrap();
            assert!(purl.ends_with(&format!("?checksum=sha256:{digest}&file_name={name}")), "{purl}");
            let part = &product["subcomponents"][0];
            assert_eq!(part["@id"], "pkg:generic/libword@1.2");
            assert_eq!(part["identifiers"]["cpe23"], "cpe:2.3:a:words:lib\\+word:1.2:*:*:*:*:*:*:*");
        }
    }
    // What the verb prints is the file, and its name follows from what it says.
    let output = workspace.command("vex", &["--arch", ARCH]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout == fs::read(workspace.path(&path())).unwrap());
    workspace.edit("recipes/libword.toml", "speak softly", "be silent");
    let output = workspace.command("vex", &["--arch", ARCH]).output().unwrap();
    let other: Value = serde_json::from_slice(&output.stdout).unwrap();
    is_valid(&other);
    assert_ne!(other["@id"], document["@id"]);
}

#[test]
fn of_a_local_tree_nothing_is_claimed() {
    let workspace = with_entries();
    workspace.local_tree();
    let run = workspace.build(&["--override", "libword=my-libword"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let document = document(&workspace);
    is_valid(&document);
    let statements = document["statements"].as_array().unwrap();
    assert_eq!(statements.len(), 5);
    assert!(statements.iter().all(|statement| statement["status"] == "under_investigation"), "{document:#}");
    let spdx = workspace.read(&format!("dist/k3s-root-{ARCH}.spdx.json"));
    assert!(!spdx.contains("words.invalid/11111"), "SPDX claims no fix either");
}

#[test]
fn without_an_entry_there_is_no_document() {
    let workspace = Workspace::new();
    fs::create_dir_all(workspace.path("dist")).unwrap();
    fs::write(workspace.path(&path()), "of an earlier build").unwrap();
    workspace.build_all();
    assert!(!workspace.path(&path()).exists());
    let run = workspace.run("vex", &["--arch", ARCH]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr, @"error: no `[[cve]]` entry is in the recipes of what is in the root for [arch], and an OpenVEX document without statements is not valid");
}
