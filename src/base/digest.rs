//! Digests, one type per thing that is named: an action, a file, a tree and a source archive cannot be confused.
//!
//! BLAKE3 names what the store keeps; SHA-256 and SHA-512 name what upstream projects publish. [`Framed`] is the one
//! way to hash structured data: every field is tagged and length-prefixed, so no two different inputs share an
//! encoding.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

/// Raised when text is not the digest it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind} digest: expected {length} hexadecimal digits")]
pub struct ParseDigestError {
    kind: &'static str,
    length: usize,
    text: String,
}

fn parse_hex<const N: usize>(kind: &'static str, text: &str) -> Result<[u8; N], ParseDigestError> {
    let error = || ParseDigestError { kind, length: 2 * N, text: text.to_owned() };
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(error());
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| error())?;
    }
    Ok(bytes)
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// The digest with these raw bytes.
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// The first twelve hexadecimal digits: enough for people to tell two apart.
            pub fn short(&self) -> String {
                self.to_string()[..12].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_hex($kind, text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest_type!(
    /// Names an action before anything runs: what goes into a piece of work, needs by their own `ActionDigest`.
    ActionDigest, "BLAKE3", 32
);
digest_type!(
    /// Names an action once its link needs are built: the same, with what those needs turned out to be.
    ResolvedDigest, "BLAKE3", 32
);
digest_type!(
    /// Names the contents of one file in the store.
    BlobDigest, "BLAKE3", 32
);
digest_type!(
    /// Names a tree: the listing of its entries.
    TreeDigest, "BLAKE3", 32
);
digest_type!(
    /// Names a compiler of the build machine that compiles for an arch: the bytes of its programs and libraries.
    CompilerDigest, "BLAKE3", 32
);
digest_type!(
    /// SHA-256, as upstream projects and K3s publish it.
    Sha256, "SHA-256", 32
);
digest_type!(
    /// SHA-512, which some upstream projects publish alone.
    Sha512, "SHA-512", 64
);

impl BlobDigest {
    /// The digest of `contents`.
    pub fn of(contents: &[u8]) -> Self {
        Self(*blake3::hash(contents).as_bytes())
    }
}

impl Sha256 {
    /// The digest of `contents`.
    pub fn of(contents: &[u8]) -> Self {
        Self(sha2::Sha256::digest(contents).into())
    }
}

impl Sha512 {
    /// The digest of `contents`.
    pub fn of(contents: &[u8]) -> Self {
        Self(sha2::Sha512::digest(contents).into())
    }
}

/// What names a source archive: the digest that its publisher gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceDigest {
    /// A SHA-256 digest.
    Sha256(Sha256),
    /// A SHA-512 digest.
    Sha512(Sha512),
}

impl SourceDigest {
    /// The algorithm's usual short name, as used for keys and file names.
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Sha512(_) => "sha512",
        }
    }

    /// The digest alone, in hexadecimal.
    pub fn hex(&self) -> String {
        match self {
            Self::Sha256(digest) => digest.to_string(),
            Self::Sha512(digest) => digest.to_string(),
        }
    }
}

impl fmt::Display for SourceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

/// A BLAKE3 hasher for structured data.
///
/// Each field is written as the length of its tag, the tag, a letter for its shape (a value or a list), the length of
/// its value and the value (lengths as 64-bit little-endian numbers), so moving a byte from one field to the next
/// always changes the digest.
#[derive(Clone)]
pub struct Framed(blake3::Hasher);

impl Framed {
    /// Starts an encoding; `domain` names what is encoded and the version of its encoding.
    pub fn new(domain: &str) -> Self {
        let mut framed = Self(blake3::Hasher::new());
        framed.frame(domain.as_bytes());
        framed
    }

    fn frame(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Adds one value under `tag`.
    pub fn field(&mut self, tag: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.frame(tag.as_bytes());
        self.0.update(b"v");
        self.frame(value.as_ref());
        self
    }

    /// Adds a list of values under `tag`: its length, then the values in order.
    pub fn list<T: AsRef<[u8]>>(&mut self, tag: &str, values: impl IntoIterator<Item = T>) -> &mut Self {
        let values: Vec<T> = values.into_iter().collect();
        self.frame(tag.as_bytes());
        self.0.update(b"l");
        self.0.update(&(values.len() as u64).to_le_bytes());
        for value in values {
            self.frame(value.as_ref());
        }
        self
    }

    /// Ends the encoding.
    pub fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_round_trips_and_wrong_text_is_refused() {
        let digest = BlobDigest::of(b"k3s");
        assert_eq!(digest.to_string().parse::<BlobDigest>().unwrap(), digest);
        for wrong in ["", "12", &"g".repeat(64), &"é".repeat(32)] {
            let error = wrong.parse::<BlobDigest>().unwrap_err().to_string();
            assert!(error.contains("64 hexadecimal digits"), "{error}");
        }
    }

    #[test]
    fn published_digests_are_the_standard_ones() {
        // FIPS 180-4's example message.
        assert_eq!(
            Sha256::of(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(Sha512::of(b"abc").to_string().starts_with("ddaf35a193617aba"));
    }

    fn framed(fields: &[(String, Vec<String>)]) -> [u8; 32] {
        let mut hasher = Framed::new("test 1");
        for (tag, values) in fields {
            match values.as_slice() {
                [one] => hasher.field(tag, one),
                many => hasher.list(tag, many),
            };
        }
        hasher.finish()
    }

    /// Fields of these lengths, tag and values, from the start of `text`; the last value takes what is left.
    fn cut(mut text: &str, lengths: &[(usize, Vec<usize>)]) -> Vec<(String, Vec<String>)> {
        let mut take = |length: usize| {
            let (head, rest) = text.split_at(length.min(text.len()));
            text = rest;
            head.to_owned()
        };
        let mut fields: Vec<(String, Vec<String>)> = lengths
            .iter()
            .map(|(tag, values)| (take(*tag), values.iter().map(|length| take(*length)).collect()))
            .collect();
        fields.push((String::new(), vec![text.to_owned()]));
        fields
    }

    proptest! {
        #[test]
        fn different_fields_never_share_an_encoding(
            left in prop::collection::vec((".{0,3}", prop::collection::vec(".{0,3}", 0..3)), 0..4),
            right in prop::collection::vec((".{0,3}", prop::collection::vec(".{0,3}", 0..3)), 0..4),
        ) {
            prop_assert_eq!(left == right, framed(&left) == framed(&right));
        }

        #[test]
        fn the_same_bytes_cut_in_two_ways_never_share_an_encoding(
            text in "[av\\x00\\x01]{0,8}",
            left in prop::collection::vec((0..3_usize, prop::collection::vec(0..3_usize, 0..3)), 0..4),
            right in prop::collection::vec((0..3_usize, prop::collection::vec(0..3_usize, 0..3)), 0..4),
        ) {
            let (left, right) = (cut(&text, &left), cut(&text, &right));
            prop_assert_eq!(left == right, framed(&left) == framed(&right));
        }
    }
}
