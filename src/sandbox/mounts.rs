//! What of the machine's disk a command sees, and where.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::SandboxError;
use super::guest::GuestPath;

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
