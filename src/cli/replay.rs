//! `lanner replay`: rules against events in a file, line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use crate::detect::{Rule, RuleSet, Schema};
use crate::event::subject::SubjectKind;
use crate::event::{Event, EventKind, Fields, Place, Subject, Value, value};

use super::rules::{EXIT_UNUSABLE, Format, report};
use crate::agent::rules::{declared_fields, loader, named_or_shipped};

/// Bytes of one line; longer ones are reported and left out.
const LINE_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Rule file or folder instead of the rules that come with the program; may be given again
    #[arg(long, value_name = "FILE|DIR")]
    pub rules: Vec<PathBuf>,
    /// Lists of values for `expand`: a file NAME.txt or NAME.yml, or a folder of them; may be given again
    #[arg(long, value_name = "FILE|DIR")]
    pub values: Vec<PathBuf>,
    /// Take fields from the JSON as they are, allow unknown ones, and try every rule whatever its
    /// logsource: for rules and events of others
    #[arg(long)]
    pub open_schema: bool,
    /// How to print alerts
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Events, one JSON object a line; `-` reads standard input
    #[arg(value_name = "EVENTS.jsonl")]
    pub events: PathBuf,
}

/// What became of the lines.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub events: u64,
    pub alerts: u64,
    /// Lines that were no event, each reported.
    pub unreadable: u64,
}

/// Runs the verb. Exit 3 when a rule does not load, 1 when there were lines and none was an event.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let schema = if args.open_schema { Schema::open() } else { Schema::declared(declared_fields()) };
    let set = match loader(schema, &args.values)?.load(&named_or_shipped(&args.rules)?) {
        Ok(set) => set,
        Err(diagnostics) => {
            report(&diagnostics);
            return Ok(ExitCode::from(EXIT_UNUSABLE));
        }
    };
    report(set.warnings());
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut errors = anstream::stderr().lock();
    let replay = Replay { set: &set, open: args.open_schema, format: args.format, name: &args.events };
    let counts = if args.events == Path::new("-") {
        replay.all(&mut std::io::stdin().lock(), &mut out, &mut errors)?
    } else {
        let file = File::open(&args.events).with_context(|| format!("cannot read {}", args.events.display()))?;
        replay.all(&mut BufReader::with_capacity(1 << 16, file), &mut out, &mut errors)?
    };
    out.flush()?;
    if args.format == Format::Text || counts.unreadable > 0 {
        let Counts { events, alerts, unreadable } = counts;
        writeln!(errors, "{events} events, {alerts} alerts, {unreadable} lines that are no event")?;
    }
    Ok(if counts.events == 0 && counts.unreadable > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Rules against a stream of lines.
pub struct Replay<'r> {
    pub set: &'r RuleSet,
    /// Fields as they are, and every rule.
    pub open: bool,
    pub format: Format,
    /// What messages call the events' file.
    pub name: &'r Path,
}

impl Replay<'_> {
    /// Replays all lines. A line that is no event is reported to `errors`, and the others go on.
    pub fn all(&self, input: &mut dyn BufRead, out: &mut dyn Write, errors: &mut dyn Write) -> anyhow::Result<Counts> {
        let (mut counts, mut line, mut index) = (Counts::default(), Vec::new(), 0_u64);
        loop {
            let read = next_line(input, &mut line).with_context(|| format!("cannot read {}", self.name.display()))?;
            let outcome = match read {
                Read::End => return Ok(counts),
                Read::TooLong => Err(format!("the line is longer than {LINE_BYTES_MAX} bytes")),
                Read::Line if line.iter().all(u8::is_ascii_whitespace) => {
                    index += 1;
                    continue;
                }
                Read::Line => self.matches(&line, index),
            };
            match outcome {
                Ok(rules) => {
                    counts.events += 1;
                    for rule in rules {
                        counts.alerts += 1;
                        self.print(rule, index, out)?;
                    }
                }
                Err(reason) => {
                    counts.unreadable += 1;
                    writeln!(errors, "{}:{}: {reason}", self.name.display(), index + 1)?;
                }
            }
            index += 1;
        }
    }

    fn matches(&self, line: &[u8], index: u64) -> Result<Vec<&Rule>, String> {
        let line = line.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(line);
        let json: serde_json::Value = serde_json::from_slice(line).map_err(|error| format!("no JSON: {error}"))?;
        if !json.is_object() {
            return Err("an event is a JSON object".to_owned());
        }
        let fields = value::from_json(json);
        if self.open {
            return Ok(self.set.matches_open(&fields));
        }
        event_of(fields, index).map(|event| self.set.matches(&event))
    }

    fn print(&self, rule: &Rule, index: u64, out: &mut dyn Write) -> anyhow::Result<()> {
        let (id, severity) = (rule.display_id(), rule.severity.as_str());
        match self.format {
            Format::Json => {
                let alert = json!({
                    "event_index": index,
                    "rule": id,
                    "title": rule.title,
                    "severity": rule.severity,
                    "atlas": rule.atlas,
                });
                writeln!(out, "{alert}")?;
            }
            Format::Text => writeln!(out, "event {index}: {id} {severity} {}", rule.title)?,
        }
        Ok(())
    }
}

enum Read {
    Line,
    TooLong,
    End,
}

/// The next line without its end; one that is too long is read past and not kept.
fn next_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> std::io::Result<Read> {
    line.clear();
    let (mut any, mut too_long) = (false, false);
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if buffer.is_empty() {
            break;
        }
        any = true;
        let end = memchr::memchr(b'\n', buffer);
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        too_long |= line.len() + part.len() > LINE_BYTES_MAX;
        if !too_long {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    Ok(if !any {
        Read::End
    } else if too_long {
        Read::TooLong
    } else {
        Read::Line
    })
}

/// A normalised event: flat fields, of which `event.category` says what kind it is.
fn event_of(fields: Fields, index: u64) -> Result<Event, String> {
    let text = |path: &str| fields.get(path).and_then(Value::as_text).map(str::to_owned);
    let Some(category) = text("event.category") else {
        return Err("`event.category` is missing; for foreign events use --open-schema".to_owned());
    };
    let kind = EventKind::from_category(&category).ok_or_else(|| {
        let known = EventKind::ALL.map(EventKind::category).join(", ");
        format!("`{category}` is no event category; there are {known}")
    })?;
    let time = ["@timestamp", "time"].into_iter().find_map(|path| text(path)?.parse::<Timestamp>().ok());
    // Events without a time keep the order of their lines.
    let time =
        time.or_else(|| Timestamp::from_second(i64::try_from(index).ok()?).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Event {
        id: text("event.id").unwrap_or_default(),
        kind,
        time,
        source: text("event.provider").unwrap_or_else(|| "replay".to_owned()),
        product: text("event.dataset").unwrap_or_default(),
        service: text("event.service"),
        subject: Subject::new(SubjectKind::Artifact, text("subject.name").unwrap_or_default()),
        artifact: None,
        digest: None,
        place: Place::default(),
        fields,
    })
}
