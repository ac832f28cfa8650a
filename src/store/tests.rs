//! The store under threat: damage, many at once, and death in the middle.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use super::blob::BlobName;
use super::outcome::tests::{key, outcome};
use super::{Item, Placement, Store, StoreError};
use base::digest::{BlobDigest, TreeDigest};

fn fill(dir: &Path, files: usize, seed: usize) {
    for index in 0..files {
        let path = dir.join(format!("d{}/f{index}", index % 7));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{seed} {index}").repeat(1 + index % 400)).unwrap();
    }
}

fn capture(store: &Store, files: usize, seed: usize) -> TreeDigest {
    let out = store.temp_dir("out").unwrap();
    fill(out.path(), files, seed);
    store.capture_all(out.path()).unwrap()
}

/// Changes a file of the store in a way that its mode does not allow; the time does not give it away.
fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let meta = fs::metadata(path).unwrap();
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(meta.modified().unwrap()).unwrap();
    file.set_permissions(meta.permissions()).unwrap();
}

const FLIP: fn(&mut Vec<u8>) = |bytes| bytes[0] ^= 1;
const CUT: fn(&mut Vec<u8>) = |bytes| bytes.truncate(bytes.len() / 2);
const EMPTY: fn(&mut Vec<u8>) = Vec::clear;

fn blob_path(store: &Store, contents: &[u8]) -> PathBuf {
    store.path(BlobName { digest: BlobDigest::of(contents), executable: false }.relative())
}

/// A store with one outcome of one file, `contents`, under key 1, and nothing remembered about it.
fn with_outcome(folder: &Path) -> (Store, TreeDigest) {
    let store = Store::open(folder).unwrap();
    let out = store.temp_dir("out").unwrap();
    fs::write(out.path().join("file"), "contents").unwrap();
    let tree = store.capture_all(out.path()).unwrap();
    store.record(&key(1), &outcome(tree)).unwrap();
    drop(out);
    drop(store);
    (Store::open(folder).unwrap(), tree)
}

#[test]
fn a_damaged_blob_is_noticed_set_aside_and_replaced() {
    for how in [FLIP, CUT, EMPTY] {
        let folder = tempfile::tempdir().unwrap();
        let (store, tree) = with_outcome(folder.path());
        let path = blob_path(&store, b"contents");
        change(&path, how);
        let error = store.materialise(&[("a".into(), tree)], &folder.path().join("d"), Placement::Link);
        let Err(StoreError::Damaged { item, set_aside }) = error else { panic!("{error:?}") };
        assert_eq!(item, Item::Blob(BlobDigest::of(b"contents")));
        assert!(set_aside.is_file() && !path.exists());
        assert_eq!(store.set_aside_entries(), [set_aside]);

        assert_eq!(store.lookup(&key(1)).unwrap(), None, "an outcome without its blob is none");
        let out = store.temp_dir("out").unwrap();
        fs::write(out.path().join("file"), "contents").unwrap();
        assert_eq!(store.capture_all(out.path()).unwrap(), tree);
        store.record(&key(1), &outcome(tree)).unwrap();
        assert!(store.lookup(&key(1)).unwrap().is_some());
        store.materialise(&[("a".into(), tree)], &folder.path().join("e"), Placement::Link).unwrap();
    }
}

#[test]
fn reading_a_damaged_blob_is_an_error_and_capturing_over_one_repairs_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = with_outcome(folder.path());
    let digest = BlobDigest::of(b"contents");
    change(&blob_path(&store, b"contents"), FLIP);
    let error = store.read_blob(&digest).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("run the same command again"), "{error}");

    let (store, tree) = with_outcome(folder.path());
    change(&blob_path(&store, b"contents"), CUT);
    let out = store.temp_dir("out").unwrap();
    fs::write(out.path().join("file"), "contents").unwrap();
    assert_eq!(store.capture_all(out.path()).unwrap(), tree);
    assert_eq!(store.read_blob(&digest).unwrap(), b"contents");
}

