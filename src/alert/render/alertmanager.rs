//! Alertmanager's API v2: labels that stay the same are the identity of an alert.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::base::text::shorten;
use crate::event::Alert;

/// One alert for `POST /api/v2/alerts`.
///
/// Labels carry no digest, no path inside a store and no time: whatever changes with each finding
/// is an annotation. It stays firing until `ends`.
pub fn alert(alert: &Alert, ends: Timestamp) -> Value {
    let mut labels = json!({
        "alertname": alert.rule.title,
        "rule_id": alert.rule.id,
        "severity": alert.severity.as_str(),
        "source": alert.source,
        "subject": shorten(&alert.subject.name, 256),
        "fingerprint": alert.fingerprint,
    });
    let places = [
        ("instance", &alert.place.host),
        ("namespace", &alert.place.namespace),
        ("pod", &alert.place.pod),
        ("container", &alert.place.container),
    ];
    for (label, value) in places {
        if let Some(value) = value {
            labels[label] = json!(value);
        }
    }
    json!({
        "labels": labels,
        "annotations": {
            "summary": format!("{}: {}", alert.rule.title, alert.subject.name),
            "description": alert.rule.description,
            "atlas": alert.rule.atlas.join(", "),
            "mitigations": alert.rule.mitigations.join(", "),
            "phase": alert.rule.phase,
            "artifact": alert.artifact.as_ref().map(ToString::to_string).unwrap_or_default(),
            "digest": alert.digest.map(|digest| format!("sha256:{digest}")).unwrap_or_default(),
            "evidence": shorten(&Value::Object(alert.evidence.clone()).to_string(), 4000),
            "alert_id": alert.id,
        },
        "startsAt": alert.time.to_string(),
        "endsAt": ends.to_string(),
    })
}
