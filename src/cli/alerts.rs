//! `lanner alerts`: what was raised, and what a sink refused.

use std::process::ExitCode;

use super::setup::ConfigArgs;
use super::{FOUND, Format, USAGE, say};
use crate::alert::render::text::{self, clean};

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
    /// List alerts, newest first.
    List {
        /// Those that a sink refused for good, with its reason.
        #[arg(long)]
        dead_letters: bool,
        #[arg(long, default_value_t = 100)]
        most: usize,
    },
    /// Show one alert.
    Show {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// Ask the running agent to deliver refused alerts again.
    Retry {
        /// One alert; all of them without it.
        id: Option<String>,
    },
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let state = args.config.visit()?;
    match &args.verb {
        Verb::List { dead_letters: true, .. } => {
            for letter in state.dead_letters()? {
                match args.format {
                    Format::Json => say(&serde_json::to_string(&letter)?)?,
                    Format::Text => say(&clean(&format!(
                        "{}  {:<12} {:<8} {}  {}",
                        letter.time, letter.sink, letter.rule, letter.alert, letter.reason
                    )))?,
                }
            }
        }
        Verb::List { dead_letters: false, most } => {
            for stored in state.alerts_newest(*most)? {
                let alert = &stored.alert;
                match args.format {
                    Format::Json => {
                        let mut json = serde_json::to_value(alert)?;
                        json["count"] = stored.count.into();
                        say(&json.to_string())?;
                    }
                    Format::Text => {
                        let style = text::style(alert.severity);
                        let (title, subject) = (clean(&alert.rule.title), clean(&alert.subject.name));
                        let severity = alert.severity.as_str();
                        let id: String = alert.id.chars().take(12).collect();
                        say(&format!(
                            "{id}  {}  {style}{severity:<13}{style:#} {:<8} {title}: {subject} ({}x)",
                            alert.time, alert.rule.id, stored.count
                        ))?;
                    }
                }
            }
        }
        Verb::Show { id } => {
            let Some(stored) = state.alert(id)? else {
                anstream::eprintln!("there is no alert `{id}`; `lanner alerts list` shows which there are");
                return Ok(ExitCode::from(FOUND));
            };
            match args.format {
                Format::Json => say(&serde_json::to_string(&stored.alert)?)?,
                Format::Text => {
                    say(text::alert(&stored.alert).trim_end())?;
                    say(&format!("  {}", clean(stored.alert.rule.description.trim())))?;
                    say(&format!("  seen {} time(s), stored {}", stored.count, stored.committed))?;
                }
            }
        }
        Verb::Retry { id } => {
            let count = state.retry(id.as_deref())?;
            if count == 0 {
                anstream::eprintln!("no refused alert to try again");
                return Ok(ExitCode::from(if id.is_some() { USAGE } else { super::CLEAN }));
            }
            say(&format!("{count} to be delivered again by the running agent, within seconds"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
