//! What people have approved: which bytes a model may be served with, and which were replaced by newer ones.
//!
//! Approvals are decisions, not observations: they cannot be seen again. Each is written to a journal beside
//! the database before it counts, and is read back from there when the database had to be set aside.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::{State, StateError, decisions, inventory, journal};
use crate::event::Sha256;

/// The tables. Part of a step of the schema: a change of them is a further step.
pub const TABLES: &str = "
    -- What people decided about versions of models.
    CREATE TABLE approval (
        id INTEGER PRIMARY KEY,
        model TEXT NOT NULL,
        version TEXT NOT NULL,   -- empty where a model has none
        root BLOB NOT NULL,      -- digest over all its files
        status TEXT NOT NULL,    -- approved, superseded, revoked
        origin TEXT NOT NULL,    -- person, baseline
        approver TEXT NOT NULL,
        reason TEXT NOT NULL,
        time INTEGER NOT NULL,   -- milliseconds since 1970
        UNIQUE (model, version, root)
    );
    CREATE TABLE approved_file (
        approval INTEGER NOT NULL REFERENCES approval (id) ON DELETE CASCADE,
        path TEXT NOT NULL,      -- inside the version
        sha256 BLOB NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (approval, path)
    ) WITHOUT ROWID;
    CREATE INDEX approved_file_sha256 ON approved_file (sha256);
    -- What is needed to tell two versions apart when the older bytes are gone.
    CREATE TABLE portrait (
        blob INTEGER PRIMARY KEY REFERENCES blob (id),
        outline BLOB,            -- of structures and texts
        measured BLOB,           -- of tensors
        time INTEGER NOT NULL
    );
    -- Which bytes came after which, and what differs.
    CREATE TABLE edge (
        parent INTEGER NOT NULL REFERENCES blob (id),
        child INTEGER NOT NULL REFERENCES blob (id),
        grade TEXT NOT NULL,     -- the worst
        differences TEXT NOT NULL, -- as JSON
        time INTEGER NOT NULL,
        PRIMARY KEY (parent, child)
    ) WITHOUT ROWID;
    -- Signatures that were checked.
    CREATE TABLE signature (
        place TEXT PRIMARY KEY,  -- of the model
        root BLOB,               -- subject that it is about, where the signature is valid
        signer TEXT NOT NULL,
        verdict TEXT NOT NULL,   -- verified, failed
        reason TEXT NOT NULL,    -- empty when verified
        names TEXT NOT NULL,     -- digest over the files that differ or are not signed
        fingerprint TEXT NOT NULL, -- of what was there: names, sizes, times
        time INTEGER NOT NULL
    ) WITHOUT ROWID;
    -- What nobody else knows: with it an attacker could not hide a change in what a sketch does not see.
    CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    INSERT INTO secret (name, value) VALUES ('sketch', randomblob(32));
    -- When the bytes of a record were last read as a whole.
    ALTER TABLE record ADD COLUMN verified INTEGER;
    UPDATE record SET verified = last_changed WHERE blob IS NOT NULL;
    CREATE INDEX record_verified ON record (source, verified) WHERE blob IS NOT NULL;
";

/// What an approval is worth now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// May be served.
    Approved,
    /// Another version was approved in its place: serving it again is a rollback.
    Superseded,
    /// Must not be served any more.
    Revoked,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Superseded => "superseded",
            Self::Revoked => "revoked",
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        match text {
            "approved" => Self::Approved,
            "superseded" => Self::Superseded,
            _ => Self::Revoked,
        }
    }
}

/// How an approval came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Person,
    /// A baseline that was imported.
    Baseline,
}

impl Origin {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Baseline => "baseline",
        }
    }
}

/// One file of an approved version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedFile {
    /// Path inside the version, with `/`.
    pub path: String,
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
}

/// A decision about one version of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub model: String,
    /// Empty where a model has no versions.
    pub version: String,
    /// See [`root`].
    pub root: Sha256,
    pub status: Status,
    pub origin: Origin,
    /// Who decided.
    pub approver: String,
    pub reason: String,
    pub time: Timestamp,
    /// Sorted by path.
    pub files: Vec<ApprovedFile>,
}

/// How bytes stand: whose they are, and whether they may be served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub model: String,
    pub version: String,
    /// Path of the file inside the version.
    pub path: String,
    pub status: Status,
}

/// The identity of a set of files: SHA-256 over their digests in the order of their paths, which is the
/// subject of a model's signature (OpenSSF Model Signing 1.0) where it covers the same files.
pub fn root(files: &[ApprovedFile]) -> Sha256 {
    let ordered: BTreeMap<&str, &Sha256> = files.iter().map(|file| (&*file.path, &file.sha256)).collect();
    let mut hasher = sha2::Sha256::new();
    for digest in ordered.values() {
        hasher.update(digest.as_bytes());
    }
    Sha256::from_bytes(hasher.finalize().into())
}

