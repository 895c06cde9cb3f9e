//! One X.509 certificate: what it is for, by which key it signs, and how long it counts.

use jiff::Timestamp;
use x509_cert::Certificate as Parsed;
use x509_cert::Version;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _, Reader as _, SliceReader};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::key::PublicKey;
use super::outcome::{Failure, Reason, Signer};
use crate::event::Sha256;

/// Extended usage: signing code (RFC 5280, 4.2.1.12).
const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");

/// Which names an authority may issue for (RFC 5280, 4.2.1.10).
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");

/// Extensions that may be critical, since they are looked at here.
const UNDERSTOOD: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("2.5.29.15"), // key usage
    ObjectIdentifier::new_unwrap("2.5.29.19"), // basic constraints
    ObjectIdentifier::new_unwrap("2.5.29.37"), // extended key usage
];

/// A certificate, parsed; whether it is trusted is another question.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub der: Vec<u8>,
    /// The bytes that its issuer signed, as they stand in `der`.
    pub signed: Vec<u8>,
    pub parsed: Parsed,
    pub key: PublicKey,
    pub constraints: Option<BasicConstraints>,
    usage: Option<KeyUsage>,
    extended: Option<ExtendedKeyUsage>,
}

impl Certificate {
    /// Parses DER, with each extension at most once.
    pub fn parse(der: &[u8]) -> Result<Self, String> {
        let damaged = |error: x509_cert::der::Error| format!("a certificate is damaged: {error}");
        let parsed = Parsed::from_der(der).map_err(damaged)?;
        let tbs = &parsed.tbs_certificate;
        if tbs.version != Version::V3 {
            return Err("a certificate is not of version 3".to_owned());
        }
        let extensions = tbs.extensions.as_deref().unwrap_or_default();
        let mut ids: Vec<_> = extensions.iter().map(|extension| extension.extn_id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return Err("a certificate has an extension twice".to_owned());
        }
        let constraints = tbs.get::<BasicConstraints>().map_err(damaged)?.map(|(_, found)| found);
        let usage = tbs.get::<KeyUsage>().map_err(damaged)?.map(|(_, found)| found);
        let extended = tbs.get::<ExtendedKeyUsage>().map_err(damaged)?.map(|(_, found)| found);
        let spki = tbs.subject_public_key_info.to_der().map_err(damaged)?;
        let key = PublicKey::from_der(&spki).ok_or_else(|| "the key of a certificate is damaged".to_owned())?;
        let signed = signed_part(der).map_err(damaged)?;
        Ok(Self { der: der.to_vec(), signed, key, constraints, usage, extended, parsed })
    }

    /// Whether it says of itself that it may issue others.
    pub fn is_authority(&self) -> bool {
        self.constraints.as_ref().is_some_and(|found| found.ca)
    }

    /// Whether its key may sign certificates: a usage that is not written forbids nothing.
    pub fn may_issue(&self) -> bool {
        self.usage.as_ref().is_none_or(KeyUsage::key_cert_sign)
    }

    /// Whether usages, if they are extended, hold signing of code.
    pub fn may_sign_code(&self) -> bool {
        self.extended.as_ref().is_none_or(|found| found.0.contains(&CODE_SIGNING))
    }

    /// Whether it is made for signing a model: usage `digitalSignature`, extended usage `codeSigning`, at least
    /// one of them written, and none that is written without.
    pub fn check_usage(&self) -> Result<(), Failure> {
        let wrong = |detail: &str| Err(Failure::new(Reason::CertUsage, detail.to_owned()));
        if self.usage.as_ref().is_some_and(|usage| !usage.digital_signature()) {
            return wrong("the usage of the certificate's key is not `digitalSignature`");
        }
        if !self.may_sign_code() {
            return wrong("the extended usages of the certificate are without `codeSigning`");
        }
        if self.usage.is_none() && self.extended.is_none() {
            return wrong("the certificate does not say what its key may be used for");
        }
        Ok(())
    }

    /// Whether it is valid at a time.
    pub fn check_time(&self, now: Timestamp) -> Result<(), Failure> {
        let validity = &self.parsed.tbs_certificate.validity;
        let seconds =
            |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        let (from, until) = (seconds(validity.not_before), seconds(validity.not_after));
        let name = self.subject();
        if now.as_second() < from {
            return Err(Failure::new(Reason::CertNotYetValid, format!("`{name}` is not valid before {}", text(from))));
        }
        if now.as_second() > until {
            return Err(Failure::new(Reason::CertExpired, format!("`{name}` was valid until {}", text(until))));
        }
        Ok(())
    }

    /// The first extension that limits it in a way that our own walk does not understand: a critical one that is
    /// not known here, or constraints of names.
    pub fn not_understood(&self) -> Option<ObjectIdentifier> {
        let extensions = self.parsed.tbs_certificate.extensions.as_deref().unwrap_or_default();
        let unknown =
            |one: &&Extension| one.extn_id == NAME_CONSTRAINTS || one.critical && !UNDERSTOOD.contains(&one.extn_id);
        extensions.iter().find(unknown).map(|one| one.extn_id)
    }

    /// Whether its path may have so many certificates between it and the signer's.
    pub fn allows_between(&self, count: usize) -> bool {
        let most = self.constraints.as_ref().and_then(|found| found.path_len_constraint);
        most.is_none_or(|most| count <= usize::from(most))
    }

    pub fn subject(&self) -> String {
        self.parsed.tbs_certificate.subject.to_string()
    }

    /// Who signed, when this certificate is trusted.
    pub fn signer(&self) -> Signer {
        let tbs = &self.parsed.tbs_certificate;
        let until = i64::try_from(tbs.validity.not_after.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        Signer::Certificate {
            subject: self.subject(),
            issuer: tbs.issuer.to_string(),
            sha256: Sha256::of(&self.der),
            key_sha256: self.key.sha256(),
            not_after: text(until),
        }
    }
}

fn text(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| "the end of time".to_owned(), |time| time.to_string())
}

/// The first part of the three that a certificate has, with its header.
fn signed_part(der: &[u8]) -> x509_cert::der::Result<Vec<u8>> {
    let mut reader = SliceReader::new(der)?;
    reader.sequence(|inner| {
        let signed = inner.tlv_bytes()?.to_vec();
        inner.tlv_bytes()?;
        inner.tlv_bytes()?;
        Ok(signed)
    })
}
