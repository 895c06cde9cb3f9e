//! One file: hashed, looked into, judged.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::artifact::{self, FileBytes, Issue, Limits, Report};
use crate::base::clock;
use crate::detect::RuleSet;
use crate::event::subject::SubjectKind;
use crate::event::{ArtifactRef, Event, EventKind, Place, Severity, Sha256, Subject};

/// What was found in one file.
pub struct Inspected {
    pub path: String,
    pub format: String,
    /// None when it could not be read.
    pub sha256: Option<Sha256>,
    /// Bytes.
    pub size: u64,
    pub findings: Vec<Finding>,
    pub issues: Vec<Issue>,
}

/// One rule that matched.
pub struct Finding {
    pub rule: String,
    pub title: String,
    pub severity: Severity,
    pub atlas: Vec<String>,
    pub evidence: Map<String, Value>,
}

/// The file in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Malicious,
    Suspicious,
    Clean,
    Error,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malicious => "malicious",
            Self::Suspicious => "suspicious",
            Self::Clean => "clean",
            Self::Error => "error",
        }
    }
}

impl Inspected {
    /// High and critical findings make it malicious, others suspicious; a file that could not be
    /// read is an error whatever else is known.
    pub fn verdict(&self) -> Verdict {
        match self.findings.iter().map(|finding| finding.severity).max() {
            Some(Severity::High | Severity::Critical) => Verdict::Malicious,
            Some(Severity::Low | Severity::Medium) => Verdict::Suspicious,
            Some(Severity::Informational) | None if self.sha256.is_none() => Verdict::Error,
            Some(Severity::Informational) | None => Verdict::Clean,
        }
    }

    /// The documented object, one a line.
    pub fn to_json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "rule": finding.rule,
                    "title": finding.title,
                    "severity": finding.severity,
                    "atlas": finding.atlas,
                    "evidence": finding.evidence,
                    "member": member(&finding.evidence),
                })
            })
            .collect();
        json!({
            "path": self.path,
            "format": self.format,
            "sha256": self.sha256,
            "size": self.size,
            "verdict": self.verdict().as_str(),
            "findings": findings,
            "issues": self.issues,
        })
    }
}

/// Where in a container the finding is, when all of its evidence names one place.
pub fn member(evidence: &Map<String, Value>) -> &str {
    evidence.get("artifact.pickle.member").and_then(Value::as_str).unwrap_or_default()
}

/// Looks into one file; whatever goes wrong is part of the result.
pub fn look(path: &Path, set: &RuleSet) -> Inspected {
    let name = path.display().to_string();
    match read(path) {
        Ok((sha256, size, report)) => {
            let findings = judge(&name, sha256, &report, set);
            let mut issues = report.issues;
            if report.format == "unknown" && issues.is_empty() && findings.is_empty() {
                issues.push(Issue {
                    code: "unknown_format".to_owned(),
                    detail: "the content is of no format that can be looked into".to_owned(),
                    member: String::new(),
                });
            }
            Inspected { path: name, format: report.format.clone(), sha256: Some(sha256), size, findings, issues }
        }
        Err(error) => Inspected {
            path: name,
            format: "unknown".to_owned(),
            sha256: None,
            size: 0,
            findings: Vec::new(),
            issues: vec![Issue { code: "unreadable".to_owned(), detail: error.to_string(), member: String::new() }],
        },
    }
}

fn read(path: &Path) -> std::io::Result<(Sha256, u64, Report)> {
    let bytes = FileBytes::open(path)?;
    let hashed = artifact::hash(&bytes, Vec::new(), &|| false)?.ok_or(std::io::ErrorKind::Interrupted)?;
    let name = path.display().to_string();
    let inspect = AssertUnwindSafe(|| artifact::inspect(&bytes, &name, &Limits::default()));
    let report = catch_unwind(inspect)
        .map_err(|_| std::io::Error::other("looking into it failed by a bug of ours; please report it"))?;
    Ok((hashed.sha256, hashed.size, report))
}

fn judge(name: &str, sha256: Sha256, report: &Report, set: &RuleSet) -> Vec<Finding> {
    let mut fields = report.facts.clone();
    let file = Path::new(name);
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    fields.insert("event.action".to_owned(), "inspected".into());
    fields.insert("file.path".to_owned(), name.into());
    fields.insert("file.name".to_owned(), text(file.file_name()).into());
    fields.insert("file.extension".to_owned(), text(file.extension()).into());
    let event = Event {
        id: String::new(),
        kind: EventKind::ArtifactScan,
        time: clock::now(),
        source: "scan".to_owned(),
        product: "filesystem".to_owned(),
        service: None,
        subject: Subject::new(SubjectKind::Artifact, name),
        artifact: Some(ArtifactRef {
            store: "scan".to_owned(),
            path: name.to_owned(),
            version: None,
            lineage: name.to_owned(),
        }),
        digest: Some(sha256),
        place: Place::default(),
        fields,
    }
    .sealed();
    let mut findings: Vec<Finding> = set
        .matches(&event)
        .into_iter()
        .map(|rule| Finding {
            rule: rule.display_id().to_owned(),
            title: rule.title.clone(),
            severity: rule.severity,
            atlas: rule.atlas.iter().map(ToString::to_string).collect(),
            evidence: rule.evidence(&event),
        })
        .collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.rule.cmp(&b.rule)));
    findings
}
