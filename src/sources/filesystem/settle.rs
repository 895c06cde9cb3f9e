//! Waits until a file stands still: a checkpoint of many gigabytes is not written in one go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::stat::Look;
use crate::sources::Hint;

/// Paths at which something may have happened.
#[derive(Debug)]
pub struct Settle {
    quiet: Duration,
    most: Duration,
    entries: BTreeMap<PathBuf, Wait>,
}

/// One path that is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    first: Instant,
    due: Instant,
    look: Look,
    pub hint: Hint,
}

impl Settle {
    pub const fn new(quiet: Duration, most: Duration) -> Self {
        Self { quiet, most, entries: BTreeMap::new() }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Something may have happened at a path, which now looks like this.
    pub fn touch(&mut self, path: PathBuf, look: Look, hint: Hint, now: Instant) {
        let due = now + self.quiet;
        let wait = self.entries.entry(path).or_insert(Wait { first: now, due, look, hint });
        if wait.look != look {
            // One that never stands still has its turn all the same.
            (wait.look, wait.due) = (look, due.min(wait.first + self.most));
        }
        // What a notification told of was not found by a sweep, even if that came first.
        if hint == Hint::Inotify {
            wait.hint = hint;
        }
    }

    /// Paths whose time has come.
    pub fn due(&self, now: Instant) -> Vec<PathBuf> {
        self.entries.iter().filter(|(_, wait)| wait.due <= now).map(|(path, _)| path.clone()).collect()
    }

    /// The path looks like this now: gives it back if it stands still, or has moved for too long.
    pub fn ready(&mut self, path: &Path, look: Look, now: Instant) -> Option<Wait> {
        let wait = self.entries.get_mut(path)?;
        if wait.look != look && now.duration_since(wait.first) < self.most {
            (wait.look, wait.due) = (look, (now + self.quiet).min(wait.first + self.most));
            return None;
        }
        self.entries.remove(path)
    }

    /// When to look again; `None` when nothing is waited for.
    pub fn next(&self) -> Option<Instant> {
        self.entries.values().map(|wait| wait.due).min()
    }
}
