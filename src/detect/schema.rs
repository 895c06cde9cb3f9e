//! The fields that rules may name.

use std::collections::BTreeMap;

use crate::base::text;
use crate::event::{Field, FieldType};

/// Which fields exist. With the open schema everything does: for rules and events of others.
#[derive(Debug, Clone)]
pub struct Schema {
    fields: Option<BTreeMap<&'static str, Field>>,
}

impl Schema {
    /// Only these fields exist; rules must be complete as our own are: known logsource, short id,
    /// ATLAS tags, tests.
    pub fn declared(fields: impl IntoIterator<Item = Field>) -> Self {
        Self { fields: Some(fields.into_iter().map(|field| (field.path, field)).collect()) }
    }

    /// Every field exists and every logsource is allowed; a rule needs what Sigma requires.
    pub const fn open() -> Self {
        Self { fields: None }
    }

    pub const fn is_open(&self) -> bool {
        self.fields.is_none()
    }

    /// The type of a field; `None` when there is no such field. Families such as `x.*` answer for
    /// their members.
    pub(crate) fn kind_of(&self, path: &str) -> Option<FieldType> {
        let Some(fields) = &self.fields else {
            return Some(FieldType::Open);
        };
        if let Some(field) = fields.get(path) {
            return Some(field.kind);
        }
        path.match_indices('.').find_map(|(dot, _)| {
            let family = format!("{}.*", path.get(..dot)?);
            (path.len() > dot + 1).then(|| fields.get(family.as_str()).map(|field| field.kind))?
        })
    }

    /// Whether a field is known to have one value at most.
    pub(crate) fn is_single(&self, path: &str) -> bool {
        match self.kind_of(path) {
            Some(FieldType::Bool | FieldType::Integer | FieldType::Float | FieldType::Text | FieldType::Time) => true,
            Some(FieldType::TextList | FieldType::Open) | None => false,
        }
    }

    /// The declared field that a misspelt name most likely means.
    pub(crate) fn nearest(&self, path: &str) -> Option<&'static str> {
        let fields = self.fields.as_ref()?;
        text::nearest(path, fields.keys().copied())
    }
}
