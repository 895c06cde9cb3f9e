//! Chooses whose bytes are read again: those that were read longest ago, within a budget.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Shared;
use crate::base::clock;
use crate::base::metrics::Metrics;
use crate::sources::Sweep;
use crate::state::State;
use crate::state::sweep::Due;

/// Records asked for at once.
const BATCH: usize = 1024;
/// Records and bytes read in one go, one after the other.
const AT_ONCE: usize = 128;
const BYTES_AT_ONCE: u64 = 8 << 20;
/// How long to wait when nothing is due, and at most between two goes.
const IDLE: Duration = Duration::from_secs(1);
/// What could not be read is not tried again before.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Records remembered as tried.
const TRIED_MAX: usize = 10_000;
/// How often ages are told.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// The smallest file costs an opening, too.
const BYTES_LEAST: u64 = 4096;

/// Which records are read again, and when.
pub struct Sweeper {
    sweep: Arc<Sweep>,
    source: String,
    state: State,
    metrics: Metrics,
    waiting: VecDeque<Due>,
    /// Tried a short while ago, with the time of their last reading then: what cannot be read now must not keep
    /// the others from being read.
    tried: HashMap<String, (Timestamp, Instant)>,
    /// The budget allows the next ones from then on.
    next: Instant,
    report: Instant,
}

impl Sweeper {
    pub fn new(sweep: Sweep, shared: &Shared, source: &str) -> Self {
        let now = Instant::now();
        Self {
            sweep: Arc::new(sweep),
            source: source.to_owned(),
            state: shared.state.clone(),
            metrics: shared.metrics.clone(),
            waiting: VecDeque::new(),
            tried: HashMap::new(),
            next: now,
            report: now,
        }
    }

    pub fn sweep(&self) -> Arc<Sweep> {
        Arc::clone(&self.sweep)
    }

    /// The next records, when their time has come; while it is `busy`, none, but ages are told all the same. Nothing is
    /// lost when this is dropped half-way.
    async fn next(&mut self, busy: bool) -> Vec<Due> {
        tokio::time::sleep_until(if busy { self.report } else { self.next.min(self.report) }).await;
        if Instant::now() >= self.report {
            self.tell_ages().await;
            self.report = Instant::now() + REPORT_EVERY;
        }
        if busy || Instant::now() < self.next {
            return Vec::new();
        }
        if self.waiting.is_empty() {
            let asked = self.ask().await;
            self.tried.retain(|_, (_, when)| when.elapsed() < AGAIN_AFTER);
            let untried = |due: &Due| self.tried.get(&due.key).is_none_or(|(verified, _)| *verified != due.verified);
            self.waiting = asked.into_iter().filter(untried).collect();
        }
        let (mut chosen, mut bytes) = (Vec::new(), 0_u64);
        while chosen.len() < AT_ONCE && bytes < BYTES_AT_ONCE {
            let Some(due) = self.waiting.pop_front() else { break };
            bytes = bytes.saturating_add(due.size.max(BYTES_LEAST));
            if self.tried.len() < TRIED_MAX {
                self.tried.insert(due.key.clone(), (due.verified, Instant::now()));
            }
            chosen.push(due);
        }
        // A large one takes its time by itself, because it is read no faster; small ones are spaced here.
        let pause = match self.sweep.bytes_per_sec {
            _ if chosen.is_empty() => IDLE,
            0 => Duration::ZERO,
            rate => Duration::from_micros(bytes.saturating_mul(1_000_000) / rate).min(IDLE),
        };
        self.next = Instant::now() + pause;
        chosen
    }

    async fn ask(&self) -> Vec<Due> {
        let every = jiff::SignedDuration::try_from(self.sweep.every).unwrap_or(jiff::SignedDuration::MAX);
        let before = clock::now().saturating_sub(every).unwrap_or(Timestamp::MIN);
        let (state, source, most) = (self.state.clone(), self.source.clone(), BATCH + self.tried.len());
        match tokio::task::spawn_blocking(move || state.due(&source, before, most)).await {
            Ok(Ok(due)) => due,
            Ok(Err(error)) => {
                tracing::warn!(%error, "what is to be read again could not be asked for");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    /// The age of what was read longest ago, by root: how long a silent change can have lain there unseen.
    async fn tell_ages(&self) {
        for root in &self.sweep.roots {
            let (state, source, prefix) = (self.state.clone(), self.source.clone(), root.clone());
            let asked = tokio::task::spawn_blocking(move || state.verified_since(&source, &prefix)).await;
            let Ok(Ok(since)) = asked else { continue };
            let age = since.map_or(0.0, |since| clock::now().duration_since(since).as_secs_f64().max(0.0));
            self.metrics.full_verify_age.with_label_values(&[self.source.as_str(), root.as_str()]).set(age);
        }
    }
}

/// The next records of a sweeper; never, where there is none.
pub async fn next(sweeper: &mut Option<Sweeper>, busy: bool) -> Vec<Due> {
    match sweeper {
        Some(sweeper) => sweeper.next(busy).await,
        None => std::future::pending().await,
    }
}
