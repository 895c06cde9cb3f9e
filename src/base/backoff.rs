//! Waiting longer after each failure, with jitter so that many agents do not knock together.

use std::time::Duration;

/// Doubles from `first` up to `most`; each wait is between half and the whole of that.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
    seed: u64,
}

impl Backoff {
    /// `seed` makes the jitter repeatable; give each user its own.
    pub const fn new(first: Duration, most: Duration, seed: u64) -> Self {
        Self { first, most, failures: 0, seed: seed | 1 }
    }

    /// The wait before the next try.
    pub fn next_wait(&mut self) -> Duration {
        let whole = self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.most);
        self.failures = self.failures.saturating_add(1).min(30);
        // SplitMix64: good enough to spread retries, needs no other crate.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = u32::try_from((mixed >> 40) & 0xffff).unwrap_or(0);
        whole / 2 + (whole / 2).saturating_mul(share) / 0xffff
    }

    /// It worked: the next failure waits `first` again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    pub const fn failures(&self) -> u32 {
        self.failures
    }
}
