//! All groups of all correlations: found by key, let go in the order in which they were touched.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::event::correlation::GroupKey;

use super::group::Group;

/// No slot.
const NONE: u32 = u32::MAX;

/// Keys are digests already, mixed with the number of the correlation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
            self.0 = (self.0.rotate_left(26) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
}

/// A group in its slot, with its neighbours in the order of touch.
#[derive(Debug)]
struct Slot {
    correlation: u32,
    group: Group,
    older: u32,
    newer: u32,
}

/// The ends of one correlation's order of touch.
#[derive(Debug, Clone, Copy)]
struct Ends {
    oldest: u32,
    newest: u32,
}

/// The groups, with what they weigh.
#[derive(Debug, Default)]
pub struct Pool {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    index: HashMap<(u32, GroupKey), u32, BuildHasherDefault<Fold>>,
    ends: Vec<Ends>,
    entries: usize,
    bytes: usize,
}

impl Pool {
    /// For so many correlations.
    pub fn new(correlations: usize) -> Self {
        Self { ends: vec![Ends { oldest: NONE, newest: NONE }; correlations], ..Self::default() }
    }

    pub fn groups(&self) -> usize {
        self.index.len()
    }

    /// Groups of each correlation.
    pub fn groups_by_correlation(&self) -> Vec<usize> {
        let mut counts = vec![0; self.ends.len()];
        for (correlation, _) in self.index.keys() {
            if let Some(count) = counts.get_mut(*correlation as usize) {
                *count += 1;
            }
        }
        counts
    }

    pub const fn entries(&self) -> usize {
        self.entries
    }

    /// Bytes that all groups account for.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn find(&self, correlation: usize, key: GroupKey) -> Option<u32> {
        self.index.get(&(number(correlation), key)).copied()
    }

    pub fn get(&self, slot: u32) -> Option<&Group> {
        self.slots.get(slot as usize)?.as_ref().map(|slot| &slot.group)
    }

    /// Adds a group as the one that was touched last.
    pub fn add(&mut self, correlation: usize, group: Group) -> u32 {
        let key = (number(correlation), group.key);
        self.entries += group.entries.len();
        self.bytes += group.weight();
        let slot = Slot { correlation: key.0, group, older: NONE, newer: NONE };
        let place = if let Some(place) = self.free.pop() {
            if let Some(free) = self.slots.get_mut(place as usize) {
                *free = Some(slot);
            }
            place
        } else {
            self.slots.push(Some(slot));
            number(self.slots.len() - 1)
        };
        self.index.insert(key, place);
        self.link(place);
        place
    }

    /// Changes a group, and keeps account of it.
    pub fn change<T>(&mut self, place: u32, change: impl FnOnce(&mut Group) -> T) -> Option<T> {
        let slot = self.slots.get_mut(place as usize)?.as_mut()?;
        let (entries, bytes) = (slot.group.entries.len(), slot.group.weight());
        let result = change(&mut slot.group);
        self.entries = self.entries - entries + slot.group.entries.len();
        self.bytes = self.bytes - bytes + slot.group.weight();
        Some(result)
    }

    /// Makes a group the one that was touched last.
    pub fn touch(&mut self, place: u32) {
        self.unlink(place);
        self.link(place);
    }

    /// The group of a correlation that was touched longest ago.
    pub fn oldest(&self, correlation: usize) -> Option<(u32, &Group)> {
        let place = self.ends.get(correlation)?.oldest;
        self.get(place).map(|group| (place, group))
    }

    /// The group of all correlations that was touched longest ago.
    pub fn oldest_of_all(&self) -> Option<u32> {
        let oldest = (0..self.ends.len()).filter_map(|correlation| self.oldest(correlation));
        oldest.min_by_key(|(_, group)| group.touched()).map(|(place, _)| place)
    }

    /// Lets a group go; gives the correlation that it was of.
    pub fn remove(&mut self, place: u32) -> Option<(usize, Group)> {
        self.unlink(place);
        let slot = self.slots.get_mut(place as usize)?.take()?;
        self.free.push(place);
        self.index.remove(&(slot.correlation, slot.group.key));
        self.entries -= slot.group.entries.len();
        self.bytes -= slot.group.weight();
        Some((slot.correlation as usize, slot.group))
    }

    /// All groups, those of one correlation in the order of touch.
    pub fn into_groups(mut self) -> Vec<(usize, Group)> {
        let mut all = Vec::with_capacity(self.groups());
        for correlation in 0..self.ends.len() {
            while let Some(place) = self.oldest(correlation).map(|(place, _)| place) {
                all.extend(self.remove(place));
            }
        }
        all
    }

    fn link(&mut self, place: u32) {
        let Some(correlation) = self.slots.get(place as usize).and_then(Option::as_ref).map(|slot| slot.correlation)
        else {
            return;
        };
        let Some(ends) = self.ends.get_mut(correlation as usize) else { return };
        let before = std::mem::replace(&mut ends.newest, place);
        if before == NONE {
            ends.oldest = place;
        }
        self.set(before, |slot| slot.newer = place);
        self.set(place, |slot| (slot.older, slot.newer) = (before, NONE));
    }

    fn unlink(&mut self, place: u32) {
        let Some(slot) = self.slots.get(place as usize).and_then(Option::as_ref) else { return };
        let (correlation, older, newer) = (slot.correlation, slot.older, slot.newer);
        self.set(older, |slot| slot.newer = newer);
        self.set(newer, |slot| slot.older = older);
        if let Some(ends) = self.ends.get_mut(correlation as usize) {
            if ends.oldest == place {
                ends.oldest = newer;
            }
            if ends.newest == place {
                ends.newest = older;
            }
        }
    }

    fn set(&mut self, place: u32, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slots.get_mut(place as usize).and_then(Option::as_mut) {
            change(slot);
        }
    }
}

/// Groups are bounded far below 2^32, and so are correlations.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(NONE - 1)
}
