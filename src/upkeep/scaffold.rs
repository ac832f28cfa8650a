//! The first text of a new recipe.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use base::digest::{Sha256, SourceDigest};
use base::name::Version;

/// What is known of a new package.
#[derive(Debug)]
pub struct Scaffold {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// One line that says what it is.
    pub summary: String,
    /// Its home page.
    pub homepage: String,
    /// An SPDX expression.
    pub license: String,
    /// The licence texts, by path in the source.
    pub license_files: BTreeMap<String, Sha256>,
    /// Where its archive was had.
    pub url: String,
    /// What the archive is.
    pub digest: SourceDigest,
    /// How it is built: the lines of `[needs]` and `[build]`.
    pub system: System,
}

/// A build system that a source tree has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// A `configure` script.
    Autotools,
    /// What a `configure` script is made of.
    Autoreconf,
    /// `meson.build`.
    Meson,
    /// A makefile alone.
    Make,
    /// None that is known.
    Unknown,
}

/// The build system of a tree with these files at its top.
pub fn system_of(files: &BTreeSet<String>) -> System {
    let has = |names: &[&str]| names.iter().any(|name| files.contains(*name));
    match () {
        () if has(&["configure"]) => System::Autotools,
        () if has(&["configure.ac", "configure.in"]) => System::Autoreconf,
        () if has(&["meson.build"]) => System::Meson,
        () if has(&["Makefile", "GNUmakefile", "makefile"]) => System::Make,
        () => System::Unknown,
    }
}

/// The name and version in an archive's URL: `https://x.example/pigz-2.8.tar.gz` is pigz 2.8.
pub fn named_by(url: &str) -> Option<(String, Version)> {
    let file = url.rsplit(['/', ':']).next()?;
    let stem = ["tar.gz", "tar.bz2", "tar.xz", "tar.zst", "tgz", "tar"]
        .iter()
        .find_map(|end| file.strip_suffix(end)?.strip_suffix('.'))?;
    let stem = stem.strip_suffix(".orig").unwrap_or(stem);
    let at = stem
        .match_indices(['-', '_'])
        .map(|(at, _)| at)
        .find(|at| stem[at + 1..].trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()))?;
    let version = stem[at + 1..].trim_start_matches('v').parse().ok()?;
    Some((stem[..at].to_ascii_lowercase(), version))
}

/// `url` with a placeholder wherever its path has the version: not in the host's name, and not within a longer number.
fn with_placeholder(url: &str, version: &Version) -> String {
    let version = version.as_str();
    let start = url.find("://").map_or(0, |at| at + 3);
    let start = url[start..].find('/').map_or(start, |slash| start + slash);
    let is_number = |c: char| c.is_ascii_digit();
    let (mut text, mut end) = (String::new(), 0);
    for (at, _) in url.match_indices(version).filter(|(at, _)| *at >= start) {
        let (before, after) = (&url[..at], &url[at + version.len()..]);
        let is_part = before.ends_with(is_number)
            || before.strip_suffix('.').is_some_and(|before| before.ends_with(is_number))
            || after.starts_with(is_number)
            || after.strip_prefix('.').is_some_and(|after| after.starts_with(is_number));
        if !is_part {
            text += &url[end..at];
            text += "{version}";
            end = at + version.len();
        }
    }
    text + &url[end..]
}

impl Scaffold {
    /// The recipe.
    pub fn text(&self) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let mut text = String::new();
        let mut line = |line: String| {
            let _ = writeln!(text, "{line}");
        };
        line(format!("name     = {}", quoted(&self.name)));
        line(format!("version  = {}", quoted(self.version.as_str())));
        line(format!("summary  = {}", quoted(&self.summary)));
        line(format!("homepage = {}", quoted(&self.homepage)));
        line("\n[license]".to_owned());
        line(format!("spdx  = {}", quoted(&self.license)));
        let files =
            self.license_files.iter().map(|(file, digest)| format!("{} = \"{digest}\"", quoted(file)));
        line(format!("files = {{ {} }}", files.collect::<Vec<_>>().join(", ")));
        line("\n[identity]".to_owned());
        line(format!("purl = {}", quoted(&format!("pkg:generic/{}", self.name))));
        line(String::new());
        if !self.url.starts_with("https:") {
            line("# Nobody has compared this with upstream's archive yet.".to_owned());
        }
        line("[[source]]".to_owned());
        line(format!("urls   = [{}]", quoted(&with_placeholder(&self.url, &self.version))));
        line(format!("{} = \"{}\"", self.digest.algorithm(), self.digest.hex()));
        for rest in self.system.lines() {
            line((*rest).to_owned());
        }
        text
    }
}

