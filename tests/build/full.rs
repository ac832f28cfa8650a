//! A disk that fills up: it is named, nothing is lost, and once there is room the build succeeds.

use std::fs;
use std::process::Command;

use super::scripts::{self, insert};
use super::skipped::skipped;
use super::workspace::{ARCH, Run, USUAL, Workspace};

/// The options of `unshare` with which a small disk can be mounted where nobody else sees it.
fn unshare() -> Option<&'static str> {
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=1m none \"$0\" && mount -o remount,size=2m \"$0\"";
    let works = |options: &&str| {
        let mut command = Command::new("unshare");
        command.args([*options, "sh", "-c", mount]).arg(folder.path());
        command.output().is_ok_and(|output| output.status.success())
    };
    let found = ["-m", "-rm"].into_iter().find(works);
    if found.is_none() {
        skipped("full disks", "no small one can be mounted here");
    }
    found
}

/// Runs a script in a workspace in which `folder` is a disk of `size`; in it, `$BUILD` builds, `$VERIFY` verifies, and
/// `$ROOM` makes the disk larger.
fn on_a_small_disk(workspace: &Workspace, unshare: &str, folder: &str, size: &str, script: &str) -> Run {
    let program = env!("CARGO_BIN_EXE_k3sroot");
    fs::create_dir_all(workspace.path(folder)).unwrap();
    let mount = format!("mount -t tmpfs -o size={size},mode=755 none {folder} || exit 99\n");
    let output = Command::new("unshare")
        .args([unshare, "sh", "-c", &(mount + script)])
        .current_dir(workspace.path(""))
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("K3SROOT_CACHE", workspace.path("cache"))
        .env("BUILD", format!("{program} build --arch {ARCH} --offline --jobs 1 --out dist"))
        .env("VERIFY", format!("{program} cache verify"))
        .env("ROOM", format!("mount -o remount,size=100m {folder}"))
        .output()
        .unwrap();
    workspace.ended(output)
}

/// A build on a disk that is too small, and one after there is room.
const TWICE: &str = "$BUILD; echo \"status $?\"; ls dist 2>/dev/null; $VERIFY || exit
                     $ROOM || exit; echo room >&2; $BUILD || exit; $VERIFY";

fn undisturbed() -> Vec<(String, Vec<u8>)> {
    let workspace = scripts::workspace(USUAL);
    workspace.build_all();
    workspace.dist()
}

/// What was said of the full disk; all is well in the end.
fn said(workspace: &Workspace, run: &Run, status: u8) -> String {
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.starts_with(&format!("status {status}\nread ")), "{}{}", run.stdout, run.stderr);
    assert!(!run.stdout.contains("left alone"), "{}", run.stdout);
    assert!(workspace.dist() == undisturbed(), "{:?}", workspace.dist_names());
    run.error()
}

#[test]
fn a_command_that_fills_the_disk() {
    let Some(unshare) = unshare() else { return };
    let workspace = scripts::workspace(USUAL);
    insert(&workspace, "three", "head -c 20000000 /dev/zero >/build/zeros");
    let run = on_a_small_disk(&workspace, unshare, "cache", "8m", TWICE);
    let said = said(&workspace, &run, 1);
    assert!(said.contains("No space left on device"), "{said}");
    let hint = "hint: no room is left on the disk of `cache`: `k3sroot cache gc --max-size SIZE` makes the cache \
                smaller, `--cache DIR` puts it elsewhere\n";
    assert!(said.contains(hint), "{said}");
}

/// A workspace with a source of 3 MB.
fn with_a_large_source() -> Workspace {
    let workspace = scripts::workspace(USUAL);
    let mut archive = tar::Builder::new(Vec::new());
    for (name, length) in [("seed-1/text", 5), ("seed-1/large", 3_000_000)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(length);
        header.set_mode(0o644);
        let text = "text\n".bytes().cycle().take(usize::try_from(length).unwrap()).collect::<Vec<u8>>();
        archive.append_data(&mut header, name, &text[..]).unwrap();
    }
    let archive = archive.into_inner().unwrap();
    let digest = base::digest::Sha256::of(&archive).to_string();
    workspace.edit("recipes/seed.toml", workspace.digest(), &digest);
    fs::write(workspace.path("distfiles/any-name"), archive).unwrap();
    workspace
}

#[test]
fn a_source_that_does_not_fit_on_the_disk() {
    let Some(unshare) = unshare() else { return };
    // It fits neither packed nor unpacked; then packed alone.
    let workspace = with_a_large_source();
    let run = on_a_small_disk(&workspace, unshare, "cache", "2m", TWICE);
    let said_first = said(&workspace, &run, 2);
    // What is built meanwhile may find the disk full as well.
    let of_the_source = "error: seed 1 for [arch] failed\n  \
                         ├─ the source could not be fetched\n  \
                         ├─ cannot keep archives in `cache/distfiles/partial/sha256-d3a86d9cacc2e86065be51a4279210c986478c5789109e5f71026342f3f541ba`\n  \
                         ╰─ No space left on device (os error 28)\n\n\
                         hint: no room is left on the disk of `cache`: `k3sroot cache gc --max-size SIZE` makes the cache smaller, `--cache DIR` puts it elsewhere\n";
    assert!(said_first.contains(of_the_source), "{said_first}");
    let workspace = with_a_large_source();
    let run = on_a_small_disk(&workspace, unshare, "cache", "5m", TWICE);
    let said = said(&workspace, &run, 2);
    assert!(said.contains("\n  ╰─ No space left on device (os error 28)\n"), "{said}");
    assert!(said.contains("hint: no room is left on the disk of `cache`: "), "{said}");
}

#[test]
fn tarballs_that_do_not_fit_on_the_disk() {
    let Some(unshare) = unshare() else { return };
    let workspace = scripts::workspace(USUAL);
    let script = format!("{TWICE}; cp -R dist kept");
    let run = on_a_small_disk(&workspace, unshare, "dist", "4k", &script);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.starts_with("status 2\nread "), "{}{}", run.stdout, run.stderr);
    assert!(workspace.files("kept") == undisturbed());
    let said = run.error();
    assert!(
        said.starts_with("error: cannot write `dist/k3s-root-[arch].tar`\n  ╰─ No space left on device"),
        "{said}"
    );
    assert!(said.contains("hint: no room is left on the disk of that path"), "{said}");
}

#[test]
fn a_legal_pack_that_does_not_fit_on_the_disk() {
    let Some(unshare) = unshare() else { return };
    let workspace = with_a_large_source();
    let script =
        "$BUILD; echo \"status $?\"; ls dist dist/*.legal; $ROOM || exit; $BUILD || exit; ls dist/*.legal";
    let run = on_a_small_disk(&workspace, unshare, "dist", "1m", script);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let (full, room) = run.stdout.split_at(run.stdout.rfind("OFFER.txt").unwrap());
    assert!(full.starts_with("status 2\n") && full.contains("k3s-root-[arch].tar\n"), "{}", run.stdout);
    assert!(!full.contains("manifest.csv") && room.contains("manifest.csv"), "{}", run.stdout);
    let said = run.error();
    assert!(said.contains("error: cannot copy `cache/distfiles/sha256-"), "{said}");
    assert!(said.contains("to `dist/k3s-root-[arch].legal/sources/"), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("hint: no room is left on the disk of that path"), "{said}");
}
