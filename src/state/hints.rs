//! Hints that were taken from outside and not followed yet: whoever gave one was told that it is safe here.

use rusqlite::params;

use super::{State, StateError};

/// The tables. A step of the schema: a change of them is a further step.
pub const TABLES: &str = "
    CREATE TABLE hint (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        source TEXT NOT NULL,
        bytes INTEGER NOT NULL, -- of the body
        time INTEGER NOT NULL,  -- when it came, milliseconds since 1970
        body TEXT NOT NULL      -- as JSON
    );
    CREATE INDEX hint_source ON hint (source, id);
    -- Deliveries that came, so that none is followed twice.
    CREATE TABLE delivery (
        source TEXT NOT NULL,
        name TEXT NOT NULL,     -- as the sender calls it
        time INTEGER NOT NULL,
        PRIMARY KEY (source, name)
    ) WITHOUT ROWID;
    CREATE INDEX delivery_time ON delivery (time);
";

/// Deliveries are remembered for longer than a signature of one is accepted.
const REMEMBERED_MILLIS: i64 = 3_600_000;

/// Bytes of hints of one source that wait.
const BYTES_MAX: i64 = 64 << 20;

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is on the disk, under this number.
    New(i64),
    /// The same delivery came before.
    Known,
    /// So many wait already.
    Full,
}

impl State {
    /// Puts a hint on the disk. `delivery` is what its sender calls it, where it has a name; no more than `most` may
    /// wait for one source.
    pub fn keep_hint(&self, source: &str, delivery: Option<&str>, body: &str, most: usize) -> Result<Kept, StateError> {
        let now = crate::base::clock::now().as_millisecond();
        let mut connection = self.lock();
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction()?;
        transaction
            .prepare_cached("DELETE FROM delivery WHERE time < ?1 OR time > ?2")?
            .execute(params![now.saturating_sub(REMEMBERED_MILLIS), now.saturating_add(REMEMBERED_MILLIS)])?;
        let (waiting, bytes): (i64, i64) = transaction
            .prepare_cached("SELECT count(*), coalesce(sum(bytes), 0) FROM hint WHERE source = ?1")?
            .query_row([source], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let size = i64::try_from(body.len()).unwrap_or(i64::MAX);
        if usize::try_from(waiting).is_ok_and(|waiting| waiting >= most) || bytes.saturating_add(size) > BYTES_MAX {
            return Ok(Kept::Full);
        }
        if let Some(delivery) = delivery {
            let added = transaction
                .prepare_cached("INSERT INTO delivery (source, name, time) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
                .execute(params![source, delivery, now])?;
            if added == 0 {
                return Ok(Kept::Known);
            }
        }
        transaction
            .prepare_cached("INSERT INTO hint (source, bytes, time, body) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![source, size, now, body])?;
        let id = transaction.last_insert_rowid();
        transaction.commit()?;
        Ok(Kept::New(id))
    }

    /// Hints of a source that were not followed yet, in the order in which they came.
    pub fn hints(&self, source: &str) -> Result<Vec<(i64, serde_json::Value)>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT id, body FROM hint WHERE source = ?1 ORDER BY id")?;
        let rows = statement.query_map([source], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        let mut hints = Vec::new();
        for row in rows {
            let (id, body) = row?;
            // One that cannot be read is still a reason to look.
            hints.push((id, serde_json::from_str(&body).unwrap_or_default()));
        }
        Ok(hints)
    }

    /// What a hint spoke of was looked at.
    pub fn forget_hint(&self, id: i64) -> Result<(), StateError> {
        let connection = self.lock();
        connection.prepare_cached("DELETE FROM hint WHERE id = ?1")?.execute([id])?;
        Ok(())
    }
}
