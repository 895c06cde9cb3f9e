//! The notes of a replay: how far it came, and what correlations remembered there.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _};

use super::{StateError, correlation};
use crate::event::correlation::Memo;

/// The version that this program writes, beside a mark that says whose file it is.
const VERSION: i64 = 1;
/// "LNRN": a file of another program is refused, not written into.
const APPLICATION: i64 = 0x4c4e_524e;

/// One file that holds the notes of one replay.
pub struct Notebook {
    connection: Connection,
    path: PathBuf,
}

impl Notebook {
    /// Opens the notes, or begins them.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let fail = |cause: Box<dyn std::error::Error + Send + Sync>| StateError::Open {
            path: path.display().to_string(),
            cause,
        };
        let connection = Connection::open(path).map_err(|error| fail(error.into()))?;
        prepare(&connection).map_err(|error| fail(error.into()))?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version > VERSION {
            return Err(StateError::Newer { path: path.display().to_string(), found: version, known: VERSION });
        }
        let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        if application != APPLICATION {
            return Err(fail("the file is no notes of a replay: name another one".into()));
        }
        Ok(Self { connection, path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was noted under a name.
    pub fn note(&self, name: &str) -> Result<Option<String>, StateError> {
        let mut statement = self.connection.prepare_cached("SELECT value FROM note WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }

    /// What correlations remembered, in the order in which it can be restored.
    pub fn remembered(&self, take: &mut dyn FnMut(Memo)) -> Result<(), StateError> {
        correlation::read(&self.connection, take)
    }

    /// Writes all of it down or nothing.
    pub fn commit(&mut self, memos: &[Memo], notes: &[(&str, String)]) -> Result<(), StateError> {
        let transaction = self.connection.transaction()?;
        correlation::write(&transaction, memos)?;
        for (name, value) in notes {
            transaction
                .prepare_cached(
                    "INSERT INTO note (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
                )?
                .execute([*name, value])?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// A new file becomes a notebook; every other file stays what it is.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {} CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL);
             PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;",
            correlation::TABLES
        ))?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Survives the end of the process at any point; a power cut may cost the last notes, never their order.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -65_536)
}
