//! What is kept of bytes so that later ones can be compared with them when they are gone.

use super::{Bytes, Hashed, Limits, Report};
use crate::event::Difference;

/// What is kept, as bytes that an inventory stores without understanding them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Portrait {
    /// Structures and texts.
    pub outline: Option<Vec<u8>>,
    /// Digests, statistics and sketches of tensors.
    pub measured: Option<Vec<u8>>,
}

/// Takes the portrait of bytes that were hashed and inspected just now.
pub fn take(_bytes: &dyn Bytes, _name: &str, _hashed: &Hashed, _report: &Report, _limits: &Limits) -> Portrait {
    Portrait::default()
}

/// What differs between bytes that are gone and those that are here, from what was kept of both.
pub fn differences(_old: &Portrait, _new: &Portrait, _bytes: Option<&dyn Bytes>, _limits: &Limits) -> Vec<Difference> {
    Vec::new()
}
