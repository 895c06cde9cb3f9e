//! Prometheus Alertmanager, API v2.

use std::time::Duration;

use jiff::SignedDuration;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BoxFuture, Look, Looked, Resend, Sink, SinkError, file::informational, http, webhook::fifteen};
use crate::alert::render::alertmanager;
use crate::base::secret::Secret;
use crate::base::{self, clock};
use crate::event::{Alert, Severity};

/// Bytes of a status that are read.
const STATUS_BYTES_MAX: u64 = 1 << 20;

/// Alerts posted to an Alertmanager, and told again while they hold.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Unique among all sinks.
    pub name: String,
    /// Base URL, for example `http://alertmanager:9093`.
    pub url: String,
    /// File that holds a bearer token.
    #[serde(default)]
    pub token_file: Option<std::path::PathBuf>,
    /// Environment variable that holds it.
    #[serde(default)]
    pub token_env: Option<String>,
    /// Seconds between two tellings of an alert that holds.
    #[serde(default = "minute")]
    pub resend_secs: u64,
    /// Seconds after which an alert that was not seen again no longer holds.
    #[serde(default = "hour")]
    pub expire_secs: u64,
    #[serde(default = "fifteen")]
    pub timeout_secs: u64,
    #[serde(default = "informational")]
    pub minimum_severity: Severity,
}

const fn minute() -> u64 {
    60
}

const fn hour() -> u64 {
    3600
}

/// Posts alerts in batches.
pub struct Alertmanager {
    name: String,
    url: Url,
    token: Option<Secret>,
    resend: Resend,
    minimum_severity: Severity,
    client: Client,
}

impl Alertmanager {
    /// `url` is the base URL; the path of the API is added.
    pub fn new(config: &Config, url: &Url, token: Option<Secret>, client: Client) -> Self {
        let mut url = url.clone();
        url.set_path(&format!("{}/api/v2/alerts", url.path().trim_end_matches('/')));
        Self {
            name: config.name.clone(),
            url,
            token,
            resend: Resend {
                every: Duration::from_secs(config.resend_secs.max(1)),
                expire_after: Duration::from_secs(config.expire_secs),
            },
            minimum_severity: config.minimum_severity,
            client,
        }
    }
}

impl Alertmanager {
    fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            let value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|_| "the token is no header value".to_owned())?;
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }
}

impl Sink for Alertmanager {
    fn name(&self) -> &str {
        &self.name
    }

    fn minimum_severity(&self) -> Severity {
        self.minimum_severity
    }

    fn batch_max(&self) -> usize {
        64
    }

    fn deliver<'a>(&'a self, alerts: &'a [Alert]) -> BoxFuture<'a, Result<(), SinkError>> {
        // Four tellings may fail before Alertmanager takes an alert that holds for resolved.
        let holds = SignedDuration::try_from(self.resend.every * 4).unwrap_or(SignedDuration::from_hours(1));
        let ends = clock::now().saturating_add(holds).expect("a span of seconds has no calendar units");
        let body = serde_json::Value::Array(alerts.iter().map(|alert| alertmanager::alert(alert, ends)).collect());
        Box::pin(async move {
            let mut headers = self.headers().map_err(SinkError::Refused)?;
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            http::post(&self.client, &self.url, headers, body.to_string().into_bytes()).await.map(drop)
        })
    }

    fn look(&self) -> BoxFuture<'_, Look> {
        Box::pin(async move {
            let mut status = self.url.clone();
            status.set_path(&format!("{}/status", self.url.path().trim_end_matches("/alerts")));
            let place = self.url.origin().ascii_serialization();
            let headers = self.headers().map_err(|why| ("token", why))?;
            let request = self.client.get(status).headers(headers).timeout(http::LOOK_WITHIN);
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error) => return Err(http::unconnected(&self.url, &error.into()).await),
            };
            let time = base::http::date(answer.headers());
            match answer.status().as_u16() {
                200 if is_status(answer).await => {
                    Ok(Looked { how: "it answers as an Alertmanager; no alert was sent", time })
                }
                status @ (401 | 403) => {
                    Err(("unauthorized", format!("`{place}` answers {status}; give a token that it takes, `token_file`")))
                }
                // Some servers say in plain text that they speak TLS.
                status => Err(http::misspoken(&self.url).await.unwrap_or_else(|| (
                    "not_alertmanager",
                    format!("`{place}` answers {status} where its status should be; write the address of an Alertmanager, with its `--web.route-prefix`"),
                ))),
            }
        })
    }

    fn resend(&self) -> Option<Resend> {
        Some(self.resend)
    }
}

/// Whether an answer is the status of an Alertmanager: other servers answer 200 to everything.
async fn is_status(answer: reqwest::Response) -> bool {
    let Ok(bytes) = base::http::body(answer, STATUS_BYTES_MAX).await else { return false };
    serde_json::from_slice::<serde_json::Value>(&bytes)
        .is_ok_and(|status| ["versionInfo", "cluster"].iter().any(|name| status.get(name).is_some()))
}
