//! A recipe file as text, in which keys have places.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Finding, Rule};

/// A recipe file that has been read already: it is known to be TOML.
pub(super) struct File<'a> {
    path: &'a Path,
    pub(super) text: &'a str,
    table: Option<Spanned<DeTable<'a>>>,
}

impl<'a> File<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, table: DeTable::parse(text).ok() }
    }

    /// A finding at the value that the keys lead to, or at the last of them that is there. A number is a place in a list.
    pub(super) fn finding(&self, rule: Rule, keys: &[&str], message: String) -> Finding {
        self.at(rule, self.span(keys), message)
    }

    pub(super) fn at(&self, rule: Rule, span: Range<usize>, message: String) -> Finding {
        Finding { rule, path: self.path.to_owned(), text: self.text.to_owned(), span, message }
    }

    /// The URLs of its sources as they are written, and where they stand.
    pub(super) fn urls(&self) -> Vec<(&str, Range<usize>)> {
        fn of<'t>(tables: &'t Spanned<DeValue<'_>>, urls: &mut Vec<(&'t str, Range<usize>)>) {
            for table in tables.get_ref().as_array().into_iter().flatten() {
                let list = table.get_ref().get("urls").and_then(|urls| urls.get_ref().as_array());
                let list = list.into_iter().flatten();
                urls.extend(list.filter_map(|url| Some((url.get_ref().as_str()?, url.span()))));
                table.get_ref().get("archive").into_iter().for_each(|archives| of(archives, urls));
            }
        }
        let mut urls = Vec::new();
        if let Some(sources) = self.table.as_ref().and_then(|table| table.get_ref().get("source")) {
            of(sources, &mut urls);
        }
        urls
    }

    /// Whether there is a comment on the line of a place, or on the one above or below.
    pub(super) fn explained(&self, span: &Range<usize>) -> bool {
        let number = self.text[..span.start].matches('\n').count();
        let mut lines = self.text.lines().skip(number.saturating_sub(1)).take(if number > 0 { 3 } else { 2 });
        lines.any(|line| line.starts_with('#') || line.contains(" #"))
    }

    pub(super) fn span(&self, keys: &[&str]) -> Range<usize> {
        let Some(table) = &self.table else { return 0..0 };
        let (mut found, mut here) = (0..0, table.get_ref().get(keys[0]));
        for key in keys.iter().skip(1).map(Some).chain([None]) {
            let Some(value) = here else { break };
            found = value.span();
            here = key.and_then(|key| match value.get_ref() {
                DeValue::Table(table) => table.get(*key),
                DeValue::Array(list) => list.get(key.parse::<usize>().ok()?),
                _ => None,
            });
        }
        found
    }

    /// The folders of our own files that its sources name.
    pub(super) fn locals(&self) -> impl Iterator<Item = &str> {
        let sources =
            self.table.as_ref().and_then(|table| table.get_ref().get("source")?.get_ref().as_array());
        sources.into_iter().flatten().filter_map(|source| source.get_ref().get("local")?.get_ref().as_str())
    }

    /// Where `word` stands in the text, from the place on that the keys lead to.
    pub(super) fn word(&self, keys: &[&str], word: &str) -> Range<usize> {
        let span = self.span(keys);
        match self.text[span.start..].find(word) {
            Some(at) => span.start + at..span.start + at + word.len(),
            None => span,
        }
    }
}
