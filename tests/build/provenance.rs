//! Where tarballs came from: the statement beside them, its signature, and whether both are checked.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::workspace::{ARCH, Run, USUAL, Workspace};

/// The first key of RFC 8032, 7.1: known to everybody, and good for tests alone.
pub(crate) const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";
/// Its public half.
pub(crate) const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
    -----END PUBLIC KEY-----\n";
/// The public key of RFC 8032's second test.
const ANOTHER: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n\
    -----END PUBLIC KEY-----\n";

fn file(kind: &str) -> String {
    format!("dist/k3s-root-{ARCH}.{kind}")
}

fn json(workspace: &Workspace, path: &str) -> Value {
    serde_json::from_str(&workspace.read(path)).unwrap()
}

fn sha256(workspace: &Workspace, path: &str) -> String {
    format!("{:x}", Sha256::digest(fs::read(workspace.path(path)).unwrap()))
}

/// A workspace that is built, signed by the test's key.
fn signed() -> Workspace {
    let workspace = Workspace::new();
    for (name, text) in [("key.pem", PRIVATE), ("key.pub", PUBLIC), ("another.pub", ANOTHER)] {
        fs::write(workspace.path(name), text).unwrap();
    }
    let run = workspace.build(&["--sign-key", "key.pem", "--builder-id", "https://ci.invalid/k3sroot"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    workspace
}

/// `verify --provenance` of both tarballs.
fn verify(workspace: &Workspace, statement: &str, more: &[&str]) -> Run {
    let tars = [file("tar"), format!("dist/k3s-root-xtables-{ARCH}.tar")];
    workspace.run("verify", &[&["--provenance", statement, &tars[0], &tars[1]], more].concat())
}

#[test]
fn the_statement_names_the_tarballs_and_all_that_they_were_made_from() {
    let workspace = Workspace::new();
    workspace.build_all();
    let statement = json(&workspace, &file("provenance.json"));
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let subjects = statement["subject"].as_array().unwrap();
    assert_eq!(subjects.len(), 2);
    for subject in subjects {
        let path = format!("dist/{}", subject["name"].as_str().unwrap());
        assert_eq!(subject["digest"]["sha256"], sha256(&workspace, &path));
    }
    let definition = &statement["predicate"]["buildDefinition"];
    let digests: BTreeMap<&str, &str> = definition["resolvedDependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["digest"]["sha256"].as_str().unwrap()))
        .collect();
    for name in [
        "recipes/libword.toml",
        "recipes/codegen.toml",
        "recipes/root.toml",
        &format!("sysroot/{ARCH}.toml"),
        "patches/libword/0001-say-that-it-is-patched.patch",
    ] {
        assert_eq!(digests.get(name), Some(&sha256(&workspace, name).as_str()), "{name} in {digests:?}");
    }
    assert_eq!(digests["libword: source 0"], workspace.digest());
    let own = digests.keys().filter(|name| name.starts_with("hello: ")).count();
    assert!(own > 0, "files of our own are sources too: {digests:?}");
    assert_eq!(definition["externalParameters"]["toolchain"], "source");
    assert!(statement["predicate"]["runDetails"].get("metadata").is_none(), "that is no fact of the root's");

    // What differs from run to run is in a file of its own, which names the statement.
    let facts = json(&workspace, &file("run.json"));
    assert_eq!(facts["statement"]["digest"]["sha256"], sha256(&workspace, &file("provenance.json")));
    let began = facts["metadata"]["startedOn"].as_str().unwrap();
    assert!(began < facts["metadata"]["finishedOn"].as_str().unwrap(), "{facts:#}");
    assert!(facts["units"].as_array().unwrap().iter().any(|unit| unit["state"] == "built"), "{facts:#}");
}

#[test]
fn the_same_statement_comes_from_the_same_sources() {
    let (one, other) = (Workspace::new(), Workspace::under(USUAL, "elsewhere"));
    one.build_all();
    other.build_all();
    assert_eq!(one.read(&file("provenance.json")), other.read(&file("provenance.json")));
    assert_ne!(one.read(&file("run.json")), other.read(&file("run.json")));
    let printed = one.run("provenance", &["--arch", ARCH]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let statement: Value = serde_json::from_str(&printed.stdout.replace("[arch]", ARCH)).unwrap();
    let untidy = one.read(&file("provenance.json")).replace(one.digest(), "[digest]");
    assert_eq!(statement, serde_json::from_str::<Value>(&untidy).unwrap());
}

#[test]
fn the_statement_names_the_archive_that_was_used() {
    let workspace = Workspace::new();
    workspace.local_tree();
    workspace.second_archive();
    let second = sha256(&workspace, "distfiles/another-name");
    let used = |workspace: &Workspace| -> Vec<String> {
        let statement = json(workspace, &file("provenance.json"));
        let all =
            statement["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap().clone();
        let of_source = all.iter().filter(|one| one["name"] == "libword: source 0");
        of_source.map(|one| one["digest"]["sha256"].as_str().unwrap().to_owned()).collect()
    };
    workspace.build_all();
    assert_eq!(used(&workspace), [workspace.digest()]);
    fs::remove_dir_all(workspace.path("cache")).unwrap();
    fs::remove_file(workspace.path("distfiles/any-name")).unwrap();
    workspace.build_all();
    assert_eq!(used(&workspace), [second]);
    // Either would do for who looks whether it was made from this checkout.
    let run = verify(&workspace, &file("provenance.json"), &["--checkout"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_signed_statement_is_checked_with_the_key() {
    let workspace = signed();
    let envelope = file("intoto.jsonl");
    let run = verify(&workspace, &envelope, &["--key", "another.pub", "--key", "key.pub", "--checkout"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let digests = ["tar", "xtables"].map(|kind| {
        let name = if kind == "tar" { file("tar") } else { format!("dist/k3s-root-xtables-{ARCH}.tar") };
        sha256(&workspace, &name)
    });
    let said = run.stdout.replace(&digests[0], "[sha256]").replace(&digests[1], "[sha256]");
    insta::assert_snapshot!(said, @r#"
    dist/k3s-root-[arch].intoto.jsonl: holds
      a root for [arch], compiler from source, made from 20 files, built by https://ci.invalid/k3sroot

      ok     signature  by key 06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9
      ok     tarball    dist/k3s-root-[arch].tar is its k3s-root-[arch].tar, sha256 [sha256]
      ok     tarball    dist/k3s-root-xtables-[arch].tar is its k3s-root-xtables-[arch].tar, sha256 [sha256]
      ok     checkout   recipes, patches and sources are this checkout's
    "#);
    // The envelope is of the statement, byte for byte, and a second signature is the same as the first.
    let signed: Value = json(&workspace, &envelope);
    assert_eq!(signed["payloadType"], "application/vnd.in-toto+json");
    let before = workspace.read(&envelope);
    let again = ["--arch", ARCH, "--sign-key", "key.pem", "--builder-id", "https://ci.invalid/k3sroot"];
    let printed = workspace.command("provenance", &again).output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), before);

    // Among envelopes of others it is found.
    let others = before.replace(r#""sig":""#, r#""sig":"AAAA"#);
    fs::write(workspace.path("several.jsonl"), format!("{others}{before}")).unwrap();
    let run = verify(&workspace, "several.jsonl", &["--key", "key.pub"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);

    // Who builds again without a key leaves no envelope of an earlier build.
    workspace.build_all();
    assert!(!workspace.path(&envelope).exists());
}

/// Signs a statement as `build` does: RFC 8032 over the envelope's pre-authentication encoding, by openssl.
fn sign(workspace: &Workspace, statement: &Value, to: &str) {
    use base64::Engine as _;
    let payload = statement.to_string();
    let kind = "application/vnd.in-toto+json";
    let encoded = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
    fs::write(workspace.path("encoded"), encoded).unwrap();
    let words = ["pkeyutl", "-sign", "-inkey", "key.pem", "-rawin", "-in", "encoded"];
    let signed =
        std::process::Command::new("openssl").args(words).current_dir(workspace.path("")).output().unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    let base64 = base64::engine::general_purpose::STANDARD;
    let envelope = serde_json::json!({
        "payloadType": kind,
        "payload": base64.encode(payload),
        "signatures": [{ "sig": base64.encode(signed.stdout) }],
    });
    fs::write(workspace.path(to), format!("{envelope}\n")).unwrap();
}

/// The right key does not make a statement right.
#[test]
fn what_the_right_key_signs_is_judged_all_the_same() {
    let workspace = signed();
    let right = json(&workspace, &file("provenance.json"));
    sign(&workspace, &right, "forged.jsonl");
    let run = verify(&workspace, "forged.jsonl", &["--key", "key.pub", "--checkout"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);

    let definition = "/predicate/buildDefinition";
    let without = |name: &str| {
        let mut statement = right.clone();
        let all = statement.pointer_mut(&format!("{definition}/resolvedDependencies")).unwrap();
        all.as_array_mut().unwrap().retain(|one| one["name"] != name);
        assert_ne!(statement, right);
        statement
    };
    let with = |pointer: &str, value: Value| {
        let mut statement = right.clone();
        *statement.pointer_mut(pointer).unwrap() = value;
        statement
    };
    let with_subject = |name: &str, digest: Value| {
        let mut statement = right.clone();
        let subject = serde_json::json!({ "name": name, "digest": digest });
        statement["subject"].as_array_mut().unwrap().push(subject);
        statement
    };
    let evil = serde_json::json!({ "sha256": "0".repeat(64) });
    let own = right["subject"][0]["digest"].clone();
    let tar = format!("k3s-root-{ARCH}.tar");
    // What the statement alone tells, and what the checkout does.
    let alone: [(&str, Value, &str); 9] = [
        (
            "build type",
            with(&format!("{definition}/buildType"), "urn:other:v1".into()),
            "its build type is `urn:other:v1`",
        ),
        (
            "arch",
            with(&format!("{definition}/externalParameters/arch"), "other".into()),
            "lack `sysroot/other.toml`",
        ),
        (
            "recipe dropped",
            without("recipes/hello.toml"),
            "lack `recipes/hello.toml`, which hello is made from",
        ),
        (
            "layout dropped",
            without("recipes/root.toml"),
            "lack `recipes/root.toml`, which every root is made from",
        ),
        (
            "package added",
            with(
                &format!("{definition}/externalParameters/packages"),
                serde_json::json!(["hello", "stranger"]),
            ),
            "lack `recipes/stranger.toml`, which stranger is made from",
        ),
        (
            "subject of any name",
            with_subject("evil.tar", evil.clone()),
            "its subject `evil.tar` is not named like a tarball for",
        ),
        ("subject twice", with_subject(&tar, evil.clone()), "is there twice"),
        (
            "subject under two names",
            with_subject(&format!("more-{ARCH}.tar"), own),
            "has the digest of another",
        ),
        (
            "subject without a digest",
            with_subject(&format!("more-{ARCH}.tar"), serde_json::json!({})),
            "has no sha256",
        ),
    ];
    for (what, statement, said) in alone {
        sign(&workspace, &statement, "forged.jsonl");
        let run = verify(&workspace, "forged.jsonl", &["--key", "key.pub"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{what}");
        assert!(run.stderr.contains(said), "{what}: {}", run.stderr);
    }
    let by_checkout: [(&str, Value, &str); 3] = [
        ("source dropped", without("libword: source 0"), "not as in this checkout: `libword: source 0`"),
        (
            "patch dropped",
            without("patches/libword/0001-say-that-it-is-patched.patch"),
            "not as in this checkout: `patches/libword/0001-say-that-it-is-patched.patch`",
        ),
        (
            "subject of a good name",
            with_subject(&format!("more-{ARCH}.tar"), evil),
            "its root has no tarball `more-",
        ),
    ];
    for (what, statement, said) in by_checkout {
        sign(&workspace, &statement, "forged.jsonl");
        let run = verify(&workspace, "forged.jsonl", &["--key", "key.pub", "--checkout"]);
        assert_eq!(run.code, Some(1), "{what}: {}", run.stdout);
        assert!(run.stdout.contains(said), "{what}: {}", run.stdout);
    }
}

#[test]
fn a_statement_that_does_not_hold_is_refused() {
    let workspace = signed();
    let (envelope, plain) = (file("intoto.jsonl"), file("provenance.json"));
    let text = workspace.read(&envelope);
    let forged = text.replacen("\"ewog", "\"ewoK", 1);
    assert_ne!(forged, text);
    fs::write(workspace.path("forged.jsonl"), forged).unwrap();
    fs::write(workspace.path("other.json"), "{\"hello\": 1}\n").unwrap();
    let other_kind = workspace.read(&plain).replace("slsa.dev/provenance/v1", "slsa.dev/provenance/v0.2");
    fs::write(workspace.path("old.json"), other_kind).unwrap();
    let mut stranger = json(&workspace, &plain);
    stranger["predicate"]["runDetails"]["builder"]["id"] =
        "a\u{1b}[2J\nok     signature  by a key that you trust".into();
    fs::write(workspace.path("stranger.json"), stranger.to_string()).unwrap();
    let cases: [(&str, &[&str], &str); 7] = [
        ("stranger.json", &[], "a text in it has characters that cannot be shown: a\\u{1b}[2J\\nok "),
        (&envelope, &["--key", "another.pub"], "no signature in it is by a given key"),
        (&envelope, &[], "give the public key of who signed it with `--key FILE`"),
        (&plain, &["--key", "key.pub"], "it is not signed"),
        ("forged.jsonl", &["--key", "key.pub"], "does not fit: the document or the signature was changed"),
        ("other.json", &[], "it is no in-toto statement, and no envelope with one"),
        ("old.json", &[], "its predicate type is `https://slsa.dev/provenance/v0.2`"),
    ];
    for (statement, more, said) in cases {
        let run = verify(&workspace, statement, more);
        assert_eq!(run.code, Some(1), "{statement} {more:?}: {}", run.stdout);
        assert!(run.stderr.contains(said), "{statement} {more:?}: {}", run.stderr);
        assert_eq!(run.stdout, "");
        let told = verify(&workspace, statement, &[more, &["--json"]].concat());
        let judged: Value = serde_json::from_str(&told.stdout).unwrap();
        assert_eq!((told.code, &judged["holds"]), (Some(1), &Value::Bool(false)));
        assert!(judged["error"].as_str().unwrap().contains(said), "{judged}");
    }
    let run = verify(&workspace, &envelope, &["--key", "key.pub", "--builder-id", "https://other.invalid"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("wrong  builder"), "{}", run.stdout);
    assert!(run.stdout.contains(", not by https://other.invalid\n"), "{}", run.stdout);
    let run = verify(&workspace, &envelope, &["--key", "key.pem"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
    assert!(run.stderr.contains("it is no ed25519 public key in PEM"), "{}", run.stderr);
    let run = workspace.build(&["--sign-key", "key.pub"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @r#"
    error: `key.pub` is no key that can be used here
      ╰─ it is no ed25519 private key in PEM (PKCS #8, not encrypted), as `openssl genpkey -algorithm ed25519` makes them
    "#);

    // Where no tarball is written there is nothing to sign, or to say of it.
    for more in [
        ["--sign-key", "key.pem"].as_slice(),
        &["--builder-id", "https://words.invalid/builder"],
        &["--contact", "Example Ltd"],
    ] {
        let words = workspace.build_words("2", &[&["--distfiles", "distfiles", "box"], more].concat());
        let run = workspace.run("build", &words);
        assert_eq!(run.code, Some(1));
        let expected = format!(
            "error: `{}` changes nothing: with packages named, only `--out DIR` writes files",
            more[0]
        );
        assert_eq!(run.error().trim_end(), expected);
    }

    // What cannot be looked at says nothing of the statement.
    fs::rename(workspace.path("sysroot"), workspace.path("elsewhere")).unwrap();
    let run = verify(&workspace, &plain, &["--checkout"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
    assert!(run.stderr.contains("sysroot"), "{}", run.stderr);
    fs::rename(workspace.path("elsewhere"), workspace.path("sysroot")).unwrap();

    // A recipe that is not as it was; then a tarball that is not.
    workspace.edit("recipes/hello.toml", "summary", "# Not as it was.\nsummary");
    let run = verify(&workspace, &plain, &["--checkout"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("not as in this checkout: `recipes/hello.toml`\n"), "{}", run.stdout);
    let mut bytes = fs::read(workspace.path(&file("tar"))).unwrap();
    bytes[0] ^= 1;
    fs::write(workspace.path(&file("tar")), bytes).unwrap();
    let run = verify(&workspace, &plain, &["--json"]);
    assert_eq!(run.code, Some(1));
    let said: Value = serde_json::from_str(&run.stdout).unwrap();
    let verdicts: Vec<&str> =
        said["checks"].as_array().unwrap().iter().map(|check| check["verdict"].as_str().unwrap()).collect();
    assert_eq!((said["holds"].as_bool(), verdicts), (Some(false), vec!["note", "wrong", "ok"]), "{said:#}");
}
