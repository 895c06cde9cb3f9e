//! What is kept of bytes so that later ones can be compared with them when they are gone.

use super::weights::{self, Measured};
use super::{Bytes, Hashed, Limits, Report};
use crate::event::{Difference, Grade};

/// What is kept, as bytes that an inventory stores without understanding them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Portrait {
    /// Structures and texts.
    pub outline: Option<Vec<u8>>,
    /// Digests, statistics and sketches of tensors.
    pub measured: Option<Vec<u8>>,
}

/// Takes the portrait of bytes that were hashed and inspected just now.
pub fn take(_bytes: &dyn Bytes, _name: &str, hashed: &Hashed, _report: &Report, _limits: &Limits) -> Portrait {
    let measured = hashed.measured.as_ref().filter(|measured| !measured.tensors.is_empty());
    Portrait { outline: None, measured: measured.map(Measured::to_bytes) }
}

/// What differs between bytes that are gone and those that are here, from what was kept of both; the worst first.
pub fn differences(old: &Portrait, new: &Portrait, _bytes: Option<&dyn Bytes>, limits: &Limits) -> Vec<Difference> {
    let mut differences = Vec::new();
    if let (Some(old), Some(new)) = (&old.measured, &new.measured) {
        match (Measured::from_bytes(old), Measured::from_bytes(new)) {
            (Ok(old), Ok(new)) => differences.extend(weights::compare(&old, &new, None, &|| limits.stop.now())),
            // Kept by another version of the program: the digests of tensors are still compared elsewhere.
            (Err(_), _) | (_, Err(_)) => differences.push(unreadable()),
        }
    }
    differences.sort_by_key(|difference| std::cmp::Reverse(difference.grade));
    differences
}

fn unreadable() -> Difference {
    let words = "what was kept of the version before cannot be read by this version of the program";
    Difference::new("portrait.unreadable", Grade::Routine, "", words)
}
