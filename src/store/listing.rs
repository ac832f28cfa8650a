//! The listing of a tree: what is at which path.
//!
//! A listing is text, one entry a line, sorted by the bytes of the path, so that one tree has one listing and its
//! BLAKE3 digest is the tree's name:
//!
//! ```text
//! k3sroot-tree 1
//! f <blob> <size> <path>             a file, placed with mode 0644
//! x <blob> <size> <path>             a file that can be run, placed with mode 0755
//! l <length of target> <target> <path>   a symbolic link
//! d <path>                           an empty folder; all others are implied by what they hold
//! ```
//!
//! [`Tree::parse`] takes any bytes and accepts exactly what [`Tree::to_bytes`] writes. It knows nothing of the disk.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base::digest::{BlobDigest, TreeDigest};

const HEADER: &str = "k3sroot-tree 1\n";

/// One thing in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file.
    File {
        /// Its contents.
        blob: BlobDigest,
        /// Whether it can be run: mode 0755 instead of 0644.
        executable: bool,
        /// Its length in bytes.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points, as written.
        target: String,
    },
    /// An empty folder.
    Dir,
}

/// Why a listing was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// It does not start with the header, or is not text.
    #[error("it is not a listing of this version")]
    Header,
    /// The last line does not end: the listing was cut.
    #[error("it ends in the middle of a line")]
    Cut,
    /// A line has none of the known forms.
    #[error("line {line} is not an entry")]
    Line {
        /// Counted from one; the header is the first.
        line: usize,
    },
    /// A path or target that no tree may have.
    #[error("`{path}` is not allowed: {rule}")]
    Path {
        /// The path.
        path: String,
        /// Which rule it breaks.
        rule: &'static str,
    },
    /// A path is given twice or comes after a greater one.
    #[error("`{path}` is given twice or out of order")]
    Order {
        /// The path.
        path: String,
    },
    /// A path lies below something that is not a folder, or below a folder that is listed as empty.
    #[error("`{path}` lies below `{above}`, which is no folder that holds something")]
    Below {
        /// The path.
        path: String,
        /// What it lies below.
        above: String,
    },
    /// It says the right thing in other words than [`Tree::to_bytes`] would.
    #[error("it is not in canonical form")]
    NotCanonical,
}

/// A set of entries by path, known to fit together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// Makes a tree of `entries`, after checking every path and that nothing lies below a file, a link or an empty
    /// folder.
    pub fn new(entries: BTreeMap<String, Entry>) -> Result<Self, ListingError> {
        for (path, entry) in &entries {
            check_path(path)?;
            if let Entry::Symlink { target } = entry {
                check_target(target)?;
            }
            if let Some(above) = ancestors(path).find(|above| entries.contains_key(*above)) {
                return Err(ListingError::Below { path: path.clone(), above: above.to_owned() });
            }
        }
        Ok(Self { entries })
    }

    /// The entries by path, in the order of the listing.
    pub fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// The contents of the file that is, or that links inside the tree lead to, at `path`; none if there is no such file, or
    /// one of more than `largest` bytes.
    pub fn file(&self, path: &str, largest: u64) -> Option<BlobDigest> {
        let mut path = path.to_owned();
        // As many links as Linux follows.
        for _ in 0..40 {
            match self.entries.get(&path) {
                Some(Entry::File { blob, size, .. }) => return Some(*blob).filter(|_| *size <= largest),
                Some(Entry::Symlink { target }) => path = beside(&path, target)?,
                Some(Entry::Dir) => return None,
                // A folder above it may be a link.
                None => {
                    let (above, target) =
                        ancestors(&path).find_map(|above| match self.entries.get(above) {
                            Some(Entry::Symlink { target }) => Some((above.to_owned(), target)),
                            _ => None,
                        })?;
                    path = format!("{}{}", beside(&above, target)?, &path[above.len()..]);
                }
            }
        }
        None
    }

    /// The sum of the files' lengths in bytes.
    pub fn size(&self) -> u64 {
        let size = |entry: &Entry| if let Entry::File { size, .. } = entry { *size } else { 0 };
        self.entries.values().fold(0, |sum, entry| sum.saturating_add(size(entry)))
    }

    /// The listing.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = HEADER.to_owned();
        for (path, entry) in &self.entries {
            match entry {
                Entry::File { blob, executable, size } => {
                    let kind = if *executable { 'x' } else { 'f' };
                    writeln!(text, "{kind} {blob} {size} {path}")
                }
                Entry::Symlink { target } => writeln!(text, "l {} {target} {path}", target.len()),
                Entry::Dir => writeln!(text, "d {path}"),
            }
            .expect("writing to a string does not fail");
        }
        text.into_bytes()
    }

    /// The tree's name: the digest of its listing.
    pub fn digest(&self) -> TreeDigest {
        digest_of(&self.to_bytes())
    }

    /// Reads a listing.
    pub fn parse(listing: &[u8]) -> Result<Self, ListingError> {
        let text = std::str::from_utf8(listing).map_err(|_| ListingError::Header)?;
        let mut rest = text.strip_prefix(HEADER).ok_or(ListingError::Header)?;
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        let mut line_number = 1;
        while !rest.is_empty() {
            line_number += 1;
            let (line, next) = rest.split_once('\n').ok_or(ListingError::Cut)?;
            let (path, entry) = parse_line(line).ok_or(ListingError::Line { line: line_number })?;
            if entries.last_key_value().is_some_and(|(last, _)| last.as_str() >= path) {
                return Err(ListingError::Order { path: path.to_owned() });
            }
            entries.insert(path.to_owned(), entry);
            rest = next;
        }
        let tree = Self::new(entries)?;
        // Digests in capitals, sizes with a sign or leading zeros: whatever else could be said in two ways.
        if tree.to_bytes() == listing { Ok(tree) } else { Err(ListingError::NotCanonical) }
    }
}

