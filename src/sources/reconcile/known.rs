//! What was told of a place, as far as it takes to tell a difference: a few bytes a record.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Bound;

use crate::event::value::to_json;
use crate::sources::Record;

#[derive(Debug, Default)]
pub struct Known {
    records: BTreeMap<Box<str>, Told>,
    look: u32,
}

#[derive(Debug)]
struct Told {
    /// Over signature and attributes.
    digest: u64,
    /// The look that saw it last.
    look: u32,
    /// Listings in a row that did not see it.
    missed: u8,
}

impl Known {
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// A look begins: what it does not see is missing.
    pub const fn begin(&mut self) {
        self.look = self.look.wrapping_add(1);
    }

    pub fn has(&self, key: &str) -> bool {
        self.records.contains_key(key)
    }

    /// A record is seen; true if it is new or differs from what was told.
    pub fn see(&mut self, record: &Record) -> bool {
        let told = Told { digest: digest(record), look: self.look, missed: 0 };
        match self.records.get_mut(&*record.key) {
            Some(before) => {
                let news = before.digest != told.digest;
                *before = told;
                news
            }
            None => self.records.insert(record.key.as_str().into(), told).is_none(),
        }
    }

    pub fn forget(&mut self, key: &str) -> bool {
        self.records.remove(key).is_some()
    }

    /// Counts a miss of everything below a prefix that this look did not see, but for what begins with one of
    /// `unseen`; gives what was missed so often that it is gone, and whether something else was missed.
    pub fn miss(&mut self, below: &str, unseen: impl Fn(&str) -> bool, misses: u8) -> (Vec<String>, bool) {
        let look = self.look;
        let (mut gone, mut missing) = (Vec::new(), false);
        let range = self.records.range_mut::<str, _>((Bound::Included(below), Bound::Unbounded));
        for (key, told) in range.take_while(|(key, _)| key.starts_with(below)) {
            if told.look == look || unseen(key) {
                continue;
            }
            told.missed = told.missed.saturating_add(1);
            if told.missed >= misses {
                gone.push(key.to_string());
            } else {
                missing = true;
            }
        }
        (gone, missing)
    }
}

/// Equal for records that say the same, whenever and however they were seen.
fn digest(record: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.signature.hash(&mut hasher);
    to_json(&record.attributes).to_string().hash(&mut hasher);
    hasher.finish()
}
