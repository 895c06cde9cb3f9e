//! One record: compared with the snapshot, its bytes looked at, its story told.

use std::sync::Arc;
use std::time::Duration;

use super::{Outcome, Shared};
use crate::agent::examine::ExamineError;
use crate::agent::tell::{self, Look, Notice, Origin};
use crate::base::backoff::Backoff;
use crate::base::clock;
use crate::event::{Event, Sha256};
use crate::sources::{Change, Record, RecordKind, Source, Store};
use crate::state::{Blob, Placed, RecordChange, Seen, StateError};

/// Tries to read one artifact until it is left for the next look.
const TRIES: u32 = 4;

/// What all records of one source need.
pub struct Records {
    shared: Shared,
    source: Arc<dyn Source>,
    store: Option<Arc<dyn Store>>,
    origin: Origin,
}

impl Records {
    pub fn new(shared: Shared, source: Arc<dyn Source>, origin: Origin) -> Self {
        let store = source.store();
        Self { shared, source, store, origin }
    }

    /// Keys of the durable snapshot.
    pub async fn keys(&self) -> Vec<String> {
        let (state, name) = (self.shared.state.clone(), self.origin.source.clone());
        self.ask(move || state.keys(&name)).await.unwrap_or_default()
    }

    /// A record as it stands now.
    pub async fn put(&self, record: Record, first_listing: bool) -> Outcome {
        let before = self.before(&record.key).await;
        let same = before.as_ref().is_some_and(|before| before.signature == record.signature);
        if same && before.as_ref().is_some_and(|before| before.attributes == record.attributes) {
            return Outcome::default();
        }
        match (&record.artifact, &self.store) {
            (Some(_), Some(store)) => self.put_artifact(&record, before.as_ref(), same, &**store, first_listing).await,
            (Some(_) | None, None) | (None, Some(_)) => self.put_plain(&record, before.as_ref(), first_listing),
        }
    }

    /// A record that is gone.
    pub async fn remove(&self, key: String) -> Outcome {
        let Some(before) = self.before(&key).await else { return Outcome::default() };
        let changes =
            kind_of(&before).map(|kind| self.source.changes(kind, Some(&before.attributes), None)).unwrap_or_default();
        let events = tell::gone(&self.origin, &before, &changes, clock::now());
        Outcome { change: Some(RecordChange::Remove { key }), events, again: None }
    }

    fn put_plain(&self, record: &Record, before: Option<&Placed>, first_listing: bool) -> Outcome {
        let old = before.map(|before| &before.attributes);
        let mut changes = self.source.changes(record.kind, old, Some(&record.attributes));
        if first_listing {
            // What was there before us did not change; but what it is may be a finding.
            changes.retain(|change: &Change| change.action.ends_with(".created"));
        }
        let events = tell::registry(&self.origin, record, before, &changes, clock::now());
        put(record, None, events)
    }

    async fn put_artifact(
        &self,
        record: &Record,
        before: Option<&Placed>,
        same: bool,
        store: &dyn Store,
        first_listing: bool,
    ) -> Outcome {
        if let (true, Some(digest)) = (same, before.and_then(|before| before.digest)) {
            // Only what is said about the bytes changed, unless an older inspection looked at them.
            if let Some(blob) = self.blob(digest).await {
                return put(record, Some(blob), Vec::new());
            }
        }
        let blob = match self.examine(store, record).await {
            Ok(blob) => blob,
            Err(ExamineError::Gone) => {
                self.shared.metrics.events_dropped.with_label_values(&["examine", "gone"]).inc();
                return Outcome::default();
            }
            Err(ExamineError::Again(why)) => {
                let events = vec![self.left_out("unreadable", record, &why)];
                return Outcome { change: None, events, again: Some(Box::new(record.clone())) };
            }
            Err(ExamineError::Refused(why)) => return put(record, None, vec![self.left_out("oversize", record, &why)]),
        };
        let previous = self.previous(record, before).await;
        let look = Look { record, blob: &blob, before, previous: previous.as_ref(), first_listing, seen: clock::now() };
        let events = tell::artifact(&self.origin, &look);
        put(record, Some(blob), events)
    }

