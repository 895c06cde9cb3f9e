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

/// What became of hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Each is on the disk under this number; `None` is one that came before.
    Taken(Vec<Option<i64>>),
    /// So many wait already.
    Full,
}

impl State {
    /// Puts hints that came together on the disk, all of them or none. `delivery` is what their sender calls the whole,
    /// where it has a name, and each may have one of its own; no more than `most` may wait for one source.
    pub fn keep_hints(
        &self,
        source: &str,
        delivery: Option<&str>,
        hints: &[(Option<&str>, &str)],
        most: usize,
    ) -> Result<Kept, StateError> {
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
        let size = |body: &str| i64::try_from(body.len()).unwrap_or(i64::MAX);
        let all = hints.iter().fold(bytes, |all, (_, body)| all.saturating_add(size(body)));
        let room = usize::try_from(waiting).is_ok_and(|waiting| waiting < most);
        if !room || all > BYTES_MAX {
            return Ok(Kept::Full);
        }
        let first = |name: &str| -> rusqlite::Result<bool> {
            let added = transaction
                .prepare_cached("INSERT INTO delivery (source, name, time) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
                .execute(params![source, name, now])?;
            Ok(added > 0)
        };
        if let Some(delivery) = delivery
            && !first(delivery)?
        {
            return Ok(Kept::Taken(vec![None; hints.len()]));
        }
        let mut taken = Vec::with_capacity(hints.len());
        for (name, body) in hints {
            if let Some(name) = name
                && !first(name)?
            {
                taken.push(None);
                continue;
            }
            transaction
                .prepare_cached("INSERT INTO hint (source, bytes, time, body) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![source, size(body), now, body])?;
            taken.push(Some(transaction.last_insert_rowid()));
        }
        transaction.commit()?;
        Ok(Kept::Taken(taken))
    }

    /// Hints of a source that were not followed yet, as JSON, in the order in which they came.
    pub fn hints(&self, source: &str) -> Result<Vec<(i64, String)>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT id, body FROM hint WHERE source = ?1 ORDER BY id")?;
        let rows = statement.query_map([source], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What a hint spoke of was looked at.
    pub fn forget_hint(&self, id: i64) -> Result<(), StateError> {
        let connection = self.lock();
        connection.prepare_cached("DELETE FROM hint WHERE id = ?1")?.execute([id])?;
        Ok(())
    }
}
