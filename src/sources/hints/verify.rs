//! Who may give hints: what each kind of sender proves itself with.

use std::time::Duration;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::secret::Secret;
use crate::event::Sha256;

/// A signature that is older, or comes from a later time, may be a copy of another.
const AGE_MAX: Duration = Duration::from_mins(5);
/// Bytes of the name of a delivery.
const DELIVERY_MAX: usize = 200;

/// How a sender proves that it knows the secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// `Authorization: Bearer SECRET`: `SeaweedFS`, `MinIO`, registries of images with that header configured.
    #[default]
    Bearer,
    /// `X-MLflow-Signature`, over the delivery, its time and its body.
    Mlflow,
    /// `X-Webhook-Secret`: the hub sends the secret as it is.
    Huggingface,
    /// `X-Hub-Signature-256`, over the body: GitHub, Gitea.
    Github,
    /// Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    Standard,
}

/// Why a hint is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing proves that the sender knows the secret.
    Unproved,
    /// It is proved, but too old, or from a time that has not come.
    Stale,
}

/// Checks senders of one source.
#[derive(Debug, Clone)]
pub struct Verifier {
    pub scheme: Scheme,
    /// `None`: everybody who can connect may give hints, which is right on loopback only.
    pub secret: Option<Secret>,
}

impl Verifier {
    /// What can be told before the body is read: nobody without the secret makes us keep one.
    pub fn check_early(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match self.scheme {
            Scheme::Bearer | Scheme::Huggingface => self.check(headers, &[], 0).map(drop),
            Scheme::Mlflow => self.signed_by(headers, "x-mlflow-signature"),
            Scheme::Github => self.signed_by(headers, "x-hub-signature-256"),
            Scheme::Standard => self.signed_by(headers, "webhook-signature"),
        }
    }

    /// Whether there is a signature at all, where one is asked for.
    fn signed_by(&self, headers: &HeaderMap, name: &str) -> Result<(), Refusal> {
        if self.secret.is_none() || headers.contains_key(name) { Ok(()) } else { Err(Refusal::Unproved) }
    }

    /// The name of the delivery, where the sender gave one that is proved or need not be.
    pub fn check(&self, headers: &HeaderMap, body: &[u8], now_secs: i64) -> Result<Option<String>, Refusal> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let delivery = match self.scheme {
            Scheme::Bearer | Scheme::Huggingface => None,
            Scheme::Mlflow => header("x-mlflow-delivery-id"),
            Scheme::Github => header("x-github-delivery"),
            Scheme::Standard => header("webhook-id"),
        };
        let delivery = delivery.filter(|name| !name.is_empty() && name.len() <= DELIVERY_MAX);
        let Some(secret) = &self.secret else { return Ok(delivery.map(str::to_owned)) };
        let secret = secret.expose();
        let time = match self.scheme {
            Scheme::Bearer => {
                let given = header("authorization").ok_or(Refusal::Unproved)?;
                let token = given.strip_prefix("Bearer ").unwrap_or(given);
                same(token, secret).then_some(None)
            }
            Scheme::Huggingface => header("x-webhook-secret").is_some_and(|given| same(given, secret)).then_some(None),
            Scheme::Github => {
                let given = header("x-hub-signature-256").and_then(|given| given.strip_prefix("sha256="));
                let given: Option<Sha256> = given.and_then(|hex| hex.parse().ok());
                given.is_some_and(|given| signed(secret.as_bytes(), &[body], given.as_bytes())).then_some(None)
            }
            Scheme::Mlflow => {
                let (name, time) = (delivery.ok_or(Refusal::Unproved)?, header("x-mlflow-timestamp"));
                let time = time.ok_or(Refusal::Unproved)?;
                let parts = [name.as_bytes(), b".", time.as_bytes(), b".", body];
                versioned(header("x-mlflow-signature"), secret.as_bytes(), &parts).then_some(Some(time))
            }
            Scheme::Standard => {
                let (name, time) = (delivery.ok_or(Refusal::Unproved)?, header("webhook-timestamp"));
                let time = time.ok_or(Refusal::Unproved)?;
                let key = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
                let key = key.unwrap_or_else(|| secret.as_bytes().to_vec());
                let parts = [name.as_bytes(), b".", time.as_bytes(), b".", body];
                versioned(header("webhook-signature"), &key, &parts).then_some(Some(time))
            }
        };
        match time.ok_or(Refusal::Unproved)? {
            Some(time) if !recent(time, now_secs) => Err(Refusal::Stale),
            Some(_) | None => Ok(delivery.map(str::to_owned)),
        }
    }
}

/// One or more signatures, `v1,BASE64` each; other versions are passed over.
fn versioned(given: Option<&str>, key: &[u8], parts: &[&[u8]]) -> bool {
    given.unwrap_or_default().split_ascii_whitespace().filter_map(|one| one.strip_prefix("v1,")).take(10).any(|one| {
        // A sender may leave the padding out.
        STANDARD.decode(one).is_ok_and(|signature| signed(key, parts, &signature))
    })
}

/// Whether this is the HMAC-SHA256 of the parts; how long it takes says nothing of the key.
fn signed(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(key) else { return false };
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(signature).is_ok()
}

/// Compares digests, so that how long it takes says nothing of the secret.
fn same(given: &str, secret: &str) -> bool {
    Sha256::of(given.as_bytes()) == Sha256::of(secret.as_bytes())
}

fn recent(time: &str, now_secs: i64) -> bool {
    time.parse::<i64>().is_ok_and(|time| now_secs.abs_diff(time) <= AGE_MAX.as_secs())
}
