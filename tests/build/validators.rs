//! The documents, read by the tools and with the schemas of those who define them.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::skipped::skipped;
use super::workspace::{ARCH, Workspace};
use super::{documents, provenance};

/// What a validator finds about a file; `None`, said, where there are no validators.
fn findings(workspace: &Workspace, kind: &str, words: &[&str]) -> Option<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("validators");
    if !folder.join("installed.txt").exists() {
        skipped("documents with the tools of others", "`make setup` installs them, where pip gets them");
        return None;
    }
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/validators/check.py");
    let mut command = Command::new(folder.join("venv/bin/python"));
    let output = command.arg(check).arg(kind).args(words).current_dir(workspace.path(".")).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output.stderr));
    // Python ends with 1 also where it broke.
    assert_eq!(output.status.success(), text(&output.stdout).trim().is_empty(), "{}", text(&output.stderr));
    Some(text(&output.stdout))
}

fn file(kind: &str) -> String {
    format!("dist/k3s-root-{ARCH}.{kind}")
}

#[test]
fn nobodys_validator_finds_anything() {
    let workspace = documents::with_cves();
    for (name, text) in [("key.pem", provenance::PRIVATE), ("key.pub", provenance::PUBLIC)] {
        fs::write(workspace.path(name), text).unwrap();
    }
    let run = workspace.build(&["--sign-key", "key.pem"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let (spdx, cdx, statement, envelope) =
        (file("spdx.json"), file("cdx.json"), file("provenance.json"), file("intoto.jsonl"));
    let documents: [(&str, &[&str]); 4] = [
        ("spdx", &[&spdx]),
        ("cyclonedx", &[&cdx]),
        ("provenance", &[&statement]),
        ("envelope", &[&envelope, "key.pub"]),
    ];
    for (kind, words) in documents {
        let Some(found) = findings(&workspace, kind, words) else { return };
        assert_eq!(found.trim(), "", "{kind}");
    }

    // And they do find what is wrong.
    let broken = [
        ("spdx", &spdx, "\"downloadLocation\"", "\"downloadPlace\""),
        ("cyclonedx", &cdx, "\"SHA-256\"", "\"SHA-257\""),
        ("provenance", &statement, "https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"),
        ("envelope", &envelope, "\"ewog", "\"ewoK"),
    ];
    for (kind, path, from, to) in broken {
        workspace.edit(path, from, to);
        let words = [path.as_str(), "key.pub"];
        let found = findings(&workspace, kind, &words[..if kind == "envelope" { 2 } else { 1 }]).unwrap();
        assert_ne!(found.trim(), "", "{kind}");
    }
}
