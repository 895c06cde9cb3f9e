//! One file: hashed, looked into, judged.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::list::{Entry, Skip, What};
use super::remote::{Fetched, Fetcher};
use super::uri;
use crate::artifact::{self, Bytes as _, FileBytes, Issue, Limits, Report, Stop};
use crate::base::{clock, files};
use crate::detect::RuleSet;
use crate::event::subject::SubjectKind;
use crate::event::{self, ArtifactRef, Event, EventKind, Fields, Place, Severity, Sha256, Subject};

/// How pointers of Git LFS begin, and how large they may be, as their specification says.
const LFS: [u8; 42] = *b"version https://git-lfs.github.com/spec/v1";
const LFS_BYTES_MAX: u64 = 1024;

/// What was found in one file.
pub struct Inspected {
    /// As the system knows it; names need not be text.
    pub file: PathBuf,
    /// The same as text.
    pub path: String,
    pub format: String,
    /// None when it could not be read, or only in parts.
    pub sha256: Option<Sha256>,
    /// What is known of a file at an address.
    pub remote: Option<Told>,
    /// Bytes.
    pub size: u64,
    pub findings: Vec<Finding>,
    /// Findings that somebody accepted, with the reason.
    pub suppressed: Vec<(Finding, Suppression)>,
    pub issues: Vec<Issue>,
    pub skipped: Option<Skip>,
}

/// What a store says of a file, and how much of it was fetched.
#[derive(Debug, Clone)]
pub struct Told {
    /// A commit, a digest, a generation or an entity tag.
    pub version: Option<String>,
    /// The digest that the store promises.
    pub claimed: Option<Sha256>,
    /// Bytes fetched, when not all were.
    pub parts: Option<u64>,
}

/// Why a finding does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// `allow` or `baseline`.
    pub kind: &'static str,
    pub reason: String,
    /// Where that is written, `allow.yml:3`.
    pub by: String,
    pub until: Option<jiff::Timestamp>,
}

/// How far a file was looked at, and whether something is left to say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Something was found; there may be issues as well.
    Findings,
    /// All that was found is accepted.
    Suppressed,
    Clean,
    /// Something in it could not be looked at.
    Incomplete,
    /// The content is of no format that can be looked into.
    NotUnderstood,
    Unreadable,
    Skipped,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Suppressed => "suppressed",
            Self::Clean => "clean",
            Self::Incomplete => "incomplete",
            Self::NotUnderstood => "not_understood",
            Self::Unreadable => "unreadable",
            Self::Skipped => "skipped",
        }
    }
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
    Skipped,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malicious => "malicious",
            Self::Suspicious => "suspicious",
            Self::Clean => "clean",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

impl Inspected {
    /// High and critical findings make it malicious, others suspicious; a file that could not be
    /// read is an error whatever else is known.
    pub fn verdict(&self) -> Verdict {
        if self.skipped.is_some() {
            return Verdict::Skipped;
        }
        match self.findings.iter().map(|finding| finding.severity).max() {
            Some(Severity::High | Severity::Critical) => Verdict::Malicious,
            Some(Severity::Low | Severity::Medium) => Verdict::Suspicious,
            Some(Severity::Informational) | None if self.unreadable() => Verdict::Error,
            Some(Severity::Informational) | None => Verdict::Clean,
        }
    }

    /// Whether nothing of it could be read.
    pub fn unreadable(&self) -> bool {
        self.sha256.is_none() && self.remote.as_ref().is_none_or(|told| told.parts.is_none())
    }

    pub fn status(&self) -> Status {
        if self.skipped.is_some() {
            Status::Skipped
        } else if self.unreadable() {
            Status::Unreadable
        } else if !self.findings.is_empty() {
            Status::Findings
        } else if !self.issues.is_empty() {
            let whole = |issue: &Issue| issue.code == "not_inspected" && issue.member.is_empty();
            if self.format == "unknown" || self.issues.iter().all(whole) {
                Status::NotUnderstood
            } else {
                Status::Incomplete
            }
        } else if !self.suppressed.is_empty() {
            Status::Suppressed
        } else {
            Status::Clean
        }
    }

