//! Webhooks as records: where they lead, what changed, and what is said where they may not be listed.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use lanner::event::Value;
use lanner::sources::mlflow::Config;
use lanner::sources::{RecordKind, Settings as _};
use serde_json::json;
use tokio::task::JoinSet;

use super::harness::{Running, start, start_with};

/// Webhooks, or the status that is answered instead.
type Told = Arc<Mutex<Result<Vec<serde_json::Value>, u16>>>;

async fn stub(tasks: &mut JoinSet<()>) -> (String, Told) {
    let told: Told = Arc::new(Mutex::new(Ok(Vec::new())));
    let router = Router::new().fallback(answer).with_state(Arc::clone(&told));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, told)
}

async fn answer(State(told): State<Told>, request: Request) -> Response {
    if !request.uri().path().ends_with("/webhooks") {
        return axum::Json(json!({})).into_response();
    }
    match &*told.lock().unwrap() {
        Ok(webhooks) => axum::Json(json!({ "webhooks": webhooks })).into_response(),
        Err(status) => StatusCode::from_u16(*status).unwrap().into_response(),
    }
}

fn webhook(id: &str, url: &str) -> serde_json::Value {
    let events = json!([{ "entity": "PROMPT_VERSION", "action": "CREATED" }]);
    json!({ "webhook_id": id, "name": id, "url": url, "events": events, "status": "ACTIVE" })
}

fn config(url: &str) -> Config {
    Config {
        tracking_uri: Some(url.to_owned()),
        hot_poll_interval_secs: 3600,
        sweep_interval_secs: 1,
        allowed_webhooks: vec!["https://allowed.example.com/hooks".to_owned()],
        ..Config::default()
    }
}

fn text<'r>(running: &'r Running, key: &str, path: &str) -> &'r str {
    running.records[key].attributes.get(path).and_then(Value::as_text).unwrap_or_default()
}

