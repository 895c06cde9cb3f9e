//! JSON text straight into facts, without a tree in between.
//!
//! The facts are those that `value::from_json` makes of the parsed text: whole numbers stay whole, and
//! nesting has the parser's bound. But a key that an object has twice keeps all its values, as a list:
//! a writer must not be able to hide one of them behind another.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::repair;
use super::value::{Fields, Value};

/// Members of a list that are made room for before the first one was seen.
const ROOM_MAX: usize = 64;

/// One JSON object as facts. The error is the parser's, also for JSON that is no object.
pub fn fields(text: &[u8]) -> Result<Fields, serde_json::Error> {
    mended(text).map(|(fields, _)| fields)
}

/// The same, and in how many places it had to be put right first; see [`repair`].
pub fn mended(text: &[u8]) -> Result<(Fields, usize), serde_json::Error> {
    strict(text).map(|fields| (fields, 0)).or_else(|error| {
        let (text, places) = repair::repaired(text).ok_or(error)?;
        strict(text.as_bytes()).map(|fields| (fields, places))
    })
}

fn strict(text: &[u8]) -> Result<Fields, serde_json::Error> {
    match serde_json::from_slice(text)? {
        Fact(Value::Map(fields)) => Ok(fields),
        Fact(_) => Err(serde_json::Error::custom("an event is a JSON object")),
    }
}

struct Fact(Value);

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FactVisitor).map(Self)
    }
}

struct FactVisitor;

impl<'de> Visitor<'de> for FactVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Int(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or_default().min(ROOM_MAX));
        while let Some(Fact(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, Fact(value))) = members.next_entry::<String, Fact>()? {
            match map.entry(key) {
                Entry::Vacant(place) => drop(place.insert(value)),
                Entry::Occupied(mut place) => {
                    let first = std::mem::replace(place.get_mut(), Value::Null);
                    place.insert(joined(first, value));
                }
            }
        }
        Ok(Value::Map(map))
    }
}

/// The values of one key as one list.
fn joined(first: Value, second: Value) -> Value {
    let listed = |value| match value {
        Value::List(items) => items,
        other => vec![other],
    };
    let mut items = listed(first);
    items.extend(listed(second));
    Value::List(items)
}
