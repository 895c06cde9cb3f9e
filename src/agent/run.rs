//! The agent put together, run, and stopped in order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::committer::Committer;
use super::decisions::Decisions;
use super::deliver::{SinkStatus, StateOutbox};
use super::examine::Examiner;
use super::health::{self, Heartbeat, Voice, Watchman};
use super::http::{self, Pages};
use super::judge::{Judge, Law};
use super::lease::Lease;
use super::pipeline::{Pipeline, Shared};
use super::readiness::Readiness;
use super::receive::{self, Receiver, Receivers};
use super::reload::{Reloader, repeat_millis};
use super::rules::{self, RulesError};
use super::signatures::Signatures;
use super::supervisor::Supervisor;
use crate::base::backoff::Backoff;
use crate::base::clock;
use crate::base::metrics::Metrics;
use crate::config::Checked;
use crate::sinks::queue::Deliverer;
use crate::sources::hints::{Hints, Offered};
use crate::sources::{BoxFuture, Context, Source, SourceError, Status};
use crate::state::{Mode, State, StateError};

/// Observations of one source that may wait.
const OBSERVATIONS: usize = 1024;
/// How long a stop may take; what is left then stays in the outbox.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// How long deliverers may go on after everything was decided.
const DELIVER_WITHIN: Duration = Duration::from_secs(4);

/// Beside the configuration.
#[derive(Debug, Default)]
pub struct Settings {
    /// The configuration file, to be looked at for changes.
    pub file: Option<PathBuf>,
    pub host: Option<String>,
    /// Do not listen for HTTP: for the demonstration.
    pub without_http: bool,
}

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error("a lease cannot be asked for: {0}")]
    Lease(String),
    #[error("nothing can listen on {listen}: {cause}; choose another `http.listen`")]
    Listen { listen: String, cause: std::io::Error },
}

/// A running agent.
pub struct Agent {
    supervisor: Supervisor,
    /// Ends sources first; everything after them ends when its queue is empty.
    stop: CancellationToken,
    /// Ends deliverers and pages, after everything was decided.
    finish: CancellationToken,
    stages: Vec<tokio::task::JoinHandle<()>>,
    state: State,
    sinks: Vec<Arc<SinkStatus>>,
    reload: mpsc::Sender<&'static str>,
    _lock: Option<std::fs::File>,
    pub readiness: Readiness,
    pub metrics: Metrics,
    /// Where HTTP is served.
    pub address: Option<std::net::SocketAddr>,
}

