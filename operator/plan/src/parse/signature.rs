//! Signatures of images, verified offline: a payload in cosign's simple signing form that names the image's digest, and a
//! signature over it with a key of the Orchestrator.

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use tetrarch_crds::{agent_pool::ImageSignature, orchestrator::SigningKey};

use crate::violation::Violations;

/// Why a text is no public key that signatures can be checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is no PEM of a public key.
    #[error(
        "is no public key in PEM: write what `cosign generate-key-pair` writes as cosign.pub, from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----"
    )]
    Pem,
    /// It is of another algorithm.
    #[error("is a key of another algorithm: write one of ECDSA on P-256, as cosign makes them, or of Ed25519")]
    Algorithm,
}

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

/// What the key is for. A public key is no secret, but nobody reads its bytes in a log.
impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    EcdsaP256,
    Ed25519,
}

impl Algorithm {
    /// What a `SubjectPublicKeyInfo` of the algorithm begins with; the rest is the key.
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::EcdsaP256 => &[
                0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
                0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
            ],
            Self::Ed25519 => &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00],
        }
    }

    const fn length(self) -> usize {
        match self {
            Self::EcdsaP256 => 65,
            Self::Ed25519 => 32,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
            Self::Ed25519 => &ED25519,
        }
    }
}

impl PublicKey {
    /// Reads a key in PEM.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let body = text
            .trim()
            .strip_prefix("-----BEGIN PUBLIC KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"))
            .ok_or(KeyError::Pem)?;
        let body: String = body.split_whitespace().collect();
        let der = BASE64_STANDARD.decode(body).map_err(|_| KeyError::Pem)?;
        [Algorithm::EcdsaP256, Algorithm::Ed25519]
            .into_iter()
            .find_map(|algorithm| {
                let bytes = der.strip_prefix(algorithm.prefix()).filter(|bytes| bytes.len() == algorithm.length())?;
                Some(Self { algorithm, bytes: bytes.to_vec() })
            })
            .ok_or(KeyError::Algorithm)
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm.verification(), &self.bytes).verify(message, signature).is_ok()
    }
}

/// Notes every key that cannot be read, and every name that is used twice.
pub fn check_keys(path: &str, keys: &[SigningKey], violations: &mut Violations) {
    for (index, key) in keys.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if keys[..index].iter().any(|other| other.name == key.name) {
            violations
                .add(format!("{path}.name"), format!("{:?} is the name of two keys: give each its own", key.name));
        }
        violations.check(&format!("{path}.publicKey"), PublicKey::from_pem(&key.public_key));
    }
}

/// Why no signature of an image counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is none by the key.
    #[error("has no signature by {0:?}")]
    Missing(String),
    /// What is signed is another image.
    #[error("has a signature by {key:?}, but for {signed}")]
    OtherImage {
        /// The key.
        key: String,
        /// The digest that was signed, or what there is instead.
        signed: String,
    },
    /// The signature does not fit payload and key.
    #[error("has a signature by {0:?} that was not made with this key over this payload")]
    Wrong(String),
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Whether one of the signatures is by this key and for the image with this digest.
pub fn verify(digest: &str, name: &str, key: &PublicKey, signatures: &[ImageSignature]) -> Result<(), Error> {
    let mut reason = Error::Missing(name.to_owned());
    for written in signatures.iter().filter(|signature| signature.key == name) {
        match verify_one(digest, name, key, written) {
            Ok(()) => return Ok(()),
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

fn verify_one(digest: &str, name: &str, key: &PublicKey, written: &ImageSignature) -> Result<(), Error> {
    let wrong = || Error::Wrong(name.to_owned());
    let decode = |text: &str| BASE64_STANDARD.decode(text.trim()).map_err(|_| wrong());
    let (payload, signature) = (decode(&written.payload)?, decode(&written.signature)?);
    // Nothing of the payload is believed before the signature over it is.
    if !key.verifies(&payload, &signature) {
        return Err(wrong());
    }
    let other = |signed: String| Error::OtherImage { key: name.to_owned(), signed };
    let signed: Payload = serde_json::from_slice(&payload)
        .map_err(|_| other("no image, since its payload is no simple signing document".to_owned()))?;
    let signed = signed.critical.image.digest;
    if signed == digest { Ok(()) } else { Err(other(format!("the image {signed}"))) }
}
