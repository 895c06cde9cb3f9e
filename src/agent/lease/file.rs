//! A lock on a file that all agents see.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

/// The lock, unless somebody else holds it.
pub fn lock(path: &Path) -> std::io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
