//! Golden digests: what a checkout says that its builds give, wherever they are made.
//!
//! ```toml
//! # recipes/golden/amd64.toml
//! [packages]                      # of every package the digest of the tree that it installs
//! busybox = "9f0c…"
//! [tarballs]                      # of every tarball its sha256
//! "k3s-root-amd64.tar" = "5590…"
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use base::beneath::read_named_to_string;
use base::digest::{Sha256, TreeDigest};
use base::name::{ArchName, PackageName};

/// What stands before the digests in a file.
const HEAD: &str = "\
# What a build with `--toolchain source` and no override gives, on every machine. `k3sroot verify --golden` compares, and
# writes this file with `--update`. A commit that changes it says why the bits change.
";

/// The golden digests of an arch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// What each package installs.
    #[serde(default)]
    pub packages: BTreeMap<PackageName, TreeDigest>,
    /// The tarballs, by file name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tarballs: BTreeMap<String, Sha256>,
}

/// Raised when a file of golden digests cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The disk.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("`{}` has no golden digests", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
}

impl Golden {
    /// Where the digests of `arch` are in a folder of recipes.
    pub fn path(recipes: &Path, arch: &ArchName) -> PathBuf {
        recipes.join("golden").join(format!("{arch}.toml"))
    }

    /// The digests in a file; none if there is no such file.
    pub fn read(path: &Path) -> Result<Self, GoldenError> {
        match read_named_to_string(path) {
            Ok(text) => toml::from_str(&text)
                .map_err(|error| GoldenError::Invalid { path: path.to_owned(), source: Box::new(error) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(GoldenError::Io { path: path.to_owned(), source }),
        }
    }

    /// The text of a file that has them.
    pub fn text(&self) -> String {
        format!("{HEAD}\n{}", toml::to_string(self).expect("digests under names are TOML"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn digests_read_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = Golden::path(folder.path(), &"amd64".parse().unwrap());
        assert_eq!(Golden::read(&path).unwrap(), Golden::default());
        let golden = Golden {
            packages: [("pigz".parse().unwrap(), TreeDigest::from_bytes([1; 32]))].into(),
            tarballs: [("k3s-root-amd64.tar".to_owned(), Sha256::of(b""))].into(),
        };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, golden.text()).unwrap();
        assert_eq!(Golden::read(&path).unwrap(), golden);
        insta::assert_snapshot!(golden.text(), @r#"
        # What a build with `--toolchain source` and no override gives, on every machine. `k3sroot verify --golden` compares, and
        # writes this file with `--update`. A commit that changes it says why the bits change.

        [packages]
        pigz = "0101010101010101010101010101010101010101010101010101010101010101"

        [tarballs]
        "k3s-root-amd64.tar" = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        "#);
    }

    #[test]
    fn what_is_no_list_of_digests_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("amd64.toml");
        for (text, expected) in [
            ("[packages]\npigz = \"12\"", "`12` is not a BLAKE3 digest"),
            ("[package]", "unknown field `package`"),
            ("[tarballs", "line 1"),
        ] {
            fs::write(&path, text).unwrap();
            let GoldenError::Invalid { source, .. } = Golden::read(&path).unwrap_err() else { panic!() };
            assert!(source.to_string().contains(expected), "{source}");
        }
    }
}
