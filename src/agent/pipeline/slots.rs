//! Places for the records of one source that are under way at the same time. What takes long steps aside, so that
//! the records after it have theirs.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Records under way at the same time.
const PLACES: usize = 64;
/// Records that may have stepped aside; each waits without its bytes.
const ASIDE_MAX: usize = 10_000;

/// All places of one source.
pub struct Slots {
    places: Arc<Semaphore>,
    aside: Arc<Semaphore>,
}

/// One record's place; free again when this is dropped.
pub struct Slot {
    aside: Arc<Semaphore>,
    held: Mutex<OwnedSemaphorePermit>,
}

impl Slots {
    pub fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), aside: Arc::new(Semaphore::new(ASIDE_MAX)) }
    }

    /// Waits until there is a place.
    pub async fn free(&self) {
        drop(self.places.acquire().await);
    }

    /// A place, if there is one.
    pub fn take(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Slot { aside: Arc::clone(&self.aside), held: Mutex::new(permit) })
    }
}

impl Slot {
    /// Leaves the place to others, unless too many did already.
    pub fn step_aside(&self) {
        if let Ok(permit) = Arc::clone(&self.aside).try_acquire_owned() {
            *self.held.lock().unwrap_or_else(PoisonError::into_inner) = permit;
        }
    }
}
