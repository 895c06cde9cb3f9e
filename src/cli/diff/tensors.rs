//! Tensors of two versions: how many bytes of each differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::artifact::weights::Row;
use crate::artifact::{Bytes, Segment};

/// Bytes of both versions that are compared one by one, and at once.
const BYTES_MAX: u64 = 8 << 30;
const STEP: usize = 1 << 20;

/// One tensor that is not the same in both.
#[derive(Debug, Clone)]
pub struct Tensor {
    pub name: String,
    /// Type and shape, as people write them.
    pub shape: String,
    pub how: Kind,
    /// What happened to its numbers, in a few words; empty where they are none.
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Added,
    Removed,
    Reshaped,
    /// So many bytes differ, of those that were compared.
    Changed {
        differ: u64,
        compared: u64,
    },
}

pub fn compare(old: &dyn Bytes, before: &[Segment], new: &dyn Bytes, after: &[Segment]) -> Vec<Tensor> {
    let known: BTreeMap<&str, &Segment> = before.iter().map(|segment| (segment.name.as_str(), segment)).collect();
    let names: BTreeSet<&str> = after.iter().map(|segment| segment.name.as_str()).collect();
    let tensor = |segment: &Segment, how: Kind| {
        let sides: Vec<String> = segment.shape.iter().map(u64::to_string).collect();
        let shape = format!("{} [{}]", segment.dtype, sides.join(" × "));
        Tensor { name: segment.name.clone(), shape, how, what: String::new() }
    };
    let mut left = BYTES_MAX;
    let mut found = Vec::new();
    for segment in after {
        let Some(previous) = known.get(segment.name.as_str()) else {
            found.push(tensor(segment, Kind::Added));
            continue;
        };
        if (&previous.dtype, &previous.shape) != (&segment.dtype, &segment.shape) {
            found.push(tensor(segment, Kind::Reshaped));
        } else if previous.digest != segment.digest || segment.digest.is_none() {
            let (differ, compared) = differing(old, previous, new, segment, &mut left);
            found.push(tensor(segment, Kind::Changed { differ, compared }));
        }
    }
    found.extend(before.iter().filter(|one| !names.contains(one.name.as_str())).map(|one| tensor(one, Kind::Removed)));
    found
}

/// Adds what was measured.
pub fn note(tensors: &mut [Tensor], rows: &[Row]) {
    let by_name: BTreeMap<&str, &Row> = rows.iter().map(|row| (row.name.as_str(), row)).collect();
    for tensor in tensors {
        let Some(row) = by_name.get(tensor.name.as_str()) else { continue };
        if matches!(tensor.how, Kind::Added | Kind::Removed) {
            continue;
        }
        tensor.what = row.kind.to_owned();
        if let Some(rel) = row.rel {
            // Writing to a String cannot fail.
            write!(tensor.what, ", length {rel:.4} of what was there").ok();
        }
        if let Some(rank) = row.rank {
            write!(tensor.what, ", rank {rank}").ok();
        }
    }
}

/// Says of tensors that are gone that the file ends before they do, where it does.
pub fn cut_off(tensors: &mut [Tensor], beyond: &[String]) {
    let beyond: BTreeSet<&str> = beyond.iter().map(String::as_str).collect();
    for tensor in tensors.iter_mut().filter(|tensor| tensor.how == Kind::Removed) {
        if beyond.contains(tensor.name.as_str()) {
            "cut off".clone_into(&mut tensor.what);
        }
    }
}

fn differing(old: &dyn Bytes, before: &Segment, new: &dyn Bytes, after: &Segment, left: &mut u64) -> (u64, u64) {
    let length = before.end.saturating_sub(before.start).min(after.end.saturating_sub(after.start));
    let (mut one, mut other) = (vec![0; STEP], vec![0; STEP]);
    let (mut differ, mut at) = (0_u64, 0_u64);
    while at < length && *left > 0 {
        let count = usize::try_from(length.saturating_sub(at)).unwrap_or(STEP).min(STEP);
        let (Some(one), Some(other)) = (one.get_mut(..count), other.get_mut(..count)) else { break };
        let read = |bytes: &dyn Bytes, start: u64, buffer: &mut [u8]| {
            bytes.read_at(start.saturating_add(at), buffer).is_ok_and(|read| read == buffer.len())
        };
        if !read(old, before.start, one) || !read(new, after.start, other) {
            break;
        }
        differ = differ.saturating_add(one.iter().zip(other.iter()).filter(|(a, b)| a != b).count() as u64);
        at = at.saturating_add(count as u64);
        *left = left.saturating_sub(count as u64);
    }
    (differ, at)
}
