//! What an archive says beside its members: comments and extra fields, which no loader of models reads.

use super::entries::{Archive, Raw};
use crate::artifact::format::{executable, probe};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Shortest note that could hold anything.
const NOTE_MIN: u16 = 16;
/// Bytes of notes of one archive that are looked at.
const BYTES_MAX: u64 = 4 << 20;

/// Where a comment or the extra fields of one member lie.
#[derive(Debug, Clone, Copy)]
pub struct Note {
    pub kind: Kind,
    pub start: u64,
    pub len: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Comment,
    Extra,
}

impl Archive {
    pub fn note(&mut self, kind: Kind, start: u64, len: u16) {
        if len >= NOTE_MIN {
            self.notes.push(Note { kind, start, len });
        }
    }
}

/// Looks for programs, pickles and code in them.
pub fn look(inspection: &mut Inspection<'_>, input: Input<'_>, archive: &Archive) {
    let mut left = BYTES_MAX;
    for note in &archive.notes {
        let Some(rest) = left.checked_sub(note.len.into()) else {
            inspection.issue("budget_exceeded", "the archive has more comments and extra fields than are looked at");
            return;
        };
        left = rest;
        let bytes = input.read(note.start, note.len.into());
        match note.kind {
            Kind::Comment => one(inspection, "zip_comment", &bytes, note.start, input),
            Kind::Extra => fields(inspection, &bytes, note.start, input),
        }
    }
}

fn fields(inspection: &mut Inspection<'_>, bytes: &[u8], start: u64, input: Input<'_>) {
    let (mut rest, mut at) = (bytes, start);
    while let Some((head, tail)) = rest.split_at_checked(4) {
        let size = usize::from(Raw(head).u16(2));
        let value = tail.get(..size).unwrap_or(tail);
        at = at.saturating_add(4);
        one(inspection, "zip_extra", value, at, input);
        at = at.saturating_add(size as u64);
        rest = tail.get(size..).unwrap_or_default();
    }
}

fn one(inspection: &mut Inspection<'_>, key: &str, bytes: &[u8], at: u64, input: Input<'_>) {
    // Writers that align their members fill with one character.
    if bytes.first().is_none_or(|first| bytes.iter().all(|byte| byte == first)) {
        return;
    }
    if executable::kind(bytes).is_some() {
        executable::look(inspection, bytes, at);
    }
    probe::value(inspection, key, bytes, input);
}
