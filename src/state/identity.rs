//! What bytes are wherever they lie: the same version of a model in a registry, a store and a cache must be the same
//! bytes.

use rusqlite::{Transaction, params};

use super::commit::Seen;
use super::{State, StateError};
use crate::event::record::RecordKind;
use crate::event::{Sha256, digest, identity};

/// The table. A step of the schema: a change of it is a further step.
pub const TABLES: &str = "
    CREATE TABLE identity (
        name BLOB NOT NULL,      -- digest of the identity, 16 bytes
        source TEXT NOT NULL,
        key TEXT NOT NULL,
        sha256 BLOB NOT NULL,    -- of the bytes, or what is promised of them
        fixed INTEGER NOT NULL,  -- whoever bears that name must never change
        place TEXT NOT NULL,     -- where a person finds it
        time INTEGER NOT NULL,   -- since when, milliseconds since 1970
        PRIMARY KEY (name, source, key)
    ) WITHOUT ROWID;
    CREATE INDEX identity_record ON identity (source, key);
";

/// Another place whose bytes should be the same and are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// What both are.
    pub identity: String,
    pub source: String,
    pub key: String,
    pub place: String,
    pub digest: Sha256,
    /// Since when it has these bytes.
    pub seen: jiff::Timestamp,
}

impl State {
    /// Places other than this record that bear one of its identities with other bytes.
    pub fn elsewhere(
        &self,
        identities: &[String],
        record: (&str, &str),
        kind: RecordKind,
        sha256: &Sha256,
        most: usize,
    ) -> Result<Vec<Elsewhere>, StateError> {
        let (source, key) = record;
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT source, key, place, sha256, time FROM identity
             WHERE name = ?1 AND NOT (source = ?2 AND key = ?3) AND sha256 <> ?4 AND (fixed OR ?5)
             ORDER BY source, key LIMIT ?6",
        )?;
        let mut found = Vec::new();
        for name in identities {
            let left = i64::try_from(most.saturating_sub(found.len())).unwrap_or(i64::MAX);
            let fixed = is_fixed(name, kind);
            let mut rows = statement.query(params![short(name), source, key, sha256.as_bytes(), fixed, left])?;
            while let Some(row) = rows.next()? {
                let digest = Sha256::from_bytes(row.get(3)?);
                let seen = jiff::Timestamp::from_millisecond(row.get(4)?).unwrap_or_default();
                let (source, key, place) = (row.get(0)?, row.get(1)?, row.get(2)?);
                found.push(Elsewhere { identity: name.clone(), source, key, place, digest, seen });
            }
        }
        Ok(found)
    }
}

impl State {
    /// Records of a source whose bytes differ from those of another place that bears the same name, by key.
    pub fn differing(&self, source: &str, most: usize) -> Result<Vec<String>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT DISTINCT i.key FROM identity i JOIN identity o
                 ON o.name = i.name AND o.sha256 <> i.sha256 AND (i.fixed OR o.fixed)
             WHERE i.source = ?1 AND NOT (o.source = i.source AND o.key = i.key) LIMIT ?2",
        )?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let keys = statement.query_map(params![source, most], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(keys)
    }
}

/// Whether what bears a name must never change.
fn is_fixed(name: &str, kind: RecordKind) -> bool {
    kind == RecordKind::VersionArtifact || !identity::is_address(name)
}

fn short(name: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&digest::of_parts(&[name]).as_bytes()[..16]);
    short
}

/// Keeps what a record is, in place of what it was.
pub(super) fn keep(
    transaction: &Transaction<'_>,
    source: &str,
    seen: &Seen,
    known: bool,
    now: i64,
) -> rusqlite::Result<()> {
    let identities = identity::of(&seen.attributes);
    let digest = seen.blob.as_ref().map(|blob| blob.sha256).or_else(|| identity::promised(&seen.attributes));
    let mut kept = Vec::new();
    if let Some(digest) = digest {
        let place = seen.path.as_deref().unwrap_or(&seen.subject);
        for name in &identities {
            let name_short = short(name);
            transaction
                .prepare_cached(
                    "INSERT INTO identity (name, source, key, sha256, fixed, place, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (name, source, key) DO UPDATE SET fixed = ?5, place = ?6,
                         time = CASE sha256 WHEN ?4 THEN time ELSE ?7 END, sha256 = ?4",
                )?
                .execute(params![
                    name_short,
                    source,
                    seen.key,
                    digest.as_bytes(),
                    is_fixed(name, seen.kind),
                    place,
                    now
                ])?;
            kept.push(name_short);
        }
    }
    if !known {
        return Ok(());
    }
    let mut statement = transaction.prepare_cached("SELECT name FROM identity WHERE source = ?1 AND key = ?2")?;
    let all: Vec<Vec<u8>> =
        statement.query_map([source, &seen.key], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for name in all.into_iter().filter(|name| !kept.iter().any(|kept| kept[..] == name[..])) {
        transaction
            .prepare_cached("DELETE FROM identity WHERE name = ?1 AND source = ?2 AND key = ?3")?
            .execute(params![name, source, seen.key])?;
    }
    Ok(())
}

/// Forgets what a record was.
pub(super) fn forget(transaction: &Transaction<'_>, source: &str, key: &str) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM identity WHERE source = ?1 AND key = ?2")?.execute([source, key]).map(drop)
}
