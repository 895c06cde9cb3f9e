//! An outbox in memory, an observer that remembers, and a deliverer between them and a sink.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use lanner::base::clock;
use lanner::event::Alert;
use lanner::sinks::Sink;
use lanner::sinks::queue::{Deliverer, Observer, Outbox, OutboxError, Queued};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub struct Kept {
    pub queued: Vec<Queued>,
    pub cursor: i64,
    pub buried: BTreeMap<i64, String>,
    pub retry: BTreeSet<i64>,
    pub failed: Vec<&'static str>,
    pub sent: u64,
    pub gone: bool,
    pub skipped: u64,
}

/// Outbox and observer in one.
#[derive(Default)]
pub struct Memory(Mutex<Kept>);

impl Memory {
    pub fn with(alerts: Vec<Alert>) -> Arc<Self> {
        let memory = Self::default();
        for alert in alerts {
            memory.put(alert);
        }
        Arc::new(memory)
    }

    pub fn put(&self, alert: Alert) {
        let mut kept = self.kept();
        let seq = i64::try_from(kept.queued.len()).expect("tests are small") + 1;
        kept.queued.push(Queued { seq, committed: clock::now(), alert });
    }

    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("no test panics while it holds this")
    }

    fn pick(&self, most: usize, wanted: impl Fn(&Kept, &Queued) -> bool) -> Vec<Queued> {
        let kept = self.kept();
        kept.queued.iter().filter(|queued| wanted(&kept, queued)).take(most).cloned().collect()
    }
}

impl Outbox for Memory {
    fn cursor(&self, _sink: &str) -> Result<i64, OutboxError> {
        Ok(self.kept().cursor)
    }

    fn after(&self, cursor: i64, most: usize) -> Result<Vec<Queued>, OutboxError> {
        Ok(self.pick(most, |_, queued| queued.seq > cursor))
    }

    fn to_retry(&self, _sink: &str, most: usize) -> Result<Vec<Queued>, OutboxError> {
        Ok(self.pick(most, |kept, queued| kept.retry.contains(&queued.seq)))
    }

    fn active(&self, since: Timestamp, cursor: i64, most: usize) -> Result<Vec<Queued>, OutboxError> {
        Ok(self.pick(most, |_, queued| queued.committed >= since && queued.seq <= cursor))
    }

    fn advance(&self, _sink: &str, cursor: i64) -> Result<(), OutboxError> {
        let mut kept = self.kept();
        kept.cursor = kept.cursor.max(cursor);
        Ok(())
    }

    fn bury(&self, _sink: &str, seq: i64, reason: &str) -> Result<(), OutboxError> {
        let mut kept = self.kept();
        kept.buried.insert(seq, reason.to_owned());
        kept.retry.remove(&seq);
        kept.cursor = kept.cursor.max(seq);
        Ok(())
    }

    fn unbury(&self, _sink: &str, seq: i64) -> Result<(), OutboxError> {
        let mut kept = self.kept();
        kept.buried.remove(&seq);
        kept.retry.remove(&seq);
        Ok(())
    }
}

impl Observer for Memory {
    fn sent(&self, count: u64, _oldest_wait: Duration) {
        self.kept().sent += count;
    }

    fn failed(&self, reason: &'static str, _what: &str) {
        self.kept().failed.push(reason);
    }

    fn retried(&self) {}

    fn skipped(&self, count: u64) {
        self.kept().skipped += count;
    }

    fn buried(&self, _queued: &Queued, _reason: &str) {}

    fn waiting(&self, _cursor: i64) {}

    fn gone(&self) {
        self.kept().gone = true;
    }
}

/// Delivers until the condition holds, then stops; fails after `within` of the runtime's time.
pub async fn deliver_until(
    sink: Arc<dyn Sink>,
    memory: &Arc<Memory>,
    within: Duration,
    condition: impl Fn(&Kept) -> bool,
) {
    let stop = CancellationToken::new();
    let reached = async {
        while !condition(&memory.kept()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(deliverer(sink, memory, &stop), reached) };
    tokio::time::timeout(within, both).await.expect("it happens in time, and the deliverer stops");
}

/// A deliverer that hears of no news but looks by itself.
pub fn deliverer(
    sink: Arc<dyn Sink>,
    memory: &Arc<Memory>,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let (_, news) = watch::channel(0);
    let (outbox, observer) = (Arc::clone(memory), Arc::clone(memory));
    Deliverer { sink, outbox, observer, news, stop: stop.clone() }.run()
}
