//! Reads statements of where a root came from, ours or others' of the same type.
//!
//! Whoever reads a statement must not fail on what it does not know: fields that are not asked for are passed over.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::dsse::{DsseError, Envelope, IN_TOTO, PublicKey};
use super::provenance::{BUILD_TYPE, Dependency, PREDICATE, STATEMENT};
use crate::name::PackageName;

/// A statement, checked for its types and, if keys were given, for its signature.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The SHA-256 of the tarballs that it is about, in hexadecimal, by name.
    pub subjects: BTreeMap<String, String>,
    /// Who built.
    pub builder: String,
    /// The arch.
    pub arch: String,
    /// Whether the compiler was this one or that: `source` or `host`.
    pub toolchain: String,
    /// The packages in the tarballs.
    pub packages: Vec<PackageName>,
    /// The digests of what it was made from: name, algorithm, hexadecimal digits.
    dependencies: Vec<(String, String, String)>,
    /// The id of the key that signed it.
    pub signed_by: Option<String>,
}

/// Why a statement was refused.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not JSON, or not of that form.
    #[error("it is no in-toto statement, and no envelope with one")]
    Form(#[source] serde_json::Error),
    /// A key was given, and nobody signed.
    #[error("it is not signed: without `--key` it is checked without a signature")]
    NotSigned,
    /// There are signatures, and no key was given.
    #[error("give the public key of who signed it with `--key FILE`; its signatures name: {}", by.join(", "))]
    KeyWanted {
        /// What the signatures say of their keys.
        by: Vec<String>,
    },
    /// The envelope or a signature.
    #[error(transparent)]
    Envelope(#[from] DsseError),
    /// A text with characters in it that have no shape: shown, it could pass for what others say.
    #[error("a text in it has characters that cannot be shown: {}", text.escape_debug())]
    Unshowable {
        /// The text.
        text: String,
    },
    /// A type that is not ours to read.
    #[error("its {field} is `{found}`, not `{expected}`")]
    Kind {
        /// Which type.
        field: &'static str,
        /// What it says.
        found: String,
        /// What can be read.
        expected: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<RawDescriptor>,
    predicate_type: String,
    predicate: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPredicate {
    build_definition: RawDefinition,
    run_details: RawRun,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDefinition {
    build_type: String,
    external_parameters: Value,
    #[serde(default)]
    resolved_dependencies: Vec<RawDescriptor>,
}

#[derive(Deserialize)]
struct RawParameters {
    arch: String,
    toolchain: String,
    packages: Vec<PackageName>,
}

#[derive(Deserialize)]
struct RawRun {
    builder: RawBuilder,
}

#[derive(Deserialize)]
struct RawBuilder {
    id: String,
}

#[derive(Deserialize)]
struct RawDescriptor {
    #[serde(default)]
    name: String,
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

impl Statement {
    /// Reads a statement, or an envelope with one that must be signed by one of `keys`; of several, each on a line of its
    /// own, the first that will do.
    pub fn read(text: &str, keys: &[PublicKey]) -> Result<Self, StatementError> {
        let whole = Self::read_one(text, keys);
        let lines = || text.lines().filter(|line| !line.trim().is_empty());
        match whole {
            Err(StatementError::Form(_)) if lines().count() > 1 => {
                lines().find_map(|line| Self::read_one(line, keys).ok()).map_or(whole, Ok)
            }
            whole => whole,
        }
    }

    fn read_one(text: &str, keys: &[PublicKey]) -> Result<Self, StatementError> {
        let value: Value = serde_json::from_str(text).map_err(StatementError::Form)?;
        plain(&value)?;
        if value.get("payloadType").is_none() {
            return if keys.is_empty() { Self::parse(value) } else { Err(StatementError::NotSigned) };
        }
        let envelope: Envelope = serde_json::from_value(value).map_err(StatementError::Form)?;
        if keys.is_empty() {
            return Err(StatementError::KeyWanted { by: envelope.signers() });
        }
        let (payload, key) = envelope.open(keys)?;
        expect("payload type", &envelope.payload_type, IN_TOTO)?;
        let value = serde_json::from_slice(&payload).map_err(StatementError::Form)?;
        plain(&value)?;
        Ok(Self { signed_by: Some(key.id().to_owned()), ..Self::parse(value)? })
    }

    fn parse(value: Value) -> Result<Self, StatementError> {
        let raw: Raw = from(value)?;
        expect("type", &raw.kind, STATEMENT)?;
        expect("predicate type", &raw.predicate_type, PREDICATE)?;
        let predicate: RawPredicate = from(raw.predicate)?;
        let definition = predicate.build_definition;
        expect("build type", &definition.build_type, BUILD_TYPE)?;
        let parameters: RawParameters = from(definition.external_parameters)?;
        let subject = |mut subject: RawDescriptor| Some((subject.name, subject.digest.remove("sha256")?));
        let dependencies = definition.resolved_dependencies.into_iter().flat_map(|dependency| {
            let name = dependency.name;
            dependency.digest.into_iter().map(move |(algorithm, digest)| (name.clone(), algorithm, digest))
        });
        Ok(Self {
            subjects: raw.subject.into_iter().filter_map(subject).collect(),
            builder: predicate.run_details.builder.id,
            arch: parameters.arch,
            toolchain: parameters.toolchain,
            packages: parameters.packages,
            dependencies: dependencies.collect(),
            signed_by: None,
        })
    }

    /// How many digests it names of what the tarballs were made from.
    pub fn count(&self) -> usize {
        self.dependencies.len()
    }

    /// What it names that is not among `known`, and what of `known` it does not name at all; each once, by name.
    /// Of several archives that would do for a source it has to name but one.
    pub fn differences<'a>(&'a self, known: &'a BTreeSet<Dependency>) -> Vec<&'a str> {
        let is_known = |name: &str, algorithm: &str, digest: &str| {
            known.iter().any(|one| one.name == name && one.algorithm == algorithm && one.digest == digest)
        };
        let strange = self
            .dependencies
            .iter()
            .filter(|(name, algorithm, digest)| !is_known(name, algorithm, digest))
            .map(|(name, ..)| name.as_str());
        let named = |name: &str| self.dependencies.iter().any(|(own, ..)| own == name);
        let unnamed = known.iter().map(|one| one.name.as_str()).filter(|name| !named(name));
        let mut all: Vec<&str> = strange.chain(unnamed).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// That every text of a strangers' document can be shown as it is.
fn plain(value: &Value) -> Result<(), StatementError> {
    let is_shown = |c: char| matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1;
    let text = |text: &str| {
        if text.chars().all(is_shown) {
            return Ok(());
        }
        Err(StatementError::Unshowable { text: text.to_owned() })
    };
    match value {
        Value::String(string) => text(string),
        Value::Array(values) => values.iter().try_for_each(plain),
        Value::Object(fields) => {
            fields.iter().try_for_each(|(name, value)| text(name).and_then(|()| plain(value)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, StatementError> {
    serde_json::from_value(value).map_err(StatementError::Form)
}

fn expect(field: &'static str, found: &str, expected: &'static str) -> Result<(), StatementError> {
    if found == expected {
        return Ok(());
    }
    Err(StatementError::Kind { field, found: found.to_owned(), expected })
}
