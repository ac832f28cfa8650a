//! Every rule is broken once, and a recipe that breaks none is left in peace.

use std::collections::BTreeSet;
use std::fs;

use tempfile::TempDir;

use super::{Rule, lint};
use model::recipe;

const GOOD: &str = r#"name     = "good"
version  = "1.2.3"
summary  = "Does good"
homepage = "https://good.example/"

[license]
spdx  = "GPL-2.0-only WITH Linux-syscall-note OR MIT"
files = { "COPYING" = "0000000000000000000000000000000000000000000000000000000000000000" }

[identity]
cpe  = "good:good"
purl = "pkg:generic/good"

[[source]]
urls    = ["https://good.example/good-{version}.tar.xz", "debian:good/good_{version}.orig.tar.xz"]
sha256  = "0000000000000000000000000000000000000000000000000000000000000000"
patches = ["0001-better.patch"]

[held]
newest  = "1.3"
because = "its makefile can do less than nothing"

[[cve]]
id        = "CVE-2024-10001"
fixed-in  = "1.2.3"
reference = "https://good.example/10001"

[[source]]
local = "own"
into  = "own"

[needs]
tools = ["m4"]

[build]
system = "script"       # its makefile can do nothing
steps  = [["true"]]
"#;

const PATCH: &str = "Make it better\n\nIt was not good enough.\n\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\n+b\n";

/// A checkout with the one recipe, its patch and a folder of our own files.
fn checkout(recipe: &str, patch_text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("recipes/good.toml", recipe),
        ("recipes/files/own/file", "own"),
        ("patches/good/0001-better.patch", patch_text),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// What is found, as `rule: the line of its place`.
fn found(checkout: &TempDir, used: &[&str]) -> Vec<(Rule, String)> {
    let folder = checkout.path().join("recipes");
    let recipes = recipe::load(&folder).unwrap();
    let used: BTreeSet<_> = used.iter().map(|name| name.parse().unwrap()).collect();
    let line = |text: &str, at: usize| {
        let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        text[start..].lines().next().unwrap_or_default().to_owned()
    };
    let findings = lint(&folder, &recipes, &used).unwrap();
    findings.iter().map(|finding| (finding.rule, line(&finding.text, finding.span.start))).collect()
}

#[test]
fn nothing_is_found_where_all_is_well() {
    assert_eq!(found(&checkout(GOOD, PATCH), &["good"]), []);
}

#[test]
fn every_rule_finds_what_breaks_it_and_where() {
    // A change of the recipe, the rule that it breaks, and the line that is shown.
    let cases = [
        (
            "OR MIT",
            "OR Mit!",
            Rule::LicenseExpression,
            "spdx  = \"GPL-2.0-only WITH Linux-syscall-note OR Mit!\"",
        ),
        ("\nfiles = ", "\n# files = ", Rule::LicenseFiles, "[license]"),
        ("\"Does good\"", "\"Does good.\"", Rule::Summary, "summary  = \"Does good.\""),
        ("\"Does good\"", "\"\"", Rule::Summary, "summary  = \"\""),
        (
            "\"https://good.example/\"",
            "\"http://good.example/\"",
            Rule::Homepage,
            "homepage = \"http://good.example/\"",
        ),
        ("\npurl = ", "\n# purl = ", Rule::Identity, "[identity]"),
        ("pkg:generic/good", "generic/good", Rule::Identity, "purl = \"generic/good\""),
        ("\"good:good\"", "\"good\"", Rule::Identity, "cpe  = \"good\""),
        ("\"1.2.3\"\nref", "\"1.10\"\nref", Rule::CveVersion, "fixed-in  = \"1.10\""),
        ("\"1.3\"", "\"1.2.3\"", Rule::Held, "newest  = \"1.2.3\""),
        ("its makefile can do less than nothing", "it is too new", Rule::Held, "because = \"it is too new\""),
        ("https://good.example/good", "debian:good/good", Rule::Upstream, "[[source]]"),
        (
            "https://good.example/good-",
            "https://good.example/1.2.3/good-",
            Rule::UrlVersion,
            "urls    = [\"https://good.example/1.2.3/good-{version}.tar.xz\", \"debian:good/good_{version}.orig.tar.xz\"]",
        ),
        (
            "good-{version}.tar.xz",
            "good-1.2.3.tar.xz",
            Rule::UrlVersion,
            "urls    = [\"https://good.example/good-1.2.3.tar.xz\", \"debian:good/good_{version}.orig.tar.xz\"]",
        ),
        (
            "\"debian:good/good_",
            "\"file:///good_",
            Rule::FileUrl,
            "urls    = [\"https://good.example/good-{version}.tar.xz\", \"file:///good_{version}.orig.tar.xz\"]",
        ),
        ("[\"m4\"]", "[\"m4\", \"m4\"]", Rule::NeedTwice, "tools = [\"m4\", \"m4\"]"),
        ("       # its makefile can do nothing", "", Rule::ScriptReason, "system = \"script\""),
        ("spdx  =", "spdx \t=", Rule::Whitespace, "spdx \t= \"GPL-2.0-only WITH Linux-syscall-note OR MIT\""),
        ("tools = [\"m4\"]", "tools = [\"m4\"] ", Rule::Whitespace, "tools = [\"m4\"] "),
        ("[[\"true\"]]\n", "[[\"true\"]]", Rule::Whitespace, "steps  = [[\"true\"]]"),
        ("[[\"true\"]]\n", "[[\"true\"]]\n\n", Rule::Whitespace, ""),
    ];
    let mut broken = BTreeSet::new();
    // What a header names twice is found once.
    let patch =
        PATCH.replacen("\n\n", "\n\ncves = [\"CVE-2024-10001\", \"CVE-2024-10002\"]\n\nCVE-2024-10002: ", 1);
    let expected = [(Rule::PatchCve, "cves = [\"CVE-2024-10001\", \"CVE-2024-10002\"]".to_owned())];
    assert_eq!(found(&checkout(GOOD, &patch), &["good"]), expected);
    broken.insert(Rule::PatchCve);
    for (from, to, rule, line) in cases {
        assert!(GOOD.contains(from), "{from}");
        let found = found(&checkout(&GOOD.replacen(from, to, 1), PATCH), &["good"]);
        assert_eq!(found, [(rule, line.to_owned())], "{to}");
        broken.insert(rule);
    }
    for (patch, line) in [
        (PATCH.trim_start_matches("Make it better\n\n"), "It was not good enough."),
        (&PATCH[PATCH.find("---").unwrap()..], "--- a/a"),
    ] {
        let expected = [(Rule::PatchHeader, line.to_owned())];
        assert_eq!(found(&checkout(GOOD, patch), &["good"]), expected);
        broken.insert(Rule::PatchHeader);
    }
    for stray in ["recipes/files/other", "patches/good/0002-more.patch", "patches/gone"] {
        let checkout = checkout(GOOD, PATCH);
        fs::create_dir(checkout.path().join(stray)).unwrap();
        assert_eq!(found(&checkout, &["good"]), [(Rule::Stray, String::new())], "{stray}");
        broken.insert(Rule::Stray);
    }
    assert_eq!(found(&checkout(GOOD, PATCH), &[]), [(Rule::Unused, "name     = \"good\"".to_owned())]);
    broken.insert(Rule::Unused);
    assert_eq!(broken, BTreeSet::from(Rule::ALL));
}
