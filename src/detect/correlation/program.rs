//! The correlations of one rule set, made ready to run.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::detect::ruleset::RuleSet;
use crate::event::digest;

use super::plan::{Bound, Condition, Kind, Parts, Plan};

/// One correlation of the set.
#[derive(Debug, Clone)]
pub struct Correlation {
    /// Number of its rule.
    pub rule: usize,
    /// Its identity beyond a reload: the rule, and a digest of what it asks.
    pub key: Arc<str>,
    pub plan: Plan,
}

/// Which correlations a rule's matches go to.
#[derive(Debug, Clone, Default)]
pub struct Program {
    pub correlations: Vec<Correlation>,
    /// By number of the rule: correlation and part.
    feeds: Vec<Vec<(usize, u16)>>,
    by_key: HashMap<Arc<str>, usize>,
}

impl Program {
    pub fn new(set: &RuleSet) -> Self {
        let mut program = Self { feeds: vec![Vec::new(); set.rules().len()], ..Self::default() };
        for (rule, of) in set.rules().iter().enumerate() {
            let Some(plan) = &of.correlation else { continue };
            let number = program.correlations.len();
            let key = program.unused(&identity(set, rule, plan));
            for (part, counted) in plan.parts.iter().enumerate() {
                // A rule can only count rules before it, so that no chain of them ends in itself.
                if let (Ok(part), true) = (u16::try_from(part), counted.rule < rule)
                    && let Some(feed) = program.feeds.get_mut(counted.rule)
                {
                    feed.push((number, part));
                }
            }
            program.by_key.insert(Arc::clone(&key), number);
            program.correlations.push(Correlation { rule, key, plan: plan.clone() });
        }
        program
    }

    /// Correlations and parts that matches of the rules go to, in order.
    pub fn fed(&self, rules: &[usize]) -> Vec<(usize, u16)> {
        let mut fed: Vec<(usize, u16)> =
            rules.iter().filter_map(|rule| self.feeds.get(*rule)).flatten().copied().collect();
        fed.sort_unstable();
        fed.dedup();
        fed
    }

    pub fn find(&self, key: &str) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// Rules without ids may be written twice alike.
    fn unused(&self, key: &str) -> Arc<str> {
        let mut candidate = key.to_owned();
        for copy in 2.. {
            if !self.by_key.contains_key(candidate.as_str()) {
                break;
            }
            candidate = format!("{key}#{copy}");
        }
        candidate.into()
    }
}

/// The rule, and all that decides what is remembered. The numbers of the rules that it counts may
/// change with every reload, so they go by name.
fn identity(set: &RuleSet, rule: usize, plan: &Plan) -> String {
    let mut text = format!("{:?} {} {:?} {}", plan.group_by, plan.timespan_millis, kind(plan.kind), plan.parts.len());
    for part in &plan.parts {
        let counted = set.rule(part.rule).map(super::super::rule::Rule::display_id).unwrap_or_default();
        write!(text, " {counted:?} {:?} {:?}", part.group_fields, part.value_fields).ok();
    }
    condition(&plan.condition, &mut text);
    let id = set.rule(rule).map(super::super::rule::Rule::display_id).unwrap_or_default();
    format!("{id}:{}", digest::of_parts(&[&text]).short())
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::EventCount => "event_count".to_owned(),
        Kind::ValueCount => "value_count".to_owned(),
        Kind::Temporal => "temporal".to_owned(),
        Kind::TemporalOrdered => "temporal_ordered".to_owned(),
        Kind::ValueSum => "value_sum".to_owned(),
        Kind::ValueAvg => "value_avg".to_owned(),
        Kind::ValuePercentile(percent) => format!("value_percentile {percent}"),
        Kind::ValueMedian => "value_median".to_owned(),
    }
}

fn condition(condition: &Condition, text: &mut String) {
    match condition {
        Condition::Bounds(bounds) => {
            for (bound, number) in bounds {
                let word = match bound {
                    Bound::Compare(comparison) => format!("{comparison:?}"),
                    Bound::Equal => "eq".to_owned(),
                    Bound::NotEqual => "neq".to_owned(),
                };
                write!(text, " {word} {number:?}").ok();
            }
        }
        Condition::Parts(asked) => parts(asked, text),
    }
}

fn parts(asked: &Parts, text: &mut String) {
    match asked {
        Parts::Part(number) => {
            write!(text, " {number}").ok();
        }
        Parts::All(members) | Parts::Any(members) => {
            text.push_str(if matches!(asked, Parts::All(_)) { " all(" } else { " any(" });
            for member in members {
                parts(member, text);
            }
            text.push(')');
        }
        Parts::Not(inner) => {
            text.push_str(" not(");
            parts(inner, text);
            text.push(')');
        }
    }
}
