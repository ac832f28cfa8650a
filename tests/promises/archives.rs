//! Archives made of tricky entries: nothing is ever written outside, whatever order they come in.

use proptest::prelude::*;

use crate::targets;

/// Names of few parts, so that they meet: folders, links to them, files below links, and ways out.
fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => prop::sample::select(vec!["p", "d", "l", "m", "a.c"]),
        1 => prop::sample::select(vec!["..", ".", "", "witness", "é"]),
    ];
    let start = prop_oneof![8 => Just("p/"), 1 => Just(""), 1 => Just("/"), 1 => Just("./p/")];
    let end = prop_oneof![4 => Just(""), 1 => Just("/")];
    (start, prop::collection::vec(part, 1..4), end)
        .prop_map(|(start, parts, end)| format!("{start}{}{end}", parts.join("/")))
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![".", "d", "l", "m", "a.c", "../p", "d/..", "l/..", "l/../..", "./l/m"]),
        2 => prop::sample::select(vec!["..", "../..", "../../..", "d/../..", "../../../witness", "/etc", ""]),
    ]
    .prop_map(str::to_owned)
}

/// A line of `fuzz/src/archive.rs`.
fn entry() -> impl Strategy<Value = String> {
    let plain = (prop::sample::select(vec!["0", "5", "7"]), name(), "[a-z]{0,3}", "(644|755|6755)?")
        .prop_map(|(letter, name, contents, mode)| format!("{letter}{name}||{contents}|{mode}"));
    let link = (name(), target()).prop_map(|(name, target)| format!("2{name}|{target}"));
    let hard = (name(), name()).prop_map(|(name, target)| format!("1{name}|{target}"));
    let long = (prop::sample::select(vec!["path", "linkpath"]), name())
        .prop_map(|(key, name)| format!("xPax||{key}={name}"));
    let other = prop::sample::select(vec!["3", "4", "6", "S", "V"]).prop_map(|letter| format!("{letter}p/x"));
    prop_oneof![6 => plain, 5 => link, 2 => hard, 1 => long, 1 => other]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_written_outside(entries in prop::collection::vec(entry(), 1..8), how in any::<u8>()) {
        // Bit 0: the rest are lines.
        let input = [&[how | 1][..], entries.join("\n").as_bytes()].concat();
        targets::unpack(&input);
    }

    #[test]
    fn finished_tarballs_are_read_without_surprises(
        entries in prop::collection::vec(entry(), 1..8),
        how in 0..12_u8,
    ) {
        let lines = entries.join("\n").replace("p/", "./bin/");
        targets::tarball(&[&[how | 1][..], lines.as_bytes()].concat());
    }
}
