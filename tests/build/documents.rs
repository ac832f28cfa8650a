//! What is inside: the documents beside the tarballs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::workspace::{ARCH, USUAL, Workspace};

fn document(workspace: &Workspace, kind: &str) -> Value {
    serde_json::from_str(&workspace.read(&format!("dist/k3s-root-{ARCH}.{kind}.json"))).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("no {key} in {value:#}"))
}

fn named<'a>(values: &'a [Value], name: &str) -> &'a Value {
    values.iter().find(|value| value["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

/// The digests of the tarballs' regular files, by tarball and name.
fn packed(workspace: &Workspace) -> BTreeMap<(String, String), String> {
    let mut digests = BTreeMap::new();
    for tarball in workspace.dist_names().into_iter().filter(|name| !name.contains(".txt")) {
        let mut archive = tar::Archive::new(fs::File::open(workspace.path("dist").join(&tarball)).unwrap());
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            if entry.header().entry_type().is_file() {
                let mut contents = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut contents).unwrap();
                let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
                digests.insert((tarball.clone(), name), format!("{:x}", Sha256::digest(&contents)));
            }
        }
    }
    digests
}

pub(crate) fn with_cves() -> Workspace {
    let workspace = Workspace::new();
    let patch = "patches/libword/0001-say-that-it-is-patched.patch";
    let text = workspace.read(patch);
    fs::write(workspace.path(patch), format!("For CVE-2024-11111\n\n{text}")).unwrap();
    workspace.edit(
        "recipes/libword.toml",
        "[needs]",
        "[[cve]]\nid = \"CVE-2024-11111\"\nfixed-by = \"0001-say-that-it-is-patched.patch\"\n\
         reference = \"https://words.invalid/11111\"\n\n[needs]",
    );
    workspace
}

#[test]
fn every_file_and_package_is_in_both_documents() {
    let workspace = with_cves();
    workspace.build_all();
    let (spdx, cyclonedx) = (document(&workspace, "spdx"), document(&workspace, "cdx"));
    let packed = packed(&workspace);
    assert!(packed.len() > 3);

    let sha256 = |checksums: &Value, key: &str, kind: &str, value: &str| -> String {
        let of_kind = |one: &&Value| one[key] == kind;
        checksums.as_array().unwrap().iter().find(of_kind).unwrap()[value].as_str().unwrap().to_owned()
    };
    let files = list(&spdx, "files");
    let told: BTreeSet<(String, String)> = files
        .iter()
        .filter(|file| !file["fileName"].as_str().unwrap().contains("patches/"))
        .map(|file| {
            let digest = sha256(&file["checksums"], "algorithm", "SHA256", "checksumValue");
            (file["fileName"].as_str().unwrap().to_owned(), digest)
        })
        .collect();
    let real: BTreeSet<(String, String)> =
        packed.iter().map(|((_, name), digest)| (name.clone(), digest.clone())).collect();
    assert_eq!(told, real);
    let tarballs = list(&cyclonedx["metadata"]["component"], "components");
    let told: BTreeMap<(String, String), String> = tarballs
        .iter()
        .flat_map(|tarball| list(tarball, "components").iter().map(move |file| (tarball, file)))
        .map(|(tarball, file)| {
            let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
            ((name(tarball), name(file)), sha256(&file["hashes"], "alg", "SHA-256", "content"))
        })
        .collect();
    assert_eq!(told, packed);
    for tarball in tarballs {
        let name = tarball["name"].as_str().unwrap();
        let bytes = fs::read(workspace.path("dist").join(name)).unwrap();
        let digest = format!("{:x}", Sha256::digest(bytes));
        assert_eq!(sha256(&tarball["hashes"], "alg", "SHA-256", "content"), digest);
        let package = named(list(&spdx, "packages"), name);
        assert_eq!(sha256(&package["checksums"], "algorithm", "SHA256", "checksumValue"), digest);
    }

    // A library that is in a program, with the patch and what it takes away; a tool that is in none.
    let components = list(&cyclonedx, "components");
    let library = named(components, "libword");
    assert_eq!((&library["type"], &library["scope"]), (&"library".into(), &"required".into()));
    let patch = &list(&library["pedigree"], "patches")[0];
    assert_eq!(patch["resolves"][0]["id"], "CVE-2024-11111");
    assert_eq!(
        patch["diff"]["text"]["content"],
        workspace.read("patches/libword/0001-say-that-it-is-patched.patch")
    );
    assert_eq!(named(components, "codegen")["scope"], "excluded");
    let related = |from: &str, how: &str, to: &str| {
        list(&spdx, "relationships").iter().any(|relation| {
            relation["spdxElementId"] == from
                && relation["relationshipType"] == how
                && relation["relatedSpdxElement"] == to
        })
    };
    assert!(related("SPDXRef-Package-hello", "STATIC_LINK", "SPDXRef-Package-libword"));
    assert!(related("SPDXRef-Package-codegen", "BUILD_TOOL_OF", "SPDXRef-Tarball-0"));
    assert!(related("SPDXRef-Patch-libword-0", "PATCH_FOR", "SPDXRef-Package-libword"));
    assert!(!related("SPDXRef-Package-box", "STATIC_LINK", "SPDXRef-Package-libword"));
}

