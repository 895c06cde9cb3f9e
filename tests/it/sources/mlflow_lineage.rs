//! What comes with the small look: new prompts, many versions at once, and what runs say of the data behind a version.

use lanner::event::Value;
use lanner::sources::mlflow::Config;
use lanner::sources::{Hint, RecordKind};
use serde_json::json;

use super::harness::{Running, start};
use crate::peers::mlflow::shared;
use crate::support::run_python;

/// A source that lists everything once only.
fn config(url: &str) -> Config {
    Config {
        tracking_uri: Some(url.to_owned()),
        hot_poll_interval_secs: 1,
        sweep_interval_secs: 3600,
        ..Config::default()
    }
}

fn list(running: &Running, key: &str, path: &str) -> Vec<String> {
    let value = running.records[key].attributes.get(path);
    let items = value.and_then(Value::as_list).unwrap_or_default();
    items.iter().filter_map(Value::as_text).map(str::to_owned).collect()
}

const PROMPT: &str = r"
import mlflow, sys
mlflow.set_tracking_uri(sys.argv[1])
mlflow.genai.register_prompt(name=sys.argv[2], template=sys.argv[3])
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_prompt_and_its_next_version_are_told_before_the_next_sweep() {
    let server = shared().await;
    let register = async |template: &'static str| {
        let url = server.url.clone();
        tokio::task::spawn_blocking(move || run_python(PROMPT, &[&url, "hot-prompt", template])).await.unwrap();
    };
    let mut running = start(config(&server.url));
    running.listed().await;
    assert!(!running.records.contains_key("model/hot-prompt"));
    register("You help.").await;
    let first = "artifact/hot-prompt/1/prompt.txt";
    running.until("the new prompt", |running| running.records.contains_key(first)).await;
    assert!(running.records.contains_key("model/hot-prompt") && running.records.contains_key("version/hot-prompt/1"));
    register("You help. Be brief.").await;
    let second = "artifact/hot-prompt/2/prompt.txt";
    running.until("its next version", |running| running.records.contains_key(second)).await;
    for key in [first, second, "model/hot-prompt", "version/hot-prompt/2"] {
        assert_eq!(running.records[key].hint, Hint::Poll, "{key}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_page_of_news_is_told_whole() {
    let server = shared().await;
    let mut running = start(config(&server.url));
    running.listed().await;
    server.post("registered-models/create", json!({ "name": "many-versions" })).await;
    for number in 0..40 {
        server.register("many-versions", &format!("s3://bucket/many/{number}"), "").await;
    }
    running
        .until("all versions", |running| {
            (1..=40).all(|number| running.records.contains_key(&format!("version/many-versions/{number}")))
        })
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_tells_the_data_behind_it_and_that_it_is_other_data() {
    let server = shared().await;
    let mut running = start(config(&server.url));
    running.listed().await;
    server.post("registered-models/create", json!({ "name": "lineage" })).await;
    let made = server.post("experiments/create", json!({ "name": "lineage" })).await;
    let experiment = made["experiment_id"].as_str().unwrap().to_owned();
    for (version, digest, other) in [(1, "aaaa", "same"), (2, "aaaa", "same"), (3, "bbbb", "same")] {
        let body = json!({ "experiment_id": experiment, "user_id": "ada" });
        let run = server.post("runs/create", body).await["run"]["info"]["run_id"].as_str().unwrap().to_owned();
        let dataset = |name: &str, digest: &str| {
            json!({ "dataset": {
                "name": name, "digest": digest, "source_type": "http",
                "source": json!({ "url": "https://user:hunter2@data.example.com/train.csv?token=hunter2" }).to_string(),
            }})
        };
        let datasets = json!([dataset("train", digest), dataset("test", other)]);
        server.post("runs/log-inputs", json!({ "run_id": run, "datasets": datasets })).await;
        server.register("lineage", &format!("s3://bucket/lineage/{version}"), &run).await;
        let key = format!("version/lineage/{version}");
        running.until("the version", |running| running.records.contains_key(&key)).await;
        // From the first word of it: its event is made of this.
        let first = running.applied.iter().find(|record| record.key == key).unwrap();
        assert_eq!(first.attributes["ml.run.user"], Value::from("ada"));
        assert_eq!(first.attributes["ml.run.state"], Value::from("active"));
        assert_eq!(first.attributes["ml.experiment.id"], Value::from(&*experiment));
        assert_eq!(list(&running, &key, "ml.dataset.digests"), ["test=same".to_owned(), format!("train={digest}")]);
        let from = "https://data.example.com/train.csv";
        assert_eq!(list(&running, &key, "ml.dataset.sources"), [format!("test={from}"), format!("train={from}")]);
        let changed: &[&str] = if version == 3 { &["train"] } else { &[] };
        assert_eq!(list(&running, &key, "ml.dataset.changed"), changed, "{version}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logged_models_of_the_experiments_that_are_named_are_records() {
    let server = shared().await;
    let log = async |experiment: &str| {
        let body = json!({ "experiment_id": experiment, "name": "net", "tags": [{ "key": "team", "value": "fraud" }] });
        let made = server.post("logged-models", body).await;
        made["model"]["info"]["model_id"].as_str().unwrap().to_owned()
    };
    let experiment = async |name: &str| {
        let made = server.post("experiments/create", json!({ "name": name })).await;
        made["experiment_id"].as_str().unwrap().to_owned()
    };
    let (named, other) = (experiment("logged").await, experiment("not-logged").await);
    let (first, unnamed) = (log(&named).await, log(&other).await);
    let mut running =
        start(Config { experiments: vec!["logged".to_owned()], sweep_interval_secs: 1, ..config(&server.url) });
    running.listed().await;
    let key = format!("logged_model/{first}");
    let old = running.records[&key].attributes.clone();
    assert_eq!(old["ml.logged_model.status"], Value::from("PENDING"));
    assert_eq!(old["ml.experiment.name"], Value::from("logged"));
    assert_eq!(old["ml.logged_model.tags.team"], Value::from("fraud"));
    assert_eq!(old["ml.model.source.allowed"], Value::from(true));
    assert!(!running.records.contains_key(&format!("logged_model/{unnamed}")));

    let done = json!({ "model_id": first, "status": "LOGGED_MODEL_READY" });
    server.call(reqwest::Method::PATCH, &format!("logged-models/{first}"), done).await;
    running.until("its state", |running| running.log.contains(&format!("+{key}"))).await;
    let told = running.source.changes(RecordKind::LoggedModel, Some(&old), Some(&running.records[&key].attributes));
    assert_eq!(told[0].action, "logged_model.changed");
    assert_eq!(told[0].fields["ml.logged_model.changed"], Value::from(vec!["status"]));
    let second = format!("logged_model/{}", log(&named).await);
    running.until("another", |running| running.records.contains_key(&second)).await;
    server.call(reqwest::Method::DELETE, &format!("logged-models/{first}"), json!({})).await;
    running.until("the deletion", |running| !running.records.contains_key(&key)).await;
    assert_eq!(running.source.changes(RecordKind::LoggedModel, Some(&old), None)[0].action, "logged_model.deleted");
    assert!(running.records.contains_key(&second), "and no other");
    running.stop().await;
}
