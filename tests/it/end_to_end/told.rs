//! Registries that have no source of their own: one that tells by `CloudEvents`, and one that writes an index. Each is
//! attacked, beside everything that looks like it and is harmless.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lanner::event::Sha256;
use lanner::state::{Mode, State};
use serde_json::{Value, json};

use super::{calls_os_system, rules};
use crate::peers::web::{TOKEN, Web};
use crate::support::program::Agent;
use crate::support::receiver::Receiver;
use crate::support::{client, python, runtime, wait_for};

pub const SECRET: &str = "only-the-platform-knows";

/// Sends with the SDK of `CloudEvents`: every event in another mode, since all say the same.
const SENDER: &str = r#"
import json, sys, urllib.request
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from datetime import datetime, timezone
url, secret = sys.argv[1:3]
for index, line in enumerate(sys.stdin):
    kind, data = json.loads(line)
    attributes = {"type": kind, "source": "/platform", "id": f"{kind} {index} {datetime.now(timezone.utc).timestamp()}",
                  "time": datetime.now(timezone.utc), "specversion": "1.0", "datacontenttype": "application/json"}
    event = CloudEvent(attributes, data)
    message = (to_binary_event if index % 2 else to_structured_event)(event)
    request = urllib.request.Request(url, message.body, dict(message.headers) | {"Authorization": f"Bearer {secret}"})
    print(urllib.request.urlopen(request).status)
"#;

/// Sends events; all of them are taken.
pub fn send(agent: &Agent, events: &[Value]) {
    let lines = events.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::write(folder.path().join("events"), lines).expect("there is space");
    let output = Command::new(python())
        .args(["-c", SENDER, &agent.url("/api/v1/events/platform"), SECRET])
        .stdin(std::fs::File::open(folder.path().join("events")).expect("it was written"))
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.lines().filter(|line| *line == "202").count(), events.len(), "{output:?}");
}

pub fn model(data: &Value) -> Value {
    json!(["io.lanner.model.v1", data])
}

pub fn version(version: &str) -> Value {
    json!(["io.lanner.version.v1", { "model": "fraud", "version": version, "run": "r1", "existing": version == "1" }])
}

pub fn artifact(version: &str, bytes: &[u8]) -> Value {
    json!(["io.lanner.artifact.v1", {
        "model": "fraud", "version": version, "path": "model.pkl", "size": bytes.len(),
        "sha256": Sha256::of(bytes).to_string(),
    }])
}

pub fn platform(root: &Path, receiver: &Receiver) -> String {
    std::fs::write(root.join("platform.secret"), SECRET).expect("there is space");
    format!(
        "sources:\n  cloudevents: [{{name: platform}}]\n\
         receivers: [{{source: platform, scheme: bearer, secret_file: platform.secret}}]\n\
         sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        receiver.url()
    )
}

/// Waits until all that was told is settled.
pub fn settled(root: &Path) {
    wait_for("what was told to be settled", Duration::from_mins(1), || {
        let state = State::open(&root.join("state"), Mode::Visitor).expect("it can be opened").state;
        state.hints("platform").expect("it answers").is_empty().then_some(())
    });
}

