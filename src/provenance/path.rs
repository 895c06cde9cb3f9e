//! The path of a certificate that says to be an authority and signs a model itself: a strict walk, for what
//! `rustls-webpki` refuses only for that.
//!
//! Each step up must be an authority whose name, key and usage fit, which is valid now, and in which nothing is
//! critical that is not understood: name constraints, for example, end the walk. The number of signatures that
//! are verified has a bound.

use jiff::Timestamp;
use rustls::pki_types::AlgorithmIdentifier;
use x509_cert::der::Encode as _;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::certificate::Certificate;
use super::outcome::{Failure, Reason};

/// Certificates between the signer and the authority that was given.
const BETWEEN_MAX: usize = 6;
/// Signatures that one walk verifies.
const CHECKS_MAX: u32 = 64;

struct Walk<'w> {
    above: &'w [Certificate],
    anchors: &'w [&'w Certificate],
    now: Timestamp,
    checks: u32,
    /// The first thing that kept a step from being taken.
    why: Option<Failure>,
}

/// Walks from the signer up to one of the anchors.
pub fn verify(
    signer: &Certificate,
    above: &[Certificate],
    anchors: &[&Certificate],
    now: Timestamp,
) -> Result<(), Failure> {
    signer.check_time(now)?;
    signer.check_usage()?;
    if let Some(id) = signer.not_understood() {
        return Err(untrusted(format!("the extension {id} of the certificate is not understood")));
    }
    let mut walk = Walk { above, anchors, now, checks: 0, why: None };
    if walk.climb(signer, &mut Vec::new()) {
        return Ok(());
    }
    Err(walk
        .why
        .unwrap_or_else(|| untrusted("the chain of certificates leads to no authority that was given".to_owned())))
}

fn untrusted(detail: String) -> Failure {
    Failure::new(Reason::Untrusted, detail)
}

impl Walk<'_> {
    /// Whether this certificate is issued by an anchor, or by one that is. `taken` are the steps so far, as
    /// numbers of `above`.
    fn climb(&mut self, one: &Certificate, taken: &mut Vec<usize>) -> bool {
        let anchors = self.anchors;
        for anchor in anchors.iter().filter(|anchor| is_named(anchor, one)) {
            match self.step(anchor, taken.len()) {
                Ok(()) if self.issued(anchor, one) => return true,
                Ok(()) => {}
                Err(failure) => drop(self.why.get_or_insert(failure)),
            }
        }
        if taken.len() >= BETWEEN_MAX {
            return false;
        }
        let above = self.above;
        for (number, issuer) in above.iter().enumerate() {
            if taken.contains(&number) || !is_named(issuer, one) {
                continue;
            }
            if let Err(failure) = self.step(issuer, taken.len()) {
                self.why.get_or_insert(failure);
                continue;
            }
            if !self.issued(issuer, one) {
                continue;
            }
            taken.push(number);
            if self.climb(issuer, taken) {
                return true;
            }
            taken.pop();
        }
        false
    }

    /// Whether a certificate may be a step; `below` steps were taken already.
    fn step(&self, issuer: &Certificate, below: usize) -> Result<(), Failure> {
        let name = issuer.subject();
        issuer.check_time(self.now)?;
        if !issuer.is_authority() || !issuer.may_issue() {
            return Err(untrusted(format!("`{name}` may not issue certificates")));
        }
        if !issuer.allows_between(below) {
            return Err(untrusted(format!("the path under `{name}` is longer than it allows")));
        }
        if !issuer.may_sign_code() {
            return Err(Failure::new(Reason::CertUsage, format!("`{name}` may not issue for `codeSigning`")));
        }
        match issuer.not_understood() {
            Some(id) => Err(untrusted(format!("the extension {id} of `{name}` is not understood"))),
            None => Ok(()),
        }
    }

    /// Whether the key of one signed the other.
    fn issued(&mut self, issuer: &Certificate, one: &Certificate) -> bool {
        self.checks += 1;
        if self.checks > CHECKS_MAX {
            self.why.get_or_insert(Failure::new(Reason::TooLarge, "its chain has too many paths"));
            return false;
        }
        // The algorithm stands in the certificate twice, and only one of them is signed.
        if one.parsed.signature_algorithm != one.parsed.tbs_certificate.signature {
            return false;
        }
        let Some(signature) = one.parsed.signature.as_bytes() else { return false };
        let info = &issuer.parsed.tbs_certificate.subject_public_key_info;
        let Some(key) = info.subject_public_key.as_bytes() else { return false };
        webpki::ALL_VERIFICATION_ALGS.iter().any(|algorithm| {
            is_algorithm(&one.parsed.signature_algorithm, &algorithm.signature_alg_id())
                && is_algorithm(&info.algorithm, &algorithm.public_key_alg_id())
                && algorithm.verify_signature(key, &one.signed, signature).is_ok()
        })
    }
}

/// Whether the names fit, byte for byte.
fn is_named(issuer: &Certificate, one: &Certificate) -> bool {
    issuer.parsed.tbs_certificate.subject == one.parsed.tbs_certificate.issuer
}

/// An algorithm of the library is the content of the DER, without tag and length.
fn is_algorithm(found: &AlgorithmIdentifierOwned, wanted: &AlgorithmIdentifier) -> bool {
    let content = |found: &AlgorithmIdentifierOwned| {
        let mut der = found.oid.to_der()?;
        if let Some(parameters) = &found.parameters {
            der.extend(parameters.to_der()?);
        }
        Ok::<_, x509_cert::der::Error>(der)
    };
    content(found).is_ok_and(|der| der == wanted.as_ref())
}
