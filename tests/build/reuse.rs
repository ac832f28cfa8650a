//! Nothing is built twice, and what changes is built again: the counts of what a build had to do.

use std::fs;

use super::workspace::{ARCH, Count, Workspace};

const NOTHING: Count = Count { built: 0, cut_off: 0 };

fn built_workspace() -> Workspace {
    let workspace = Workspace::new();
    assert_eq!(workspace.build_all(), Count { built: 5, cut_off: 0 });
    workspace
}

#[test]
fn a_second_build_does_nothing_and_writes_the_same_tarballs() {
    let workspace = built_workspace();
    let before = workspace.dist();
    // Not even the source is needed.
    fs::remove_dir_all(workspace.path("distfiles")).unwrap();
    fs::create_dir(workspace.path("distfiles")).unwrap();
    fs::remove_dir_all(workspace.path("dist")).unwrap();
    assert_eq!(workspace.build_all(), NOTHING);
    assert!(workspace.dist() == before);
}

#[test]
fn what_does_not_reach_a_build_builds_nothing() {
    let workspace = built_workspace();
    let plan = || workspace.run("plan", &["--arch", ARCH]).stdout;
    let before = plan();
    workspace.edit("recipes/libword.toml", "name     = ", "# A comment.\nname     = ");
    workspace.edit("recipes/libword.toml", "A static library", "Another summary");
    let mirror = "https://elsewhere.invalid/{version}\", \"https://words.invalid/libword-";
    workspace.edit("recipes/libword.toml", "https://words.invalid/libword-", mirror);
    workspace.edit("recipes/libword.toml", "https://words.invalid/libword/", "https://elsewhere.invalid/");
    workspace.edit("recipes/hello.toml", "Apache-2.0", "MIT");
    // The order of keys and of tables.
    let recipe = workspace.read("recipes/libword.toml");
    let (head, rest) = recipe.split_once("[license]").unwrap();
    let (license, rest) = rest.split_once("[[source]]").unwrap();
    let head: Vec<&str> = head.lines().rev().collect();
    let turned = format!("{}\n[[source]]{rest}\n[license]{license}", head.join("\n"));
    fs::write(workspace.path("recipes/libword.toml"), turned).unwrap();
    assert_eq!(plan(), before);
    assert_eq!(workspace.build_all(), NOTHING);
}

#[test]
fn a_library_that_comes_out_the_same_cuts_off_what_links_it() {
    let workspace = built_workspace();
    workspace.edit(
        "recipes/libword.toml",
        "\"--with-word=hello\"",
        "\"--with-word=hello\", \"--with-nothing\"",
    );
    assert_eq!(workspace.build_all(), Count { built: 1, cut_off: 1 });
    assert_eq!(workspace.build_all(), NOTHING);
}

#[test]
fn what_is_cut_off_needs_no_source() {
    let workspace = Workspace::new();
    // The program gets an archive of its own, and the library comes from a folder.
    let recipe = workspace.read("recipes/libword.toml");
    let archive: Vec<&str> =
        recipe.lines().filter(|line| line.starts_with("urls") || line.starts_with("sha256")).collect();
    let second = format!("local = \"hello\"\n\n[[source]]\ninto = \"more\"\n{}\n", archive.join("\n"));
    workspace.edit("recipes/hello.toml", "local = \"hello\"\n", &second);
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny/sources/libword");
    let over = format!("libword={tree}");
    let build = || workspace.build(&["--override", &over]);
    assert_eq!(build().code, Some(0));

    fs::remove_dir_all(workspace.path("distfiles")).unwrap();
    fs::create_dir(workspace.path("distfiles")).unwrap();
    fs::remove_dir_all(workspace.path("cache/distfiles")).unwrap();
    let option = "\"--with-word=hello\"";
    workspace.edit("recipes/libword.toml", option, &format!("{option}, \"--with-nothing\""));
    let run = build();
    assert_eq!((run.code, run.count()), (Some(0), Count { built: 1, cut_off: 1 }), "{}", run.stderr);
    // Where the library does come out different, the source is missed.
    workspace.edit("recipes/libword.toml", "--with-word=hello", "--with-word=goodbye");
    let run = build();
    assert_eq!((run.code, run.count()), (Some(1), Count { built: 1, cut_off: 0 }), "{}", run.stderr);
    assert!(run.stderr.contains("words.invalid/libword-3.tar.gz"), "{}", run.stderr);
}

#[test]
fn a_library_that_comes_out_different_rebuilds_what_links_it() {
    let workspace = built_workspace();
    workspace.edit("recipes/libword.toml", "--with-word=hello", "--with-word=goodbye");
    assert_eq!(workspace.build_all(), Count { built: 2, cut_off: 0 });
    assert!(workspace.output_of("bin/hello").starts_with("goodbye "), "{}", workspace.output_of("bin/hello"));
    // The way back is in the store.
    workspace.edit("recipes/libword.toml", "--with-word=goodbye", "--with-word=hello");
    assert_eq!(workspace.build_all(), NOTHING);
}

