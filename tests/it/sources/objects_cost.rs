//! What it costs to list a bucket again and again.

use std::time::Instant;

use super::objects::{Bucket, watched};
use super::suite::World as _;
use crate::peers::proxy::Proxy;
use crate::support::runtime;

const OBJECTS: usize = 10_000;
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
    let proxy = Proxy::start(&bucket.store.address());
    let config = bucket.config(&proxy.address(), true);
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = watched(config).await;
        assert_eq!(running.records.len(), OBJECTS);
        let sweeps = |running: &super::harness::Running| running.metric("lanner_rescans_total");
        let (before, began, used) = (proxy.passed(), Instant::now(), ticks());
        let first = sweeps(&running);
        // A sweep has ended when the next one has begun.
        running.until("sweeps", |running| sweeps(running) >= first + f64::from(SWEEPS)).await;
        let (after, time, used) = (proxy.passed(), began.elapsed(), ticks() - used);
        let each = usize::try_from(SWEEPS).unwrap();
        let (calls, bytes) = (after.0 - before.0, after.1 - before.1);
        println!(
            "{SWEEPS} sweeps of {OBJECTS} objects: {calls} calls, {bytes} bytes, {} ms of the processor with the proxy's, {time:?}",
            used * 10,
        );
        // One sweep more may be under way.
        let wanted = OBJECTS.div_ceil(1000);
        assert!(calls >= wanted * (each - 1) && calls <= wanted * (each + 1), "{calls}");
        assert!(running.log.is_empty(), "nothing happened: {:?}", running.log.len());
        running.stop().await;
    });
}
