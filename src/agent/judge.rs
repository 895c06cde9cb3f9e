//! From events to alerts: rules in force, what they say together, mutes, and when a finding is told again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::Timestamp;

use super::tally::Tally;
use crate::alert::{self, Mute};
use crate::base::metrics::Metrics;
use crate::detect::correlation::{Correlator, Counts, Eviction, Fired, Limits, Sight, Uncounted, View};
use crate::detect::{Rule, RuleSet};
use crate::event::correlation::Memo;
use crate::event::{Alert, Event, EventKind, Value, digest};
use crate::state::commit::{Raised, repeat_key};
use crate::state::{State, StateError};

/// What is decided with, swapped in whole by a reload.
pub struct Law {
    pub rules: RuleSet,
    pub mutes: Vec<Mute>,
    /// Milliseconds for which the same finding is not told again.
    pub repeat_after_millis: i64,
}

/// What events lead to: to be committed together, and together with how far they were read.
#[derive(Debug, Default)]
pub struct Verdict {
    pub alerts: Vec<Raised>,
    /// What correlations remember of the events.
    pub memos: Vec<Memo>,
}

/// Decides what an event leads to. Cheap to clone.
#[derive(Clone)]
pub struct Judge {
    law: Arc<RwLock<Arc<Law>>>,
    correlations: Arc<Mutex<Correlations>>,
    metrics: Metrics,
    tally: Tally,
}

/// Correlations of the law in force. The law changes only while this is held.
struct Correlations {
    correlator: Correlator,
    /// What metrics have been told.
    told: Counts,
}

impl Judge {
    /// With nothing remembered.
    pub fn new(law: Law, limits: Limits, metrics: Metrics) -> Self {
        let correlator = Correlator::new(&law.rules, limits, true);
        Self::with(law, correlator, metrics)
    }

    /// With what the state remembers of earlier events.
    pub fn restored(law: Law, limits: Limits, state: &State, metrics: Metrics) -> Result<Self, StateError> {
        let mut restoring = Correlator::restore(&law.rules, limits);
        state.remembered(&mut |memo| restoring.take(memo))?;
        let (correlator, unreadable) = restoring.done();
        if unreadable > 0 {
            tracing::error!(rows = unreadable, "part of what correlations remembered cannot be read and is left out");
        }
        Ok(Self::with(law, correlator, metrics))
    }

    fn with(law: Law, correlator: Correlator, metrics: Metrics) -> Self {
        let tally = Tally::new(metrics.clone());
        announce(&law, &metrics, &tally);
        let correlations = Correlations { correlator, told: Counts::default() };
        let law = Arc::new(RwLock::new(Arc::new(law)));
        Self { law, correlations: Arc::new(Mutex::new(correlations)), metrics, tally }
    }

