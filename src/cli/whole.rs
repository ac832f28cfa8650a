//! Files that k3sroot writes: each is there whole, or as it was before.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::{NamedTempFile, PersistError};

use super::error::CliError;

/// Writes a file of the checkout that is not there yet.
pub(super) fn create(path: &Path, text: &str) -> Result<(), CliError> {
    write(path, text.as_bytes(), None, |file| file.persist_noclobber(path))
}

/// Writes a file of the checkout in place of what is there; its mode stays.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), CliError> {
    let there = fs::metadata(path).ok().map(|there| there.permissions());
    write(path, text.as_bytes(), there, |file| file.persist(path))
}

/// Writes a file for others in place of what is there: they may read it, whatever the umask, and run it if it is a program.
pub(super) fn publish(path: &Path, contents: &[u8], executable: bool) -> Result<(), CliError> {
    let mode = Permissions::from_mode(if executable { 0o755 } else { 0o644 });
    write(path, contents, Some(mode), |file| file.persist(path))
}

fn write(
    path: &Path,
    contents: &[u8],
    mode: Option<Permissions>,
    persist: impl FnOnce(NamedTempFile) -> Result<fs::File, PersistError>,
) -> Result<(), CliError> {
    let written = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".k3sroot-").tempfile_in(folder)?;
        file.write_all(contents)?;
        file.as_file().set_permissions(mode.unwrap_or(Permissions::from_mode(0o644)))?;
        persist(file)?;
        Ok(())
    };
    written().map_err(|source| CliError::Io { what: format!("write `{}`", path.display()), source })
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
