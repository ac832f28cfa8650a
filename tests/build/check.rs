//! `k3sroot check` and `verify --golden` on the tiny packages.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use serde_json::Value;

use super::scripts::{self, assert_sound, insert, traces};
use super::skipped::skipped;
use super::workspace::{ARCH, Run, USUAL, Workspace};

/// What cannot be varied on every machine: where it is not, the answer says why.
const OPTIONAL: [&str; 8] =
    ["user_group", "time", "domain_host", "fileordering", "num_cpus", "aslr", "kernel", "sandbox"];
/// None of the tiny packages has a source in two archives.
const NEVER: [&str; 1] = ["archives"];

fn check(workspace: &Workspace, more: &[&str]) -> Run {
    let words = [&["--arch", ARCH, "--offline", "--distfiles", "distfiles"], more].concat();
    workspace.run("check", &words)
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", run.stdout, run.stderr))
}

fn names(list: &Value, key: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
}

/// How many folders of checks are kept in the cache, and how many are forgotten there.
fn folders_of_checks(workspace: &Workspace) -> (usize, usize) {
    let checks = |folder: &str| {
        let entries = fs::read_dir(workspace.path(folder)).into_iter().flatten();
        entries
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("check."))
            .count()
    };
    (checks("cache/failed"), fs::read_dir(workspace.path("cache/tmp")).unwrap().count())
}

#[test]
fn everything_varied_makes_no_difference() {
    let workspace = Workspace::new();
    let run = check(&workspace, &["--json"]);
    assert_eq!(run.code, Some(0), "{}\n{}", run.stdout, run.stderr);
    let answer = json(&run);
    let varied = names(&answer["varied"], "variation");
    for (variation, why) in answer["not_varied"].as_object().unwrap() {
        assert!(OPTIONAL.contains(&&**variation) || NEVER.contains(&&**variation), "{variation}: {why}");
        if OPTIONAL.contains(&&**variation) {
            skipped(&format!("{variation}, which is not varied"), why.as_str().unwrap());
        }
    }
    assert_eq!(varied.len() + answer["not_varied"].as_object().unwrap().len(), 17, "{answer:#}");
    for seen in answer["varied"].as_array().unwrap() {
        assert_ne!(seen["first"], seen["second"]);
    }
    assert_eq!(answer["packages"].as_array().unwrap().len(), 4, "{answer:#}");
    assert_eq!(answer["tarballs"].as_array().unwrap().len(), 2, "{answer:#}");
    assert_eq!(answer["alike"], true);
    assert_eq!(folders_of_checks(&workspace), (0, 0));
}

#[test]
fn the_first_package_file_and_place_that_differ_are_named() {
    let workspace = Workspace::new();
    workspace.edit(
        "recipes/greet.toml",
        "\"/out/usr/bin/greet.sh\"]]",
        "\"/out/usr/bin/greet.sh\"], ['sh', '-c', 'echo \"# on $(uname -r)\" >>/out/usr/bin/greet.sh']]",
    );
    let run = check(&workspace, &["--vary", "kernel", "greet"]);
    if run.stderr.contains("not varied: kernel: ") {
        skipped("a leak of the kernel's version", &run.stderr);
        return;
    }
    assert_eq!(run.code, Some(1), "{}\n{}", run.stdout, run.stderr);
    let line = run.stdout.lines().find(|line| line.contains("` differs at")).unwrap_or_default();
    assert!(line.starts_with("greet@[arch]: `usr/bin/greet.sh` differs at offset 0x"), "{}", run.stdout);
    assert!(run.stdout.contains("greet@[arch]  different  "), "{}", run.stdout);
    assert!(run.stdout.contains("0 of 1 packages alike; varied: kernel\n"), "{}", run.stdout);
    assert!(run.stderr.contains("error: the two builds are not the same\n"), "{}", run.stderr);
    // What is kept can be looked at, where it is said to be.
    assert_eq!(folders_of_checks(&workspace), (1, 0));
    let see =
        run.stdout.lines().find_map(|line| line.split_once(".tar: k3sroot diff ")).unwrap_or_default().1;
    for path in see.split_whitespace() {
        assert!(workspace.path(&path.replace("[arch]", ARCH)).is_file(), "{path}");
    }
    assert_eq!(see.split_whitespace().count(), 2, "{}", run.stdout);
}

