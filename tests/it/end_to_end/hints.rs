//! Hints of a real `MLflow`, and what happens to hints when nobody can follow them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use lanner::state::{Mode, State};
use serde_json::{Value, json};

use super::rules;
use crate::peers::mlflow::Mlflow;
use crate::support::program::Agent;
use crate::support::receiver::Receiver;
use crate::support::{client, free_port, runtime, wait_for};

const SECRET: &str = "not-much-of-a-secret";

/// A source that looks by itself once an hour, and takes signed hints.
fn config(tracking_uri: &str, alerts: &str) -> String {
    format!(
        "sources:\n  mlflow: [{{name: registry, tracking_uri: \"{tracking_uri}\", sweep_interval_secs: 3600, \
         hot_poll_interval_secs: 3600, gate: {{aliases: [champion], required_tags: [approved_by]}}}}]\n\
         receivers: [{{source: registry, scheme: mlflow, secret_file: hook.secret}}]\n\
         sinks:\n  webhook: [{{name: hook, url: \"{alerts}\"}}]\n"
    )
}

#[test]
fn a_webhook_of_mlflow_makes_the_agent_look_at_once() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::write(directory.path().join("hook.secret"), SECRET).expect("there is space");
    let (server, runtime) = (runtime().block_on(Mlflow::start()), runtime());
    let receiver = Receiver::start();
    runtime.block_on(async {
        server.post("registered-models/create", json!({ "name": "fraud" })).await;
        let (run, folder) = server.run("hints").await;
        server.put(&format!("{folder}/model/weights.bin"), b"weights").await;
        for approver in ["ada", ""] {
            let version = server.register("fraud", &format!("mlflow-artifacts:/{folder}/model"), &run).await;
            if !approver.is_empty() {
                let tag = json!({ "name": "fraud", "version": version, "key": "approved_by", "value": approver });
                server.post("model-versions/set-tag", tag).await;
            }
        }
        server.post("registered-models/alias", json!({ "name": "fraud", "alias": "champion", "version": "1" })).await;
    });
    let agent = Agent::start(directory.path(), &config(&server.url, &receiver.url())).ready();
    runtime.block_on(async {
        let webhook = json!({
            "name": "lanner", "url": agent.url("/api/v1/hints/registry"), "secret": SECRET,
            "events": [
                { "entity": "MODEL_VERSION_ALIAS", "action": "CREATED" },
                { "entity": "MODEL_VERSION", "action": "CREATED" },
            ],
        });
        let made = server.post("webhooks", webhook).await;
        assert_eq!(made["webhook"]["status"], "ACTIVE", "{made}");
        // The benign twin: an alias that no gate guards.
        server.post("registered-models/alias", json!({ "name": "fraud", "alias": "challenger", "version": "2" })).await;
    });
    wait_for("the first hint", Duration::from_secs(30), || {
        (agent.metric("lanner_hints_received_total", "outcome=\"taken\"") >= 1.0).then_some(())
    });
    assert_eq!(rules(&receiver), Vec::<String>::new());
    runtime.block_on(async {
        server.post("registered-models/alias", json!({ "name": "fraud", "alias": "champion", "version": "2" })).await;
    });
    wait_for("the alert", Duration::from_mins(1), || {
        rules(&receiver).iter().any(|rule| rule == "REG-002").then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
}

/// Sends a hint as `MLflow` signs it; the status.
fn send(agent: &Agent, source: &str, delivery: &str, age_secs: i64, secret: &str, body: &str) -> u16 {
    let time = (jiff::Timestamp::now().as_second() - age_secs).to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(format!("{delivery}.{time}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    runtime().block_on(async {
        let request = client()
            .post(agent.url(&format!("/api/v1/hints/{source}")))
            .header("x-mlflow-delivery-id", delivery)
            .header("x-mlflow-timestamp", time)
            .header("x-mlflow-signature", signature)
            .body(body.to_owned());
        request.send().await.expect("the agent answers").status().as_u16()
    })
}

#[test]
fn what_was_taken_is_on_the_disk_and_what_is_not_proved_is_not_taken() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::write(directory.path().join("hook.secret"), SECRET).expect("there is space");
    let receiver = Receiver::start();
    // Nobody answers there: hints wait.
    let config = config(&format!("http://127.0.0.1:{}", free_port()), &receiver.url());
    let agent = Agent::start(directory.path(), &config);
    wait_for("the agent to answer", Duration::from_mins(1), || crate::support::get(&agent.url("/livez")));
    let hint = |name: &str| json!({ "entity": "model_version", "data": { "name": name } }).to_string();
    assert_eq!(send(&agent, "registry", "one", 0, SECRET, &hint("a")), 202);
    assert_eq!(send(&agent, "registry", "one", 0, SECRET, &hint("a")), 202, "a repeated delivery is taken once");
    assert_eq!(send(&agent, "registry", "two", 0, SECRET, &hint("b")), 202);
    assert_eq!(send(&agent, "registry", "three", 0, "guessed", &hint("c")), 401);
    assert_eq!(send(&agent, "registry", "four", 3600, SECRET, &hint("c")), 401, "old");
    assert_eq!(send(&agent, "registry", "five", -3600, SECRET, &hint("c")), 401, "from the future");
    assert_eq!(send(&agent, "registry", "six", 0, SECRET, "no JSON"), 400);
    assert_eq!(send(&agent, "registry", "seven", 0, SECRET, &"x".repeat(2 << 20)), 413);
    assert_eq!(send(&agent, "elsewhere", "eight", 0, SECRET, &hint("c")), 404);
    for (outcome, count) in [
        ("taken", 2.0),
        ("repeated", 1.0),
        ("unauthorized", 1.0),
        ("stale", 2.0),
        ("malformed", 1.0),
        ("too_large", 1.0),
    ] {
        let counted = agent.metric("lanner_hints_received_total", &format!("outcome=\"{outcome}\""));
        assert!((counted - count).abs() < 0.1, "{outcome}: {counted}");
    }
    let port = agent.port;
    agent.kill();
    let waiting = || {
        let state = State::open(&directory.path().join("state"), Mode::Visitor).expect("it can be opened").state;
        state.hints("registry").expect("it answers")
    };
    let names = waiting().into_iter().map(|(_, text)| {
        let body: Value = serde_json::from_str(&text).expect("it is JSON");
        body["data"]["name"].clone()
    });
    let names: Vec<Value> = names.collect();
    assert_eq!(names, ["a", "b"], "what was taken outlives the agent");

    // Once the registry answers, they are followed and let go.
    let server = runtime().block_on(Mlflow::start());
    let text = std::fs::read_to_string(directory.path().join("lanner.yaml")).expect("it was written");
    let from = text.find("http://127.0.0.1:").and_then(|_| text.split("tracking_uri: \"").nth(1)).unwrap_or_default();
    let old = from.split('"').next().unwrap_or_default();
    std::fs::write(directory.path().join("lanner.yaml"), text.replace(old, &server.url)).expect("there is space");
    let agent = Agent::start_again(directory.path(), port).ready();
    wait_for("hints to be followed", Duration::from_mins(1), || waiting().is_empty().then_some(()));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn nobody_from_outside_gives_hints_without_a_secret() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let check = |listen: &str, receivers: &str| {
        let text = format!(
            "http: {{listen: \"{listen}\"}}\nsources:\n  mlflow: [{{name: registry, tracking_uri: \"http://127.0.0.1:1\"}}]\n  filesystem: [{{name: files, paths: [/tmp]}}]\nreceivers: {receivers}\n"
        );
        std::fs::write(directory.path().join("c.yaml"), text).expect("there is space");
        let output = crate::support::program::lanner_in(directory.path(), &["config", "check", "c.yaml"]);
        (output.status.success(), crate::support::program::stderr(&output) + &crate::support::program::stdout(&output))
    };
    assert!(check("127.0.0.1:9464", "[{source: registry}]").0, "on loopback it is fine");
    let (fine, text) = check("0.0.0.0:9464", "[{source: registry}]");
    assert!(!fine && text.contains("secret_file"), "{text}");
    let (fine, text) = check("127.0.0.1:9464", "[{source: registry}, {source: registry}]");
    assert!(!fine && text.contains("two receivers"), "{text}");
    let (fine, text) = check("127.0.0.1:9464", "[{source: files}]");
    assert!(!fine && text.contains("takes no hints"), "{text}");
    let (fine, text) = check("127.0.0.1:9464", "[{source: nobody}]");
    assert!(!fine && text.contains("is no source"), "{text}");
}
