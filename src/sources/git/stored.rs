//! Bytes that lie in files of their own, named by their digests: LFS storage and caches of DVC.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use md5::{Digest as _, Md5 as Hasher};
use rustix::fs::Stat;

use super::dvc::Md5;
use super::files::{Fault, Ground, Patience};

/// Bytes that one look compares with their names, and at least one file; the rest waits for the next.
const BYTES_MAX: u64 = 16 << 30;
const BLOCK: usize = 1 << 20;
/// Files of which it is remembered that they were compared.
const KNOWN_MAX: usize = 1_000_000;

/// A file, as it stood when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    pub size: u64,
    /// Changes when somebody writes to it or replaces it.
    pub stamp: String,
    /// Its bytes are not those that its name says.
    pub broken: bool,
}

impl Local {
    pub fn of(stat: &Stat) -> Self {
        // Numbers of devices change when a host starts anew, and say nothing of the bytes.
        let (modified, changed) = ((stat.st_mtime, stat.st_mtime_nsec), (stat.st_ctime, stat.st_ctime_nsec));
        let stamp =
            format!("{} {} {}.{:09} {}.{:09}", stat.st_ino, stat.st_size, modified.0, modified.1, changed.0, changed.1);
        Self { size: u64::try_from(stat.st_size).unwrap_or(0), stamp, broken: false }
    }
}

/// Which files are known to be what their names say.
#[derive(Default)]
pub struct Stores {
    known: HashMap<PathBuf, Local>,
    left: u64,
    /// Larger files are not opened, and not compared either.
    file_max: u64,
}

impl Stores {
    /// A look begins.
    pub fn begin(&mut self, file_max: u64) {
        (self.left, self.file_max) = (BYTES_MAX.max(file_max), file_max);
    }

    /// A file, held against the MD5 that names it; `None` if there is none.
    pub fn held_against(
        &mut self,
        ground: &Ground,
        path: &Path,
        md5: &Md5,
        patience: &Patience,
    ) -> Result<Option<Local>, Fault> {
        let Some(stat) = ground.stat(path)? else { return Ok(None) };
        let mut local = Local::of(&stat);
        if let Some(known) = self.known.get(path).filter(|known| known.stamp == local.stamp) {
            return Ok(Some(known.clone()));
        }
        let Some(left) = self.left.checked_sub(local.size).filter(|_| local.size <= self.file_max) else {
            // Told as it is named, until there is time to compare.
            return Ok(Some(local));
        };
        self.left = left;
        let file = ground.file(path)?;
        local.broken = digest(&file, local.size, patience, path)? != md5.as_str();
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(path.to_owned(), local.clone());
        Ok(Some(local))
    }
}

fn digest(file: &File, size: u64, patience: &Patience, path: &Path) -> Result<String, Fault> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; BLOCK.min(usize::try_from(size).unwrap_or(BLOCK)).max(1)];
    let mut at = 0;
    while at < size {
        patience.check()?;
        let count = file.read_at(&mut buffer, at).map_err(|error| Fault::of_io(&error, path))?;
        if count == 0 {
            break;
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        at += count as u64;
    }
    let mut text = String::with_capacity(32);
    for byte in hasher.finalize() {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    Ok(text)
}
