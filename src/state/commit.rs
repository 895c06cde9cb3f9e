//! The one transaction: what was seen, how far it was read, and what it led to.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::portraits::{self, Edge};
use super::promises::{self, Promise};
use super::{Blob, State, StateError, correlation, inventory};
use crate::event::correlation::Memo;
use crate::event::{Alert, Checkpoint, Fields, Portrait, RecordKind, Sha256, value};

/// All that one observation led to, with the change of state that it earns.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    pub source: String,
    /// When the agent saw it.
    pub seen: Timestamp,
    pub records: Vec<RecordChange>,
    /// What differs between bytes and those that came after them.
    pub edges: Vec<Edge>,
    /// What is said no longer of records, in place of what was kept of it.
    pub promises: Vec<Promise>,
    pub checkpoints: Vec<Checkpoint>,
    /// Hints that said it, and were the only ones to: they need not be kept any longer.
    pub hints: Vec<i64>,
    /// The source's first listing is complete.
    pub listed: bool,
    /// Subjects that are as they should be: what is found there from now on is told anew.
    pub settled: Vec<String>,
    pub alerts: Vec<Raised>,
    /// Signatures that were checked.
    pub signatures: Vec<super::signatures::Checked>,
    /// Places of models whose signature is asked for no more.
    pub unsigned: Vec<String>,
    /// What correlations remember of it.
    pub memos: Vec<Memo>,
}

/// A change of one record.
#[derive(Debug, Clone)]
pub enum RecordChange {
    Put(Box<Seen>),
    Remove {
        key: String,
    },
    /// Its bytes were read as a whole, and are the same.
    Verified {
        key: String,
    },
}

/// A record as it was just seen.
#[derive(Debug, Clone)]
pub struct Seen {
    pub key: String,
    pub kind: RecordKind,
    pub signature: String,
    pub subject: String,
    pub lineage: Option<String>,
    pub path: Option<String>,
    pub version: Option<String>,
    pub blob: Option<Blob>,
    /// What is kept of the bytes to compare later ones with.
    pub portrait: Portrait,
    /// The bytes were read as a whole just now.
    pub read: bool,
    pub attributes: Fields,
}

/// An alert with what decides whether it is told again.
#[derive(Debug, Clone)]
pub struct Raised {
    pub alert: Alert,
    /// Alerts with the same key are one finding.
    pub repeat_key: String,
    /// The same finding is told again only so many milliseconds after it was told.
    pub repeat_after_millis: i64,
}

/// What a commit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Alerts that entered the outbox: rule and severity.
    pub raised: Vec<(String, &'static str)>,
    /// Rules whose alert was a repeat.
    pub repeated: Vec<String>,
}

impl State {
    /// Commits all of it or nothing. On an error the caller keeps the commits and tries again.
    pub fn commit(&self, commits: &[Commit]) -> Result<Committed, StateError> {
        let mut connection = self.lock();
        let alerts = commits.iter().any(|commit| !commit.alerts.is_empty());
        // Alerts must survive a power cut; what can be seen again need not.
        connection.pragma_update(None, "synchronous", if alerts { "FULL" } else { "NORMAL" })?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut committed = Committed::default();
        for commit in commits {
            write(&transaction, commit, &mut committed)?;
        }
        transaction.commit()?;
        Ok(committed)
    }
}

