//! Every metric of the program, declared once.
//!
//! Labels take a bounded set of values: configured names, rule ids, closed enums; never a path, a
//! digest or an error's text. Handles are made once and kept, not looked up for each event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{
    CounterVec, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::http::Meter;

/// All families; one value for each process or test.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    pub events_received: IntCounterVec,
    pub events_processed: IntCounterVec,
    pub events_dropped: IntCounterVec,
    pub hints_received: IntCounterVec,
    pub source_requests: IntCounterVec,
    pub source_response_bytes: IntCounterVec,
    pub source_paced_seconds: CounterVec,
    pub detections: IntCounterVec,
    pub detections_suppressed: IntCounterVec,
    pub rule_evaluations: IntCounter,
    pub rule_matches: IntCounterVec,
    pub rule_last_match: GaugeVec,
    pub correlation_groups: IntGauge,
    pub correlation_entries: IntGauge,
    pub correlation_bytes: IntGauge,
    pub correlation_late_events: IntCounter,
    pub correlation_evictions: IntCounterVec,
    pub correlation_uncounted: IntCounterVec,
    pub source_up: IntGaugeVec,
    pub source_blind_seconds: IntCounterVec,
    pub source_last_success: GaugeVec,
    pub source_lag_bytes: IntGaugeVec,
    pub source_watched: IntGaugeVec,
    pub full_verify_age: GaugeVec,
    pub source_errors: IntCounterVec,
    pub watch_overflows: IntCounterVec,
    pub rescans: IntCounterVec,
    pub listings_left_out: IntCounterVec,
    pub reconcile_found: IntCounterVec,
    pub log_lines: IntCounterVec,
    pub log_bytes_possibly_lost: IntCounterVec,
    pub log_truncations: IntCounterVec,
    pub artifacts_inspected: IntCounterVec,
    pub artifacts_skipped: IntCounterVec,
    pub artifacts_in_parts: IntCounterVec,
    pub parts_requests: IntCounterVec,
    pub parts_bytes: IntCounterVec,
    pub artifacts_known: IntCounter,
    pub hashed_bytes: IntCounter,
    pub inventory_artifacts: IntGauge,
    pub outbox_alerts: IntGauge,
    pub outbox_oldest_age_seconds: Gauge,
    pub state_commit_seconds: Histogram,
    pub state_commit_failures: IntCounter,
    pub sink_up: IntGaugeVec,
    pub sink_sent: IntCounterVec,
    pub sink_failed: IntCounterVec,
    pub sink_retries: IntCounterVec,
    pub sink_dead_letters: IntCounterVec,
    pub sink_skipped: IntCounterVec,
    pub sink_queue_length: IntGaugeVec,
    pub detection_delivery_seconds: HistogramVec,
    pub config_reload_success: IntGauge,
    pub config_reloads: IntCounterVec,
    pub config_last_reload_success_timestamp: Gauge,
    pub ruleset_info: IntGaugeVec,
    pub rules_loaded: IntGauge,
}

/// Reasons for which an event may be dropped: a closed set.
pub const DROP_REASONS: [&str; 5] = ["oversize", "decode", "gone", "unreadable", "commit_failed"];

