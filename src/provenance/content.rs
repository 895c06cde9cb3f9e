//! The bytes that are compared with what was signed. Where they lie is nobody's business here: they come
//! through [`Content`].

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::hash::Algorithm;
use super::model::{ITSELF, Model, Piece};
use super::names;
use super::outcome::{Failure, Outcome, Reason};
use crate::base::text::shorten;
use crate::event::Sha256;

/// Things that one folder may hold, with all under it.
pub const ENTRIES_MAX: usize = 500_000;

/// A file, or a folder with everything under it.
pub trait Content {
    /// The name of the file, when it is a single one.
    fn single(&self) -> Option<&str>;

    /// Tells of everything that is no folder, in any order; an error ends the verification.
    fn walk(&self, visit: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), ReadError>;

    /// Hands over all bytes of a file in their order, a part at a time; `name` is one that the walk told.
    /// It fails when they changed meanwhile. With `links` the name may be a link.
    fn read(&self, name: &str, links: bool, take: &mut dyn FnMut(&[u8])) -> Result<(), ReadError>;
}

/// One thing that a walk comes across.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path from the root of the model, with `/`; `.` for a single file. What is no text is escaped.
    pub name: String,
    pub kind: EntryKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    /// A link to a file; whether that lies under the root of the model.
    LinkToFile {
        inside: bool,
    },
    /// A link to a folder, which is not walked; whether that lies under the root.
    LinkToFolder {
        inside: bool,
    },
    /// A link to nowhere, or to what is neither.
    LinkElsewhere,
    /// A pipe, a socket or a device.
    Special,
    /// A file with a name that is no text, which no signature can name.
    Unnameable,
    /// A folder or file that cannot be looked at.
    Unreadable,
}

/// Why bytes could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("it is gone")]
    Gone,
    #[error("it is a link")]
    Link,
    #[error("it is not a regular file")]
    Special,
    #[error("it changed while it was read")]
    Changed,
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    Failed(String),
}

impl ReadError {
    const fn reason(&self) -> Reason {
        match self {
            Self::Gone => Reason::MissingFile,
            Self::Link => Reason::Symlink,
            Self::Special => Reason::SpecialFile,
            Self::Changed => Reason::Changed,
            Self::TooLarge(_) => Reason::TooLarge,
            Self::Failed(_) => Reason::Unreadable,
        }
    }
}

/// What the verifier allows beside what is signed.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// Names from the root of the model that are left out, beside those that the signer left out.
    pub ignore: Vec<String>,
    /// What is not signed may be there.
    pub unsigned: bool,
    /// Links that lead outside of the model count, where the signer allowed links.
    pub follow_links: bool,
    /// The signature's own name, when it lies in the model.
    pub signature: Option<String>,
}

/// Compares bytes with what was signed; the outcome gains all that differs, and the gravest reason.
pub fn compare(content: &dyn Content, model: &Model, allowed: &Allowed, outcome: &mut Outcome) {
    let found = wanted(content, model).and_then(|files| Ok((files, listed(content)?)));
    let (files, before) = match found {
        Ok(found) => found,
        Err(failure) => return outcome.fail(failure),
    };
    let mut faults = Vec::new();
    for (name, kind) in &before {
        if files.contains_key(name.as_str()) {
            faults.extend(place(name, *kind, model, allowed));
        } else if !is_signature(name, *kind, allowed) {
            outcome.unsigned.push(name.as_str());
            if !is_ignored(name, model, allowed) && !allowed.unsigned {
                faults.push(Fault::new(stranger(*kind, model), name, "is there, and nobody signed it"));
            }
        }
    }
    for (name, pieces) in &files {
        let Some(kind) = before.get(*name) else {
            faults.push(Fault::new(Reason::MissingFile, name, "is signed, and is not there"));
            continue;
        };
        if place(name, *kind, model, allowed).is_some() {
            continue;
        }
        match has(content, name, model, pieces) {
            Ok(true) => {}
            Ok(false) => {
                faults.push(Fault::new(Reason::DigestMismatch, name, "has other bytes than those that were signed"));
            }
            Err(error) => faults.push(Fault::new(error.reason(), name, &error.to_string())),
        }
    }
    // Hashing may take minutes: what came meanwhile is as unsigned as what was there before.
    match listed(content) {
        Ok(after) => faults.extend(moved(&before, &after, model, allowed)),
        Err(failure) => outcome.fail(failure),
    }
    finish(faults, &files, outcome);
}

/// What speaks against one file.
struct Fault {
    reason: Reason,
    name: String,
    what: String,
}

impl Fault {
    fn new(reason: Reason, name: &str, what: &str) -> Self {
        Self { reason, name: name.to_owned(), what: what.to_owned() }
    }
}

fn finish(mut faults: Vec<Fault>, files: &BTreeMap<&str, &[Piece]>, outcome: &mut Outcome) {
    faults.sort_by(|one, other| (one.reason, &one.name).cmp(&(other.reason, &other.name)));
    for fault in &faults {
        if files.contains_key(fault.name.as_str()) || fault.reason == Reason::Unreadable {
            outcome.files.push(fault.name.as_str());
        }
    }
    outcome.files.settle();
    outcome.unsigned.settle();
    if let Some(fault) = faults.first() {
        outcome.fail(Failure::new(fault.reason, format!("`{}` {}", shorten(&fault.name, 120), fault.what)));
    }
}

