//! The commands of the manual and of the page on troubleshooting, run one after the other, with what they say.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::provenance;
use super::workspace::{ARCH, Workspace, pack};

/// A checkout with packages of the names that the pages use.
fn checkout() -> Workspace {
    let workspace = Workspace::new();
    for (from, to) in [("libword", "zlib"), ("hello", "pigz")] {
        fs::rename(
            workspace.path(&format!("recipes/{from}.toml")),
            workspace.path(&format!("recipes/{to}.toml")),
        )
        .unwrap();
        for file in ["pigz", "zlib", "root"].map(|name| format!("recipes/{name}.toml")) {
            if let Ok(text) = fs::read_to_string(workspace.path(&file)) {
                let text = ["name     =", "package ="].iter().fold(text, |text, key| {
                    text.replace(&format!("{key} \"{from}\""), &format!("{key} \"{to}\""))
                });
                fs::write(
                    workspace.path(&file),
                    text.replace("link      = [\"libword\"]", "link      = [\"zlib\"]"),
                )
                .unwrap();
            }
        }
    }
    fs::rename(workspace.path("patches/libword"), workspace.path("patches/zlib")).unwrap();
    fs::rename(workspace.path("distfiles"), workspace.path("archives")).unwrap();
    let archive = workspace.path("archives/any-name").display().to_string();
    workspace.edit(
        "recipes/zlib.toml",
        "https://words.invalid/libword-{version}.tar.gz",
        &format!("file://{archive}"),
    );
    workspace
}

/// Other checkouts beside it, with a mistake each, and what else the pages mention.
fn furnish(workspace: &Workspace) {
    let known = "[identity]\ncpe = \"zlib:zlib\"\npurl = \"pkg:generic/zlib\"\n\n[[cve]]\nid = \"CVE-2026-22184\"\n\
                 not-affected = \"vulnerable_code_not_present\"\nbecause = \"untgz is not built\"\n\
                 reference = \"https://nvd.nist.gov/vuln/detail/CVE-2026-22184\"\n\n";
    workspace.edit("recipes/zlib.toml", "[needs]", &format!("{known}[needs]"));
    let advisories = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/advisories");
    super::workspace::copy(&advisories, &workspace.path("advisories"));
    workspace.local_tree();
    fs::rename(workspace.path("my-libword"), workspace.path("my-zlib")).unwrap();
    // As the patch leaves it: a local tree gets no patches.
    workspace.edit("my-zlib/place.c", "unpatched", "patched");
    let word = fs::read_to_string(workspace.path("my-zlib/word.c")).unwrap();
    fs::write(workspace.path("my-zlib/word.c"), format!("/* Another comment. */\n{word}")).unwrap();
    fs::write(workspace.path("versions.txt"), "zlib 1.3\n").unwrap();
    fs::write(workspace.path("key.pem"), provenance::PRIVATE).unwrap();
    fs::write(workspace.path("key.pub"), provenance::PUBLIC).unwrap();
    fs::create_dir_all(workspace.path("SPECS/k3s")).unwrap();
    let k3s = format!(
        "Name:          k3s\nSource3:       https://upstream.example/k3s-root-{ARCH}.tar\nBuildRequires: golang\n\n\
         %description\nKubernetes.\n\n%prep\ntar -xf %{{SOURCE3}}\n"
    );
    fs::write(workspace.path("SPECS/k3s/k3s.spec"), k3s).unwrap();
    fs::create_dir(workspace.path("upstream")).unwrap();
    for version in ["1.0", "1.1"] {
        let archive = pack(&workspace.path("my-zlib"), &format!("brotli-{version}"));
        fs::write(workspace.path(&format!("upstream/brotli-{version}.tar.gz")), archive).unwrap();
    }
    for (name, file, from, to) in [
        ("broken", "pigz", "summary", "sumary"),
        ("unreachable", "zlib", "file://", "https://words.invalid"),
        ("moved", "zlib", "file://", "https://words.invalid"),
        ("wrong", "zlib", workspace.digest(), &"0".repeat(64)),
        (
            "failing",
            "pigz",
            "[build]",
            "[build]\nprepare = [[\"sh\", \"-c\", \"echo no such thing; false\"]]",
        ),
        (
            "relicensed",
            "zlib",
            "44788d0efad82ad9b3167c333c9fd50a51da745afb8cf23959618b561d7d6d9c",
            &"0".repeat(64),
        ),
        ("hungry", "pigz", "[build]", "[build]\nprepare = [[\"python3\", \"-c\", \"bytearray(300 << 20)\"]]"),
        ("slow", "pigz", "[build]", "[build]\nprepare = [[\"sleep\", \"60\"]]"),
    ] {
        for part in ["recipes", "patches", "sysroot"] {
            super::workspace::copy(&workspace.path(part), &workspace.path(name).join(part));
        }
        workspace.edit(&format!("{name}/recipes/{file}.toml"), from, to);
    }
    // A source that is nowhere must not be in the cache either.
    let mut unreachable = workspace.read("unreachable/recipes/zlib.toml");
    unreachable = unreachable.replace(workspace.digest(), &"1".repeat(64));
    fs::write(workspace.path("unreachable/recipes/zlib.toml"), unreachable).unwrap();
}