impl Metrics {
    /// Declares all families in a registry of their own.
    ///
    /// # Panics
    /// When two families have one name, which the first test would show.
    pub fn new(version: &str) -> Self {
        let registry = Registry::new();
        let make = Maker { registry: &registry };
        let build = make.gauges("lanner_build_info", "Always 1; the label tells the version.", &["version"]);
        build.with_label_values(&[version]).set(1);
        Self {
            events_received: make.counters("lanner_events_received_total", "Observations received from a source.", &["source"]),
            events_processed: make.counters("lanner_events_processed_total", "Events matched against the rules.", &["category"]),
            events_dropped: make.counters("lanner_events_dropped_total", "Observations that led to no event, by stage and reason.", &["stage", "reason"]),
            detections: make.counters("lanner_detections_total", "Matches of a rule that became an alert.", &["rule", "severity"]),
            detections_suppressed: make.counters("lanner_detections_suppressed_total", "Matches of a rule that became no new alert: repeat or mute.", &["rule", "by"]),
            rule_evaluations: make.counter("lanner_rule_evaluations_total", "Events handed to the rule set."),
            rule_matches: make.counters("lanner_rule_matches_total", "Events that a rule matched, whatever became of them: also those of rules that are silent, muted or repeated.", &["rule"]),
            rule_last_match: make.float_gauges("lanner_rule_last_match_timestamp_seconds", "Time of the newest event that a rule matched; 0 when there was none since the start.", &["rule"]),
            correlation_groups: make.gauge("lanner_correlation_groups", "Groups that correlations hold."),
            correlation_entries: make.gauge("lanner_correlation_entries", "Events that they hold."),
            correlation_bytes: make.gauge("lanner_correlation_bytes", "Bytes that these account for."),
            correlation_late_events: make.counter("lanner_correlation_late_events_total", "Matches older than the newest event of their source or group by more than the allowed lateness, not correlated."),
            correlation_evictions: make.counters("lanner_correlation_evictions_total", "Groups, or entries of one group, let go before their time to keep within bounds.", &["reason"]),
            correlation_uncounted: make.counters("lanner_correlation_uncounted_total", "Matches that a correlation did not count: no group, no value, too many of either, or a repeat.", &["reason"]),
            source_up: make.gauges("lanner_source_up", "1 while the source sees all that it should.", &["source"]),
            source_blind_seconds: make.counters("lanner_source_blind_seconds_total", "Seconds during which a source could not see all that it should.", &["source", "reason"]),
            source_last_success: make.float_gauges("lanner_source_last_success_timestamp_seconds", "When the source last completed a look.", &["source"]),
            source_lag_bytes: make.gauges("lanner_source_lag_bytes", "Bytes of logs not read yet.", &["source"]),
            source_watched: make.gauges("lanner_source_watched", "Records or files watched.", &["source"]),
            full_verify_age: make.float_gauges("lanner_last_full_verify_age_seconds", "Age of the oldest full reading among the artifacts of a root: a change that leaves no trace can have lain unseen for so long.", &["source", "root"]),
            source_requests: make.counters("lanner_source_requests_total", "Answers of the server that a source asks.", &["source"]),
            source_paced_seconds: make.float_counters("lanner_source_paced_seconds_total", "Seconds for which a source held calls back, so that its server does not refuse them.", &["source"]),
            source_response_bytes: make.counters("lanner_source_response_bytes_total", "Bytes of these answers, artifacts not counted.", &["source"]),
            hints_received: make.counters("lanner_hints_received_total", "Hints that others gave of a source, by what became of them.", &["source", "outcome"]),
            source_errors: make.counters("lanner_source_errors_total", "Failed looks, by what their cause asks for: transient or denied.", &["source", "kind"]),
            watch_overflows: make.counters("lanner_watch_overflows_total", "Losses of notifications that the kernel reported.", &["source"]),
            rescans: make.counters("lanner_rescans_total", "Full reconciliations, by reason.", &["source", "reason"]),
            listings_left_out: make.counters("lanner_listings_left_out_total", "Listings that were due and not made, while hints proved to arrive.", &["source"]),
            reconcile_found: make.counters("lanner_reconcile_found_total", "Changes that no notification told of, found by reconciliation.", &["source"]),
            log_lines: make.counters("lanner_log_lines_total", "Lines read from logs.", &["source"]),
            log_bytes_possibly_lost: make.counters("lanner_log_possible_loss_total", "Times at which lines may have been lost: truncations with unread bytes, files gone before they were read.", &["source", "reason"]),
            log_truncations: make.counters("lanner_log_lines_shortened_total", "Lines longer than the bound, cut.", &["source"]),
            artifacts_inspected: make.counters("lanner_artifacts_inspected_total", "Artifacts looked into, by format.", &["format"]),
            artifacts_skipped: make.counters("lanner_artifacts_skipped_total", "Artifacts not looked into, by reason.", &["reason"]),
            artifacts_in_parts: make.counters("lanner_artifacts_in_parts_total", "Artifacts too large to be fetched whole that were looked into in parts, without a digest.", &["source"]),
            parts_requests: make.counters("lanner_parts_requests_total", "Requests for parts of artifacts.", &["source"]),
            parts_bytes: make.counters("lanner_parts_bytes_total", "Bytes of parts of artifacts that were fetched.", &["source"]),
            artifacts_known: make.counter("lanner_artifacts_known_total", "Artifacts whose digest was seen before, so that they were not inspected again."),
            hashed_bytes: make.counter("lanner_hashed_bytes_total", "Bytes hashed."),
            inventory_artifacts: make.gauge("lanner_inventory_artifacts", "Artifacts in the inventory."),
            outbox_alerts: make.gauge("lanner_outbox_alerts", "Alerts that at least one sink has not taken yet."),
            outbox_oldest_age_seconds: make.float_gauge("lanner_outbox_oldest_age_seconds", "Age of the oldest of them."),
            state_commit_seconds: make.histogram("lanner_state_commit_seconds", "Time of one commit to the embedded database.", &[0.0005, 0.002, 0.01, 0.05, 0.2, 1.0, 5.0]),
            state_commit_failures: make.counter("lanner_state_commit_failures_total", "Commits that failed and were tried again."),
            sink_up: make.gauges("lanner_sink_up", "1 while the last delivery to the sink worked.", &["sink"]),
            sink_sent: make.counters("lanner_sink_sent_total", "Alerts that a sink took.", &["sink"]),
            sink_failed: make.counters("lanner_sink_failed_total", "Deliveries that failed, by reason.", &["sink", "reason"]),
            sink_retries: make.counters("lanner_sink_retries_total", "Deliveries tried again.", &["sink"]),
            sink_dead_letters: make.counters("lanner_sink_dead_letters_total", "Alerts that a sink refused for good.", &["sink"]),
            sink_skipped: make.counters("lanner_sink_skipped_total", "Alerts that a sink is not told of, by reason: below its minimum severity.", &["sink", "reason"]),
            sink_queue_length: make.gauges("lanner_sink_queue_length", "Alerts waiting for a sink.", &["sink"]),
            detection_delivery_seconds: make.histograms("lanner_detection_delivery_seconds", "Time from the commit of an alert until a sink took it.", &["sink"], &[0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0]),
            config_reload_success: make.gauge("lanner_config_last_reload_successful", "1 when the last reload of rules and configuration worked."),
            config_reloads: make.counters("lanner_config_reloads_total", "Reloads, by result: success or failure.", &["result"]),
            config_last_reload_success_timestamp: make.float_gauge("lanner_config_last_reload_success_timestamp_seconds", "When a reload last worked."),
            ruleset_info: make.gauges("lanner_ruleset_info", "Always 1; the label is the digest of the rules that are loaded.", &["sha256"]),
            rules_loaded: make.gauge("lanner_rules_loaded", "Rules loaded."),
            registry,
        }
    }

