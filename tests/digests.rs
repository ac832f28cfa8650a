//! The digests of the real plan, for all arches, as `tests/digests.txt` has them: the same on every machine, and changed
//! only together with what changes them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const HEAD: &str =
    "# Every unit with its version and the digest of its action. `make digests` writes this file.\n";

/// A unit of the plan.
struct Planned {
    unit: String,
    version: String,
    digest: String,
    /// The encoding that the digest is made with.
    encoding: String,
    /// The units that it needs.
    needs: Vec<String>,
}

/// The plan for `arch` with the compiler from source, as k3sroot prints it with an empty cache, in its order.
fn plan(arch: &str, env: &[(&str, &str)]) -> Vec<Planned> {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_k3sroot"))
        .args(["plan", "--json", "--toolchain", "source", "--arch", arch, "--recipes"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes"))
        .arg("--cache")
        .arg(folder.path().join("cache"))
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(env.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let actions: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let planned = |action: &Value| Planned {
        unit: text(&action["unit"]),
        version: text(&action["version"]),
        digest: text(&action["digest"]),
        encoding: text(&action["encoding"]),
        needs: ["tools", "sysroot"]
            .iter()
            .flat_map(|role| action[role].as_object().unwrap().keys().cloned())
            .collect(),
    };
    actions.iter().map(planned).collect()
}

/// The file as it should be: sorted, so that a unit's line stays where it is.
fn listing(plan: &[Planned]) -> String {
    let mut lines: Vec<String> = plan
        .iter()
        .map(|planned| format!("{} {} {}\n", planned.unit, planned.version, planned.digest))
        .collect();
    lines.sort();
    format!("{HEAD}encoding {}\n{}", plan[0].encoding, lines.concat())
}

/// Version and digest by unit, as a listing has them.
fn units(listing: &str) -> BTreeMap<&str, (&str, &str)> {
    let lines = listing.lines().filter(|line| line.contains('@'));
    let three = lines.filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, (words.next()?, words.next()?)))
    });
    three.collect()
}

/// What is not as `before` has it, unit by unit in the order of the plan, in which what is needed comes first.
fn changes(before: &str, plan: &[Planned]) -> String {
    let known = units(before);
    let changed = |unit: &str| {
        let planned = plan.iter().find(|planned| planned.unit == unit);
        planned.is_some_and(|planned| known.get(unit).map(|(_, digest)| *digest) != Some(&planned.digest))
    };
    let mut text = String::new();
    let encoding = format!("encoding {}\n", plan[0].encoding);
    if !before.contains(&encoding) {
        let _ = write!(text, "  every digest is made anew: {encoding}");
    }
    for Planned { unit, version, needs, .. } in plan.iter().filter(|planned| changed(&planned.unit)) {
        let what = match known.get(unit.as_str()) {
            None => format!("{unit} {version} is new"),
            Some((old, _)) if old == version => format!("{unit} changed"),
            Some((old, _)) => format!("{unit} changed, {old} -> {version}"),
        };
        let followed: Vec<&str> = needs.iter().map(String::as_str).filter(|need| changed(need)).collect();
        let why = match followed.as_slice() {
            [] => String::new(),
            [one] => format!("; it needs {one}"),
            [one, rest @ ..] => format!("; it needs {one} and {} more of these", rest.len()),
        };
        let _ = writeln!(text, "  {what}{why}");
    }
    for unit in known.keys().filter(|known| !plan.iter().any(|planned| planned.unit == **known)) {
        let _ = writeln!(text, "  {unit} is gone");
    }
    text
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/digests.txt")
}

/// Whether the file is to be written anew.
#[expect(clippy::disallowed_methods, reason = "the environment says so")]
fn update() -> bool {
    std::env::var_os("K3SROOT_UPDATE_DIGESTS").is_some()
}

#[test]
fn the_digests_are_those_in_the_file() {
    let plan = plan("all", &[]);
    let now = listing(&plan);
    if update() {
        fs::write(file(), &now).unwrap();
    }
    let before = fs::read_to_string(file()).unwrap_or_default();
    assert!(
        now == before,
        "tests/digests.txt has other digests:\n{}\n\
         If that is meant, `make digests` writes the file anew: commit it together with what changed them.\n\
         If not, CONTRIBUTING.md says how to find the cause: \"Read an unexpected digest change\".\n",
        changes(&before, &plan),
    );
}

#[test]
fn neither_the_caller_nor_the_other_arches_count() {
    let all = listing(&plan("all", &[]));
    let noise = [
        ("CFLAGS", "-O3"),
        ("CC", "clang"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("TZ", "Asia/Kathmandu"),
        ("HOME", "/nowhere"),
        ("SOURCE_DATE_EPOCH", "86400"),
    ];
    for arch in ["amd64", "arm", "arm64", "riscv64"] {
        let alone = listing(&plan(arch, &noise));
        let (all, alone) = (units(&all), units(&alone));
        assert!(alone.keys().any(|unit| unit.ends_with(&format!("@{arch}"))));
        for (unit, planned) in alone {
            assert_eq!(Some(&planned), all.get(unit), "{unit}, planned for {arch} alone");
        }
    }
}

#[test]
fn what_changed_is_told_with_what_it_needs() {
    let planned = |unit: &str, version: &str, digest: &str, needs: &[&str]| Planned {
        unit: unit.to_owned(),
        version: version.to_owned(),
        digest: digest.to_owned(),
        encoding: "1".to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
    };
    let mut before = listing(&[
        planned("a@build", "1", "aa", &[]),
        planned("b@arm", "1", "bb", &[]),
        planned("c@arm", "1", "cc", &[]),
        planned("d@arm", "1", "dd", &[]),
    ]);
    let plan = [
        planned("a@build", "2", "a2", &[]),
        planned("b@arm", "1", "bb", &[]),
        planned("c@arm", "1", "c2", &["a@build", "b@arm"]),
        planned("e@arm", "1", "ee", &["a@build", "c@arm"]),
    ];
    assert_eq!(
        changes(&before, &plan),
        "  a@build changed, 1 -> 2\n  \
           c@arm changed; it needs a@build\n  \
           e@arm 1 is new; it needs a@build and 1 more of these\n  \
           d@arm is gone\n"
    );
    before = before.replace("encoding 1", "encoding 0");
    assert!(
        changes(&before, &plan).starts_with("  every digest is made anew: encoding 1\n  a@build changed")
    );
}

/// Packages that no golden digest is known of, because their pinned sources were not reached where the files were written:
/// those themselves, and what needs them. Whoever builds them takes them out.
const WITHOUT_GOLDEN: [&str; 10] = [
    "conntrack-tools",
    "ethtool",
    "iproute2",
    "ipset",
    "iptables",
    "libmnl",
    "libnetfilter_conntrack",
    "libnfnetlink",
    "libnftnl",
    "nftables",
];

#[test]
fn every_other_package_of_every_arch_has_a_golden_digest() {
    for arch in ["amd64", "arm64", "arm", "riscv64"] {
        let planned: BTreeSet<String> = plan(arch, &[])
            .into_iter()
            .filter_map(|planned| Some(planned.unit.strip_suffix(&format!("@{arch}"))?.to_owned()))
            .filter(|package| !WITHOUT_GOLDEN.contains(&package.as_str()))
            .collect();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("recipes/golden/{arch}.toml"));
        let golden: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
        let golden: BTreeSet<String> = golden["packages"].as_table().unwrap().keys().cloned().collect();
        assert_eq!(golden, planned, "{arch}");
    }
}
