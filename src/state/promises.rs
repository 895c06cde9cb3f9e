//! What was said once of records and must hold, and is said no longer: the record went away, or a later word left it out.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{State, StateError};
use crate::event::{Fields, value};

/// The table. A step of the schema: a change of it is a further step.
pub const TABLES: &str = "
    CREATE TABLE promise (
        source TEXT NOT NULL,
        key TEXT NOT NULL,
        fields TEXT NOT NULL,   -- as JSON
        time INTEGER NOT NULL,  -- since when it is said no longer, milliseconds since 1970
        PRIMARY KEY (source, key)
    ) WITHOUT ROWID;
";

/// Records of one source whose words are kept; what was left out longest ago is forgotten first.
const KEPT_MAX: i64 = 100_000;

/// What is said no longer of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Promise {
    pub key: String,
    /// Nothing: all is said again.
    pub fields: Fields,
}

impl State {
    /// What was said of a record and is said no longer, and since when.
    pub fn promise(&self, source: &str, key: &str) -> Result<Option<(Fields, i64)>, StateError> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT fields, time FROM promise WHERE source = ?1 AND key = ?2")?;
        let row = statement.query_row([source, key], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).optional()?;
        Ok(row.and_then(|(text, time)| Some((serde_json::from_str(&text).map(value::from_json).ok()?, time))))
    }
}

pub(super) fn keep(transaction: &Transaction<'_>, source: &str, promise: &Promise, now: i64) -> rusqlite::Result<()> {
    let Promise { key, fields } = promise;
    if fields.is_empty() {
        let mut statement = transaction.prepare_cached("DELETE FROM promise WHERE source = ?1 AND key = ?2")?;
        return statement.execute([source, key]).map(drop);
    }
    transaction
        .prepare_cached(
            "INSERT INTO promise (source, key, fields, time) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (source, key) DO UPDATE SET fields = ?3, time = ?4",
        )?
        .execute(params![source, key, value::to_json(fields).to_string(), now])
        .map(drop)
}

/// Forgets what is too much; how many records that concerns.
pub(super) fn prune(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    transaction.execute(
        "DELETE FROM promise WHERE (source, key) IN
             (SELECT source, key FROM
                 (SELECT source, key, row_number() OVER (PARTITION BY source ORDER BY time DESC) AS age FROM promise)
              WHERE age > ?1)",
        [KEPT_MAX],
    )
}
