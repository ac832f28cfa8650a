//! The package of the tool: this very checkout.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::super::skipped::skipped;
use super::super::workspace::{Workspace, pack};
use super::{asked, can_build, digests, lint, rebuild, source_package};

/// What finds cargo, its crates and its compiler on this machine.
#[expect(clippy::disallowed_methods, reason = "cargo is found as it is by whoever runs the tests")]
fn cargo_env() -> Vec<(&'static str, String)> {
    let set = |name| std::env::var(name).ok().map(|value| (name, value));
    ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"].into_iter().filter_map(set).collect()
}

/// k3sroot in this checkout, writing the package of the tool to `out`.
fn write(out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_k3sroot"));
    command.args(["rpm", "--only", "k3sroot", "--offline", "--out"]).arg(out).args(more);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear().envs(cargo_env());
    command
}

/// Writes the package with few crates in place of all: what is in them is not looked at.
pub(super) fn written_with_packed_crates(workspace: &Workspace, distribution: &str) {
    fs::create_dir_all(workspace.path("crates/word")).unwrap();
    fs::write(workspace.path("crates/word/Cargo.toml"), "").unwrap();
    let crates = workspace.path("crates.tar.gz");
    fs::write(&crates, pack(&workspace.path("crates"), "vendor")).unwrap();
    let crates = crates.display().to_string();
    let more = ["--distribution", distribution, "--vendor", &crates];
    let output = write(&workspace.path("SPECS"), &more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // What is no archive of crates is not taken for one.
    let archive = workspace.path("distfiles/any-name").display().to_string();
    let output = write(&workspace.path("refused"), &["--distribution", distribution, "--vendor", &archive]);
    let refused = super::ended_with(output, 1);
    assert!(refused.contains("is no `.tar.gz` with the folder `vendor`"), "{refused}");
}

#[test]
fn the_tool_rebuilt_from_its_source_package_is_k3sroot() {
    if !can_build() {
        return;
    }
    // Crates for systems that nobody compiles for here may not be in cargo's cache yet.
    let fetched = Command::new("cargo")
        .args(["fetch", "--locked", "--quiet"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    if !fetched.status.success() {
        let said = String::from_utf8_lossy(&fetched.stderr).into_owned();
        skipped("the package of the tool", said.lines().last().unwrap_or("cargo cannot get its crates"));
        return;
    }
    let home = TempDir::new().unwrap();
    let out = home.path().join("SPECS");
    super::ended_with(write(&out, &["--distribution", "emt"]), 0);
    let spec = out.join("k3sroot/k3sroot.spec");
    let source = source_package(&spec, home.path());
    // Neither the distribution's cargo nor its flags are there; and it need not be fast.
    let mut env = cargo_env();
    env.push(("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0".to_owned()));
    env.push(("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16".to_owned()));
    let packages = rebuild(&source, home.path(), &[], &env);
    let [package] = packages.as_slice() else { panic!("{packages:?}") };

    let files = asked(package, home.path(), "[%{FILENAMES}\n]");
    for file in ["bin/k3sroot", "share/man/man1/k3sroot-build.1", "share/zsh/site-functions/_k3sroot"] {
        assert!(files.iter().any(|path| path.starts_with(&format!("/usr/{file}"))), "{file}: {files:?}");
    }
    // What roots are built from is what the checkout has, to the bit and the mode.
    let installed = asked(package, home.path(), "[%{FILENAMES} %{FILEDIGESTS} %{FILEMODES:perms}\n]");
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    for part in ["recipes", "patches", "sysroot"] {
        for (file, digest) in digests(&checkout.join(part)) {
            use std::os::unix::fs::PermissionsExt as _;

            let mode = fs::metadata(checkout.join(part).join(&file)).unwrap().permissions().mode();
            let perms = if mode & 0o111 == 0 { "-rw-r--r--" } else { "-rwxr-xr-x" };
            let line = format!("/usr/share/k3sroot/{part}/{file} {digest} {perms}");
            assert!(installed.contains(&line), "{line}");
        }
    }
    lint(&[spec, source, package.clone()], home.path());
}
