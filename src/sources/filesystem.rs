//! Directory trees: notifications for speed, walking and comparing for truth.
//!
//! What is told, and under which name: every regular file that passes the globs, under the path by
//! which a program would load it. A link is a name like any other, so the same bytes can be told
//! twice, with equal signatures. Two stores that keep bytes aside are told by their links only:
//! the directory `blobs` of a repository in the Hugging Face cache (`models--…`, `datasets--…`,
//! `spaces--…`), and of a mounted `ConfigMap` the links `..data` and `..data_tmp` and the directories named
//! by a time (`..2026_01_31_12_00_00.…`). All else that has such a name is looked at.

mod cache;
mod engine;
mod mounts;
pub mod paths;
mod roots;
mod served;
mod settle;
mod stat;
mod store;
mod tree;
mod walk;
pub(super) mod watch;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FileType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::filter::{self, Filter};
use super::{
    BoxFuture, Built, Change, Context, RecordKind, SWEEP_LEAST, Settings, Source, SourceError, Store, Sweep, emit,
};
use crate::event::Fields;
use cache::Cache;
use engine::Engine;

pub use paths::escape;

/// Whether what lies at a path is told by links that lead there, and not by itself.
pub fn is_kept_aside(path: &Path) -> bool {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return false };
    walk::may_be_kept_aside(path)
        && path
            .symlink_metadata()
            .is_ok_and(|metadata| walk::kept_aside(directory, name, FileType::from_raw_mode(metadata.mode())))
}

/// A source that watches directory trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name in events, metrics and the status page.
    pub name: String,
    /// Directories to watch, with all below them. One that does not exist yet is waited for.
    pub paths: Vec<PathBuf>,
    /// Globs of files to look at; none means all. Without a slash a glob matches a name anywhere,
    /// with one the path below the watched directory.
    pub include: Vec<String>,
    /// Globs of files and directories to leave out.
    pub exclude: Vec<String>,
    /// Follow symbolic links, as the programs that load models do.
    pub follow_symlinks: bool,
    /// How changes are noticed.
    pub watch: Watch,
    /// Full walk, whatever the notifications said.
    pub sweep_interval_secs: u64,
    /// Full walk of directories for which there are no notifications.
    pub poll_interval_secs: u64,
    /// Name of the model that is served from these directories, or `*`: the first folder below each is the name.
    /// What lies there is held against what was approved for that model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serves: Option<String>,
    /// Nobody else may write to the files: another name for one, or a mode that lets the group or others write, is
    /// told of.
    pub exclusive: bool,
    /// Reading bytes again though nothing says that they changed.
    pub verify: Verify,
    /// A file must stand still for so long before it is told.
    pub settle_millis: u64,
    /// One that never stands still is told after so long.
    pub settle_max_secs: u64,
    /// Files watched; more make the source blind.
    pub files_max: usize,
    /// Directories in directories.
    pub depth_max: usize,
    /// Notifications waiting to be handled; more mean a full walk.
    pub hint_queue_max: usize,
    /// Holds notifications while this file exists: makes the kernel's queue overflow on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub hint_hold_path: Option<PathBuf>,
}

/// Bytes can change without a trace: through a memory mapping, through a hard link from elsewhere, with times set
/// back. Only reading them again shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Verify {
    /// Each file is read again after this time, as far as the budget reaches; 0 switches it off.
    pub interval_secs: u64,
    /// Bytes read in a second, on average; 0 means without a bound.
    pub bytes_per_sec: u64,
    /// Leave what was read in the page cache. By default pages that no program has mapped are let go.
    pub keep_cache: bool,
}

impl Default for Verify {
    fn default() -> Self {
        Self { interval_secs: 6 * 3600, bytes_per_sec: 64 << 20, keep_cache: false }
    }
}

/// The signature of a file's record.
pub fn signature(metadata: &std::fs::Metadata) -> String {
    stat::Stat::from(metadata).signature()
}

/// How changes are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Watch {
    /// By notifications where the file system gives them, else by polling.
    Auto,
    /// By polling only.
    Poll,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "filesystem".to_owned(),
            paths: Vec::new(),
            include: Vec::new(),
            exclude: filter::EXCLUDED.iter().map(|&glob| glob.to_owned()).collect(),
            follow_symlinks: true,
            watch: Watch::Auto,
            sweep_interval_secs: 60,
            poll_interval_secs: 10,
            serves: None,
            exclusive: false,
            verify: Verify::default(),
            settle_millis: 300,
            settle_max_secs: 60,
            files_max: 1_000_000,
            depth_max: 64,
            hint_queue_max: 65_536,
            hint_hold_path: None,
        }
    }
}

impl Settings for Config {
    fn build(mut self) -> Built {
        let mut problems = Vec::new();
        if self.paths.is_empty() {
            problems.push("`paths` is empty; name at least one directory to watch".to_owned());
        }
        for (name, least, number) in [
            ("sweep_interval_secs", 1, self.sweep_interval_secs),
            ("poll_interval_secs", 1, self.poll_interval_secs),
            ("files_max", 1, self.files_max as u64),
            ("depth_max", 1, self.depth_max as u64),
            ("hint_queue_max", 1, self.hint_queue_max as u64),
        ] {
            if number < least {
                problems.push(format!("`{name}` is {number}; write at least {least}"));
            }
        }
        let rate = self.verify.bytes_per_sec;
        if (1..SWEEP_LEAST).contains(&rate) {
            problems.push(format!("`verify.bytes_per_sec` is {rate}; write at least {SWEEP_LEAST}, or 0 for no bound"));
        }
        let filter = Filter::new(&self.include, &self.exclude).unwrap_or_else(|bad| {
            problems.extend(bad);
            Filter::default()
        });
        for path in &mut self.paths {
            match std::path::absolute(&*path) {
                Ok(absolute) => *path = absolute,
                Err(error) => problems.push(format!("`paths` has `{}`: {error}", path.display())),
            }
        }
        if problems.is_empty() {
            Ok(Arc::new(Filesystem { config: Arc::new(self), filter: Arc::new(filter) }))
        } else {
            Err(problems)
        }
    }
}

struct Filesystem {
    config: Arc<Config>,
    filter: Arc<Filter>,
}

impl Source for Filesystem {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn product(&self) -> &'static str {
        "filesystem"
    }

    fn run(&self, context: Context) -> BoxFuture<'_, Result<(), SourceError>> {
        let (config, filter) = (Arc::clone(&self.config), Arc::clone(&self.filter));
        let cache = Cache::new(&context.checkpoints);
        Box::pin(emit::on_thread(context, move |emitter| {
            // It only ever ends because it was told to.
            drop(Engine::new(&config, &filter, cache, emitter).run());
            Ok(())
        }))
    }

    fn sweep(&self) -> Option<Sweep> {
        let Verify { interval_secs, bytes_per_sec, keep_cache } = self.config.verify;
        (interval_secs > 0).then(|| Sweep {
            every: std::time::Duration::from_secs(interval_secs),
            bytes_per_sec,
            keep_cache,
            roots: self.config.paths.iter().map(|path| paths::escape(path)).collect(),
        })
    }

    fn changes(&self, kind: RecordKind, old: Option<&Fields>, new: Option<&Fields>) -> Vec<Change> {
        match (kind, old, new) {
            (RecordKind::Artifact, Some(old), Some(new)) => {
                served::changes(old, new).into_iter().chain(cache::changes(old, new)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::new(store::Files::new(&self.config.paths, self.config.follow_symlinks)))
    }
}
