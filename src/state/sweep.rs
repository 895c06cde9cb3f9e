//! When bytes were last read as a whole, and which are to be read next.

use jiff::Timestamp;
use rusqlite::params;

use super::inventory::time;
use super::{State, StateError};

/// A record whose bytes are due to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub key: String,
    /// Bytes, as they were.
    pub size: u64,
    pub verified: Timestamp,
}

impl State {
    /// Records of a source whose bytes were read longest ago, before a time, the oldest first.
    pub fn due(&self, source: &str, before: Timestamp, most: usize) -> Result<Vec<Due>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT r.key, b.size, r.verified FROM record r JOIN blob b ON b.id = r.blob
             WHERE r.source = ?1 AND r.verified < ?2 AND r.blob IS NOT NULL ORDER BY r.verified LIMIT ?3",
        )?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let found = statement.query_map(params![source, before.as_millisecond(), most], |row| {
            Ok(Due {
                key: row.get(0)?,
                size: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
                verified: time(row, 2)?,
            })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// When the bytes of that record of a source were read that was read longest ago, of those that lie at
    /// or below a path; `None` where there are none.
    pub fn verified_since(&self, source: &str, prefix: &str) -> Result<Option<Timestamp>, StateError> {
        let connection = self.lock();
        // The order of the index finds the oldest at once, where the source has no more than one prefix.
        let mut statement = connection.prepare_cached(
            "SELECT verified FROM record WHERE source = ?1 AND blob IS NOT NULL
               AND (?2 IN ('', '/', key) OR substr(key, 1, length(?2) + 1) = ?2 || '/')
             ORDER BY verified LIMIT 1",
        )?;
        let mut rows = statement.query(params![source, prefix])?;
        Ok(rows.next()?.map(|row| time(row, 0)).transpose()?)
    }
}
