//! `lanner rules check`: every problem in rules and overrides, for people and for machines.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{EXIT_UNUSABLE, Format, RuleOptions, load};
use crate::detect::diagnostic::CODES;
use crate::detect::{Diagnostic, Level};

#[derive(Debug, Args)]
pub struct CheckOptions {
    /// Rule file or folder, instead of the rules that come with the program; may be given several times
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// Lists of values for `expand`: a file NAME.txt or NAME.yml, or a folder of them; may be given several times
    #[arg(long, value_name = "PATH")]
    pub values: Vec<PathBuf>,
    /// File of overrides to check with the rules; may be given several times
    #[arg(long, value_name = "FILE")]
    pub overrides: Vec<PathBuf>,
    /// Allow fields that Lanner does not know, and ask of rules no more than Sigma does: for rules of others
    #[arg(long)]
    pub open_schema: bool,
    /// Explain a code that a message carries, and check nothing
    #[arg(long, value_name = "CODE", value_parser = code)]
    pub explain: Option<&'static str>,
    /// Warnings count as errors
    #[arg(long)]
    pub strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub format: CheckFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people, with the line and a caret
    Text,
    /// One JSON object a line
    Json,
    /// Annotations of GitHub Actions
    Github,
    /// One SARIF 2.1.0 log
    Sarif,
}

/// What the page says of each code.
const PAGE: &str = include_str!("../../../docs/diagnostics.md");

/// One of the codes that there are.
fn code(written: &str) -> Result<&'static str, String> {
    let known = CODES.iter().map(|(code, _)| *code);
    known
        .clone()
        .find(|code| code.eq_ignore_ascii_case(written))
        .ok_or_else(|| format!("there are {}", known.collect::<Vec<_>>().join(", ")))
}

fn explain(code: &str) -> anyhow::Result<ExitCode> {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(code)).unwrap_or_default();
    let shown = section.lines().filter(|line| !line.starts_with("<!--") && !line.starts_with("```"));
    let mut shown: Vec<&str> = shown.collect();
    // Where a mark stood between them, two empty lines are left.
    shown.dedup_by(|a, b| a.is_empty() && b.is_empty());
    writeln!(anstream::stdout().lock(), "{}", shown.join("\n").trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints every problem; exit 3 when there is an error, or with `--strict` a warning.
pub fn check(options: &CheckOptions) -> anyhow::Result<ExitCode> {
    if let Some(code) = options.explain {
        return explain(code);
    }
    let loading = RuleOptions {
        rules: options.rules.clone(),
        values: options.values.clone(),
        overrides: options.overrides.clone(),
        open_schema: options.open_schema,
        format: Format::Text,
    };
    let (diagnostics, rules) = match load(&loading)? {
        Ok(set) => (set.warnings().to_vec(), Some(set.rules().len())),
        Err(diagnostics) => (diagnostics, None),
    };
    let count = |level| diagnostics.iter().filter(|diagnostic| diagnostic.severity == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    let mut out = anstream::stdout().lock();
    match options.format {
        CheckFormat::Json => {
            diagnostics.iter().try_for_each(|one| writeln!(out, "{}", serde_json::json!(one)))?;
        }
        CheckFormat::Text => {
            diagnostics.iter().try_for_each(|diagnostic| writeln!(out, "{diagnostic}\n"))?;
            match rules {
                Some(rules) => writeln!(out, "{rules} rules are sound; warnings: {warnings}")?,
                None => writeln!(out, "errors: {errors}, warnings: {warnings}")?,
            }
        }
        CheckFormat::Github => diagnostics.iter().try_for_each(|one| writeln!(out, "{}", annotation(one)))?,
        CheckFormat::Sarif => writeln!(out, "{:#}", sarif(&diagnostics))?,
    }
    let unusable = errors > 0 || options.strict && warnings > 0;
    Ok(if unusable { ExitCode::from(EXIT_UNUSABLE) } else { ExitCode::SUCCESS })
}

/// A workflow command; see "Workflow commands for GitHub Actions" in GitHub's documentation.
fn annotation(one: &Diagnostic) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let text = match &one.hint {
        Some(hint) => format!("{}\nhelp: {hint}", one.message),
        None => one.message.clone(),
    };
    let (level, path) = (one.severity.as_str(), property(&one.path));
    format!(
        "::{level} file={path},line={},col={},title={}::{}",
        one.line.max(1),
        one.column.max(1),
        one.code,
        data(&text)
    )
}

/// SARIF 2.1.0, <https://docs.oasis-open.org/sarif/sarif/v2.1.0/>.
fn sarif(diagnostics: &[Diagnostic]) -> Value {
    let rules: Vec<Value> =
        CODES.iter().map(|(code, meaning)| json!({"id": code, "shortDescription": {"text": meaning}})).collect();
    let result = |one: &Diagnostic| {
        let text = one.hint.as_ref().map_or_else(|| one.message.clone(), |hint| format!("{}; {hint}", one.message));
        let (line, column) = (one.line.max(1), one.column.max(1));
        let region = json!({"startLine": line, "startColumn": column, "endColumn": column + one.length});
        json!({
            "ruleId": one.code,
            "level": one.severity,
            "message": {"text": text},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": one.path}, "region": region}}],
        })
    };
    let driver = json!({"name": "lanner", "version": env!("CARGO_PKG_VERSION"), "rules": rules});
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": diagnostics.iter().map(result).collect::<Vec<_>>()}],
    })
}
