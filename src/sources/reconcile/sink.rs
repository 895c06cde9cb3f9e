//! Where a place tells what it sees: compared with what is known, and handed on if it is news.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Stop;
use super::known::Known;
use super::stretch::Spoken;
use crate::sources::{Checkpoint, Context, Hint, Observation, Record, SourceMetrics, Status};

/// Bytes of a note beyond which no sentence is added to it.
const NOTE_MAX: usize = 1_000;

/// What one look led to.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// What it was about: of a listing only what nobody had told of.
    pub spoken: Spoken,
    /// It told something.
    pub news: bool,
    /// It missed something that may be gone.
    pub missing: bool,
    /// It left something for the next.
    pub unfinished: bool,
}

/// What a look tells, and what is left to tell at its end.
pub struct Sink {
    out: mpsc::Sender<Observation>,
    status: Arc<Status>,
    metrics: SourceMetrics,
    known: Known,
    records_max: usize,
    misses: u8,
    hint: Hint,
    /// This is the first listing.
    first: bool,
    /// Beginnings of keys of which this listing can say nothing.
    unseen: Vec<String>,
    /// Why something is not seen, by reason: how often, and the first sentence.
    blind: BTreeMap<&'static str, (usize, String)>,
    notes: BTreeMap<String, String>,
    full: bool,
    look: Look,
    /// What the place wants to know after a restart, by key.
    memory: BTreeMap<String, serde_json::Value>,
}

impl Sink {
    pub(super) fn new(context: Context, records_max: usize, misses: u8) -> Self {
        Self {
            out: context.out,
            status: context.status,
            metrics: context.metrics,
            known: Known::default(),
            records_max,
            misses,
            hint: Hint::Sweep,
            first: true,
            unseen: Vec::new(),
            blind: BTreeMap::new(),
            notes: BTreeMap::new(),
            full: false,
            look: Look::default(),
            memory: context.checkpoints,
        }
    }

    /// How a change was found: goes into each record.
    pub const fn hint(&self) -> Hint {
        self.hint
    }

    /// Tells a record as it stands now.
    pub async fn tell(&mut self, record: Record) -> Result<(), Stop> {
        if !self.known.has(&record.key) && self.known.len() >= self.records_max {
            self.full = true;
            return Ok(());
        }
        let news = self.known.see(&record);
        if self.first {
            return self.send(Observation::InitApply(record)).await;
        }
        if news || self.hint != Hint::Sweep {
            self.look.spoken.add(&record.key);
        }
        if !news {
            return Ok(());
        }
        self.count_news();
        self.send(Observation::Apply(record)).await
    }

    fn count_news(&mut self) {
        self.look.news = true;
        if self.hint == Hint::Sweep {
            self.metrics.reconcile_found(1);
        }
    }

    /// Of keys that begin like this nothing can be said this time; `reason` is from a closed set.
    pub fn unseen(&mut self, prefix: impl Into<String>, reason: &'static str, sentence: impl FnOnce() -> String) {
        self.unseen.push(prefix.into());
        self.blind(reason, sentence);
    }

    /// The same of further keys, for the same reason.
    pub fn unseen_too(&mut self, prefix: impl Into<String>) {
        self.unseen.push(prefix.into());
    }

    /// Something is not seen that has no key yet.
    pub fn blind(&mut self, reason: &'static str, sentence: impl FnOnce() -> String) {
        let entry = self.blind.entry(reason).or_insert_with(|| (0, sentence()));
        entry.0 = entry.0.saturating_add(1);
    }

    /// What a person should know although nothing is missed.
    pub fn note(&mut self, name: &str, sentence: String) {
        self.notes.insert(name.to_owned(), sentence);
    }

    /// This listing leaves something for the next.
    pub const fn unfinished(&mut self) {
        self.look.unfinished = true;
    }

    /// The same where there may be several sentences under one name; the first few are kept.
    pub fn note_also(&mut self, name: &str, sentence: &str) {
        let note = self.notes.entry(name.to_owned()).or_default();
        if note.len() < NOTE_MAX {
            note.push_str(if note.is_empty() { "" } else { "; " });
            note.push_str(sentence);
        }
    }

