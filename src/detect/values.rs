//! Named lists of values: what `%name%` stands for under `expand`.

use std::collections::BTreeMap;

use crate::base::text;
use crate::base::yaml::{self, Data, Node};
use crate::event::Value;

/// Values in one list.
pub const VALUES_MAX: usize = 20_000;
/// Lists.
pub const LISTS_MAX: usize = 1_000;
/// Characters of a list's name.
const NAME_CHARS_MAX: usize = 128;

/// Lists by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    lists: BTreeMap<String, Vec<Value>>,
}

/// Why a list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    #[error("`{name}` is no name for a list of values: letters, digits, `_`, `-` and `.`")]
    Name { name: String },
    #[error("the list of values `{name}` is there twice")]
    Twice { name: String },
    #[error("the list `{name}` has more than {VALUES_MAX} values")]
    TooLong { name: String },
    #[error("more than {LISTS_MAX} lists of values")]
    TooMany,
    #[error("line {line}: {message}")]
    Malformed { line: usize, message: String },
}

impl Values {
    /// Adds a list of scalars. An empty one is allowed: what it is asked for never matches.
    pub fn insert(&mut self, name: &str, values: Vec<Value>) -> Result<(), ValuesError> {
        let well_formed = (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_name);
        let name = name.to_owned();
        if !well_formed {
            return Err(ValuesError::Name { name });
        }
        if values.len() > VALUES_MAX {
            return Err(ValuesError::TooLong { name });
        }
        if self.lists.contains_key(&name) {
            return Err(ValuesError::Twice { name });
        }
        if self.lists.len() >= LISTS_MAX {
            return Err(ValuesError::TooMany);
        }
        self.lists.insert(name, values);
        Ok(())
    }

    /// Adds a list from the text of a file with one value on each line; empty lines, and lines that
    /// begin with `#`, say nothing.
    pub fn insert_lines(&mut self, name: &str, text: &str) -> Result<(), ValuesError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        // One more than allowed is enough to be refused.
        let values = lines.take(VALUES_MAX + 1).map(Value::from).collect();
        self.insert(name, values)
    }

    /// Adds a list from the text of a YAML file: a list of scalars.
    pub fn insert_yaml(&mut self, name: &str, text: &str) -> Result<(), ValuesError> {
        let malformed = |node: Option<&Node>, message: &str| ValuesError::Malformed {
            line: node.map_or(1, |node| node.line),
            message: message.to_owned(),
        };
        let documents = yaml::parse(text)
            .map_err(|error| ValuesError::Malformed { line: error.line, message: error.message.clone() })?;
        let [document] = documents.as_slice() else {
            return Err(malformed(None, "a file of values is one list"));
        };
        let items = match &document.data {
            Data::List(items) => items.as_slice(),
            Data::Null => &[],
            Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::Map(_) => {
                return Err(malformed(Some(document), "a file of values is one list"));
            }
        };
        let scalar = |item: &Node| match &item.data {
            Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => Ok(Value::from(item.to_json())),
            Data::Null | Data::List(_) | Data::Map(_) => Err(malformed(Some(item), "a value is a text or a number")),
        };
        self.insert(name, items.iter().map(scalar).collect::<Result<_, _>>()?)
    }

    pub fn get(&self, name: &str) -> Option<&[Value]> {
        self.lists.get(name).map(Vec::as_slice)
    }

    /// The names of all lists.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lists.keys().map(String::as_str)
    }

    /// The list that a misspelt name most likely means.
    pub(crate) fn nearest(&self, name: &str) -> Option<&str> {
        text::nearest(name, self.names())
    }

    /// Every list as one text, for digests.
    pub(crate) fn spelt(&self) -> Vec<String> {
        self.lists.iter().map(|(name, values)| format!("{name}: {values:?}")).collect()
    }
}

/// Whether a byte may stand in the name of a list.
pub(crate) const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}
