//! Observe and open: the places where artifacts, registry records and log lines come from.
//!
//! Notifications are hints; listing and comparing is the truth. A source tells the whole of what
//! it sees as records; what changed against the durable snapshot is decided by whoever keeps it.

pub mod cloudevents;
pub mod fields;
pub mod filesystem;
pub mod folder;
pub mod git;
pub mod hints;
pub mod huggingface;
pub mod inference;
pub mod logs;
pub mod mlflow;
pub mod objects;
pub mod oci;
pub mod reconcile;
pub mod remote;
pub mod signatures;
pub mod verify;

mod emit;
mod filter;
mod models;
mod open;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::artifact::{Bytes, Stop};
use crate::base::http::Failure;
use crate::event::{ArtifactRef, Fields, Place, Subject};

pub use crate::event::record::{Checkpoint, RecordKind};
pub use inference::Inference;

/// One kind of source, as a configuration names it.
pub struct SourceKind {
    pub name: &'static str,
    schema: fn() -> schemars::Schema,
    build: fn(serde_json::Value) -> Built,
}

/// A source, or every problem with its settings: a sentence each, with a hint.
pub type Built = Result<Arc<dyn Source>, Vec<String>>;

/// Every kind of source.
pub static KINDS: &[SourceKind] = &[
    SourceKind::of::<filesystem::Config>("filesystem"),
    SourceKind::of::<mlflow::Config>("mlflow"),
    SourceKind::of::<objects::Config>("objects"),
    SourceKind::of::<huggingface::Config>("huggingface"),
    SourceKind::of::<oci::Config>("oci"),
    SourceKind::of::<cloudevents::Config>("cloudevents"),
    SourceKind::of::<cloudevents::IndexConfig>("index"),
    SourceKind::of::<git::Config>("git"),
];

/// What a person writes to have a source of one kind.
pub trait Settings: serde::de::DeserializeOwned + schemars::JsonSchema {
    /// Checks the settings.
    fn build(self) -> Built;
}

impl SourceKind {
    const fn of<S: Settings>(name: &'static str) -> Self {
        Self { name, schema: || schemars::SchemaGenerator::default().into_root_schema_for::<S>(), build: build::<S> }
    }

    /// JSON Schema of the settings.
    pub fn schema(&self) -> schemars::Schema {
        (self.schema)()
    }

    /// Makes a source from settings as written.
    pub fn build(&self, settings: serde_json::Value) -> Built {
        (self.build)(settings)
    }
}

fn build<S: Settings>(settings: serde_json::Value) -> Built {
    serde_path_to_error::deserialize::<_, S>(settings).map_err(|error| vec![error.to_string()])?.build()
}

/// What a source saw, in the words of a Kubernetes watch.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// A complete listing begins: after a start, or after a loss of hints.
    Init,
    /// One record of that listing.
    InitApply(Record),
    /// Part of that listing could not be looked at, for example a directory without permission:
    /// records whose key begins with this text are neither seen nor gone, and stay as they are.
    InitKeep(String),
    /// The listing is complete: what it did not name is gone.
    InitDone,
    /// A record is new or changed.
    Apply(Record),
    /// The record with this key is gone.
    Delete(String),
    /// What somebody said, who is believed: nobody else could tell.
    Told(Told),
    /// One complete line of a log.
    Line(Line),
    /// A model was asked something, and has answered or failed.
    Inference(Box<Inference>),
    /// How far a log was read, without a line to go with it: a rotation, or lines left out.
    Checkpoint(Checkpoint),
}

/// One hint of those that came together.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// What its sender calls it: it is taken once.
    pub delivery: Option<String>,
    pub body: serde_json::Value,
}

/// Why what was sent is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// Sending it again does not help: where it is wrong, and what should be there.
    Malformed(String),
    /// There is no room for it now.
    Full(String),
}

/// One statement that was taken from outside and is kept on the disk until what it led to is, too.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Number of the hint that it came as.
    pub hint: i64,
    /// What to remember together with it.
    pub checkpoint: Option<Checkpoint>,
    pub statement: Statement,
}

/// What was said of one record.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// It is new or changed, and stands like this now.
    Stands(Record),
    /// It was so before: nothing happened, unless it is known to be otherwise.
    Stood(Record),
    /// The record with this key is gone.
    Gone(String),
    /// Of the record with this key something later was said already.
    Outdated(String),
}

