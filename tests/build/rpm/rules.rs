//! What a distribution's own checks would say of what is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::super::workspace::{ARCH, Workspace, pack};
use super::{sha256, specs, written};

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The values of a tag in the head of a spec, with its number for sources.
fn values<'a>(spec: &'a str, tag: &str) -> Vec<&'a str> {
    let is_it =
        |name: &str| name.strip_prefix(tag).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()));
    let lines = spec.lines().take_while(|line| !line.starts_with("%description"));
    lines
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| is_it(name))
        .map(|(_, v)| v.trim())
        .collect()
}

/// The file of a source: what stands behind the last `/`.
fn file(source: &str) -> &str {
    source.rsplit('/').next().unwrap()
}

/// Holds the spec `name` in `folder`, and what lies beside it, against the rules of the Edge Microvisor Toolkit.
fn hold(folder: &Path, name: &str) -> String {
    let spec = fs::read_to_string(folder.join(name).join(format!("{name}.spec"))).unwrap();
    assert_eq!(values(&spec, "Name"), [name]);
    assert_eq!(values(&spec, "Vendor"), ["Intel Corporation"]);
    assert_eq!(values(&spec, "Distribution"), ["Edge Microvisor Toolkit"]);
    let release = values(&spec, "Release");
    let number = release[0].strip_suffix("%{?dist}").unwrap();
    assert!(release.len() == 1 && number.parse::<u32>().is_ok_and(|number| number > 0), "{release:?}");
    let licenses = spec.lines().filter_map(|line| line.strip_prefix("License:"));
    for license in licenses.clone() {
        spdx::Expression::parse(license.trim()).unwrap();
    }
    assert!(licenses.count() > 0);
    assert!(spec.contains("\n%prep\n%autosetup -p1"), "{spec}");
    let patches = spec.lines().any(|line| {
        line.trim_start()
            .strip_prefix("%patch")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    assert!(!patches, "{spec}");
    let (_, changelog) = spec.split_once("\n%changelog\n").unwrap();
    let expected = "* Wed Jan 01 2025 k3sroot - 0.1.0-1\n\
                    - Original version for Edge Microvisor Toolkit (license: MIT)\n- License verified\n";
    assert_eq!(changelog.replace(env!("CARGO_PKG_VERSION"), "0.1.0"), expected);

    // One signature for each source, of the bytes that lie there, and none for anything else.
    let beside = folder.join(name);
    let signatures = json(&beside.join(format!("{name}.signatures.json")));
    let signed: BTreeMap<String, String> = serde_json::from_value(signatures["Signatures"].clone()).unwrap();
    let sources = values(&spec, "Source");
    assert!(!sources.is_empty());
    let files: BTreeSet<&str> = sources.iter().map(|source| file(source)).collect();
    assert_eq!(files.len(), sources.len(), "each has a name of its own: {sources:?}");
    assert_eq!(signed.keys().map(String::as_str).collect::<BTreeSet<_>>(), files);
    for (file, digest) in &signed {
        assert_eq!(sha256(&beside.join(file)), *digest, "{file}");
    }
    spec
}

/// The registrations, which are in order: name, version and address.
fn registered(folder: &Path) -> Vec<[String; 3]> {
    let manifest = json(&folder.join("k3s-root/k3s-root.cgmanifest.json"));
    let all: Vec<[String; 3]> = manifest["Registrations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|registration| {
            assert_eq!(registration["component"]["type"], "other");
            let other = &registration["component"]["other"];
            ["name", "version", "downloadUrl"].map(|key| other[key].as_str().unwrap().to_owned())
        })
        .collect();
    assert!(all.is_sorted_by(|one, other| one < other), "{all:?}");
    all
}

#[test]
fn both_specs_keep_the_rules() {
    let workspace = Workspace::new();
    // Two sources of one file name, and an address that a spec would interpret.
    workspace.local_tree();
    let another = pack(&workspace.path("my-libword"), "other");
    fs::write(workspace.path("distfiles/other"), &another).unwrap();
    let digest = format!("{:x}", <sha2::Sha256 as sha2::Digest>::digest(&another));
    workspace.edit(
        "recipes/box.toml",
        "[needs]",
        &format!(
            "[[source]]\nurls = [\"https://words.invalid/a%20b/libword-1.2.tar.gz\"]\n\
             sha256 = \"{digest}\"\ninto = \"extra\"\n\n[needs]"
        ),
    );
    let folder = specs(&workspace, "emt");
    let spec = hold(&folder, "k3s-root");
    let sources = values(&spec, "Source");
    assert_eq!(
        sources,
        [
            "https://words.invalid/a%%20b/libword-1.2.tar.gz#/box-libword-1.2.tar.gz",
            "https://words.invalid/libword-1.2.tar.gz#/libword-libword-1.2.tar.gz",
        ]
    );
    let [one, other] = registered(&folder).try_into().unwrap();
    assert_eq!(one, ["box", "0.9", "https://words.invalid/a%20b/libword-1.2.tar.gz"]);
    assert_eq!(other, ["libword", "1.2", "https://words.invalid/libword-1.2.tar.gz"]);
    let required = values(&spec, "BuildRequires");
    for borrowed in ["k3sroot = %{version}", "gcc", "gcc-c++", "make", "perl(POSIX)", "python3", "glibc"] {
        assert!(required.contains(&borrowed), "{borrowed}: {required:?}");
    }
    assert!(!required.contains(&"glibc-common"), "that is Fedora's: {required:?}");

    super::tool::written_with_packed_crates(&workspace, "emt");
    let spec = hold(&folder, "k3sroot");
    assert!(values(&spec, "BuildRequires").contains(&"rust >= 1.85"));
    let provided = values(&spec, "Provides");
    for (name, there) in [("clap", true), ("blake3", true), ("insta", false), ("clap_derive", false)] {
        let found = provided.iter().any(|line| line.starts_with(&format!("bundled(crate({name})) = ")));
        assert_eq!(found, there, "{name}: {provided:?}");
    }
    for name in ["k3sroot", "k3s-root"] {
        let licenses = json(&folder.join(name).join(format!("{name}.licenses.json")));
        assert_eq!(licenses["licenses"]["Intel"]["specs"], serde_json::json!([name]));
    }
}

#[test]
fn golden_digests_are_held_where_there_are_any() {
    let workspace = Workspace::new();
    let golden = |more: &[&str]| {
        assert_eq!(written(&workspace, "emt", more).code, Some(0));
        workspace
            .read("SPECS/k3s-root/k3s-root.spec")
            .contains("verify --recipes %{k3sroot_recipes} --golden")
    };
    assert!(!golden(&[]));
    fs::create_dir_all(workspace.path("recipes/golden")).unwrap();
    fs::write(workspace.path(&format!("recipes/golden/{ARCH}.toml")), "").unwrap();
    assert!(golden(&[]));
    assert!(!golden(&["--toolchain", "host"]), "they are of a compiler from source");
}

#[test]
fn fedora_has_its_own_conventions() {
    let workspace = Workspace::new();
    let run = written(&workspace, "fedora", &["--toolchain", "host"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @r"
    SPECS/k3s-root/k3s-root.spec
    SPECS/k3s-root/libword-1.2.tar.gz
    ");
    let spec = workspace.read("SPECS/k3s-root/k3s-root.spec");
    for tag in ["Vendor", "Distribution"] {
        assert_eq!(values(&spec, tag), [""; 0]);
    }
    assert!(values(&spec, "BuildRequires").contains(&"glibc-common"));
    // What this machine's compiler adds to programs, and where they can be built.
    assert!(values(&spec, "License")[0].contains("GPL-3.0-or-later WITH GCC-exception-3.1"));
    assert!(values(&spec, "ExclusiveArch")[0].ends_with(" noarch"));
    assert_eq!(spec.lines().filter(|line| line.ends_with(" bundled(libgcc)")).count(), 2, "{spec}");
    assert!(
        spec.ends_with("- 0.1.0-1\n- Initial package\n".replace("0.1.0", env!("CARGO_PKG_VERSION")).as_str())
    );
}

#[test]
fn an_archive_that_cannot_be_had_is_listed_and_named() {
    let workspace = Workspace::new();
    fs::remove_file(workspace.path("distfiles/any-name")).unwrap();
    let run = written(&workspace, "emt", &[]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr, @r"
    libword 1.2: https://words.invalid/libword-1.2.tar.gz: not tried: `--offline`
    warning: no archive of libword 1.2 could be had
      https://words.invalid/libword-1.2.tar.gz
        not tried: `--offline`
    note: without `--homepage` the specs have no `URL`, and the packages themselves are not registered, only what is in them
    note: the changelogs say `License verified`: whoever takes the specs over says so
    error: these archives could not be had; put each where it belongs, or nobody can build from the spec that lists it
      sha256:[digest]  SPECS/k3s-root/libword-1.2.tar.gz
    ");
    let spec = workspace.read("SPECS/k3s-root/k3s-root.spec");
    assert_eq!(values(&spec, "Source"), ["https://words.invalid/libword-1.2.tar.gz"]);
    let signatures = json(&workspace.path("SPECS/k3s-root/k3s-root.signatures.json"));
    assert_eq!(signatures["Signatures"]["libword-1.2.tar.gz"], workspace.digest());

    // Without the archive there is no telling a digest that the recipe does not have: there is no signature, and it is said.
    let pinned = format!("sha256  = \"{}\"", workspace.digest());
    workspace.edit("recipes/libword.toml", &pinned, &format!("sha512 = \"{}\"", "0".repeat(128)));
    let run = written(&workspace, "emt", &["--quiet"]);
    assert_eq!(run.code, Some(1));
    let said = &run.stderr[run.stderr.find("warning: no signature").unwrap()..];
    insta::assert_snapshot!(said.replace(&"0".repeat(128), "[sha512]"), @r"
    warning: no signature of `libword-1.2.tar.gz`: the recipe of libword has its SHA-512 digest alone, and a list of signatures wants the SHA-256 of its bytes: where it can be had, or with `--distfiles FOLDER`, `k3sroot rpm` adds it
    error: these archives could not be had; put each where it belongs, or nobody can build from the spec that lists it
      sha512:[sha512]  SPECS/k3s-root/libword-1.2.tar.gz
    ");
    let spec = workspace.read("SPECS/k3s-root/k3s-root.spec");
    assert_eq!(values(&spec, "Source"), ["https://words.invalid/libword-1.2.tar.gz"]);
    let signatures = json(&workspace.path("SPECS/k3s-root/k3s-root.signatures.json"));
    assert_eq!(signatures["Signatures"], serde_json::json!({}));
}

#[test]
fn an_archive_of_a_distribution_is_registered_where_its_upstream_has_another() {
    let workspace = Workspace::new();
    let address = |first: &str| {
        let of_distribution = format!(
            "[[source.archive]]\nurls = [\"debian:libword/libword_1.2.orig.tar.gz\"]\nsha256 = \"{}\"\n",
            workspace.digest()
        );
        let text = fs::read_to_string(workspace.path("recipes/libword.toml")).unwrap();
        let (before, rest) = text.split_once("[[source]]\n").unwrap();
        let (_, after) = rest.split_once("[needs]").unwrap();
        let source = format!("patches = [\"0001-say-that-it-is-patched.patch\"]\n{first}\n{of_distribution}");
        fs::write(
            workspace.path("recipes/libword.toml"),
            format!("{before}[[source]]\n{source}\n[needs]{after}"),
        )
        .unwrap();
        let run = written(&workspace, "emt", &[]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let spec = workspace.read("SPECS/k3s-root/k3s-root.spec");
        assert_eq!(values(&spec, "Source"), ["libword_1.2.orig.tar.gz"]);
        let [[_, _, address]] = registered(&workspace.path("SPECS")).try_into().unwrap();
        address
    };
    let upstream = format!(
        "[[source.archive]]\nurls = [\"https://words.invalid/libword-1.2.tar.xz\"]\nsha256 = \"{}\"\n",
        "0".repeat(64)
    );
    assert_eq!(address(&upstream), "https://words.invalid/libword-1.2.tar.xz");
    assert_eq!(address(""), "https://words.invalid/libword/", "there is nothing but its home page");
}

#[test]
fn what_makes_no_package_is_refused() {
    let workspace = Workspace::new();
    workspace.local_tree();
    let refused = |more: &[&str]| {
        let run = workspace.run("rpm", &[&["--distribution", "emt", "--offline", "--quiet"], more].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
        run.stderr
    };
    let root = ["--only", "k3s-root", "--distfiles", "distfiles"];
    let local = refused(&[&root[..], &["--override", "libword=my-libword"]].concat());
    let several = refused(&[&root[..], &["--toolchain", "host", "--arch", "amd64,arm64"]].concat());
    insta::assert_snapshot!(local + &several, @r"
    error: `--override libword=my-libword`: a package is made of pinned sources, so that whoever builds it has the same; give the package a recipe with the archive of that tree
    error: with `--toolchain host` a machine builds the root for its own arch: give one arch, or `--toolchain source`
    ");

    for packager in ["Somebody\n%post", " ", "a\tb"] {
        let run = written(&workspace, "emt", &["--packager", packager]);
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains("this is no name in one line"), "{}", run.stderr);
    }

    let nowhere = refused(&[]);
    fs::write(workspace.path("Cargo.toml"), "[package]\n").unwrap();
    let without_cargo = refused(&["--only", "k3sroot"]);
    let folder = workspace.path("").display().to_string();
    let said = (nowhere + &without_cargo).replace(folder.trim_end_matches('/'), "[checkout]");
    insta::assert_snapshot!(said, @r"
    error: `[checkout]` has no Cargo.toml, so the tool cannot be packed from there: `--only k3s-root` leaves it out
    error: `cargo` is not installed here: `--only k3s-root` leaves out the tool, whose crates it packs
    ");

    fs::write(workspace.path("k3s.spec"), "Name: k3s\nSource3: k3s.tar\n").unwrap();
    let changed = refused(&[&root[..], &["--arch", ARCH, "--k3s-spec", "k3s.spec"]].concat());
    insta::assert_snapshot!(changed, @r"
    error: cannot change `k3s.spec`
      ╰─ no `Source` is a file called `k3s-root-[arch].tar`: this spec takes its root from elsewhere, or has been changed already
    ");
    assert!(!workspace.path("SPECS").exists(), "nothing is written");
}

/// A spec of K3s in the style of the distribution's.
const K3S: &str = "\
Name:          k3s
Version:       1.32.4
Release:       1%{?dist}
Source0:       https://words.invalid/k3s/v%{version}.tar.gz#/%{name}-v%{version}.tar.gz
Source3:       https://words.invalid/k3s-root/v0.14.1/k3s-root-@arch@.tar
Source4:       https://words.invalid/runc.tar.gz
BuildRequires: golang

%description
Kubernetes.

%prep
%setup -q
tar -xf %{SOURCE3} --no-same-owner
tar -xf %{SOURCE4} -C build
";

#[test]
fn the_spec_of_k3s_takes_the_root_from_the_package() {
    let workspace = Workspace::new();
    fs::create_dir_all(workspace.path("emt/SPECS/k3s")).unwrap();
    let spec = K3S.replace("@arch@", ARCH);
    fs::write(workspace.path("emt/SPECS/k3s/k3s.spec"), &spec).unwrap();
    let signatures = format!(
        "{{\n  \"Signatures\": {{\n    \"k3s.tar\": \"1\",\n    \"k3s-root-{ARCH}.tar\": \"2\"\n  }}\n}}\n"
    );
    fs::write(workspace.path("emt/SPECS/k3s/k3s.signatures.json"), &signatures).unwrap();
    let run = written(&workspace, "emt", &["--k3s-spec", "emt/SPECS/k3s/k3s.spec", "--out", "emt/SPECS"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let patch = workspace.read("emt/SPECS/k3s/k3s-root.patch").replace(ARCH, "[arch]");
    insta::assert_snapshot!(patch, @r#"
    --- a/SPECS/k3s/k3s.spec
    +++ b/SPECS/k3s/k3s.spec
    @@ -2,9 +2,9 @@
     Version:       1.32.4
     Release:       1%{?dist}
     Source0:       https://words.invalid/k3s/v%{version}.tar.gz#/%{name}-v%{version}.tar.gz
    -Source3:       https://words.invalid/k3s-root/v0.14.1/k3s-root-[arch].tar
     Source4:       https://words.invalid/runc.tar.gz
     BuildRequires: golang
    +BuildRequires: k3s-root

     %description
     Kubernetes.
    @@ -11,5 +11,5 @@

     %prep
     %setup -q
    -tar -xf %{SOURCE3} --no-same-owner
    +tar -xf %{_datadir}/k3s-root/k3s-root-[arch].tar --no-same-owner
     tar -xf %{SOURCE4} -C build
    --- a/SPECS/k3s/k3s.signatures.json
    +++ b/SPECS/k3s/k3s.signatures.json
    @@ -1,6 +1,5 @@
     {
       "Signatures": {
    -    "k3s.tar": "1",
    -    "k3s-root-[arch].tar": "2"
    +    "k3s.tar": "1"
       }
     }
    "#);
    assert_eq!(workspace.read("emt/SPECS/k3s/k3s.spec"), spec, "it is the packager's to apply");
}
