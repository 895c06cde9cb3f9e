//! The deliverer of one sink: order, retries, back-off, dead letters, and telling again.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{Resend, Sink, SinkError};
use crate::base::backoff::Backoff;
use crate::base::clock;
use crate::event::Alert;

/// One alert in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Queued {
    pub seq: i64,
    pub committed: Timestamp,
    pub alert: Alert,
}

/// What the deliverer needs of the durable outbox. Every call may block for a short while.
pub trait Outbox: Send + Sync {
    fn cursor(&self, sink: &str) -> Result<i64, OutboxError>;
    fn after(&self, cursor: i64, most: usize) -> Result<Vec<Queued>, OutboxError>;
    fn to_retry(&self, sink: &str, most: usize) -> Result<Vec<Queued>, OutboxError>;
    fn active(&self, since: Timestamp, cursor: i64, most: usize) -> Result<Vec<Queued>, OutboxError>;
    fn advance(&self, sink: &str, cursor: i64) -> Result<(), OutboxError>;
    fn bury(&self, sink: &str, seq: i64, reason: &str) -> Result<(), OutboxError>;
    fn unbury(&self, sink: &str, seq: i64) -> Result<(), OutboxError>;
}

/// The outbox cannot be used now.
#[derive(Debug, thiserror::Error)]
#[error("the outbox cannot be used now")]
pub struct OutboxError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What the deliverer tells of itself.
pub trait Observer: Send + Sync {
    fn sent(&self, count: u64, oldest_wait: Duration);
    fn failed(&self, reason: &'static str, what: &str);
    fn retried(&self);
    /// Alerts below the sink's minimum severity were passed over.
    fn skipped(&self, count: u64);
    fn buried(&self, queued: &Queued, reason: &str);
    fn waiting(&self, cursor: i64);
    fn gone(&self);
}

/// Alerts looked at for telling again, at most.
const ACTIVE_MAX: usize = 10_000;
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MOST: Duration = Duration::from_secs(60);
/// Without a sign of new alerts the outbox is looked at after this time all the same.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Delivers to one sink until stopped; what is left stays in the outbox.
pub struct Deliverer {
    pub sink: Arc<dyn Sink>,
    pub outbox: Arc<dyn Outbox>,
    pub observer: Arc<dyn Observer>,
    /// Changes whenever something was put into the outbox.
    pub news: watch::Receiver<u64>,
    pub stop: CancellationToken,
}

enum Outcome {
    Taken,
    Again(Duration),
    Gone,
}

impl Deliverer {
    /// Runs until stopped, or until the receiver says that it is gone for good.
    pub async fn run(mut self) {
        let mut backoff = Backoff::new(WAIT_FIRST, WAIT_MOST, seed(self.sink.name()));
        let mut resend = self.sink.resend().map(|resend| (resend, Instant::now() + resend.every));
        loop {
            let wait = match self.round(&mut backoff, &mut resend).await {
                Ok(Outcome::Taken) => None,
                Ok(Outcome::Again(wait)) => Some(wait),
                Ok(Outcome::Gone) => return self.observer.gone(),
                Err(error) => {
                    self.observer.failed("outbox", &describe(&error));
                    Some(backoff.next_wait())
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = pause(wait, &mut self.news, resend.as_ref().map(|(_, at)| *at)) => {}
            }
        }
    }

    /// Delivers all there is now; `Taken` when nothing is left.
    async fn round(
        &self,
        backoff: &mut Backoff,
        resend: &mut Option<(Resend, Instant)>,
    ) -> Result<Outcome, OutboxError> {
        let mut cursor = self.on_outbox(|outbox, sink| outbox.cursor(sink)).await?;
        loop {
            self.observer.waiting(cursor);
            if self.stop.is_cancelled() {
                return Ok(Outcome::Taken);
            }
            let most = self.sink.batch_max();
            let batch = self.on_outbox(move |outbox, _| outbox.after(cursor, most)).await?;
            let Some(last) = batch.last().map(|queued| queued.seq) else { break };
            match self.deliver(batch, backoff, true).await? {
                Outcome::Taken => cursor = last,
                other @ (Outcome::Again(_) | Outcome::Gone) => return Ok(other),
            }
        }
        match self.try_dead_letters(backoff).await? {
            Outcome::Taken => {}
            other @ (Outcome::Again(_) | Outcome::Gone) => return Ok(other),
        }
        self.tell_again(cursor, backoff, resend).await
    }

    /// Sends a batch in order. When it is refused, its alerts are tried one by one, so that only
    /// those are buried that the receiver does not want.
    async fn deliver(&self, batch: Vec<Queued>, backoff: &mut Backoff, advance: bool) -> Result<Outcome, OutboxError> {
        let wanted: Vec<Queued> =
            batch.iter().filter(|queued| queued.alert.severity >= self.sink.minimum_severity()).cloned().collect();
        let mut skipped = (batch.len() - wanted.len()) as u64;
        let last = batch.last().map_or(0, |queued| queued.seq);
        let sent = match self.send(&wanted).await {
            Ok(()) => self.taken(&wanted, backoff),
            Err(SinkError::Refused(_)) if wanted.len() > 1 => {
                // Those that are passed over, too: each is counted when the cursor goes past it.
                skipped = 0;
                for queued in batch {
                    match Box::pin(self.deliver(vec![queued], backoff, advance)).await? {
                        Outcome::Taken => {}
                        other @ (Outcome::Again(_) | Outcome::Gone) => return Ok(other),
                    }
                }
                Outcome::Taken
            }
            // Told again and refused: it was taken before, or is on the list already.
            Err(SinkError::Refused(reason)) if !advance => {
                self.observer.failed("refused", &reason);
                Outcome::Taken
            }
            Err(SinkError::Refused(reason)) => {
                for queued in &wanted {
                    let (seq, why) = (queued.seq, reason.clone());
                    self.on_outbox(move |outbox, sink| outbox.bury(sink, seq, &why)).await?;
                    self.observer.buried(queued, &reason);
                }
                Outcome::Taken
            }
            Err(SinkError::Transient { what, reason }) => self.failed(reason.as_str(), &what, backoff.next_wait()),
            Err(SinkError::Throttled(wait)) => {
                self.failed("throttled", "the receiver asks to wait", wait.max(WAIT_FIRST))
            }
            Err(SinkError::Gone) => Outcome::Gone,
        };
        if advance && matches!(sent, Outcome::Taken) {
            if skipped > 0 {
                self.observer.skipped(skipped);
            }
            self.on_outbox(move |outbox, sink| outbox.advance(sink, last)).await?;
        }
        Ok(sent)
    }

    async fn send(&self, queued: &[Queued]) -> Result<(), SinkError> {
        if queued.is_empty() {
            return Ok(());
        }
        let alerts: Vec<Alert> = queued.iter().map(|queued| queued.alert.clone()).collect();
        let span = tracing::info_span!("deliver", sink = self.sink.name(), alerts = alerts.len());
        self.sink.deliver(&alerts).instrument(span).await
    }

    fn failed(&self, reason: &'static str, what: &str, wait: Duration) -> Outcome {
        self.observer.failed(reason, what);
        self.observer.retried();
        Outcome::Again(wait)
    }

    fn taken(&self, sent: &[Queued], backoff: &mut Backoff) -> Outcome {
        backoff.reset();
        if let Some(oldest) = sent.iter().map(|queued| queued.committed).min() {
            let wait = clock::now().duration_since(oldest);
            self.observer.sent(sent.len() as u64, Duration::try_from(wait).unwrap_or(Duration::ZERO));
        }
        Outcome::Taken
    }

    /// Tries refused alerts again that a person asked for.
    async fn try_dead_letters(&self, backoff: &mut Backoff) -> Result<Outcome, OutboxError> {
        for queued in self.on_outbox(|outbox, sink| outbox.to_retry(sink, 100)).await? {
            let seq = queued.seq;
            match self.send(std::slice::from_ref(&queued)).await {
                Ok(()) => {
                    self.taken(std::slice::from_ref(&queued), backoff);
                    self.on_outbox(move |outbox, sink| outbox.unbury(sink, seq)).await?;
                }
                Err(SinkError::Gone) => return Ok(Outcome::Gone),
                // It says nothing of the alert, for which a person has asked: the mark stays.
                Err(SinkError::Transient { what, reason }) => {
                    return Ok(self.failed(reason.as_str(), &what, backoff.next_wait()));
                }
                Err(SinkError::Throttled(wait)) => {
                    return Ok(self.failed("throttled", "the receiver asks to wait", wait.max(WAIT_FIRST)));
                }
                Err(SinkError::Refused(reason)) => {
                    self.observer.buried(&queued, &reason);
                    self.on_outbox(move |outbox, sink| outbox.bury(sink, seq, &reason)).await?;
                }
            }
        }
        Ok(Outcome::Taken)
    }

    /// Tells alerts that still hold again, when it is time to.
    async fn tell_again(
        &self,
        cursor: i64,
        backoff: &mut Backoff,
        resend: &mut Option<(Resend, Instant)>,
    ) -> Result<Outcome, OutboxError> {
        let Some((settings, at)) = resend else { return Ok(Outcome::Taken) };
        if Instant::now() < *at {
            return Ok(Outcome::Taken);
        }
        let hold = SignedDuration::try_from(settings.expire_after).unwrap_or(SignedDuration::MAX);
        let since = clock::now().saturating_sub(hold).unwrap_or(Timestamp::MIN);
        let active = self.on_outbox(move |outbox, _| outbox.active(since, cursor, ACTIVE_MAX)).await?;
        for batch in active.chunks(self.sink.batch_max()) {
            match self.deliver(batch.to_vec(), backoff, false).await? {
                Outcome::Taken => {}
                other @ (Outcome::Again(_) | Outcome::Gone) => return Ok(other),
            }
        }
        *at = Instant::now() + settings.every;
        Ok(Outcome::Taken)
    }

    async fn on_outbox<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Outbox, &str) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let (outbox, name) = (Arc::clone(&self.outbox), self.sink.name().to_owned());
        tokio::task::spawn_blocking(move || call(&*outbox, &name))
            .await
            .map_err(|error| OutboxError(error.into()))
            .flatten()
    }
}

/// Waits as long as told; else until there is news, or it is time to tell again.
async fn pause(wait: Option<Duration>, news: &mut watch::Receiver<u64>, resend: Option<Instant>) {
    if let Some(wait) = wait {
        return tokio::time::sleep(wait).await;
    }
    let look = Instant::now() + LOOK_AGAIN;
    let until = resend.map_or(look, |at| at.min(look));
    tokio::select! {
        changed = news.changed() => if changed.is_err() { tokio::time::sleep_until(until).await },
        () = tokio::time::sleep_until(until) => {}
    }
}

fn describe(error: &OutboxError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn seed(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
