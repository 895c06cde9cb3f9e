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

/// The JSON Schema of [`Alert`], as published.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Alert).to_value()
}
