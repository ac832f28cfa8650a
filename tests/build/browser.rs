//! The page of a run, used in a browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::skipped::skipped;
use super::workspace::{ARCH, Workspace};

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

/// The page of the last run, with `exam` in it, which begins when the page is there.
fn examined(workspace: &Workspace, exam: &str) -> PathBuf {
    let run = workspace.run("report", &["--out", "page.html"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let path = workspace.path("page.html");
    let page = workspace.read("page.html");
    assert!(page.contains("</body>"));
    let script = format!("<script>addEventListener(\"load\", () => {{ {exam} }});</script></body>");
    fs::write(&path, page.replace("</body>", &script)).unwrap();
    path
}

/// A page with `page` in a frame as narrow as a phone's screen, which no window can be. It says what the exam found there.
fn on_a_phone(page: &Path) -> PathBuf {
    let path = page.with_file_name("phone.html");
    let frame =
        "<!doctype html><iframe src=\"page.html\" style=\"width: 360px; height: 740px\"></iframe><script>
        addEventListener(\"message\", (event) => {
          const exam = document.createElement(\"pre\");
          exam.id = \"exam\";
          exam.textContent = event.data;
          document.body.append(exam);
        });</script>";
    fs::write(&path, frame).unwrap();
    path
}

/// Holds that an exam of `count` points was passed.
fn assert_passed(page: &Path, count: usize) {
    for page in [page.to_owned(), on_a_phone(page)] {
        let Some(seen) = text_of("exam", &page, "1280,900") else { return };
        let wrong: Vec<&str> = seen.lines().filter(|line| !line.starts_with("ok ")).collect();
        assert!(wrong.is_empty() && seen.lines().count() == count, "{}:\n{seen}", page.display());
    }
}

#[test]
fn the_tarballs_of_a_run_are_drawn_and_listed() {
    let workspace = Workspace::new();
    workspace.build_all();
    assert_passed(&examined(&workspace, include_str!("tarballs.js")), 6);
}

#[test]
fn the_page_of_a_run_works_in_a_browser() {
    let workspace = Workspace::new();
    workspace.edit(
        "recipes/greet.toml",
        "steps",
        "prepare = [[\"sh\", \"-c\", \"echo no such luck; false\"]]\nsteps",
    );
    // A file that has to be fetched is a download, too.
    fs::rename(workspace.path("distfiles/any-name"), workspace.path("libword-1.2.tar.gz")).unwrap();
    let upstream = format!("file://{}/", workspace.path("").display());
    workspace.edit("recipes/libword.toml", "https://words.invalid/", &upstream);
    let run = workspace.run("build", &["--arch", ARCH, "--keep-going", "--out", "dist"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_passed(&examined(&workspace, include_str!("browser.js")), 22);
}
