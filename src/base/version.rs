//! Which of two versions is the later one, as upstream projects count.

use std::cmp::Ordering;

use crate::name::Version;

/// What a piece of a version is, in the order of how late that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A word for what is not finished.
    Before,
    /// No more pieces.
    End,
    Letters,
    Number,
}

/// A piece of a version: numbers are without leading zeros and have their length, so that the longer is the greater.
type Piece<'a> = (Kind, usize, &'a str);

/// Words for what is not finished.
const UNFINISHED: &[&str] = &["alpha", "beta", "dev", "git", "pre", "preview", "rc", "snapshot", "test"];

/// Whether `text` is later than `than`: numbers count as numbers, `1.2-rc1` comes before `1.2`, `1.2a` after it.
pub fn newer(text: &Version, than: &Version) -> bool {
    compare(text.as_str(), than.as_str()) == Ordering::Greater
}

/// Whether a version is a release, not one on the way to it.
pub fn is_release(version: &Version) -> bool {
    !pieces(version.as_str()).iter().any(|piece| piece.0 == Kind::Before)
}

/// The order of two versions, the later one being the greater.
pub fn compare(a: &str, b: &str) -> Ordering {
    const END: Piece<'_> = (Kind::End, 0, "");
    let (a, b) = (pieces(a), pieces(b));
    let longest = a.len().max(b.len());
    let pairs = (0..longest).map(|at| (a.get(at).unwrap_or(&END), b.get(at).unwrap_or(&END)));
    pairs.map(|(a, b)| a.cmp(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let alike = |c: char| c.is_ascii_digit() == first.is_ascii_digit() && c.is_ascii_alphanumeric();
        if !first.is_ascii_alphanumeric() {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let end = rest.find(|c| !alike(c)).unwrap_or(rest.len());
        let (piece, more) = rest.split_at(end);
        rest = more;
        pieces.push(if first.is_ascii_digit() {
            let digits = piece.trim_start_matches('0');
            (Kind::Number, digits.len(), digits)
        } else if UNFINISHED.contains(&piece.to_ascii_lowercase().as_str()) {
            (Kind::Before, 0, piece)
        } else {
            (Kind::Letters, 0, piece)
        });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_upstreams_count() {
        let ordered = [
            "0.9",
            "1.0-alpha2",
            "1.0-beta1",
            "1.0-rc1",
            "1.0-rc2",
            "1.0",
            "1.0a",
            "1.0b",
            "1.0.1",
            "1.2",
            "1.2.1",
            "1.10",
            "2.40.2",
            "2.41-rc1",
            "2.41",
            "9",
            "20240101",
        ];
        for pair in ordered.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("1.02", "1.2"), Ordering::Equal);
        assert_eq!(compare("1_2", "1.2"), Ordering::Equal);
    }

    #[test]
    fn what_comes_before_a_release_is_none() {
        let release = |text: &str| is_release(&text.parse().unwrap());
        for text in ["1.37.0", "9.5", "1.1.1w", "2024a"] {
            assert!(release(text), "{text}");
        }
        for text in ["2.41-rc1", "1.0beta2", "6.14-dev", "1.0~pre1"] {
            assert!(!release(text), "{text}");
        }
    }
}
