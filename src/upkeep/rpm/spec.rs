//! The text of a spec: its head, its changelog, and what must be escaped.

use std::fmt::Write as _;

use super::distribution::Distribution;
use model::plan::policy::SOURCE_DATE_EPOCH;

/// The column at which the values of tags stand.
const COLUMN: usize = 16;
/// The width of text that people read.
const WIDTH: usize = 78;

/// A spec while it is written.
#[derive(Debug)]
pub(super) struct Spec {
    text: String,
}

/// What the head of every spec says.
pub(super) struct Head<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) summary: &'a str,
    pub(super) license: &'a str,
    pub(super) homepage: Option<&'a str>,
}

impl Spec {
    /// A spec that says where it is from, and on which terms: not those of what it packs.
    pub(super) fn new() -> Self {
        let text = "# Made by k3sroot rpm: make changes there.\n\
                    # SPDX-License-Identifier: MIT\n\
                    # Those are the terms of this file; the terms of what it packs stand behind License.\n";
        Self { text: text.to_owned() }
    }

    /// Lines as they are.
    pub(super) fn lines(&mut self, lines: &str) -> &mut Self {
        self.text.push_str(lines);
        self.text.push('\n');
        self
    }

    /// A tag with a value that is plain text.
    pub(super) fn tag(&mut self, tag: &str, value: &str) -> &mut Self {
        self.raw(tag, &escaped(value))
    }

    /// A tag with a value that has macros.
    pub(super) fn raw(&mut self, tag: &str, value: &str) -> &mut Self {
        let _ = writeln!(self.text, "{:COLUMN$}{value}", format!("{tag}:"));
        self
    }

    /// The first tags.
    pub(super) fn head(&mut self, distribution: Distribution, head: &Head<'_>) -> &mut Self {
        self.tag("Summary", head.summary).tag("Name", head.name).tag("Version", &rpm_version(head.version));
        self.raw("Release", "1%{?dist}").tag("License", head.license);
        for (tag, value) in distribution.conventions().tags {
            self.tag(tag, value);
        }
        if let Some(homepage) = head.homepage {
            self.tag("URL", homepage);
        }
        self
    }

    /// A section with lines as they are.
    pub(super) fn section(&mut self, name: &str, lines: &str) -> &mut Self {
        let _ = write!(self.text, "\n%{name}\n{lines}");
        self
    }

    /// A description: plain text, wrapped.
    pub(super) fn description(&mut self, of: &str, text: &str) -> &mut Self {
        let name = if of.is_empty() { "description".to_owned() } else { format!("description {of}") };
        self.section(&name, &wrapped(&escaped(text)))
    }

    /// The changelog, and with it the whole.
    pub(super) fn finish(mut self, distribution: Distribution, packager: &str, version: &str) -> String {
        let entry =
            format!("* {} {} - {}-1", date(SOURCE_DATE_EPOCH), escaped(packager), rpm_version(version));
        self.section("changelog", &format!("{entry}\n"));
        for item in distribution.conventions().first_entry {
            self.lines(&format!("- {item}"));
        }
        self.text
    }
}

/// Plain text that a spec does not interpret.
pub(super) fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

/// A version as RPM writes them: no `-`, and what comes before a release behind `~` (`1.0-rc1`: `1.0~rc1`).
pub fn rpm_version(version: &str) -> String {
    let (release, build) = version.split_once('+').unwrap_or((version, ""));
    let release = release.replacen('-', "~", 1).replace('-', ".");
    if build.is_empty() { release } else { format!("{release}+{}", build.replace('-', ".")) }
}

/// Words in lines.
fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| line.clone() + "\n").collect()
}

/// A time in seconds since 1970 as a changelog has it: `Wed Jan 01 2025`.
fn date(seconds: i64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = seconds.unsigned_abs();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let month: usize = text[5..7].parse().unwrap_or(1);
    // 1970 began on a Thursday.
    let weekday = usize::try_from(seconds / 86_400 % 7).unwrap_or(0);
    format!("{} {} {} {}", WEEKDAYS[weekday], MONTHS[month - 1], &text[8..10], &text[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_day_of_the_week_that_they_were() {
        assert_eq!(date(SOURCE_DATE_EPOCH), "Wed Jan 01 2025");
        assert_eq!(date(0), "Thu Jan 01 1970");
        assert_eq!(date(1_709_164_800), "Thu Feb 29 2024");
    }

    #[test]
    fn versions_have_no_dash() {
        for (version, expected) in [
            ("1.37.0", "1.37.0"),
            ("1.0-rc1", "1.0~rc1"),
            ("1.0.0-rc.1-x", "1.0.0~rc.1.x"),
            ("0.11.1+wasi-snapshot-preview1", "0.11.1+wasi.snapshot.preview1"),
        ] {
            assert_eq!(rpm_version(version), expected);
        }
    }

    #[test]
    fn nothing_in_plain_text_is_a_macro() {
        let mut spec = Spec::new();
        spec.tag("URL", "https://words.invalid/a%20b/%{name}");
        assert!(
            spec.text.ends_with("URL:            https://words.invalid/a%%20b/%%{name}\n"),
            "{}",
            spec.text
        );
        let long = "word ".repeat(40);
        assert!(wrapped(&long).lines().all(|line| line.len() <= WIDTH));
        assert_eq!(wrapped(&long).split_whitespace().count(), 40);
    }
}
