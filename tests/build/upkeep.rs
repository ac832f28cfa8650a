//! New recipes, newer versions, and what could be better: the verbs that look after recipes.

use std::fs;

use super::workspace::{Run, Workspace, pack};

/// A workspace whose `libword` comes from a folder `upstream`, in which there are versions 1.2 and 1.3.
fn upstream() -> Workspace {
    let workspace = Workspace::new();
    workspace.local_tree();
    fs::create_dir(workspace.path("upstream")).unwrap();
    fs::rename(workspace.path("distfiles/any-name"), workspace.path("upstream/libword-1.2.tar.gz")).unwrap();
    workspace.edit("my-libword/COPYING", "own licence", "own terms");
    release(&workspace, "1.3");
    let folder = workspace.path("upstream").display().to_string();
    workspace.edit("recipes/libword.toml", "https://words.invalid/", &format!("file://{folder}/"));
    workspace
}

/// Publishes what is in `my-libword`.
fn release(workspace: &Workspace, version: &str) {
    let name = format!("libword-{version}");
    let archive = pack(&workspace.path("my-libword"), &name);
    fs::write(workspace.path(&format!("upstream/{name}.tar.gz")), archive).unwrap();
}

/// What was printed of a recipe's change, without the digests.
fn changed_lines(run: &Run) -> Vec<String> {
    let hex = |text: &str| text.len() >= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let tidy = |line: &str| {
        line.split('"').map(|part| if hex(part) { "[hex]" } else { part }).collect::<Vec<_>>().join("\"")
    };
    let lines = run.stdout.lines().filter(|line| line.starts_with(['+', '-']));
    lines.map(tidy).filter(|line| !line.starts_with("+++") && !line.starts_with("---")).collect()
}

/// What was said, without what was downloaded.
fn said(run: &Run) -> String {
    run.stderr
        .lines()
        .filter(|line| !line.contains(": downloaded "))
        .map(|line| line.to_owned() + "\n")
        .collect()
}

