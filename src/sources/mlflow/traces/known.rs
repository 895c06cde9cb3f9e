//! What was told of the traces of one workspace, and how far: kept as checkpoints, each of which is durable together with
//! what it stands for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::digest;
use crate::sources::Checkpoint;

/// Traces that are remembered as told. Of more, those that ended first are forgotten, and no others that ended before
/// them are looked for any more.
const TOLD_MAX: usize = 50_000;
/// What the key of how far it was read begins with.
const REACHED: &str = "traces/";
/// What the keys of those that were told begin with.
const TOLD: &str = "trace/";

/// All times are milliseconds since 1970.
#[derive(Debug, Default)]
pub struct Known {
    /// Part of keys: empty, or the workspace and a slash.
    part: String,
    /// What ended before was listed once.
    mark: Option<i64>,
    /// What ended before is not looked for any more.
    floor: i64,
    /// Digests of ids, and until when each may come again.
    told: BTreeMap<String, i64>,
    kept: Option<Reached>,
    /// More was told than is remembered.
    early: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    mark: i64,
    floor: i64,
}

/// What something is remembered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    pub fn of(id: &str) -> Self {
        Self(digest::of_parts(&[id]).short())
    }

    /// A trace that did not end: its end is another thing to tell.
    pub fn unfinished(id: &str) -> Self {
        Self(digest::of_parts(&[id, "unfinished"]).short())
    }
}

/// What is to be kept, in this order.
#[derive(Debug, Default)]
pub struct Settled {
    pub keep: Vec<Checkpoint>,
    /// More was told than is remembered, so that what comes late is not looked for as long as it should be.
    pub early: bool,
}

impl Known {
    /// What an earlier run kept.
    pub fn recall(part: String, memory: &BTreeMap<String, Value>) -> Self {
        let kept = memory.get(&format!("{REACHED}{part}"));
        let kept: Option<Reached> = kept.and_then(|value| serde_json::from_value(value.clone()).ok());
        let begin = format!("{TOLD}{part}");
        let rows = memory.range(begin.clone()..).take_while(|(key, _)| key.starts_with(&begin));
        let told = rows.filter_map(|(key, value)| {
            let digest = key.strip_prefix(&begin).filter(|digest| !digest.contains('/'))?;
            Some((digest.to_owned(), value.as_i64()?))
        });
        Self {
            told: told.collect(),
            mark: kept.map(|kept| kept.mark),
            floor: kept.map_or(0, |kept| kept.floor),
            kept,
            part,
            early: false,
        }
    }

    /// Keys of all that was ever kept, whichever workspace it is of.
    pub fn keys(memory: &BTreeMap<String, Value>) -> impl Iterator<Item = &String> {
        memory.keys().filter(|key| key.starts_with(REACHED) || key.starts_with(TOLD))
    }

    /// Whether nothing was ever read.
    pub const fn is_new(&self) -> bool {
        self.mark.is_none()
    }

    pub const fn floor(&self) -> i64 {
        self.floor
    }

    pub fn mark(&self) -> i64 {
        self.mark.unwrap_or(self.floor)
    }

    /// Nothing that ended before this time is looked for.
    pub const fn begin(&mut self, floor: i64) {
        self.floor = floor;
    }

    /// All that ended before this time was listed.
    pub fn reach(&mut self, mark: i64) {
        self.mark = self.mark.max(Some(mark));
    }

    pub fn has(&self, key: &Key) -> bool {
        self.told.contains_key(&key.0)
    }

    /// What to say where more was told than is remembered.
    pub fn forgets(&self, late: i64) -> Option<String> {
        let floor = jiff::Timestamp::from_millisecond(self.floor).ok()?;
        let early = self.mark.is_some_and(|mark| self.floor > mark.saturating_sub(late)) && self.early;
        early.then(|| {
            format!("more than {TOLD_MAX} traces ended in `late_secs`: those that ended before {floor} and come now are not seen")
        })
    }

    /// How many were told that end later than this time.
    pub fn after(&self, time: i64) -> usize {
        self.told.values().filter(|until| **until > time).count()
    }

    /// Remembers that something is told; what to keep, unless that is kept.
    pub fn remember(&mut self, key: Key, until: i64) -> Option<Checkpoint> {
        let Key(digest) = key;
        if self.told.get(&digest).is_some_and(|known| *known >= until) {
            return None;
        }
        self.told.insert(digest.clone(), until);
        Some(Checkpoint { key: format!("{TOLD}{}{digest}", self.part), position: until.into() })
    }

    /// Forgets what cannot come again.
    pub fn settle(&mut self, late: i64) -> Settled {
        let Some(mark) = self.mark else { return Settled::default() };
        self.floor = self.floor.max(mark.saturating_sub(late));
        let mut early = false;
        let over = self.told.len().saturating_sub(TOLD_MAX);
        if over > 0 {
            let mut ends: Vec<i64> = self.told.values().copied().collect();
            let (_, last, _) = ends.select_nth_unstable(over - 1);
            let floor = last.saturating_add(1).min(mark);
            early = floor > self.floor;
            self.floor = self.floor.max(floor);
            self.early |= early;
        }
        let gone: Vec<String> =
            self.told.iter().filter(|(_, until)| **until < self.floor).map(|(digest, _)| digest.clone()).collect();
        let reached = Reached { mark, floor: self.floor };
        let mut keep = Vec::new();
        if self.kept != Some(reached) {
            self.kept = Some(reached);
            let position = serde_json::json!({ "mark": mark, "floor": self.floor });
            keep.push(Checkpoint { key: format!("{REACHED}{}", self.part), position });
        }
        // How far it was read before what that makes needless.
        for digest in gone {
            self.told.remove(&digest);
            keep.push(Checkpoint { key: format!("{TOLD}{}{digest}", self.part), position: Value::Null });
        }
        Settled { keep, early }
    }
}
