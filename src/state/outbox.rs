//! The outbox: alerts in order, a cursor for each sink, and what sinks refused.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{State, StateError, inventory::time};
use crate::event::Alert;

/// An alert as it lies in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its place in the order of all alerts.
    pub seq: i64,
    pub committed: Timestamp,
    pub alert: Alert,
    /// How often the finding was seen since it was told.
    pub count: u64,
}

/// An alert that a sink refused for good.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct DeadLetter {
    pub sink: String,
    pub seq: i64,
    pub alert: String,
    pub rule: String,
    pub reason: String,
    pub time: Timestamp,
}

const STORED: &str = "SELECT a.seq, a.committed, a.body, coalesce(r.count, 1)
    FROM alert a LEFT JOIN repeat r ON r.alert = a.id";

impl State {
    /// Makes a sink known. A new one begins with the next alert, not with all there ever were;
    /// returns its cursor.
    pub fn sink_cursor(&self, sink: &str) -> Result<i64, StateError> {
        let connection = self.lock();
        connection.execute(
            "INSERT INTO sink (name, cursor) VALUES (?1, (SELECT coalesce(max(seq), 0) FROM alert))
             ON CONFLICT DO NOTHING",
            [sink],
        )?;
        Ok(connection.query_row("SELECT cursor FROM sink WHERE name = ?1", [sink], |row| row.get(0))?)
    }

