//! Finds a file again after it was rotated, and the parts that came after it.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::find::is_rotated_from;
use super::position::Position;
use super::segment::{Segment, open};

/// Older parts looked at for one log.
const SIBLINGS_MAX: usize = 100;

/// What is to be read of one log, oldest part first.
pub struct Chain {
    pub parts: VecDeque<Segment>,
    /// The file of the position was not found: what was not read of it is lost.
    pub lost: bool,
}

/// An older part of a log.
struct Sibling {
    path: PathBuf,
    file: File,
    metadata: Metadata,
}

/// When a part was begun and last written to. Coarse clocks give quick rotations the same times
/// of writing, so the beginning decides where it is known; compressing makes a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age {
    modified: (i64, i64),
    created: Option<SystemTime>,
}

impl Age {
    pub fn of(metadata: &Metadata, gzip: bool) -> Self {
        let created = if gzip { None } else { metadata.created().ok() };
        Self { modified: (metadata.mtime(), metadata.mtime_nsec()), created }
    }

    fn is_after(&self, other: &Self) -> bool {
        match (self.created, other.created) {
            (Some(created), Some(before)) => created > before,
            (Some(_) | None, None) | (None, Some(_)) => self.modified >= other.modified,
        }
    }
}

impl Sibling {
    fn age(&self) -> Age {
        Age::of(&self.metadata, is_gzip(&self.path))
    }

    fn inode(&self) -> (u64, u64) {
        (self.metadata.dev(), self.metadata.ino())
    }
}

/// Finds the file of a position, be it at the path or rotated away, and all that came after it.
pub fn resume(path: &Path, position: &Position) -> Chain {
    let mut parts = VecDeque::new();
    let current = open(path).ok();
    if let Some((file, metadata)) = &current
        && position.same_inode(metadata)
        && position.fits(file).unwrap_or(false)
        && let Ok(segment) = file.try_clone().and_then(|file| Segment::raw(file, position.offset))
    {
        parts.push_back(segment);
        return Chain { parts, lost: false };
    }
    let found = older(path, position);
    let lost = found.is_none();
    if let Some((segment, age)) = found {
        let inode = (segment.dev, segment.inode);
        parts.push_back(segment);
        // What lay at the path may have been rotated since it was opened.
        let at_path = current.as_ref().map(|(_, metadata)| (metadata.dev(), metadata.ino()));
        let newer = newer(path, age, inode, position);
        parts.extend(newer.into_iter().filter(|part| Some((part.dev, part.inode)) != at_path));
    }
    parts.extend(current.and_then(|(file, _)| Segment::raw(file, 0).ok()));
    Chain { parts, lost }
}

/// The older part that a position speaks of, from there on, with its time.
pub fn older(path: &Path, position: &Position) -> Option<(Segment, Age)> {
    let siblings = siblings(path);
    // A copy is as good as the file itself, but only if there is something to know it by.
    let known = position.offset > 0;
    for copy in [false, true] {
        let raw = siblings.iter().filter(|sibling| !is_gzip(&sibling.path));
        for sibling in raw.filter(|sibling| if copy { known } else { position.same_inode(&sibling.metadata) }) {
            if !position.fits(&sibling.file).unwrap_or(false) {
                continue;
            }
            let file = sibling.file.try_clone().ok()?;
            return Some((Segment::raw(file, position.offset).ok()?, sibling.age()));
        }
    }
    for sibling in siblings.into_iter().filter(|sibling| is_gzip(&sibling.path)) {
        let own = position.same_inode(&sibling.metadata);
        let begins = || open(&sibling.path).is_ok_and(|(file, _)| Segment::gzip_begins_like(file, position));
        if own || begins() {
            let age = sibling.age();
            let mut segment = Segment::gzip(sibling.file, &sibling.metadata);
            if segment.catch_up(position) {
                return Some((segment, age));
            }
        }
    }
    None
}

/// Parts that came after a time, oldest first, without the one that was read already.
pub fn newer(path: &Path, after: Age, inode: (u64, u64), read: &Position) -> Vec<Segment> {
    let siblings = siblings(path);
    let raw: Vec<PathBuf> = siblings.iter().map(|sibling| sibling.path.clone()).collect();
    siblings
        .into_iter()
        .filter(|sibling| sibling.age().is_after(&after))
        .filter(|sibling| (sibling.metadata.dev(), sibling.metadata.ino()) != inode)
        .filter_map(|sibling| {
            if !is_gzip(&sibling.path) {
                return Segment::raw(sibling.file, 0).ok();
            }
            // While it is being compressed a part is there twice.
            let twice = raw.contains(&sibling.path.with_extension(""));
            let again = open(&sibling.path).is_ok_and(|(file, _)| Segment::gzip_begins_like(file, read));
            (!twice && !again).then(|| Segment::gzip(sibling.file, &sibling.metadata))
        })
        .collect()
}

/// Older parts beside a log, oldest first.
fn siblings(path: &Path) -> Vec<Sibling> {
    // A rotation that goes on meanwhile moves names under the eyes of the listing, so that it can
    // miss one: what two listings miss is not there.
    let mut siblings = list(path);
    siblings.extend(list(path));
    siblings.sort_by_key(Sibling::inode);
    siblings.dedup_by_key(|sibling| sibling.inode());
    siblings.sort_by_key(Sibling::age);
    siblings
}

fn list(path: &Path) -> Vec<Sibling> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| is_rotated_from(&entry.file_name(), name))
        .filter_map(|entry| {
            let path = entry.path();
            let (file, metadata) = open(&path).ok()?;
            Some(Sibling { path, file, metadata })
        })
        .take(SIBLINGS_MAX)
        .collect()
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}