#[test]
fn a_program_comes_under_the_terms_of_all_that_is_in_it() {
    let workspace = with_cves();
    workspace.edit("recipes/libword.toml", "Apache-2.0", "MIT OR Zlib");
    workspace.build_all();
    let spdx = document(&workspace, "spdx");
    let terms = |name: &str| {
        let file = list(&spdx, "files").iter().find(|file| file["fileName"] == name).unwrap();
        file["licenseConcluded"].as_str().unwrap().to_owned()
    };
    assert_eq!(terms("./bin/hello"), "(MIT OR Zlib) AND Apache-2.0");
    assert_eq!(terms("./bin/box"), "Apache-2.0");
}

#[test]
fn documents_are_as_reproducible_as_the_tarballs() {
    let (one, other) = (with_cves(), Workspace::under(USUAL, "elsewhere"));
    for file in ["recipes/libword.toml", "patches/libword/0001-say-that-it-is-patched.patch"] {
        fs::copy(one.path(file), other.path(file)).unwrap();
    }
    one.build_all();
    other.build_all();
    assert_eq!(one.dist(), other.dist());
    for (format, kind) in [("spdx", "spdx"), ("cyclonedx", "cdx")] {
        let output = one.command("sbom", &["--arch", ARCH, "--format", format]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let file = format!("dist/k3s-root-{ARCH}.{kind}.json");
        assert!(output.stdout == fs::read(one.path(&file)).unwrap(), "{format}");
        assert_eq!(one.read(&file), other.read(&file), "{format}");
    }
    let empty = Workspace::new();
    let run = empty.run("plan", &["--arch", ARCH]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let run = empty.run("sbom", &["--arch", ARCH]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr, @"error: nothing of what was asked for is in the cache for [arch] as the recipes are now: `k3sroot build --arch [arch]` first, with the same options");
}

#[test]
fn what_was_left_out_is_no_part_of_anything() {
    let workspace = with_cves();
    fs::remove_file(workspace.path("distfiles/any-name")).unwrap();
    let run = workspace.build(&["--partial"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let cyclonedx = document(&workspace, "cdx");
    let names: BTreeSet<&str> =
        list(&cyclonedx, "components").iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains("box") && !names.contains("libword") && !names.contains("hello"), "{names:?}");
    let left_out = list(&cyclonedx["metadata"]["component"], "properties");
    assert!(left_out.iter().any(|property| property["value"] == "hello"), "{left_out:?}");
    let statement = workspace.read(&format!("dist/k3s-root-{ARCH}.provenance.json"));
    assert!(statement.contains("recipes/box.toml") && !statement.contains("libword"), "{statement}");
    let (path, tar) = (format!("dist/k3s-root-{ARCH}.provenance.json"), format!("dist/k3s-root-{ARCH}.tar"));
    let run = workspace.run("verify", &["--provenance", &path, "--checkout", &tar]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_local_tree_is_told_as_one() {
    let workspace = with_cves();
    workspace.local_tree();
    let run = workspace.build(&["--override", "libword=my-libword"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let cyclonedx = document(&workspace, "cdx");
    let library = named(list(&cyclonedx, "components"), "libword");
    assert!(library.get("pedigree").is_none(), "a local tree gets no patches");
    assert!(list(library, "properties").iter().any(|property| property["name"] == "k3sroot:source"));
    let references = list(library, "externalReferences");
    assert!(references.iter().all(|reference| reference["type"] == "website"), "{references:?}");
}

/// The version of a local tree, or that it is unknown, is the same in all that speaks of it; the recipe's is nowhere.
#[test]
fn a_local_tree_has_its_own_version() {
    let workspace = Workspace::new();
    let recipe = "version  = \"1.2\"";
    workspace.edit("recipes/libword.toml", recipe, "version  = \"6.14\"");
    let identity = "[identity]\ncpe = \"word:word\"\npurl = \"pkg:generic/word\"\n\n[license]";
    workspace.edit("recipes/libword.toml", "[license]", identity);
    workspace.local_tree();
    let stated = "AC_INIT([word],\n  [6.1])\n";
    for (text, over, version) in [
        (None, "libword=my-libword", None),
        (Some(stated), "libword=my-libword", Some("6.1")),
        (Some(stated), "libword=my-libword@6.2", Some("6.2")),
        (Some(stated), "libword=my-libword@unknown", None),
    ] {
        if let Some(text) = text {
            fs::write(workspace.path("my-libword/configure.ac"), text).unwrap();
        }
        let run = workspace.build(&["--override", over]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let shown = version.unwrap_or("unknown");
        assert!(run.stderr.contains(&format!("local trees: libword (version {shown})\n")), "{}", run.stderr);
        let after = version.map(|version| format!("@{version}")).unwrap_or_default();
        let purl = format!("pkg:generic/word{after}");
        let cpe = format!("cpe:2.3:a:word:word:{}:*:*:*:*:*:*:*", version.unwrap_or("*"));

        let cyclonedx = document(&workspace, "cdx");
        let library = named(list(&cyclonedx, "components"), "libword");
        assert_eq!(library.get("version").and_then(Value::as_str), version);
        assert_eq!((&library["purl"], &library["cpe"]), (&json!(purl), &json!(cpe)));
        let spdx = document(&workspace, "spdx");
        let library = named(list(&spdx, "packages"), "libword");
        assert_eq!(library["versionInfo"], version.unwrap_or("NOASSERTION"));
        assert_eq!(library["downloadLocation"], "NOASSERTION");
        let locators: Vec<&str> = list(library, "externalRefs")
            .iter()
            .map(|reference| reference["referenceLocator"].as_str().unwrap())
            .collect();
        assert_eq!(locators, [purl, cpe]);
        let statement: Value =
            serde_json::from_str(&workspace.read(&format!("dist/k3s-root-{ARCH}.provenance.json"))).unwrap();
        let dependencies = statement.pointer("/predicate/buildDefinition/resolvedDependencies").unwrap();
        let tree = named(dependencies.as_array().unwrap(), "libword: a local tree");
        assert_eq!(tree["annotations"]["version"], shown);
        let note = workspace.read(&format!("dist/k3s-root-{ARCH}.overrides.txt"));
        assert!(note.starts_with(&format!("libword {shown} ")), "{note}");
        let manifest = workspace.read(&format!("dist/k3s-root-{ARCH}.legal/manifest.csv"));
        assert!(manifest.contains(&format!("libword,{shown},")), "{manifest}");
        let dist = workspace.path("dist");
        for entry in walkdir::WalkDir::new(dist).into_iter().map(Result::unwrap) {
            let path = entry.path();
            let is_recipe = path.ends_with("recipes/libword.toml");
            if entry.file_type().is_file() && !is_recipe && path.extension().is_none_or(|end| end != "tar") {
                let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
                assert!(!text.contains("6.14"), "{}", path.display());
            }
        }
    }
}

#[test]
fn what_nobody_asked_for_is_not_said_to_be_missing() {
    let workspace = Workspace::new();
    workspace.build_all();
    let sbom = |package: &str| workspace.run("sbom", &["--arch", ARCH, "--format", "cdx", package]);
    let run = sbom("hello");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stderr, @"note: not asked for, so not in the root for [arch]: box, greet");
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    let names: Vec<&str> =
        list(&value, "components").iter().filter_map(|component| component["name"].as_str()).collect();
    assert!(names.contains(&"hello") && names.contains(&"libword") && !names.contains(&"box"), "{names:?}");
    // A library is in programs, and has nothing of its own there.
    let run = sbom("libword");
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @"error: nothing of what was asked for has files of its own in the root: name the package whose programs it is in, which `k3sroot graph` shows");
    let words = workspace.build_words("2", &["--out", "of-libword", "libword"]);
    let run = workspace.run("build", &words);
    assert_eq!((run.code, workspace.path("of-libword").exists()), (Some(0), false), "{}", run.stderr);
    // What lies there stays.
    let before = workspace.dist();
    let run = workspace.build(&["libword"]);
    assert_eq!(run.code, Some(0));
    assert!(run.stderr.contains("note: no tarballs: nothing of what was asked for"), "{}", run.stderr);
    assert!(workspace.dist() == before);
}
