//! One record: compared with the snapshot, its bytes looked at, its story told.

use std::sync::Arc;
use std::time::Duration;

use super::{Outcome, Shared};
use crate::agent::announced::{self, Knowledge};
use crate::agent::examine::{ExamineError, Examined};
use crate::agent::tell::{self, Look, Notice, Origin};
use crate::base::backoff::Backoff;
use crate::base::clock;
use crate::event::{ArtifactRef, Event, Place, Portrait, Sha256, Subject};
use crate::sources::{Change, Hint, Record, RecordKind, Source, Store, Sweep};
use crate::state::portraits::Edge;
use crate::state::sweep::Due;
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
            (Some(_), Some(store)) => {
                let circumstances = Circumstances { same, first_listing, silent: false };
                self.put_artifact(&record, before.as_ref(), &**store, circumstances).await
            }
            (Some(_) | None, None) | (None, Some(_)) => self.put_plain(&record, before.as_ref(), first_listing),
        }
    }

    /// A record that is gone.
    pub async fn remove(&self, key: String) -> Outcome {
        let Some(before) = self.before(&key).await else { return Outcome::default() };
        let changes =
            kind_of(&before).map(|kind| self.source.changes(kind, Some(&before.attributes), None)).unwrap_or_default();
        let events = tell::gone(&self.origin, &before, &changes, clock::now());
        Outcome { change: Some(RecordChange::Remove { key }), events, ..Outcome::default() }
    }

    /// Reads the bytes of records again though nothing says that they changed: those that are the same, and the keys
    /// of those that are not.
    pub async fn read_again(&self, due: Vec<Due>, sweep: &Sweep) -> (Vec<RecordChange>, Vec<String>) {
        let (mut same, mut other) = (Vec::new(), Vec::new());
        for Due { key, .. } in due {
            let Some(before) = self.before(&key).await else { continue };
            let Some((record, store)) = self.remembered(&before).zip(self.store.as_deref()) else { continue };
            let Some(artifact) = &record.artifact else { continue };
            match self.shared.examiner.digest(store, artifact, sweep.bytes_per_sec, sweep.keep_cache).await {
                Ok((now, _)) if Some(now) == before.digest => same.push(RecordChange::Verified { key }),
                // Whatever moves its times is told by the source, which may be on its way.
                Ok((_, signature)) if signature.as_ref().is_some_and(|now| *now != before.signature) => {}
                Ok(_) => other.push(key),
                Err(ExamineError::Gone) => {}
                Err(ExamineError::Again(why) | ExamineError::Refused(why)) => {
                    tracing::debug!(record = %before.key, why, "not read again this time");
                }
            }
        }
        (same, other)
    }

    /// Tells of bytes that are others though nothing said that they changed.
    pub async fn put_silent(&self, key: &str) -> Outcome {
        let Some(before) = self.before(key).await else { return Outcome::default() };
        let Some((record, store)) = self.remembered(&before).zip(self.store.as_deref()) else {
            return Outcome::default();
        };
        let circumstances = Circumstances { same: false, first_listing: false, silent: true };
        self.put_artifact(&record, Some(&before), store, circumstances).await
    }

    /// The record as the inventory has it, to tell of it without its source.
    fn remembered(&self, placed: &Placed) -> Option<Record> {
        let kind = kind_of(placed)?;
        Some(Record {
            key: placed.key.clone(),
            kind,
            signature: placed.signature.clone(),
            subject: Subject::new(tell::subject_kind(kind), placed.subject.clone()),
            artifact: Some(ArtifactRef {
                store: self.origin.source.clone(),
                path: placed.path.clone()?,
                version: placed.version.clone(),
                lineage: placed.lineage.clone()?,
            }),
            time: None,
            place: Place::default(),
            attributes: placed.attributes.clone(),
            hint: Hint::Sweep,
        })
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
        store: &dyn Store,
        circumstances: Circumstances,
    ) -> Outcome {
        if let (true, Some(digest)) = (circumstances.same, before.and_then(|before| before.digest)) {
            // Only what is said about the bytes changed, unless an older inspection looked at them.
            if let Some(blob) = self.blob(digest).await {
                return put(record, Some(blob), self.told_of_bytes(record, before, digest, circumstances));
            }
        }
        let previous = self.previous(record, before).await;
        let portrait = match &previous {
            Some(previous) => self.portrait(previous.sha256).await,
            None => None,
        };
        let Examined { blob, portrait, differences } = match self.examine(store, record, portrait).await {
            Ok(examined) => examined,
            Err(ExamineError::Gone) => {
                self.shared.metrics.events_dropped.with_label_values(&["examine", "gone"]).inc();
                return Outcome::default();
            }
            Err(ExamineError::Again(why)) => {
                let events = vec![self.left_out("unreadable", record, &why)];
                return Outcome { events, again: Some(Box::new(record.clone())), ..Outcome::default() };
            }
            Err(ExamineError::Refused(why)) => return put(record, None, vec![self.left_out("oversize", record, &why)]),
        };
        let knowledge = self.knowledge(record, blob.sha256, previous.as_ref()).await;
        let look = Look {
            record,
            blob: &blob,
            before,
            previous: previous.as_ref(),
            differences: &differences,
            knowledge: &knowledge,
            silent: circumstances.silent,
            first_listing: circumstances.first_listing,
            seen: clock::now(),
        };
        let mut events = tell::artifact(&self.origin, &look);
        if events.is_empty() {
            events = self.told_of_bytes(record, before, blob.sha256, circumstances);
        }
        let edge = previous.filter(|previous| previous.sha256 != blob.sha256);
        let edge = edge.map(|previous| Edge { parent: previous.sha256, child: blob.sha256, differences });
        let mut outcome = put(record, Some(blob), events);
        outcome.edge = edge;
        if let Some(RecordChange::Put(seen)) = &mut outcome.change {
            seen.read = true;
            seen.portrait = portrait;
        }
        outcome
    }

    /// What the source makes of other attributes of the same bytes: links, permissions.
    fn told_of_bytes(
        &self,
        record: &Record,
        before: Option<&Placed>,
        digest: Sha256,
        circumstances: Circumstances,
    ) -> Vec<Event> {
        let Some(before) = before.filter(|_| !circumstances.first_listing) else { return Vec::new() };
        let changes = self.source.changes(record.kind, Some(&before.attributes), Some(&record.attributes));
        tell::same_bytes(&self.origin, record, before, digest, &changes, clock::now())
    }

    /// What the inventory knows of bytes that came, and of those before.
    async fn knowledge(&self, record: &Record, new: Sha256, old: Option<&Blob>) -> Knowledge {
        /// Places looked at: enough to find a registered version among them.
        const PLACES_MAX: usize = 64;
        let (state, old) = (self.shared.state.clone(), old.map(|blob| blob.sha256));
        let (model, path) = (announced::served(record).map(str::to_owned), record.key.clone());
        self.ask(move || {
            let mut knowledge = Knowledge { any: state.has_approvals()?, ..Knowledge::default() };
            knowledge.places = state.places(&new, PLACES_MAX)?;
            if let Some(old) = old {
                knowledge.old_places = state.places(&old, PLACES_MAX)?;
            }
            if knowledge.any {
                knowledge.new = state.standings(&new, model.as_deref())?;
                knowledge.old = old.map(|old| state.standings(&old, model.as_deref())).transpose()?.unwrap_or_default();
                let before = announced::standing(&knowledge.old, model.as_deref());
                let known = before.map(|standing| (standing.model.clone(), standing.path.clone()));
                let asked = known.or_else(|| model.clone().map(|model| (model, path.clone())));
                if let Some((model, path)) = asked {
                    knowledge.expected = state.expected(&model, &path)?.filter(|(_, digest)| *digest != new);
                }
            }
            Ok(knowledge)
        })
        .await
        .unwrap_or_default()
    }

    async fn portrait(&self, digest: Sha256) -> Option<Portrait> {
        let state = self.shared.state.clone();
        self.ask(move || state.portrait(&digest)).await.flatten()
    }

    /// Bytes that move while they are read are read again, after a while.
    async fn examine(
        &self,
        store: &dyn Store,
        record: &Record,
        before: Option<Portrait>,
    ) -> Result<Examined, ExamineError> {
        let artifact = record.artifact.as_ref().expect("the caller has matched it");
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2), artifact.path.len() as u64);
        loop {
            match self.shared.examiner.examine(store, artifact, before.clone()).await {
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
    Outcome { change: Some(RecordChange::Put(Box::new(seen(record, blob)))), events, ..Outcome::default() }
}

/// How it comes that a record is looked at.
#[derive(Debug, Clone, Copy)]
struct Circumstances {
    /// Its signature says that the bytes are the same.
    same: bool,
    /// What was there before us did not change.
    first_listing: bool,
    /// Only reading the bytes again showed that they are others.
    silent: bool,
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
        portrait: Portrait::default(),
        read: false,
        attributes: record.attributes.clone(),
    }
}

fn kind_of(placed: &Placed) -> Option<RecordKind> {
    [RecordKind::Artifact, RecordKind::VersionArtifact, RecordKind::Model, RecordKind::ModelVersion]
        .into_iter()
        .find(|kind| crate::state::commit::kind_text(*kind) == placed.kind)
}