impl Agent {
    /// Opens the state, loads the rules and starts every stage.
    pub async fn start(checked: Checked, settings: Settings) -> Result<Self, AgentError> {
        let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
        let opened = State::open(&checked.config.state.path, Mode::Agent)?;
        let state = opened.state;
        let law = Law {
            rules: rules::load(&checked.config.rules)?,
            mutes: checked.mutes,
            repeat_after_millis: repeat_millis(&checked.config),
        };
        let listener = if settings.without_http { None } else { Some(listen(checked.listen).await?) };
        let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let (stop, finish) = (CancellationToken::new(), CancellationToken::new());
        let supervisor = Supervisor::new(stop.clone());
        let judge = Judge::restored(law, checked.config.correlation.limits(), &state, metrics.clone())?;
        let (committer, desk, news, writable) = Committer::new(state.clone(), metrics.clone());
        let (voice, ear) = Voice::new(&metrics);

        let mut stages = vec![supervisor.spawn("committer".to_owned(), committer.run())];
        let listening = health::listen(ear, judge.clone(), desk.clone(), settings.host.clone(), stop.clone());
        supervisor.spawn("health".to_owned(), listening);
        if let Some(aside) = &opened.set_aside {
            tracing::error!(aside = %aside.display(), "the state was corrupt; it was set aside and is built anew from the sources, without telling what they held as changed");
        }

        supervisor.spawn("check of the state".to_owned(), check(state.clone(), supervisor.clone(), stop.clone()));
        match opened.replayed {
            (0, 0) => {}
            (taken, 0) => tracing::warn!(taken, "approvals were read back from `approvals.jsonl`"),
            (taken, left) => tracing::error!(
                taken,
                left,
                "approvals were read back from `approvals.jsonl`, and some of its lines make no sense: look at them, and approve again what is lacking"
            ),
        }
        let inspection = &checked.config.inspection;
        let workers = match inspection.workers {
            0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            workers => workers,
        };
        let timeout = Duration::from_secs(inspection.timeout_secs.max(1));
        let examiner = Examiner::new(state.clone(), metrics.clone(), checked.limits, workers, timeout)?;
        let shared = Shared {
            state: state.clone(),
            desk,
            judge: judge.clone(),
            examiner,
            metrics: metrics.clone(),
            host: settings.host.clone(),
            sources: Arc::new(checked.sources.iter().map(|source| source.name().to_owned()).collect()),
        };
        let mut sources = Vec::new();
        let mut receivers = BTreeMap::new();
        for source in checked.sources {
            let hints = hints(&state, source.name())?;
            if let Some(verifier) = checked.receivers.get(source.name()) {
                receivers.insert(
                    source.name().to_owned(),
                    Receiver::new(Arc::clone(&source), verifier.clone(), hints.clone()),
                );
            }
            let status = Arc::new(Status::default());
            sources.push((source.name().to_owned(), Arc::clone(&status)));
            let name = format!("source {}", source.name());
            let leases = checked.config.leases.iter();
            let lease = leases.filter(|lease| lease.source == source.name()).map(Lease::new).next();
            let lease = lease.transpose().map_err(AgentError::Lease)?;
            // Nobody is told that a hint was taken while another agent may have to follow it.
            hints.set_heard(lease.is_none());
            let keeper = Keeper {
                supervisor: supervisor.clone(),
                shared: shared.clone(),
                source,
                status,
                hints,
                lease,
                stop: stop.clone(),
            };
            stages.push(supervisor.spawn(name, keeper.run()));
        }
        let decisions = Decisions {
            state: state.clone(),
            judge: judge.clone(),
            desk: shared.desk.clone(),
            host: settings.host.clone(),
            stop: stop.clone(),
        };
        stages.push(supervisor.spawn("decisions".to_owned(), decisions.run()));
        if checked.policy.globs().next().is_some() {
            let signatures = Signatures {
                policy: Arc::new(checked.policy),
                every: Duration::from_secs(checked.config.signatures.interval_secs.max(1)),
                timeout,
                state: state.clone(),
                judge: judge.clone(),
                desk: shared.desk.clone(),
                voice: voice.clone(),
                metrics: metrics.clone(),
                host: settings.host.clone(),
                stop: stop.clone(),
            };
            stages.push(supervisor.spawn("signatures".to_owned(), signatures.run()));
        }
        // Only stages of sources may hand in from now on: the committer ends after the last of them.
        drop(shared);

        let mut sinks = Vec::new();
        for sink in checked.sinks {
            // A new sink begins here, before the first alert of this run.
            state.sink_cursor(sink.name())?;
            let status = SinkStatus::new(sink.name(), &metrics, voice.clone());
            sinks.push(Arc::clone(&status));
            let deliverer = Deliverer {
                sink,
                outbox: Arc::new(StateOutbox(state.clone())),
                observer: status.clone(),
                news: news.clone(),
                stop: finish.clone(),
            };
            supervisor.spawn(format!("sink {}", status.name), deliverer.run());
        }

        let heartbeat = Arc::new(Heartbeat::default());
        let (there, in_place) = watch::channel(true);
        let watchman = Watchman {
            heartbeat: Arc::clone(&heartbeat),
            metrics: metrics.clone(),
            state: state.clone(),
            sources: sources.clone(),
            sinks: sinks.clone(),
            voice: voice.clone(),
            judge: judge.clone(),
            in_place: there,
            keep_days: checked.config.alerts.keep_days,
            stop: finish.clone(),
        };
        supervisor.spawn("watchman".to_owned(), watchman.run());

        let (reload, requests) = mpsc::channel(1);
        metrics.config_reload_success.set(1);
        let state_path = checked.config.state.path.display().to_string();
        let reloader = Reloader {
            file: settings.file,
            config: checked.config,
            judge: judge.clone(),
            metrics: metrics.clone(),
            voice,
            requests,
            stop: stop.clone(),
        };
        supervisor.spawn("reload".to_owned(), reloader.run());

        let readiness = Readiness { sources, sinks: sinks.clone(), writable, in_place };
        if let Some(listener) = listener {
            let pages = Pages {
                metrics: metrics.clone(),
                heartbeat,
                readiness: readiness.clone(),
                judge,
                reload: reload.clone(),
                started: clock::now(),
                state_path,
                local: checked.listen.ip().is_loopback(),
            };
            let receivers = Receivers::new(receivers, state.clone(), metrics.clone());
            supervisor.spawn("http".to_owned(), http::serve(listener, pages, receivers, finish.clone()));
        }
        Ok(Self {
            supervisor,
            stop,
            finish,
            stages,
            state,
            sinks,
            reload,
            _lock: opened.lock,
            readiness,
            metrics,
            address,
        })
    }

