//! The agent's own spans, logs and metrics over OTLP. Off unless an endpoint is configured.
//!
//! Alerts do not go this way: the SDK's batches drop what they cannot hold. The numbers are those of
//! the Prometheus registry, read at each interval, so that nothing is counted twice.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::Registry;
use prometheus::proto::{Metric, MetricFamily, MetricType};
use tokio_util::context::TokioContext;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;

use crate::base::http;
use crate::base::log::Extra;
use crate::config::raw;

/// One export.
const EXPORT_WITHIN: Duration = Duration::from_secs(10);

/// Exporters at work; shut them down before the program ends.
pub struct Telemetry {
    tracer: SdkTracerProvider,
    logger: SdkLoggerProvider,
    interval: Duration,
    endpoint: String,
    meter: Option<SdkMeterProvider>,
}

impl Telemetry {
    /// Exporters for spans and logs with the layers that feed them.
    ///
    /// # Errors
    /// When an exporter cannot be made, in words for a person.
    pub fn begin(settings: &raw::Telemetry) -> Result<Option<(Self, Vec<Extra>)>, String> {
        let Some(endpoint) = &settings.endpoint else { return Ok(None) };
        let base = endpoint.trim_end_matches('/');
        let told = |what: &str, error: &dyn std::fmt::Display| format!("telemetry cannot export {what}: {error}");
        let client = OnRuntime::new().map_err(|error| told("anything", &error))?;
        let spans = SpanExporter::builder()
            .with_http()
            .with_http_client(client.clone())
            .with_endpoint(format!("{base}/v1/traces"))
            .build()
            .map_err(|error| told("spans", &error))?;
        let logs = LogExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(format!("{base}/v1/logs"))
            .build()
            .map_err(|error| told("logs", &error))?;
        let tracer = SdkTracerProvider::builder().with_batch_exporter(spans).with_resource(resource()).build();
        let logger = SdkLoggerProvider::builder().with_batch_exporter(logs).with_resource(resource()).build();
        let scope = InstrumentationScope::builder("lanner").with_version(env!("CARGO_PKG_VERSION")).build();
        let traced = tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_tracer(tracer.tracer_with_scope(scope));
        let layers: Vec<Extra> = vec![
            // Exporters log about themselves: exporting that would never end.
            ours(traced.boxed()),
            ours(OpenTelemetryTracingBridge::new(&logger).boxed()),
        ];
        let interval = Duration::from_secs(settings.interval_secs.max(1));
        Ok(Some((Self { tracer, logger, interval, endpoint: base.to_owned(), meter: None }, layers)))
    }

    /// Exports the numbers of a registry at each interval.
    ///
    /// # Errors
    /// When the exporter cannot be made.
    pub fn export(&mut self, registry: &Registry) -> Result<(), String> {
        let client = OnRuntime::new()?;
        let exporter = MetricExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(format!("{}/v1/metrics", self.endpoint))
            .build()
            .map_err(|error| format!("telemetry cannot export metrics: {error}"))?;
        let reader = PeriodicReader::builder(exporter).with_interval(self.interval).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).with_resource(resource()).build();
        let meter = provider.meter("lanner");
        for family in registry.gather() {
            bridge(&meter, registry.clone(), &family);
        }
        self.meter = Some(provider);
        Ok(())
    }

    /// Sends what is left. Blocks for at most a few seconds.
    pub fn end(self) {
        let results =
            [self.tracer.shutdown(), self.logger.shutdown(), self.meter.map_or(Ok(()), |meter| meter.shutdown())];
        for error in results.into_iter().filter_map(Result::err) {
            tracing::debug!(%error, "telemetry could not send all that was left");
        }
    }
}

/// A client for the exporters, which run on threads of their own: there, without the runtime's
/// context, sending would panic.
#[derive(Debug, Clone)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: tokio::runtime::Handle,
}

impl OnRuntime {
    /// To be called on the runtime that is to do the work.
    fn new() -> Result<Self, String> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| error.to_string())?;
        let options = http::Options { timeout: Some(EXPORT_WITHIN), ..http::Options::default() };
        Ok(Self { client: http::client(&options)?, runtime })
    }
}

impl HttpClient for OnRuntime {
    fn send_bytes<'client, 'sent>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sent>>
    where
        'client: 'sent,
        Self: 'sent,
    {
        Box::pin(TokioContext::new(self.client.send_bytes(request), self.runtime.clone()))
    }
}

fn resource() -> Resource {
    Resource::builder()
        .with_service_name("lanner")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

fn ours(layer: Extra) -> Extra {
    let filter = tracing_subscriber::filter::Targets::new().with_target("lanner", LevelFilter::INFO);
    layer.with_filter(filter).boxed()
}

/// One instrument that reads a family of the registry whenever it is collected.
fn bridge(meter: &Meter, registry: Registry, family: &MetricFamily) {
    let name = family.name().to_owned();
    let wanted = name.clone();
    match family.get_field_type() {
        MetricType::COUNTER => {
            let read = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
                each(&registry, &wanted, |metric, labels| observer.observe(metric.get_counter().get_value(), labels));
            };
            meter.f64_observable_counter(name).with_callback(read).build();
        }
        MetricType::GAUGE => {
            let read = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
                each(&registry, &wanted, |metric, labels| observer.observe(metric.get_gauge().get_value(), labels));
            };
            meter.f64_observable_gauge(name).with_callback(read).build();
        }
        MetricType::HISTOGRAM => {
            let read = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
                each(&registry, &wanted, |metric, labels| {
                    observer.observe(metric.get_histogram().get_sample_sum(), labels);
                });
            };
            meter.f64_observable_counter(format!("{name}.sum")).with_callback(read).build();
        }
        MetricType::SUMMARY | MetricType::UNTYPED => {}
    }
}

fn each(registry: &Registry, name: &str, mut observe: impl FnMut(&Metric, &[KeyValue])) {
    for family in registry.gather().iter().filter(|family| family.name() == name) {
        for metric in family.get_metric() {
            let labels: Vec<KeyValue> = metric
                .get_label()
                .iter()
                .map(|label| KeyValue::new(label.name().to_owned(), label.value().to_owned()))
                .collect();
            observe(metric, &labels);
        }
    }
}
