//! Signing what goes to other nodes, with a key of the site.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::bundle::{PAYLOAD_TYPE, pae};
use super::pem;

/// A private key; never printed.
pub enum SigningKey {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Reads `-----BEGIN PRIVATE KEY-----` (PKCS#8, not encrypted): ECDSA on P-256, P-384 or P-521, or Ed25519.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let blocks = pem::blocks(text, "PRIVATE KEY")?;
        let [der] = blocks.as_slice() else {
            return Err(format!(
                "it holds {} blocks `PRIVATE KEY`, not one (PKCS#8, without a password)",
                blocks.len()
            ));
        };
        let curves =
            [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING];
        let ecdsa = curves.into_iter().find_map(|curve| EcdsaKeyPair::from_pkcs8(curve, der).ok());
        ecdsa
            .map(Self::Ecdsa)
            .or_else(|| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Self::Ed25519))
            .ok_or_else(|| "the key in it is none of ECDSA on P-256, P-384 or P-521, or Ed25519".to_owned())
    }

    /// A statement in a signed envelope (DSSE), as JSON.
    pub fn seal(&self, payload: &[u8]) -> Result<String, String> {
        let message = pae(PAYLOAD_TYPE, payload);
        let signature = match self {
            Self::Ecdsa(key) => key
                .sign(&SystemRandom::new(), &message)
                .map_err(|_| "signing failed for want of random numbers".to_owned())?
                .as_ref()
                .to_vec(),
            Self::Ed25519(key) => key.sign(&message).as_ref().to_vec(),
        };
        let envelope = json!({
            "payloadType": PAYLOAD_TYPE,
            "payload": STANDARD.encode(payload),
            "signatures": [{ "sig": STANDARD.encode(signature), "keyid": "" }],
        });
        Ok(envelope.to_string())
    }
}
