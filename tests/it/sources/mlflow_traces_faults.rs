//! Traces of servers that fail, are old, refuse, lie, or do not end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use lanner::sources::mlflow::{Config, Traces};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::harness::{Running, start};
use super::mlflow_traces::{begun, ids};

/// How the search of traces misbehaves at the moment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Status(u16),
    Garbage,
    /// Experiment 2 may not be read.
    Forbids,
    /// Nobody can ask for the end of a trace.
    Older,
    /// Every page has a next one.
    Endless,
}

#[derive(Clone)]
struct Stub {
    mood: Arc<Mutex<Mood>>,
    traces: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<usize>>,
}

impl Stub {
    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn add(&self, trace: Value) {
        self.traces.lock().unwrap().push(trace);
    }
}

async fn stub(tasks: &mut JoinSet<()>) -> (String, Stub) {
    let stub = Stub { mood: Arc::new(Mutex::new(Mood::Well)), traces: Arc::default(), asked: Arc::default() };
    let router = Router::new().fallback(answer).with_state(stub.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, stub)
}

async fn answer(State(stub): State<Stub>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if path.ends_with("experiments/search") {
        let of = |id: &str| json!({ "experiment_id": id, "name": format!("experiment {id}") });
        return axum::Json(json!({ "experiments": [of("1"), of("2"), of("3")] })).into_response();
    }
    if !path.ends_with("/api/3.0/mlflow/traces/search") {
        return axum::Json(json!({})).into_response();
    }
    *stub.asked.lock().unwrap() += 1;
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let filter = body["filter"].as_str().unwrap_or_default();
    let of = |id: &str| {
        body["locations"].as_array().unwrap().iter().any(|at| at["mlflow_experiment"]["experiment_id"] == id)
    };
    let mood = *stub.mood.lock().unwrap();
    match mood {
        Mood::Status(code) => return StatusCode::from_u16(code).unwrap().into_response(),
        Mood::Garbage => return "<html>please log in</html>".into_response(),
        Mood::Forbids if of("2") => return StatusCode::FORBIDDEN.into_response(),
        Mood::Older if filter.contains("end_time_ms") => return StatusCode::BAD_REQUEST.into_response(),
        Mood::Well | Mood::Forbids | Mood::Older | Mood::Endless => {}
    }
    let traces = stub.traces.lock().unwrap().clone();
    let within = |trace: &Value| {
        let at = &trace["trace_location"]["mlflow_experiment"]["experiment_id"];
        at.as_str().is_none_or(of) && !filter.contains("= 'IN_PROGRESS' AND")
    };
    let found: Vec<Value> = traces.into_iter().filter(|trace| within(trace)).collect();
    let next = if mood == Mood::Endless { "again" } else { "" };
    axum::Json(json!({ "traces": found, "next_page_token": next })).into_response()
}

fn trace(id: &str, experiment: &str) -> Value {
    json!({
        "trace_id": id,
        "trace_location": { "mlflow_experiment": { "experiment_id": experiment } },
        "request_time": Timestamp::now().to_string(),
        "execution_duration": "0s",
        "state": "OK",
    })
}

fn config(url: &str) -> Config {
    Config {
        tracking_uri: Some(url.to_owned()),
        hot_poll_interval_secs: 1,
        sweep_interval_secs: 1,
        traces: Traces { experiments: vec!["*".to_owned()], ..Traces::default() },
        ..Config::default()
    }
}

