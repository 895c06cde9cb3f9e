//! The files that vocabularies lie in: `tokenizer.json`, `vocab.json`, `vocab.txt`, `merges.txt`, tiktoken's ranks.

use std::cell::Cell;
use std::fmt;
use std::io::BufReader;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Found, ITEMS_MAX, List};
use crate::artifact::format::gguf::pairs::{Pair, pairs};
use crate::artifact::format::json::{self, Json, TREE_MAX};
use crate::artifact::input::{Input, Stream};
use crate::artifact::outline::take::ending;

/// Longest file that is read.
const FILE_MAX: u64 = 64 << 20;

/// Reads a file by its name (in lower case); `None` when it is none of these.
pub fn read(input: Input<'_>, file: &str) -> Option<Found> {
    let budget = input.budget;
    let named = file.ends_with("tokenizer.json")
        || matches!(file, "vocab.json" | "encoder.json" | "vocab.txt" | "merges.txt" | "vocab.bpe")
        || ending(file) == "tiktoken";
    let spent = named
        && input.len() <= FILE_MAX
        && budget.spend(&budget.read, budget.limits.read_bytes_max, input.len(), "read_bytes_max");
    if !spent {
        return None;
    }
    if file.ends_with("tokenizer.json") {
        let left = Cell::new(TREE_MAX);
        let mut reader = serde_json::Deserializer::from_reader(BufReader::new(Stream::new(input)));
        let mut found = Found::default();
        let read = Top { found: &mut found, left: &left }.deserialize(&mut reader);
        found.cut |= read.is_err();
        let any = !found.tokens.items.is_empty() || !found.settings.is_empty();
        return any.then_some(found);
    }
    if ending(file) == "json" {
        let mut pairs = Vec::new();
        let mut reader = serde_json::Deserializer::from_reader(BufReader::new(Stream::new(input)));
        Vocabulary { pairs: &mut pairs, scores: &mut List::default() }.deserialize(&mut reader).ok()?;
        return (!pairs.is_empty()).then(|| Found { tokens: List::numbered(pairs), ..Found::default() });
    }
    let bytes = input.whole()?;
    let mut found = Found::default();
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    if ending(file) == "tiktoken" {
        let mut pairs = Vec::new();
        for line in lines {
            let mut words = line.split(|byte| *byte == b' ');
            let (Some(token), Some(rank)) = (words.next(), words.next()) else { continue };
            let token = STANDARD.decode(token).unwrap_or_else(|_| token.to_vec());
            let rank = std::str::from_utf8(rank).ok().and_then(|rank| rank.parse().ok());
            pairs.extend(rank.map(|rank| (rank, token)));
        }
        found.tokens = List::numbered(pairs);
    } else if file == "vocab.txt" {
        lines.for_each(|line| found.tokens.push(line));
        // What follows the last line break is no token.
        if found.tokens.items.last().is_some_and(|last| last.is_empty()) {
            found.tokens.items.pop();
        }
    } else {
        lines
            .filter(|line| !line.is_empty() && !line.starts_with(b"#version"))
            .for_each(|line| found.merges.push(line));
    }
    Some(found)
}

/// The tokens of a GGUF file.
pub fn gguf(input: Input<'_>) -> Option<Found> {
    if input.read(0, 4) != b"GGUF" {
        return None;
    }
    let mut found = Found::default();
    let whole = pairs(input, &mut |key, pair| match (key, pair) {
        ("tokenizer.ggml.tokens", Pair::Item(token)) => found.tokens.push(token),
        ("tokenizer.ggml.merges", Pair::Item(merge)) => found.merges.push(merge),
        _ => {}
    });
    found.cut |= !whole;
    Some(found)
}

/// A whole `tokenizer.json`.
struct Top<'f> {
    found: &'f mut Found,
    left: &'f Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tokenizer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "model" => map.next_value_seed(Model { found: self.found, left: self.left })?,
                "version" => {
                    map.next_value::<IgnoredAny>()?;
                }
                "added_tokens" => {
                    let json = map.next_value_seed(json::part(self.left))?;
                    json.items().iter().for_each(|item| self.found.added_token(item));
                }
                _ => {
                    let json = map.next_value_seed(json::part(self.left))?;
                    self.found.settings(&key, &json, 0);
                }
            }
        }
        Ok(())
    }
}

/// Its model: the vocabulary, the rules, and a few settings.
struct Model<'f> {
    found: &'f mut Found,
    left: &'f Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Model<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Model<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the model of a tokenizer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "vocab" => {
                    let mut pairs = Vec::new();
                    map.next_value_seed(Vocabulary { pairs: &mut pairs, scores: &mut self.found.scores })?;
                    self.found.tokens = List::numbered(pairs);
                }
                "merges" => map.next_value_seed(Merges(&mut self.found.merges))?,
                _ => {
                    let json = map.next_value_seed(json::part(self.left))?;
                    self.found.settings(&format!("model.{key}"), &json, 0);
                }
            }
        }
        Ok(())
    }
}

/// A map of tokens to numbers, or a list of tokens with scores.
struct Vocabulary<'f> {
    pairs: &'f mut Vec<(u64, Vec<u8>)>,
    scores: &'f mut List,
}

impl<'de> DeserializeSeed<'de> for Vocabulary<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Vocabulary<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vocabulary")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((token, number)) = map.next_entry::<String, u64>()? {
            if self.pairs.len() < ITEMS_MAX {
                self.pairs.push((number, token.into_bytes()));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while let Some((token, score)) = sequence.next_element::<(String, f64)>()? {
            if self.pairs.len() < ITEMS_MAX {
                self.pairs.push((self.pairs.len() as u64, token.into_bytes()));
                self.scores.push(&score.to_le_bytes());
            }
        }
        Ok(())
    }
}

/// Rules: `a b`, or the two of them in a list.
struct Merges<'f>(&'f mut List);

impl<'de> DeserializeSeed<'de> for Merges<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Merges<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rules")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        // Each rule has a bound of its own: two texts.
        while let Some(rule) = sequence.next_element_seed(json::part(&Cell::new(1 << 20)))? {
            let text = match &rule {
                Json::Text(text) => text.clone(),
                other => other.items().iter().filter_map(Json::as_text).collect::<Vec<_>>().join(" "),
            };
            self.0.push(text.as_bytes());
        }
        Ok(())
    }
}
