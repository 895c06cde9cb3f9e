//! `lanner scan`: look into files, for people, for machines and for CI.

mod accept;
mod baseline;
mod each;
mod given;
mod globs;
mod junit;
mod list;
mod look;
pub mod remote;
mod sarif;
mod text;
mod uri;

use std::io::IsTerminal as _;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::globs::Globs;
use self::list::{Choice, List};
use self::look::Looker;
use self::text::Summary;
use super::{CLEAN, FOUND, Invalid, UNSEEN, USAGE, say};
use crate::agent::rules;
use crate::artifact::{Limits, Vetted};
use crate::base::files;
use crate::config::raw;
use crate::event::Severity;

/// Files at addresses looked at side by side, unless somebody asks for another number.
const FETCHES: usize = 8;
/// Bytes of a list of vetted classes.
const VETTED_BYTES_MAX: u64 = 4 << 20;

const CODES: &str = "Exit codes:
  0  nothing was found that is at least as severe as --fail-on
  1  something was
  2  the command line makes no sense, or a path does not exist
  3  a rule, a baseline or a list of what is allowed or vetted is not valid
  4  nothing was found, but something could not be read; with --fail-on-incomplete also when
     something was not understood, or a link led outside";

#[derive(clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    /// Files, directories, globs in quotes ('models/**/*.pkl'), - for standard input, and addresses, which
    /// begin with `hf://`, `oci://`, `models:/`, `s3://`, `gs://`, `az://` or `abfs://`.
    #[arg(required_unless_present = "files_from", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Read more paths from a file (- for standard input), separated by line ends or NUL.
    #[arg(long, value_name = "FILE")]
    files_from: Option<PathBuf>,
    /// Look only at files that fit; a glob with / is compared with the whole path, one without with
    /// the name; may be given again.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Leave out files and folders that fit; may be given again.
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Follow links that lead outside of the paths, too.
    #[arg(long)]
    follow_links: bool,
    #[arg(long, value_enum, default_value = "text")]
    format: ScanFormat,
    /// End with 1 when a finding is at least so severe.
    #[arg(long, value_name = "SEVERITY", default_value = "low")]
    fail_on: Severity,
    /// End with 4 when nothing was found, but something could not be looked at in whole.
    #[arg(long)]
    fail_on_incomplete: bool,
    /// Rule file or folder instead of the rules that come with the program; may be given again.
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Suppress the findings that this file holds, as long as the bytes are the same.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write all that is found to this file, for --baseline, and accept it.
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    write_baseline: Option<PathBuf>,
    /// Suppress the findings that this file of entries with reasons allows; may be given again.
    #[arg(long, value_name = "FILE")]
    allow: Vec<PathBuf>,
    /// Classes of yours that pickles may name, listed in this file; may be given again.
    #[arg(long, value_name = "FILE")]
    vetted: Vec<PathBuf>,
    /// Files looked at side by side; as many as there are processors when it is not given, eight at least
    /// where there are files at addresses.
    #[arg(short, long, value_name = "COUNT")]
    jobs: Option<NonZero<u16>>,
    /// Most seconds that one file may take; what was not looked at by then is said.
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Most bytes that are taken from standard input.
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 30)]
    stdin_max: u64,
    /// Larger files at addresses are not fetched whole: only what their format asks for is read, and
    /// nothing is searched for in weights.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    whole_max: u64,
    /// What standard input is called where a name is a hint.
    #[arg(long, value_name = "NAME", default_value = "-")]
    stdin_name: String,
    /// Print clean files too.
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScanFormat {
    /// For people.
    Text,
    /// One JSON object a line, for each file.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// The XML of test reports, as CI systems read it.
    Junit,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let asked = raw::Rules { shipped: args.rules.is_empty(), paths: args.rules.clone(), ..raw::Rules::default() };
    let set = rules::load(&asked).map_err(|error| Invalid(error.explain()))?;
    let mut accept = accept::Accept::new(&args.allow, args.baseline.as_deref(), args.write_baseline.is_some(), &set)?;
    let mut fetcher = remote::Fetcher::new(args.whole_max, Duration::from_secs(args.timeout));
    let List { entries, remote, missing } = list(args, &mut fetcher)?;
    fetcher.files = remote;
    if entries.is_empty() {
        anstream::eprintln!("there is no file under the paths: nothing was looked at");
    }
    let bar = progress(entries.len());
    let mut summary = Summary::default();
    let mut log = sarif::Log::new(&set);
    let mut suite = junit::Suite::default();
    let mut result = Ok(());
    // Most of the time of a file at an address is waiting.
    let usual = if fetcher.files.is_empty() { cores() } else { cores().max(FETCHES) };
    let jobs = args.jobs.map_or(usual, |jobs| usize::from(jobs.get()));
    let limits = Limits { vetted: Arc::new(vetted(&args.vetted)?), ..Limits::default() };
    let looker = Looker {
        set: &set,
        stdin_max: args.stdin_max,
        stdin_name: &args.stdin_name,
        limits: &limits,
        timeout: Duration::from_secs(args.timeout),
        remote: &fetcher,
    };
    let look = |entry: &list::Entry| looker.look(entry);
    each::each(&entries, jobs, look, |mut inspected| {
        bar.inc(1);
        accept.apply(&mut inspected);
        summary.count(&inspected, args.fail_on);
        if result.is_ok() {
            result = bar.suspend(|| match args.format {
                ScanFormat::Text => text::print(&inspected, args.verbose),
                ScanFormat::Json => say(&inspected.to_json().to_string()),
                ScanFormat::Sarif => {
                    log.add(&inspected);
                    Ok(())
                }
                ScanFormat::Junit => {
                    suite.add(&inspected, args.fail_on);
                    Ok(())
                }
            });
        }
        result.is_ok()
    });
    bar.finish_and_clear();
    result?;
    match args.format {
        ScanFormat::Sarif => say(&log.finish(summary.unreadable == 0).to_string())?,
        ScanFormat::Junit => say(&suite.finish()?)?,
        ScanFormat::Text => summary.print()?,
        ScanFormat::Json => {}
    }
    accept.finish(args.write_baseline.as_deref())?;
    for path in &missing {
        anstream::eprintln!("`{}` does not exist, or fits nothing", crate::alert::render::text::clean(path));
    }
    let incomplete = args.fail_on_incomplete && summary.incomplete > 0;
    Ok(ExitCode::from(match () {
        () if !missing.is_empty() => USAGE,
        () if summary.failing > 0 => FOUND,
        () if summary.unreadable > 0 || incomplete => UNSEEN,
        () => CLEAN,
    }))
}

/// What the files of the command line vouch for.
fn vetted(files: &[PathBuf]) -> anyhow::Result<Vetted> {
    let mut all = Vetted::default();
    for path in files {
        let shown = path.display();
        let text = files::read_text(path, VETTED_BYTES_MAX).with_context(|| format!("`{shown}` cannot be read"))?;
        let list = Vetted::parse(&text).map_err(|wrong| Invalid(format!("{shown}: {}", wrong.join("\n"))))?;
        all.extend(list);
    }
    Ok(all)
}

/// Everything that the command line asks for.
fn list(args: &Args, fetcher: &mut remote::Fetcher) -> anyhow::Result<List> {
    let from = args.files_from.as_deref();
    let twice =
        from.is_some_and(|path| path.as_os_str() == "-") && args.paths.iter().any(|path| path.as_os_str() == "-");
    anyhow::ensure!(!twice, "standard input is either a file or a list of files, not both");
    let exact = from.map(given::names).transpose()?.unwrap_or_default();
    let choice =
        Choice { include: Globs::new(&args.include)?, exclude: Globs::new(&args.exclude)?, follow: args.follow_links };
    list::list(&args.paths, &exact, &choice, &mut |address| fetcher.list(address))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn progress(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    if files < 2 || !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} files, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
