//! The agent about itself: its voice for notices, and the gauges that are looked up in intervals.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::committer::Desk;
use super::deliver::SinkStatus;
use super::judge::{Judge, Verdict};
use super::tell::{self, Notice};
use crate::base::clock;
use crate::base::metrics::Metrics;
use crate::detect::correlation::Eviction;
use crate::sources::Status;
use crate::state::{Commit, State};

/// Notices that may wait; more are dropped, for the metrics tell of them too.
const NOTICES: usize = 64;
/// A source may be blind for this long before it is told as an alert.
const BLIND_FOR: Duration = Duration::from_secs(60);

/// How often evictions of one kind are told.
const EVICTIONS_EVERY: Duration = Duration::from_secs(600);

/// Where parts of the agent tell what a person should hear of. Cheap to clone.
#[derive(Clone)]
pub struct Voice {
    notices: mpsc::Sender<Notice>,
    metrics: Metrics,
}

impl Voice {
    /// A voice, and the ear for [`listen`].
    pub fn new(metrics: &Metrics) -> (Self, mpsc::Receiver<Notice>) {
        let (notices, ear) = mpsc::channel(NOTICES);
        (Self { notices, metrics: metrics.clone() }, ear)
    }

    pub fn say(&self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            self.metrics.events_dropped.with_label_values(&["health", "oversize"]).inc();
        }
    }
}

/// Judges notices like any other event, until every voice is gone or the agent stops.
pub async fn listen(
    mut ear: mpsc::Receiver<Notice>,
    judge: Judge,
    desk: Desk,
    host: Option<String>,
    stop: CancellationToken,
) {
    loop {
        let notice = tokio::select! {
            notice = ear.recv() => notice,
            () = stop.cancelled() => None,
        };
        let Some(notice) = notice else { return };
        let seen = clock::now();
        let Verdict { alerts, memos } = judge.judge(&[tell::health(host.as_deref(), &notice, seen)], seen);
        if !alerts.is_empty() || !memos.is_empty() {
            let commit = Commit { source: "agent".to_owned(), seen, alerts, memos, ..Commit::default() };
            if desk.commit(commit).await.is_err() {
                return;
            }
        }
    }
}

/// When the runtime last made progress: what liveness stands on. Measured by a clock that nobody
/// can set.
#[derive(Debug)]
pub struct Heartbeat {
    begun: Instant,
    last_millis: AtomicU64,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { begun: Instant::now(), last_millis: AtomicU64::new(0) }
    }
}

impl Heartbeat {
    fn beat(&self) {
        self.last_millis.store(self.millis(), Ordering::Relaxed);
    }

