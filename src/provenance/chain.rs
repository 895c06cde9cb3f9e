//! Chains of certificates up to an authority that was given, and to no other.
//!
//! `rustls-webpki` builds and checks the path. It leaves out some things, which are checked here: the usage of
//! keys (`keyUsage`), whether the authority that was given is one, how long it is valid and how long it lets the
//! path be, and certificates of signers that also say to be authorities. Those last it refuses; public signers have such certificates, so that [`super::path`] walks
//! their paths.

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

use super::certificate::Certificate;
use super::outcome::{Failure, Reason};
use super::{path, pem};

/// DER of the identifier of `codeSigning` (1.3.6.1.5.5.7.3.3), without tag and length.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

/// Authorities that were given.
#[derive(Debug, Clone, Default)]
pub struct Authorities {
    certificates: Vec<Certificate>,
}

impl Authorities {
    /// Adds every certificate of a text.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        for der in pem::blocks(text, "CERTIFICATE")? {
            self.certificates.push(Certificate::parse(&der)?);
        }
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// Verifies a chain, the signer's certificate first; that is given back.
    pub fn verify(&self, chain: &[Vec<u8>], now: Timestamp) -> Result<Certificate, Failure> {
        self.verify_with(chain, now, |signer, above, valid| match library(signer, above, valid, now) {
            Err(Error::CaUsedAsEndEntity) => path::verify(signer, above, valid, now),
            Err(error) => Err(failure(&error)),
            Ok(()) => Ok(()),
        })
    }

    /// The same by our own walk alone, which tests hold against the library.
    pub fn verify_by_walk(&self, chain: &[Vec<u8>], now: Timestamp) -> Result<Certificate, Failure> {
        self.verify_with(chain, now, |signer, above, valid| path::verify(signer, above, valid, now))
    }

    fn verify_with(
        &self,
        chain: &[Vec<u8>],
        now: Timestamp,
        climb: impl Fn(&Certificate, &[Certificate], &[&Certificate]) -> Result<(), Failure>,
    ) -> Result<Certificate, Failure> {
        let damaged = |detail: String| Failure::new(Reason::BadBundle, detail);
        let parsed: Vec<Certificate> =
            chain.iter().map(|der| Certificate::parse(der)).collect::<Result<_, _>>().map_err(damaged)?;
        let Some((signer, above)) = parsed.split_first() else {
            return Err(damaged("its chain is empty".to_owned()));
        };
        signer.check_time(now)?;
        signer.check_usage()?;
        let valid: Vec<&Certificate> = self.certificates.iter().filter(|one| one.check_time(now).is_ok()).collect();
        let outdated = || self.certificates.iter().find_map(|one| one.check_time(now).err());
        // A certificate that was given itself needs nobody to vouch for it.
        if valid.iter().any(|one| one.der == signer.der) {
            return Ok(signer.clone());
        }
        match climb(signer, above, &valid) {
            Ok(()) => Ok(signer.clone()),
            // The authority that is missing may be the one that was left out.
            Err(failure) if failure.reason == Reason::Untrusted => Err(outdated().unwrap_or(failure)),
            Err(failure) => Err(failure),
        }
    }
}

/// The path as the library builds it, with usages of keys on the way.
fn library(signer: &Certificate, above: &[Certificate], anchors: &[&Certificate], now: Timestamp) -> Result<(), Error> {
    // The library trusts anchors whatever they are for, and however long they let the path be.
    let issuing: Vec<&&Certificate> = anchors.iter().filter(|one| one.is_authority() && one.may_issue()).collect();
    let ders: Vec<CertificateDer<'_>> = issuing.iter().map(|one| CertificateDer::from(one.der.as_slice())).collect();
    let trusted: Vec<TrustAnchor<'_>> = ders.iter().map(anchor_from_trusted_cert).collect::<Result<_, _>>()?;
    let fits = |path: &VerifiedPath<'_>| {
        let between = path.intermediate_certificates().count();
        let mut both = trusted.iter().zip(&issuing);
        let allowed = both.any(|(one, given)| one == path.anchor() && given.allows_between(between));
        if allowed { Ok(()) } else { Err(Error::PathLenConstraintViolated) }
    };
    // What may not issue is not offered as an issuer.
    let between: Vec<CertificateDer<'_>> =
        above.iter().filter(|one| one.may_issue()).map(|one| CertificateDer::from(one.der.as_slice())).collect();
    let der = CertificateDer::from(signer.der.as_slice());
    let end = EndEntityCert::try_from(&der)?;
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let usage = KeyUsage::required_if_present(CODE_SIGNING);
    end.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &trusted, &between, time, usage, None, Some(&fits))?;
    Ok(())
}

fn failure(error: &Error) -> Failure {
    let reason = match error {
        Error::CertExpired { .. } => Reason::CertExpired,
        Error::CertNotValidYet { .. } => Reason::CertNotYetValid,
        Error::RequiredEkuNotFoundContext(_) => Reason::CertUsage,
        _ => Reason::Untrusted,
    };
    Failure::new(reason, format!("the chain of certificates leads to no authority that was given ({error:?})"))
}