#[test]
fn a_write_through_a_hard_link_is_noticed_although_the_blob_was_verified_before() {
    let folder = tempfile::tempdir().unwrap();
    let (store, tree) = with_outcome(folder.path());
    let trees = [("a".to_owned(), tree)];
    store.materialise(&trees, &folder.path().join("d"), Placement::Link).unwrap();
    let linked = folder.path().join("d/file");
    fs::set_permissions(&linked, Permissions::from_mode(0o644)).unwrap();
    // A new mode alone does no harm and is put right.
    store.materialise(&trees, &folder.path().join("e"), Placement::Link).unwrap();
    assert_eq!(fs::metadata(&linked).unwrap().permissions().mode() & 0o777, 0o444);
    fs::set_permissions(&linked, Permissions::from_mode(0o644)).unwrap();
    fs::write(&linked, "CONTENTS").unwrap();
    fs::set_permissions(&linked, Permissions::from_mode(0o444)).unwrap();
    let error = store.materialise(&trees, &folder.path().join("f"), Placement::Link).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(store.lookup(&key(1)).unwrap(), None);
}

#[test]
fn a_damaged_listing_is_noticed_and_set_aside() {
    for how in [FLIP, CUT, EMPTY] {
        let folder = tempfile::tempdir().unwrap();
        let (store, tree) = with_outcome(folder.path());
        let path = store.tree_path(&tree);
        change(&path, how);
        let error = store.tree(&tree).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { item: Item::Tree(_), .. }), "{error}");
        let error = store.tree(&tree).unwrap_err();
        assert!(matches!(error, StoreError::Missing { item: Item::Tree(_) }), "{error}");
        assert_eq!(store.lookup(&key(1)).unwrap(), None);
        assert_eq!(store.set_aside_entries().len(), 2);
        assert!(matches!(store.record(&key(1), &outcome(tree)), Err(StoreError::Missing { .. })));
    }
}

#[test]
fn a_damaged_index_entry_is_none_and_set_aside() {
    for how in [FLIP, CUT, EMPTY] {
        let folder = tempfile::tempdir().unwrap();
        let (store, tree) = with_outcome(folder.path());
        let path = store.path("actions").join(key(1).file_name());
        change(&path, how);
        assert_eq!(store.lookup(&key(1)).unwrap(), None);
        assert!(!path.exists() && store.set_aside_entries()[0].is_file());
        store.record(&key(1), &outcome(tree)).unwrap();
        assert_eq!(store.lookup(&key(1)).unwrap(), Some(outcome(tree)));
        assert_eq!(store.lookup(&key(2)).unwrap(), None);
    }
}

#[test]
fn folders_that_are_no_store_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), "").unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(&error, StoreError::NotAStore { found, .. } if found == "letter.txt"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("distfiles")).unwrap();
    drop(Store::open(folder.path()).unwrap());
    fs::write(folder.path().join("version"), "k3sroot-store 2\n").unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("has format `k3sroot-store 2`"), "{error}");
    fs::write(folder.path().join("not a folder"), "").unwrap();
    assert!(matches!(Store::open(&folder.path().join("not a folder")), Err(StoreError::Io { .. })));
}

