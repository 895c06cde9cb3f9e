//! From what was seen to events: what changed, what is in it, what differs.

use super::announced::{self, Knowledge};
use crate::artifact;
use crate::event::subject::SubjectKind;
use crate::event::value::to_json;
use crate::event::{ArtifactRef, Difference, Event, EventKind, Fields, Place, Sha256, Subject, Value, digest};
use crate::sources::{CHECKED, Change, Inference, Line, Record, RecordKind};
use crate::state::{Blob, Placed};

/// What all events of one source share.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Name of the source as configured.
    pub source: String,
    /// Sigma `logsource.product`.
    pub product: String,
    pub host: Option<String>,
}

/// What is known about an artifact that was just looked at.
pub struct Look<'a> {
    pub record: &'a Record,
    pub blob: &'a Blob,
    /// The record before, if there was one.
    pub before: Option<&'a Placed>,
    /// How often this place had changed before.
    pub generation: &'a str,
    /// The bytes of the same lineage before.
    pub previous: Option<&'a Blob>,
    /// Since when other bytes lay at this place.
    pub since: Option<jiff::Timestamp>,
    /// What differs between them.
    pub differences: &'a [Difference],
    /// What the inventory knows of the bytes, and of those before.
    pub knowledge: &'a Knowledge,
    /// Only reading the bytes again showed that they are others.
    pub silent: bool,
    /// The source's first listing is not complete: nothing counts as changed.
    pub first_listing: bool,
    pub seen: jiff::Timestamp,
}

/// Events of an artifact that is new or whose bytes changed; none when they are the same.
pub fn artifact(origin: &Origin, look: &Look<'_>) -> Vec<Event> {
    let digest = look.blob.sha256;
    let old = look.before.and_then(|before| before.digest);
    let broken = broken_promise(look);
    if old == Some(digest) && broken.is_none() {
        return Vec::new();
    }
    let mut events = Vec::new();
    let (announced, claims) = announced::fields(look.record, look.knowledge, look.silent);
    let change = |old: Option<Sha256>| {
        let mut fields = Fields::from([("artifact.format".to_owned(), Value::from(look.blob.report.format.as_str()))]);
        if let Some(old) = old {
            fields.insert("artifact.previous_hash".to_owned(), Value::from(format!("sha256:{old}")));
            if let Some(since) = look.since {
                let stood = u64::try_from(look.seen.duration_since(since).as_secs()).unwrap_or_default();
                fields.insert("artifact.previous_stood_secs".to_owned(), stood.into());
            }
        }
        fields.extend(announced.clone());
        // A person who reads of the change wants to know what it is.
        fields.extend(announced::difference_fields(look.differences, &claims));
        fields
    };
    let replaced = look.knowledge.stood.filter(|stood| *stood != digest);
    if !look.first_listing {
        let action = if old.is_some() { "modified" } else { "created" };
        events.push(event(origin, look, EventKind::ArtifactChange, action, &change(replaced)));
    }
    if let (RecordKind::VersionArtifact, Some(old)) = (look.record.kind, replaced) {
        let first = look.before.and_then(|before| before.first_digest);
        let action = if first == Some(digest) { "artifact.restored" } else { "artifact.tampered" };
        events.push(event(origin, look, EventKind::ModelRegistry, action, &change(Some(old))));
    }
    let mut facts = look.blob.report.facts.clone();
    facts.extend(announced.clone());
    if let Some(claimed) = broken {
        let known = facts.get(MISMATCHES).and_then(Value::as_list).unwrap_or_default();
        let known = known.iter().filter_map(Value::as_text).map(str::to_owned);
        let all: Vec<String> = known.chain([format!("store:{claimed}")]).collect();
        facts.insert(MISMATCHES.to_owned(), all.into());
    }
    events.push(event(origin, look, EventKind::ArtifactScan, "inspected", &facts));
    if let Some(previous) = look.previous.filter(|previous| previous.sha256 != digest && !look.first_listing) {
        let delta = artifact::diff(&version(previous), &version(look.blob));
        if !delta.is_empty() {
            let mut fields = delta.fields();
            fields.extend(announced);
            fields.extend(announced::difference_fields(look.differences, &claims));
            fields.insert("artifact.format".to_owned(), Value::from(look.blob.report.format.as_str()));
            events.push(event(origin, look, EventKind::ArtifactDiff, "compared", &fields));
        }
    }
    events
}

