//! The table of what changes a digest: every field of an action, and whether each digest follows it.
//!
//! The rows of a type name all of its fields, so that one that is added does not compile until the table has it.

use super::super::action::{ENCODING, Encoding, Parts};
use super::super::*;
use super::example_plan;
use crate::recipe::{Archive, LocalFile, Patch, Source};
use base::digest::TreeDigest;
use base::digest::{Sha256, Sha512, SourceDigest};

/// Which digests a field changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    /// Both.
    Both,
    /// That of the action alone: once needs are built, what they turned out to be takes its place.
    ActionOnly,
    /// None.
    No,
}

use Counts::{ActionOnly, Both, No};

/// A value, and another one that differs in every field.
trait Sample {
    fn sample() -> Self;
    fn other() -> Self;
}

/// The rows of one struct: for each field the action in which it alone is another one. `$within` makes an action of the
/// struct.
macro_rules! rows {
    ($rows:ident, $type:ident, $within:expr, { $($field:ident: $counts:ident),* $(,)? }) => {
        let $type { $($field),* } = $type::other();
        $(
            let changed = $type { $field, ..$type::sample() };
            let name = concat!(stringify!($type), ".", stringify!($field)).to_owned();
            $rows.push((name, $within(changed), $counts));
        )*
    };
}

/// Every field of an action, the action in which it alone is another one, and what follows it.
fn table() -> Vec<(String, Parts, Counts)> {
    let mut rows: Vec<(String, Parts, Counts)> = Vec::new();
    rows!(rows, Parts, std::convert::identity, {
        unit: Both,
        version: Both,
        recipe: No,                     // where the file lies
        inputs: Both,
        license: No,                    // a text that has to be there, not an input
        compiler: Both,
        tools: Both,
        sysroot: ActionOnly,
        env: Both,
        phases: Both,
        keep: Both,
        installed_under: Both,
    });
    rows!(rows, Source, with_source, {
        origin: Both,
        into: Both,
        only: Both,
        patches: Both,
    });
    rows!(rows, Archive, with_archive, {
        urls: No,                       // they say where, not what; nor does their order
        digest: Both,
        nested: Both,
    });
    rows!(rows, LocalFile, with_local_file, {
        contents: Both,
        executable: Both,
    });
    rows!(rows, Patch, with_patch, {
        name: No,
        text: Both,
    });
    rows!(rows, Phase, with_phase, {
        name: Both,
        steps: Both,
    });
    for step in &Phase::sample().steps {
        for (name, changed) in changed_steps(step) {
            let steps = Phase::sample()
                .steps
                .into_iter()
                .map(|each| if each == *step { changed.clone() } else { each });
            let phase = Phase { steps: steps.collect(), ..Phase::sample() };
            rows.push((name.to_owned(), with_phase(phase), Both));
        }
    }
    let over =
        Input::Override(Override { path: "a".into(), tree: TreeDigest::from_bytes([1; 32]), version: None });
    rows.push(("Override for Source".to_owned(), Parts { inputs: vec![over], ..Parts::sample() }, Both));
    rows.extend(names().into_iter().map(|(name, changed)| (name.to_owned(), changed, Both)));
    rows
}

/// What stands before a value in a map, each changed alone, and the kind of a digest.
fn names() -> Vec<(&'static str, Parts)> {
    let sample = Parts::sample();
    let [source, _] = Parts::sample().inputs.try_into().unwrap();
    let renamed = Origin::Local([("other.c".to_owned(), LocalFile::sample())].into());
    let renamed = Source { origin: renamed, into: None, only: Vec::new(), patches: Vec::new() };
    let tool = [("m5@build".parse().unwrap(), ActionDigest::from_bytes([1; 32]))];
    let long = Archive { digest: SourceDigest::Sha512(Sha512::of(b"a")), ..Archive::sample() };
    vec![
        ("a local file's path", Parts { inputs: vec![source, Input::Source(renamed)], ..Parts::sample() }),
        ("a variable's name", Parts { env: [("CPPFLAGS".to_owned(), "-Os -g".to_owned())].into(), ..sample }),
        ("a tool's name", Parts { tools: tool.into(), ..Parts::sample() }),
        ("an archive's kind of digest", with_archive(long)),
    ]
}

