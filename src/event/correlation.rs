//! What correlations remember between events, as plain rows: made by rules, kept by the state.

use std::fmt;
use std::sync::Arc;

/// Which group of a correlation: 128 bits of a digest over its folded values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey(pub [u8; 16]);

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One counted event, or one of the rules that it matched.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// Event time in milliseconds since 1970.
    pub time: i64,
    /// Order of arrival; entries of one event share it.
    pub seq: i64,
    /// Digest of the event's id: the same event is counted once.
    pub event: i64,
    /// Number of the rule within the correlation.
    pub part: u16,
    /// What it adds to a sum, a percentile or a count of values, as JSON; empty for none.
    pub value: String,
    /// Id and a few fields, as JSON, while they are kept.
    pub evidence: Option<String>,
}

/// One change of what correlations remember. Replaying all of them in order gives the same memory.
#[derive(Debug, Clone, PartialEq)]
pub enum Memo {
    /// A group, or another source that it last heard of.
    Group {
        correlation: Arc<str>,
        group: GroupKey,
        values: Vec<String>,
        source: String,
    },
    Count {
        correlation: Arc<str>,
        group: GroupKey,
        counted: Counted,
    },
    /// The evidence of one entry is no longer kept.
    Strip {
        correlation: Arc<str>,
        group: GroupKey,
        time: i64,
        seq: i64,
        part: u16,
    },
    /// A window that ended then was told.
    Fired {
        correlation: Arc<str>,
        group: GroupKey,
        time: i64,
    },
    /// Entries before this place, and marks of alerts before this time, are of no use any more.
    Trim {
        correlation: Arc<str>,
        group: GroupKey,
        time: i64,
        seq: i64,
        fired_before: i64,
    },
    /// The group is gone: expired or evicted.
    Forget {
        correlation: Arc<str>,
        group: GroupKey,
    },
    /// The correlation is gone, or asks something else now.
    Drop {
        correlation: Arc<str>,
    },
    /// How far a source's event time has come.
    Watermark {
        source: String,
        time: i64,
    },
    /// The number that the next arrival takes.
    Next {
        seq: i64,
    },
}
