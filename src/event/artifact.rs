//! Where bytes lie.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where bytes lie; [`super::Sha256`] says which bytes they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactRef {
    /// The source that can open it, by its configured name.
    pub store: String,
    /// Path inside the store. Bytes that are not UTF-8 are written `\xNN`, a backslash `\\`.
    pub path: String,
    /// The registry's version or the store's generation, where there is one.
    pub version: Option<String>,
    /// What stays the same from one version to the next: the path of a file, or the model's name
    /// with the path inside it. Versions of one lineage are compared with each other.
    pub lineage: String,
}

impl fmt::Display for ArtifactRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}:{}@{version}", self.store, self.path),
            None => write!(f, "{}:{}", self.store, self.path),
        }
    }
}
