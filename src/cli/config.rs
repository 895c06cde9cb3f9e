//! `lanner config`: write, check and describe configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::setup::{self, ConfigArgs};
use super::{Invalid, say};
use crate::agent::rules;
use crate::base::files;
use crate::config;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Write a configuration to begin with.
    Init {
        /// Where to; `-` prints it.
        #[arg(default_value = "lanner.yaml")]
        path: PathBuf,
        /// Replace the file if it exists.
        #[arg(long)]
        force: bool,
    },
    /// Report every problem in a configuration and in the rules that it names.
    Check {
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
    /// Print the JSON Schema of the configuration, or of alerts.
    Schema {
        /// Which schema.
        #[arg(value_enum, default_value = "config")]
        what: Schema,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Schema {
    Config,
    Alert,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Init { path, force } => init(path, *force)?,
        Verb::Check { path } => check(path)?,
        Verb::Schema { what } => {
            let schema = match what {
                Schema::Config => schemars::schema_for!(config::Config).to_value(),
                Schema::Alert => crate::alert::schema(),
            };
            say(&serde_json::to_string_pretty(&schema)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn init(path: &std::path::Path, force: bool) -> anyhow::Result<()> {
    if path.as_os_str() == "-" {
        return say(config::example().trim_end());
    }
    if path.exists() && !force {
        bail!("`{}` exists; `--force` replaces it", path.display());
    }
    files::replace(path, config::example().as_bytes())
        .with_context(|| format!("`{}` cannot be written", path.display()))?;
    say(&format!(
        "`{0}` written; check it with `lanner config check {0}`, use it with `lanner run --config {0}`",
        path.display()
    ))
}

fn check(path: &std::path::Path) -> anyhow::Result<()> {
    setup::read(path)?;
    let args = ConfigArgs { config: Some(path.to_owned()), state: None };
    let checked = args.checked(|_| {})?;
    let rules = rules::load(&checked.config.rules).map_err(|error| Invalid(error.explain()))?;
    for warning in rules.warnings() {
        anstream::eprintln!("{warning}");
    }
    let (sources, sinks) = (checked.sources.len(), checked.sinks.len());
    say(&format!("`{}` is valid: {sources} sources, {sinks} sinks, {} rules", path.display(), rules.rules().len()))
}