/// The name of the tree with this listing.
pub(super) fn digest_of(listing: &[u8]) -> TreeDigest {
    TreeDigest::from_bytes(*blake3::hash(listing).as_bytes())
}

/// The folders that `path` lies in, the nearest first.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(end, _)| &path[..end])
}

fn parse_line(line: &str) -> Option<(&str, Entry)> {
    let (kind, rest) = line.split_once(' ')?;
    match kind {
        "f" | "x" => {
            let (blob, rest) = rest.split_once(' ')?;
            let (size, path) = rest.split_once(' ')?;
            let (blob, size) = (blob.parse().ok()?, size.parse().ok()?);
            Some((path, Entry::File { blob, executable: kind == "x", size }))
        }
        "l" => {
            let (length, rest) = rest.split_once(' ')?;
            let (target, path) = rest.split_at_checked(length.parse().ok()?)?;
            Some((path.strip_prefix(' ')?, Entry::Symlink { target: target.to_owned() }))
        }
        "d" => Some((rest, Entry::Dir)),
        _ => None,
    }
}

fn check_path(path: &str) -> Result<(), ListingError> {
    let refuse = |rule| Err(ListingError::Path { path: path.to_owned(), rule });
    if path.starts_with('/') {
        return refuse("it must be relative");
    }
    if path.contains(['\n', '\0']) {
        return refuse("newlines and NUL bytes cannot be listed");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refuse("empty parts, `.` and `..` could leave the tree or name a path twice");
    }
    Ok(())
}

fn check_target(target: &str) -> Result<(), ListingError> {
    if target.is_empty() || target.contains(['\n', '\0']) {
        let rule = "a link's target is not empty and has no newlines and NUL bytes";
        return Err(ListingError::Path { path: target.to_owned(), rule });
    }
    Ok(())
}

