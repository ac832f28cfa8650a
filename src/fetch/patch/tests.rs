//! Patches that fit, that do not, and that try to leave the tree.

use std::fs::{self, FileTimes};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{PatchError, apply_patch};

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, contents) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    dir
}

fn apply(dir: &tempfile::TempDir, text: &str) -> Result<(), PatchError> {
    apply_patch(dir.path(), "0001-x.patch", text)
}

fn read(dir: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(dir.path().join(name)).unwrap()
}

const CHANGE: &str = "\
From 0123 Mon Sep 17 00:00:00 2001
Subject: [PATCH] change

---
 a.c | 2 +-

diff --git a/a.c b/a.c
index 1..2 100644
--- a/a.c
+++ b/a.c
@@ -1,3 +1,3 @@ int main(void)
 one
-two
+TWO
 three
";

#[test]
fn a_file_is_changed_where_the_lines_are_now() {
    let dir = tree(&[("a.c", "zero\nzero\none\ntwo\nthree\nfour\n")]);
    apply(&dir, &format!("{CHANGE}-- \n2.39.1\n\n")).unwrap();
    assert_eq!(read(&dir, "a.c"), "zero\nzero\none\nTWO\nthree\nfour\n");
}

#[test]
fn many_files_are_made_changed_and_deleted() {
    let dir =
        tree(&[("a.c", "one\ntwo\nthree\n"), ("old/gone.c", "x\n"), ("gone2", "-- a/x\n"), ("run", "")]);
    let more = "\
diff --git a/sub/new.sh b/sub/new.sh
new file mode 100755
index 0..1
--- /dev/null
+++ b/sub/new.sh
@@ -0,0 +1,2 @@
+#!/bin/sh
+true
\\ No newline at end of file
diff --git a/old/gone.c b/old/gone.c
deleted file mode 100644
--- a/old/gone.c
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/empty file b/empty file
new file mode 100644
diff --git a/run b/run
old mode 100644
new mode 100755
diff -Nur x.orig/made.c x/made.c
--- x.orig/made.c\t1970-01-01 01:00:00.000000000 +0100
+++ x/made.c\t2024-01-01 01:00:00.000000000 +0100
@@ -0,0 +1 @@
+made
--- x.orig/gone2\t2024-01-01 01:00:00.000000000 +0100
+++ x/gone2\t1970-01-01 01:00:00.000000000 +0100
@@ -1 +0,0 @@
--- a/x
";
    apply(&dir, &format!("{CHANGE}{more}")).unwrap();
    assert_eq!(read(&dir, "a.c"), "one\nTWO\nthree\n");
    assert_eq!(read(&dir, "sub/new.sh"), "#!/bin/sh\ntrue");
    assert_eq!(read(&dir, "empty file"), "");
    assert_eq!(read(&dir, "made.c"), "made\n");
    assert!(!dir.path().join("old").exists() && !dir.path().join("gone2").exists());
    for (name, mode) in [("sub/new.sh", 0o755), ("run", 0o755), ("made.c", 0o644)] {
        assert_eq!(fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
}

#[test]
fn a_file_is_renamed_and_one_is_changed_twice() {
    let dir = tree(&[("a.c", "one\ntwo\nthree\n")]);
    let rename = "\
diff --git a/a.c b/b/c.c
similarity index 50%
rename from a.c
rename to b/c.c
--- a/a.c
+++ b/b/c.c
@@ -1,3 +1,3 @@
-one
+ONE
 TWO
 three
";
    apply(&dir, &format!("{CHANGE}{rename}")).unwrap();
    assert_eq!(read(&dir, "b/c.c"), "ONE\nTWO\nthree\n");
    assert!(!dir.path().join("a.c").exists());
}

#[test]
fn a_renamed_program_stays_one_and_nothing_is_overwritten_or_written_through_a_link() {
    let outside = tree(&[]);
    let dir = tree(&[("run", "x\n"), ("taken", "")]);
    fs::set_permissions(dir.path().join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink(outside.path(), dir.path().join("link")).unwrap();
    let rename = |word: &str, to: &str| format!("diff --git a/run b/{to}\n{word} from run\n{word} to {to}\n");
    for word in ["rename", "copy"] {
        for (to, expected) in [("taken", "is there already"), ("link/run", "a symlink is in the way")] {
            let error = apply(&dir, &rename(word, to)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let one = apply(&dir, &format!("diff --git a/run b/run\n{word} from run\n")).unwrap_err().to_string();
        assert!(one.contains("names two files"), "{one}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    apply(&dir, &rename("rename", "sub/walk")).unwrap();
    assert_eq!(read(&dir, "sub/walk"), "x\n");
    let mode = fs::metadata(dir.path().join("sub/walk")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert!(!dir.path().join("run").exists());
}

#[test]
fn a_path_is_a_file_or_a_folder_and_nothing_is_written_until_that_is_known() {
    let make = |name: &str| format!("--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+x\n");
    let delete = |name: &str| format!("--- a/{name}\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n");
    let dir = tree(&[("a.c", "one\ntwo\nthree\n")]);
    for (first, second) in [("n", "n/x"), ("n/x", "n"), ("n/x/y", "n")] {
        let text = format!("{CHANGE}{}{}", make(first), make(second));
        let error = apply(&dir, &text).unwrap_err().to_string();
        assert!(error.contains("one path would be a file and a folder"), "{error}");
        assert_eq!(read(&dir, "a.c"), "one\ntwo\nthree\n");
        assert!(!dir.path().join("n").exists());
    }
    apply(&dir, &format!("{}{}{}", make("n/x"), delete("n/x"), make("n"))).unwrap();
    assert_eq!(read(&dir, "n"), "x\n");
}

#[test]
fn times_stay_and_new_files_get_the_trees() {
    let dir = tree(&[("s/a.c", "one\ntwo\nthree\n")]);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for name in ["s/a.c", "s", ""] {
        let file = fs::File::open(dir.path().join(name)).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    }
    let text = CHANGE.replace("a/a.c", "a/s/a.c").replace("b/a.c", "b/s/a.c");
    apply(&dir, &format!("{text}--- /dev/null\n+++ b/s/n/b.c\n@@ -0,0 +1 @@\n+x\n")).unwrap();
    for name in ["s/a.c", "s/n/b.c", "s/n", "s", ""] {
        assert_eq!(fs::metadata(dir.path().join(name)).unwrap().modified().unwrap(), time, "{name}");
    }
}

#[test]
fn contents_need_not_be_utf_8() {
    let dir = tree(&[]);
    fs::write(dir.path().join("a.c"), b"one\ntwo\nthree\n\xe9\n").unwrap();
    apply(&dir, CHANGE).unwrap();
    assert_eq!(fs::read(dir.path().join("a.c")).unwrap(), b"one\nTWO\nthree\n\xe9\n");
}

#[test]
fn a_blank_context_line_may_have_lost_its_blank() {
    let dir = tree(&[("a", "x\n\ny\n")]);
    apply(&dir, "--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n x\n\n-y\n+z\n").unwrap();
    assert_eq!(read(&dir, "a"), "x\n\nz\n");
}

#[test]
fn a_hunk_that_does_not_fit_is_shown_and_nothing_is_written() {
    let dir = tree(&[("a.c", "one\ntwo\nthree\n1\n2\n3\n4\nfive\n")]);
    let text = format!("{CHANGE}@@ -8,2 +8,2 @@\n-FIVE\n+six\n four\n");
    let error = apply(&dir, &text).unwrap_err();
    assert!(matches!(&error, PatchError::Hunk { hunk: 2, line: 16, at: 8, .. }), "{error:?}");
    assert!(
        error.to_string().contains("hunk 2 does not fit `a.c`; expected around line 8:\n    FIVE\n    four")
    );
    assert_eq!(read(&dir, "a.c"), "one\ntwo\nthree\n1\n2\n3\n4\nfive\n");
}

#[test]
fn line_ends_count_and_others_are_told() {
    let (dir, windows) = (tree(&[("a.c", "one\ntwo\nthree\n")]), tree(&[("a.c", "one\r\ntwo\r\nthree\r\n")]));
    let crlf = CHANGE.replace('\n', "\r\n");
    let error = apply(&dir, &crlf).unwrap_err().to_string();
    assert!(error.contains("the patch has CRLF line ends, the file has LF"), "{error}");
    let error = apply(&windows, CHANGE).unwrap_err().to_string();
    assert!(error.contains("the patch has LF line ends, the file has CRLF"), "{error}");
    apply(&windows, &crlf).unwrap();
    assert_eq!(read(&windows, "a.c"), "one\r\nTWO\r\nthree\r\n");
}

#[test]
fn wrong_patches_say_what_is_wrong() {
    let dir = tree(&[("a.c", "one\ntwo\nthree\n"), ("full", "x\ny\n")]);
    symlink("/etc", dir.path().join("link")).unwrap();
    let hunk = "@@ -0,0 +1 @@\n+x\n";
    for (text, expected) in [
        ("nothing\n".to_owned(), "changes no files"),
        (format!("--- a/../x\n+++ b/../x\n{hunk}"), "`../x` is refused: it has `..`"),
        (format!("--- /dev/null\n+++ /etc/x\n{hunk}"), "`/etc/x` is refused"),
        (format!("--- /dev/null\n+++ b//etc/../../x\n{hunk}"), "is refused"),
        (format!("--- /dev/null\n+++ x\n{hunk}"), "no folder to leave out"),
        (format!("--- /dev/null\n+++ b/new/{}\n{hunk}", "x".repeat(256)), "it is too long"),
        (format!("--- /dev/null\n+++ b/{}\n{hunk}", "new/".repeat(600)), "it is too long"),
        (format!("--- /dev/null\n+++ b/link/x\n{hunk}"), "a symlink is in the way"),
        (format!("--- /dev/null\n+++ b/full\n{hunk}"), "is there already"),
        ("--- a/none\n+++ b/none\n@@ -1 +1 @@\n-x\n+y\n".to_owned(), "there is no file `none`"),
        ("--- a/a.c\n+++ b/a.c\n@@ -1,3 +1,3 @@\n one\n".to_owned(), "line 5: the hunk ends early"),
        ("--- a/a.c\n+++ b/a.c\n@@ -1,1 +1,1 @@\n-one\n-two\n".to_owned(), "not as many as its header says"),
        ("--- a/a.c\n+++ b/a.c\nhello\n".to_owned(), "expected a hunk"),
        ("@@ -1 +1 @@\n-one\n+two\n".to_owned(), "a hunk without a file"),
        ("--- a/full\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n".to_owned(), "has other contents"),
        ("diff --git a/b b/b\nnew file mode 120000\n".to_owned(), "only regular files"),
        ("diff --git a/b b/b\nindex 1..2\nGIT binary patch\n".to_owned(), "binary patches"),
        ("diff --git a/x b/x\nrename from ../x\nrename to y\n".to_owned(), "it has `..`"),
    ] {
        let error = apply(&dir, &text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\n{error}");
        assert!(error.contains("`0001-x.patch`"), "{error}");
    }
    assert!(!Path::new("/etc/x").exists());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}
