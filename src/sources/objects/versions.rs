//! Versions of an object, one after the other in a listing: what is there now, and whether it was there before.

use super::bucket::Object;

/// Older versions that one object is compared with.
const OLDER_MAX: usize = 1000;

/// One object with what its versions tell.
#[derive(Debug, Default)]
pub struct Whole {
    /// What is read under the key; `None` if it is deleted and only older versions are kept.
    pub now: Option<Object>,
    /// The version that had the same bytes before others did, as far as tags tell.
    pub restored: Option<String>,
}

/// Gathers versions, which come by key, the newest first.
#[derive(Debug, Default)]
pub struct Versions {
    key: Option<String>,
    now: Option<Object>,
    older: Vec<Object>,
    /// Objects that a marker hides.
    pub deleted: usize,
}

impl Versions {
    /// Takes the next version; the object before, if this one begins another.
    pub fn push(&mut self, version: Object) -> Option<Whole> {
        let done = if self.key.as_ref() == Some(&version.key) { None } else { self.end() };
        self.key.get_or_insert_with(|| version.key.clone());
        if version.older {
            if self.older.len() < OLDER_MAX {
                self.older.push(version);
            }
        } else {
            self.now = Some(version);
        }
        done
    }

    /// The last object.
    pub fn end(&mut self) -> Option<Whole> {
        self.key.take()?;
        let older = std::mem::take(&mut self.older);
        let now = self.now.take().filter(|now| !now.marker);
        let Some(now) = now else {
            self.deleted += 1;
            return Some(Whole::default());
        };
        let restored = restored(&now, &older);
        Some(Whole { now: Some(now), restored })
    }
}

/// The newest older version with the same size and tag, if others or a deletion lie between.
fn restored(now: &Object, older: &[Object]) -> Option<String> {
    let same = |version: &&Object| !version.marker && version.size == now.size && version.tag() == now.tag();
    now.tag()?;
    let between = older.iter().take_while(|version| same(version)).count();
    older.iter().skip(between).find(same).and_then(|version| version.version.clone())
}
