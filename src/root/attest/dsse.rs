//! DSSE envelopes: a document with signatures over it, <https://github.com/secure-systems-lab/dsse>.
//!
//! Keys are ed25519 keys in PEM, as `openssl genpkey -algorithm ed25519` makes them. A signature is over the type and the
//! bytes of the payload together, so that a payload cannot be passed off as one of another type. Ed25519 takes no chance
//! to sign: the same document and key give the same envelope.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE};
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use base::digest::Sha256;

/// The type of payload that in-toto statements are.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A document with signatures over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The document, in base64.
    payload: String,
    /// Who signed it.
    signatures: Vec<Signed>,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signed {
    /// A hint at the key; see [`PublicKey::id`].
    #[serde(default)]
    keyid: String,
    /// The signature, in base64.
    sig: String,
}

/// Why an envelope or a key was refused.
#[derive(Debug, thiserror::Error)]
pub enum DsseError {
    /// No private key that one can sign with.
    #[error(
        "it is no ed25519 private key in PEM (PKCS #8, not encrypted), as `openssl genpkey -algorithm ed25519` makes them"
    )]
    PrivateKey,
    /// No public key.
    #[error("it is no ed25519 public key in PEM, as `openssl pkey -in key.pem -pubout` gives them")]
    PublicKey,
    /// The payload or a signature is not base64.
    #[error("its {part} is not base64")]
    Base64 {
        /// Which part.
        part: &'static str,
        /// Where it is not.
        source: base64::DecodeError,
    },
    /// None of the signatures is by one of the keys.
    #[error("no signature in it is by a given key; signed by: {}", by.join(", "))]
    NotBy {
        /// What the signatures say of their keys.
        by: Vec<String>,
    },
    /// A signature is said to be by a key and is not.
    #[error("the signature by key {key} does not fit: the document or the signature was changed")]
    Forged {
        /// The key.
        key: String,
    },
}

/// A key that signs.
pub struct PrivateKey(SigningKey);

/// A key that tells whose a signature is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: String,
}

impl PrivateKey {
    /// Reads a key: PEM with a `PRIVATE KEY`.
    pub fn from_pem(text: &str) -> Result<Self, DsseError> {
        // What the library says of other keys names the kind that it wants as unknown.
        SigningKey::from_pkcs8_pem(text).map(Self).map_err(|_| DsseError::PrivateKey)
    }

    /// Its other half.
    pub fn public(&self) -> PublicKey {
        PublicKey::new(self.0.verifying_key())
    }

    /// The document in an envelope, signed.
    pub fn sign(&self, payload_type: &str, payload: &[u8]) -> Envelope {
        let signature = self.0.sign(&encoded_before(payload_type, payload));
        Envelope {
            payload_type: payload_type.to_owned(),
            payload: BASE64.encode(payload),
            signatures: vec![Signed { keyid: self.public().id, sig: BASE64.encode(signature.to_bytes()) }],
        }
    }
}

impl PublicKey {
    /// Reads a key: PEM with a `PUBLIC KEY`.
    pub fn from_pem(text: &str) -> Result<Self, DsseError> {
        VerifyingKey::from_public_key_pem(text).map(Self::new).map_err(|_| DsseError::PublicKey)
    }

    fn new(key: VerifyingKey) -> Self {
        // 32 bytes behind a fixed head can always be written.
        let der = key.to_public_key_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default();
        Self { key, id: Sha256::of(&der).to_string() }
    }

