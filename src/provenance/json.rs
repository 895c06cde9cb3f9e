//! JSON that can be read in one way only: no member twice, on whatever level and whether anybody looks at it or
//! not, and no deeper than the parser goes (128 levels).

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Parses a document of the type that is asked for.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let _: Plain = serde_json::from_slice(bytes)?;
    serde_json::from_slice(bytes)
}

/// Any value in which no member is there twice.
struct Plain;

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Plain;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, _: bool) -> Result<Plain, E> {
                Ok(Plain)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Plain, E> {
                Ok(Plain)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Plain, E> {
                Ok(Plain)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Plain, E> {
                Ok(Plain)
            }
            fn visit_str<E>(self, _: &str) -> Result<Plain, E> {
                Ok(Plain)
            }
            fn visit_unit<E>(self) -> Result<Plain, E> {
                Ok(Plain)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Plain, A::Error> {
                while items.next_element::<Plain>()?.is_some() {}
                Ok(Plain)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Plain, A::Error> {
                let mut names = HashSet::new();
                while let Some(name) = members.next_key::<String>()? {
                    members.next_value::<Plain>()?;
                    if !names.insert(name) {
                        return Err(A::Error::custom("a member is there twice"));
                    }
                }
                Ok(Plain)
            }
        }
        deserializer.deserialize_any(Visit)
    }
}
