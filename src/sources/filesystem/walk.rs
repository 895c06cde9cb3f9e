//! Walks a tree: every directory is told before it is listed, so that it can be watched first.
//!
//! What is written between the two is then either listed or notified; nothing falls in between.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, openat, statat};
use rustix::io::Errno;

use super::stat::Stat;
use super::{Config, cache};
use crate::sources::filter::Filter;

/// Device and inode.
pub type Id = (u64, u64);

/// What a walk comes across. Paths are as a program would write them, not resolved.
pub enum Found<'a> {
    /// A directory that will be listed next; `real` has no links in it.
    Directory { path: PathBuf, real: PathBuf, id: Id },
    /// A regular file, or a link to one, by the directory that is listed and its name there.
    File { directory: &'a Path, name: &'a OsStr, stat: Stat, target: Option<PathBuf> },
    /// A directory or link that could not be looked at.
    Unreadable { path: PathBuf },
}

/// Hears of what a walk finds; `Break` ends it.
pub type Visitor<'a> = &'a mut dyn FnMut(Found<'_>) -> ControlFlow<()>;

/// Through links one directory can have many paths, in the worst case exponentially many: how many links to it are gone
/// into, while its own path always is. Those beyond are told one by one up to this many, then by the directory in which
/// they lie.
const VISITS_MAX: u32 = 64;
const BEYOND_MAX: usize = 1000;
/// Bytes for the entries of a directory that the kernel gives at once; one entry needs 280 at most.
const ENTRIES: usize = 32 << 10;

pub struct Walk<'a> {
    config: &'a Config,
    filter: &'a Filter,
    root: &'a Path,
    visits: HashMap<Id, u32>,
    /// Links that were not gone into since there are too many to one directory.
    beyond: usize,
    pending: Vec<Level>,
}

/// A directory to be listed.
struct Level {
    path: PathBuf,
    real: PathBuf,
    depth: usize,
    chain: Rc<Chain>,
}

/// The directories above: a link to one of them is a loop.
struct Chain {
    id: Id,
    parent: Option<Rc<Chain>>,
}

impl<'a> Walk<'a> {
    pub fn new(config: &'a Config, filter: &'a Filter, root: &'a Path) -> Self {
        Self { config, filter, root, visits: HashMap::new(), beyond: 0, pending: Vec::new() }
    }

    /// Walks one directory of the tree, or the whole.
    pub fn run(mut self, start: &Path, visit: Visitor<'_>) -> ControlFlow<()> {
        let depth = start.strip_prefix(self.root).map_or(0, |relative| relative.components().count());
        let Ok(metadata) = start.metadata() else { return visit(Found::Unreadable { path: start.to_owned() }) };
        self.enter(start.to_owned(), (metadata.dev(), metadata.ino()), depth, None, true, visit)?;
        let mut buffer = Vec::with_capacity(ENTRIES);
        while let Some(level) = self.pending.pop() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Ok(folder) = openat(CWD, &level.real, flags, Mode::empty()) else {
                visit(Found::Unreadable { path: level.path })?;
                continue;
            };
            let relative = level.path.strip_prefix(self.root).unwrap_or(&level.path);
            let mut entries = RawDir::new(&folder, buffer.spare_capacity_mut());
            while let Some(entry) = entries.next() {
                let Ok(entry) = entry else {
                    visit(Found::Unreadable { path: level.path.clone() })?;
                    break;
                };
                if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                    self.entry(&level, relative, &folder, entry.file_name(), entry.file_type(), visit)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn entry(
        &mut self,
        level: &Level,
        relative: &Path,
        folder: &OwnedFd,
        entry: &CStr,
        kind: FileType,
        visit: Visitor<'_>,
    ) -> ControlFlow<()> {
        let name = OsStr::from_bytes(entry.to_bytes());
        if self.filter.leaves_out(relative, name) {
            return ControlFlow::Continue(());
        }
        // From the open directory: the kernel need not go all the way again.
        let look = |flags| statat(folder, entry, flags);
        let kind = match kind {
            // Some file systems do not say it in the listing.
            FileType::Unknown => match look(AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(_) => return ControlFlow::Continue(()),
            },
            kind => kind,
        };
        let link = kind == FileType::Symlink;
        if kept_aside(&level.path, name, kind) || link && !self.config.follow_symlinks {
            return ControlFlow::Continue(());
        }
        let path = || level.path.join(name);
        let stat = match look(if link { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW }) {
            Ok(stat) => stat,
            Err(Errno::ACCESS | Errno::PERM) => return visit(Found::Unreadable { path: path() }),
            // Gone since it was listed, or a link to nowhere.
            Err(_) => return ControlFlow::Continue(()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let stat = Stat::from(&stat);
                self.enter(path(), (stat.dev, stat.inode), level.depth + 1, Some(level), link, visit)
            }
            FileType::RegularFile if self.filter.includes(relative, name) => {
                let target = if link { level.real.join(name).canonicalize().ok() } else { None };
                visit(Found::File { directory: &level.path, name, stat: Stat::from(&stat), target })
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn enter(
        &mut self,
        path: PathBuf,
        id: Id,
        depth: usize,
        above: Option<&Level>,
        link: bool,
        visit: Visitor<'_>,
    ) -> ControlFlow<()> {
        let chain = above.map(|level| &level.chain);
        let looped = std::iter::successors(chain, |chain| chain.parent.as_ref()).any(|chain| chain.id == id);
        if looped {
            return ControlFlow::Continue(());
        }
        let visits = self.visits.entry(id).or_insert(0);
        *visits = visits.saturating_add(u32::from(link && above.is_some()));
        if link && *visits > VISITS_MAX {
            self.beyond = self.beyond.saturating_add(1);
            let within = above.filter(|_| self.beyond > BEYOND_MAX).map(|level| level.path.clone());
            return visit(Found::Unreadable { path: within.unwrap_or(path) });
        }
        if depth > self.config.depth_max {
            return visit(Found::Unreadable { path });
        }
        let real = match above {
            Some(level) if !link => level.real.join(path.file_name().unwrap_or_default()),
            Some(_) | None => match path.canonicalize() {
                Ok(real) => real,
                Err(_) => return ControlFlow::Continue(()),
            },
        };
        visit(Found::Directory { path: path.clone(), real: real.clone(), id })?;
        let chain = Rc::new(Chain { id, parent: chain.cloned() });
        self.pending.push(Level { path, real, depth, chain });
        ControlFlow::Continue(())
    }
}

/// Whether what has this name in a directory is told by the links that lead into it: what a mounted `ConfigMap` and the
/// Hugging Face cache are made of, and nothing that is only named alike.
pub fn kept_aside(directory: &Path, name: &OsStr, kind: FileType) -> bool {
    match name.as_bytes() {
        b"..data" | b"..data_tmp" => kind == FileType::Symlink,
        b"blobs" => kind == FileType::Directory && cache::is_repository(directory),
        name => kind == FileType::Directory && is_time(name),
    }
}

/// Whether what was at a path, of which nobody knows any more what it was, may have been kept aside.
pub fn may_be_kept_aside(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    name.starts_with(b"..") || name == b"blobs"
}

/// True for `..YYYY_MM_DD_HH_MM_SS.` and something behind it.
fn is_time(name: &[u8]) -> bool {
    const SHAPE: &[u8] = b"..0000_00_00_00_00_00.";
    let fits = |(shape, byte): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { shape == byte };
    name.len() > SHAPE.len() && SHAPE.iter().zip(name).all(fits)
}
