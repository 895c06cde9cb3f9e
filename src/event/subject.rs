//! What an event is about, in a person's words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an event is about; alerts on one subject by one rule are one alert.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    pub kind: SubjectKind,
    /// A path, `model/version`, a job: stable, and without digests or times.
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    Artifact,
    ModelVersion,
    Model,
    Webhook,
    LoggedModel,
    Job,
    Trace,
    Agent,
}

impl SubjectKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Artifact => "artifact",
            Self::ModelVersion => "model_version",
            Self::Model => "model",
            Self::Webhook => "webhook",
            Self::LoggedModel => "logged_model",
            Self::Job => "job",
            Self::Trace => "trace",
            Self::Agent => "agent",
        }
    }
}

impl Subject {
    pub fn new(kind: SubjectKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}
