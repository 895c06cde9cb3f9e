//! From a match to an alert: compose, mute, render. Pure data in, pure data out.

pub mod mute;
pub mod render;

use crate::event::{Alert, Event, Severity, alert::AlertRule, alert::SCHEMA_VERSION, digest};

pub use mute::Mute;

/// Composes the canonical alert for a rule that matched an event.
///
/// `evidence` are the facts that the rule looked at, `ruleset` the digest of the rules in force.
pub fn compose(
    rule: AlertRule,
    severity: Severity,
    event: &Event,
    evidence: serde_json::Map<String, serde_json::Value>,
    ruleset: &str,
) -> Alert {
    let fingerprint =
        digest::of_parts(&[&rule.id, &event.source, event.subject.kind.as_str(), &event.subject.name]).short();
    let id = digest::of_parts(&[&fingerprint, &event.id]).short();
    Alert {
        schema_version: SCHEMA_VERSION.to_owned(),
        id,
        fingerprint,
        time: event.time,
        severity,
        rule,
        subject: event.subject.clone(),
        source: event.source.clone(),
        product: event.product.clone(),
        artifact: event.artifact.clone(),
        digest: event.digest,
        place: event.place.clone(),
        evidence,
        event_id: event.id.clone(),
        ruleset: ruleset.to_owned(),
    }
}

/// What several events say together.
#[derive(Debug, Clone)]
pub struct Together {
    /// Deterministic id of the finding.
    pub id: String,
    /// Which group of events it is about.
    pub group: String,
    /// The group in a person's words; empty when it has none.
    pub subject: String,
    /// Time of the last of the events.
    pub time: jiff::Timestamp,
    pub evidence: serde_json::Map<String, serde_json::Value>,
}

/// Composes the canonical alert for a correlation. `event` is the last one that came in: it says
/// where, and what about when the group does not.
pub fn compose_together(rule: AlertRule, severity: Severity, found: Together, event: &Event, ruleset: &str) -> Alert {
    let fingerprint = digest::of_parts(&[&rule.id, "correlation", &found.group]).short();
    let mut subject = event.subject.clone();
    if !found.subject.is_empty() {
        subject.name = found.subject;
    }
    Alert {
        schema_version: SCHEMA_VERSION.to_owned(),
        id: found.id,
        fingerprint,
        time: found.time,
        severity,
        rule,
        subject,
        source: event.source.clone(),
        product: event.product.clone(),
        // The bytes of one of the events are not what the finding is about.
        artifact: None,
        digest: None,
        place: event.place.clone(),
        evidence: found.evidence,
        event_id: event.id.clone(),
        ruleset: ruleset.to_owned(),
    }
}

/// The JSON Schema of [`Alert`], as published.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Alert).to_value()
}
