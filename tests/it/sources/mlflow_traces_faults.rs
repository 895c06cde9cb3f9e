//! Traces of servers that fail, are old, refuse, lie, or do not end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use lanner::sources::Settings;
use lanner::sources::mlflow::{Config, Traces};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::harness::{Running, start, start_with};
use super::mlflow_traces::{begun, ids};

/// How the search of traces misbehaves at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Mood {
    #[default]
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

const PAGE_BYTES: usize = 1 << 20;

#[derive(Clone, Default)]
struct Stub {
    mood: Arc<Mutex<Mood>>,
    traces: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<usize>>,
    /// When traces ended that are larger than a page may be, and how often such pages were asked for.
    huge: Arc<Mutex<(Vec<i64>, usize)>>,
    /// How long an answer about traces takes.
    delay: Arc<Mutex<Duration>>,
    /// When the registry was asked for models.
    polls: Arc<Mutex<Vec<Instant>>>,
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
    let stub = Stub::default();
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
        if path.ends_with("registered-models/search") {
            stub.polls.lock().unwrap().push(Instant::now());
        }
        return axum::Json(json!({})).into_response();
    }
    *stub.asked.lock().unwrap() += 1;
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let filter = body["filter"].as_str().unwrap_or_default();
    let of = |id: &str| {
        body["locations"].as_array().unwrap().iter().any(|at| at["mlflow_experiment"]["experiment_id"] == id)
    };
    let delay = *stub.delay.lock().unwrap();
    tokio::time::sleep(delay).await;
    if let (Some(from), Some(to)) = (bound(filter, "end_time_ms >= "), bound(filter, "end_time_ms < ")) {
        let mut huge = stub.huge.lock().unwrap();
        if huge.0.iter().any(|at| (from..to).contains(at)) {
            huge.1 += 1;
            return " ".repeat(PAGE_BYTES + 1).into_response();
        }
    }
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

/// A number in a filter.
fn bound(filter: &str, name: &str) -> Option<i64> {
    filter.split_once(name)?.1.split(' ').next()?.parse().ok()
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
    let mut lenient = trace("tr-odd\n\u{202e}", "1");
    lenient["tags"] = json!(["a"]);
    lenient["trace_metadata"] = json!({ "a": { "b": 1 }, "mlflow.trace.user": 7 });
    lenient["request_preview"] = json!({ "not": "a text" });
    lenient["execution_duration"] = json!("soon");
    stub.add(lenient);
    running.until("what can be read", |running| ids(running) == ["tr-odd\n\u{202e}"]).await;
    assert_eq!(running.inferences[0].subject.name, "experiment 1/tr-odd\u{fffd}\u{fffd}");
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

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_that_are_too_large_cost_few_pages_and_are_told_as_left_out_for_as_long_as_they_are() {
    let mut tasks = JoinSet::new();
    let (url, stub) = stub(&mut tasks).await;
    let mut running = start(Config { page_bytes_max: PAGE_BYTES as u64, ..config(&url) });
    running.until("the first look", begun).await;
    stub.huge.lock().unwrap().0.extend([5_000, 100_017, 300_123].map(|ago| now() - ago));
    let left_out = "lanner_events_dropped_total{reason=\"trace_left_out\",stage=\"source\"}";
    running.until("all three", |running| running.metric(left_out) > 2.9).await;
    let large = stub.huge.lock().unwrap().1;
    assert!(large <= 3 * 12, "{large} pages that are too large");
    for _ in 0..40 {
        running.during(Duration::from_millis(100)).await;
        assert!(running.state().notes.contains_key("traces_left_out"), "{:?}", running.state());
    }
    assert_eq!(stub.huge.lock().unwrap().1, large, "what is known is not asked for again");
    stub.add(trace("tr-beside", "1"));
    running.until("the others", |running| ids(running) == ["tr-beside"]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_that_take_long_to_list_do_not_keep_the_registry_from_being_seen() {
    let mut tasks = JoinSet::new();
    let (url, stub) = stub(&mut tasks).await;
    let mut running = start(Config { page_bytes_max: PAGE_BYTES as u64, ..config(&url) });
    running.until("the first look", begun).await;
    stub.huge.lock().unwrap().0.extend((1..40).map(|number| now() - number * 7_001));
    *stub.delay.lock().unwrap() = Duration::from_millis(400);
    let begin = Instant::now();
    running.during(Duration::from_secs(14)).await;
    let mut times = stub.polls.lock().unwrap().clone();
    times.retain(|at| *at > begin);
    times.extend([begin, Instant::now()]);
    times.sort_unstable();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest < Duration::from_secs(6), "{longest:?} without a look at models");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn being_far_behind_is_a_blindness() {
    let mut tasks = JoinSet::new();
    let (url, stub) = stub(&mut tasks).await;
    stub.set(Mood::Endless);
    let reached = json!({ "mark": now() - 3_600_000, "floor": now() - 4_200_000 });
    let checkpoints = BTreeMap::from([("traces/".to_owned(), reached)]);
    let mut running = start_with(config(&url).build().unwrap(), checkpoints, 1024);
    running.until("blindness", |running| running.state().blind.contains_key("traces_behind")).await;
    let blind = &running.state().blind["traces_behind"];
    assert!(blind.contains("minutes late"), "{blind}");
    sees_again(&mut running, &stub, "tr-now").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_traces_than_are_remembered_is_told() {
    let mut tasks = JoinSet::new();
    let (url, stub) = stub(&mut tasks).await;
    let one = trace("tr-", "1");
    stub.traces.lock().unwrap().extend((0..50_100).map(|number| {
        let mut one = one.clone();
        one["trace_id"] = json!(format!("tr-{number}"));
        one
    }));
    let mut running = start(config(&url));
    let told = |running: &Running| running.state().notes.get("traces_forgotten").cloned().unwrap_or_default();
    running.until("a note", |running| told(running).contains("50000 traces")).await;
    assert!(running.metric("lanner_events_dropped_total{reason=\"trace_memory_full\",stage=\"source\"}") > 0.9);
    running.stop().await;
}
