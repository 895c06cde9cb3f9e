//! Signatures of identities: a certificate that lived for minutes, and a log and timestamps that say when.
//!
//! The library does all of it offline: the certificate's chain and its place in a log of certificates, the
//! entry of the signature in the transparency log with its proof and promise, and the times.

use sigstore_verify::bundle::Error as Shape;
use sigstore_verify::types::{Bundle, Sha256Hash};
use sigstore_verify::{CertificateError, Error, VerificationPolicy};

use super::outcome::{Failure, Reason, Signer};
use super::trust::Identity;
use crate::event::Sha256;

/// Verifies a whole bundle against an identity.
pub fn verify(wanted: &Identity, whole: &[u8], subject: Option<&Sha256>) -> Result<Signer, Failure> {
    let text = std::str::from_utf8(whole).map_err(|_| Failure::new(Reason::BadBundle, "it is no text"))?;
    let bundle = Bundle::from_json(text).map_err(|error| Failure::new(Reason::BadBundle, error.to_string()))?;
    let Some(subject) = subject else {
        return Err(Failure::new(Reason::BadStatement, "its statement is about nothing with a SHA-256"));
    };
    let subject = Sha256Hash::from_hex(&subject.to_string())
        .map_err(|error| Failure::new(Reason::BadStatement, error.to_string()))?;
    let policy = VerificationPolicy::new(wanted.name.as_str(), wanted.issuer.as_str());
    let found = wanted.verifier.verify(subject, &bundle, &policy).map_err(|error| failure(&error))?;
    Ok(Signer::Identity {
        identity: wanted.name.clone(),
        issuer: wanted.issuer.clone(),
        signed_at: found.verified_timestamps().iter().min().map(ToString::to_string),
    })
}

/// What went wrong, in our words: the log and what vouches for times are one reason.
fn failure(error: &Error) -> Failure {
    let reason = match error {
        Error::IdentityMismatch { .. } | Error::IssuerMismatch { .. } => Reason::IdentityMismatch,
        Error::SignatureInvalid(_) | Error::Crypto(_) => Reason::BadSignature,
        Error::ArtifactMismatch(_) | Error::UnsupportedArtifact(_) => Reason::BadStatement,
        Error::Certificate(CertificateError::Expired { .. }) => Reason::CertExpired,
        Error::Certificate(CertificateError::NotYetValid { .. }) => Reason::CertNotYetValid,
        Error::Certificate(_) | Error::TrustedCertificate(_) | Error::TrustRoot(_) | Error::InvalidTrustRoot(_) => {
            Reason::Untrusted
        }
        // Whatever lacks its proof, promise or time is no sound bundle to the library.
        Error::Bundle(
            Shape::UnsupportedMediaType(_)
            | Shape::UnsupportedVerificationMaterial
            | Shape::CertificateChainNotAllowed(_),
        ) => Reason::BadBundle,
        Error::Bundle(_) | Error::TransparencyLog(_) | Error::Timestamp(_) => Reason::Tlog,
        _ => Reason::BadBundle,
    };
    Failure::new(reason, error.to_string())
}
