//! How much the hub still takes: it says so with each answer (`RateLimit` of the IETF's draft), and calls are spread
//! before it refuses them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use crate::base::http;

/// Calls of a window where the hub does not say how many there are.
const QUOTA: u64 = 500;
/// Calls are spread when one in so many is left.
const SPARE: u64 = 5;
/// Longest window that is believed.
const WINDOW_MAX: Duration = Duration::from_hours(1);
/// Longest wait before one call: the hub's own window.
const WAIT_MOST: Duration = Duration::from_mins(5);
/// Bytes of a header that are read.
const HEADER_MAX: usize = 256;

/// What a call counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    Api,
    /// Downloads.
    Resolvers,
}

/// What is left of each window.
#[derive(Debug, Default)]
pub struct Limits {
    api: Mutex<Option<Left>>,
    resolvers: Mutex<Option<Left>>,
}

#[derive(Debug, Clone, Copy)]
struct Left {
    calls: u64,
    quota: u64,
    resets: Instant,
}

impl Left {
    /// How long to wait before the next call: what is left of the window is shared by what is left of the calls.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let time = self.resets.checked_duration_since(now).filter(|time| !time.is_zero())?;
        let few = self.calls <= self.quota / SPARE;
        few.then(|| time / u32::try_from(self.calls.saturating_add(1)).unwrap_or(u32::MAX))
    }
}

impl Limits {
    fn left(&self, bucket: Bucket) -> MutexGuard<'_, Option<Left>> {
        let left = match bucket {
            Bucket::Api => &self.api,
            Bucket::Resolvers => &self.resolvers,
        };
        left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for as long as it takes not to be refused.
    pub async fn pace(&self, bucket: Bucket) {
        let wait = {
            let mut left = self.left(bucket);
            let wait = left.and_then(|left| left.wait(Instant::now()));
            // Others that ask meanwhile know of this call.
            if let Some(left) = &mut *left {
                left.calls = left.calls.saturating_sub(1);
            }
            wait
        };
        if let Some(wait) = wait {
            // A call refused in vain is better than an hour in which nobody hears why nothing is seen.
            http::paced(wait.min(WAIT_MOST)).await;
        }
    }

    /// Notes what an answer says of the window.
    pub fn note(&self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name)?.to_str().ok().filter(|text| text.len() <= HEADER_MAX);
        // `"api";r=499;t=300`, several of them with commas.
        for one in text("ratelimit").unwrap_or_default().split(',') {
            let mut parts = one.split(';').map(str::trim);
            let bucket = match parts.next().unwrap_or_default().trim_matches('"') {
                "api" => Bucket::Api,
                "resolvers" => Bucket::Resolvers,
                _ => continue,
            };
            let number = |name: char| parts.clone().find_map(|part| value(part, name));
            let (Some(calls), Some(seconds)) = (number('r'), number('t')) else { continue };
            let policy = text("ratelimit-policy").unwrap_or_default();
            let quota = policy.split([';', ',']).find_map(|part| value(part.trim(), 'q')).unwrap_or(QUOTA);
            let window = Duration::from_secs(seconds).min(WINDOW_MAX);
            *self.left(bucket) = Some(Left { calls, quota, resets: Instant::now() + window });
        }
    }

    /// Seconds until calls are taken again, where none are left.
    pub fn exhausted(&self, bucket: Bucket) -> Option<u64> {
        let left = (*self.left(bucket)).filter(|left| left.calls == 0)?;
        let time = left.resets.checked_duration_since(Instant::now())?;
        Some(time.as_secs() + 1)
    }

    /// A sentence for whoever wonders why it takes so long; nothing while calls are not spread.
    pub fn sentence(&self) -> Option<String> {
        let (now, left) = (Instant::now(), *self.left(Bucket::Api));
        let left = left.filter(|left| left.wait(now).is_some())?;
        let seconds = left.resets.saturating_duration_since(now).as_secs();
        Some(format!(
            "the hub takes {} more calls within {seconds} s, and they are spread; raise `sweep_interval_secs`, watch less, \
             or give a token",
            left.calls
        ))
    }
}

/// The number of `name=number`.
fn value(part: &str, name: char) -> Option<u64> {
    part.strip_prefix(name)?.trim_start().strip_prefix('=')?.trim().parse().ok()
}
