//! Which Debian mirrors this machine's apt uses, read from its configuration (`sources.list`(5)): the one-line format,
//! deb822, and the mirror lists that `mirror+file:` names.
//!
//! An archive that is called `debian` and offers `main` is a mirror of Debian; security and third-party archives hold
//! other files, so they come in only when there is nothing better.

use std::fs;
use std::path::{Path, PathBuf};

/// One line or stanza: the archive's URI and the components that are used of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Repository {
    uri: String,
    components: Vec<String>,
}

/// The mirrors in the order apt's files name them. `root` is `/` but for tests.
pub(super) fn mirrors(root: &Path) -> Vec<String> {
    let etc = root.join("etc/apt");
    let mut repositories = read(&etc.join("sources.list")).map(|text| one_line(&text)).unwrap_or_default();
    for path in files(&etc.join("sources.list.d")) {
        let parse = match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => one_line,
            Some("sources") => deb822,
            _ => continue,
        };
        repositories.extend(read(&path).map(|text| parse(&text)).unwrap_or_default());
    }
    let expanded = repositories.iter().flat_map(|repository| {
        let uris = expand(root, &repository.uri);
        uris.into_iter().map(|uri| Repository { uri, components: repository.components.clone() })
    });
    let (mut best, mut rest) = (Vec::new(), Vec::new());
    for Repository { uri, components } in expanded {
        let uri = uri.trim_end_matches('/').to_owned();
        let looks_like_debian =
            uri.ends_with("/debian") && components.iter().any(|component| component == "main");
        let list = if looks_like_debian { &mut best } else { &mut rest };
        if !list.contains(&uri) {
            list.push(uri);
        }
    }
    if best.is_empty() {
        best = rest.into_iter().filter(|uri| uri.contains("debian") || uri.contains("ubuntu")).collect();
    }
    best
}

fn read(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// `deb [options] uri suite component...`
fn one_line(text: &str) -> Vec<Repository> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some((kind, rest)) = line.split_once(char::is_whitespace) else { continue };
        if kind != "deb" && kind != "deb-src" {
            continue;
        }
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix('[').and_then(|options| options.split_once(']')) {
            Some((_, after)) => after,
            None => rest,
        };
        let mut words = rest.split_whitespace();
        let (Some(uri), Some(_suite)) = (words.next(), words.next()) else { continue };
        found.push(Repository { uri: uri.to_owned(), components: words.map(str::to_owned).collect() });
    }
    found
}

/// Stanzas of `Key: value`, values going on in indented lines.
fn deb822(text: &str) -> Vec<Repository> {
    let mut found = Vec::new();
    // Comment lines belong to no value, not even between two lines of one.
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let (mut uris, mut components, mut enabled) = (Vec::new(), Vec::new(), true);
        let mut key = String::new();
        for line in stanza {
            let value = if line.starts_with([' ', '\t']) {
                *line
            } else if let Some((name, value)) = line.split_once(':') {
                key = name.trim().to_ascii_lowercase();
                value
            } else {
                continue;
            };
            match key.as_str() {
                "uris" => uris.extend(value.split_whitespace().map(str::to_owned)),
                "components" => components.extend(value.split_whitespace().map(str::to_owned)),
                "enabled" => enabled = !matches!(value.trim(), "no" | "false" | "0" | "off"),
                _ => {}
            }
        }
        if enabled {
            found.extend(uris.into_iter().map(|uri| Repository { uri, components: components.clone() }));
        }
    }
    found
}

/// Only what a plain download can read: `mirror+file:` becomes the mirrors in that file, `cdrom:`, `tor:` and the like
/// nothing.
fn expand(root: &Path, uri: &str) -> Vec<String> {
    if let Some(list) = uri.strip_prefix("mirror+file:") {
        let list = root.join(list.trim_start_matches('/'));
        let lines = read(&list).unwrap_or_default();
        let first = lines.lines().filter_map(|line| line.split_whitespace().next());
        return first.filter(|uri| !uri.starts_with('#')).flat_map(expand_plain).collect();
    }
    expand_plain(uri)
}

fn expand_plain(uri: &str) -> Vec<String> {
    let uri = uri.strip_prefix("copy:").map_or_else(|| uri.to_owned(), |path| format!("file:{path}"));
    let known = ["http://", "https://", "file:"].iter().any(|scheme| uri.starts_with(scheme));
    if known { vec![uri] } else { Vec::new() }
}

/// Where a file of a source package lies in a mirror's pool.
pub(super) fn pool_path(package: &str, file: &str) -> String {
    let prefix = match package.strip_prefix("lib").and_then(|rest| rest.chars().next()) {
        Some(letter) => format!("lib{letter}"),
        None => package.chars().take(1).collect(),
    };
    format!("pool/main/{prefix}/{package}/{file}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_one_line_format_is_read() {
        let root = machine(&[(
            "etc/apt/sources.list",
            "# deb http://off.example/debian bookworm main\n\
             deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian/ bookworm main # comment\n\
             deb-src\thttps://one.example/debian bookworm main contrib\n\
             deb http://security.example/debian-security bookworm-security main\n\
             deb https://docker.example/linux/debian bookworm stable\n\
             deb cdrom:[Debian]/ bookworm main\n\
             deb http://two.example/mirror/debian\n",
        )]);
        assert_eq!(mirrors(root.path()), ["http://one.example/debian", "https://one.example/debian"]);
    }

    #[test]
    fn deb822_is_read_with_folded_values_and_switched_off_stanzas() {
        let root = machine(&[
            (
                "etc/apt/sources.list.d/debian.sources",
                "Types: deb\n# http://snapshot.example\nURIs: http://a.example/debian\n# between\n  \
                 https://b.example/debian/\nSuites: trixie\nComponents: main\n\n\
                 Types: deb\nURIs: http://s.example/debian-security\nComponents: main\n\n\
                 Enabled: no\nURIs: http://c.example/debian\nComponents: main\n",
            ),
            ("etc/apt/sources.list.d/x.list.bak", "deb http://bak.example/debian sid main\n"),
            ("etc/apt/sources.list.d/z.list", "deb mirror+file:/etc/apt/mirrors/m.list sid main\n"),
            (
                "etc/apt/mirrors/m.list",
                "http://m.example/debian\tpriority:1\n# no\nhttp://a.example/debian\n",
            ),
        ]);
        assert_eq!(
            mirrors(root.path()),
            ["http://a.example/debian", "https://b.example/debian", "http://m.example/debian"]
        );
    }

    #[test]
    fn other_archives_come_in_only_for_want_of_a_mirror() {
        let root = machine(&[(
            "etc/apt/sources.list",
            "deb http://x.example/ubuntu noble main\ndeb http://y.example/repo stable main\n",
        )]);
        assert_eq!(mirrors(root.path()), ["http://x.example/ubuntu"]);
        assert!(mirrors(Path::new("/nowhere")).is_empty());
    }

    #[test]
    fn pools_are_sorted_by_letter() {
        assert_eq!(pool_path("pigz", "p.tar"), "pool/main/p/pigz/p.tar");
        assert_eq!(pool_path("libcap2", "l.tar"), "pool/main/libc/libcap2/l.tar");
        assert_eq!(pool_path("lib", "l.tar"), "pool/main/l/lib/l.tar");
    }
}
