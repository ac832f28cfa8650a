//! Archives that k3sroot gives to others: each there whole and right, or not at all.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::error::CliError;
use base::beneath;
use base::digest::Sha256;

/// What the names of temporary files begin with.
pub(super) const STAGED: &str = ".k3sroot-";

/// The digest of a regular file's bytes.
pub(super) fn digest_of(path: &Path) -> io::Result<Sha256> {
    use sha2::Digest as _;

    let mut file = beneath::open_named(path)?;
    let mut hasher = sha2::Sha256::new();
    io::copy(&mut file, &mut hasher)?;
    Ok(Sha256::from_bytes(hasher.finalize().into()))
}

/// The mode of what is kept as it is: that of archives in the cache.
pub(super) const READ_ONLY: u32 = 0o444;

/// What becomes of a file that is put somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// It is its reader's own.
    Own,
    /// It is read-only; where nobody changes the file that it comes from, a second name may do.
    ReadOnly {
        /// Whether nobody does.
        link: bool,
    },
}

/// Puts a copy of an archive at `to`, in place of what is there, and looks whether that is the archive. It shares the blocks
/// where the file system can; where it cannot, a second name has to do where `placed` lets it: it is read-only, and what the
/// cache has is verified before it is used. Its mode depends on `placed` alone.
pub(super) fn place(from: &Path, to: &Path, sha256: Sha256, placed: Placed) -> Result<(), CliError> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let bits = if placed == Placed::Own { 0o644 } else { READ_ONLY };
    let put = || -> io::Result<Option<Sha256>> {
        let source = File::open(from)?;
        let mut made = tempfile::Builder::new().prefix(STAGED).tempfile_in(folder)?;
        if rustix::fs::ioctl_ficlone(made.as_file(), &source).is_err() {
            let linked = || {
                tempfile::Builder::new().prefix(STAGED).make_in(folder, |path| fs::hard_link(from, path)).ok()
            };
            let link = placed == (Placed::ReadOnly { link: true })
                && source.metadata()?.permissions().mode() & 0o7777 == READ_ONLY;
            if let Some(linked) = link.then(linked).flatten() {
                let computed = digest_of(linked.path())?;
                return if computed == sha256 {
                    keep(linked.into_temp_path(), to)
                } else {
                    Ok(Some(computed))
                };
            }
            io::copy(&mut &source, made.as_file_mut())?;
        }
        let computed = digest_of(made.path())?;
        if computed != sha256 {
            return Ok(Some(computed));
        }
        made.as_file().set_permissions(Permissions::from_mode(bits))?;
        made.as_file().sync_all()?;
        keep(made.into_temp_path(), to)
    };
    let what = || format!("copy `{}` to `{}`", from.display(), to.display());
    match put().map_err(|source| CliError::Io { what: what(), source })? {
        None => Ok(()),
        Some(computed) => Err(CliError::CopyDiffers { path: from.to_owned(), expected: sha256, computed }),
    }
}

fn keep(made: tempfile::TempPath, to: &Path) -> io::Result<Option<Sha256>> {
    made.persist(to)?;
    Ok(None)
}

/// Refuses a folder to write into that is something else: before there is work that would be lost.
pub(super) fn refuse_other_than_folder(path: &Path) -> Result<(), CliError> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotADirectory => Err(io_error("look at", path)(error)),
        _ => Err(CliError::OutNoFolder { path: path.to_owned() }),
    }
}

/// Removes a file, which need not be there.
pub(super) fn remove_if_there(path: &Path) -> Result<(), CliError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The error of a file or folder with which something could not be done.
pub(super) fn io_error(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::Io { what: format!("{verb} `{}`", path.display()), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn an_archive_is_placed_whole_and_right_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("there/to"));
        fs::create_dir(folder.path().join("there")).unwrap();
        fs::write(&from, "archive").unwrap();
        fs::set_permissions(&from, Permissions::from_mode(0o444)).unwrap();
        for (placed, mode) in [
            (Placed::Own, 0o644),
            (Placed::ReadOnly { link: false }, 0o444),
            (Placed::ReadOnly { link: true }, 0o444),
        ] {
            let _ = fs::remove_file(&to);
            fs::write(&to, "something else").unwrap();
            let wrong = place(&from, &to, Sha256::of(b"another"), placed).unwrap_err();
            assert!(matches!(wrong, CliError::CopyDiffers { .. }), "{wrong}");
            assert_eq!(fs::read(&to).unwrap(), b"something else");
            place(&from, &to, Sha256::of(b"archive"), placed).unwrap();
            assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o7777, mode);
            assert_eq!(fs::metadata(&from).unwrap().permissions().mode() & 0o7777, 0o444);
            assert_eq!(fs::read(&to).unwrap(), b"archive");
            assert_eq!(fs::read_dir(to.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
        }
        let gone = place(Path::new("/nowhere"), &to, Sha256::of(b"archive"), Placed::ReadOnly { link: true })
            .unwrap_err()
            .to_string();
        assert!(gone.starts_with("cannot copy `/nowhere` to `"), "{gone}");
        assert_eq!(fs::read(&to).unwrap(), b"archive");
    }

    #[test]
    fn a_file_that_is_there_is_not_changed_through_its_other_name() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "archive").unwrap();
        // A file that others may write is copied.
        place(&from, &to, Sha256::of(b"archive"), Placed::ReadOnly { link: true }).unwrap();
        assert_eq!(fs::metadata(&from).unwrap().nlink(), 1);
        fs::set_permissions(&from, Permissions::from_mode(0o444)).unwrap();
        place(&from, &to, Sha256::of(b"archive"), Placed::ReadOnly { link: true }).unwrap();
        crate::cli::whole::publish(&to, b"text", false).unwrap();
        assert_eq!(fs::read(&from).unwrap(), b"archive");
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o644);
    }
}
