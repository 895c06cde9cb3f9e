//! `lanner doctor`: whether each source can be reached and read and each sink be reached, the clocks agree, and what the
//! agent itself needs is there; and what to do where that is not so.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::setup::ConfigArgs;
use super::{CLEAN, FOUND, Format, say};
use crate::alert::render::text::clean;
use crate::base::metrics::Metrics;
use crate::base::{clock, http};
use crate::config::Checked;
use crate::sinks::{Looked, Sink};
use crate::sources::hints::Hints;
use crate::sources::{Context, Source, State, Status};

/// Requests and hints are signed with the time: beyond this, servers and receivers refuse them.
const SKEW_MAX_SECS: u64 = 120;
/// The reason of a first listing that was not over in time.
const SLOW: &str = "slow";
/// How long a server may take to tell its time.
const TIME_WITHIN: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Seconds that each source may take for its first listing. Nothing is fetched and nothing is stored.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    Ok,
    /// It works, and should be known.
    Note,
    Failed,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Finding {
    health: Health,
    /// `source`, `sink`, `state` or `http`.
    part: &'static str,
    name: String,
    /// From a closed set; `ok` when nothing is wrong.
    reason: String,
    detail: String,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let checked = args.config.checked(|_| {})?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let within = Duration::from_secs(args.timeout);
    let mut findings = agent(&checked);
    let sources = &checked.sources;
    let each = runtime.block_on(futures_util::future::join_all(sources.iter().map(|one| examine(one, within))));
    findings.extend(each.into_iter().flatten());
    let sinks = runtime.block_on(futures_util::future::join_all(checked.sinks.iter().map(reach)));
    findings.extend(sinks.into_iter().flatten());
    for finding in &findings {
        match args.format {
            Format::Json => say(&serde_json::to_string(finding)?)?,
            Format::Text => {
                let mark = match finding.health {
                    Health::Ok => "ok    ",
                    Health::Note => "note  ",
                    Health::Failed => "FAILED",
                };
                let name = clean(&finding.name);
                say(&format!("{mark}  {:<7} {name:<16} {}", finding.part, clean(&finding.detail)))?;
            }
        }
    }
    let failed = findings.iter().any(|finding| finding.health == Health::Failed);
    // A read that never returns must not keep the program from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(ExitCode::from(if failed { FOUND } else { CLEAN }))
}

/// What the agent itself needs.
fn agent(checked: &Checked) -> Vec<Finding> {
    let path = &checked.config.state.path;
    // The agent makes the directory; here nothing is left behind.
    let there = path.ancestors().find(|folder| folder.as_os_str().is_empty() || folder.exists());
    let there = there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let state = match tempfile::tempfile_in(there) {
        Ok(_) => fine("state", path.display().to_string(), "it can be written".to_owned()),
        Err(error) => Finding {
            health: Health::Failed,
            part: "state",
            name: path.display().to_string(),
            reason: "unwritable".to_owned(),
            detail: format!("it cannot be written ({error}); make the directory, or name another in `state.path`"),
        },
    };
    let listen = checked.listen;
    let http = match std::net::TcpListener::bind(listen) {
        Ok(_) => fine("http", listen.to_string(), "it is free".to_owned()),
        // Most often the agent that already runs.
        Err(error) => Finding {
            health: Health::Note,
            part: "http",
            name: listen.to_string(),
            reason: "taken".to_owned(),
            detail: format!(
                "nothing more can listen there ({error}): the agent itself, or choose another `http.listen`"
            ),
        },
    };
    vec![state, http]
}