    /// What an issue says of the file, in the words of its status.
    pub fn word(&self, issue: &Issue) -> &'static str {
        if self.sha256.is_none() || issue.code == "unreadable" {
            "unreadable"
        } else if self.status() == Status::NotUnderstood || issue.code == "not_inspected" && issue.member.is_empty() {
            "not understood"
        } else {
            "incomplete"
        }
    }

    /// Why it was not looked at, or not all of it.
    pub fn reason(&self) -> Option<String> {
        if let Some(skipped) = &self.skipped {
            return Some(skipped.reason.clone());
        }
        let issues: Vec<String> = self.issues.iter().map(told).collect();
        (!issues.is_empty()).then(|| issues.join("; "))
    }

    /// The documented object, one a line.
    pub fn to_json(&self) -> Value {
        let findings: Vec<Value> = self.findings.iter().map(|finding| Value::Object(finding.to_json())).collect();
        let suppressed: Vec<Value> = self
            .suppressed
            .iter()
            .map(|(finding, why)| {
                let mut object = finding.to_json();
                let why = json!({ "kind": why.kind, "reason": why.reason, "by": why.by, "until": why.until });
                object.insert("suppression".to_owned(), why);
                Value::Object(object)
            })
            .collect();
        let mut object = json!({
            "path": self.path,
            "format": self.format,
            "sha256": self.sha256,
            "size": self.size,
            "status": self.status().as_str(),
            "reason": self.reason(),
            "verdict": self.verdict().as_str(),
            "findings": findings,
            "suppressed": suppressed,
            "issues": self.issues,
        });
        if let (Some(told), Some(object)) = (&self.remote, object.as_object_mut()) {
            let remote =
                json!({ "version": told.version, "claimed_sha256": told.claimed, "fetched_bytes": told.parts });
            object.insert("remote".to_owned(), remote);
        }
        // Two names that are no text may look the same as one.
        if let (None, Some(object)) = (self.file.to_str(), object.as_object_mut()) {
            object.insert("path_encoded".to_owned(), uri::encoded(&self.file).into());
        }
        object
    }
}

impl Finding {
    fn to_json(&self) -> Map<String, Value> {
        let object = json!({
            "rule": self.rule,
            "title": self.title,
            "severity": self.severity,
            "atlas": self.atlas,
            "evidence": self.evidence,
            "member": member(&self.evidence),
        });
        object.as_object().cloned().unwrap_or_default()
    }
}

/// An issue in one line.
pub fn told(issue: &Issue) -> String {
    let member = if issue.member.is_empty() { String::new() } else { format!(" in {}", issue.member) };
    format!("{}{member} ({})", issue.detail, issue.code)
}

/// Where in a container the finding is, when all of its evidence names one place.
pub fn member(evidence: &Map<String, Value>) -> &str {
    evidence.get("artifact.pickle.member").and_then(Value::as_str).unwrap_or_default()
}

/// How files are looked at.
pub struct Looker<'s> {
    pub set: &'s RuleSet,
    /// Bytes of standard input that are kept.
    pub stdin_max: u64,
    /// What standard input is called when formats and rules ask for a name.
    pub stdin_name: &'s str,
    pub limits: &'s Limits,
    /// How long one file may take.
    pub timeout: Duration,
    /// Files at addresses, and how they are fetched.
    pub remote: &'s Fetcher,
}

/// What reading and inspecting one file gave.
struct Looked {
    sha256: Option<Sha256>,
    size: u64,
    report: Report,
    remote: Option<Told>,
}

