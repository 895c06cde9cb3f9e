//! Runs: who made a version, of which data.

use serde::Deserialize;

use super::{Api, Space, Tag, address};
use crate::base::http::Failure;

/// One run.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Run {
    pub info: Info,
    pub data: Data,
    pub inputs: Inputs,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Info {
    /// `active` or `deleted`.
    pub lifecycle_stage: String,
    pub experiment_id: String,
    pub user_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Data {
    pub tags: Vec<Tag>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Inputs {
    pub dataset_inputs: Vec<Input>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Input {
    pub dataset: Dataset,
}

/// Data that a run says it read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Dataset {
    pub name: String,
    /// Of the data, by whoever logged it; mostly of a sample.
    pub digest: String,
    pub source_type: String,
    /// JSON, of a shape for each type.
    pub source: String,
}

#[derive(Deserialize)]
struct One {
    run: Run,
}

impl Api {
    pub async fn run(&self, space: Space<'_>, id: &str) -> Result<Run, Failure> {
        let url = address(&self.tracking, "mlflow/runs/get", &[("run_id", id)])?;
        Ok(self.json::<One>(space, url).await?.run)
    }
}
