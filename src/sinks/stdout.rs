//! Standard output: for people, or one JSON object a line.

use std::io::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BoxFuture, Reason, Sink, SinkError};
use crate::alert::render::{ocsf, text};
use crate::event::{Alert, Severity};

/// Alerts on standard output.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `text` in colour for people, `json` the canonical alert, `ocsf` a Detection Finding.
    pub format: Format,
    pub minimum_severity: Severity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Text,
    Json,
    Ocsf,
}

impl Format {
    /// One alert, with its line end.
    pub fn render(self, alert: &Alert) -> String {
        match self {
            Self::Text => text::alert(alert) + "\n",
            Self::Json => serde_json::to_string(alert).expect("an alert is plain data") + "\n",
            Self::Ocsf => ocsf::finding(alert).to_string() + "\n",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { format: Format::Text, minimum_severity: Severity::Informational }
    }
}

/// Writes alerts to standard output; colour only when it is a terminal.
pub struct Stdout {
    config: Config,
}

impl Stdout {
    pub const fn new(config: Config) -> Self {
        Self { config }
    }
}

impl Sink for Stdout {
    fn name(&self) -> &'static str {
        "stdout"
    }

    fn minimum_severity(&self) -> Severity {
        self.config.minimum_severity
    }

    fn batch_max(&self) -> usize {
        64
    }

    fn deliver<'a>(&'a self, alerts: &'a [Alert]) -> BoxFuture<'a, Result<(), SinkError>> {
        let text: String = alerts.iter().map(|alert| self.config.format.render(alert)).collect();
        Box::pin(async move {
            // Whoever reads our output may stop reading: that must not hold up anything else.
            tokio::task::spawn_blocking(move || {
                let mut out = anstream::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            })
            .await
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(|error| SinkError::Transient { what: format!("standard output: {error}"), reason: Reason::Io })
        })
    }
}
