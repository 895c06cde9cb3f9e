//! What correlations remember, row by row, in the same transaction as what their events led to.
//!
//! Rows, not one picture of all of it: stages of several sources commit in any order, and each
//! brings its own events.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::{State, StateError};
use crate::event::correlation::{Counted, GroupKey, Memo};

/// The tables. Part of a step of the schema: a change of them is a further step.
pub const TABLES: &str = "
    -- Correlations by what they ask: the rule's id with a digest of its plan.
    CREATE TABLE correlation (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
    CREATE TABLE correlation_group (
        correlation INTEGER NOT NULL,
        grp BLOB NOT NULL,          -- digest of the folded values
        \"values\" TEXT NOT NULL,   -- as first written, as JSON
        source TEXT NOT NULL,       -- that it last heard of
        PRIMARY KEY (correlation, grp)
    ) WITHOUT ROWID;
    -- Events that count.
    CREATE TABLE correlation_entry (
        correlation INTEGER NOT NULL,
        grp BLOB NOT NULL,
        time INTEGER NOT NULL,      -- of the event, milliseconds since 1970
        seq INTEGER NOT NULL,       -- order of arrival
        part INTEGER NOT NULL,      -- which of the rules
        event INTEGER NOT NULL,     -- digest of the event's id
        value TEXT NOT NULL,
        evidence TEXT,
        PRIMARY KEY (correlation, grp, time, seq, part)
    ) WITHOUT ROWID;
    -- Windows that were told, by their end.
    CREATE TABLE correlation_fired (
        correlation INTEGER NOT NULL,
        grp BLOB NOT NULL,
        time INTEGER NOT NULL,
        PRIMARY KEY (correlation, grp, time)
    ) WITHOUT ROWID;
    -- How far event time has come, by source; and the number of the next arrival, under no source.
    CREATE TABLE correlation_clock (kind TEXT NOT NULL, source TEXT NOT NULL, value INTEGER NOT NULL,
        PRIMARY KEY (kind, source)) WITHOUT ROWID;
";

impl State {
    /// Everything that correlations remember, in the order in which it can be restored.
    pub fn remembered(&self, take: &mut dyn FnMut(Memo)) -> Result<(), StateError> {
        read(&self.lock(), take)
    }
}

/// Writes changes down, in their order.
pub fn write(connection: &Connection, memos: &[Memo]) -> rusqlite::Result<()> {
    // Most memos in a row are of one correlation.
    let mut last: Option<(Arc<str>, i64)> = None;
    for memo in memos {
        let id = match (key_of(memo), &last) {
            (None, _) => 0,
            (Some(key), Some((known, id))) if key == known => *id,
            (Some(key), _) => {
                let id = number(connection, key)?;
                last = Some((Arc::clone(key), id));
                id
            }
        };
        write_one(connection, id, memo)?;
        if matches!(memo, Memo::Drop { .. }) {
            last = None;
        }
    }
    Ok(())
}

const fn key_of(memo: &Memo) -> Option<&Arc<str>> {
    match memo {
        Memo::Group { correlation, .. }
        | Memo::Count { correlation, .. }
        | Memo::Strip { correlation, .. }
        | Memo::Fired { correlation, .. }
        | Memo::Trim { correlation, .. }
        | Memo::Forget { correlation, .. }
        | Memo::Drop { correlation } => Some(correlation),
        Memo::Watermark { .. } | Memo::Next { .. } => None,
    }
}

fn number(connection: &Connection, key: &str) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO correlation (key) VALUES (?1) ON CONFLICT (key) DO UPDATE SET key = key RETURNING id",
        )?
        .query_row([key], |row| row.get(0))
}