/// The event of an artifact of which only parts were read: its digest is not known, and nothing follows for its bytes
/// as a whole.
pub fn parts(origin: &Origin, record: &Record, facts: &Fields, generation: &str, seen: jiff::Timestamp) -> Event {
    let draft = Draft {
        id: id(origin, &[&record.key, "parts", &record.signature, generation]),
        kind: EventKind::ArtifactScan,
        action: "inspected",
        time: record.time.unwrap_or(seen),
        subject: &record.subject,
        place: &record.place,
        artifact: record.artifact.as_ref(),
        digest: None,
    };
    let mut facts = facts.clone();
    facts.insert(PARTIAL.to_owned(), true.into());
    draft.event(origin, [&record.attributes, &facts])
}

/// Digests that somebody promised and that are not those of the bytes.
const MISMATCHES: &str = "artifact.digest.mismatches";

/// The digest that the registry or store promises, where the bytes have another.
fn broken_promise<'l>(look: &Look<'l>) -> Option<&'l str> {
    let claimed = look.record.attributes.get("artifact.claimed_hash")?.as_text()?;
    (claimed != format!("sha256:{}", look.blob.sha256)).then_some(claimed)
}

fn version(blob: &Blob) -> artifact::Version {
    artifact::Version {
        hash: blob.sha256,
        format: blob.report.format.clone(),
        facts: blob.report.facts.clone(),
        segments: blob.segments.clone(),
    }
}

fn event(origin: &Origin, look: &Look<'_>, kind: EventKind, action: &str, fields: &Fields) -> Event {
    let digest = look.blob.sha256;
    let id = id(origin, &[&look.record.key, kind.category(), action, &digest.to_string(), look.generation]);
    let draft = Draft {
        id,
        kind,
        action,
        time: look.record.time.unwrap_or(look.seen),
        subject: &look.record.subject,
        place: &look.record.place,
        artifact: look.record.artifact.as_ref(),
        digest: Some(digest),
    };
    draft.event(origin, [&look.record.attributes, fields])
}

/// Events of a record that is not bytes; `generation`: how often it had changed before.
pub fn registry(
    origin: &Origin,
    record: &Record,
    generation: &str,
    changes: &[Change],
    seen: jiff::Timestamp,
) -> Vec<Event> {
    let tell = |(index, change): (usize, &Change)| {
        let id = id(origin, &[&record.key, change.action, generation, &index.to_string()]);
        let draft = Draft {
            id,
            kind: EventKind::ModelRegistry,
            action: change.action,
            time: record.time.unwrap_or(seen),
            subject: &record.subject,
            place: &record.place,
            artifact: None,
            digest: None,
        };
        draft.event(origin, [&record.attributes, &change.fields])
    };
    changes.iter().enumerate().map(tell).collect()
}

/// The event of a place whose bytes are not those of another that should have the same.
pub fn mismatch(origin: &Origin, record: &Record, here: Sha256, elsewhere: &Fields, seen: jiff::Timestamp) -> Event {
    let other = |path: &str| elsewhere.get(path).and_then(Value::as_text).unwrap_or_default();
    // Whichever of the two tells of it, it is one event.
    let ours = [&*origin.source, &*record.key, &format!("sha256:{here}")].map(str::to_owned);
    let names = ["artifact.elsewhere.source", "artifact.elsewhere.key", "artifact.elsewhere.hash"];
    let mut both = [ours, names.map(|name| other(name).to_owned())];
    both.sort();
    let parts: Vec<&str> = std::iter::once("elsewhere").chain(both.iter().flatten().map(String::as_str)).collect();
    let draft = Draft {
        id: digest::of_parts(&parts).short(),
        kind: EventKind::ModelRegistry,
        action: "registry.digest_mismatch",
        time: seen,
        subject: &record.subject,
        place: &record.place,
        artifact: record.artifact.as_ref(),
        digest: Some(here),
    };
    draft.event(origin, [&record.attributes, elsewhere])
}

/// Events of bytes that are the same, of which something else changed.
pub fn same_bytes(
    origin: &Origin,
    record: &Record,
    generation: &str,
    digest: Sha256,
    changes: &[Change],
    seen: jiff::Timestamp,
) -> Vec<Event> {
    let tell = |change: &Change| {
        let (kind, id) = if change.action == CHECKED {
            // Of the same bytes the same may be found again, and something else as well.
            let found = to_json(&record.attributes).to_string();
            (EventKind::ArtifactScan, id(origin, &[&record.key, change.action, generation, &found]))
        } else {
            (EventKind::ArtifactChange, id(origin, &[&record.key, change.action, generation]))
        };
        let draft = Draft {
            id,
            kind,
            action: change.action,
            time: seen,
            subject: &record.subject,
            place: &record.place,
            artifact: record.artifact.as_ref(),
            digest: Some(digest),
        };
        draft.event(origin, [&record.attributes, &change.fields])
    };
    changes.iter().map(tell).collect()
}