/// One command of a page, and what it is said to print.
struct Example {
    line: usize,
    command: String,
    expected: Vec<String>,
}

fn examples(page: &str) -> Vec<Example> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let (mut examples, mut inside): (Vec<Example>, bool) = (Vec::new(), false);
    for (number, line) in text.lines().enumerate() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match (line.strip_prefix("$ "), examples.last_mut()) {
                (Some(command), _) => {
                    let command = command.to_owned();
                    examples.push(Example { line: number + 1, command, expected: Vec::new() });
                }
                (None, Some(example)) => example.expected.push(line.to_owned()),
                (None, None) => panic!("{page}:{}: output before a command", number + 1),
            },
        }
    }
    examples
}

/// Whether a line is as a page shows it, where `…` is anything.
fn is_like(line: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn follow(page: &str, workspace: &Workspace) {
    let program = Path::new(env!("CARGO_BIN_EXE_k3sroot")).parent().unwrap();
    let mut wrong = Vec::new();
    let examples = examples(page);
    assert!(examples.len() > 8, "{page} has hardly a command");
    for Example { line, command, expected } in examples {
        let folder = workspace.path("").canonicalize().unwrap();
        let script = command.replace("amd64", ARCH).replace("/srv", &folder.display().to_string());
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(&folder)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
            .env("K3SROOT_CACHE", workspace.path("cache"))
            .output()
            .unwrap();
        let text = [&output.stdout, &output.stderr]
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .concat();
        let text = text.replace(&format!("{}/", folder.display()), "").replace(ARCH, "amd64");
        let mut lines = text.lines();
        let missing = expected
            .iter()
            .find(|shown| shown.as_str() != "…" && !lines.any(|line| is_like(line.trim_end(), shown)));
        let fails = expected.iter().any(|shown| shown.starts_with("error: "));
        if missing.is_some() || output.status.success() == fails {
            wrong.push(format!("{page}:{line}: {command}\n{}, missing: {missing:?}\n{text}", output.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_command_of_the_manual_does_what_it_says() {
    let workspace = checkout();
    furnish(&workspace);
    follow("docs/manual.md", &workspace);
}

#[test]
fn every_error_of_the_page_on_troubleshooting_can_be_had() {
    let workspace = checkout();
    furnish(&workspace);
    fs::create_dir_all(workspace.path("damaged-cache")).unwrap();
    let built = workspace
        .command("build", &["--arch", ARCH, "--cache", "damaged-cache", "-q", "--out", "x"])
        .output();
    assert!(built.unwrap().status.success());
    let blobs = walkdir::WalkDir::new(workspace.path("damaged-cache/blobs")).into_iter();
    let blob = blobs.flatten().find(|entry| entry.file_type().is_file()).unwrap().into_path();
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, "something else").unwrap();
    // A folder that was collected, one in which something else lies, and a cache that has lost its archives.
    let run = workspace.run("fetch", &["--arch", ARCH, "--out", "collected"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    fs::create_dir(workspace.path("occupied")).unwrap();
    for name in fs::read_dir(workspace.path("collected")).unwrap().map(|entry| entry.unwrap().file_name()) {
        fs::write(workspace.path("occupied").join(name), "something else").unwrap();
    }
    for cache in ["built-cache", "sourceless-cache"] {
        let words = ["--arch", ARCH, "--cache", cache, "-q", "--out", "x"];
        assert!(workspace.command("build", &words).output().unwrap().status.success());
    }
    fs::remove_dir_all(workspace.path("sourceless-cache/distfiles")).unwrap();
    follow("docs/troubleshooting.md", &workspace);
}

#[test]
fn lines_are_compared_around_what_differs() {
    for (line, shown, expected) in [
        ("pigz@amd64: built in 1 s", "pigz@amd64: built in …", true),
        ("pigz@amd64: built in 1 s", "…: built in … s", true),
        ("pigz@amd64: built in 1 s", "pigz@amd64: built", false),
        ("45 units: 0 built, 1", "… units: 0 built, …", true),
        ("45 units: 10 built, 1", "… units: 0 built, …", false),
    ] {
        assert_eq!(is_like(line, shown), expected, "{line} | {shown}");
    }
}
