//! What an action left, and how an entry of the index says so.
//!
//! An entry is a line with a version and the digest of the rest, and JSON:
//!
//! ```text
//! k3sroot-outcome 1 <BLAKE3 of all that follows>
//! {"key": {"Action": {"digest": "…", "machine": null}}, "outcome": {"unit": "iptables@arm64", …}}
//! ```
//!
//! so that a flipped or cut entry, or one that was moved to another key's name, is noticed. [`decode`] takes any bytes.

use serde::{Deserialize, Serialize};

use super::frame::{FrameError, frame, unframe};
use base::digest::{ActionDigest, ResolvedDigest, SourceDigest, TreeDigest};
use base::name::Unit;

const HEADER: &str = "k3sroot-outcome 1";

/// What an outcome is kept under.
///
/// Tools are kept per build machine: `machine` is its identity (arch, libc, compiler), `None` for what is the same
/// wherever it was built.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OutcomeKey {
    /// What went in, as planned.
    Action {
        /// The action.
        digest: ActionDigest,
        /// The build machine, for tools.
        machine: Option<String>,
    },
    /// What went in, with the link needs as they turned out.
    Resolved {
        /// The resolved action.
        digest: ResolvedDigest,
        /// The build machine, for tools.
        machine: Option<String>,
    },
}

impl OutcomeKey {
    /// The entry's name in `actions/`, and its lock's in `locks/`.
    pub(super) fn file_name(&self) -> String {
        let (kind, digest, machine) = match self {
            Self::Action { digest, machine } => ("action", digest.to_string(), machine),
            Self::Resolved { digest, machine } => ("resolved", digest.to_string(), machine),
        };
        match machine {
            None => format!("{kind}-{digest}"),
            Some(machine) => format!("{kind}-{digest}-{}", machine_name(machine)),
        }
    }
}

/// The build machine `machine` in the name of a file.
pub(super) fn machine_name(machine: &str) -> String {
    blake3::hash(machine.as_bytes()).to_hex()[..16].to_owned()
}

/// What an action left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whose action it was.
    pub unit: Unit,
    /// What it installed.
    pub tree: TreeDigest,
    /// The action.
    pub action: ActionDigest,
    /// The action with its link needs as they turned out.
    pub resolved: ResolvedDigest,
    /// The archives that were used, in the order of the recipe's sources.
    #[serde(with = "source_digests")]
    pub archives: Vec<SourceDigest>,
    /// How long it took on the wall clock, in seconds.
    pub seconds: f64,
    /// How much processor time it took, in seconds.
    pub cpu_seconds: f64,
}

/// Why an entry of the index was refused.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// It is not what was written, or not in this version's form.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It belongs to another key.
    #[error("it belongs to `{found}`")]
    Key {
        /// The name it should have.
        found: String,
    },
    /// The JSON does not describe an outcome.
    #[error("it does not describe an outcome")]
    Json(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Record {
    key: OutcomeKey,
    outcome: Outcome,
}

#[derive(Serialize)]
struct RecordRef<'a> {
    key: &'a OutcomeKey,
    outcome: &'a Outcome,
}

/// The entry for `outcome` under `key`. Durations that are no numbers become zero.
pub fn encode(key: &OutcomeKey, outcome: &Outcome) -> Vec<u8> {
    let finite = |seconds: f64| if seconds.is_finite() { seconds } else { 0.0 };
    let outcome = Outcome {
        seconds: finite(outcome.seconds),
        cpu_seconds: finite(outcome.cpu_seconds),
        ..outcome.clone()
    };
    let record = RecordRef { key, outcome: &outcome };
    let body = serde_json::to_string_pretty(&record).expect("text, numbers and lists are JSON") + "\n";
    frame(HEADER, body.as_bytes())
}

/// Reads the entry named `file_name`.
pub fn decode(file_name: &str, entry: &[u8]) -> Result<Outcome, EntryError> {
    let body = unframe(HEADER, entry)?;
    let record: Record = serde_json::from_slice(body)?;
    let found = record.key.file_name();
    if found == file_name { Ok(record.outcome) } else { Err(EntryError::Key { found }) }
}

/// `sha256:…` and `sha512:…` as text.
mod source_digests {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use base::digest::SourceDigest;

