//! The command line.

mod alerts;
mod baseline;
mod bom;
mod completions;
mod config;
mod demo;
mod diff;
mod doctor;
pub mod explain;
mod inventory;
pub mod replay;
pub mod rules;
mod run;
mod scan;
mod setup;
mod verify;
mod version;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Everything is fine.
pub const CLEAN: u8 = 0;
/// Something was found.
pub const FOUND: u8 = 1;
/// The command line makes no sense, or a file it names cannot be read.
pub const USAGE: u8 = 2;
/// The configuration or a rule is not valid.
pub const INVALID: u8 = 3;
/// Nothing was found, but something could not be looked at.
pub const UNSEEN: u8 = 4;

/// Watches where ML systems keep and load their models, and raises an alert when what it sees
/// matches a detection rule mapped to MITRE ATLAS.
#[derive(Parser)]
#[command(name = "lanner", version, max_term_width = 100, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "New here? `lanner demo` stages three attacks and shows the alerts.\n\
    `lanner scan PATH` looks into files, `lanner run` watches.";

#[derive(Subcommand)]
enum Command {
    /// Watch: the agent itself.
    Run(run::Args),
    /// Look into files and directories, without loading anything.
    Scan(scan::Args),
    /// Tell what differs between two artifacts or two directories.
    Diff(diff::Args),
    /// Tell whether a model or an image is what somebody signed, and who that was.
    Verify(verify::Args),
    /// List, show, check and test detection rules.
    Rules(rules::RulesArgs),
    /// What the agent has seen, and what it was before.
    Inventory(inventory::Args),
    /// Carry what was approved to another node, and hold what lies there against it.
    Baseline(baseline::Args),
    /// Write a bill of materials of a model, CycloneDX 1.6, from its bytes.
    Bom(bom::Args),
    /// Alerts that were raised, and those that a sink refused.
    Alerts(alerts::Args),
    /// Try each source, and say what to mend where one cannot be read.
    Doctor(doctor::Args),
    /// Write, check and describe configuration.
    Config(config::Args),
    /// Match recorded events against rules.
    Replay(replay::ReplayArgs),
    /// Tell why a rule matches an event, or does not.
    Explain(explain::ExplainArgs),
    /// Stage harmless attacks in a temporary directory and show the alerts.
    Demo(demo::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Print version and build.
    Version(version::Args),
}

/// How lists are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    let result = match command {
        Command::Run(args) => run::run(args),
        Command::Scan(args) => scan::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Rules(args) => rules::run(&args),
        Command::Inventory(args) => inventory::run(&args),
        Command::Baseline(args) => baseline::run(&args),
        Command::Bom(args) => bom::run(&args),
        Command::Alerts(args) => alerts::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Version(args) => version::run(&args),
    };
    result.unwrap_or_else(|error| match error.downcast_ref::<std::io::Error>() {
        // Whoever read our output has seen enough, as `head` does.
        Some(cause) if cause.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::from(CLEAN),
        Some(_) | None => {
            anstream::eprintln!("{}error:{} {error:#}", ERROR.render(), ERROR.render_reset());
            ExitCode::from(if error.is::<Invalid>() { INVALID } else { USAGE })
        }
    })
}

/// How errors are marked.
const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();

/// A configuration or rule that is not valid; ends the program with [`INVALID`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// Prints a line to standard output; an error when nobody reads it any more.
pub fn say(line: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    writeln!(anstream::stdout().lock(), "{line}")?;
    Ok(())
}
