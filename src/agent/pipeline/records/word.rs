//! What is promised of bytes that nobody could read.

use super::{Outcome, Records};
use crate::agent::tell;
use crate::base::clock;
use crate::event::{Value, identity};
use crate::sources::{Change, Record, RecordKind};
use crate::state::{Placed, RecordChange};

impl Records {
    /// Of bytes of a version that could not be read, what is promised of them is told where it is another.
    pub(super) fn held_against_its_word(
        &self,
        mut outcome: Outcome,
        record: &Record,
        before: Option<&Placed>,
    ) -> Outcome {
        let unread = outcome.again.is_some() || outcome.absent.is_some() || unread(&outcome);
        let new = identity::promised(&record.attributes);
        let old = before.and_then(|before| before.digest.or_else(|| identity::promised(&before.attributes)));
        if let (true, RecordKind::VersionArtifact, Some(old), Some(new)) = (unread, record.kind, old, new)
            && old != new
        {
            let fields = [("artifact.previous_hash".to_owned(), Value::from(format!("sha256:{old}")))];
            let change = Change { action: "artifact.tampered", fields: fields.into() };
            outcome.events.extend(tell::registry(&self.origin, record, before, &[change], clock::now()));
        }
        outcome
    }
}

/// Whether a record that has bytes was kept without them.
fn unread(outcome: &Outcome) -> bool {
    matches!(&outcome.change, Some(RecordChange::Put(seen)) if seen.path.is_some() && seen.blob.is_none())
}
