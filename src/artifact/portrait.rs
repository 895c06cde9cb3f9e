//! What is kept of bytes so that later ones can be compared with them when they are gone.

use super::outline::{self, Outline};
use super::weights::{self, Measured};
use super::{Bytes, Hashed, Limits, Report, beyond};
use crate::event::{Difference, Grade, Portrait};

/// Takes the portrait of bytes that were hashed and inspected just now.
pub fn take(bytes: &dyn Bytes, name: &str, hashed: &Hashed, report: &Report, limits: &Limits) -> Portrait {
    let measured = hashed.measured.as_ref().filter(|measured| !measured.tensors.is_empty());
    let outline = outline::outline(bytes, name, &report.format, limits);
    Portrait {
        outline: outline.and_then(|outline| serde_json::to_vec(&outline).ok()),
        measured: measured.map(Measured::to_bytes),
    }
}

/// What differs between bytes that are gone and those that are here, from what was kept of both; the worst first.
/// `bytes` are the new ones, where they are at hand.
pub fn differences(old: &Portrait, new: &Portrait, bytes: Option<&dyn Bytes>, limits: &Limits) -> Vec<Difference> {
    let mut differences = Vec::new();
    if let (Some(old), Some(new)) = (&old.outline, &new.outline) {
        match (serde_json::from_slice::<Outline>(old), serde_json::from_slice::<Outline>(new)) {
            (Ok(old), Ok(new)) => differences.extend(outline::compare(&old, &new, bytes, limits)),
            (Err(_), _) | (_, Err(_)) => differences.push(unreadable()),
        }
    }
    if let (Some(old), Some(new)) = (&old.measured, &new.measured) {
        match (Measured::from_bytes(old), Measured::from_bytes(new)) {
            (Ok(old), Ok(new)) => {
                differences.extend(weights::compare(&old, &new, None, &|| limits.stop.now()));
                let beyond = bytes.map(|bytes| beyond(bytes, limits)).unwrap_or_default();
                weights::truncated(&mut differences, &old, &new, &beyond);
            }
            (Err(_), _) | (_, Err(_)) => differences.push(unreadable()),
        }
    }
    differences.sort_by_key(|difference| std::cmp::Reverse(difference.grade));
    differences
}

/// Kept by another version of the program: digests and facts are still compared elsewhere.
fn unreadable() -> Difference {
    let words = "what was kept of the version before cannot be read by this version of the program";
    Difference::new("outline.cut", Grade::Routine, "", words)
}
