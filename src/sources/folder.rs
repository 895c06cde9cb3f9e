//! A file or folder as it is compared with a signature: walked and read through open folders, never through a
//! link that nobody asked for, never waiting for a pipe, and noticing when something changes meanwhile.
//!
//! Each part of a path is opened by itself, without following links: a folder that becomes a link between
//! listing and opening leads nowhere.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::filesystem::paths;
use crate::artifact::Stop;
use crate::provenance::{Content, Entry, EntryKind, ReadError};

/// Folders in folders.
const DEPTH_MAX: usize = 64;
/// Bytes read at a time.
const BLOCK: usize = 1 << 20;
/// Names that no walk tells are not asked for; this is only a bound.
const WALKED_MAX: usize = 2_000_000;
/// What a single file is called in [`Content`].
const ITSELF: &str = ".";

/// A local file or folder.
pub struct Local {
    path: PathBuf,
    /// The folder itself, or the one that the file lies in.
    root: OwnedFd,
    /// Where the folder is, without links; links are told apart by it.
    real: PathBuf,
    /// The name of the file, if it is one.
    single: Option<String>,
    stop: Stop,
}

impl Local {
    /// Opens what lies at a path. A link there is followed, since it was named.
    pub fn open(path: &Path, stop: Stop) -> io::Result<Self> {
        let real = path.canonicalize()?;
        let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(CWD, &real, folder, Mode::empty()) {
            Ok(root) => Ok(Self { path: path.to_owned(), root, real, single: None, stop }),
            Err(Errno::NOTDIR) => {
                let unnamed = || io::Error::new(io::ErrorKind::InvalidInput, "its name is no text");
                let name = real.file_name().and_then(OsStr::to_str).ok_or_else(unnamed)?.to_owned();
                let parent = real.parent().unwrap_or(Path::new("/"));
                let root = openat(CWD, parent, folder, Mode::empty())?;
                Ok(Self { path: path.to_owned(), root, real, single: Some(name), stop })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// As it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name that a file has under this folder, if it lies there.
    pub fn name_of(&self, file: &Path) -> Option<String> {
        let real = file.canonicalize().ok()?;
        let below = real.strip_prefix(&self.real).ok()?;
        Some(below.to_str()?.to_owned()).filter(|name| self.single.is_none() && !name.is_empty())
    }

    fn stopped(&self) -> Result<(), ReadError> {
        if self.stop.now() { Err(ReadError::Failed("the time was over".to_owned())) } else { Ok(()) }
    }

    /// Opens the folder that a path lies in, part by part.
    fn folder_of<'n>(&self, name: &'n [u8]) -> Result<(OwnedFd, &'n OsStr), Errno> {
        let mut folder = self.root.try_clone().map_err(|_| Errno::MFILE)?;
        let mut parts = name.split(|byte| *byte == b'/').peekable();
        while let Some(part) = parts.next() {
            let part = OsStr::from_bytes(part);
            if parts.peek().is_none() {
                return Ok((folder, part));
            }
            folder = enter(&folder, part)?;
        }
        Err(Errno::NOENT)
    }

    /// What a link leads to.
    fn link(&self, name: &[u8]) -> EntryKind {
        let path = self.real.join(OsStr::from_bytes(name));
        let Ok(target) = path.canonicalize() else { return EntryKind::LinkElsewhere };
        let inside = target.starts_with(&self.real);
        match target.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => EntryKind::LinkToFile { inside },
            Ok(metadata) if metadata.is_dir() => EntryKind::LinkToFolder { inside },
            Ok(_) | Err(_) => EntryKind::LinkElsewhere,
        }
    }

    /// One entry of a folder: a folder to be walked, or something to be told.
    fn entry(&self, folder: &OwnedFd, name: &OsStr, path: Vec<u8>) -> Found {
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
        let kind = match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Directory) => return Found::Folder(path),
            Ok(FileType::RegularFile) => EntryKind::File,
            Ok(FileType::Symlink) => self.link(&path),
            Ok(_) => EntryKind::Special,
            Err(Errno::NOENT) => return Found::Nothing,
            Err(_) => EntryKind::Unreadable,
        };
        Found::Entry(told(&path, kind))
    }
}

enum Found {
    /// Gone since it was listed.
    Nothing,
    Folder(Vec<u8>),
    Entry(Entry),
}

/// An entry under a name that is text.
fn told(path: &[u8], kind: EntryKind) -> Entry {
    if let Ok(name) = std::str::from_utf8(path) {
        return Entry { name: name.to_owned(), kind };
    }
    let kind = if kind == EntryKind::File { EntryKind::Unnameable } else { kind };
    Entry { name: paths::escape(Path::new(OsStr::from_bytes(path))), kind }
}

