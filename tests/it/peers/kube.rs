//! A stand-in of a cluster's API, for Leases alone: objects with resource versions, and no write over a newer one. No
//! server of Kubernetes is among what can be installed here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::runtime;

pub const TOKEN: &str = "token-of-a-pod";

#[derive(Default)]
struct Shared {
    leases: Mutex<BTreeMap<String, Value>>,
    down: AtomicBool,
}

/// A running stand-in; it ends when it is dropped.
pub struct Kube {
    pub url: String,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

impl Kube {
    pub fn start() -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let base = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases";
        let router = Router::new()
            .route(base, post(create))
            .route(&format!("{base}/{{name}}"), get(read).put(replace))
            .with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, shared, _runtime: runtime }
    }

    /// Answers nothing but errors from now on, or works again.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::Relaxed);
    }

    pub fn lease(&self, name: &str) -> Option<Value> {
        self.shared.leases.lock().unwrap().get(name).cloned()
    }
}

/// Why a request is refused, if it is.
fn refusal(shared: &Shared, headers: &HeaderMap) -> Option<(StatusCode, Json<Value>)> {
    if shared.down.load(Ordering::Relaxed) {
        return Some(status(StatusCode::SERVICE_UNAVAILABLE));
    }
    let known = headers.get("authorization").is_some_and(|value| *value == format!("Bearer {TOKEN}"));
    (!known).then(|| status(StatusCode::UNAUTHORIZED))
}

fn status(code: StatusCode) -> (StatusCode, Json<Value>) {
    (code, Json(json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16() })))
}

async fn read(
    State(shared): State<Arc<Shared>>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> (StatusCode, Json<Value>) {
    if let Some(refused) = refusal(&shared, &headers) {
        return refused;
    }
    match shared.leases.lock().unwrap().get(&name) {
        Some(lease) => (StatusCode::OK, Json(lease.clone())),
        None => status(StatusCode::NOT_FOUND),
    }
}

async fn create(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(mut lease): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if let Some(refused) = refusal(&shared, &headers) {
        return refused;
    }
    let name = lease["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let mut leases = shared.leases.lock().unwrap();
    if leases.contains_key(&name) {
        return status(StatusCode::CONFLICT);
    }
    lease["metadata"]["resourceVersion"] = json!("1");
    lease["metadata"]["labels"] = json!({ "team": "platform" });
    leases.insert(name, lease.clone());
    (StatusCode::CREATED, Json(lease))
}

async fn replace(
    State(shared): State<Arc<Shared>>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(mut lease): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if let Some(refused) = refusal(&shared, &headers) {
        return refused;
    }
    let mut leases = shared.leases.lock().unwrap();
    let Some(before) = leases.get(&name) else { return status(StatusCode::NOT_FOUND) };
    let version = before["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if lease["metadata"]["resourceVersion"].as_str() != Some(version) {
        return status(StatusCode::CONFLICT);
    }
    lease["metadata"]["resourceVersion"] = json!((version.parse::<u64>().unwrap() + 1).to_string());
    leases.insert(name, lease.clone());
    (StatusCode::OK, Json(lease))
}
