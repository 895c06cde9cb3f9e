//! How much is kept in memory of what registries say: whoever may push there decides how long a manifest is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of names, digests and annotations that are kept of one registry.
const BYTES_MAX: u64 = 128 << 20;

/// What is kept so far.
#[derive(Debug, Clone, Default)]
pub struct Held(Arc<AtomicU64>);

/// A part of it, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    held: Held,
    bytes: u64,
}

impl Held {
    /// Room for so many bytes; `None` where there is none.
    pub fn take(&self, bytes: u64) -> Option<Share> {
        let room = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= BYTES_MAX);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some(Share { held: self.clone(), bytes })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