/// One thing that a source keeps watch over, as it stands now.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Unique within the source, for example a path or `version/fraud-clf/3`.
    pub key: String,
    pub kind: RecordKind,
    /// Changes whenever the record may have changed, for example size, times and inode of a file,
    /// or an entity tag. Equal signatures are taken as equal bytes until the next full verification.
    pub signature: String,
    pub subject: Subject,
    /// The bytes, where the record has any; they are fetched, hashed and inspected.
    pub artifact: Option<ArtifactRef>,
    /// When the source says that it last changed.
    pub time: Option<Timestamp>,
    pub place: Place,
    /// Declared fields of this source.
    pub attributes: Fields,
    pub hint: Hint,
}

/// What made the source look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    Inotify,
    Poll,
    Sweep,
    Webhook,
}

impl Hint {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inotify => "inotify",
            Self::Poll => "poll",
            Self::Sweep => "sweep",
            Self::Webhook => "webhook",
        }
    }
}

/// One complete line of a log, and how far the log is read with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub text: String,
    pub time: Option<Timestamp>,
    pub subject: Subject,
    pub place: Place,
    /// Sigma `logsource.product`: `kubernetes`, `docker` or `file`.
    pub product: &'static str,
    /// Declared fields: path, stream, and those of a JSON line.
    pub attributes: Fields,
    pub checkpoint: Checkpoint,
}

/// What a source is given to run with.
pub struct Context {
    /// A full channel makes the source wait.
    pub out: mpsc::Sender<Observation>,
    /// Return soon after it is cancelled.
    pub stop: CancellationToken,
    /// Checkpoints committed before, by key.
    pub checkpoints: BTreeMap<String, serde_json::Value>,
    /// Where to tell how things stand.
    pub status: Arc<Status>,
    /// Where to count what was seen, missed and dropped.
    pub metrics: SourceMetrics,
    /// What others say that happened there: reasons to look.
    pub hints: hints::Hints,
}

pub use crate::base::metrics::SourceMetrics;

