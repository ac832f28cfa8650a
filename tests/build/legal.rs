//! The legal pack: what is in it, what it says, and when it is written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::workspace::{ARCH, Run, USUAL, Workspace, pack};

const COPYING: &str = "dist/k3s-root-[arch].legal/licenses/libword/COPYING";

/// The name of a pack's folder, or of something in it.
fn at(path: &str) -> String {
    path.replace("[arch]", ARCH)
}

fn folder() -> String {
    at("dist/k3s-root-[arch].legal")
}

/// Of every file of a pack the inode and the time of its last change.
fn stamps(workspace: &Workspace) -> BTreeMap<String, (u64, i64, i64)> {
    let paths = workspace.below(&folder()).into_keys();
    let stamp = |path: String| {
        let meta = fs::metadata(workspace.path(&folder()).join(&path)).unwrap();
        (path, (meta.ino(), meta.mtime(), meta.mtime_nsec()))
    };
    paths.map(stamp).collect()
}

fn legal(workspace: &Workspace, more: &[&str]) -> Run {
    let usual = ["--arch", ARCH, "--offline", "--distfiles", "distfiles"];
    workspace.run("legal", &[&usual, more].concat())
}

/// The lines of a manifest, by component.
fn rows(workspace: &Workspace) -> BTreeMap<String, Vec<String>> {
    let mut reader = csv::Reader::from_path(workspace.path(&folder()).join("manifest.csv")).unwrap();
    let row = |record: csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    reader.records().map(|record| row(record.unwrap())).map(|row| (row[0].clone(), row)).collect()
}

