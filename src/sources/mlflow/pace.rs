//! How often everything is listed. As long as webhooks prove to arrive, some listings are left out; the bytes are looked
//! at as often as before. Whatever a listing finds that no webhook told of ends that at once.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// For so long a webhook that told news is a proof.
const PROOF: Duration = Duration::from_hours(24);
/// A webhook may be slower than a listing by this.
const GRACE: Duration = Duration::from_mins(1);
/// Proofs that are asked for after a listing found what no webhook told of.
const PROOFS: u32 = 10;
/// Names that are kept of what a listing found.
const FOUND_MAX: usize = 1_000;

#[derive(Debug)]
pub struct Pace {
    /// When a webhook told news last.
    heard: Option<Instant>,
    proofs: u32,
    needed: u32,
    /// Listings left out since the last.
    skipped: u64,
    /// The next one is not left out.
    insist: bool,
    /// Something says that the next one will miss what the last still listed.
    expected: bool,
    missed: bool,
    /// Models of which the last listing found something that nobody told of, and when.
    found: BTreeMap<String, Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            heard: None,
            proofs: 0,
            needed: 1,
            skipped: 0,
            insist: true,
            expected: false,
            missed: false,
            found: BTreeMap::new(),
        }
    }
}

impl Pace {
    /// Whether everything is to be listed now; of `most` times in a row at least once.
    pub fn is_due(&mut self, now: Instant, most: u64) -> bool {
        if self.insist || !self.is_proved(now) || self.skipped + 1 >= most {
            // Until one was complete.
            self.insist = true;
            return true;
        }
        self.skipped += 1;
        false
    }

    /// Whether webhooks prove to arrive.
    pub fn is_proved(&self, now: Instant) -> bool {
        self.proofs >= self.needed && self.heard.is_some_and(|heard| now.saturating_duration_since(heard) < PROOF)
    }

    /// Something happened that only a listing can tell.
    pub const fn insist(&mut self) {
        (self.insist, self.expected) = (true, true);
    }

    /// A listing was complete. `found`: models of which it told something new; `missing`: whether the next must say if
    /// something is gone.
    pub fn listed(&mut self, now: Instant, found: impl IntoIterator<Item = String>, missing: bool) {
        let unexpected = missing && !self.missed && !self.expected;
        (self.skipped, self.insist, self.missed, self.expected) = (0, missing, missing, false);
        self.found = found.into_iter().take(FOUND_MAX).map(|name| (name, now)).collect();
        if unexpected || !self.found.is_empty() {
            (self.proofs, self.needed) = (0, PROOFS);
        }
    }

    /// A webhook spoke of a model, and whether that was news.
    pub fn heard(&mut self, now: Instant, name: &str, news: bool) {
        let late = self.found.get(name).is_some_and(|when| now.saturating_duration_since(*when) < GRACE);
        if late {
            self.found.remove(name);
        }
        if late && self.found.is_empty() {
            // It was on its way: all that the listing found was told.
            (self.heard, self.proofs, self.needed) = (Some(now), 1, 1);
        } else if news {
            self.heard = Some(now);
            self.proofs = self.proofs.saturating_add(1);
            if self.proofs >= self.needed {
                self.needed = 1;
            }
        }
    }
}
