//! Reads statements of where a root came from, ours or others' of the same type.
//!
//! Whoever reads a statement must not fail on what it does not know: fields that are not asked for are passed over.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::dsse::{DsseError, Envelope, IN_TOTO, PublicKey};
use super::provenance::{BUILD_TYPE, Dependency, PREDICATE, STATEMENT};
use base::name::PackageName;

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
    /// A toolchain that there is not.
    #[error("its toolchain is `{word}`, and there are `source` and `host`")]
    Toolchain {
        /// The word.
        word: String,
    },
    /// A subject that no statement of ours has.
    #[error("its subject `{name}` {reason}")]
    Subject {
        /// What the subject is called.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something that every root of its kind is made from is not among its dependencies.
    #[error("its dependencies lack `{name}`, which {why}")]
    Lacks {
        /// What is not there.
        name: String,
        /// Why it has to be.
        why: String,
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
    #[serde(default)]
    overrides: Vec<PackageName>,
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
        let dependencies = definition.resolved_dependencies.into_iter().flat_map(|dependency| {
            let name = dependency.name;
            dependency.digest.into_iter().map(move |(algorithm, digest)| (name.clone(), algorithm, digest))
        });
        let dependencies: Vec<_> = dependencies.collect();
        complete(&parameters, &dependencies)?;
        Ok(Self {
            subjects: subjects(raw.subject, &parameters.arch)?,
            builder: predicate.run_details.builder.id,
            arch: parameters.arch,
            toolchain: parameters.toolchain,
            packages: parameters.packages,
            dependencies,
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

/// The SHA-256 of the subjects by name. Each has one, no two have the same name or contents, and each is for the arch.
fn subjects(raw: Vec<RawDescriptor>, arch: &str) -> Result<BTreeMap<String, String>, StatementError> {
    let mut subjects: BTreeMap<String, String> = BTreeMap::new();
    for RawDescriptor { name, mut digest } in raw {
        let sha256 = digest.remove("sha256");
        let reason = match &sha256 {
            None => Some("has no sha256".to_owned()),
            Some(_) if subjects.contains_key(&name) => Some("is there twice".to_owned()),
            Some(sha256) if subjects.values().any(|known| known == sha256) => {
                Some("has the digest of another".to_owned())
            }
            // Names of tarballs end with the arch's.
            Some(_) if !name.trim_end_matches(".tar").ends_with(&format!("-{arch}")) => {
                Some(format!("is not named like a tarball for {arch}, the arch that it states"))
            }
            Some(_) => None,
        };
        match (sha256, reason) {
            (Some(sha256), None) => _ = subjects.insert(name, sha256),
            (_, reason) => return Err(StatementError::Subject { name, reason: reason.unwrap_or_default() }),
        }
    }
    Ok(subjects)
}

/// That the dependencies have what the parameters make necessary. What else there has to be only a checkout tells.
fn complete(
    parameters: &RawParameters,
    dependencies: &[(String, String, String)],
) -> Result<(), StatementError> {
    let RawParameters { arch, toolchain, packages, overrides } = parameters;
    if !matches!(toolchain.as_str(), "source" | "host") {
        return Err(StatementError::Toolchain { word: toolchain.clone() });
    }
    let every = "every root is made from";
    let of_all = [
        (format!("sysroot/{arch}.toml"), every.to_owned()),
        ("recipes/root.toml".to_owned(), every.to_owned()),
    ];
    let recipe =
        |package: &PackageName| (format!("recipes/{package}.toml"), format!("{package} is made from"));
    let tree =
        |package: &PackageName| (format!("{package}: a local tree"), format!("{package} is made from"));
    let wanted = of_all.into_iter().chain(packages.iter().map(recipe)).chain(overrides.iter().map(tree));
    for (name, why) in wanted {
        if !dependencies.iter().any(|(known, ..)| *known == name) {
            return Err(StatementError::Lacks { name, why });
        }
    }
    Ok(())
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
