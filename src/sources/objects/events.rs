//! Events that a bucket puts into a queue: each is kept as a hint, and deleted from the queue only then.
//!
//! What an event says is not believed: it makes the source look at the objects that it names. Whoever may send to the
//! queue can do no more than that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::hints;
use super::queue::{Message, Queue};
use crate::base::backoff::Backoff;
use crate::base::http::{self, Failure, Meter};
use crate::base::text::shorten;
use crate::sources::hints::{Hints, Offered};
use crate::sources::{SourceMetrics, State, Status};

/// Hints that may wait before more are asked for: the queue keeps the others.
const WAITING_MAX: usize = 1_000;
/// How long to wait until some of them were followed.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest wait after failures in a row.
const WAIT_MOST: Duration = Duration::from_mins(1);
/// Bytes of one message.
const BODY_MAX: usize = 1 << 20;
/// Characters of a message in a sentence.
const SHOWN: usize = 120;

/// Receives what a bucket puts into a queue.
pub struct Events {
    queue: Queue,
    /// Name of the bucket.
    bucket: String,
    told: Mutex<Told>,
}

/// What a person should know.
#[derive(Default)]
struct Told {
    /// Why nothing is received.
    trouble: Option<String>,
    /// Messages that are not understood, and the last of them.
    poison: u64,
    last: String,
}

/// What a message is.
enum Meant {
    /// A reason to look.
    Hint(Value),
    /// Of another bucket, or only a sign that the queue works.
    Nothing,
    Poison,
}

/// What a source gives to whoever receives for it.
pub struct Desk {
    pub hints: Hints,
    pub metrics: SourceMetrics,
    pub status: Arc<Status>,
}

impl Events {
    pub fn new(queue: Queue, bucket: &str) -> Self {
        Self { queue, bucket: bucket.to_owned(), told: Mutex::default() }
    }

    /// Asks whether messages could be received, and takes none.
    pub async fn look(&self, desk: &Desk) {
        let looked = self.queue.look().await;
        self.tell(desk, looked.err().map(|failure| self.explain(&failure)));
    }

    /// Receives for as long as it is polled.
    pub async fn receive(&self, desk: &Desk) {
        let meter = Arc::<Meter>::default();
        http::metered(Arc::clone(&meter), async {
            let mut backoff = Backoff::new(Duration::from_secs(1), WAIT_MOST, u64::from(std::process::id()));
            loop {
                let turned = self.turn(desk).await;
                desk.metrics.cost(&meter);
                match turned {
                    Ok(()) => {
                        backoff.reset();
                        self.tell(desk, None);
                    }
                    Err(trouble) => {
                        tracing::warn!(queue = %self.queue.url(), trouble, "events are not received");
                        desk.metrics.error("transient");
                        self.tell(desk, Some(trouble));
                        tokio::time::sleep(backoff.next_wait()).await;
                    }
                }
            }
        })
        .await;
    }

    /// One answer of the queue: what it gives is kept, and then deleted there.
    async fn turn(&self, desk: &Desk) -> Result<(), String> {
        while desk.hints.waiting().len() >= WAITING_MAX {
            tokio::time::sleep(PAUSE).await;
        }
        let messages = self.queue.receive().await.map_err(|failure| self.explain(&failure))?;
        let (mut done, mut full) = (Vec::new(), None);
        for message in messages {
            let (outcome, settled) = self.take(desk, &message).await;
            desk.metrics.hint(outcome);
            if settled {
                done.push(message);
            } else {
                full = Some(outcome);
            }
        }
        let left = if done.is_empty() { Ok(0) } else { self.queue.delete(&done).await };
        match (left, full) {
            (Err(failure), _) => Err(self.explain(&failure)),
            (Ok(count @ 1..), _) => {
                let queue = self.queue.url();
                Err(format!(
                    "`{queue}`: {count} messages could not be deleted, and come again; allow sqs:DeleteMessage"
                ))
            }
            (Ok(0), Some(_)) => Err("hints cannot be kept now; the queue keeps the events".to_owned()),
            (Ok(0), None) => Ok(()),
        }
    }

    /// What becomes of a message, and whether the queue may forget it.
    async fn take(&self, desk: &Desk, message: &Message) -> (&'static str, bool) {
        match self.meaning(&message.body) {
            Meant::Nothing => ("ignored", true),
            Meant::Poison => {
                self.poisoned(message);
                ("malformed", true)
            }
            Meant::Hint(body) => match desk.hints.offer(message.delivery(), body).await {
                Offered::New(_) => ("taken", true),
                Offered::Known => ("repeated", true),
                Offered::Full => ("full", false),
                Offered::Unkept => ("unkept", false),
            },
        }
    }

    fn meaning(&self, body: &str) -> Meant {
        let value = Some(body).filter(|body| body.len() <= BODY_MAX);
        let Some(value) = value.and_then(|body| serde_json::from_str::<Value>(body).ok()) else { return Meant::Poison };
        match hints::read(&value) {
            None => Meant::Poison,
            Some(objects) if objects.iter().any(|object| object.bucket == self.bucket) => Meant::Hint(value),
            Some(_) => Meant::Nothing,
        }
    }

    /// A message that is not understood is told of, and not received for ever.
    fn poisoned(&self, message: &Message) {
        let shown = shorten(&message.body, SHOWN);
        tracing::warn!(queue = %self.queue.url(), id = %shorten(&message.id, SHOWN), body = %shown,
            "a message of the queue is no event of a bucket; it is deleted");
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.poison = told.poison.saturating_add(1);
        told.last = shown;
    }

    fn tell(&self, desk: &Desk, trouble: Option<String>) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).trouble = trouble;
        desk.status.change(|state| self.report(state));
    }

    /// Adds what a person should know to the state of the source.
    pub fn report(&self, state: &mut State) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let put = |blind: &mut BTreeMap<String, String>, sentence: Option<String>| match sentence {
            Some(sentence) => drop(blind.insert("no_events".to_owned(), sentence)),
            None => drop(blind.remove("no_events")),
        };
        put(&mut state.blind, told.trouble.as_ref().map(|why| format!("{why}; only listings find what changes")));
        if told.poison > 0 {
            let (count, last) = (told.poison, &told.last);
            let sentence =
                format!("{count} messages of the queue were no events of a bucket, and deleted; the last: {last}");
            state.notes.insert("events".to_owned(), sentence);
        }
    }

    fn explain(&self, failure: &Failure) -> String {
        let queue = self.queue.url();
        match failure {
            Failure::Denied { .. } => format!(
                "`{queue}`: {failure}; allow these credentials sqs:ReceiveMessage, sqs:DeleteMessage and sqs:GetQueueAttributes"
            ),
            Failure::Gone | Failure::Rejected { .. } => format!(
                "`{queue}`: {failure}; is there such a queue, in this region, and may these credentials receive from it?"
            ),
            Failure::Server { .. }
            | Failure::Throttled { .. }
            | Failure::Unreachable(_)
            | Failure::Timeout
            | Failure::TooLarge { .. }
            | Failure::Garbage(_) => format!("`{queue}`: {failure}"),
        }
    }
}
