//! Values of an event's fields, as groups and counts need them.

use std::ops::ControlFlow;

use crate::base::text;
use crate::detect::number::Number;
use crate::detect::pattern::fold;
use crate::event::correlation::GroupKey;
use crate::event::{Fields, Value, path};

use super::limits::{COMBINATIONS_MAX, VALUE_CHARS_MAX};

/// An event's fields: flat names, or (`nested`) names that are paths, too.
#[derive(Debug, Clone, Copy)]
pub struct View<'e> {
    pub fields: &'e Fields,
    pub nested: bool,
}

/// One group that an event belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub key: GroupKey,
    /// The values as written, shortened for people; what was cut is told apart by a digest.
    pub values: Vec<String>,
}

impl<'e> View<'e> {
    /// The scalars at a field: members of a list count each for itself; nulls and objects are left
    /// out. At most [`COMBINATIONS_MAX`] and one more, which shows that there are too many.
    pub fn scalars(&self, name: &str) -> Vec<&'e Value> {
        let mut found = Vec::new();
        let end = if self.nested {
            path::at(self.fields, name, &mut |value| gather(value, &mut found))
        } else {
            self.fields.get(name).map_or(ControlFlow::Continue(()), |value| gather(value, &mut found))
        };
        debug_assert!(end.is_continue() || found.len() > COMBINATIONS_MAX, "only too many end it");
        found
    }

    /// The groups that the event belongs to, one for each combination of its values, and whether
    /// there would be more. None when it lacks one of the fields.
    pub fn groups(&self, names: &[String]) -> (Vec<Member>, bool) {
        let (combinations, more) = self.combinations(names);
        let members = combinations.into_iter().map(|values| Member { key: key_of(&values), values: shown(&values) });
        (members.collect(), more)
    }

    /// Digests of the values at the fields together, one for each combination.
    pub fn values(&self, names: &[String]) -> (Vec<u64>, bool) {
        let (combinations, more) = self.combinations(names);
        let mut hashes: Vec<u64> = combinations.iter().map(|values| short(&key_of(values).0)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        (hashes, more)
    }

    /// The numbers at the first of the fields; texts that spell a number count.
    pub fn numbers(&self, names: &[String]) -> (Vec<Number>, bool) {
        let scalars = names.first().map(|name| self.scalars(name)).unwrap_or_default();
        let more = scalars.len() > COMBINATIONS_MAX;
        let numbers = scalars.into_iter().take(COMBINATIONS_MAX).filter_map(Number::of).map(tamed);
        (numbers.collect(), more)
    }

    fn combinations(&self, names: &[String]) -> (Vec<Vec<String>>, bool) {
        let (mut all, mut more) = (vec![Vec::new()], false);
        for name in names {
            let scalars = self.scalars(name);
            more |= scalars.len() > COMBINATIONS_MAX;
            let texts: Vec<String> = scalars.into_iter().take(COMBINATIONS_MAX).map(spelt).collect();
            let longer = all.iter().flat_map(|values| {
                texts.iter().map(|text| values.iter().chain(std::iter::once(text)).cloned().collect())
            });
            let mut longer: Vec<Vec<String>> = longer.take(COMBINATIONS_MAX + 1).collect();
            more |= longer.len() > COMBINATIONS_MAX;
            longer.truncate(COMBINATIONS_MAX);
            all = longer;
        }
        (all, more)
    }
}

/// A digest of a text: of an event's id, say.
pub fn digest_of(text: &str) -> u64 {
    short(blake3::hash(text.as_bytes()).as_bytes())
}

/// Folded, so that `Admin` and `admin` are one group; each value after its length, so that no two
/// lists of values give one key.
fn key_of(values: &[String]) -> GroupKey {
    let mut hasher = blake3::Hasher::new();
    for value in values {
        let folded = fold(value);
        hasher.update(&(folded.len() as u64).to_le_bytes());
        hasher.update(folded.as_bytes());
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    GroupKey(key)
}

fn shown(values: &[String]) -> Vec<String> {
    let show = |value: &String| match value.char_indices().nth(VALUE_CHARS_MAX) {
        None => value.clone(),
        Some(_) => format!("{}#{:016x}", text::shorten(value, VALUE_CHARS_MAX), digest_of(&fold(value))),
    };
    values.iter().map(show).collect()
}

fn short(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Whole numbers beyond 2^96 become floats, so that no sum of them overflows.
fn tamed(number: Number) -> Number {
    match number {
        Number::Int(whole) if whole.unsigned_abs() >= 1 << 96 => {
            #[expect(clippy::cast_precision_loss, reason = "no measure in the world has 29 digits")]
            let float = whole as f64;
            Number::Float(float)
        }
        Number::Int(_) | Number::Float(_) => number,
    }
}

fn spelt(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Null | Value::List(_) | Value::Map(_) => String::new(),
    }
}

fn gather<'e>(value: &'e Value, found: &mut Vec<&'e Value>) -> ControlFlow<()> {
    path::scalars(value, false, &mut |value| {
        if *value != Value::Null {
            found.push(value);
        }
        if found.len() > COMBINATIONS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}
