//! What a source keeps about what it watches, as far as others must remember it.

use serde::{Deserialize, Serialize};

/// What kind of thing a record describes; it decides how a change is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// Bytes at a path.
    Artifact,
    /// Bytes that belong to a registered model version: they must never change.
    VersionArtifact,
    Model,
    ModelVersion,
    /// An address to which a registry sends what happens there.
    Webhook,
    /// A model as a run left it, registered or not.
    LoggedModel,
}

/// How far something was read; committed with the events that it led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Unique within the source.
    pub key: String,
    /// The source's own, opaque to everybody else. `null` forgets the checkpoint.
    pub position: serde_json::Value,
}
