//! Values of facts: JSON's, with whole numbers kept whole.

use std::collections::BTreeMap;

use serde_json::{Map, Number};

/// Facts by dotted path, for example `artifact.pickle.globals`.
pub type Fields = BTreeMap<String, Value>;

/// One fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// Any whole number that JSON's writers produce, `u64` included.
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    /// A nested object; only events from outside have them, our own facts are flat.
    Map(BTreeMap<String, Value>),
}

impl Value {
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Text(_) | Self::Map(_) => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(number.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Int(number as i128)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(flag) => Self::Bool(flag),
            serde_json::Value::Number(number) => {
                number.as_i128().map_or_else(|| Self::Float(number.as_f64().unwrap_or(f64::NAN)), Self::Int)
            }
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Array(items) => Self::List(items.into_iter().map(Into::into).collect()),
            serde_json::Value::Object(members) => {
                Self::Map(members.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}

impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Int(number) => {
                Number::from_i128(*number).map_or_else(|| Self::String(number.to_string()), Self::Number)
            }
            Value::Float(number) => Number::from_f64(*number).map_or(Self::Null, Self::Number),
            Value::Text(text) => Self::String(text.clone()),
            Value::List(items) => Self::Array(items.iter().map(Into::into).collect()),
            Value::Map(members) => {
                Self::Object(members.iter().map(|(key, value)| (key.clone(), value.into())).collect())
            }
        }
    }
}

/// A flat JSON object with the dotted paths as keys.
pub fn to_json(fields: &Fields) -> serde_json::Value {
    serde_json::Value::Object(fields.iter().map(|(path, value)| (path.clone(), value.into())).collect::<Map<_, _>>())
}

/// The reverse of [`to_json`]; anything but an object gives no facts.
pub fn from_json(json: serde_json::Value) -> Fields {
    match json {
        serde_json::Value::Object(members) => members.into_iter().map(|(path, value)| (path, value.into())).collect(),
        _ => Fields::new(),
    }
}