fn write_one(connection: &Connection, id: i64, memo: &Memo) -> rusqlite::Result<()> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| connection.prepare_cached(sql)?.execute(values).map(drop);
    match memo {
        Memo::Group { group, values, source, .. } => {
            let values = serde_json::Value::from(values.as_slice()).to_string();
            run(
                "INSERT INTO correlation_group (correlation, grp, \"values\", source) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET source = ?4",
                params![id, group.0, values, source],
            )
        }
        Memo::Count { group, counted, .. } => run(
            "INSERT OR IGNORE INTO correlation_entry (correlation, grp, time, seq, part, event, value, evidence)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                id,
                group.0,
                counted.time,
                counted.seq,
                counted.part,
                counted.event,
                counted.value,
                counted.evidence
            ],
        ),
        Memo::Strip { group, time, seq, part, .. } => run(
            "UPDATE correlation_entry SET evidence = NULL
             WHERE correlation = ?1 AND grp = ?2 AND time = ?3 AND seq = ?4 AND part = ?5",
            params![id, group.0, time, seq, part],
        ),
        Memo::Fired { group, time, .. } => run(
            "INSERT OR IGNORE INTO correlation_fired (correlation, grp, time) VALUES (?1, ?2, ?3)",
            params![id, group.0, time],
        ),
        Memo::Trim { group, time, seq, fired_before, .. } => {
            run(
                "DELETE FROM correlation_entry WHERE correlation = ?1 AND grp = ?2 AND (time, seq) < (?3, ?4)",
                params![id, group.0, time, seq],
            )?;
            run(
                "DELETE FROM correlation_fired WHERE correlation = ?1 AND grp = ?2 AND time < ?3",
                params![id, group.0, fired_before],
            )
        }
        Memo::Forget { group, .. } => {
            for table in ["group", "entry", "fired"] {
                let sql = format!("DELETE FROM correlation_{table} WHERE correlation = ?1 AND grp = ?2");
                run(&sql, params![id, group.0])?;
            }
            Ok(())
        }
        Memo::Drop { .. } => {
            for table in ["group", "entry", "fired"] {
                run(&format!("DELETE FROM correlation_{table} WHERE correlation = ?1"), params![id])?;
            }
            run("DELETE FROM correlation WHERE id = ?1", params![id])
        }
        Memo::Watermark { source, time } => clock(connection, "watermark", source, *time),
        Memo::Next { seq } => clock(connection, "next", "", *seq),
    }
}

/// Neither event time nor the order of arrival goes back, in whatever order commits come.
fn clock(connection: &Connection, kind: &str, source: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO correlation_clock (kind, source, value) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET value = max(value, ?3)",
        )?
        .execute(params![kind, source, value])
        .map(drop)
}

/// Groups first, then their entries in the order of time and arrival.
pub fn read(connection: &Connection, take: &mut dyn FnMut(Memo)) -> Result<(), StateError> {
    each(connection, "SELECT kind, source, value FROM correlation_clock", take, |row| {
        let (kind, source, value) = (row.get::<_, String>(0)?, row.get(1)?, row.get(2)?);
        let watermark = kind == "watermark";
        Ok(if watermark { Memo::Watermark { source, time: value } } else { Memo::Next { seq: value } })
    })?;
    let joined = |columns: &str, table: &str, order: &str| {
        format!(
            "SELECT c.key, r.grp, {columns} FROM {table} r JOIN correlation c ON c.id = r.correlation ORDER BY r.correlation, r.grp{order}"
        )
    };
    each(connection, &joined("r.\"values\", r.source", "correlation_group", ""), take, |row| {
        let (correlation, group) = place(row)?;
        // Values that cannot be read cost the group its words, not its count.
        let values = serde_json::from_str(&row.get::<_, String>(2)?).unwrap_or_default();
        Ok(Memo::Group { correlation, group, values, source: row.get(3)? })
    })?;
    let entries =
        joined("r.time, r.seq, r.part, r.event, r.value, r.evidence", "correlation_entry", ", r.time, r.seq, r.part");
    each(connection, &entries, take, |row| {
        let (correlation, group) = place(row)?;
        let counted = Counted {
            time: row.get(2)?,
            seq: row.get(3)?,
            part: row.get(4)?,
            event: row.get(5)?,
            value: row.get(6)?,
            evidence: row.get(7)?,
        };
        Ok(Memo::Count { correlation, group, counted })
    })?;
    each(connection, &joined("r.time", "correlation_fired", ", r.time"), take, |row| {
        let (correlation, group) = place(row)?;
        Ok(Memo::Fired { correlation, group, time: row.get(2)? })
    })
}

fn each(
    connection: &Connection,
    sql: &str,
    take: &mut dyn FnMut(Memo),
    memo: impl Fn(&Row<'_>) -> rusqlite::Result<Memo>,
) -> Result<(), StateError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(memo(row)?);
    }
    Ok(())
}

fn place(row: &Row<'_>) -> rusqlite::Result<(Arc<str>, GroupKey)> {
    Ok((row.get::<_, String>(0)?.into(), GroupKey(row.get(1)?)))
}
