//! `tests/parity.toml` says of every patch that Buildroot, Alpine, Wolfi and Debian carry for the versions of ours whether
//! we have it, too. A package whose version is not the one that was compared fails here, so that a bump looks again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use base::name::PackageName;
use base::version::compare;
use model::recipe;
use root::pack::Layout;
use serde::Deserialize;

/// Who carries patches. Chimera stands for what musl's and Alpine's own people do elsewhere, `upstream` for a commit
/// after the release that nobody carries yet.
const CARRIERS: &[&str] = &["alpine", "buildroot", "chimera", "debian", "upstream", "wolfi"];

/// What every program of the root was built with or linked to without saying so.
const TOOLCHAIN: &[&str] = &["binutils", "gcc", "linux-headers", "musl"];

type Parity = BTreeMap<PackageName, Section>;

/// What was found of a package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    /// The version of ours that theirs were compared with.
    version: String,
    #[serde(default)]
    theirs: Vec<Theirs>,
    #[serde(default)]
    ours: Vec<Ours>,
}

/// Patches of others that do one thing, and our answer to them.
#[derive(Debug, Deserialize)]
#[serde(try_from = "RawTheirs")]
struct Theirs {
    from: Vec<String>,
    cves: Vec<String>,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    /// We have patches that do the same.
    Taken(Vec<String>),
    /// Upstream's release has it, since this one.
    Upstream(String),
    NotNeeded,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawTheirs {
    from: Vec<String>,
    what: String,
    #[serde(default)]
    cves: Vec<String>,
    taken: Option<Vec<String>>,
    upstream: Option<String>,
    not_needed: Option<String>,
}

impl TryFrom<RawTheirs> for Theirs {
    type Error = String;

    fn try_from(raw: RawTheirs) -> Result<Self, String> {
        let names = raw.from.join("`, `");
        if raw.from.is_empty() {
            return Err("`from` names no patch".into());
        }
        for from in &raw.from {
            let carrier =
                from.split_once(' ').filter(|(who, name)| CARRIERS.contains(who) && !name.is_empty());
            carrier.ok_or_else(|| {
                format!("`{from}` is not `<who> <patch>`, where <who> is one of {}", CARRIERS.join(", "))
            })?;
        }
        if raw.what.trim().is_empty() {
            return Err(format!("`what` does not say what `{names}` does"));
        }
        let answer = match (raw.taken, raw.upstream, raw.not_needed) {
            (Some(patches), None, None) if !patches.is_empty() => Answer::Taken(patches),
            (None, Some(version), None) if !version.trim().is_empty() => Answer::Upstream(version),
            (None, None, Some(reason)) if !reason.trim().is_empty() => Answer::NotNeeded,
            _ => {
                return Err(format!(
                    "`{names}` has not one answer: write one of `taken` (our patches), `upstream` (the first release \
                     that has it), `not-needed` (the reason)"
                ));
            }
        };
        Ok(Self { from: raw.from, cves: raw.cves, answer })
    }
}

/// A patch that none of the others has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ours {
    patch: String,
    because: String,
}

/// What the recipes say of a package.
#[derive(Debug, Default)]
struct Package {
    version: String,
    /// The patches that the recipe lists, by name.
    listed: BTreeMap<String, String>,
    /// The patches in its folder.
    files: BTreeSet<String>,
}

fn read(text: &str) -> Result<Parity, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

/// What is wrong with `parity`, line by line; `packages` are those that it must have.
fn complaints(parity: &Parity, packages: &BTreeMap<PackageName, Package>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, package) in packages {
        match parity.get(name) {
            None => found.push(format!(
                "{name}: no section. It is in the root, in the toolchain or patched: list what others patch in it"
            )),
            Some(section) => section_complaints(name, section, package, &mut found),
        }
    }
    let gone = parity.keys().filter(|name| !packages.contains_key(*name));
    found.extend(gone.map(|name| format!("{name}: remove the section, nothing of it is in the root")));
    found
}

