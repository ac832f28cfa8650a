//! Every input that is kept in `fuzz/corpus` is run again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::targets;

type Target = fn(&[u8]);

/// The folders of the corpus, and who takes what is in them.
const TARGETS: [(&str, Target); 7] = [
    ("advisory", targets::advisory),
    ("elf", targets::elf),
    ("patch", targets::patch),
    ("recipe", targets::recipe),
    ("store", targets::store),
    ("tarball", targets::tarball),
    ("unpack", targets::unpack),
];

/// What is kept must stay small: git keeps it forever.
const MOST_BYTES: u64 = 100 << 10;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_input_that_is_kept_is_harmless() {
    for (name, target) in TARGETS {
        let inputs = files(&project().join("fuzz/corpus").join(name));
        assert!(!inputs.is_empty(), "{name}");
        for input in inputs {
            // Which one it was is above the panic that it causes.
            println!("{}", input.display());
            target(&fs::read(input).unwrap());
        }
    }
}

#[test]
fn every_target_has_a_folder_a_program_and_its_place_in_the_manifest() {
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    let stems = |folder: &str| -> Vec<String> {
        let paths = files(&project().join(folder));
        paths.iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(stems("fuzz/fuzz_targets"), names);
    assert_eq!(stems("fuzz/corpus"), names);
    let manifest = fs::read_to_string(project().join("fuzz/Cargo.toml")).unwrap();
    let makefile = fs::read_to_string(project().join("Makefile")).unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("path  = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
    assert!(
        makefile.contains(&format!("\nFUZZ_TARGETS ?= {}\n", names.join(" "))),
        "`make fuzz` runs all of {names:?}"
    );
}

#[test]
fn the_corpus_is_small() {
    let sizes = TARGETS.iter().flat_map(|(name, _)| files(&project().join("fuzz/corpus").join(name)));
    let total: u64 = sizes.map(|path| path.metadata().unwrap().len()).sum();
    assert!(total <= MOST_BYTES, "fuzz/corpus has {total} bytes: minimise it as CONTRIBUTING.md says");
}

#[test]
fn what_is_fuzzed_is_what_is_shipped() {
    let versions = |file: &str| -> BTreeMap<String, Vec<String>> {
        let lock: toml::Table = fs::read_to_string(project().join(file)).unwrap().parse().unwrap();
        let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for package in lock["package"].as_array().unwrap() {
            let word = |key: &str| package[key].as_str().unwrap().to_owned();
            versions.entry(word("name")).or_default().push(word("version"));
        }
        versions
    };
    let shipped = versions("Cargo.lock");
    for (name, fuzzed) in versions("fuzz/Cargo.lock") {
        if let Some(shipped) = shipped.get(&name) {
            let fits = fuzzed.iter().all(|version| shipped.contains(version));
            assert!(
                fits,
                "fuzz/Cargo.lock has {name} {fuzzed:?}, Cargo.lock has {shipped:?}: \
                 copy Cargo.lock to fuzz/ and run `cargo metadata --manifest-path fuzz/Cargo.toml`"
            );
        }
    }
}
