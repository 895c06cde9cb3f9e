//! What an event has at a field.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::text;
use crate::event::{Fields, Value};

/// Values of one field that are shown.
const VALUES_MAX: usize = 8;
/// Characters of one value that are shown.
const CHARS_MAX: usize = 120;
/// Dots of a name that are tried as steps into objects.
const STEPS_MAX: usize = 12;

/// What an event has at a field; long texts and lists are cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    Absent {
        /// A field that the event does have, and whose name is nearly the same.
        #[serde(skip_serializing_if = "Option::is_none")]
        near: Option<String>,
    },
    Null,
    /// As JSON; the members of a list one by one.
    Values {
        shown: Vec<String>,
        more: usize,
    },
}

impl Found {
    /// There is at least one value.
    pub const fn is_value(&self) -> bool {
        match self {
            Self::Values { shown, .. } => !shown.is_empty(),
            Self::Absent { .. } | Self::Null => false,
        }
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent { near: None } => write!(f, "absent"),
            Self::Absent { near: Some(near) } => write!(f, "absent; the event has `{near}`"),
            Self::Null => write!(f, "null"),
            Self::Values { shown, more: 0 } if shown.is_empty() => write!(f, "an empty list"),
            Self::Values { shown, more } => {
                write!(f, "{}", shown.join(", "))?;
                if *more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
        }
    }
}

/// What the event has under this name: a flat key, else with `nested` a path into objects.
pub fn found(fields: &Fields, name: &str, nested: bool) -> Found {
    let mut values = Vec::new();
    collect(fields, name, nested, 0, &mut values);
    match values.as_slice() {
        [] => Found::Absent { near: text::nearest(name, fields.keys().map(String::as_str)).map(str::to_owned) },
        [Value::Null] => Found::Null,
        values => {
            let mut scalars = Vec::new();
            for value in values {
                flatten(value, 0, &mut scalars);
            }
            let shown = scalars.iter().take(VALUES_MAX).map(|value| spell(value)).collect();
            Found::Values { shown, more: scalars.len().saturating_sub(VALUES_MAX) }
        }
    }
}

/// The values in which some texts occur; for keywords, which search everywhere.
pub fn anywhere(fields: &Fields) -> Found {
    let mut scalars = Vec::new();
    for value in fields.values() {
        flatten(value, 0, &mut scalars);
    }
    let shown = scalars.iter().take(VALUES_MAX).map(|value| spell(value)).collect();
    Found::Values { shown, more: scalars.len().saturating_sub(VALUES_MAX) }
}

fn collect<'e>(map: &'e BTreeMap<String, Value>, name: &str, nested: bool, depth: usize, values: &mut Vec<&'e Value>) {
    if let Some(value) = map.get(name) {
        values.push(value);
        return;
    }
    if !nested || depth >= STEPS_MAX {
        return;
    }
    let before = values.len();
    for (dot, _) in name.rmatch_indices('.').take(STEPS_MAX) {
        let (Some(head), Some(rest)) = (name.get(..dot), name.get(dot + 1..)) else {
            continue;
        };
        let inner: &[Value] = match map.get(head) {
            Some(Value::List(items)) => items,
            Some(one) => std::slice::from_ref(one),
            None => continue,
        };
        for value in inner {
            if let Value::Map(inner) = value {
                collect(inner, rest, nested, depth + 1, values);
            }
        }
        if values.len() > before {
            return;
        }
    }
}

/// The members of lists and objects, one by one; a bound keeps hostile nesting short.
fn flatten<'e>(value: &'e Value, depth: usize, scalars: &mut Vec<&'e Value>) {
    match value {
        Value::List(items) if depth < STEPS_MAX => items.iter().for_each(|item| flatten(item, depth + 1, scalars)),
        Value::Map(members) if depth < STEPS_MAX => {
            for member in members.values() {
                flatten(member, depth + 1, scalars);
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => scalars.push(value),
        Value::List(_) | Value::Map(_) => {}
    }
}

fn spell(value: &Value) -> String {
    text::shorten(&serde_json::Value::from(value).to_string(), CHARS_MAX)
}
