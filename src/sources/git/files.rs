//! Reading inside of a repository and nowhere else.
//!
//! Whoever can write to a repository decides what lies in it: links that lead elsewhere, pipes that never answer, files
//! without end. Each part of a path is opened by itself and is no link; where it is one, it is followed only as far as
//! it stays below the repository or a folder that the configuration names.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

use crate::sources::filesystem::escape;

/// Why something of a repository cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it is not there")]
    Missing,
    /// A link, an alternate or a `gitdir:` that leads where nobody said it may.
    #[error("it leads to `{}`, which is outside of the repository; name that folder in `outside` if this is right", escape(.0))]
    Outside(PathBuf),
    #[error("`{}` may not be read; let the agent read the repository (it never writes)", escape(.0))]
    Denied(PathBuf),
    #[error("{0}")]
    Unsupported(String),
    /// An object that is named and not there: a partial or shallow clone, or a broken one.
    #[error("object {0} is missing: a partial or broken clone; fetch it, for example with `git fetch --refetch`")]
    NoObject(String),
    #[error("{0}; look at it with `git fsck`")]
    Corrupt(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("`{}`: {why}", escape(.path))]
    Failed { path: PathBuf, why: String },
    #[error("it takes too long; watch fewer refs")]
    Slow,
    #[error("nobody waits for it any more")]
    Stopped,
}

impl Fault {
    /// From a closed set.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "no_repository",
            Self::Outside(_) => "outside",
            Self::Denied(_) => "forbidden",
            Self::Unsupported(_) => "unsupported",
            Self::NoObject(_) => "missing_objects",
            Self::Corrupt(_) => "corrupt",
            Self::TooLarge(_) => "too_large",
            Self::Failed { .. } => "unreadable",
            Self::Slow | Self::Stopped => "timeout",
        }
    }

    /// Whether only this object, or this part of the tree, is concerned.
    pub const fn is_partial(&self) -> bool {
        matches!(self, Self::NoObject(_) | Self::Corrupt(_) | Self::TooLarge(_))
    }

    fn of(errno: Errno, path: &Path) -> Self {
        Self::of_io(&errno.into(), path)
    }

    pub fn of_io(error: &io::Error, path: &Path) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Denied(path.to_owned()),
            _ => Self::Failed { path: path.to_owned(), why: error.to_string() },
        }
    }
}

/// How long somebody waits.
#[derive(Debug, Clone)]
pub struct Patience {
    until: Instant,
    given_up: Arc<AtomicBool>,
}

impl Patience {
    pub fn new(time: Duration, given_up: Arc<AtomicBool>) -> Self {
        Self { until: Instant::now() + time, given_up }
    }

    /// No longer than this from now on.
    pub fn within(&self, time: Duration) -> Self {
        Self { until: self.until.min(Instant::now() + time), given_up: Arc::clone(&self.given_up) }
    }

    pub fn check(&self) -> Result<(), Fault> {
        match () {
            () if self.given_up.load(Ordering::Relaxed) => Err(Fault::Stopped),
            () if Instant::now() > self.until => Err(Fault::Slow),
            () => Ok(()),
        }
    }
}

/// Folders below which may be read.
pub struct Ground {
    roots: Vec<(PathBuf, OwnedFd)>,
}

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

impl Ground {
    /// The repository, and folders outside of it that it may refer to; those that are not there are left out.
    pub fn new(repository: &Path, outside: &[PathBuf]) -> Result<Self, Fault> {
        let mut roots = vec![root(repository)?];
        roots.extend(outside.iter().filter_map(|folder| root(folder).ok()));
        Ok(Self { roots })
    }

    /// Where the repository lies, without links.
    pub fn repository(&self) -> &Path {
        self.roots.first().map_or(Path::new(""), |(path, _)| path)
    }

