//! `lanner explain`: why a rule matches an event, or does not.

mod text;

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;

use super::replay::event::{event_of, fields_of, time_of};
use super::rules::{EXIT_UNUSABLE, Format, report};
use crate::agent::rules::{RulesError, declared_fields, loader, named_or_shipped, overridden};
use crate::detect::explain::{self, Asked};
use crate::detect::overrides::Action;
use crate::detect::{Rule, RuleSet, Schema};

/// Bytes of the event.
const EVENT_BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Short id, UUID, name or title of the rule
    #[arg(long, value_name = "ID")]
    pub rule: String,
    /// The event: a file with one JSON object, or a line of many; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub event: PathBuf,
    /// Line of the event in the file, counted from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub line: Option<u64>,
    /// Rule file or folder instead of the rules that come with the program; may be given again
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// Lists of values for `expand`: a file NAME.txt or NAME.yml, or a folder of them; may be given again
    #[arg(long, value_name = "PATH")]
    pub values: Vec<PathBuf>,
    /// File of overrides to put in force on the rules; may be given again
    #[arg(long, value_name = "FILE")]
    pub overrides: Vec<PathBuf>,
    /// Take fields from the JSON as they are, allow unknown ones, and ask whatever the rule's logsource
    #[arg(long)]
    pub open_schema: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Runs the verb: exit 0 when the rule matches, 1 when it does not, 3 when it cannot be asked.
pub fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let schema = if args.open_schema { Schema::open() } else { Schema::declared(declared_fields()) };
    let (sources, loader) = (named_or_shipped(&args.rules)?, loader(schema, &args.values)?);
    let loaded = loader.load(&sources).map_err(RulesError::Invalid);
    let set = match loaded.and_then(|set| overridden(set, &args.overrides)) {
        Ok(set) => set,
        Err(RulesError::Invalid(diagnostics)) => {
            report(&diagnostics);
            return Ok(ExitCode::from(EXIT_UNUSABLE));
        }
        Err(error) => return Err(error.into()),
    };
    let Some(number) = set.rules().iter().position(|rule| is_called(rule, &args.rule)) else {
        return unusable(&absent(&set, &args.rule));
    };
    let text = read(&args.event, args.line).with_context(|| format!("cannot read {}", args.event.display()))?;
    let fields = match fields_of(text.trim_ascii()) {
        Ok((fields, _)) => fields,
        Err(message) => {
            let many = args.line.is_none() && text.trim_ascii().contains(&b'\n');
            let hint = if many { "; for one event of several, `--line` takes its number, from 1" } else { "" };
            return unusable(&format!("{}: {message}{hint}", args.event.display()));
        }
    };
    let explained = if args.open_schema {
        explain::explain(&set, &loader, &sources, number, Asked::Open(&fields))
    } else {
        let time = time_of(&fields, None).unwrap_or(Timestamp::UNIX_EPOCH);
        match event_of(fields, time) {
            Ok(event) => explain::explain(&set, &loader, &sources, number, Asked::Ours(&event)),
            Err(message) => return unusable(&format!("{}: {message}", args.event.display())),
        }
    };
    let explanation = match explained {
        Ok(explanation) => explanation,
        Err(error) => return unusable(&format!("`{}`: {error}", args.rule)),
    };
    match args.format {
        Format::Json => super::say(&serde_json::to_string(&explanation)?)?,
        Format::Text => super::say(text::render(&explanation).trim_end())?,
    }
    Ok(if explanation.matches { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a rule goes by this short id, UUID, name or title; case does not matter.
fn is_called(rule: &Rule, wanted: &str) -> bool {
    let names = [rule.short_id.as_deref(), rule.uuid.as_deref(), rule.name.as_deref(), Some(rule.title.as_str())];
    names.into_iter().flatten().any(|name| name.to_lowercase() == wanted.to_lowercase())
}

/// Why there is no such rule to ask.
fn absent(set: &RuleSet, wanted: &str) -> String {
    let off = set.disabled().iter().find(|off| is_called(&off.rule, wanted));
    match off.and_then(|off| off.changes.iter().find(|change| change.action == Action::Disable)) {
        Some(change) => format!("the rule `{wanted}` is {change}"),
        None => format!("there is no rule `{wanted}`; `lanner rules list` lists all"),
    }
}

fn unusable(message: &str) -> anyhow::Result<ExitCode> {
    Err(super::Invalid(message.to_owned()).into())
}

/// The event's text: the whole, or one line of it.
fn read(path: &Path, line: Option<u64>) -> std::io::Result<Vec<u8>> {
    let input: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path)?))
    };
    let too_long = || std::io::Error::new(std::io::ErrorKind::FileTooLarge, "the event is larger than 16 MiB");
    let mut text = Vec::new();
    let Some(line) = line else {
        #[expect(clippy::disallowed_methods, reason = "the bound is taken here, and what exceeds it is refused")]
        input.take(EVENT_BYTES_MAX + 1).read_to_end(&mut text)?;
        return if text.len() as u64 > EVENT_BYTES_MAX { Err(too_long()) } else { Ok(text) };
    };
    let mut input = input;
    for _ in 0..line.max(1) {
        text.clear();
        if (&mut input).take(EVENT_BYTES_MAX + 1).read_until(b'\n', &mut text)? == 0 {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, format!("there is no line {line}")));
        }
        if text.len() as u64 > EVENT_BYTES_MAX {
            return Err(too_long());
        }
    }
    Ok(text)
}
