//! Wrong input: what is said about it.

use std::fs;

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
    insta::assert_snapshot!(said, @"");
}

#[test]
fn a_missing_need_names_the_file_and_what_is_close() {
    let said = complaint(|workspace| workspace.edit("recipes/hello.toml", "[\"libword\"]", "[\"libwords\"]"));
    insta::assert_snapshot!(said, @"");
}

#[test]
fn a_cycle_is_shown_as_a_way_round() {
    let said = complaint(|workspace| {
        workspace.edit("recipes/libword.toml", "[needs]", "[needs]\nlink = [\"hello\"]");
    });
    insta::assert_snapshot!(said, @"");
}

#[test]
fn a_recipe_under_another_name_is_refused() {
    let said = complaint(|workspace| {
        fs::rename(workspace.path("recipes/box.toml"), workspace.path("recipes/bux.toml")).unwrap();
    });
    insta::assert_snapshot!(said, @"");
}

#[test]
fn a_patch_that_is_not_there_is_named() {
    let said = complaint(|workspace| fs::remove_dir_all(workspace.path("patches")).unwrap());
    insta::assert_snapshot!(said, @"");
}

#[test]
fn a_layout_that_asks_for_an_unknown_place_is_refused() {
    let said = complaint(|workspace| workspace.edit("recipes/root.toml", "to      = \"bin\"", "to      = \"sbin\""));
    insta::assert_snapshot!(said, @"");
}

#[test]
fn wrong_words_are_refused_with_advice() {
    let workspace = Workspace::new();
    let said = |words: &[&str]| {
        let run = workspace.build(words);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        run.stderr
    };
    insta::assert_snapshot!(said(&["helo"]), @"");
    insta::assert_snapshot!(said(&["--override", "hello"]), @"");
    insta::assert_snapshot!(said(&["--override", "hullo=x"]), @"");
    let run = workspace.run("plan", &["--arch", "pdp11"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr.replace("[arch]", ARCH), @"");
    let run = workspace.run("log", &["hello", "--arch", ARCH]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr, @"");
    let run = workspace.run("cache", &["gc", "--max-size", "much"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr, @"");
}

#[test]
fn a_folder_that_is_no_checkout_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_k3sroot"))
        .args(["build", "--cache", "cache"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: there is no `recipes/root.toml` in `"), "{said}");
}
