//! Paths as commands see them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Raised for text that cannot be a mount's place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a guest path: write an absolute path without `.`, `..`, `//` or a slash at the end, \
     outside `/proc` and `/dev`"
)]
pub struct GuestPathError {
    /// The text.
    pub text: String,
}

/// A path as the command sees it: absolute, without `.`, `..` or `//`, and none of the sandbox's own `/`, `/proc` and
/// `/dev`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GuestPath(String);

impl GuestPath {
    /// `/proc`, which only the sandbox itself may mount.
    pub(super) fn proc() -> Self {
        Self("/proc".to_owned())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path`, absolute, is this one or below it.
    pub fn contains(&self, path: &str) -> bool {
        path.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The same place under another root.
    pub(super) fn under(&self, root: &Path) -> PathBuf {
        root.join(self.0.trim_start_matches('/'))
    }
}

impl FromStr for GuestPath {
    type Err = GuestPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.strip_prefix('/').unwrap_or_default().split('/');
        let ok = parts.clone().all(|part| !matches!(part, "" | "." | "..") && !part.contains(['\0', '\n']))
            && !matches!(parts.next(), Some("proc" | "dev"));
        if ok { Ok(Self(text.to_owned())) } else { Err(GuestPathError { text: text.to_owned() }) }
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_path_is_absolute_plain_and_not_the_sandboxs_own() {
        for right in ["/src", "/sysroot/usr/include", "/usr/include/x", "/process", "/a b"] {
            assert_eq!(right.parse::<GuestPath>().unwrap().as_str(), right);
        }
        for wrong in [
            "",
            "/",
            "src",
            "./src",
            "/src/",
            "//src",
            "/src//a",
            "/src/../etc",
            "/./a",
            "/proc",
            "/dev/shm",
            "/a\n",
        ] {
            assert!(wrong.parse::<GuestPath>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_path_contains_what_is_below_it_and_not_what_begins_alike() {
        let src: GuestPath = "/src".parse().unwrap();
        assert!(src.contains("/src") && src.contains("/src/a"));
        assert!(!src.contains("/srcfoo") && !src.contains("/usr/src"));
    }
}
