//! From events to alerts: rules in force, mutes, and when a finding is told again.

use std::sync::{Arc, PoisonError, RwLock};

use super::tally::Tally;
use crate::alert::{self, Mute};
use crate::base::metrics::Metrics;
use crate::detect::{Rule, RuleSet};
use crate::event::{Event, EventKind, Value};
use crate::state::commit::{Raised, repeat_key};

/// What is decided with, swapped in whole by a reload.
pub struct Law {
    pub rules: RuleSet,
    pub mutes: Vec<Mute>,
    /// Milliseconds for which the same finding is not told again.
    pub repeat_after_millis: i64,
}

/// Decides what an event leads to. Cheap to clone.
#[derive(Clone)]
pub struct Judge {
    law: Arc<RwLock<Arc<Law>>>,
    metrics: Metrics,
    tally: Tally,
}

impl Judge {
    pub fn new(law: Law, metrics: Metrics) -> Self {
        let tally = Tally::new(metrics.clone());
        announce(&law, &metrics, &tally);
        Self { law: Arc::new(RwLock::new(Arc::new(law))), metrics, tally }
    }

    /// Puts other rules in force, for every event that is judged from now on.
    pub fn replace(&self, law: Law) {
        announce(&law, &self.metrics, &self.tally);
        *self.law.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(law);
    }

    /// The rules in force.
    pub fn law(&self) -> Arc<Law> {
        Arc::clone(&self.law.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What each rule did.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// All alerts that the events lead to, judged by one and the same law.
    pub fn judge(&self, events: &[Event]) -> Vec<Raised> {
        let law = self.law();
        let ruleset = law.rules.digest().to_string();
        let mut raised = Vec::new();
        for event in events {
            self.metrics.events_processed.with_label_values(&[event.kind.category()]).inc();
            self.metrics.rule_evaluations.inc();
            let hits = law.rules.hits(event);
            self.tally.judged(event, &law.rules, &hits);
            let rules = hits.iter().filter_map(|number| law.rules.rule(*number));
            for rule in rules.filter(|rule| !rule.silent) {
                self.raise(&law, rule, event, &ruleset, &mut raised);
            }
        }
        raised
    }

    fn raise(&self, law: &Law, rule: &Rule, event: &Event, ruleset: &str, raised: &mut Vec<Raised>) {
        let alert = alert::compose(rule.to_alert_rule(), rule.severity, event, rule.evidence(event), ruleset);
        let muted = law.mutes.iter().any(|mute| mute.covers(&alert, crate::base::clock::now()));
        self.tally.raised(&alert.rule.id, alert.time, muted);
        if muted {
            self.metrics.detections_suppressed.with_label_values(&[alert.rule.id.as_str(), "mute"]).inc();
            return;
        }
        let subject = match event.kind {
            // A registry's events have no digest: each change is a finding of its own.
            EventKind::ModelRegistry => format!("{}\0{}", event.subject.name, event.id),
            // One job may be attacked in several ways, one agent have several troubles.
            EventKind::TrainingLog => format!("{}\0{}", event.subject.name, folded(event, "log.line")),
            EventKind::AgentHealth => format!("{}\0{}", event.subject.name, folded(event, "agent.detail")),
            EventKind::ArtifactChange | EventKind::ArtifactScan | EventKind::ArtifactDiff => event.subject.name.clone(),
        };
        let repeat_key = repeat_key(&alert.rule.id, &event.source, &subject, event.digest.as_ref());
        raised.push(Raised { alert, repeat_key, repeat_after_millis: law.repeat_after_millis });
    }
}

fn announce(law: &Law, metrics: &Metrics, tally: &Tally) {
    tally.announce(&law.rules);
    for rule in law.rules.rules() {
        metrics.announce_rule(rule.display_id(), rule.severity.as_str());
    }
    metrics.announce_ruleset(&law.rules.digest().to_string(), law.rules.rules().len());
}

/// A text without its digits: a step's number or an address's makes no other finding.
fn folded(event: &Event, path: &str) -> String {
    let text = event.fields.get(path).and_then(Value::as_text).unwrap_or_default();
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}