/// Every field of a step.
fn changed_steps(step: &Step) -> Vec<(&'static str, Step)> {
    let symbols = |symbols: &BTreeMap<String, String>| {
        symbols.keys().map(|name| (name.clone(), "other".to_owned())).collect::<BTreeMap<_, _>>()
    };
    let other_names = |symbols: &BTreeMap<String, String>| {
        symbols.iter().map(|(name, value)| (format!("{name}_TOO"), value.clone())).collect::<BTreeMap<_, _>>()
    };
    let other = |text: &str| format!("{text}/other");
    match step.clone() {
        Step::Run { argv, cwd } => vec![
            ("Run.argv", Step::Run { argv: vec![argv.join(" ")], cwd: cwd.clone() }),
            ("Run.cwd", Step::Run { argv, cwd: other(&cwd) }),
        ],
        Step::Write { path, contents } => vec![
            ("Write.path", Step::Write { path: other(&path), contents: contents.clone() }),
            ("Write.contents", Step::Write { contents: other(&contents), path }),
        ],
        Step::SetSymbols { path, symbols: set } => vec![
            ("SetSymbols.path", Step::SetSymbols { path: other(&path), symbols: set.clone() }),
            ("SetSymbols.symbols", Step::SetSymbols { path: path.clone(), symbols: symbols(&set) }),
            ("a symbol's name", Step::SetSymbols { path: path.clone(), symbols: other_names(&set) }),
            ("SetSymbols for RequireSymbols", Step::RequireSymbols { path, symbols: set }),
        ],
        Step::RequireSymbols { path, symbols: set } => vec![
            ("RequireSymbols.path", Step::RequireSymbols { path: other(&path), symbols: set.clone() }),
            ("RequireSymbols.symbols", Step::RequireSymbols { path, symbols: symbols(&set) }),
        ],
    }
}

fn with_source(source: Source) -> Parts {
    let inputs = Parts::sample().inputs.into_iter().skip(1);
    Parts { inputs: std::iter::once(Input::Source(source)).chain(inputs).collect(), ..Parts::sample() }
}

fn with_archive(archive: Archive) -> Parts {
    with_source(Source { origin: Origin::Archives(vec![archive]), ..Source::sample() })
}

fn with_patch(patch: Patch) -> Parts {
    with_source(Source { patches: vec![patch], ..Source::sample() })
}

fn with_phase(phase: Phase) -> Parts {
    Parts { phases: vec![phase], ..Parts::sample() }
}

fn with_local_file(file: LocalFile) -> Parts {
    let [first, _] = Parts::sample().inputs.try_into().unwrap();
    Parts { inputs: vec![first, local(file)], ..Parts::sample() }
}

