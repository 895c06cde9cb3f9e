//! What the verifier trusts: a key, authorities, or an identity. A signature says with what it wants to be
//! verified; only what stands here decides.

use std::sync::Arc;

use jiff::Timestamp;
use sigstore_verify::Verifier;
use sigstore_verify::trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot};

use super::bundle::{Envelope, Material};
use super::chain::Authorities;
use super::key::{PublicKey, Scheme};
use super::keyless;
use super::outcome::{Failure, Reason, Signer};
use crate::event::Sha256;

/// Trust in a signer.
#[derive(Clone)]
pub enum Trust {
    Key(PublicKey),
    Authorities(Arc<Authorities>),
    Identity(Arc<Identity>),
}

/// Somebody whom an identity provider knows, and who vouches for that.
pub struct Identity {
    /// As the provider knows them.
    pub name: String,
    /// The provider.
    pub issuer: String,
    pub verifier: Verifier,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => write!(f, "Key({})", key.sha256()),
            Self::Authorities(authorities) => write!(f, "Authorities({})", authorities.len()),
            Self::Identity(one) => write!(f, "Identity({}, {})", one.name, one.issuer),
        }
    }
}

impl Trust {
    /// Trust in a key, as PEM. One of a kind that is not supported is taken, and fails with that reason.
    pub fn key(pem: &str) -> Result<Self, String> {
        PublicKey::from_pem(pem).map(Self::Key)
    }

    /// Trust in authorities, as PEM, one certificate or several a text.
    pub fn authorities<'t>(pems: impl IntoIterator<Item = &'t str>) -> Result<Self, String> {
        let mut all = Authorities::default();
        for pem in pems {
            all.add(pem)?;
        }
        if all.is_empty() {
            return Err("it holds no `-----BEGIN CERTIFICATE-----`".to_owned());
        }
        Ok(Self::Authorities(Arc::new(all)))
    }

    /// Trust in an identity. `root` is the JSON of a trusted root (`trusted_root.json`); without it the one of
    /// Sigstore's public instance counts which came with the library, and which may grow old.
    pub fn identity(identity: &str, issuer: &str, root: Option<&str>) -> Result<Self, String> {
        if identity.is_empty() || issuer.is_empty() {
            return Err("neither the identity nor the issuer may be empty".to_owned());
        }
        let json = root.unwrap_or(SIGSTORE_PRODUCTION_TRUSTED_ROOT);
        let parsed = TrustedRoot::from_json(json).map_err(|error| format!("the trusted root is none: {error}"))?;
        let verifier = Verifier::new(&parsed).map_err(|error| format!("the trusted root is none: {error}"))?;
        Ok(Self::Identity(Arc::new(Identity { name: identity.to_owned(), issuer: issuer.to_owned(), verifier })))
    }

    /// Verifies the signature of a bundle; `whole` are its bytes, `subject` the digest that the statement is
    /// about, and `now` the time at which certificates must be valid.
    pub fn verify(
        &self,
        material: &Material,
        envelope: &Envelope,
        whole: &[u8],
        subject: Option<&Sha256>,
        now: Timestamp,
    ) -> Result<Signer, Failure> {
        match (self, material) {
            (Self::Key(key), Material::Key { hint }) => {
                if hint.as_deref().is_some_and(|hint| !key.is_meant_by(hint)) {
                    return Err(Failure::new(Reason::KeyMismatch, "it names another key than the one that was given"));
                }
                self.verify_bare(envelope)
            }
            (Self::Authorities(authorities), Material::Chain(chain)) => {
                let certificate = authorities.verify(chain, now)?;
                certificate.key.is_of_model_signing()?;
                certificate.key.verify(Scheme::OfCurve, &envelope.message(), &envelope.signature)?;
                Ok(certificate.signer())
            }
            (Self::Identity(one), Material::Keyless) => keyless::verify(one, whole, subject),
            _ => {
                let (has, given) = (material.name(), self.name());
                Err(Failure::new(Reason::WrongMethod, format!("it is signed with {has}, but {given} was given")))
            }
        }
    }

    /// Verifies an envelope that stands alone: only a key can do that.
    pub fn verify_bare(&self, envelope: &Envelope) -> Result<Signer, Failure> {
        let Self::Key(key) = self else {
            let given = self.name();
            return Err(Failure::new(
                Reason::WrongMethod,
                format!("an envelope without certificate is verified with a key, but {given} was given"),
            ));
        };
        key.verify(Scheme::OfCurve, &envelope.message(), &envelope.signature)?;
        Ok(Signer::Key { sha256: key.sha256(), algorithm: key.algorithm() })
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Key(_) => "a key",
            Self::Authorities(_) => "an authority",
            Self::Identity(_) => "an identity",
        }
    }
}

impl Material {
    const fn name(&self) -> &'static str {
        match self {
            Self::Key { .. } => "a key",
            Self::Chain(_) => "a certificate of an authority",
            Self::Keyless => "a certificate of an identity",
        }
    }
}
