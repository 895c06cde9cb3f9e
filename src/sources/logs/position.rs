//! How far a file was read, and how to know the file again.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use serde::{Deserialize, Serialize};

use super::join::Partial;

/// Bytes at the beginning of a file that tell it from others.
pub const HEAD_BYTES: usize = 1024;
/// Bytes before a position that tell that the file is still the one that was read.
pub const GUARD_BYTES: usize = 256;

/// A position in a file, as it is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub dev: u64,
    pub inode: u64,
    /// Bytes read; of the inflated text for a compressed file.
    pub offset: u64,
    pub head: Print,
    pub guard: Print,
    /// Lines begun on one stream while another went on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partials: Vec<Partial>,
}

/// Digest of a few bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    pub length: u64,
    pub digest: u64,
}

impl Print {
    pub fn of(bytes: &[u8]) -> Self {
        let digest = blake3::hash(bytes).as_bytes().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Self { length: bytes.len() as u64, digest }
    }

    /// Whether these are the bytes.
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        Self::of(bytes) == *self
    }
}

/// The first bytes of a file.
pub fn head(file: &File) -> io::Result<Vec<u8>> {
    read_at(file, 0, HEAD_BYTES)
}

/// Reads up to `length` bytes at an offset; less only at the end of the file.
pub fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

impl Position {
    /// Whether an open file is the one of this position, unharmed up to it.
    pub fn fits(&self, file: &File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        if metadata.len() < self.offset || !self.head_fits(&head(file)?) {
            return Ok(false);
        }
        let length = usize::try_from(self.guard.length).unwrap_or(usize::MAX).min(GUARD_BYTES);
        Ok(self.guard.is_of(&read_at(file, self.offset.saturating_sub(self.guard.length), length)?))
    }

    pub fn same_inode(&self, metadata: &std::fs::Metadata) -> bool {
        (self.dev, self.inode) == (metadata.dev(), metadata.ino())
    }

    /// Whether a file that begins like this may be the one of this position.
    pub fn head_fits(&self, head: &[u8]) -> bool {
        let length = usize::try_from(self.head.length).unwrap_or(usize::MAX);
        head.get(..length).is_some_and(|head| self.head.is_of(head))
    }
}