/// Address, where it leads, whether it is allowed.
const PLACES: &[(&str, &str, bool)] = &[
    ("https://hooks.example.com/T0/B0", "public", false),
    ("https://allowed.example.com/hooks", "public", true),
    ("https://allowed.example.com/hooks/of/ours?token=x", "public", true),
    ("https://allowed.example.com/hooksofothers", "public", false),
    ("https://allowed.example.com@evil.example.net/hooks", "public", false),
    ("https://allowed.example.com.evil.example.net/hooks", "public", false),
    ("https://8.8.8.8/", "public", false),
    ("https://100.63.255.255/", "public", false),
    ("https://172.32.0.1/", "public", false),
    ("https://[2606:4700::1111]/", "public", false),
    ("https://localhost.example.com/", "public", false),
    ("http://169.254.169.254/latest/", "metadata", false),
    ("http://0xa9.0xfe.0xa9.0xfe/latest/", "metadata", false),
    ("http://2852039166/latest/", "metadata", false),
    ("http://[::ffff:169.254.169.254]/", "metadata", false),
    ("http://[64:ff9b::a9fe:a9fe]/", "metadata", false),
    ("http://[2002:a9fe:a9fe::1]/", "metadata", false),
    ("http://[fd00:ec2::254]/", "metadata", false),
    ("http://169.254.170.2/v2/credentials", "metadata", false),
    ("http://100.100.100.200/", "metadata", false),
    ("http://METADATA.google.internal./computeMetadata/v1/", "metadata", false),
    ("http://169.254.7.7/", "link_local", false),
    ("http://[fe80::1]/", "link_local", false),
    ("http://127.1/", "loopback", false),
    ("http://0.0.0.0:8080/", "loopback", false),
    ("http://[::1]/", "loopback", false),
    ("http://localhost:6379/", "loopback", false),
    ("http://app.localhost/", "loopback", false),
    ("http://10.1.2.3/", "private", false),
    ("http://172.31.0.1/", "private", false),
    ("http://192.168.1.1/", "private", false),
    ("http://100.64.0.1/", "private", false),
    ("http://[fc00::1]/", "private", false),
    ("http://lanner.monitoring.svc:9464/api/v1/hints/registry", "internal", false),
    ("http://kubernetes.default.svc.cluster.local/", "internal", false),
    ("http://redis:6379/", "internal", false),
    ("https://169.254.169.254.nip.io/", "rebinding", false),
    ("https://7f000001.c0a80001.rbndr.us/", "rebinding", false),
    ("https://255.255.255.255/", "nowhere", false),
    ("https://[ff02::1]/", "nowhere", false),
    ("no address", "nowhere", false),
    ("data:text/plain,x", "nowhere", false),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_webhook_leads_is_told_by_its_text_and_no_secret_with_it() {
    let mut tasks = JoinSet::new();
    let (url, told) = stub(&mut tasks).await;
    *told.lock().unwrap() =
        Ok(PLACES.iter().enumerate().map(|(index, case)| webhook(&index.to_string(), case.0)).collect());
    let mut running = start(config(&url));
    running.listed().await;
    for (index, (place, reach, allowed)) in PLACES.iter().enumerate() {
        let key = format!("webhook/{index}");
        assert_eq!(running.records[&key].kind, RecordKind::Webhook);
        assert_eq!(text(&running, &key, "ml.webhook.reach"), *reach, "{place}");
        assert_eq!(running.records[&key].attributes["ml.webhook.allowed"], Value::from(*allowed), "{place}");
        let shown = text(&running, &key, "ml.webhook.url");
        assert!(!shown.contains('?') && !shown.contains('@') && !shown.contains("T0"), "{shown}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_of_the_first_listing_are_known_also_after_a_restart() {
    let mut tasks = JoinSet::new();
    let (url, told) = stub(&mut tasks).await;
    let known = |running: &Running, key: &str| running.records[key].attributes["ml.webhook.known"].clone();
    *told.lock().unwrap() = Ok(vec![webhook("a", "https://hooks.example.com/T0/B0")]);
    let mut running = start(config(&url));
    running.listed().await;
    *told.lock().unwrap() = Ok(vec![
        webhook("a", "https://hooks.example.com/T0/B0"),
        webhook("b", "https://hooks.example.com/T0/B1"),
        webhook("c", "https://hooks.example.com:8443/"),
        webhook("d", "https://collect.example.net/"),
    ]);
    running.until("the new ones", |running| running.records.contains_key("webhook/d")).await;
    let all = ["a", "b", "c", "d"].map(|id| known(&running, &format!("webhook/{id}")));
    assert_eq!(all, [true, true, false, false].map(Value::from), "another port is another service");
    let old = running.records["webhook/a"].attributes.clone();
    *told.lock().unwrap() = Ok(vec![webhook("a", "https://hooks.example.com/T0/B9")]);
    running.until("the others to be gone", |running| running.records.len() == 1).await;
    let changes =
        running.source.changes(RecordKind::Webhook, Some(&old), Some(&running.records["webhook/a"].attributes));
    assert_eq!((changes.len(), changes[0].action), (1, "webhook.changed"));
    assert_eq!(changes[0].fields["ml.webhook.changed"], Value::from(vec!["url"]), "though it is shown as before");
    assert_eq!(running.source.changes(RecordKind::Webhook, Some(&old), None)[0].action, "webhook.deleted");

    // What was registered meanwhile does not become known by a restart.
    let running = running.stop().await;
    *told.lock().unwrap() = Ok(vec![webhook("e", "https://collect.example.net/")]);
    let mut running = start_with(config(&url).build().unwrap(), running.checkpoints, 64);
    running.listed().await;
    assert_eq!(known(&running, "webhook/e"), Value::from(false));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_not_list_them_is_told_so_and_nothing_else_changes() {
    let mut tasks = JoinSet::new();
    let (url, told) = stub(&mut tasks).await;
    *told.lock().unwrap() = Ok(vec![webhook("a", "https://hooks.example.com/T0/B0")]);
    let mut running = start(config(&url));
    running.listed().await;
    for (status, word) in [(403, "administrators"), (404, "MLflow 3"), (500, "500")] {
        *told.lock().unwrap() = Err(status);
        running
            .until(word, |running| running.state().notes.get("webhooks_unseen").is_some_and(|note| note.contains(word)))
            .await;
        *told.lock().unwrap() = Ok(vec![webhook("a", "https://hooks.example.com/T0/B0")]);
        running.until("no note", |running| !running.state().notes.contains_key("webhooks_unseen")).await;
    }
    assert!(running.state().blind.is_empty() && running.log.is_empty(), "{:?}", running.log);
    running.stop().await;
}
