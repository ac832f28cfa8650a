//! Runs cases on this machine, with nothing on PATH but what is in the root: in namespaces of their own, and under qemu's
//! user emulation if the root is for another arch.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;
use walkdir::WalkDir;

use crate::case::{Case, Outcome, Way};
use crate::rootfs::Root;
use crate::skipped::skipped;

/// Seconds that a case may take.
const LIMIT: &str = "300";

/// Runs the case, if it can run here, and judges it.
pub(crate) fn run(root: &Root, case: &Case) {
    let way = if root.arch() == machine_arch() { Way::Native } else { Way::User };
    if !case.is_for(root, way) {
        return;
    }
    let title = case.title(root, way);
    let folder = match way {
        Way::Native => root.folder(),
        _ => match emulated(root) {
            Ok(folder) => folder,
            Err(reason) => return skipped(&format!("all cases for {} under qemu-user", root.arch()), reason),
        },
    };
    if let Some(file) = case.files().find(|file| !Path::new(file).exists()) {
        return skipped(&title, &format!("this machine has no `{file}`"));
    }
    if case.needs_root() && !is_machine_root() {
        return skipped(&title, "only the machine's own root may do this");
    }
    if !case.needs_root() && !namespaces() {
        return skipped(&title, "this machine allows no user namespaces");
    }
    match case.beside(root.arch()) {
        Ok(beside) => case.judge(root, way, &start(root, folder, case, way, &beside)),
        Err(reason) => skipped(&title, &reason),
    }
}

fn start(root: &Root, folder: &Path, case: &Case, way: Way, beside: &str) -> Outcome {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", LIMIT]);
    if !case.needs_root() {
        command.args(UNSHARE);
    }
    // A lock that iptables-legacy takes in /run would be everybody's.
    let own_run = if case.needs_root() { "" } else { "busybox mount -t tmpfs run /run\n" };
    let script = format!("{own_run}beside='{beside}'\n{}", case.script(root, way));
    let scratch = tempfile::tempdir().unwrap();
    let path = format!("{0}/bin:{0}/bin/aux", folder.display());
    command.arg("/usr/bin/env").arg("-i").arg(format!("PATH={path}")).arg("LC_ALL=C");
    command.arg(folder.join("bin/busybox")).args(["sh", "-euc", &script]);
    let output = command
        .current_dir(scratch.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `unshare` is the machine's; everything below it is ours.
const UNSHARE: &[&str] = &[
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--ipc",
    "--uts",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];

fn namespaces() -> bool {
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    *ALLOWED.get_or_init(|| {
        let output = Command::new(UNSHARE[0]).args(&UNSHARE[1..]).arg("true").output();
        output.is_ok_and(|output| output.status.success())
    })
}

/// Whether this is the machine's own root, as tests of the machine's devices want.
fn is_machine_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let root = status.lines().any(|line| line.starts_with("Uid:\t0\t"));
    let mapped = fs::read_to_string("/proc/self/uid_map").unwrap();
    root && mapped.split_whitespace().eq(["0", "0", "4294967295"])
}

/// K3s's name of this machine's arch.
pub(crate) fn machine_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The first of `names` that is on PATH.
#[expect(clippy::disallowed_methods, reason = "a test looks for the machine's programs")]
pub(crate) fn on_path(names: &[String]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

/// qemu's name of an arch.
pub(crate) fn qemu_arch(arch: &str) -> &str {
    match arch {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    }
}

/// The root with scripts in place of its ELF files, which start them under qemu: whatever starts a program of the root,
/// by PATH, by a link or beside itself, starts one that this machine can run, and nobody has to register qemu.
fn emulated(root: &Root) -> Result<&'static Path, &'static str> {
    static FOLDER: OnceLock<Result<TempDir, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let qemu = qemu_arch(root.arch());
        let names = [format!("qemu-{qemu}-static"), format!("qemu-{qemu}")];
        let qemu = on_path(&names).ok_or_else(|| format!("no {} on PATH", names.join(" or ")))?;
        let folder = tempfile::tempdir().unwrap();
        let programs = root.folder();
        for entry in WalkDir::new(programs).min_depth(1) {
            let entry = entry.unwrap();
            let copy = folder.path().join(entry.path().strip_prefix(programs).unwrap());
            if entry.file_type().is_dir() {
                fs::create_dir(&copy).unwrap();
            } else if entry.file_type().is_symlink() {
                std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), &copy).unwrap();
            } else if fs::read(entry.path()).unwrap().starts_with(b"\x7fELF") {
                // $0 is the link's name, by which a program knows what it is to be.
                let (qemu, program) = (qemu.display(), entry.path().display());
                fs::write(&copy, format!("#!/bin/sh\nexec '{qemu}' -0 \"$0\" '{program}' \"$@\"\n")).unwrap();
                fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
            } else {
                fs::copy(entry.path(), &copy).unwrap();
            }
        }
        Ok(folder)
    });
    folder.as_ref().map(TempDir::path).map_err(String::as_str)
}
