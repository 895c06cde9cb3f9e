//! One record: compared with the snapshot, its bytes looked at, its story told.

mod elsewhere;
mod parts;
mod unread;
mod word;

use std::sync::Arc;
use std::time::Duration;

pub use self::elsewhere::{Compare, FIELDS};
use self::word::Word;
use super::servers::Patient;
use super::slots::Slot;
use super::{Outcome, Shared};
use crate::agent::announced::{self, Knowledge};
use crate::agent::examine::{ExamineError, Examined};
use crate::agent::lanes::Lanes;
use crate::agent::tell::{self, Look, Origin};
use crate::base::backoff::Backoff;
use crate::base::clock;
use crate::event::{ArtifactRef, Event, Fields, Place, Portrait, Sha256, Subject, Value, identity};
use crate::sources::{Hint, Record, RecordKind, Source, Store, Sweep};
use crate::state::portraits::Edge;
use crate::state::sweep::Due;
use crate::state::{Blob, Placed, RecordChange, Seen, StateError, Worth};

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
        let store = source.store().map(|store| Arc::new(Patient::new(store)) as Arc<dyn Store>);
        Self { shared, source, store, origin }
    }

    /// Keys of the durable snapshot.
    pub async fn keys(&self) -> Vec<String> {
        let (state, name) = (self.shared.state.clone(), self.origin.source.clone());
        self.ask(move || state.keys(&name)).await.unwrap_or_default()
    }

    /// A record as it stands now.
    pub async fn put(&self, record: Record, first_listing: bool, slot: &Slot) -> Outcome {
        let before = self.before(&record.key).await;
        // What is known changed under our eyes, though the listing after us was never completed.
        let first_listing = first_listing && before.is_none();
        let same = before.as_ref().is_some_and(|before| before.signature == record.signature);
        if same && before.as_ref().is_some_and(|before| before.attributes == record.attributes) {
            return Outcome::default();
        }
        let (before, word) = (before.as_ref(), self.word(record.kind, &record.key).await);
        let outcome = match (&record.artifact, &self.store) {
            (Some(_), Some(store)) => {
                let circumstances = Circumstances { same, first_listing, silent: false };
                self.put_artifact(&record, before, &word, &**store, circumstances, slot).await
            }
            (Some(_) | None, None) | (None, Some(_)) => {
                put(&record, None, self.told(&record, before, first_listing, &word))
            }
        };
        let mut outcome = self.held_against_its_word(outcome, &record, before, &word);
        outcome.promise = word.kept(&record.key, before, Some(&record.attributes));
        self.compared(outcome, &record, before).await
    }

    /// Adds what other places have to say.
    async fn compared(&self, mut outcome: Outcome, record: &Record, before: Option<&Placed>) -> Outcome {
        let Some(RecordChange::Put(seen)) = &outcome.change else { return outcome };
        let digest = seen.blob.as_ref().map(|blob| blob.sha256);
        let mut compare = Compare::of(record, before, digest);
        if let Some(compare) = &mut compare {
            outcome.events.extend(self.compare(compare).await);
        }
        outcome.compare = compare;
        outcome
    }

    /// A record that is gone.
    pub async fn remove(&self, key: String) -> Outcome {
        let Some(before) = self.before(&key).await else { return Outcome::default() };
        let (mut changes, mut promise) = (Vec::new(), None);
        if let Some(kind) = kind_of(&before) {
            changes = self.source.changes(kind, Some(&before.attributes), None);
            promise = self.word(kind, &key).await.kept(&key, Some(&before), None);
        }
        let place = (before.lineage.as_deref(), before.path.as_deref(), before.version.as_deref());
        let past = self.past(place, Some(&before), &Word::default()).await;
        let standing = match before.digest {
            Some(digest) => self.left(&before.key, &before.attributes, digest, "missing").await,
            None => Fields::new(),
        };
        let events = tell::gone(&self.origin, &before, &past.generation, &changes, standing, clock::now());
        Outcome { change: Some(RecordChange::Remove { key }), events, promise, ..Outcome::default() }
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
                Err(
                    ExamineError::Again(why)
                    | ExamineError::Moving(why)
                    | ExamineError::Slow(why)
                    | ExamineError::Refused(why),
                ) => {
                    tracing::debug!(record = %before.key, why, "not read again this time");
                }
            }
        }
        (same, other)
    }

    /// Tells of bytes that are others though nothing said that they changed.
    pub async fn put_silent(&self, key: &str, slot: &Slot) -> Outcome {
        let Some(before) = self.before(key).await else { return Outcome::default() };
        let Some((record, store)) = self.remembered(&before).zip(self.store.as_deref()) else {
            return Outcome::default();
        };
        let circumstances = Circumstances { same: false, first_listing: false, silent: true };
        let word = Word::default();
        let outcome = self.put_artifact(&record, Some(&before), &word, store, circumstances, slot).await;
        self.compared(outcome, &record, Some(&before)).await
    }

    /// The record as the inventory has it, to tell of it without its source.
    fn remembered(&self, placed: &Placed) -> Option<Record> {
        Some(self.known(placed, kind_of(placed)?)).filter(|record| record.artifact.is_some())
    }

    fn known(&self, placed: &Placed, kind: RecordKind) -> Record {
        let artifact = placed.path.clone().zip(placed.lineage.clone()).map(|(path, lineage)| ArtifactRef {
            store: self.origin.source.clone(),
            path,
            version: placed.version.clone(),
            lineage,
        });
        Record {
            key: placed.key.clone(),
            kind,
            signature: placed.signature.clone(),
            subject: Subject::new(tell::subject_kind(kind), placed.subject.clone()),
            artifact,
            time: None,
            place: Place::default(),
            attributes: placed.attributes.clone(),
            hint: Hint::Sweep,
        }
    }

    async fn put_artifact(
        &self,
        record: &Record,
        before: Option<&Placed>,
        word: &Word,
        store: &dyn Store,
        circumstances: Circumstances,
        slot: &Slot,
    ) -> Outcome {
        let artifact = record.artifact.as_ref();
        let (lineage, path) = (artifact.map(|artifact| &*artifact.lineage), artifact.map(|artifact| &*artifact.path));
        let version = artifact.and_then(|artifact| artifact.version.as_deref());
        let past = self.past((lineage, path, version), before, word).await;
        if circumstances.same && before.is_some_and(|before| before.digest.is_none()) {
            // It was looked into as far as it can be; asking again gives nothing else.
            return put(record, None, Vec::new());
        }
        if let (true, Some(digest)) = (circumstances.same, before.and_then(|before| before.digest)) {
            // Only what is said about the bytes changed, unless an older inspection looked at them.
            if let Some(blob) = self.blob(digest).await {
                let mut events = self.told_of_bytes(record, before, digest, &past, circumstances);
                events.extend(self.newly_served(record, before, digest, &past).await);
                return put(record, Some(blob), events);
            }
        }
        let previous = self.previous(record, before, &past).await;
        let examined = match self.examine(store, record, previous, slot).await {
            Err(ExamineError::Refused(why)) => match self.in_parts(store, slot, record, &past, &why).await {
                Ok(outcome) => return outcome,
                Err(error) => Err(error),
            },
            examined => examined,
        };
        let Examined { blob, portrait, differences } = match examined {
            Ok(examined) => examined,
            Err(error) => return self.not_examined(record, before, &past, error).await,
        };
        let previous = match previous {
            Some(previous) => self.blob(previous).await,
            None => None,
        };
        let knowledge = self.knowledge(record, blob.sha256, past.stood, previous.as_ref()).await;
        let look = Look {
            record,
            blob: &blob,
            before,
            generation: &past.generation,
            previous: previous.as_ref(),
            since: past.since,
            differences: &differences,
            knowledge: &knowledge,
            silent: circumstances.silent,
            first_listing: circumstances.first_listing,
            seen: clock::now(),
        };
        let mut events = tell::artifact(&self.origin, &look);
        let settled = knowledge.is_approved() && !events.is_empty();
        if events.is_empty() {
            events = self.told_of_bytes(record, before, blob.sha256, &past, circumstances);
        }
        let edge = previous.filter(|previous| previous.sha256 != blob.sha256);
        let edge = edge.map(|previous| Edge { parent: previous.sha256, child: blob.sha256, differences });
        let mut outcome = put(record, Some(blob), events);
        outcome.edge = edge;
        outcome.settled = settled.then(|| record.subject.name.clone());
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
        past: &Past,
        circumstances: Circumstances,
    ) -> Vec<Event> {
        let Some(before) = before.filter(|_| !circumstances.first_listing) else { return Vec::new() };
        let changes = self.source.changes(record.kind, Some(&before.attributes), Some(&record.attributes));
        tell::same_bytes(&self.origin, record, &past.generation, digest, &changes, clock::now())
    }

    /// Bytes that are the same, at a place that serves a model from now on.
    async fn newly_served(
        &self,
        record: &Record,
        before: Option<&Placed>,
        digest: Sha256,
        past: &Past,
    ) -> Option<Event> {
        let before = before?;
        let model = announced::served(&record.attributes)?;
        if announced::served(&before.attributes) == Some(model) {
            return None;
        }
        let placed = Placed { attributes: record.attributes.clone(), ..before.clone() };
        let (state, model, key) = (self.shared.state.clone(), model.to_owned(), record.key.clone());
        let ask = move || Ok((state.has_approvals()?, state.stand(Some(&model), &key, &digest)?));
        let (_, stand) = self.ask(ask).await.filter(|(any, _)| *any)?;
        let standing = announced::standing_fields(stand.worth.as_str(), Some(&stand), None);
        Some(tell::decided(&self.origin, &placed, &past.generation, &standing, clock::now()))
    }

    /// What this place was before, also when it was away in between.
    async fn past(
        &self,
        (lineage, path, version): (Option<&str>, Option<&str>, Option<&str>),
        before: Option<&Placed>,
        word: &Word,
    ) -> Past {
        let (state, source) = (self.shared.state.clone(), self.origin.source.clone());
        let (lineage, path) = (lineage.unwrap_or_default().to_owned(), path.unwrap_or_default().to_owned());
        // What lay there as another version says nothing of this one.
        let version = version.filter(|_| self.source.reuses_addresses()).map(str::to_owned);
        let last =
            self.ask(move || state.last_at(&source, &lineage, &path, version.as_deref())).await.unwrap_or_default();
        let count = before.map_or(0, |before| before.generation);
        // Of a version whose bytes nobody read, what was promised of them must hold.
        let version = before.filter(|before| kind_of(before) == Some(RecordKind::VersionArtifact));
        let promised = version.and_then(|before| identity::promised(&before.attributes));
        Past {
            generation: format!("{count}:{}", last.step),
            stood: before.and_then(|before| before.digest).or(promised).or(last.digest).or_else(|| word.promised()),
            read: last.digest,
            since: last.time,
        }
    }

    /// How bytes stood that are no longer at a place, and in a word what is there now; nothing while nothing was ever
    /// approved.
    async fn left(&self, key: &str, attributes: &Fields, stood: Sha256, word: &'static str) -> Fields {
        let state = self.shared.state.clone();
        let (model, key) = (announced::served(attributes).map(str::to_owned), key.to_owned());
        self.ask(move || {
            if !state.has_approvals()? {
                return Ok(Fields::new());
            }
            let old = state.stand(model.as_deref(), &key, &stood)?;
            Ok(announced::standing_fields(word, None, Some(&old)))
        })
        .await
        .unwrap_or_default()
    }

    /// What the inventory knows of bytes that came, and of those before.
    async fn knowledge(
        &self,
        record: &Record,
        new: Sha256,
        stood: Option<Sha256>,
        previous: Option<&Blob>,
    ) -> Knowledge {
        /// Places looked at: enough to find a registered version among them.
        const PLACES_MAX: usize = 64;
        let (state, previous) = (self.shared.state.clone(), previous.map(|blob| blob.sha256));
        let (served, key) = (announced::served(&record.attributes).map(str::to_owned), record.key.clone());
        self.ask(move || {
            let mut knowledge = Knowledge { stood, places: state.places(&new, PLACES_MAX)?, ..Knowledge::default() };
            if let Some(previous) = previous {
                knowledge.old_places = state.places(&previous, PLACES_MAX)?;
            }
            if state.has_approvals()? {
                let old = stood.map(|stood| state.stand(served.as_deref(), &key, &stood)).transpose()?;
                let before = old.as_ref().and_then(|old| old.standing.clone());
                let mut stand = state.stand(served.as_deref(), &key, &new)?;
                // Where no model is named, what is approved for any is approved; else it should be as the file before.
                if let (None, true, Some(before)) = (&served, stand.worth != Worth::Approved, &before) {
                    stand = state.stand(Some(&before.model), &key, &new)?;
                }
                // A place whose name says nothing should hold what the file that was there became.
                if let (None, true, Some(before)) = (&stand.expected, stand.worth != Worth::Approved, before) {
                    stand.expected = state.expected(&before.model, &before.path)?.filter(|(_, digest)| *digest != new);
                }
                (knowledge.new, knowledge.old) = (Some(stand), old);
            }
            Ok(knowledge)
        })
        .await
        .unwrap_or_default()
    }

    /// Bytes that move while they are read are read again, after a while.
    async fn examine(
        &self,
        store: &dyn Store,
        record: &Record,
        before: Option<Sha256>,
        slot: &Slot,
    ) -> Result<Examined, ExamineError> {
        let artifact = record.artifact.as_ref().expect("the caller has matched it");
        let size = match record.attributes.get("file.size") {
            Some(Value::Int(size)) => u64::try_from(*size).ok(),
            _ => None,
        };
        if !Lanes::is_quick(size) {
            slot.step_aside();
        }
        self.patiently(artifact, slot, || self.shared.examiner.examine(store, artifact, size, before)).await
    }

    /// Looks again a few times where that may help.
    async fn patiently<T, F: Future<Output = Result<T, ExamineError>> + Send>(
        &self,
        artifact: &ArtifactRef,
        slot: &Slot,
        look: impl Fn() -> F + Send + Sync,
    ) -> Result<T, ExamineError> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2), artifact.path.len() as u64);
        loop {
            slot.resume().await;
            match look().await {
                Err(ExamineError::Again(why) | ExamineError::Moving(why)) if backoff.failures() < TRIES => {
                    tracing::debug!(artifact = %artifact, why, "looked into again later");
                    slot.rest();
                    tokio::time::sleep(backoff.next_wait()).await;
                }
                result => return result,
            }
        }
    }

    /// The bytes that this artifact was before: its own, also if they were away in between, else those of another
    /// version.
    async fn previous(&self, record: &Record, before: Option<&Placed>, past: &Past) -> Option<Sha256> {
        if let Some(digest) = before.and_then(|before| before.digest).or(past.read) {
            return Some(digest);
        }
        let artifact = record.artifact.as_ref()?;
        let (state, source) = (self.shared.state.clone(), self.origin.source.clone());
        let (lineage, version) = (artifact.lineage.clone(), artifact.version.clone());
        self.ask(move || state.previous(&source, &lineage, version.as_deref())).await.flatten()
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

/// A record whose bytes nobody saw.
pub fn unseen(record: &Record) -> RecordChange {
    RecordChange::Put(Box::new(seen(record, None)))
}

fn put(record: &Record, blob: Option<Blob>, events: Vec<Event>) -> Outcome {
    Outcome { change: Some(RecordChange::Put(Box::new(seen(record, blob)))), events, ..Outcome::default() }
}

/// What a place was before.
struct Past {
    /// Changes so far: events of one generation are one.
    generation: String,
    /// The bytes that were last there, or were promised.
    stood: Option<Sha256>,
    /// The bytes that were last read there.
    read: Option<Sha256>,
    /// Since when they lay there.
    since: Option<jiff::Timestamp>,
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
    [
        RecordKind::Artifact,
        RecordKind::VersionArtifact,
        RecordKind::Model,
        RecordKind::ModelVersion,
        RecordKind::Webhook,
        RecordKind::LoggedModel,
    ]
    .into_iter()
    .find(|kind| crate::state::commit::kind_text(*kind) == placed.kind)
}
