//! In which order things were said: events overtake each other on their way, and what is older must not undo what is
//! newer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sources::Checkpoint;

/// What is gone is remembered for so long: an event that was on its way meanwhile does not bring it back.
const GONE_MILLIS: i64 = 3_600_000;

/// When each record was last spoken of.
#[derive(Debug, Default)]
pub struct Order {
    last: BTreeMap<String, Last>,
}

/// Kept as the position of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    /// Milliseconds since 1970, by the sender's clock.
    time: i64,
    /// When it was told that it is gone, by our clock.
    gone: Option<i64>,
}

impl Order {
    pub fn restored(checkpoints: BTreeMap<String, serde_json::Value>) -> Self {
        let last = checkpoints.into_iter().filter_map(|(key, position)| Some((key, Last::deserialize(position).ok()?)));
        Self { last: last.collect() }
    }

    /// Whether there is room to remember a record.
    pub fn has_room(&self, key: &str, records_max: usize) -> bool {
        self.last.len() < records_max || self.last.contains_key(key)
    }

    /// Records that are there.
    pub fn len(&self) -> usize {
        self.last.values().filter(|last| last.gone.is_none()).count()
    }

    /// What to remember with an event; `None` if something later was said of the record already.
    pub fn take(&mut self, key: &str, time: Timestamp, gone: Option<Timestamp>) -> Option<Checkpoint> {
        let time = time.as_millisecond();
        if self.last.get(key).is_some_and(|last| last.time > time) {
            return None;
        }
        let last = Last { time, gone: gone.map(Timestamp::as_millisecond) };
        self.last.insert(key.to_owned(), last);
        Some(Checkpoint { key: key.to_owned(), position: serde_json::to_value(last).unwrap_or_default() })
    }

    /// Forgets what is gone for long.
    pub fn forget(&mut self, now: Timestamp) -> Vec<Checkpoint> {
        let until = now.as_millisecond().saturating_sub(GONE_MILLIS);
        let old = self.last.extract_if(.., |_, last| last.gone.is_some_and(|gone| gone < until));
        old.map(|(key, _)| Checkpoint { key, position: serde_json::Value::Null }).collect()
    }
}
