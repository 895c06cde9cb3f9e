//! Vocabularies: which number means which token, by what rules pieces are joined, and how a text is normalised, split,
//! framed and decoded. A digest is kept of each token, in the order of the numbers.

mod file;
mod judge;
pub mod sentencepiece;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::packed::{Packed, digits, print};
use super::take::Taking;
use super::{Again, Body, Told};
use crate::artifact::format::json::Json;
use crate::artifact::input::Input;
use crate::base::text::shorten;

/// Items of one list, and bytes of all of them, that are held.
const ITEMS_MAX: usize = 600_000;
/// Bytes of an item that several tokens of one number share.
const SHARED_MAX: usize = 1 << 10;
const BYTES_MAX: usize = 40 << 20;
/// Bytes of digests of the tokens, and of the rules.
const TOKENS_ROOM: usize = 260 << 10;
const RULES_ROOM: usize = 48 << 10;
/// Settings, and tokens beside the vocabulary, that are kept; characters of one.
const SETTINGS_MAX: usize = 1_500;
const ADDED_MAX: usize = 1_500;
const VALUE_MAX: usize = 300;
/// Runs of places that are kept free.
const SPARE_MAX: usize = 256;

/// A vocabulary and its rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    vocabulary: Prints,
    merges: Prints,
    scores: Prints,
    /// Tokens beside the vocabulary by number, as JSON.
    added: BTreeMap<u64, String>,
    /// How a text is prepared, by path.
    settings: BTreeMap<String, String>,
    /// First and last of runs of numbers whose tokens are placeholders, such as `[unused1]`.
    spare: Vec<(u64, u64)>,
}

/// Digests of the items of a list, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Prints {
    count: u64,
    /// Bytes of each digest, and items that each is of.
    width: u8,
    stride: u32,
    packed: Packed,
    /// Digest of all.
    whole: String,
}

/// A list while it is read.
#[derive(Debug, Default)]
pub struct List {
    items: Vec<Box<[u8]>>,
    bytes: usize,
    cut: bool,
}

impl List {
    pub fn push(&mut self, item: &[u8]) {
        self.bytes = self.bytes.saturating_add(item.len()).saturating_add(24);
        if self.items.len() >= ITEMS_MAX || self.bytes > BYTES_MAX {
            self.cut = true;
            return;
        }
        self.items.push(item.into());
    }

    /// Items by their numbers; what two items share stands behind one another.
    fn numbered(mut pairs: Vec<(u64, Vec<u8>)>) -> Self {
        pairs.sort();
        let mut list = Self::default();
        for (number, item) in pairs {
            let Ok(at) = usize::try_from(number) else {
                list.cut = true;
                break;
            };
            // Numbers are dense: what leaves most of them out is no vocabulary.
            if at > ITEMS_MAX {
                list.cut = true;
                break;
            }
            while list.items.len() < at && !list.cut {
                list.push(b"");
            }
            match list.items.get_mut(at) {
                Some(known) if known.len().saturating_add(item.len()) > SHARED_MAX => list.cut = true,
                Some(known) => *known = [known, b"\0".as_slice(), &item].concat().into(),
                None => list.push(&item),
            }
        }
        list
    }

    /// Digest of the first items.
    fn whole(&self, count: u64) -> String {
        let mut hash = super::packed::hasher();
        for item in self.items.iter().take(usize::try_from(count).unwrap_or(usize::MAX)) {
            hash.update(&(item.len() as u64).to_le_bytes());
            hash.update(item);
        }
        digits(super::packed::finish(&hash))
    }

    /// Digests of as many bytes as there is room for; where there is no room for each item, of several together.
    fn prints(&self, room: usize) -> Prints {
        let count = self.items.len();
        let width = [4_usize, 2, 1].into_iter().find(|width| count.saturating_mul(*width) <= room).unwrap_or(4);
        let stride = count.saturating_mul(width).div_ceil(room.max(1)).max(1);
        let mut prints = Packed::default();
        for group in self.items.chunks(stride) {
            prints.push(if let [one] = group { print(one) } else { print(&group.join(&0)) }, width);
        }
        Prints {
            count: count as u64,
            width: u8::try_from(width).unwrap_or(4),
            stride: u32::try_from(stride).unwrap_or(u32::MAX),
            packed: prints,
            whole: self.whole(u64::MAX),
        }
    }

