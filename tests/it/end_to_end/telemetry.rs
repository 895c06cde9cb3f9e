//! What the agent tells of itself over OTLP, read by the real protocol package.

use std::time::Duration;

use crate::support::program::Agent;
use crate::support::receiver::{Delivery, Receiver};
use crate::support::{run_python, wait_for};

const DECODE: &str = r#"
import sys
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
kind, *paths = sys.argv[1:]
for path in paths:
    data = open(path, "rb").read()
    if kind == "metrics":
        for r in ExportMetricsServiceRequest.FromString(data).resource_metrics:
            for s in r.scope_metrics:
                for m in s.metrics:
                    points = getattr(m, m.WhichOneof("data")).data_points
                    print(m.name, sum(p.as_double or p.as_int for p in points))
    elif kind == "traces":
        for r in ExportTraceServiceRequest.FromString(data).resource_spans:
            for s in r.scope_spans:
                for span in s.spans:
                    print(span.name, ",".join(sorted(a.key for a in span.attributes)))
    else:
        for r in ExportLogsServiceRequest.FromString(data).resource_logs:
            names = [a.value.string_value for a in r.resource.attributes if a.key == "service.name"]
            for s in r.scope_logs:
                for record in s.log_records:
                    print(names, record.severity_text, record.body.string_value)
"#;

fn read(kind: &str, deliveries: &[Delivery]) -> String {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let mut arguments = vec![kind.to_owned()];
    for (index, delivery) in deliveries.iter().filter(|delivery| delivery.path == format!("/v1/{kind}")).enumerate() {
        let path = directory.path().join(index.to_string());
        std::fs::write(&path, &delivery.bytes).expect("it is writable");
        arguments.push(path.to_string_lossy().into_owned());
    }
    run_python(DECODE, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn metrics_logs_and_spans_arrive() {
    let receiver = Receiver::start();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::create_dir(directory.path().join("models")).expect("it is writable");
    // What it would run prints a word; nobody loads it.
    std::fs::write(directory.path().join("models/model.pkl"), b"cposix\nsystem\n(S'echo inert'\ntR.")
        .expect("it is writable");
    let config = format!(
        "sources: {{filesystem: [{{name: models, paths: [models]}}]}}\nsinks: {{file: [{{name: out, path: alerts.jsonl}}]}}\n\
         telemetry: {{endpoint: 'http://127.0.0.1:{}', interval_secs: 1}}\n",
        receiver.port
    );
    let agent = Agent::start(directory.path(), &config).ready();
    wait_for("an alert to be delivered", Duration::from_secs(30), || {
        std::fs::read_to_string(directory.path().join("alerts.jsonl")).ok().filter(|text| !text.is_empty())
    });
    wait_for("metrics", Duration::from_secs(30), || {
        receiver.deliveries().iter().any(|delivery| delivery.path == "/v1/metrics").then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
    let deliveries = receiver.deliveries();
    let metrics = read("metrics", &deliveries);
    let loaded = metrics.lines().find_map(|line| line.strip_prefix("lanner_rules_loaded ")?.parse::<f64>().ok());
    assert!(loaded.is_some_and(|count| count > 20.0), "{metrics}");
    let traces = read("traces", &deliveries);
    for span in ["examine", "deliver", "commit"] {
        assert!(traces.lines().any(|line| line.starts_with(&format!("{span} "))), "no span `{span}`:\n{traces}");
    }
    let known = ["alerts", "busy_ns", "commits", "idle_ns", "sink", "source", "target"];
    let attributes = traces.lines().filter_map(|line| line.split_once(' ')).flat_map(|(_, keys)| keys.split(','));
    let other: Vec<&str> = attributes.filter(|key| !known.contains(key)).collect();
    assert!(other.is_empty(), "attributes have a bounded set of values: {other:?}");
    let logs = read("logs", &deliveries);
    assert!(logs.contains("['lanner']"), "{logs}");
}
