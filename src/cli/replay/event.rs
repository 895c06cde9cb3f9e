//! One line as an event: its fields, its time, its id.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::event::subject::SubjectKind;
use crate::event::{Event, EventKind, Fields, Place, Subject, Value, json};

/// Where an event may say when it happened, when nobody says where.
const TIME_FIELDS: [&str; 2] = ["@timestamp", "time"];

/// The fields of a line, and in how many places its JSON had to be put right.
pub fn fields_of(line: &[u8]) -> Result<(Fields, usize), String> {
    let line = line.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(line);
    if let Ok(read) = json::mended(line) {
        return Ok(read);
    }
    match serde_json::from_slice::<serde_json::Value>(line) {
        Ok(_) => Err("an event is a JSON object".to_owned()),
        Err(error) => Err(format!("no JSON: {error}")),
    }
}

/// When it happened, if it says so.
pub fn time_of(fields: &Fields, named: Option<&str>) -> Option<Timestamp> {
    let names = named.as_ref().map_or(TIME_FIELDS.as_slice(), std::slice::from_ref);
    names.iter().find_map(|name| parse(lookup(fields, name)?))
}

/// What it calls itself, if it does.
pub fn id_of(fields: &Fields) -> Option<&str> {
    lookup(fields, "event.id").and_then(Value::as_text).filter(|id| !id.is_empty())
}

/// A normalised event: flat fields, of which `event.category` says what kind it is.
pub fn event_of(fields: Fields, time: Timestamp) -> Result<Event, String> {
    let text = |path: &str| fields.get(path).and_then(Value::as_text).map(str::to_owned);
    let Some(category) = text("event.category") else {
        return Err("`event.category` is missing; for foreign events use --open-schema".to_owned());
    };
    let kind = EventKind::from_category(&category).ok_or_else(|| {
        let known = EventKind::ALL.map(EventKind::category).join(", ");
        format!("`{category}` is no event category; there are {known}")
    })?;
    Ok(Event {
        id: text("event.id").unwrap_or_default(),
        kind,
        time,
        source: text("event.provider").unwrap_or_else(|| "replay".to_owned()),
        product: text("event.dataset").unwrap_or_default(),
        service: text("event.service"),
        subject: Subject::new(SubjectKind::Artifact, text("subject.name").unwrap_or_default()),
        artifact: None,
        digest: None,
        place: Place::default(),
        fields,
    })
}

/// A flat name, else a path through objects.
fn lookup<'f>(fields: &'f Fields, name: &str) -> Option<&'f Value> {
    if let Some(value) = fields.get(name) {
        return Some(value);
    }
    let mut map = fields;
    let mut parts = name.split('.').peekable();
    while let Some(part) = parts.next() {
        match map.get(part)? {
            found if parts.peek().is_none() => return Some(found),
            Value::Map(inner) => map = inner,
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::List(_) => {
                return None;
            }
        }
    }
    None
}

/// RFC 3339; date and time without a zone, which counts as UTC; or seconds, milliseconds,
/// microseconds or nanoseconds since 1970, told apart by their size.
fn parse(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Text(text) => {
            let text = text.trim();
            let civil = || {
                let date: DateTime = text.parse().ok()?;
                TimeZone::UTC.to_timestamp(date).ok()
            };
            text.parse().ok().or_else(civil).or_else(|| number(text.parse().ok()?))
        }
        Value::Int(whole) => {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds are wanted")]
            let float = *whole as f64;
            number(float)
        }
        Value::Float(float) => number(*float),
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "out of range is checked by whoever makes the time")]
fn number(count: f64) -> Option<Timestamp> {
    let millis = match count.abs() {
        size if size < 1e11 => count * 1e3,
        size if size < 1e14 => count,
        size if size < 1e17 => count / 1e3,
        size if size < 1e20 => count / 1e6,
        _ => return None,
    };
    millis.is_finite().then(|| Timestamp::from_millisecond(millis.round() as i64).ok())?
}
