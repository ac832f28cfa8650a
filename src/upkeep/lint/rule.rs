//! The rules by name, with the reason for each.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// `[license] spdx` is an SPDX expression.
    LicenseExpression,
    /// A package with a source names its licence texts.
    LicenseFiles,
    /// The summary is a short line without a full stop.
    Summary,
    /// The home page is an https URL.
    Homepage,
    /// Scanners can name the package.
    Identity,
    /// A source is to be had from its upstream, or from somebody who has upstream's bytes.
    Upstream,
    /// URLs follow the version.
    UrlVersion,
    /// URLs do not name places of one machine.
    FileUrl,
    /// A need is named once.
    NeedTwice,
    /// A recipe that writes its commands out says why.
    ScriptReason,
    /// A patch says what it does and why.
    PatchHeader,
    /// What a patch is said to take away stands in the recipe.
    PatchCve,
    /// What upstream has taken away is not in the recipe's version any more.
    CveVersion,
    /// What is held back is not upstream's newest release, and the recipe says why.
    Held,
    /// Every patch and file beside the recipes is used.
    Stray,
    /// Every recipe is used.
    Unused,
    /// No tabs, no blanks at the ends of lines, a line break at the end.
    Whitespace,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 17] = [
        Self::LicenseExpression,
        Self::LicenseFiles,
        Self::Summary,
        Self::Homepage,
        Self::Identity,
        Self::Upstream,
        Self::UrlVersion,
        Self::FileUrl,
        Self::NeedTwice,
        Self::ScriptReason,
        Self::PatchHeader,
        Self::PatchCve,
        Self::CveVersion,
        Self::Held,
        Self::Stray,
        Self::Unused,
        Self::Whitespace,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::LicenseExpression => "license-expression",
            Self::LicenseFiles => "license-files",
            Self::Summary => "summary",
            Self::Homepage => "homepage",
            Self::Identity => "identity",
            Self::Upstream => "upstream",
            Self::UrlVersion => "url-version",
            Self::FileUrl => "file-url",
            Self::NeedTwice => "need-twice",
            Self::ScriptReason => "script-reason",
            Self::PatchHeader => "patch-header",
            Self::PatchCve => "patch-cve",
            Self::CveVersion => "cve-version",
            Self::Held => "held",
            Self::Stray => "stray",
            Self::Unused => "unused",
            Self::Whitespace => "whitespace",
        }
    }

    /// What it asks for, and why.
    pub fn reason(self) -> &'static str {
        match self {
            Self::LicenseExpression => {
                "`[license] spdx` is an SPDX expression: documents for lawyers and scanners are made from it"
            }
            Self::LicenseFiles => {
                "`[license] files` names the licence texts with their digests: terms must not change unseen with a version"
            }
            Self::Summary => {
                "the summary is one line of at most 90 characters without a full stop: it stands in lists"
            }
            Self::Homepage => "the home page is an https URL",
            Self::Identity => {
                "`[identity]` has a purl (`pkg:type/name`), and a cpe (`vendor:product`) if any: scanners go by them"
            }
            Self::Upstream => {
                "the first archive of a source has an https URL, or a comment says why not: what only a distribution has, nobody can \
                 compare with upstream's"
            }
            Self::UrlVersion => {
                "URLs have `{version}` in place of the version: a bump must not leave one behind"
            }
            Self::FileUrl => "no `file:` URLs: they exist on one machine",
            Self::NeedTwice => "a need is named once",
            Self::ScriptReason => {
                "a comment beside `system = \"script\"` says why none of the build systems does: it is the last resort"
            }
            Self::PatchHeader => {
                "a patch begins with a line that says what it does and a paragraph that says why"
            }
            Self::PatchCve => {
                "a vulnerability that a patch's header names has a `[[cve]]` entry: documents for scanners are made from those"
            }
            Self::CveVersion => {
                "`fixed-in` is not later than the recipe's version: else the package is `affected`"
            }
            Self::Held => {
                "`[held] newest` is later than the recipe's version, and `because` gives the reason in at least five words: a \
                 reader can tell whether it still holds"
            }
            Self::Stray => {
                "every patch and local file is used by a recipe: what is not is taken for something that is"
            }
            Self::Unused => "every recipe is needed for the root",
            Self::Whitespace => {
                "no tabs, no blanks at the ends of lines, one line break at the end: diffs stay small"
            }
        }
    }
}

/// Raised when text names no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no rule: `k3sroot lint --rules` prints them")]
pub struct ParseRuleError {
    text: String,
}

impl FromStr for Rule {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|rule| rule.name() == text);
        found.ok_or_else(|| ParseRuleError { text: text.to_owned() })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
