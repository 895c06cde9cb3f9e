//! What a source says of its records: held against what it said before, also where the record was away in between or
//! a word left something out.

use super::{Outcome, Records};
use crate::agent::tell;
use crate::base::clock;
use crate::event::{Event, Fields, Sha256, Value, identity};
use crate::sources::{Change, Record, RecordKind};
use crate::state::promises::Promise;
use crate::state::{Placed, RecordChange};

const TAMPERED: &str = "artifact.tampered";
/// What is told of a record that was away: it came back, and is not what it was.
const OF_RETURNED: [&str; 2] = [TAMPERED, "model.opened"];

/// What was said before of one record.
#[derive(Default)]
pub struct Word {
    /// Fields that must hold.
    lasting: &'static [&'static str],
    /// What was said of them once and is said no longer.
    left: Fields,
    /// Since when.
    since: Option<i64>,
}

impl Word {
    /// The digest that was promised once and is promised no longer.
    pub fn promised(&self) -> Option<Sha256> {
        identity::promised(&self.left)
    }

    /// All that was said last; nothing of a record that never was.
    fn said(&self, before: Option<&Placed>) -> Option<Fields> {
        let mut said = self.left.clone();
        if let Some(before) = before {
            said.extend(before.attributes.iter().map(|(path, value)| (path.clone(), value.clone())));
            // Bytes that were read say what they were, but take nobody's word back: that they differ was told.
            let promised = identity::promised(&said).is_some();
            if let Some(digest) = before.digest.filter(|_| !promised && self.lasting.contains(&identity::CLAIMED)) {
                said.insert(identity::CLAIMED.to_owned(), format!("sha256:{digest}").into());
            }
        }
        (before.is_some() || !said.is_empty()).then_some(said)
    }

    /// What to keep of it beside the record as it is now, or without a record; `None` where that is kept already.
    pub fn kept(&self, key: &str, before: Option<&Placed>, now: Option<&Fields>) -> Option<Promise> {
        let mut fields = self.said(before).unwrap_or_default();
        let unsaid = |path: &str| now.is_none_or(|now| !now.contains_key(path));
        fields.retain(|path, _| self.lasting.contains(&&**path) && unsaid(path));
        (fields != self.left).then(|| Promise { key: key.to_owned(), fields })
    }

    /// How often the record changed, or that it was away: events of one such time are one.
    fn generation(&self, before: Option<&Placed>) -> String {
        match (before, self.since) {
            (Some(before), _) => before.generation.to_string(),
            (None, Some(since)) => format!("away since {since}"),
            (None, None) => "0".to_owned(),
        }
    }
}

impl Records {
    /// What was said of a record beside what is known of it.
    pub(super) async fn word(&self, kind: RecordKind, key: &str) -> Word {
        let lasting = self.source.lasting(kind);
        if lasting.is_empty() {
            return Word::default();
        }
        let (state, source, key) = (self.shared.state.clone(), self.origin.source.clone(), key.to_owned());
        let left = self.ask(move || state.promise(&source, &key)).await.flatten();
        let (left, since) = left.map_or_else(Default::default, |(left, since)| (left, Some(since)));
        Word { lasting, left, since }
    }

    /// Events of a record that is told by its word alone.
    pub(super) fn told(
        &self,
        record: &Record,
        before: Option<&Placed>,
        first_listing: bool,
        word: &Word,
    ) -> Vec<Event> {
        let (said, new) = (word.said(before), Some(&record.attributes));
        let mut changes = self.source.changes(record.kind, said.as_ref().filter(|_| before.is_some()), new);
        if first_listing {
            // What was there before us did not change; but what it is may be a finding.
            changes.retain(|change| change.action.ends_with(".created"));
        }
        if let Some(said) = said.filter(|_| before.is_none()) {
            let since = self.source.changes(record.kind, Some(&said), new).into_iter();
            changes.extend(since.filter(|change| OF_RETURNED.contains(&change.action)));
        }
        tell::registry(&self.origin, record, &word.generation(before), &changes, clock::now())
    }

    /// Of bytes of a version that nobody read as a whole, the source's word is all there is: it is told where it is
    /// another than before.
    pub(super) fn held_against_its_word(
        &self,
        mut outcome: Outcome,
        record: &Record,
        before: Option<&Placed>,
        word: &Word,
    ) -> Outcome {
        let awaited = outcome.again.is_some() || outcome.absent.is_some();
        if record.kind != RecordKind::VersionArtifact || !(awaited || unread(&outcome)) {
            return outcome;
        }
        let new = &record.attributes;
        let mut changes = match before {
            Some(before) if !awaited => self.source.changes(record.kind, Some(&before.attributes), Some(new)),
            Some(_) | None => Vec::new(),
        };
        let old = before.and_then(|before| before.digest.or_else(|| identity::promised(&before.attributes)));
        if let Some((old, new)) = old.or_else(|| word.promised()).zip(identity::promised(new))
            && old != new
            && !changes.iter().any(|change| change.action == TAMPERED)
        {
            let fields = [("artifact.previous_hash".to_owned(), Value::from(format!("sha256:{old}")))];
            changes.push(Change { action: TAMPERED, fields: fields.into() });
        }
        let generation = word.generation(before);
        outcome.events.extend(tell::registry(&self.origin, record, &generation, &changes, clock::now()));
        outcome
    }
}

/// Whether a record that has bytes was kept without them.
fn unread(outcome: &Outcome) -> bool {
    matches!(&outcome.change, Some(RecordChange::Put(seen)) if seen.path.is_some() && seen.blob.is_none())
}
