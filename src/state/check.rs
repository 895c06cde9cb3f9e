//! Whether the database is sound: a small one is read through before it is used, a large one while it is.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{State, StateError};
use crate::base::files;

/// Bytes that are read through in a tenth of a second.
const AT_ONCE_MAX: u64 = 64 << 20;
/// Longest reason that is read back.
const WHY_MAX: u64 = 64 << 10;

impl State {
    /// Reads a database through that was too large for it when it was opened: what is wrong with it, if anything is.
    /// Takes a second for each gigabyte, or as long as the disk needs; nobody has to wait for it.
    pub fn check(&self) -> Result<Option<String>, StateError> {
        let path = self.path.join("lanner.db");
        if is_small(&path) {
            return Ok(None);
        }
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        match sound(&connection) {
            Ok(()) => Ok(None),
            Err(error) if super::is_corrupt(&error) => Ok(Some(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Has the next agent that opens the database set it aside.
    pub fn condemn(&self, why: &str) -> std::io::Result<()> {
        files::replace(&mark(&self.path), why.as_bytes())
    }
}

/// Whether the database can be read through before it is used.
pub(super) fn is_small(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() <= AT_ONCE_MAX)
}

/// Reads all of it.
pub(super) fn sound(connection: &Connection) -> rusqlite::Result<()> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(corrupt(verdict)) }
}

/// What [`State::condemn`] has left: taken away, so that it counts once.
pub(super) fn condemned(directory: &Path) -> Option<rusqlite::Error> {
    let mark = mark(directory);
    if !mark.exists() {
        return None;
    }
    let why = files::read_text(&mark, WHY_MAX).unwrap_or_else(|_| "it was found to be corrupt".to_owned());
    std::fs::remove_file(&mark).ok()?;
    Some(corrupt(why))
}

fn mark(directory: &Path) -> PathBuf {
    directory.join("lanner.db.condemned")
}

fn corrupt(why: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(why))
}
