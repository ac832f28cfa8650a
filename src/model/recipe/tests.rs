//! Right and wrong recipes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::validate::Beside;
use super::*;

const PIGZ: &str = r#"
name     = "pigz"
version  = "2.8"
summary  = "Parallel gzip"
homepage = "https://zlib.net/pigz/"

[license]
spdx  = "Zlib"
files = { "README" = "0000000000000000000000000000000000000000000000000000000000000000" }

[[source]]
urls    = ["https://zlib.net/pigz/pigz-{version}.tar.gz", "debian:pigz/pigz_{version}.orig.tar.xz"]
sha256  = "1111111111111111111111111111111111111111111111111111111111111111"
patches = ["a.patch"]

[needs]
link = ["zlib"]

[build]
system = "make"
cflags = ["-DA"]

[build.arch.arm64]
cflags = ["-DB"]
env    = { X = "1" }

[install]
keep = ["usr/bin/pigz"]
"#;

struct Files;

impl Beside for Files {
    fn patch(&self, package: &str, name: &str) -> io::Result<String> {
        match (package, name) {
            ("pigz", "a.patch") => Ok("For CVE-2024-58251\n\n--- a\n".to_owned()),
            _ => Err(io::Error::other("no such file")),
        }
    }

    fn local(&self, _: &str) -> io::Result<BTreeMap<String, LocalFile>> {
        Err(io::Error::other("no such folder"))
    }
}

fn read(text: &str) -> Result<Recipe, RecipeError> {
    parse(Path::new("recipes/pigz.toml"), text, &Files)
}

