//! The entries of an index: an array of events, or one a line; what an envelope has beside type, time and data need
//! not be there. One entry at a time is made into values: those of a whole index may take forty times its size.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::data::{self, Data};

/// Bytes of one entry.
const ENTRY_MAX: usize = 1 << 20;
/// Entries without sense that are told of by themselves.
const PROBLEMS_MAX: usize = 20;

/// What an index says.
#[derive(Debug, Default)]
pub struct Read {
    pub entries: Vec<(Data, Option<Timestamp>)>,
    /// Which entries make no sense, and why: the first of them.
    pub problems: Vec<String>,
    /// How many make none.
    pub problems_count: usize,
    count: usize,
    most: usize,
}

#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    kind: String,
    time: Option<Timestamp>,
    data: Value,
}

/// All entries, as far as there are no more than `most`; an error if the text breaks off or is no JSON: then nothing
/// can be said of what it does not name.
pub fn entries(body: &[u8], most: usize) -> Result<Read, String> {
    let mut read = Read { most, ..Read::default() };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => {
            deserializer.deserialize_seq(All(&mut read)).map_err(|error| error.to_string())?;
            deserializer.end().map_err(|error| error.to_string())?;
        }
        Some(_) => {
            for raw in deserializer.into_iter::<&RawValue>() {
                read.take(raw.map_err(|error| error.to_string())?);
            }
        }
        None => return Err("it is empty; an index of nothing is `[]`".to_owned()),
    }
    Ok(read)
}

/// Takes the entries of an array one by one.
struct All<'r>(&'r mut Read);

impl<'de> Visitor<'de> for All<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        while let Some(raw) = all.next_element::<&RawValue>()? {
            self.0.take(raw);
        }
        Ok(())
    }
}

impl Read {
    fn take(&mut self, raw: &RawValue) {
        let index = self.count;
        self.count = index.saturating_add(1);
        // One more than are kept: whoever keeps them sees that there are too many.
        if self.entries.len() > self.most {
            return;
        }
        match entry(raw.get()) {
            Ok(entry) => self.entries.push(entry),
            Err(problem) => {
                self.problems_count = self.problems_count.saturating_add(1);
                if self.problems.len() < PROBLEMS_MAX {
                    self.problems.push(format!("entry {index}: {problem}"));
                }
            }
        }
    }
}

fn entry(text: &str) -> Result<(Data, Option<Timestamp>), String> {
    if text.len() > ENTRY_MAX {
        return Err(format!("it has more than {ENTRY_MAX} bytes"));
    }
    let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match data::parse(&written.kind, written.data)? {
        Data::Gone(_) => Err("an index does not name what is gone; leave it out".to_owned()),
        data => Ok((data, written.time)),
    }
}
