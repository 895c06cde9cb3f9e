//! A Sigstore bundle as JSON (version 0.3), and the envelope in it (DSSE 1.0).
//!
//! What is written twice, nests deeply or is no canonical base64 is refused, so that no two readers can find
//! different things in one file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::json;
use super::outcome::{Failure, Reason};

/// Bytes of a signature file: four hundred thousand files or shards.
pub const BUNDLE_BYTES_MAX: u64 = 64 << 20;
/// Certificates of one chain.
const CERTIFICATES_MAX: usize = 16;
/// Bytes of one certificate.
const CERTIFICATE_BYTES_MAX: usize = 64 << 10;
/// Bytes of one signature.
const SIGNATURE_BYTES_MAX: usize = 16 << 10;

/// The only type of bundle that the specification names.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// What is signed is a statement of in-toto.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A bundle as it was parsed; nothing of it is trusted.
#[derive(Debug)]
pub struct Bundle {
    pub material: Material,
    pub envelope: Envelope,
}

/// With what the bundle wants to be verified.
#[derive(Debug)]
pub enum Material {
    /// A key that the verifier must have; the hint says which.
    Key { hint: Option<String> },
    /// Certificates in DER, the signer's first.
    Chain(Vec<Vec<u8>>),
    /// A short-lived certificate, with evidence of when it was used.
    Keyless,
}

/// A payload with its signature (DSSE), decoded.
#[derive(Debug)]
pub struct Envelope {
    pub payload_type: String,
    pub payload: Vec<u8>,
    pub signature: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBundle {
    media_type: String,
    verification_material: RawMaterial,
    dsse_envelope: Option<RawEnvelope>,
    message_signature: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMaterial {
    public_key: Option<RawKey>,
    x509_certificate_chain: Option<RawChain>,
    certificate: Option<RawCertificate>,
}

#[derive(Deserialize)]
struct RawKey {
    hint: Option<String>,
}

#[derive(Deserialize)]
struct RawChain {
    certificates: Vec<RawCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCertificate {
    raw_bytes: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<RawSignature>,
}

#[derive(Deserialize)]
struct RawSignature {
    sig: String,
    #[serde(rename = "keyid")]
    _key: Option<String>,
}

fn bad(detail: impl Into<String>) -> Failure {
    Failure::new(Reason::BadBundle, detail)
}

fn decode(what: &str, text: &str, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let bytes = STANDARD.decode(text).map_err(|error| bad(format!("its {what} is no base64: {error}")))?;
    if bytes.is_empty() || bytes.len() > bytes_max {
        return Err(bad(format!("its {what} has {} bytes", bytes.len())));
    }
    Ok(bytes)
}

/// Where the JSON is wrong, without repeating what it says.
fn place(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => "it is no JSON",
        Category::Data => "it lacks a part, has one twice or of another type",
    };
    format!("{what}, at line {} column {}", error.line(), error.column())
}

impl Bundle {
    /// Parses a bundle. Errors are all [`Reason::BadBundle`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        if bytes.len() as u64 > BUNDLE_BYTES_MAX {
            return Err(Failure::new(
                Reason::TooLarge,
                format!("the signature is larger than {BUNDLE_BYTES_MAX} bytes"),
            ));
        }
        let raw: RawBundle = json::parse(bytes).map_err(|error| bad(place(&error)))?;
        if raw.media_type != MEDIA_TYPE {
            return Err(bad(format!("its type is not {MEDIA_TYPE}")));
        }
        let RawMaterial { public_key, x509_certificate_chain, certificate } = raw.verification_material;
        let material = match (public_key, x509_certificate_chain, certificate) {
            (Some(key), None, None) => Material::Key { hint: key.hint.filter(|hint| !hint.is_empty()) },
            (None, Some(chain), None) => Material::Chain(certificates(&chain.certificates)?),
            (None, None, Some(one)) => {
                decode("certificate", &one.raw_bytes, CERTIFICATE_BYTES_MAX)?;
                Material::Keyless
            }
            _ => return Err(bad("it has not exactly one of a key, a chain of certificates and a certificate")),
        };
        match (raw.dsse_envelope, raw.message_signature) {
            (Some(envelope), None) => Ok(Self { material, envelope: envelope.checked()? }),
            _ => Err(bad("it has not exactly one envelope (DSSE)")),
        }
    }
}

fn certificates(chain: &[RawCertificate]) -> Result<Vec<Vec<u8>>, Failure> {
    if chain.is_empty() || chain.len() > CERTIFICATES_MAX {
        return Err(bad(format!("its chain has {} certificates, not 1 to {CERTIFICATES_MAX}", chain.len())));
    }
    chain.iter().map(|one| decode("certificate", &one.raw_bytes, CERTIFICATE_BYTES_MAX)).collect()
}

impl Envelope {
    /// Parses an envelope that stands alone, as in a line of `*.intoto.jsonl`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let raw: RawEnvelope = json::parse(bytes).map_err(|error| bad(place(&error)))?;
        raw.checked()
    }

    /// What is signed (DSSE, pre-authentication encoding): never the payload alone, never a copy of it.
    pub fn message(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }
}

impl RawEnvelope {
    fn checked(self) -> Result<Envelope, Failure> {
        let [signature] = self.signatures.as_slice() else {
            return Err(bad(format!("it has {} signatures, not one", self.signatures.len())));
        };
        if self.payload_type != PAYLOAD_TYPE {
            return Err(bad(format!("the type of its payload is not {PAYLOAD_TYPE}")));
        }
        Ok(Envelope {
            payload: decode("payload", &self.payload, usize::MAX)?,
            signature: decode("signature", &signature.sig, SIGNATURE_BYTES_MAX)?,
            payload_type: self.payload_type,
        })
    }
}

/// `DSSEv1 <bytes of the type> <type> <bytes of the payload> <payload>`.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}
