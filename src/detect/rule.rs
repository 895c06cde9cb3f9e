//! A rule: what it says of itself, beside what it matches.

use serde_json::{Map, Value as Json};

use crate::base::text;
use crate::event::alert::AlertRule;
use crate::event::{Event, Fields, LifecyclePhase, MitigationId, Severity, TechniqueId, Value};

use super::correlation::Plan;

pub use super::sigma::logsource::Logsource;

/// Fields in the evidence of one alert.
const EVIDENCE_FIELDS_MAX: usize = 48;
/// Members of a list in the evidence.
const EVIDENCE_ITEMS_MAX: usize = 24;
/// Characters of a text in the evidence.
const EVIDENCE_CHARS_MAX: usize = 400;

/// One rule, without its matcher.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// `REG-001`; foreign rules have none.
    pub short_id: Option<String>,
    /// Sigma's `id`, a UUID.
    pub uuid: Option<String>,
    /// Sigma's `name`: what correlations would call it.
    pub name: Option<String>,
    pub title: String,
    /// What it means and what to do.
    pub description: String,
    /// `stable`, `test`, `experimental`, `deprecated` or `unsupported`.
    pub status: Option<String>,
    /// Other rules that its author names.
    pub related: Vec<Related>,
    pub author: Option<String>,
    pub date: Option<String>,
    pub modified: Option<String>,
    /// Sigma's `level`; medium when a foreign rule has none.
    pub severity: Severity,
    /// All tags as written.
    pub tags: Vec<String>,
    /// The techniques among them.
    pub atlas: Vec<TechniqueId>,
    pub atlas_version: Option<String>,
    pub phase: Option<LifecyclePhase>,
    pub mitigations: Vec<MitigationId>,
    pub logsource: Logsource,
    /// Fields that the rule wants to be shown.
    pub fields: Vec<String>,
    /// Fields that the rule asks about, sorted.
    pub referenced_fields: Vec<String>,
    pub falsepositives: Vec<String>,
    pub references: Vec<String>,
    pub tests: Vec<RuleTest>,
    /// The tests of a correlation.
    pub timelines: Vec<Timeline>,
    /// What is asked beyond the rule itself: titles of the filters that apply to it.
    pub filters: Vec<String>,
    /// What it asks of several events together; `None` for a rule about single events.
    pub correlation: Option<Plan>,
    /// A match raises no alert of its own: a correlation counts it, and does not `generate`.
    pub silent: bool,
    /// An operator switched it off; it is there to be counted only.
    pub disabled: bool,
    /// It says that it was made from a rule of others, and has less to say of itself than ours.
    pub imported: bool,
    /// File it came from, and the line on which it begins.
    pub path: String,
    pub line: usize,
}

/// One of the rule's own tests.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTest {
    pub name: String,
    /// Flat, by dotted path.
    pub event: Fields,
    /// Whether the rule must match it.
    pub matches: bool,
    pub line: usize,
}

/// Another rule, and what it is to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Its Sigma id.
    pub id: String,
    /// `derived`, `obsolete`, `merged`, `renamed`, `similar` or `correlation`.
    pub kind: String,
}

/// One of a correlation's own tests: events in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    pub name: String,
    /// In the order in which they arrive, which need not be that of their times.
    pub events: Vec<TimedEvent>,
    /// Whether the correlation must raise an alert.
    pub matches: bool,
    /// How many, where the test says so.
    pub alerts: Option<u64>,
    pub line: usize,
}

/// One event of a [`Timeline`].
#[derive(Debug, Clone, PartialEq)]
pub struct TimedEvent {
    /// Milliseconds after the test's beginning.
    pub at_millis: i64,
    /// Flat, by dotted path. `event.category` says what kind of event it is; without it, it is one that
    /// the correlation's rules look at, whichever.
    pub fields: Fields,
}

impl Rule {
    /// What outputs call the rule: the short id, else Sigma's id, else the title.
    pub fn display_id(&self) -> &str {
        self.short_id.as_deref().or(self.uuid.as_deref()).unwrap_or(&self.title)
    }

    /// The facts of an event that a person needs to judge the alert: those that the rule lists,
    /// then those that it asks about, as far as the event has them. Long texts and lists are cut,
    /// and say so.
    pub fn evidence(&self, event: &Event) -> Map<String, Json> {
        let mut evidence = Map::new();
        for path in self.fields.iter().chain(&self.referenced_fields) {
            let family = path.strip_suffix('*').filter(|stem| stem.ends_with('.'));
            let members = event.fields.iter().filter(|(name, _)| match family {
                Some(stem) => name.starts_with(stem),
                None => *name == path,
            });
            for (name, value) in members {
                if evidence.len() >= EVIDENCE_FIELDS_MAX {
                    return evidence;
                }
                evidence.entry(name.clone()).or_insert_with(|| shorten(value, 0));
            }
        }
        evidence
    }

    /// The rule as alerts carry it.
    pub fn to_alert_rule(&self) -> AlertRule {
        AlertRule {
            id: self.display_id().to_owned(),
            uuid: self.uuid.clone().unwrap_or_default(),
            title: self.title.clone(),
            description: self.description.clone(),
            atlas: self.atlas.iter().map(ToString::to_string).collect(),
            atlas_version: self.atlas_version.clone().unwrap_or_default(),
            phase: self.phase.map(LifecyclePhase::as_str).unwrap_or_default().to_owned(),
            mitigations: self.mitigations.iter().map(ToString::to_string).collect(),
        }
    }
}

fn shorten(value: &Value, depth: usize) -> Json {
    match value {
        Value::Text(whole) => Json::String(text::shorten(whole, EVIDENCE_CHARS_MAX)),
        Value::List(items) => {
            let mut shown: Vec<Json> =
                items.iter().take(EVIDENCE_ITEMS_MAX).map(|item| shorten(item, depth + 1)).collect();
            if let Some(more) = items.len().checked_sub(EVIDENCE_ITEMS_MAX).filter(|more| *more > 0) {
                shown.push(Json::String(format!("… and {more} more")));
            }
            Json::Array(shown)
        }
        Value::Map(members) if depth < 4 => {
            let shown = members.iter().take(EVIDENCE_ITEMS_MAX);
            Json::Object(shown.map(|(name, value)| (name.clone(), shorten(value, depth + 1))).collect())
        }
        Value::Map(_) => Json::String("…".to_owned()),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => value.into(),
    }
}
