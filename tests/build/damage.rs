//! Damage to what the store keeps, and sources that mean harm.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::scripts::{self, UNITS, assert_sound};
use super::workspace::{Conditions, USUAL, Workspace};

/// Every file below one of the store's folders.
fn entries(workspace: &Workspace, kind: &str) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(workspace.path("cache").join(kind)).into_iter().map(Result::unwrap);
    files.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

/// Other bytes in a file, with the mode and the time that it had: as a bad disk has them.
fn damage(path: &Path, how: fn(&mut Vec<u8>)) {
    let meta = fs::metadata(path).unwrap();
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
    fs::File::options().append(true).open(path).unwrap().set_modified(meta.modified().unwrap()).unwrap();
    fs::set_permissions(path, meta.permissions()).unwrap();
}

const FLIPPED: fn(&mut Vec<u8>) = |bytes| {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
};
const CUT: fn(&mut Vec<u8>) = |bytes| bytes.truncate(bytes.len() / 2);
const EMPTIED: fn(&mut Vec<u8>) = Vec::clear;

#[test]
fn whatever_is_damaged_is_named_and_made_again() {
    let workspace = scripts::workspace(USUAL);
    workspace.build_all();
    let undisturbed = workspace.dist();
    for kind in ["blobs", "trees", "actions"] {
        for (what, how) in [("flipped", FLIPPED), ("cut", CUT), ("emptied", EMPTIED)] {
            let context = format!("{kind} {what}");
            let all = entries(&workspace, kind);
            for path in &all {
                damage(path, how);
            }
            let verified = workspace.run("cache", &["verify"]);
            assert_eq!(verified.code, Some(1), "{context}: {}{}", verified.stdout, verified.stderr);
            for path in &all {
                let name = path.file_name().unwrap().to_str().unwrap();
                let line = format!("set aside: cache/damaged/{kind}.{name}\n");
                assert!(verified.stdout.contains(&line), "{context}, {line}{}", verified.stdout);
            }
            assert_eq!(workspace.build_all().built, UNITS, "{context}");
            assert!(workspace.dist() == undisturbed, "{context}");
            assert_sound(&workspace, &context);
        }
    }
}

#[test]
fn damage_that_a_build_meets_is_mended_by_the_next_one() {
    let workspace = scripts::workspace(USUAL);
    workspace.build_all();
    let undisturbed = workspace.dist();
    for kind in ["blobs", "trees", "actions"] {
        for (what, how) in [("flipped", FLIPPED), ("cut", CUT), ("emptied", EMPTIED)] {
            for path in entries(&workspace, kind) {
                damage(&path, how);
            }
            let mut runs = 0;
            loop {
                let run = workspace.build(&[]);
                runs += 1;
                if run.code == Some(0) {
                    break;
                }
                // Only what looks whole until it is read stops a build, each time with another entry.
                assert_eq!((run.code, kind, what), (Some(2), "blobs", "flipped"), "{}", run.stderr);
                assert!(run.stderr.contains("run the same command again"), "{}", run.stderr);
                assert!(workspace.dist() == undisturbed, "{kind} {what}");
                assert!(runs <= UNITS, "{}", run.stderr);
            }
            assert!(workspace.dist() == undisturbed, "{kind} {what}");
            let verified = workspace.run("cache", &["verify"]);
            // What nobody read is still to be found.
            assert_eq!(
                verified.code,
                Some(i32::from(verified.stdout.contains("set aside"))),
                "{kind} {what}"
            );
            assert_sound(&workspace, &format!("{kind} {what}"));
        }
    }
}

/// A tar archive of one file with this name, however wrong.
fn archive(name: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    let mut tar = [header.as_bytes(), &b"text\n"[..]].concat();
    tar.resize(2048, 0);
    tar
}

/// What a build says whose one source is `archive`, with this patch.
fn refusal(archive: &[u8], patch: Option<&str>) -> String {
    let workspace = Workspace::with_archive(Conditions { sandbox: "auto", ..USUAL }, "ws", archive);
    fs::create_dir_all(workspace.path("patches/evil")).unwrap();
    fs::create_dir(workspace.path("recipes")).unwrap();
    let patches = patch.map_or("", |patch| {
        fs::write(workspace.path("patches/evil/0001-out.patch"), patch).unwrap();
        "patches = ['0001-out.patch']"
    });
    let recipe = format!(
        "name = 'evil'\nversion = '1'\nsummary = 'Wants out'\nhomepage = 'https://words.invalid/'\n\
         [license]\nspdx = 'Apache-2.0'\n[[source]]\nurls = ['https://words.invalid/evil.tar']\n\
         sha256 = '{}'\n{patches}\n[needs]\ntoolchain = 'none'\n[build]\nsystem = 'script'\nsteps = [['true']]\n",
        workspace.digest()
    );
    fs::write(workspace.path("recipes/evil.toml"), recipe).unwrap();
    let root = "checksums = 'sums-{arch}'\n[[tarball]]\nname = 'root'\nfile = '{arch}.tar'\nfolders = ['bin']\n\
                [places]\nbin = { root = 'bin' }\n[[file]]\npackage = 'evil'\nfrom = ['usr/bin/evil']\nto = 'bin'\n";
    fs::write(workspace.path("recipes/root.toml"), root).unwrap();
    let run = workspace.build(&[]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(workspace.dist().is_empty());
    assert_sound(&workspace, "after a refusal");
    for entry in walkdir::WalkDir::new(workspace.path("")) {
        assert_ne!(entry.unwrap().file_name(), "outside");
    }
    run.error()
}

#[test]
fn an_archive_that_wants_out_is_refused() {
    insta::assert_snapshot!(refusal(&archive("evil-1/../../outside"), None), @r"
    error: evil 1 for [arch] failed
      ├─ the source could not be unpacked
      ╰─ entry `evil-1/../../outside` is refused: its name has `..`
      log: cache/logs/evil@[arch].log
    ");
    insta::assert_snapshot!(refusal(&archive("/outside"), None), @r"
    error: evil 1 for [arch] failed
      ├─ the source could not be unpacked
      ╰─ entry `/outside` is refused: its name is absolute
      log: cache/logs/evil@[arch].log
    ");
}

#[test]
fn a_patch_that_wants_out_is_refused() {
    let patch = "Out\n\n--- /dev/null\n+++ b/../outside\n@@ -0,0 +1 @@\n+text\n";
    insta::assert_snapshot!(refusal(&archive("evil-1/text"), Some(patch)), @r"
    error: evil 1 for [arch] failed
      ├─ patch `0001-out.patch` does not apply
      ╰─ patch `0001-out.patch`, line 4: `../outside` is refused: it has `..`
      log: cache/logs/evil@[arch].log
    ");
}
