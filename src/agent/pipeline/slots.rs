//! Places for the records of one source that are under way at the same time. What takes long steps aside, and what
//! failed waits aside for its next try, so that the records after it have their places.

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
    places: Arc<Semaphore>,
    aside: Arc<Semaphore>,
    held: Mutex<(Stand, OwnedSemaphorePermit)>,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Place,
    /// For good.
    Aside,
    /// Until its next try.
    Resting,
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
        let (places, aside) = (Arc::clone(&self.places), Arc::clone(&self.aside));
        Some(Slot { places, aside, held: Mutex::new((Stand::Place, permit)) })
    }
}

impl Slot {
    /// Leaves the place to others, unless too many did already.
    pub fn step_aside(&self) {
        self.leave(Stand::Aside);
    }

    /// Leaves the place to others until the next try, unless too many did already.
    pub fn rest(&self) {
        self.leave(Stand::Resting);
    }

    fn leave(&self, stand: Stand) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.0 == Stand::Place
            && let Ok(permit) = Arc::clone(&self.aside).try_acquire_owned()
        {
            *held = (stand, permit);
        }
    }

    /// Takes a place again after a rest.
    pub async fn resume(&self) {
        if self.held.lock().unwrap_or_else(PoisonError::into_inner).0 == Stand::Resting
            && let Ok(permit) = Arc::clone(&self.places).acquire_owned().await
        {
            *self.held.lock().unwrap_or_else(PoisonError::into_inner) = (Stand::Place, permit);
        }
    }
}
