//! The list of a folder of archives: which bytes each source came in, under which file name, and where anybody has them.
//!
//! ```toml
//! # k3sroot.lock
//! [[archive]]
//! name    = "pigz"
//! version = "2.8"
//! source  = 0
//! file    = "pigz-2.8.tar.gz"
//! url     = "https://zlib.net/pigz/pigz-2.8.tar.gz"
//! sha256  = "eb87…"
//! size    = 123353
//! ```
//!
//! Pure: text in, values out, and back. What a folder holds is verified by whoever reads it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use base::digest::Sha256;

/// What stands before the archives in a file.
const HEAD: &str =
    "# The archives in this folder, as `k3sroot fetch --out` collected them for `--offline --distfiles`.\n";

/// An archive in a folder of collected archives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedArchive {
    /// The package that it is a source of.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// Which of the package's sources that come from archives it is, from 0.
    pub source: usize,
    /// What it is called in the folder.
    pub file: String,
    /// Where anybody can have it: the first address of the web that the recipe has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its bytes.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
}

/// The archives of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// In the order of packages and their sources.
    #[serde(rename = "archive", default, skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<LockedArchive>,
}

/// Raised when text is no list of archives.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It is not written as it should be.
    #[error("it is no list of archives")]
    Invalid(#[source] Box<toml::de::Error>),
    /// A file name that leads elsewhere, or that a terminal would not show as it is.
    #[error(
        "the archive of {} is called `{}`: it must be the plain name of a file in the folder",
        name.escape_debug(),
        file.escape_debug()
    )]
    FileName {
        /// The package.
        name: String,
        /// What is written.
        file: String,
    },
    /// A file cannot have the bytes of two archives.
    #[error("`{file}` stands for two archives:\n{left}\n{right}")]
    SameName {
        /// The file.
        file: String,
        /// One.
        left: Sha256,
        /// The other.
        right: Sha256,
    },
    /// A source that comes in two archives.
    #[error("source {source_index} of {} is listed twice", name.escape_debug())]
    Twice {
        /// The package.
        name: String,
        /// Which of its sources.
        source_index: usize,
    },
}

impl Lock {
    /// What the list is called in a folder.
    pub const FILE: &str = "k3sroot.lock";

    /// The list of these archives, under names of their own.
    pub fn new(mut archives: Vec<LockedArchive>) -> Self {
        archives.sort();
        let named = |archive: &LockedArchive| Named {
            file: archive.file.clone(),
            package: archive.name.clone(),
            digest: archive.sha256.to_string(),
        };
        let files = names_apart(&archives.iter().map(named).collect::<Vec<_>>());
        for (archive, file) in archives.iter_mut().zip(files) {
            archive.file = file;
        }
        Self { archives }
    }

    /// Reads what [`Self::text`] wrote, or somebody by hand.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let mut lock: Self = toml::from_str(text).map_err(|error| LockError::Invalid(Box::new(error)))?;
        lock.archives.sort();
        let mut files: BTreeMap<&str, Sha256> = BTreeMap::new();
        let mut sources = BTreeSet::new();
        for LockedArchive { name, version, source, file, sha256, .. } in &lock.archives {
            if !is_plain(file) {
                return Err(LockError::FileName { name: name.clone(), file: file.clone() });
            }
            if let Some(left) = files.insert(file, *sha256).filter(|left| left != sha256) {
                return Err(LockError::SameName { file: file.clone(), left, right: *sha256 });
            }
            if !sources.insert((name, version, source)) {
                return Err(LockError::Twice { name: name.clone(), source_index: *source });
            }
        }
        Ok(lock)
    }

    /// The text of a file that has them.
    pub fn text(&self) -> String {
        format!("{HEAD}\n{}", toml::to_string(self).expect("text and numbers under names are TOML"))
    }
}

/// An archive that is to lie in a folder with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What it is called by itself.
    pub file: String,
    /// The package that it is a source of.
    pub package: String,
    /// Its digest, in hexadecimal.
    pub digest: String,
}

