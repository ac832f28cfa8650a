//! Whether a version is among those that a record speaks of.

use std::cmp::Ordering;

use base::version::compare;

/// The order of two versions, where `1.2` and `1.2.0` are the same one: databases write both.
pub(super) fn order(a: &str, b: &str) -> Ordering {
    compare(without_zeros(a), without_zeros(b))
}

fn without_zeros(version: &str) -> &str {
    let mut version = version;
    while let Some(shorter) = version.strip_suffix(".0") {
        version = shorter;
    }
    version
}

/// The version that a tag stands for: `v2.41.5`, `pcre2-10.45` and `1_37_0` name one. Empty if it names none.
pub(super) fn of_tag(tag: &str) -> String {
    let begins = |at: &usize| {
        let word = tag[*at..].trim_start_matches(['v', 'V']);
        word.starts_with(|c: char| c.is_ascii_digit())
    };
    let after = tag.match_indices(['-', '_', '/']).map(|(at, _)| at + 1);
    let start = std::iter::once(0).chain(after).find(begins).unwrap_or(tag.len());
    tag[start..].trim_start_matches(['v', 'V']).replace('_', ".")
}

/// A range of versions; none of the ends is there where it has no end.
#[derive(Debug, Clone, Default)]
pub(super) struct Range<'a> {
    pub(super) from: Option<&'a str>,
    pub(super) after: Option<&'a str>,
    pub(super) up_to: Option<&'a str>,
    pub(super) before: Option<&'a str>,
}

impl Range<'_> {
    pub(super) fn has(&self, version: &str) -> bool {
        let is = |end: Option<&str>, orders: &[Ordering]| {
            end.is_none_or(|end| orders.contains(&order(version, end)))
        };
        is(self.from, &[Ordering::Greater, Ordering::Equal])
            && is(self.after, &[Ordering::Greater])
            && is(self.up_to, &[Ordering::Less, Ordering::Equal])
            && is(self.before, &[Ordering::Less])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_count_or_do_not() {
        let range = |from, after, up_to, before| Range { from, after, up_to, before };
        for (range, version, expected) in [
            (range(Some("1.2"), None, None, Some("1.10")), "1.2.0", true),
            (range(Some("1.2"), None, None, Some("1.10")), "1.9.9", true),
            (range(Some("1.2"), None, None, Some("1.10")), "1.10.0", false),
            (range(Some("1.2"), None, None, Some("1.10")), "1.2-rc1", false),
            (range(None, Some("1.2.0"), Some("1.10"), None), "1.2", false),
            (range(None, Some("1.2.0"), Some("1.10"), None), "1.10.0", true),
            (range(None, Some("1.2.0"), Some("1.10"), None), "1.10.1", false),
            (range(None, None, None, None), "9", true),
        ] {
            assert_eq!(range.has(version), expected, "{version} in {range:?}");
        }
    }

    #[test]
    fn a_tag_names_a_version() {
        for (tag, version) in
            [("v2.41.5", "2.41.5"), ("1_37_0", "1.37.0"), ("glib-2.84.4", "2.84.4"), ("x", "")]
        {
            assert_eq!(of_tag(tag), version);
        }
    }
}
