//! What an inspection of bytes found: it is compared, remembered, and told in events.

use serde::{Deserialize, Serialize};

use super::Fields;

/// What one inspection found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the format, one of those that `artifact` knows.
    pub format: String,
    /// Facts by declared field; `artifact` declares them.
    #[serde(with = "flat")]
    pub facts: Fields,
    pub issues: Vec<Issue>,
}

/// Why an inspection is not complete, or what about the bytes is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Closed set, for example `truncated`, `budget_exceeded`, `malformed`.
    pub code: String,
    /// What a person needs: the place and the remedy.
    pub detail: String,
    /// Path inside containers, `archive/data.pkl`; empty for the artifact itself.
    pub member: String,
}

/// A named stretch of bytes whose own digest makes a diff worth reading: a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub name: String,
    /// Data type as the format names it, for example `F32`.
    pub dtype: String,
    pub shape: Vec<u64>,
    /// First byte and the byte after the last.
    pub start: u64,
    pub end: u64,
    /// BLAKE3 of the bytes in hexadecimal, once hashed.
    pub digest: Option<String>,
}

/// Facts as one flat JSON object.
mod flat {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::event::{Fields, value};

    pub fn serialize<S: Serializer>(facts: &Fields, serializer: S) -> Result<S::Ok, S::Error> {
        value::to_json(facts).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        serde_json::Value::deserialize(deserializer).map(value::from_json)
    }
}
