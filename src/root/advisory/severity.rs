//! How severe a vulnerability is.

use std::fmt;
use std::str::FromStr as _;

use cvss::Cvss;
use serde::{Deserialize, Serialize, Serializer};

/// A rating, as CVSS 3 and 4 draw the lines between them. CVSS 2 has no `critical`: 7.0 and above is `high` there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// 0.0.
    None,
    /// 0.1 to 3.9.
    Low,
    /// 4.0 to 6.9.
    Medium,
    /// 7.0 to 8.9.
    High,
    /// 9.0 to 10.0.
    Critical,
}

/// A severity as records of OSV write it: a vector of CVSS.
#[derive(Debug, Deserialize)]
pub(super) struct Vector {
    pub(super) score: String,
}

impl Severity {
    /// The rating of a base score by CVSS 3 and 4.
    pub(super) fn of_score(score: f64) -> Self {
        match score {
            score if score < 0.05 => Self::None,
            score if score < 3.95 => Self::Low,
            score if score < 6.95 => Self::Medium,
            score if score < 8.95 => Self::High,
            _ => Self::Critical,
        }
    }

    /// The rating of a base score by CVSS 2.
    pub(super) fn of_score_2(score: f64) -> Self {
        Self::of_score(score).min(Self::High)
    }

    /// The rating of a vector (`CVSS:3.1/AV:N/…`); none if it is none.
    pub(super) fn of_vector(text: &str) -> Option<Self> {
        let vector = Cvss::from_str(text).ok()?;
        let score = vector.score();
        Some(if matches!(vector, Cvss::CvssV20(_)) { Self::of_score_2(score) } else { Self::of_score(score) })
    }

    /// The rating of a word; `moderate` is GitHub's for `medium`.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "none" => Some(Self::None),
            "low" => Some(Self::Low),
            "medium" | "moderate" => Some(Self::Medium),
            "high" => Some(Self::High),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_rated_as_the_specifications_say() {
        for (score, rating, rating_2) in [
            (0.0, Severity::None, Severity::None),
            (0.1, Severity::Low, Severity::Low),
            (3.9, Severity::Low, Severity::Low),
            (4.0, Severity::Medium, Severity::Medium),
            (6.9, Severity::Medium, Severity::Medium),
            (7.0, Severity::High, Severity::High),
            (8.9, Severity::High, Severity::High),
            (9.0, Severity::Critical, Severity::High),
            (10.0, Severity::Critical, Severity::High),
        ] {
            assert_eq!(Severity::of_score(score), rating, "{score}");
            assert_eq!(Severity::of_score_2(score), rating_2, "{score}");
        }
    }

    #[test]
    fn vectors_of_every_version_are_rated() {
        for (vector, rating) in [
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", Some(Severity::Critical)),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", Some(Severity::High)),
            ("CVSS:3.0/AV:L/AC:H/PR:N/UI:N/S:C/C:N/I:L/A:N", Some(Severity::Low)),
            ("AV:N/AC:L/Au:N/C:C/I:C/A:C", Some(Severity::High)),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", Some(Severity::None)),
            ("CVSS:3.1/AV:X", None),
            ("", None),
        ] {
            assert_eq!(Severity::of_vector(vector), rating, "{vector}");
        }
        assert_eq!(Severity::of_word("MODERATE"), Some(Severity::Medium));
        assert_eq!(Severity::of_word("dire"), None);
    }
}
