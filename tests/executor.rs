//! Holds the number that says how actions are carried out (`EXECUTOR`, which is in every digest) to the code that it
//! stands for: who changes that code raises the number, or says that no build can notice.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use base::digest::BlobDigest;
use model::plan::EXECUTOR;
use walkdir::WalkDir;

const HEAD: &str = "# The code that carries out actions, and the number that is in every digest for it. `make digests` writes this file.\n";

/// Files and folders with all that decides what a build is given, what it may do, and what is kept of what it leaves.
const CODE: [&str; 22] = [
    // The programs of the build machine, the order of the steps, configuration symbols, the folders.
    "execute/borrowed.rs",
    "execute/symbols.rs",
    "execute/work.rs",
    "execute/workdir.rs",
    // What sources become.
    "fetch/patch",
    "fetch/unpack",
    // What a command sees and may do, with namespaces and without.
    "sandbox/children.rs",
    "sandbox/fence.rs",
    "sandbox/group.rs",
    "sandbox/guest.rs",
    "sandbox/helper.rs",
    "sandbox/inside.rs",
    "sandbox/launch.rs",
    "sandbox/mounts.rs",
    "sandbox/root.rs",
    "sandbox/shims.rs",
    "sandbox/translate.rs",
    // What is kept, and how it is handed out again.
    "store/capture.rs",
    "store/listing.rs",
    "store/materialise.rs",
    "store/merge.rs",
    "store/rewrite.rs",
];

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file() -> PathBuf {
    project().join("tests/executor.txt")
}

/// A digest of each file's code, without lines of comment and its own tests.
fn code() -> BTreeMap<String, String> {
    let source = project().join("src");
    let entries = CODE.iter().flat_map(|name| WalkDir::new(source.join(name)).sort_by_file_name());
    let files = entries.map(|entry| entry.unwrap().into_path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let of_file = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        let code: Vec<&str> = lines.collect();
        let name = path.strip_prefix(&source).unwrap().display().to_string();
        (name, BlobDigest::of(code.join("\n").as_bytes()).short())
    };
    let is_test = |path: &PathBuf| path.ends_with("tests.rs");
    files.filter(|path| !is_test(path)).map(of_file).collect()
}

fn listing(executor: u32, code: &BTreeMap<String, String>) -> String {
    let mut text = format!("{HEAD}executor {executor}\n");
    for (name, digest) in code {
        writeln!(text, "{name} {digest}").unwrap();
    }
    text
}

/// The number and the code in a listing.
fn read(listing: &str) -> (u32, BTreeMap<String, String>) {
    let lines = listing.lines().filter(|line| !line.starts_with('#'));
    let mut words: BTreeMap<String, String> = lines
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    (words.remove("executor").unwrap().parse().unwrap(), words)
}

/// What differs, by name.
fn changed(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let names = before.keys().chain(now.keys().filter(|name| !before.contains_key(*name)));
    names.filter(|name| before.get(*name) != now.get(*name)).cloned().collect()
}

/// What the developer says: nothing, that the file is to be written anew, or besides that no build can notice.
#[expect(clippy::disallowed_methods, reason = "the environment says so")]
fn said() -> Option<String> {
    std::env::var("K3SROOT_UPDATE_DIGESTS").ok()
}

#[test]
fn code_that_carries_out_actions_does_not_change_behind_the_number() {
    let now = code();
    let (executor, before) = read(&fs::read_to_string(file()).unwrap());
    let changed = changed(&before, &now);
    let said = said();
    if said.is_some() && (executor != EXECUTOR || said.as_deref() == Some("same")) {
        fs::write(file(), listing(EXECUTOR, &now)).unwrap();
        return;
    }
    assert!(
        changed.is_empty() && executor == EXECUTOR,
        "tests/executor.txt has executor {executor} and other code; now it is executor {EXECUTOR}, and these changed:\n  {}\n\
         Where a build could notice, raise `EXECUTOR` in src/model/plan/executor.rs and run `make digests`.\n\
         Where none can (a message, a name, a shorter way to the same), `make digests EXECUTOR=same` says so.\n",
        changed.join("\n  "),
    );
}

#[test]
fn a_change_and_a_new_file_are_seen_and_a_comment_is_not() {
    let now = code();
    assert!(now.len() > 25, "{now:?}");
    assert_eq!(read(&listing(7, &now)), (7, now.clone()));
    let mut other = now.clone();
    let (name, _) = other.pop_first().unwrap();
    assert_eq!(changed(&now, &other).len(), 1, "{name} is gone");
    other.insert(name.clone(), "another".to_owned());
    assert_eq!(changed(&now, &other), [name]);
}
