//! `lanner run`: the agent in the foreground.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::setup::{self, ConfigArgs};
use super::{FOUND, Invalid};
use crate::agent::telemetry::Telemetry;
use crate::agent::{Agent, AgentError, Settings};
use crate::base::log;
use crate::config::Checked;
use crate::config::raw::LogFormat;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Address and port for metrics and health, instead of the configured one.
    #[arg(long, value_name = "ADDRESS", env = "LANNER_LISTEN")]
    listen: Option<String>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Signals are caught from the very beginning, so that none of them just kills us.
    let signals = {
        let _guard = runtime.enter();
        Signals::new()?
    };
    let builtin = args.config.config.is_none();
    if builtin {
        std::fs::create_dir_all("models").context("`./models` cannot be made; name directories in a configuration")?;
    }
    let checked = args.config.checked(|config| {
        if let Some(listen) = args.listen {
            config.http.listen = listen;
        }
    })?;
    let result = runtime.block_on(watch(checked, args.config.config, signals));
    // A write that nobody reads, or a read that never returns, must not keep the program from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

async fn watch(checked: Checked, file: Option<PathBuf>, mut signals: Signals) -> anyhow::Result<ExitCode> {
    let (telemetry, layers) = match Telemetry::begin(&checked.config.telemetry).map_err(anyhow::Error::msg)? {
        Some((telemetry, layers)) => (Some(telemetry), layers),
        None => (None, Vec::new()),
    };
    let json = checked.config.log.format == LogFormat::Json;
    log::begin(&checked.config.log.level, json, layers).map_err(Invalid)?;
    let greeting = greeting(&checked, file.as_deref());
    let agent =
        Agent::start(checked, Settings { file, host: setup::host(), ..Settings::default() }).await.map_err(explain)?;
    let telemetry = telemetry
        .map(|mut telemetry| telemetry.export(agent.metrics.registry()).map(|()| telemetry))
        .transpose()
        .map_err(anyhow::Error::msg)?;
    for line in greeting {
        anstream::eprintln!("{line}");
    }
    signals.wait(&agent).await;
    tracing::info!("stopping: what was seen is stored, a second signal ends at once");
    let fine = tokio::select! {
        fine = agent.stop() => fine,
        () = signals.stop() => {
            tracing::warn!("ended at once; what is left stays in the outbox and is delivered by the next run");
            false
        }
    };
    if let Some(telemetry) = telemetry {
        tokio::task::spawn_blocking(|| telemetry.end()).await?;
    }
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

fn explain(error: AgentError) -> anyhow::Error {
    match error {
        AgentError::Rules(error) => Invalid(error.explain()).into(),
        AgentError::State(_) | AgentError::Lease(_) | AgentError::Listen { .. } => error.into(),
    }
}

/// What a person wants to know first: what is watched, where things are, and how to see an alert.
fn greeting(checked: &Checked, file: Option<&std::path::Path>) -> Vec<String> {
    let bold = anstyle::Style::new().bold();
    let config =
        file.map_or_else(|| "built in (`lanner config init` writes one)".to_owned(), |file| file.display().to_string());
    let mut lines = vec![format!("{bold}Lanner {}{bold:#} watches", env!("CARGO_PKG_VERSION")), String::new()];
    for filesystem in &checked.config.sources.filesystem {
        let paths: Vec<String> = filesystem.paths.iter().map(|path| path.display().to_string()).collect();
        lines.push(format!("  files    {}", paths.join(", ")));
    }
    for mlflow in &checked.config.sources.mlflow {
        lines.push(format!("  MLflow   {}", mlflow.tracking_uri.as_deref().unwrap_or("by MLFLOW_TRACKING_URI")));
    }
    for bucket in &checked.config.sources.objects {
        lines.push(format!("  bucket   {}", bucket.url));
    }
    for hub in &checked.config.sources.huggingface {
        lines.push(format!("  hub      {}", [hub.repositories.clone(), hub.authors.clone()].concat().join(", ")));
    }
    for oci in &checked.config.sources.oci {
        lines.push(format!("  OCI      {}", oci.registry));
    }
    for index in &checked.config.sources.index {
        lines.push(format!("  index    {}", index.url));
    }
    for told in &checked.config.sources.cloudevents {
        lines.push(format!("  events   POST /api/v1/events/{}", told.name));
    }
    for git in &checked.config.sources.git {
        let paths: Vec<String> = git.repositories.iter().map(|path| path.display().to_string()).collect();
        lines.push(format!("  Git      {}", paths.join(", ")));
    }
    for logs in &checked.config.sources.logs {
        lines.push(format!("  logs     {}", logs.paths.join(", ")));
    }
    if checked.sources.is_empty() {
        lines.push("  nothing: name sources in the configuration".to_owned());
    }
    let sinks: Vec<&str> = checked.sinks.iter().map(|sink| sink.name()).collect();
    let sinks = if sinks.is_empty() { "nowhere: name sinks in the configuration".to_owned() } else { sinks.join(", ") };
    lines.extend([
        String::new(),
        format!("  alerts   {sinks}"),
        format!("  state    {}", checked.config.state.path.display()),
        format!("  config   {config}"),
        format!("  http     http://{}/readyz?verbose and /metrics", checked.listen),
        String::new(),
        "To see what an alert looks like: `lanner demo`. Ctrl-C ends.".to_owned(),
        String::new(),
    ]);
    lines
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns when the agent should stop; a hangup reloads.
    async fn wait(&mut self, agent: &Agent) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                () = agent.stopping() => return,
                _ = self.hangup.recv() => agent.reload(),
            }
        }
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
