//! The inventory: which bytes were seen where, and what was found in them.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{State, StateError};
use crate::event::{Fields, Report, Segment, Sha256, value};

/// Version of the inspection: raise it when formats or facts change, so that known bytes are
/// looked at again when they are next seen.
pub const INSPECTOR: i64 = 1;

/// Bytes that were seen, and what was found in them.
#[derive(Debug, Clone, PartialEq)]
pub struct Blob {
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
    /// File name under which it was inspected: what a name claims is among the facts.
    pub hint: String,
    pub report: Report,
    pub segments: Vec<Segment>,
}

/// A record as it stands in the inventory.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    pub source: String,
    pub key: String,
    pub kind: String,
    pub signature: String,
    pub subject: String,
    pub lineage: Option<String>,
    pub path: Option<String>,
    pub version: Option<String>,
    pub digest: Option<Sha256>,
    /// Digest when it was first seen.
    pub first_digest: Option<Sha256>,
    pub size: Option<u64>,
    pub format: Option<String>,
    pub attributes: Fields,
    /// Changes so far.
    pub generation: u64,
    pub first_seen: Timestamp,
    pub last_changed: Timestamp,
}

/// One step of a lineage's history.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Step {
    pub source: String,
    pub lineage: String,
    pub version: Option<String>,
    pub path: String,
    /// `None`: it went away.
    pub digest: Option<Sha256>,
    pub size: Option<u64>,
    pub format: Option<String>,
    pub time: Timestamp,
}

/// How far the history of one place goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Last {
    /// 0: it has none.
    pub step: i64,
    pub digest: Option<Sha256>,
    /// When bytes were last put there.
    pub time: Option<Timestamp>,
}

const PLACED: &str = "SELECT r.source, r.key, r.kind, r.signature, r.subject, r.lineage, r.path, r.version, b.sha256,
    CASE WHEN r.first_blob IS r.blob THEN b.sha256 ELSE (SELECT sha256 FROM blob WHERE id = r.first_blob) END,
    b.size, b.format, r.attributes, r.generation, r.first_seen, r.last_changed
    FROM record r LEFT JOIN blob b ON b.id = r.blob";

const STEP: &str = "SELECT h.source, h.lineage, h.version, h.path, b.sha256, b.size, b.format, h.time
    FROM history h LEFT JOIN blob b ON b.id = h.blob";

impl State {
    /// The record with this key.
    pub fn record(&self, source: &str, key: &str) -> Result<Option<Placed>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!("{PLACED} WHERE r.source = ?1 AND r.key = ?2"))?;
        Ok(statement.query_row([source, key], placed).optional()?)
    }

    /// Keys of all records of a source.
    pub fn keys(&self, source: &str) -> Result<Vec<String>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT key FROM record WHERE source = ?1")?;
        let keys = statement.query_map([source], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(keys)
    }

    /// Bytes seen before; `None` when they were not, or an older inspection looked at them.
    pub fn blob(&self, sha256: &Sha256) -> Result<Option<Blob>, StateError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT size, report, segments, hint FROM blob WHERE sha256 = ?1 AND inspector = ?2")?;
        let row = statement
            .query_row(params![sha256.as_bytes(), INSPECTOR], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, String>(3)?,
                ))
            })
            .optional()?;
        // What cannot be read is as good as not there: the bytes are looked at again.
        Ok(row.and_then(|(size, report, segments, hint)| {
            Some(Blob {
                sha256: *sha256,
                size: u64::try_from(size).ok()?,
                hint,
                report: serde_json::from_str(&report).ok()?,
                segments: serde_json::from_str(&segments).ok()?,
            })
        }))
    }

    /// The last bytes of a lineage before now, other than those of the version named.
    pub fn previous(&self, source: &str, lineage: &str, but: Option<&str>) -> Result<Option<Sha256>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT b.sha256 FROM history h JOIN blob b ON b.id = h.blob
             WHERE h.source = ?1 AND h.lineage = ?2 AND (?3 IS NULL OR h.version IS NOT ?3)
             ORDER BY h.id DESC LIMIT 1",
        )?;
        Ok(statement.query_row(params![source, lineage, but], |row| digest(row, 0)).optional()?.flatten())
    }

    /// The last step of a lineage's history at one place, and the last bytes that were there, of one version or any.
    pub fn last_at(&self, source: &str, lineage: &str, path: &str, version: Option<&str>) -> Result<Last, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT max(h.id), (SELECT b.sha256 FROM history l JOIN blob b ON b.id = l.blob
                 WHERE l.source = ?1 AND l.lineage = ?2 AND l.path = ?3 AND (?4 IS NULL OR l.version IS ?4)
                 ORDER BY l.id DESC LIMIT 1)
                 , max(CASE WHEN h.blob IS NOT NULL THEN h.time END)
             FROM history h WHERE h.source = ?1 AND h.lineage = ?2 AND h.path = ?3",
        )?;
        let last = statement.query_row(params![source, lineage, path, version], |row| {
            let time = row.get::<_, Option<i64>>(2)?.and_then(|time| Timestamp::from_millisecond(time).ok());
            Ok(Last { step: row.get::<_, Option<i64>>(0)?.unwrap_or(0), digest: digest(row, 1)?, time })
        })?;
        Ok(last)
    }

    /// Records whose key, path or subject holds the text; all for an empty one.
    pub fn find(&self, text: &str, most: usize) -> Result<Vec<Placed>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "{PLACED} WHERE ?1 = '' OR instr(r.key, ?1) OR instr(r.subject, ?1) OR instr(lower(hex(b.sha256)), ?1)
             ORDER BY r.source, r.key LIMIT ?2"
        ))?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let found = statement.query_map(params![text, most], placed)?.collect::<Result<_, _>>()?;
        Ok(found)
    }

    /// History of the lineages whose name or digest holds the text, oldest first.
    pub fn history(&self, text: &str, most: usize) -> Result<Vec<Step>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "{STEP} WHERE instr(h.lineage, ?1) OR instr(h.path, ?1) OR instr(lower(hex(b.sha256)), ?1)
             ORDER BY h.id DESC LIMIT ?2"
        ))?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut steps: Vec<Step> = statement.query_map(params![text, most], step)?.collect::<Result<_, _>>()?;
        steps.reverse();
        Ok(steps)
    }

    /// Records that have these bytes now, wherever they lie: those that were seen first.
    pub fn places(&self, sha256: &Sha256, most: usize) -> Result<Vec<Placed>, StateError> {
        let connection = self.lock();
        // The order of the index: to have one row sorted by the database takes as long as to find it.
        let mut statement =
            connection.prepare_cached(&format!("{PLACED} WHERE b.sha256 = ?1 ORDER BY r.rowid LIMIT ?2"))?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut found: Vec<Placed> =
            statement.query_map(params![sha256.as_bytes(), most], placed)?.collect::<Result<_, _>>()?;
        found.sort_by(|first, second| (&first.source, &first.key).cmp(&(&second.source, &second.key)));
        Ok(found)
    }

    /// Records of versions of a model in any registry that hold bytes, for one version or for all.
    pub fn version_files(&self, model: &str, version: Option<&str>) -> Result<Vec<Placed>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "{PLACED} WHERE r.kind = 'version_artifact' AND substr(r.lineage, 1, length(?1)) = ?1
             AND (?2 IS NULL OR r.version = ?2) AND r.blob IS NOT NULL ORDER BY r.source, r.key"
        ))?;
        let prefix = format!("{model}/");
        let found = statement.query_map(params![prefix, version], placed)?.collect::<Result<_, _>>()?;
        Ok(found)
    }

    /// Records of files from which a model is served, of one model or of all: those after a source and key, for the
    /// next page.
    pub fn served(&self, model: Option<&str>, after: Option<&Placed>, most: usize) -> Result<Vec<Placed>, StateError> {
        let (source, key) = after.map_or(("", ""), |placed| (&placed.source, &placed.key));
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&served_sql(model.is_some()))?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = match model {
            Some(model) => statement.query_map(params![source, key, most, model], placed)?,
            None => statement.query_map(params![source, key, most], placed)?,
        };
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Records that have bytes. Of a million it takes a while to count them, so that is done again only after
    /// something was written, and no more than a hundredth of the time goes into it.
    pub fn artifacts_count(&self) -> Result<u64, StateError> {
        let connection = self.lock();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = connection.total_changes();
        if let Some(known) = *counted
            && (known.changes == changes || known.at.elapsed() < known.took.saturating_mul(100))
        {
            return Ok(known.count);
        }
        let at = Instant::now();
        let count: i64 =
            connection.query_row("SELECT count(*) FROM record WHERE blob IS NOT NULL", [], |row| row.get(0))?;
        let count = u64::try_from(count).unwrap_or(0);
        *counted = Some(Counted { count, changes, at, took: at.elapsed() });
        Ok(count)
    }
}

