//! sentencepiece: the vocabulary of a tokenizer as a protocol buffer, with what it was trained and
//! is normalised by.

use super::Head;
use super::protobuf::{self, Broken, Reader, Span};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Pieces, how they were trained, how text is normalised, samples, how it is denormalised.
const FIELDS: std::ops::RangeInclusive<u64> = 1..=5;
/// Bytes of one piece with its score and type; a longer one is looked into.
const PIECE_MAX: u64 = 1024;

/// True when it begins with pieces: each a text and a score.
pub fn identify(head: &Head<'_>) -> bool {
    let mut rest = head.bytes;
    for _ in 0..3 {
        let [0x0a, length @ 1..=127, tail @ ..] = rest else { return false };
        let Some((piece, after)) = tail.split_at_checked(usize::from(*length)) else { return false };
        let [0x0a, text @ 1..=127, tail @ ..] = piece else { return false };
        let Some((text, score)) = tail.split_at_checked(usize::from(*text)) else { return false };
        let scored = matches!(score, [0x15, _, _, _, _] | [0x15, _, _, _, _, 0x18, 1..=6]);
        if !scored || std::str::from_utf8(text).is_err() {
            return false;
        }
        rest = after;
    }
    true
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let reader = Reader::new();
    let mut foreign = false;
    // What is broken is remembered by the reader.
    let _known = reader.fields(Span::Far(input), &mut |number, value| {
        foreign |= !FIELDS.contains(&number) && number < 200;
        if let Some(span) = value.span().filter(|span| number != 1 || span.len() > PIECE_MAX) {
            protobuf::payload(inspection, span, input);
        }
    });
    let issue = match reader.broken.get() {
        Some(Broken::Malformed) => Some(("malformed", "the vocabulary is cut off, or followed by what is none")),
        Some(Broken::Fields) => Some(("budget_exceeded", "the vocabulary has more pieces than are looked at")),
        None => foreign.then_some(("malformed", "the vocabulary has parts that no reader knows")),
    };
    if let Some((code, detail)) = issue {
        inspection.issue(code, detail);
    }
    "sentencepiece"
}
