//! Who looks into artifacts at the same time: those of like size wait for each other, and for no larger ones.
//!
//! A file of terabytes costs nothing to make and minutes to read. It may hold up itself and what is as large, but not
//! the small file beside it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of what counts as small, and as large.
const SMALL_MAX: u64 = 256 << 20;
const LARGE_MAX: u64 = 16 << 30;

/// Turns, by size. Cheap to clone.
#[derive(Clone)]
pub struct Lanes {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    huge: Arc<Semaphore>,
    /// For what must be fetched before its size is known.
    fetched: Arc<Semaphore>,
}

/// One artifact's turn; it ends when this is dropped.
pub struct Turn {
    _permit: OwnedSemaphorePermit,
    bytes_max: u64,
}

impl Turn {
    /// Whether an artifact that turned out to have so many bytes may use it.
    pub const fn is_for(&self, bytes: u64) -> bool {
        bytes <= self.bytes_max
    }
}

impl Lanes {
    /// `workers` small artifacts at once, and half as many large ones beside them.
    pub fn new(workers: usize) -> Self {
        let lane = |width: usize| Arc::new(Semaphore::new(width.max(1)));
        Self { small: lane(workers), large: lane(workers / 2), huge: lane(1), fetched: lane(workers) }
    }

    /// Waits for the turn of an artifact of so many bytes; `None` when there are no turns any more.
    pub async fn turn(&self, bytes: Option<u64>) -> Option<Turn> {
        let (lane, bytes_max) = match bytes {
            None => (&self.fetched, u64::MAX),
            Some(..=SMALL_MAX) => (&self.small, SMALL_MAX),
            Some(..=LARGE_MAX) => (&self.large, LARGE_MAX),
            Some(_) => (&self.huge, u64::MAX),
        };
        let permit = Arc::clone(lane).acquire_owned().await.ok()?;
        Some(Turn { _permit: permit, bytes_max })
    }

    /// Whether an artifact of so many bytes is looked into in no time.
    pub fn is_quick(bytes: Option<u64>) -> bool {
        bytes.is_some_and(|bytes| bytes <= SMALL_MAX)
    }
}
