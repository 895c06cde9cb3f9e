//! Provenance: whether bytes are those that somebody signed, and who that was. Offline, without input or output:
//! bytes come through [`Content`], time and trust from the caller.
//!
//! A signature is a Sigstore bundle around a statement of in-toto. What the statement is about decides how it is
//! compared: the files of a model (OpenSSF Model Signing 1.0), artifacts that a service built (SLSA 1), the
//! manifest of an image (cosign, [`cosign`]). Strict is the default; `docs/verify.md` lists every choice.

pub mod bundle;
pub mod certificate;
pub mod chain;
pub mod content;
pub mod cosign;
pub mod hash;
pub mod key;
pub mod model;
pub mod outcome;
pub mod policy;
pub mod sign;
pub mod slsa;
pub mod statement;

mod artifacts;
mod json;
mod keyless;
mod names;
mod path;
mod pem;
mod trust;

use jiff::Timestamp;

use self::bundle::Bundle;
use self::model::Model;
use self::statement::Statement;
use crate::event::Sha256;

pub use bundle::BUNDLE_BYTES_MAX;
pub use content::{Allowed, Content, ENTRIES_MAX, Entry, EntryKind, ReadError};
pub use outcome::{Failure, Names, Outcome, Reason, Signer, Verdict};
pub use trust::Trust;

/// What kind of statement is expected. A signer may sign many kinds about one file, of which not all are praise:
/// the kind is never taken from the signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// The files of a model (OpenSSF Model Signing).
    #[default]
    Model,
    /// How artifacts were built (SLSA).
    Slsa,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request<'r> {
    /// The bytes of the signature file.
    pub signature: &'r [u8],
    pub trust: &'r Trust,
    pub kind: Kind,
    pub allowed: Allowed,
    /// The identity that the model must have, whoever signed it.
    pub expected: Option<Sha256>,
    /// What provenance must say.
    pub wanted: slsa::Wanted,
    /// When certificates must be valid.
    pub now: Timestamp,
}

/// Verifies a file or folder against a signature. The content is read only when the signature is valid.
pub fn verify(request: &Request<'_>, content: &dyn Content) -> Outcome {
    let verified = match request.kind {
        Kind::Model => model(request, content),
        Kind::Slsa => return artifacts::verify(request, content),
    };
    verified.unwrap_or_else(Outcome::failed)
}

fn model(request: &Request<'_>, content: &dyn Content) -> Result<Outcome, Failure> {
    let bundle = Bundle::parse(request.signature)?;
    let mut outcome = Outcome::verified();
    outcome.signer = Some(signer(request, &bundle)?);
    let model = Model::parse(&bundle.envelope.payload)?;
    outcome.root_digest = Some(model.root);
    if let Some(expected) = request.expected.filter(|expected| *expected != model.root) {
        let what = format!("it is the valid signature of another model ({}), not of {expected}", model.root);
        outcome.fail(Failure::new(Reason::SubjectMismatch, what));
        return Ok(outcome);
    }
    if let Err(failure) = model.check_ignored(&request.allowed.ignore) {
        outcome.fail(failure);
        return Ok(outcome);
    }
    content::compare(content, &model, &request.allowed, &mut outcome);
    Ok(outcome)
}

/// Who signed a bundle; what an old version signed is told as such, since its signature never fits.
fn signer(request: &Request<'_>, bundle: &Bundle) -> Result<Signer, Failure> {
    if let Trust::Key(key) = request.trust {
        key.is_of_model_signing()?;
    }
    let payload = &bundle.envelope.payload;
    let subject = Statement::<serde::de::IgnoredAny>::parse(payload)
        .ok()
        .and_then(|statement| statement.subject.first()?.digest.sha256());
    let verified =
        request.trust.verify(&bundle.material, &bundle.envelope, request.signature, subject.as_ref(), request.now);
    verified.map_err(|failure| match failure.reason {
        Reason::BadSignature if model::is_old(payload) => {
            Failure::new(Reason::LegacyPredicate, "the statement is of a version before 1.0, which signed other bytes")
        }
        _ => failure,
    })
}
