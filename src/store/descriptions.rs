//! What went into the newest outcome of each unit, so that it can be said why the next one differs.
//!
//! A description is text that the store does not look into, in a frame with the name of its file:
//!
//! ```text
//! k3sroot-description 1 <BLAKE3 of all that follows>
//! iptables@arm64
//! …
//! ```
//!
//! Losing one costs an answer and no outcome, so nothing here fails a build.

use std::fs;
use std::io::Write as _;
use std::time::SystemTime;

use super::error::{StoreError, at};
use super::frame::{FrameError, frame, unframe};
use super::outcome::machine_name;
use super::{DESCRIPTIONS, Store, read_if_there};
use base::name::Unit;

const HEADER: &str = "k3sroot-description 1";

/// A description, as it was remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The text.
    pub text: Vec<u8>,
    /// When it was written.
    pub written: SystemTime,
}

/// Why a description was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DescriptionError {
    /// It is not what was written, or not in this version's form.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It was written under another name.
    #[error("it does not belong under this name")]
    Name,
}

/// The name in `descriptions/`. No arch has a dot in its name.
fn name_of(unit: &Unit, machine: Option<&str>) -> String {
    match machine {
        None => unit.to_string(),
        Some(machine) => format!("{unit}.{}", machine_name(machine)),
    }
}

fn encode(name: &str, text: &[u8]) -> Vec<u8> {
    frame(HEADER, &[name.as_bytes(), b"\n", text].concat())
}

/// The text of the description in the file `name`.
pub(super) fn decode<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a [u8], DescriptionError> {
    let rest = unframe(HEADER, bytes)?.strip_prefix(name.as_bytes());
    rest.and_then(|rest| rest.strip_prefix(b"\n")).ok_or(DescriptionError::Name)
}

impl Store {
    /// Remembers what went into the newest outcome of `unit`; `machine` is the build machine, for tools.
    pub fn remember_description(&self, unit: &Unit, machine: Option<&str>, text: &[u8]) {
        let _activity = self.active();
        let name = name_of(unit, machine);
        if let Ok(mut file) = self.inner.session.file() {
            if file.write_all(&encode(&name, text)).is_ok() {
                let _ = file.persist(self.path(DESCRIPTIONS).join(name));
            }
        }
    }

    /// What was last remembered of `unit`. A damaged description is set aside, and there is none.
    pub fn description(&self, unit: &Unit, machine: Option<&str>) -> Result<Option<Described>, StoreError> {
        let _activity = self.active();
        let name = name_of(unit, machine);
        let path = self.path(DESCRIPTIONS).join(&name);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        let Ok(text) = decode(&name, &bytes) else {
            self.set_aside(&path)?;
            return Ok(None);
        };
        let written = fs::metadata(&path).and_then(|meta| meta.modified()).map_err(at("look at", &path))?;
        Ok(Some(Described { text: text.to_owned(), written }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_kept_for_each_unit_and_build_machine() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let text = |unit: &str, machine: Option<&str>| {
            let found = store.description(&unit.parse().unwrap(), machine).unwrap();
            found.map(|found| String::from_utf8(found.text).unwrap())
        };
        let remember = |unit: &str, machine: Option<&str>, text: &str| {
            store.remember_description(&unit.parse().unwrap(), machine, text.as_bytes());
        };
        assert_eq!(text("gcc@build-arm64", Some("a")), None);
        remember("gcc@build-arm64", Some("a"), "one\n");
        remember("gcc@build-arm64", Some("b"), "two\n");
        remember("gcc@build", Some("a"), "three");
        remember("gcc@arm64", None, "");
        remember("gcc@build-arm64", Some("a"), "four\n");
        assert_eq!(text("gcc@build-arm64", Some("a")).unwrap(), "four\n");
        assert_eq!(text("gcc@build-arm64", Some("b")).unwrap(), "two\n");
        assert_eq!(text("gcc@build", Some("a")).unwrap(), "three");
        assert_eq!(text("gcc@arm64", None).unwrap(), "");
        assert_eq!(store.stats().unwrap().descriptions.files, 4);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = encode("a@amd64", b"text\nof two lines");
        assert_eq!(decode("a@amd64", &bytes), Ok(&b"text\nof two lines"[..]));
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1 << (index % 8);
            assert!(decode("a@amd64", &flipped).is_err(), "byte {index}");
            assert!(decode("a@amd64", &bytes[..index]).is_err(), "cut at {index}");
        }
        assert_eq!(decode("a@amd6", &bytes), Err(DescriptionError::Name));
        assert_eq!(decode("b@amd64", &bytes), Err(DescriptionError::Name));
    }

    #[test]
    fn a_damaged_one_is_set_aside_and_can_be_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let unit: Unit = "a@amd64".parse().unwrap();
        store.remember_description(&unit, None, b"text");
        fs::write(folder.path().join("descriptions/a@amd64"), "k3sroot-").unwrap();
        assert_eq!(store.description(&unit, None).unwrap(), None);
        assert_eq!(store.set_aside_entries().len(), 1);
        store.remember_description(&unit, None, b"again");
        assert_eq!(store.description(&unit, None).unwrap().unwrap().text, b"again");
    }
}
