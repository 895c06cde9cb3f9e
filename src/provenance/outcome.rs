//! What a verification says: one of two verdicts, a reason out of a closed set, and the files that led to it.

use serde::{Serialize, Serializer};

use super::slsa::Provenance;
use crate::event::Sha256;

/// Names that one list of an outcome holds at most; how many there are beside them is counted.
pub const NAMES_MAX: usize = 10_000;

/// The answer to "are these the bytes that somebody signed?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Verified,
    Failed,
}

/// Why a verification failed. The names are promised: they neither change nor vanish. Of several reasons that
/// files give, the first in this order is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no signature at all.
    Unsigned,
    /// The signature file is not a Sigstore bundle of version 0.3, or not what its kind asks for.
    BadBundle,
    /// The signature is of another method than the trust that was given: key, certificate or identity.
    WrongMethod,
    /// The key is of a kind that the specification does not know.
    UnsupportedKey,
    /// The bundle names another key.
    KeyMismatch,
    /// The signature does not fit the payload.
    BadSignature,
    /// The certificate leads to no authority that was given.
    Untrusted,
    /// The certificate, or one above it, is no longer valid.
    CertExpired,
    /// The certificate, or one above it, is not valid yet.
    CertNotYetValid,
    /// The certificate is not made for signing.
    CertUsage,
    /// The transparency log does not vouch for the signature.
    Tlog,
    /// Somebody else signed.
    IdentityMismatch,
    /// The payload is one of a version before 1.0.
    LegacyPredicate,
    /// The payload is a statement of another kind, or none.
    WrongPredicate,
    /// The payload contradicts itself or the specification.
    BadStatement,
    /// The list of what is left out is one that hides too much, or something that is signed.
    BadIgnore,
    /// A valid signature of another model.
    SubjectMismatch,
    /// Provenance names another builder or source than those that are asked for.
    BuilderMismatch,
    /// A file has other bytes than those that were signed.
    DigestMismatch,
    /// A signed file is not there.
    MissingFile,
    /// A file changed while it was read.
    Changed,
    /// A file or folder cannot be read.
    Unreadable,
    /// A pipe, a socket or a device is there.
    SpecialFile,
    /// A link is there, and the signer allowed none; or it leads outside.
    Symlink,
    /// A file is there that nobody signed.
    UnsignedFile,
    /// A bound on size, depth or number was reached.
    TooLarge,
    /// The signature is valid, but of a version that is known to be superseded.
    Superseded,
}

impl Reason {
    pub const ALL: [Self; 27] = [
        Self::Unsigned,
        Self::BadBundle,
        Self::WrongMethod,
        Self::UnsupportedKey,
        Self::KeyMismatch,
        Self::BadSignature,
        Self::Untrusted,
        Self::CertExpired,
        Self::CertNotYetValid,
        Self::CertUsage,
        Self::Tlog,
        Self::IdentityMismatch,
        Self::LegacyPredicate,
        Self::WrongPredicate,
        Self::BadStatement,
        Self::BadIgnore,
        Self::SubjectMismatch,
        Self::BuilderMismatch,
        Self::DigestMismatch,
        Self::MissingFile,
        Self::Changed,
        Self::Unreadable,
        Self::SpecialFile,
        Self::Symlink,
        Self::UnsignedFile,
        Self::TooLarge,
        Self::Superseded,
    ];