fn enter(folder: &impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    openat(folder, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

impl Content for Local {
    fn single(&self) -> Option<&str> {
        self.single.as_deref()
    }

    fn walk(&self, visit: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), ReadError> {
        if let Some(name) = &self.single {
            if let Found::Entry(Entry { kind, .. }) = self.entry(&self.root, OsStr::new(name), name.as_bytes().to_vec())
            {
                // There is nothing else to see, whether the walk is broken off or not.
                return match visit(Entry { name: ITSELF.to_owned(), kind }) {
                    ControlFlow::Continue(()) | ControlFlow::Break(()) => Ok(()),
                };
            }
            return Ok(());
        }
        let mut pending: Vec<(Vec<u8>, usize)> = vec![(Vec::new(), 0)];
        let mut count = 0_usize;
        while let Some((path, depth)) = pending.pop() {
            self.stopped()?;
            let opened = if path.is_empty() {
                enter(&self.root, OsStr::new("."))
            } else {
                self.folder_of(&path).and_then(|(parent, name)| enter(&parent, name))
            };
            let listed = opened.and_then(|folder| Ok((Dir::read_from(&folder)?, folder)));
            let Ok((entries, folder)) = listed else {
                if path.is_empty() {
                    return Err(ReadError::Failed("the folder cannot be opened".to_owned()));
                }
                if visit(told(&path, EntryKind::Unreadable)).is_break() {
                    return Ok(());
                }
                continue;
            };
            for entry in entries {
                let Ok(entry) = entry else { return Err(ReadError::Failed("a folder cannot be listed".to_owned())) };
                let name = entry.file_name().to_bytes();
                if matches!(name, b"." | b"..") {
                    continue;
                }
                count += 1;
                if count > WALKED_MAX {
                    return Err(ReadError::TooLarge(format!("it holds more than {WALKED_MAX} files and folders")));
                }
                let below = if path.is_empty() { name.to_vec() } else { [&path, b"/".as_slice(), name].concat() };
                match self.entry(&folder, OsStr::from_bytes(name), below) {
                    Found::Nothing => {}
                    Found::Folder(_) if depth >= DEPTH_MAX => {
                        return Err(ReadError::TooLarge(format!("folders lie in folders more than {DEPTH_MAX} deep")));
                    }
                    Found::Folder(path) => pending.push((path, depth + 1)),
                    Found::Entry(entry) => {
                        if visit(entry).is_break() {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn read(&self, name: &str, links: bool, take: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        let name = match &self.single {
            Some(single) => single,
            None => name,
        };
        let (folder, last) = self.folder_of(name.as_bytes()).map_err(refusal)?;
        // O_NONBLOCK: a pipe without a writer would otherwise hold the thread for ever.
        let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if !links {
            flags |= OFlags::NOFOLLOW;
        }
        let mut file = File::from(openat(&folder, last, flags, Mode::empty()).map_err(refusal)?);
        let before = identity(&file).map_err(|error| failed(&error))?.ok_or(ReadError::Special)?;
        let mut buffer = vec![0; BLOCK];
        let mut left = before.size;
        loop {
            self.stopped()?;
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(&error)),
            };
            // What grows while it is read may never end.
            left = left.checked_sub(read as u64).ok_or(ReadError::Changed)?;
            take(buffer.get(..read).unwrap_or_default());
        }
        let after = identity(&file).map_err(|error| failed(&error))?;
        if left == 0 && after == Some(before) { Ok(()) } else { Err(ReadError::Changed) }
    }
}

/// What changes when somebody writes to a file or replaces it.
#[derive(PartialEq, Eq)]
struct Identity {
    size: u64,
    rest: (u64, u64, i64, i64, i64, i64),
}

/// `None` for what is no regular file.
fn identity(file: &File) -> io::Result<Option<Identity>> {
    let found = file.metadata()?;
    let times = (found.dev(), found.ino(), found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
    Ok(found.is_file().then_some(Identity { size: found.len(), rest: times }))
}

fn failed(error: &io::Error) -> ReadError {
    ReadError::Failed(error.to_string())
}

fn refusal(error: Errno) -> ReadError {
    match error {
        Errno::NOENT | Errno::NOTDIR => ReadError::Gone,
        Errno::LOOP => ReadError::Link,
        Errno::NXIO => ReadError::Special,
        other => failed(&other.into()),
    }
}
