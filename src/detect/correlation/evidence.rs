//! What an alert shows of each event that made it.

use serde_json::{Map, Value as Json, json};

use crate::base::text;
use crate::detect::rule::Rule;
use crate::event::Value;

use super::limits::{EVIDENCE_BYTES_MAX, EVIDENCE_CHARS_MAX, EVIDENCE_FIELDS_MAX};
use super::lookup::View;

/// The event's id and the first of the fields that the rule lists or asks about, as JSON of at most
/// [`EVIDENCE_BYTES_MAX`] bytes.
pub fn compose(id: &str, rule: &Rule, view: View<'_>) -> Box<str> {
    let mut fields = Map::new();
    for path in rule.fields.iter().chain(&rule.referenced_fields) {
        if fields.len() >= EVIDENCE_FIELDS_MAX {
            break;
        }
        if let Some(value) = view.scalars(path).first() {
            fields.insert(path.clone(), shorten(value));
        }
    }
    let id = text::shorten(id, EVIDENCE_CHARS_MAX);
    let whole = json!({"id": id, "fields": fields}).to_string();
    if whole.len() <= EVIDENCE_BYTES_MAX {
        return whole.into();
    }
    // Long names or many bytes in few characters: the fewer fields are worth more than none.
    fields = fields.into_iter().take(2).collect();
    let half = json!({"id": id, "fields": fields}).to_string();
    let short = if half.len() <= EVIDENCE_BYTES_MAX { half } else { json!({"id": id}).to_string() };
    short.into()
}

/// One event as an alert lists it.
pub fn show(kept: Option<&str>, time_millis: i64, rule: &str) -> Json {
    let mut shown: Map<String, Json> = kept.and_then(|kept| serde_json::from_str(kept).ok()).unwrap_or_default();
    shown.insert("time".to_owned(), time(time_millis));
    shown.insert("rule".to_owned(), Json::from(rule));
    Json::Object(shown)
}

/// A time in RFC 3339; milliseconds where a calendar has no such time.
pub fn time(millis: i64) -> Json {
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| Json::from(millis), |time| Json::from(time.to_string()))
}

fn shorten(value: &Value) -> Json {
    match value {
        Value::Text(whole) => Json::String(text::shorten(whole, EVIDENCE_CHARS_MAX)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => value.into(),
    }
}
