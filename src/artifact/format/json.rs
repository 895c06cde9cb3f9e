//! JSON that keeps duplicate keys: two readers may take different ones.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Memory that one tree may take.
pub const TREE_MAX: usize = 36 << 20;
/// Memory of one value and of one text beside its characters.
const VALUE_SIZE: usize = 32;
const TEXT_SIZE: usize = 40;
/// Items that are kept of what nobody looks at: numbers in a list, and the entries of a vocabulary.
const DULL_MAX: usize = 10_000;
/// Members of a tokenizer that hold its vocabulary.
const VOCABULARIES: [&str; 3] = ["vocab", "merges", "scores"];

/// Why there is no tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is no JSON, or nests too deeply.
    Malformed,
    /// It would take more memory than one tree may.
    TooLarge,
}

/// A JSON value; objects in the order as written, duplicates included.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Whole(i128),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Self::read(bytes).ok()
    }

    /// The tree, or why there is none.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let left = Cell::new(TREE_MAX);
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let read = Builder { left: &left, dull: false }.deserialize(&mut deserializer);
        match read.and_then(|json| deserializer.end().map(|()| json)) {
            Ok(json) => Ok(json),
            Err(_) if left.get() == 0 => Err(Refused::TooLarge),
            Err(_) => Err(Refused::Malformed),
        }
    }

    /// JSON as Python reads it: in any of Unicode's encodings, with numbers that are none, and with
    /// halves of characters. What only Python reads must not hide from whoever reads more strictly.
    pub fn read_python(bytes: &[u8]) -> Result<Self, Refused> {
        match Self::read(bytes) {
            Err(Refused::Malformed) => {
                let text = super::wide::decode(bytes);
                Self::read(text.as_bytes()).or_else(|_| Self::read(mended(&text).as_bytes()))
            }
            read => read,
        }
    }

    pub fn parse_python(bytes: &[u8]) -> Option<Self> {
        Self::read_python(bytes).ok()
    }

    pub fn get(&self, key: &str) -> Option<&Json> {
        self.members().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub fn members(&self) -> &[(String, Json)] {
        match self {
            Self::Map(members) => members,
            Self::Null | Self::Bool(_) | Self::Whole(_) | Self::Float(_) | Self::Text(_) | Self::List(_) => &[],
        }
    }

    pub fn items(&self) -> &[Json] {
        match self {
            Self::List(items) => items,
            Self::Null | Self::Bool(_) | Self::Whole(_) | Self::Float(_) | Self::Text(_) | Self::Map(_) => &[],
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Whole(_) | Self::Float(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Whole(number) => u64::try_from(*number).ok(),
            Self::Null | Self::Bool(_) | Self::Float(_) | Self::Text(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// Canonical enough to be digested: as written, without whitespace.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Whole(number) => out.push_str(&number.to_string()),
            Self::Float(number) => out.push_str(&number.to_string()),
            Self::Text(text) => out.push_str(&serde_json::Value::from(text.as_str()).to_string()),
            Self::List(items) => {
                out.push('[');
                for item in items {
                    item.write(out);
                    out.push(',');
                }
                out.push(']');
            }
            Self::Map(members) => {
                out.push('{');
                for (key, value) in members {
                    out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                    out.push(':');
                    value.write(out);
                    out.push(',');
                }
                out.push('}');
            }
        }
    }
}

/// The text with `NaN` and `Infinity` as null, and halves of characters as the sign for them.
fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut quoted = false;
    while let Some(c) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| !quoted && rest.starts_with(word));
        let half = quoted
            && rest.starts_with("\\u")
            && rest.get(2..3).is_some_and(|digit| digit.eq_ignore_ascii_case("d"))
            && rest.get(3..4).is_some_and(|digit| "89abcdefABCDEF".contains(digit))
            && rest.get(4..6).is_some();
        let taken = if let Some(word) = word {
            out.push_str("null");
            word.len()
        } else if half {
            out.push_str("\\ufffd");
            6
        } else if quoted && c == '\\' {
            let pair: String = rest.chars().take(2).collect();
            out.push_str(&pair);
            pair.len()
        } else {
            quoted ^= c == '"';
            out.push(c);
            c.len_utf8()
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

/// What builds trees out of the parts of a larger document; all of them share what is left.
pub fn part(left: &Cell<usize>) -> Builder<'_> {
    Builder { left, dull: false }
}

/// Builds a tree within what is left of its memory.
#[derive(Clone, Copy)]
pub struct Builder<'c> {
    left: &'c Cell<usize>,
    /// What is built is an entry of a vocabulary.
    dull: bool,
}

impl Builder<'_> {
    fn spend<E: serde::de::Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(|| E::custom("too large"))
    }
}

impl<'de> DeserializeSeed<'de> for Builder<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Builder<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
        Ok(Json::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Whole(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Whole(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Float(number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Json, E> {
        self.spend(text.len().saturating_add(TEXT_SIZE))?;
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        loop {
            if self.dull && items.len() >= DULL_MAX {
                while sequence.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
            let Some(item) = sequence.next_element_seed(Builder { dull: false, ..self })? else { break };
            let number = matches!(item, Json::Null | Json::Bool(_) | Json::Whole(_) | Json::Float(_));
            if !number || items.len() < DULL_MAX {
                self.spend::<A::Error>(VALUE_SIZE)?;
                items.push(item);
            }
        }
        items.shrink_to_fit();
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let inner = Builder { dull: VOCABULARIES.contains(&key.as_str()), ..self };
            if self.dull && members.len() >= DULL_MAX {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            self.spend::<A::Error>(key.len().saturating_add(TEXT_SIZE + VALUE_SIZE))?;
            members.push((key, map.next_value_seed(inner)?));
        }
        members.shrink_to_fit();
        Ok(Json::Map(members))
    }
}