#[test]
fn eight_threads_capture_the_same_and_different_things() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let digests: Vec<TreeDigest> = thread::scope(|scope| {
        let work = |index: usize| {
            let store = &store;
            move || capture(store, 150, index % 2)
        };
        let threads: Vec<_> = (0..8).map(|index| scope.spawn(work(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(BTreeSet::from_iter(&digests).len(), 2);
    let report = store.verify(&|_, _| ()).unwrap();
    assert_eq!((report.trees, report.set_aside, report.strays), (2, vec![], vec![]));
}

/// Runs an ignored test below in a process of its own, in `folder`.
fn helper(name: &str, folder: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("tests::{name}"), "--ignored", "--nocapture"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "run by other tests as a process of its own"]
fn helper_captures_and_records() {
    let store = Store::open(Path::new(".")).unwrap();
    for round in 0..8 {
        let tree = capture(&store, 60, round);
        store.record(&key(u8::try_from(round).unwrap()), &outcome(tree)).unwrap();
    }
}

#[test]
#[ignore = "run by other tests as a process of its own, which they kill"]
fn helper_works_until_killed() {
    let store = Store::open(Path::new(".")).unwrap();
    let _lock = store.lock(&key(200)).unwrap();
    println!("locked");
    for round in 0..100_000 {
        let tree = capture(&store, 40, round);
        let outcome = outcome(tree);
        store.record(&key(u8::try_from(round % 100).unwrap()), &outcome).unwrap();
        store.remember_description(&outcome.unit, None, format!("{round}").repeat(1000).as_bytes());
    }
}

#[test]
fn three_processes_work_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut helpers = [(); 3].map(|()| helper("helper_captures_and_records", folder.path()));
    for helper in &mut helpers {
        assert!(helper.wait().unwrap().success());
    }
    let store = Store::open(folder.path()).unwrap();
    assert!((0..8).all(|round| store.lookup(&key(round)).unwrap().is_some()));
    let report = store.verify(&|_, _| ()).unwrap();
    assert_eq!((report.outcomes, report.set_aside, report.strays), (8, vec![], vec![]));
}

#[test]
fn a_killed_process_leaves_a_sound_store_and_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    for milliseconds in [0, 3, 10, 30, 60, 100] {
        let mut helper = helper("helper_works_until_killed", folder.path());
        let mut said = [0; 400];
        let mut length = 0;
        while !said[..length].windows(6).any(|word| word == b"locked") {
            let more = helper.stdout.as_mut().unwrap().read(&mut said[length..]).unwrap();
            assert!(more > 0, "the helper failed: {}", String::from_utf8_lossy(&said));
            length += more;
        }
        {
            let store = Store::open(folder.path()).unwrap();
            assert!(store.try_lock(&key(200)).unwrap().is_none());
            assert!(matches!(store.collect(0), Err(StoreError::InUse { .. })));
        }
        thread::sleep(std::time::Duration::from_millis(milliseconds));
        helper.kill().unwrap();
        helper.wait().unwrap();

        let store = Store::open(folder.path()).unwrap();
        assert_eq!(fs::read_dir(store.path("tmp")).unwrap().count(), 1, "only our own session is left");
        assert!(store.try_lock(&key(200)).unwrap().is_some());
        let report = store.verify(&|_, _| ()).unwrap();
        assert_eq!((report.set_aside, report.strays), (vec![], vec![]));
        store.collect(u64::MAX).unwrap();
    }
}

#[test]
#[ignore = "a measurement: run it with --release --nocapture"]
fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for files in [1_000, 10_000] {
        let out = store.temp_dir("out").unwrap();
        fill(out.path(), files, files);
        let timed = |what: &str, work: &mut dyn FnMut()| {
            let start = std::time::Instant::now();
            work();
            println!("{files} files: {what} {:?}", start.elapsed());
        };
        let mut tree = None;
        timed("capture", &mut || tree = Some(store.capture_all(out.path()).unwrap()));
        let tree = tree.unwrap();
        timed("record", &mut || store.record(&key(1), &outcome(tree)).unwrap());
        timed("record again", &mut || store.record(&key(2), &outcome(tree)).unwrap());
        timed("lookup", &mut || drop(store.lookup(&key(1)).unwrap().unwrap()));
        let trees = [("a".to_owned(), tree)];
        timed("link", &mut || store.materialise(&trees, &out.path().join("l"), Placement::Link).unwrap());
        let copy = Placement::Copy { rewrite: Some(("/tools", "/x")) };
        timed("copy", &mut || store.materialise(&trees, &out.path().join("c"), copy).unwrap());
        let fresh = Store::open(folder.path()).unwrap();
        timed("link, unverified", &mut || {
            fresh.materialise(&trees, &out.path().join("u"), Placement::Link).unwrap();
        });
        timed("verify", &mut || drop(store.verify(&|_, _| ()).unwrap()));
    }
}
