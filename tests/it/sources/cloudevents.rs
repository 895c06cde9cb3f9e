//! What is said as `CloudEvents`: what is taken, what is sent back, and in which order it counts.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use lanner::event::{Fields, Value};
use lanner::sources::cloudevents::Config;
use lanner::sources::{RecordKind, Sent, Settings as _, Source, Unfit};
use serde_json::json;

use super::harness::{Running, start_with};
use crate::support::runtime;

fn source(config: Config) -> std::sync::Arc<dyn Source> {
    config.build().unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn receive(kind: &str, body: &str) -> Result<Vec<Sent>, Unfit> {
    source(Config::default()).receive(&headers(&[("content-type", kind)]), body.as_bytes())
}

fn event(kind: &str, data: &serde_json::Value) -> serde_json::Value {
    json!({ "specversion": "1.0", "id": "1", "source": "/tests", "type": kind, "data": data })
}

fn problem(event: &serde_json::Value) -> String {
    match receive("application/cloudevents+json", &event.to_string()) {
        Err(Unfit::Malformed(problem)) => problem,
        other => panic!("{event}: {other:?}"),
    }
}

#[test]
fn all_three_modes_say_the_same() {
    let model = json!({ "model": "fraud", "aliases": { "champion": "1" } });
    let event = event("io.lanner.model.v1", &model);
    let structured = receive("application/cloudevents+json; charset=utf-8", &event.to_string()).unwrap();
    let batch = receive("application/cloudevents-batch+json", &json!([event]).to_string()).unwrap();
    let by_hand = receive("application/json", &format!("  {event}")).unwrap();
    let binary = source(Config::default())
        .receive(
            &headers(&[
                ("content-type", "application/json"),
                ("ce-specversion", "1.0"),
                ("ce-id", "1"),
                ("ce-source", "%2Ftests"),
                ("ce-type", "io.lanner.model.v1"),
            ]),
            model.to_string().as_bytes(),
        )
        .unwrap();
    for one in [&structured, &batch, &by_hand, &binary] {
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].delivery.as_deref(), Some(r#"["/tests","1"]"#));
        assert_eq!(one[0].body["data"], model);
    }
    let encoded = json!({
        "specversion": "1.0", "id": "2", "source": "/tests", "type": "io.lanner.gone.v1", "data_base64": "eyJtb2RlbCI6ImEifQ==",
    });
    assert_eq!(receive("", &encoded.to_string()).unwrap()[0].body["data"], json!({ "model": "a" }));
    assert_eq!(receive("application/cloudevents-batch+json", "[]").unwrap(), []);
}

#[test]
fn what_makes_no_sense_is_sent_back_with_its_place() {
    let mut without = event("io.lanner.model.v1", &json!({ "model": "a" }));
    without.as_object_mut().unwrap().remove("source");
    for (event, words) in [
        (without, vec!["source", "missing"]),
        (event("io.lanner.modle.v1", &json!({})), vec!["io.lanner.modle.v1", "did you mean `io.lanner.model.v1`"]),
        (event("io.lanner.model.v1", &json!({ "model": "a", "alias": {} })), vec!["alias", "aliases"]),
        (event("io.lanner.model.v1", &json!({ "model": "a", "tags": { "x": 1 } })), vec!["data.tags.x", "string"]),
        (event("io.lanner.model.v1", &json!({ "model": " " })), vec!["data.model", "empty"]),
        (event("io.lanner.model.v1", &json!({ "model": "a", "aliases": { "b": "1=2" } })), vec!["aliases", "="]),
        (event("io.lanner.artifact.v1", &json!({ "path": "a" })), vec!["sha256"]),
        (event("io.lanner.artifact.v1", &json!({ "path": "a", "sha256": "abc" })), vec!["data.sha256", "64"]),
        (event("io.lanner.artifact.v1", &json!({ "path": "a", "version": "1", "size": 1 })), vec!["data.model"]),
        (event("io.lanner.version.v1", &json!({ "model": "m".repeat(2000), "version": "1" })), vec!["1024 bytes"]),
        (event("io.lanner.gone.v1", &json!({})), vec!["names nothing"]),
        (json!({ "specversion": "0.3" }), vec!["0.3", "1.0"]),
        (
            json!({ "specversion": "1.0", "id": "1", "source": "s", "type": "t", "time": "yesterday", "data": {} }),
            vec!["time", "3339"],
        ),
        (
            json!({ "specversion": "1.0", "id": "1", "source": "s", "type": "io.lanner.gone.v1", "time": "2999-01-01T00:00:00Z", "data": { "model": "a" } }),
            vec!["not come", "clock"],
        ),
    ] {
        let problem = problem(&event);
        for word in words {
            assert!(problem.contains(word), "`{word}` in: {problem}");
        }
    }
    let batch = json!([event("io.lanner.gone.v1", &json!({ "model": "a" })), event("io.lanner.gone.v1", &json!({}))]);
    assert!(problem(&batch).starts_with("event 1: "), "{}", problem(&batch));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(receive("", &deep), Err(Unfit::Malformed(_))));
    let many = json!(vec![event("io.lanner.gone.v1", &json!({ "model": "a" })); 1001]);
    assert!(problem(&many).contains("at most 1000"));
}

