//! Open, hash and look into an artifact, on a thread where blocking is allowed.

mod parts;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::headway::{self, Headway};
use super::lanes::{Lanes, Turn};
use super::paced::Paced;
use crate::artifact::{self, Issue, Limits, Report, Stop, portrait, weights};
use crate::base::metrics::Metrics;
use crate::event::{ArtifactRef, Difference, Portrait, Sha256};
use crate::sources::{Opened, Store, StoreError};
use crate::state::{Blob, State, StateError};

/// Turns that one artifact may take: it may have grown since it was seen.
const TURNS: usize = 3;

/// Looks into artifacts, a bounded number at a time. Cheap to clone.
#[derive(Clone)]
pub struct Examiner {
    state: State,
    metrics: Metrics,
    limits: Arc<Limits>,
    lanes: Lanes,
    timeout: Duration,
    /// How tensors are measured, so that later versions can be compared with them.
    measure: Arc<weights::Options>,
}

/// Why there is no result, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// Forget it.
    #[error("it is gone")]
    Gone,
    /// Try again after a while.
    #[error("{0}")]
    Again(String),
    /// Somebody writes it: try again after a while.
    #[error("{0}")]
    Moving(String),
    /// Read too slowly to be done in time: so is everything while a disk is busy.
    #[error("{0}")]
    Slow(String),
    /// Not to be read at all: remember it without bytes.
    #[error("{0}")]
    Refused(String),
}

/// What one look at an artifact gives.
#[derive(Debug)]
pub struct Examined {
    pub blob: Blob,
    /// What is kept to compare later bytes with.
    pub portrait: Portrait,
    /// What differs from the bytes before, where their portrait was given.
    pub differences: Vec<Difference>,
}

impl Examiner {
    /// `workers` artifacts are looked into at the same time; see [`Lanes`].
    pub fn new(
        state: State,
        metrics: Metrics,
        limits: Limits,
        workers: usize,
        timeout: Duration,
    ) -> Result<Self, StateError> {
        let measure = Arc::new(weights::Options::new(weights::Seed(state.secret("sketch")?)));
        Ok(Self { state, metrics, limits: Arc::new(limits), lanes: Lanes::new(workers), timeout, measure })
    }

    /// Digest and facts of an artifact, and what differs from bytes before. Bytes seen before are hashed, not
    /// inspected. `size`: how many bytes it had when it was seen, where that is known.
    #[tracing::instrument(name = "examine", skip_all, fields(source = %artifact.store))]
    pub async fn examine(
        &self,
        store: &dyn Store,
        artifact: &ArtifactRef,
        mut size: Option<u64>,
        before: Option<Sha256>,
    ) -> Result<Examined, ExamineError> {
        let mut fetched = None;
        if store.is_fetched() {
            // A server that is slow keeps nobody else's artifacts waiting.
            self.within_reach(size)?;
            let opened = store.open(artifact).await.map_err(|error| judge(&error))?;
            size = Some(opened.len());
            fetched = Some(opened);
        }
        for _ in 0..TURNS {
            self.within_reach(size)?;
            let turn = self.lanes.turn(size).await;
            let turn = turn.ok_or_else(|| ExamineError::Again("the agent is stopping".into()))?;
            let opened = match fetched.take() {
                Some(opened) => opened,
                None => store.open(artifact).await.map_err(|error| judge(&error))?,
            };
            self.within_reach(Some(opened.len()))?;
            if !turn.is_for(opened.len()) {
                size = Some(opened.len());
                continue;
            }
            let name = artifact.path.clone();
            let work = move |examiner: &Self, cancelled: &Arc<AtomicBool>| {
                let bytes = &*opened;
                let (blob, portrait) = examiner.look(bytes, &name, cancelled)?;
                let unread = |error: StateError| ExamineError::Again(error.to_string());
                let before = before.map(|before| examiner.state.portrait(&before)).transpose().map_err(unread)?;
                let before = before.flatten().map(|kept| Portrait { outline: kept.outline, measured: kept.measured });
                let differences = before.map(|before| examiner.compare(&before, &portrait, bytes, cancelled));
                Ok(Examined { blob, portrait, differences: differences.unwrap_or_default() })
            };
            return self.on_thread(Some(turn), self.timeout, work).await;
        }
        Err(ExamineError::Moving("it grows while it is opened".to_owned()))
    }