#[test]
fn a_platform_that_tells_of_itself_is_watched_like_a_registry() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let receiver = Receiver::start();
    let agent = Agent::start(root, &platform(root, &receiver)).ready();
    let existing =
        |aliases: Value| model(&json!({ "model": "fraud", "aliases": aliases, "private": true, "existing": true }));
    send(&agent, &[existing(json!({ "champion": "1" })), version("1"), artifact("1", b"first")]);
    // Harmless: said once more, a new version with its bytes, the champion moved to it, what is old gone.
    send(
        &agent,
        &[
            existing(json!({ "champion": "1" })),
            artifact("1", b"first"),
            version("2"),
            artifact("2", b"second"),
            existing(json!({ "champion": "2" })),
            json!(["io.lanner.gone.v1", { "model": "fraud", "version": "1", "path": "model.pkl" }]),
            json!(["io.lanner.gone.v1", { "model": "fraud", "version": "1" }]),
        ],
    );
    settled(root);
    assert_eq!(rules(&receiver), Vec::<String>::new(), "nothing of this is worth an alert");
    // The attacks: bytes of a version are others, and what was private is not.
    send(
        &agent,
        &[
            artifact("2", b"poisoned"),
            model(&json!({ "model": "fraud", "aliases": { "champion": "2" }, "private": false })),
        ],
    );
    for expected in ["REG-001", "REG-013b"] {
        wait_for(expected, Duration::from_mins(1), || {
            rules(&receiver).iter().any(|rule| rule == expected).then_some(())
        });
    }
    settled(root);
    assert_eq!(rules(&receiver).len(), 2, "{:?}", rules(&receiver));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_was_told_outlives_a_crash_and_is_told_once() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let receiver = Receiver::start();
    let agent = Agent::start(root, &platform(root, &receiver)).ready();
    send(&agent, &[version("1"), artifact("1", b"first")]);
    settled(root);
    // Both ways and back: each is told, although the last is as the first.
    let mut batch: Vec<Value> = Vec::new();
    for (index, bytes) in ["poisoned", "first", "poisoned again"].into_iter().enumerate() {
        let data = artifact("1", bytes.as_bytes())[1].clone();
        batch.push(json!({ "specversion": "1.0", "id": index.to_string(), "source": "/b", "type": "io.lanner.artifact.v1", "data": data }));
    }
    for index in 0..500 {
        let data = json!({ "model": format!("many-{index}") });
        batch.push(json!({ "specversion": "1.0", "id": format!("m{index}"), "source": "/b", "type": "io.lanner.model.v1", "data": data }));
    }
    let post = |agent: &Agent| {
        let url = agent.url("/api/v1/events/platform");
        runtime().block_on(async {
            let request =
                client().post(url).bearer_auth(SECRET).header("content-type", "application/cloudevents-batch+json");
            let answer = request.body(json!(batch).to_string()).send().await.expect("the agent answers");
            (answer.status().as_u16(), answer.text().await.unwrap_or_default())
        })
    };
    let before = receiver.taken().len();
    let (status, text) = post(&agent);
    assert_eq!(status, 202, "{text}");
    let port = agent.port;
    agent.kill();
    let agent = Agent::start_again(root, port).ready();
    let (status, text) = post(&agent);
    assert_eq!((status, text.as_str()), (202, "taken before\n"), "its sender heard nothing of it");
    settled(root);
    wait_for("the alert", Duration::from_mins(1), || {
        rules(&receiver).iter().any(|rule| rule == "REG-001").then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
    let state = State::open(&root.join("state"), Mode::Visitor).expect("it can be opened").state;
    let keys = state.keys("platform").expect("it answers");
    assert_eq!(keys.len(), 502, "nothing is lost");
    let alerts: Vec<Value> =
        receiver.taken().iter().skip(before).map(crate::support::receiver::Delivery::json).collect();
    let ids: std::collections::BTreeSet<String> = alerts.iter().map(|alert| alert["id"].to_string()).collect();
    assert_eq!(ids.len(), alerts.len(), "no alert came twice");
}

#[test]
fn whoever_may_not_tell_is_not_heard_and_what_makes_no_sense_comes_back() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let receiver = Receiver::start();
    let agent = Agent::start(root, &platform(root, &receiver)).ready();
    let ask = |method: &str, name: &str, secret: &str, body: &str| {
        let url = agent.url(&format!("/api/v1/events/{name}"));
        runtime().block_on(async {
            let request = client().request(method.parse().expect("a method"), url).bearer_auth(secret);
            let request = request.header("WebHook-Request-Origin", "events.example").body(body.to_owned());
            let answer = request.send().await.expect("the agent answers");
            let allowed =
                answer.headers().get("webhook-allowed-origin").and_then(|value| value.to_str().ok()).map(str::to_owned);
            (answer.status().as_u16(), allowed, answer.text().await.unwrap_or_default())
        })
    };
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/s", "type": "io.lanner.model.v1", "data": { "model": "a" },
    })
    .to_string();
    assert_eq!(ask("POST", "platform", "guessed", &event).0, 401);
    assert_eq!(ask("POST", "nobody", SECRET, &event).0, 404);
    assert_eq!(ask("OPTIONS", "platform", "", "").1.as_deref(), Some("events.example"), "the handshake of webhooks");
    let (status, _, text) = ask(
        "POST",
        "platform",
        SECRET,
        &event.replace("model\": \"a", "modle\": \"a").replace("\"model\":\"a\"", "\"modle\":\"a\""),
    );
    assert_eq!(status, 400);
    assert!(text.contains("modle"), "{text}");
    assert_eq!(ask("POST", "platform", SECRET, &event).0, 202);
    settled(root);
    assert_eq!(agent.stop(), Some(0));
}