    /// What envelopes call it: the SHA-256 of its `SubjectPublicKeyInfo` in DER,
    /// `openssl pkey -pubin -in key.pem -outform DER | sha256sum`.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Envelope {
    /// The document, if it is signed by one of `keys`; the key as well.
    pub fn open<'a>(&self, keys: &'a [PublicKey]) -> Result<(Vec<u8>, &'a PublicKey), DsseError> {
        let payload = decode("payload", &self.payload)?;
        let message = encoded_before(&self.payload_type, &payload);
        let mut refused = None;
        for signed in &self.signatures {
            // Others may sign as well, each as they can.
            let bytes = match decode("signature", &signed.sig) {
                Ok(bytes) => bytes,
                Err(error) => {
                    refused.get_or_insert(error);
                    continue;
                }
            };
            // The name is a hint only: what counts is whether the signature fits.
            let fits = |key: &&PublicKey| {
                Signature::from_slice(&bytes)
                    .is_ok_and(|signature| key.key.verify_strict(&message, &signature).is_ok())
            };
            match keys.iter().find(fits) {
                Some(key) => return Ok((payload, key)),
                None if keys.iter().any(|key| key.id == signed.keyid) => {
                    refused = Some(DsseError::Forged { key: signed.keyid.clone() });
                }
                None => {}
            }
        }
        Err(refused.unwrap_or_else(|| DsseError::NotBy { by: self.signers() }))
    }

    /// What the signatures say of their keys.
    pub fn signers(&self) -> Vec<String> {
        self.signatures.iter().map(|signed| signed.keyid.clone()).collect()
    }
}

/// Base64, in either alphabet: writers may choose.
fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, DsseError> {
    let decoded = BASE64.decode(text).or_else(|_| URL_SAFE.decode(text));
    decoded.map_err(|source| DsseError::Base64 { part, source })
}

/// What is signed: DSSE's pre-authentication encoding, in which neither part can be taken for the other.
fn encoded_before(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first key of RFC 8032, 7.1.
    const ONE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";

    fn key(pem: &str) -> PrivateKey {
        PrivateKey::from_pem(pem).unwrap()
    }

    fn another() -> PrivateKey {
        PrivateKey(SigningKey::from_bytes(&[7; 32]))
    }

    #[test]
    fn what_is_signed_is_as_the_specification_has_it() {
        // The example of the protocol's description.
        let message = encoded_before("http://example.com/HelloWorld", b"hello world");
        assert_eq!(message, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn a_signed_document_comes_out_again_for_who_has_the_key() {
        let envelope = key(ONE).sign(IN_TOTO, b"{}");
        // SHA-256 of the public key in DER, as openssl writes it.
        assert_eq!(envelope.signers(), ["06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9"]);
        assert_eq!(envelope, key(ONE).sign(IN_TOTO, b"{}"), "nothing is left to chance");
        let keys = [another().public(), key(ONE).public()];
        let (payload, by) = envelope.open(&keys).unwrap();
        assert_eq!((payload.as_slice(), by), (b"{}".as_slice(), &keys[1]));
        let error = envelope.open(&keys[..1]).unwrap_err();
        assert!(matches!(&error, DsseError::NotBy { by } if *by == [keys[1].id()]), "{error}");
        assert!(envelope.open(&[]).is_err());
    }

    #[test]
    fn nothing_of_it_can_be_changed() {
        let keys = [key(ONE).public()];
        let good = key(ONE).sign(IN_TOTO, b"{}");
        let mut changed = [good.clone(), good.clone(), good.clone()];
        changed[0].payload = BASE64.encode(b"[]");
        changed[1].payload_type = "text/plain".to_owned();
        changed[2].signatures[0].sig = another().sign(IN_TOTO, b"{}").signatures[0].sig.clone();
        for envelope in &changed {
            assert!(matches!(envelope.open(&keys), Err(DsseError::Forged { .. })), "{envelope:?}");
        }
        let mut torn = good.clone();
        torn.signatures[0].sig = "AAAA".to_owned();
        assert!(matches!(torn.open(&keys), Err(DsseError::Forged { .. })));
        torn.signatures[0].sig = "%".to_owned();
        assert!(matches!(torn.open(&keys), Err(DsseError::Base64 { part: "signature", .. })));
        // What others signed, and in which alphabet, does no harm; nor does a wrong name for the right key.
        torn.signatures.push(good.signatures[0].clone());
        torn.payload = URL_SAFE.encode(b"{}");
        assert!(torn.open(&keys).is_ok());
        let mut renamed = good;
        renamed.signatures[0].keyid = "me".to_owned();
        assert!(renamed.open(&keys).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(PrivateKey::from_pem(text).is_err(), "{text}");
            assert!(PublicKey::from_pem(text).is_err(), "{text}");
        }
        assert!(PublicKey::from_pem(ONE).is_err(), "that is the private one");
    }
}
