//! The package of the tool: what the checkout is made of and the crates that it needs, packed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::read::GzDecoder;
use walkdir::{DirEntry, WalkDir};

use super::{VERSION, Written, homepage};
use crate::cli::args::{Global, Rpm};
use crate::cli::error::CliError;
use crate::cli::place::{digest_of, io_error};
use crate::cli::project::recipes_folder;
use crate::cli::whole;
use base::beneath::open_named;
use upkeep::rpm::{
    Crates, Distribution, SourceTar, TOOL, TREE, ToolFacts, cargo_config, cargo_config_file, gzip_of,
    tool_spec, tree_file, vendor_file,
};

/// What a checkout without version control is made of.
const PARTS: [&str; 19] = [
    ".ci",
    ".gitignore",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "docs",
    "fuzz",
    "patches",
    "recipes",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "src",
    "sysroot",
    "tests",
];
/// Machines whose crates count as in the program.
const PLATFORMS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// A checkout that the tool can be packed from.
pub(super) struct Checkout {
    root: PathBuf,
    crates: Crates,
}

/// Looks whether the checkout is one of this k3sroot.
pub(super) fn examine(global: &Global, args: &Rpm) -> Result<Checkout, CliError> {
    let recipes = recipes_folder(global)?;
    let root = recipes.parent().filter(|root| !root.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !root.join("Cargo.toml").is_file() {
        return Err(CliError::NoCargoToml { root: root.to_owned() });
    }
    let crates = crates(root, args)?;
    if crates.version != VERSION {
        return Err(CliError::OtherVersion { root: root.to_owned(), found: crates.version });
    }
    Ok(Checkout { root: root.to_owned(), crates })
}

/// Writes the package of the tool.
pub(super) fn write(
    global: &Global,
    args: &Rpm,
    distribution: Distribution,
    Checkout { root, crates }: &Checkout,
    written: &mut Written,
) -> Result<(), CliError> {
    let folder = args.out.join(TOOL);
    let spec = tool_spec(&ToolFacts {
        distribution,
        packager: &args.packager,
        crates,
        homepage: homepage(args),
        rust: env!("CARGO_PKG_RUST_VERSION"),
    });
    let files = tree(global, root)?;
    let top = format!("{TOOL}-{VERSION}");
    let tree = folder.join(tree_file(VERSION));
    whole::publish_filled(&tree, |out| {
        let all = files.iter().map(|file| (file.clone(), root.join(file)));
        pack(&top, all, out)
    })?;
    let vendor = match &args.vendor {
        Some(given) => given_crates(given, &folder)?,
        None => vendored(root, args, &folder)?,
    };
    let config = folder.join(cargo_config_file(VERSION));
    written.text(folder.join(format!("{TOOL}.spec")), &spec)?;
    written.text(config.clone(), cargo_config())?;
    let mut sources = BTreeMap::new();
    for path in [config, tree, vendor] {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        sources.insert(name, digest_of(&path).map_err(io_error("read", &path))?);
        if !written.paths.contains(&path) {
            written.paths.push(path);
        }
    }
    written.registers(args, distribution, TOOL, &sources, Vec::new())
}

/// What cargo says of the crates.
fn crates(root: &Path, args: &Rpm) -> Result<Crates, CliError> {
    let answer = |platform: &&str| -> Result<String, CliError> {
        let mut words = TREE.to_vec();
        words.extend(["--target", platform]);
        words.extend(args.sources.offline.then_some("--offline"));
        Ok(String::from_utf8_lossy(&run(root, "cargo", &words)?.stdout).into_owned())
    };
    let answers: Vec<String> = PLATFORMS.iter().map(answer).collect::<Result<_, _>>()?;
    Ok(Crates::read(&answers, TOOL)?)
}

/// Gets all crates and packs them.
fn vendored(root: &Path, args: &Rpm, folder: &Path) -> Result<PathBuf, CliError> {
    let scratch = tempfile::tempdir()
        .map_err(|source| CliError::Io { what: "make a temporary folder".to_owned(), source })?;
    let crates = scratch.path().join("vendor");
    let place = crates.display().to_string();
    let mut words = vec!["vendor", "--quiet", "--locked"];
    words.extend(args.sources.offline.then_some("--offline"));
    words.push(&place);
    run(root, "cargo", &words)?;
    let files = walk(&crates, Path::new(""))?;
    let all = files.into_iter().map(|path| (path.clone(), crates.join(path)));
    let packed = folder.join(vendor_file(VERSION));
    whole::publish_filled(&packed, |out| pack("vendor", all, out))?;
    Ok(packed)
}

/// Takes crates that were packed before.
fn given_crates(given: &Path, folder: &Path) -> Result<PathBuf, CliError> {
    let open = || open_named(given).map_err(io_error("read", given));
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(open()?)));
    let first = archive.entries().ok().and_then(|mut entries| entries.next()?.ok());
    let is_vendor = first.is_some_and(|entry| entry.path().is_ok_and(|path| path.starts_with("vendor")));
    if !is_vendor {
        return Err(CliError::NoVendor { path: given.to_owned() });
    }
    let packed = folder.join(vendor_file(VERSION));
    whole::publish_filled(&packed, |mut out| {
        io::copy(&mut open()?, &mut out).map_err(io_error("copy", given))?;
        Ok(())
    })?;
    Ok(packed)
}

