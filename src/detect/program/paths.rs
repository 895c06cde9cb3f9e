//! From the keys of a JSON object to the fields of a program.

use std::collections::{BTreeMap, HashMap};

use crate::event::path::DOTS_MAX;

use super::scratch::NONE;
use super::table::{Table, index};

/// Where a key leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The field that is complete with this key.
    pub field: u32,
    /// Where the members of an object below it are looked up.
    pub below: u32,
}

/// Objects by the dotted path that leads to them; the first one is the event itself.
#[derive(Debug, Default)]
pub struct Paths {
    steps: Vec<(Box<str>, Step)>,
    objects: Vec<Object>,
}

/// The keys of one object.
#[derive(Debug)]
struct Object {
    /// A bit for each of their lengths: most keys that nobody asks for are not even read.
    lengths: u64,
    table: Table,
}

impl Paths {
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        // For each path walked so far, which keys go on from there.
        let mut keys: Vec<BTreeMap<String, Step>> = vec![BTreeMap::new()];
        let mut numbers: HashMap<Option<String>, usize> = HashMap::from([(None, 0)]);
        for (field, name) in names.into_iter().enumerate() {
            let mut starts: Vec<usize> = vec![0];
            starts.extend(name.match_indices('.').map(|(dot, _)| dot + 1).take(DOTS_MAX));
            for start in &starts {
                let walked = start.checked_sub(1).and_then(|end| name.get(..end)).map(str::to_owned);
                let from = *numbers.entry(walked).or_insert_with(|| {
                    keys.push(BTreeMap::new());
                    keys.len() - 1
                });
                // A key may have dots itself: each place at which it can end.
                for end in starts.iter().filter(|end| *end > start).map(|end| end - 1).chain([name.len()]) {
                    let key = name.get(*start..end).unwrap_or_default();
                    let empty = Step { field: NONE, below: NONE };
                    if end == name.len() {
                        keys[from].entry(key.to_owned()).or_insert(empty).field = index(field);
                    } else {
                        let below = *numbers.entry(name.get(..end).map(str::to_owned)).or_insert_with(|| {
                            keys.push(BTreeMap::new());
                            keys.len() - 1
                        });
                        keys[from].entry(key.to_owned()).or_insert(empty).below = index(below);
                    }
                }
            }
        }
        let mut made = Self::default();
        for keys in keys {
            let (mut pairs, mut lengths) = (Vec::new(), 0);
            for (key, step) in keys {
                lengths |= length_bit(&key);
                pairs.push((hash(&key), index(made.steps.len())));
                made.steps.push((key.into_boxed_str(), step));
            }
            made.objects.push(Object { lengths, table: Table::new(pairs) });
        }
        made
    }

    /// Where a key of an object leads, if any rule cares.
    #[inline]
    pub fn step(&self, object: u32, key: &str) -> Option<Step> {
        let object = self.objects.get(object as usize)?;
        if object.lengths & length_bit(key) == 0 {
            return None;
        }
        let candidates = object.table.get(hash(key));
        candidates
            .iter()
            .filter_map(|number| self.steps.get(*number as usize))
            .find(|(name, _)| **name == *key)
            .map(|(_, step)| *step)
    }
}

#[inline]
const fn length_bit(key: &str) -> u64 {
    1 << (key.len() & 63)
}

/// Both ends and the length: keys that rules ask for are few, and they are compared in any case.
#[inline]
fn hash(key: &str) -> u64 {
    let bytes = key.as_bytes();
    let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()),
            _ => bytes.iter().fold((0, 0), |(all, _), byte| (all << 8 | u64::from(*byte), 0)),
        },
    };
    let length = u64::try_from(bytes.len()).unwrap_or_default();
    (first ^ last.rotate_left(23)).wrapping_add(length.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
