//! A correlation rule, compiled (Sigma correlation rules specification 2.1).

use crate::detect::number::Number;
use crate::detect::sigma::modifier::Comparison;

/// What a correlation rule asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub kind: Kind,
    /// The rules that it counts, in the order in which they are written.
    pub parts: Vec<Part>,
    /// What groups are told apart by: names of fields, or of aliases. Empty: all events are one group.
    pub group_by: Vec<String>,
    /// Length of the window in milliseconds of event time.
    pub timespan_millis: i64,
    pub condition: Condition,
    /// The rules that it counts raise alerts of their own, too.
    pub generate: bool,
}

/// One rule that a correlation counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its number in [`crate::detect::RuleSet::rules`]; always smaller than the correlation's own.
    pub rule: usize,
    /// What the correlation calls it: its name or id.
    pub name: String,
    /// The field of this rule's events for each member of [`Plan::group_by`], aliases resolved.
    pub group_fields: Vec<String>,
    /// The fields of which values are counted, for `value_count` and the like; aliases resolved.
    pub value_fields: Vec<String>,
}

/// What is computed over a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Events.
    EventCount,
    /// Different values of the value fields.
    ValueCount,
    /// Whether all rules (or what the condition says of them) matched, in any order.
    Temporal,
    /// The same, in the order in which the rules are written.
    TemporalOrdered,
    ValueSum,
    ValueAvg,
    /// With the percentile asked for, above 0 to 100.
    ValuePercentile(f64),
    ValueMedian,
}

/// When a window is a finding.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// What was computed keeps within all these bounds.
    Bounds(Vec<(Bound, Number)>),
    /// Which rules matched in the window.
    Parts(Parts),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Compare(Comparison),
    Equal,
    NotEqual,
}

/// A condition over the rules of a temporal correlation.
#[derive(Debug, Clone, PartialEq)]
pub enum Parts {
    /// The part with this number in [`Plan::parts`] matched at least once in the window.
    Part(usize),
    All(Vec<Parts>),
    Any(Vec<Parts>),
    Not(Box<Parts>),
}

impl Bound {
    pub fn holds(self, found: Number, wanted: Number) -> bool {
        let ordering = found.compare(wanted);
        match self {
            Self::Compare(comparison) => comparison.holds(ordering),
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
        }
    }
}