    /// Seconds since the last beat.
    pub fn age_secs(&self) -> u64 {
        self.millis().saturating_sub(self.last_millis.load(Ordering::Relaxed)) / 1000
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Looks at sources, sinks and the outbox once a second.
pub struct Watchman {
    pub heartbeat: Arc<Heartbeat>,
    pub metrics: Metrics,
    pub state: State,
    pub sources: Vec<(String, Arc<Status>)>,
    pub sinks: Vec<Arc<SinkStatus>>,
    pub voice: Voice,
    pub judge: Judge,
    /// False when the state's files are no longer where they were opened.
    pub in_place: watch::Sender<bool>,
    /// Days for which delivered alerts are kept.
    pub keep_days: u32,
    pub stop: CancellationToken,
}

impl Watchman {
    pub async fn run(self) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut blind_since: HashMap<(String, String), (Timestamp, bool)> = HashMap::new();
        let mut evictions = Evictions::default();
        let mut ticks: u64 = 0;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.stop.cancelled() => return,
            }
            self.heartbeat.beat();
            self.look_at_sources(&mut blind_since);
            evictions.look(&self.judge, &self.voice);
            if ticks.is_multiple_of(5) {
                self.look_at_state();
                self.look_at_outbox().await;
            }
            if ticks.is_multiple_of(3600) {
                self.prune().await;
            }
            ticks += 1;
        }
    }

    fn look_at_sources(&self, blind_since: &mut HashMap<(String, String), (Timestamp, bool)>) {
        let now = clock::now();
        for (name, status) in &self.sources {
            let state = status.read();
            self.metrics.source_up.with_label_values(&[name]).set(i64::from(state.synced && state.blind.is_empty()));
            self.metrics
                .source_watched
                .with_label_values(&[name])
                .set(i64::try_from(state.watched).unwrap_or(i64::MAX));
            if let Some(time) = state.last_success {
                self.metrics.source_last_success.with_label_values(&[name]).set(seconds(time));
            }
            blind_since.retain(|(source, reason), _| source != name || state.blind.contains_key(reason));
            for (reason, detail) in &state.blind {
                self.metrics.source_blind_seconds.with_label_values(&[name, reason]).inc();
                let entry = blind_since.entry((name.clone(), reason.clone())).or_insert((now, false));
                let lasting = now.duration_since(entry.0) >= SignedDuration::try_from(BLIND_FOR).unwrap_or_default();
                if lasting && !std::mem::replace(&mut entry.1, true) {
                    self.voice.say(Notice {
                        action: "source.blind",
                        component: name.clone(),
                        reason: "blind",
                        detail: format!("{reason}: {detail}"),
                    });
                }
            }
        }
    }

    /// A directory that was removed or replaced under us takes everything with it when we stop.
    fn look_at_state(&self) {
        let in_place = self.state.is_in_place();
        let changed = self.in_place.send_if_modified(|before| std::mem::replace(before, in_place) != in_place);
        if changed && !in_place {
            tracing::error!(
                path = %self.state.path().display(),
                "the state's files were removed or replaced; restart the agent: what it finds until then is lost at its end"
            );
        }
    }

    async fn look_at_outbox(&self) {
        let cursors: Vec<(String, i64)> = self.sinks.iter().map(|sink| (sink.name.clone(), sink.cursor())).collect();
        let state = self.state.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let backlogs =
                cursors.into_iter().map(|(name, cursor)| state.backlog(cursor).map(|backlog| (name, backlog)));
            Ok::<_, crate::state::StateError>((backlogs.collect::<Result<Vec<_>, _>>()?, state.artifacts_count()?))
        });
        let Ok(Ok((backlogs, artifacts))) = looked.await else { return };
        self.metrics.inventory_artifacts.set(i64::try_from(artifacts).unwrap_or(i64::MAX));
        let mut most = 0;
        let mut oldest: Option<Timestamp> = None;
        for (name, (count, since)) in backlogs {
            self.metrics.sink_queue_length.with_label_values(&[&name]).set(i64::try_from(count).unwrap_or(i64::MAX));
            most = most.max(count);
            oldest = [oldest, since].into_iter().flatten().min();
        }
        self.metrics.outbox_alerts.set(i64::try_from(most).unwrap_or(i64::MAX));
        let age = oldest.map_or(0.0, |since| clock::now().duration_since(since).as_secs_f64());
        self.metrics.outbox_oldest_age_seconds.set(age.max(0.0));
    }

    async fn prune(&self) {
        let before = clock::now().saturating_sub(SignedDuration::from_hours(24 * i64::from(self.keep_days)));
        let (state, Ok(before)) = (self.state.clone(), before) else { return };
        let sinks: Vec<String> = self.sinks.iter().map(|sink| sink.name.clone()).collect();
        let portraits = state.clone();
        let pruned = tokio::task::spawn_blocking(move || portraits.prune_portraits(before)).await;
        if let Ok(Err(error)) = pruned {
            tracing::warn!(%error, "portraits of bytes that are gone could not be forgotten");
        }
        match tokio::task::spawn_blocking(move || state.prune(before, &sinks)).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(count)) => tracing::info!(count, "delivered alerts past their time were forgotten"),
            Ok(Err(error)) => tracing::warn!(%error, "old alerts could not be forgotten"),
        }
    }
}

/// What correlations had to let go, told as an event of the agent now and then.
#[derive(Default)]
struct Evictions {
    /// By reason: how many were told, and when.
    told: [(u64, Option<Instant>); 3],
}

impl Evictions {
    fn look(&mut self, judge: &Judge, voice: &Voice) {
        let counts = judge.correlation_counts();
        for ((reason, now), (told, when)) in Eviction::ALL.iter().zip(counts.evictions).zip(&mut self.told) {
            let due = when.is_none_or(|when| when.elapsed() >= EVICTIONS_EVERY);
            if now <= *told || !due {
                continue;
            }
            let remedy = match reason {
                Eviction::Groups => "raise `correlation.groups_max`, or group by fields with fewer values",
                Eviction::Bytes => "raise `correlation.bytes_max`, or shorten the timespans of correlations",
                Eviction::Entries => {
                    "raise `correlation.group_entries_max`, or shorten the timespan of the correlation"
                }
            };
            tracing::warn!(reason = reason.as_str(), count = now - *told, "correlations let go of what they counted");
            voice.say(Notice {
                action: "correlation.evicted",
                component: "correlation".to_owned(),
                reason: reason.as_str(),
                detail: format!("{} let go before their time to keep within bounds: {remedy}", now - *told),
            });
            (*told, *when) = (now, Some(Instant::now()));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric in seconds; doubles hold seconds exactly for ages")]
fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}
