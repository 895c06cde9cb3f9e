//! The envelope: `CloudEvents` 1.0 over HTTP, in structured, batched and binary mode.
//!
//! Spec: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md> and
//! `formats/json-format.md` beside it.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Events of one batch.
pub const BATCH_MAX: usize = 1_000;
/// Bytes of `id`, `source`, `type`.
const ATTRIBUTE_MAX: usize = 1_024;

/// One event, without what is not needed of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    pub id: String,
    pub source: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened; where the sender does not say, when it came.
    pub time: Timestamp,
    pub data: Value,
}

/// An event in the JSON format, as written.
#[derive(Deserialize)]
struct Written {
    specversion: Option<String>,
    id: Option<String>,
    source: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    time: Option<String>,
    data: Option<Value>,
    data_base64: Option<String>,
}

/// The events of one request; an error says where, and what should be there.
pub fn of_request(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Vec<Envelope>, String> {
    if header(headers, "ce-specversion").is_some() {
        return Ok(vec![binary(headers, body)?.check(now)?]);
    }
    let content = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Plain `application/json` is what people send by hand: the text tells which of the two it is.
    let batch = content.starts_with("application/cloudevents-batch")
        || body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !batch {
        let written: Written = serde_json::from_slice(body).map_err(|error| not_one(&error))?;
        return Ok(vec![written.check(now)?]);
    }
    let all: Vec<Value> = serde_json::from_slice(body).map_err(|error| format!("the batch is no array: {error}"))?;
    if all.len() > BATCH_MAX {
        return Err(format!("the batch has {} events; send at most {BATCH_MAX} at once", all.len()));
    }
    let mut events = Vec::with_capacity(all.len());
    for (index, one) in all.into_iter().enumerate() {
        let written = Written::deserialize(one).map_err(|error| not_one(&error));
        events.push(written.and_then(|one| one.check(now)).map_err(|problem| format!("event {index}: {problem}"))?);
    }
    Ok(events)
}

fn not_one(error: &serde_json::Error) -> String {
    format!("it is no event of CloudEvents 1.0 in JSON: {error}")
}

/// Attributes come as headers that begin with `ce-`, and the body is the data.
fn binary(headers: &HeaderMap, body: &[u8]) -> Result<Written, String> {
    let attribute = |name: &str| header(headers, name).map(|text| decoded(&text));
    let data = serde_json::from_slice(body).map_err(|error| format!("the data is no JSON: {error}"))?;
    Ok(Written {
        specversion: attribute("ce-specversion"),
        id: attribute("ce-id"),
        source: attribute("ce-source"),
        kind: attribute("ce-type"),
        time: attribute("ce-time"),
        data: Some(data),
        data_base64: None,
    })
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(|text| text.trim().to_owned())
}

/// Headers are percent-encoded (section 3.1.3.2 of the binding).
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl Written {
    fn check(self, now: Timestamp) -> Result<Envelope, String> {
        match self.specversion.as_deref() {
            Some("1.0") => {}
            Some(other) => return Err(format!("`specversion` is `{other}`; 1.0 is understood")),
            None => return Err("`specversion` is missing; write \"1.0\"".to_owned()),
        }
        let time = match &self.time {
            None => now,
            Some(text) => text
                .parse()
                .map_err(|_| format!("`time` is `{text}`, which is no time of RFC 3339, as 2026-01-31T12:00:00Z"))?,
        };
        let data = match (self.data, self.data_base64) {
            (Some(data), None) => data,
            (None, Some(text)) => {
                let bytes = STANDARD.decode(text).map_err(|error| format!("`data_base64`: {error}"))?;
                serde_json::from_slice(&bytes).map_err(|error| format!("`data_base64` holds no JSON: {error}"))?
            }
            (None, None) => return Err("`data` is missing".to_owned()),
            (Some(_), Some(_)) => return Err("there is `data` and `data_base64`; send one of them".to_owned()),
        };
        Ok(Envelope {
            id: attribute("id", self.id)?,
            source: attribute("source", self.source)?,
            kind: attribute("type", self.kind)?,
            time,
            data,
        })
    }
}

fn attribute(name: &str, text: Option<String>) -> Result<String, String> {
    match text {
        Some(text) if text.is_empty() => Err(format!("`{name}` is empty")),
        Some(text) if text.len() > ATTRIBUTE_MAX => Err(format!("`{name}` has more than {ATTRIBUTE_MAX} bytes")),
        Some(text) => Ok(text),
        None => Err(format!("`{name}` is missing")),
    }
}
