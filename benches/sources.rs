//! What a sweep costs: calls, bytes and CPU seconds for ten thousand entries that did not change, of each registry and
//! store, against its real server on 127.0.0.1. The bars are what one careful client needed for the same.
//!
//! `cargo bench --bench sources [-- NAME…]`; `make peers` installs the servers. CPU seconds are those of the source
//! alone: the servers are other processes.

#![allow(dead_code, unused_imports, reason = "the servers and their sources are those of the tests, used in part")]
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark prints figures, and fails where it cannot be set up"
)]

mod account;
#[path = "../tests/it/sources/git_suite.rs"]
mod git_suite;
#[path = "../tests/it/sources/harness.rs"]
mod harness;
#[path = "../tests/it/sources/huggingface.rs"]
mod huggingface;
#[path = "../tests/it/sources/mlflow_suite.rs"]
mod mlflow_suite;
#[path = "../tests/it/sources/objects.rs"]
mod objects;
#[path = "../tests/it/sources/oci_suite.rs"]
mod oci_suite;
#[path = "../tests/it/peers/mod.rs"]
mod peers;
#[path = "../tests/it/sources/suite.rs"]
mod suite;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::Duration;

use account::ticks;
use harness::{Running, start_with};
use suite::World;

const SWEEPS: f64 = 3.0;

/// A server, and what a sweep of it may cost.
struct Case {
    name: &'static str,
    start: fn() -> Box<dyn World>,
    entries: usize,
    calls_max: f64,
    megabytes_max: f64,
}

const CASES: &[Case] = &[
    Case {
        name: "mlflow",
        start: || Box::new(mlflow_suite::Registry::start(false)),
        entries: 10_000,
        // 11 pages of models and 4 of versions; prompts are two more, and the one version with artifacts four.
        calls_max: 22.0,
        megabytes_max: 18.8,
    },
    Case {
        name: "s3",
        start: || Box::new(objects::Bucket::seaweed()),
        // Pages of a thousand keys, the last of them empty or not.
        entries: 10_000,
        calls_max: 11.0,
        megabytes_max: 5.0,
    },
    Case {
        name: "gcs",
        start: || Box::new(objects::Bucket::google()),
        // The same pages; an object is told in more words.
        entries: 10_000,
        calls_max: 11.0,
        megabytes_max: 12.0,
    },
    Case {
        name: "azure",
        start: || Box::new(objects::Bucket::azure()),
        entries: 10_000,
        calls_max: 11.0,
        megabytes_max: 12.0,
    },
    Case {
        name: "hub",
        start: || Box::new(huggingface::Hubs::private()),
        // Files of one repository whose commit did not move: what it is, which names all files, and its references.
        entries: 10_000,
        calls_max: 2.5,
        megabytes_max: 1.0,
    },
    Case {
        name: "oci",
        start: || Box::new(oci_suite::Images::start()),
        // Each a repository of one tag: its tags, and where that leads now.
        entries: 300,
        calls_max: 601.0,
        megabytes_max: 0.1,
    },
    Case {
        name: "git",
        start: || Box::new(git_suite::Pointers::make()),
        // Pointers of LFS in one folder; calls are objects that are read.
        entries: 10_000,
        calls_max: 0.0,
        megabytes_max: 0.0,
    },
];

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = CASES.iter().filter(|case| named.is_empty() || named.iter().any(|name| name == case.name));
    let missed = wanted.filter(|case| !measure(case)).count();
    std::process::exit(i32::from(missed > 0));
}

fn measure(case: &Case) -> bool {
    let mut world = (case.start)();
    let names: Vec<String> = (0..case.entries).map(|number| format!("many/{number:05}.bin")).collect();
    world.fill(&names);
    let source = world.source(&world.address());
    let runtime = support::runtime();
    let (listed, changed, calls, bytes, cpu) = runtime.block_on(async {
        let before = ticks(false);
        let mut running = start_with(source, std::collections::BTreeMap::new(), 1024);
        running.listed().await;
        let listed = ticks(false) - before;
        let sweeps = "lanner_rescans_total{reason=\"sweep\"";
        let begun = running.metric(sweeps);
        running.until("a sweep to begin", |running| running.metric(sweeps) > begun).await;
        let count = |running: &Running| {
            (
                running.metric(sweeps),
                running.metric("lanner_source_requests_total"),
                running.metric("lanner_source_response_bytes_total"),
                ticks(false),
            )
        };
        let first = count(&running);
        running.until("the sweeps", |running| running.metric(sweeps) >= first.0 + SWEEPS).await;
        let last = count(&running);
        assert!(running.log.is_empty(), "nothing changed: {:?}", running.log.first());
        let each = last.0 - first.0;
        world.put(&names[7], b"changed");
        running.until("the change", |running| !running.log.is_empty()).await;
        let swept = running.metric(sweeps);
        running.until("the sweep to end", |running| running.metric(sweeps) > swept).await;
        let after = count(&running);
        let changed = (after.1 - last.1, (after.2 - last.2) / 1e6, after.3 - last.3, after.0 - last.0);
        (listed, changed, (last.1 - first.1) / each, (last.2 - first.2) / each, (last.3 - first.3) / each)
    });
    let megabytes = bytes / 1e6;
    println!(
        "{}: {} entries listed in {listed:.2} CPU-s; each sweep {calls:.1} calls (at most {}), {megabytes:.1} MB \
         (at most {}), {cpu:.2} CPU-s",
        case.name, case.entries, case.calls_max, case.megabytes_max
    );
    let (calls_changed, megabytes_changed, cpu_changed, over) = changed;
    println!(
        "{}: one change: {calls_changed:.0} calls, {megabytes_changed:.3} MB, {cpu_changed:.2} CPU-s over {over:.0} sweeps",
        case.name
    );
    calls <= case.calls_max && megabytes <= case.megabytes_max
}
