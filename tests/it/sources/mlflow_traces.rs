//! Traces of a real server: what its own client recorded, told once each, whenever it comes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use lanner::event::{Fields, Value};
use lanner::sources::mlflow::{Config, Traces};
use lanner::sources::{Inference, Settings};
use reqwest::Method;
use serde_json::json;

use super::harness::{Running, start, start_with};
use crate::peers::mlflow::{Mlflow, shared};
use crate::support::{client, run_python};

/// An application: one conversation with a model, and a call that fails.
const APPLICATION: &str = r#"
import mlflow, sys
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment(sys.argv[2])

@mlflow.trace(name="chat", span_type="CHAT_MODEL")
def chat(model, messages):
    mlflow.update_current_trace(
        metadata={"mlflow.trace.user": "ada", "mlflow.trace.session": "s-1", "release": "7"}, tags={"team": "payments"})
    mlflow.get_current_active_span().set_attribute(
        "mlflow.chat.tokenUsage", {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18})
    return {"model": "small-2026-11", "choices": [{"message": {"role": "assistant", "content": "Paris, caf\u00e9."}}]}

@mlflow.trace(name="tool")
def tool(question):
    raise ValueError("no such tool")

chat("small", [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Capital of France?"}])
try:
    tool("where\U000e0041\U000e0042")
except ValueError:
    pass
mlflow.flush_trace_async_logging()
"#;

fn config(server: &Mlflow, experiments: &[&str]) -> Config {
    Config {
        tracking_uri: Some(server.url.clone()),
        hot_poll_interval_secs: 1,
        sweep_interval_secs: 2,
        traces: Traces {
            experiments: experiments.iter().map(|&name| name.to_owned()).collect(),
            unfinished_secs: 600,
            ..Traces::default()
        },
        ..Config::default()
    }
}

/// Records a trace as a client does, with whatever it says of itself.
pub async fn record(server: &Mlflow, experiment: &str, id: &str, started: Timestamp, rest: serde_json::Value) {
    let mut info = json!({
        "trace_id": id,
        "trace_location": { "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": { "experiment_id": experiment } },
        "request_time": started.to_string(),
        "execution_duration": "1.5s",
        "state": "OK",
        "request_preview": format!("asked by {id}"),
        "response_preview": "said",
    });
    for (name, value) in rest.as_object().unwrap() {
        info[name] = value.clone();
    }
    let url = format!("{}/api/3.0/mlflow/traces", server.url);
    let answer = client().post(url).json(&json!({ "trace": { "trace_info": info } })).send().await.unwrap();
    let status = answer.status();
    assert!(status.is_success(), "{id}: {status} {}", answer.text().await.unwrap());
}

pub async fn experiment(server: &Mlflow, name: &str) -> String {
    let made = server.post("experiments/create", json!({ "name": name })).await;
    made["experiment_id"].as_str().unwrap().to_owned()
}

/// Ids of what was told, in order.
pub fn ids(running: &Running) -> Vec<&str> {
    running.inferences.iter().map(|inference| &*inference.id).collect()
}

fn text(fields: &Fields, path: &str) -> String {
    fields.get(path).and_then(Value::as_text).unwrap_or("(absent)").to_owned()
}

/// Whether the first look at traces is over.
pub fn begun(running: &Running) -> bool {
    running.checkpoints.keys().any(|key| key.starts_with("traces/"))
}

fn seconds(count: i64) -> jiff::SignedDuration {
    jiff::SignedDuration::from_secs(count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_client_records_is_told_once_and_what_was_there_is_not() {
    let server = shared().await;
    run_python(APPLICATION, &[&server.url, "assistant"]);
    let mut running = start(config(&server, &["assistant"]));
    running.until("the first look", begun).await;
    run_python(APPLICATION, &[&server.url, "assistant"]);
    running.until("both calls", |running| running.inferences.len() >= 2).await;
    running.during(Duration::from_secs(5)).await;
    assert_eq!(running.inferences.len(), 2, "{:?}", running.inferences);
    assert!(!running.records.keys().any(|key| key.contains("trace")), "none is a record: {:?}", running.records.keys());
    let find = |action: &str| running.inferences.iter().find(|told| told.action == action).cloned();
    let chat: Inference = find("inference.finished").unwrap();
    for (path, expected) in [
        ("ml.trace.name", "chat"),
        ("ml.trace.state", "OK"),
        ("ml.experiment.name", "assistant"),
        ("ml.model.registry", &server.url),
        ("enduser.id", "ada"),
        ("gen_ai.conversation.id", "s-1"),
        ("gen_ai.request.model", "small"),
        ("gen_ai.response.model", "small-2026-11"),
        ("ml.inference.request", "Capital of France?"),
        ("ml.inference.response", "Paris, café."),
        ("ml.trace.tags.team", "payments"),
        ("ml.trace.metadata.release", "7"),
    ] {
        assert_eq!(text(&chat.attributes, path), expected, "{path}");
    }
    assert_eq!(chat.attributes["gen_ai.usage.input_tokens"], 11_u64.into());
    assert_eq!(chat.attributes["gen_ai.usage.output_tokens"], 7_u64.into());
    assert!(chat.attributes.contains_key("ml.inference.duration_ms"));
    assert!(!chat.attributes.keys().any(|path| path.contains("mlflow.")), "{:?}", chat.attributes.keys());
    assert_eq!(chat.subject.name, format!("assistant/{}", text(&chat.attributes, "ml.trace.id")));
    let failed = find("inference.failed").unwrap();
    assert_eq!(text(&failed.attributes, "ml.trace.state"), "ERROR");
    assert_eq!(failed.attributes["ml.inference.request.hidden_unicode"], Value::from(vec!["tags"]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_where_it_was_and_repeats_nothing() {
    let server = shared().await;
    let experiment = experiment(&server, "restarts").await;
    let source = config(&server, &[&experiment]).build().unwrap();
    let mut running = start_with(source.clone(), BTreeMap::new(), 1024);
    running.until("the first look", begun).await;
    let now = Timestamp::now();
    // All of one millisecond: what distinguishes them is what they are called.
    for number in 0..5 {
        record(&server, &experiment, &format!("tr-a{number}"), now, json!({})).await;
    }
    running.until("five", |running| running.inferences.len() >= 5).await;
    let checkpoints = running.checkpoints.clone();
    running.stop().await;
    for number in 0..3 {
        record(&server, &experiment, &format!("tr-b{number}"), now, json!({})).await;
    }
    let mut running = start_with(source.clone(), checkpoints.clone(), 1024);
    running.until("three", |running| running.inferences.len() >= 3).await;
    running.during(Duration::from_secs(4)).await;
    assert_eq!(ids(&running), ["tr-b0", "tr-b1", "tr-b2"]);
    running.abort();

    // As after a crash between what was told and how far it was read: only what was durable counts.
    let mut before = checkpoints;
    let some = before.keys().find(|key| key.starts_with("trace/")).cloned().unwrap();
    before.remove(&some);
    let mut running = start_with(source, before, 1024);
    running.until("four", |running| running.inferences.len() >= 4).await;
    running.during(Duration::from_secs(4)).await;
    assert_eq!(ids(&running).len(), 4, "the three, and the one of which nothing was durable: {:?}", ids(&running));
    let stopped = running.stop().await;

    // Whoever stops watching traces keeps nothing of them.
    let off = config(&server, &[]).build().unwrap();
    let mut running = start_with(off, stopped.checkpoints.clone(), 1024);
    let keeps = |running: &Running| running.checkpoints.keys().any(|key| key.starts_with("trace"));
    running.until("nothing to be kept", |running| !keeps(running)).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_late_or_ends_late_is_told_when_it_does() {
    let server = shared().await;
    let experiment = experiment(&server, "late").await;
    let now = Timestamp::now();
    let open = json!({ "state": "IN_PROGRESS", "execution_duration": null, "response_preview": null });
    record(&server, &experiment, "tr-open", now - seconds(30), open.clone()).await;
    record(&server, &experiment, "tr-old", now - seconds(60), json!({})).await;
    let mut running = start(config(&server, &["late", "no such experiment"]));
    running.until("the first look", begun).await;
    let missing = |running: &Running| running.state().notes.get("traces_missing").cloned().unwrap_or_default();
    running.until("a note", |running| missing(running).contains("no such experiment")).await;
    assert!(running.state().blind.is_empty());

    // Newer ones first; then one that ended before all of them, long before the last small look began.
    record(&server, &experiment, "tr-new", Timestamp::now(), json!({})).await;
    running.until("the new one", |running| ids(running) == ["tr-new"]).await;
    record(&server, &experiment, "tr-late", now - seconds(300), json!({})).await;
    // One that began two hours ago, and one whose clock is a year ahead.
    record(&server, &experiment, "tr-long", now - seconds(7_200), json!({ "execution_duration": "7190s" })).await;
    record(&server, &experiment, "tr-ahead", now + seconds(86_400 * 365), json!({})).await;
    running.until("all three", |running| running.inferences.len() >= 4).await;
    let ahead = running.inferences.iter().find(|told| told.id == "tr-ahead").unwrap();
    assert!(ahead.time.unwrap() > Timestamp::now());
    assert!(!ids(&running).contains(&"tr-open"), "it has not ended");

    // It ends.
    record(&server, &experiment, "tr-open", now - seconds(30), json!({ "execution_duration": "31s" })).await;
    running.until("its end", |running| ids(running).contains(&"tr-open")).await;
    // One that does not end is told as it is after a while.
    record(&server, &experiment, "tr-stuck", now - seconds(700), open).await;
    running.until("what does not end", |running| ids(running).contains(&"tr-stuck/unfinished")).await;
    let stuck = running.inferences.iter().find(|told| told.id == "tr-stuck/unfinished").unwrap();
    assert_eq!(stuck.action, "inference.unfinished");
    record(&server, &experiment, "tr-stuck", now - seconds(700), json!({ "execution_duration": "699s" })).await;
    // Its end is told once more, with what was said.
    running.until("the end of what did not end", |running| ids(running).contains(&"tr-stuck")).await;
    let ended = running.inferences.iter().find(|told| told.id == "tr-stuck").unwrap();
    assert_eq!((ended.action, &*text(&ended.attributes, "ml.inference.response")), ("inference.finished", "said"));
    running.during(Duration::from_secs(5)).await;
    let mut all = ids(&running);
    all.sort_unstable();
    assert_eq!(
        all,
        ["tr-ahead", "tr-late", "tr-long", "tr-new", "tr-open", "tr-stuck", "tr-stuck/unfinished"],
        "each once"
    );
    assert!(running.state().notes.keys().all(|name| name != "traces_ahead"), "{:?}", running.state());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_traces_keep_nobody_from_seeing_the_others() {
    let server = Mlflow::start().await;
    let experiment = experiment(&server, "hostile").await;
    let mut settings = config(&server, &["hostile"]);
    settings.page_bytes_max = 1 << 20;
    settings.traces.text = false;
    let mut running = start(settings);
    running.until("the first look", begun).await;
    let now = Timestamp::now();
    // Larger than a page may be: only what ended in the same millisecond is lost with it.
    record(&server, &experiment, "tr-huge", now, json!({ "request_preview": "x".repeat(3 << 20) })).await;
    let odd = json!({
        "request_preview": "{\"a\": \"\\ud83d \u{0}\u{202e}",
        "tags": { "mlflow.traceName": "\u{1b}[2J", "n": "1", "long": "y".repeat(100_000) },
        "trace_metadata": { "mlflow.trace.tokenUsage": "[1, 2", "mlflow.traceInputs": "\"model\": \"", "mlflow.trace.user": "\u{e0041}" },
        "execution_duration": "-5s",
    });
    record(&server, &experiment, "tr-odd/\u{fc} \u{1f600}", now - seconds(3), odd).await;
    record(&server, &experiment, "tr-never", now - seconds(4), json!({ "execution_duration": "315576000000s" })).await;
    record(&server, &experiment, "tr-after", now + seconds(1), json!({})).await;
    running.until("the others", |running| running.inferences.len() >= 3).await;
    running.until("a note", |running| running.state().notes.contains_key("traces_left_out")).await;
    running.during(Duration::from_secs(5)).await;
    assert!(running.state().notes.contains_key("traces_left_out"), "listings later: {:?}", running.state());
    let mut all = ids(&running);
    all.sort_unstable();
    assert_eq!(all, ["tr-after", "tr-never", "tr-odd/\u{fc} \u{1f600}"]);
    assert!(running.state().blind.is_empty(), "{:?}", running.state());
    let left_out = "lanner_events_dropped_total{reason=\"trace_left_out\",stage=\"source\"}";
    assert!((running.metric(left_out) - 1.0).abs() < 0.1, "counted once: {}", running.metric(left_out));
    let odd = &running.inferences.iter().find(|told| told.id.starts_with("tr-odd")).unwrap().attributes;
    assert_eq!(odd["ml.inference.request.hidden_unicode"], Value::from(vec!["bidi"]));
    assert!(text(odd, "ml.trace.tags.long").len() < 10_000);
    for texts in ["ml.inference.request", "ml.inference.response", "gen_ai.usage.input_tokens", "gen_ai.request.model"]
    {
        assert!(!odd.contains_key(texts), "{texts}: {odd:?}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_one_look_holds_comes_all_the_same() {
    let server = shared().await;
    let experiment = experiment(&server, "flood").await;
    let mut running = start(config(&server, &["flood"]));
    running.until("the first look", begun).await;
    let script = r#"
import sqlite3, sys
# As many as a client would write in an hour: straight into the server's database.
base = sqlite3.connect(sys.argv[1], timeout=60)
experiment, now = int(sys.argv[2]), int(sys.argv[3])
base.executemany(
    "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, status, request_preview)"
    " VALUES (?, ?, ?, 5, 'OK', 'q')",
    [(f"tr-f{number}", experiment, now - 20000 + number) for number in range(5600)])
base.commit()
"#;
    let (database, now) = (server.database(), Timestamp::now().as_millisecond().to_string());
    run_python(script, &[&database, &experiment, &now]);
    running.until("all of them", |running| running.inferences.len() >= 5_600).await;
    running.during(Duration::from_secs(3)).await;
    let told: std::collections::BTreeSet<&str> = ids(&running).into_iter().collect();
    assert_eq!((told.len(), running.inferences.len()), (5_600, 5_600), "each once");
    assert!(!running.state().notes.contains_key("traces_left_out"), "{:?}", running.state());
    // A deleted experiment is nothing to fail at.
    server.call(Method::POST, "experiments/delete", json!({ "experiment_id": experiment })).await;
    running.until("a note", |running| running.state().notes.contains_key("traces_missing")).await;
    assert!(running.state().blind.is_empty());
    running.stop().await;
}