/// What an event about a record is about.
pub const fn subject_kind(kind: RecordKind) -> SubjectKind {
    match kind {
        RecordKind::Artifact => SubjectKind::Artifact,
        RecordKind::Model => SubjectKind::Model,
        RecordKind::ModelVersion | RecordKind::VersionArtifact => SubjectKind::ModelVersion,
        RecordKind::Webhook => SubjectKind::Webhook,
        RecordKind::LoggedModel => SubjectKind::LoggedModel,
    }
}

/// Events of a record that is gone; `standing`: how its bytes stood.
pub fn gone(
    origin: &Origin,
    before: &Placed,
    generation: &str,
    changes: &[Change],
    standing: Fields,
    seen: jiff::Timestamp,
) -> Vec<Event> {
    let bytes = before.digest.is_some();
    let kind = if bytes { EventKind::ArtifactChange } else { EventKind::ModelRegistry };
    let deleted = Change { action: "deleted", fields: standing };
    let changes = if bytes { std::slice::from_ref(&deleted) } else { changes };
    let subject = subject_of(before);
    let tell = |change: &Change| {
        let draft = Draft {
            id: id(origin, &[&before.key, change.action, "gone", generation]),
            kind,
            action: change.action,
            time: seen,
            subject: &subject,
            place: &Place::default(),
            artifact: None,
            digest: before.digest,
        };
        draft.event(origin, [&before.attributes, &change.fields])
    };
    changes.iter().map(tell).collect()
}

/// The event of bytes that lay there when something was decided about their model, or about what their place serves;
/// `decision` tells one such time from others, `standing` how they stand now.
pub fn decided(origin: &Origin, placed: &Placed, decision: &str, standing: &Fields, seen: jiff::Timestamp) -> Event {
    let (subject, digest) = (subject_of(placed), placed.digest.map(|digest| digest.to_string()).unwrap_or_default());
    let draft = Draft {
        id: id(origin, &[&placed.key, "decided", &digest, decision]),
        kind: EventKind::ArtifactScan,
        action: "decided",
        time: seen,
        subject: &subject,
        place: &Place::default(),
        artifact: None,
        digest: placed.digest,
    };
    draft.event(origin, [&placed.attributes, standing])
}

/// The event of approved bytes in whose place something lies that could not be read.
pub fn unread(origin: &Origin, record: &Record, generation: &str, standing: &Fields, seen: jiff::Timestamp) -> Event {
    let draft = Draft {
        id: id(origin, &[&record.key, "unread", &record.signature, generation]),
        kind: EventKind::ArtifactChange,
        action: "modified",
        time: seen,
        subject: &record.subject,
        place: &record.place,
        artifact: record.artifact.as_ref(),
        digest: None,
    };
    draft.event(origin, [&record.attributes, standing])
}

fn subject_of(placed: &Placed) -> Subject {
    let kind = match placed.kind.as_str() {
        "model" => subject_kind(RecordKind::Model),
        "model_version" => subject_kind(RecordKind::ModelVersion),
        "version_artifact" => subject_kind(RecordKind::VersionArtifact),
        "webhook" => subject_kind(RecordKind::Webhook),
        "logged_model" => subject_kind(RecordKind::LoggedModel),
        _ => subject_kind(RecordKind::Artifact),
    };
    Subject::new(kind, placed.subject.clone())
}

/// The event of one log line.
pub fn line(origin: &Origin, line: &Line, seen: jiff::Timestamp) -> Event {
    let position = line.checkpoint.position.to_string();
    let draft = Draft {
        id: id(origin, &[&line.checkpoint.key, &position, &line.text]),
        kind: EventKind::TrainingLog,
        action: "log.line",
        time: line.time.unwrap_or(seen),
        subject: &line.subject,
        place: &line.place,
        artifact: None,
        digest: None,
    };
    let mut fields = line.attributes.clone();
    fields.insert("log.line".to_owned(), Value::from(line.text.as_str()));
    let origin = Origin { product: line.product.to_owned(), ..origin.clone() };
    draft.event(&origin, [&fields, &Fields::new()])
}