fn write(transaction: &Transaction<'_>, commit: &Commit, committed: &mut Committed) -> rusqlite::Result<()> {
    let now = commit.seen.as_millisecond();
    for change in &commit.records {
        match change {
            RecordChange::Put(seen) => put(transaction, &commit.source, seen, now)?,
            RecordChange::Remove { key } => remove(transaction, &commit.source, key, now)?,
            RecordChange::Verified { key } => verified(transaction, &commit.source, key, now)?,
        }
    }
    for promise in &commit.promises {
        promises::keep(transaction, &commit.source, promise, now)?;
    }
    for checked in &commit.signatures {
        super::signatures::keep(transaction, checked, now)?;
    }
    for place in &commit.unsigned {
        super::signatures::forget(transaction, place)?;
    }
    for edge in &commit.edges {
        portraits::keep_edge(transaction, edge, now)?;
    }
    for hint in &commit.hints {
        transaction.prepare_cached("DELETE FROM hint WHERE id = ?1")?.execute([hint])?;
    }
    for checkpoint in &commit.checkpoints {
        keep_checkpoint(transaction, &commit.source, checkpoint)?;
    }
    if commit.listed {
        transaction
            .prepare_cached("INSERT INTO listed (source, time) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![commit.source, now])?;
    }
    for subject in &commit.settled {
        transaction
            .prepare_cached("DELETE FROM repeat WHERE alert IN (SELECT id FROM alert WHERE subject = ?1)")?
            .execute([subject])?;
    }
    for raised in &commit.alerts {
        raise(transaction, raised, now, committed)?;
    }
    correlation::write(transaction, &commit.memos)
}

fn put(transaction: &Transaction<'_>, source: &str, seen: &Seen, now: i64) -> rusqlite::Result<()> {
    let blob = seen.blob.as_ref().map(|blob| keep_blob(transaction, blob)).transpose()?;
    if let Some(blob) = blob {
        portraits::keep(transaction, blob, &seen.portrait, now)?;
    }
    let before: Option<Option<i64>> = transaction
        .prepare_cached("SELECT blob FROM record WHERE source = ?1 AND key = ?2")?
        .query_row([source, &seen.key], |row| row.get(0))
        .optional()?;
    transaction
        .prepare_cached(
            "INSERT INTO record (source, key, kind, signature, subject, lineage, path, version, blob, first_blob,
                 attributes, generation, first_seen, last_changed, verified)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, 1, ?11, ?11, ?11)
             ON CONFLICT (source, key) DO UPDATE SET kind = ?3, signature = ?4, subject = ?5, lineage = ?6,
                 path = ?7, version = ?8, blob = ?9, first_blob = coalesce(first_blob, ?9), attributes = ?10,
                 generation = generation + 1, last_changed = ?11,
                 verified = CASE WHEN ?12 OR verified IS NULL THEN ?11 ELSE verified END",
        )?
        .execute(params![
            source,
            seen.key,
            kind_text(seen.kind),
            seen.signature,
            seen.subject,
            seen.lineage,
            seen.path,
            seen.version,
            blob,
            value::to_json(&seen.attributes).to_string(),
            now,
            seen.read,
        ])?;
    super::identity::keep(transaction, source, seen, before.is_some(), now)?;
    match (&seen.lineage, blob) {
        (Some(lineage), Some(blob)) if before.flatten() != Some(blob) => {
            let path = seen.path.as_deref().unwrap_or(&seen.key);
            note_history(transaction, source, lineage, seen.version.as_deref(), path, Some(blob), now)
        }
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

fn remove(transaction: &Transaction<'_>, source: &str, key: &str, now: i64) -> rusqlite::Result<()> {
    super::identity::forget(transaction, source, key)?;
    let gone = transaction
        .prepare_cached("DELETE FROM record WHERE source = ?1 AND key = ?2 RETURNING lineage, version, path, blob")?
        .query_row([source, key], |row| {
            Ok((
                row.get::<_, Option<String>>(0)?,
                row.get::<_, Option<String>>(1)?,
                row.get::<_, Option<String>>(2)?,
                row.get::<_, Option<i64>>(3)?,
            ))
        })
        .optional()?;
    match gone {
        Some((Some(lineage), version, path, Some(_))) => {
            let path = path.as_deref().unwrap_or(key);
            note_history(transaction, source, &lineage, version.as_deref(), path, None, now)
        }
        Some(_) | None => Ok(()),
    }
}

fn verified(transaction: &Transaction<'_>, source: &str, key: &str, now: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE record SET verified = ?3 WHERE source = ?1 AND key = ?2")?
        .execute(params![source, key, now])
        .map(drop)
}

fn note_history(
    transaction: &Transaction<'_>,
    source: &str,
    lineage: &str,
    version: Option<&str>,
    path: &str,
    blob: Option<i64>,
    now: i64,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO history (source, lineage, version, path, blob, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![source, lineage, version, path, blob, now])
        .map(drop)
}

pub(super) fn keep_blob(connection: &Connection, blob: &Blob) -> rusqlite::Result<i64> {
    let to_text = |result: serde_json::Result<String>| {
        result.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    };
    connection
        .prepare_cached(
            "INSERT INTO blob (sha256, size, format, report, segments, inspector, hint) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (sha256) DO UPDATE SET format = ?3, report = ?4, segments = ?5, inspector = ?6, hint = ?7
             RETURNING id",
        )?
        .query_row(
            params![
                blob.sha256.as_bytes(),
                i64::try_from(blob.size).unwrap_or(i64::MAX),
                blob.report.format,
                to_text(serde_json::to_string(&blob.report))?,
                to_text(serde_json::to_string(&blob.segments))?,
                inventory::INSPECTOR,
                blob.hint,
            ],
            |row| row.get(0),
        )
}

fn keep_checkpoint(connection: &Connection, source: &str, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
    if checkpoint.position.is_null() {
        connection
            .prepare_cached("DELETE FROM checkpoint WHERE source = ?1 AND key = ?2")?
            .execute(params![source, checkpoint.key])?;
    } else {
        connection
            .prepare_cached(
                "INSERT INTO checkpoint (source, key, position) VALUES (?1, ?2, ?3)
                 ON CONFLICT (source, key) DO UPDATE SET position = ?3",
            )?
            .execute(params![source, checkpoint.key, checkpoint.position.to_string()])?;
    }
    Ok(())
}

/// Alerts of one rule about one subject within the time in which repeats are not told: a job that
/// prints a thousand different attacks is told of, not a thousand times.
const TELLINGS_MAX: i64 = 50;

/// Puts an alert into the outbox, unless the same finding was told a short while ago.
fn raise(connection: &Connection, raised: &Raised, now: i64, committed: &mut Committed) -> rusqlite::Result<()> {
    let alert = &raised.alert;
    let told: Option<i64> = connection
        .prepare_cached("SELECT told_time FROM repeat WHERE key = ?1")?
        .query_row([&raised.repeat_key], |row| row.get(0))
        .optional()?;
    let since = now.saturating_sub(raised.repeat_after_millis);
    // A clock that was set back must not silence anything.
    let due = told.is_none_or(|told| told <= since || told > now);
    let many: i64 = connection
        .prepare_cached("SELECT count(*) FROM alert WHERE fingerprint = ?1 AND committed > ?2")?
        .query_row(params![alert.fingerprint, since], |row| row.get(0))?;
    let tell = due && many < TELLINGS_MAX;
    connection
        .prepare_cached(
            "INSERT INTO repeat (key, alert, count, told_time, last_time) VALUES (?1, ?2, 1, ?3, ?3)
             ON CONFLICT (key) DO UPDATE SET count = CASE ?4 WHEN 1 THEN 1 ELSE count + 1 END,
                 alert = CASE ?4 WHEN 1 THEN ?2 ELSE alert END,
                 told_time = CASE ?4 WHEN 1 THEN ?3 ELSE told_time END, last_time = ?3",
        )?
        .execute(params![raised.repeat_key, alert.id, now, tell])?;
    if !tell {
        committed.repeated.push(alert.rule.id.clone());
        return Ok(());
    }
    let body =
        serde_json::to_string(alert).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let added = connection
        .prepare_cached(
            "INSERT INTO alert (id, fingerprint, rule, severity, subject, time, committed, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            alert.id,
            alert.fingerprint,
            alert.rule.id,
            alert.severity.as_str(),
            alert.subject.name,
            alert.time.as_millisecond(),
            now,
            body,
        ])?;
    if added > 0 {
        committed.raised.push((alert.rule.id.clone(), alert.severity.as_str()));
    } else {
        committed.repeated.push(alert.rule.id.clone());
    }
    Ok(())
}

/// The word under which a kind is stored.
pub const fn kind_text(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Artifact => "artifact",
        RecordKind::VersionArtifact => "version_artifact",
        RecordKind::Model => "model",
        RecordKind::ModelVersion => "model_version",
        RecordKind::Webhook => "webhook",
        RecordKind::LoggedModel => "logged_model",
    }
}

/// Digest of nothing but the parts that make two findings the same.
pub fn repeat_key(rule: &str, source: &str, subject: &str, digest: Option<&Sha256>) -> String {
    let digest = digest.map(ToString::to_string).unwrap_or_default();
    crate::event::digest::of_parts(&[rule, source, subject, &digest]).short()
}
