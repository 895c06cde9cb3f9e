//! What went away, or was left out, and is told again: held against what it was, and the bytes of good servers are not
//! kept waiting by those of bad ones.

use std::path::Path;
use std::time::Duration;

use lanner::event::Sha256;
use lanner::state::{Mode, State};
use serde_json::{Value, json};

use super::rules;
use super::told::{SECRET, artifact, model, platform, send, settled, version};
use crate::peers::web::Web;
use crate::support::program::Agent;
use crate::support::receiver::Receiver;
use crate::support::{client, free_port, runtime, wait_for};

fn gone(version: &str) -> Value {
    json!(["io.lanner.gone.v1", { "model": "fraud", "version": version, "path": "model.pkl" }])
}

fn private(private: Option<bool>) -> Value {
    let mut data = json!({ "model": "fraud" });
    if let Some(private) = private {
        data["private"] = private.into();
    }
    model(&data)
}

fn told(receiver: &Receiver, root: &Path, expected: &[&str]) {
    settled(root);
    for rule in expected {
        wait_for(rule, Duration::from_mins(1), || rules(receiver).iter().any(|told| told == rule).then_some(()));
    }
    assert_eq!(rules(receiver).len(), expected.len(), "{:?}", rules(receiver));
}

#[test]
fn a_version_that_was_gone_comes_back_as_it_was_or_is_told() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let receiver = Receiver::start();
    let agent = Agent::start(root, &platform(root, &receiver)).ready();
    send(&agent, &[version("1"), artifact("1", b"first"), version("2"), artifact("2", b"second")]);
    // Harmless: a version that was deleted and restored, one that retention removes, and a new number.
    send(&agent, &[gone("1"), artifact("1", b"first"), gone("2"), version("3"), artifact("3", b"third")]);
    // Its digest is left out once, and told again as it was.
    let mut left_out = artifact("1", b"first");
    left_out[1].as_object_mut().expect("it is one").remove("sha256");
    send(&agent, &[left_out.clone(), artifact("1", b"first")]);
    told(&receiver, root, &[]);
    // The attacks: the number of the removed version with other bytes, also where the agent began anew in between.
    let port = agent.port;
    assert_eq!(agent.stop(), Some(0));
    let agent = Agent::start_again(root, port).ready();
    send(&agent, &[artifact("2", b"poison")]);
    told(&receiver, root, &["REG-001"]);
    let alert = receiver.taken().last().expect("it came").json().to_string();
    assert!(alert.contains(&Sha256::of(b"second").to_string()), "what it was: {alert}");
    // And with its digest left out in between.
    send(&agent, &[left_out, artifact("1", b"fir5t")]);
    told(&receiver, root, &["REG-001", "REG-001"]);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_private_model_is_opened_also_where_that_was_left_out_in_between() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let receiver = Receiver::start();
    let agent = Agent::start(root, &platform(root, &receiver)).ready();
    send(&agent, &[private(Some(true)), private(None), private(Some(true)), private(None)]);
    let open = model(&json!({ "model": "public", "private": false }));
    send(&agent, &[open.clone(), model(&json!({ "model": "public" })), open]);
    told(&receiver, root, &[]);
    send(&agent, &[private(Some(false))]);
    told(&receiver, root, &["REG-013b"]);
    send(&agent, &[private(None), private(Some(false))]);
    told(&receiver, root, &["REG-013b"]);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn an_entry_that_leaves_an_index_and_comes_back_is_held_against_what_it_was() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let web = Web::start();
    let write = |entries: &[(&str, &[u8])]| {
        let all = entries.iter().map(|(version, bytes)| {
            let [kind, data] = [artifact(version, bytes)[0].clone(), artifact(version, bytes)[1].clone()];
            json!({ "type": kind, "data": data })
        });
        web.put("index.json", json!(all.collect::<Vec<_>>()).to_string().as_bytes());
    };
    let known = |version: &str| {
        let state = State::open(&root.join("state"), Mode::Visitor).expect("it can be opened").state;
        let key = format!("artifact/fraud/{version}/model.pkl");
        state.record("catalog", &key).expect("it answers").is_some()
    };
    let until = |what: &str, versions: &[&str]| {
        let all = ["1", "2", "3"];
        wait_for(what, Duration::from_mins(1), || {
            all.iter().all(|version| known(version) == versions.contains(version)).then_some(())
        });
    };
    write(&[("1", b"first"), ("2", b"second")]);
    let receiver = Receiver::start();
    let config = format!(
        "sources:\n  index: [{{name: catalog, url: \"{}\", sweep_interval_secs: 1}}]\nsinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        web.url("index.json"),
        receiver.url()
    );
    let agent = Agent::start(root, &config).ready();
    until("both", &["1", "2"]);
    write(&[]);
    until("none", &[]);
    write(&[("1", b"first"), ("3", b"third")]);
    until("one of them, and another", &["1", "3"]);
    assert_eq!(rules(&receiver), Vec::<String>::new());
    write(&[("1", b"first"), ("2", b"poison"), ("3", b"third")]);
    wait_for("REG-001", Duration::from_mins(1), || (rules(&receiver) == ["REG-001"]).then_some(()));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_good_server_does_not_wait_behind_many_addresses_of_one_that_fails() {
    /// Artifacts at the server that fails; each was asked for five times, one after the other in 64 places.
    const BAD: usize = 500;
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let web = Web::start();
    web.put("files/good.bin", b"good");
    let bad = Receiver::on(free_port(), |_| (503, Vec::new()));
    let receiver = Receiver::start();
    let fetch = format!("[{{name: platform, fetch: [\"{}\", \"http://127.0.0.1:{}/\"]}}]", web.url("files/"), bad.port);
    let agent = Agent::start(root, &platform(root, &receiver).replace("[{name: platform}]", &fetch)).ready();
    let event = |id: usize, url: String| {
        let data = json!({ "path": format!("{id}.bin"), "etag": id.to_string(), "url": url });
        json!({ "specversion": "1.0", "id": id.to_string(), "source": "/b", "type": "io.lanner.artifact.v1", "data": data })
    };
    let mut batch: Vec<Value> =
        (0..BAD).map(|id| event(id, format!("http://127.0.0.1:{}/{id}.bin", bad.port))).collect();
    batch.push(event(BAD, web.url("files/good.bin")));
    let url = agent.url("/api/v1/events/platform");
    runtime().block_on(async {
        let request =
            client().post(url).bearer_auth(SECRET).header("content-type", "application/cloudevents-batch+json");
        let answer = request.body(json!(batch).to_string()).send().await.expect("the agent answers");
        assert_eq!(answer.status(), 202);
    });
    wait_for("the good one", Duration::from_mins(2), || {
        let state = State::open(&root.join("state"), Mode::Visitor).expect("it can be opened").state;
        let places = state.places(&Sha256::of(b"good"), 1).expect("it answers");
        (!places.is_empty()).then_some(())
    });
    let asked = bad.deliveries().len();
    assert!((3..100).contains(&asked), "the server that fails was asked {asked} times");
    assert_eq!(agent.stop(), Some(0));
}
