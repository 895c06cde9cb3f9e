//! A replay that can be killed at any point and goes on where it was.
//!
//! Every so often three things are written down in one transaction: how far the events were read,
//! how long the output was, and what correlations remembered. Whoever goes on cuts the output to
//! that length first, so that it is the same as if nothing had happened.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::detect::RuleSet;
use crate::detect::correlation::{Correlator, Limits};
use crate::event::digest;
use crate::state::Notebook;

use super::engine::Progress;

/// Events between two notes.
pub const EVENTS_BETWEEN: u64 = 10_000;
/// Changes that may wait for a note: what correlations remember is many rows for few events.
pub const CHANGES_BETWEEN: usize = 50_000;
/// The beginning of the events by which the file is known again.
const HEAD_BYTES: u64 = 1 << 16;

/// The notes of this replay, and the output that goes with them.
pub struct Resumable {
    notebook: Notebook,
    output: File,
    /// What must be the same for going on to make sense.
    settings: String,
    head: String,
}

impl Resumable {
    /// Opens notes and output; gives where to go on, and the correlations as they were.
    pub fn open(
        state: &Path,
        output: &Path,
        events: &mut File,
        set: &RuleSet,
        limits: Limits,
        options: &str,
    ) -> anyhow::Result<(Self, Progress, Correlator)> {
        let notebook = Notebook::open(state)?;
        let settings = digest::of_parts(&[&set.digest().to_string(), options, &format!("{limits:?}")]).to_string();
        let progress: Option<Progress> = match notebook.note("progress")? {
            Some(text) => Some(serde_json::from_str(&text).context("the notes cannot be read")?),
            None => None,
        };
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(output)
            .with_context(|| format!("cannot write {}", output.display()))?;
        let length = file.metadata()?.len();
        let head = head(events)?;
        if let Some(progress) = &progress {
            check(&notebook, "settings", &settings, "with other rules or settings")?;
            if progress.read > 0 {
                check(&notebook, "head", &head, "of other events")?;
            }
            if length < progress.written {
                bail!("{} is shorter than when the notes in {} were made", output.display(), state.display());
            }
        } else if length > 0 {
            bail!("{} is there already, and {} knows nothing of it", output.display(), state.display());
        }
        let progress = progress.unwrap_or_default();
        file.set_len(progress.written)?;
        file.seek(SeekFrom::Start(progress.written))?;
        events.seek(SeekFrom::Start(progress.read)).context("cannot go on in the middle of the events")?;
        let mut restoring = Correlator::restore(set, limits);
        notebook.remembered(&mut |memo| restoring.take(memo))?;
        let (correlator, unreadable) = restoring.done();
        if unreadable > 0 {
            bail!("{unreadable} rows of the notes in {} cannot be read", state.display());
        }
        Ok((Self { notebook, output: file, settings, head }, progress, correlator))
    }

    /// Writes down that everything up to here is done.
    pub fn note(&mut self, progress: &mut Progress, correlator: &mut Correlator) -> anyhow::Result<()> {
        self.output.flush()?;
        // What the notes count on must not be younger than they are.
        self.output.sync_data()?;
        progress.written = self.output.stream_position()?;
        let memos = correlator.take_memos();
        let notes = [
            ("progress", serde_json::to_string(progress)?),
            ("settings", self.settings.clone()),
            ("head", self.head.clone()),
        ];
        self.notebook.commit(&memos, &notes)?;
        Ok(())
    }
}

impl Write for Resumable {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }
}

fn check(notebook: &Notebook, name: &str, now: &str, what: &str) -> anyhow::Result<()> {
    if notebook.note(name)?.as_deref() != Some(now) {
        bail!("the notes in {} were made {what}; name another file to begin anew", notebook.path().display());
    }
    Ok(())
}

/// A digest of the first bytes, and of no more than there were when the notes were begun: a file
/// that grows stays the same file.
fn head(events: &mut File) -> anyhow::Result<String> {
    events.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    let mut limited = std::io::Read::by_ref(events).take(HEAD_BYTES);
    let mut chunk = [0; 4096];
    loop {
        let count = limited.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
    // The first line is enough to know a file by, and does not change when it grows.
    let end = memchr::memchr(b'\n', &bytes).unwrap_or(bytes.len());
    Ok(crate::event::Sha256::of(bytes.get(..end).unwrap_or_default()).to_string())
}
