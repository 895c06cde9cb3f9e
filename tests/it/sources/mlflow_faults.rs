//! The registry source against servers that fail, lie, or do not end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use lanner::event::Value;
use lanner::sources::Settings;
use lanner::sources::mlflow::{ArtifactRoot, Config};
use serde_json::json;
use tokio::task::JoinSet;

use super::harness::start;

/// How the server misbehaves at the moment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Status(u16),
    Garbage,
    Huge,
    Endless,
    Slow,
    /// The second page begins one too late, as after a deletion.
    Skips,
}

#[derive(Clone)]
struct Stub {
    mood: Arc<Mutex<Mood>>,
    versions: Arc<Mutex<Vec<serde_json::Value>>>,
    authorization: Arc<Mutex<BTreeMap<String, usize>>>,
}

/// A server that knows a few calls; its address, and the handles to change it.
async fn stub(tasks: &mut JoinSet<()>) -> (String, Stub) {
    let stub = Stub {
        mood: Arc::new(Mutex::new(Mood::Well)),
        versions: Arc::new(Mutex::new(vec![version("1"), version("2")])),
        authorization: Arc::default(),
    };
    let router = Router::new().fallback(answer).with_state(stub.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, stub)
}

fn version(number: &str) -> serde_json::Value {
    json!({ "name": "m", "version": number, "source": format!("s3://bucket/m/{number}"), "current_stage": "None" })
}

