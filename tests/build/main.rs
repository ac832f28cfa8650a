//! Level 2: k3sroot builds the tiny packages of `tests/fixtures` with the machine's own compiler, for real.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod apart;
mod browser;
mod check;
mod compare;
mod cve;
mod damage;
mod documents;
mod failures;
mod full;
mod input;
mod killed;
mod legal;
mod manual;
mod newest;
mod offline;
mod provenance;
mod report;
mod reuse;
mod rpm;
mod runaway;
mod scripts;
mod shown;
#[path = "../common/skipped.rs"]
mod skipped;
mod together;
mod upkeep;
mod validators;
mod vex;
mod why;
mod workspace;

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use skipped::skipped;
use workspace::{ARCH, Conditions, USUAL, Workspace};

/// Whether this machine gives namespaces; says so if not.
fn namespaces() -> bool {
    let given = Command::new("unshare").args(["-Ur", "true"]).status().is_ok_and(|status| status.success());
    if !given {
        skipped("what takes namespaces", "this machine gives none");
    }
    given
}

/// Everything a build must not notice.
const NOISY: &[(&str, &str)] = &[
    ("LC_ALL", "de_DE.UTF-8"),
    ("LANG", "tr_TR.UTF-8"),
    ("TZ", "Asia/Kathmandu"),
    ("HOME", "/nowhere"),
    ("TMPDIR", "/var/tmp"),
    ("CFLAGS", "-DLEAKED -O3"),
    ("LDFLAGS", "-Lleaked"),
    ("MAKEFLAGS", "-n"),
    ("CPATH", "/nowhere"),
    ("GCC_EXEC_PREFIX", "/nowhere/"),
    ("SOURCE_DATE_EPOCH", "86400"),
    ("CODEGEN", "false"),
    ("CONFIG_SITE", "/nowhere/config.site"),
];

#[test]
fn the_bits_do_not_depend_on_where_and_how_they_are_built() {
    let usual = Workspace::new();
    usual.build_all();
    let names = [
        format!("k3s-root-{ARCH}.tar"),
        format!("k3s-root-xtables-{ARCH}.tar"),
        format!("sha256sum-{ARCH}.txt"),
    ];
    assert_eq!(usual.dist_names(), names);
    assert_eq!(usual.members(), ["./bin/box", "./bin/fast", "./bin/greet.sh", "./bin/hello", "./bin/loud"],);

    let bare = Conditions { sandbox: "none", jobs: 3, umask: "077", env: NOISY };
    let bare = Workspace::under(bare, "another-place@with-a-longer-name+");
    bare.build_all();
    assert!(bare.dist() == usual.dist(), "without namespaces the tarballs differ");

    if namespaces() {
        let apart = Conditions { sandbox: "namespaces", jobs: 1, umask: "002", env: NOISY };
        let apart = Workspace::under(apart, "a place with blanks, 'quotes' and $ ");
        apart.build_all();
        assert!(apart.dist() == usual.dist(), "under other conditions the tarballs differ");
    }
}

#[test]
fn a_cache_whose_path_would_break_builds_is_refused() {
    let workspace = Workspace::under(Conditions { sandbox: "none", ..USUAL }, "with blanks ");
    let run = workspace.build(&[]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr, @r"
    error: without namespaces, makefiles and scripts see the cache's real path, which they would take apart: `cache`
    give `--cache DIR` a path of letters, digits and `/._-+@`
    ");
}

#[test]
fn the_programs_do_what_their_sources_say() {
    let workspace = Workspace::new();
    workspace.build_all();
    insta::assert_snapshot!(workspace.output_of("bin/hello"), @r"
    hello from ./place.c Jan  1 2025 00:00:00 patched
    Apple
    Banana
    apple
    zebra
    ändern
    2025-01-01T00:00:00UTC
    0022
    ");
    assert_eq!(workspace.output_of("bin/greet.sh"), workspace.output_of("bin/hello"));
    assert_eq!(workspace.output_of("bin/loud"), "good day!\n");
}

#[test]
fn two_at_once_share_a_cache() {
    let workspace = Workspace::new();
    let words = workspace.build_words("1", &["--distfiles", "distfiles"]);
    let start =
        |out: &str| workspace.command("build", &[&words[..], &["--out", out]].concat()).spawn().unwrap();
    let (mut one, mut other) = (start("dist"), start("other"));
    assert!(one.wait().unwrap().success() && other.wait().unwrap().success());
    for (name, bytes) in workspace.dist() {
        assert!(fs::read(workspace.path("other").join(&name)).unwrap() == bytes, "{name} differs");
    }
    assert_eq!(workspace.run("cache", &["verify"]).code, Some(0));
}

/// A build of `greet` that runs one command before its own.
fn build_with_step(argv: &[&str]) -> workspace::Run {
    let workspace = Workspace::under(Conditions { sandbox: "namespaces", ..USUAL }, "ws");
    let argv = argv.iter().map(|word| format!("'''{word}'''")).collect::<Vec<_>>().join(", ");
    workspace.edit("recipes/greet.toml", "steps  = [", &format!("steps  = [[{argv}], "));
    workspace.build(&["greet"])
}

#[test]
fn a_build_cannot_read_what_it_did_not_declare() {
    if !namespaces() {
        return;
    }
    let secret = tempfile::NamedTempFile::new().unwrap();
    let path = secret.path().display().to_string();
    let run = build_with_step(&["cat", &path]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("No such file or directory"), "{}", run.stderr);
    // The machine's compiler is there, and so is the build's own source.
    assert_eq!(build_with_step(&["test", "-x", "/usr/bin/gcc", "-a", "-f", "/src/greet.sh"]).code, Some(0));
}

#[test]
fn a_build_cannot_reach_a_network() {
    if !namespaces() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = format!(
        "import socket; socket.create_connection(('127.0.0.1', {}), 5)",
        listener.local_addr().unwrap().port()
    );
    let here = Command::new("python3").args(["-c", &connect]).status().unwrap();
    assert!(here.success(), "the port cannot even be reached from here");
    let run = build_with_step(&["python3", "-c", &connect]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("OSError") || run.stderr.contains("Error"), "{}", run.stderr);
}
