//! `lanner rules`: what rules there are, whether they are sound, and what they may ask.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::agent::rules::{declared_fields, loader, named_or_shipped};
use crate::detect::{self, Diagnostic, Level, Rule, RuleSet, Schema};

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
    Check(RuleOptions),
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
        RulesVerb::List(options) => with_rules(options, |set| list(&set, options.format)),
        RulesVerb::Show { id, options } => with_rules(options, |set| show(&set, id, options.format)),
        RulesVerb::Check(options) => check(options),
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
    let loader = loader(Schema::declared(declared_fields()), &options.values)?;
    match loader.load(&named_or_shipped(&options.rules)?) {
        Ok(set) => verb(set),
        Err(diagnostics) => {
            report(&diagnostics);
            Ok(ExitCode::from(EXIT_UNUSABLE))
        }
    }
}

fn list(set: &RuleSet, format: Format) -> anyhow::Result<ExitCode> {
    let mut out = anstream::stdout().lock();
    for rule in set.rules() {
        match format {
            Format::Json => writeln!(out, "{}", describe(rule))?,
            Format::Text => {
                let other = if rule.correlation.is_some() { "correlation" } else { "any" };
                let category = rule.logsource.category.as_deref().unwrap_or(other);
                let severity = rule.severity.as_str();
                writeln!(out, "{:<9} {severity:<13} {category:<15} {}", rule.display_id(), rule.title)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(set: &RuleSet, id: &str, format: Format) -> anyhow::Result<ExitCode> {
    let wanted = |rule: &&Rule| rule.display_id().eq_ignore_ascii_case(id) || rule.title == id;
    let rule = set.find(id).or_else(|| set.rules().iter().find(wanted));
    let rule = rule.with_context(|| format!("there is no rule `{id}`; `lanner rules list` lists all"))?;
    let mut out = anstream::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", describe(rule))?,
        Format::Text => {
            writeln!(out, "{} {}\n", rule.display_id(), rule.title)?;
            writeln!(out, "{}\n", rule.description)?;
            for (name, text) in details(rule) {
                writeln!(out, "{name:<16} {text}")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn details(rule: &Rule) -> Vec<(&'static str, String)> {
    let technique = |id: &crate::event::TechniqueId| match detect::catalogue::find(id.as_str()) {
        Some(entry) => format!("{id} {}", entry.name),
        None => id.to_string(),
    };
    let mitigation = |id: &crate::event::MitigationId| match detect::catalogue::find(id.as_str()) {
        Some(entry) => format!("{id} {}", entry.name),
        None => id.to_string(),
    };
    vec![
        ("severity", rule.severity.as_str().to_owned()),
        ("category", rule.logsource.category.clone().unwrap_or_default()),
        ("phase", rule.phase.map(|phase| phase.as_str().to_owned()).unwrap_or_default()),
        ("techniques", rule.atlas.iter().map(technique).collect::<Vec<_>>().join("; ")),
        ("mitigations", rule.mitigations.iter().map(mitigation).collect::<Vec<_>>().join("; ")),
        ("false positives", rule.falsepositives.join("; ")),
        ("asks about", rule.referenced_fields.join(", ")),
        ("shows", rule.fields.join(", ")),
        ("references", rule.references.join(", ")),
        ("uuid", rule.uuid.clone().unwrap_or_default()),
        ("filters", rule.filters.join("; ")),
        ("tests", (rule.tests.len() + rule.timelines.len()).to_string()),
        ("file", rule.path.clone()),
    ]
}

fn describe(rule: &Rule) -> serde_json::Value {
    json!({
        "id": rule.display_id(),
        "uuid": rule.uuid,
        "title": rule.title,
        "description": rule.description,
        "status": rule.status,
        "severity": rule.severity,
        "category": rule.logsource.category,
        "product": rule.logsource.product,
        "service": rule.logsource.service,
        "atlas": rule.atlas,
        "atlas_version": rule.atlas_version,
        "phase": rule.phase,
        "mitigations": rule.mitigations,
        "tags": rule.tags,
        "fields": rule.fields,
        "referenced_fields": rule.referenced_fields,
        "falsepositives": rule.falsepositives,
        "references": rule.references,
        "filters": rule.filters,
        "silent": rule.silent,
        "correlation": rule.correlation.is_some(),
        "tests": rule.tests.len() + rule.timelines.len(),
        "path": rule.path,
    })
}

fn check(options: &RuleOptions) -> anyhow::Result<ExitCode> {
    let sources = named_or_shipped(&options.rules)?;
    let (diagnostics, rules) = match loader(Schema::declared(declared_fields()), &options.values)?.load(&sources) {
        Ok(set) => (set.warnings().to_vec(), Some(set.rules().len())),
        Err(diagnostics) => (diagnostics, None),
    };
    let count = |level| diagnostics.iter().filter(|diagnostic| diagnostic.severity == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    let mut out = anstream::stdout().lock();
    match options.format {
        Format::Json => {
            for diagnostic in &diagnostics {
                writeln!(out, "{}", serde_json::to_string(diagnostic)?)?;
            }
        }
        Format::Text => {
            for diagnostic in &diagnostics {
                writeln!(out, "{diagnostic}\n")?;
            }
            let summary = match rules {
                Some(rules) => format!("{rules} rules in {} files are sound; warnings: {warnings}", sources.len()),
                None => format!("errors: {errors}, warnings: {warnings}"),
            };
            writeln!(out, "{summary}")?;
        }
    }
    Ok(if errors > 0 { ExitCode::from(EXIT_UNUSABLE) } else { ExitCode::SUCCESS })
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
