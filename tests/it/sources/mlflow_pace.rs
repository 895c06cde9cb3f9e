//! How often a registry is listed while its webhooks arrive, and when they do not.

use std::time::Duration;

use lanner::sources::mlflow::Config;
use lanner::sources::{Hint, Record};
use reqwest::Method;
use serde_json::json;

use super::harness::{Running, start};
use crate::peers::mlflow::Mlflow;

const NOTE: &str = "listing_stretched";
const LISTINGS: &str = "lanner_rescans_total";

fn stretched(running: &Running) -> bool {
    running.state().notes.contains_key(NOTE)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_are_left_out_while_webhooks_prove_to_arrive_and_only_then() {
    let server = Mlflow::start().await;
    let (run, folder) = server.run("pace").await;
    let file = format!("{folder}/model/weights.bin");
    server.put(&file, b"weights").await;
    server.post("registered-models/create", json!({ "name": "paced" })).await;
    for _ in 0..3 {
        server.register("paced", &format!("mlflow-artifacts:/{folder}/model"), &run).await;
    }
    let alias = async |version: &str| {
        let body = json!({ "name": "paced", "alias": "champion", "version": version });
        server.post("registered-models/alias", body).await;
    };
    let mut running = start(Config {
        tracking_uri: Some(server.url.clone()),
        hot_poll_interval_secs: 1,
        sweep_interval_secs: 1,
        sweep_stretch_max: 5,
        ..Config::default()
    });
    running.listed().await;
    running.during(Duration::from_secs(3)).await;
    assert!(!stretched(&running), "nobody has shown that webhooks arrive");

    // A webhook tells news; perhaps a listing was faster by a moment.
    alias("1").await;
    let body = json!({ "data": { "name": "paced", "alias": "champion", "version": "1" } });
    running.hints.push(1, body.clone());
    running.until("fewer listings", stretched).await;
    let begun = running.metric(LISTINGS);
    running.during(Duration::from_secs(10)).await;
    let listings = running.metric(LISTINGS) - begun;
    assert!((1.0..=4.0).contains(&listings), "{listings} listings in ten seconds, of ten without webhooks");
    assert!(stretched(&running));

    // Bytes are looked at as often as before.
    let begun = running.metric(LISTINGS);
    server.put(&file, b"poison!").await;
    running.until("the bytes", |running| running.log.contains(&"+artifact/paced/1/weights.bin".to_owned())).await;
    assert!(running.metric(LISTINGS) - begun <= 2.0);
    let begun = running.metric(LISTINGS);
    running.until("a listing", |running| running.metric(LISTINGS) > begun).await;
    // That one is over, and the next one far.
    running.during(Duration::from_secs(1)).await;
    // A deletion, of which no webhook tells, moves a time: it is looked for at once, and proves nothing against webhooks.
    server.call(Method::DELETE, "model-versions/delete", json!({ "name": "paced", "version": "3" })).await;
    running.until("the deletion", |running| !running.records.contains_key("version/paced/3")).await;
    assert!(stretched(&running), "{:?}", running.state());

    // So many others that a small look does not come to it.
    for number in 0..12 {
        server.post("registered-models/create", json!({ "name": format!("other-{number}") })).await;
    }
    let known = |running: &Running, number: u32| running.records.contains_key(&format!("model/other-{number}"));
    running.until("the others", |running| (0..12).all(|number| known(running, number))).await;
    // What a listing finds that no webhook told of ends it.
    alias("2").await;
    let told = |record: &Record| record.key == "version/paced/2" && record.hint == Hint::Sweep;
    running.until("the alias", |running| running.applied.iter().any(told) && !stretched(running)).await;
    let begun = running.metric(LISTINGS);
    running.during(Duration::from_secs(6)).await;
    assert!(running.metric(LISTINGS) - begun >= 3.0, "every second again, as far as the machine can");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_about_the_same_model_hides_no_deletion() {
    let server = Mlflow::start().await;
    let (run, folder) = server.run("hidden").await;
    server.post("registered-models/create", json!({ "name": "paced" })).await;
    for _ in 0..2 {
        server.register("paced", &format!("mlflow-artifacts:/{folder}/model"), &run).await;
    }
    // So rarely that only a reason to list can find it.
    let mut running = start(Config {
        tracking_uri: Some(server.url.clone()),
        hot_poll_interval_secs: 3600,
        sweep_interval_secs: 1,
        sweep_stretch_max: 1000,
        ..Config::default()
    });
    running.listed().await;
    let alias = json!({ "name": "paced", "alias": "champion", "version": "1" });
    let told = json!({ "data": alias });
    server.post("registered-models/alias", alias).await;
    running.hints.push(1, told.clone());
    running.until("fewer listings", stretched).await;
    let begun = running.metric(LISTINGS);
    running.during(Duration::from_secs(4)).await;
    assert!(running.metric(LISTINGS) - begun <= 1.0, "listings are left out");
    server.call(Method::DELETE, "model-versions/delete", json!({ "name": "paced", "version": "2" })).await;
    running.hints.push(2, told);
    running.until("the deletion", |running| !running.records.contains_key("version/paced/2")).await;
    running.stop().await;
}
