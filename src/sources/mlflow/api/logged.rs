//! Models as runs leave them, registered or not, and the experiments that they are of.

use std::collections::BTreeSet;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Api, Space, Tag, address, next};
use crate::base::http::Failure;

/// Experiments of one page.
const EXPERIMENTS_PAGE: u32 = 1_000;
/// Models of one page: each comes with all its metrics and parameters.
const PAGE: u32 = 200;

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Experiment {
    pub experiment_id: String,
    pub name: String,
}

/// What a run logged as a model.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LoggedModel {
    pub info: LoggedInfo,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LoggedInfo {
    pub model_id: String,
    pub experiment_id: String,
    pub name: String,
    pub artifact_uri: String,
    /// For example `LOGGED_MODEL_READY`.
    pub status: String,
    pub model_type: Option<String>,
    pub source_run_id: Option<String>,
    pub last_updated_timestamp_ms: i64,
    pub tags: Vec<Tag>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Experiments {
    experiments: Vec<Experiment>,
    next_page_token: Option<String>,
}

/// One page of logged models, and where the next begins.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct LoggedPage {
    pub models: Vec<LoggedModel>,
    pub next_page_token: Option<String>,
}

impl Api {
    /// All experiments that are not deleted.
    pub async fn experiments(&self, space: Space<'_>) -> Result<Vec<Experiment>, Failure> {
        let (mut all, mut token, mut seen) = (Vec::new(), String::new(), BTreeSet::new());
        loop {
            let body = json!({ "max_results": EXPERIMENTS_PAGE, "page_token": token });
            let page: Experiments = self.post(space, "mlflow/experiments/search", &body).await?;
            all.extend(page.experiments);
            match next(page.next_page_token, &mut seen)? {
                Some(more) => token = more,
                None => return Ok(all),
            }
        }
    }

    /// One page of the models of some experiments, those that were changed last first.
    pub async fn logged_models(&self, space: Space<'_>, of: &[String], token: &str) -> Result<LoggedPage, Failure> {
        let order = json!([{ "field_name": "last_updated_timestamp", "ascending": false }]);
        let mut body = json!({ "experiment_ids": of, "max_results": PAGE, "order_by": order });
        if !token.is_empty() {
            body["page_token"] = token.into();
        }
        self.post(space, "mlflow/logged-models/search", &body).await
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        space: Space<'_>,
        call: &str,
        body: &serde_json::Value,
    ) -> Result<T, Failure> {
        let url = address(&self.tracking, call, &[])?;
        self.answer(self.request(space, &self.client, Method::POST, url).json(body)).await
    }
}