#[test]
fn everything_that_a_build_sees_counts() {
    let workspace = built_workspace();
    for (file, from, to, built) in [
        ("patches/libword/0001-say-that-it-is-patched.patch", "\" patched\"", "\" mended\"", 2),
        ("recipes/files/hello/words.txt", "zebra", "zebu", 1),
        ("recipes/box.toml", "good day", "good morning", 1),
        ("recipes/box.toml", "\"FAST\", \"LOUD\"", "\"FAST\"", 1),
        // What a tool is made from counts, whatever it does.
        ("recipes/files/codegen/codegen.c", "Each line", "Every line", 2),
        ("recipes/codegen.toml", "[exports]", "[exports]  # no difference", 0),
    ] {
        workspace.edit(file, from, to);
        assert_eq!(workspace.build_all(), Count { built, cut_off: 0 }, "{file}: {from} -> {to}");
    }
    assert!(workspace.output_of("bin/hello").contains(" mended\n"));
    assert!(workspace.output_of("bin/hello").contains("zebu\n"));
    assert!(!workspace.members().contains(&"./bin/loud".to_owned()));
    assert_eq!(workspace.output_of("bin/box"), "good morning\n");
}

#[test]
fn a_local_tree_takes_the_place_of_a_source() {
    let workspace = built_workspace();
    workspace.local_tree();
    let run = workspace.build(&["--override", "libword=my-libword"]);
    assert_eq!((run.code, run.count()), (Some(0), Count { built: 2, cut_off: 0 }), "{}", run.stderr);
    // Patches are for the source that the recipe names.
    assert!(workspace.output_of("bin/hello").contains(" unpatched\n"));

    fs::write(workspace.path("my-libword/.git/HEAD"), "still no part of it").unwrap();
    assert_eq!(workspace.build(&["--override", "libword=my-libword"]).count(), NOTHING);
    assert_eq!(workspace.build_all(), NOTHING);
}

#[test]
fn a_comment_in_a_library_rebuilds_it_and_nothing_above_it() {
    let workspace = Workspace::new();
    workspace.local_tree();
    let over = ["--override", "libword=my-libword"];
    let build = || {
        let run = workspace.build(&over);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run
    };
    assert_eq!(build().count(), Count { built: 5, cut_off: 0 });
    // Beside the tarballs lies a note that has the local tree's digest.
    let tarballs = || {
        let files = workspace.dist().into_iter();
        files.filter(|(name, _)| name.contains(".tar")).collect::<Vec<_>>()
    };
    let before = tarballs();

    let word = workspace.read("my-libword/word.c");
    fs::write(workspace.path("my-libword/word.c"), word + "/* A comment. */\n").unwrap();
    insta::assert_snapshot!(workspace.why(&[&["hello"], &over[..]].concat()), @r"
    hello@[arch]: would be rebuilt only if a need comes out different; changed since its outcome of [age] ago:
      sysroot libword@[arch]: would be rebuilt
    libword@[arch]: would be rebuilt; changed since its outcome of [age] ago:
      file word.c of the override: changed
    ");
    let run = build();
    assert_eq!(run.count(), Count { built: 1, cut_off: 1 }, "{}", run.stderr);
    assert!(run.stderr.contains("\nhello@[arch]: needs came out the same, not rebuilt\n"), "{}", run.stderr);
    let summary = "5 units: 1 built, 3 from the store, 1 cut off, 0 not needed, 0 failed, 0 blocked; ";
    assert!(run.stderr.contains(summary), "{}", run.stderr);
    assert!(tarballs() == before);
    insta::assert_snapshot!(workspace.why(&[&["hello", "libword"], &over[..]].concat()), @r"
    hello@[arch]: up to date: its outcome of [age] ago is in the store
    libword@[arch]: up to date: its outcome of [age] ago is in the store
    ");
}

#[test]
fn a_damaged_store_is_found_and_mended() {
    let workspace = built_workspace();
    let before = workspace.dist();
    let blob = walkdir::WalkDir::new(workspace.path("cache/blobs"))
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file() && entry.metadata().unwrap().len() > 100_000)
        .map(walkdir::DirEntry::into_path)
        .next()
        .unwrap();
    let mut bytes = fs::read(&blob).unwrap();
    bytes[1000] ^= 1;
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, bytes).unwrap();
    let verified = workspace.run("cache", &["verify"]);
    assert_eq!(verified.code, Some(1), "{}{}", verified.stdout, verified.stderr);
    assert!(verified.stdout.contains("set aside: cache/damaged/"), "{}", verified.stdout);
    let count = workspace.build_all();
    assert!(count.built > 0, "{count:?}");
    assert!(workspace.dist() == before);
    assert_eq!(workspace.run("cache", &["verify"]).code, Some(0));
}
