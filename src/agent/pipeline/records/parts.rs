//! Bytes that are too many to be fetched: what is told of those that were.

use super::{Outcome, Past, Records, put};
use crate::agent::examine::ExamineError;
use crate::agent::tell;
use crate::base::clock;
use crate::event::Event;
use crate::sources::{Record, RecordKind, Store};
use crate::state::Placed;

impl Records {
    /// Looks into parts of what is not read whole; `why` it is not. Without a digest nothing is stored and nothing
    /// compared: all that is known is what was found, and that other bytes than these are not there any more.
    pub(super) async fn in_parts(
        &self,
        store: &dyn Store,
        record: &Record,
        before: Option<&Placed>,
        past: &Past,
        first_listing: bool,
        why: &str,
    ) -> Result<Outcome, ExamineError> {
        let Some(artifact) = &record.artifact else { return Err(ExamineError::Gone) };
        let mut events = match self.patiently(artifact, || self.shared.examiner.parts(store, artifact)).await {
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
        events.extend(self.by_word(record, before, first_listing));
        Ok(put(record, None, events))
    }

    /// What the source says of a version whose bytes nobody has read as a whole: its word is all there is.
    pub(super) fn by_word(&self, record: &Record, before: Option<&Placed>, first_listing: bool) -> Vec<Event> {
        if record.kind != RecordKind::VersionArtifact || before.is_none() || first_listing {
            return Vec::new();
        }
        let old = before.map(|before| &before.attributes);
        let changes = self.source.changes(record.kind, old, Some(&record.attributes));
        tell::registry(&self.origin, record, before, &changes, clock::now())
    }
}
