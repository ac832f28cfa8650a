//! Files that k3sroot writes: each is there whole, or as it was before.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::{NamedTempFile, PersistError};

use super::error::CliError;
use super::place::{STAGED, io_error};

/// Writes a file of the checkout that is not there yet.
pub(super) fn create(path: &Path, text: &str) -> Result<(), CliError> {
    write(path, None, |file| put(path, file, text.as_bytes()), |file| file.persist_noclobber(path))
}

/// Writes a file of the checkout in place of what is there; its mode stays.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), CliError> {
    let there = fs::metadata(path).ok().map(|there| there.permissions());
    write(path, there, |file| put(path, file, text.as_bytes()), |file| file.persist(path))
}

/// Writes a file for others in place of what is there: they may read it, whatever the umask, and run it if it is a program.
pub(super) fn publish(path: &Path, contents: &[u8], executable: bool) -> Result<(), CliError> {
    let mode = Permissions::from_mode(if executable { 0o755 } else { 0o644 });
    write(path, Some(mode), |file| put(path, file, contents), |file| file.persist(path))
}

/// Writes a file for others in place of what is there, as `fill` fills it.
pub(super) fn publish_filled(
    path: &Path,
    fill: impl FnOnce(&File) -> Result<(), CliError>,
) -> Result<(), CliError> {
    write(path, None, fill, |file| file.persist(path))
}

fn put(path: &Path, mut file: &File, contents: &[u8]) -> Result<(), CliError> {
    file.write_all(contents).map_err(io_error("write", path))
}

fn write(
    path: &Path,
    mode: Option<Permissions>,
    fill: impl FnOnce(&File) -> Result<(), CliError>,
    persist: impl FnOnce(NamedTempFile) -> Result<File, PersistError>,
) -> Result<(), CliError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let begin = || {
        fs::create_dir_all(folder)?;
        tempfile::Builder::new().prefix(STAGED).tempfile_in(folder)
    };
    let staged = begin().map_err(io_error("write", path))?;
    fill(staged.as_file())?;
    let kept = || -> io::Result<()> {
        staged.as_file().set_permissions(mode.unwrap_or(Permissions::from_mode(0o644)))?;
        persist(staged)?;
        Ok(())
    };
    kept().map_err(io_error("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_once_and_then_replaced_with_the_mode_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/recipe.toml");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        create(&path, "one").unwrap();
        assert_eq!(mode(), 0o644);
        let error = create(&path, "another").unwrap_err().to_string();
        assert!(error.starts_with("cannot write `") && error.ends_with("recipe.toml`"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, "two").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode()), ("two", 0o640));
        publish(&path, b"three", true).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode()), ("three", 0o755));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    }
}
