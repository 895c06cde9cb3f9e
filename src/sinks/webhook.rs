//! A webhook by the conventions of Standard Webhooks, <https://www.standardwebhooks.com>.
//!
//! One alert a request: a `CloudEvent` around an OCSF finding. `webhook-id` is the alert's id and
//! stays the same over retries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BoxFuture, Look, Sink, SinkError, file::informational, http};
use crate::alert::render::cloudevents;
use crate::base::clock;
use crate::base::secret::Secret;
use crate::event::{Alert, Severity};

/// Alerts posted to a URL, signed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Unique among all sinks.
    pub name: String,
    pub url: String,
    /// File that holds the signing secret, `whsec_` and base64, or any text.
    #[serde(default)]
    pub secret_file: Option<std::path::PathBuf>,
    /// Environment variable that holds it.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// Seconds until a request counts as failed.
    #[serde(default = "fifteen")]
    pub timeout_secs: u64,
    #[serde(default = "informational")]
    pub minimum_severity: Severity,
}

pub(super) const fn fifteen() -> u64 {
    15
}

/// Posts one alert a request.
pub struct Webhook {
    name: String,
    url: Url,
    secret: Option<Secret>,
    minimum_severity: Severity,
    client: Client,
}

impl Webhook {
    pub const fn new(
        name: String,
        url: Url,
        secret: Option<Secret>,
        minimum_severity: Severity,
        client: Client,
    ) -> Self {
        Self { name, url, secret, minimum_severity, client }
    }

    async fn post(&self, alert: &Alert) -> Result<(), SinkError> {
        let body = cloudevents::envelope(alert).to_string();
        let timestamp = clock::now().as_second().to_string();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
        put(&mut headers, "webhook-id", &alert.id);
        put(&mut headers, "webhook-timestamp", &timestamp);
        if let Some(secret) = &self.secret {
            put(&mut headers, "webhook-signature", &sign(secret, &alert.id, &timestamp, &body));
        }
        http::post(&self.client, &self.url, headers, body.into_bytes()).await.map(drop)
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("ids, numbers and base64 are visible ASCII");
    headers.insert(HeaderName::from_static(name), value);
}

/// The signature header: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`. A secret
/// `whsec_…` is base64 of the key, any other text is the key itself.
pub fn sign(secret: &Secret, id: &str, timestamp: &str, body: &str) -> String {
    let text = secret.expose();
    let key = text
        .strip_prefix("whsec_")
        .and_then(|key| STANDARD.decode(key).ok())
        .unwrap_or_else(|| text.as_bytes().to_vec());
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

impl Sink for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn minimum_severity(&self) -> Severity {
        self.minimum_severity
    }

    fn batch_max(&self) -> usize {
        1
    }

    fn deliver<'a>(&'a self, alerts: &'a [Alert]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            for alert in alerts {
                self.post(alert).await?;
            }
            Ok(())
        })
    }

    fn look(&self) -> BoxFuture<'_, Look> {
        Box::pin(http::connect(&self.url))
    }
}