impl System {
    fn lines(self) -> &'static [&'static str] {
        match self {
            Self::Autotools => &["", "[build]", "system = \"autotools\""],
            Self::Autoreconf => &[
                "",
                "[needs]",
                "tools = [\"autoconf\", \"automake\", \"libtool\", \"pkgconf\"]",
                "",
                "[build]",
                "system     = \"autotools\"",
                "autoreconf = true",
            ],
            Self::Meson => &[
                "",
                "[needs]",
                "tools = [\"meson\", \"ninja\", \"pkgconf\"]",
                "",
                "[build]",
                "system = \"meson\"",
            ],
            Self::Make => &["", "[build]", "system = \"make\""],
            Self::Unknown => &[
                "",
                "[build]",
                "system = \"script\"       # no build system was recognised",
                "steps  = [",
                "  [\"false\"],           # what builds it, a command a line; files go to /out",
                "]",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_name_packages() {
        let named = |url| named_by(url).map(|(name, version)| format!("{name} {version}"));
        for (url, expected) in [
            ("https://x.example/pigz-2.8.tar.gz", Some("pigz 2.8")),
            ("https://x.example/fuse-overlayfs-v1.14.tar.zst", Some("fuse-overlayfs 1.14")),
            ("debian:libcap2/libcap2_2.75.orig.tar.xz", Some("libcap2 2.75")),
            ("file:///srv/LibX-1.0-rc1.tgz", Some("libx 1.0-rc1")),
            ("https://x.example/archive/master.tar.gz", None),
            ("https://x.example/pigz-2.8.zip", None),
        ] {
            assert_eq!(named(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn build_systems_are_told_by_their_files() {
        for (files, expected) in [
            (&["configure", "Makefile.in"][..], System::Autotools),
            (&["configure.ac", "meson.build"], System::Autoreconf),
            (&["meson.build", "Makefile"], System::Meson),
            (&["Makefile"], System::Make),
            (&["CMakeLists.txt"], System::Unknown),
        ] {
            let files = files.iter().map(|file| (*file).to_owned()).collect();
            assert_eq!(system_of(&files), expected, "{files:?}");
        }
    }

    #[test]
    fn a_placeholder_stands_where_the_path_has_the_version_alone() {
        for (url, version, expected) in [
            ("https://ftp1.example/foo-1.tar.gz", "1", "https://ftp1.example/foo-{version}.tar.gz"),
            ("https://x.example/1.5/foo11-1.tar.gz", "1", "https://x.example/1.5/foo11-{version}.tar.gz"),
            (
                "https://x.example/v1.2/foo-1.2.tar.gz",
                "1.2",
                "https://x.example/v{version}/foo-{version}.tar.gz",
            ),
            ("debian:foo/foo_1.2.orig.tar.gz", "1.2", "debian:foo/foo_{version}.orig.tar.gz"),
            ("file:///srv/foo-1.2.tar.gz", "1.2", "file:///srv/foo-{version}.tar.gz"),
        ] {
            assert_eq!(with_placeholder(url, &version.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn every_scaffold_is_a_recipe() {
        struct Nothing;
        impl model::recipe::Beside for Nothing {
            fn patch(&self, _: &str, _: &str) -> std::io::Result<String> {
                unreachable!("it has no patches")
            }
            fn local(&self, _: &str) -> std::io::Result<BTreeMap<String, model::recipe::LocalFile>> {
                unreachable!("it has no files")
            }
        }
        for system in [System::Autotools, System::Autoreconf, System::Meson, System::Make, System::Unknown] {
            let text = Scaffold {
                name: "good".to_owned(),
                version: "1.2".parse().unwrap(),
                summary: "Says \"good\"".to_owned(),
                homepage: "https://good.example/".to_owned(),
                license: "MIT".to_owned(),
                license_files: BTreeMap::from([("COPYING".to_owned(), Sha256::of(b"text"))]),
                url: "https://good.example/v1.2/good-1.2.tar.xz".to_owned(),
                digest: SourceDigest::Sha256(Sha256::of(b"archive")),
                system,
            }
            .text();
            let recipe = model::recipe::parse("good.toml".as_ref(), &text, &Nothing).unwrap();
            assert_eq!(recipe.summary, "Says \"good\"");
            assert!(text.contains("https://good.example/v{version}/good-{version}.tar.xz"), "{text}");
        }
    }
}
