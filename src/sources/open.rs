//! Files opened for reading, without ever waiting for a pipe or touching a device.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::{Opened, StoreError};
use crate::artifact::Bytes;

/// A regular file, with its length as it was when it was opened.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    len: u64,
    identity: Identity,
    /// It was changed so shortly before it was opened that another change could bear the same time.
    fresh: bool,
}

/// Clocks of file systems tick: two changes within one tick bear one time.
const TICK: std::time::Duration = std::time::Duration::from_millis(50);

/// What changes when somebody writes to a file or replaces it.
type Identity = (u64, u64, u64, (i64, i64), (i64, i64));

impl OpenFile {
    /// Opens what must be a regular file. A last component that is a link is followed only on wish.
    pub fn open(path: &Path, follow_symlinks: bool) -> Result<Self, StoreError> {
        // O_NONBLOCK: a FIFO without a writer would otherwise hold the thread for ever.
        let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        if !follow_symlinks {
            flags |= OFlags::NOFOLLOW;
        }
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
            .open(path)
            .map_err(|error| refusal(error, path))?;
        Self::from_file(file).map_err(|error| refusal(error, path))
    }

    pub fn from_file(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Self { file, len: metadata.len(), identity: identity(&metadata), fresh: false })
    }

    /// Takes bytes that were changed a moment ago as not to be trusted yet: see [`TICK`].
    #[must_use]
    pub fn careful(mut self) -> Self {
        self.fresh = self.file.metadata().is_ok_and(|metadata| is_fresh(&metadata));
        self
    }
}

impl Bytes for OpenFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        // What was appended after the opening is not part of what was opened.
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        let Some(window) = buffer.get_mut(..left) else { return Ok(0) };
        loop {
            match self.file.read_at(window, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

impl Opened for OpenFile {
    fn unchanged(&self) -> bool {
        !self.fresh && self.file.metadata().is_ok_and(|metadata| identity(&metadata) == self.identity)
    }

    fn signature(&self) -> Option<String> {
        self.file.metadata().ok().map(|metadata| super::filesystem::signature(&metadata))
    }

    fn forget(&self) {
        // Pages that a program has mapped stay: the kernel drops only those that nobody uses.
        rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed).ok();
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        (metadata.mtime(), metadata.mtime_nsec()),
        (metadata.ctime(), metadata.ctime_nsec()),
    )
}

fn is_fresh(metadata: &Metadata) -> bool {
    let changed = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
    let age = crate::base::clock::now().as_nanosecond() - changed;
    // A time in the future is another clock's, and says nothing.
    u128::try_from(age).is_ok_and(|age| age < TICK.as_nanos())
}

fn refusal(error: io::Error, path: &Path) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StoreError::Gone,
        io::ErrorKind::PermissionDenied => StoreError::Denied(Box::new(error)),
        io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory => {
            StoreError::Refused(format!("`{}` is not a regular file", path.display()))
        }
        // ELOOP: a link where none is allowed, or links in a circle. ENXIO: a socket.
        _ if matches!(error.raw_os_error(), Some(ELOOP | ENXIO)) => {
            StoreError::Refused(format!("`{}` is a link, a socket or a device", path.display()))
        }
        _ => StoreError::Transient(Box::new(error)),
    }
}

const ELOOP: i32 = rustix::io::Errno::LOOP.raw_os_error();
const ENXIO: i32 = rustix::io::Errno::NXIO.raw_os_error();