    /// Handles for one source, with all its series at 0.
    pub fn source(&self, name: &str) -> SourceMetrics {
        SourceMetrics { name: Arc::from(name), metrics: self.clone() }
    }

    /// Creates a rule's counters at 0: an `increase()` alert misses a series that starts at 1.
    pub fn announce_rule(&self, rule: &str, severity: &str) {
        self.detections.with_label_values(&[rule, severity]);
        self.rule_matches.with_label_values(&[rule]);
        self.rule_last_match.with_label_values(&[rule]);
        for by in ["repeat", "mute"] {
            self.detections_suppressed.with_label_values(&[rule, by]);
        }
    }

    /// The rules in force, one series only.
    pub fn announce_ruleset(&self, sha256: &str, rules: usize) {
        self.ruleset_info.reset();
        self.ruleset_info.with_label_values(&[sha256]).set(1);
        self.rules_loaded.set(i64::try_from(rules).unwrap_or(i64::MAX));
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Prometheus text format 0.0.4.
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("writing to memory cannot fail and families are well formed");
        text
    }
}

/// What a source counts, with its name already in place.
#[derive(Debug, Clone)]
pub struct SourceMetrics {
    name: Arc<str>,
    metrics: Metrics,
}

impl SourceMetrics {
    /// The kernel reported that notifications were lost.
    pub fn overflow(&self) {
        self.metrics.watch_overflows.with_label_values(&[&self.name]).inc();
    }

