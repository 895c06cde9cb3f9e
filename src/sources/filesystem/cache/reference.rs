//! References of a cache: `refs/main` names the commit that is loaded where nobody names one.
//!
//! The client writes a reference, and then what its commit has. So a reference that leads to a snapshot which was there
//! long before it was written was moved without a download: by the client, where that commit was fetched by its own name
//! or the hub went back to it, or by somebody else.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::is_repository;
use crate::base::files;
use crate::event::Fields;
use crate::sources::Checkpoint;
use crate::sources::filesystem::paths::escape;

const BYTES_MAX: u64 = 256;
/// How the names begin under which it is kept where references lead.
const KEY: &str = "reference";
/// The client makes the folder of a snapshot a moment before it writes the reference.
const MOMENT: Duration = Duration::from_secs(5);

/// References that are remembered.
const KNOWN_MAX: usize = 10_000;

/// Where references led, in this run and earlier ones: the snapshot itself may have been taken away since.
#[derive(Debug, Default)]
pub struct References {
    known: BTreeMap<String, Led>,
    /// What is to be kept beyond the end of the agent.
    news: Vec<Checkpoint>,
}

/// Where a reference leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Led {
    commit: String,
    /// When the folder of its snapshot was made, in seconds since 1970.
    born: f64,
    /// The same of the one before.
    before: Option<f64>,
}

impl References {
    pub fn new(checkpoints: &BTreeMap<String, serde_json::Value>) -> Self {
        let led = |(key, value): (&String, &serde_json::Value)| {
            Some((key.strip_prefix(KEY)?.to_owned(), serde_json::from_value(value.clone()).ok()?))
        };
        Self { known: checkpoints.iter().filter_map(led).collect(), news: Vec::new() }
    }

    pub fn news(&mut self) -> Vec<Checkpoint> {
        std::mem::take(&mut self.news)
    }

    /// Adds where a reference leads, if a path is that of one.
    pub fn note(&mut self, attributes: &mut Fields, path: &Path) {
        let Some(repository) = path.ancestors().skip(1).find(|folder| is_repository(folder)) else { return };
        if !path.strip_prefix(repository).is_ok_and(|below| below.starts_with("refs")) {
            return;
        }
        let commit = files::read_text(path, BYTES_MAX).ok();
        let commit = commit.as_deref().map(str::trim).filter(|text| text.len() == 40);
        let Some(commit) = commit.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit())) else { return };
        let snapshot = repository.join("snapshots").join(commit);
        if !snapshot.is_dir() {
            super::put(attributes, "file.cache.dangling");
            return;
        }
        let Some((made, written)) = made(&snapshot).zip(written(path)) else { return };
        let before = self.led(path, commit, made);
        if made + MOMENT >= written {
            return;
        }
        let listed = repository.join("trees").join(format!("{commit}.json")).is_file();
        let found = match (before.is_some_and(|before| seconds(made) < before), listed) {
            (true, _) => "older",
            (false, false) => "unlisted",
            (false, true) => "newest",
        };
        attributes.insert("file.cache.not_fetched".to_owned(), found.into());
    }

    /// When the snapshot was made that a reference led to before this one.
    fn led(&mut self, path: &Path, commit: &str, made: SystemTime) -> Option<f64> {
        let path = escape(path);
        let known = self.known.get(&path);
        let before = match known {
            Some(known) if known.commit == commit => known.before,
            Some(known) => Some(known.born),
            None if self.known.len() >= KNOWN_MAX => return None,
            None => None,
        };
        let led = Led { commit: commit.to_owned(), born: seconds(made), before };
        if known != Some(&led) {
            let position = serde_json::to_value(&led).unwrap_or_default();
            self.news.push(Checkpoint { key: format!("{KEY}{path}"), position });
            self.known.insert(path, led);
        }
        before
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// When a folder was made, which nobody sets back; when something in it changed, where the file system does not know.
fn made(folder: &Path) -> Option<SystemTime> {
    let metadata = folder.symlink_metadata().ok().filter(std::fs::Metadata::is_dir)?;
    metadata.created().ok().or_else(|| changed(&metadata))
}

/// When a reference was written, or something else of it changed.
fn written(path: &Path) -> Option<SystemTime> {
    changed(&path.symlink_metadata().ok()?)
}

fn changed(metadata: &std::fs::Metadata) -> Option<SystemTime> {
    let seconds = Duration::from_secs(u64::try_from(metadata.ctime()).ok()?);
    let nanoseconds = Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds + nanoseconds)
}
