//! SARIF 2.1.0, <https://docs.oasis-open.org/sarif/sarif/v2.1.0/>, with ATLAS as a taxonomy.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::look::{Finding, Inspected, member};
use super::uri;
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
                // Code scanning takes the severity of rules with this tag only.
                let tags: Vec<&str> = std::iter::once("security").chain(atlas.iter().map(String::as_str)).collect();
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
                    "help": { "text": rule.description },
                    "defaultConfiguration": { "level": level(rule.severity) },
                    "relationships": related,
                    "properties": { "security-severity": score(rule.severity), "tags": tags },
                })
            })
            .collect();
        Self { rules, techniques, results: Vec::new(), notifications: Vec::new() }
    }

    /// Adds what was found in one file.
    pub fn add(&mut self, inspected: &Inspected) {
        let location = location(&inspected.file);
        for finding in &inspected.findings {
            self.results.push(result(inspected, finding, &location));
        }
        for (finding, why) in &inspected.suppressed {
            let mut result = result(inspected, finding, &location);
            if let Some(object) = result.as_object_mut() {
                let suppression = json!({
                    "kind": "external",
                    "status": "accepted",
                    "justification": why.reason,
                    "properties": { "kind": why.kind, "by": why.by, "until": why.until },
                });
                object.insert("suppressions".to_owned(), json!([suppression]));
            }
            self.results.push(result);
        }
        for issue in &inspected.issues {
            self.notifications.push(json!({
                "level": "warning",
                "descriptor": { "id": issue.code },
                "message": { "text": format!("{} {}", issue.detail, issue.member).trim() },
                "locations": location,
            }));
        }
        if let Some(skip) = &inspected.skipped {
            self.notifications.push(json!({
                "level": if skip.wanted { "note" } else { "warning" },
                "descriptor": { "id": "skipped" },
                "message": { "text": skip.reason },
                "locations": location,
            }));
        }
    }

    /// The whole log; not successful when a file could not be read.
    pub fn finish(self, successful: bool) -> Value {
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
                "invocations": [{ "executionSuccessful": successful, "toolExecutionNotifications": self.notifications }],
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

/// Code scanning wants a region with each place; bytes that are no text have the first one.
fn location(file: &Path) -> Value {
    json!([{ "physicalLocation": {
        "artifactLocation": uri::location(file),
        "region": { "startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1 },
    } }])
}

/// The fingerprints hold the bytes' digest: who dismissed a finding hears of it again when the file
/// changes. `primaryLocationLineHash` is the one by which GitHub knows a result again.
fn result(inspected: &Inspected, finding: &Finding, location: &Value) -> Value {
    let sha256 = inspected.sha256.map(|sha256| sha256.to_string()).unwrap_or_default();
    let place = location.pointer("/0/physicalLocation/artifactLocation/uri").and_then(Value::as_str);
    let print = digest::of_parts(&[&finding.rule, place.unwrap_or_default(), &sha256]);
    json!({
        "ruleId": finding.rule,
        "level": level(finding.severity),
        "message": { "text": format!("{}: {}", finding.title, Value::Object(finding.evidence.clone())) },
        "locations": location,
        "partialFingerprints": {
            "lanner/v1": print.to_string(),
            "primaryLocationLineHash": format!("{}:1", print.short()),
        },
        "properties": { "sha256": sha256, "severity": finding.severity, "member": member(&finding.evidence) },
    })
}