#[test]
fn a_newer_version_is_found_and_taken_over() {
    let workspace = upstream();
    let run = workspace.run("outdated", &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @r"
    package  version  latest  listed by
    libword  1.2      1.3     file://upstream/libword-1.2.tar.gz
    ");

    let recipe = workspace.read("recipes/libword.toml");
    let run = workspace.run("bump", &["libword", "--dry-run"]);
    assert_eq!(workspace.read("recipes/libword.toml"), recipe);
    let shown = changed_lines(&run);
    let run = workspace.run("bump", &["libword"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(changed_lines(&run), shown);
    insta::assert_snapshot!(shown.join("\n"), @r#"
    -version  = "1.2"
    +version  = "1.3"
    -files = { "COPYING" = "[hex]" }
    +files = { "COPYING" = "[hex]" }
    -sha256  = "[digest]"                   # the tests make the archive
    +sha256  = "[hex]"                   # the tests make the archive
    "#);
    insta::assert_snapshot!(said(&run), @r"
    licence text COPYING:
    --- original
    +++ modified
    @@ -1 +1 @@
    -The fixtures are under k3sroot's own licence.
    +The fixtures are under k3sroot's own terms.
    patch 0001-say-that-it-is-patched.patch: applies
    wrote recipes/libword.toml
    next: compare the digests with what upstream publishes, `k3sroot build --arch [arch] libword`, `make digests`
    error: left to do:
    - the licence text `COPYING` has changed: read it, and whether `spdx` still says what it does
    ");
    // Comments and blanks are where they were.
    assert!(
        workspace.read("recipes/libword.toml").contains("\"                   # the tests make the archive")
    );

    let run = workspace.build(&["libword"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let run = workspace.run("bump", &["libword"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @"error: libword has no later version in file://upstream/libword-1.3.tar.gz");
}

#[test]
fn a_patch_that_no_longer_applies_is_named() {
    let workspace = upstream();
    workspace.edit("my-libword/COPYING", "own terms", "own licence");
    fs::remove_file(workspace.path("my-libword/place.c")).unwrap();
    release(&workspace, "1.4");
    let run = workspace.run("bump", &["libword", "1.4"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    insta::assert_snapshot!(said(&run), @r"
    licence text COPYING: the same
    wrote recipes/libword.toml
    next: compare the digests with what upstream publishes, `k3sroot build --arch [arch] libword`, `make digests`
    error: left to do:
    - patch `0001-say-that-it-is-patched.patch`, line 3: there is no file `place.c` to change
      if upstream has taken it, remove it
    ");
}

#[test]
fn a_version_that_cannot_be_had_changes_nothing() {
    let workspace = upstream();
    let recipe = workspace.read("recipes/libword.toml");
    let files = || fs::read_dir(workspace.path("recipes")).unwrap().count();
    let before = files();
    for (words, expected) in [
        (&["libword", "9"][..], "upstream/libword-9.tar.gz"),
        (&["libword", "1.2"], "error: libword has version 1.2 already"),
        (&["hello"], "error: no listing names a version of hello: give the version"),
        (&["nothing"], "error: there is no package `nothing`"),
        (&["libword", "a b"], "is not a version"),
    ] {
        let run = workspace.run("bump", words);
        assert!(run.code == Some(1) || words[1..] == ["a b"], "{words:?}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{words:?}: {}", run.stderr);
        assert_eq!(workspace.read("recipes/libword.toml"), recipe, "{words:?}");
    }
    assert_eq!(files(), before, "something was left");
}

#[test]
fn what_is_wrong_with_the_urls_of_another_version_is_left_to_do() {
    let workspace = upstream();
    let folder = workspace.path("upstream").display().to_string();
    let (here, series) =
        (format!("\"file://{folder}/libword-{{version}}.tar.gz\""), workspace.path("upstream/1.2"));
    fs::create_dir(&series).unwrap();
    fs::copy(workspace.path("upstream/libword-1.2.tar.gz"), series.join("libword-1.2.tar.gz")).unwrap();
    let more = |name: &str| format!("\"file://{folder}/{name}/libword-{{version}}.tar.gz\", {here}");
    workspace.edit("recipes/libword.toml", &here, &more("1.2"));
    let run = workspace.run("bump", &["libword", "1.3"]);
    assert_eq!(run.code, Some(1));
    assert!(run.error().contains("1.2/libword-1.3.tar.gz` does not give it: cannot use `"), "{}", run.stderr);
    assert!(workspace.read("recipes/libword.toml").contains("version  = \"1.3\""), "the other URL does");

    release(&workspace, "1.4");
    fs::write(workspace.path("my-libword/more"), "more").unwrap();
    fs::write(series.join("libword-1.4.tar.gz"), pack(&workspace.path("my-libword"), "libword-1.4")).unwrap();
    let run = workspace.run("bump", &["libword", "1.4"]);
    assert_eq!(run.code, Some(1));
    assert!(run.error().contains("libword-1.4.tar.gz` gives other bytes than `file:"), "{}", run.stderr);

    // Without a placeholder every version has the same bytes.
    let recipe = workspace.read("recipes/libword.toml").replace("{version}", "1.2");
    fs::write(workspace.path("recipes/libword.toml"), &recipe).unwrap();
    for package in ["libword", "hello"] {
        let run = workspace.run("bump", &[package, "9"]);
        assert_eq!(run.code, Some(1));
        assert!(run.error().contains(&format!("no URL of {package} has `{{version}}`")), "{}", run.stderr);
    }
    assert_eq!(workspace.read("recipes/libword.toml"), recipe);
}

#[test]
fn archives_that_cannot_be_had_stay_unless_they_may_be_left_out() {
    let workspace = upstream();
    let folder = workspace.path("upstream").display().to_string();
    let source = |file: &str, digest: &str| {
        format!("[[source.archive]]\nurls = [\"file://{folder}/{file}\"]\nsha256 = \"{digest}\"\n\n")
    };
    let recipe = workspace.read("recipes/libword.toml");
    let (start, end) = (recipe.find("urls ").unwrap(), recipe.find("patches ").unwrap());
    let archives = [
        source("libword-{version}.tar.gz", workspace.digest()),
        source("libword_{version}.orig.tar.gz", &"1".repeat(64)),
    ];
    workspace.edit("recipes/libword.toml", &recipe[start..end], "");
    workspace.edit("recipes/libword.toml", "[needs]", &(archives.concat() + "[needs]"));
    let recipe = workspace.read("recipes/libword.toml");
    let run = workspace.run("bump", &["libword", "1.3"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @r"
    error: not every archive of libword 1.3 could be had; `--leave-out` takes those out of the recipe that could not
      ╰─ these places were tried
           file://upstream/libword_1.3.orig.tar.gz
             cannot use `upstream/libword_1.3.orig.tar.gz`: No such file or directory (os error 2)
    ");
    assert_eq!(
        workspace.read("recipes/libword.toml"),
        recipe,
        "the first archive was had, and nothing is written"
    );

    let run = workspace.run("bump", &["libword", "1.3", "--leave-out"]);
    assert!(run.stderr.starts_with("libword 1.3: "), "{}", run.stderr);
    let recipe = workspace.read("recipes/libword.toml");
    assert!(recipe.contains("version  = \"1.3\"") && !recipe.contains(".orig"), "{recipe}");
    let run = workspace.build(&["libword"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);

    let none = workspace.run("bump", &["libword", "7", "--leave-out"]);
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("error: not every archive of libword 7 could be had\n"), "{}", none.stderr);
    assert_eq!(workspace.read("recipes/libword.toml"), recipe, "one must stay");

    // The new archive is the old one under another name.
    fs::copy(workspace.path("upstream/libword-1.3.tar.gz"), workspace.path("upstream/libword-1.5.tar.gz"))
        .unwrap();
    let run = workspace.run("bump", &["libword", "1.5"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("has the bytes of the version that the recipe has"), "{}", run.stderr);
    assert_eq!(workspace.read("recipes/libword.toml"), recipe);
}

#[test]
fn versions_may_come_from_a_file() {
    let workspace = Workspace::new();
    fs::write(workspace.path("versions"), "# ours\nlibword 1.10\nother 3 # unknown\n\n").unwrap();
    let run = workspace.run("outdated", &["--listing", "versions", "--json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @r#"
    [
      {
        "package": "libword",
        "version": "1.2",
        "latest": "1.10",
        "outdated": true,
        "held": null,
        "listing": "versions",
        "series": null
      }
    ]
    "#);
    assert_eq!(run.stderr, "warning: no recipe describes what versions also names: other\n");
    for (line, shown) in [("libword v1.2", "current"), ("libword 1.1", "1.1, older"), ("other 3", "unknown")]
    {
        fs::write(workspace.path("versions"), line).unwrap();
        let run = workspace.run("outdated", &["--listing", "versions"]);
        assert_eq!(run.code, Some(i32::from(shown == "unknown")), "{line}: {}", run.stderr);
        assert!(run.stdout.contains(shown), "{line}: {}", run.stdout);
    }
    fs::write(workspace.path("versions"), "libword 1.10\nlibword new\n").unwrap();
    let run = workspace.run("outdated", &["--listing", "versions"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @"error: `versions`, line 2: write a package's name, a blank and a version");
}

#[test]
fn what_is_held_back_says_why_until_it_is_bumped() {
    let workspace = upstream();
    let held = "[held]\nnewest  = \"1.3\"\nbecause = \"nobody here can say it\"\n\n";
    workspace.edit("recipes/libword.toml", "[[source]]", &format!("{held}[[source]]"));
    let shown = |listing: &str| {
        fs::write(workspace.path("newest.toml"), listing).unwrap();
        let run = workspace.run("outdated", &["libword", "--listing", "newest.toml"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    insta::assert_snapshot!(shown("libword = { version = \"1.3\", seen = 2026-12-01 }\n"), @r"
    package  version  latest     listed by
    libword  1.2      1.3, held  newest.toml

    held back, as their recipes say:
      libword, from 1.3: nobody here can say it
    ");
    // The listing does not know the newest one, or knows a newer one than the reason is about.
    assert!(shown("libword = { version = \"1.2\", seen = 2026-12-01 }\n").contains("1.2      1.3, held"));
    assert!(
        shown("libword = { version = \"1.4\", seen = 2026-12-01 }\n").contains("1.2      1.4     newest")
    );
    fs::write(workspace.path("newest.toml"), "libword = \"1.3\"\n").unwrap();
    let run = workspace.run("outdated", &["libword", "--listing", "newest.toml"]);
    assert_eq!(run.code, Some(1));
    assert!(run.error().contains("cannot use `newest.toml`"), "{}", run.stderr);

    release(&workspace, "1.2.5");
    workspace.run("bump", &["libword", "1.2.5"]);
    assert!(workspace.read("recipes/libword.toml").contains(held), "it has not come so far");
    workspace.run("bump", &["libword", "1.3"]);
    let recipe = workspace.read("recipes/libword.toml");
    assert!(recipe.contains("version  = \"1.3\"") && !recipe.contains("held"), "{recipe}");
}

#[test]
fn a_new_recipe_is_clean_and_builds() {
    let workspace = upstream();
    let url = format!("file://{}", workspace.path("upstream/libword-1.2.tar.gz").display());
    let new = |more: &[&str]| workspace.run("new", &[&["word", "--url", url.as_str()], more].concat());
    let run = new(&["--homepage", "https://words.invalid/", "--summary", "A word"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let text = workspace.read("recipes/word.toml");
    let shown =
        text.replace(&url, "file://upstream/libword-1.2.tar.gz").replace(workspace.digest(), "[digest]");
    let shown = shown.replace(&workspace.path("upstream").display().to_string(), "upstream");
    assert_eq!(run.stdout, shown);
    // It breaks only the rule that is about the place that the test has it from.
    let run = workspace.run("lint", &["word", "--allow", "file-url"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    workspace.edit(
        "recipes/word.toml",
        "[build]",
        "[needs]\ntoolchain = \"none\"\n\n[build]\nconfigure = [\"--with-word=hello\"]\ncache = { ac_cv_word_known = \"yes\" }\nenv = { CC = \"gcc\", AR = \"ar\" }",
    );
    let run = workspace.build(&["word"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);

    let run = new(&["--homepage", "https://words.invalid/"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.error(), @"error: there is a recipe already: `recipes/word.toml`");
}

#[test]
fn what_a_new_recipe_cannot_know_is_asked_for() {
    let workspace = upstream();
    let url = |file: &str| format!("file://{}", workspace.path("upstream").join(file).display());
    fs::rename(workspace.path("upstream/libword-1.2.tar.gz"), workspace.path("upstream/libword.tar.gz"))
        .unwrap();
    let home = "--homepage=https://words.invalid/";
    for (words, expected) in [
        (vec!["--url", "ftp://x.invalid/x-1.tar.gz", home], "unknown scheme `ftp:`"),
        (vec!["--url", &url("libword.tar.gz"), home], "give `--version`"),
        (vec!["--url", &url("libword-1.3.tar.gz")], "give `--homepage`"),
        (vec!["--url", &url("libword-1.3.tar.gz"), home], "which licence is `COPYING`? read it"),
        (vec!["--url", &url("libword-7.tar.gz"), home], "libword-7.tar.gz"),
        (
            vec!["--url", &url("libword-1.3.tar.gz"), home, "--license", "Foo Bar"],
            "`Foo Bar` is no SPDX expression",
        ),
        (vec!["--url", &url("libword-1.3.tar.gz"), "--homepage=http://x.invalid/"], "is no https URL"),
        (vec!["--url", &url("libword-1.3.tar.gz"), home, "--summary", "A word."], "ends with a full stop"),
    ] {
        let run = workspace.run("new", &[&["word"], &words[..]].concat());
        assert_eq!(run.code, Some(1), "{words:?}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{words:?}: {}", run.stderr);
        assert!(!workspace.path("recipes/word.toml").exists(), "{words:?}");
    }
}

#[test]
fn lint_shows_the_place_and_the_rule() {
    let workspace = Workspace::new();
    workspace.edit("recipes/libword.toml", "Apache-2.0", "Apache 2");
    fs::write(workspace.path("patches/libword/0002-forgotten.patch"), "").unwrap();
    let run = workspace.run("lint", &["libword", "--allow", "identity"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @r#"
      × nothing says why the patch is needed [patch-header]
       ╭─[patches/libword/0001-say-that-it-is-patched.patch:1:1]
     1 │ The mark that the tests look for.
       · ────────────────┬────────────────
       ·                 ╰── here
     2 │
       ╰────
    patches/libword/0002-forgotten.patch: `recipes/libword.toml` does not list it [stray]
      × `Apache 2` is no SPDX expression: unknown term [license-expression]
       ╭─[recipes/libword.toml:7:9]
     6 │ [license]
     7 │ spdx  = "Apache 2"
       ·         ─────┬────
       ·              ╰── here
     8 │ files = { "COPYING" = "44788d0efad82ad9b3167c333c9fd50a51da745afb8cf23959618b561d7d6d9c" }
       ╰────
    "#);
    insta::assert_snapshot!(run.stderr, @"error: 3 findings; `k3sroot lint --rules` says why there are the rules");
    let run = workspace.run("lint", &["--allow", "everything"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("`everything` is no rule: `k3sroot lint --rules` prints them"),
        "{}",
        run.stderr
    );
}

#[test]
fn nobody_listening_is_no_reason_to_fail() {
    let workspace = Workspace::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = workspace.command("bump", &["nothing"]);
    assert_eq!(command.stderr(full).status().unwrap().code(), Some(1), "101 is a panic");
}
