//! Joins the sinks' deliverers with the durable outbox and the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::{Histogram, IntCounter, IntGauge};

use super::health::Voice;
use super::tell::Notice;
use crate::base::clock;
use crate::base::metrics::Metrics;
use crate::sinks::queue::{Observer, Outbox, OutboxError, Queued};
use crate::state::{State, StateError, Stored};

/// The outbox of the embedded database.
pub struct StateOutbox(pub State);

impl StateOutbox {
    fn queued(stored: Result<Vec<Stored>, StateError>) -> Result<Vec<Queued>, OutboxError> {
        let queued = |Stored { seq, committed, alert, count: _ }| Queued { seq, committed, alert };
        stored.map(|all| all.into_iter().map(queued).collect()).map_err(failed)
    }
}

fn failed(error: StateError) -> OutboxError {
    OutboxError(error.into())
}

impl Outbox for StateOutbox {
    fn cursor(&self, sink: &str) -> Result<i64, OutboxError> {
        self.0.sink_cursor(sink).map_err(failed)
    }

    fn after(&self, cursor: i64, most: usize) -> Result<Vec<Queued>, OutboxError> {
        Self::queued(self.0.alerts_after(cursor, most))
    }

    fn to_retry(&self, sink: &str, most: usize) -> Result<Vec<Queued>, OutboxError> {
        Self::queued(self.0.alerts_to_retry(sink, most))
    }

    fn active(&self, since: Timestamp, cursor: i64, most: usize) -> Result<Vec<Queued>, OutboxError> {
        Self::queued(self.0.active_alerts(since, cursor, most))
    }

    fn advance(&self, sink: &str, cursor: i64) -> Result<(), OutboxError> {
        self.0.advance(sink, cursor).map_err(failed)
    }

    fn bury(&self, sink: &str, seq: i64, reason: &str) -> Result<(), OutboxError> {
        self.0.bury(sink, seq, reason, clock::now()).map_err(failed)
    }

    fn unbury(&self, sink: &str, seq: i64) -> Result<(), OutboxError> {
        self.0.unbury(sink, seq).map_err(failed)
    }
}

/// How one sink stands; read by readiness and the status page.
pub struct SinkStatus {
    pub name: String,
    up: AtomicBool,
    gone: AtomicBool,
    cursor: AtomicI64,
    metrics: Metrics,
    voice: Voice,
    sent: IntCounter,
    retries: IntCounter,
    dead: IntCounter,
    skipped: IntCounter,
    up_gauge: IntGauge,
    delivery: Histogram,
}

impl SinkStatus {
    /// A sink counts as up until a delivery fails.
    pub fn new(name: &str, metrics: &Metrics, voice: Voice) -> Arc<Self> {
        let status = Self {
            name: name.to_owned(),
            up: AtomicBool::new(true),
            gone: AtomicBool::new(false),
            cursor: AtomicI64::new(0),
            voice,
            sent: metrics.sink_sent.with_label_values(&[name]),
            retries: metrics.sink_retries.with_label_values(&[name]),
            dead: metrics.sink_dead_letters.with_label_values(&[name]),
            skipped: metrics.sink_skipped.with_label_values(&[name, "level"]),
            up_gauge: metrics.sink_up.with_label_values(&[name]),
            delivery: metrics.detection_delivery_seconds.with_label_values(&[name]),
            metrics: metrics.clone(),
        };
        status.up_gauge.set(1);
        Arc::new(status)
    }

    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// The receiver asked not to be called again.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Everything up to here was taken.
    pub fn cursor(&self) -> i64 {
        self.cursor.load(Ordering::Relaxed)
    }

    fn set_up(&self, up: bool) {
        self.up_gauge.set(i64::from(up));
        if self.up.swap(up, Ordering::Relaxed) != up && up {
            tracing::info!(sink = %self.name, "the sink takes alerts again");
        }
    }
}

impl Observer for SinkStatus {
    fn sent(&self, count: u64, oldest_wait: Duration) {
        self.sent.inc_by(count);
        self.delivery.observe(oldest_wait.as_secs_f64());
        self.set_up(true);
    }

    fn failed(&self, reason: &'static str, what: &str) {
        if self.is_up() {
            tracing::warn!(sink = %self.name, reason, what, "alerts wait in the outbox: the sink does not take them");
        }
        self.metrics.sink_failed.with_label_values(&[self.name.as_str(), reason]).inc();
        self.set_up(false);
    }

    fn retried(&self) {
        self.retries.inc();
    }

    fn skipped(&self, count: u64) {
        self.skipped.inc_by(count);
    }

    fn buried(&self, queued: &Queued, reason: &str) {
        self.dead.inc();
        tracing::error!(
            sink = %self.name, alert = %queued.alert.id, rule = %queued.alert.rule.id, reason,
            "the sink refused an alert for good; it is on the dead-letter list: `lanner alerts list --dead-letters`"
        );
        self.voice.say(Notice {
            action: "sink.dead_letter",
            component: self.name.clone(),
            reason: "refused",
            detail: format!("alert {}: {reason}", queued.alert.id),
        });
    }

    fn waiting(&self, cursor: i64) {
        self.cursor.store(cursor, Ordering::Relaxed);
    }

    fn gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
        self.set_up(false);
        tracing::error!(sink = %self.name, "the receiver answered 410 Gone; nothing more is sent to it until the agent is restarted");
    }
}
