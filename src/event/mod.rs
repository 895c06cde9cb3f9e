//! Plain data that joins the floors: what was seen, where it lies, and what was concluded.
//!
//! Nothing here does input or output, reads a clock, or knows a format, a registry or a rule.

pub mod alert;
pub mod artifact;
pub mod atlas;
pub mod correlation;
pub mod difference;
pub mod digest;
pub mod field;
pub mod identity;
pub mod json;
pub mod kind;
pub mod path;
pub mod place;
pub mod portrait;
pub mod record;
pub mod repair;
pub mod report;
pub mod subject;
pub mod value;

use jiff::Timestamp;

pub use alert::{Alert, Severity};
pub use artifact::ArtifactRef;
pub use atlas::{LifecyclePhase, MitigationId, TechniqueId};
pub use difference::{Difference, Grade};
pub use digest::Sha256;
pub use field::{Field, FieldType};
pub use kind::EventKind;
pub use place::Place;
pub use portrait::Portrait;
pub use record::{Checkpoint, RecordKind};
pub use report::{Issue, Report, Segment};
pub use subject::Subject;
pub use value::{Fields, Value};

/// One normalised record of something that a source saw or an inspection found.
///
/// Everything a rule can look at is in `fields`, under dotted paths; the typed members are what
/// the program itself needs to route, group and remember the event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Stable identifier: the same observation read twice gives the same id.
    pub id: String,
    pub kind: EventKind,
    /// When it happened, as told by the source, else when it was seen.
    pub time: Timestamp,
    /// Name of the source as configured, for example `models` or `mlflow`.
    pub source: String,
    /// Telemetry origin: the Sigma `logsource.product`, for example `filesystem` or `mlflow`.
    pub product: String,
    /// Subset of the product, the Sigma `logsource.service`, for example `pytorch`.
    pub service: Option<String>,
    /// What an alert about this event is about.
    pub subject: Subject,
    /// The bytes concerned, where there are any.
    pub artifact: Option<ArtifactRef>,
    /// Digest of those bytes.
    pub digest: Option<Sha256>,
    /// Where in the fleet it happened.
    pub place: Place,
    /// Facts by dotted path.
    pub fields: Fields,
}

impl Event {
    /// Copies the typed members into `fields` under their standard names, so that rules can match
    /// them, and derives the id from what was seen. Call once, when the event is complete.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        let mut put = |path: &str, value: Value| {
            self.fields.entry(path.to_owned()).or_insert(value);
        };
        put("@timestamp", Value::from(self.time.to_string()));
        put("event.provider", Value::from(self.source.as_str()));
        put("event.dataset", Value::from(self.product.as_str()));
        put("event.category", Value::from(self.kind.category()));
        put("subject.kind", Value::from(self.subject.kind.as_str()));
        put("subject.name", Value::from(self.subject.name.as_str()));
        if let Some(digest) = &self.digest {
            put("artifact.hash", Value::from(format!("sha256:{digest}")));
        }
        self.place.describe(&mut self.fields);
        if self.id.is_empty() {
            self.id = digest::of_parts(&[
                self.kind.category(),
                &self.source,
                &self.subject.name,
                &self.time.to_string(),
                &value::to_json(&self.fields).to_string(),
            ])
            .short();
        }
        self.fields.insert("event.id".to_owned(), Value::from(self.id.as_str()));
        self
    }
}
