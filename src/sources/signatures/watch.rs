//! Notifications from the folders in which models lie: they decide when it is time to look.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::sources::filesystem::watch::{Failure, Watcher};

/// Folders watched; with more, looking every so often has to do.
const FOLDERS_MAX: usize = 100_000;
/// Notifications that may wait: one is enough to look.
const HINTS_MAX: usize = 1024;

/// Folders that are watched.
#[derive(Default)]
pub struct Watch {
    watcher: Option<Watcher>,
    /// With device and inode: another folder may lie at the same path.
    folders: HashMap<PathBuf, (u64, u64)>,
    blind: bool,
}

impl Watch {
    /// Watches these folders and no others. True when there are new ones: what happened in them before they were
    /// watched is not told, and they have to be looked at once more.
    pub fn follow<'p>(&mut self, folders: impl Iterator<Item = &'p Path>) -> bool {
        let mut now: HashMap<PathBuf, (u64, u64)> = HashMap::new();
        self.blind = false;
        for folder in folders {
            if now.len() >= FOLDERS_MAX {
                self.blind = true;
                break;
            }
            // The kernel knows folders, not the links by which they were found.
            if let Ok(real) = folder.canonicalize()
                && let Ok(metadata) = real.metadata()
            {
                now.insert(real, (metadata.dev(), metadata.ino()));
            }
        }
        if self.watcher.is_none() {
            self.folders.clear();
            self.watcher = Watcher::new(HINTS_MAX, None).ok();
        }
        let Some(watcher) = &mut self.watcher else {
            self.blind = true;
            return false;
        };
        for (folder, _) in self.folders.iter().filter(|(folder, id)| now.get(*folder) != Some(id)) {
            watcher.unwatch(folder);
        }
        let before = std::mem::take(&mut self.folders);
        let mut grown = false;
        for (folder, id) in now {
            if before.get(&folder) != Some(&id) {
                match watcher.watch(&folder) {
                    Ok(()) => grown = true,
                    Err(Failure::Gone) => continue,
                    Err(Failure::Limit | Failure::Denied | Failure::Other) => {
                        self.blind = true;
                        continue;
                    }
                }
            }
            self.folders.insert(folder, id);
        }
        grown
    }

    /// Whether something happened since this was asked last.
    pub fn moved(&mut self) -> bool {
        let Some(watcher) = &self.watcher else { return false };
        let moved = watcher.hints.try_iter().take(HINTS_MAX).count() > 0;
        watcher.take_lost() || moved
    }

    /// Whether something may happen that is not told.
    pub const fn is_blind(&self) -> bool {
        self.blind
    }
}