fn local(file: LocalFile) -> Input {
    let origin = Origin::Local([("main.c".to_owned(), file)].into());
    Input::Source(Source { origin, into: None, only: Vec::new(), patches: Vec::new() })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn needs(byte: u8) -> BTreeMap<Unit, ActionDigest> {
    [("m4@build".parse().unwrap(), ActionDigest::from_bytes([byte; 32]))].into()
}

impl Sample for Parts {
    fn sample() -> Self {
        Self {
            unit: "libmnl@amd64".parse().unwrap(),
            version: "1".parse().unwrap(),
            recipe: "recipes/libmnl.toml".into(),
            inputs: vec![Input::Source(Source::sample()), local(LocalFile::sample())],
            license: BTreeMap::new(),
            compiler: None,
            tools: needs(1),
            sysroot: needs(1),
            env: [("CFLAGS".to_owned(), "-Os -g".to_owned())].into(),
            phases: vec![Phase::sample()],
            keep: Keep::AllBut(words(&["doc/**"])),
            installed_under: "usr",
        }
    }

    fn other() -> Self {
        Self {
            unit: "libmnl@arm64".parse().unwrap(),
            version: "2".parse().unwrap(),
            recipe: "elsewhere/libmnl.toml".into(),
            inputs: vec![Input::Source(Source::sample())],
            license: [("COPYING".to_owned(), Sha256::of(b""))].into(),
            compiler: Some(CompilerDigest::from_bytes([1; 32])),
            tools: needs(2),
            sysroot: needs(2),
            env: [("CFLAGS".to_owned(), "-O2 -g".to_owned())].into(),
            phases: Vec::new(),
            keep: Keep::Only(words(&["doc/**"])),
            installed_under: "",
        }
    }
}

impl Sample for Source {
    fn sample() -> Self {
        Self {
            origin: Origin::Archives(vec![Archive::sample()]),
            into: None,
            only: words(&["src/**"]),
            patches: vec![Patch::sample()],
        }
    }

    fn other() -> Self {
        Self {
            origin: Origin::Local(BTreeMap::new()),
            into: Some("more".to_owned()),
            only: Vec::new(),
            patches: vec![Patch::sample(), Patch::other()],
        }
    }
}

impl Sample for Archive {
    fn sample() -> Self {
        Self {
            urls: words(&["https://one.invalid", "https://two.invalid"]),
            digest: SourceDigest::Sha256(Sha256::of(b"a")),
            nested: None,
        }
    }

    fn other() -> Self {
        Self {
            urls: words(&["https://two.invalid", "https://one.invalid"]),
            digest: SourceDigest::Sha256(Sha256::of(b"b")),
            nested: Some("*.tar".to_owned()),
        }
    }
}

impl Sample for LocalFile {
    fn sample() -> Self {
        Self { contents: b"int x;".to_vec(), executable: false }
    }

    fn other() -> Self {
        Self { contents: b"int y;".to_vec(), executable: true }
    }
}

impl Sample for Patch {
    fn sample() -> Self {
        Self { name: "0001-a.patch".to_owned(), text: "--- a".to_owned() }
    }

    fn other() -> Self {
        Self { name: "0002-b.patch".to_owned(), text: "--- b".to_owned() }
    }
}

impl Sample for Phase {
    fn sample() -> Self {
        let symbols = || [("FAST".to_owned(), "y".to_owned())].into();
        let path = || "/build/.config".to_owned();
        Self {
            name: "build",
            steps: vec![
                Step::Run { argv: words(&["make", "all"]), cwd: "/build".to_owned() },
                Step::Write { path: "/build/x".to_owned(), contents: "x y".to_owned() },
                Step::SetSymbols { path: path(), symbols: symbols() },
                Step::RequireSymbols { path: path(), symbols: symbols() },
            ],
        }
    }

    fn other() -> Self {
        Self { name: "install", steps: Vec::new() }
    }
}

/// The resolved digest, with the same sysroot whatever the needs are made from and the first archive of each source.
fn resolved(parts: &Parts, encoding: Encoding) -> base::digest::ResolvedDigest {
    let trees = parts.sysroot.keys().map(|unit| (unit.clone(), TreeDigest::from_bytes([9; 32]))).collect();
    let archives: Vec<&Archive> = parts.archives().filter_map(<[Archive]>::first).collect();
    parts.resolve(encoding, &trees, &archives).unwrap()
}

fn describe(parts: &Parts) -> Description {
    let listing = |tree: &TreeDigest| Ok([("word.c".to_owned(), format!("file {tree}"))].into());
    let described: Result<_, std::convert::Infallible> = Action::new(parts.clone()).describe(listing);
    described.unwrap()
}

#[test]
fn every_field_counts_as_the_table_says() {
    let sample = Parts::sample();
    for (field, changed, counts) in table() {
        let follows = (
            changed.digest(ENCODING) != sample.digest(ENCODING),
            resolved(&changed, ENCODING) != resolved(&sample, ENCODING),
        );
        let expected = match counts {
            Both => (true, true),
            ActionOnly => (true, false),
            No => (false, false),
        };
        assert_eq!(follows, expected, "{field}: (action digest changed, resolved digest changed)");
    }
}

#[test]
fn the_order_of_what_is_done_counts() {
    let patches = || vec![Patch::sample(), Patch::other()];
    let phases = || vec![Phase::sample(), Phase { name: "install", ..Phase::sample() }];
    let archives = || vec![Archive::sample(), Archive::other()];
    let reversed = |phase: Phase| Phase { steps: phase.steps.into_iter().rev().collect(), ..phase };
    let of = |patches, archives| {
        with_source(Source { patches, origin: Origin::Archives(archives), ..Source::sample() })
    };
    let backwards = |mut parts: Parts| {
        parts.inputs.reverse();
        parts
    };
    for (what, one, other) in [
        ("inputs", Parts::sample(), backwards(Parts::sample())),
        ("patches", of(patches(), archives()), of(patches().into_iter().rev().collect(), archives())),
        ("archives", of(patches(), archives()), of(patches(), archives().into_iter().rev().collect())),
        ("steps", with_phase(Phase::sample()), with_phase(reversed(Phase::sample()))),
        (
            "phases",
            Parts { phases: phases(), ..Parts::sample() },
            Parts { phases: phases().into_iter().rev().collect(), ..Parts::sample() },
        ),
    ] {
        assert_ne!(one.digest(ENCODING), other.digest(ENCODING), "the order of {what}");
    }
}

#[test]
fn no_two_rows_have_one_digest() {
    let mut digests: BTreeMap<ActionDigest, String> = BTreeMap::new();
    for (field, changed, _) in table().into_iter().filter(|(_, _, counts)| *counts != No) {
        if let Some(other) = digests.insert(changed.digest(ENCODING), field.clone()) {
            panic!("{field} and {other}");
        }
    }
}

#[test]
fn an_archive_that_would_do_too_counts_until_one_is_used() {
    let with = |archives: &[Archive]| {
        with_source(Source { origin: Origin::Archives(archives.to_vec()), ..Source::sample() })
    };
    let (one, two) = (with(&[Archive::sample()]), with(&[Archive::sample(), Archive::other()]));
    assert_ne!(one.digest(ENCODING), two.digest(ENCODING));
    assert_eq!(resolved(&one, ENCODING), resolved(&two, ENCODING));
}

#[test]
fn another_encoding_changes_every_digest_at_once() {
    let plan = example_plan();
    let others = [
        Encoding { form: ENCODING.form + 1, ..ENCODING },
        Encoding { executor: ENCODING.executor + 1, ..ENCODING },
    ];
    let parts = plan.actions().iter().map(Action::parts).cloned().chain(table().into_iter().map(|row| row.1));
    for (parts, other) in parts.flat_map(|parts| others.map(|other| (parts.clone(), other))) {
        assert_ne!(parts.digest(ENCODING), parts.digest(other), "{}", parts.unit);
        assert_ne!(resolved(&parts, ENCODING), resolved(&parts, other), "{}", parts.unit);
    }
}

#[test]
fn whatever_counts_is_seen_in_the_description() {
    let sample = describe(&Parts::sample());
    for (field, changed, counts) in table() {
        let found = differences(&sample, &describe(&changed));
        assert_eq!(!found.is_empty(), counts != No, "{field}: {found:?}");
    }
}

#[test]
fn descriptions_read_back_as_written() {
    for (field, parts, _) in table() {
        let description = describe(&parts);
        let text = serde_json::to_vec(&description).unwrap();
        assert_eq!(serde_json::from_slice::<Description>(&text).unwrap(), description, "{field}");
    }
}

#[test]
fn the_two_digests_of_an_action_are_never_the_same() {
    let local = [("a.c".to_owned(), LocalFile::sample())].into();
    let source = Source { origin: Origin::Local(local), into: None, only: Vec::new(), patches: Vec::new() };
    let inputs = vec![Input::Source(source)];
    let alone = Parts { inputs, tools: BTreeMap::new(), sysroot: BTreeMap::new(), ..Parts::sample() };
    let resolved = alone.resolve(ENCODING, &BTreeMap::new(), &[]).unwrap();
    assert_ne!(alone.digest(ENCODING).as_bytes(), resolved.as_bytes());
}

#[test]
fn a_need_or_an_archive_that_nobody_knows_is_no_digest() {
    let error = |sysroot: &BTreeMap<_, _>, archives: &[&Archive]| {
        Parts::sample().resolve(ENCODING, sysroot, archives).unwrap_err().to_string()
    };
    let archives = Parts::sample().archives().map(|archives| archives[0].clone()).collect::<Vec<_>>();
    let archives: Vec<&Archive> = archives.iter().collect();
    assert!(error(&BTreeMap::new(), &archives).contains("of which nobody says what it turned out to be"));
    assert!(error(&BTreeMap::new(), &[]).contains("1 sources from archives, and 0 archives are given"));
}
