//! A file with one JSON object a line.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stdout::Format;
use super::{BoxFuture, Look, Looked, Reason, Sink, SinkError};
use crate::event::{Alert, Severity};

/// Alerts appended to a file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Unique among all sinks.
    pub name: String,
    /// The file; opened anew for each batch, so that it may be rotated at any time.
    pub path: PathBuf,
    /// `json` (the default) or `ocsf`.
    #[serde(default = "json")]
    pub format: Format,
    #[serde(default = "informational")]
    pub minimum_severity: Severity,
}

const fn json() -> Format {
    Format::Json
}

pub(super) const fn informational() -> Severity {
    Severity::Informational
}

/// Appends alerts to a file and syncs it before they count as delivered.
pub struct File {
    config: Config,
}

impl File {
    pub const fn new(config: Config) -> Self {
        Self { config }
    }

    fn append(config: &Config, text: &str) -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&config.path)?;
        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_data()) {
            // Half a line would spoil the file for every reader; the next try writes it whole.
            file.set_len(before)?;
            return Err(error);
        }
        Ok(())
    }
}

impl File {
    /// Whether it can be written, without leaving anything.
    fn writable(path: &Path) -> Look {
        let shown = path.display();
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(("directory", format!("`{shown}` is a directory; name a file in it")));
            }
            Ok(found) if !found.is_file() => {
                return Err((
                    "no_file",
                    format!("`{shown}` is no file: a batch that fails half way could not be taken back; name a file"),
                ));
            }
            Ok(_) => OpenOptions::new().append(true).open(path).map(drop),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // A link to a file that is not there yet has it made where it leads.
                let folder = |path: &Path| path.parent().unwrap_or(path).join("");
                let led = std::fs::read_link(path).map(|target| folder(path).join(target));
                let folder = folder(led.as_deref().unwrap_or(path));
                tempfile::tempfile_in(if folder.as_os_str().is_empty() { Path::new(".") } else { &folder }).map(drop)
            }
            Err(error) => Err(error),
        }
        .map(|()| Looked::at("it can be written"))
        .map_err(|error| ("unwritable", format!("`{shown}`: {error}; let the agent write there, or name another file")))
    }
}

impl Sink for File {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn minimum_severity(&self) -> Severity {
        self.config.minimum_severity
    }

    fn batch_max(&self) -> usize {
        256
    }

    fn deliver<'a>(&'a self, alerts: &'a [Alert]) -> BoxFuture<'a, Result<(), SinkError>> {
        let text: String = alerts.iter().map(|alert| self.config.format.render(alert)).collect();
        let config = self.config.clone();
        Box::pin(async move {
            let path = config.path.display().to_string();
            tokio::task::spawn_blocking(move || Self::append(&config, &text))
                .await
                .map_err(std::io::Error::other)
                .flatten()
                .map_err(|error| SinkError::Transient { what: format!("`{path}`: {error}"), reason: Reason::Io })
        })
    }

    fn look(&self) -> BoxFuture<'_, Look> {
        let path = self.config.path.clone();
        Box::pin(async move {
            let looked = tokio::task::spawn_blocking(move || Self::writable(&path)).await;
            looked.unwrap_or_else(|error| Err(("unwritable", error.to_string())))
        })
    }
}
