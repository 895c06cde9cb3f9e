//! SARIF 2.1.0, <https://docs.oasis-open.org/sarif/sarif/v2.1.0/>, with ATLAS as a taxonomy.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::look::{Inspected, member};
use crate::detect::RuleSet;
use crate::event::{Severity, atlas, digest};

/// A log in the making.
pub struct Log {
    rules: Vec<Value>,
    techniques: BTreeSet<String>,
    results: Vec<Value>,
    notifications: Vec<Value>,
}

impl Log {
    /// A log that knows every rule which could have matched.
    pub fn new(set: &RuleSet) -> Self {
        let mut techniques = BTreeSet::new();
        let rules = set
            .rules()
            .iter()
            .map(|rule| {
                let atlas: Vec<String> = rule.atlas.iter().map(ToString::to_string).collect();
                techniques.extend(atlas.iter().cloned());
                let related: Vec<Value> = atlas
                    .iter()
                    .map(|id| json!({ "target": { "id": id, "toolComponent": { "name": "MITRE ATLAS" } }, "kinds": ["relevant"] }))
                    .collect();
                json!({
                    "id": rule.display_id(),
                    "guid": rule.uuid,
                    "name": rule.title,
                    "shortDescription": { "text": rule.title },
                    "fullDescription": { "text": rule.description },
                    "defaultConfiguration": { "level": level(rule.severity) },
                    "relationships": related,
                    "properties": { "security-severity": score(rule.severity), "tags": atlas },
                })
            })
            .collect();
        Self { rules, techniques, results: Vec::new(), notifications: Vec::new() }
    }

    /// Adds what was found in one file.
    pub fn add(&mut self, inspected: &Inspected) {
        let location = json!([{ "physicalLocation": { "artifactLocation": { "uri": uri(&inspected.path) } } }]);
        let sha256 = inspected.sha256.map(|sha256| sha256.to_string()).unwrap_or_default();
        for finding in &inspected.findings {
            let print = digest::of_parts(&[&finding.rule, &inspected.path, &sha256]).to_string();
            self.results.push(json!({
                "ruleId": finding.rule,
                "level": level(finding.severity),
                "message": { "text": format!("{}: {}", finding.title, Value::Object(finding.evidence.clone())) },
                "locations": location,
                "partialFingerprints": { "lanner/v1": print },
                "properties": { "sha256": sha256, "severity": finding.severity, "member": member(&finding.evidence) },
            }));
        }
        for issue in &inspected.issues {
            self.notifications.push(json!({
                "level": "warning",
                "descriptor": { "id": issue.code },
                "message": { "text": format!("{} {}", issue.detail, issue.member).trim() },
                "locations": location,
            }));
        }
    }

    /// The whole log.
    pub fn finish(self) -> Value {
        let taxa: Vec<Value> = self
            .techniques
            .iter()
            .map(|id| json!({ "id": id, "helpUri": format!("https://atlas.mitre.org/techniques/{id}") }))
            .collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "lanner",
                    "version": env!("CARGO_PKG_VERSION"),
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": self.rules,
                    "supportedTaxonomies": [{ "name": "MITRE ATLAS" }],
                } },
                "taxonomies": [{
                    "name": "MITRE ATLAS",
                    "version": atlas::VERSION,
                    "organization": "MITRE",
                    "informationUri": "https://atlas.mitre.org",
                    "taxa": taxa,
                }],
                "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": self.notifications }],
                "results": self.results,
            }],
        })
    }
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Informational => "note",
    }
}

/// The number by which code-scanning pages sort.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
        Severity::Informational => "0.0",
    }
}

/// A path as a relative URI reference (RFC 3986): everything unusual is percent-encoded.
fn uri(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
