//! Builds that fail or are stopped: what is said, what is left, and what is not.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::scripts::traces;
use super::workspace::{ARCH, Count, Workspace};

const MAIN: &str = "recipes/files/hello/main.c";

/// A workspace with tarballs, whose next build of `hello` fails.
fn broken_workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.build_all();
    assert_eq!(workspace.dist_names().len(), 3);
    workspace.edit(MAIN, "return more(argc);", "return more(argc)");
    workspace
}

#[test]
fn a_failed_build_shows_why_and_leaves_the_earlier_root_alone() {
    let workspace = broken_workspace();
    let before = workspace.below("dist");
    let run = workspace.build(&[]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.error().contains("main.c:20:26: error: expected ';' before '}' token\n"), "{}", run.error());
    // What make and the compiler print differs from version to version.
    let own = |line: &&str| !line.contains("─ ") || line.contains("exited");
    let own: Vec<String> = run.error().lines().filter(own).map(str::to_owned).collect();
    insta::assert_snapshot!(own.join("\n"), @r"
    error: hello 3 for [arch] failed
      ├─ `make` exited with status 2 in build
      log: cache/logs/hello@[arch].log

    hint: `k3sroot shell hello --arch [arch]` opens the sandbox at the failed phase
    note: `dist/k3s-root-[arch].tar` is unchanged: it is from an earlier build
    note: `dist/k3s-root-xtables-[arch].tar` is unchanged: it is from an earlier build
    ");
    assert!(workspace.below("dist") == before);

    let log = workspace.run("log", &["hello", "--arch", ARCH]);
    assert_eq!(log.code, Some(0), "{}", log.stderr);
    assert!(log.stdout.starts_with("--- build: make\n"), "{}", log.stdout);
    assert!(log.stdout.contains("error: expected"), "{}", log.stdout);

    workspace.edit(MAIN, "return more(argc)", "return more(argc);");
    assert_eq!(workspace.build_all(), Count { built: 0, cut_off: 0 });
}

#[test]
fn the_shell_opens_where_the_build_stopped() {
    let workspace = broken_workspace();
    workspace.build(&[]);
    let words = ["hello", "--arch", ARCH, "--offline", "--distfiles", "distfiles", "--", "sh", "-c"];
    let shell = |script: &str| workspace.run("shell", &[&words[..], &[script]].concat());

    // The table was made before the compiler failed; the tool and the flags are those of the build.
    let run =
        shell("test -f table.h && test -x \"$CODEGEN\" && echo \"$CPPFLAGS\" | grep -c sysroot && echo $TZ");
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "1\nUTC\n"), "{}", run.stderr);
    insta::assert_snapshot!(run.stderr, @r"
    hello@[arch]: as the build phase left it; it failed at
      cd /src && make
    ");

    assert_eq!(shell("exit 3").code, Some(1));
    // It can be mended there.
    let run = shell(
        "sed -i 's/return more(argc)$/&;/' main.c && make >/dev/null && ./hello | head -n 1 | cut -c 1-5",
    );
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "hello\n"), "{}", run.stderr);
}