impl State {
    /// Keeps a decision. Other versions of the model that were approved are superseded, unless `beside` them.
    pub fn approve(&self, approval: &Approval, beside: bool) -> Result<(), StateError> {
        let mut connection = self.lock();
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        write(&transaction, approval, beside)?;
        // Before it counts, and only once the database has taken it.
        journal::append(self.path(), &[journal::Entry { approval: approval.clone(), beside }])?;
        transaction.commit()?;
        Ok(())
    }

    /// Decisions about a model, newest first; about all models when none is named.
    pub fn approvals(&self, model: Option<&str>) -> Result<Vec<Approval>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, model, version, root, status, origin, approver, reason, time FROM approval
             WHERE ?1 IS NULL OR model = ?1 ORDER BY time DESC, id DESC",
        )?;
        let found = statement
            .query_map([model], |row| Ok((row.get::<_, i64>(0)?, approval(row)?)))?
            .collect::<Result<Vec<_>, _>>()?;
        let mut files = connection
            .prepare_cached("SELECT path, sha256, size FROM approved_file WHERE approval = ?1 ORDER BY path")?;
        found
            .into_iter()
            .map(|(id, approval)| {
                let files = files.query_map([id], file)?.collect::<Result<_, _>>()?;
                Ok(Approval { files, ..approval })
            })
            .collect()
    }

    /// Every decision that these bytes are part of, about one model or about all: those in force first, then the
    /// newest.
    pub fn standings(&self, sha256: &Sha256, model: Option<&str>) -> Result<Vec<Standing>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT a.model, a.version, f.path, a.status FROM approved_file f JOIN approval a ON a.id = f.approval
             WHERE f.sha256 = ?1 AND (?2 IS NULL OR a.model = ?2)
             ORDER BY a.status = 'approved' DESC, a.time DESC, a.id DESC LIMIT 256",
        )?;
        let found = statement.query_map(params![sha256.as_bytes(), model], |row| {
            let status: String = row.get(3)?;
            Ok(Standing { model: row.get(0)?, version: row.get(1)?, path: row.get(2)?, status: Status::parse(&status) })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Whether anything was ever approved: without that, nothing can be missing.
    pub fn has_approvals(&self) -> Result<bool, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM approval)")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }
}

/// Writes one decision into the tables; the same decision again changes nothing but its status.
pub(super) fn write(connection: &Connection, approval: &Approval, beside: bool) -> rusqlite::Result<()> {
    if approval.status == Status::Approved && !beside {
        connection
            .prepare_cached("UPDATE approval SET status = 'superseded' WHERE model = ?1 AND status = 'approved'")?
            .execute([&approval.model])?;
    }
    let id: i64 = connection
        .prepare_cached(
            "INSERT INTO approval (model, version, root, status, origin, approver, reason, time)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (model, version, root) DO UPDATE SET status = ?4, origin = ?5, approver = ?6, reason = ?7, time = ?8
             RETURNING id",
        )?
        .query_row(
            params![
                approval.model,
                approval.version,
                approval.root.as_bytes(),
                approval.status.as_str(),
                approval.origin.as_str(),
                approval.approver,
                approval.reason,
                approval.time.as_millisecond(),
            ],
            |row| row.get(0),
        )?;
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO approved_file (approval, path, sha256, size) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for file in &approval.files {
        let size = i64::try_from(file.size).unwrap_or(i64::MAX);
        statement.execute(params![id, file.path, file.sha256.as_bytes(), size])?;
    }
    decisions::note(connection, &approval.model)
}

fn approval(row: &Row<'_>) -> rusqlite::Result<Approval> {
    let (status, origin): (String, String) = (row.get(4)?, row.get(5)?);
    Ok(Approval {
        model: row.get(1)?,
        version: row.get(2)?,
        root: Sha256::from_bytes(row.get(3)?),
        status: Status::parse(&status),
        origin: if origin == "baseline" { Origin::Baseline } else { Origin::Person },
        approver: row.get(6)?,
        reason: row.get(7)?,
        time: inventory::time(row, 8)?,
        files: Vec::new(),
    })
}

/// From columns path, digest and size.
pub(super) fn file(row: &Row<'_>) -> rusqlite::Result<ApprovedFile> {
    Ok(ApprovedFile {
        path: row.get(0)?,
        sha256: Sha256::from_bytes(row.get(1)?),
        size: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
    })
}