/// The path that a link at `path` leads to; none if it leads out of the tree.
fn beside(path: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(contents: &str) -> Entry {
        let size = contents.len() as u64;
        Entry::File { blob: BlobDigest::of(contents.as_bytes()), executable: false, size }
    }

    fn tree(entries: &[(&str, Entry)]) -> Result<Tree, ListingError> {
        Tree::new(entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect())
    }

    #[test]
    fn the_format_is_pinned() {
        let link = Entry::Symlink { target: "a -> b".to_owned() };
        let tree = tree(&[("usr/bin/a b", file("x")), ("usr/lib", link), ("var/empty", Entry::Dir)]).unwrap();
        let blob = BlobDigest::of(b"x");
        assert_eq!(
            String::from_utf8(tree.to_bytes()).unwrap(),
            format!("k3sroot-tree 1\nf {blob} 1 usr/bin/a b\nl 6 a -> b usr/lib\nd var/empty\n")
        );
        assert_eq!(
            Tree::default().digest().to_string(),
            blake3::hash(b"k3sroot-tree 1\n").to_string(),
            "an empty tree is its header"
        );
    }

    #[test]
    fn paths_that_leave_the_tree_or_break_the_listing_are_refused() {
        for wrong in
            ["", "/", "/etc", "..", "a/..", "../a", "a/../b", ".", "./a", "a/.", "a//b", "a/", "a\nb", "a\0b"]
        {
            let error = tree(&[(wrong, Entry::Dir)]).unwrap_err();
            assert!(matches!(error, ListingError::Path { .. }), "{wrong:?}: {error}");
        }
        for target in ["", "a\nb", "a\0"] {
            let link = Entry::Symlink { target: target.to_owned() };
            assert!(matches!(tree(&[("a", link)]), Err(ListingError::Path { .. })), "{target:?}");
        }
        assert!(tree(&[("...", Entry::Dir), ("..a", file("")), (" ", file("")), ("é", file(""))]).is_ok());
    }

    #[test]
    fn a_file_is_found_through_links_inside_the_tree() {
        let link = |target: &str| Entry::Symlink { target: target.to_owned() };
        let tree = tree(&[
            ("a/text", file("text")),
            ("b", link("a")),
            ("c/up", link(".././b/text")),
            ("empty", Entry::Dir),
            ("loop", link("loop")),
            ("out", link("../a/text")),
            ("root", link("/a/text")),
            ("top", link("a/../a/text")),
        ])
        .unwrap();
        for path in ["a/text", "b/text", "c/up", "top"] {
            assert_eq!(tree.file(path, 4), Some(BlobDigest::of(b"text")), "{path}");
            assert_eq!(tree.file(path, 3), None, "{path} is too large");
        }
        for path in ["a", "b", "empty", "loop", "out", "root", "none", "a/text/more", ""] {
            assert_eq!(tree.file(path, 4), None, "{path}");
        }
    }

    #[test]
    fn nothing_lies_below_a_file_a_link_or_an_empty_folder() {
        for above in [file("x"), Entry::Symlink { target: "/etc".to_owned() }, Entry::Dir] {
            // `a-b` sorts between the two.
            let error =
                tree(&[("a", above), ("a-b", file("")), ("a/b/c", file(""))]).unwrap_err().to_string();
            assert_eq!(error, "`a/b/c` lies below `a`, which is no folder that holds something");
        }
    }

    #[test]
    fn damaged_listings_are_refused() {
        let blob = BlobDigest::of(b"");
        let parse = |lines: &str| Tree::parse(format!("{HEADER}{lines}").as_bytes()).unwrap_err();
        assert_eq!(Tree::parse(b""), Err(ListingError::Header));
        assert_eq!(Tree::parse(b"k3sroot-tree 2\n"), Err(ListingError::Header));
        assert_eq!(Tree::parse(b"k3sroot-tree 1\nd \xff\n"), Err(ListingError::Header));
        assert_eq!(parse("d a"), ListingError::Cut);
        for line in [
            "\n",
            "d\n",
            "q a\n",
            "f a\n",
            "f 12 0 a\n",
            &format!("f {blob} a\n"),
            &format!("f {blob} -1 a\n"),
            &format!("f {blob} 99999999999999999999 a\n"),
            "l 9 a b\n",
            "l 1 ab\n",
            "l 1 é b\n",
            "l x a b\n",
        ] {
            assert_eq!(parse(line), ListingError::Line { line: 2 }, "{line:?}");
        }
        assert!(matches!(parse("d b\nd a\n"), ListingError::Order { .. }));
        assert!(matches!(parse("d a\nd a\n"), ListingError::Order { .. }));
        assert!(matches!(parse("d ../a\n"), ListingError::Path { .. }));
        let capitals = blob.to_string().to_uppercase();
        for line in [
            format!("f {blob} 00 a\n"),
            format!("f {blob} +0 a\n"),
            format!("f {capitals} 0 a\n"),
            "l 01 a b\n".to_owned(),
        ] {
            assert_eq!(parse(&line), ListingError::NotCanonical, "{line:?}");
        }
    }

    fn entry() -> impl Strategy<Value = Entry> {
        prop_oneof![
            (any::<[u8; 32]>(), any::<bool>(), any::<u64>()).prop_map(|(blob, executable, size)| {
                Entry::File { blob: BlobDigest::from_bytes(blob), executable, size }
            }),
            "[ -~é]{1,12}".prop_map(|target| Entry::Symlink { target }),
            Just(Entry::Dir),
        ]
    }

    proptest! {
        #[test]
        fn listings_read_back_as_written(
            entries in prop::collection::btree_map("[a-c.é -]{1,3}(/[a-c]{1,2}){0,3}", entry(), 0..8),
        ) {
            if let Ok(tree) = Tree::new(entries) {
                let listing = tree.to_bytes();
                prop_assert_eq!(Tree::parse(&listing).unwrap(), tree);
                let cut = &listing[..listing.len() - 1];
                prop_assert!(Tree::parse(cut).is_err(), "a cut listing was accepted");
            }
        }

        #[test]
        fn any_bytes_are_refused_or_canonical(
            lines in prop::collection::vec("[fxld] ([0-9]{1,2} )?[a-c/.]{0,4}( [a-c/.]{0,4})?\n?", 0..5),
            flip in any::<prop::sample::Index>(),
            bit in 0..8_u32,
        ) {
            let mut bytes = format!("{HEADER}{}", lines.concat()).into_bytes();
            for _ in 0..2 {
                if let Ok(tree) = Tree::parse(&bytes) {
                    prop_assert_eq!(tree.to_bytes(), bytes.clone());
                }
                let at = flip.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
        }
    }
}
