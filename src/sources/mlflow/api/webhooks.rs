//! Webhooks that are registered, which only administrators may list. Their secrets are never sent.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Api, Space, next};
use crate::base::http::Failure;

/// Largest page that the server gives.
const PAGE: &str = "1000";

/// One webhook.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Webhook {
    #[serde(rename = "webhook_id")]
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub url: String,
    pub events: Vec<Event>,
    /// `ACTIVE` or `DISABLED`.
    pub status: Option<String>,
    pub last_updated_timestamp: i64,
}

/// What it is sent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Event {
    /// For example `MODEL_VERSION`.
    pub entity: String,
    /// For example `CREATED`.
    pub action: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Page {
    webhooks: Vec<Webhook>,
    next_page_token: Option<String>,
}

impl Api {
    /// All webhooks.
    pub async fn webhooks(&self, space: Space<'_>) -> Result<Vec<Webhook>, Failure> {
        let (mut all, mut token, mut seen) = (Vec::new(), String::new(), BTreeSet::new());
        loop {
            let page: Page = self.get(space, "webhooks", &[("max_results", PAGE), ("page_token", &*token)]).await?;
            all.extend(page.webhooks);
            match next(page.next_page_token, &mut seen)? {
                Some(more) => token = more,
                None => return Ok(all),
            }
        }
    }
}
