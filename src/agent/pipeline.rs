//! One source's stage: compares what it tells with the durable snapshot, and hands in what follows.
//!
//! Records are looked at side by side, but two observations of one record never are: the second
//! waits for the first to be durable, and of several that wait only the last one counts. What a source was told and
//! cannot see for itself is settled one by one, in the order in which it came.

mod records;
mod servers;
mod slots;
mod sweeper;
mod work;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use self::records::FIELDS;
use self::records::{Compare, Records};
use self::slots::{Slot, Slots};
use self::sweeper::Sweeper;
use self::work::{Receipt, Task, Work};
use super::committer::{Closed, Desk};
use super::examine::Examiner;
use super::judge::{Judge, Verdict};
use super::tell::{self, Origin};
use crate::base::clock;
use crate::base::metrics::Metrics;
use crate::event::{Event, digest};
use crate::sources::hints::Hints;
use crate::sources::{Checkpoint, Observation, Record, Source};
use crate::state::portraits::Edge;
use crate::state::promises::Promise;
use crate::state::sweep::Due;
use crate::state::{Commit, RecordChange, State};

/// Observations taken at once.
const BATCH: usize = 512;
/// How long an ending stage waits for what is under way; what it gives up is seen again by the next one.
const END_WITHIN: Duration = Duration::from_secs(10);
/// What could not be read is looked at again after this time.
const AGAIN_AFTER: Duration = Duration::from_secs(120);
/// A statement whose bytes cannot be read is settled after so many tries: it is kept without them.
const TOLD_TRIES: u32 = 5;
/// Records that may wait for it; more are left to the next change or restart, and counted.
const LATER_MAX: usize = 10_000;

/// What the stages of all sources share.
#[derive(Clone)]
pub struct Shared {
    pub state: State,
    pub desk: Desk,
    pub judge: Judge,
    pub examiner: Examiner,
    pub metrics: Metrics,
    pub host: Option<String>,
    /// Names of all sources.
    pub sources: Arc<BTreeSet<String>>,
}

/// The stage of one source.
pub struct Pipeline {
    shared: Shared,
    source: Arc<dyn Source>,
    origin: Origin,
    hints: Hints,
    records: Arc<Records>,
    slots: Slots,
    jobs: JoinSet<Result<Done, Closed>>,
    /// Records that could not be read, in the order in which they are due again.
    later: VecDeque<(Instant, Work)>,
    /// Records under way, each with what came meanwhile.
    busy: HashMap<String, VecDeque<Work>>,
    listing: Option<Listing>,
    listed: bool,
    /// Records of the first listing that are still under way; it is noted as complete when there are none.
    unlisted: Option<HashSet<String>>,
    sweeper: Option<Sweeper>,
    /// Records that are read again, as one job; what it gives are those whose bytes are others.
    sweeps: JoinSet<Result<Vec<String>, Closed>>,
}

/// A listing under way.
#[derive(Default)]
struct Listing {
    /// Keys so far, as digests: a million keys take 16 MB.
    keys: HashSet<[u8; 16]>,
    /// Beginnings of keys that could not be looked at.
    kept: Vec<String>,
}

impl Listing {
    /// Whether the listing says that a record is gone.
    fn misses(&self, key: &str) -> bool {
        !self.keys.contains(&short(key)) && !self.kept.iter().any(|prefix| key.starts_with(prefix.as_str()))
    }
}

impl Pipeline {
    /// `listed`: an earlier run completed the source's first listing.
    pub fn new(shared: Shared, source: Arc<dyn Source>, hints: Hints, listed: bool) -> Self {
        let origin = Origin {
            source: source.name().to_owned(),
            product: source.product().to_owned(),
            host: shared.host.clone(),
        };
        let sweeper = source.sweep().map(|sweep| Sweeper::new(sweep, &shared, source.name()));
        let records = Arc::new(Records::new(shared.clone(), Arc::clone(&source), origin.clone()));
        Self {
            shared,
            source,
            origin,
            hints,
            records,
            slots: Slots::new(),
            jobs: JoinSet::new(),
            later: VecDeque::new(),
            busy: HashMap::new(),
            listing: None,
            listed,
            unlisted: None,
            sweeper,
            sweeps: JoinSet::new(),
        }
    }

