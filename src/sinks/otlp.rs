//! OpenTelemetry log records over OTLP/HTTP with protobuf.
//!
//! The request is built from the outbox and sent by us: the SDK's batch processor drops what its
//! queue cannot hold, and says nothing.

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BoxFuture, Look, Sink, SinkError, file::informational, http, webhook::fifteen};
use crate::event::{Alert, Severity};

/// Alerts as OTLP log records.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Unique among all sinks.
    pub name: String,
    /// Base URL of the receiver, for example `http://collector:4318`; `/v1/logs` is added.
    pub url: String,
    /// Further request headers, for example for a tenant; not for secrets.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    #[serde(default = "fifteen")]
    pub timeout_secs: u64,
    #[serde(default = "informational")]
    pub minimum_severity: Severity,
}

/// Posts alerts in batches as log records.
pub struct Otlp {
    name: String,
    url: Url,
    headers: HeaderMap,
    minimum_severity: Severity,
    client: Client,
}

impl Otlp {
    /// # Errors
    /// When a configured header is none.
    pub fn new(config: &Config, url: &Url, client: Client) -> Result<Self, String> {
        let mut url = url.clone();
        url.set_path(&format!("{}/v1/logs", url.path().trim_end_matches('/')));
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header name"))?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|_| format!("`{value}` is no header value"))?);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        Ok(Self { name: config.name.clone(), url, headers, minimum_severity: config.minimum_severity, client })
    }
}

impl Sink for Otlp {
    fn name(&self) -> &str {
        &self.name
    }

    fn minimum_severity(&self) -> Severity {
        self.minimum_severity
    }

    fn batch_max(&self) -> usize {
        128
    }

    fn deliver<'a>(&'a self, alerts: &'a [Alert]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let body = request(alerts).encode_to_vec();
            let answer = http::post(&self.client, &self.url, self.headers.clone(), body).await?;
            let partial =
                ExportLogsServiceResponse::decode(answer.as_slice()).ok().and_then(|answer| answer.partial_success);
            match partial {
                // Which of them, the protocol does not say: the deliverer tries them one by one.
                Some(partial) if partial.rejected_log_records > 0 => Err(SinkError::Refused(format!(
                    "{} of {} records: {}",
                    partial.rejected_log_records,
                    alerts.len(),
                    partial.error_message
                ))),
                Some(_) | None => Ok(()),
            }
        })
    }

    fn look(&self) -> BoxFuture<'_, Look> {
        Box::pin(http::connect(&self.url))
    }
}

fn request(alerts: &[Alert]) -> ExportLogsServiceRequest {
    let resource = Resource {
        attributes: vec![text("service.name", "lanner"), text("service.version", env!("CARGO_PKG_VERSION"))],
        ..Resource::default()
    };
    let scope = InstrumentationScope { name: "lanner.detection".to_owned(), ..InstrumentationScope::default() };
    let logs =
        ScopeLogs { scope: Some(scope), log_records: alerts.iter().map(record).collect(), ..ScopeLogs::default() };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource),
            scope_logs: vec![logs],
            ..ResourceLogs::default()
        }],
    }
}

fn record(alert: &Alert) -> LogRecord {
    let nanos = u64::try_from(alert.time.as_nanosecond()).unwrap_or(0);
    let mut attributes = vec![
        text("event.id", &alert.id),
        text("security_rule.name", &alert.rule.title),
        text("security_rule.uuid", &alert.rule.uuid),
        text("security_rule.ruleset.name", &alert.ruleset),
        text("lanner.rule.id", &alert.rule.id),
        text("lanner.fingerprint", &alert.fingerprint),
        text("lanner.subject.kind", alert.subject.kind.as_str()),
        text("lanner.subject.name", &alert.subject.name),
        text("lanner.lifecycle_phase", &alert.rule.phase),
        text("threat.framework", "MITRE ATLAS"),
        texts("threat.technique.id", &alert.rule.atlas),
        texts("lanner.mitigations", &alert.rule.mitigations),
        text("lanner.evidence", &serde_json::Value::Object(alert.evidence.clone()).to_string()),
    ];
    if let Some(digest) = &alert.digest {
        attributes.push(text("artifact.hash", &format!("sha256:{digest}")));
    }
    let mut places = crate::event::Fields::new();
    alert.place.describe(&mut places);
    attributes.extend(places.iter().filter_map(|(path, value)| value.as_text().map(|value| text(path, value))));
    LogRecord {
        time_unix_nano: nanos,
        observed_time_unix_nano: nanos,
        severity_number: severity_number(alert.severity),
        severity_text: alert.severity.as_str().to_owned(),
        event_name: "lanner.detection".to_owned(),
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue(format!("{}: {}", alert.rule.title, alert.subject.name))),
        }),
        attributes,
        ..LogRecord::default()
    }
}

/// OTLP severity numbers: INFO 9, WARN 13, ERROR 17, FATAL 21.
const fn severity_number(severity: Severity) -> i32 {
    match severity {
        Severity::Informational | Severity::Low => 9,
        Severity::Medium => 13,
        Severity::High => 17,
        Severity::Critical => 21,
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn texts(key: &str, values: &[String]) -> KeyValue {
    let values =
        values.iter().map(|value| AnyValue { value: Some(any_value::Value::StringValue(value.clone())) }).collect();
    let value = AnyValue { value: Some(any_value::Value::ArrayValue(ArrayValue { values })) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}
