//! Wrong input: what is said about it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::workspace::{ARCH, Workspace};

/// What the build of a workspace with one mistake in it says.
fn complaint(mistake: impl Fn(&Workspace)) -> String {
    let workspace = Workspace::new();
    mistake(&workspace);
    let run = workspace.build(&[]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(workspace.dist().is_empty());
    run.stderr
}

#[test]
fn an_unknown_key_is_shown_with_the_known_ones() {
    let said = complaint(|workspace| workspace.edit("recipes/hello.toml", "cppflags", "cpp-flags"));
    insta::assert_snapshot!(said, @r#"
    error: `recipes/hello.toml` cannot be used
      × unknown field `cpp-flags`, expected one of `system`, `cross`, `in-tree`, `subdir`, `autoreconf`, `prepare`, `targets`, `install`, `finish`, `steps`, `configure`, `make`, `cflags`, `cppflags`,
      │ `ldflags`, `libs`, `env`, `cache`, `config`, `arch`, `machine`
        ╭─[recipes/hello.toml:19:1]
     18 │ system   = "make"
     19 │ cpp-flags = ["-I/sysroot/usr/include"]
        · ────┬────
        ·     ╰── here
     20 │ ldflags  = ["-L/sysroot/usr/lib"]
        ╰────
    "#);
}

#[test]
fn a_missing_need_names_the_file_and_what_is_close() {
    let said = complaint(|workspace| workspace.edit("recipes/hello.toml", "[\"libword\"]", "[\"libwords\"]"));
    insta::assert_snapshot!(said, @"error: `recipes/hello.toml` needs `libwords` ([needs] link), which no recipe describes; did you mean `libword`?");
}

#[test]
fn a_cycle_is_shown_as_a_way_round() {
    let said = complaint(|workspace| {
        workspace.edit("recipes/libword.toml", "[needs]", "[needs]\nlink = [\"hello\"]");
    });
    insta::assert_snapshot!(said, @r"
    error: packages need each other: hello@[arch] -> libword@[arch] -> hello@[arch]
    look at [needs] in `recipes/hello.toml`, `recipes/libword.toml`
    ");
}

#[test]
fn a_recipe_under_another_name_is_refused() {
    let said = complaint(|workspace| {
        fs::rename(workspace.path("recipes/box.toml"), workspace.path("recipes/bux.toml")).unwrap();
    });
    insta::assert_snapshot!(said, @r#"
    error: `recipes/bux.toml` cannot be used
      × the name is not the file's
       ╭─[recipes/bux.toml:1:12]
     1 │ name     = "box"
       ·            ──┬──
       ·              ╰── here
     2 │ version  = "0.9"
       ╰────
      help: rename the file to `box.toml` or correct `name`
    "#);
}

#[test]
fn a_patch_that_is_not_there_is_named() {
    let said = complaint(|workspace| fs::remove_dir_all(workspace.path("patches")).unwrap());
    insta::assert_snapshot!(said, @r#"
    error: `recipes/libword.toml` cannot be used
      × cannot read the patch: No such file or directory (os error 2)
        ╭─[recipes/libword.toml:13:12]
     12 │ sha256  = "[digest]"                   # the tests make the archive
     13 │ patches = ["0001-say-that-it-is-patched.patch"]
        ·            ─────────────────┬─────────────────
        ·                             ╰── here
     14 │
        ╰────
      help: patches live in `patches/libword/`
    "#);
}

#[test]
fn a_folder_for_temporary_files_that_does_not_do_is_told_at_once() {
    let workspace = Workspace::new();
    for (folder, why) in
        [("/no/such/folder", "No such file"), ("/dev/null", "Not a directory"), ("/proc", "")]
    {
        for (verb, words) in [("build", workspace.build_words("1", &[])), ("doctor", Vec::new())] {
            let output = workspace.command(verb, &words).env("TMPDIR", folder).output().unwrap();
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert_eq!(output.status.code(), Some(1), "{verb}: {said}");
            let expected = format!("temporary files cannot be made in `{folder}`, which TMPDIR names");
            assert!(said.contains(&expected) && said.contains(why), "{verb}: {said}");
            assert!(!said.contains("g++ libc6-dev"), "{said}");
        }
    }
}

#[test]
fn a_cache_in_which_builds_would_fail_later_is_refused_at_once() {
    let workspace = Workspace::new();
    for (sandbox, length) in [("none", 160), ("namespaces", 3600)] {
        if sandbox == "namespaces" && !super::namespaces() {
            continue;
        }
        let mut cache = workspace.path("c");
        while cache.as_os_str().len() < length {
            cache.push("d".repeat(100));
        }
        let words =
            [&["--cache", cache.to_str().unwrap(), "--sandbox", sandbox], &["--offline"][..]].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_k3sroot"))
            .args(["--recipes".as_ref(), workspace.path("recipes").as_os_str(), "build".as_ref()])
            .args(words)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("give a shorter `--cache DIR`") && !said.contains(": building"), "{said}");
    }
}

#[test]
fn a_file_system_without_execution_is_told_at_once() {
    if !super::namespaces() {
        return;
    }
    // Mounted in namespaces of its own: `none` of k3sroot's are needed for what is looked at.
    let on = |folder: &str, verb: &str, words: &[&str]| {
        let workspace = Workspace::new();
        fs::create_dir(workspace.path(folder)).unwrap();
        let inner = workspace.command(verb, words);
        let mut command = Command::new("unshare");
        command
            .args(["-Urm", "sh", "-c", "mount -t tmpfs -o noexec none \"$0\" && exec \"$@\"", folder])
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir(workspace.path(""));
        if folder != "cache" {
            command.env("TMPDIR", workspace.path(folder));
        }
        workspace.ended(command.output().unwrap())
    };
    for sandbox in ["none", "namespaces"] {
        let run = on("cache", "build", &["--arch", ARCH, "--offline", "--sandbox", sandbox]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(
            run.stderr.contains("mounted `noexec`") && !run.stderr.contains(": building"),
            "{}",
            run.stderr
        );
    }
    let run = on("cache", "doctor", &[]);
    assert!(run.stdout.contains("missing  execution") && !run.stdout.contains("As root"), "{}", run.stdout);
    let run = on("temporary", "doctor", &[]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let words = ["--arch", ARCH, "--offline", "--distfiles", "distfiles", "--out", "dist"];
    let run = on("temporary", "build", &words);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn a_patch_in_another_encoding_is_refused_with_the_way_round() {
    let said = complaint(|workspace| {
        let path = workspace.path("patches/libword/0001-say-that-it-is-patched.patch");
        let text = [fs::read(&path).unwrap(), b"caf\xe9\n".to_vec()].concat();
        fs::write(path, text).unwrap();
    });
    assert!(said.contains("cannot read the patch: invalid utf-8 sequence of 1 bytes from index "), "{said}");
    assert!(said.contains("a command in [build] prepare changes a file of another encoding"), "{said}");
}

#[test]
fn what_the_user_names_is_a_plain_file_or_refused_at_once() {
    let workspace = Workspace::new();
    let pipe = workspace.path("pipe.json");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // An archive of no name that is known: every file is looked at.
    nix::unistd::mkfifo(&workspace.path("distfiles/libword-1.2.tar.gz"), nix::sys::stat::Mode::S_IRWXU)
        .unwrap();
    assert_eq!(workspace.build(&[]).code, Some(0), "a pipe among the distfiles is passed over");

    let built = workspace.path(&format!("dist/k3s-root-{ARCH}.tar")).display().to_string();
    for file in [pipe.to_str().unwrap(), "/dev/zero"] {
        for (verb, words) in [
            ("verify", vec![file]),
            ("verify", vec![built.as_str(), "--provenance", file]),
            ("diff", vec![file, &built]),
            ("diff", vec![&built, file]),
            ("compare", vec![file, &built]),
            ("outdated", vec!["--listing", file]),
            ("build", vec!["--arch", ARCH, "--offline", "--out", "dist", "--sign-key", file]),
        ] {
            let mut command = Command::new("timeout");
            let inner = workspace.command(verb, &words);
            command.arg("60").arg(inner.get_program()).args(inner.get_args());
            command.current_dir(workspace.path("")).env_clear().env("PATH", "/usr/bin:/bin");
            let run = workspace.ended(command.output().unwrap());
            assert!(matches!(run.code, Some(1 | 2)), "{verb} {words:?}: {:?} {}", run.code, run.stderr);
            let said = run.stdout + &run.stderr;
            assert!(said.contains("it is not a plain file"), "{verb} {words:?}: {said}");
        }
    }
}

#[test]
fn what_a_checkout_names_is_a_plain_file_of_its_own() {
    let record = format!("sysroot/{ARCH}.toml");
    let a_patch = "patches/libword/0001-say-that-it-is-patched.patch";
    for file in ["recipes/hello.toml", "recipes/root.toml", a_patch, "recipes/files/hello/main.c", &record] {
        for what in ["a link that leads out", "a pipe", "an endless device"] {
            let (workspace, elsewhere) = (Workspace::new(), tempfile::tempdir().unwrap());
            fs::write(elsewhere.path().join("secret.toml"), "name = \"the secret\"\n").unwrap();
            let path = workspace.path(file);
            fs::remove_file(&path).unwrap();
            match what {
                "a pipe" => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
                "an endless device" => symlink("/dev/zero", &path).unwrap(),
                _ => symlink(elsewhere.path().join("secret.toml"), &path).unwrap(),
            }
            for verb in ["build", "plan", "lint"] {
                let run = match verb {
                    "build" => workspace.build(&[]),
                    verb => workspace.run(verb, &[]),
                };
                assert!(matches!(run.code, Some(1 | 2)), "{verb}, {file} as {what}: {}", run.stderr);
                assert!(!run.stderr.contains("the secret"), "{verb}, {file} as {what}: {}", run.stderr);
            }
            assert!(workspace.dist().is_empty(), "{file} as {what}");
        }
    }
}

#[test]
fn folders_that_recipes_name_are_no_way_out() {
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir(elsewhere.path().join("sub")).unwrap();
    fs::write(elsewhere.path().join("sub/secret"), "secret").unwrap();
    for local in ["out", "out/", "out/sub", "greet/out", "../files/out/sub"] {
        let workspace = Workspace::new();
        for place in ["recipes/files/out", "recipes/files/greet/out"] {
            symlink(elsewhere.path(), workspace.path(place)).unwrap();
        }
        workspace.edit("recipes/greet.toml", "local = \"greet\"", &format!("local = {local:?}"));
        let run = workspace.run("plan", &[]);
        assert_eq!(run.code, Some(1), "{local}: {}\n{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("recipes/greet.toml"), "{local}: {}", run.stderr);
    }
    let workspace = Workspace::new();
    fs::rename(workspace.path("patches/libword"), elsewhere.path().join("patches")).unwrap();
    symlink(elsewhere.path().join("patches"), workspace.path("patches/libword")).unwrap();
    let run = workspace.run("plan", &[]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("leads out of its folder"), "{}", run.stderr);
}

#[test]
fn a_layout_that_asks_for_an_unknown_place_is_refused() {
    let said =
        complaint(|workspace| workspace.edit("recipes/root.toml", "to      = \"bin\"", "to      = \"sbin\""));
    insta::assert_snapshot!(said, @r#"
    error: `recipes/root.toml` cannot be used
      × `sbin` is not a place
        ╭─[recipes/root.toml:25:11]
     24 │ from    = ["bin/box"]
     25 │ to      = "sbin"
        ·           ───┬──
        ·              ╰── here
     26 │
        ╰────
      help: [places] has `bin`, `both`
    "#);
}

#[test]
fn wrong_words_are_refused_with_advice() {
    let workspace = Workspace::new();
    let said = |words: &[&str]| {
        let run = workspace.build(words);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        run.stderr
    };
    insta::assert_snapshot!(said(&["helo"]), @"error: there is no package `helo`; did you mean `hello`?");
    insta::assert_snapshot!(said(&["--override", "hello"]), @"error: `--override hello` has no `=`: write `--override PACKAGE=DIR` or `--override PACKAGE=DIR@VERSION`");
    insta::assert_snapshot!(said(&["--override", "hullo=x"]), @"error: `--override` names `hullo`, which no recipe describes");
    let run = workspace.run("plan", &["--arch", "pdp11"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr.replace("[arch]", ARCH), @"error: no arch is called `pdp11`; known are `amd64`, `arm`, `arm64`, `riscv64`");
    let run = workspace.run("doctor", &["--arch", "pdp11"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.starts_with("error: no arch is called `pdp11`"), "{}", run.stderr);
    let run = workspace.run("build", &["-j", "-1"]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr.lines().next().unwrap(), @"error: invalid value '-1' for '--jobs <N>': -1 is not in 1..=65535");
    let run = workspace.run("log", &["hello", "--arch", ARCH]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr, @"error: there is no log of `hello@[arch]`: it was not built here");
    let run = workspace.run("cache", &["gc", "--max-size", "much"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr, @"error: `much` is not a size: write a number of bytes, or one with K, M, G or T, for example `10G`");
}

#[test]
fn a_folder_that_is_no_checkout_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_k3sroot"))
        .args(["build", "--cache", "cache"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: there is no `recipes/root.toml` in `"), "{said}");
}

#[test]
fn a_compiler_that_is_not_clearly_meant_is_refused() {
    let workspace = Workspace::new();
    let refused = |more: &[&str]| {
        let run = workspace.run("build", &[&["--arch", "amd64,arm64"], more].concat());
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        run.stderr.replace("[arch]", "amd64").lines().next().unwrap().to_owned()
    };
    let host = |prefixes: &[&str]| {
        refused(
            &[
                &["--toolchain", "host"],
                &*prefixes.iter().flat_map(|one| ["--cross-prefix", one]).collect::<Vec<_>>(),
            ]
            .concat(),
        )
    };
    assert_eq!(
        refused(&["--cross-prefix", "arm64=x-"]),
        "error: `--cross-prefix` names a compiler of this machine: add `--toolchain host`"
    );
    assert_eq!(
        host(&["x-"]),
        "error: `--cross-prefix x-` does not say for which arch: write `--cross-prefix amd64=x-`"
    );
    let twice = "error: `--cross-prefix arm64=y-`: arm64 has the prefix `x-` already";
    assert_eq!(host(&["arm64=x-", "arm64=y-"]), twice);
    let other = "error: `--cross-prefix riscv64=y-`: riscv64 is not built; add it to `--arch`";
    assert_eq!(host(&["riscv64=y-"]), other);
    assert!(host(&["amd64=no-such-", "arm64=no-such-"]).contains("looked for `no-such-gcc`"));
}