/// File names for archives, in their order. A name that says nothing (`v1.2.tar.gz`) gets the name of the first package that
/// has these bytes before it. Where two different ones would have one name, each gets the name of its package before it, and
/// if that is not enough, the beginning of its digest. The same bytes may be one file.
pub fn names_apart(archives: &[Named]) -> Vec<String> {
    let mut first: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for Named { file, package, digest } in archives {
        first.entry((file, digest)).or_insert(package);
    }
    let own = |Named { file, package, digest }: &Named| {
        if says_something(file, package) {
            file.clone()
        } else {
            format!("{}-{file}", first[&(file.as_str(), digest.as_str())])
        }
    };
    let mut names: Vec<String> = archives.iter().map(own).collect();
    let prefixes: [fn(&Named) -> &str; 2] =
        [|named| &named.package, |named| named.digest.get(..12).unwrap_or_default()];
    for prefix in prefixes {
        let mut by_name: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for (archive, name) in archives.iter().zip(&names) {
            by_name.entry(folded(name)).or_default().insert(&archive.digest);
        }
        for (archive, name) in archives.iter().zip(&mut names) {
            if by_name[&folded(name)].len() > 1 {
                *name = format!("{}-{}", prefix(archive), archive.file);
            }
        }
    }
    names
}

/// Whether the name of a package's archive says what is in it: it has the package's name, or a word that is neither of a
/// version nor of a digest.
fn says_something(file: &str, package: &str) -> bool {
    // Endings of archives are words too.
    let end = ENDINGS.iter().filter_map(|ending| file.find(ending)).min().unwrap_or(file.len());
    let stem = &file[..end];
    let is_word = |part: &str| {
        let is_digest = part.len() > 6 && part.chars().all(|c| c.is_ascii_hexdigit());
        let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
        !is_digest && letters.len() > 1 && !OF_VERSIONS.contains(&folded(letters).as_str())
    };
    folded(stem).contains(&folded(package)) || stem.split(|c: char| !c.is_ascii_alphanumeric()).any(is_word)
}

/// What the endings of archives begin with.
const ENDINGS: [&str; 5] = [".tar", ".tgz", ".tbz", ".txz", ".zip"];

/// Words that stand beside numbers in the names of versions.
const OF_VERSIONS: [&str; 8] = ["ver", "version", "rel", "release", "rc", "alpha", "beta", "tip"];

/// A folder may be carried on a disk that does not tell `A` from `a`.
fn folded(file: &str) -> String {
    file.to_ascii_lowercase()
}

/// Whether this is the name of a file that lies in a folder itself, beside the list.
fn is_plain(file: &str) -> bool {
    !file.is_empty()
        && !file.starts_with('.')
        && !file.contains(|c: char| c == '/' || c.is_control())
        && !file.eq_ignore_ascii_case(Lock::FILE)
}

