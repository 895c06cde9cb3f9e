//! Every sink through the deliverer, against receivers on loopback.

mod delivery;
mod otlp;
mod outbox;
mod render;
mod webhook;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lanner::base::http;
use lanner::base::secret::Secret;
use lanner::event::alert::AlertRule;
use lanner::event::subject::SubjectKind;
use lanner::event::{Alert, ArtifactRef, Place, Severity, Sha256, Subject};
use lanner::sinks::{Sink, alertmanager, otlp as otlp_sink, webhook as webhook_sink};
use reqwest::{Client, Url};

/// An alert about one subject; its id is made from its number.
pub fn alert(number: u64, severity: Severity) -> Alert {
    Alert {
        schema_version: "1.0".to_owned(),
        id: format!("id-{number}"),
        fingerprint: format!("print-{number}"),
        time: "2026-01-02T03:04:05Z".parse().expect("it is a time"),
        severity,
        rule: AlertRule {
            id: "SCN-002".to_owned(),
            uuid: "7f0b4c1e-0000-4000-8000-000000000001".to_owned(),
            title: "Pickle calls a process".to_owned(),
            description: "What it means.".to_owned(),
            atlas: vec!["AML.T0018.002".to_owned(), "AML.T0011".to_owned()],
            atlas_version: "2026.09".to_owned(),
            phase: "training".to_owned(),
            mitigations: vec!["AML.M0014".to_owned()],
        },
        subject: Subject::new(SubjectKind::Artifact, format!("model-{number}.pkl")),
        source: "models".to_owned(),
        product: "filesystem".to_owned(),
        artifact: Some(ArtifactRef {
            store: "models".to_owned(),
            path: format!("/srv/model-{number}.pkl"),
            version: None,
            lineage: "models".to_owned(),
        }),
        digest: Some(Sha256::of(b"bytes")),
        place: Place { host: Some("node-1".to_owned()), ..Place::default() },
        evidence: serde_json::Map::from_iter([(
            "artifact.pickle.globals".to_owned(),
            serde_json::json!(["posix.system"]),
        )]),
        event_id: format!("event-{number}"),
        ruleset: "rules".to_owned(),
    }
}

/// High alerts 1 to `count`.
pub fn alerts(count: u64) -> Vec<Alert> {
    (1..=count).map(|number| alert(number, Severity::High)).collect()
}

/// A client that gives up after a while.
pub fn client(timeout: Duration) -> Client {
    http::client(&http::Options { timeout: Some(timeout), ..http::Options::default() }).expect("a client can be made")
}

/// Sinks that speak HTTP, by the name of their kind.
pub const HTTP_KINDS: [&str; 3] = ["webhook", "alertmanager", "otlp"];

/// A sink of a kind that sends to a port on loopback.
pub fn sink(kind: &str, port: u16, timeout: Duration) -> Arc<dyn Sink> {
    let base: Url = format!("http://127.0.0.1:{port}").parse().expect("it is a URL");
    let settings = serde_json::json!({"name": kind, "url": base.as_str(), "minimum_severity": "low"});
    match kind {
        "webhook" => {
            let secret = Some(Secret::new("a shared secret"));
            Arc::new(webhook_sink::Webhook::new(kind.to_owned(), base, secret, Severity::Low, client(timeout)))
        }
        "alertmanager" => {
            let config: alertmanager::Config = serde_json::from_value(settings).expect("these are its settings");
            Arc::new(alertmanager::Alertmanager::new(&config, &base, None, client(timeout)))
        }
        "otlp" => {
            let config: otlp_sink::Config = serde_json::from_value(settings).expect("these are its settings");
            Arc::new(otlp_sink::Otlp::new(&config, &base, client(timeout)).expect("it has no headers"))
        }
        other => panic!("no kind `{other}`"),
    }
}

/// The numbers of the alerts that a body speaks of, in order, whatever its format.
pub fn numbers(body: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(body);
    let mut numbers: Vec<u64> = Vec::new();
    for part in text.split("/srv/model-").skip(1).chain(text.split(": model-").skip(1)) {
        let number = part.split(".pkl").next().and_then(|number| number.parse().ok());
        numbers.extend(number.filter(|number| !numbers.contains(number)));
    }
    numbers
}

/// Compares with a file of expectations; `UPDATE=1` writes it.
#[track_caller]
pub fn expect_file(path: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, found).expect("the folder of cases is writable");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{}", path.display());
}

pub fn epoch() -> Timestamp {
    Timestamp::UNIX_EPOCH
}
