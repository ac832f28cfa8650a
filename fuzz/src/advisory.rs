//! A file of a database of vulnerabilities, as others publish them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base::digest::ActionDigest;
use model::recipe::parse;
use root::advisory::{Database, Severity, Subject, findings};
use root::attest::{Component, Role};

use super::recipe::Files;

const RECIPE: &str = r#"name = "busybox"
version = "1.36.1"
summary = "Programs"
homepage = "https://github.com/good/busybox"
license = { spdx = "MIT" }
identity = { cpe = "busybox:busybox", purl = "pkg:generic/busybox" }
source = [{ local = "x" }]
cve = [{ id = "CVE-2022-28391", fixed-in = "1.36.0", reference = "https://good.example/" }]
build = { system = "make" }
"#;

/// A file is refused by its name, or read; what stands in two files says no more than in one, nothing is found
/// that was not read, and no name of it can move a terminal's cursor.
pub fn advisory(data: &[u8]) {
    let recipe = parse(Path::new("recipes/busybox.toml"), RECIPE, &Files).unwrap();
    let role = Role::Shipped;
    let components = [Component {
        recipe: &recipe,
        role,
        linked: BTreeSet::new(),
        overridden: None,
        archives: None,
        action: ActionDigest::from_bytes([0; 32]),
    }];
    let subjects = components.iter().map(Subject::new).collect::<Vec<_>>();
    let folder = tempfile::tempdir().unwrap();
    let folders = [folder.path().to_owned()];
    fs::write(folder.path().join("one.json"), data).unwrap();
    let found = Database::read(&folders, &subjects)
        .map(|database| (findings(&components, &subjects, &database), database));
    let (report, database) = match found {
        Ok(found) => found,
        Err(error) => {
            assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
            return;
        }
    };
    let (counted, all) = (database.concerning(), database.advisories());
    assert!(counted <= all && database.of_repositories() <= all, "{report:?}");
    // Of one component each identifier is there once, and each was read.
    let length: usize = report.findings.iter().map(|finding| finding.id.len()).sum();
    assert!(length <= data.len(), "{report:?}");
    let names = report.findings.iter().flat_map(|finding| finding.aliases.iter().chain([&finding.id]));
    for shown in names.map(String::as_str).chain(database.newest()) {
        assert!(!shown.is_empty() && shown.chars().all(|c| c.is_ascii_graphic()), "{shown:?}");
    }
    assert!(report.failing(Severity::Low, false).count() <= report.findings.len());
    assert!(!serde_json::to_string(&report).unwrap().is_empty());
    fs::write(folder.path().join("two.json"), data).unwrap();
    let again = Database::read(&folders, &subjects).unwrap();
    assert_eq!(findings(&components, &subjects, &again).findings, report.findings);
}
