//! Takes hints over HTTP: `POST /api/v1/hints/SOURCE`. A sender hears 202 once its hint is on the disk, and not
//! before; what a hint says is never believed, it only makes the source look.

mod rate;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State as Shared};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;

use tokio::sync::Semaphore;

use crate::base::clock;
use crate::base::metrics::Metrics;
use crate::sources::hints::{Hints, Offered, Refusal, Verifier};
use crate::state::State;
use crate::state::hints::Kept;
use rate::Rate;

/// Bytes of one hint.
const BODY_MAX: usize = 1 << 20;
/// How long a sender may take for it.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Bodies read at the same time: so many mebibytes, whoever sends.
const BODIES_MAX: usize = 16;
const UNPROVED: &str = "nothing proves that you know the secret\n";
/// Hints of one source that wait; beyond them senders are asked to come back, and a listing finds what they meant.
const WAITING_MAX: usize = 10_000;

/// Takes the hints of one source.
pub struct Receiver {
    verifier: Verifier,
    hints: Hints,
    rate: Rate,
}

impl Receiver {
    pub fn new(verifier: Verifier, hints: Hints) -> Self {
        Self { verifier, hints, rate: Rate::default() }
    }
}

/// All receivers, by the name of their source. Cheap to clone.
#[derive(Clone)]
pub struct Receivers {
    by_source: Arc<BTreeMap<String, Receiver>>,
    state: State,
    metrics: Metrics,
    /// Bodies that are read at the same time.
    bodies: Arc<Semaphore>,
}

impl Receivers {
    pub fn new(receivers: BTreeMap<String, Receiver>, state: State, metrics: Metrics) -> Self {
        Self { by_source: Arc::new(receivers), state, metrics, bodies: Arc::new(Semaphore::new(BODIES_MAX)) }
    }

    pub fn router(self) -> Router {
        Router::new().route("/api/v1/hints/{source}", post(take)).with_state(self)
    }

    fn count(&self, source: &str, outcome: &str) {
        self.metrics.hints_received.with_label_values(&[source, outcome]).inc();
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
        let headers = [(RETRY_AFTER, "5")];
        let text = "another agent polls this source; tell it\n";
        return ("standby", (StatusCode::SERVICE_UNAVAILABLE, headers, text).into_response());
    }
    let (parts, body) = request.into_parts();
    if receiver.verifier.check_early(&parts.headers).is_err() {
        return ("unauthorized", (StatusCode::UNAUTHORIZED, UNPROVED).into_response());
    }
    let Ok(Ok(_reading)) = tokio::time::timeout(BODY_WITHIN, receivers.bodies.acquire()).await else {
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
    // Only of those who know the secret: nobody else can use up what they may send.
    if let Err(wait) = receiver.rate.take() {
        let headers = [(RETRY_AFTER, wait.as_secs().max(1).to_string())];
        return ("limited", (StatusCode::TOO_MANY_REQUESTS, headers, "too many hints\n").into_response());
    }
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&body) else {
        return ("malformed", (StatusCode::BAD_REQUEST, "the body is no JSON\n").into_response());
    };
    match keep(&receivers.state, source, delivery, &value).await {
        Offered::New(id) => {
            receiver.hints.push(id, value);
            ("taken", (StatusCode::ACCEPTED, "taken\n").into_response())
        }
        Offered::Known => ("repeated", (StatusCode::ACCEPTED, "taken before\n").into_response()),
        Offered::Full => {
            let headers = [(RETRY_AFTER, "60")];
            ("full", (StatusCode::TOO_MANY_REQUESTS, headers, "too many hints wait\n").into_response())
        }
        Offered::Unkept => ("unkept", (StatusCode::SERVICE_UNAVAILABLE, "it cannot be kept now\n").into_response()),
    }
}

/// Puts a hint of a source on the disk, as far as there is room.
pub async fn keep(state: &State, source: &str, delivery: Option<String>, body: &serde_json::Value) -> Offered {
    let (state, name, text) = (state.clone(), source.to_owned(), body.to_string());
    let kept = tokio::task::spawn_blocking(move || state.keep_hint(&name, delivery.as_deref(), &text, WAITING_MAX));
    match kept.await {
        Ok(Ok(Kept::New(id))) => Offered::New(id),
        Ok(Ok(Kept::Known)) => Offered::Known,
        Ok(Ok(Kept::Full)) => Offered::Full,
        Ok(Err(error)) => {
            tracing::warn!(source, %error, "a hint could not be kept; whoever gave it is asked to come back");
            Offered::Unkept
        }
        Err(_) => Offered::Unkept,
    }
}
