//! What MLflow tells nobody of: a version deleted under the alias that deployments follow, versions deleted in numbers,
//! and webhooks that lead to where none belongs. Each beside what looks like it and is harmless.

use std::time::Duration;

use lanner::state::{Mode, State};
use reqwest::Method;
use serde_json::{Value, json};

use super::{rule, rules, subject};
use crate::peers::mlflow::Mlflow;
use crate::support::program::Agent;
use crate::support::receiver::Receiver;
use crate::support::{runtime, wait_for};

/// Several deletions fall between two listings.
const SWEEP_SECS: u64 = 2;

fn config(server: &Mlflow, receiver: &Receiver, more: &str) -> String {
    format!(
        "sources:\n  mlflow: [{{name: registry, tracking_uri: \"{}\", sweep_interval_secs: {SWEEP_SECS}, \
         hot_poll_interval_secs: 1{more}}}]\n\
         sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        server.url,
        receiver.url(),
    )
}

/// Waits until whatever is there now was listed often enough to be believed.
fn sweeps(agent: &Agent, count: f64) {
    let begun = agent.metric("lanner_rescans_total", "registry");
    wait_for("sweeps", Duration::from_mins(1), || {
        (agent.metric("lanner_rescans_total", "registry") >= begun + count).then_some(())
    });
}