    /// Runs until the source's side of the queue is closed and everything is durable.
    pub async fn run(mut self, mut observations: mpsc::Receiver<Observation>) -> Result<(), Closed> {
        let mut batch = Vec::with_capacity(BATCH);
        let differing = self.records.compare_all().await;
        tell_later(&self.shared, self.origin.source.clone(), &differing).await?;
        loop {
            self.note_listed().await?;
            let next = async {
                self.slots.free().await;
                observations.recv_many(&mut batch, BATCH).await
            };
            tokio::select! {
                count = next => {
                    if count == 0 {
                        break;
                    }
                    self.take(&mut batch).await?;
                }
                Some(job) = self.jobs.join_next() => self.finish(job)?,
                due = sweeper::next(&mut self.sweeper, !self.sweeps.is_empty()), if self.listed => {
                    self.sweep(due);
                }
                Some(swept) = self.sweeps.join_next() => {
                    for key in swept.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))? {
                        // What is looked at anyway needs no second reading.
                        let waits = self.later.iter().any(|(_, work)| work.key() == key);
                        if !self.busy.contains_key(&key) && !waits {
                            self.start(Task::Silent { key }.into()).await?;
                        }
                    }
                }
                () = due(self.later.front()), if !self.later.is_empty() => {
                    if let Some((_, work)) = self.later.pop_front() {
                        self.start(work).await?;
                    }
                }
            }
        }
        // What takes longer is told by nobody until it is durable, and so by the next run.
        tokio::time::timeout(END_WITHIN, self.drain()).await.unwrap_or(Ok(()))?;
        self.note_listed().await
    }

    async fn take(&mut self, batch: &mut Vec<Observation>) -> Result<(), Closed> {
        let count = batch.len() as u64;
        self.shared.metrics.events_received.with_label_values(&[self.source.name()]).inc_by(count);
        let seen = clock::now();
        let mut events = Vec::new();
        // Of one file's positions only the last one counts, whichever way it was told.
        let mut checkpoints: HashMap<String, Checkpoint> = HashMap::new();
        for observation in batch.drain(..) {
            match observation {
                Observation::Line(line) => {
                    events.push(tell::line(&self.origin, &line, seen));
                    checkpoints.insert(line.checkpoint.key.clone(), line.checkpoint);
                }
                Observation::Inference(inference) => {
                    events.push(tell::inference(&self.origin, &inference, seen));
                    checkpoints.insert(inference.checkpoint.key.clone(), inference.checkpoint);
                }
                Observation::Checkpoint(checkpoint) => {
                    checkpoints.insert(checkpoint.key.clone(), checkpoint);
                }
                Observation::Init => self.listing = Some(Listing::default()),
                Observation::InitKeep(prefix) => {
                    if let Some(listing) = &mut self.listing {
                        listing.kept.push(prefix);
                    }
                }
                Observation::InitApply(record) => self.list(record).await?,
                Observation::InitDone => self.end_listing().await?,
                Observation::Apply(record) => {
                    let first_listing = false;
                    self.start(Task::Put { record: Box::new(record), first_listing }.into()).await?;
                }
                Observation::Delete(key) => self.start(Task::Remove { key }.into()).await?,
                Observation::Told(told) => match Work::of(told) {
                    Ok(work) => self.start(work).await?,
                    Err(outdated) => self.leave_out(outdated).await?,
                },
            }
        }
        self.read(&events, seen, checkpoints).await
    }

    /// Judges what was read of a stream, and commits how far that is together with what it led to.
    async fn read(
        &self,
        events: &[Event],
        seen: Timestamp,
        checkpoints: HashMap<String, Checkpoint>,
    ) -> Result<(), Closed> {
        if checkpoints.is_empty() {
            return Ok(());
        }
        let Verdict { alerts, memos } = self.shared.judge.judge(events, seen);
        let checkpoints = checkpoints.into_values().collect();
        let source = self.origin.source.clone();
        let commit = Commit { source, seen, checkpoints, alerts, memos, ..Commit::default() };
        self.shared.desk.commit(commit).await
    }

    async fn list(&mut self, record: Record) -> Result<(), Closed> {
        if let Some(listing) = &mut self.listing {
            listing.keys.insert(short(&record.key));
        }
        let first_listing = !self.listed;
        self.start(Task::Put { record: Box::new(record), first_listing }.into()).await
    }

    /// What the listing did not name is gone; from now on changes count as changes. What is still under way was
    /// seen: nothing waits for it here.
    async fn end_listing(&mut self) -> Result<(), Closed> {
        if let Some(listing) = self.listing.take() {
            let mut gone = self.records.keys().await;
            // What is under way may not be in the snapshot yet.
            gone.extend(self.busy.keys().cloned());
            gone.retain(|key| listing.misses(key));
            for key in gone {
                self.start(Task::Remove { key }.into()).await?;
            }
        }
        if !self.listed {
            self.listed = true;
            self.unlisted = Some(self.busy.keys().cloned().collect());
        }
        Ok(())
    }

    /// Notes that the first listing is complete, once all of it is durable.
    async fn note_listed(&mut self) -> Result<(), Closed> {
        if self.unlisted.as_ref().is_some_and(HashSet::is_empty) {
            self.unlisted = None;
            let commit =
                Commit { source: self.origin.source.clone(), seen: clock::now(), listed: true, ..Commit::default() };
            self.shared.desk.commit(commit).await?;
        }
        Ok(())
    }

    /// Lets go of a statement about something of which a later one is known; whatever waits because of that stays.
    async fn leave_out(&self, hint: i64) -> Result<(), Closed> {
        self.shared.metrics.events_dropped.with_label_values(&["told", "outdated"]).inc();
        let source = self.origin.source.clone();
        let commit = Commit { source, seen: clock::now(), hints: vec![hint], ..Commit::default() };
        self.shared.desk.commit(commit).await?;
        self.hints.settled(hint);
        Ok(())
    }

    async fn start(&mut self, mut work: Work) -> Result<(), Closed> {
        // What is known now replaces what waited to be read again, and settles what led to that.
        let mut receipts = Vec::new();
        self.later.retain_mut(|(_, earlier)| {
            let replaced = earlier.key() == work.key();
            if replaced {
                receipts.append(&mut earlier.receipts);
            }
            !replaced
        });
        receipts.append(&mut work.receipts);
        work.receipts = receipts;
        if let Some(waiting) = self.busy.get_mut(work.key()) {
            work::queue(waiting, work);
            return Ok(());
        }
        let slot = loop {
            if let Some(slot) = self.slots.take() {
                break slot;
            }
            tokio::select! {
                Some(job) = self.jobs.join_next() => self.finish(job)?,
                () = self.slots.free() => {}
            }
        };
        self.busy.insert(work.key().to_owned(), VecDeque::new());
        self.spawn(work, slot);
        Ok(())
    }

    /// Reads bytes again, beside everything else.
    fn sweep(&mut self, due: Vec<Due>) {
        let Some(sweep) = self.sweeper.as_ref().map(Sweeper::sweep).filter(|_| !due.is_empty()) else { return };
        let (records, shared, source) = (Arc::clone(&self.records), self.shared.clone(), self.origin.source.clone());
        self.sweeps.spawn(async move {
            let (same, other) = records.read_again(due, &sweep).await;
            if !same.is_empty() {
                let commit = Commit { source, seen: clock::now(), records: same, ..Commit::default() };
                shared.desk.commit(commit).await?;
            }
            Ok(other)
        });
    }

    fn spawn(&mut self, work: Work, slot: Slot) {
        let (records, shared, origin) = (Arc::clone(&self.records), self.shared.clone(), self.origin.clone());
        let hints = self.hints.clone();
        self.jobs.spawn(async move {
            let key = work.key().to_owned();
            let Work { task, tries, mut receipts } = work;
            let stood = matches!(task, Task::Put { first_listing: true, .. }) && !receipts.is_empty();
            let mut outcome = match task {
                Task::Put { record, first_listing } => records.put(*record, first_listing, &slot).await,
                Task::Remove { key } => records.remove(key).await,
                Task::Silent { key } => records.put_silent(&key, &slot).await,
            };
            let told = !receipts.is_empty();
            let settle = tries.saturating_add(1) >= TOLD_TRIES;
            // What somebody spoke of may be on its way; what a listing named is told by the next one.
            let absent = outcome.absent.take().filter(|_| told);
            if let Some(record) = absent.as_ref().filter(|_| settle) {
                outcome.change = Some(records::unseen(record));
            }
            let again = outcome.again.take().or_else(|| absent.filter(|_| !settle)).map(|record| {
                // It is not settled yet: after a crash it is told once more. But it must not hold up others for ever.
                let receipts = if settle { Vec::new() } else { std::mem::take(&mut receipts) };
                Work { task: Task::Put { record, first_listing: stood }, tries: tries.saturating_add(1), receipts }
            });
            if outcome.change.is_some() || !outcome.events.is_empty() || !receipts.is_empty() {
                let (seen, source) = (clock::now(), origin.source.clone());
                let Verdict { alerts, memos } = shared.judge.judge(&outcome.events, seen);
                // Where the record stays as it is known, so does what was said of it.
                let promises = outcome.promise.filter(|_| outcome.change.is_some()).into_iter().collect();
                let changed = outcome.change.into_iter().collect();
                let edges = outcome.edge.into_iter().collect();
                let settled = outcome.settled.into_iter().collect();
                let settled_hints: Vec<i64> = receipts.iter().map(|receipt| receipt.hint).collect();
                let checkpoints = latest(receipts);
                let commit = Commit {
                    source,
                    seen,
                    records: changed,
                    edges,
                    promises,
                    settled,
                    alerts,
                    memos,
                    checkpoints,
                    hints: settled_hints.clone(),
                    ..Commit::default()
                };
                shared.desk.commit(commit).await?;
                for hint in settled_hints {
                    hints.settled(hint);
                }
                if let Some(mut compare) = outcome.compare {
                    let events = records.compare(&mut compare).await;
                    tell_later(&shared, origin.source, &events).await?;
                }
            }
            Ok(Done { key, again, slot })
        });
    }

    fn finish(&mut self, job: Result<Result<Done, Closed>, tokio::task::JoinError>) -> Result<(), Closed> {
        let Done { key, again, slot } = match job {
            Ok(done) => done?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        if let Some(unlisted) = &mut self.unlisted {
            unlisted.remove(&key);
        }
        let mut waiting = self.busy.remove(&key).unwrap_or_default();
        if let Some(mut next) = waiting.pop_front() {
            // What is to be done next is known better than what could not be read, and settles it.
            let mut receipts = again.map(|work| work.receipts).unwrap_or_default();
            receipts.append(&mut next.receipts);
            next.receipts = receipts;
            self.busy.insert(key, waiting);
            self.spawn(next, slot);
        } else if let Some(work) = again {
            if self.later.len() < LATER_MAX {
                self.later.push_back((Instant::now() + AGAIN_AFTER, work));
            } else {
                self.shared.metrics.events_dropped.with_label_values(&["examine", "unreadable"]).inc();
            }
        }
        Ok(())
    }

    async fn drain(&mut self) -> Result<(), Closed> {
        while let Some(job) = self.jobs.join_next().await {
            self.finish(job)?;
        }
        Ok(())
    }
}