/// Whether a source sees; read by readiness and the status page.
#[derive(Debug, Default)]
pub struct Status {
    state: std::sync::Mutex<State>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct State {
    /// The first listing is complete.
    pub synced: bool,
    /// Why the source cannot see all it should: reason (closed set) and a sentence with a remedy.
    pub blind: BTreeMap<String, String>,
    /// How it sees otherwise than one may think, without being blind, for example `polling`.
    pub notes: BTreeMap<String, String>,
    pub last_success: Option<Timestamp>,
    /// Records or files watched.
    pub watched: u64,
}

impl Status {
    pub fn read(&self) -> State {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub fn change(&self, edit: impl FnOnce(&mut State)) {
        edit(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

/// Why a source cannot go on, by what its owner does next.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Try again later.
    #[error("{what}")]
    Transient {
        what: String,
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A person must act: credentials, permissions, configuration. Still retried, slowly.
    #[error("{what}")]
    Denied {
        what: String,
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// Why bytes could not be opened, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Forget it: it is no longer there.
    #[error("it is gone")]
    Gone,
    /// A person must act.
    #[error("access was denied")]
    Denied(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Try again later.
    #[error("it cannot be read now")]
    Transient(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is not the kind of thing to read, or larger than allowed.
    #[error("it is refused: {0}")]
    Refused(String),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Gone => Self::Gone,
            Failure::Denied { status: 300..=399 } => Self::Refused(format!("{failure}: it leads elsewhere")),
            Failure::Denied { .. } => Self::Denied(Box::new(failure)),
            Failure::Rejected { .. } => Self::Refused(failure.to_string()),
            Failure::Server { .. }
            | Failure::Throttled { .. }
            | Failure::Unreachable(_)
            | Failure::Timeout
            | Failure::TooLarge { .. }
            | Failure::Garbage(_) => Self::Transient(Box::new(failure)),
        }
    }
}

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Bytes opened for reading, and a way to tell whether they changed meanwhile.
pub trait Opened: Bytes {
    /// True when the bytes are still those that were opened: same inode, size and times, or entity tag.
    fn unchanged(&self) -> bool;

    /// What a record of these bytes would have as its signature now, where that can be told without its source.
    fn signature(&self) -> Option<String> {
        None
    }

    /// Lets the system forget the bytes that were read, where it kept them for this reading only.
    fn forget(&self) {}
}

/// Bytes of which only those are fetched that are read; from a thread where blocking is allowed.
pub trait Parts: Opened {
    /// What was fetched so far.
    fn spent(&self) -> Spent;

    /// Why the last bytes that were missed could not be fetched; a budget that is used up is no failure.
    fn failure(&self) -> Option<StoreError>;
}

/// What reading in parts has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    pub requests: u64,
    pub bytes: u64,
}

/// Opens the artifacts that a source speaks of.
pub trait Store: Send + Sync {
    fn open<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<Box<dyn Opened>, StoreError>>;

    /// The server that has an artifact, where there is more than one.
    fn server(&self, _artifact: &ArtifactRef) -> Option<String> {
        None
    }

    /// Whether opening may take as long as somebody else likes, and keeps few of them open by itself: then nobody waits
    /// for it with a turn of the examiner.
    fn is_fetched(&self) -> bool {
        false
    }

    /// An artifact that is too large for [`Store::open`], to be read in parts: at most so many bytes are fetched, and
    /// none after `stop` says so. `None` where it is not too large, or cannot be read so.
    fn parts<'a>(
        &'a self,
        _artifact: &'a ArtifactRef,
        _bytes_max: u64,
        _stop: Stop,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Parts>>, StoreError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// Observes one place. Run again after an error, with back-off, by its owner.
pub trait Source: Send + Sync {
    /// Name as configured.
    fn name(&self) -> &str;
    /// Sigma `logsource.product` of its events.
    fn product(&self) -> &'static str;
    fn run(&self, context: Context) -> BoxFuture<'_, Result<(), SourceError>>;
    /// The store of its artifacts, if its records have any.
    fn store(&self) -> Option<Arc<dyn Store>>;
    /// Address of the server that is asked, where there is one: its clock should agree with ours.
    fn server(&self) -> Option<String> {
        None
    }
    /// Whether it follows hints that others give.
    fn hears(&self) -> bool {
        false
    }
    /// Reads what others sent for it, before they hear that it was taken. A hint may be any JSON, since it is only a
    /// reason to look; a source that believes what it is told says here what makes no sense.
    fn receive(&self, _headers: &HeaderMap, body: &[u8]) -> Result<Vec<Sent>, Unfit> {
        let body = serde_json::from_slice(body).map_err(|_| Unfit::Malformed("the body is no JSON".to_owned()))?;
        Ok(vec![Sent { delivery: None, body }])
    }
    /// Whether one address may hold bytes of one version after those of another: then only what a version had itself
    /// was changed.
    fn reuses_addresses(&self) -> bool {
        false
    }
    /// How often bytes are read again though nothing says that they changed; `None` where the source itself
    /// sees to it.
    fn sweep(&self) -> Option<Sweep> {
        None
    }
    /// Fields of records of one kind that must hold where they are said: what was said of them is remembered when a
    /// record goes away or a later word leaves them out, and what is said next is held against it.
    fn lasting(&self, _kind: RecordKind) -> &'static [&'static str] {
        &[]
    }
    /// How a change of a record that is not bytes is told: `event.action` with further fields.
    /// `old` is `None` for a new record, `new` is `None` for one that is gone.
    fn changes(&self, _kind: RecordKind, _old: Option<&Fields>, _new: Option<&Fields>) -> Vec<Change> {
        Vec::new()
    }
}

/// The smallest budget of a [`Sweep`], in bytes a second: one block of a reading.
pub const SWEEP_LEAST: u64 = 256 << 10;

/// Reading bytes again, for changes that leave no trace: stores through a mapping, times set back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// Each artifact is read again after this time, as far as the budget reaches.
    pub every: std::time::Duration,
    /// Budget, on average.
    pub bytes_per_sec: u64,
    /// Leave in the page cache what was read.
    pub keep_cache: bool,
    /// Beginnings of keys whose age is told apart.
    pub roots: Vec<String>,
}

/// The action of a change that is told as a scan: what the bytes are held against changed, and not the bytes.
pub const CHECKED: &str = "checked";

/// One `model_registry` event in the making.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// For example `alias.moved`.
    pub action: &'static str,
    /// What changed, beside the record's attributes.
    pub fields: Fields,
}
