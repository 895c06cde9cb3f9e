//! Bytes that are read no faster than a budget allows.

use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::artifact::Bytes;

/// No single pause is longer, so that a stop is heard. The smallest budget that a configuration may set,
/// [`crate::sources::SWEEP_LEAST`], reads one block in this time.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Sleeps between reads; only for threads where blocking is allowed.
pub struct Paced<'a, B: Bytes + ?Sized> {
    bytes: &'a B,
    bytes_per_sec: u64,
    started: Instant,
    read: Mutex<u64>,
}

impl<'a, B: Bytes + ?Sized> Paced<'a, B> {
    /// 0 means as fast as they come.
    pub fn new(bytes: &'a B, bytes_per_sec: u64) -> Self {
        Self { bytes, bytes_per_sec, started: Instant::now(), read: Mutex::new(0) }
    }

    fn wait(&self, count: usize) {
        if self.bytes_per_sec == 0 {
            return;
        }
        let read = {
            let mut read = self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *read = read.saturating_add(count as u64);
            *read
        };
        let due = Duration::from_millis(read.saturating_mul(1000) / self.bytes_per_sec);
        std::thread::sleep(due.saturating_sub(self.started.elapsed()).min(PAUSE_MAX));
    }
}

impl<B: Bytes + ?Sized> Bytes for Paced<'_, B> {
    fn len(&self) -> u64 {
        self.bytes.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read_at(offset, buffer)?;
        self.wait(count);
        Ok(count)
    }
}