/// The event of one question to a model and its answer.
pub fn inference(origin: &Origin, inference: &Inference, seen: jiff::Timestamp) -> Event {
    let draft = Draft {
        id: id(origin, &["inference", &inference.id]),
        kind: EventKind::Inference,
        action: inference.action,
        // Whoever asks may choose the time, but not one that makes others seem late.
        time: inference.time.filter(|time| *time <= seen).unwrap_or(seen),
        subject: &inference.subject,
        place: &inference.place,
        artifact: None,
        digest: None,
    };
    draft.event(origin, [&inference.attributes, &Fields::new()])
}

/// What was found about the signature of a model.
pub fn signature(host: Option<&str>, place: &str, id: String, fields: &Fields, seen: jiff::Timestamp) -> Event {
    let origin =
        Origin { source: "signatures".to_owned(), product: "filesystem".to_owned(), host: host.map(str::to_owned) };
    let subject = Subject::new(SubjectKind::Artifact, place.to_owned());
    let draft = Draft {
        id,
        kind: EventKind::ArtifactScan,
        action: "signature.checked",
        time: seen,
        subject: &subject,
        place: &Place::default(),
        artifact: None,
        digest: None,
    };
    draft.event(&origin, [fields, &Fields::new()])
}

/// The agent about itself.
pub fn health(host: Option<&str>, notice: &Notice, seen: jiff::Timestamp) -> Event {
    let origin = Origin { source: "agent".to_owned(), product: "lanner".to_owned(), host: host.map(str::to_owned) };
    let subject = Subject::new(SubjectKind::Agent, notice.component.clone());
    let draft = Draft {
        id: id(&origin, &[notice.action, &notice.component, notice.reason, &seen.to_string()]),
        kind: EventKind::AgentHealth,
        action: notice.action,
        time: seen,
        subject: &subject,
        place: &Place::default(),
        artifact: None,
        digest: None,
    };
    let fields = Fields::from([
        ("agent.component".to_owned(), Value::from(notice.component.as_str())),
        ("agent.reason".to_owned(), Value::from(notice.reason)),
        ("agent.detail".to_owned(), Value::from(notice.detail.as_str())),
    ]);
    draft.event(&origin, [&fields, &Fields::new()])
}

/// Something about the agent that a person should hear of.
#[derive(Debug, Clone)]
pub struct Notice {
    /// `source.blind`, `events.dropped`, `reload.failed`, `sink.dead_letter`, `inspection.failed`,
    /// `correlation.evicted`.
    pub action: &'static str,
    /// Source, sink or stage.
    pub component: String,
    /// From a closed set.
    pub reason: &'static str,
    pub detail: String,
}

struct Draft<'a> {
    id: String,
    kind: EventKind,
    action: &'a str,
    time: jiff::Timestamp,
    subject: &'a Subject,
    place: &'a Place,
    artifact: Option<&'a ArtifactRef>,
    digest: Option<Sha256>,
}

impl Draft<'_> {
    fn event(self, origin: &Origin, parts: [&Fields; 2]) -> Event {
        let mut fields = Fields::new();
        for part in parts {
            fields.extend(part.iter().map(|(path, value)| (path.clone(), value.clone())));
        }
        fields.insert("event.action".to_owned(), Value::from(self.action));
        let mut place = self.place.clone();
        place.host = place.host.or_else(|| origin.host.clone());
        Event {
            id: self.id,
            kind: self.kind,
            time: self.time,
            source: origin.source.clone(),
            product: origin.product.clone(),
            service: None,
            subject: self.subject.clone(),
            artifact: self.artifact.cloned(),
            digest: self.digest,
            place,
            fields,
        }
        .sealed()
    }
}

fn id(origin: &Origin, parts: &[&str]) -> String {
    let all: Vec<&str> = std::iter::once(origin.source.as_str()).chain(parts.iter().copied()).collect();
    digest::of_parts(&all).short()
}

const PARTIAL: &str = "artifact.partial";

/// Fields of what was looked into as far as it was fetched.
pub const PARTS_FIELDS: &[crate::event::Field] = &[crate::event::field::field(
    PARTIAL,
    crate::event::FieldType::Bool,
    "True where only parts were fetched, for its size: `artifact.hash` is not known, and not all of it was searched.",
)];

/// Fields of `agent_health` events.
pub const HEALTH_FIELDS: &[crate::event::Field] = &[
    crate::event::field::field("agent.component", crate::event::FieldType::Text, "Source, sink or stage concerned."),
    crate::event::field::field("agent.reason", crate::event::FieldType::Text, "Why, from a closed set."),
    crate::event::field::field("agent.detail", crate::event::FieldType::Text, "A sentence with the remedy."),
];
