//! Metrics, health and status over HTTP.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::health::Heartbeat;
use super::judge::Judge;
use super::readiness::{Check, Readiness};
use super::receive::Receivers;
use super::tally::RuleLine;
use crate::base::clock;
use crate::base::metrics::Metrics;

/// The loop that stands still for this long is dead.
const HEARTBEAT_SECS_MAX: u64 = 30;

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    pub metrics: Metrics,
    pub heartbeat: Arc<Heartbeat>,
    pub readiness: Readiness,
    pub judge: Judge,
    pub reload: mpsc::Sender<&'static str>,
    pub started: jiff::Timestamp,
    pub state_path: String,
    /// Bound to loopback: whoever can connect may ask for a reload.
    pub local: bool,
}

/// The answer of `/api/v1/status`.
#[derive(Serialize)]
struct StatusPage {
    version: &'static str,
    started: String,
    uptime_secs: i64,
    state: String,
    ready: bool,
    rules: usize,
    ruleset: String,
    checks: Vec<Check>,
    sources: Vec<SourceLine>,
    sinks: Vec<SinkLine>,
}

#[derive(Serialize)]
struct SourceLine {
    name: String,
    #[serde(flatten)]
    state: crate::sources::State,
}

#[derive(Serialize)]
struct SinkLine {
    name: String,
    up: bool,
    gone: bool,
    cursor: i64,
}

#[derive(Deserialize)]
struct Verbose {
    verbose: Option<String>,
}

/// Serves until stopped.
pub async fn serve(listener: TcpListener, pages: Pages, receivers: Receivers, stop: CancellationToken) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/api/v1/status", get(status))
        .route("/api/v1/rules", get(rules))
        .route("/rules", get(rules))
        .route("/-/reload", post(reload))
        .with_state(pages)
        .merge(receivers.router());
    let served = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await }).await;
    if let Err(error) = served {
        tracing::error!(%error, "the HTTP server ended");
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], pages.metrics.render())
}

async fn livez(State(pages): State<Pages>) -> Response {
    let age = pages.heartbeat.age_secs();
    if age <= HEARTBEAT_SECS_MAX {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("no progress for {age} seconds\n")).into_response()
    }
}

async fn readyz(State(pages): State<Pages>, Query(query): Query<Verbose>) -> Response {
    let ready = pages.readiness.is_ready();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut text = String::new();
    if query.verbose.is_some() || !ready {
        for check in pages.readiness.checks() {
            let mark = if check.ready { '+' } else { '-' };
            let detail = if check.detail.is_empty() { "ok" } else { &check.detail };
            text.extend([format!("[{mark}] {}: {detail}\n", check.name)]);
        }
    }
    text.push_str(if ready { "ready\n" } else { "not ready\n" });
    (code, text).into_response()
}

async fn status(State(pages): State<Pages>) -> impl IntoResponse {
    let law = pages.judge.law();
    let sources = pages.readiness.sources.iter();
    let sinks = pages.readiness.sinks.iter();
    Json(StatusPage {
        version: env!("CARGO_PKG_VERSION"),
        started: pages.started.to_string(),
        uptime_secs: clock::now().duration_since(pages.started).as_secs(),
        state: pages.state_path.clone(),
        ready: pages.readiness.is_ready(),
        rules: law.rules.rules().len(),
        ruleset: law.rules.digest().to_string(),
        checks: pages.readiness.checks(),
        sources: sources.map(|(name, status)| SourceLine { name: name.clone(), state: status.read() }).collect(),
        sinks: sinks
            .map(|sink| SinkLine {
                name: sink.name.clone(),
                up: sink.is_up(),
                gone: sink.is_gone(),
                cursor: sink.cursor(),
            })
            .collect(),
    })
}

/// The answer of `/api/v1/rules`.
#[derive(Serialize)]
struct RulesPage {
    /// Digest of the rules in force.
    ruleset: String,
    rules: Vec<RuleLine>,
}

async fn rules(State(pages): State<Pages>) -> impl IntoResponse {
    let law = pages.judge.law();
    Json(RulesPage { ruleset: law.rules.digest().to_string(), rules: pages.judge.tally().lines(&law.rules) })
}

async fn reload(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    // A browser names its origin: no page that a person visits may reload the agent.
    if !pages.local || headers.contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "reload over HTTP works on loopback only; send SIGHUP\n").into_response();
    }
    match pages.reload.try_send("http") {
        Ok(()) => (StatusCode::ACCEPTED, "reloading; see lanner_config_last_reload_successful\n").into_response(),
        Err(_) => (StatusCode::TOO_MANY_REQUESTS, "a reload is under way\n").into_response(),
    }
}
