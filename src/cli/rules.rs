//! `lanner rules`: what rules there are, whether they are sound, and what they may ask.

pub mod check;
mod import;
mod list;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::agent::rules::{RulesError, declared_fields, loader, named_or_shipped, overridden};
use crate::detect::{Diagnostic, RuleSet, Schema};

/// Exit code for a configuration or a rule that cannot be used.
pub const EXIT_UNUSABLE: u8 = 3;

#[derive(Debug, Args)]
pub struct RulesArgs {
    #[command(subcommand)]
    pub verb: RulesVerb,
}

#[derive(Debug, Subcommand)]
pub enum RulesVerb {
    /// List the rules: id, severity, telemetry, title
    List(RuleOptions),
    /// Show one rule with all that it says of itself
    Show {
        /// Short id, UUID or title of the rule
        id: String,
        #[command(flatten)]
        options: RuleOptions,
    },
    /// Check rule files and print every problem; exit 3 when there is an error
    Check(check::CheckOptions),
    /// Make rules of others into rules over the events that Lanner sees; exit 1 when some were skipped
    Import(import::ImportOptions),
    /// Run the tests inside the rules; exit 1 when one fails
    Test(RuleOptions),
    /// List the fields that rules may use
    Fields {
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

#[derive(Debug, Args)]
pub struct RuleOptions {
    /// Rule file or folder, instead of the rules that come with the program; may be given several times
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// Lists of values for `expand`: a file NAME.txt or NAME.yml, or a folder of them; may be given several times
    #[arg(long, value_name = "PATH")]
    pub values: Vec<PathBuf>,
    /// File of overrides to put in force on the rules; may be given several times
    #[arg(long, value_name = "FILE")]
    pub overrides: Vec<PathBuf>,
    /// Allow fields that Lanner does not know, and ask of rules no more than Sigma does: for rules of others
    #[arg(long)]
    pub open_schema: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// Runs the verb.
pub fn run(args: &RulesArgs) -> anyhow::Result<ExitCode> {
    match &args.verb {
        RulesVerb::List(options) => with_rules(options, |set| list::list(&set, options.format)),
        RulesVerb::Show { id, options } => with_rules(options, |set| list::show(&set, id, options.format)),
        RulesVerb::Check(options) => check::check(options),
        RulesVerb::Import(options) => import::import(options),
        RulesVerb::Test(options) => with_rules(options, |set| test(&set, options.format)),
        RulesVerb::Fields { format } => fields(*format),
    }
}

/// Prints what is wrong with rules to standard error.
pub fn report(diagnostics: &[Diagnostic]) {
    let mut out = anstream::stderr().lock();
    for diagnostic in diagnostics {
        // Nowhere to tell that standard error is closed.
        drop(writeln!(out, "{diagnostic}\n"));
    }
}

fn with_rules(
    options: &RuleOptions,
    verb: impl FnOnce(RuleSet) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    match load(options)? {
        Ok(set) => verb(set),
        Err(diagnostics) => {
            report(&diagnostics);
            Ok(ExitCode::from(EXIT_UNUSABLE))
        }
    }
}

/// The rules as the options say, or everything that is wrong with them.
fn load(options: &RuleOptions) -> anyhow::Result<Result<RuleSet, Vec<Diagnostic>>> {
    let schema = schema(options.open_schema);
    with_overrides(schema, &options.values, &options.rules, &options.overrides)
}

/// What rules may name.
pub fn schema(open: bool) -> Schema {
    if open { Schema::open() } else { Schema::declared(declared_fields()) }
}

/// Rules with their lists of values and under overrides, or everything that is wrong with them.
pub fn with_overrides(
    schema: Schema,
    values: &[PathBuf],
    rules: &[PathBuf],
    overrides: &[PathBuf],
) -> anyhow::Result<Result<RuleSet, Vec<Diagnostic>>> {
    let set = match loader(schema, values)?.load(&named_or_shipped(rules)?) {
        Ok(set) => set,
        Err(diagnostics) => return Ok(Err(diagnostics)),
    };
    match overridden(set, overrides) {
        Ok(set) => Ok(Ok(set)),
        Err(RulesError::Invalid(diagnostics)) => Ok(Err(diagnostics)),
        Err(error) => Err(error.into()),
    }
}

fn test(set: &RuleSet, format: Format) -> anyhow::Result<ExitCode> {
    let failures = set.test();
    let tests: usize = set.rules().iter().map(|rule| rule.tests.len()).sum();
    let mut out = anstream::stdout().lock();
    for failure in &failures {
        match format {
            Format::Text => writeln!(out, "{failure}")?,
            Format::Json => {
                let (rule, test, line) = (&failure.rule, &failure.test, failure.line);
                let shown = json!({"rule": rule, "test": test, "path": failure.path, "line": line, "expected": failure.expected});
                writeln!(out, "{shown}")?;
            }
        }
    }
    if format == Format::Text {
        writeln!(out, "{tests} tests of {} rules, failures: {}", set.rules().len(), failures.len())?;
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn fields(format: Format) -> anyhow::Result<ExitCode> {
    let mut out = anstream::stdout().lock();
    let mut fields = declared_fields();
    fields.sort_by_key(|field| field.path);
    for field in fields {
        match format {
            Format::Text => writeln!(out, "{:<44} {:<13} {}", field.path, field.kind.as_str(), field.doc)?,
            Format::Json => {
                let shown = json!({"field": field.path, "type": field.kind.as_str(), "description": field.doc});
                writeln!(out, "{shown}")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