    /// Puts other rules in force, for every event that is judged from now on. Correlations that ask
    /// the same as before keep what they remember.
    pub fn replace(&self, law: Law) {
        announce(&law, &self.metrics, &self.tally);
        let mut correlations = self.correlations();
        correlations.correlator.adopt(&law.rules);
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

    /// What correlations hold and have counted.
    pub fn correlation_counts(&self) -> Counts {
        self.correlations().correlator.counts()
    }

    /// All that the events lead to, judged by one and the same law. `seen`: when they came in.
    pub fn judge(&self, events: &[Event], seen: Timestamp) -> Verdict {
        let mut law = self.law();
        let mut hits: Vec<Vec<usize>> = events.iter().map(|event| law.rules.hits(event)).collect();
        let mut verdict = Verdict::default();
        let mut fired = Vec::new();
        if law.rules.rules().iter().any(|rule| rule.correlation.is_some()) {
            let mut correlations = self.correlations();
            let now = self.law();
            if !Arc::ptr_eq(&law, &now) {
                // Other rules were put in force meanwhile: their numbers are others.
                hits = events.iter().map(|event| now.rules.hits(event)).collect();
                law = now;
            }
            for (event, hits) in events.iter().zip(&hits) {
                fired.push(correlations.correlator.observe(&law.rules, hits, &sight(event, seen)));
            }
            verdict.memos = correlations.correlator.take_memos();
            self.count(&mut correlations);
        }
        self.metrics.rule_evaluations.inc_by(events.len() as u64);
        for (index, event) in events.iter().enumerate() {
            self.metrics.events_processed.with_label_values(&[event.kind.category()]).inc();
            let hits = hits.get(index).map_or(&[][..], Vec::as_slice);
            self.tally.judged(event, &law.rules, hits);
            let rules = hits.iter().filter_map(|number| law.rules.rule(*number));
            for rule in rules.filter(|rule| !rule.silent) {
                self.raise(&law, rule, event, &mut verdict.alerts);
            }
            for finding in fired.get(index).into_iter().flatten() {
                self.raise_together(&law, finding, event, &mut verdict.alerts);
            }
        }
        verdict
    }

    fn raise(&self, law: &Law, rule: &Rule, event: &Event, raised: &mut Vec<Raised>) {
        let ruleset = law.rules.digest().to_string();
        let alert = alert::compose(rule.to_alert_rule(), rule.severity, event, rule.evidence(event), &ruleset);
        let subject = match event.kind {
            // A registry's events have no digest: each change is a finding of its own.
            EventKind::ModelRegistry => format!("{}\0{}", event.subject.name, event.id),
            // One job may be attacked in several ways, one agent have several troubles.
            EventKind::TrainingLog => format!("{}\0{}", event.subject.name, folded(event, "log.line")),
            EventKind::AgentHealth => format!("{}\0{}", event.subject.name, folded(event, "agent.detail")),
            // Of one conversation once is enough; without one, each question is a finding of its own.
            EventKind::Inference => conversation(event),
            // What is said of a signature has no digest: each new answer is a finding of its own.
            EventKind::ArtifactScan if event.digest.is_none() => format!("{}\0{}", event.subject.name, event.id),
            // The same bytes that are worth something else now are another finding.
            EventKind::ArtifactChange | EventKind::ArtifactScan | EventKind::ArtifactDiff => {
                match event.fields.get("artifact.approval.status").and_then(Value::as_text) {
                    Some(status) => format!("{}\0{status}", event.subject.name),
                    None => event.subject.name.clone(),
                }
            }
        };
        let repeat_key = repeat_key(&alert.rule.id, &event.source, &subject, event.digest.as_ref());
        self.tell(law, alert, repeat_key, raised);
    }

    /// What several events say together; the last one to come in stands for them.
    fn raise_together(&self, law: &Law, fired: &Fired, event: &Event, raised: &mut Vec<Raised>) {
        let Some(rule) = law.rules.rule(fired.rule) else { return };
        self.tally.correlated(rule, Timestamp::from_millisecond(fired.until_millis).unwrap_or(event.time));
        if rule.silent {
            return;
        }
        let together = alert::Together {
            id: fired.id.clone(),
            group: fired.key.to_string(),
            subject: fired.group_text(),
            time: Timestamp::from_millisecond(fired.until_millis).unwrap_or(event.time),
            evidence: fired.evidence(),
        };
        let ruleset = law.rules.digest().to_string();
        let alert = alert::compose_together(rule.to_alert_rule(), rule.severity, together, event, &ruleset);
        let repeat_key = digest::of_parts(&[&alert.rule.id, "correlation", &fired.key.to_string()]).short();
        self.tell(law, alert, repeat_key, raised);
    }

    fn tell(&self, law: &Law, alert: Alert, repeat_key: String, raised: &mut Vec<Raised>) {
        let muted = law.mutes.iter().any(|mute| mute.covers(&alert, crate::base::clock::now()));
        self.tally.raised(&alert.rule.id, alert.time, muted);
        if muted {
            self.metrics.detections_suppressed.with_label_values(&[alert.rule.id.as_str(), "mute"]).inc();
            return;
        }
        raised.push(Raised { alert, repeat_key, repeat_after_millis: law.repeat_after_millis });
    }

    fn correlations(&self) -> MutexGuard<'_, Correlations> {
        self.correlations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, correlations: &mut Correlations) {
        let counts = correlations.correlator.counts();
        let told = std::mem::replace(&mut correlations.told, counts);
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.correlation_groups.set(gauge(counts.groups));
        self.metrics.correlation_entries.set(gauge(counts.entries));
        self.metrics.correlation_bytes.set(gauge(counts.bytes));
        self.metrics.correlation_late_events.inc_by(counts.late.saturating_sub(told.late));
        for (reason, (now, before)) in Eviction::ALL.iter().zip(counts.evictions.iter().zip(told.evictions)) {
            let more = now.saturating_sub(before);
            self.metrics.correlation_evictions.with_label_values(&[reason.as_str()]).inc_by(more);
        }
        for (reason, (now, before)) in Uncounted::ALL.iter().zip(counts.uncounted.iter().zip(told.uncounted)) {
            let more = now.saturating_sub(before);
            self.metrics.correlation_uncounted.with_label_values(&[reason.as_str()]).inc_by(more);
        }
    }
}

/// An event as correlations see it.
fn sight(event: &Event, seen: Timestamp) -> Sight<'_> {
    let time = match event.kind {
        // Whoever writes a file chooses its time; when it was seen is out of their hands.
        EventKind::ArtifactChange | EventKind::ArtifactScan | EventKind::ArtifactDiff => seen,
        EventKind::ModelRegistry | EventKind::TrainingLog | EventKind::Inference | EventKind::AgentHealth => event.time,
    };
    Sight {
        id: &event.id,
        time_millis: time.as_millisecond(),
        arrival_millis: Some(seen.as_millisecond()),
        source: &event.source,
        view: View { fields: &event.fields, nested: false },
    }
}

fn announce(law: &Law, metrics: &Metrics, tally: &Tally) {
    tally.announce(&law.rules);
    for rule in law.rules.rules() {
        metrics.announce_rule(rule.display_id(), rule.severity.as_str());
    }
    metrics.announce_ruleset(&law.rules.digest().to_string(), law.rules.rules().len());
    for reason in Eviction::ALL {
        metrics.correlation_evictions.with_label_values(&[reason.as_str()]);
    }
    for reason in Uncounted::ALL {
        metrics.correlation_uncounted.with_label_values(&[reason.as_str()]);
    }
}

fn conversation(event: &Event) -> String {
    let text = |path: &str| event.fields.get(path).and_then(Value::as_text).filter(|text| !text.is_empty());
    match text("gen_ai.conversation.id") {
        Some(conversation) => format!("{}\0{conversation}", text("ml.experiment.id").unwrap_or_default()),
        None => event.subject.name.clone(),
    }
}

/// A text without its digits: a step's number or an address's makes no other finding.
fn folded(event: &Event, path: &str) -> String {
    let text = event.fields.get(path).and_then(Value::as_text).unwrap_or_default();
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}
