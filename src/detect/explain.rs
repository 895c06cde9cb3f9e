//! Why a rule matches an event, or does not: the rule as written, with what each part saw.
//!
//! The compiled form has lost its names and joined what it could. So the written form is read again,
//! each of its smallest parts is compiled by itself as the whole was, and the same matcher answers.

mod blame;
mod parts;
mod seen;

use serde::Serialize;

use super::correlation::plan::Plan;
use super::{Loader, Rule, RuleSet, Source};
use crate::event::{Event, Fields};

pub use parts::{Leaf, Part, Value};
pub use seen::Found;

/// Correlations of correlations that are followed.
const DEPTH_MAX: usize = 16;

/// An event as it was handed in.
#[derive(Clone, Copy)]
pub enum Asked<'e> {
    /// One of ours: rules look at it by their logsource.
    Ours(&'e Event),
    /// Somebody else's: every rule looks at it, names are paths.
    Open(&'e Fields),
}

impl Asked<'_> {
    const fn fields(&self) -> &Fields {
        match self {
            Self::Ours(event) => &event.fields,
            Self::Open(fields) => fields,
        }
    }

    fn hits(&self, set: &RuleSet) -> Vec<usize> {
        match self {
            Self::Ours(event) => set.hits(event),
            Self::Open(fields) => set.open_hits(fields),
        }
    }
}

/// What became of one rule and one event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    pub rule: String,
    pub title: String,
    /// The rule matches; for a correlation: it counts the event.
    pub matches: bool,
    /// It raises no alert by itself: [`Self::counted_by`] only counts it, or it is disabled.
    pub silent: bool,
    /// The correlations that count it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counted_by: Vec<String>,
    /// What the rule looks at and the event is not.
    pub logsource: Vec<Mismatch>,
    /// The condition, then each filter; all must hold. Empty for correlations.
    pub parts: Vec<Part>,
    /// The fewest parts that would have to be otherwise; empty when it matches.
    pub missed: Vec<Missed>,
    /// For a correlation: what it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlated>,
}

/// One part of a logsource that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// `category`, `product` or `service`.
    pub part: &'static str,
    pub wanted: String,
    pub found: Option<String>,
}

/// One part that kept the rule from matching.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missed {
    /// Names from the whole to the part, such as `selection`, `file.path|endswith`.
    pub path: Vec<String>,
    /// What it should have been: false for what stands under a `not`.
    pub wanted: bool,
    pub leaf: Leaf,
}

/// A correlation and one event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Correlated {
    /// What it asks of the events together.
    pub asks: String,
    pub window_millis: i64,
    pub parts: Vec<CorrelatedPart>,
}

/// One rule that a correlation counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CorrelatedPart {
    /// The group that the event would count in: names and values.
    pub group: Vec<(String, Found)>,
    /// The values that would be counted, summed and so on.
    pub values: Vec<(String, Found)>,
    /// Counted: the rule matches, and the event has every field of the group and of the values.
    pub counts: bool,
    pub rule: Explanation,
}

/// Why there is no explanation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    #[error("the rule is not written in any of the files")]
    NotWritten,
    #[error("the rule cannot be taken apart: {0}")]
    Parts(String),
}

/// Explains the rule with this number, which was loaded from these sources.
pub fn explain(
    set: &RuleSet,
    loader: &Loader,
    sources: &[Source],
    number: usize,
    asked: Asked<'_>,
) -> Result<Explanation, ExplainError> {
    let hits = asked.hits(set);
    Explainer { set, loader, sources, hits, asked }.rule(number, 0)
}

struct Explainer<'e> {
    set: &'e RuleSet,
    loader: &'e Loader,
    sources: &'e [Source],
    hits: Vec<usize>,
    asked: Asked<'e>,
}

