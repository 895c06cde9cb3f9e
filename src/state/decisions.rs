//! The log of decisions, so that what lies there already is judged again when one is made.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::{State, StateError};

/// The table. A step of the schema: a change of it is a further step.
pub const TABLES: &str = r#"
    CREATE TABLE decision (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        model TEXT NOT NULL,
        time INTEGER NOT NULL   -- when it was written here, milliseconds since 1970
    );
    -- What was said of a subject is said anew once its approved bytes were back.
    CREATE INDEX alert_subject ON alert (subject);
    CREATE INDEX repeat_alert ON repeat (alert);
    -- What is served of a model is asked for with each decision.
    CREATE INDEX record_served ON record (json_extract(attributes, '$."ml.model.name"'), source, key)
        WHERE kind = 'artifact' AND json_extract(attributes, '$."file.served"');
"#;

/// What was decided in this time is kept, for whoever leaves a new decision alone for a while.
const KEPT_MILLIS: i64 = 2 * 3_600_000;

/// Something was decided about a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub id: i64,
    pub model: String,
}

impl State {
    /// Decisions after one, written at least so many milliseconds ago; the oldest first. A time in the future is of
    /// a clock that was set back since.
    pub fn decisions(&self, after: i64, age_millis: i64, most: usize) -> Result<Vec<Decision>, StateError> {
        let now = crate::base::clock::now().as_millisecond();
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT id, model, time FROM decision WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let found = statement.query_map(params![after, most], |row| {
            Ok((Decision { id: row.get(0)?, model: row.get(1)? }, row.get::<_, i64>(2)?))
        })?;
        let mut due = Vec::new();
        for row in found {
            let (decision, time) = row?;
            if time <= now && time > now.saturating_sub(age_millis) {
                break;
            }
            due.push(decision);
        }
        Ok(due)
    }

    /// Models about which something was decided after a decision.
    pub fn decided_after(&self, decision: i64) -> Result<BTreeSet<String>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT DISTINCT model FROM decision WHERE id > ?1")?;
        let models = statement.query_map([decision], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(models)
    }
}

/// Notes a decision. Older ones about the same model say nothing more: all of it is judged again.
pub(super) fn note(connection: &Connection, model: &str) -> rusqlite::Result<()> {
    let now = crate::base::clock::now().as_millisecond();
    connection
        .prepare_cached("DELETE FROM decision WHERE model = ?1 AND time < ?2")?
        .execute(params![model, now.saturating_sub(KEPT_MILLIS)])?;
    connection
        .prepare_cached("INSERT INTO decision (model, time) VALUES (?1, ?2)")?
        .execute(params![model, now])
        .map(drop)
}
