//! What is known of the newest releases: a TOML file with a line for each package, and the day on which somebody looked.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::value::Datetime;

use base::name::{PackageName, Version};

/// The newest release of a package.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Newest {
    /// Its version.
    pub version: Version,
    /// The day on which somebody looked: a release of the day after is not known.
    pub seen: Datetime,
}

/// Raised when a file does not say it.
#[derive(Debug, thiserror::Error)]
pub enum NewestError {
    /// It is not TOML, or has other keys.
    #[error("write `package = {{ version = \"1.2\", seen = 2026-12-01 }}`: {message}")]
    Invalid {
        /// What is wrong, in the words of TOML's reader.
        message: String,
    },
    /// A day has a time.
    #[error("`seen` of {package} is not a day like 2026-12-01")]
    Day {
        /// The package.
        package: PackageName,
    },
}

/// Reads such a file.
pub fn newest_releases(text: &str) -> Result<BTreeMap<PackageName, Newest>, NewestError> {
    let known: BTreeMap<PackageName, Newest> = toml::from_str(text)
        .map_err(|error| NewestError::Invalid { message: error.message().trim_end().to_owned() })?;
    let day = |newest: &Newest| {
        newest.seen.date.is_some() && newest.seen.time.is_none() && newest.seen.offset.is_none()
    };
    match known.iter().find(|(_, newest)| !day(newest)) {
        Some((package, _)) => Err(NewestError::Day { package: package.clone() }),
        None => Ok(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_has_a_version_and_a_day() {
        let known = newest_releases("a = { version = \"1.2\", seen = 2026-12-01 }\n").unwrap();
        let (package, newest) = known.first_key_value().unwrap();
        assert_eq!(format!("{package} {} {}", newest.version, newest.seen), "a 1.2 2026-12-01");
    }

    #[test]
    fn what_says_something_else_is_refused() {
        for (text, expected) in [
            ("a = \"1.2\"", "write `package = { version = \"1.2\", seen = 2026-12-01 }`: "),
            ("a = { version = \"1.2\" }", "missing field `seen`"),
            ("a = { version = \"1.2\", seen = 2026-12-01, by = \"me\" }", "unknown field `by`"),
            ("a = { version = \"1.2\", seen = \"today\" }", "write `package"),
            ("a = { version = \"1.2\", seen = 2026-12-01T10:00:00Z }", "`seen` of a is not a day"),
            ("a = { version = \"\", seen = 2026-12-01 }", "write `package"),
            ("a b", "write `package"),
        ] {
            let error = newest_releases(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
