//! The head of what is signed: a statement of in-toto, version 1 (attestation framework).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::json;
use super::outcome::{Failure, Reason};
use crate::event::Sha256;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// Subjects of one statement.
const SUBJECTS_MAX: usize = 100_000;

/// What every statement has.
#[derive(Debug, Deserialize)]
pub struct Head {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
}

/// A whole statement with a predicate of one type.
#[derive(Debug, Deserialize)]
pub struct Statement<P> {
    #[serde(rename = "_type")]
    _kind: IgnoredAny,
    #[serde(rename = "predicateType")]
    _predicate_type: IgnoredAny,
    pub subject: Vec<Subject>,
    pub predicate: P,
}

/// One thing that a statement is about.
#[derive(Debug, Clone, Deserialize)]
pub struct Subject {
    #[serde(default)]
    pub name: String,
    pub digest: Digests,
}

/// Digests by the name of their algorithm, each once.
#[derive(Debug, Clone, Default)]
pub struct Digests(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Digests {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> serde::de::Visitor<'de> for Visit {
            type Value = Digests;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("digests by algorithm")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Digests, A::Error> {
                let mut digests = BTreeMap::new();
                while let Some((algorithm, digest)) = map.next_entry::<String, String>()? {
                    if digests.insert(algorithm, digest).is_some() {
                        return Err(serde::de::Error::custom("a digest is there twice"));
                    }
                }
                Ok(Digests(digests))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

impl Digests {
    pub fn sha256(&self) -> Option<Sha256> {
        self.0.get("sha256").filter(|text| !text.contains(':'))?.parse().ok()
    }
}

fn bad(error: &serde_json::Error) -> Failure {
    let (line, column) = (error.line(), error.column());
    let what = if error.is_data() { "lacks a part, has one twice or of another type" } else { "is no JSON" };
    Failure::new(Reason::BadStatement, format!("the statement {what}, at line {line} column {column}"))
}

impl Head {
    /// Parses the head; the rest may be anything.
    pub fn parse(payload: &[u8]) -> Result<Self, Failure> {
        let head: Self = json::parse(payload).map_err(|error| bad(&error))?;
        if head.kind != STATEMENT {
            return Err(Failure::new(Reason::WrongPredicate, format!("the payload is no statement ({STATEMENT})")));
        }
        Ok(head)
    }
}

impl<P: DeserializeOwned> Statement<P> {
    pub fn parse(payload: &[u8]) -> Result<Self, Failure> {
        let statement: Self = serde_json::from_slice(payload).map_err(|error| bad(&error))?;
        if statement.subject.is_empty() || statement.subject.len() > SUBJECTS_MAX {
            let count = statement.subject.len();
            return Err(Failure::new(Reason::BadStatement, format!("the statement has {count} subjects")));
        }
        Ok(statement)
    }
}