    /// Refuses what is so large that no machine reads it in time.
    fn within_reach(&self, size: Option<u64>) -> Result<(), ExamineError> {
        match size {
            Some(size) if headway::is_hopeless(size, self.timeout) => {
                self.metrics.artifacts_skipped.with_label_values(&["size"]).inc();
                Err(ExamineError::Refused(format!(
                    "it has {size} bytes, which nothing reads in {:?}; raise `inspection.timeout_secs` if it is meant",
                    self.timeout
                )))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Digest of all bytes and nothing else, at no more than so many bytes a second; with the signature that the
    /// store gives them now, where it can. Takes nobody's turn: a source reads one artifact again at a time.
    pub async fn digest(
        &self,
        store: &dyn Store,
        artifact: &ArtifactRef,
        bytes_per_sec: u64,
        keep_cache: bool,
    ) -> Result<(Sha256, Option<String>), ExamineError> {
        let opened = store.open(artifact).await.map_err(|error| judge(&error))?;
        // The budget alone may ask for more time than an inspection has.
        let paced = opened.len().checked_div(bytes_per_sec).map_or(Duration::ZERO, Duration::from_secs);
        let timeout = self.timeout.saturating_add(paced);
        self.on_thread(None, timeout, move |examiner, cancelled| {
            let digest = examiner.read_again(&*opened, bytes_per_sec, keep_cache, cancelled)?;
            Ok((digest, opened.signature()))
        })
        .await
    }

    /// Works on an artifact where blocking is allowed, within a time limit.
    async fn on_thread<T: Send + 'static>(
        &self,
        turn: Option<Turn>,
        timeout: Duration,
        work: impl FnOnce(&Self, &Arc<AtomicBool>) -> Result<T, ExamineError> + Send + 'static,
    ) -> Result<T, ExamineError> {
        let cancelled = Arc::new(AtomicBool::new(false));
        // Tells the thread to stop when this future is dropped, by a timeout or at shutdown.
        let _guard = CancelOnDrop(Arc::clone(&cancelled));
        let examiner = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            // Held by the thread: one that is given up still counts until it ends.
            let _turn = turn;
            work(&examiner, &cancelled)
        });
        match tokio::time::timeout(timeout, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(ExamineError::Again(error.to_string())),
            Err(_) => {
                self.metrics.artifacts_skipped.with_label_values(&["timeout"]).inc();
                Err(ExamineError::Refused(format!("looking into it took longer than {timeout:?}")))
            }
        }
    }

    fn limits(&self, cancelled: &Arc<AtomicBool>) -> Limits {
        let cancelled = Arc::clone(cancelled);
        Limits { stop: Stop::when(move || cancelled.load(Ordering::Relaxed)), ..Limits::clone(&self.limits) }
    }