    /// Opens a regular file; never waits for a pipe.
    pub fn file(&self, path: &Path) -> Result<File, Fault> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(self.at(path, &|folder, name| openat(folder, name, flags, Mode::empty()))?);
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(file),
            Ok(_) => Err(Fault::Failed { path: path.to_owned(), why: "it is not a regular file".to_owned() }),
            Err(error) => Err(Fault::of_io(&error, path)),
        }
    }

    /// All bytes of a small file; `None` if there is none.
    pub fn read(&self, path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, Fault> {
        let file = match self.file(path) {
            Err(Fault::Missing) => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        #[expect(clippy::disallowed_methods, reason = "it is bounded")]
        file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| Fault::of_io(&error, path))?;
        if bytes.len() as u64 > bytes_max {
            return Err(Fault::TooLarge(format!("`{}` has more than {bytes_max} bytes", escape(path))));
        }
        Ok(Some(bytes))
    }

    /// What a folder holds, in no certain order: nothing if it is not there.
    pub fn list(&self, path: &Path, most: usize) -> Result<Vec<(OsString, FileType)>, Fault> {
        let folder = match self.at(path, &|folder, name| openat(folder, name, FOLDER, Mode::empty())) {
            Err(Fault::Missing) => return Ok(Vec::new()),
            folder => folder?,
        };
        let failed = |errno| Fault::of(errno, path);
        let mut found = Vec::new();
        for entry in Dir::read_from(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if found.len() >= most {
                return Err(Fault::TooLarge(format!("`{}` holds more than {most} files", escape(path))));
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                let stat = statat(&folder, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW);
                kind = stat.map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode));
            }
            found.push((OsStr::from_bytes(name).to_owned(), kind));
        }
        Ok(found)
    }

    /// What lies at a path, links followed.
    pub fn stat(&self, path: &Path) -> Result<Option<Stat>, Fault> {
        let stat = self.at(path, &|folder, name| {
            let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink { Err(Errno::LOOP) } else { Ok(stat) }
        });
        match stat {
            Ok(stat) => Ok(Some(stat)),
            Err(Fault::Missing) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub fn is_folder(&self, path: &Path) -> Result<bool, Fault> {
        Ok(self.stat(path)?.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory))
    }

    /// Lets a folder be read that lies below one of these, which a person named, and holds what `shape` says.
    pub fn adopt(&mut self, path: &Path, named: &[PathBuf], shape: &[&str]) -> Result<PathBuf, Fault> {
        let covered = self.covers(path);
        let Err(Fault::Outside(real)) = &covered else { return covered };
        // Opened part by part from there: a link that takes the place of a folder meanwhile leads nowhere.
        let neighbours =
            named.iter().filter_map(|folder| root(folder).ok()).filter(|(folder, _)| real.starts_with(folder));
        let neighbours = Self { roots: neighbours.collect() };
        let open = |folder: BorrowedFd<'_>, name: &OsStr| {
            let opened = openat(folder, name, FOLDER, Mode::empty())?;
            for part in shape {
                statat(&opened, *part, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            Ok(opened)
        };
        if let Some(Ok(opened)) = neighbours.plainly(real, &open) {
            self.roots.push((real.clone(), opened));
            return Ok(real.clone());
        }
        covered
    }

    /// Whether a path, links followed, may be read at all.
    pub fn covers(&self, path: &Path) -> Result<PathBuf, Fault> {
        let real = path.canonicalize().map_err(|error| Fault::of_io(&error, path))?;
        if self.roots.iter().any(|(root, _)| real.starts_with(root)) { Ok(real) } else { Err(Fault::Outside(real)) }
    }

    /// Does something with the last part of a path in its opened folder. A link on the way is an error to `act` first,
    /// and followed when where it leads is known to be covered.
    fn at<T>(&self, path: &Path, act: &Act<'_, T>) -> Result<T, Fault> {
        match self.plainly(path, act) {
            None | Some(Err(Errno::LOOP | Errno::NOTDIR)) => {}
            Some(done) => return done.map_err(|errno| Fault::of(errno, path)),
        }
        let real = path.canonicalize().map_err(|error| Fault::of_io(&error, path))?;
        match self.plainly(&real, act) {
            None => Err(Fault::Outside(real)),
            Some(done) => done.map_err(|errno| Fault::of(errno, path)),
        }
    }

    /// The same without following any link; `None` where the path is not below a root by its text.
    fn plainly<T>(&self, path: &Path, act: &Act<'_, T>) -> Option<Result<T, Errno>> {
        let (root, folder) = self.roots.iter().find(|(root, _)| path.starts_with(root))?;
        let parts = path.strip_prefix(root).ok()?.components().map(|part| match part {
            Component::Normal(name) => Some(name),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
        });
        let mut parts: Vec<&OsStr> = parts.collect::<Option<_>>()?;
        let last = parts.pop().unwrap_or(OsStr::new("."));
        let mut inner: Option<OwnedFd> = None;
        for part in parts {
            let from = inner.as_ref().map_or(folder.as_fd(), |inner| inner.as_fd());
            match openat(from, part, FOLDER, Mode::empty()) {
                Ok(next) => inner = Some(next),
                Err(errno) => return Some(Err(errno)),
            }
        }
        Some(act(inner.as_ref().map_or(folder.as_fd(), |inner| inner.as_fd()), last))
    }
}

type Act<'a, T> = dyn Fn(BorrowedFd<'_>, &OsStr) -> Result<T, Errno> + 'a;

/// A folder that was named by a person: where it leads is where it is.
fn root(path: &Path) -> Result<(PathBuf, OwnedFd), Fault> {
    let real = path.canonicalize().map_err(|error| Fault::of_io(&error, path))?;
    let folder = openat(CWD, &real, FOLDER, Mode::empty()).map_err(|errno| Fault::of(errno, path))?;
    Ok((real, folder))
}