/// A pickle of `{"weight": number}`.
fn weights(number: u8) -> Vec<u8> {
    [b"\x80\x02}q\x00X\x06\x00\x00\x00weightq\x01K".as_slice(), &[number], b"s."].concat()
}

#[test]
fn an_index_is_watched_with_the_bytes_it_names() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let web = Web::with_token();
    let write = |versions: &[(&str, &[u8], &[u8])]| {
        let mut entries =
            vec![json!({ "type": "io.lanner.model.v1", "data": { "model": "fraud", "aliases": { "champion": "1" } } })];
        for (version, claimed, _) in versions {
            let data = json!({ "model": "fraud", "version": version, "run": "r1" });
            entries.push(json!({ "type": "io.lanner.version.v1", "data": data }));
            let data = json!({
                "model": "fraud", "version": version, "path": "model.pkl", "size": claimed.len(),
                "sha256": Sha256::of(claimed).to_string(), "url": format!("files/{version}/model.pkl"),
            });
            entries.push(json!({ "type": "io.lanner.artifact.v1", "data": data }));
        }
        for (version, _, bytes) in versions {
            web.put(&format!("files/{version}/model.pkl"), bytes);
        }
        web.put("index.json", json!(entries).to_string().as_bytes());
    };
    let (first, second) = (weights(1), weights(2));
    write(&[("1", &first, &first)]);
    std::fs::write(root.join("token"), TOKEN).expect("there is space");
    let receiver = Receiver::start();
    let config = format!(
        "sources:\n  index: [{{name: catalog, url: \"{}\", token_file: token, sweep_interval_secs: 1, verify: {{interval_secs: 2}}}}]\n\
         sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        web.url("index.json"),
        receiver.url()
    );
    let agent = Agent::start(root, &config).ready();
    // Harmless: a second version.
    write(&[("1", &first, &first), ("2", &second, &second)]);
    let state = || State::open(&root.join("state"), Mode::Visitor).expect("it can be opened").state;
    wait_for("the second version", Duration::from_mins(1), || {
        let known = state().places(&Sha256::of(&second), 4).expect("it answers");
        (!known.is_empty()).then_some(())
    });
    assert_eq!(rules(&receiver), Vec::<String>::new(), "a new version is no attack");
    // The attacks: bytes replaced behind the index, and then with it.
    web.put("files/1/model.pkl", &weights(9));
    for expected in ["REG-001", "SCN-040"] {
        wait_for(expected, Duration::from_mins(1), || {
            rules(&receiver).iter().any(|rule| rule == expected).then_some(())
        });
    }
    let program = calls_os_system("owned");
    write(&[("1", &first, &first), ("2", &program, &program)]);
    wait_for("the program in it", Duration::from_mins(1), || {
        rules(&receiver).iter().any(|rule| rule == "SCN-002").then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_node_that_loaded_other_bytes_than_the_registry_holds_is_found() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let web = Web::start();
    let registry = "https://registry.example";
    let entry = |version: &str, bytes: &[u8]| {
        let data = json!({
            "registry": registry, "model": "fraud", "version": version, "path": "model.pkl", "size": bytes.len(),
            "sha256": Sha256::of(bytes).to_string(),
        });
        json!({ "type": "io.lanner.artifact.v1", "data": data })
    };
    web.put(
        "index.json",
        json!([entry("1", b"reviewed"), entry("2", b"other"), entry("3", b"third")]).to_string().as_bytes(),
    );
    let receiver = Receiver::start();
    let index =
        format!("sources:\n  index: [{{name: catalog, url: \"{}\", sweep_interval_secs: 1}}]\n", web.url("index.json"));
    let config = platform(root, &receiver).replacen("sources:\n", &index, 1);
    let agent = Agent::start(root, &config).ready();
    // What a node tells that it loaded: as it should be, and of a registry that nobody watches.
    let loaded = |registry: &str, version: &str, bytes: &[u8]| {
        let mut event = artifact(version, bytes);
        event[1]["registry"] = json!(registry);
        event
    };
    send(&agent, &[loaded(registry, "1", b"reviewed"), loaded("https://elsewhere.example", "2", b"theirs")]);
    settled(root);
    assert_eq!(rules(&receiver), Vec::<String>::new());
    send(&agent, &[loaded(registry, "3", b"poisoned")]);
    let alert = wait_for("the alert", Duration::from_mins(1), || {
        receiver.taken().into_iter().find(|delivery| super::rule(delivery) == "REG-001b")
    });
    let text = alert.json().to_string();
    for (what, digest) in [("the node's", Sha256::of(b"poisoned")), ("the registry's", Sha256::of(b"third"))] {
        assert!(text.contains(&digest.to_string()), "{what}: {text}");
    }
    assert!(text.contains("catalog"), "who saw it: {text}");
    settled(root);
    assert_eq!(rules(&receiver), ["REG-001b"], "it is told once");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_late_event_takes_nothing_from_a_newer_one_whose_bytes_are_awaited() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let receiver = Receiver::start();
    // Nobody gives the bytes yet.
    let away = crate::support::free_port();
    let config = platform(root, &receiver)
        .replace("[{name: platform}]", &format!("[{{name: platform, fetch: [\"http://127.0.0.1:{away}/\"]}}]"));
    let agent = Agent::start(root, &config).ready();
    let post = |id: &str, time: &str, url: Option<String>| {
        let data = json!({ "model": "fraud", "version": "1", "path": "model.pkl", "size": 4, "url": url });
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/p", "type": "io.lanner.artifact.v1", "time": time, "data": data,
        });
        let url = agent.url("/api/v1/events/platform");
        runtime().block_on(async {
            let answer = client().post(url).bearer_auth(SECRET).body(event.to_string()).send().await;
            assert_eq!(answer.expect("the agent answers").status(), 202);
        });
    };
    post("newer", "2026-01-02T00:00:00Z", Some(format!("http://127.0.0.1:{away}/model.pkl")));
    let waiting = || {
        let state = State::open(&root.join("state"), Mode::Visitor).expect("it can be opened").state;
        state.hints("platform").expect("it answers").into_iter().map(|(_, text)| text).collect::<Vec<_>>()
    };
    wait_for("the bytes to be asked for in vain", Duration::from_mins(1), || {
        (agent.metric("lanner_events_dropped_total", "reason=\"unreadable\"") > 0.5).then_some(())
    });
    post("older", "2026-01-01T00:00:00Z", None);
    wait_for("the older to be left out", Duration::from_mins(1), || {
        (agent.metric("lanner_events_dropped_total", "reason=\"outdated\"") > 0.5).then_some(())
    });
    wait_for("it to be settled", Duration::from_mins(1), || (waiting().len() == 1).then_some(()));
    assert!(waiting()[0].contains("newer"), "what is not known yet stays on the disk");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn one_address_may_hold_one_version_after_another() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let web = Web::start();
    let write = |version: &str, bytes: &[u8]| {
        web.put("files/current.pkl", bytes);
        let data = json!({
            "model": "fraud", "version": version, "path": "model.pkl", "size": bytes.len(),
            "sha256": Sha256::of(bytes).to_string(), "url": "files/current.pkl",
        });
        let index = json!([{ "type": "io.lanner.artifact.v1", "data": data }]);
        web.put("index.json", index.to_string().as_bytes());
    };
    write("7", &weights(7));
    let receiver = Receiver::start();
    let config = format!(
        "sources:\n  index: [{{name: catalog, url: \"{}\", sweep_interval_secs: 1}}]\nsinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        web.url("index.json"),
        receiver.url()
    );
    let agent = Agent::start(root, &config).ready();
    let seen = |number: u8| {
        wait_for("the version to be read", Duration::from_mins(1), || {
            let state = State::open(&root.join("state"), Mode::Visitor).expect("it can be opened").state;
            let places = state.places(&Sha256::of(&weights(number)), 4).expect("it answers");
            (!places.is_empty()).then_some(())
        });
    };
    seen(7);
    write("8", &weights(8));
    seen(8);
    let sweeps = agent.metric("lanner_rescans_total", "catalog");
    wait_for("more listings", Duration::from_mins(1), || {
        (agent.metric("lanner_rescans_total", "catalog") >= sweeps + 3.0).then_some(())
    });
    assert_eq!(rules(&receiver), Vec::<String>::new(), "a new version changed nothing in place");
    assert_eq!(agent.stop(), Some(0));
}