    fn look(
        &self,
        bytes: &dyn Opened,
        name: &str,
        cancelled: &Arc<AtomicBool>,
    ) -> Result<(Blob, Portrait), ExamineError> {
        let again = |error: std::io::Error| ExamineError::Again(format!("reading failed: {error}"));
        let limits = self.limits(cancelled);
        let segments = guarded(|| artifact::segments(bytes, &limits)).unwrap_or_default();
        let headway = Headway::new(bytes, self.timeout);
        let stop = || limits.stop.now() || headway.is_hopeless();
        let Some(hashed) = artifact::hash_with(&headway, segments, Some(&self.measure), &stop).map_err(again)? else {
            return Err(if limits.stop.now() {
                ExamineError::Again("stopped".to_owned())
            } else {
                self.metrics.artifacts_skipped.with_label_values(&["timeout"]).inc();
                let timeout = self.timeout;
                ExamineError::Slow(format!("as fast as it can be read, that takes far longer than {timeout:?}"))
            });
        };
        self.metrics.hashed_bytes.inc_by(hashed.size);
        if !bytes.unchanged() {
            return Err(ExamineError::Moving("it changed while it was read".to_owned()));
        }
        let hint = self.limits.vetted.marked(artifact::hint(name));
        match self.state.blob(&hashed.sha256) {
            // What a name claims and a site vets is among the facts: with others it is looked into again.
            Ok(Some(known)) if known.hint == hint => {
                self.metrics.artifacts_known.inc();
                if let Ok(Some(kept)) = self.state.portrait(&hashed.sha256) {
                    return Ok((known, kept));
                }
                let portrait = guarded(|| portrait::take(bytes, name, &hashed, &known.report, &limits));
                return Ok((known, portrait.unwrap_or_default()));
            }
            Ok(Some(_) | None) => {}
            // Inspecting once too often is better than not at all.
            Err(error) => tracing::warn!(%error, "the inventory could not be asked"),
        }
        let report =
            guarded(|| artifact::inspect_with(bytes, name, &limits, &hashed.found)).unwrap_or_else(|| self.bug(name));
        let portrait = guarded(|| portrait::take(bytes, name, &hashed, &report, &limits)).unwrap_or_default();
        if limits.stop.now() {
            return Err(ExamineError::Again("stopped".to_owned()));
        }
        if !bytes.unchanged() {
            return Err(ExamineError::Moving("it changed while it was looked into".to_owned()));
        }
        self.metrics.artifacts_inspected.with_label_values(&[report.format.as_str()]).inc();
        let blob = Blob { sha256: hashed.sha256, size: hashed.size, hint, report, segments: hashed.segments };
        Ok((blob, portrait))
    }

    /// What differs from bytes before; a bug there costs the comparison, not the artifact.
    fn compare(
        &self,
        before: &Portrait,
        now: &Portrait,
        bytes: &dyn Opened,
        cancelled: &Arc<AtomicBool>,
    ) -> Vec<Difference> {
        let limits = self.limits(cancelled);
        guarded(|| portrait::differences(before, now, Some(bytes), &limits)).unwrap_or_else(|| {
            self.metrics.artifacts_skipped.with_label_values(&["panic"]).inc();
            tracing::error!("a comparison failed by a bug of ours; please report it");
            Vec::new()
        })
    }

    fn read_again(
        &self,
        bytes: &dyn Opened,
        bytes_per_sec: u64,
        keep_cache: bool,
        cancelled: &Arc<AtomicBool>,
    ) -> Result<Sha256, ExamineError> {
        let paced = Paced::new(bytes, bytes_per_sec);
        let digest = artifact::digest_of(&paced, &|| cancelled.load(Ordering::Relaxed))
            .map_err(|error| ExamineError::Again(format!("reading failed: {error}")))?
            .ok_or_else(|| ExamineError::Again("stopped".to_owned()))?;
        self.metrics.hashed_bytes.inc_by(bytes.len());
        if !keep_cache {
            bytes.forget();
        }
        if !bytes.unchanged() {
            return Err(ExamineError::Moving("it changed while it was read".to_owned()));
        }
        Ok(digest)
    }

    /// A bug in an inspector costs one artifact, not the agent.
    fn bug(&self, name: &str) -> Report {
        self.metrics.artifacts_skipped.with_label_values(&["panic"]).inc();
        tracing::error!(artifact = name, "inspection failed by a bug of ours; please report it");
        let detail = "inspection failed by a bug; nothing is known about the content".to_owned();
        let mut report = Report { format: "unknown".into(), ..Report::default() };
        report.issues.push(Issue { code: "internal_error".to_owned(), detail, member: String::new() });
        report.facts.insert("artifact.issues".to_owned(), vec!["internal_error"].into());
        report.facts.insert("artifact.format".to_owned(), "unknown".into());
        report
    }
}

fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn judge(error: &StoreError) -> ExamineError {
    match error {
        StoreError::Gone => ExamineError::Gone,
        StoreError::Denied(cause) => ExamineError::Again(format!("access was denied: {cause}")),
        StoreError::Transient(cause) => ExamineError::Again(format!("it cannot be read now: {cause}")),
        StoreError::Refused(why) => ExamineError::Refused(why.clone()),
    }
}