#[test]
fn a_pack_has_the_sources_patches_texts_and_words_of_all_that_is_in_the_root() {
    let workspace = Workspace::new();
    let script = workspace.path("recipes/files/box/scripts/config.sh");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    let run = workspace.build(&[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let said: Vec<&str> = run.stderr.lines().filter(|line| line.contains(".legal")).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    dist/k3s-root-[arch].legal  written
    note: it lacks what `dist/k3s-root-[arch].legal/manifest.md` names at its end
    ");
    let files = workspace.below(&folder());
    insta::assert_snapshot!(files.keys().cloned().collect::<Vec<_>>().join("\n"), @r"
    OFFER.txt
    files.csv
    licenses/libword/COPYING
    manifest.csv
    manifest.md
    patches/libword/0001-say-that-it-is-patched.patch
    patches/libword/series
    recipes/box.toml
    recipes/greet.toml
    recipes/hello.toml
    recipes/libword.toml
    sources/box/Makefile
    sources/box/box.c
    sources/box/scripts/config.sh
    sources/box/scripts/oldconfig.sh
    sources/greet/greet.sh
    sources/hello/Makefile
    sources/hello/main.c
    sources/hello/more.c
    sources/hello/words.txt
    sources/libword-1.2.tar.gz
    ");
    assert!(files["sources/libword-1.2.tar.gz"] == fs::read(workspace.path("distfiles/any-name")).unwrap());
    for (packed, ours) in [
        (
            "patches/libword/0001-say-that-it-is-patched.patch",
            "patches/libword/0001-say-that-it-is-patched.patch",
        ),
        ("sources/hello/main.c", "recipes/files/hello/main.c"),
        ("recipes/libword.toml", "recipes/libword.toml"),
    ] {
        assert_eq!(String::from_utf8_lossy(&files[packed]), workspace.read(ours), "{packed}");
    }
    assert_eq!(files["patches/libword/series"], b"0001-say-that-it-is-patched.patch\n");
    let text =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny/sources/libword/COPYING"));
    assert!(files["licenses/libword/COPYING"] == text.unwrap());
    let mode =
        |path: &str| fs::metadata(workspace.path(&folder()).join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("sources/box/scripts/config.sh"), 0o755);
    assert_eq!(mode("sources/hello/main.c"), 0o644);
    assert_eq!(mode("sources/libword-1.2.tar.gz"), 0o444, "as the cache has it, whether they share anything");
    assert_eq!((mode(""), mode("sources")), (0o755, 0o755));

    // The list of files is right.
    let mut list = csv::Reader::from_reader(files["files.csv"].as_slice());
    let mut listed = 0;
    for record in list.records() {
        let record = record.unwrap();
        let bytes = &files[&record[0]];
        assert_eq!(
            (record[1].parse().unwrap(), &record[2]),
            (bytes.len(), format!("{:x}", Sha256::digest(bytes)).as_str())
        );
        listed += 1;
    }
    assert_eq!(listed + 4, files.len(), "all but the list, the manifests and the offer");
}

#[test]
fn a_pack_says_what_is_in_it_and_how_to_ask_for_the_rest() {
    let workspace = Workspace::new();
    workspace.build_all();
    let files = workspace.below(&folder());
    let rows = rows(&workspace);
    let columns = |name: &str| rows[name][..10].join(" | ").replace(workspace.digest(), "[digest]");
    insta::assert_snapshot!(columns("libword"), @"libword | 1.2 | Apache-2.0 | linked | sources/libword-1.2.tar.gz |  | sha256:[digest] | https://words.invalid/libword-1.2.tar.gz | patches/libword/0001-say-that-it-is-patched.patch | licenses/libword/COPYING");
    insta::assert_snapshot!(columns("hello"), @"hello | 3 | Apache-2.0 | shipped | sources/hello/ |  |  |  |  |");
    assert_eq!(rows["libword"][10], "hello");
    assert!(!rows.contains_key("codegen"), "it only ran: {rows:?}");
    let text = |path: &str| {
        let mut text = String::from_utf8(files[path].clone()).unwrap().replace(ARCH, "[arch]");
        for (name, bytes) in workspace.dist().into_iter().filter(|(name, _)| name.starts_with("k3s-root-")) {
            text =
                text.replace(&format!("{:x}", Sha256::digest(bytes)), &format!("[sha256 of {}]", &name[..8]));
        }
        text.replace(workspace.digest(), "[digest]")
    };
    insta::assert_snapshot!(text("manifest.md"), @r"
    # Licences and sources of k3s-root-[arch]

    - `k3s-root-[arch].tar`: sha256 `[sha256 of k3s-root]`
    - `k3s-root-xtables-[arch].tar`: sha256 `[sha256 of k3s-root]`

    `shipped`: files of it are in a tarball. `linked`: its code is in programs there. Every archive is as it was
    published; patches are applied in the order in which they are named.

    | component | version | licence | role | source | digest | patches | licence texts | linked into |
    |---|---|---|---|---|---|---|---|---|
    | box | 0.9 | Apache-2.0 | shipped | `sources/box/` |  |  |  |  |
    | greet | 1 | Apache-2.0 | shipped | `sources/greet/` |  |  |  |  |
    | hello | 3 | Apache-2.0 | shipped | `sources/hello/` |  |  |  |  |
    | libword | 1.2 | Apache-2.0 | linked | `sources/libword-1.2.tar.gz`, https://words.invalid/libword-1.2.tar.gz | `sha256:[digest]` | `0001-say-that-it-is-patched.patch` | `COPYING` | hello |

    ## Not in this folder

    - the licence text of box: its recipe names no file
    - the licence text of greet: its recipe names no file
    - the licence text of hello: its recipe names no file
    - who is to be asked for the sources: `--contact` says so in `OFFER.txt`
    ");
    insta::assert_snapshot!(text("OFFER.txt"), @r"
    Source code of the programs in K3s's userspace root for [arch]

    This is about the programs in these files, and in whatever they have become a part of:

        [sha256 of k3s-root]  k3s-root-[arch].tar
        [sha256 of k3s-root]  k3s-root-xtables-[arch].tar

    Some of them, or libraries that are linked into them, come under licences that give everybody who receives them a right
    to their source code: the GNU General Public License, the GNU Lesser General Public License and others. `manifest.md`
    says what comes under which licence; the licences themselves are in `licenses`.

    If this text came to you in its folder, you have the source code. The archives in `sources` are as their authors
    published them; `patches` has what we changed in them, in the order of each `series`; `recipes` says how they were
    built, by the program k3sroot.

    If you received the programs without it, you can have the same from us. For at least three years from the day on which
    we last gave the programs to anybody, whoever asks gets a complete copy that machines can read, on a medium that is
    usual for software or over a network, and pays no more than what it costs us to make and send that copy. Say which of
    the digests above is that of your file.

    Write to:

    [who distributes these programs: put your name and address here]
    ");
}

#[test]
fn a_pack_that_is_there_is_left_alone_and_what_is_wrong_with_it_is_mended() {
    let workspace = Workspace::new();
    workspace.build_all();
    let before = stamps(&workspace);
    assert_eq!(workspace.build_all().built, 0);
    assert_eq!(stamps(&workspace), before);
    let run = legal(&workspace, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(stamps(&workspace), before);
    // Whatever is cut, changed or gone comes back; what is right stays.
    let whole = workspace.below(&folder());
    for (path, is_mended) in [
        ("sources/libword-1.2.tar.gz", true),
        ("licenses/libword/COPYING", true),
        ("patches/libword/series", true),
        ("manifest.md", true),
        ("files.csv", true),
        ("my-notes", false),
    ] {
        let there = workspace.path(&folder()).join(path);
        // Shorter, or as long as before.
        let long = whole.get(path).map(|contents| vec![b'x'; contents.len()]);
        for other in [Some(b"something else".to_vec()), long].into_iter().flatten() {
            let _ = fs::remove_file(&there);
            fs::write(&there, &other).unwrap();
            assert_eq!(legal(&workspace, &[]).code, Some(0));
            assert_eq!(fs::read(&there).unwrap() != other, is_mended, "{path}");
        }
        assert_eq!(stamps(&workspace)["sources/hello/main.c"], before["sources/hello/main.c"], "{path}");
    }
    fs::remove_file(workspace.path(&folder()).join("my-notes")).unwrap();
    assert!(workspace.below(&folder()) == whole);
    // A build looks at texts as closely, and at archives by their sizes: they may be large.
    for (path, is_mended) in [("licenses/libword/COPYING", true), ("sources/libword-1.2.tar.gz", false)] {
        let there = workspace.path(&folder()).join(path);
        let other = vec![b'x'; whole[path].len()];
        fs::remove_file(&there).unwrap();
        fs::write(&there, &other).unwrap();
        workspace.build_all();
        assert_eq!(fs::read(&there).unwrap() != other, is_mended, "{path}");
    }
    assert_eq!(legal(&workspace, &[]).code, Some(0));
    assert!(workspace.below(&folder()) == whole);
    // A list that was changed to lead out of the folder removes nothing there.
    let list = workspace.path(&folder()).join("files.csv");
    let lines = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("{lines}../k3s-root-{ARCH}.tar,1,{}\n", "0".repeat(64))).unwrap();
    assert_eq!(legal(&workspace, &[]).code, Some(0));
    assert_eq!(fs::read_to_string(&list).unwrap(), lines);
    assert!(workspace.path(&format!("dist/k3s-root-{ARCH}.tar")).exists());
    // What another version does not have goes.
    workspace.edit(
        "recipes/libword.toml",
        "patches = [\"0001-say-that-it-is-patched.patch\"]",
        "patches = []",
    );
    workspace.build_all();
    assert!(!workspace.below(&folder()).keys().any(|path| path.starts_with("patches/")));
}

#[test]
fn who_is_to_be_asked_is_said_once_and_stays() {
    let workspace = Workspace::new();
    workspace.build_all();
    let run = legal(&workspace, &["--contact", "Example Ltd\nsource@words.invalid"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!run.stderr.contains("warning: not in `dist/k3s-root-[arch].legal`: who"), "{}", run.stderr);
    let offer = workspace.read(&format!("{}/OFFER.txt", folder()));
    assert!(offer.ends_with("Write to:\n\nExample Ltd\nsource@words.invalid\n"), "{offer}");
    workspace.build_all();
    assert_eq!(workspace.read(&format!("{}/OFFER.txt", folder())), offer);
    // By hand will do as well.
    workspace.edit(&format!("{}/OFFER.txt", folder()), "Example Ltd", "Another Ltd");
    workspace.build_all();
    assert!(workspace.read(&format!("{}/OFFER.txt", folder())).contains("Another Ltd"));
}

#[test]
fn a_licence_text_that_is_not_the_one_of_the_recipe_is_refused() {
    let workspace = Workspace::new();
    workspace.build_all();
    fs::remove_file(workspace.path(&at(COPYING))).unwrap();
    let recipe = workspace.read("recipes/libword.toml");
    let wrong = |from: &str, to: &str| {
        fs::write(workspace.path("recipes/libword.toml"), recipe.replace(from, to)).unwrap();
        let run = legal(&workspace, &[]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        run.error()
    };
    insta::assert_snapshot!(wrong("44788d0e", "00000000"), @r"
    error: licence text `COPYING` of libword is not what the recipe says
    expected: 00000000fad82ad9b3167c333c9fd50a51da745afb8cf23959618b561d7d6d9c
    computed: 44788d0efad82ad9b3167c333c9fd50a51da745afb8cf23959618b561d7d6d9c
    ");
    insta::assert_snapshot!(wrong("\"COPYING\" =", "\"LICENSE\" ="), @r"
    error: licence text `LICENSE` of libword is not what the recipe says
    expected: 44788d0efad82ad9b3167c333c9fd50a51da745afb8cf23959618b561d7d6d9c
    computed: no such file
    ");
    // A build does not stop half-way either: what it leaves is no pack.
    let run = workspace.build(&[]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(!workspace.path(&format!("{}/manifest.csv", folder())).exists());
}

#[test]
fn an_archive_that_is_gone_is_missed_and_a_build_goes_on() {
    let workspace = Workspace::new();
    workspace.build_all();
    fs::remove_dir_all(workspace.path("dist")).unwrap();
    fs::remove_dir_all(workspace.path("cache/distfiles")).unwrap();
    let run = workspace.run("legal", &["--arch", ARCH, "--offline"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr, @r"
    libword 1.2: https://words.invalid/libword-1.2.tar.gz: not tried: `--offline`
    error: no archive of libword 1.2 could be had
      https://words.invalid/libword-1.2.tar.gz
        not tried: `--offline`

    hint: without `--offline` the URLs above are tried
    hint: put the archive (sha256 [digest]) into a folder, under any name, and pass `--distfiles FOLDER`
    hint: `--override libword=FOLDER` builds a local source tree instead
    warning: not in `dist/k3s-root-[arch].legal`: the licence text of box: its recipe names no file
    warning: not in `dist/k3s-root-[arch].legal`: the licence text of greet: its recipe names no file
    warning: not in `dist/k3s-root-[arch].legal`: the licence text of hello: its recipe names no file
    warning: not in `dist/k3s-root-[arch].legal`: `libword-1.2.tar.gz`, the source of libword, and the licence texts in it: it could not be had
    warning: not in `dist/k3s-root-[arch].legal`: who is to be asked for the sources: `--contact` says so in `OFFER.txt`
    dist/k3s-root-[arch].legal  written
    error: a legal pack lacks sources, as its `manifest.md` says: it is not to be handed out
    ");
    let files = workspace.below(&folder());
    assert!(
        !files.keys().any(|path| path.contains("libword-1.2") || path.starts_with("licenses")),
        "{files:?}"
    );
    let manifest = workspace.read(&format!("{}/manifest.md", folder()));
    assert!(manifest.contains("\n- `libword-1.2.tar.gz`, the source of libword, and"), "{manifest}");
    assert_eq!(rows(&workspace)["libword"][4], "");
    // All that a build needs is in the store; it says what is missing, and does not look for it time and again.
    let before = stamps(&workspace);
    let words = workspace.build_words("1", &["--out", "dist"]);
    let run = workspace.run("build", &words);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.contains("warning: not in `dist/k3s-root-[arch].legal`: `libword-1.2.tar.gz`"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("hint: `k3sroot legal`, with the same options, tries again"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("not tried"), "{}", run.stderr);
    assert_eq!(stamps(&workspace), before);
    let run = legal(&workspace, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(rows(&workspace)["libword"][4], "sources/libword-1.2.tar.gz");
}

#[test]
fn what_comes_from_a_local_tree_is_not_told_as_published() {
    let workspace = Workspace::new();
    workspace.build_all();
    workspace.local_tree();
    let run = workspace.build(&["--override", "libword=my-libword"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let run = legal(&workspace, &["--override", "libword=my-libword"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let warning = "the source of libword: a local tree was built in its place; add that yourself";
    assert!(
        run.stderr.contains(&format!("warning: not in `dist/k3s-root-[arch].legal`: {warning}\n")),
        "{}",
        run.stderr
    );
    assert!(workspace.read(&format!("{}/manifest.md", folder())).contains(&format!("- {warning}\n")));
    let text = "licenses/libword/COPYING";
    assert_eq!(rows(&workspace)["libword"][4..10], ["a local tree", "", "", "", "", text]);
    let of_libword = || -> Vec<String> {
        workspace.below(&folder()).into_keys().filter(|path| path.contains("libword")).collect()
    };
    assert_eq!(of_libword(), [text, "recipes/libword.toml"]);

    // The text is the tree's, whatever the recipe's digest says, and a link inside the tree leads to it.
    fs::create_dir(workspace.path("my-libword/terms")).unwrap();
    fs::write(workspace.path("my-libword/terms/MIT"), "other terms").unwrap();
    fs::remove_file(workspace.path("my-libword/COPYING")).unwrap();
    symlink("./terms/../terms/MIT", workspace.path("my-libword/COPYING")).unwrap();
    assert_eq!(workspace.build(&["--override", "libword=my-libword"]).code, Some(0));
    assert_eq!(workspace.read(&format!("{}/{text}", folder())), "other terms");

    // What the tree lacks, or what leads out of it, is named.
    for target in ["../secret", "/etc/passwd", "COPYING", "none"] {
        fs::write(workspace.path("secret"), "not of the tree").unwrap();
        fs::remove_file(workspace.path("my-libword/COPYING")).unwrap();
        symlink(target, workspace.path("my-libword/COPYING")).unwrap();
        assert_eq!(workspace.build(&["--override", "libword=my-libword"]).code, Some(0));
        assert_eq!(of_libword(), ["recipes/libword.toml"], "{target}");
        let lacks = "- the licence text `COPYING` of libword: the local tree has no such file; add its licence yourself\n";
        assert!(workspace.read(&format!("{}/manifest.md", folder())).contains(lacks), "{target}");
    }
}

#[test]
fn packs_are_as_reproducible_as_the_tarballs() {
    let (one, other) = (Workspace::new(), Workspace::under(USUAL, "elsewhere"));
    one.build_all();
    other.build_all();
    assert!(one.below(&folder()) == other.below(&folder()));
    // Another cache, and the verb in place of the build.
    fs::remove_dir_all(other.path("dist")).unwrap();
    let run = legal(&other, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(one.below(&folder()) == other.below(&folder()));
}

#[test]
fn the_archive_in_the_pack_is_the_one_that_was_used() {
    let workspace = Workspace::new();
    workspace.local_tree();
    workspace.second_archive();
    // The build takes the last, which is another name for the same code.
    let run = workspace.build(&["--last-archive-first"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let used = fs::read(workspace.path("distfiles/another-name")).unwrap();
    assert_eq!(rows(&workspace)["libword"][6], format!("sha256:{:x}", Sha256::digest(&used)));
    assert!(workspace.below(&folder())["sources/libword.tar.gz"] == used);
}

#[test]
fn texts_come_out_of_an_archive_within_an_archive() {
    let workspace = Workspace::new();
    let inner = tempfile::tempdir().unwrap();
    fs::copy(workspace.path("distfiles/any-name"), inner.path().join("libword-inner.tar.gz")).unwrap();
    let outer = pack(inner.path(), "outer");
    fs::write(workspace.path("distfiles/outer"), &outer).unwrap();
    workspace.edit("recipes/libword.toml", workspace.digest(), &format!("{:x}", Sha256::digest(&outer)));
    workspace.edit("recipes/libword.toml", "patches = [", "nested = \"libword-*.tar.gz\"\npatches = [");
    workspace.build_all();
    assert_eq!(rows(&workspace)["libword"][5], "libword-*.tar.gz");
    assert!(workspace.path(&at(COPYING)).exists());
}

#[test]
fn a_pack_of_an_earlier_build_is_not_left_beside_what_it_is_not_of() {
    let workspace = Workspace::new();
    let manifest = workspace.path(&format!("{}/manifest.csv", folder()));
    workspace.build_all();
    assert!(manifest.exists());
    let said = "note: `dist/k3s-root-[arch].legal` is without its manifest now";
    let run = workspace.build(&["--no-legal"]);
    assert_eq!((run.code, run.stderr.contains(said)), (Some(0), false), "{}", run.stderr);
    assert!(manifest.exists(), "it is of these tarballs");
    workspace.edit("recipes/files/hello/main.c", "int main", "int other = 1;\nint main");
    let run = workspace.build(&["--no-legal"]);
    assert_eq!((run.code, run.stderr.contains(said)), (Some(0), true), "{}", run.stderr);
    assert!(!manifest.exists(), "there are tarballs, and no pack was made of them");
    let run = workspace.build(&["--no-legal"]);
    assert_eq!((run.code, run.stderr.contains(said)), (Some(0), false), "{}", run.stderr);
    workspace.build_all();
    assert!(manifest.exists());
    workspace.edit("recipes/files/hello/main.c", "int main", "no program");
    let run = workspace.build(&[]);
    assert_eq!((run.code, run.stderr.contains(said)), (Some(1), false), "{}", run.stderr);
    assert!(manifest.exists(), "it is of the earlier build's tarballs, which stay");
    let empty = Workspace::new();
    assert_eq!(empty.build(&["--no-legal"]).code, Some(0));
    assert!(!empty.path(&folder()).exists());
}

#[test]
fn the_pack_of_a_root_is_not_lost_to_that_of_a_package() {
    let workspace = Workspace::new();
    workspace.build_all();
    let before = stamps(&workspace);
    let run = legal(&workspace, &["box"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @"error: with packages named, `--out DIR` says where their pack goes: that of the whole root may be in `dist`");
    let run = legal(&workspace, &["box", "--out", "dist"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @"error: `dist/k3s-root-[arch].tar` is of another root than the one that the pack would be of: `--out` names another folder for it, and `k3sroot build` with the same `--out` writes that root and its pack in its place");
    for file in ["distfiles/any-name", "distfiles/any-name/below"] {
        let run = legal(&workspace, &["--out", file]);
        assert_eq!(run.code, Some(1));
        assert!(
            run.stderr.contains(&format!("error: `{file}` is no folder: `--out` wants one")),
            "{}",
            run.stderr
        );
    }
    let run = legal(&workspace, &["--out", "distfiles/any-name"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @"error: `distfiles/any-name` is no folder: `--out` wants one, which is made if it is not there");
    assert_eq!(stamps(&workspace), before);
    let run = legal(&workspace, &["box", "--out", "of-box"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(workspace.below(&at("of-box/k3s-root-[arch].legal")).contains_key("sources/box/box.c"));
    // Nor that of a package to another's, whose tarballs are elsewhere.
    let run = legal(&workspace, &["greet", "--out", "of-box"]);
    assert_eq!((run.code, run.stderr.contains("is of another root")), (Some(1), true), "{}", run.stderr);
    assert!(workspace.below(&at("of-box/k3s-root-[arch].legal")).contains_key("sources/box/box.c"));
    assert_eq!(stamps(&workspace), before);
    // The cache has another root by now than the one that lies here.
    workspace.edit("recipes/files/hello/main.c", "int main", "int other = 1;\nint main");
    let words = workspace.build_words("2", &["--distfiles", "distfiles", "hello"]);
    assert_eq!(workspace.run("build", &words).code, Some(0));
    let run = legal(&workspace, &[]);
    assert_eq!((run.code, run.stderr.contains("is of another root")), (Some(1), true), "{}", run.stderr);
    assert_eq!(stamps(&workspace), before);
}

#[test]
fn a_text_that_was_read_stays_in_the_cache_and_is_only_believed_if_it_is_right() {
    let workspace = Workspace::new();
    workspace.build_all();
    let kept = || -> Vec<String> {
        let entries = fs::read_dir(workspace.path("cache/distfiles")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("file-")).collect()
    };
    let name = kept().pop().unwrap();
    let text = workspace.read(&at(COPYING));
    let path = workspace.path("cache/distfiles").join(&name);
    let inode = || fs::metadata(&path).unwrap().ino();
    for other in [None, Some("something else")] {
        if let Some(other) = other {
            fs::remove_file(&path).unwrap();
            fs::write(&path, other).unwrap();
        }
        let before = inode();
        fs::remove_dir_all(workspace.path("dist")).unwrap();
        workspace.build_all();
        assert_eq!(workspace.read(&at(COPYING)), text);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(inode() == before, other.is_none(), "it is read from the archive only if it has to be");
        assert_eq!(kept(), [name.as_str()]);
    }
}
