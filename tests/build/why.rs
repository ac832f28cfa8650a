//! What `k3sroot why` says before something is built again.

use std::fs;

use super::workspace::{ARCH, Conditions, USUAL, Workspace};

fn built(conditions: Conditions, packages: &[&str]) -> Workspace {
    let workspace = Workspace::under(conditions, "ws");
    let run = workspace.build(packages);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    workspace
}

#[test]
fn every_kind_of_input_is_told_down_to_the_word_and_the_file() {
    let workspace = built(USUAL, &[]);
    insta::assert_snapshot!(workspace.why(&[]), @r"
    box@[arch]: up to date: its outcome of [age] ago is in the store
    greet@[arch]: up to date: its outcome of [age] ago is in the store
    hello@[arch]: up to date: its outcome of [age] ago is in the store
    ");
    // A tool is found by the package's name, too.
    insta::assert_snapshot!(workspace.why(&["codegen", "codegen@build"]), @"codegen@build: up to date: its outcome of [age] ago is in the store");
    for (file, from, to) in [
        ("patches/libword/0001-say-that-it-is-patched.patch", "\" patched\"", "\" mended\""),
        ("recipes/libword.toml", "\"--with-word=hello\"", "\"--with-word=hello\", \"--with-nothing\""),
        ("recipes/files/codegen/codegen.c", "Each line", "Every line"),
        ("recipes/files/hello/words.txt", "zebra", "zebu"),
        ("recipes/hello.toml", "[\"-I/sysroot/usr/include\"]", "[\"-I/sysroot/usr/include\", \"-DNEW\"]"),
        ("recipes/box.toml", "good day", "good morning"),
        ("recipes/greet.toml", "version  = \"1\"", "version  = \"2\""),
    ] {
        workspace.edit(file, from, to);
    }
    insta::assert_snapshot!(workspace.why(&[]), @r#"
    box@[arch]: would be rebuilt; changed since its outcome of [age] ago:
      phase configure, step 2:
        removed GREETING="good day"
        added   GREETING="good morning"
      phase configure, step 4:
        removed GREETING="good day"
        added   GREETING="good morning"
    greet@[arch]: would be rebuilt; changed since its outcome of [age] ago:
      version: 1 -> 2
    hello@[arch]: would be rebuilt; changed since its outcome of [age] ago:
      file words.txt of the source: changed
      env CPPFLAGS:
        added   -DNEW
      tool codegen@build: would be rebuilt
      sysroot libword@[arch]: would be rebuilt
    codegen@build: would be rebuilt; changed since its outcome of [age] ago:
      file codegen.c of the source: changed
    libword@[arch]: would be rebuilt; changed since its outcome of [age] ago:
      patch 0001-say-that-it-is-patched.patch: changed
      phase configure, step 2:
        added   --with-nothing
    "#);
    workspace.local_tree();
    let over = ["libword", "--override", "libword=my-libword"];
    insta::assert_snapshot!(workspace.why(&over), @r"
    libword@[arch]: would be rebuilt; changed since its outcome of [age] ago:
      source: an archive -> a local tree
      phase configure, step 2:
        added   --with-nothing
    ");
}

#[test]
fn a_need_that_was_built_meanwhile_is_said_to_be() {
    let workspace = built(USUAL, &["hello"]);
    let option = "\"--with-word=hello\"";
    workspace.edit("recipes/libword.toml", option, &format!("{option}, \"--with-nothing\""));
    assert_eq!(workspace.build(&["libword"]).code, Some(0));
    insta::assert_snapshot!(workspace.why(&["hello"]), @r"
    hello@[arch]: would not be rebuilt, what goes into it turned out to be the same; changed since its outcome of [age] ago:
      sysroot libword@[arch]: changed, its outcome is in the store
    ");
    workspace.edit("recipes/libword.toml", "--with-word=hello", "--with-word=goodbye");
    assert_eq!(workspace.build(&["libword"]).code, Some(0));
    insta::assert_snapshot!(workspace.why(&["hello"]), @r"
    hello@[arch]: would be rebuilt; changed since its outcome of [age] ago:
      sysroot libword@[arch]: changed, its outcome is in the store
    ");
}

#[test]
fn what_the_cache_never_had_and_what_it_lost() {
    let workspace = Workspace::new();
    insta::assert_snapshot!(workspace.why(&["greet"]), @"greet@[arch]: would be built; it was never built in this cache");
    assert_eq!(workspace.build(&["greet"]).code, Some(0));
    for entry in fs::read_dir(workspace.path("cache/actions")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    insta::assert_snapshot!(workspace.why(&["greet"]), @"greet@[arch]: would be rebuilt; nothing changed since its outcome of [age] ago, but that is no longer in the store");
    // Damage is found, is not an error, and is mended by the next build.
    let path = workspace.path(&format!("cache/descriptions/greet@{ARCH}"));
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    insta::assert_snapshot!(workspace.why(&["greet"]), @"greet@[arch]: would be rebuilt; what its newest outcome was made of is not known: an older k3sroot or another build machine made it, or the record was lost");
    let damaged = workspace.path(&format!("cache/damaged/descriptions.greet@{ARCH}"));
    assert!(!path.exists() && damaged.is_file());
    assert_eq!(workspace.build(&["greet"]).code, Some(0));
    insta::assert_snapshot!(workspace.why(&["greet"]), @"greet@[arch]: up to date: its outcome of [age] ago is in the store");
    assert_eq!(workspace.run("cache", &["verify"]).code, Some(0));
}

#[test]
fn json_has_the_same() {
    let workspace = built(USUAL, &["greet"]);
    workspace.edit("recipes/greet.toml", "version  = \"1\"", "version  = \"2\"");
    let run = workspace.run("why", &["greet", "--json", "--arch", ARCH]);
    let mut answers: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let seconds = answers[0]["described_at"].take();
    assert!(seconds.as_u64().is_some_and(|seconds| seconds > 1_700_000_000), "{seconds}");
    insta::assert_snapshot!(serde_json::to_string_pretty(&answers).unwrap(), @r#"
    [
      {
        "described_at": null,
        "differences": [
          {
            "field": "version",
            "kind": "value",
            "new": "2",
            "old": "1"
          }
        ],
        "last_outcome": "described",
        "unit": "greet@[arch]",
        "verdict": "build"
      }
    ]
    "#);
}

#[test]
fn a_tool_that_knows_real_paths_does_not_do_in_namespaces() {
    let workspace = built(Conditions { sandbox: "none", ..USUAL }, &["hello"]);
    insta::assert_snapshot!(workspace.why(&["codegen"]), @"codegen@build: up to date: its outcome of [age] ago is in the store");
    let plan = |sandbox| {
        let plan = workspace.run("plan", &["hello", "--arch", ARCH, "--sandbox", sandbox]).stdout;
        plan.lines().filter(|line| line.contains(" to build ")).count()
    };
    assert_eq!(plan("none"), 0);
    if super::namespaces() {
        assert_eq!(plan("namespaces"), 1);
        let run = workspace.run("why", &["codegen", "--arch", ARCH, "--sandbox", "namespaces"]);
        assert!(run.stdout.starts_with("codegen@build: would be rebuilt; what its newest"), "{}", run.stdout);
    }
}

#[test]
fn what_is_no_package_is_refused() {
    let workspace = Workspace::new();
    let said = |word: &str| {
        let run = workspace.run("why", &[word, "--arch", ARCH]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        run.stderr
    };
    insta::assert_snapshot!(said("helo"), @"error: there is no package `helo`; did you mean `hello`?");
    insta::assert_snapshot!(said("greet@build"), @"error: `greet@build` is a unit of another machine: name the package, and its arch with `--arch`");
    insta::assert_snapshot!(said("A"), @"error: `A` is not a package name: use lower-case letters, digits, `-`, `_`, `+` and `.`");
}
