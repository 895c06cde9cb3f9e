//! Log files: of pods, of containers, of jobs; each line once, through rotations and restarts.
//!
//! A file is known by device, inode and its first bytes, and a position in it by the bytes before:
//! names move when logs are rotated, and inodes are used again. Files are polled: a writer that
//! writes all the time would only flood us with notifications.

mod chain;
mod engine;
mod find;
mod formats;
mod join;
mod lines;
mod place;
mod position;
mod segment;
mod tail;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BoxFuture, Built, Context, Settings, Source, SourceError, Store, emit};
use find::Globs;

/// A source that reads log files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name in events, metrics and the status page.
    pub name: String,
    /// Absolute globs, for example `/var/log/pods/*/*/*.log`. Rotated files are found beside
    /// those that match.
    pub paths: Vec<String>,
    /// Globs of files to leave out.
    pub exclude: Vec<String>,
    pub format: Format,
    /// Where to begin with files that are there at the first start ever; later ones are read from
    /// their beginning.
    pub start_at: StartAt,
    /// How often files are looked at for new lines.
    pub poll_millis: u64,
    /// How often the globs are looked up.
    pub rescan_millis: u64,
    /// Longer lines are cut.
    pub line_bytes_max: usize,
    /// Files open at the same time; more take turns.
    pub open_files_max: usize,
    /// Files followed.
    pub files_max: usize,
    /// How long a renamed or deleted file is still watched for lines written late.
    pub linger_millis: u64,
}

/// How lines are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Told by the first line of each file.
    Auto,
    /// Container Runtime Interface: time, stream, `P` or `F`, text.
    Cri,
    /// JSON lines of Docker's `json-file` driver.
    Docker,
    /// Text, or JSON objects.
    Plain,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartAt {
    Beginning,
    End,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "logs".to_owned(),
            paths: Vec::new(),
            exclude: vec!["*.gz".to_owned(), "*.tmp".to_owned()],
            format: Format::Auto,
            start_at: StartAt::End,
            poll_millis: 250,
            rescan_millis: 1000,
            line_bytes_max: 256 << 10,
            open_files_max: 512,
            files_max: 10_000,
            linger_millis: 5_000,
        }
    }
}

impl Settings for Config {
    fn build(self) -> Built {
        let mut problems = Vec::new();
        if self.paths.is_empty() {
            problems.push("`paths` is empty; write at least one glob, such as `/var/log/pods/*/*/*.log`".to_owned());
        }
        for (name, number) in [
            ("poll_millis", self.poll_millis),
            ("rescan_millis", self.rescan_millis),
            ("line_bytes_max", self.line_bytes_max as u64),
            ("open_files_max", self.open_files_max as u64),
            ("files_max", self.files_max as u64),
        ] {
            if number == 0 {
                problems.push(format!("`{name}` is 0; write at least 1"));
            }
        }
        let globs = Globs::new(&self.paths, &self.exclude, &mut problems);
        if problems.is_empty() {
            Ok(Arc::new(Logs { config: Arc::new(self), globs: Arc::new(globs) }))
        } else {
            Err(problems)
        }
    }
}

struct Logs {
    config: Arc<Config>,
    globs: Arc<Globs>,
}

impl Source for Logs {
    fn name(&self) -> &str {
        &self.config.name
    }

    /// Each line carries its own product; this is what most have.
    fn product(&self) -> &'static str {
        "file"
    }

    fn run(&self, mut context: Context) -> BoxFuture<'_, Result<(), SourceError>> {
        let (config, globs) = (Arc::clone(&self.config), Arc::clone(&self.globs));
        let checkpoints = std::mem::take(&mut context.checkpoints);
        Box::pin(emit::on_thread(context, move |emitter| {
            // It only ever ends because it was told to.
            drop(engine::Engine::new(&config, &globs, emitter, checkpoints).run());
            Ok(())
        }))
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        None
    }
}
