//! What the store reads back, in case that it is damaged: trees' listings, entries of the index, build times, and what
//! went into an outcome.

use std::fs;

use base::digest::{ActionDigest, ResolvedDigest, TreeDigest};
use base::name::Unit;
use model::plan::{Description, differences};
use store::{EntryError, Outcome, OutcomeKey, Store, Took, Tree, decode_outcome, encode_outcome, merge};

/// What is accepted is what the store itself would write.
pub fn store(data: &[u8]) {
    listing(data);
    entry(data);
    if data.starts_with(b"{") {
        durations(data);
    }
    if data.starts_with(b"k3sroot-description") {
        framed_description(data);
    }
    description(data);
}

fn listing(data: &[u8]) {
    let Ok(tree) = Tree::parse(data) else { return };
    assert_eq!(tree.to_bytes(), data);
    for path in tree.entries().keys() {
        assert!(path.split('/').all(|part| !["", ".", ".."].contains(&part)), "{path:?}");
    }
    assert_eq!(merge(&[("one", &tree), ("two", &tree)]).unwrap(), tree);
}

/// The data as it is, and as what stands behind a sound checksum.
fn entry(data: &[u8]) {
    assert!(decode_outcome("action-x", data).is_err(), "it was read under a name that no key has");
    let entry = signed(data);
    let Err(EntryError::Key { found: name }) = decode_outcome("", &entry) else { return };
    assert!(!name.contains(['/', '\n']), "{name:?}");
    let outcome = decode_outcome(&name, &entry).unwrap();
    let key = serde_json::from_slice::<Keyed>(data).unwrap().key;
    let again = encode_outcome(&key, &outcome);
    assert_eq!(decode_outcome(&name, &again).unwrap(), outcome);
    assert_eq!(encode_outcome(&key, &outcome), again);
}

#[derive(serde::Deserialize)]
struct Keyed {
    key: OutcomeKey,
}

/// The head of a real entry, with the right checksum of `body`, and `body`.
fn signed(body: &[u8]) -> Vec<u8> {
    let digest = ActionDigest::from_bytes([1; 32]);
    let outcome = Outcome {
        unit: "pigz@amd64".parse().unwrap(),
        tree: TreeDigest::from_bytes([2; 32]),
        action: digest,
        resolved: ResolvedDigest::from_bytes([3; 32]),
        archives: Vec::new(),
        seconds: 1.0,
        cpu_seconds: 1.0,
    };
    let real = encode_outcome(&OutcomeKey::Action { digest, machine: None }, &outcome);
    let line = real.iter().position(|byte| *byte == b'\n').unwrap();
    let checksum = base::digest::BlobDigest::of(body).to_string();
    [&real[..line - checksum.len()], checksum.as_bytes(), b"\n", body].concat()
}

/// Losing them is harmless, so anything will do; what is remembered afterwards is there.
fn durations(data: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("durations"), data).unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut expected = store.durations();
    let unit: Unit = "pigz@amd64".parse().unwrap();
    let took = Took { seconds: 1.5, cpu_seconds: 2.0 };
    store.remember_duration(&unit, took);
    expected.insert(unit.to_string(), took);
    assert_eq!(store.durations(), expected);
}

/// It is lost, or it is what would be written.
fn framed_description(data: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let unit: Unit = "pigz@amd64".parse().unwrap();
    let file = folder.path().join("descriptions/pigz@amd64");
    fs::write(&file, data).unwrap();
    match store.description(&unit, None).unwrap() {
        None => assert!(!file.exists(), "it was not set aside"),
        Some(described) => {
            store.remember_description(&unit, None, &described.text);
            assert_eq!(fs::read(&file).unwrap(), data);
        }
    }
}

/// What is read means the same when it is read again. Two are compared: what sets them apart can be shown, from either
/// side, and nothing but a digest sets nothing apart.
fn description(data: &[u8]) {
    if let Ok(one) = serde_json::from_slice::<Description>(data) {
        let again = serde_json::to_vec(&one).unwrap();
        assert_eq!(serde_json::from_slice::<Description>(&again).unwrap(), one);
        let other = Description { digest: ActionDigest::from_bytes([1; 32]), ..one.clone() };
        assert!(differences(&one, &other).is_empty());
    }
    if let Ok((old, new)) = serde_json::from_slice::<(Description, Description)>(data) {
        let there = differences(&old, &new);
        assert_eq!(there.len(), differences(&new, &old).len());
        serde_json::to_string(&there).unwrap();
    }
}