    fn spare(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (at, item) in self.items.iter().enumerate() {
            let text = String::from_utf8_lossy(item).to_ascii_lowercase();
            let framed = text.starts_with(['[', '<']);
            if !(framed && ["unused", "reserved", "extra_id", "placeholder"].iter().any(|word| text.contains(word))) {
                continue;
            }
            let full = runs.len() >= SPARE_MAX;
            match runs.last_mut() {
                Some((_, last)) if last.saturating_add(1) == at as u64 => *last = at as u64,
                _ if full => break,
                _ => runs.push((at as u64, at as u64)),
            }
        }
        runs
    }
}

/// What was read of a tokenizer.
#[derive(Debug, Default)]
pub struct Found {
    tokens: List,
    merges: List,
    scores: List,
    added: BTreeMap<u64, String>,
    settings: BTreeMap<String, String>,
    cut: bool,
}

impl Found {
    fn add(self, taking: &mut Taking, place: &str) {
        let cut = self.cut || self.tokens.cut || self.merges.cut || self.scores.cut;
        if cut {
            taking.cut("the tokenizer has more tokens, rules or settings than are kept, or is broken");
        }
        let tokens = Tokens {
            spare: self.tokens.spare(),
            vocabulary: self.tokens.prints(TOKENS_ROOM),
            merges: self.merges.prints(RULES_ROOM),
            scores: self.scores.prints(RULES_ROOM / 4),
            added: self.added,
            settings: self.settings,
        };
        let any = tokens.vocabulary.count > 0
            || tokens.merges.count > 0
            || !tokens.settings.is_empty()
            || !tokens.added.is_empty();
        if any {
            taking.add(place, Body::Tokens(tokens));
        }
    }

    /// Settings as paths with values; numbers and texts as JSON.
    fn settings(&mut self, path: &str, json: &Json, depth: u32) {
        if depth > 32 || self.settings.len() >= SETTINGS_MAX {
            self.cut = true;
            return;
        }
        let members = json.members().iter().map(|(key, value)| (format!("{path}.{key}"), value));
        let items = json.items().iter().enumerate().map(|(at, value)| (format!("{path}[{at}]"), value));
        let below: Vec<_> = members.chain(items).collect();
        if below.is_empty() {
            let mut text = String::new();
            json.write(&mut text);
            let shown = if text.len() > VALUE_MAX {
                format!("{} #{}", shorten(&text, VALUE_MAX / 2), digits(print(text.as_bytes())))
            } else {
                text
            };
            self.settings.insert(shorten(path, 200), shown);
        }
        for (path, value) in below {
            self.settings(&path, value, depth.saturating_add(1));
        }
    }

    fn added_token(&mut self, json: &Json) {
        let Some(number) = json.get("id").and_then(Json::as_u64) else { return };
        if self.added.len() >= ADDED_MAX {
            self.cut = true;
            return;
        }
        let content = json.get("content").and_then(Json::as_text).unwrap_or_default();
        let flags: Vec<&str> = json
            .members()
            .iter()
            .filter(|(_, value)| matches!(value, Json::Bool(true)))
            .map(|(key, _)| key.as_str())
            .collect();
        self.added.insert(number, shorten(&format!("{content}\t{}", flags.join(" ")), VALUE_MAX));
    }
}

/// A vocabulary that was read with something else.
pub fn add(taking: &mut Taking, place: &str, tokens: List, merges: List) {
    Found { tokens, merges, ..Found::default() }.add(taking, place);
}

/// Takes a file that holds a vocabulary or its rules; false when it is none.
pub fn text_file(taking: &mut Taking, input: Input<'_>, file: &str) -> bool {
    match file::read(input, file) {
        Some(found) => {
            found.add(taking, "");
            true
        }
        None => false,
    }
}

/// The tokens of the new version, by their number.
fn again(again: Option<&Again<'_>>) -> Option<Found> {
    let again = again?;
    let file = again.name.to_ascii_lowercase();
    file::read(again.input, &file).or_else(|| sentencepiece::read(again.input)).or_else(|| file::gguf(again.input))
}

pub fn compare(told: &mut Told, place: &str, old: &Tokens, new: &Tokens, bytes: Option<&Again<'_>>) {
    if old == new {
        return;
    }
    let found = if old.vocabulary == new.vocabulary && old.merges == new.merges { None } else { again(bytes) };
    judge::tokens(told, place, old, new, found.as_ref());
    judge::rules(told, place, old, new, found.as_ref());
    judge::added(told, place, old, new);
    judge::settings(told, place, &old.settings, &new.settings);
}
