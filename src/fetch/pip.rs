//! Python packages: which package index this machine's pip uses, and where in it a file lies.
//!
//! pip itself is asked, with its own code, so that its configuration files, its environment and its built-in default
//! all count as they do for `pip download`. Where pip is not installed, the copy that `ensurepip` carries answers. The
//! index is read as PEP 691 (JSON) or PEP 503 (HTML), whichever the server sends.

use std::process::{Command, Stdio};

use reqwest::Url;

use super::error::UrlError;

const ASK: &str = r#"
import glob, os, sys
try:
    import pip
except ImportError:
    folders = ["/usr/share/python-wheels"]
    try:
        import ensurepip
        folders.insert(0, os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"))
    except ImportError:
        pass
    sys.path += [wheel for folder in folders for wheel in sorted(glob.glob(folder + "/pip-*.whl"))]
from pip._internal.commands import create_command
options, _ = create_command("download").parser.parse_args([])
if not options.no_index:
    for url in [options.index_url] + list(options.extra_index_urls):
        print(url)
"#;

/// What the index is asked for, best first.
pub(super) const ACCEPT: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";

/// The indexes that pip would use, in its order.
pub(super) fn indexes() -> Result<Vec<String>, UrlError> {
    ask(&mut Command::new("python3"))
}

fn ask(python: &mut Command) -> Result<Vec<String>, UrlError> {
    let failed = |detail: String| UrlError::NoPipIndex { detail };
    let output = python.args(["-c", ASK]).stdin(Stdio::null()).output();
    let output = output.map_err(|error| failed(format!("cannot run python3: {error}")))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(failed(errors.trim().lines().last().unwrap_or("python3 failed").to_owned()));
    }
    let indexes: Vec<String> =
        String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect();
    if indexes.is_empty() { Err(failed("its configuration says `no-index`".to_owned())) } else { Ok(indexes) }
}

/// The project's page in an index: the name normalised as PEP 503 has it.
pub(super) fn page(index: &str, project: &str) -> String {
    let mut name = String::new();
    for c in project.chars() {
        if !"-_.".contains(c) {
            name.push(c.to_ascii_lowercase());
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    format!("{}/{name}/", index.trim_end_matches('/'))
}

/// Where the project's page says that `file` lies.
pub(super) fn locate(page: &Url, text: &str, file: &str) -> Option<Url> {
    let mut url =
        if text.trim_start().starts_with('{') { json(page, text, file) } else { html(page, text, file) }?;
    url.set_fragment(None);
    Some(url)
}

fn json(page: &Url, text: &str, file: &str) -> Option<Url> {
    let listing: serde_json::Value = serde_json::from_str(text).ok()?;
    let entry = listing["files"].as_array()?.iter().find(|entry| entry["filename"] == file)?;
    page.join(entry["url"].as_str()?).ok()
}

/// Every `href` whose last segment is the file.
fn html(page: &Url, text: &str, file: &str) -> Option<Url> {
    text.split("href").skip(1).find_map(|rest| {
        let value = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let value = value[1..].split(quote).next()?.replace("&amp;", "&");
        let url = page.join(&value).ok()?;
        let name = url.path_segments()?.next_back()?.replace("%2B", "+").replace("%2b", "+");
        (name == file).then_some(url)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_is_asked_with_its_own_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("pip.conf");
        std::fs::write(
            &config,
            "[global]\nindex-url = http://127.0.0.1:1/simple\nextra-index-url =\n  http://127.0.0.1:2/s\n",
        )
        .unwrap();
        let mut python = Command::new("python3");
        let found = ask(python.env("PIP_CONFIG_FILE", &config).env_remove("PIP_INDEX_URL"));
        match found {
            Ok(found) => assert_eq!(found, ["http://127.0.0.1:1/simple", "http://127.0.0.1:2/s"]),
            // A machine without any pip: what matters is that it says so.
            Err(error) => assert!(error.to_string().contains("No module named 'pip'"), "{error}"),
        }
        assert!(ask(&mut Command::new("/nowhere/python3")).is_err());
    }

    #[test]
    fn both_kinds_of_page_are_read() {
        let page = Url::parse("http://i.example/simple/a/").unwrap();
        let json = r#"{"files": [{"filename": "a-1.whl", "url": "x"},
                                 {"filename": "a-1.tar.gz", "url": "../../f/a-1.tar.gz#sha256=0"}]}"#;
        let html = "<a href='a-1.whl'>a</a> <a class=x HREF=no href = \"/f/a-1.tar.gz?x=1&amp;y=2#sha256=0\">a</a>\
                    <a href=\"/f/a-1%2Bb.tar.gz\">";
        let find = |text, file| locate(&page, text, file).map(|url| url.to_string());
        assert_eq!(find(json, "a-1.tar.gz").unwrap(), "http://i.example/f/a-1.tar.gz");
        assert_eq!(find(html, "a-1.tar.gz").unwrap(), "http://i.example/f/a-1.tar.gz?x=1&y=2");
        assert_eq!(find(html, "a-1+b.tar.gz").unwrap(), "http://i.example/f/a-1%2Bb.tar.gz");
        assert!(find(html, "a-2.tar.gz").is_none() && find("{", "a").is_none() && find(json, "a").is_none());
    }

    #[test]
    fn project_names_are_normalised() {
        assert_eq!(page("http://i/simple/", "Ruamel._Yaml"), "http://i/simple/ruamel-yaml/");
    }
}
