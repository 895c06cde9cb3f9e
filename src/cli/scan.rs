//! `lanner scan`: look into files, for people, for machines and for CI.

mod look;
mod sarif;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::look::{Inspected, Verdict};
use super::{CLEAN, FOUND, Invalid, USAGE, say};
use crate::agent::rules;
use crate::alert::render::text::{clean, style};
use crate::config::raw;
use crate::detect::RuleSet;
use crate::event::Severity;

#[derive(clap::Args)]
pub struct Args {
    /// Files and directories.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[arg(long, value_enum, default_value = "text")]
    format: ScanFormat,
    /// End with 1 when a finding is at least so severe.
    #[arg(long, value_name = "SEVERITY", default_value = "low")]
    fail_on: Severity,
    /// Rule file or folder instead of the rules that come with the program; may be given again.
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
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
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let asked = raw::Rules { shipped: args.rules.is_empty(), paths: args.rules.clone(), ..raw::Rules::default() };
    let set = rules::load(&asked).map_err(|error| Invalid(error.explain()))?;
    let files = list(&args.paths);
    if files.is_empty() {
        anstream::eprintln!("there is no file under the paths: nothing was looked at");
    }
    let missing = args.paths.iter().filter(|path| !path.exists()).count();
    let bar = progress(files.len());
    let mut summary = Summary::default();
    let mut log = sarif::Log::new(&set);
    let mut result = Ok(());
    each(&files, &set, |inspected| {
        bar.inc(1);
        summary.count(&inspected, args.fail_on);
        if result.is_ok() {
            result = bar.suspend(|| match args.format {
                ScanFormat::Text => print(&inspected, args.verbose),
                ScanFormat::Json => say(&inspected.to_json().to_string()),
                ScanFormat::Sarif => {
                    log.add(&inspected);
                    Ok(())
                }
            });
        }
        result.is_ok()
    });
    bar.finish_and_clear();
    result?;
    match args.format {
        ScanFormat::Sarif => say(&log.finish().to_string())?,
        ScanFormat::Text => summary.print()?,
        ScanFormat::Json => {}
    }
    if missing > 0 {
        anstream::eprintln!("{missing} of the paths do not exist");
        return Ok(ExitCode::from(USAGE));
    }
    Ok(ExitCode::from(if summary.failing > 0 { FOUND } else { CLEAN }))
}

/// Every file under the paths, in order, links followed as a loader would. What is no file or
/// cannot be reached is in the list, too, and told as an error when it is looked at.
fn list(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        for entry in walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name() {
            match entry {
                Ok(entry) if !entry.file_type().is_dir() => files.push(entry.into_path()),
                Ok(_) => {}
                // A link that leads back up has shown everything already.
                Err(error) if error.loop_ancestor().is_some() => {}
                Err(error) => files.push(error.path().unwrap_or(path).to_owned()),
            }
        }
    }
    files
}

/// Looks into all files on all processors; tells the results in the order of the files.
fn each(files: &[PathBuf], set: &RuleSet, mut tell: impl FnMut(Inspected) -> bool) {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(files.len().max(1));
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::sync_channel(workers * 4);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(index) else { return };
                    if sender.send((index, look::look(file, set))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = std::collections::BTreeMap::new();
        let mut due = 0;
        for (index, inspected) in receiver {
            early.insert(index, inspected);
            while let Some(inspected) = early.remove(&due) {
                due += 1;
                if !tell(inspected) {
                    return;
                }
            }
        }
    });
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

fn print(inspected: &Inspected, verbose: bool) -> anyhow::Result<()> {
    let path = clean(&inspected.path);
    let quiet = inspected.findings.is_empty() && inspected.issues.is_empty();
    if quiet && !verbose {
        return Ok(());
    }
    let verdict = inspected.verdict();
    let colour = style(match verdict {
        Verdict::Malicious => Severity::High,
        Verdict::Suspicious | Verdict::Error => Severity::Medium,
        Verdict::Clean => Severity::Informational,
    });
    say(&format!("{colour}{}{colour:#}  {path}  ({})", verdict.as_str(), inspected.format))?;
    for finding in &inspected.findings {
        let colour = style(finding.severity);
        let severity = finding.severity.as_str();
        say(&format!(
            "  {colour}{severity}{colour:#}  {}  {}  {}",
            finding.rule,
            clean(&finding.title),
            finding.atlas.join(" ")
        ))?;
        for (fact, value) in &finding.evidence {
            say(&format!("      {fact} = {}", clean(&crate::base::text::shorten(&value.to_string(), 160))))?;
        }
    }
    for issue in &inspected.issues {
        let member = if issue.member.is_empty() { String::new() } else { format!(" in {}", clean(&issue.member)) };
        say(&format!("  not understood{member}: {} ({})", clean(&issue.detail), issue.code))?;
    }
    Ok(())
}

#[derive(Default)]
struct Summary {
    files: usize,
    malicious: usize,
    suspicious: usize,
    errors: usize,
    failing: usize,
}

impl Summary {
    fn count(&mut self, inspected: &Inspected, fail_on: Severity) {
        self.files += 1;
        match inspected.verdict() {
            Verdict::Malicious => self.malicious += 1,
            Verdict::Suspicious => self.suspicious += 1,
            Verdict::Error => self.errors += 1,
            Verdict::Clean => {}
        }
        // What could not be read was not found clean: CI must not go on as if it were.
        let found = inspected.findings.iter().any(|finding| finding.severity >= fail_on);
        if found || inspected.verdict() == Verdict::Error {
            self.failing += 1;
        }
    }

    fn print(&self) -> anyhow::Result<()> {
        let Self { files, malicious, suspicious, errors, failing: _ } = self;
        let clean = files - malicious - suspicious - errors;
        say(&format!(
            "{files} file{}: {malicious} malicious, {suspicious} suspicious, {errors} not readable, {clean} without findings",
            if *files == 1 { "" } else { "s" }
        ))
    }
}
