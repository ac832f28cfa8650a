//! Sources without a network: `k3sroot fetch --out` collects, and a build uses nothing else.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::workspace::{ARCH, Run, Workspace};

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
    {
      "libword 1.2": "sources/libword-1.2.tar.gz"
    }
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
            .filter(|line| line.starts_with("hint: ") && line.contains("sources"))
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
