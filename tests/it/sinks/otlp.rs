//! OTLP as others read it: the real protocol package decodes what the sink sends.

use std::time::Duration;

use lanner::event::Severity;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use prost::Message as _;

use super::outbox::{Memory, deliver_until};
use super::{alert, alerts, numbers, sink};
use crate::support::receiver::Receiver;
use crate::support::{free_port, run_python, runtime};

const WITHIN: Duration = Duration::from_secs(20);

const DECODE: &str = r#"
import json, sys
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
request = ExportLogsServiceRequest.FromString(open(sys.argv[1], "rb").read())
def value(v):
    kind = v.WhichOneof("value")
    return [value(x) for x in v.array_value.values] if kind == "array_value" else getattr(v, kind)
out = []
for resource in request.resource_logs:
    for scope in resource.scope_logs:
        for r in scope.log_records:
            out.append({"severity": r.severity_number, "text": r.severity_text, "event": r.event_name, "nanos": r.time_unix_nano,
                "body": value(r.body), "attributes": {a.key: value(a.value) for a in r.attributes},
                "scope": scope.scope.name, "resource": {a.key: value(a.value) for a in resource.resource.attributes}})
print(json.dumps(out))
"#;

#[test]
fn the_protocol_package_reads_what_is_sent() {
    let receiver = Receiver::start();
    let severities = [(Severity::Low, 9), (Severity::Medium, 13), (Severity::High, 17), (Severity::Critical, 21)];
    let memory = Memory::with((1..).zip(severities).map(|(number, (severity, _))| alert(number, severity)).collect());
    let sink = sink("otlp", receiver.port, Duration::from_secs(5));
    runtime().block_on(deliver_until(sink, &memory, WITHIN, |kept| kept.cursor == 4));
    let deliveries = receiver.deliveries();
    assert_eq!(deliveries[0].path, "/v1/logs");
    assert_eq!(deliveries[0].header("content-type"), "application/x-protobuf");
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let body = directory.path().join("body");
    std::fs::write(&body, &deliveries[0].bytes).expect("it is writable");
    let records: serde_json::Value =
        serde_json::from_str(&run_python(DECODE, &[&body.to_string_lossy()])).expect("it printed JSON");
    for (index, (severity, number)) in severities.into_iter().enumerate() {
        let record = &records[index];
        assert_eq!((record["severity"].as_i64(), record["text"].as_str()), (Some(number), Some(severity.as_str())));
        assert_eq!(
            (record["event"].as_str(), record["scope"].as_str()),
            (Some("lanner.detection"), Some("lanner.detection"))
        );
        assert_eq!(record["nanos"], 1_767_323_045_000_000_000_u64);
        assert_eq!(record["resource"]["service.name"], "lanner");
        let attributes = &record["attributes"];
        assert_eq!(attributes["event.id"], format!("id-{}", index + 1));
        assert_eq!(attributes["lanner.rule.id"], "SCN-002");
        assert_eq!(attributes["threat.technique.id"], serde_json::json!(["AML.T0018.002", "AML.T0011"]));
        assert_eq!(attributes["host.name"], "node-1");
        assert!(attributes["lanner.evidence"].as_str().is_some_and(|evidence| evidence.contains("posix.system")));
    }
}

/// A receiver that takes all but alert 3, and says so in words of some length.
fn picky(rejects: bool, words: usize) -> (Receiver, std::sync::Arc<Memory>) {
    let port = free_port();
    let receiver = Receiver::answering(port, move |delivery| {
        let rejected = i64::from(rejects && numbers(&delivery.bytes).contains(&3));
        let partial = ExportLogsPartialSuccess { rejected_log_records: rejected, error_message: "x".repeat(words) };
        (200, Vec::new(), ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec())
    });
    let memory = Memory::with(alerts(5));
    let sink = sink("otlp", port, Duration::from_secs(5));
    runtime().block_on(deliver_until(sink, &memory, WITHIN, |kept| kept.cursor == 5));
    (receiver, memory)
}

#[test]
fn rejected_records_are_looked_for_one_by_one() {
    for words in [1, 8000] {
        let (receiver, memory) = picky(true, words);
        assert_eq!(memory.kept().buried.keys().copied().collect::<Vec<_>>(), [3], "{words} characters");
        assert_eq!(receiver.deliveries().len(), 6, "the batch, then each alert alone");
    }
}

#[test]
fn a_mere_warning_rejects_nothing() {
    let (receiver, memory) = picky(false, 20);
    assert!(memory.kept().buried.is_empty());
    assert_eq!(receiver.deliveries().len(), 1);
}