#[test]
fn the_shell_of_what_did_not_fail_is_fresh() {
    let workspace = Workspace::new();
    workspace.build_all();
    let words = ["hello", "--arch", ARCH, "--offline", "--distfiles", "distfiles", "--", "sh", "-c", "ls"];
    let run = workspace.run("shell", &words);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), "Makefile\nmain.c\nmore.c\nwords.txt\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn with_keep_going_the_rest_is_built() {
    let workspace = Workspace::new();
    // The library fails first; the box has nothing to do with it.
    workspace.edit("recipes/libword.toml", "ac_cv_word_known = \"yes\"", "ac_cv_word_known = \"no\"");
    let run = workspace.build(&["--keep-going"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @r"
    error: libword 1.2 for [arch] failed
      ├─ `env CONFIG_SITE=/build/config.site /src/configure --prefix=/usr --exec-prefix=/usr --sysco …` exited with status 1 in configure
      ├─ checking for the compiler... gcc
      ╰─ configure: error: the site file was not read
      log: cache/logs/libword@[arch].log

    hint: `k3sroot shell libword --arch [arch]` opens the sandbox at the failed phase
    ");
    assert_eq!(run.count(), Count { built: 3, cut_off: 0 }, "{}", run.stderr);
    assert!(run.stderr.contains("not built because of libword@[arch]: hello@[arch]\n"), "{}", run.stderr);
    assert!(workspace.dist().is_empty(), "a broken build leaves no tarball");
}

#[test]
fn a_source_that_cannot_be_had_leaves_a_part_out_if_that_is_wished() {
    let workspace = Workspace::new();
    let words = workspace.build_words("2", &[]);
    let run = workspace.run("build", &words);
    assert_eq!(run.code, Some(1));
    assert!(!workspace.path("dist").exists());
    insta::assert_snapshot!(run.error(), @r"
    error: libword 1.2 for [arch] failed
      ├─ the source could not be had
      ╰─ no archive of libword 1.2 could be had
           https://words.invalid/libword-1.2.tar.gz
             not tried: `--offline`

    hint: without `--offline` the URLs above are tried
    hint: put the archive (sha256 [digest]) into a folder, under any name, and pass `--distfiles FOLDER`
    hint: `--override libword=FOLDER` builds a local source tree instead
    hint: `--partial` writes tarballs without the packages whose sources are unreachable
    ");
    let partial = [&words[..], &["--partial"]].concat();
    assert_eq!(workspace.run("build", &partial).code, Some(1));
    assert_eq!(workspace.read(&format!("dist/k3s-root-{ARCH}.missing.txt")), "hello\n");
    // `greet.sh` comes from a package of its own.
    assert_eq!(workspace.members(), ["./bin/box", "./bin/fast", "./bin/greet.sh", "./bin/loud"]);

    // Who names packages gets these, which is not an error.
    let named = workspace.run("build", &[&words[..], &["--out", "dist", "box"]].concat());
    assert_eq!(named.code, Some(0), "{}", named.stderr);
    assert_eq!(workspace.members(), ["./bin/box", "./bin/fast", "./bin/loud"]);

    // Once the source is there, so is everything.
    workspace.build_all();
    assert_eq!(workspace.dist_names().len(), 3);
    assert_eq!(workspace.members().len(), 5);

    // And stays, when it is gone again.
    let before = workspace.below("dist");
    workspace.edit("recipes/libword.toml", workspace.digest(), &"0".repeat(64));
    assert_eq!(workspace.run("build", &words).code, Some(1));
    assert!(workspace.below("dist") == before);
}

#[test]
fn bytes_with_another_digest_are_refused() {
    let workspace = Workspace::new();
    let wrong = workspace.path("wrong.tar.gz");
    fs::write(&wrong, "not the archive").unwrap();
    workspace.edit(
        "recipes/libword.toml",
        "https://words.invalid/libword-{version}.tar.gz",
        &format!("file:{}", wrong.display()),
    );
    fs::remove_file(workspace.path("distfiles/any-name")).unwrap();
    let run = workspace.build(&[]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @r"
    error: libword 1.2 for [arch] failed
      ├─ the source could not be had
      ╰─ no archive of libword 1.2 could be had
           file:wrong.tar.gz
             the bytes are not the archive
             expected: sha256:[digest]
             computed: sha256:d8250fce32177cdb504fbe8f4fcf8d2af251c5caec93098b33693066b1462870

    hint: without `--offline` the URLs above are tried
    hint: put the archive (sha256 [digest]) into a folder, under any name, and pass `--distfiles FOLDER`
    hint: `--override libword=FOLDER` builds a local source tree instead
    hint: `--partial` writes tarballs without the packages whose sources are unreachable
    ");
}

#[test]
fn a_symbol_that_does_not_survive_is_an_error() {
    let workspace = Workspace::new();
    workspace.edit("recipes/box.toml", "disable = [\"SLOW\"]", "disable = [\"FAST\"]");
    workspace.edit("recipes/box.toml", "\"FAST\", \"LOUD\"", "\"LOUD\", \"NEW\"");
    let run = workspace.build(&["box"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @r"
    error: box 0.9 for [arch] failed
      ╰─ the configuration does not keep what the recipe asks for: LOUD (asked for y, got n), NEW (asked for y, got n)
      log: cache/logs/box@[arch].log

    hint: a symbol that this version does not have, or that depends on another, cannot be asked for: see [build.config] in `recipes/box.toml`
    ");
}

#[test]
fn a_licence_that_changed_is_an_error() {
    let workspace = Workspace::new();
    workspace.edit(
        "recipes/greet.toml",
        "spdx = \"Apache-2.0\"",
        &format!("spdx = \"MIT\"\nfiles = {{ COPYING = \"{}\" }}", "0".repeat(64)),
    );
    let run = workspace.build(&["greet"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @r"
    error: greet 1 for [arch] failed
      ╰─ licence file `COPYING` is not what the recipe says
         expected: 0000000000000000000000000000000000000000000000000000000000000000
         computed: no such file
      log: cache/logs/greet@[arch].log

    hint: read the new text; if it is acceptable, put its digest under [license] files
    ");
}

#[test]
fn a_patch_that_does_not_fit_is_an_error() {
    let workspace = Workspace::new();
    workspace.edit("patches/libword/0001-say-that-it-is-patched.patch", "unpatched", "quite different");
    let run = workspace.build(&["hello"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @r#"
    error: libword 1.2 for [arch] failed
      ├─ patch `0001-say-that-it-is-patched.patch` does not apply
      ╰─ patch `0001-say-that-it-is-patched.patch`, line 5: hunk 1 does not fit `place.c`; expected around line 3:
             /* All that a compiler likes to leave of where and when it ran. */
             const char *place(void)
             {
             	return __FILE__ " " __DATE__ " " __TIME__ " quite different";
             }
      log: cache/logs/libword@[arch].log
    "#);
}

#[test]
fn a_program_that_is_not_static_is_not_packed() {
    let workspace = Workspace::new();
    workspace.edit(
        "recipes/box.toml",
        "{ CC = \"gcc\" }",
        "{ CC = \"gcc\", LDFLAGS = \"-s -Wl,-z,relro,-z,now\" }",
    );
    let run = workspace.build(&["box"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.error().contains("`./bin/box` of `box` is not static: it asks for the interpreter `/"),
        "{}",
        run.error()
    );
    assert!(workspace.dist().is_empty());
}

/// Whether a process has `word` among its arguments.
fn running(word: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .any(|line| line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes()))
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "still not so: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn stopped_by(signal: Signal, sandbox: &str) {
    let workspace = Workspace::new();
    // An argument that nobody else's sleep has.
    let time = format!("{}.{}{}", 10_000 + std::process::id(), signal as i32, u8::from(sandbox == "none"));
    // One child of a child in a session of its own.
    let step = format!("steps  = [[\"sh\", \"-c\", \"setsid sleep {time} & sleep {time}\"], ");
    workspace.edit("recipes/greet.toml", "steps  = [", &step);
    let words = ["greet", "--arch", ARCH, "--offline", "--sandbox", sandbox];
    let mut child = workspace.command("build", &words).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the build runs", || running(&time));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    let started = Instant::now();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    let status = child.wait().unwrap();
    assert!(started.elapsed() < Duration::from_secs(20), "it took {:?} to stop", started.elapsed());
    assert!(!running(&time), "a process is left");
    assert_eq!(traces(&workspace), [""; 0], "a process or a mount is left");
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("error: stopped"), "{said}");
    // Nothing half-written is left, and the next build works.
    assert_eq!(workspace.run("cache", &["verify"]).code, Some(0));
    assert_eq!(entries(&workspace.path("cache/tmp")), 0);
    assert_eq!(workspace.run("log", &["greet", "--arch", ARCH]).code, Some(0));
    workspace.edit("recipes/greet.toml", &step, "steps  = [");
    assert_eq!(workspace.build(&["greet"]).code, Some(0));
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn ctrl_c_leaves_no_process() {
    stopped_by(Signal::SIGINT, "auto");
}

#[test]
fn ctrl_c_leaves_no_process_without_namespaces() {
    stopped_by(Signal::SIGINT, "none");
}

#[test]
fn a_polite_kill_leaves_no_process() {
    stopped_by(Signal::SIGTERM, "auto");
}
