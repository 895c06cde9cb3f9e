//! An event into the scratch: from facts of our own, or straight from JSON.
//!
//! A field's name is a key as it stands, and every path into nested objects that it spells. Objects
//! in a list are all followed. A key that an object has twice counts twice.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::detect::predicate::Plain;
use crate::event::path::DEPTH_MAX;
use crate::event::{Fields, Value};

use super::paths::Paths;
use super::scratch::{NONE, Scratch};

/// Where in the event something stands.
#[derive(Debug, Clone, Copy)]
struct Spot {
    /// The field whose value it is.
    field: u32,
    /// Where keys of an object here are looked up.
    below: u32,
    /// Lists around it since the last key.
    lists: usize,
    depth: usize,
}

/// Puts what a program asks about into its scratch.
pub struct Reader<'p, 's> {
    pub paths: &'p Paths,
    /// The field that takes every scalar, if there are keywords.
    pub keywords: Option<u32>,
    pub scratch: &'s mut Scratch,
}

impl Reader<'_, '_> {
    /// Facts of our own: flat, by dotted path.
    pub fn flat(&mut self, fields: &Fields) {
        for (name, value) in fields {
            if let Some(step) = self.paths.step(0, name).filter(|step| step.field != NONE) {
                let spot = Spot { field: step.field, below: NONE, lists: 0, depth: 0 };
                self.scratch.touch(step.field);
                self.value(value, spot);
            } else if self.keywords.is_some() {
                self.value(value, Spot { field: NONE, below: NONE, lists: 0, depth: 0 });
            }
        }
    }

    /// Foreign facts that may be nested.
    pub fn nested(&mut self, fields: &Fields) {
        self.members(fields, Spot::EVENT);
    }

    fn members(&mut self, members: &BTreeMap<String, Value>, spot: Spot) {
        for (key, value) in members {
            if let Some(inner) = self.enter(key, spot) {
                self.value(value, inner);
            }
        }
    }

    /// What the value of a key is to us; `None` when nobody asks.
    fn enter(&mut self, key: &str, spot: Spot) -> Option<Spot> {
        let step = if spot.below == NONE { None } else { self.paths.step(spot.below, key) };
        let depth = spot.depth + 1;
        match step {
            Some(step) => {
                if step.field != NONE {
                    self.scratch.touch(step.field);
                }
                Some(Spot { field: step.field, below: step.below, lists: 0, depth })
            }
            None if self.keywords.is_some() => Some(Spot { field: NONE, below: NONE, lists: 0, depth }),
            None => None,
        }
    }

    fn value(&mut self, value: &Value, spot: Spot) {
        match value {
            Value::Null => self.null(spot),
            Value::Bool(flag) => self.plain(Plain::Bool(*flag), spot),
            Value::Int(number) => self.plain(Plain::Int(*number), spot),
            Value::Float(number) => self.plain(Plain::Float(*number), spot),
            Value::Text(text) => self.text(text, spot),
            Value::List(items) => {
                let inner = spot.in_list();
                if inner.depth <= DEPTH_MAX {
                    for item in items {
                        self.value(item, inner);
                    }
                }
            }
            Value::Map(members) if spot.depth <= DEPTH_MAX => self.members(members, spot.in_object()),
            Value::Map(_) => {}
        }
    }

    fn null(&mut self, spot: Spot) {
        if spot.field != NONE {
            self.scratch.put_null(spot.field);
        }
    }

    fn plain(&mut self, plain: Plain, spot: Spot) {
        if spot.field != NONE {
            self.scratch.put_plain(spot.field, plain);
        }
        if let Some(keywords) = self.keywords {
            self.scratch.touch(keywords);
            self.scratch.put_plain(keywords, plain);
        }
    }

    fn text(&mut self, text: &str, spot: Spot) {
        if spot.field != NONE {
            self.scratch.put_text(spot.field, text);
        }
        if let Some(keywords) = self.keywords {
            self.scratch.touch(keywords);
            self.scratch.put_text(keywords, text);
        }
    }
}

impl Spot {
    const EVENT: Self = Self { field: NONE, below: 0, lists: 0, depth: 0 };

    /// Objects in a list are on the path, those in a list of lists are not.
    fn in_list(self) -> Self {
        let below = if self.lists == 0 { self.below } else { NONE };
        Self { below, lists: self.lists + 1, depth: self.depth + 1, ..self }
    }

    /// An object is no value of a field.
    fn in_object(self) -> Self {
        Self { field: NONE, ..self }
    }
}

/// Reads one JSON object; the error is the parser's.
pub fn json(text: &str, reader: &mut Reader<'_, '_>) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(Seed { reader, spot: Spot::EVENT })?;
    deserializer.end()
}

struct Seed<'r, 'p, 's> {
    reader: &'r mut Reader<'p, 's>,
    spot: Spot,
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, which is a JSON object")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.reader.plain(Plain::Bool(flag), self.spot);
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.reader.plain(Plain::Int(number.into()), self.spot);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.reader.plain(Plain::Int(number.into()), self.spot);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.reader.plain(Plain::Float(number), self.spot);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.reader.text(text, self.spot);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.reader.null(self.spot);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let spot = self.spot.in_list();
        while items.next_element_seed(Seed { reader: self.reader, spot })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let spot = self.spot.in_object();
        while let Some(inner) = members.next_key_seed(Key { reader: self.reader, spot })? {
            match inner {
                Some(spot) => members.next_value_seed(Seed { reader: self.reader, spot })?,
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A key, looked up where it stands.
struct Key<'r, 'p, 's> {
    reader: &'r mut Reader<'p, 's>,
    spot: Spot,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_, '_> {
    type Value = Option<Spot>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_, '_> {
    type Value = Option<Spot>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.reader.enter(key, self.spot))
    }
}
