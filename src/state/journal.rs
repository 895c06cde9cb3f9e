//! Decisions in a file of their own, one JSON object a line: what a lost database could not give back.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::StateError;
use super::approval::{self, Approval};

/// Name of the file beside the database.
pub const NAME: &str = "approvals.jsonl";
/// A longer line is none of ours.
const LINE_BYTES_MAX: usize = 256 << 20;

/// One decision.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    pub approval: Approval,
    pub beside: bool,
}

/// Adds decisions, all of them on the disk when this returns.
pub fn append(directory: &Path, entries: &[Entry]) -> Result<(), StateError> {
    if entries.is_empty() {
        return Ok(());
    }
    let path = directory.join(NAME);
    let fail =
        |cause: Box<dyn std::error::Error + Send + Sync>| StateError::Open { path: path.display().to_string(), cause };
    let mut lines = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut lines, entry).map_err(|error| fail(error.into()))?;
        lines.push(b'\n');
    }
    // A line that a machine left half-written must not take these with it.
    let torn = std::fs::File::open(&path).ok().is_some_and(|mut file| {
        use std::io::{Read as _, Seek as _};
        let mut last = [0];
        file.seek(std::io::SeekFrom::End(-1)).is_ok() && file.read_exact(&mut last).is_ok() && last != *b"\n"
    });
    if torn {
        lines.insert(0, b'\n');
    }
    let mut file =
        OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(|error| fail(error.into()))?;
    file.write_all(&lines).and_then(|()| file.sync_all()).map_err(|error| fail(error.into()))
}

/// Reads decisions back into a database that has none; gives how many, and how many lines made no sense.
pub fn replay(directory: &Path, connection: &mut Connection) -> rusqlite::Result<(u64, u64)> {
    let Ok(file) = std::fs::File::open(directory.join(NAME)) else { return Ok((0, 0)) };
    // Where there are decisions the journal was read, or has nothing that they lack.
    let known: bool = connection.query_row("SELECT EXISTS (SELECT 1 FROM approval)", [], |row| row.get(0))?;
    if known {
        return Ok((0, 0));
    }
    let (mut taken, mut left) = (0, 0);
    let transaction = connection.transaction()?;
    for line in BufReader::new(file).split(b'\n') {
        let Ok(line) = line else { break };
        if line.is_empty() {
            continue;
        }
        let entry = (line.len() <= LINE_BYTES_MAX).then(|| serde_json::from_slice::<Entry>(&line).ok()).flatten();
        match entry {
            Some(Entry { approval, beside }) => {
                approval::write(&transaction, &approval, beside)?;
                taken += 1;
            }
            // The last line of a machine that stopped half-way, or something that is not ours.
            None => left += 1,
        }
    }
    transaction.commit()?;
    Ok((taken, left))
}
