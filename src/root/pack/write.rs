//! Writes the tarballs and the list of their checksums to the disk, each whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::root::Root;
use super::tar::{TarError, write_tar};
use base::digest::Sha256;
use base::name::ArchName;

/// Raised when the tarballs cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// What a tarball should hold cannot be in it.
    #[error("cannot make `{file}`")]
    Tar {
        /// The tarball's file name.
        file: String,
        /// Why.
        source: TarError,
    },
    /// The disk.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What the names of temporary files begin with.
const STAGED: &str = ".k3sroot-";

/// A file as it is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Its name.
    pub name: String,
    /// Its contents.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub sha256: Sha256,
}

impl Rendered {
    /// The file `name` with these contents.
    pub fn new(name: String, bytes: Vec<u8>) -> Self {
        let sha256 = Sha256::of(&bytes);
        Self { name, bytes, sha256 }
    }
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// Its digest.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
}

/// The tarballs of `root` for `arch`, all times at `mtime`, and as the last file the list of their checksums.
pub fn render_root<C: AsRef<[u8]>>(
    root: &Root<C>,
    arch: &ArchName,
    mtime: u64,
) -> Result<Vec<Rendered>, PackError> {
    let mut files = Vec::new();
    let mut checksums = Vec::new();
    for tarball in &root.tarballs {
        let file = tarball.file_name(arch);
        let mut bytes = Vec::new();
        write_tar(&tarball.members, mtime, &mut bytes)
            .map_err(|source| PackError::Tar { file: file.clone(), source })?;
        // The format of `sha256sum`, which can check it.
        let rendered = Rendered::new(file, bytes);
        checksums.push(format!("{}  {}\n", rendered.sha256, rendered.name));
        files.push(rendered);
    }
    files.push(Rendered::new(root.checksums_file(arch), checksums.concat().into_bytes()));
    Ok(files)
}

/// Writes files into `out_dir`, in their order: if the last is new, so are the others. Nothing is replaced unless all could
/// be written.
pub fn write_files(out_dir: &Path, files: &[Rendered]) -> Result<Vec<Written>, PackError> {
    fs::create_dir_all(out_dir).map_err(|source| PackError::Write { path: out_dir.to_owned(), source })?;
    // One at a time: then whatever has a temporary name was left by somebody who died. Where folders cannot be locked, it
    // stays.
    let turn = File::open(out_dir).ok().and_then(|dir| Flock::lock(dir, FlockArg::LockExclusive).ok());
    if turn.is_some() {
        sweep(out_dir).map_err(|source| PackError::Write { path: out_dir.to_owned(), source })?;
    }
    let mut staged = Vec::new();
    for Rendered { name, bytes, sha256 } in files {
        let path = out_dir.join(name);
        let temp = stage(out_dir, bytes).map_err(|source| PackError::Write { path: path.clone(), source })?;
        let written = Written { path, sha256: *sha256, size: bytes.len() as u64 };
        staged.push((temp, written));
    }
    let mut all = Vec::new();
    for (temp, written) in staged {
        temp.persist(&written.path)
            .map_err(|error| PackError::Write { path: written.path.clone(), source: error.error })?;
        all.push(written);
    }
    Ok(all)
}

/// Removes the temporary files in `folder`.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(STAGED) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A temporary file in `folder` with `bytes` safely in it; it is gone if it is not renamed.
fn stage(folder: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut temp = tempfile::Builder::new().prefix(STAGED).tempfile_in(folder)?;
    temp.write_all(bytes)?;
    // Whoever may read the folder may read what is published in it, whatever the umask.
    temp.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    temp.as_file().sync_all()?;
    Ok(temp)
}