    /// Bytes that move while they are read are read again, after a while.
    async fn examine(&self, store: &dyn Store, record: &Record) -> Result<Blob, ExamineError> {
        let artifact = record.artifact.as_ref().expect("the caller has matched it");
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2), artifact.path.len() as u64);
        loop {
            match self.shared.examiner.examine(store, artifact).await {
                Err(ExamineError::Again(why)) if backoff.failures() < TRIES => {
                    tracing::debug!(artifact = %artifact, why, "looked into again later");
                    tokio::time::sleep(backoff.next_wait()).await;
                }
                result => return result,
            }
        }
    }

    /// Nothing is known about these bytes: counted, logged, and told as the agent's own event.
    fn left_out(&self, reason: &'static str, record: &Record, why: &str) -> Event {
        self.shared.metrics.events_dropped.with_label_values(&["examine", reason]).inc();
        tracing::warn!(source = %self.origin.source, record = %record.key, why, "an artifact could not be looked into");
        let notice = Notice {
            action: "inspection.failed",
            component: self.origin.source.clone(),
            reason,
            detail: format!("`{}`: {why}", record.subject.name),
        };
        tell::health(self.origin.host.as_deref(), &notice, clock::now())
    }

    /// The bytes that this artifact was before: its own, else those of another version.
    async fn previous(&self, record: &Record, before: Option<&Placed>) -> Option<Blob> {
        if let Some(digest) = before.and_then(|before| before.digest) {
            return self.blob(digest).await;
        }
        let artifact = record.artifact.as_ref()?;
        let (state, source) = (self.shared.state.clone(), self.origin.source.clone());
        let (lineage, version) = (artifact.lineage.clone(), artifact.version.clone());
        let digest = self.ask(move || state.previous(&source, &lineage, version.as_deref())).await.flatten()?;
        self.blob(digest).await
    }

    async fn before(&self, key: &str) -> Option<Placed> {
        let (state, source, key) = (self.shared.state.clone(), self.origin.source.clone(), key.to_owned());
        self.ask(move || state.record(&source, &key)).await.flatten()
    }

    async fn blob(&self, digest: Sha256) -> Option<Blob> {
        let state = self.shared.state.clone();
        self.ask(move || state.blob(&digest)).await.flatten()
    }

    /// Asks the state, and again until it answers: to go on without the answer would tell a change
    /// where there is none, or none where there is one.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl Fn() -> Result<T, StateError> + Send + Sync + 'static,
    ) -> Option<T> {
        let question = Arc::new(question);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5), 3);
        loop {
            let asked = Arc::clone(&question);
            match tokio::task::spawn_blocking(move || asked()).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => {
                    tracing::error!(%error, "the state could not be read; trying again");
                    tokio::time::sleep(backoff.next_wait()).await;
                }
                Err(_) => return None,
            }
        }
    }
}

fn put(record: &Record, blob: Option<Blob>, events: Vec<Event>) -> Outcome {
    Outcome { change: Some(RecordChange::Put(Box::new(seen(record, blob)))), events, again: None }
}

fn seen(record: &Record, blob: Option<Blob>) -> Seen {
    let artifact = record.artifact.as_ref();
    Seen {
        key: record.key.clone(),
        kind: record.kind,
        signature: record.signature.clone(),
        subject: record.subject.name.clone(),
        lineage: artifact.map(|artifact| artifact.lineage.clone()),
        path: artifact.map(|artifact| artifact.path.clone()),
        version: artifact.and_then(|artifact| artifact.version.clone()),
        blob,
        attributes: record.attributes.clone(),
    }
}

fn kind_of(placed: &Placed) -> Option<RecordKind> {
    [RecordKind::Artifact, RecordKind::VersionArtifact, RecordKind::Model, RecordKind::ModelVersion]
        .into_iter()
        .find(|kind| crate::state::commit::kind_text(*kind) == placed.kind)
}
