//! Tables of the embedded database and how older ones become newer ones.

use rusqlite::Connection;

/// The version that this program writes.
pub const VERSION: i64 = 7;

/// Step `n` makes version `n + 1` out of version `n`.
const STEPS: [&str; 7] = [
    FIRST,
    super::correlation::TABLES,
    super::approval::TABLES,
    super::decisions::TABLES,
    super::hints::TABLES,
    super::identity::TABLES,
    super::promises::TABLES,
];

const FIRST: &str = "
    -- Bytes, by what they are. One row however many places hold them.
    CREATE TABLE blob (
        id INTEGER PRIMARY KEY,
        sha256 BLOB NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        format TEXT NOT NULL,
        hint TEXT NOT NULL,         -- file name under which it was inspected: it decides some facts
        report TEXT NOT NULL,       -- what inspection found, as JSON
        segments TEXT NOT NULL,     -- digests of tensors, as JSON
        inspector INTEGER NOT NULL  -- version of the inspection, so that a better one looks again
    );
    -- What each source sees now.
    CREATE TABLE record (
        source TEXT NOT NULL,
        key TEXT NOT NULL,
        kind TEXT NOT NULL,
        signature TEXT NOT NULL,
        subject TEXT NOT NULL,
        lineage TEXT,
        path TEXT,
        version TEXT,
        blob INTEGER REFERENCES blob (id),
        first_blob INTEGER REFERENCES blob (id),
        attributes TEXT NOT NULL,
        generation INTEGER NOT NULL, -- changes so far
        first_seen INTEGER NOT NULL, -- milliseconds since 1970
        last_changed INTEGER NOT NULL,
        PRIMARY KEY (source, key)
    );
    CREATE INDEX record_blob ON record (blob);
    -- What each lineage was before.
    CREATE TABLE history (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL,
        lineage TEXT NOT NULL,
        version TEXT,
        path TEXT NOT NULL,
        blob INTEGER REFERENCES blob (id), -- none: it went away
        time INTEGER NOT NULL
    );
    CREATE INDEX history_lineage ON history (source, lineage, id);
    CREATE INDEX history_blob ON history (blob);
    -- Sources whose first listing is complete.
    CREATE TABLE listed (source TEXT PRIMARY KEY, time INTEGER NOT NULL);
    CREATE TABLE checkpoint (
        source TEXT NOT NULL,
        key TEXT NOT NULL,
        position TEXT NOT NULL,
        PRIMARY KEY (source, key)
    );
    -- The outbox. `seq` orders it; a sink's cursor is the last `seq` that it took.
    CREATE TABLE alert (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        fingerprint TEXT NOT NULL,
        rule TEXT NOT NULL,
        severity TEXT NOT NULL,
        subject TEXT NOT NULL,
        time INTEGER NOT NULL,
        committed INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX alert_fingerprint ON alert (fingerprint, seq);
    CREATE INDEX alert_committed ON alert (committed);
    -- Repeats of one finding are counted, not told again.
    CREATE TABLE repeat (
        key TEXT PRIMARY KEY,
        alert TEXT NOT NULL,
        count INTEGER NOT NULL,
        told_time INTEGER NOT NULL,
        last_time INTEGER NOT NULL
    );
    CREATE TABLE sink (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL);
    CREATE TABLE dead_letter (
        sink TEXT NOT NULL,
        seq INTEGER NOT NULL REFERENCES alert (seq),
        reason TEXT NOT NULL,
        time INTEGER NOT NULL,
        retry INTEGER NOT NULL DEFAULT 0, -- a person asked for another try
        PRIMARY KEY (sink, seq)
    );
";

/// Brings the database up to [`VERSION`]; returns the version it has then, or the newer one it had.
pub fn migrate(connection: &Connection) -> rusqlite::Result<i64> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    for (step, sql) in STEPS.iter().enumerate().skip(done) {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {sql}; PRAGMA user_version = {}; COMMIT;", step + 1))?;
    }
    Ok(found.max(VERSION))
}
