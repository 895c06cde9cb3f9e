//! What a correlation found.

use serde_json::{Map, Value as Json, json};

use crate::detect::number::Number;
use crate::detect::rule::Rule;
use crate::detect::ruleset::RuleSet;
use crate::event::correlation::GroupKey;
use crate::event::digest;

use super::evidence::{show, time};
use super::group::{Finding, Group};
use super::plan::{Kind, Plan};

/// One finding: all that an alert needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Fired {
    /// Number of the correlation's rule in the set.
    pub rule: usize,
    /// Deterministic: rule, group, end of the window. The same finding made again has the same id.
    pub id: String,
    pub key: GroupKey,
    /// Names and values by which the group is told apart.
    pub group: Vec<(String, String)>,
    /// The window that holds it: time of its first event, and of its last.
    pub from_millis: i64,
    pub until_millis: i64,
    /// What was computed, by the name of the kind.
    pub kind: &'static str,
    pub figure: Number,
    /// Different events in the window.
    pub events: usize,
    /// The first of them and the last, with id, time, rule and a few fields.
    pub shown: Vec<Json>,
}

impl Fired {
    pub(super) fn new(set: &RuleSet, rule: usize, plan: &Plan, group: &Group, finding: &Finding) -> Self {
        let name = |number: usize| set.rule(number).map(Rule::display_id).unwrap_or_default();
        let key = group.key.to_string();
        let id = digest::of_parts(&[name(rule), &key, &finding.until.to_string()]).short();
        let shown = finding.shown.iter().map(|(time, part, kept)| {
            let counted = plan.parts.get(usize::from(*part)).map(|part| name(part.rule)).unwrap_or_default();
            show(kept.as_deref(), *time, counted)
        });
        Self {
            rule,
            id,
            key: group.key,
            group: plan.group_by.iter().cloned().zip(group.values.iter().cloned()).collect(),
            from_millis: finding.from,
            until_millis: finding.until,
            kind: kind_name(plan.kind),
            figure: finding.figure,
            events: finding.events,
            shown: shown.collect(),
        }
    }

    /// The group in a person's words: its values; empty when all events are one group.
    pub fn group_text(&self) -> String {
        self.group.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// What the alert tells: group, window, what was computed, and the events that made it.
    pub fn evidence(&self) -> Map<String, Json> {
        let mut evidence: Map<String, Json> =
            self.group.iter().map(|(name, value)| (name.clone(), Json::from(value.as_str()))).collect();
        let figure = match self.figure {
            Number::Int(whole) => serde_json::Number::from_i128(whole).map(Json::Number),
            Number::Float(float) => serde_json::Number::from_f64(float).map(Json::Number),
        };
        let correlation = json!({
            "type": self.kind,
            "value": figure.unwrap_or(Json::Null),
            "from": time(self.from_millis),
            "until": time(self.until_millis),
            "events": self.events,
            "shown": self.shown,
        });
        evidence.insert("correlation".to_owned(), correlation);
        evidence
    }
}

/// The type of a correlation as rules write it.
pub const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::EventCount => "event_count",
        Kind::ValueCount => "value_count",
        Kind::Temporal => "temporal",
        Kind::TemporalOrdered => "temporal_ordered",
        Kind::ValueSum => "value_sum",
        Kind::ValueAvg => "value_avg",
        Kind::ValuePercentile(_) => "value_percentile",
        Kind::ValueMedian => "value_median",
    }
}
