//! What it costs to list a bucket again and again.

use std::time::Instant;

use super::harness::Running;
use super::objects::{Bucket, watched};
use super::suite::World as _;
use crate::support::runtime;

const OBJECTS: u32 = 10_000;
const SWEEPS: u32 = 5;

/// Ticks of the processor that this process has used; there are a hundred in a second.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_sweep_costs_one_call_for_a_thousand_objects() {
    let mut bucket = Bucket::seaweed();
    let names: Vec<String> = (0..OBJECTS).map(|number| format!("team-{}/model-{number:05}.bin", number % 7)).collect();
    bucket.fill(&names);
    let config = bucket.config(&bucket.store.address(), true);
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = watched(config).await;
        assert_eq!(running.records.len(), names.len());
        let calls = |running: &Running| running.metric("lanner_source_requests_total");
        let bytes = |running: &Running| running.metric("lanner_source_response_bytes_total");
        let (calls_before, bytes_before, began, used) = (calls(&running), bytes(&running), Instant::now(), ticks());
        let wanted = f64::from(OBJECTS / 1000 * SWEEPS);
        running.until("sweeps", |running| calls(running) >= calls_before + wanted).await;
        let (time, used, bytes) = (began.elapsed(), ticks() - used, bytes(&running) - bytes_before);
        println!(
            "{SWEEPS} sweeps of {OBJECTS} objects: {wanted} calls, {bytes} bytes, {} ms of the processor, {time:?}",
            used * 10
        );
        // They are counted at the end of each sweep.
        assert!((calls(&running) - calls_before - wanted).abs() < 0.5, "{}", calls(&running));
        assert!(running.log.is_empty(), "nothing happened: {:?}", running.log.len());
        running.stop().await;
    });
}
