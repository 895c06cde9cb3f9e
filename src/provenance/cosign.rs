//! Signatures of images by cosign: a bundle (version 3), or a small JSON document with the signature beside it
//! (versions 1 and 2, "simple signing"). Both are about the digest of a manifest, which names all the rest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::bundle::Bundle;
use super::key::Scheme;
use super::outcome::{Failure, Outcome, Reason, Signer};
use super::statement::{Head, Statement};
use super::trust::Trust;
use super::{json, pem, slsa};
use crate::event::Sha256;

/// What cosign signs since version 3.
const PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
/// What it signed before.
const SIMPLE: &str = "cosign container image signature";
/// Signatures of one image that are looked at.
pub const SIGNATURES_MAX: usize = 64;
/// Bytes of a simple payload.
pub const SIMPLE_BYTES_MAX: u64 = 1 << 20;
/// Characters of a certificate or chain in an annotation.
const PEM_MAX: usize = 256 << 10;

/// A signature as it lies beside an image; nothing of it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attached {
    /// A Sigstore bundle.
    Bundle(Vec<u8>),
    /// A payload with what its layer is annotated with.
    Simple {
        payload: Vec<u8>,
        /// Base64.
        signature: String,
        /// PEM of the signer's certificate and of those above it.
        certificate: Option<String>,
        chain: Option<String>,
    },
}

/// What is asked of an image.
#[derive(Debug, Clone)]
pub struct Request<'r> {
    pub trust: &'r Trust,
    /// Digest of the manifest, as it was measured.
    pub digest: Sha256,
    /// Provenance is asked for instead of a signature.
    pub provenance: Option<slsa::Wanted>,
    pub now: Timestamp,
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Verifies an image against all signatures beside it: one that fits is enough, as many may sign.
pub fn verify(request: &Request<'_>, attached: &[Attached]) -> Outcome {
    let mut first: Option<Outcome> = None;
    for one in attached.iter().take(SIGNATURES_MAX) {
        let outcome = verify_one(request, one);
        if outcome.is_verified() {
            return outcome;
        }
        // Whoever wants something else of signatures says nothing about ours.
        let better = first.as_ref().is_none_or(|first| first.reason == Some(Reason::WrongPredicate));
        if better {
            first = Some(outcome);
        }
    }
    first.unwrap_or_else(|| Outcome::failed(Failure::new(Reason::Unsigned, "no signature lies beside the image")))
}

/// Verifies an image against one signature.
pub fn verify_one(request: &Request<'_>, attached: &Attached) -> Outcome {
    let mut outcome = Outcome::verified();
    let checked = match attached {
        Attached::Bundle(bytes) => bundle(request, bytes, &mut outcome),
        Attached::Simple { payload, signature, certificate, chain } => {
            let pems = certificate.as_deref().map(|one| (one, chain.as_deref().unwrap_or_default()));
            simple(request, payload, signature, pems, &mut outcome)
        }
    };
    match checked {
        Ok(()) => outcome.root_digest = Some(request.digest),
        Err(failure) => outcome.fail(failure),
    }
    outcome
}

fn bundle(request: &Request<'_>, bytes: &[u8], outcome: &mut Outcome) -> Result<(), Failure> {
    let bundle = Bundle::parse(bytes)?;
    let payload = &bundle.envelope.payload;
    let subject = Some(&request.digest);
    outcome.signer = Some(request.trust.verify(&bundle.material, &bundle.envelope, bytes, subject, request.now)?);
    let subjects = if let Some(wanted) = &request.provenance {
        let (subjects, provenance) = slsa::parse(payload)?;
        let fits = wanted.check(&provenance);
        outcome.provenance = Some(provenance);
        fits?;
        subjects
    } else {
        let head = Head::parse(payload)?;
        if head.predicate_type != PREDICATE {
            let found = crate::base::text::shorten(&head.predicate_type, 120);
            return Err(Failure::new(Reason::WrongPredicate, format!("it is no signature of an image: `{found}`")));
        }
        // Signatures have no content of their own, and many write none.
        Statement::<Option<IgnoredAny>>::parse(payload)?.subject
    };
    if subjects.iter().any(|one| one.digest.sha256() == Some(request.digest)) { Ok(()) } else { Err(another(request)) }
}

fn another(request: &Request<'_>) -> Failure {
    Failure::new(
        Reason::SubjectMismatch,
        format!("it is the valid signature of another image than sha256:{}", request.digest),
    )
}

fn simple(
    request: &Request<'_>,
    payload: &[u8],
    signature: &str,
    pems: Option<(&str, &str)>,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    if request.provenance.is_some() {
        return Err(Failure::new(Reason::WrongPredicate, "it is a signature, and no provenance"));
    }
    let bad = |detail: String| Failure::new(Reason::BadBundle, detail);
    let signature = STANDARD.decode(signature).map_err(|error| bad(format!("its signature is no base64: {error}")))?;
    let signer = match (request.trust, pems) {
        (Trust::Key(key), None) => {
            key.verify(Scheme::Sha256, payload, &signature)?;
            Signer::Key { sha256: key.sha256(), algorithm: key.algorithm() }
        }
        (Trust::Authorities(authorities), Some((certificate, above))) => {
            if certificate.len() > PEM_MAX || above.len() > PEM_MAX {
                return Err(bad("its certificates are too long".to_owned()));
            }
            let mut ders = pem::blocks(certificate, "CERTIFICATE").map_err(bad)?;
            ders.truncate(1);
            ders.extend(pem::blocks(above, "CERTIFICATE").map_err(bad)?.into_iter().take(15));
            let found = authorities.verify(&ders, request.now)?;
            found.key.verify(Scheme::Sha256, payload, &signature)?;
            found.signer()
        }
        (Trust::Identity(_), Some(_)) => {
            let what = "signatures of identities are read from bundles only, which cosign makes since version 3";
            return Err(Failure::new(Reason::WrongMethod, what));
        }
        _ => {
            return Err(Failure::new(Reason::WrongMethod, "it is signed in another way than the trust that was given"));
        }
    };
    outcome.signer = Some(signer);
    let Payload { critical } = json::parse(payload)
        .map_err(|_| Failure::new(Reason::BadStatement, "what is signed is not the payload that cosign writes"))?;
    if critical.kind != SIMPLE {
        return Err(Failure::new(Reason::WrongPredicate, "what is signed is not the signature of an image"));
    }
    let digest: Option<Sha256> = critical.image.digest.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
    if digest == Some(request.digest) { Ok(()) } else { Err(another(request)) }
}