/// The files that should be there. A signature of a folder is none of a file, and the other way round.
fn wanted<'m>(content: &dyn Content, model: &'m Model) -> Result<BTreeMap<&'m str, &'m [Piece]>, Failure> {
    let other = |what: &str| Err(Failure::new(Reason::SubjectMismatch, what.to_owned()));
    let mut files: BTreeMap<&str, &[Piece]> =
        model.files.iter().map(|(name, pieces)| (name.as_str(), pieces.as_slice())).collect();
    match content.single() {
        None if files.contains_key(ITSELF) => other("it is the signature of a single file, and this is a folder"),
        None => Ok(files),
        Some(own) => match files.pop_first() {
            Some((name, pieces)) if files.is_empty() && (name == ITSELF || name == own) => {
                Ok(BTreeMap::from([(ITSELF, pieces)]))
            }
            Some((name, _)) if files.is_empty() => other(&format!("it is the signature of `{}`", shorten(name, 120))),
            _ => other("it is the signature of a folder, and this is a file; name the folder"),
        },
    }
}

type Listing = BTreeMap<String, EntryKind>;

fn listed(content: &dyn Content) -> Result<Listing, Failure> {
    let mut listing = Listing::new();
    let mut full = false;
    content
        .walk(&mut |entry| {
            full = listing.len() >= ENTRIES_MAX;
            if full {
                return ControlFlow::Break(());
            }
            listing.insert(entry.name, entry.kind);
            ControlFlow::Continue(())
        })
        .map_err(|error| Failure::new(error.reason(), format!("it cannot be listed: {error}")))?;
    if full {
        return Err(Failure::new(Reason::TooLarge, format!("it holds more than {ENTRIES_MAX} files")));
    }
    Ok(listing)
}

fn is_ignored(name: &str, model: &Model, allowed: &Allowed) -> bool {
    model.ignored.iter().chain(&allowed.ignore).any(|entry| names::covers(entry, name))
}

/// The signature that is being verified lies in the model, where no signature can cover it.
fn is_signature(name: &str, kind: EntryKind, allowed: &Allowed) -> bool {
    kind == EntryKind::File && allowed.signature.as_deref() == Some(name)
}

/// What speaks against what lies in the place of a signed file, before its bytes are looked at.
fn place(name: &str, kind: EntryKind, model: &Model, allowed: &Allowed) -> Option<Fault> {
    let (reason, what) = match kind {
        EntryKind::File => return None,
        EntryKind::LinkToFile { inside } if model.symlinks && (inside || allowed.follow_links) => return None,
        EntryKind::LinkToFile { .. } if model.symlinks => (Reason::Symlink, "is a link that leads outside"),
        EntryKind::LinkToFile { .. } | EntryKind::LinkToFolder { .. } | EntryKind::LinkElsewhere => {
            (Reason::Symlink, "is a link, and not the file that was signed")
        }
        EntryKind::Special => (Reason::SpecialFile, "is a pipe, a socket or a device"),
        EntryKind::Unnameable | EntryKind::Unreadable => (Reason::Unreadable, "cannot be read"),
    };
    Some(Fault::new(reason, name, what))
}

/// Why what nobody signed makes the verification fail.
const fn stranger(kind: EntryKind, model: &Model) -> Reason {
    match kind {
        EntryKind::LinkToFile { .. } | EntryKind::LinkToFolder { .. } if model.symlinks => Reason::UnsignedFile,
        EntryKind::LinkToFile { .. } | EntryKind::LinkToFolder { .. } | EntryKind::LinkElsewhere => Reason::Symlink,
        EntryKind::Special => Reason::SpecialFile,
        EntryKind::Unreadable => Reason::Unreadable,
        EntryKind::File | EntryKind::Unnameable => Reason::UnsignedFile,
    }
}

/// What came, went or became something else between two listings.
fn moved(before: &Listing, after: &Listing, model: &Model, allowed: &Allowed) -> Vec<Fault> {
    let counts = |name: &str| !is_ignored(name, model, allowed) && !allowed.unsigned || model.files.contains_key(name);
    let came = after.iter().filter(|(name, kind)| before.get(*name) != Some(kind));
    let went = before.keys().filter(|name| !after.contains_key(*name));
    let names = came.map(|(name, _)| name).chain(went).filter(|name| counts(name));
    names.map(|name| Fault::new(Reason::Changed, name, "came, went or changed while the model was read")).collect()
}

/// Whether a file has exactly the bytes of these pieces.
fn has(content: &dyn Content, name: &str, model: &Model, pieces: &[Piece]) -> Result<bool, ReadError> {
    let mut left = pieces.iter();
    let mut piece = left.next();
    let mut hasher = model.algorithm.start();
    let (mut position, mut same) = (0_u64, true);
    content.read(name, model.symlinks, &mut |bytes| {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let Some(now) = piece else {
                same = false;
                return;
            };
            let room = now.end.map_or(u64::MAX, |end| end.saturating_sub(position));
            let taken = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            let (part, rest) = bytes.split_at(taken);
            hasher.update(part);
            position = position.saturating_add(part.len() as u64);
            bytes = rest;
            if now.end == Some(position) {
                same &= std::mem::replace(&mut hasher, model.algorithm.start()).finish() == now.digest;
                piece = left.next();
            }
        }
    })?;
    Ok(same
        && match piece {
            // Hashed whole: the end of the file ends it.
            Some(Piece { end: None, digest }) => hasher.finish() == *digest,
            // A shard that the file ends before.
            Some(Piece { end: Some(_), .. }) => false,
            None => true,
        })
}

/// SHA-256 of a single file.
pub fn sha256(content: &dyn Content) -> Result<Sha256, Failure> {
    let mut hasher = Algorithm::Sha256.start();
    content
        .read(ITSELF, false, &mut |bytes| hasher.update(bytes))
        .map_err(|error| Failure::new(error.reason(), error.to_string()))?;
    let digest = hasher.finish().try_into().map_err(|_| Failure::new(Reason::Unreadable, "it has no digest"))?;
    Ok(Sha256::from_bytes(digest))
}