fn section_complaints(name: &PackageName, section: &Section, package: &Package, found: &mut Vec<String>) {
    let mut complain = |what: String| found.push(format!("{name}: {what}"));
    if section.version != package.version {
        complain(format!(
            "the recipe has {}, compared was {}. Look at what the others carry for {} now, answer what is new, remove \
             what they dropped, then change `version`",
            package.version, section.version, package.version
        ));
    }
    let mut answered = BTreeSet::new();
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for entry in &section.theirs {
        for from in &entry.from {
            if !answered.insert(from) {
                complain(format!("`{from}` is answered twice"));
            }
        }
        match &entry.answer {
            Answer::Upstream(since) if compare(since, &section.version).is_gt() => {
                complain(format!("`{}`: upstream has it only since {since}", entry.from[0]));
            }
            Answer::Taken(patches) => {
                named.extend(patches.iter().map(String::as_str));
                let headers = patches.iter().filter_map(|patch| package.listed.get(patch));
                let headers: String = headers.map(|text| text.split("\n--- ").next().unwrap()).collect();
                for cve in entry.cves.iter().filter(|cve| !headers.contains(&format!("\"{cve}\""))) {
                    complain(format!("no header of {} names {cve}", patches.join(", ")));
                }
            }
            Answer::Upstream(_) | Answer::NotNeeded => {}
        }
    }
    for Ours { patch, because } in &section.ours {
        if because.trim().is_empty() {
            complain(format!("`{patch}`: `because` is empty"));
        }
        if !named.insert(patch) {
            complain(format!("`{patch}` is named as taken and as ours alone"));
        }
    }
    let missing = named.iter().filter(|patch| !package.listed.contains_key(**patch));
    missing.for_each(|patch| complain(format!("`{patch}` is no patch that the recipe lists")));
    let unnamed = package.files.iter().filter(|patch| !named.contains(patch.as_str()));
    unnamed.for_each(|patch| {
        complain(format!(
            "`{patch}` is not named: say which patch of others it is in `taken`, or put it into `ours`"
        ));
    });
}

/// The packages that must have a section: those of the layout with all that is linked into them, the toolchain, and
/// whatever else is patched. What has no source of others is left out.
fn packages(folder: &Path) -> BTreeMap<PackageName, Package> {
    let recipes = recipe::load(&folder.join("recipes")).unwrap();
    let layout = folder.join("recipes/root.toml");
    let layout = Layout::parse(&layout, &fs::read_to_string(&layout).unwrap()).unwrap();
    let folders = fs::read_dir(folder.join("patches")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: BTreeSet<PackageName> = layout.packages();
    names.extend(
        TOOLCHAIN.iter().map(|name| (*name).to_owned()).chain(folders).map(|name| name.parse().unwrap()),
    );
    let mut open: Vec<PackageName> = names.iter().cloned().collect();
    while let Some(name) = open.pop() {
        open.extend(recipes[&name].needs.link.iter().filter(|need| names.insert((*need).clone())).cloned());
    }
    let package = |name: PackageName| {
        let recipe = &recipes[&name];
        let foreign = |source: &&recipe::Source| matches!(source.origin, recipe::Origin::Archives(_));
        let _ = recipe.sources.iter().find(foreign)?;
        let patches = recipe.sources.iter().flat_map(|source| &source.patches);
        let listed = patches.map(|patch| (patch.name.clone(), patch.text.clone())).collect();
        let files = fs::read_dir(folder.join("patches").join(name.as_str())).into_iter().flatten();
        let files = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        Some((name, Package { version: recipe.version.to_string(), listed, files }))
    };
    names.into_iter().filter_map(package).collect()
}

#[test]
fn every_patch_of_others_is_answered() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(folder.join("tests/parity.toml")).unwrap();
    let parity = read(&text).unwrap_or_else(|error| panic!("tests/parity.toml: {error}"));
    let found = complaints(&parity, &packages(folder));
    assert!(found.is_empty(), "tests/parity.toml:\n  {}", found.join("\n  "));
}

// ---- that it can fail -----------------------------------------------------------------------------------------------

const PATCH: &str = "Does it\n\ncves = [\"CVE-2026-1\"]\n\n--- a/x.c\n+++ b/x.c\n";
const SECTION: &str = "version = '2'\n";

/// What is wrong with the section of `pigz` that `text` is, where the recipe has version 2 and two patches.
fn wrong(text: &str) -> Vec<String> {
    let patches = ["1.patch", "2.patch"];
    let package = Package {
        version: "2".into(),
        listed: patches.map(|name| (name.to_owned(), PATCH.to_owned())).into(),
        files: patches.map(str::to_owned).into(),
    };
    let parity = read(&format!("[pigz]\n{text}")).unwrap();
    complaints(&parity, &BTreeMap::from([("pigz".parse().unwrap(), package)]))
}

/// How `entry` is refused.
fn refused(entry: &str) -> String {
    read(&format!("[pigz]\nversion = '2'\ntheirs = [{{ {entry} }}]")).unwrap_err()
}

fn theirs(entry: &str) -> String {
    let rest = "{ from = ['debian a'], what = 'w', taken = ['1.patch'] }";
    format!("{SECTION}theirs = [{rest}, {{ {entry} }}]\nours = [{{ patch = '2.patch', because = 'so' }}]")
}

