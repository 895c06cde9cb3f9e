//! What is kept of bytes so that they can be compared with later ones after they are gone.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{State, StateError};
use crate::event::{Difference, Grade, Portrait, Sha256};

/// Differences kept of one pair.
const DIFFERENCES_MAX: usize = 256;

/// What differs between bytes and those that came after them.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    pub parent: Sha256,
    pub child: Sha256,
    pub differences: Vec<Difference>,
}

impl State {
    /// What is kept of these bytes.
    pub fn portrait(&self, sha256: &Sha256) -> Result<Option<Portrait>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT p.outline, p.measured FROM portrait p JOIN blob b ON b.id = p.blob WHERE b.sha256 = ?1",
        )?;
        let found = statement
            .query_row([sha256.as_bytes()], |row| Ok(Portrait { outline: row.get(0)?, measured: row.get(1)? }))
            .optional()?;
        Ok(found)
    }

    /// What differs between two blobs, as it was told.
    pub fn edge(&self, parent: &Sha256, child: &Sha256) -> Result<Option<Vec<Difference>>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT e.differences FROM edge e JOIN blob p ON p.id = e.parent JOIN blob c ON c.id = e.child
             WHERE p.sha256 = ?1 AND c.sha256 = ?2",
        )?;
        let text: Option<String> =
            statement.query_row([parent.as_bytes(), child.as_bytes()], |row| row.get(0)).optional()?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// The secret of this installation under a name, 32 bytes, made with the database.
    pub fn secret(&self, name: &str) -> Result<[u8; 32], StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT value FROM secret WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0))?)
    }

    /// Forgets portraits of bytes that no record has, that nobody approved, and that went away before a time.
    pub fn prune_portraits(&self, before: Timestamp) -> Result<usize, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "DELETE FROM portrait WHERE time < ?1
               AND NOT EXISTS (SELECT 1 FROM record r WHERE r.blob = portrait.blob)
               AND NOT EXISTS (SELECT 1 FROM approved_file f JOIN blob b ON b.sha256 = f.sha256 WHERE b.id = portrait.blob)
               AND NOT EXISTS (SELECT 1 FROM history h WHERE h.blob = portrait.blob AND h.time >= ?1)",
        )?;
        Ok(statement.execute([before.as_millisecond()])?)
    }
}

/// Keeps a portrait beside its blob.
pub(super) fn keep(connection: &Connection, blob: i64, portrait: &Portrait, now: i64) -> rusqlite::Result<()> {
    if portrait.is_empty() {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO portrait (blob, outline, measured, time) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (blob) DO UPDATE SET outline = coalesce(?2, outline), measured = coalesce(?3, measured), time = ?4",
        )?
        .execute(params![blob, portrait.outline, portrait.measured, now])
        .map(drop)
}

/// Keeps what differs between two blobs; one that is not known any more has no edge.
pub(super) fn keep_edge(connection: &Connection, edge: &Edge, now: i64) -> rusqlite::Result<()> {
    let kept = edge.differences.get(..edge.differences.len().min(DIFFERENCES_MAX)).unwrap_or_default();
    let grade = kept.iter().map(|difference| difference.grade).max().unwrap_or(Grade::Routine);
    let text = serde_json::to_string(kept).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO edge (parent, child, grade, differences, time)
             SELECT p.id, c.id, ?3, ?4, ?5 FROM blob p, blob c WHERE p.sha256 = ?1 AND c.sha256 = ?2",
        )?
        .execute(params![edge.parent.as_bytes(), edge.child.as_bytes(), grade.as_str(), text, now])
        .map(drop)
}
