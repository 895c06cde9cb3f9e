//! The same thing in several places: a version that a registry, a store and a cache hold must be the same bytes in each.

use std::collections::BTreeSet;

use super::Records;
use crate::agent::tell;
use crate::base::clock;
use crate::event::{Event, Fields, Sha256, Value, identity};
use crate::sources::Record;
use crate::state::Placed;
use crate::state::identity::Elsewhere;

/// Places told of at once; one is enough to look.
const PLACES_MAX: usize = 8;
/// Records that are compared once more at a start.
const RECORDS_MAX: usize = 1_000;

/// What to compare with other places once more when it is durable: of two that come at the same time neither sees the
/// other before.
pub struct Compare {
    record: Record,
    identities: Vec<String>,
    digest: Sha256,
    /// Places that were told of already, by source and key.
    told: BTreeSet<(String, String)>,
}

impl Compare {
    /// `digest`: of the bytes, or what is promised of them. `None` where nothing is to be compared, or was before.
    pub fn of(record: &Record, before: Option<&Placed>, digest: Option<Sha256>) -> Option<Self> {
        let identities = identity::of(&record.attributes);
        let digest = digest.or_else(|| identity::promised(&record.attributes))?;
        let known = before.is_some_and(|before| {
            let stood = before.digest.or_else(|| identity::promised(&before.attributes));
            stood == Some(digest) && identity::of(&before.attributes) == identities
        });
        if known || identities.is_empty() {
            return None;
        }
        Some(Self { record: record.clone(), identities, digest, told: BTreeSet::new() })
    }
}

impl Records {
    /// Events of all that differs: what was not told before a crash is told now, and what was is one event.
    pub async fn compare_all(&self) -> Vec<Event> {
        let (state, source) = (self.shared.state.clone(), self.origin.source.clone());
        let keys = self.ask(move || state.differing(&source, RECORDS_MAX)).await.unwrap_or_default();
        let mut events = Vec::new();
        for key in keys {
            let Some(before) = self.before(&key).await else { continue };
            let Some(kind) = super::kind_of(&before) else { continue };
            let record = self.known(&before, kind);
            if let Some(mut compare) = Compare::of(&record, None, before.digest) {
                events.extend(self.compare(&mut compare).await);
            }
        }
        events
    }

    /// Events of places that hold other bytes under the same name, and were not told of yet.
    pub async fn compare(&self, compare: &mut Compare) -> Vec<Event> {
        let (state, source) = (self.shared.state.clone(), self.origin.source.clone());
        let (identities, key) = (compare.identities.clone(), compare.record.key.clone());
        let (kind, digest) = (compare.record.kind, compare.digest);
        let ask = move || state.elsewhere(&identities, (&source, &key), kind, &digest, PLACES_MAX);
        let found = self.ask(ask).await.unwrap_or_default();
        // What a source that was removed saw last says nothing any more.
        let found = found.into_iter().filter(|place| self.shared.sources.contains(&place.source));
        let new = found.filter(|place| compare.told.insert((place.source.clone(), place.key.clone())));
        let (record, digest) = (&compare.record, compare.digest);
        new.map(|place| tell::mismatch(&self.origin, record, digest, &fields(&place, digest), clock::now())).collect()
    }
}

/// Who else has it, what, and since when.
fn fields(place: &Elsewhere, digest: Sha256) -> Fields {
    let mut fields = Fields::new();
    let mut put = |path: &str, value: Value| fields.insert(path.to_owned(), value);
    put("artifact.hash", format!("sha256:{digest}").into());
    put("artifact.elsewhere.identity", place.identity.as_str().into());
    put("artifact.elsewhere.hash", format!("sha256:{}", place.digest).into());
    put("artifact.elsewhere.source", place.source.as_str().into());
    put("artifact.elsewhere.key", place.key.as_str().into());
    put("artifact.elsewhere.place", place.place.as_str().into());
    put("artifact.elsewhere.seen", place.seen.to_string().into());
    fields
}

/// Fields of events about places that differ.
pub const FIELDS: &[crate::event::Field] = {
    use crate::event::FieldType::{Text, Time};
    use crate::event::field::field;
    &[
        field("artifact.elsewhere.identity", Text, "What both places say that their bytes are."),
        field(
            "artifact.elsewhere.hash",
            Text,
            "Digest of the bytes at the other place, or what is promised of them there.",
        ),
        field("artifact.elsewhere.source", Text, "Source that saw the other place."),
        field("artifact.elsewhere.key", Text, "What that source calls it."),
        field("artifact.elsewhere.place", Text, "Path or address there."),
        field("artifact.elsewhere.seen", Time, "Since when it has these bytes."),
    ]
};
