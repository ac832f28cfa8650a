//! What `cargo tree` says: the crates whose code is in the program, and their terms.

use std::collections::BTreeSet;

use root::attest::all_terms;

/// What to ask `cargo tree`, beside the target: what is compiled into a program, without what only runs in the compiler. (What
/// `cargo metadata` resolves is more: it counts features in that nobody asked for.)
pub const TREE: [&str; 8] = [
    "tree",
    "--package=k3sroot",
    "--locked",
    "--edges=normal,no-proc-macro",
    "--prefix=none",
    "--charset=ascii",
    "--format",
    "{p}|{l}",
];

/// Raised when the answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CratesError {
    /// A line that is not in the form that was asked for.
    #[error("`cargo tree` printed `{line}` in place of a crate and its licence")]
    Form {
        /// The line.
        line: String,
    },
    /// The program itself is not among them.
    #[error("`cargo tree` does not name the program `{name}`")]
    NoProgram {
        /// What was looked for.
        name: String,
    },
    /// A crate does not say under which terms it comes, or not so that it could be told on.
    #[error("the crate {name} {version} has no licence that is an SPDX expression, but `{found}`")]
    License {
        /// The crate.
        name: String,
        /// Its version.
        version: String,
        /// What it says instead.
        found: String,
    },
}

/// A program and the crates that it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crates {
    /// The program's version.
    pub version: String,
    /// The crates of others whose code is in it: name and version.
    pub bundled: BTreeSet<(String, String)>,
    /// The terms of all of them, and its own.
    pub terms: String,
}

impl Crates {
    /// Reads the answers for the program `name` to [`TREE`], one for each target.
    pub fn read(answers: &[String], name: &str) -> Result<Self, CratesError> {
        let (mut version, mut bundled, mut terms) = (None, BTreeSet::new(), BTreeSet::new());
        for line in answers.iter().flat_map(|answer| answer.lines()).filter(|line| !line.is_empty()) {
            let wrong = || CratesError::Form { line: line.to_owned() };
            let (package, license) = line.split_once('|').ok_or_else(wrong)?;
            let mut words = package.split_whitespace();
            let (found, number) = words.next().zip(words.next()).ok_or_else(wrong)?;
            // Behind the version of what is no archive of a registry stands its folder.
            let is_own = words.next().is_some_and(|folder| folder.starts_with("(/"));
            let number = number.strip_prefix('v').ok_or_else(wrong)?;
            // Behind a crate that was named before.
            let license = license.trim_end().trim_end_matches("(*)").trim_end();
            terms.insert(expression(license).ok_or_else(|| CratesError::License {
                name: found.to_owned(),
                version: number.to_owned(),
                found: license.to_owned(),
            })?);
            if found == name {
                version = Some(number.to_owned());
            } else if !is_own {
                bundled.insert((found.to_owned(), number.to_owned()));
            }
        }
        let version = version.ok_or_else(|| CratesError::NoProgram { name: name.to_owned() })?;
        Ok(Self { version, bundled, terms: all_terms(terms.iter().map(String::as_str)) })
    }
}

/// A crate's terms as an SPDX expression, alternatives in order. Crates may still write `/` for `OR`.
fn expression(license: &str) -> Option<String> {
    let text = license.replace('/', " OR ");
    spdx::Expression::parse(&text).ok()?;
    if text.contains(['(', ')']) || text.contains(" AND ") {
        return Some(text);
    }
    let mut alternatives: Vec<&str> = text.split(" OR ").map(str::trim).collect();
    alternatives.sort_unstable();
    Some(alternatives.join(" OR "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Crates, CratesError> {
        Crates::read(&[lines.join("\n")], "k3sroot")
    }

    #[test]
    fn crates_are_read_with_their_terms() {
        let crates = read(&[
            "k3sroot v0.1.0 (/checkout)|Apache-2.0",
            "store v0.1.0 (/checkout/src/store)|Apache-2.0",
            "memchr v2.8.3|Unlicense/MIT",
            "toml v0.9.12+spec-1.1.0|MIT OR Apache-2.0",
            "memchr v2.8.3|Unlicense/MIT (*)",
            "unicode-ident v1.0.2|(MIT OR Apache-2.0) AND Unicode-3.0",
            "ring v0.17.14|Apache-2.0 AND ISC",
        ])
        .unwrap();
        assert_eq!(crates.version, "0.1.0");
        let bundled: Vec<&str> = crates.bundled.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(bundled, ["memchr", "ring", "toml", "unicode-ident"]);
        let expected = "((MIT OR Apache-2.0) AND Unicode-3.0) AND (Apache-2.0 OR MIT) AND (MIT OR Unlicense) \
                        AND Apache-2.0 AND ISC";
        assert_eq!(crates.terms, expected);
        assert!(spdx::Expression::parse(&crates.terms).is_ok());
    }

    #[test]
    fn what_cannot_be_told_on_is_refused() {
        let error = |line: &str| read(&["k3sroot v0.1.0|Apache-2.0", line]).unwrap_err().to_string();
        assert_eq!(error("x v1.0.0|"), "the crate x 1.0.0 has no licence that is an SPDX expression, but ``");
        assert!(error("x v1.0.0|Whatever").ends_with("but `Whatever`"));
        assert_eq!(error("warning"), "`cargo tree` printed `warning` in place of a crate and its licence");
        assert!(error("x 1.0.0|MIT").contains("in place of a crate"));
        assert!(
            read(&["x v1.0.0|MIT"]).unwrap_err().to_string().contains("does not name the program `k3sroot`")
        );
    }
}
