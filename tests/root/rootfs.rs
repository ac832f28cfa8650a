//! Extracts the tarball once, and runs scripts with nothing on PATH but what is in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

/// The arch under test: only programs that this machine can run.
const ARCH: &str = "amd64";

/// An extracted root.
pub(crate) struct Root {
    dist: PathBuf,
    folder: TempDir,
    missing: Vec<String>,
}

/// The root under test; `None`, said on stderr, if there is none.
pub(crate) fn root() -> Option<&'static Root> {
    static ROOT: OnceLock<Option<Root>> = OnceLock::new();
    let root = ROOT.get_or_init(Root::extract).as_ref();
    if root.is_none() {
        eprintln!("SKIPPED: K3SROOT_TEST_DIST is not set: `make test-root` builds a root and tests it");
    }
    root
}

impl Root {
    #[expect(clippy::disallowed_methods, reason = "the environment says where the tarballs are")]
    fn extract() -> Option<Self> {
        let dist = PathBuf::from(std::env::var_os("K3SROOT_TEST_DIST")?);
        let folder = tempfile::tempdir().unwrap();
        let tar = dist.join(format!("k3s-root-{ARCH}.tar"));
        let bytes = fs::read(&tar).unwrap_or_else(|error| panic!("{}: {error}", tar.display()));
        tar::Archive::new(bytes.as_slice()).unpack(folder.path()).unwrap();
        let missing =
            fs::read_to_string(dist.join(format!("k3s-root-{ARCH}.missing.txt"))).unwrap_or_default();
        Some(Self { dist, folder, missing: missing.lines().map(str::to_owned).collect() })
    }

    /// A file that the build wrote.
    pub(crate) fn dist(&self, name: &str) -> PathBuf {
        self.dist.join(name)
    }

    /// Whether the build said that it had to leave `package` out.
    pub(crate) fn lacks(&self, package: &str) -> bool {
        self.missing.iter().any(|missing| missing == package)
    }

    /// Whether the build left out nothing.
    pub(crate) fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// A file of the root.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, script: &str, namespaces: bool) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), self.path("bin/aux").display());
        let mut command = if namespaces {
            let mut unshare = Command::new("/usr/bin/unshare");
            unshare.args([
                "--user",
                "--map-root-user",
                "--net",
                "--mount",
                "--ipc",
                "--uts",
                "--pid",
                "--fork",
            ]);
            unshare.arg("--mount-proc").arg(self.path("bin/busybox"));
            unshare
        } else {
            Command::new(self.path("bin/busybox"))
        };
        let scratch = tempfile::tempdir().unwrap();
        command.args(["sh", "-euc", script]).env_clear().env("PATH", path).env("LC_ALL", "C");
        // `unshare` is the machine's; everything below it is ours.
        command.current_dir(scratch.path()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }
}

/// Runs `script` with the root's own shell if `packages` are in the root, and returns what it printed; it must succeed.
fn check(packages: &[&str], script: &str, namespaces: bool) -> Option<String> {
    let root = root()?;
    for package in packages {
        if root.lacks(package) {
            eprintln!("SKIPPED: the root was built without `{package}`: its source could not be had");
            return None;
        }
    }
    let output = root.run(script, namespaces);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{:?}\n{script}\n--- stdout\n{text}\n--- stderr\n{errors}",
        output.status
    );
    Some(text)
}

/// [`check`] on the machine itself.
pub(crate) fn plainly(packages: &[&str], script: &str) -> Option<String> {
    check(packages, script, false)
}

/// [`check`] as root of new user, mount, network and process namespaces.
pub(crate) fn apart(packages: &[&str], script: &str) -> Option<String> {
    check(packages, script, true)
}

/// Whether this is the machine's own root, as tests of the machine's devices want; says so if not.
pub(crate) fn is_machine_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let root = status.lines().any(|line| line.starts_with("Uid:\t0\t"));
    let mapped = fs::read_to_string("/proc/self/uid_map").unwrap();
    let initial = mapped.split_whitespace().eq(["0", "0", "4294967295"]);
    if !(root && initial) {
        eprintln!("SKIPPED: only the machine's own root may do this");
    }
    root && initial
}

/// Whether `path` is there; says so if not.
pub(crate) fn has(path: &str) -> bool {
    let there = Path::new(path).exists();
    if !there {
        eprintln!("SKIPPED: this machine has no `{path}`");
    }
    there
}
