//! Components looked up in databases: excerpts of real records of NVD and OSV, and packages with real products' names.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::workspace::{ARCH, Run, Workspace};

/// A checkout whose packages pass for real ones, and the databases in `nvd` and `osv`.
fn checkout() -> Workspace {
    let workspace = Workspace::new();
    for (package, version, real, cpe) in [
        ("box", "0.9", "1.36.1", "busybox:busybox"),
        ("libword", "1.2", "4.8.0", "libslirp_project:libslirp"),
        ("codegen", "1", "10.45", "pcre:pcre2"),
    ] {
        let file = format!("recipes/{package}.toml");
        workspace.edit(&file, &format!("version  = \"{version}\""), &format!("version  = \"{real}\""));
        let product = cpe.split_once(':').unwrap().1;
        let identity = format!("[identity]\ncpe = \"{cpe}\"\npurl = \"pkg:generic/{product}\"\n\n[license]");
        workspace.edit(&file, "[license]", &identity);
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/advisories");
    super::workspace::copy(&fixtures, &workspace.path(""));
    workspace
}

fn cve(workspace: &Workspace, words: &[&str]) -> Run {
    workspace.run("cve", &[&["--arch", ARCH], words].concat())
}

/// Says something of a vulnerability in the recipe of `box`.
fn explain(workspace: &Workspace, id: &str, status: &str) {
    let entry =
        format!("[[cve]]\nid = \"{id}\"\n{status}\nreference = \"https://words.invalid/{id}\"\n\n[needs]");
    workspace.edit("recipes/box.toml", "[needs]", &entry);
}

#[test]
fn what_is_open_is_told_until_recipes_say_what_it_means() {
    let workspace = checkout();
    let run = cve(&workspace, &["--db", "nvd"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stdout, @r"
    component  version  id              severity  state        what
    box        1.36.1   CVE-2023-42366  medium    unexplained  the recipe says nothing of it
    libword    4.8.0    CVE-2026-9539   medium    unexplained  the recipe says nothing of it; not certain: read the advisory
    ");
    insta::assert_snapshot!(run.stderr, @r"
    5 advisories, the newest of 2026-07-16T13:57:44.333; 0 withdrawn, 1 without a product yet; 3 name a component
    note: no advisory names greet, hello
    note: NVD cannot name what has no CPE: greet, hello
    error: 2 open findings of severity low or above, or of unknown severity
    a `[[cve]]` entry in the component's recipe says whether it is fixed, not there, or what to do
    ");

    // A tool counts only if it is asked for; no database says how severe this is.
    let run = cve(&workspace, &["--db", "nvd", "--db", "osv", "--tools", "--fail-on", "critical"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stdout, @r"
    component  version  id              severity  state        what
    box        1.36.1   CVE-2023-42366  medium    unexplained  the recipe says nothing of it
    codegen    10.45    OSV-2025-300    unknown   unexplained  the recipe says nothing of it
    libword    4.8.0    CVE-2026-9539   medium    unexplained  the recipe says nothing of it; not certain: read the advisory
    ");
    insta::assert_snapshot!(run.stderr, @r"
    6 advisories, the newest of 2026-07-16T13:57:44.333; 0 withdrawn, 1 without a product yet; 4 name a component
    note: no advisory names greet, hello
    note: NVD cannot name what has no CPE: greet, hello
    error: 1 open finding of severity critical or above, or of unknown severity
    a `[[cve]]` entry in the component's recipe says whether it is fixed, not there, or what to do
    ");

    // Of what was asked for alone.
    let run = cve(&workspace, &["--db", "nvd", "libword"]);
    assert!(run.stdout.contains("libword") && !run.stdout.contains("box"), "{}", run.stdout);

    // Neither of the findings is high.
    let run = cve(&workspace, &["--db", "nvd", "--fail-on", "high"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);

    explain(&workspace, "CVE-2023-42366", "affected = \"run no patterns of others\"");
    workspace.edit(
        "recipes/libword.toml",
        "[needs]",
        "[[cve]]\nid = \"CVE-2026-9539\"\nnot-affected = \"vulnerable_code_not_present\"\nbecause = \"there is no TCP in it\"\n\
         reference = \"https://words.invalid/9539\"\n\n[needs]",
    );
    let run = cve(&workspace, &["--db", "nvd"]);
    assert_eq!(run.code, Some(1), "what is `affected` stays open");
    insta::assert_snapshot!(run.stdout, @r"
    component  version  id              severity  state      what
    box        1.36.1   CVE-2023-42366  medium    affected   run no patterns of others
    libword    4.8.0    CVE-2026-9539   medium    explained  there is no TCP in it
    ");
    let run = cve(&workspace, &["--db", "nvd", "--accept-affected"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);

    // An advisory that names no product is about what a recipe says it is; what a recipe calls affected is so, whatever
    // the database says of the version.
    explain(&workspace, "CVE-2026-38754", "affected = \"run no scripts of others\"");
    explain(&workspace, "CVE-2022-28391", "affected = \"look up no names\"");
    let run = cve(&workspace, &["--db", "nvd", "--fail-on", "critical"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stdout, @r"
    component  version  id              severity  state      what
    box        1.36.1   CVE-2022-28391  high      affected   look up no names
    box        1.36.1   CVE-2023-42366  medium    affected   run no patterns of others
    box        1.36.1   CVE-2026-38754  unknown   affected   run no scripts of others
    libword    4.8.0    CVE-2026-9539   medium    explained  there is no TCP in it
    ");

    // Nothing that is said of the pinned source is said of a local tree.
    workspace.local_tree();
    let with = |over: &str, more: &[&str]| {
        let words = ["--db", "nvd", "--accept-affected", "--override", over];
        cve(&workspace, &[&words, more].concat())
    };
    let run = with("libword=my-libword@4.8.0", &[]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stdout, @r"
    component  version  id              severity  state        what
    box        1.36.1   CVE-2022-28391  high      affected     look up no names
    box        1.36.1   CVE-2023-42366  medium    affected     run no patterns of others
    box        1.36.1   CVE-2026-38754  unknown   affected     run no scripts of others
    libword    4.8.0    CVE-2026-9539   medium    unexplained  built from a local tree, and recipes speak of pinned sources; not certain: read the advisory
    ");

    // Of a version that nobody knows nothing is said, and that is no good news.
    let run = with("libword=my-libword", &["--fail-on", "critical"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("the version of the local tree is unknown"), "{}", run.stdout);
    assert!(run.stderr.contains("cannot judge libword"), "{}", run.stderr);
    assert!(!run.stdout.contains("CVE-2026-9539"), "{}", run.stdout);
    let run = with("libword=my-libword", &["--json"]);
    let printed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (run.code, &printed["open"], &printed["not_judged"]),
        (Some(1), &json!(0), &json!(["libword"]))
    );
    let library = printed["components"].as_array().unwrap().iter().find(|one| one["package"] == "libword");
    assert_eq!(library.unwrap()["version"], Value::Null);
}

#[test]
fn a_feed_of_changes_takes_the_place_of_what_it_changes() {
    let workspace = checkout();
    let feed = |modified: &str| {
        let record = json!({ "id": "CVE-2023-42366", "lastModified": modified, "vulnStatus": "Rejected" });
        let text = json!({ "vulnerabilities": [{ "cve": record }] }).to_string();
        let file = fs::File::create(workspace.path("nvd/changes.json.gz")).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();
        cve(&workspace, &["--db", "nvd", "--json"])
    };
    let ids = |run: &Run| -> Vec<String> {
        let json: Value = serde_json::from_str(&run.stdout).unwrap();
        let findings = json["findings"].as_array().unwrap();
        findings.iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&feed("2024-12-06T14:15:19.529")), ["CVE-2023-42366", "CVE-2026-9539"]);
    assert_eq!(ids(&feed("2024-12-06T14:15:19.531")), ["CVE-2026-9539"]);
    insta::assert_snapshot!(cve(&workspace, &["--db", "nvd", "--json"]).stdout, @r#"
    {
      "arches": [
        "[arch]"
      ],
      "database": {
        "advisories": 5,
        "withdrawn": 1,
        "without_products": 1,
        "concerning": 2,
        "undecided": 0,
        "of_repositories": 0,
        "newest": "2026-07-16T13:57:44.333"
      },
      "components": [
        {
          "package": "box",
          "version": "1.36.1",
          "named": true
        },
        {
          "package": "greet",
          "version": "1",
          "named": false
        },
        {
          "package": "hello",
          "version": "3",
          "named": false
        },
        {
          "package": "libword",
          "version": "4.8.0",
          "named": true
        }
      ],
      "findings": [
        {
          "package": "libword",
          "version": "4.8.0",
          "id": "CVE-2026-9539",
          "aliases": [],
          "severity": "medium",
          "state": "unexplained",
          "what": "the recipe says nothing of it",
          "uncertain": true,
          "disputed": false
        }
      ],
      "open": 1,
      "not_judged": []
    }
    "#);
}

/// Puts a record of OSV into the folder `db`.
fn advise(workspace: &Workspace, record: &Value) {
    fs::create_dir_all(workspace.path("db")).unwrap();
    let file = format!("db/{}.json", record["id"].as_str().unwrap());
    fs::write(workspace.path(&file), record.to_string()).unwrap();
}

#[test]
fn one_number_of_an_advisory_does_not_explain_another() {
    let workspace = checkout();
    let of_box = json!({ "package": { "purl": "pkg:generic/busybox" }, "versions": ["1.36.1"] });
    advise(
        &workspace,
        // What has a line of its own in a name is none.
        &json!({ "id": "GHSA-r9hj-j2rw-4q3m", "modified": "2024-01-01T00:00:00Z", "affected": [of_box],
                 "aliases": ["CVE-2024-10001", "CVE-2024-10002", "CVE-2024-10003\nbox  1.36.1"] }),
    );
    let not_affected = "not-affected = \"vulnerable_code_not_present\"\nbecause = \"it is not built\"";
    explain(&workspace, "CVE-2024-10001", not_affected);
    let run = cve(&workspace, &["--db", "db"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stdout, @r"
    component  version  id              severity  state        what
    box        1.36.1   CVE-2024-10001  unknown   explained    it is not built
    box        1.36.1   CVE-2024-10002  unknown   unexplained  the recipe says nothing of it
    ");
    let json: Value = serde_json::from_str(&cve(&workspace, &["--db", "db", "--json"]).stdout).unwrap();
    assert_eq!(json["findings"][1]["aliases"], json!(["GHSA-r9hj-j2rw-4q3m"]));

    // What is said of the advisory is said of all that is in it.
    explain(&workspace, "GHSA-r9hj-j2rw-4q3m", not_affected);
    let run = cve(&workspace, &["--db", "db"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

#[test]
fn programs_without_a_package_are_known_by_their_repository() {
    let workspace = checkout();
    let home = "homepage = \"https://words.invalid/box/\"";
    workspace.edit("recipes/box.toml", home, "homepage = \"https://github.com/good/box\"");
    let record = |id: &str, repo: &str, versions: &[&str], end: &str| {
        let range =
            json!({ "type": "GIT", "repo": repo, "events": [{ "introduced": "0" }, { end: "c0ffee" }] });
        let affected = json!([{ "ranges": [range], "versions": versions }]);
        advise(&workspace, &json!({ "id": id, "modified": "2024-01-01T00:00:00Z", "affected": affected }));
    };
    let (own, other) = ("https://github.com/Good/box.git", "https://git.words.invalid/libword");
    record("CVE-2024-10001", own, &["1_36_0", "1_36_1"], "fixed");
    record("CVE-2024-10002", own, &["1_36_0"], "fixed");
    record("CVE-2024-10003", own, &[], "introduced");
    record("CVE-2024-10004", own, &[], "fixed");
    record("CVE-2024-10005", other, &["v4.8.0"], "fixed");
    record("CVE-2024-10006", other, &["v4.8.0"], "fixed");
    let run = cve(&workspace, &["--db", "db"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stdout, @r"
    component  version  id              severity  state        what
    box        1.36.1   CVE-2024-10001  unknown   unexplained  the recipe says nothing of it
    box        1.36.1   CVE-2024-10003  unknown   unexplained  the recipe says nothing of it; not certain: read the advisory
    ");
    insta::assert_snapshot!(run.stderr, @r"
    6 advisories, the newest of 2024-01-01T00:00:00Z; 0 withdrawn, 0 without a product yet; 4 name a component
    note: 1 of these name commits alone, which no version can be compared with
    note: 2 others name a repository only, and none that a recipe tells: they were not compared
    note: no advisory names greet, hello, libword
    note: NVD cannot name what has no CPE: greet, hello
    error: 2 open findings of severity low or above, or of unknown severity
    a `[[cve]]` entry in the component's recipe says whether it is fixed, not there, or what to do
    ");
    // A recipe's entry tells whose it is.
    workspace.edit(
        "recipes/libword.toml",
        "[needs]",
        "[[cve]]\nid = \"CVE-2024-10005\"\naffected = \"say no words\"\n\
         reference = \"https://words.invalid/10005\"\n\n[needs]",
    );
    let run = cve(&workspace, &["--db", "db"]);
    insta::assert_snapshot!(run.stdout, @r"
    component  version  id              severity  state        what
    box        1.36.1   CVE-2024-10001  unknown   unexplained  the recipe says nothing of it
    box        1.36.1   CVE-2024-10003  unknown   unexplained  the recipe says nothing of it; not certain: read the advisory
    libword    4.8.0    CVE-2024-10005  unknown   affected     say no words
    ");
}

#[test]
fn what_is_no_database_is_told() {
    let workspace = checkout();
    fs::create_dir(workspace.path("db")).unwrap();
    let wrong = |name: &str, text: &str| {
        fs::write(workspace.path("db").join(name), text).unwrap();
        let run = cve(&workspace, &["--db", "nvd", "--db", "db"]);
        fs::remove_file(workspace.path("db").join(name)).unwrap();
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert_eq!(run.stdout, "");
        run.stderr
    };
    insta::assert_snapshot!(wrong("readme.txt", "no database"), @"error: `db` has no advisory: it wants files `*.json` or `*.json.gz` of NVD's JSON 2.0 or of OSV");
    insta::assert_snapshot!(wrong("a.json", "{ \"vulnerabilities\": [{]"), @r"
    error: `db/a.json` cannot be read as a JSON object
      ╰─ key must be a string at line 1 column 24
    ");
    insta::assert_snapshot!(wrong("a.json", "{ \"vulnerabilities\": [{ \"cve\": {} }] }"), @r"
    error: `db/a.json` cannot be read as a feed of NVD's JSON 2.0
      ╰─ missing field `id` at line 1 column 33
    ");
    insta::assert_snapshot!(wrong("a.json", "{ \"vulnerabilities\": [] }"), @"error: `db` has no advisory: it wants files `*.json` or `*.json.gz` of NVD's JSON 2.0 or of OSV");
    insta::assert_snapshot!(wrong("a.json", "{ \"CVE_Items\": [] }"), @"error: `db/a.json` is of NVD's JSON 1.1, which nobody keeps up to date: get the feeds of 2.0");
    insta::assert_snapshot!(wrong("a.json", "{ \"name\": \"package\" }"), @"error: `db/a.json` is neither of NVD's JSON 2.0 nor of OSV");
    insta::assert_snapshot!(wrong("a.json", "{ \"id\": \"CVE-2024-10001\\nbox  1.36.1\\u001b[2J\", \"modified\": \"2024\" }"), @r"error: `db/a.json` has an advisory whose identifier is `CVE-2024-10001\nbox  1.36.1\u{1b}[2J`: it wants letters, digits and `-._:+`");
    insta::assert_snapshot!(wrong("a.json", "{ \"vulnerabilities\": [{ \"cve\": { \"id\": \"\" } }] }"), @"error: `db/a.json` has an advisory whose identifier is ``: it wants letters, digits and `-._:+`");
    insta::assert_snapshot!(wrong("a.json", "{ \"id\": \"CVE-2024-10001\", \"modified\": \"\\u001b]0;x\" }"), @r"error: `db/a.json` has an advisory whose time of change is `\u{1b}]0;x`: it wants letters, digits and `-._:+`");
    insta::assert_snapshot!(wrong("a.json", "{ \"vulnerabilities\": [{ \"cve\": { \"id\": \"CVE-2024-10001\", \"configurations\": [{ \"operator\": \"\\u001b[2J\", \"nodes\": [] }] } }] }"), @r"
    error: `db/a.json` cannot be read as a feed of NVD's JSON 2.0
      ╰─ unknown variant `\u{1b}[2J`, expected `AND` or `OR` at line 1 column 101
    ");
    insta::assert_snapshot!(wrong("a.json.gz", "not packed"), @r"
    error: cannot read `db/a.json.gz`
      ╰─ invalid gzip header
    ");
    insta::assert_snapshot!(cve(&workspace, &["--db", "nowhere"]).stderr, @r"
    error: cannot read `nowhere`
      ╰─ No such file or directory (os error 2)
    ");

    // A check that cannot find anything is none.
    let run = cve(&workspace, &["--db", "osv"]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr, @"error: none of the 1 advisories names a component of this root: is it the right database, and do the recipes have the right `[identity]`?");
    workspace.edit("recipes/box.toml", "version  =", "versoin  =");
    assert_eq!(cve(&workspace, &["--db", "nvd"]).code, Some(2));
}