/// Lists a source once, and lets go of what it tells.
async fn examine(source: &Arc<dyn Source>, within: Duration) -> Vec<Finding> {
    let (out, mut observations) = mpsc::channel(64);
    let (stop, status) = (CancellationToken::new(), Arc::new(Status::default()));
    let context = Context {
        out,
        stop: stop.clone(),
        checkpoints: BTreeMap::new(),
        status: Arc::clone(&status),
        metrics: Metrics::new("doctor").source(source.name()),
        hints: Hints::default(),
    };
    let drain = async { while observations.recv().await.is_some() {} };
    let look = async {
        loop {
            let state = status.read();
            if state.synced || !state.blind.is_empty() {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = tokio::select! {
        seen = tokio::time::timeout(within, look) => Ok(seen.ok()),
        ended = source.run(context) => Err(ended.err().map(|error| http::chain(&error)).unwrap_or_default()),
        () = drain => Ok(None),
    };
    stop.cancel();
    let mut findings = match ended {
        Ok(seen) => judge(source.name(), seen, within),
        Err(why) => vec![failed(source.name(), "failed", format!("it ended: {why}"))],
    };
    let Some(url) = source.server().and_then(|address| Url::parse(&address).ok()) else { return findings };
    if findings.iter().any(|finding| finding.health == Health::Failed)
        && let Some(remedy) = http::wrong_scheme(&url).await
    {
        return vec![failed(source.name(), "scheme", format!("`{}`: {remedy}", url.origin().ascii_serialization()))];
    }
    match time_of(url.clone()).await {
        Ok(time) => findings.extend(time.and_then(|time| compare_clocks(source.name(), time))),
        // Nothing was listed in time, and nothing is answered: that is not slow.
        Err(why) if findings.iter().any(|finding| finding.reason == SLOW) => {
            let server = url.origin().ascii_serialization();
            let detail =
                format!("`{server}` does not answer ({why}); is it the server that is meant, and does it work?");
            return vec![failed(source.name(), "silent", detail)];
        }
        Err(_) => {}
    }
    findings
}

/// Tries whether a sink can be reached, and sends it no alert.
async fn reach(sink: &Arc<dyn Sink>) -> Vec<Finding> {
    let name = sink.name().to_owned();
    let found = match sink.look().await {
        Err((reason, why)) => vec![failed(&name, reason, why)],
        Ok(Looked { how, time }) => {
            let clock = time.and_then(|time| compare_clocks(&name, time));
            std::iter::once(fine("sink", name, how.to_owned())).chain(clock).collect()
        }
    };
    found.into_iter().map(|finding| Finding { part: "sink", ..finding }).collect()
}

/// What the first listing says, or that there was none in time.
fn judge(name: &str, seen: Option<State>, within: Duration) -> Vec<Finding> {
    let Some(state) = seen else {
        let detail = format!(
            "its first listing takes longer than {} s; that may be right: `--timeout` gives it more time",
            within.as_secs()
        );
        return vec![Finding { health: Health::Note, ..failed(name, SLOW, detail) }];
    };
    let mut findings: Vec<Finding> = state.blind.into_iter().map(|(reason, why)| failed(name, &reason, why)).collect();
    if findings.is_empty() {
        findings.push(fine("source", name.to_owned(), format!("it can be read; {} are watched", state.watched)));
    }
    let notes = state.notes.into_iter();
    findings.extend(notes.map(|(reason, why)| Finding { health: Health::Note, ..failed(name, &reason, why) }));
    findings
}

/// What a server takes for the time, if it says so; why it does not answer.
async fn time_of(url: Url) -> Result<Option<Timestamp>, String> {
    let options = http::Options { timeout: Some(TIME_WITHIN), ..http::Options::default() };
    let answer = http::client(&options)?.head(url).send().await;
    answer.map(|answer| http::date(answer.headers())).map_err(|error| http::chain(&error))
}

/// Holds a server's clock against ours.
fn compare_clocks(name: &str, told: Timestamp) -> Option<Finding> {
    let skew = told.as_second().abs_diff(clock::now().as_second());
    let detail = format!("its clock and ours differ by {skew} s; set both by NTP, or what is signed is refused");
    (skew > SKEW_MAX_SECS).then(|| failed(name, "clock", detail))
}

fn fine(part: &'static str, name: String, detail: String) -> Finding {
    Finding { health: Health::Ok, part, name, reason: "ok".to_owned(), detail }
}

fn failed(name: &str, reason: &str, detail: String) -> Finding {
    Finding { health: Health::Failed, part: "source", name: name.to_owned(), reason: reason.to_owned(), detail }
}
