//! `lanner replay`: rules against events in a file, line by line, in event time.

mod apart;
mod engine;
pub(super) mod event;
mod lines;
mod profile;
mod resume;
mod usage;

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufReader, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::cli::rules::{EXIT_UNUSABLE, Format, report, schema, with_overrides};
use crate::detect::correlation::{Correlator, Limits};
use crate::detect::profile::Profile;

pub use engine::{Counts, Out, Progress, Replay};
use resume::Resumable;
use usage::Usage;

const AFTER: &str = "Exit codes: 0 the events were replayed, whatever was found; 1 there were lines and none was an event; \
    2 the command line makes no sense or a file cannot be read; 3 a rule is not valid.";

#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub struct ReplayArgs {
    /// Rule file or folder instead of the rules that come with the program; may be given again
    #[arg(long, value_name = "FILE|DIR")]
    pub rules: Vec<PathBuf>,
    /// Lists of values for `expand`: a file NAME.txt or NAME.yml, or a folder of them; may be given again
    #[arg(long, value_name = "FILE|DIR")]
    pub values: Vec<PathBuf>,
    /// File of overrides to put in force on the rules; may be given again
    #[arg(long, value_name = "FILE")]
    pub overrides: Vec<PathBuf>,
    /// Take fields from the JSON as they are, allow unknown ones, and try every rule whatever its
    /// logsource: for rules and events of others
    #[arg(long)]
    pub open_schema: bool,
    /// How to print alerts
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Field in which events say when they happened; `@timestamp` or `time` when it is left out
    #[arg(long, value_name = "FIELD")]
    pub time_field: Option<String>,
    /// Write alerts to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Keep notes in this file, so that a replay that was killed goes on where it was when the same
    /// command is given again
    #[arg(long, value_name = "FILE", requires = "output")]
    pub state: Option<PathBuf>,
    /// Lines between two notes: a killed replay does so many again at most
    #[arg(long, value_name = "LINES", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub note_every: u32,
    /// Seconds by which an event may come after newer ones and still be correlated
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub lateness_secs: u32,
    /// Memory for what correlations remember; beyond it, the groups touched longest ago go
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub memory_mib: u32,
    /// Groups that correlations remember; beyond them, those touched longest ago go
    #[arg(long, value_name = "COUNT", default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub groups_max: u32,
    /// Tell at the end what each rule cost, the N most expensive ones (20): a table on standard error, or with
    /// `--format json` objects on standard output, each with a key `profile`
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "20")]
    pub profile: Option<usize>,
    /// Events, one JSON object a line; `-` reads standard input
    #[arg(value_name = "EVENTS.jsonl")]
    pub events: PathBuf,
}

impl ReplayArgs {
    fn limits(&self) -> Limits {
        Limits {
            lateness_millis: i64::from(self.lateness_secs) * 1000,
            bytes_max: usize::try_from(u64::from(self.memory_mib) << 20).unwrap_or(usize::MAX),
            groups_max: usize::try_from(self.groups_max).unwrap_or(usize::MAX),
            ..Limits::default()
        }
    }
}

