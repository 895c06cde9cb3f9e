//! The entries of an index: an array of events, or one a line; what an envelope has beside type, time and data need
//! not be there.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::super::data::{self, Data};

/// One entry, or which one makes no sense and why.
pub type Entry = Result<(Data, Option<Timestamp>), String>;

#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    kind: String,
    time: Option<Timestamp>,
    data: Value,
}

/// All entries; an error if the text breaks off or is no JSON: then nothing can be said of what it does not name.
pub fn entries(body: &[u8]) -> Result<Vec<Entry>, String> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let all: Vec<Value> = match first {
        Some(b'[') => serde_json::from_slice(body).map_err(|error| error.to_string())?,
        Some(_) => {
            let lines = serde_json::Deserializer::from_slice(body).into_iter();
            lines.collect::<Result<_, _>>().map_err(|error| error.to_string())?
        }
        None => return Err("it is empty; an index of nothing is `[]`".to_owned()),
    };
    Ok(all.into_iter().enumerate().map(|(index, value)| entry(index, value)).collect())
}

fn entry(index: usize, value: Value) -> Entry {
    let written = Written::deserialize(value).map_err(|error| format!("entry {index}: {error}"))?;
    match data::parse(&written.kind, written.data).map_err(|problem| format!("entry {index}: {problem}"))? {
        Data::Gone(_) => Err(format!("entry {index}: an index does not name what is gone; leave it out")),
        data => Ok((data, written.time)),
    }
}
