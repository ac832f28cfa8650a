//! Patches, from anybody: only files that are named change, and when something does not fit, nothing does.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::scratch::snapshot;

const TIME: u64 = 1_000_000_000;

/// What stands before the first NUL byte are the contents of the file `a.c`, what stands behind it is the patch.
pub fn patch(data: &[u8]) {
    let (contents, text) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (&b"one\ntwo\nthree\nfour\nfive\n"[..], data),
    };
    // Recipes are read with their patches, which must be text.
    let Ok(text) = std::str::from_utf8(text) else { return };
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    fs::write(scratch.path().join("witness"), "untouched\n").unwrap();
    plant(&tree, contents);
    let outside = snapshot(scratch.path(), Some(&tree));
    let before = snapshot(&tree, None);
    let result = fetch::apply_patch(&tree, "0001-x.patch", text);
    assert_eq!(outside, snapshot(scratch.path(), Some(&tree)));
    let after = snapshot(&tree, None);
    match result {
        Ok(()) => {
            let names = before.keys().chain(after.keys());
            for name in names.filter(|name| before.get(*name) != after.get(*name)) {
                assert!(name.split('/').all(|part| text.contains(part)), "{name:?} is not named");
            }
            let mut timed = after.values().filter(|node| !node.is_link());
            assert!(timed.all(|node| node.mtime.unsigned_abs() == TIME), "{after:?}");
            assert_eq!(before["link"], after["link"]);
        }
        Err(error) => {
            assert!(error.to_string().contains('`'));
            assert_eq!(before, after, "{error}");
        }
    }
}

/// A small tree with something of every kind, all of the same time.
fn plant(tree: &Path, contents: &[u8]) {
    fs::create_dir_all(tree.join("sub/deep")).unwrap();
    let files = BTreeMap::from([
        ("a.c", contents),
        ("run", b""),
        ("sub/b.h", b"x\n\nx\ny"),
        ("sub/deep/only", b"only\n"),
    ]);
    for (name, contents) in &files {
        fs::write(tree.join(name), contents).unwrap();
    }
    fs::set_permissions(tree.join("run"), Permissions::from_mode(0o755)).unwrap();
    symlink("..", tree.join("link")).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(TIME);
    let times = FileTimes::new().set_accessed(time).set_modified(time);
    let folders = ["sub/deep", "sub", ""];
    for name in files.keys().chain(&folders) {
        File::open(tree.join(name)).unwrap().set_times(times).unwrap();
    }
}