/// Replaces `from`, which must be there, and returns what is said of the result, and of which place.
fn complaint(from: &str, to: &str) -> (String, String) {
    assert!(PIGZ.contains(from), "{from}");
    match read(&PIGZ.replacen(from, to, 1)) {
        Err(RecipeError::Invalid { text, span, message, help, .. }) => {
            (message + &help.map(|help| format!(" | {help}")).unwrap_or_default(), text[span].to_owned())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_recipe_says_what_is_written() {
    let recipe = read(PIGZ).unwrap();
    let [source] = recipe.sources.as_slice() else { panic!("{:?}", recipe.sources) };
    let Origin::Archives(archives) = &source.origin else { panic!("{source:?}") };
    assert_eq!(
        archives[0].urls,
        ["https://zlib.net/pigz/pigz-2.8.tar.gz", "debian:pigz/pigz_2.8.orig.tar.xz"]
    );
    assert!(source.patches[0].text.ends_with("\n--- a\n"));
    assert_eq!(recipe.needs.toolchain, Toolchain::Libc);
    assert_eq!(recipe.keep, ["usr/bin/pigz"]);
}

#[test]
fn lists_of_an_arch_append_and_values_replace() {
    let recipe = read(PIGZ).unwrap();
    let arm64 = recipe.build.options(&Machine::Target("arm64".parse().unwrap()));
    assert_eq!(arm64.cflags, ["-DA", "-DB"]);
    assert_eq!(arm64.env["X"], "1");
    assert_eq!(recipe.build.options(&Machine::Build).cflags, ["-DA"]);
}

#[test]
fn an_unknown_key_is_shown_with_the_valid_ones() {
    let (message, place) = complaint("cflags = [\"-DA\"]", "cflag = [\"-DA\"]");
    assert!(message.contains("unknown field `cflag`, expected one of `system`, `cross`"), "{message}");
    assert_eq!(place, "cflag");
}

#[test]
fn every_other_mistake_has_a_place_and_a_remedy() {
    let cases = [
        ("\"pigz\"\n", "\"pigs\"\n", "the name is not the file's", "\"pigs\""),
        ("\"2.8\"", "\"2 8\"", "is not a version", "\"2 8\""),
        (
            "\"debian:pigz",
            "\"ftp:pigz",
            "known schemes are https: file: debian: pypi:",
            "\"ftp:pigz/pigz_{version}.orig.tar.xz\"",
        ),
        (
            "-{version}.tar",
            "-{ver}.tar",
            "`{version}` is the only placeholder",
            "\"https://zlib.net/pigz/pigz-{ver}.tar.gz\"",
        ),
        (
            "\"a.patch\"",
            "\"b.patch\"",
            "cannot read the patch: no such file | patches live in `patches/pigz/`",
            "\"b.patch\"",
        ),
        ("\"a.patch\"", "\"../a.patch\"", "the name leaves its folder", "\"../a.patch\""),
        ("\"README\"", "\"../../etc/shadow\"", "the name leaves its folder", "\"../../etc/shadow\""),
        ("\"README\"", "\"/proc/self/environ\"", "the name leaves its folder", "\"/proc/self/environ\""),
        ("\"usr/bin/pigz\"", "\"usr/[bin\"", "unclosed", "\"usr/[bin\""),
        (
            "cflags = [\"-DA\"]",
            "steps = [[\"true\"]]",
            "`steps` has no meaning for this build system",
            "\"make\"",
        ),
        (
            "cflags = [\"-DA\"]",
            "configure = [\"--x\"]",
            "`configure` has no meaning for this build system",
            "\"make\"",
        ),
        (
            "[build.arch.arm64]",
            "[build.arch.arm64]\ncache = { a = \"b\" }",
            "`cache` has no meaning for this build system",
            "\"make\"",
        ),
        (
            "\"make\"",
            "\"kconfig\"\nconfig = { base = \"defconfig\", enable = [\"A\"], disable = [\"A\"] }",
            "asks for the symbol `A` twice",
            "\"kconfig\"",
        ),
        (
            "\"make\"",
            "\"kconfig\"",
            "a kconfig build starts from a base | add `[build.config]`",
            "\"kconfig\"",
        ),
        ("\"make\"", "\"cmake\"", "unknown variant `cmake`, expected one of `autotools`", "\"cmake\""),
        ("[build.arch.arm64]", "[build.arch.ARM]", "is not a arch name", ""),
    ];
    for (from, to, expected, place) in cases {
        let (message, at) = complaint(from, to);
        assert!(message.contains(expected), "{from} -> {to}: {message}");
        if !place.is_empty() {
            assert_eq!(at, place, "{from} -> {to}");
        }
    }
}

#[test]
fn a_glob_that_no_regular_expression_can_express_is_refused() {
    let deep = format!("\"{}a{}\"", "{".repeat(300), "}".repeat(300));
    let (message, place) = complaint("\"usr/bin/pigz\"", &deep);
    assert!(message.contains("too deep"), "{message}");
    assert_eq!(place, deep);
}

#[test]
fn a_source_has_one_origin_and_one_digest() {
    let digest = "sha256  = \"1111111111111111111111111111111111111111111111111111111111111111\"\n";
    let (message, _) = complaint(digest, "");
    assert!(message.contains("give `sha256` or `sha512`"), "{message}");
    let (message, _) = complaint(digest, "local = \"x\"\nsha256 = \"1111\"\n");
    assert!(message.contains("64 hexadecimal digits"), "{message}");
    let (message, _) = complaint(digest, &format!("{digest}local = \"x\"\n"));
    assert!(message.contains("exactly one kind of place"), "{message}");
    let second = format!("{digest}\n[[source]]\nurls = [\"https://a/b\"]\n{digest}");
    let (message, _) = complaint(digest, &second);
    assert!(message.contains("only the first source is unpacked to `/src` itself"), "{message}");
}

#[test]
fn what_is_held_back_has_a_newest_release_and_a_reason() {
    let held = "[held]\nnewest = \"2.9\"\nbecause = \"nobody has it\"\n";
    let recipe = read(&(PIGZ.to_owned() + held)).unwrap().held.unwrap();
    assert_eq!((recipe.newest.as_str(), recipe.because.as_str()), ("2.9", "nobody has it"));
    assert_eq!(read(PIGZ).unwrap().held, None);
    for (from, to, expected) in [
        ("nobody has it", " ", "the reason is empty"),
        ("newest = \"2.9\"\n", "", "missing field `newest`"),
        ("\"2.9\"", "\"\"", "is not a version"),
        ("because", "reason", "unknown field `reason`, expected `newest` or `because`"),
    ] {
        let error = read(&(PIGZ.to_owned() + &held.replacen(from, to, 1))).unwrap_err();
        let RecipeError::Invalid { message, .. } = error else { panic!("{to}") };
        assert!(message.contains(expected), "{to}: {message}");
    }
}

const CVE: &str = r#"
[[cve]]
id        = "CVE-2024-58251"
fixed-by  = "a.patch"
reference = "https://nvd.nist.gov/vuln/detail/CVE-2024-58251"
"#;

#[test]
fn what_is_known_of_a_vulnerability_is_said_in_one_of_four_ways() {
    let status = |line: &str| {
        let text = PIGZ.to_owned() + &CVE.replace("fixed-by  = \"a.patch\"", line);
        read(&text).map(|recipe| recipe.cves[0].status.clone())
    };
    for (line, expected) in [
        ("fixed-by = \"a.patch\"", CveStatus::FixedBy { patch: "a.patch".to_owned() }),
        ("fixed-in = \"2.7\"", CveStatus::FixedIn { version: "2.7".parse().unwrap() }),
        (
            "not-affected = \"vulnerable_code_not_present\"\nbecause = \"it is off\"",
            CveStatus::NotAffected {
                justification: Justification::VulnerableCodeNotPresent,
                because: "it is off".to_owned(),
            },
        ),
        ("affected = \"keep others out\"", CveStatus::Affected { action: "keep others out".to_owned() }),
    ] {
        assert_eq!(status(line).unwrap(), expected);
    }
    for (line, expected) in [
        ("", "whether it is of concern is said in exactly one way"),
        ("fixed-in = \"2.7\"\naffected = \"x\"", "whether it is of concern is said in exactly one way"),
        ("not-affected = \"component_not_present\"", "whether it is of concern is said in exactly one way"),
        ("not-affected = \"luck\"\nbecause = \"x\"", "unknown variant `luck`"),
        ("fixed-by = \"b.patch\"", "no source has this patch"),
    ] {
        let RecipeError::Invalid { message, .. } = status(line).unwrap_err() else { panic!("{line}") };
        assert!(message.starts_with(expected), "{line}: {message}");
    }
}

#[test]
fn a_vulnerability_has_an_identifier_and_a_reference_and_is_there_once() {
    let complaint = |text: &str| match read(text) {
        Err(RecipeError::Invalid { message, span, .. }) => (message, text[span].to_owned()),
        other => panic!("{other:?}"),
    };
    for (from, to, expected) in [
        ("\"CVE-2024-58251\"", "\"CVE-2024\"", "this is no identifier like `CVE-2024-58251`"),
        ("\"CVE-2024-58251\"", "\"GHSA-2024-58251\"", "this is no identifier like `CVE-2024-58251`"),
        ("\"CVE-2024-58251\"", "\"OSV-2024\"", "this is no identifier like `CVE-2024-58251`"),
        ("https://nvd", "http://nvd", "a reference is an https URL"),
        ("\"CVE-2024-58251\"", "\"CVE-2024-58252\"", "this patch does not name it"),
    ] {
        let (message, place) = complaint(&(PIGZ.to_owned() + &CVE.replacen(from, to, 1)));
        assert_eq!(message, expected);
        assert!(place.starts_with('"'), "{place}");
    }
    let twice = complaint(&(PIGZ.to_owned() + CVE + CVE));
    assert_eq!(twice, ("CVE-2024-58251 is there twice".to_owned(), "\"CVE-2024-58251\"".to_owned()));
}
