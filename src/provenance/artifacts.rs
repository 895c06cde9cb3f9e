//! Provenance of files: the subjects of a statement are artifacts with their SHA-256.

use std::collections::BTreeMap;

use super::bundle::{BUNDLE_BYTES_MAX, Bundle, Envelope};
use super::content::{self, Content};
use super::hash::Algorithm;
use super::model::{Model, Piece};
use super::outcome::{Failure, Outcome, Reason};
use super::statement::{Statement, Subject};
use super::{Request, names, slsa};
use crate::event::Sha256;

/// Statements of one file (`*.intoto.jsonl`).
const STATEMENTS_MAX: usize = 1_000;

/// Verifies against a bundle, an envelope, or lines of either: one that says all that is asked is enough.
pub fn verify(request: &Request<'_>, content: &dyn Content) -> Outcome {
    if request.signature.len() as u64 > BUNDLE_BYTES_MAX {
        return Outcome::failed(Failure::new(Reason::TooLarge, "the signature is too large"));
    }
    let whole = one(request, request.signature, content);
    if whole.reason != Some(Reason::BadBundle) {
        return whole;
    }
    let lines = request.signature.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let mut first = None;
    for line in lines.take(STATEMENTS_MAX) {
        let outcome = one(request, line, content);
        if outcome.is_verified() {
            return outcome;
        }
        first.get_or_insert(outcome);
    }
    first.unwrap_or(whole)
}

fn one(request: &Request<'_>, bytes: &[u8], content: &dyn Content) -> Outcome {
    let mut outcome = Outcome::verified();
    if let Err(failure) = checked(request, bytes, content, &mut outcome) {
        outcome.fail(failure);
    }
    outcome
}

fn checked(request: &Request<'_>, bytes: &[u8], content: &dyn Content, outcome: &mut Outcome) -> Result<(), Failure> {
    let trust = request.trust;
    let (signer, payload) = if let Ok(envelope) = Envelope::parse(bytes) {
        (trust.verify_bare(&envelope)?, envelope.payload)
    } else {
        let Bundle { material, envelope } = Bundle::parse(bytes)?;
        let statement = Statement::<serde::de::IgnoredAny>::parse(&envelope.payload)?;
        let subject = statement.subject.first().and_then(|one| one.digest.sha256());
        (trust.verify(&material, &envelope, bytes, subject.as_ref(), request.now)?, envelope.payload)
    };
    outcome.signer = Some(signer);
    let (subjects, provenance) = slsa::parse(&payload)?;
    let fits = request.wanted.check(&provenance);
    outcome.provenance = Some(provenance);
    fits?;
    if let Some(expected) = request.expected
        && !subjects.iter().any(|one| one.digest.sha256() == Some(expected))
    {
        return Err(Failure::new(Reason::SubjectMismatch, format!("it is about other artifacts than {expected}")));
    }
    let model = match content.single() {
        Some(own) => single(own, &subjects, content)?,
        None => folder(&subjects)?,
    };
    model.check_ignored(&request.allowed.ignore)?;
    content::compare(content, &model, &request.allowed, outcome);
    Ok(())
}

fn pieces(digest: Sha256) -> Vec<Piece> {
    vec![Piece { end: None, digest: digest.as_bytes().to_vec() }]
}

fn model(files: BTreeMap<String, Vec<Piece>>) -> Model {
    let root = Sha256::from_bytes([0; 32]);
    Model { root, algorithm: Algorithm::Sha256, files, symlinks: false, ignored: Vec::new() }
}

/// A single file is one of the subjects, whatever it is called there.
fn single(own: &str, subjects: &[Subject], content: &dyn Content) -> Result<Model, Failure> {
    let found = content::sha256(content)?;
    let named = |one: &&Subject| one.name == own || one.name.rsplit('/').next() == Some(own);
    let wanted = subjects.iter().filter_map(|one| one.digest.sha256()).find(|digest| *digest == found);
    // One of that name with another digest is a changed file; without one the statement is about others.
    let changed = || subjects.iter().filter(named).find_map(|one| one.digest.sha256());
    let digest = wanted.or_else(changed).ok_or_else(|| {
        Failure::new(Reason::SubjectMismatch, format!("it is about other artifacts, none with the SHA-256 {found}"))
    })?;
    Ok(model(BTreeMap::from([(super::model::ITSELF.to_owned(), pieces(digest))])))
}

/// The subjects are the files of a folder.
fn folder(subjects: &[Subject]) -> Result<Model, Failure> {
    let bad = |detail: &str| Failure::new(Reason::BadStatement, detail);
    let mut files = BTreeMap::new();
    for one in subjects {
        let name = one.name.strip_prefix("./").unwrap_or(&one.name);
        if !names::is_plain(name) {
            return Err(bad("a subject is not the name of a file in the folder"));
        }
        let digest = one.digest.sha256().ok_or_else(|| bad("a subject has no SHA-256"))?;
        if files.insert(name.to_owned(), pieces(digest)).is_some() {
            return Err(bad("a subject is there twice"));
        }
    }
    Ok(model(files))
}