#[test]
fn another_archive_of_the_same_code_makes_no_difference_and_one_of_other_code_does() {
    let workspace = Workspace::new();
    workspace.local_tree();
    fs::remove_dir_all(workspace.path("my-libword/.git")).unwrap();
    workspace.second_archive();
    let run = check(&workspace, &["--vary", "archives", "libword"]);
    assert_eq!(run.code, Some(0), "{}\n{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("archives  the first that is here  the last\n"), "{}", run.stderr);

    let workspace = Workspace::new();
    workspace.local_tree();
    workspace.edit("my-libword/word.c", "return WORD;", "return \"other \" WORD;");
    workspace.second_archive();
    let run = check(&workspace, &["--vary", "archives", "hello"]);
    assert_eq!(run.code, Some(1), "{}\n{}", run.stdout, run.stderr);
    let (library, program) = (run.stdout.find("\nlibword@[arch]: "), run.stdout.find("\nhello@[arch]: "));
    assert!(library.is_some() && library < program, "{}", run.stdout);
    assert!(run.stdout.contains("libword.a` differs at offset 0x"), "{}", run.stdout);
    assert!(run.stdout.contains(", member `word.o`, section `.rodata"), "{}", run.stdout);
}

#[test]
fn what_neither_build_has_is_not_said_to_be_alike() {
    let workspace = Workspace::new();
    fs::remove_file(workspace.path("distfiles/any-name")).unwrap();
    let run = check(&workspace, &["--vary", "umask"]);
    assert_eq!(run.code, Some(1), "{}\n{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("hello@[arch]    not built  -             -\n"), "{}", run.stdout);
    assert!(run.stdout.contains("2 of 4 packages alike; varied: umask\n"), "{}", run.stdout);
    let error = "error: what was built is the same, but neither build has 2 of the packages: see above why\n";
    assert!(run.stderr.ends_with(error), "{}", run.stderr);
}

#[test]
fn with_reuse_only_what_is_checked_is_built() {
    let workspace = Workspace::new();
    workspace.build_all();
    let run = check(&workspace, &["--reuse", "--vary", "umask,home", "hello"]);
    assert_eq!(run.code, Some(0), "{}\n{}", run.stdout, run.stderr);
    let built: Vec<&str> = run.stderr.lines().filter(|line| line.contains(": built in ")).collect();
    assert_eq!(built.len(), 1, "{}", run.stderr);
    assert!(built[0].starts_with("hello@[arch]: "), "{}", run.stderr);
}

#[test]
fn local_trees_are_checked_as_well_and_those_of_other_packages_are_no_matter() {
    let workspace = Workspace::new();
    workspace.local_tree();
    let over = ["--override", "libword=my-libword", "--vary", "umask"];
    for (package, packages) in [("hello", "2 of 2"), ("greet", "1 of 1")] {
        let run = check(&workspace, &[&over[..], &[package]].concat());
        assert_eq!(run.code, Some(0), "{}\n{}", run.stdout, run.stderr);
        assert!(
            run.stdout.contains(&format!("{packages} packages alike; varied: umask\n")),
            "{}",
            run.stdout
        );
    }
}

#[test]
fn what_is_no_variation_is_refused_with_the_list() {
    let run = check(&Workspace::new(), &["--vary", "clock"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    insta::assert_snapshot!(run.stderr, @"error: `clock` is no variation: there are environment, build_path, user_group, umask, time, timezone, locales, home, exec_path, domain_host, fileordering, num_cpus, aslr, kernel, sandbox, archives, cache, and `all`; `-` before one takes it out");
}

#[test]
fn golden_digests_are_written_held_and_missed() {
    let workspace = Workspace::new();
    let golden = |more: &[&str]| workspace.run("verify", &[&["--golden", "--arch", ARCH], more].concat());
    let run = golden(&[]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("nothing could be compared: build with"), "{}", run.stderr);

    workspace.build_all();
    let tar = format!("dist/k3s-root-{ARCH}.tar");
    let run = golden(&["--update", &tar]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.contains("5 same, 0 different, 0 not built, 0 without a golden digest"),
        "{}",
        run.stdout
    );
    // Reading recipes is not confused by the new file.
    assert_eq!(golden(&[&tar]).code, Some(0));

    workspace.edit("recipes/hello.toml", "cppflags = [", "cppflags = [\"-DOTHER\", ");
    workspace.build_all();
    let run = golden(&[&tar]);
    assert_eq!(run.code, Some(0), "the flag changes nothing: {}", run.stdout);
    workspace.edit("recipes/files/greet/greet.sh", "#!/bin/sh", "#!/bin/sh\n# another line");
    workspace.build_all();
    let run = golden(&[&tar]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("3 same, 2 different"), "{}", run.stdout);
    assert!(run.stderr.contains("2 of the golden digests are not those that were built"), "{}", run.stderr);

    // One under another name would go unnoticed.
    let run = golden(&[&tar, "dist/mine.tar"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    let said = "error: `dist/mine.tar` would not be compared: golden digests are those of \
                k3s-root-[arch].tar, k3s-root-xtables-[arch].tar\n";
    assert_eq!(run.stderr, said);

    // A tarball that nobody else can build has no golden digest.
    fs::write(workspace.path(&format!("dist/k3s-root-{ARCH}.overrides.txt")), "greet\n").unwrap();
    let run = golden(&["--update", &tar]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("is not the whole root from pinned sources"), "{}", run.stderr);
}

#[test]
fn a_build_that_gives_no_tarball_is_not_called_alike() {
    let workspace = Workspace::new();
    workspace.edit("recipes/box.toml", "[build]", "[build]\nldflags = ['-no-pie', '-Wl,-z,norelro']");
    let run = check(&workspace, &["--vary", "umask", "box"]);
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
    assert!(
        run.stderr.contains("error: the first build could not be carried out: see above"),
        "{}",
        run.stderr
    );
    assert!(!run.stdout.contains("alike"), "{}", run.stdout);
}

/// A check in progress, of packages whose second build takes a while: from the moment when that begins.
fn in_its_second_build(workspace: &Workspace, vary: &str) -> (Child, BufReader<ChildStderr>) {
    let words = ["--arch", ARCH, "--offline", "--distfiles", "distfiles", "--vary", vary];
    let mut child =
        workspace.command("check", &words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    let mut second = false;
    while !(second && line.contains(": building")) {
        second |= line.starts_with("second build");
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended before its second build");
    }
    (child, lines)
}

#[test]
fn a_stopped_check_begins_nothing_more() {
    let workspace = scripts::workspace(USUAL);
    insert(&workspace, "seed", "sleep 1");
    let (mut child, mut lines) = in_its_second_build(&workspace, "cache");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest}");
    // Neither the first of the two runs that `cache` makes of the second build came to its end, nor another.
    assert!(!rest.contains(" units: ") && rest.contains("error: stopped"), "{rest}");
    assert_sound(&workspace, "after a stopped check");
}

#[test]
fn a_killed_check_leaves_no_process_and_no_mount() {
    let workspace = scripts::workspace(USUAL);
    insert(&workspace, "seed", "sleep 2");
    let (mut child, _lines) = in_its_second_build(&workspace, "fileordering,umask");
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !traces(&workspace).is_empty() {
        assert!(Instant::now() < deadline, "left: {:#?}", traces(&workspace));
        thread::sleep(Duration::from_millis(20));
    }
}
