//! How often everything is listed. As long as hints prove to arrive, some listings are left out. Whatever a listing finds
//! that no hint told of ends that at once.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// For so long a hint that told news is a proof.
const PROOF: Duration = Duration::from_hours(24);
/// A hint may be slower than a listing by this.
const GRACE: Duration = Duration::from_mins(1);
/// Proofs that are asked for after a listing found what no hint told of, where hints come of all or of nothing.
const PROOFS: u32 = 10;
/// Names that are kept of what a look was about.
const NAMES_MAX: usize = 1_000;

/// What a look was about: keys of records, names, or how keys begin.
#[derive(Debug, Default)]
pub struct Spoken {
    names: Vec<String>,
    /// How keys begin of which all was looked at.
    below: Vec<String>,
    /// How all names begin that were too many to be kept.
    more: Option<String>,
}

impl Spoken {
    pub fn add(&mut self, name: &str) {
        if self.names.len() < NAMES_MAX {
            self.names.push(name.to_owned());
        } else {
            fold(&mut self.more, name);
        }
    }

    pub fn add_below(&mut self, prefix: &str) {
        if self.below.len() < NAMES_MAX {
            self.below.push(prefix.to_owned());
        }
    }

    fn names(&self, name: &str) -> bool {
        self.names.iter().any(|one| one == name) || self.covers(name)
    }

    /// Whether all was looked at that begins so.
    fn covers(&self, name: &str) -> bool {
        self.below.iter().any(|one| name.starts_with(one.as_str()))
    }
}

impl<'a> FromIterator<&'a str> for Spoken {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let mut spoken = Self::default();
        names.into_iter().for_each(|name| spoken.add(name));
        spoken
    }
}

/// Shortens what is known of how names begin, so that it holds for one more.
fn fold(begin: &mut Option<String>, name: &str) {
    let Some(known) = begin else {
        *begin = Some(name.to_owned());
        return;
    };
    let same = known.chars().zip(name.chars()).take_while(|(one, other)| one == other);
    let length = same.map(|(one, _)| one.len_utf8()).sum();
    known.truncate(length);
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing of its own")]
pub struct Stretch {
    /// Hints may come of some parts only, so that those of one say nothing of another.
    in_part: bool,
    /// When a hint told news last.
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
    /// When something was missing last that nobody told of.
    doubted: Option<Instant>,
    /// What listings found that nobody told of yet, and when.
    found: BTreeMap<String, Instant>,
    /// The same of what was too much to be kept: how all their names begin.
    found_more: Option<String>,
}

impl Stretch {
    /// `in_part`: hints may come of some parts only. What a listing found there is then in doubt for a day, unless a
    /// hint tells news of the very same.
    pub const fn new(in_part: bool) -> Self {
        Self {
            in_part,
            heard: None,
            proofs: 0,
            needed: 1,
            skipped: 0,
            insist: true,
            expected: false,
            missed: false,
            doubted: None,
            found: BTreeMap::new(),
            found_more: None,
        }
    }

    /// Whether everything is to be listed now; of `most` times in a row at least once.
    pub fn is_due(&mut self, now: Instant, most: u64) -> bool {
        if self.insist || !self.is_proved(now) || self.skipped.saturating_add(1) >= most {
            // Until one was complete.
            self.insist = true;
            return true;
        }
        self.skipped += 1;
        false
    }

    /// Whether hints prove to arrive.
    pub fn is_proved(&self, now: Instant) -> bool {
        let lately = |when: &Instant| now.saturating_duration_since(*when) < PROOF;
        let doubts = self.in_part && (self.doubted.iter().any(lately) || self.found.values().any(lately));
        self.proofs >= self.needed && self.heard.iter().any(lately) && !doubts
    }

    /// Something happened that only a listing can tell.
    pub const fn insist(&mut self) {
        (self.insist, self.expected) = (true, true);
    }

    /// The last listing did not see all.
    pub const fn go_on(&mut self) {
        self.insist = true;
    }

    /// A listing was complete. `found`: what it told that nobody had told of; `missing`: whether the next must say if
    /// something is gone.
    pub fn listed(&mut self, now: Instant, found: Spoken, missing: bool) {
        let unexpected = missing && !self.missed && !self.expected;
        (self.skipped, self.insist, self.missed, self.expected) = (0, missing, missing, false);
        if unexpected || !found.names.is_empty() {
            (self.proofs, self.needed) = (0, if self.in_part { 1 } else { PROOFS });
        }
        if self.doubted.is_some_and(|when| now.saturating_duration_since(when) >= PROOF) {
            (self.doubted, self.found_more) = (None, None);
        }
        let mut doubted = unexpected || found.more.is_some();
        self.found.retain(|_, when| now.saturating_duration_since(*when) < PROOF);
        found.more.iter().for_each(|begin| fold(&mut self.found_more, begin));
        self.found.extend(found.names.into_iter().map(|name| (name, now)));
        while self.found.len() > NAMES_MAX
            && let Some((name, _)) = self.found.pop_last()
        {
            fold(&mut self.found_more, &name);
            doubted = true;
        }
        if doubted {
            self.doubted = Some(now);
        }
    }

    /// A hint spoke of something, and whether that was news.
    pub fn heard(&mut self, now: Instant, spoken: &Spoken, news: bool) {
        let is_late = |when: &Instant| now.saturating_duration_since(*when) < GRACE;
        let before = self.found.len();
        let explains = |when: &Instant| is_late(when) || (news && self.in_part);
        self.found.retain(|name, when| !(explains(when) && spoken.names(name)));
        let late = self.found.len() < before;
        if late && self.found_more.as_ref().is_some_and(|begin| spoken.covers(begin)) {
            (self.found_more, self.doubted) = (None, None);
        }
        if news && self.doubted.as_ref().is_some_and(is_late) && self.found_more.is_none() {
            // It was on its way.
            self.doubted = None;
        }
        if late && self.found.is_empty() && self.found_more.is_none() {
            // All that the listing found was told.
            (self.heard, self.proofs, self.needed) = (Some(now), 1, 1);
        } else if late || news {
            self.heard = Some(now);
            self.proofs = self.proofs.saturating_add(1);
            if self.proofs >= self.needed {
                self.needed = 1;
                if !self.in_part {
                    (self.found, self.found_more) = (BTreeMap::new(), None);
                }
            }
        }
    }
}

/// What a person should know while listings are left out.
pub fn note(every: Duration, most: u64) -> String {
    format!("hints arrive: everything is listed every {} s", every.as_secs().saturating_mul(most))
}