/// What a file is called that is had from one of `urls`, best first: the end of an address; what is awkward in a file's name
/// becomes `_`. `None` if no address ends in a name.
pub fn file_name<'a>(urls: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let ends = |url: &str| {
        let end = url.split(['?', '#']).next()?.rsplit(['/', ':']).next()?;
        let tame = |c: char| if c.is_ascii_alphanumeric() || "._-+~".contains(c) { c } else { '_' };
        Some(end.chars().map(tame).collect::<String>()).filter(|name| is_plain(name))
    };
    urls.into_iter().find_map(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(name: &str, source: usize, file: &str, contents: &str) -> LockedArchive {
        LockedArchive {
            name: name.to_owned(),
            version: "1".to_owned(),
            source,
            file: file.to_owned(),
            url: Some(format!("https://words.invalid/{file}")),
            sha256: Sha256::of(contents.as_bytes()),
            size: contents.len() as u64,
        }
    }

    #[test]
    fn lists_read_back_as_written_in_one_order() {
        let (one, other) = (archive("b", 0, "b-1.tar", "b"), archive("a", 1, "a-1.tar", "a"));
        let lock = Lock::new(vec![one.clone(), LockedArchive { url: None, ..other.clone() }]);
        assert_eq!(Lock::parse(&lock.text()).unwrap(), lock);
        assert_eq!(Lock::new(lock.archives.iter().rev().cloned().collect()), lock);
        insta::assert_snapshot!(lock.text(), @r#"
        # The archives in this folder, as `k3sroot fetch --out` collected them for `--offline --distfiles`.

        [[archive]]
        name = "a"
        version = "1"
        source = 1
        file = "a-1.tar"
        sha256 = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
        size = 1

        [[archive]]
        name = "b"
        version = "1"
        source = 0
        file = "b-1.tar"
        url = "https://words.invalid/b-1.tar"
        sha256 = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"
        size = 1
        "#);
        assert_eq!(Lock::parse(&Lock::default().text()).unwrap(), Lock::default());
    }

    #[test]
    fn different_archives_of_one_name_are_told_apart() {
        let files = |archives| -> Vec<String> {
            Lock::new(archives).archives.into_iter().map(|archive| archive.file).collect()
        };
        let of = |name, source, file, contents| archive(name, source, file, contents);
        assert_eq!(
            files(vec![of("a", 0, "v1.tar", "a"), of("b", 0, "V1.tar", "b"), of("c", 0, "c.tar", "c")]),
            ["a-v1.tar", "b-V1.tar", "c.tar"]
        );
        assert_eq!(
            files(vec![of("a", 0, "word.tar", "a"), of("b", 0, "Word.tar", "b"), of("c", 0, "c.tar", "c")]),
            ["a-word.tar", "b-Word.tar", "c.tar"]
        );
        // The same bytes for two packages are one file.
        for (file, expected) in [("word.tar", "word.tar"), ("v1.tar", "a-v1.tar")] {
            assert_eq!(files(vec![of("a", 0, file, "x"), of("b", 0, file, "x")]), [expected; 2]);
        }
        let of_one = files(vec![of("a", 0, "v1.tar", "a"), of("a", 1, "v1.tar", "b")]);
        assert_eq!(of_one, ["ca978112ca1b-v1.tar", "3e23e8160039-v1.tar"]);
        let (one, other) = (of("a", 0, "word.tar", "a"), of("b", 0, "word.tar", "b"));
        let taken = files(vec![one, other, of("c", 0, "a-word.tar", "c")]);
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 3, "{taken:?}");
    }

    #[test]
    fn names_that_say_nothing_get_the_package_before_them() {
        let named = |file: &str, package: &str| {
            let (file, package) = (file.to_owned(), package.to_owned());
            names_apart(&[Named { file, package, digest: "1".to_owned() }]).remove(0)
        };
        for file in
            ["v1.13.2.tar.gz", "1.2.zip", "R_2_7_1.tar.xz", "release-2.tgz", "0123456789abcdef.tar.gz"]
        {
            assert_eq!(named(file, "ninja"), format!("ninja-{file}"));
            assert_eq!(named(&named(file, "ninja"), "ninja"), format!("ninja-{file}"), "it says so now");
        }
        for file in ["linux-6.12.tar.xz", "libword_1.2.orig.tar.gz", "Ninja1.tar", "x2-1.tar.gz"] {
            assert_eq!(named(file, if file.starts_with('x') { "x2" } else { "ninja" }), file);
        }
    }

    #[test]
    fn files_are_called_by_the_end_of_an_address() {
        let name = |urls: &[&str]| file_name(urls.iter().copied());
        assert_eq!(name(&["https://a.example/x-1.tar.gz?raw#top", "debian:x/y"]).unwrap(), "x-1.tar.gz");
        assert_eq!(name(&["pypi:x/x-1.tar.gz"]).unwrap(), "x-1.tar.gz");
        assert_eq!(name(&["https://a.example/a%2fb c.tar"]).unwrap(), "a_2fb_c.tar");
        assert_eq!(name(&["https://a.example/.."]), None);
        assert_eq!(name(&["https://a.example/", "file:///y.tar"]).unwrap(), "y.tar");
        assert_eq!(name(&["file:///K3sroot.lock"]), None);
    }

    #[test]
    fn wrong_lists_are_refused_with_what_is_wrong() {
        let good = Lock::new(vec![archive("a", 0, "a.tar", "a"), archive("b", 0, "b.tar", "b")]).text();
        let cause = |error: LockError| match error {
            LockError::Invalid(source) => source.to_string(),
            error => error.to_string(),
        };
        for (from, to, expected) in [
            ("file = \"a.tar\"", "file = \"../a.tar\"", "the plain name of a file"),
            ("file = \"a.tar\"", "file = \"\"", "the plain name of a file"),
            ("file = \"a.tar\"", "file = \"k3sroot.lock\"", "the plain name of a file"),
            (
                "file = \"a.tar\"",
                "file = \"a\\nhint: b\"",
                "`a\\nhint: b`: it must be the plain name of a file",
            ),
            ("file = \"a.tar\"", "file = \"\\u001b[2Ja.tar\"", "`\\u{1b}[2Ja.tar`: it must be"),
            ("file = \"a.tar\"", "file = \"b.tar\"", "`b.tar` stands for two archives"),
            ("name = \"a\"", "name = \"b\"", "source 0 of b is listed twice"),
            ("size = 1", "size = -1", "line 10"),
            ("size = 1\n", "", "missing field `size`"),
            ("source", "sauce", "unknown field `sauce`"),
            ("[[archive]]", "[[archives]]", "unknown field `archives`"),
            ("sha256 = \"", "sha256 = \"x", "SHA-256"),
        ] {
            assert!(good.contains(from), "{from}");
            let error = cause(Lock::parse(&good.replacen(from, to, 1)).unwrap_err());
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