    /// Asks for a reload of rules and mutes.
    pub fn reload(&self) {
        // One that is under way already reads what is there now.
        self.reload.try_send("signal").ok();
    }

    /// Returns when a stage has failed or a stop was asked for.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// The state, for whoever wants to look.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Stops in order: sources, what they told, what it led to, deliveries. True when all of it was
    /// done in time and no stage had failed.
    pub async fn stop(self) -> bool {
        self.stop.cancel();
        let decided = async {
            for stage in self.stages {
                // A stage that panicked has been told of by the supervisor.
                drop(stage.await);
            }
        };
        let in_time = tokio::time::timeout(STOP_WITHIN, decided).await.is_ok();
        let deadline = tokio::time::Instant::now() + DELIVER_WITHIN;
        while tokio::time::Instant::now() < deadline && waiting(&self.state, &self.sinks).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.finish.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(3), self.supervisor.ended()).await.is_ok();
        if !in_time || !ended {
            tracing::warn!(
                "the agent did not end in time; what is left stays in the outbox and is delivered by the next run"
            );
        }
        in_time && !self.supervisor.failed()
    }
}

/// Whether a sink that works still has alerts to take.
async fn waiting(state: &State, sinks: &[Arc<SinkStatus>]) -> bool {
    let cursors: Vec<String> = sinks.iter().filter(|sink| sink.is_up()).map(|sink| sink.name.clone()).collect();
    let state = state.clone();
    let ask = move || {
        cursors.iter().any(|name| {
            state.sink_cursor(name).and_then(|cursor| state.backlog(cursor)).is_ok_and(|(count, _)| count > 0)
        })
    };
    tokio::task::spawn_blocking(ask).await.unwrap_or(false)
}

/// Reads a large state through beside everything else; one that is corrupt ends the agent, since what it remembers
/// cannot be relied on.
async fn check(state: State, supervisor: Supervisor, stop: CancellationToken) {
    let checked = state.clone();
    let checked = tokio::select! {
        checked = tokio::task::spawn_blocking(move || checked.check()) => checked,
        // Nobody waits for the rest of it.
        () = stop.cancelled() => return,
    };
    let found = match checked {
        Ok(Ok(None)) | Err(_) => return,
        Ok(Ok(Some(found))) => found,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the state could not be checked");
            return;
        }
    };
    tracing::error!(
        found,
        "the state is corrupt, and the agent stops; start it again: the state is set aside and built anew from the sources, without telling what they held as changed"
    );
    if let Err(error) = state.condemn(&found) {
        tracing::error!(%error, path = %state.path().display(), "the state could not be marked; move `lanner.db` away by hand");
    }
    supervisor.fail();
}

/// Hints of a source, with those that an earlier run took and did not follow.
fn hints(state: &State, source: &str) -> Result<Hints, StateError> {
    let (keeper, offered, name) = (state.clone(), state.clone(), source.to_owned());
    let keep = move |delivery, body| -> BoxFuture<'static, Offered> {
        let (state, source) = (offered.clone(), name.clone());
        Box::pin(async move { receive::keep(&state, &source, delivery, body).await })
    };
    let done = move |id| {
        let keeper = keeper.clone();
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = keeper.forget_hint(id) {
                tracing::warn!(%error, "a hint that was followed could not be taken off; it is followed once more by the next run");
            }
        }));
    };
    let hints = Hints::new(done, keep);
    for (id, body) in state.hints(source)? {
        hints.push_text(id, body);
    }
    Ok(hints)
}

