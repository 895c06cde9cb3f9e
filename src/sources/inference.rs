//! What all sources have in common that see what models are asked and what they say: one event for each question with
//! its answer, and what is told of the two texts.
//!
//! The texts may be left out; what is found in them is told nevertheless, and never repeats a secret.

mod images;

use std::borrow::Cow;

use jiff::Timestamp;

use crate::artifact::{hidden_in, secrets_in};
use crate::base::text::shorten;
use crate::event::{Fields, Place, Subject};
use crate::sources::Checkpoint;
use crate::sources::models::put;

/// Longer texts are cut.
pub const TEXT_CHARS_MAX: usize = 10_000;

/// One question to a model, or to what is built around models, and its answer; and how far the source has read with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Inference {
    /// What the source knows it by: seen again, it is the same event.
    pub id: String,
    /// `inference.finished`, `inference.failed`, or `inference.unfinished` where no end of it came.
    pub action: &'static str,
    /// When it ended, as far as is known.
    pub time: Option<Timestamp>,
    pub subject: Subject,
    pub place: Place,
    /// Declared fields.
    pub attributes: Fields,
    pub checkpoint: Checkpoint,
}

/// What was asked and what was said, as far as the source has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Texts<'t> {
    pub request: Option<&'t str>,
    pub response: Option<&'t str>,
}

impl Texts<'_> {
    /// Tells what is in the texts, and with `keep` the texts themselves.
    pub fn tell(&self, fields: &mut Fields, keep: bool) {
        let request = clean(self.request.unwrap_or_default());
        let response = clean(self.response.unwrap_or_default());
        for (path, text) in [("ml.inference.request", &request), ("ml.inference.response", &response)] {
            let hidden = hidden_in(text);
            if !hidden.is_empty() {
                put(fields, &format!("{path}.hidden_unicode"), hidden);
            }
            if keep && !text.is_empty() {
                put(fields, path, &**text);
            }
        }
        let images = images::with_data(&response);
        if !images.is_empty() {
            put(fields, "ml.inference.response.images_with_data", images);
        }
        let asked: Vec<(&str, &str)> = secrets_in(&request).map(|(kind, found)| (kind, found.as_str())).collect();
        // What was in the question is no secret of the model's.
        let said =
            secrets_in(&response).filter(|(_, found)| !asked.iter().any(|(_, secret)| *secret == found.as_str()));
        secrets(fields, "ml.inference.response.secrets", said.map(|(kind, _)| kind));
        secrets(fields, "ml.inference.request.secrets", asked.iter().map(|(kind, _)| *kind));
    }
}

fn secrets(fields: &mut Fields, path: &str, kinds: impl Iterator<Item = &'static str>) {
    let mut kinds: Vec<&str> = kinds.collect();
    kinds.sort_unstable();
    kinds.dedup();
    if !kinds.is_empty() {
        put(fields, path, kinds);
    }
}

/// A text of bounded length, without control characters, and with what JSON escapes as it is.
fn clean(text: &str) -> String {
    let text = shorten(text, TEXT_CHARS_MAX);
    let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\r' | '\t') { '\u{fffd}' } else { c };
    unescaped(&text).chars().map(shown).collect()
}

/// Where a text is JSON or the beginning of it, its escapes hide from rules what a model reads.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with(['{', '[', '"']) || !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let (c, length) = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) => {
                (char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)), 12)
            }
            (Some(code), _) => (char::from_u32(code), 6),
            // An escape of two characters; the second may be a backslash, and what follows is then no escape.
            (None, _) => {
                let length = escape.chars().take(2).map(char::len_utf8).sum();
                out.push_str(match escape.get(..length) {
                    Some("\\n") => "\n",
                    Some("\\t") => "\t",
                    pair => pair.unwrap_or_default(),
                });
                rest = escape.get(length..).unwrap_or_default();
                continue;
            }
        };
        out.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The number of the `\u` escape with which a text begins.
fn unit(text: &str) -> Option<u32> {
    let digits = text.get(..6)?.strip_prefix("\\u")?;
    if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
}
