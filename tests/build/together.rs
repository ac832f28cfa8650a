//! Several k3sroots at once on one store: each piece of work is done by one of them, and gc waits until all are done.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::scripts::{self, UNITS, assert_sound, build_words, insert, set};
use super::skipped::skipped;
use super::workspace::{ARCH, Count, USUAL, Workspace};

const NOTHING: Count = Count { built: 0, cut_off: 0 };

fn start(workspace: &Workspace, words: &[&str]) -> Child {
    workspace.command("build", words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the build of `last` says `ready`, and returns its log. That the process is there tells less: it may not have
/// opened the store yet.
fn until_ready(workspace: &Workspace) -> PathBuf {
    let deadline = Instant::now() + Duration::from_secs(20);
    let log = workspace.path(&format!("cache/logs/last@{ARCH}.log"));
    while !fs::read_to_string(&log).is_ok_and(|log| log.contains("\nready\n")) {
        assert!(Instant::now() < deadline, "the build does not start");
        thread::sleep(Duration::from_millis(10));
    }
    log
}

/// Builds for each of `arches` at once, and holds what was built against `units`.
fn at_once(arches: &[&str], units: usize) {
    let workspace = scripts::workspace(USUAL);
    let outs: Vec<String> = (0..arches.len()).map(|index| format!("dist-{index}")).collect();
    let children: Vec<Child> = arches
        .iter()
        .zip(&outs)
        .map(|(arch, out)| start(&workspace, &["--arch", arch, "--jobs", "1", "--offline", "--out", out]))
        .collect();
    let mut built = 0;
    for child in children {
        let run = workspace.ended(child.wait_with_output().unwrap());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        built += run.count().built;
    }
    assert_eq!(built, units, "built by {} at once", arches.len());
    for (arch, out) in arches.iter().zip(&outs) {
        let same = arches.iter().position(|other| other == arch).unwrap();
        assert!(workspace.files(out) == workspace.files(&outs[same]), "{out} and {} differ", outs[same]);
        assert_eq!(workspace.files(out).len(), 2);
    }
    assert_sound(&workspace, "after all");
}

#[test]
fn two_for_one_arch_build_nothing_twice() {
    at_once(&["amd64", "amd64"], UNITS);
}

#[test]
fn two_for_two_arches_make_the_tool_once() {
    at_once(&["amd64", "riscv64"], 2 * UNITS - 1);
}

#[test]
fn eight_build_nothing_twice() {
    at_once(&["amd64"; 8], UNITS);
    at_once(&["amd64", "arm64", "arm", "riscv64", "amd64", "arm64", "arm", "riscv64"], 4 * UNITS - 3);
}

#[test]
fn gc_leaves_a_store_alone_in_which_a_build_is_at_work() {
    let workspace = scripts::workspace(USUAL);
    workspace.build_all();
    let before = workspace.dist();
    set(&workspace, "ROUND", 1);
    insert(&workspace, "last", "echo ready; sleep 6");
    let child = start(&workspace, &[&build_words("auto")[..], &["--out", "dist"]].concat());
    until_ready(&workspace);
    let run = workspace.run("cache", &["gc", "--max-size", "0"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    insta::assert_snapshot!(run.stderr, @"error: the store `cache` is in use by another k3sroot: shrink it when that has finished");
    let run = workspace.ended(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.count().built), (Some(0), UNITS), "{}", run.stderr);
    assert!(workspace.dist() == before);
    assert_sound(&workspace, "after the build");
}

#[test]
fn whoever_opens_the_store_leaves_a_running_build_its_private_files() {
    for sandbox in ["auto", "none"] {
        let workspace = scripts::workspace(USUAL);
        insert(
            &workspace,
            "last",
            "mine=${TMPDIR:-/tmp}/mine; echo ready; echo kept >$mine; sleep 2; cat $mine",
        );
        let child = start(&workspace, &[&build_words(sandbox)[..], &["--out", "dist"]].concat());
        let log = until_ready(&workspace);
        let other = workspace.run("plan", &["--arch", ARCH]);
        assert_eq!(other.code, Some(0), "{sandbox}: {}", other.stderr);
        let run = workspace.ended(child.wait_with_output().unwrap());
        assert_eq!((run.code, run.count().built), (Some(0), UNITS), "{sandbox}: {}", run.stderr);
        assert!(fs::read_to_string(&log).unwrap().contains("\nkept\n"), "{sandbox}");
        assert_sound(&workspace, sandbox);
    }
}

/// A library that makes `flock` do as `body` says, for file systems of which there is none here.
fn flock_that(workspace: &Workspace, body: &str) -> PathBuf {
    let (source, library) = (workspace.path("flock.c"), workspace.path("flock.so"));
    fs::write(&source, format!("#include <errno.h>\nint flock(int fd, int how) {{ {body} }}\n")).unwrap();
    let made =
        Command::new("gcc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().unwrap();
    assert!(made.success());
    library
}

#[test]
fn a_file_system_without_locks_is_named() {
    for errno in ["ENOLCK", "EOPNOTSUPP", "ENOSYS"] {
        let workspace = scripts::workspace(USUAL);
        let library = flock_that(&workspace, &format!("errno = {errno}; return -1;"));
        let output = workspace.command("build", &build_words("auto")).env("LD_PRELOAD", library).output();
        let run = workspace.ended(output.unwrap());
        assert!(matches!(run.code, Some(1 | 2)), "{errno}: {}", run.stderr);
        for part in ["cannot lock `cache/locks/store`", "has no locks (", "`--cache DIR` or K3SROOT_CACHE"] {
            assert!(run.stderr.contains(part), "{errno}: {}", run.stderr);
        }
    }
}

#[test]
fn a_cache_on_two_file_systems_is_refused_before_anything_is_built() {
    let workspace = scripts::workspace(USUAL);
    for folder in ["cache/blobs", "elsewhere"] {
        fs::create_dir_all(workspace.path(folder)).unwrap();
    }
    let build = workspace.command("build", &build_words("none"));
    let mut apart = Command::new("unshare");
    apart.args([
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        "mount --bind elsewhere cache/blobs && exec \"$@\"",
        "sh",
    ]);
    apart.arg(build.get_program()).args(build.get_args()).current_dir(workspace.path(""));
    let run = workspace.ended(apart.output().unwrap());
    if run.stderr.contains("unshare: ") || run.stderr.contains("mount: ") {
        skipped("a cache on two mounts", &run.stderr);
        return;
    }
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr.contains(
            "`cache/blobs` is not on the same file system as `tmp` next to it, so files cannot be moved"
        ),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("building"), "{}", run.stderr);
}

#[test]
fn nothing_is_lost_where_everybody_gets_every_lock() {
    let expected = scripts::workspace(USUAL);
    expected.build_all();

    let workspace = scripts::workspace(USUAL);
    let library = flock_that(&workspace, "return 0;");
    insert(&workspace, "last", "echo ready; sleep 3");
    let start = |out: &str| {
        let words = [&build_words("auto")[..], &["--out", out]].concat();
        let mut command = workspace.command("build", &words);
        command.env("LD_PRELOAD", &library).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let outs = ["dist-0", "dist-1"];
    let first = start(outs[0]);
    until_ready(&workspace);
    // It opens the store while the first has folders of its own there, and both build the last unit at once.
    let second = start(outs[1]);
    let gc = workspace.command("cache", &["gc", "--max-size", "0"]).env("LD_PRELOAD", &library).output();
    let gc = workspace.ended(gc.unwrap());
    assert_eq!(gc.code, Some(2), "{}", gc.stdout);
    assert!(gc.stderr.contains("grants a lock to everybody"), "{}", gc.stderr);
    for child in [first, second] {
        let run = workspace.ended(child.wait_with_output().unwrap());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
    for out in outs {
        assert!(workspace.files(out) == expected.dist(), "{out}");
    }
    assert_sound(&workspace, "after both");
}

/// How much gc counts.
fn kept_bytes(workspace: &Workspace) -> String {
    let shown = workspace.run("cache", &["--json"]).stdout;
    let (_, rest) = shown.split_once("\"kept_bytes\": ").unwrap();
    rest.split_once(',').unwrap().0.to_owned()
}

#[test]
fn gc_keeps_the_newest() {
    let build = |workspace: &Workspace, result| {
        set(workspace, "RESULT", result);
        workspace.build_all()
    };
    let alone = scripts::workspace(USUAL);
    build(&alone, 2);
    let size = kept_bytes(&alone);

    let workspace = scripts::workspace(USUAL);
    build(&workspace, 1);
    let of_first = workspace.dist();
    build(&workspace, 2);
    assert!(workspace.dist() != of_first);
    let run = workspace.run("cache", &["gc", "--max-size", &size]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(kept_bytes(&workspace), size, "{}", run.stdout);
    assert_sound(&workspace, "after gc");
    assert_eq!(build(&workspace, 2), NOTHING);
    assert_ne!(build(&workspace, 1), NOTHING);
    assert!(workspace.dist() == of_first);
    // Half of what there is: whatever is left can be used, and the rest is made again.
    let run = workspace.run("cache", &["gc", "--max-size", "150K"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_sound(&workspace, "after another gc");
    build(&workspace, 1);
    assert!(workspace.dist() == of_first);
}
