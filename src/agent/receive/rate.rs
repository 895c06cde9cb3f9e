//! How many hints one source may get: a bucket of tokens.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Hints at once.
const BURST: f64 = 2000.0;
/// Hints a second for long.
const PER_SEC: f64 = 200.0;

pub struct Rate {
    /// Tokens, and when they were counted.
    bucket: Mutex<(f64, Instant)>,
}

impl Default for Rate {
    fn default() -> Self {
        Self { bucket: Mutex::new((BURST, Instant::now())) }
    }
}

impl Rate {
    /// Takes a token, or says how long to wait for one.
    pub fn take(&self) -> Result<(), Duration> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let tokens = (bucket.0 + now.duration_since(bucket.1).as_secs_f64() * PER_SEC).min(BURST);
        if tokens < 1.0 {
            *bucket = (tokens, now);
            return Err(Duration::from_secs_f64((1.0 - tokens) / PER_SEC));
        }
        *bucket = (tokens - 1.0, now);
        Ok(())
    }
}