async fn listen(listen: std::net::SocketAddr) -> Result<TcpListener, AgentError> {
    TcpListener::bind(listen).await.map_err(|cause| AgentError::Listen { listen: listen.to_string(), cause })
}

/// Runs a source with its stage, and again after an error.
struct Keeper {
    supervisor: Supervisor,
    shared: Shared,
    source: Arc<dyn Source>,
    status: Arc<Status>,
    /// They outlive a run of the source.
    hints: Hints,
    /// What must be held while the source runs.
    lease: Option<Lease>,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(self) {
        let name = self.source.name().to_owned();
        let seed = name.bytes().fold(11, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), seed);
        while !self.stop.is_cancelled() {
            let started = tokio::time::Instant::now();
            let Err(error) = self.leased(&name).await else { continue };
            if started.elapsed() > Duration::from_secs(120) {
                backoff.reset();
            }
            self.pause(&name, &error, backoff.next_wait()).await;
        }
    }

    /// One run, while the lease is held.
    async fn leased(&self, name: &str) -> Result<(), SourceError> {
        let Some(lease) = &self.lease else { return self.once(name, self.stop.clone()).await };
        let Some(held) = lease.hold(&self.status, &self.hints, &self.stop).await else { return Ok(()) };
        let stop = self.stop.child_token();
        let run = self.once(name, stop.clone());
        tokio::pin!(run);
        let result = tokio::select! {
            result = &mut run => result,
            () = held.lost() => {
                self.hints.set_heard(false);
                // What it told until now is still made durable.
                stop.cancel();
                run.await
            }
        };
        held.release().await;
        result
    }

    async fn pause(&self, name: &str, error: &SourceError, wait: Duration) {
        let kind = match error {
            SourceError::Transient { .. } => "transient",
            SourceError::Denied { .. } => "denied",
        };
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::error!(source = %name, %error, cause, again_in = ?wait, "a source ended; it is started again");
        self.shared.metrics.source_errors.with_label_values(&[name, kind]).inc();
        self.status.change(|state| {
            state.blind.insert("failed".to_owned(), error.to_string());
        });
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stop.cancelled() => {}
        }
        self.status.change(|state| {
            state.blind.remove("failed");
        });
    }

    /// One run with a queue of its own: the next one reads its checkpoints only when everything
    /// that this one told is durable, so that no line is told twice.
    async fn once(&self, name: &str, stop: CancellationToken) -> Result<(), SourceError> {
        let (state, asked) = (self.shared.state.clone(), name.to_owned());
        let remembered =
            tokio::task::spawn_blocking(move || Ok((state.checkpoints(&asked)?, state.is_listed(&asked)?)));
        let (checkpoints, listed) = remembered
            .await
            .unwrap_or_else(|error| Err(StateError::Unreadable(error.to_string())))
            .map_err(|error| SourceError::Transient {
                what: "the state could not be read".into(),
                cause: Some(error.into()),
            })?;
        let (out, observations) = mpsc::channel(OBSERVATIONS);
        let pipeline = Pipeline::new(self.shared.clone(), Arc::clone(&self.source), self.hints.clone(), listed);
        let stage = self.supervisor.spawn(format!("pipeline {name}"), async move {
            if pipeline.run(observations).await.is_err() {
                tracing::warn!(
                    "the agent stops before everything that was seen could be stored; it will be seen again"
                );
            }
        });
        let context = Context {
            out,
            stop,
            checkpoints,
            status: Arc::clone(&self.status),
            metrics: self.shared.metrics.source(name),
            hints: self.hints.clone(),
        };
        let result = self.source.run(context).await;
        // A stage that panicked has been told of by the supervisor, which stops the agent.
        drop(stage.await);
        result
    }
}
