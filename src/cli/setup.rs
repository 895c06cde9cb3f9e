//! What verbs share: finding the configuration and the state.

use std::path::{Path, PathBuf};

use crate::agent::reload::CONFIG_BYTES_MAX;
use crate::base::files;
use crate::config::{self, Checked, Config, Problem};
use crate::state::{Mode, State};

use super::Invalid;

/// Which configuration.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigArgs {
    /// Configuration file; without one the built-in configuration is used.
    #[arg(short, long, value_name = "FILE", env = "LANNER_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Directory of the agent's state, instead of the configured one.
    #[arg(long, value_name = "DIR", env = "LANNER_STATE", global = true)]
    pub state: Option<PathBuf>,
}

impl ConfigArgs {
    /// Reads and checks the configuration; every problem is in the error.
    pub fn checked(&self, edit: impl FnOnce(&mut Config)) -> anyhow::Result<Checked> {
        let (mut config, places) = match &self.config {
            Some(path) => read(path)?,
            None => (config::builtin(|name| std::env::var(name).ok()), config::load::Places::default()),
        };
        if let Some(state) = &self.state {
            config.state.path.clone_from(state);
        }
        edit(&mut config);
        Ok(config::check(config, &places).map_err(|problems| invalid(&problems))?)
    }

    /// Opens the state beside a running agent.
    pub fn visit(&self) -> anyhow::Result<State> {
        let path = match (&self.state, &self.config) {
            (Some(state), _) => state.clone(),
            (None, Some(file)) => read(file)?.0.state.path,
            (None, None) => Config::default().state.path,
        };
        Ok(State::open(&path, Mode::Visitor)?.state)
    }
}

/// Reads a configuration file.
pub fn read(path: &Path) -> anyhow::Result<(Config, config::load::Places)> {
    let name = path.display().to_string();
    let text = files::read_text(path, CONFIG_BYTES_MAX)
        .map_err(|error| Invalid(format!("`{name}` cannot be read: {error}")))?;
    Ok(config::load(&name, &text).map_err(|problems| invalid(&problems))?)
}

fn invalid(problems: &[Problem]) -> Invalid {
    let count = problems.len();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let s = if count == 1 { "" } else { "s" };
    Invalid(format!("{count} problem{s} in the configuration\n{}", lines.join("\n")))
}

/// Name of this host, for the place of events.
pub fn host() -> Option<String> {
    std::env::var("LANNER_HOST")
        .or_else(|_| std::env::var("NODE_NAME"))
        .ok()
        .or_else(|| files::read_text(Path::new("/proc/sys/kernel/hostname"), 1024).ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}
