//! OCSF Detection Finding (class 2004), <https://schema.ocsf.io/1.8.0/classes/detection_finding>.
//!
//! OCSF knows ATLAS: an attack's `version` is that of the ATT&CK or the ATLAS matrix.

use serde_json::{Value, json};

use crate::event::{Alert, Severity};

/// The version of OCSF that the finding follows.
pub const VERSION: &str = "1.8.0";

/// One alert as a Detection Finding that is created.
pub fn finding(alert: &Alert) -> Value {
    let time = alert.time.as_millisecond();
    let attacks: Vec<Value> =
        alert.rule.atlas.iter().map(|technique| attack(technique, &alert.rule.atlas_version)).collect();
    json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        "time": time,
        "severity_id": severity_id(alert.severity),
        "severity": severity_name(alert.severity),
        "status_id": 1,
        "status": "New",
        "is_alert": true,
        "message": format!("{}: {}", alert.rule.title, alert.subject.name),
        "metadata": {
            "version": VERSION,
            "uid": alert.id,
            "product": { "name": "Lanner", "vendor_name": "Lanner", "version": env!("CARGO_PKG_VERSION") },
            "log_provider": alert.source,
        },
        "finding_info": {
            "uid": alert.fingerprint,
            "title": alert.rule.title,
            "desc": alert.rule.description,
            "created_time": time,
            "analytic": { "uid": alert.rule.uuid, "name": alert.rule.id, "type_id": 1, "type": "Rule" },
            "attacks": attacks,
            "data_sources": [alert.product],
        },
        "evidences": [{ "data": alert.evidence }],
        "resources": [{
            "uid": alert.artifact.as_ref().map_or_else(|| alert.subject.name.clone(), ToString::to_string),
            "name": alert.subject.name,
            "type": alert.subject.kind.as_str(),
            "version": alert.artifact.as_ref().and_then(|artifact| artifact.version.clone()),
        }],
        "device": { "hostname": alert.place.host, "type_id": 0 },
        "unmapped": {
            "schema_version": alert.schema_version,
            "rule_id": alert.rule.id,
            "lifecycle_phase": alert.rule.phase,
            "mitigations": alert.rule.mitigations,
            "digest": alert.digest.map(|digest| format!("sha256:{digest}")),
            "place": alert.place,
            "event_id": alert.event_id,
            "ruleset": alert.ruleset,
        },
    })
}

fn attack(technique: &str, version: &str) -> Value {
    let parent = technique.split('.').take(2).collect::<Vec<_>>().join(".");
    if parent == technique {
        json!({ "technique": { "uid": technique }, "version": version })
    } else {
        json!({ "technique": { "uid": parent }, "sub_technique": { "uid": technique }, "version": version })
    }
}

/// OCSF's number of a severity.
pub const fn severity_id(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "Informational",
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}
