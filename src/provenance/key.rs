//! Public keys: ECDSA on the curves of NIST, as OpenSSF Model Signing has them, and Ed25519, which other
//! signers use.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA256_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::outcome::{Failure, Reason};
use super::pem;
use crate::event::Sha256;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// A public key that somebody trusts, or that a certificate carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    /// The point or the number, as the algorithm takes it.
    bytes: Vec<u8>,
    /// `SubjectPublicKeyInfo`.
    der: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    P521,
    Ed25519,
    /// Known to be one that is not supported.
    Other,
}

/// Which digest an ECDSA signature is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The one that fits the curve: SHA-256, SHA-384, SHA-512 (OpenSSF Model Signing, Sigstore bundles).
    OfCurve,
    /// SHA-256 whatever the curve (cosign before bundles).
    Sha256,
}

impl PublicKey {
    /// Reads `-----BEGIN PUBLIC KEY-----`; text around it is skipped, a second key is an error.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let mut blocks = pem::blocks(text, "PUBLIC KEY")?;
        match (blocks.pop(), blocks.is_empty()) {
            (Some(der), true) => Self::from_der(&der).ok_or_else(|| "the public key in it is damaged".to_owned()),
            (Some(_), false) => Err("it holds more than one public key".to_owned()),
            (None, _) => Err("it holds no `-----BEGIN PUBLIC KEY-----`".to_owned()),
        }
    }

    /// Reads a `SubjectPublicKeyInfo`; `None` when it is damaged.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let info = SubjectPublicKeyInfoOwned::from_der(der).ok()?;
        // Curves are named: one that is described along with the key can be made to fit any signature.
        let curve = info.algorithm.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        let kind = match (info.algorithm.oid, curve) {
            (EC_PUBLIC_KEY, Some(P256)) => Kind::P256,
            (EC_PUBLIC_KEY, Some(P384)) => Kind::P384,
            (EC_PUBLIC_KEY, Some(P521)) => Kind::P521,
            (ED25519_KEY, None) if info.algorithm.parameters.is_none() => Kind::Ed25519,
            _ => Kind::Other,
        };
        let bytes = info.subject_public_key.as_bytes()?.to_vec();
        Some(Self { kind, bytes, der: info.to_der().ok()? })
    }

    /// Name of the algorithm, for people.
    pub const fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::P256 => "ecdsa-p256",
            Kind::P384 => "ecdsa-p384",
            Kind::P521 => "ecdsa-p521",
            Kind::Ed25519 => "ed25519",
            Kind::Other => "unsupported",
        }
    }

    /// SHA-256 of the DER.
    pub fn sha256(&self) -> Sha256 {
        Sha256::of(&self.der)
    }

    /// Whether the hint of a bundle means this key: SHA-256 of its PEM text in hexadecimal (OpenSSF Model
    /// Signing) or of its DER in base64 or hexadecimal (cosign).
    pub fn is_meant_by(&self, hint: &str) -> bool {
        let der = self.sha256();
        let of_pem = Sha256::of(pem::encode(&self.der, "PUBLIC KEY").as_bytes());
        hint == of_pem.to_string() || hint == der.to_string() || hint == STANDARD.encode(der.as_bytes())
    }

    /// Refuses what OpenSSF Model Signing does not name: everything but ECDSA on three curves.
    pub fn is_of_model_signing(&self) -> Result<(), Failure> {
        match self.kind {
            Kind::P256 | Kind::P384 | Kind::P521 => Ok(()),
            Kind::Ed25519 | Kind::Other => Err(Failure::new(
                Reason::UnsupportedKey,
                "the key is none of ECDSA on P-256, P-384 or P-521".to_owned(),
            )),
        }
    }

    /// Verifies an ECDSA signature in DER, or one of Ed25519.
    pub fn verify(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> Result<(), Failure> {
        let algorithm: &'static dyn VerificationAlgorithm = match (self.kind, scheme) {
            (Kind::P256, _) => &ECDSA_P256_SHA256_ASN1,
            (Kind::P384, Scheme::OfCurve) => &ECDSA_P384_SHA384_ASN1,
            (Kind::P384, Scheme::Sha256) => &ECDSA_P384_SHA256_ASN1,
            (Kind::P521, Scheme::OfCurve) => &ECDSA_P521_SHA512_ASN1,
            (Kind::P521, Scheme::Sha256) => &ECDSA_P521_SHA256_ASN1,
            (Kind::Ed25519, _) => &ED25519,
            (Kind::Other, _) => {
                return Err(Failure::new(Reason::UnsupportedKey, "the key is of a kind that is not supported"));
            }
        };
        UnparsedPublicKey::new(algorithm, &self.bytes)
            .verify(message, signature)
            .map_err(|_| Failure::new(Reason::BadSignature, "the signature does not fit the payload and the key"))
    }
}
