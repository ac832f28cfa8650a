//! The first difference of two trees.

use std::fmt;

use serde::Serialize;

use super::place::{Place, place};
use base::digest::BlobDigest;
use store::{Entry, Tree};

/// The first path in which two trees differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The path in the trees.
    pub path: String,
    /// What is not the same.
    pub what: What,
}

/// What is not the same about a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Only the first tree has it.
    OnlyFirst,
    /// Only the second tree has it.
    OnlySecond,
    /// It is a file in one, a link or a folder in the other.
    Type,
    /// The link leads elsewhere.
    Target {
        /// In the first tree.
        first: String,
        /// In the second tree.
        second: String,
    },
    /// It is executable in one.
    Executable,
    /// The bytes.
    Contents(Place),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.what {
            What::OnlyFirst => write!(f, "`{path}` is there after the first build only"),
            What::OnlySecond => write!(f, "`{path}` is there after the second build only"),
            What::Type => write!(f, "`{path}` is a file, a link or a folder, and not the same each time"),
            What::Target { first, second } => write!(f, "`{path}` leads to `{first}` and to `{second}`"),
            What::Executable => write!(f, "`{path}` is executable after one build only"),
            What::Contents(place) => write!(f, "`{path}` differs {place}"),
        }
    }
}

/// The first path, in the order of names, in which two trees differ. `read_first` and `read_second` read a file of
/// either.
pub fn first_difference<E>(
    first: &Tree,
    second: &Tree,
    read_first: impl Fn(&BlobDigest) -> Result<Vec<u8>, E>,
    read_second: impl Fn(&BlobDigest) -> Result<Vec<u8>, E>,
) -> Result<Option<Difference>, E> {
    let mut paths: Vec<&String> = first.entries().keys().chain(second.entries().keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let what = match (first.entries().get(path), second.entries().get(path)) {
            (Some(_), None) => What::OnlyFirst,
            (None, _) => What::OnlySecond,
            (Some(one), Some(other)) if one == other => continue,
            (Some(Entry::File { blob: one, .. }), Some(Entry::File { blob: other, .. })) => {
                let place = if one == other { None } else { place(&read_first(one)?, &read_second(other)?) };
                place.map_or(What::Executable, What::Contents)
            }
            (Some(Entry::Symlink { target: first }), Some(Entry::Symlink { target: second })) => {
                What::Target { first: first.clone(), second: second.clone() }
            }
            _ => What::Type,
        };
        return Ok(Some(Difference { path: path.clone(), what }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::*;

    fn file(contents: &str, executable: bool) -> Entry {
        Entry::File { blob: BlobDigest::of(contents.as_bytes()), executable, size: contents.len() as u64 }
    }

    fn link(target: &str) -> Entry {
        Entry::Symlink { target: target.to_owned() }
    }

    fn shown(first: &[(&str, Entry)], second: &[(&str, Entry)]) -> Option<String> {
        let tree = |entries: &[(&str, Entry)]| {
            let entries = entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone()));
            Tree::new(entries.collect()).unwrap()
        };
        let blobs: BTreeMap<BlobDigest, Vec<u8>> =
            ["one", "two"].map(|text| (BlobDigest::of(text.as_bytes()), text.into())).into();
        let read = |digest: &BlobDigest| Ok::<_, Infallible>(blobs[digest].clone());
        let found = first_difference(&tree(first), &tree(second), read, read).unwrap();
        found.map(|difference| difference.to_string())
    }

    #[test]
    fn the_first_path_that_differs_is_named() {
        let one = || ("b", file("one", false));
        assert_eq!(shown(&[one()], &[one()]), None);
        let cases = [
            (vec![one()], vec![], "`b` is there after the first build only"),
            (vec![], vec![one()], "`b` is there after the second build only"),
            (vec![one()], vec![("a", link("b")), one()], "`a` is there after the second build only"),
            (vec![one()], vec![("b", file("one", true))], "`b` is executable after one build only"),
            (
                vec![one()],
                vec![("b", file("two", false))],
                "`b` differs at offset 0x0: 6f 6e 65 and 74 77 6f",
            ),
            (vec![("b", link("x"))], vec![("b", link("y"))], "`b` leads to `x` and to `y`"),
            (
                vec![one()],
                vec![("b", link("y"))],
                "`b` is a file, a link or a folder, and not the same each time",
            ),
        ];
        for (first, second, expected) in cases {
            assert_eq!(shown(&first, &second).as_deref(), Some(expected));
        }
    }
}