    /// The name in output and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::BadBundle => "bad_bundle",
            Self::WrongMethod => "wrong_method",
            Self::UnsupportedKey => "unsupported_key",
            Self::KeyMismatch => "key_mismatch",
            Self::BadSignature => "bad_signature",
            Self::Untrusted => "untrusted",
            Self::CertExpired => "cert_expired",
            Self::CertNotYetValid => "cert_not_yet_valid",
            Self::CertUsage => "cert_usage",
            Self::Tlog => "tlog",
            Self::IdentityMismatch => "identity_mismatch",
            Self::LegacyPredicate => "legacy_predicate",
            Self::WrongPredicate => "wrong_predicate",
            Self::BadStatement => "bad_statement",
            Self::BadIgnore => "bad_ignore",
            Self::SubjectMismatch => "subject_mismatch",
            Self::BuilderMismatch => "builder_mismatch",
            Self::DigestMismatch => "digest_mismatch",
            Self::MissingFile => "missing_file",
            Self::UnsignedFile => "unsigned_file",
            Self::Symlink => "symlink",
            Self::SpecialFile => "special_file",
            Self::Changed => "changed",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::Superseded => "superseded",
        }
    }

    /// What to do about it, in one sentence.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Unsigned => "ask its publisher for a signature, or name the file with --signature",
            Self::BadBundle => {
                "fetch the signature again from its publisher; it must be a Sigstore bundle, version 0.3"
            }
            Self::WrongMethod => "give the trust that fits: --public-key, --ca, or --identity with --issuer",
            Self::UnsupportedKey => "sign with an ECDSA key on P-256, P-384 or P-521",
            Self::KeyMismatch => "check which key the publisher signs with; do not take the key from the signature",
            Self::BadSignature => "do not use the model: the signature was altered, or is of another key",
            Self::Untrusted => "give the authority that issued the certificate with --ca, if you trust it",
            Self::CertExpired => "ask for a signature with a certificate that is valid now",
            Self::CertNotYetValid => "check the clock of this machine, else ask for another certificate",
            Self::CertUsage => {
                "ask for a certificate with the usage digitalSignature, and codeSigning if usages are extended"
            }
            Self::Tlog => "do not use the model: its signature was altered, or never logged",
            Self::IdentityMismatch => "do not use the model unless you trust whoever signed it",
            Self::LegacyPredicate => "ask for a signature of version 1.0: older ones do not say what they cover",
            Self::WrongPredicate => "name the kind of statement that you expect with --type",
            Self::BadStatement => "do not use the model: its signer made a list that can be read in two ways",
            Self::BadIgnore => "name files and folders that are left out plainly, and none that is signed",
            Self::SubjectMismatch => "do not use it: this is a signed model, but not the one you asked for",
            Self::BuilderMismatch => "do not use it unless you trust that builder and source",
            Self::DigestMismatch => "do not use the model: fetch it again, and find out who changed it",
            Self::MissingFile => "fetch the model again",
            Self::UnsignedFile => {
                "remove what is not signed, name it with --ignore, or accept it all with --allow-unsigned"
            }
            Self::Symlink => "put the file itself in place of the link",
            Self::SpecialFile => "remove the pipe, socket or device",
            Self::Changed => "find out who writes to the model, and verify again",
            Self::Unreadable => "give read permission, and verify again",
            Self::TooLarge => "verify a part of it, or name what is left out with --ignore",
            Self::Superseded => "use the version that is approved now: somebody went back to an older one",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Who signed, as the verification found it; nothing that a bundle merely says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Signer {
    /// The key that was given.
    Key {
        /// SHA-256 of its DER (`SubjectPublicKeyInfo`).
        sha256: Sha256,
        algorithm: &'static str,
    },
    /// A certificate under an authority that was given.
    Certificate {
        subject: String,
        issuer: String,
        /// SHA-256 of the certificate's DER.
        sha256: Sha256,
        /// SHA-256 of the DER of its key.
        key_sha256: Sha256,
        not_after: String,
    },
    /// Somebody whom an identity provider knows.
    Identity {
        identity: String,
        issuer: String,
        /// When it was signed, as the log or a timestamp authority vouches.
        signed_at: Option<String>,
    },
}

impl Signer {
    /// The signer in a few words, for people.
    pub fn text(&self) -> String {
        match self {
            Self::Key { sha256, algorithm } => format!("key {algorithm} sha256:{sha256}"),
            Self::Certificate { subject, issuer, .. } => format!("{subject} (issued by {issuer})"),
            Self::Identity { identity, issuer, .. } => format!("{identity} ({issuer})"),
        }
    }
}

/// All that a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// `None` when verified.
    pub reason: Option<Reason>,
    /// What exactly, in one sentence; empty when verified.
    pub detail: String,
    /// Signed files that differ, are missing or cannot be read, sorted.
    pub files: Names,
    /// What is there without being covered by the signature, sorted; also what the signer left out.
    pub unsigned: Names,
    /// Identity of the model: SHA-256 over the digests of its files in their order. Only of payloads with a
    /// valid signature.
    pub root_digest: Option<Sha256>,
    pub signer: Option<Signer>,
    /// What the statement says of how it was built.
    pub provenance: Option<Provenance>,
}

impl Outcome {
    /// Nothing is known yet that speaks against it.
    pub const fn verified() -> Self {
        Self {
            verdict: Verdict::Verified,
            reason: None,
            detail: String::new(),
            files: Names::new(),
            unsigned: Names::new(),
            root_digest: None,
            signer: None,
            provenance: None,
        }
    }

    /// It failed, for this reason.
    pub fn failed(failure: Failure) -> Self {
        let mut outcome = Self::verified();
        outcome.fail(failure);
        outcome
    }

    /// Fails, unless it failed already: the first reason counts.
    pub fn fail(&mut self, failure: Failure) {
        self.verdict = Verdict::Failed;
        if self.reason.is_none() {
            self.reason = Some(failure.reason);
            self.detail = failure.detail;
        }
    }

    pub fn is_verified(&self) -> bool {
        self.verdict == Verdict::Verified
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("verdict", &self.verdict)?;
        map.serialize_entry("reason", self.reason.map_or("", Reason::as_str))?;
        map.serialize_entry("detail", &self.detail)?;
        map.serialize_entry("files", &self.files.names)?;
        map.serialize_entry("unsigned", &self.unsigned.names)?;
        map.serialize_entry("root_digest", &self.root_digest)?;
        map.serialize_entry("signer", &self.signer)?;
        for (key, list) in [("files_more", &self.files), ("unsigned_more", &self.unsigned)] {
            if list.more > 0 {
                map.serialize_entry(key, &list.more)?;
            }
        }
        if let Some(provenance) = &self.provenance {
            map.serialize_entry("provenance", provenance)?;
        }
        map.end()
    }
}

/// Names with a bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    pub names: Vec<String>,
    /// How many there are beside those.
    pub more: u64,
}

impl Names {
    pub const fn new() -> Self {
        Self { names: Vec::new(), more: 0 }
    }

    pub fn push(&mut self, name: impl Into<String>) {
        if self.names.len() < NAMES_MAX {
            self.names.push(name.into());
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Sorts, and keeps each name once.
    pub fn settle(&mut self) {
        self.names.sort();
        self.names.dedup();
    }
}

/// Why it fails, and what exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    pub detail: String,
}

impl Failure {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::failed(failure)
    }
}
