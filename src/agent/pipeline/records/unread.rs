//! Bytes that cannot be read: what is told of them, and when they are looked at again.

use super::{Outcome, Past, Records, put, seen};
use crate::agent::announced;
use crate::agent::examine::ExamineError;
use crate::agent::tell::{self, Notice};
use crate::base::clock;
use crate::event::Event;
use crate::sources::Record;
use crate::state::{Placed, RecordChange};

/// Signatures of records whose bytes could not be read: told, and not told yet because they were being written.
const UNREAD: &str = "unread";
const MOVING: &str = "moving";
/// Before the signature of a record that was read too slowly, with how often.
const SLOW: &str = "slow:";
/// Times that such a record is read until it is left alone.
const SLOW_TRIES: u32 = 4;

impl Records {
    /// What becomes of a record whose bytes were not looked into.
    pub(super) async fn not_examined(
        &self,
        record: &Record,
        before: Option<&Placed>,
        past: &Past,
        error: ExamineError,
    ) -> Outcome {
        match error {
            ExamineError::Gone => {
                self.shared.metrics.events_dropped.with_label_values(&["examine", "gone"]).inc();
                Outcome { absent: Some(Box::new(record.clone())), ..Outcome::default() }
            }
            ExamineError::Again(why) => self.unread_for_now(record, before, past, UNREAD, &why).await,
            ExamineError::Moving(why) => self.unread_for_now(record, before, past, MOVING, &why).await,
            ExamineError::Slow(why) => self.slow(record, before, past, &why).await,
            ExamineError::Refused(why) => {
                let mut events = vec![self.left_out("oversize", record, &why)];
                events.extend(self.unread(record, past).await);
                put(record, None, events)
            }
        }
    }

    /// What cannot be read now is looked at again later; until then nobody knows what lies there. What is being
    /// written may be on its way: it is told when it still is at the next look.
    async fn unread_for_now(
        &self,
        record: &Record,
        before: Option<&Placed>,
        past: &Past,
        mark: &str,
        why: &str,
    ) -> Outcome {
        let mut outcome = Outcome { again: Some(Box::new(record.clone())), ..Outcome::default() };
        outcome.events.push(self.left_out("unreadable", record, why));
        let last = before.filter(|before| before.digest.is_none()).map(|before| &*before.signature);
        let matters = past.stood.is_some() || announced::served(&record.attributes).is_some();
        if matters && last != Some(UNREAD) {
            let tell = mark == UNREAD || last == Some(MOVING);
            if tell {
                outcome.events.extend(self.unread(record, past).await);
            }
            // No source gives such a signature: whoever looks again reads the bytes.
            let signature = if tell { UNREAD } else { MOVING }.to_owned();
            let record = Record { signature, ..record.clone() };
            outcome.change = Some(RecordChange::Put(Box::new(seen(&record, None))));
        }
        outcome
    }

    /// What was read too slowly is read again a few times: the disk may have been busy.
    async fn slow(&self, record: &Record, before: Option<&Placed>, past: &Past, why: &str) -> Outcome {
        let mut events = vec![self.left_out("oversize", record, why)];
        let tried = before.filter(|before| before.digest.is_none()).and_then(|before| {
            let (tried, signature) = before.signature.strip_prefix(SLOW)?.split_once(':')?;
            tried.parse::<u32>().ok().filter(|_| signature == record.signature)
        });
        if tried.is_none() {
            events.extend(self.unread(record, past).await);
        }
        let tries = tried.unwrap_or(0).saturating_add(1);
        if tries >= SLOW_TRIES {
            return put(record, None, events);
        }
        let marked = Record { signature: format!("{SLOW}{tries}:{}", record.signature), ..record.clone() };
        Outcome { again: Some(Box::new(record.clone())), ..put(&marked, None, events) }
    }

    /// Bytes that nobody could read, in the place of others.
    pub(super) async fn unread(&self, record: &Record, past: &Past) -> Option<Event> {
        let standing = self.left(&record.key, &record.attributes, past.stood?, "unread").await;
        Some(tell::unread(&self.origin, record, &past.generation, &standing, clock::now()))
    }

    /// Nothing is known about these bytes: counted, logged, and told as the agent's own event.
    pub(super) fn left_out(&self, reason: &'static str, record: &Record, why: &str) -> Event {
        self.shared.metrics.events_dropped.with_label_values(&["examine", reason]).inc();
        tracing::warn!(source = %self.origin.source, record = %record.key, why, "an artifact could not be looked into");
        let notice = Notice {
            action: "inspection.failed",
            component: self.origin.source.clone(),
            reason,
            detail: format!("`{}`: {why}", record.subject.name),
        };
        tell::health(self.origin.host.as_deref(), &notice, clock::now())
    }
}