    /// A full reconciliation; `reason` is from a closed set: `start`, `overflow`, `sweep`, `error`.
    pub fn rescan(&self, reason: &'static str) {
        self.metrics.rescans.with_label_values(&[&*self.name, reason]).inc();
    }

    /// A listing was due and is left out, while hints prove to arrive.
    pub fn listing_left_out(&self) {
        self.metrics.listings_left_out.with_label_values(&[&self.name]).inc();
    }

    /// Changes that no notification told of.
    pub fn reconcile_found(&self, count: u64) {
        self.metrics.reconcile_found.with_label_values(&[&self.name]).inc_by(count);
    }

    /// An observation was dropped; `reason` is one of [`DROP_REASONS`].
    pub fn dropped(&self, reason: &'static str) {
        self.metrics.events_dropped.with_label_values(&["source", reason]).inc();
    }

    pub fn lines(&self, count: u64) {
        self.metrics.log_lines.with_label_values(&[&self.name]).inc_by(count);
    }

    pub fn line_shortened(&self) {
        self.metrics.log_truncations.with_label_values(&[&self.name]).inc();
    }

    /// Lines may have been lost; `reason` is from a closed set: `truncated`, `gone`, `rotated`.
    pub fn possible_loss(&self, reason: &'static str) {
        self.metrics.log_bytes_possibly_lost.with_label_values(&[&*self.name, reason]).inc();
    }

    /// What became of a hint that the source came by itself; `outcome` is from a closed set.
    pub fn hint(&self, outcome: &'static str) {
        self.metrics.hints_received.with_label_values(&[&*self.name, outcome]).inc();
    }

    /// What was asked of the source's server since this was called last.
    pub fn cost(&self, meter: &Meter) {
        let taken = |number: &AtomicU64| number.swap(0, Ordering::Relaxed);
        self.metrics.source_requests.with_label_values(&[&self.name]).inc_by(taken(&meter.calls));
        self.metrics.source_response_bytes.with_label_values(&[&self.name]).inc_by(taken(&meter.bytes));
        let paced = std::time::Duration::from_millis(taken(&meter.paced));
        self.metrics.source_paced_seconds.with_label_values(&[&self.name]).inc_by(paced.as_secs_f64());
    }

    pub fn lag_bytes(&self, bytes: u64) {
        self.metrics.source_lag_bytes.with_label_values(&[&self.name]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub fn error(&self, kind: &'static str) {
        self.metrics.source_errors.with_label_values(&[&*self.name, kind]).inc();
    }
}

struct Maker<'a> {
    registry: &'a Registry,
}

impl Maker<'_> {
    fn keep<C: prometheus::core::Collector + Clone + 'static>(&self, collector: prometheus::Result<C>) -> C {
        let collector = collector.expect("names and labels are constants in this file");
        self.registry.register(Box::new(collector.clone())).expect("every name is declared once");
        collector
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.keep(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn float_counters(&self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        self.keep(CounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.keep(IntGauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.keep(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        self.keep(Gauge::new(name, help))
    }

    fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.keep(GaugeVec::new(Opts::new(name, help), labels))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.keep(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        self.keep(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
    }
}