/// The files that the checkout is made of, in order.
fn tree(global: &Global, root: &Path) -> Result<Vec<PathBuf>, CliError> {
    if !root.join(".git").exists() {
        global.say(&format!(
            "note: `{}` is under no version control: its usual parts are packed",
            root.display()
        ));
        let mut files = Vec::new();
        for part in PARTS.iter().filter(|part| root.join(part).exists()) {
            files.extend(walk(root, Path::new(part))?);
        }
        return Ok(files);
    }
    let git = |words: &[&str]| run(root, "git", words);
    let status = git(&["status", "--porcelain"])?.stdout;
    let status = String::from_utf8_lossy(&status).into_owned();
    let (untracked, changed): (Vec<&str>, Vec<&str>) =
        status.lines().partition(|line| line.starts_with("??"));
    let names = |lines: &[&str]| lines.iter().map(|line| &line[3..]).collect::<Vec<_>>().join(", ");
    if !changed.is_empty() {
        eprintln!(
            "warning: changes that are not committed are in the package of the tool: {}",
            names(&changed)
        );
    }
    if !untracked.is_empty() {
        eprintln!("warning: files that git does not track are not in the package: {}", names(&untracked));
    }
    let listed = git(&["ls-files", "-z"])?.stdout;
    let paths = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    let mut files: Vec<PathBuf> = paths
        .map(|path| PathBuf::from(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path)))
        // What was removed and not committed is a change that was named above.
        .filter(|path| root.join(path).symlink_metadata().is_ok())
        .collect();
    files.sort();
    Ok(files)
}

/// The files of a folder, or a file, by their paths from `root`, without what cargo builds.
fn walk(root: &Path, part: &Path) -> Result<Vec<PathBuf>, CliError> {
    let is_source = |entry: &DirEntry| {
        let made =
            entry.file_type().is_dir() && entry.file_name() == "target" && !part.as_os_str().is_empty();
        !made
    };
    let mut files = Vec::new();
    for entry in WalkDir::new(root.join(part)).sort_by_file_name().into_iter().filter_entry(is_source) {
        let entry = entry.map_err(|error| io_error("list", root)(error.into()))?;
        if !entry.file_type().is_dir() {
            files.push(entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned());
        }
    }
    Ok(files)
}

/// Packs files, each under its path, into the folder `top`.
fn pack(top: &str, files: impl IntoIterator<Item = (PathBuf, PathBuf)>, out: &File) -> Result<(), CliError> {
    let writing = |source| CliError::Io { what: format!("pack `{top}`"), source };
    let mut tar = SourceTar::new(top, gzip_of(BufWriter::new(out)));
    for (path, real) in files {
        let meta = real.symlink_metadata().map_err(io_error("read", &real))?;
        let name = path.display().to_string();
        if meta.is_symlink() {
            let target = fs::read_link(&real).map_err(io_error("read", &real))?;
            tar.link(&name, &target.display().to_string()).map_err(writing)?;
        } else {
            let contents = open_named(&real).map_err(io_error("read", &real))?;
            let executable = meta.permissions().mode() & 0o111 != 0;
            tar.file(&name, executable, meta.len(), contents).map_err(writing)?;
        }
    }
    let compressed = tar.finish().and_then(flate2::write::GzEncoder::finish).map_err(writing)?;
    compressed.into_inner().map_err(|error| writing(error.into_error()))?.flush().map_err(writing)
}

/// Runs a program in `root`; what it prints is its answer.
fn run(root: &Path, program: &'static str, words: &[&str]) -> Result<Output, CliError> {
    let output = Command::new(program).args(words).current_dir(root).output().map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            CliError::NoProgram { program }
        } else {
            CliError::Io { what: format!("run `{program}`"), source }
        }
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(CliError::Program { command: format!("{program} {}", words.join(" ")), said })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_checkout_without_version_control_has_the_parts_of_one_with_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        // From an archive there is nothing to compare with.
        let Ok(listed) = run(root, "git", &["ls-files"]) else { return };
        let listed = String::from_utf8(listed.stdout).unwrap();
        let tops: BTreeSet<&str> = listed.lines().filter_map(|path| path.split('/').next()).collect();
        assert_eq!(tops, PARTS.into_iter().collect());
    }
}
