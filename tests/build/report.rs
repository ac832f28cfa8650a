//! The page of a run, and pictures of the graph.

use std::fs;

use super::workspace::{ARCH, Workspace};

const MAIN: &str = "recipes/files/hello/main.c";

/// What `k3sroot report --json` says of the last run.
fn record(workspace: &Workspace) -> serde_json::Value {
    let run = workspace.run("report", &["--json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    serde_json::from_str(&run.stdout).unwrap()
}

fn unit<'a>(record: &'a serde_json::Value, package: &str) -> &'a serde_json::Value {
    let units = record["units"].as_array().unwrap();
    units.iter().find(|unit| unit["unit"] == format!("{package}@[arch]")).unwrap()
}

#[test]
fn a_run_is_remembered_with_its_times_and_tarballs() {
    let workspace = Workspace::new();
    let none = workspace.run("report", &[]);
    assert_eq!(none.code, Some(1));
    insta::assert_snapshot!(none.stderr, @"error: there is no cache in `cache`: build something first, or say with `--cache` where it is");
    assert!(!workspace.path("cache").exists(), "to look for something makes nothing");
    assert_eq!(workspace.run("plan", &[]).code, Some(0));
    let none = workspace.run("report", &[]);
    assert_eq!(none.code, Some(1));
    insta::assert_snapshot!(none.stderr, @"error: no run is remembered in this cache: build something first");

    workspace.build_all();
    let first = record(&workspace);
    let hello = unit(&first, "hello");
    assert_eq!((&hello["state"], &hello["version"]), (&"built".into(), &"3".into()));
    let phases: Vec<&str> =
        hello["phases"].as_array().unwrap().iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!((phases[0], phases[phases.len() - 1]), ("unpack", "store"), "{phases:?}");
    assert!(phases.contains(&"build"), "{phases:?}");
    let time = |at: &serde_json::Value| at.as_f64().unwrap();
    assert!(time(&hello["span"]["from"]) >= time(&unit(&first, "libword")["span"]["to"]));
    assert!(time(&first["seconds"]) >= time(&hello["span"]["to"]));
    let tarball = &first["tarballs"][0];
    assert_eq!(tarball["file"], "k3s-root-[arch].tar");
    let names: Vec<String> = workspace.members();
    let members = tarball["members"].as_array().unwrap();
    let files: Vec<&serde_json::Value> = members.iter().filter(|member| member["bytes"] != 0).collect();
    assert!(
        files.iter().all(|file| names.iter().any(|name| file["name"] == name.as_str())),
        "{files:?} {names:?}"
    );
    assert!(!files.is_empty());

    workspace.build_all();
    let second = record(&workspace);
    assert_eq!(
        (&unit(&second, "hello")["state"], &unit(&second, "hello")["span"]),
        (&"cached".into(), &().into())
    );
    let list = workspace.run("report", &["--list"]).stdout;
    let runs: Vec<&str> = list.lines().skip(1).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(runs.len(), 2);
    assert!(list.lines().nth(1).unwrap().contains(" 0 built") && list.contains(" build --arch "), "{list}");
    // What the store did not have to be asked for was not built again either.
    let built = time(&first["saved"]) == 0.0;
    let of_units = |run: &serde_json::Value| -> f64 {
        run["units"].as_array().unwrap().iter().filter_map(|unit| unit["cpu_seconds"].as_f64()).sum()
    };
    assert!(built && (time(&second["saved"]) - of_units(&first)).abs() < 0.001, "{first} {second}");
    assert!(runs[0] > runs[1], "the newest is first: {list}");

    let page = workspace.run("report", &["--out", "old.html", runs[1]]);
    assert_eq!((page.code, page.stdout.as_str()), (Some(0), "old.html\n"), "{}", page.stderr);
    let html = workspace.read("old.html");
    assert!(html.starts_with("<!doctype html>") && html.contains(runs[1]), "{html}");
    let printed = workspace.run("report", &["--out", "-", runs[1]]).stdout;
    assert!(printed.starts_with("<!doctype html>") && printed.contains(runs[1]));
    let unknown = workspace.run("report", &["yesterday"]);
    assert_eq!(unknown.code, Some(1));
    insta::assert_snapshot!(unknown.stderr, @"error: no run `yesterday` is remembered: `k3sroot report --list` names those that are");
}

#[test]
fn a_failure_is_remembered_with_its_log_and_a_damaged_record_is_told() {
    let workspace = Workspace::new();
    workspace.edit(MAIN, "return more(argc);", "return more(argc)");
    assert_eq!(workspace.build(&[]).code, Some(1));
    let record = record(&workspace);
    let hello = unit(&record, "hello");
    assert_eq!(hello["state"], "failed");
    let text = |key: &str| hello["failure"][key].as_str().unwrap().to_owned();
    assert!(text("text").starts_with("error: hello 3 for [arch] failed\n"), "{}", text("text"));
    assert!(text("log").starts_with("--- build: make\n"), "{}", text("log"));

    let list = workspace.run("report", &["--list"]).stdout;
    let line = list.lines().nth(1).unwrap();
    assert!(line.contains(" 1 failed ") && line.contains(" build --arch "), "{list}");
    let run = line.split(' ').next().unwrap();
    fs::write(workspace.path(&format!("cache/logs/runs/{run}.json")), "{\"id\":").unwrap();
    let damaged = workspace.run("report", &[]);
    assert_eq!(damaged.code, Some(1));
    assert!(damaged.stderr.contains("is damaged, or of another version of k3sroot"), "{}", damaged.stderr);
    let list = workspace.run("report", &["--list"]).stdout;
    assert!(list.contains(run) && list.contains("damaged, or of another version"), "{list}");
}

#[test]
fn the_graph_is_drawn_and_its_ways_are_told() {
    let workspace = Workspace::new();
    let arch = ["--arch", ARCH];
    let svg = workspace.run("graph", &[&arch[..], &["--format", "svg"]].concat()).stdout;
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"), "{svg}");
    for unit in ["hello@[arch]", "libword@[arch]"] {
        assert!(svg.contains(&format!(">{unit}</text>")), "{svg}");
    }
    assert_eq!(workspace.run("graph", &[&arch[..], &["--svg"]].concat()).stdout, svg);
    let why = |from, to| workspace.run("graph", &[&arch[..], &["--why", from, to]].concat());
    insta::assert_snapshot!(why("hello", "libword").stdout, @r"
    hello@[arch]
    └─ libword@[arch] (link)
    ");
    let back = why("libword", "hello@[arch]");
    assert_eq!(back.code, Some(1));
    let unknown = why("hello", "libsword");
    assert_eq!(unknown.code, Some(1));
    insta::assert_snapshot!(unknown.stderr, @"error: `libsword` is not in this graph: `k3sroot graph`, with the same options, shows what is");
    let twice = why("hello", "hello");
    assert_eq!(twice.code, Some(1));
    insta::assert_snapshot!(twice.stderr, @"error: name two units: there is no way from `hello` to itself");
}