/// Asks for what is served: of one model by its index, of all in the order of the table. What is said in other words
/// than the index says it does not go by it, and would have to be sorted for each page.
pub fn served_sql(of_one_model: bool) -> String {
    const SERVED: &str = r#"json_extract(r.attributes, '$."file.served"')"#;
    const NAME: &str = r#"json_extract(r.attributes, '$."ml.model.name"')"#;
    let which = if of_one_model { format!("{SERVED} AND {NAME} = ?4") } else { format!("{SERVED} IS TRUE") };
    format!(
        "{PLACED} WHERE (r.source, r.key) > (?1, ?2) AND r.kind = 'artifact' AND {which}
         ORDER BY r.source, r.key LIMIT ?3"
    )
}

/// How many records had bytes, at which number of changes, when, and how long it took to count them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    count: u64,
    changes: u64,
    at: Instant,
    took: Duration,
}

pub(super) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Sha256>> {
    Ok(row.get::<_, Option<[u8; 32]>>(column)?.map(Sha256::from_bytes))
}

/// A time from milliseconds; the epoch for one that no clock could have told.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_millisecond(row.get(column)?).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.and_then(|number| u64::try_from(number).ok()))
}

fn placed(row: &Row<'_>) -> rusqlite::Result<Placed> {
    let attributes: String = row.get(12)?;
    Ok(Placed {
        source: row.get(0)?,
        key: row.get(1)?,
        kind: row.get(2)?,
        signature: row.get(3)?,
        subject: row.get(4)?,
        lineage: row.get(5)?,
        path: row.get(6)?,
        version: row.get(7)?,
        digest: digest(row, 8)?,
        first_digest: digest(row, 9)?,
        size: unsigned(row, 10)?,
        format: row.get(11)?,
        attributes: serde_json::from_str(&attributes).map(value::from_json).unwrap_or_default(),
        generation: unsigned(row, 13)?.unwrap_or(0),
        first_seen: time(row, 14)?,
        last_changed: time(row, 15)?,
    })
}

fn step(row: &Row<'_>) -> rusqlite::Result<Step> {
    Ok(Step {
        source: row.get(0)?,
        lineage: row.get(1)?,
        version: row.get(2)?,
        path: row.get(3)?,
        digest: digest(row, 4)?,
        size: unsigned(row, 5)?,
        format: row.get(6)?,
        time: time(row, 7)?,
    })
}
