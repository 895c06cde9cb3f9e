//! Bytes that are too many to be fetched: what is told of those that were.

use super::{Outcome, Past, Records, Slot, put};
use crate::agent::examine::ExamineError;
use crate::agent::tell;
use crate::base::clock;
use crate::sources::{Record, Store};

impl Records {
    /// Looks into parts of what is not read whole; `why` it is not. Without a digest nothing is stored and nothing
    /// compared: all that is known is what was found, and that other bytes than these are not there any more.
    pub(super) async fn in_parts(
        &self,
        store: &dyn Store,
        slot: &Slot,
        record: &Record,
        past: &Past,
        why: &str,
    ) -> Result<Outcome, ExamineError> {
        let Some(artifact) = &record.artifact else { return Err(ExamineError::Gone) };
        let mut events = match self.patiently(artifact, slot, || self.shared.examiner.parts(store, artifact)).await {
            Ok(Some(report)) => {
                tracing::info!(source = %self.origin.source, record = %record.key, why, "looked into in parts");
                vec![tell::parts(&self.origin, record, &report.facts, &past.generation, clock::now())]
            }
            Ok(None) => vec![self.left_out("oversize", record, why)],
            Err(ExamineError::Refused(refusal) | ExamineError::Slow(refusal)) => {
                let why = format!("{why}; nor can it be read in parts: {refusal}");
                vec![self.left_out("oversize", record, &why)]
            }
            Err(error) => return Err(error),
        };
        events.extend(self.unread(record, past).await);
        Ok(put(record, None, events))
    }
}