/// Commits what is told of something that is durable already.
async fn tell_later(shared: &Shared, source: String, events: &[Event]) -> Result<(), Closed> {
    if events.is_empty() {
        return Ok(());
    }
    let seen = clock::now();
    let Verdict { alerts, memos } = shared.judge.judge(events, seen);
    shared.desk.commit(Commit { source, seen, alerts, memos, ..Commit::default() }).await
}

/// Of each record the position that was said last.
fn latest(receipts: Vec<Receipt>) -> Vec<Checkpoint> {
    let checkpoints = receipts.into_iter().filter_map(|receipt| receipt.checkpoint);
    let latest: HashMap<String, Checkpoint> =
        checkpoints.map(|checkpoint| (checkpoint.key.clone(), checkpoint)).collect();
    latest.into_values().collect()
}

async fn due(next: Option<&(Instant, Work)>) {
    if let Some((at, _)) = next {
        tokio::time::sleep_until(*at).await;
    }
}

fn short(key: &str) -> [u8; 16] {
    let digest = digest::of_parts(&[key]);
    let mut short = [0; 16];
    short.copy_from_slice(&digest.as_bytes()[..16]);
    short
}

/// What becomes of one record.
#[derive(Default)]
struct Outcome {
    change: Option<RecordChange>,
    /// What tells of it.
    events: Vec<Event>,
    /// It could not be read now: look at it again after a while.
    again: Option<Box<Record>>,
    /// Its bytes are not where they should be.
    absent: Option<Box<Record>>,
    /// What is said of it no longer and must hold.
    promise: Option<Promise>,
    /// What differs from the bytes before.
    edge: Option<Edge>,
    /// A subject whose bytes became those that are approved.
    settled: Option<String>,
    /// What to compare with other places when it is durable.
    compare: Option<Compare>,
}

/// A job that has ended.
struct Done {
    key: String,
    again: Option<Work>,
    slot: Slot,
}