impl Explainer<'_> {
    fn rule(&self, number: usize, depth: usize) -> Result<Explanation, ExplainError> {
        let rule = self.set.rule(number).filter(|_| depth < DEPTH_MAX).ok_or(ExplainError::NotWritten)?;
        if let Some(plan) = &rule.correlation {
            return self.correlation(number, rule, plan, depth);
        }
        let logsource = self.mismatches(rule);
        let matches = self.hits.contains(&number);
        let parts = parts::parts(rule, self.loader, self.sources, self.asked)?;
        // A whole that fails for its logsource alone has no part to blame.
        let missed = if matches { Vec::new() } else { blame::missed(&parts) };
        Ok(Explanation { matches, logsource, parts, missed, ..self.begin(number, rule) })
    }

    fn begin(&self, number: usize, rule: &Rule) -> Explanation {
        let counts = |other: &&Rule| {
            other.correlation.as_ref().is_some_and(|plan| plan.parts.iter().any(|part| part.rule == number))
        };
        let counted_by = self.set.rules().iter().filter(counts).map(|other| other.display_id().to_owned());
        Explanation {
            rule: rule.display_id().to_owned(),
            title: rule.title.clone(),
            matches: false,
            silent: rule.silent,
            counted_by: counted_by.collect(),
            logsource: Vec::new(),
            parts: Vec::new(),
            missed: Vec::new(),
            correlation: None,
        }
    }

    fn mismatches(&self, rule: &Rule) -> Vec<Mismatch> {
        let Asked::Ours(event) = self.asked else {
            return Vec::new();
        };
        let found = [Some(event.kind.category()), Some(event.product.as_str()), event.service.as_deref()];
        let wanted = [&rule.logsource.category, &rule.logsource.product, &rule.logsource.service];
        let parts = ["category", "product", "service"].into_iter().zip(wanted).zip(found);
        let mismatch = |((part, wanted), found): ((&'static str, &Option<String>), Option<&str>)| {
            let wanted = wanted.as_ref()?;
            let fits = found.is_some_and(|found| found.eq_ignore_ascii_case(wanted));
            (!fits).then(|| Mismatch { part, wanted: wanted.clone(), found: found.map(str::to_owned) })
        };
        parts.filter_map(mismatch).collect()
    }

    fn correlation(&self, number: usize, rule: &Rule, plan: &Plan, depth: usize) -> Result<Explanation, ExplainError> {
        let mut parts = Vec::new();
        let nested = matches!(self.asked, Asked::Open(_));
        let look = |field: &String| seen::found(self.asked.fields(), field, nested);
        for part in &plan.parts {
            let explained = self.rule(part.rule, depth + 1)?;
            let names = plan.group_by.iter().cloned();
            let group: Vec<_> = names.zip(part.group_fields.iter().map(look)).collect();
            let values: Vec<_> = part.value_fields.iter().map(|field| (field.clone(), look(field))).collect();
            let there = |(_, found): &(String, Found)| found.is_value();
            let counts = explained.matches && group.iter().all(there) && values.iter().all(there);
            parts.push(CorrelatedPart { group, values, counts, rule: explained });
        }
        let matches = parts.iter().any(|part| part.counts);
        let correlated = Correlated { asks: asks(plan), window_millis: plan.timespan_millis, parts };
        Ok(Explanation { matches, correlation: Some(correlated), ..self.begin(number, rule) })
    }
}

/// The condition of a correlation in words.
fn asks(plan: &Plan) -> String {
    use super::correlation::plan::{Bound, Condition, Kind};
    let what = match plan.kind {
        Kind::EventCount => "the number of events".to_owned(),
        Kind::ValueCount => "the number of different values".to_owned(),
        Kind::Temporal => "the rules, in any order".to_owned(),
        Kind::TemporalOrdered => "the rules, in this order".to_owned(),
        Kind::ValueSum => "the sum of the values".to_owned(),
        Kind::ValueAvg => "the average of the values".to_owned(),
        Kind::ValuePercentile(percentile) => format!("percentile {percentile} of the values"),
        Kind::ValueMedian => "the median of the values".to_owned(),
    };
    match &plan.condition {
        Condition::Parts(parts) => format!("{what}: {}", combination(parts, plan)),
        Condition::Bounds(bounds) => {
            let bound = |(bound, number): &(Bound, super::number::Number)| {
                let sign = match bound {
                    Bound::Compare(comparison) => sign(*comparison),
                    Bound::Equal => "=",
                    Bound::NotEqual => "≠",
                };
                format!("{sign} {number}")
            };
            format!("{what} {}", bounds.iter().map(bound).collect::<Vec<_>>().join(" and "))
        }
    }
}

const fn sign(comparison: super::Comparison) -> &'static str {
    use super::Comparison;
    match comparison {
        Comparison::Lt => "<",
        Comparison::Lte => "≤",
        Comparison::Gt => ">",
        Comparison::Gte => "≥",
    }
}

fn combination(parts: &super::correlation::plan::Parts, plan: &Plan) -> String {
    use super::correlation::plan::Parts;
    let join = |members: &[Parts], word: &str| {
        members.iter().map(|member| combination(member, plan)).collect::<Vec<_>>().join(word)
    };
    match parts {
        Parts::Part(number) => plan.parts.get(*number).map_or_else(String::new, |part| part.name.clone()),
        Parts::All(members) => format!("({})", join(members, " and ")),
        Parts::Any(members) => format!("({})", join(members, " or ")),
        Parts::Not(inner) => format!("not {}", combination(inner, plan)),
    }
}
