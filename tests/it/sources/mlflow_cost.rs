//! What it costs to watch a registry, on a small scale; `benches/sources.rs` does the same with ten thousand models.

use std::time::Duration;

use serde_json::json;

use super::harness::{Running, start};
use super::mlflow_suite::Registry;
use super::suite::World as _;
use crate::support::runtime;

const MODELS: usize = 2_000;
const VERSIONS: u32 = 3;
/// Between two times at which everything could be listed.
const TICK: u64 = 4;
const TICKS: f64 = 8.0;

/// Calls and bytes so far.
fn spent(running: &Running) -> (f64, f64) {
    (running.metric("lanner_source_requests_total"), running.metric("lanner_source_response_bytes_total"))
}

#[test]
fn a_small_look_is_small_and_webhooks_that_arrive_halve_what_listings_cost() {
    let mut registry = Registry::start(false);
    let names: Vec<String> = (0..MODELS).map(|number| format!("many/{number:05}.bin")).collect();
    registry.fill(&names);
    registry.fill_versions(VERSIONS);
    let runtime = runtime();
    let hot = registry.paced(1, 3600, 1);
    let listing = runtime.block_on(async {
        let mut running = start(hot);
        running.listed().await;
        // It was listed twice, since it has pages.
        let (first, before) = (spent(&running), spent(&running));
        running.until("small looks", |running| spent(running).0 >= before.0 + 30.0).await;
        let (calls, bytes) = spent(&running);
        let looks = (calls - before.0) / 3.0;
        assert!((bytes - before.1) / looks < 30_000.0, "{looks} small looks have {} bytes", bytes - before.1);
        running.stop().await;
        first.1 / 2.0
    });
    let settings = registry.paced(3600, TICK, 4);
    let mut running = runtime.block_on(async { start(settings) });
    runtime.block_on(running.listed());
    registry.alias(&names[0], "2");
    runtime.block_on(async {
        let hint = json!({ "data": { "name": "many-00000.bin", "alias": "champion", "version": "2" } });
        running.hints.push(1, hint);
        running.until("fewer listings", |running| running.state().notes.contains_key("listing_stretched")).await;
        let before = spent(&running);
        running.during(Duration::from_secs(TICK * 8)).await;
        let each = (spent(&running).1 - before.1) / TICKS;
        assert!(each > 0.0 && each < listing / 2.0, "{each} bytes between two ticks, {listing} in one listing");
        running.stop().await;
    });
}
