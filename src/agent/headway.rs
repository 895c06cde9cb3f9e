//! Bytes that notice how fast they are read: what cannot be done in time is given up as soon as that is clear.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::artifact::Bytes;
use crate::sources::Opened;

/// Faster than any machine hashes: what this speed would not do in time nothing does.
const FASTEST: u64 = 4 << 30;
/// Before that nothing is said about speed: a disk may have to wake up.
const WARM: Duration = Duration::from_secs(10);

/// Whether so many bytes cannot be read within a time, whatever the machine.
pub const fn is_hopeless(bytes: u64, within: Duration) -> bool {
    bytes / FASTEST > within.as_secs()
}

/// Counts what is read of an artifact.
pub struct Headway<'a> {
    bytes: &'a dyn Opened,
    within: Duration,
    started: Instant,
    read: AtomicU64,
}

impl<'a> Headway<'a> {
    pub fn new(bytes: &'a dyn Opened, within: Duration) -> Self {
        Self { bytes, within, started: Instant::now(), read: AtomicU64::new(0) }
    }

    /// Whether one reading of all bytes, at the speed so far, takes far longer than there is time.
    pub fn is_hopeless(&self) -> bool {
        let elapsed = self.started.elapsed();
        // Half as long again: the first seconds of a reading are not always its fastest.
        let asked = u128::from(self.bytes.len()) * elapsed.as_millis() * 2;
        let within = u128::from(self.read.load(Ordering::Relaxed)) * self.within.as_millis() * 3;
        elapsed >= WARM && asked > within
    }
}

impl Bytes for Headway<'_> {
    fn len(&self) -> u64 {
        self.bytes.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read_at(offset, buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