    /// Alerts after a cursor, in order.
    pub fn alerts_after(&self, cursor: i64, most: usize) -> Result<Vec<Stored>, StateError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.stored(&format!("{STORED} WHERE a.seq > ?1 ORDER BY a.seq LIMIT ?2"), params![cursor, most])
    }

    /// Refused alerts for which a person asked another try.
    pub fn alerts_to_retry(&self, sink: &str, most: usize) -> Result<Vec<Stored>, StateError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.stored(
            &format!(
                "{STORED} JOIN dead_letter d ON d.seq = a.seq WHERE d.sink = ?1 AND d.retry = 1 ORDER BY a.seq LIMIT ?2"
            ),
            params![sink, most],
        )
    }

    /// The newest alert of each fingerprint that was told or seen again at or after a time, up to a
    /// cursor.
    pub fn active_alerts(&self, since: Timestamp, cursor: i64, most: usize) -> Result<Vec<Stored>, StateError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.stored(
            &format!(
                "{STORED} WHERE a.seq IN (SELECT max(b.seq) FROM alert b LEFT JOIN repeat s ON s.alert = b.id
                     WHERE max(b.committed, coalesce(s.last_time, 0)) >= ?1 AND b.seq <= ?2 GROUP BY b.fingerprint)
                 ORDER BY a.seq LIMIT ?3"
            ),
            params![since.as_millisecond(), cursor, most],
        )
    }

    /// The sink took everything up to here.
    pub fn advance(&self, sink: &str, cursor: i64) -> Result<(), StateError> {
        let connection = self.lock();
        connection.execute("UPDATE sink SET cursor = max(cursor, ?2) WHERE name = ?1", params![sink, cursor])?;
        Ok(())
    }

    /// The sink refused this one for good: it goes on the list, and the sink goes on.
    pub fn bury(&self, sink: &str, seq: i64, reason: &str, now: Timestamp) -> Result<(), StateError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        transaction.execute(
            "INSERT INTO dead_letter (sink, seq, reason, time) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (sink, seq) DO UPDATE SET reason = ?3, time = ?4, retry = 0",
            params![sink, seq, reason, now.as_millisecond()],
        )?;
        transaction.execute("UPDATE sink SET cursor = max(cursor, ?2) WHERE name = ?1", params![sink, seq])?;
        transaction.commit()?;
        Ok(())
    }

    /// The sink took a refused alert after all.
    pub fn unbury(&self, sink: &str, seq: i64) -> Result<(), StateError> {
        let connection = self.lock();
        connection.execute("DELETE FROM dead_letter WHERE sink = ?1 AND seq = ?2", params![sink, seq])?;
        Ok(())
    }

    /// Marks refused alerts for another try, all or those of one alert; returns how many.
    pub fn retry(&self, alert: Option<&str>) -> Result<usize, StateError> {
        let connection = self.lock();
        Ok(connection.execute(
            "UPDATE dead_letter SET retry = 1
             WHERE ?1 IS NULL OR seq IN (SELECT seq FROM alert WHERE id = ?1)",
            [alert],
        )?)
    }

    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT d.sink, d.seq, a.id, a.rule, d.reason, d.time FROM dead_letter d JOIN alert a ON a.seq = d.seq
             ORDER BY d.sink, d.seq",
        )?;
        let letters = statement
            .query_map([], |row| {
                Ok(DeadLetter {
                    sink: row.get(0)?,
                    seq: row.get(1)?,
                    alert: row.get(2)?,
                    rule: row.get(3)?,
                    reason: row.get(4)?,
                    time: time(row, 5)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        Ok(letters)
    }

    /// The newest alerts, newest first.
    pub fn alerts_newest(&self, most: usize) -> Result<Vec<Stored>, StateError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.stored(&format!("{STORED} ORDER BY a.seq DESC LIMIT ?1"), params![most])
    }

    /// One alert by the beginning of its id.
    pub fn alert(&self, id: &str) -> Result<Option<Stored>, StateError> {
        Ok(self.stored(&format!("{STORED} WHERE substr(a.id, 1, length(?1)) = ?1 LIMIT 1"), params![id])?.pop())
    }

    /// How many alerts a sink has not taken yet, and since when the oldest waits.
    pub fn backlog(&self, cursor: i64) -> Result<(u64, Option<Timestamp>), StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT count(*), min(committed) FROM alert WHERE seq > ?1")?;
        let (count, oldest): (i64, Option<i64>) =
            statement.query_row([cursor], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let oldest = oldest.and_then(|millis| Timestamp::from_millisecond(millis).ok());
        Ok((u64::try_from(count).unwrap_or(0), oldest))
    }

    /// Forgets alerts older than a time that every sink in use has taken, and what would keep their
    /// findings from being told again; returns how many alerts. What is on a dead-letter list stays.
    pub fn prune(&self, before: Timestamp, sinks: &[String]) -> Result<usize, StateError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let mut lowest = i64::MAX;
        for sink in sinks {
            let cursor: Option<i64> = transaction
                .query_row("SELECT cursor FROM sink WHERE name = ?1", [sink], |row| row.get(0))
                .optional()?;
            lowest = lowest.min(cursor.unwrap_or(0));
        }
        let forgotten = transaction.execute(
            "DELETE FROM alert WHERE committed < ?1 AND seq <= ?2 AND seq NOT IN (SELECT seq FROM dead_letter)",
            params![before.as_millisecond(), lowest],
        )?;
        transaction.execute("DELETE FROM repeat WHERE last_time < ?1", [before.as_millisecond()])?;
        // Of each lineage the newest steps stay, and with them the bytes that they name.
        transaction.execute(
            "DELETE FROM history WHERE time < ?1 AND id NOT IN
                 (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY source, lineage ORDER BY id DESC) AS age FROM history)
                  WHERE age <= 10)",
            [before.as_millisecond()],
        )?;
        transaction.execute(
            "DELETE FROM blob WHERE id NOT IN (SELECT blob FROM history WHERE blob IS NOT NULL)
                 AND id NOT IN (SELECT blob FROM record WHERE blob IS NOT NULL)
                 AND id NOT IN (SELECT first_blob FROM record WHERE first_blob IS NOT NULL)",
            [],
        )?;
        let promises = super::promises::prune(&transaction)?;
        transaction.commit()?;
        if promises > 0 {
            tracing::info!(promises, "what was said longest ago of records that are gone was forgotten");
        }
        Ok(forgotten)
    }

    fn stored(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Stored>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map(parameters, read)?.collect::<Result<Vec<_>, _>>()?;
        rows.into_iter().collect()
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Result<Stored, StateError>> {
    let (seq, committed, body) = (row.get(0)?, time(row, 1)?, row.get::<_, String>(2)?);
    let count = u64::try_from(row.get::<_, i64>(3)?).unwrap_or(1);
    Ok(serde_json::from_str(&body)
        .map(|alert| Stored { seq, committed, alert, count })
        .map_err(|error| StateError::Unreadable(format!("alert {seq}: {error}"))))
}