async fn sees_again(running: &mut Running, stub: &Stub, id: &str) {
    stub.set(Mood::Well);
    stub.add(trace(id, "1"));
    running.until("sight", |running| running.state().blind.is_empty() && ids(running).contains(&id)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_told_and_what_came_meanwhile_is_seen_after_it() {
    let mut tasks = JoinSet::new();
    let (url, stub) = stub(&mut tasks).await;
    stub.add(trace("tr-first", "1"));
    let mut running = start(config(&url));
    running.until("the first look", begun).await;
    for (number, (mood, reason)) in [
        (Mood::Status(404), "no_traces"),
        (Mood::Status(400), "no_traces"),
        (Mood::Status(401), "unauthorized"),
        (Mood::Status(403), "traces_forbidden"),
        (Mood::Status(500), "server_error"),
        (Mood::Garbage, "garbage"),
    ]
    .into_iter()
    .enumerate()
    {
        stub.set(mood);
        running.until(reason, |running| running.state().blind.contains_key(reason)).await;
        assert!(!running.state().blind.contains_key("not_mlflow"), "the registry is seen: {:?}", running.state());
        sees_again(&mut running, &stub, &format!("tr-{number}")).await;
    }
    assert!(!ids(&running).contains(&"tr-first"), "what was there at first is not told");
    let told: std::collections::BTreeSet<&str> = ids(&running).into_iter().collect();
    assert_eq!(told.len(), running.inferences.len(), "each once: {:?}", ids(&running));
    assert!(running.log.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_experiment_that_may_not_be_read_hides_no_other() {
    let mut tasks = JoinSet::new();
    let (url, stub) = stub(&mut tasks).await;
    stub.set(Mood::Forbids);
    let mut running = start(config(&url));
    running.until("blindness", |running| running.state().blind.contains_key("traces_forbidden")).await;
    running.until("the first look", begun).await;
    for (id, experiment) in [("tr-1", "1"), ("tr-2", "2"), ("tr-3", "3")] {
        stub.add(trace(id, experiment));
    }
    running.until("those that may be read", |running| running.inferences.len() >= 2).await;
    assert_eq!(ids(&running), ["tr-1", "tr-3"]);
    let blind = &running.state().blind["traces_forbidden"];
    assert!(blind.contains("1 experiments") && blind.contains("`experiment 2`"), "{blind}");
    stub.set(Mood::Well);
    running.until("the third", |running| ids(running).contains(&"tr-2") && running.state().blind.is_empty()).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_server_is_asked_for_when_traces_began() {
    let mut tasks = JoinSet::new();
    let (url, stub) = stub(&mut tasks).await;
    stub.set(Mood::Older);
    let mut running = start(config(&url));
    running.until("the first look", begun).await;
    stub.add(trace("tr-1", "1"));
    running.until("one", |running| ids(running) == ["tr-1"]).await;
    assert!(running.state().notes.contains_key("traces_by_start"), "{:?}", running.state());
    assert!(running.state().blind.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_counted_once_and_a_listing_ends() {
    let mut tasks = JoinSet::new();
    let (url, stub) = stub(&mut tasks).await;
    let mut running = start(config(&url));
    running.until("the first look", begun).await;
    for odd in [json!("text"), json!([1]), json!({}), json!({ "trace_id": 7 }), json!({ "trace_id": "t", "tags": [] })]
    {
        stub.add(odd);
    }
    let mut lenient = trace("tr-odd", "1");
    lenient["tags"] = json!(["a"]);
    lenient["trace_metadata"] = json!({ "a": { "b": 1 }, "mlflow.trace.user": 7 });
    lenient["request_preview"] = json!({ "not": "a text" });
    lenient["execution_duration"] = json!("soon");
    stub.add(lenient);
    running.until("what can be read", |running| ids(running) == ["tr-odd"]).await;
    running.during(Duration::from_secs(3)).await;
    let unreadable = running.metric("lanner_events_dropped_total{reason=\"trace_unreadable\",stage=\"source\"}");
    assert!((unreadable - 5.0).abs() < 0.1, "{unreadable}");

    // A listing without end is given up, a bounded number of pages a look, and what is on its pages is told.
    stub.set(Mood::Endless);
    stub.add(trace("tr-endless", "1"));
    running.until("what is told", |running| ids(running).contains(&"tr-endless")).await;
    let before = *stub.asked.lock().unwrap();
    running.during(Duration::from_secs(5)).await;
    let asked = *stub.asked.lock().unwrap() - before;
    assert!(asked < 400, "{asked} pages in five seconds");
    assert_eq!(ids(&running).len(), 2, "{:?}", ids(&running));
    assert!(running.state().notes.contains_key("traces_behind"), "{:?}", running.state());
    sees_again(&mut running, &stub, "tr-last").await;
    running.stop().await;
}
