//! What of the machine's disk a command sees, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::SandboxError;

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

/// What a command may do to a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Read it, with all that is mounted below.
    ReadOnly,
    /// Read and write it.
    ReadWrite,
}

/// A folder or file of the machine, at a guest path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it is.
    pub host: PathBuf,
    /// Where the command sees it.
    pub guest: GuestPath,
    /// What the command may do to it.
    pub access: Access,
}

/// Checks that every mount can be had; gives their real paths, links followed, in the order to mount them in.
pub(super) fn resolve(mounts: &[Mount]) -> Result<Vec<Mount>, SandboxError> {
    let mut resolved = Vec::with_capacity(mounts.len());
    for Mount { host, guest, access } in mounts {
        let error = |source| SandboxError::MountSource { host: host.clone(), guest: guest.clone(), source };
        let real = host.canonicalize().map_err(error)?;
        if real.to_str().is_none() {
            return Err(SandboxError::NotUnicode { path: real });
        }
        let kind = real.metadata().map_err(error)?;
        if !kind.is_dir() && !kind.is_file() {
            return Err(error(io::Error::other("it is neither a folder nor a file")));
        }
        resolved.push(Mount { host: real, guest: guest.clone(), access: *access });
    }
    // What contains comes before what it contains.
    resolved.sort_by(|a, b| a.guest.cmp(&b.guest));
    match resolved.windows(2).find(|pair| pair[0].guest == pair[1].guest) {
        Some(pair) => Err(SandboxError::MountTwice { guest: pair[0].guest.clone() }),
        None => Ok(resolved),
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

    #[test]
    fn a_missing_source_is_named() {
        let mount = |host: &str, guest: &str| Mount {
            host: host.into(),
            guest: guest.parse().unwrap(),
            access: Access::ReadOnly,
        };
        let error = resolve(&[mount("/", "/src"), mount("/no/such/folder", "/tools")]).unwrap_err();
        assert_eq!(error.to_string(), "`/no/such/folder`, to be mounted at `/tools`, cannot be used");
        let error = resolve(&[mount("/", "/src"), mount("/usr", "/src")]).unwrap_err();
        assert_eq!(error.to_string(), "two mounts claim `/src`");
        let error = resolve(&[mount("/dev/null", "/src")]).unwrap_err();
        assert!(matches!(error, SandboxError::MountSource { .. }));
    }
}
