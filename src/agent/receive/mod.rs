//! Takes hints over HTTP: `POST /api/v1/hints/SOURCE`. A sender hears 202 once its hint is on the disk, and not
//! before; what a hint says is never believed, it only makes the source look. Sources that can look nowhere believe
//! what they are told: theirs are also called events, `POST /api/v1/events/SOURCE`, and one that makes no sense is
//! sent back at once.

mod rate;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State as Shared};
use axum::http::StatusCode;
use axum::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;

use tokio::sync::Semaphore;

use crate::base::clock;
use crate::base::metrics::Metrics;
use crate::sources::hints::{Hints, Offered, Refusal, Verifier};
use crate::sources::{Sent, Source, Unfit};
use crate::state::State;
use crate::state::hints::Kept;
use rate::Rate;

/// Bytes of one hint.
const BODY_MAX: usize = 1 << 20;
/// How long a sender may take for it.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Bodies for one source read at the same time: so many mebibytes, whoever sends.
const BODIES_MAX: usize = 8;
const UNPROVED: &str = "nothing proves that you know the secret\n";
/// Hints of one source that wait; beyond them senders are asked to come back, and a listing finds what they meant.
const WAITING_MAX: usize = 10_000;

/// Takes the hints of one source.
pub struct Receiver {
    source: Arc<dyn Source>,
    verifier: Verifier,
    hints: Hints,
    rate: Rate,
    /// Bodies that are read at the same time: whoever keeps those of one source busy holds up no other.
    bodies: Semaphore,
}

impl Receiver {
    pub fn new(source: Arc<dyn Source>, verifier: Verifier, hints: Hints) -> Self {
        Self { source, verifier, hints, rate: Rate::default(), bodies: Semaphore::new(BODIES_MAX) }
    }
}

/// All receivers, by the name of their source. Cheap to clone.
#[derive(Clone)]
pub struct Receivers {
    by_source: Arc<BTreeMap<String, Receiver>>,
    state: State,
    metrics: Metrics,
}

impl Receivers {
    pub fn new(receivers: BTreeMap<String, Receiver>, state: State, metrics: Metrics) -> Self {
        Self { by_source: Arc::new(receivers), state, metrics }
    }

    pub fn router(self) -> Router {
        // The handshake of CloudEvents webhooks (section 4 of its specification) asks whether events are welcome.
        let taking = || post(take).options(welcome);
        Router::new()
            .route("/api/v1/hints/{source}", taking())
            .route("/api/v1/events/{source}", taking())
            .with_state(self)
    }

    fn count(&self, source: &str, outcome: &str) {
        self.metrics.hints_received.with_label_values(&[source, outcome]).inc();
    }
}

/// Whether events from an origin are welcome: whoever knows the secret may send them.
async fn welcome(Shared(receivers): Shared<Receivers>, Path(source): Path<String>, request: Request) -> Response {
    let origin = request.headers().get("webhook-request-origin").cloned();
    match (receivers.by_source.contains_key(&source), origin) {
        (true, Some(origin)) => {
            let headers = [
                (HeaderName::from_static("webhook-allowed-origin"), origin),
                (HeaderName::from_static("webhook-allowed-rate"), HeaderValue::from_static("*")),
            ];
            (StatusCode::OK, headers).into_response()
        }
        (true, None) => StatusCode::NO_CONTENT.into_response(),
        (false, _) => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn take(Shared(receivers): Shared<Receivers>, Path(source): Path<String>, request: Request) -> Response {
    let Some(receiver) = receivers.by_source.get(&source) else {
        return (StatusCode::NOT_FOUND, "no source of this name takes hints; see `receivers` in the configuration\n")
            .into_response();
    };
    let (outcome, response) = answer(&receivers, receiver, &source, request).await;
    receivers.count(&source, outcome);
    response
}

async fn answer(
    receivers: &Receivers,
    receiver: &Receiver,
    source: &str,
    request: Request,
) -> (&'static str, Response) {
    if !receiver.hints.is_heard() {
        return standby();
    }
    let (parts, body) = request.into_parts();
    if receiver.verifier.check_early(&parts.headers).is_err() {
        return ("unauthorized", (StatusCode::UNAUTHORIZED, UNPROVED).into_response());
    }
    let Ok(Ok(_reading)) = tokio::time::timeout(BODY_WITHIN, receiver.bodies.acquire()).await else {
        let headers = [(RETRY_AFTER, "10")];
        return ("busy", (StatusCode::SERVICE_UNAVAILABLE, headers, "too many hints at once\n").into_response());
    };
    let body = match tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let text = format!("a hint has at most {BODY_MAX} bytes\n");
            return ("too_large", (StatusCode::PAYLOAD_TOO_LARGE, text).into_response());
        }
        Err(_) => return ("slow", (StatusCode::REQUEST_TIMEOUT, "the body came too slowly\n").into_response()),
    };
    let delivery = match receiver.verifier.check(&parts.headers, &body, clock::now().as_second()) {
        Ok(delivery) => delivery,
        Err(Refusal::Unproved) => return ("unauthorized", (StatusCode::UNAUTHORIZED, UNPROVED).into_response()),
        Err(Refusal::Stale) => {
            let text = "the signature is too old, or the clocks differ by more than 5 minutes\n";
            return ("stale", (StatusCode::UNAUTHORIZED, text).into_response());
        }
    };
    // It may have been lost while the body came: then nobody here would follow.
    if !receiver.hints.is_heard() {
        return standby();
    }
    // Only of those who know the secret: nobody else can use up what they may send.
    if let Err(wait) = receiver.rate.take() {
        let headers = [(RETRY_AFTER, wait.as_secs().max(1).to_string())];
        return ("limited", (StatusCode::TOO_MANY_REQUESTS, headers, "too many hints\n").into_response());
    }
    match receiver.source.receive(&parts.headers, &body) {
        Ok(sent) => taken(receivers, receiver, source, delivery, sent).await,
        Err(Unfit::Malformed(problem)) => {
            ("malformed", (StatusCode::BAD_REQUEST, format!("{problem}\n")).into_response())
        }
        Err(Unfit::Full(problem)) => {
            let headers = [(RETRY_AFTER, "600")];
            ("full", (StatusCode::INSUFFICIENT_STORAGE, headers, format!("{problem}\n")).into_response())
        }
    }
}

