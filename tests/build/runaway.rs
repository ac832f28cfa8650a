//! Builds that go wrong in ways that harm others: what stops them, and what is said.

use std::fs;
use std::os::unix::fs::lchown;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use sandbox::Sandbox;

use super::scripts::{self, assert_sound, build_words, insert, names};
use super::skipped::skipped;
use super::workspace::{ARCH, Conditions, Run, USUAL, Workspace};

/// A workspace in which the build of `three` runs this first.
fn workspace(sandbox: &'static str, command: &str) -> Workspace {
    let workspace = scripts::workspace(Conditions { sandbox, ..USUAL });
    insert(&workspace, "three", command);
    workspace
}

/// The build of `three`, which goes wrong and leaves nothing.
fn wrong(command: &str, more: &[&str]) -> Run {
    let workspace = workspace("auto", command);
    let run = workspace.build(&[&["three"], more].concat());
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_sound(&workspace, command);
    run
}

#[test]
fn one_that_hangs() {
    let started = Instant::now();
    let run = wrong("echo so far; sleep 1000", &["--timeout", "2s"]);
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    insta::assert_snapshot!(run.error(), @r#"
    error: three 1 for [arch] failed
      ├─ `sh -ec echo so far; sleep 1000
      │  mkdir -p /out/usr/bin; maker "$NAME $RESULT" >/out/usr/bin/ …` took longer than 2 seconds in build
      ╰─ so far
      log: cache/logs/three@[arch].log

    hint: `k3sroot shell three --arch [arch]` opens the sandbox at the failed phase
    "#);
}

#[test]
fn one_that_prints_without_end() {
    let run = wrong("yes and so on", &[]);
    let shown = run.error().lines().filter(|line| line.ends_with("─ and so on")).count();
    // The last line is wherever the log was cut.
    assert!(shown >= 11, "{}", run.error());
    assert!(run.error().contains("made the log larger than 64 MiB in build\n"), "{}", run.error());
}

#[test]
fn one_that_leaves_more_than_it_may() {
    // The kernel lets no file become so large, hole or not.
    let run = wrong("mkdir -p /out/usr/bin; truncate -s 1T /out/usr/bin/huge", &[]);
    assert!(run.error().contains("File size limit exceeded"), "{}", run.error());
    let hint = "hint: a file became larger than it may: `--max-output SIZE` allows more\n";
    assert!(run.error().contains(hint), "{}", run.error());
    // Several that it lets pass are not read.
    let many = "mkdir -p /out/usr/bin; for i in 1 2 3 4 5; do truncate -s 3M /out/usr/bin/$i; done";
    let run = wrong(many, &["--max-output", "10M"]);
    let expected =
        "was installed: with it, the build leaves more than the 10485760 bytes that it may leave\n";
    assert!(run.error().contains("╰─ `/out/usr/bin/") && run.error().contains(expected), "{}", run.error());
    assert!(run.error().contains("hint: `--max-output SIZE` allows more\n"), "{}", run.error());
    let workspace = workspace("auto", many);
    assert_eq!(workspace.build(&["three", "--max-output", "20M"]).code, Some(0));
}

/// Makes folders in folders, so many that no path to the last one is short enough to be used.
const DEEP: &str = "python3 -c \"import os; any(os.mkdir('d') or os.chdir('d') for i in range(6000))\"";

#[test]
fn one_whose_folders_are_too_deep_for_any_path() {
    for (command, code) in [(DEEP.to_owned(), 0), (format!("{DEEP}; exit 1"), 1)] {
        let workspace = workspace("auto", &command);
        // A failed one is kept, and then replaced.
        for _ in 0..2 {
            let run = workspace.build(&["three"]);
            assert_eq!(run.code, Some(code), "{}", run.stderr);
        }
        assert_sound(&workspace, &command);
        assert_eq!(workspace.build(&["two"]).code, Some(0), "what was left harms no later build");
        assert_eq!(fs::read_dir(workspace.path("cache/tmp")).unwrap().count(), 0);
        let run = workspace.run("cache", &["gc", "--max-size", "0"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert_eq!(fs::read_dir(workspace.path("cache/failed")).unwrap().count(), 0);
    }
    let run = wrong(&format!("mkdir -p /out/usr/bin; cd /out/usr/bin; {DEEP}"), &[]);
    let expected = "d/d/d/…` was installed: paths of more than 2000 bytes cannot be kept\n";
    assert!(run.error().contains(expected), "{}", run.error());
}

#[test]
fn one_that_writes_its_own_tokens_for_make() {
    let flood = "import os, re; auth = re.search(r'auth=(?:fifo:(\\S+)|(\\d+))', os.environ['MAKEFLAGS']); \
                 fd = int(auth[2]) if auth[2] else os.open(auth[1], os.O_RDWR); os.set_blocking(fd, False); \
                 any(os.write(fd, b'+' * 4096) == 0 for i in range(99))";
    let started = Instant::now();
    let workspace = workspace("auto", &format!("python3 -c \"{flood}\" || true"));
    let run = workspace.build(&[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn what_one_prints_does_nothing_to_the_terminal() {
    let run = wrong("printf '\\033]0;title\\007\\033[2Jsaid\\n'; exit 1", &[]);
    assert!(run.error().contains("─ ]0;title[2Jsaid\n"), "{}", run.error());
}

/// A file that takes a quarter of an hour to read.
const HUGE: &str = "mkdir -p /out/usr/bin; truncate -s 1T /out/usr/bin/huge";

#[test]
fn what_k3sroot_itself_does_counts_towards_the_timeout() {
    let started = Instant::now();
    let run = wrong(HUGE, &["--max-output", "2T", "--timeout", "2s"]);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    let expected = "unpacking its sources, or storing what it installed, took longer than 2 seconds\n";
    assert!(run.error().contains(expected), "{}", run.error());
    assert!(run.error().contains("hint: `--timeout TIME` allows more\n"), "{}", run.error());
}

#[test]
fn what_k3sroot_itself_does_hears_ctrl_c() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let workspace = workspace("auto", HUGE);
        let words = [&build_words("auto")[..], &["three", "--max-output", "2T"]].concat();
        let child = workspace.command("build", &words).stderr(Stdio::piped()).spawn().unwrap();
        let is_there = || {
            let below = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
            let mut folders = below(workspace.path("cache/tmp")).flat_map(|session| below(session.path()));
            folders.any(|folder| folder.path().join("out/usr/bin/huge").exists())
        };
        let started = Instant::now();
        while !is_there() {
            assert!(started.elapsed() < Duration::from_secs(60), "nothing is built");
            thread::sleep(Duration::from_millis(20));
        }
        // By now the command has ended, and the file is being read.
        thread::sleep(Duration::from_millis(1500));
        let started = Instant::now();
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let run = workspace.ended(child.wait_with_output().unwrap());
        assert!(started.elapsed() < Duration::from_secs(5), "{signal}: {:?}", started.elapsed());
        assert!(run.code == Some(1) && run.stderr.contains("error: stopped"), "{}", run.stderr);
        assert_eq!(names(&workspace.path("cache/tmp")), [""; 0]);
        assert_sound(&workspace, "after Ctrl-C");
    }
}

#[test]
fn a_source_that_unpacks_to_more_than_it_may() {
    let workspace = Workspace::new();
    let run = workspace.build(&["--max-source", "1K"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.error().contains("the source could not be unpacked"), "{}", run.error());
    assert!(run.error().contains("hint: `--max-source SIZE` allows more"), "{}", run.error());
    workspace.build_all();
}

#[test]
fn a_line_without_end_is_not_shown_whole() {
    let run = wrong("yes x | head -n 1000000 | tr -d '\\n'; exit 1", &[]);
    let longest = run.error().lines().map(str::len).max().unwrap();
    assert!((400..500).contains(&longest), "{}", run.error());
}

#[test]
fn one_that_eats_memory() {
    let run = wrong("python3 -c 'bytearray(1 << 40)'", &[]);
    let hint = "hint: a process wanted more memory than it may have: `--memory SIZE` allows more\n";
    assert!(run.error().contains("MemoryError\n") && run.error().contains(hint), "{}", run.error());
    let run = wrong("python3 -c 'bytearray(300 << 20)'", &["--memory", "200M"]);
    assert!(run.error().contains("MemoryError\n") && run.error().contains(hint), "{}", run.error());
    // What the kernel does to somebody when the machine has none left.
    insta::assert_snapshot!(wrong("kill -9 $$", &[]).error(), @r#"
    error: three 1 for [arch] failed
      ╰─ `sh -ec kill -9 $$
         mkdir -p /out/usr/bin; maker "$NAME $RESULT" >/out/usr/bin/$NAME; sleep  …` was killed by signal 9 in build
      log: cache/logs/three@[arch].log

    hint: the kernel does that when the machine has no memory left: fewer `--jobs` need less
    hint: `k3sroot shell three --arch [arch]` opens the sandbox at the failed phase
    "#);
}

#[test]
fn one_that_leaves_daemons() {
    for sandbox in ["auto", "none"] {
        let late = "(setsid sh -c 'sleep 1; echo late >>/out/usr/bin/three; sleep 1000' >/dev/null 2>&1 &)";
        let workspace = workspace(sandbox, late);
        let sound = scripts::workspace(USUAL);
        workspace.build_all();
        sound.build_all();
        assert!(workspace.dist() == sound.dist(), "{sandbox}");
        assert_sound(&workspace, sandbox);
    }
}

#[test]
fn one_that_writes_where_it_may_not() {
    if !super::namespaces() {
        return;
    }
    let run = wrong("touch /usr/bin/new", &[]);
    assert!(run.error().contains("Read-only file system"), "{}", run.error());
    let hint = "hint: a build may write only to /src, /build, /out and /tmp\n";
    assert!(run.error().contains(hint), "{}", run.error());
}

#[test]
fn one_that_installs_what_no_package_has() {
    for (command, path, reason) in [
        ("mkfifo /out/usr/bin/pipe", "pipe", "devices, sockets and pipes cannot be kept"),
        // The one device that any user may make.
        ("mknod /out/usr/bin/device c 0 0", "device", "devices, sockets and pipes cannot be kept"),
        (
            "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/out/usr/bin/socket\")'",
            "socket",
            "devices, sockets and pipes cannot be kept",
        ),
    ] {
        let run = wrong(&format!("mkdir -p /out/usr/bin; {command}"), &[]);
        let expected = format!(
            "error: three 1 for [arch] failed\n  ╰─ `/out/usr/bin/{path}` was installed: {reason}\n  \
             log: cache/logs/three@[arch].log\n"
        );
        assert_eq!(run.error().trim_end(), expected.trim_end());
    }
    // Such a mode cannot even be given, or where calls are not filtered, not be kept.
    for mode in ["4755", "2755"] {
        let run = wrong(
            &format!("mkdir -p /out/usr/bin; touch /out/usr/bin/su; chmod {mode} /out/usr/bin/su"),
            &[],
        );
        let refused = if Sandbox::fences().calls {
            "chmod: changing permissions of '/out/usr/bin/su': Operation not permitted"
        } else {
            "`/out/usr/bin/su` was installed: setuid and setgid files cannot be kept"
        };
        assert!(run.error().contains(refused), "{}", run.error());
    }
}

const UNREADABLE: &str = "mkdir -p /out/usr/share/locked /build/locked /src/locked
    echo secret >/out/usr/share/locked/file
    touch /build/locked/file /src/locked/file
    chmod 0 /out/usr/share/locked/file /out/usr/share/locked /build/locked /src/locked";

#[test]
fn one_that_leaves_what_nobody_may_read() {
    let workspace = workspace("auto", UNREADABLE);
    // For root, everything is readable.
    let nobody = nix::unistd::geteuid().is_root();
    let run = |words: &[&str]| {
        let mut command = workspace.command("build", &[&build_words("auto"), words].concat());
        if nobody {
            for entry in walkdir::WalkDir::new(workspace.path("")) {
                lchown(entry.unwrap().path(), Some(65534), Some(65534)).unwrap();
            }
            command.uid(65534).gid(65534);
        }
        workspace.ended(command.output().unwrap())
    };
    let first = run(&["three"]);
    if nobody && first.stderr.contains("Permission denied") && !workspace.path("cache/version").exists() {
        skipped("builds of another user", &first.stderr);
        return;
    }
    assert_eq!((first.code, first.count().built), (Some(0), 2), "{}", first.stderr);
    assert_eq!(names(&workspace.path("cache/tmp")), [""; 0]);
    let blob = base::digest::BlobDigest::of(b"secret\n").to_string();
    assert!(workspace.path(&format!("cache/blobs/{}/{blob}", &blob[..2])).exists());

    // As many failures as one likes, each kept in place of the one before.
    workspace.edit("recipes/three.toml", "chmod 0 /out", "chmod 0 /src/none /out");
    for _ in 0..2 {
        let failed = run(&["three"]);
        assert_eq!(failed.code, Some(1), "{}", failed.stderr);
        assert!(failed.error().contains("exited with status 1 in build\n"), "{}", failed.stderr);
        assert_eq!(names(&workspace.path("cache/failed")), [format!("three@{ARCH}")]);
    }
    assert_sound(&workspace, "after failures");
}

#[test]
fn one_that_leads_k3sroot_out_of_its_folders() {
    for sandbox in ["auto", "none"] {
        let workspace = scripts::workspace(USUAL);
        fs::create_dir_all(workspace.path("victim/bin")).unwrap();
        fs::write(workspace.path("victim/bin/precious"), "mine").unwrap();
        let victim = workspace.path("victim");
        insert(&workspace, "maker", &format!("ln -s {} /out/tools; exit 0", victim.display()));
        let run = workspace.run("build", &[&build_words(sandbox)[..], &["--out", "dist"]].concat());
        assert_eq!(run.code, Some(1), "{sandbox}: {}", run.stderr);
        assert!(
            run.stderr.contains("`/out/tools` is neither a file nor a folder"),
            "{sandbox}: {}",
            run.stderr
        );
        assert_eq!(fs::read_to_string(victim.join("bin/precious")).unwrap(), "mine", "{sandbox}");
        assert_sound(&workspace, sandbox);
    }
}
