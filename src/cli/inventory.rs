//! `lanner inventory`: what the agent has seen, what people approved, and whether the two agree.

mod approve;
mod compare;
mod places;

use std::process::ExitCode;

use serde_json::json;

use super::setup::ConfigArgs;
use super::{FOUND, Format, say};
use crate::alert::render::text::clean;
use crate::event::value;
use crate::state::Placed;

/// Records that are shown with all that is known of them.
const SHOWN_MAX: usize = 100;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    #[arg(long, value_enum, default_value = "text", global = true)]
    format: Format,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// List what every source sees now.
    List {
        /// Only what holds this text in key, subject or digest.
        #[arg(default_value = "")]
        text: String,
        /// Print at most so many.
        #[arg(long, default_value_t = 1000)]
        most: usize,
    },
    /// Show everything known of what holds a text in key, subject or digest.
    Show { text: String },
    /// Show what an artifact was before, oldest first.
    History {
        /// Part of a path, a model's name or a digest.
        text: String,
        #[arg(long, default_value_t = 1000)]
        most: usize,
    },
    /// Say that a version of a model may be served: its bytes are held against what is seen everywhere.
    Approve(approve::Args),
    /// List what was approved, newest first.
    Approvals {
        /// Only of this model.
        model: Option<String>,
    },
    /// Every place that holds the bytes of an artifact, and how they stand.
    Places {
        /// A digest or the beginning of one, or part of a path or name.
        text: String,
    },
    /// Hold what is served against what was approved; ends with 1 where they differ.
    Check {
        /// Only this model.
        model: Option<String>,
    },
    /// Tell what differs between two artifacts that the agent has seen, also when their bytes are gone.
    Diff {
        /// Before: a digest or the beginning of one, or a path or key.
        old: String,
        /// After.
        new: String,
    },
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let state = args.config.visit()?;
    let count = match &args.verb {
        Verb::List { text, most } => {
            // One more than is printed: whether there are more is seen by it.
            let mut found = state.find(text, most.saturating_add(1))?;
            let more = found.len() > *most;
            found.truncate(*most);
            for placed in &found {
                match args.format {
                    Format::Json => say(&describe(placed).to_string())?,
                    Format::Text => say(&line(placed))?,
                }
            }
            if more {
                cut("records", *most);
            }
            found.len()
        }
        Verb::Show { text } => {
            let mut found = state.find(text, SHOWN_MAX + 1)?;
            let more = found.len() > SHOWN_MAX;
            found.truncate(SHOWN_MAX);
            for placed in &found {
                let mut all = describe(placed);
                if let Some(blob) = placed.digest.map(|digest| state.blob(&digest)).transpose()?.flatten() {
                    all["facts"] = value::to_json(&blob.report.facts);
                    all["issues"] = serde_json::to_value(&blob.report.issues)?;
                    all["segments"] = serde_json::to_value(&blob.segments)?;
                }
                match args.format {
                    Format::Json => say(&all.to_string())?,
                    Format::Text => say(&serde_json::to_string_pretty(&all)?)?,
                }
            }
            if more {
                anstream::eprintln!("more than {SHOWN_MAX} records were found; say more of what you look for");
            }
            found.len()
        }
        Verb::History { text, most } => {
            let mut steps = state.history(text, most.saturating_add(1))?;
            let more = steps.len() > *most;
            // The oldest come first, and those are left out.
            steps.drain(..steps.len().saturating_sub(*most));
            for step in &steps {
                match args.format {
                    Format::Json => say(&serde_json::to_string(step)?)?,
                    Format::Text => {
                        let digest = step.digest.map_or_else(|| "gone".to_owned(), |digest| format!("sha256:{digest}"));
                        let version = step.version.as_deref().map(|version| format!(" @{version}")).unwrap_or_default();
                        say(&clean(&format!("{}  {}  {}{version}  {digest}", step.time, step.source, step.path)))?;
                    }
                }
            }
            if more {
                cut("steps", *most);
            }
            steps.len()
        }
        Verb::Approve(approval) => return approve::run(&state, approval, args.format),
        Verb::Approvals { model } => approve::list(&state, model.as_deref(), args.format)?,
        Verb::Places { text } => places::list(&state, text, args.format)?,
        Verb::Check { model } => return places::check(&state, model.as_deref(), args.format),
        Verb::Diff { old, new } => return compare::run(&state, old, new, args.format),
    };
    if count == 0 && args.format == Format::Text {
        anstream::eprintln!("nothing found");
    }
    Ok(ExitCode::from(if count == 0 { FOUND } else { super::CLEAN }))
}

/// Says that not all was printed; beside standard output, on which programs find what they read.
fn cut(what: &str, most: usize) {
    anstream::eprintln!(
        "more than {most} {what} were found; print more with `--most`, or say more of what you look for"
    );
}

fn line(placed: &Placed) -> String {
    let digest = placed.digest.map_or_else(|| "-".to_owned(), |digest| format!("sha256:{}", digest.short()));
    let format = placed.format.as_deref().unwrap_or(&placed.kind);
    let size = placed.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
    clean(&format!("{:<12} {:<14} {:>12}  {digest:<41} {}", placed.source, format, size, placed.key))
}

fn describe(placed: &Placed) -> serde_json::Value {
    json!({
        "source": placed.source,
        "key": placed.key,
        "kind": placed.kind,
        "subject": placed.subject,
        "path": placed.path,
        "version": placed.version,
        "sha256": placed.digest,
        "first_sha256": placed.first_digest,
        "size": placed.size,
        "format": placed.format,
        "changes": placed.generation,
        "first_seen": placed.first_seen,
        "last_changed": placed.last_changed,
        "attributes": value::to_json(&placed.attributes),
    })
}