    pub(super) fn serialize<S: Serializer>(
        digests: &[SourceDigest],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(digests.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<SourceDigest>, D::Error> {
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .map(|text| match text.split_once(':') {
                Some(("sha256", hex)) => hex.parse().map(SourceDigest::Sha256).map_err(D::Error::custom),
                Some(("sha512", hex)) => hex.parse().map(SourceDigest::Sha512).map_err(D::Error::custom),
                _ => Err(D::Error::custom(format!("`{text}` is no source digest"))),
            })
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use base::digest::{Sha256, Sha512};

    /// A key made from one byte.
    pub(crate) fn key(byte: u8) -> OutcomeKey {
        OutcomeKey::Action { digest: ActionDigest::from_bytes([byte; 32]), machine: None }
    }

    /// An outcome with this tree.
    pub(crate) fn outcome(tree: TreeDigest) -> Outcome {
        Outcome {
            unit: "iptables@arm64".parse().unwrap(),
            tree,
            action: ActionDigest::from_bytes([1; 32]),
            resolved: ResolvedDigest::from_bytes([2; 32]),
            archives: vec![SourceDigest::Sha256(Sha256::of(b"a")), SourceDigest::Sha512(Sha512::of(b"b"))],
            seconds: 1.5,
            cpu_seconds: 2.25,
        }
    }

    #[test]
    fn entries_read_back_as_written() {
        let outcome = outcome(TreeDigest::from_bytes([3; 32]));
        for machine in [None, Some("x86_64 glibc-2.41 gcc-14.2".to_owned())] {
            let digest = ResolvedDigest::from_bytes([4; 32]);
            let key = OutcomeKey::Resolved { digest, machine };
            assert_eq!(decode(&key.file_name(), &encode(&key, &outcome)).unwrap(), outcome);
        }
        // By default, serde_json reads this as its neighbour.
        let precise = Outcome { seconds: 7.344_016_918_939_777e71, ..outcome.clone() };
        assert_eq!(decode(&key(1).file_name(), &encode(&key(1), &precise)).unwrap(), precise);
        let endless = Outcome { seconds: f64::NAN, cpu_seconds: f64::INFINITY, ..outcome };
        let read = decode(&key(1).file_name(), &encode(&key(1), &endless)).unwrap();
        assert!(read.seconds.abs() + read.cpu_seconds.abs() < f64::EPSILON);
    }

    #[test]
    fn every_part_of_a_key_changes_its_name() {
        let name = |machine: Option<&str>, byte, resolved| {
            let machine = machine.map(str::to_owned);
            if resolved {
                OutcomeKey::Resolved { digest: ResolvedDigest::from_bytes([byte; 32]), machine }
            } else {
                OutcomeKey::Action { digest: ActionDigest::from_bytes([byte; 32]), machine }
            }
            .file_name()
        };
        let names = [
            name(None, 1, false),
            name(None, 1, true),
            name(None, 2, false),
            name(Some(""), 1, false),
            name(Some("a/b\n"), 1, false),
        ];
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name) && !name.contains(['/', '\n']), "{name}");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let entry = encode(&key(1), &outcome(TreeDigest::from_bytes([3; 32])));
        let name = key(1).file_name();
        assert!(decode(&name, &entry).is_ok());
        for index in 0..entry.len() {
            let mut flipped = entry.clone();
            flipped[index] ^= 1 << (index % 8);
            assert!(decode(&name, &flipped).is_err(), "byte {index}");
            assert!(decode(&name, &entry[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn entries_of_other_keys_and_versions_are_refused() {
        let entry = encode(&key(1), &outcome(TreeDigest::from_bytes([3; 32])));
        assert!(matches!(decode(&key(2).file_name(), &entry), Err(EntryError::Key { .. })));
        let newer = String::from_utf8(entry).unwrap().replacen("outcome 1", "outcome 2", 1);
        assert!(matches!(
            decode(&key(1).file_name(), newer.as_bytes()),
            Err(EntryError::Frame(FrameError::Header))
        ));

        let signed = |body: &str| frame(HEADER, body.as_bytes());
        let body = newer.split_once('\n').unwrap().1;
        assert!(decode(&key(1).file_name(), &signed(body)).is_ok());
        for wrong in
            ["", "{}", &body.replace("sha256:", "md5:"), &body.replace("iptables@arm64", "../x@arm64")]
        {
            assert!(
                matches!(decode(&key(1).file_name(), &signed(wrong)), Err(EntryError::Json(_))),
                "{wrong}"
            );
        }
    }
}
