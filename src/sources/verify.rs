//! The setting of how often bytes are fetched again though nothing says that they changed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SWEEP_LEAST, Sweep};

/// Reading bytes again though nothing says that they changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Verify {
    /// Each artifact is fetched again after this time, as far as the budget reaches; 0 is never.
    pub interval_secs: u64,
    /// Bytes a second, on average.
    pub bytes_per_sec: u64,
}

impl Default for Verify {
    fn default() -> Self {
        Self { interval_secs: 0, bytes_per_sec: 16 << 20 }
    }
}

impl Verify {
    /// What is wrong with it, in a sentence.
    pub fn problem(&self) -> Option<String> {
        let too_little = self.interval_secs > 0 && self.bytes_per_sec < SWEEP_LEAST;
        too_little.then(|| format!("`verify.bytes_per_sec` is too little; write at least {SWEEP_LEAST}"))
    }

    /// What is fetched again: records whose keys begin with one of `roots`.
    pub fn sweep(&self, roots: &[&str]) -> Option<Sweep> {
        (self.interval_secs > 0).then(|| Sweep {
            every: Duration::from_secs(self.interval_secs),
            bytes_per_sec: self.bytes_per_sec,
            keep_cache: true,
            roots: roots.iter().map(|&root| root.to_owned()).collect(),
        })
    }
}
