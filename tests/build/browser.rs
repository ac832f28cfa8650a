//! The page of a run, used in a browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::skipped::skipped;
use super::workspace::Workspace;

/// Chromium without a window, if this machine has it.
fn chromium() -> Option<Command> {
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        ["/usr/bin", "/usr/local/bin"].iter().any(|folder| Path::new(folder).join(name).exists())
    });
    if found.is_none() {
        skipped("the page of a run in a browser", "chromium is not installed");
    }
    // Root has no sandbox there; the page is our own.
    let mut command = Command::new(found?);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"]);
    Some(command)
}

/// The text of the element `id` of a page, after its scripts have run.
fn text_of(id: &str, page: &Path, size: &str) -> Option<String> {
    let home = tempfile::tempdir().unwrap();
    let output = chromium()?
        .env("HOME", home.path())
        .args([&format!("--window-size={size}"), "--dump-dom", &format!("file://{}", page.display())])
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let start = format!("<pre id=\"{id}\">");
    let text = dom.split_once(&start).and_then(|(_, rest)| rest.split_once("</pre>"));
    let (text, _) = text
        .unwrap_or_else(|| panic!("the page's scripts failed: {}", String::from_utf8_lossy(&output.stderr)));
    Some(text.to_owned())
}

#[test]
fn the_page_of_a_run_works_in_a_browser() {
    let workspace = Workspace::new();
    workspace.edit(
        "recipes/greet.toml",
        "steps",
        "prepare = [[\"sh\", \"-c\", \"echo no such luck; false\"]]\nsteps",
    );
    let run = workspace.build(&["--keep-going"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let run = workspace.run("report", &["--out", "page.html"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let page = workspace.read("page.html");
    let exam = format!("<script>{}</script></body>", include_str!("browser.js"));
    assert!(page.contains("</body>"));
    fs::write(workspace.path("page.html"), page.replace("</body>", &exam)).unwrap();
    for size in ["1280,900", "500,900"] {
        let Some(seen) = text_of("exam", &workspace.path("page.html"), size) else { return };
        let wrong: Vec<&str> = seen.lines().filter(|line| !line.starts_with("ok ")).collect();
        assert!(wrong.is_empty() && seen.lines().count() == 18, "at {size}:\n{seen}");
    }
}