#[test]
fn a_version_deleted_under_its_alias_is_told_and_housekeeping_is_not() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let (server, runtime) = (runtime().block_on(Mlflow::start()), runtime());
    let receiver = Receiver::start();
    let call = |method: Method, call: &str, body: Value| runtime.block_on(server.call(method, call, body));
    let post = |name: &str, body: Value| call(Method::POST, name, body);
    let delete = |name: &str, version: u32| {
        call(Method::DELETE, "model-versions/delete", json!({ "name": name, "version": version.to_string() }))
    };
    runtime.block_on(async {
        let (run, folder) = server.run("losses").await;
        server.put(&format!("{folder}/model/weights.bin"), b"weights").await;
        let source = format!("mlflow-artifacts:/{folder}/model");
        for (name, versions) in [("ranker", 4), ("scorer", 1), ("archive", 6)] {
            server.post("registered-models/create", json!({ "name": name })).await;
            for _ in 0..versions {
                server.register(name, &source, &run).await;
            }
        }
    });
    let alias = |name: &str, version: &str| {
        post("registered-models/alias", json!({ "name": name, "alias": "champion", "version": version }))
    };
    let stage = |version: &str, stage: &str| {
        let body = json!({ "name": "ranker", "version": version, "stage": stage, "archive_existing_versions": false });
        post("model-versions/transition-stage", body);
    };
    alias("ranker", "1");
    alias("scorer", "1");
    stage("2", "Archived");
    let agent = Agent::start(root.path(), &config(&server, &receiver, "")).ready();

    // Harmless: the champion moves on, and what it left is deleted; so is what was archived.
    alias("ranker", "3");
    delete("ranker", 1);
    delete("ranker", 2);
    wait_for("the deletions", Duration::from_mins(1), || {
        let state = State::open(&root.path().join("state"), Mode::Visitor).expect("it can be opened").state;
        let gone = |version: u32| {
            let key = format!("version/ranker/{version}");
            state.record("registry", &key).expect("it answers").is_none()
        };
        (gone(1) && gone(2)).then_some(())
    });
    sweeps(&agent, 3.0);
    assert_eq!(rules(&receiver), Vec::<String>::new(), "housekeeping raises nothing");

    // The attack: what deployments load is gone, with the alias that led there.
    delete("ranker", 3);
    let alert = wait_for("the champion's loss", Duration::from_mins(1), || {
        receiver.taken().into_iter().find(|delivery| rule(delivery) == "REG-013c")
    });
    assert_eq!(subject(&alert), "ranker/3", "{}", alert.json());
    // The same in two steps: the alias first.
    call(Method::DELETE, "registered-models/alias", json!({ "name": "scorer", "alias": "champion" }));
    sweeps(&agent, 2.0);
    delete("scorer", 1);
    wait_for("the other champion's loss", Duration::from_mins(1), || {
        receiver
            .taken()
            .iter()
            .any(|delivery| rule(delivery) == "REG-013c" && subject(delivery) == "scorer/1")
            .then_some(())
    });
    assert!(rules(&receiver).iter().all(|rule| rule == "REG-013c"), "{:?}", rules(&receiver));
    // And in numbers.
    for version in 1..=6 {
        delete("archive", version);
    }
    wait_for("the mass deletion", Duration::from_mins(1), || {
        rules(&receiver).iter().any(|rule| rule == "REG-013").then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_webhook_that_leads_inside_is_told_and_another_of_a_known_host_is_not() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let (server, runtime) = (runtime().block_on(Mlflow::start()), runtime());
    let receiver = Receiver::start();
    let register = |name: &str, url: &str| {
        let events = json!([{ "entity": "MODEL_VERSION", "action": "CREATED" }]);
        let body = json!({ "name": name, "url": url, "secret": "hunter2-of-the-webhook", "events": events });
        let made = runtime.block_on(server.post("webhooks", body));
        made["webhook"]["webhook_id"].as_str().expect("it has an id").to_owned()
    };
    register("chat", "https://hooks.example.com/services/T0/B0");
    let more = ", allowed_webhooks: [\"http://127.0.0.1:9464/api/v1/hints/\"]";
    let agent = Agent::start(root.path(), &config(&server, &receiver, more)).ready();

    // Harmless: another channel at a host that was there, and this agent itself, as the configuration says.
    let second = register("chat-2", "https://hooks.example.com/services/T0/B1");
    register("lanner", "http://127.0.0.1:9464/api/v1/hints/registry");
    let change = json!({ "events": [{ "entity": "PROMPT_VERSION", "action": "CREATED" }], "status": "DISABLED" });
    runtime.block_on(server.call(Method::PATCH, &format!("webhooks/{second}"), change));
    sweeps(&agent, 3.0);
    assert_eq!(rules(&receiver), Vec::<String>::new(), "nothing of this is worth an alert");

    register("ci", "http://169.254.169.254/latest/meta-data/iam/security-credentials/?token=hunter2-in-the-query");
    let alert = wait_for("the webhook that leads inside", Duration::from_mins(1), || {
        receiver.taken().into_iter().find(|delivery| rule(delivery) == "REG-014")
    });
    let told = alert.json().to_string();
    assert!(told.contains("169.254.169.254") && told.contains("ci"), "{told}");
    // A known one is pointed to a host that nobody knows.
    let change = json!({ "url": "https://collect.example.net/services/T0/B1" });
    runtime.block_on(server.call(Method::PATCH, &format!("webhooks/{second}"), change));
    let alert = wait_for("the unknown host", Duration::from_mins(1), || {
        receiver.taken().into_iter().find(|delivery| rule(delivery) == "REG-014b")
    });
    let told = alert.json().to_string();
    assert!(told.contains("collect.example.net") && told.contains("hooks.example.com"), "{told}");
    assert_eq!(rules(&receiver).len(), 2, "{:?}", rules(&receiver));
    for delivery in receiver.taken() {
        let told = delivery.json().to_string();
        assert!(!told.contains("hunter2") && !told.contains("/services/"), "no secret leaves: {told}");
    }
    // What is registered while nobody watches is told at the next start.
    let port = agent.port;
    assert_eq!(agent.stop(), Some(0));
    register("late", "http://10.11.12.13:6379/");
    let agent = Agent::start_again(root.path(), port).ready();
    wait_for("the late one", Duration::from_mins(1), || {
        receiver
            .taken()
            .iter()
            .any(|delivery| rule(delivery) == "REG-014" && subject(delivery).starts_with("late/"))
            .then_some(())
    });
    assert_eq!(rules(&receiver).len(), 3, "{:?}", rules(&receiver));
    assert_eq!(agent.stop(), Some(0));
}