impl Looker<'_> {
    /// Looks into one file; whatever goes wrong is part of the result.
    pub fn look(&self, entry: &Entry) -> Inspected {
        let blank = Inspected {
            path: entry.path.display().to_string(),
            file: entry.path.clone(),
            format: "unknown".to_owned(),
            sha256: None,
            remote: None,
            size: 0,
            findings: Vec::new(),
            suppressed: Vec::new(),
            issues: Vec::new(),
            skipped: None,
        };
        let unreadable =
            |reason: String| vec![Issue { code: "unreadable".to_owned(), detail: reason, member: String::new() }];
        let name = if entry.what == What::Stdin { self.stdin_name } else { blank.path.as_str() };
        // A bug of ours costs one file, not the others.
        let looked = catch_unwind(AssertUnwindSafe(|| {
            let looked = match &entry.what {
                What::Skipped(_) => return Err(io::Error::other("skipped")),
                What::Unreadable(reason) => return Err(io::Error::other(reason.clone())),
                What::File(path) => self.file(files::open_itself(path)?.0, name)?,
                What::Remote(number) => self.at_address(*number, name)?,
                What::Stdin => self.file(super::given::spool(self.stdin_max)?, name)?,
            };
            let findings = judge(name, &looked, self.set);
            Ok((looked, findings))
        }));
        if let What::Skipped(skip) = &entry.what {
            return Inspected { skipped: Some(skip.clone()), ..blank };
        }
        let bug = || io::Error::other("looking into it failed by a bug of ours; please report it");
        let (Looked { sha256, size, report, remote }, findings) = match looked.unwrap_or_else(|_| Err(bug())) {
            Ok(looked) => looked,
            Err(error) => return Inspected { issues: unreadable(error.to_string()), ..blank },
        };
        let mut issues = report.issues;
        if report.format == "unknown" && issues.is_empty() && findings.is_empty() {
            issues.push(Issue {
                code: "unknown_format".to_owned(),
                detail: "the content is of no format that can be looked into".to_owned(),
                member: String::new(),
            });
        }
        Inspected { format: report.format.clone(), sha256, remote, size, findings, issues, ..blank }
    }

    fn file(&self, file: File, name: &str) -> io::Result<Looked> {
        let limits = self.limits();
        let bytes = FileBytes::of(file)?;
        let hashed = artifact::hash(&bytes, Vec::new(), &|| limits.stop.now())?.ok_or_else(|| self.late())?;
        let mut report = artifact::inspect_with(&bytes, name, &limits, &hashed.found);
        if is_pointer(&bytes) {
            report.issues.push(Issue {
                code: "not_inspected".to_owned(),
                detail: "a pointer of Git LFS: the content itself is not here; `git lfs pull` brings it".to_owned(),
                member: String::new(),
            });
        }
        Ok(Looked { sha256: Some(hashed.sha256), size: hashed.size, report, remote: None })
    }

    /// A file at an address: fetched whole, or in the parts that its format asks for.
    fn at_address(&self, number: usize, name: &str) -> io::Result<Looked> {
        let limits = self.limits();
        let (entry, fetched) = self.remote.fetch(number, &limits.stop)?;
        let told = Told { version: entry.version.clone(), claimed: entry.claimed, parts: None };
        let notes = entry.note.iter().map(|note| Issue {
            code: "not_verified".to_owned(),
            detail: note.clone(),
            member: String::new(),
        });
        match fetched {
            Fetched::Late => Err(self.late()),
            Fetched::Whole(file) => {
                let mut looked = self.file(file, name)?;
                if let Some(claimed) =
                    entry.claimed.filter(|claimed| looked.sha256.is_some_and(|found| found != *claimed))
                {
                    note(&mut looked.report.facts, "artifact.digest.mismatches", &format!("store:sha256:{claimed}"));
                }
                looked.report.issues.extend(notes);
                Ok(Looked { remote: Some(told), ..looked })
            }
            Fetched::Parts(bytes) => {
                let mut report = artifact::inspect_parts(&*bytes, name, &limits);
                let fetched = bytes.fetched();
                if let Some(failure) = bytes.failure() {
                    if fetched == 0 {
                        return Err(io::Error::other(format!("{failure}; `--whole-max` fetches larger files whole")));
                    }
                    report.issues.push(Issue { code: "unreadable".to_owned(), detail: failure, member: String::new() });
                }
                report.issues.extend(notes);
                report.issues.push(Issue {
                    code: "not_fetched".to_owned(),
                    detail: format!(
                        "{fetched} of {} bytes were fetched: nothing was searched for in the others, and the digest was not \
                         measured; `--whole-max` fetches larger files whole",
                        entry.size
                    ),
                    member: String::new(),
                });
                Ok(Looked {
                    sha256: None,
                    size: entry.size,
                    report,
                    remote: Some(Told { parts: Some(fetched), ..told }),
                })
            }
        }
    }

    /// The limits of one file, whose time begins now.
    fn limits(&self) -> Limits {
        let (began, timeout) = (Instant::now(), self.timeout);
        Limits { stop: Stop::when(move || began.elapsed() > timeout), ..self.limits.clone() }
    }

    fn late(&self) -> io::Error {
        let detail = format!("reading it takes longer than {:?}; `--timeout` allows more", self.timeout);
        io::Error::new(io::ErrorKind::TimedOut, detail)
    }
}

/// Adds to a fact that is a list.
fn note(facts: &mut Fields, name: &str, item: &str) {
    let before = match facts.remove(name) {
        Some(event::Value::List(items)) => items,
        Some(_) | None => Vec::new(),
    };
    let items = before.into_iter().chain([item.into()]).collect();
    facts.insert(name.to_owned(), event::Value::List(items));
}

/// Whether the file only says where another one is: a checkout without its models must not look as
/// if they had been found clean.
fn is_pointer(bytes: &FileBytes) -> bool {
    let mut head = [0; LFS.len()];
    bytes.len() <= LFS_BYTES_MAX && bytes.read_at(0, &mut head).is_ok_and(|count| count == LFS.len()) && head == LFS
}

fn judge(name: &str, looked: &Looked, set: &RuleSet) -> Vec<Finding> {
    let mut fields = looked.report.facts.clone();
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
        digest: looked.sha256,
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
