//! Sources without a network: `k3sroot fetch --out` collects, and a build uses nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use walkdir::WalkDir;

use crate::skipped::skipped;
use crate::workspace::{ARCH, Run, Workspace, copy};

/// The name of the one archive in a collected folder.
const ARCHIVE: &str = "libword-1.2.tar.gz";

fn collect(workspace: &Workspace, more: &[&str]) -> Run {
    let usual = ["--arch", ARCH, "--distfiles", "distfiles", "--offline", "--out", "sources"];
    workspace.run("fetch", &[&usual, more].concat())
}

fn names(workspace: &Workspace, folder: &str) -> Vec<String> {
    workspace.files(folder).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_folder_is_collected_with_a_list_of_it_and_what_is_there_stays() {
    let workspace = Workspace::new();
    let run = collect(&workspace, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"libword 1.2                      sources/libword-1.2.tar.gz");
    insta::assert_snapshot!(run.stderr, @"archives in `sources`: 1, 1 new, 1.13 KiB");
    assert_eq!(names(&workspace, "sources"), ["k3sroot.lock", ARCHIVE]);
    let archive = fs::read(workspace.path("distfiles/any-name")).unwrap();
    assert!(fs::read(workspace.path("sources").join(ARCHIVE)).unwrap() == archive);
    let lock = workspace.read("sources/k3sroot.lock").replace(workspace.digest(), "[digest]");
    insta::assert_snapshot!(lock.replace(&archive.len().to_string(), "[size]"), @r#"
    # The archives in this folder, as `k3sroot fetch --out` collected them for `--offline --distfiles`.

    [[archive]]
    name = "libword"
    version = "1.2"
    source = 0
    file = "libword-1.2.tar.gz"
    url = "https://words.invalid/libword-1.2.tar.gz"
    sha256 = "[digest]"
    size = [size]
    "#);

    let before = fs::metadata(workspace.path("sources").join(ARCHIVE)).unwrap().ino();
    fs::write(workspace.path("sources/notes"), "my own").unwrap();
    let run = collect(&workspace, &["--json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @r#"
    [
      {
        "package": "libword",
        "version": "1.2",
        "source": 0,
        "path": "sources/libword-1.2.tar.gz"
      }
    ]
    "#);
    insta::assert_snapshot!(run.stderr, @r"
    note: left alone in `sources`, not needed: notes
    archives in `sources`: 1, 0 new, 1.13 KiB
    ");
    assert_eq!(fs::metadata(workspace.path("sources").join(ARCHIVE)).unwrap().ino(), before);
    assert_eq!(workspace.read("sources/notes"), "my own");

    // A local tree needs no archive.
    workspace.local_tree();
    let run = workspace.run("fetch", &["--override", "libword=my-libword", "--arch", ARCH, "--out", "none"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(names(&workspace, "none"), ["k3sroot.lock"]);
}

#[test]
fn a_file_with_other_bytes_is_not_replaced() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.path("sources")).unwrap();
    fs::write(workspace.path("sources").join(ARCHIVE), "somebody's own").unwrap();
    let run = collect(&workspace, &[]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @r"
    error: nothing was copied: these files have other bytes than the archives of their names; move them away, or collect in another folder
      sources/libword-1.2.tar.gz
    ");
    assert_eq!(names(&workspace, "sources"), [ARCHIVE]);
    assert_eq!(workspace.read(&format!("sources/{ARCHIVE}")), "somebody's own");
}

#[test]
fn what_is_missing_is_named_and_no_list_says_that_all_is_there() {
    let workspace = Workspace::new();
    assert_eq!(collect(&workspace, &[]).code, Some(0));
    workspace.edit("recipes/libword.toml", workspace.digest(), &"0".repeat(64));
    let run = collect(&workspace, &[]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr, @r"
    libword 1.2: https://words.invalid/libword-1.2.tar.gz: not tried: `--offline`
    note: left alone in `sources`, not needed: libword-1.2.tar.gz
    archives in `sources`: 0, 0 new, 0 B
    error: no archive of libword 1.2 could be had
      https://words.invalid/libword-1.2.tar.gz
        not tried: `--offline`

    hint: without `--offline` the URLs above are tried
    hint: put the archive (sha256 0000000000000000000000000000000000000000000000000000000000000000) into a folder, under any name, and pass `--distfiles FOLDER`
    hint: `--override libword=FOLDER` builds a local source tree instead
    error: `sources` lacks 1 of 1 archives, so no `k3sroot.lock` is written: libword 1.2
    ");
    assert_eq!(names(&workspace, "sources"), [ARCHIVE]);
}

#[test]
fn a_build_says_what_a_collected_folder_lacks_and_what_collects_it() {
    let workspace = Workspace::new();
    assert_eq!(collect(&workspace, &[]).code, Some(0));
    let build = || {
        let words = workspace.build_words("1", &["--distfiles", "sources"]);
        let run = workspace.run("build", &words);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        run.stderr
            .lines()
            .filter(|line| {
                line.starts_with("hint: ") && (line.contains("`sources/") || line.contains("--out sources"))
            })
            .fold(String::new(), |text, line| text + line + "\n")
    };
    fs::write(workspace.path("sources").join(ARCHIVE), "cut").unwrap();
    fs::remove_dir_all(workspace.path("cache")).unwrap();
    insta::assert_snapshot!(build(), @r"
    hint: libword 1.2 is missing: `libword-1.2.tar.gz`, which `sources/k3sroot.lock` lists, has other bytes
    hint: where there is a network, `k3sroot fetch --arch [arch] --recipes=recipes --out sources` collects what is missing
    ");
    fs::remove_file(workspace.path("sources").join(ARCHIVE)).unwrap();
    insta::assert_snapshot!(build(), @r"
    hint: libword 1.2 is missing: `libword-1.2.tar.gz`, which `sources/k3sroot.lock` lists, is not there
    hint: where there is a network, `k3sroot fetch --arch [arch] --recipes=recipes --out sources` collects what is missing
    ");
    workspace.edit("sources/k3sroot.lock", workspace.digest(), &"0".repeat(64));
    insta::assert_snapshot!(build(), @r"
    hint: libword 1.2 is missing: `sources/k3sroot.lock` does not list it as the recipe has it
    hint: where there is a network, `k3sroot fetch --arch [arch] --recipes=recipes --out sources` collects what is missing
    ");
    workspace.edit("sources/k3sroot.lock", "sha256", "sha265");
    insta::assert_snapshot!(build(), @r"
    hint: `sources/k3sroot.lock` cannot be used: it is no list of archives: TOML parse error at line 9, column 1
    hint: where there is a network, `k3sroot fetch --arch [arch] --recipes=recipes --out sources` collects what is missing
    ");
}

/// A user other than root, who needs no account.
const NOBODY: u32 = 65534;

/// A checkout with a folder of sources, an environment that spoils whatever it gets into, and no network.
struct Treated {
    folder: TempDir,
    /// Whose processes they are, where that is not the user of this test.
    user: Option<u32>,
}

impl Treated {
    fn new(workspace: &Workspace, user: Option<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let treated = Self { folder, user };
        for part in ["recipes", "patches", "sysroot", "sources"] {
            copy(&workspace.path(part), &treated.path(part));
        }
        fs::copy(env!("CARGO_BIN_EXE_k3sroot"), treated.path("k3sroot")).unwrap();
        fs::create_dir(treated.path("home")).unwrap();
        for (file, text) in POISON {
            let path = treated.path("poison").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        // A locale that nobody has installed; without `localedef` it is none that anything would see.
        let locale = treated.path("poison/locales").join(LOCALE);
        fs::create_dir_all(treated.path("poison/locales")).unwrap();
        let _ = Command::new("localedef").args(["-i", "tr_TR", "-f", "UTF-8"]).arg(locale).output();
        if let Some(user) = user {
            for entry in WalkDir::new(treated.folder.path()) {
                chown(entry.unwrap().path(), Some(user), Some(user)).unwrap();
            }
        }
        treated
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// A command in a network namespace of its own, in which nothing is set up.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        if !is_root() {
            command.args(["--user", "--map-current-user"]);
        }
        command.args(["--net", "--"]);
        if let Some(user) = self.user {
            command.args([
                "setpriv",
                &format!("--reuid={user}"),
                &format!("--regid={user}"),
                "--clear-groups",
                "--",
            ]);
        }
        command.args(["sh", "-c", "umask 077 && exec \"$0\" \"$@\""]).args(words);
        command.current_dir(self.folder.path()).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("HOME", self.path("home"));
        command
    }

    /// Lets the poison in wherever the environment of a build is not made from nothing.
    fn poisoned<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let poison = self.path("poison");
        let at = |file: &str| poison.join(file).display().to_string();
        command.envs([
            ("CFLAGS", "-fno-such-flag"),
            ("CPPFLAGS", "-include /nowhere.h"),
            ("LDFLAGS", "-Wl,--no-such-flag"),
            ("LIBS", "-lnone"),
            ("MAKEFLAGS", "-n"),
            ("LC_ALL", LOCALE),
            ("LANGUAGE", "tr"),
            ("TZ", "Asia/Kathmandu"),
            ("CC", "false"),
            ("AR", "false"),
            ("CODEGEN", "false"),
            ("CDPATH", "/"),
            ("POSIXLY_CORRECT", "1"),
            ("GREP_OPTIONS", "-v"),
            ("PERL5OPT", "-MNone"),
            ("SOURCE_DATE_EPOCH", "1"),
        ]);
        command.envs([
            ("CPATH", at("include")),
            ("C_INCLUDE_PATH", at("include")),
            ("LIBRARY_PATH", at("lib")),
            ("LOCPATH", at("locales")),
            ("LD_LIBRARY_PATH", at("lib")),
            ("LD_RUN_PATH", at("lib")),
            ("PKG_CONFIG_PATH", at("lib")),
            ("PKG_CONFIG_LIBDIR", at("lib")),
            ("PYTHONPATH", at("python")),
            ("MAKEFILES", at("all.mk")),
            ("BASH_ENV", at("start.sh")),
            ("ENV", at("start.sh")),
            ("CONFIG_SITE", at("start.sh")),
        ])
    }

    fn build(&self, sandbox: &str, more: &[&str]) -> Output {
        let usual = [
            "./k3sroot",
            "build",
            "--arch",
            ARCH,
            "--distfiles",
            "sources",
            "--sandbox",
            sandbox,
            "--jobs",
            "2",
        ];
        self.poisoned(&mut self.command(&[&usual, more].concat())).output().unwrap()
    }

    /// Every tarball and the list of their checksums.
    fn dist(&self) -> Vec<(String, Vec<u8>)> {
        let names = [
            format!("k3s-root-{ARCH}.tar"),
            format!("k3s-root-xtables-{ARCH}.tar"),
            format!("sha256sum-{ARCH}.txt"),
        ];
        names
            .into_iter()
            .map(|name| (name.clone(), fs::read(self.path("dist").join(name)).unwrap()))
            .collect()
    }
}

/// One in which numbers have commas, and `i` has a dot when it is large.
const LOCALE: &str = "tr_TR.UTF-8";

/// What a build would use that lets its environment in.
const POISON: [(&str, &str); 7] = [
    ("include/stdio.h", "#error poisoned"),
    ("include/word.h", "#error poisoned"),
    ("lib/libc.so", "no library"),
    ("lib/libmpc.so.3", "no library"),
    ("python/sitecustomize.py", "raise SystemExit('poisoned')"),
    ("all.mk", "$(error poisoned)"),
    ("start.sh", "exit 7"),
];

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The users that builds can run as here.
fn users() -> Vec<Option<u32>> {
    if is_root() {
        vec![None, Some(NOBODY)]
    } else {
        skipped(
            "builds without a network as root and as another user",
            "this is no root that could become others",
        );
        vec![None]
    }
}

/// Whether a command that needs nothing works.
fn works(mut command: Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_collected_folder_is_all_that_a_build_needs() {
    let workspace = Workspace::new();
    assert_eq!(collect(&workspace, &[]).code, Some(0));
    workspace.build_all();
    let usual: Vec<(String, Vec<u8>)> = workspace.dist();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = format!("import socket; socket.create_connection(('127.0.0.1', {port}), 5)");
    for user in users() {
        let treated = Treated::new(&workspace, user);
        if !works(treated.command(&["./k3sroot", "--version"])) {
            skipped(
                &format!("builds without a network as {user:?}"),
                "there is no such namespace or user here",
            );
            continue;
        }
        // The network is there, and not there; the poison works.
        assert!(works({
            let mut here = Command::new("python3");
            here.args(["-c", &connect]);
            here
        }));
        let away = treated.command(&["python3", "-c", &connect]).output().unwrap();
        assert!(
            !away.status.success() && String::from_utf8_lossy(&away.stderr).contains("unreachable"),
            "{away:?}"
        );
        fs::write(treated.path("home/main.c"), "#include <stdio.h>\nint main(void) { return 0; }").unwrap();
        for words in [
            &["gcc", "-o", "/dev/null", "home/main.c"][..],
            &["python3", "-c", ""],
            &["make", "-f", "/dev/null"],
        ] {
            assert!(
                !treated.poisoned(&mut treated.command(words)).output().unwrap().status.success(),
                "{words:?}"
            );
        }
        let half = ["/usr/bin/printf", "%.1f", "0,5"];
        let plain = treated.command(&half).output().unwrap();
        assert!(!plain.status.success(), "{plain:?}");
        let half = treated.poisoned(&mut treated.command(&half)).output().unwrap();
        if treated.path("poison/locales").join(LOCALE).join("LC_NUMERIC").exists() {
            assert!(half.status.success() && half.stdout == b"0,5", "{half:?}");
        } else {
            skipped(&format!("builds in another locale as {user:?}"), "`localedef` makes none here");
        }
        // The packages of the fixture take this machine's compiler whichever is chosen.
        let host: &[&str] = &["--offline", "--toolchain", "host"];
        for (sandbox, more) in [("namespaces", &["--offline"][..]), ("none", &["--offline"]), ("none", host)]
        {
            if sandbox == "namespaces" && !works(treated.command(&["unshare", "-Ur", "true"])) {
                skipped(
                    &format!("builds in namespaces without a network as {user:?}"),
                    "this machine gives none",
                );
                continue;
            }
            let output = treated.build(sandbox, more);
            assert!(
                output.status.success(),
                "{user:?} {sandbox} {more:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            let alike = treated.dist() == usual;
            assert!(alike, "{user:?} {sandbox} {more:?}: the tarballs differ from those of a usual build");
            // Whatever the umask, and whether the cache's files have second names there.
            let legal = treated.path(&format!("dist/k3s-root-{ARCH}.legal"));
            let mode = |path: &str| fs::metadata(legal.join(path)).unwrap().mode() & 0o7777;
            let modes = ["", "sources", "manifest.md", &format!("sources/{ARCHIVE}")].map(mode);
            assert_eq!(modes, [0o755, 0o755, 0o644, 0o444], "{user:?} {sandbox}");
            assert!(treated.path("home/.cache/k3sroot/blobs").is_dir());
            fs::remove_dir_all(treated.path("home/.cache")).unwrap();
            fs::remove_dir_all(treated.path("dist")).unwrap();
        }
        // With an archive less it cannot be built: there is none elsewhere, and no network.
        fs::remove_file(treated.path("sources").join(ARCHIVE)).unwrap();
        for more in [&[][..], &["--offline"]] {
            let output = treated.build("none", more);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("which `sources/k3sroot.lock` lists, is not there"), "{said}");
            assert!(
                said.contains(&format!("`k3sroot fetch --arch {ARCH} --out sources` collects")),
                "{said}"
            );
        }
    }
}

#[test]
fn this_machines_compiler_spares_the_archives_of_another() {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let workspace = Workspace::new();
    let listed = |toolchain: &str| -> BTreeSet<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_k3sroot"));
        command.arg("--recipes").arg(&recipes).arg("--cache").arg(workspace.path("cache"));
        command.args(["fetch", "--list", "--json", "--arch", ARCH, "--toolchain", toolchain]);
        let run = workspace.ended(command.output().unwrap());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let archives: Vec<serde_json::Value> = serde_json::from_str(&run.stdout).unwrap();
        archives.iter().map(|archive| archive["package"].as_str().unwrap().to_owned()).collect()
    };
    let (source, host) = (listed("source"), listed("host"));
    let spared: Vec<&str> = source.difference(&host).map(String::as_str).collect();
    assert_eq!(spared, ["binutils", "gcc", "gmp", "mpc", "mpfr", "musl-headers"]);
    assert!(host.is_subset(&source) && host.contains("musl") && host.contains("busybox"), "{host:?}");

    // It goes on to the folder that is collected, and is told to whoever lacks something of it.
    assert_eq!(collect(&workspace, &["--toolchain", "host"]).code, Some(0));
    fs::remove_file(workspace.path("sources").join(ARCHIVE)).unwrap();
    fs::remove_dir_all(workspace.path("cache")).unwrap();
    let words = workspace.build_words("1", &["--distfiles", "sources", "--toolchain", "host"]);
    let run = workspace.run("build", &words);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let command = "k3sroot fetch --arch [arch] --toolchain host --recipes=recipes --out sources";
    assert!(run.stderr.contains(&format!("`{command}` collects what is missing")), "{}", run.stderr);
}