fn standby() -> (&'static str, Response) {
    let text = "another agent polls this source; tell it\n";
    ("standby", (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], text).into_response())
}

/// Keeps what was sent, and hands it on.
async fn taken(
    receivers: &Receivers,
    receiver: &Receiver,
    source: &str,
    delivery: Option<String>,
    sent: Vec<Sent>,
) -> (&'static str, Response) {
    match keep_all(&receivers.state, source, delivery, sent).await {
        Ok(kept) => {
            let new: Vec<_> = kept.into_iter().filter_map(|(id, one)| Some((id?, one))).collect();
            let first = !new.is_empty();
            for (id, one) in new {
                receiver.hints.push(id, one.body);
            }
            if first {
                ("taken", (StatusCode::ACCEPTED, "taken\n").into_response())
            } else {
                ("repeated", (StatusCode::ACCEPTED, "taken before\n").into_response())
            }
        }
        Err(Unkept::Full) => {
            let headers = [(RETRY_AFTER, "60")];
            ("full", (StatusCode::TOO_MANY_REQUESTS, headers, "too many hints wait\n").into_response())
        }
        Err(Unkept::Now) => ("unkept", (StatusCode::SERVICE_UNAVAILABLE, "it cannot be kept now\n").into_response()),
    }
}

/// Why hints are not on the disk.
enum Unkept {
    Full,
    Now,
}

/// Puts hints that came together on the disk: each with its number, or none if it came before.
async fn keep_all(
    state: &State,
    source: &str,
    delivery: Option<String>,
    sent: Vec<Sent>,
) -> Result<Vec<(Option<i64>, Sent)>, Unkept> {
    let (state, name) = (state.clone(), source.to_owned());
    let kept = tokio::task::spawn_blocking(move || {
        let bodies: Vec<String> = sent.iter().map(|one| one.body.to_string()).collect();
        let names = sent.iter().map(|one| one.delivery.as_deref());
        let hints: Vec<(Option<&str>, &str)> = names.zip(bodies.iter().map(String::as_str)).collect();
        let kept = state.keep_hints(&name, delivery.as_deref(), &hints, WAITING_MAX);
        (kept, sent)
    });
    match kept.await {
        Ok((Ok(Kept::Taken(ids)), sent)) => Ok(ids.into_iter().zip(sent).collect()),
        Ok((Ok(Kept::Full), _)) => Err(Unkept::Full),
        Ok((Err(error), _)) => {
            tracing::warn!(source, %error, "a hint could not be kept; whoever gave it is asked to come back");
            Err(Unkept::Now)
        }
        Err(_) => Err(Unkept::Now),
    }
}

/// Puts a hint on the disk that a source came by itself.
pub async fn keep(state: &State, source: &str, delivery: String, body: serde_json::Value) -> Offered {
    match keep_all(state, source, Some(delivery), vec![Sent { delivery: None, body }]).await {
        Ok(kept) => kept.first().and_then(|(id, _)| *id).map_or(Offered::Known, Offered::New),
        Err(Unkept::Full) => Offered::Full,
        Err(Unkept::Now) => Offered::Unkept,
    }
}