    /// A record is gone, for certain.
    pub async fn gone(&mut self, key: &str) -> Result<(), Stop> {
        self.look.spoken.add(key);
        if !self.known.forget(key) {
            return Ok(());
        }
        self.look.news = true;
        self.send(Observation::Delete(key.to_owned())).await
    }

    /// All below a prefix was just told, by one look: what it did not name is gone.
    pub async fn complete(&mut self, below: &str) -> Result<(), Stop> {
        self.look.spoken.add_below(below);
        self.end(below, 1).await
    }

    /// Whether a record was told, and is still there as far as is known.
    pub fn knows(&self, key: &str) -> bool {
        self.known.has(key)
    }

    /// What the place said earlier that it wants to know, in this run or one before.
    pub fn recalled(&self, key: &str) -> Option<&serde_json::Value> {
        self.memory.get(key)
    }

    /// How many things are kept for the place.
    pub fn remembered(&self) -> usize {
        self.memory.len()
    }

    /// Keeps something for the place beyond the end of the agent. It may be durable before records that were told
    /// earlier are.
    pub async fn remember(&mut self, key: &str, value: serde_json::Value) -> Result<(), Stop> {
        if self.memory.get(key) == Some(&value) {
            return Ok(());
        }
        self.memory.insert(key.to_owned(), value.clone());
        self.send(Observation::Checkpoint(Checkpoint { key: key.to_owned(), position: value })).await
    }

    pub(super) const fn metrics(&self) -> &SourceMetrics {
        &self.metrics
    }

    pub(super) fn status(&self) -> &Status {
        &self.status
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) const fn notes(&self) -> &BTreeMap<String, String> {
        &self.notes
    }

    pub(super) fn blindness(&self) -> BTreeMap<String, String> {
        let told = self.blind.iter().map(|(reason, (count, sentence))| {
            let more = count.saturating_sub(1);
            let sentence = if more == 0 { sentence.clone() } else { format!("{sentence} (and {more} more)") };
            ((*reason).to_owned(), sentence)
        });
        let full = self.full.then(|| {
            let most = self.records_max;
            ("records_max".to_owned(), format!("there are more than {most} records; raise `records_max` or watch less"))
        });
        told.chain(full).collect()
    }

    pub(super) fn begin_look(&mut self, hint: Hint) {
        (self.hint, self.first) = (hint, false);
        self.look = Look::default();
        self.known.begin();
    }

    pub(super) fn begin_listing(&mut self, first: bool) {
        self.begin_look(Hint::Sweep);
        (self.first, self.full) = (first, false);
        self.unseen.clear();
        self.blind.clear();
        self.notes.clear();
    }

    pub(super) async fn end_listing(&mut self, first: bool) -> Result<(), Stop> {
        if !first {
            return self.end("", self.misses).await;
        }
        for prefix in std::mem::take(&mut self.unseen) {
            self.send(Observation::InitKeep(prefix)).await?;
        }
        if self.full {
            self.send(Observation::InitKeep(String::new())).await?;
        }
        Ok(())
    }

    async fn end(&mut self, below: &str, misses: u8) -> Result<(), Stop> {
        let unseen = &self.unseen;
        let (gone, missing) =
            self.known.miss(below, |key| unseen.iter().any(|prefix| key.starts_with(prefix.as_str())), misses);
        self.look.missing |= missing;
        for key in gone {
            self.known.forget(&key);
            // What must be missed twice was accounted for when it was missed once.
            if misses == 1 && self.hint == Hint::Sweep {
                self.look.spoken.add(&key);
            }
            self.count_news();
            self.send(Observation::Delete(key)).await?;
        }
        Ok(())
    }

    /// What this look led to.
    pub(super) fn outcome(&mut self) -> Look {
        std::mem::take(&mut self.look)
    }

    pub(super) async fn send(&self, observation: Observation) -> Result<(), Stop> {
        self.out.send(observation).await.map_err(|_| Stop::Unheard)
    }
}