/// Runs the verb. Exit 3 when a rule does not load, 1 when there were lines and none was an event.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    apart::check(args)?;
    let set = match with_overrides(schema(args.open_schema), &args.values, &args.rules, &args.overrides)? {
        Ok(set) => set,
        Err(diagnostics) => {
            report(&diagnostics);
            return Ok(ExitCode::from(EXIT_UNUSABLE));
        }
    };
    report(set.warnings());
    let usage = Usage::begin();
    let replay = Replay {
        set: &set,
        open: args.open_schema,
        format: args.format,
        name: &args.events,
        time_field: args.time_field.as_deref(),
        profile: args.profile.map(|_| RefCell::new(Profile::new(&set, profile::now))),
    };
    let (progress, correlator, before) = events(args, &replay)?;
    let mut errors = anstream::stderr().lock();
    let Counts { events, alerts, unreadable, untimed } = progress.counts;
    writeln!(errors, "{events} events, {alerts} alerts, {unreadable} lines that are no event")?;
    let correlates = set.rules().iter().any(|rule| rule.correlation.is_some());
    if untimed > 0 && (correlates || args.time_field.is_some()) {
        let field = args.time_field.as_deref().map_or("`@timestamp` or `time`".to_owned(), |name| format!("`{name}`"));
        writeln!(
            errors,
            "warning: {untimed} of {events} events have no time in {field} that can be read: each is taken to have \
             happened with the event before it, or a second after it where no event before says a time; \
             `--time-field` names another field"
        )?;
    }
    let held = correlator.counts();
    usage.report(events - before, (!correlator.is_idle()).then_some(&held), &mut errors)?;
    if let (Some(count), Some(costs)) = (args.profile, &replay.profile) {
        let told = profile::Told::new(&costs.borrow(), &set, &correlator, count);
        match args.format {
            Format::Text => told.table(&mut errors)?,
            Format::Json => told.objects(&mut std::io::stdout().lock())?,
        }
    }
    Ok(if events == 0 && unreadable > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Replays the events; gives how far it came, what correlations hold, and how many events an
/// earlier run had replayed.
fn events(args: &ReplayArgs, replay: &Replay<'_>) -> anyhow::Result<(Progress, Correlator, u64)> {
    let limits = args.limits();
    let mut errors = anstream::stderr();
    let fresh = || Correlator::new(replay.set, limits, false);
    if args.events == Path::new("-") {
        anyhow::ensure!(args.state.is_none(), "standard input cannot be gone on with: name a file for --state");
        let (mut progress, mut correlator) = (Progress::default(), fresh());
        let mut out = sink(args)?;
        let mut out_ref = Out::Plain(&mut out);
        replay.run(&mut std::io::stdin().lock(), &mut out_ref, &mut errors, &mut correlator, &mut progress, &|_| ())?;
        out.flush()?;
        return Ok((progress, correlator, 0));
    }
    let mut file = File::open(&args.events).with_context(|| format!("cannot read {}", args.events.display()))?;
    let bar = bar(&file);
    let watch = |progress: &Progress| bar.set_position(progress.read);
    let (progress, correlator, before) = if let (Some(state), Some(output)) = (&args.state, &args.output) {
        let options = format!("{} {:?} {:?}", args.open_schema, args.format, args.time_field);
        let (notes, mut progress, mut correlator) =
            Resumable::open(state, output, &mut file, replay.set, limits, &options)?;
        let before = progress.counts.events;
        let mut out = Out::Resumable(Box::new(std::io::BufWriter::new(notes)), args.note_every.into());
        let mut input = BufReader::with_capacity(1 << 16, file);
        replay.run(&mut input, &mut out, &mut errors, &mut correlator, &mut progress, &watch)?;
        (progress, correlator, before)
    } else {
        let (mut progress, mut correlator) = (Progress::default(), fresh());
        let mut out = sink(args)?;
        let mut input = BufReader::with_capacity(1 << 16, file);
        replay.run(&mut input, &mut Out::Plain(&mut out), &mut errors, &mut correlator, &mut progress, &watch)?;
        out.flush()?;
        (progress, correlator, 0)
    };
    bar.finish_and_clear();
    Ok((progress, correlator, before))
}

fn sink(args: &ReplayArgs) -> anyhow::Result<Box<dyn Write>> {
    Ok(match &args.output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Box::new(std::io::BufWriter::new(file))
        }
        None => Box::new(std::io::BufWriter::new(std::io::stdout().lock())),
    })
}

/// A bar on a terminal; elsewhere nothing is drawn.
fn bar(file: &File) -> indicatif::ProgressBar {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    if length == 0 || !std::io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let bar = indicatif::ProgressBar::new(length);
    let style = "{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec}, {eta} left";
    if let Ok(style) = indicatif::ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}
