//! What an event has at a field.

use serde::Serialize;

use crate::base::text;
use crate::event::{Fields, Value, path};

/// Values of one field that are shown.
const VALUES_MAX: usize = 8;
/// Characters of one value that are shown.
const CHARS_MAX: usize = 120;

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

/// What the event has under this name: a flat key, with `nested` paths into objects too.
pub fn found(fields: &Fields, name: &str, nested: bool) -> Found {
    let mut values: Vec<&Value> = Vec::new();
    if nested {
        path::each(fields, name, &mut |value| values.push(value));
    } else {
        values.extend(fields.get(name));
    }
    match values.as_slice() {
        [] => Found::Absent { near: text::nearest(name, fields.keys().map(String::as_str)).map(str::to_owned) },
        [Value::Null] => Found::Null,
        values => shown(values, false),
    }
}

/// The values in which some texts occur; for keywords, which search everywhere.
pub fn anywhere(fields: &Fields) -> Found {
    shown(&fields.values().collect::<Vec<_>>(), true)
}

/// The members of lists and objects, one by one.
fn shown(values: &[&Value], objects: bool) -> Found {
    let (mut shown, mut more) = (Vec::new(), 0);
    for value in values {
        path::each_scalar(value, objects, &mut |value| {
            if shown.len() < VALUES_MAX {
                shown.push(spell(value));
            } else {
                more += 1;
            }
        });
    }
    Found::Values { shown, more }
}

fn spell(value: &Value) -> String {
    text::shorten(&serde_json::Value::from(value).to_string(), CHARS_MAX)
}