/// A source that hears what is given here, each at its time.
async fn told(events: Vec<(&str, serde_json::Value)>, checkpoints: BTreeMap<String, serde_json::Value>) -> Running {
    let mut running = start_with(source(Config::default()), checkpoints, 64);
    running.listed().await;
    let count = events.len();
    for (index, (time, mut event)) in events.into_iter().enumerate() {
        event["time"] = json!(time);
        let sent = running.source.receive(&HeaderMap::new(), event.to_string().as_bytes()).unwrap();
        running.hints.push(i64::try_from(index).unwrap(), sent[0].body.clone());
    }
    running.until("all of them", |running| running.log.len() == count).await;
    assert_eq!(running.hints.waiting(), [0_i64; 0], "what was told is settled");
    running
}

fn alias(version: &str) -> serde_json::Value {
    event("io.lanner.model.v1", &json!({ "model": "fraud", "aliases": { "champion": version } }))
}

#[test]
fn what_comes_late_does_not_undo_what_is_newer_also_after_a_restart() {
    runtime().block_on(async {
        let gone = event("io.lanner.gone.v1", &json!({ "model": "old" }));
        let back = event("io.lanner.model.v1", &json!({ "model": "old" }));
        let running = told(
            vec![
                ("2026-01-01T00:00:00Z", alias("1")),
                ("2026-01-01T00:00:02Z", alias("3")),
                ("2026-01-01T00:00:01Z", alias("2")),
                ("2026-01-01T00:00:05Z", gone),
                ("2026-01-01T00:00:04Z", back),
            ],
            BTreeMap::new(),
        )
        .await;
        assert_eq!(running.log, ["+model/fraud", "+model/fraud", "=model/fraud", "-model/old", "=model/old"]);
        let checkpoints = running.checkpoints.clone();
        assert_eq!(checkpoints.len(), 2);
        drop(running.stop().await);
        let running =
            told(vec![("2026-01-01T00:00:01Z", alias("2")), ("2026-01-01T00:00:03Z", alias("4"))], checkpoints).await;
        assert_eq!(running.log, ["=model/fraud", "+model/fraud"]);
        drop(running.stop().await);
    });
}

#[test]
fn no_more_is_taken_than_is_kept() {
    runtime().block_on(async {
        let mut running = start_with(source(Config { records_max: 1, ..Config::default() }), BTreeMap::new(), 64);
        running.listed().await;
        let first = running.source.receive(&HeaderMap::new(), alias("1").to_string().as_bytes()).unwrap();
        running.hints.push(1, first[0].body.clone());
        running.until("it", |running| running.log.len() == 1).await;
        assert!(running.source.receive(&HeaderMap::new(), alias("2").to_string().as_bytes()).is_ok(), "it is known");
        let other = event("io.lanner.model.v1", &json!({ "model": "other" })).to_string();
        let refused = running.source.receive(&HeaderMap::new(), other.as_bytes());
        assert!(matches!(&refused, Err(Unfit::Full(why)) if why.contains("records_max")), "{refused:?}");
        drop(running.stop().await);
    });
}

#[test]
fn changes_are_told_as_of_every_registry() {
    let source = source(Config::default());
    let fields = |pairs: &[(&str, Value)]| -> Fields {
        pairs.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect()
    };
    let actions = |kind, old: &[(&str, Value)], new: &[(&str, Value)]| -> Vec<&'static str> {
        source.changes(kind, Some(&fields(old)), Some(&fields(new))).iter().map(|change| change.action).collect()
    };
    let alias = |version: &str| [("ml.model.alias_versions", Value::from(vec![format!("champion={version}")]))];
    assert_eq!(actions(RecordKind::Model, &alias("1"), &alias("2")), ["alias.moved"]);
    let private = |private: bool| [("ml.model.private", Value::from(private))];
    assert_eq!(actions(RecordKind::Model, &private(true), &private(false)), ["model.opened"]);
    assert_eq!(actions(RecordKind::Model, &private(false), &private(true)), [""; 0]);
    let digest = |digest: &str| [("artifact.claimed_hash", Value::from(digest))];
    assert_eq!(actions(RecordKind::VersionArtifact, &digest("a"), &digest("b")), ["artifact.tampered"]);
    assert_eq!(actions(RecordKind::Artifact, &digest("a"), &digest("b")), [""; 0], "a path may change");
    let said = |digest: Option<&str>, tag: Option<&str>, size: u64| -> Vec<(&'static str, Value)> {
        let digest = digest.map(|digest| ("artifact.claimed_hash", Value::from(digest)));
        let tag = tag.map(|tag| ("ml.artifact.etag", Value::from(tag)));
        digest.into_iter().chain(tag).chain([("file.size", Value::from(size))]).collect()
    };
    for (old, new, expected) in [
        (said(None, None, 4), said(None, None, 5), 1),
        (said(Some("a"), Some("1"), 4), said(Some("a"), Some("2"), 4), 0),
        (said(None, Some("1"), 4), said(Some("a"), Some("1"), 4), 0),
        (said(Some("a"), None, 4), said(Some("a"), Some("1"), 4), 0),
        (said(None, Some("1"), 4), said(None, Some("2"), 4), 1),
    ] {
        assert_eq!(actions(RecordKind::VersionArtifact, &old, &new).len(), expected, "{old:?} {new:?}");
    }
}

#[test]
fn prefixes_that_are_none_are_named() {
    for prefix in ["models", "ftp://models.example/", "https://models.example/?x=1", "/srv/models", "file:///srv"] {
        let config = Config { fetch: vec![prefix.to_owned()], ..Config::default() };
        let problems = config.build().err().unwrap_or_default().join("\n");
        assert!(problems.contains(prefix), "{prefix}: {problems}");
    }
}
