//! What is shown while builds run: in lines, in bars, with the logs, and not at all.

use std::fs::File;
use std::io::Read as _;
use std::process::Output;

use super::workspace::{ARCH, Run, Workspace};

const MAIN: &str = "recipes/files/hello/main.c";

fn build_with(workspace: &Workspace, words: &[&str], env: &[(&str, &str)]) -> Run {
    let words = [&["--distfiles", "distfiles"], words].concat();
    let mut command = workspace.command("build", &workspace.build_words("2", &words));
    workspace.ended(command.envs(env.iter().copied()).output().unwrap())
}

#[test]
fn quiet_speaks_only_of_errors() {
    let workspace = Workspace::new();
    let run = build_with(&workspace, &["--quiet", "--out", "dist"], &[]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), "", ""));
    workspace.edit(MAIN, "return more(argc);", "return more(argc)");
    let run = build_with(&workspace, &["-q"], &[]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.trim_start().starts_with("error: hello 3 for [arch] failed\n"), "{}", run.stderr);
    let both = workspace.run("build", &["-q", "-v"]);
    assert_eq!(both.code, Some(2));
    assert!(both.stderr.contains("cannot be used with"), "{}", both.stderr);
}

#[test]
fn verbose_shows_every_log_as_it_is_written() {
    let workspace = Workspace::new();
    let run = build_with(&workspace, &["-v"], &[("GITHUB_ACTIONS", "true")]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for unit in ["hello", "libword"] {
        let log = workspace.run("log", &[unit, "--arch", ARCH]).stdout;
        let expected: Vec<&str> = log.lines().collect();
        let prefix = format!("{unit}@[arch] | ");
        let shown: Vec<&str> = run.stderr.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        assert!(expected.len() > 1, "{log}");
        assert_eq!(shown, expected);
    }
    assert!(!run.stderr.contains("::group::"), "{}", run.stderr);
}

#[test]
fn ci_folds_the_log_of_every_build() {
    let workspace = Workspace::new();
    let run = build_with(&workspace, &[], &[("GITHUB_ACTIONS", "true")]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let (_, group) = run.stderr.split_once("::group::hello@[arch]: built in ").unwrap();
    let (group, _) = group.split_once("::endgroup::").unwrap();
    assert!(group.contains("\n--- build: make"), "{group}");

    workspace.edit(MAIN, "return more(argc);", "return more(argc)");
    let run = build_with(&workspace, &[], &[("GITLAB_CI", "true")]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("[collapsed=true]\r\x1b[0Khello@[arch]: failed after "), "{}", run.stderr);
}

/// A build whose errors go to a terminal of this kind.
fn on_terminal(workspace: &Workspace, kind: &str) -> Run {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut command = workspace.command("build", &workspace.build_words("2", &["--distfiles", "distfiles"]));
    command.env("TERM", kind).stderr(terminal.slave);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut shown = Vec::new();
    // Linux ends a terminal that nobody writes to any more with an error.
    let _ = File::from(terminal.master).read_to_end(&mut shown);
    let status = child.wait().unwrap();
    workspace.ended(Output { status, stdout: Vec::new(), stderr: shown })
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_has_lines() {
    let run = on_terminal(&Workspace::new(), "dumb");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("hello@[arch]: building"), "{}", run.stderr);
    assert!(!run.stderr.contains('\x1b'), "{}", run.stderr);
}

#[test]
fn a_terminal_has_bars() {
    let workspace = Workspace::new();
    workspace.build_all();
    workspace.edit(MAIN, "return more(argc);", "return more(argc) + 0;");
    let run = on_terminal(&workspace, "xterm");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for wanted in ["hello@[arch]", "0/1 units", "left", "hello@[arch]: built in", "5 units: 1 built"] {
        assert!(run.stderr.contains(wanted), "{wanted}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("hello@[arch]: building"), "{}", run.stderr);
}
