//! The root under test, extracted once, and what is said of tests that cannot run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::skipped::skipped;

/// An extracted root.
pub(crate) struct Root {
    arch: String,
    dist: PathBuf,
    folder: TempDir,
    missing: Vec<String>,
}

/// The root under test; `None`, said on stderr, if there is none.
pub(crate) fn root() -> Option<&'static Root> {
    static ROOT: OnceLock<Option<Root>> = OnceLock::new();
    let root = ROOT.get_or_init(Root::extract).as_ref();
    if root.is_none() {
        skipped(
            "all of the root",
            "K3SROOT_TEST_DIST is not set: `make test-root` builds a root and tests it",
        );
    }
    root
}

impl Root {
    #[expect(clippy::disallowed_methods, reason = "the environment says where the tarballs are")]
    fn extract() -> Option<Self> {
        let dist = PathBuf::from(std::env::var_os("K3SROOT_TEST_DIST")?);
        let arch = std::env::var("K3SROOT_TEST_ARCH").unwrap_or_else(|_| "amd64".to_owned());
        let folder = tempfile::tempdir().unwrap();
        let tar = dist.join(format!("k3s-root-{arch}.tar"));
        let bytes = fs::read(&tar).unwrap_or_else(|error| panic!("{}: {error}", tar.display()));
        tar::Archive::new(bytes.as_slice()).unpack(folder.path()).unwrap();
        let missing =
            fs::read_to_string(dist.join(format!("k3s-root-{arch}.missing.txt"))).unwrap_or_default();
        Some(Self { arch, dist, folder, missing: missing.lines().map(str::to_owned).collect() })
    }

    /// K3s's name of the arch.
    pub(crate) fn arch(&self) -> &str {
        &self.arch
    }

    /// A file that the build wrote; `{arch}` in its name is the arch.
    pub(crate) fn dist(&self, name: &str) -> PathBuf {
        self.dist.join(name.replace("{arch}", &self.arch))
    }

    /// Whether the build said that it had to leave `package` out.
    pub(crate) fn lacks(&self, package: &str) -> bool {
        self.missing.iter().any(|missing| missing == package)
    }

    /// The packages that the build had to leave out.
    pub(crate) fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Whether the build left out nothing.
    pub(crate) fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// The folder that the root is in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}
