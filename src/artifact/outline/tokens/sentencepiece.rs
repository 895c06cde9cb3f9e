//! sentencepiece's models (`sentencepiece_model.proto`): pieces with scores and types, and how text is normalised.

use super::Found;
use crate::artifact::format::protobuf::{Reader, Span, Value};
use crate::artifact::input::Input;
use crate::artifact::outline::packed::{digits, print};
use crate::artifact::outline::take::Taking;

/// Bytes of a setting that are digested.
const SETTING_MAX: usize = 4 << 20;

pub fn take(taking: &mut Taking, input: Input<'_>) {
    if let Some(found) = read(input) {
        found.add(taking, "");
    }
}

pub fn read(input: Input<'_>) -> Option<Found> {
    let reader = Reader::new();
    let mut found = Found::default();
    // What is broken is remembered by the reader.
    let _known = reader.fields(Span::Far(input), &mut |number, value| {
        let Some(span) = value.span() else { return };
        match number {
            1 => piece(&reader, span, &mut found),
            // How it was trained changes nothing; how text is normalised and put together again does.
            3 => settings(&reader, span, "normalizer", &mut found),
            5 => settings(&reader, span, "denormalizer", &mut found),
            _ => {}
        }
    });
    found.cut |= reader.broken.get().is_some();
    (!found.tokens.items.is_empty()).then_some(found)
}

fn piece(reader: &Reader, span: Span<'_>, found: &mut Found) {
    let (mut text, mut score, mut kind) = (Vec::new(), 0_u64, 1_u64);
    // What is broken is remembered by the reader.
    let _known = reader.fields(span, &mut |number, value| match (number, value) {
        (1, Value::Span(span)) => text = span.start(64 << 10).into_owned(),
        (2, Value::Number(number)) => score = number,
        (3, Value::Number(number)) => kind = number,
        _ => {}
    });
    found.tokens.push(&text);
    found.scores.push(&[score.to_le_bytes(), kind.to_le_bytes()].concat());
}

fn settings(reader: &Reader, span: Span<'_>, path: &str, found: &mut Found) {
    let mut pairs = Vec::new();
    // What is broken is remembered by the reader.
    let _known = reader.fields(span, &mut |number, value| {
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::Span(span) if span.len() < 64 => span.text(),
            Value::Span(span) => format!("{} bytes #{}", span.len(), digits(print(&span.start(SETTING_MAX)))),
        };
        let name = match number {
            1 => "name",
            2 => "precompiled_charsmap",
            3 => "add_dummy_prefix",
            4 => "remove_extra_whitespaces",
            5 => "escape_whitespaces",
            6 => "rule_tsv",
            _ => "other",
        };
        if pairs.len() < 64 {
            pairs.push((format!("{path}.{name}"), text));
        }
    });
    found.settings.extend(pairs);
}
