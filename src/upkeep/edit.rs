//! A recipe's text with another version: values change, and comments, order and alignment stay.

use toml_edit::{ArrayOfTables, DocumentMut, Item, TableLike, TomlError};

use base::digest::{Sha256, SourceDigest};
use base::name::Version;

/// Raised when a recipe's text does not have what is to be changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It is not TOML.
    #[error("not TOML")]
    Toml(#[from] TomlError),
    /// A key is missing.
    #[error("there is no `{key}` to change")]
    Missing {
        /// The key.
        key: String,
    },
}

/// A recipe's text under change.
#[derive(Debug)]
pub struct Edit {
    document: DocumentMut,
}

impl Edit {
    /// Begins with `text`.
    pub fn new(text: &str) -> Result<Self, EditError> {
        Ok(Self { document: text.parse()? })
    }

    /// Changes the version.
    pub fn version(&mut self, version: &Version) -> Result<(), EditError> {
        set(self.document.get_mut("version"), "version", version.as_str())
    }

    /// The URLs of an archive as they are written, with `{version}`.
    pub fn urls(&mut self, source: usize, archive: usize) -> Result<Vec<String>, EditError> {
        let urls = self.archive(source, archive)?.get("urls").and_then(Item::as_array);
        let urls = urls.ok_or_else(|| missing("urls"))?;
        Ok(urls.iter().filter_map(|url| url.as_str().map(str::to_owned)).collect())
    }

    /// Changes the digest of an archive, by the numbers of the source and of its archive.
    pub fn digest(&mut self, source: usize, archive: usize, digest: &SourceDigest) -> Result<(), EditError> {
        let table = self.archive(source, archive)?;
        set(table.get_mut(digest.algorithm()), digest.algorithm(), &digest.hex())
    }

    /// Takes an archive out of a source that has others.
    pub fn remove_archive(&mut self, source: usize, archive: usize) -> Result<(), EditError> {
        match self.source(source)?.get_mut("archive").and_then(Item::as_array_of_tables_mut) {
            Some(archives) if archive < archives.len() => {
                archives.remove(archive);
                Ok(())
            }
            _ => Err(missing("archive")),
        }
    }

    /// Takes out why the package is held back, if the recipe says so.
    pub fn remove_held(&mut self) {
        self.document.remove("held");
    }

    /// Changes the digest of a licence text.
    pub fn license(&mut self, file: &str, digest: &Sha256) -> Result<(), EditError> {
        let files = self.document.get_mut("license").and_then(|license| license.get_mut("files"));
        let files = files.and_then(Item::as_table_like_mut).ok_or_else(|| missing("license.files"))?;
        set(files.get_mut(file), file, &digest.to_string())
    }

    /// The text.
    pub fn finish(self) -> String {
        self.document.to_string()
    }

    fn source(&mut self, number: usize) -> Result<&mut dyn TableLike, EditError> {
        let sources = self.document.get_mut("source").and_then(Item::as_array_of_tables_mut);
        sources
            .and_then(|sources| sources.get_mut(number))
            .map(|table| table as &mut dyn TableLike)
            .ok_or_else(|| missing("source"))
    }

    /// The table with the digest: the source's own, or that of one of its archives.
    fn archive(&mut self, source: usize, archive: usize) -> Result<&mut dyn TableLike, EditError> {
        let source = self.source(source)?;
        if !source.contains_key("archive") {
            return Ok(source);
        }
        source
            .get_mut("archive")
            .and_then(Item::as_array_of_tables_mut)
            .and_then(|archives: &mut ArrayOfTables| archives.get_mut(archive))
            .map(|table| table as &mut dyn TableLike)
            .ok_or_else(|| missing("archive"))
    }
}

fn missing(key: &str) -> EditError {
    EditError::Missing { key: key.to_owned() }
}

/// Puts `text` in the place of a value, with the blanks and the comment around it.
fn set(item: Option<&mut Item>, key: &str, text: &str) -> Result<(), EditError> {
    let value = item.and_then(Item::as_value_mut).ok_or_else(|| missing(key))?;
    let decor = value.decor().clone();
    *value = text.into();
    *value.decor_mut() = decor;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::digest::Sha512;

    const RECIPE: &str = r#"name     = "good"
version  = "1.2"        # the last one with a configure script

[license]
files = { "COPYING" = "old", "README" = "same" }

[held]
newest  = "1.3"
because = "nobody has tried it yet, I fear"

[[source]]

# Upstream's.
[[source.archive]]
urls   = ["https://good.example/good-{version}.tar.xz"]
sha256 = "old"

[[source.archive]]
urls   = ["debian:good/good_{version}.orig.tar.xz"]
sha256 = "old"

[[source]]
urls   = ["https://good.example/more-{version}.tar.xz"]
sha512 = "old"
into   = "more"
"#;

    #[test]
    fn values_change_and_everything_else_stays() {
        let mut edit = Edit::new(RECIPE).unwrap();
        edit.version(&"1.3".parse().unwrap()).unwrap();
        edit.digest(0, 0, &SourceDigest::Sha256(Sha256::of(b"new"))).unwrap();
        edit.remove_archive(0, 1).unwrap();
        edit.remove_held();
        edit.digest(1, 0, &SourceDigest::Sha512(Sha512::of(b"new"))).unwrap();
        edit.license("COPYING", &Sha256::of(b"text")).unwrap();
        let changed = diffy::create_patch(RECIPE, &edit.finish()).to_string();
        let changed: Vec<&str> =
            changed.lines().skip(2).filter(|line| line.starts_with(['+', '-'])).collect();
        let [new, text] = [Sha256::of(b"new"), Sha256::of(b"text")];
        let expected = [
            "-version  = \"1.2\"        # the last one with a configure script".to_owned(),
            "+version  = \"1.3\"        # the last one with a configure script".to_owned(),
            "-files = { \"COPYING\" = \"old\", \"README\" = \"same\" }".to_owned(),
            "-".to_owned(),
            "-[held]".to_owned(),
            "-newest  = \"1.3\"".to_owned(),
            "-because = \"nobody has tried it yet, I fear\"".to_owned(),
            format!("+files = {{ \"COPYING\" = \"{text}\", \"README\" = \"same\" }}"),
            "-sha256 = \"old\"".to_owned(),
            "-".to_owned(),
            "-[[source.archive]]".to_owned(),
            "-urls   = [\"debian:good/good_{version}.orig.tar.xz\"]".to_owned(),
            "-sha256 = \"old\"".to_owned(),
            format!("+sha256 = \"{new}\""),
            "-sha512 = \"old\"".to_owned(),
            format!("+sha512 = \"{}\"", Sha512::of(b"new")),
        ];
        assert_eq!(changed, expected);
    }

    #[test]
    fn what_is_not_there_is_not_changed() {
        let mut edit = Edit::new("name = \"good\"\n[[source]]\nlocal = \"good\"\n").unwrap();
        for (result, key) in [
            (edit.version(&"1".parse().unwrap()), "version"),
            (edit.digest(0, 0, &SourceDigest::Sha256(Sha256::of(b""))), "sha256"),
            (edit.digest(1, 0, &SourceDigest::Sha256(Sha256::of(b""))), "source"),
            (edit.remove_archive(0, 0), "archive"),
            (edit.license("COPYING", &Sha256::of(b"")), "license.files"),
        ] {
            assert_eq!(result.unwrap_err().to_string(), format!("there is no `{key}` to change"));
        }
        assert_eq!(edit.finish(), "name = \"good\"\n[[source]]\nlocal = \"good\"\n");
    }
}