#[test]
fn what_is_answered_is_right() {
    let all =
        theirs("from = ['wolfi b', 'alpine c'], what = 'w', cves = ['CVE-2026-1'], taken = ['1.patch']");
    assert_eq!(wrong(&all), [""; 0]);
    assert_eq!(wrong(&theirs("from = ['debian b'], what = 'w', upstream = '1.9'")), [""; 0]);
    assert_eq!(wrong(&theirs("from = ['debian b'], what = 'w', not-needed = 'tests'")), [""; 0]);
}

#[test]
fn an_entry_has_one_answer_and_says_of_what() {
    let head = "from = ['debian b'], what = 'w'";
    for answers in [
        "",
        ", taken = []",
        ", upstream = ' '",
        ", not-needed = ''",
        ", upstream = '1', not-needed = 'tests'",
    ] {
        let refused = refused(&format!("{head}{answers}"));
        assert!(refused.contains("`debian b` has not one answer"), "{answers}: {refused}");
    }
    let answer = "not-needed = 'tests'";
    assert!(refused(&format!("from = ['debian b'], what = ' ', {answer}")).contains("`what` does not say"));
    assert!(refused(&format!("from = [], what = 'w', {answer}")).contains("`from` names no patch"));
    for from in ["fedora b", "debian", "debian "] {
        assert!(
            refused(&format!("from = ['{from}'], what = 'w', {answer}")).contains("is not `<who> <patch>`")
        );
    }
    assert!(refused(&format!("{head}, {answer}, because = 'b'")).contains("unknown field `because`"));
    assert!(read("[pigz]\nversion = '2'\nthiers = []").unwrap_err().contains("unknown field `thiers`"));
}

#[test]
fn another_version_asks_for_another_look() {
    let found = wrong(&theirs("from = ['debian b'], what = 'w', upstream = '1'").replace("'2'\n", "'1.9'\n"));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("pigz: the recipe has 2, compared was 1.9. Look at"), "{}", found[0]);
    let later = wrong(&theirs("from = ['debian b'], what = 'w', upstream = '2.1'"));
    assert_eq!(later, ["pigz: `debian b`: upstream has it only since 2.1"]);
}

#[test]
fn patches_that_are_taken_are_there() {
    let found = wrong(&theirs("from = ['debian b'], what = 'w', taken = ['3.patch']"));
    assert_eq!(found, ["pigz: `3.patch` is no patch that the recipe lists"]);
    let found = wrong(&theirs("from = ['debian b'], what = 'w', cves = ['CVE-2026-2'], taken = ['1.patch']"));
    assert_eq!(found, ["pigz: no header of 1.patch names CVE-2026-2"]);
    let found = wrong(&theirs("from = ['debian a'], what = 'w', not-needed = 'tests'"));
    assert_eq!(found, ["pigz: `debian a` is answered twice"]);
}

#[test]
fn every_patch_of_ours_is_named_once_and_with_a_reason() {
    let unnamed = "is not named: say which patch of others it is in `taken`, or put it into `ours`";
    assert_eq!(wrong(SECTION), ["1.patch", "2.patch"].map(|patch| format!("pigz: `{patch}` {unnamed}")));
    let ours = |one: &str| {
        let two = "{ patch = '2.patch', because = 'so' }";
        wrong(&format!("{SECTION}ours = [{{ patch = '{one}', because = ' ' }}, {two}]"))
    };
    assert_eq!(ours("1.patch"), ["pigz: `1.patch`: `because` is empty"]);
    let twice = "pigz: `2.patch` is named as taken and as ours alone";
    assert!(ours("2.patch").iter().any(|found| found == twice));
    let taken = theirs("from = ['debian b'], what = 'w', taken = ['2.patch']");
    assert_eq!(wrong(&taken), [twice]);
}

#[test]
fn every_package_of_the_root_has_a_section_and_no_other() {
    let parity = read("[m4]\nversion = '1'").unwrap();
    let needed = BTreeMap::from([("pigz".parse().unwrap(), Package::default())]);
    let found = complaints(&parity, &needed);
    assert_eq!(found[0].split('.').next(), Some("pigz: no section"));
    assert_eq!(found[1], "m4: remove the section, nothing of it is in the root");

    let needed = packages(Path::new(env!("CARGO_MANIFEST_DIR")));
    // A file of the root, what is linked into it over three others, the toolchain with what is linked into that.
    for name in ["busybox", "slirp4netns", "libffi", "gcc", "gmp", "musl"] {
        assert!(needed.contains_key(&name.parse::<PackageName>().unwrap()), "{name}");
    }
    for name in ["k3s-scripts", "meson", "autoconf"] {
        assert!(!needed.contains_key(&name.parse::<PackageName>().unwrap()), "{name}");
    }
}
