//! `lanner bom`: a bill of materials of models, written from bytes that were read, not from what is said of them.

mod cyclonedx;
mod measure;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::setup::ConfigArgs;
use super::{CLEAN, UNSEEN, say};
use crate::base::clock;

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["paths", "model"])))]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Files and directories of one model.
    paths: Vec<PathBuf>,
    /// The model as the agent has seen it, from the inventory: with every place that holds its bytes.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Version of the model.
    #[arg(long = "model-version", value_name = "VERSION")]
    version: Option<String>,
    /// Name of the model in the bill, instead of that of the first path.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Write here instead of to standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A model as it was measured.
pub struct Measured {
    pub name: String,
    pub version: Option<String>,
    /// Sorted by path.
    pub files: Vec<File>,
    /// What could not be read, with the reason.
    pub unread: Vec<String>,
}

/// One file of it.
pub struct File {
    /// Path inside the model, with `/`.
    pub path: String,
    pub sha256: crate::event::Sha256,
    /// Bytes.
    pub size: u64,
    pub report: crate::event::Report,
    pub segments: Vec<crate::event::Segment>,
    /// Where these bytes lie.
    pub places: Vec<String>,
    /// How they stand: `approved as fraud-clf 3`.
    pub approvals: Vec<String>,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut measured = match &args.model {
        Some(model) => measure::remembered(&args.config.visit()?, model, args.version.as_deref())?,
        None => measure::paths(&args.paths, args.version.as_deref())?,
    };
    if let Some(name) = &args.name {
        measured.name.clone_from(name);
    }
    let text = serde_json::to_string_pretty(&cyclonedx::document(&measured, clock::now()))?;
    match &args.output {
        Some(path) => {
            std::fs::write(path, text + "\n").with_context(|| format!("`{}` cannot be written", path.display()))?;
        }
        None => say(&text)?,
    }
    for why in &measured.unread {
        anstream::eprintln!("not in the bill: {}", crate::alert::render::text::clean(why));
    }
    Ok(ExitCode::from(if measured.unread.is_empty() { CLEAN } else { UNSEEN }))
}