async fn answer(State(stub): State<Stub>, headers: HeaderMap, request: Request) -> Response {
    let sent = headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
    *stub.authorization.lock().unwrap().entry(sent).or_default() += 1;
    let mood = *stub.mood.lock().unwrap();
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    match mood {
        Mood::Well | Mood::Endless | Mood::Skips => {}
        Mood::Status(code) => return StatusCode::from_u16(code).unwrap().into_response(),
        Mood::Garbage => return "<html>please log in</html>".into_response(),
        Mood::Huge => return Body::from(vec![b' '; 1 << 20]).into_response().into_response(),
        Mood::Slow => tokio::time::sleep(Duration::from_secs(30)).await,
    }
    let versions = stub.versions.lock().unwrap().clone();
    let body = if path.ends_with("registered-models/search") {
        let next = if mood == Mood::Endless { "again" } else { "" };
        json!({ "registered_models": [{ "name": "m" }], "next_page_token": next })
    } else if path.ends_with("model-versions/search") {
        match (mood, query.contains("page_token=2"), query.contains("order_by")) {
            (Mood::Skips, false, false) => json!({ "model_versions": &versions[..1], "next_page_token": "2" }),
            (Mood::Skips, true, _) => json!({ "model_versions": &versions[2..] }),
            _ => json!({ "model_versions": versions }),
        }
    } else if path.ends_with("get-download-uri") {
        let number = query.rsplit('=').next().unwrap();
        json!({ "artifact_uri": format!("s3://bucket/m/{number}") })
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    axum::Json(body).into_response()
}

fn config(url: &str) -> Config {
    Config {
        tracking_uri: Some(url.to_owned()),
        hot_poll_interval_secs: 1,
        sweep_interval_secs: 1,
        request_timeout_secs: 1,
        page_bytes_max: 64 << 10,
        ..Config::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_told_and_survived() {
    let mut tasks = JoinSet::new();
    let (url, stub) = stub(&mut tasks).await;
    *stub.mood.lock().unwrap() = Mood::Status(500);
    let mut running = start(config(&url));
    running.until("blindness at the start", |running| running.state().blind.contains_key("server_error")).await;
    assert!(!running.listed && !running.state().synced);
    *stub.mood.lock().unwrap() = Mood::Well;
    running.listed().await;
    for (mood, reason) in [
        (Mood::Status(401), "unauthorized"),
        (Mood::Status(403), "forbidden"),
        (Mood::Status(302), "redirected"),
        (Mood::Status(404), "not_mlflow"),
        (Mood::Status(503), "server_error"),
        (Mood::Garbage, "garbage"),
        (Mood::Huge, "too_large"),
        (Mood::Endless, "garbage"),
        (Mood::Slow, "timeout"),
    ] {
        *stub.mood.lock().unwrap() = mood;
        running.until(reason, |running| running.state().blind.contains_key(reason)).await;
        *stub.mood.lock().unwrap() = Mood::Well;
        running.until("sight", |running| running.state().blind.is_empty()).await;
    }
    assert!(running.log.is_empty(), "no fault is a deletion: {:?}", running.log);
    assert!(running.metric("lanner_source_errors_total") >= 9.0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_waited_for() {
    let url = format!("http://user:hunter2@127.0.0.1:{}", crate::peers::mlflow::free_port());
    let mut running = start(config(&url));
    running.until("blindness", |running| running.state().blind.contains_key("unreachable")).await;
    let told = format!("{:?}", running.state());
    assert!(!told.contains("hunter2"), "{told}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_listing_that_misses_a_version_is_no_deletion() {
    let mut tasks = JoinSet::new();
    let (url, stub) = stub(&mut tasks).await;
    let mut settings = config(&url);
    settings.hot_poll_interval_secs = 3600;
    let mut running = start(settings);
    running.listed().await;
    assert!(running.state().notes["artifacts_elsewhere"].contains("s3://bucket/m/"), "{:?}", running.state());
    stub.versions.lock().unwrap().push(version("3"));
    running.until("the third version", |running| running.records.contains_key("version/m/3")).await;
    let sweeps = running.metric("lanner_rescans_total");
    *stub.mood.lock().unwrap() = Mood::Skips;
    running.until("one sweep", |running| running.metric("lanner_rescans_total") > sweeps).await;
    *stub.mood.lock().unwrap() = Mood::Well;
    running.during(Duration::from_secs(3)).await;
    assert!(!running.log.iter().any(|told| told.starts_with('-')), "{:?}", running.log);
    // What is gone from every listing is gone, all of it together.
    stub.versions.lock().unwrap().clear();
    running.until("deletions", |running| running.log.iter().filter(|told| told.starts_with('-')).count() == 3).await;
    let old = [("ml.model.name", "m"), ("ml.model.version", "2")];
    let old = old.into_iter().map(|(path, value)| (path.to_owned(), Value::from(value))).collect();
    let told = running.source.changes(lanner::sources::RecordKind::ModelVersion, Some(&old), None);
    assert_eq!(told[0].fields["ml.model.deleted_together"], Value::from(3_usize));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mounted_store_is_read_directly() {
    let mut tasks = JoinSet::new();
    let (url, _stub) = stub(&mut tasks).await;
    let mount = tempfile::TempDir::new().unwrap();
    super::filesystem::write(&mount.path().join("m/1/data/model.pkl"), "weights");
    super::filesystem::write(&mount.path().join("m/2/model.pkl"), "weights");
    let mut settings = config(&url);
    settings.artifact_roots =
        vec![ArtifactRoot { prefix: "s3://bucket/".to_owned(), directory: mount.path().to_owned() }];
    let mut running = start(settings);
    running.listed().await;
    let record = running.records["artifact/m/1/data/model.pkl"].clone();
    let store = running.source.store().unwrap();
    let opened = store.open(record.artifact.as_ref().unwrap()).await.unwrap();
    assert_eq!(opened.len(), 7);
    super::filesystem::write(&mount.path().join("m/1/data/model.pkl"), "poison!");
    running.until("the replacement", |running| running.log == ["+artifact/m/1/data/model.pkl"]).await;
    // The mount goes away: nothing is told as removed.
    std::fs::rename(mount.path().join("m"), mount.path().join("away")).unwrap();
    running.until("a note", |running| running.state().notes.contains_key("artifacts_refused")).await;
    running.during(Duration::from_secs(3)).await;
    assert_eq!(running.log.len(), 1, "{:?}", running.log);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_sent_and_never_shown() {
    let mut tasks = JoinSet::new();
    let (url, stub) = stub(&mut tasks).await;
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("token"), "t0ken\n").unwrap();
    let mut settings = config(&url);
    settings.token_file = Some(folder.path().join("token"));
    let mut running = start(settings.clone());
    running.listed().await;
    assert!(stub.authorization.lock().unwrap().contains_key("Bearer t0ken"));
    running.stop().await;
    settings.token_file = Some(folder.path().join("nothing"));
    settings.tracking_uri = Some("ftp://user:hunter2@host".to_owned());
    let problems = settings.clone().build().err().unwrap();
    assert!(problems.iter().all(|problem| !problem.contains("hunter2")), "{problems:?}");
    settings.tracking_uri = Some(url);
    let problems = settings.build().err().unwrap();
    assert!(problems[0].contains("token_file"), "{problems:?}");
}

/// Source, run, scheme, allowed without a list, allowed with `s3://ours` listed, climbs, pinned.
type Judged = (&'static str, &'static str, &'static str, bool, bool, bool, Option<bool>);

const SOURCES: &[Judged] = &[
    ("models:/m-0123", "", "models", true, true, false, None),
    ("mlflow-artifacts:/1/r/artifacts/model", "r", "mlflow-artifacts", true, true, false, None),
    ("s3://ours/model", "", "s3", true, true, false, None),
    ("s3://ours-not/model", "", "s3", true, false, false, None),
    ("s3://ours/../theirs", "", "s3", false, false, true, None),
    ("s3://ours/%252e%252e/theirs", "", "s3", false, false, true, None),
    ("runs:/r/..\\..\\etc", "r", "runs", false, false, true, None),
    ("file:///etc/passwd", "", "file", false, false, false, None),
    ("/srv/mlruns/1/r/artifacts/model", "r", "", true, false, false, None),
    ("/etc/passwd", "r", "", false, false, false, None),
    ("http://169.254.169.254/latest", "", "http", false, false, false, None),
    ("hf://org/model", "", "hf", true, false, false, Some(false)),
    ("hf://org/model@0123456789abcdef0123456789abcdef01234567", "", "hf", true, false, false, Some(true)),
    ("https://huggingface.co/org/model/resolve/main/model.bin", "", "https", true, false, false, Some(false)),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_are_judged_by_their_text() {
    let mut tasks = JoinSet::new();
    let (url, stub) = stub(&mut tasks).await;
    *stub.versions.lock().unwrap() = SOURCES
        .iter()
        .enumerate()
        .map(|(index, case)| json!({ "name": "m", "version": index.to_string(), "source": case.0, "run_id": case.1 }))
        .collect();
    for listed in [false, true] {
        let mut settings = config(&url);
        if listed {
            settings.allowed_sources = vec!["s3://ours".to_owned(), "s3://bucket/".to_owned()];
        }
        let mut running = start(settings);
        running.listed().await;
        for (index, (source, _, scheme, open, with_list, climbs, pinned)) in SOURCES.iter().enumerate() {
            let fields = &running.records[&format!("version/m/{index}")].attributes;
            let allowed = if listed { with_list } else { open };
            assert_eq!(fields["ml.model.source.scheme"], Value::from(*scheme), "{source}");
            assert_eq!(fields["ml.model.source.allowed"], Value::from(*allowed), "{source}, listed: {listed}");
            assert_eq!(fields["ml.model.source.traversal"], Value::from(*climbs), "{source}");
            assert_eq!(fields.get("ml.model.source.pinned"), pinned.map(Value::from).as_ref(), "{source}");
        }
        running.stop().await;
    }
}
