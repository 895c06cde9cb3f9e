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
#[path = "../tests/it/sources/index.rs"]
mod index;
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
        name: "index",
        start: || Box::new(index::Catalog::start()),
        // One file, which did not change: an answer without a body.
        entries: 10_000,
        calls_max: 1.5,
        megabytes_max: 0.5,
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
    let mut missed = wanted.filter(|case| !measure(case)).count();
    if named.is_empty() || named.iter().any(|name| name == "mlflow") {
        missed += usize::from(!registry());
    }
    std::process::exit(i32::from(missed > 0));
}

fn measure(case: &Case) -> bool {
    let mut world = (case.start)();
    let names: Vec<String> = (0..case.entries).map(|number| format!("many/{number:05}.bin")).collect();
    world.fill(&names);
    let source = world.source(&world.address());
    let runtime = support::runtime();
    let hint = world.hint(&names[8]);
    let (listed, changed, calls, bytes, cpu) = runtime.block_on(async {
        let before = ticks(false);
        let mut running = start_with(source, std::collections::BTreeMap::new(), 1024);
        running.listed().await;
        let listed = ticks(false) - before;
        let sweeps = "lanner_rescans_total{reason=\"sweep\"";
        let begun = running.metric(sweeps);
        // Some places are believed that nothing changed only after they were read twice.
        running.until("a second sweep to begin", |running| running.metric(sweeps) > begun + 1.0).await;
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
        tokio::task::block_in_place(|| world.put(&names[7], b"changed"));
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
    let fits = calls <= case.calls_max && megabytes <= case.megabytes_max;
    let Some(hint) = hint else { return fits };
    let (each, followed) = runtime.block_on(hinted(&mut *world, &names[8], hint));
    println!(
        "{}: while hints arrive, each interval {:.1} calls, {:.1} MB, {:.2} CPU-s (at most half of a sweep); a hint that is \
         followed {:.0} calls, {:.3} MB, {:.2} CPU-s",
        case.name,
        each[0],
        each[1] / 1e6,
        each[2],
        followed[0],
        followed[1] / 1e6,
        followed[2]
    );
    fits && each[0] <= calls / 2.0 && each[1] <= bytes / 2.0
}

/// Intervals at whose end a listing is due, of which the figures while hints arrive are the mean.
const DUE: f64 = 8.0;

/// What is spent between two times at which everything could be listed, while hints arrive, and for following one.
async fn hinted(world: &mut dyn World, name: &str, hint: serde_json::Value) -> ([f64; 3], [f64; 3]) {
    let mut running = start_with(world.source(&world.address()), std::collections::BTreeMap::new(), 1024);
    running.listed().await;
    let mut tell = |running: &Running, number: i64| {
        tokio::task::block_in_place(|| world.put(name, format!("changed {number}").as_bytes()));
        running.hints.push(number, hint.clone());
    };
    tell(&running, 1);
    running.until("fewer listings", |running| running.state().notes.contains_key("listing_stretched")).await;
    let sweeps = |running: &Running| running.metric("lanner_rescans_total{reason=\"sweep\"");
    let due = |running: &Running| sweeps(running) + running.metric("lanner_listings_left_out_total");
    // From one listing to another, so that whole rounds are counted.
    let begun = sweeps(&running);
    running.until("a listing", |running| sweeps(running) > begun).await;
    let left_out = running.metric("lanner_listings_left_out_total");
    running.until("its end", |running| running.metric("lanner_listings_left_out_total") > left_out).await;
    let (first, before) = (due(&running), spent(&running));
    running.until("the intervals", |running| due(running) >= first + DUE).await;
    let intervals = due(&running) - first;
    let each = since(&running, before).map(|sum| sum / intervals);
    let begun = sweeps(&running);
    running.until("a listing", |running| sweeps(running) > begun).await;
    let left_out = running.metric("lanner_listings_left_out_total");
    running.until("its end", |running| running.metric("lanner_listings_left_out_total") > left_out).await;
    let (before, told) = (spent(&running), running.log.len());
    tell(&running, 2);
    let hints = running.hints.clone();
    running.until("the change", |running| running.log.len() > told && hints.waiting().is_empty()).await;
    (each, since(&running, before))
}

/// Models, and versions of each, as the reference was measured: 11 calls and 8.4 MB for models, 4 and 10.4 for versions.
const MODELS: usize = 10_000;
const VERSIONS: u32 = 3;
const REFERENCE_CALLS: f64 = 15.0;
const REFERENCE_MEGABYTES: f64 = 18.8;
/// Calls beside the reference: prompts and their versions, webhooks, and a look at bytes.
const MORE_CALLS: f64 = 6.0;
/// A small look of the reference: 2 calls of fifty entries.
const HOT_KILOBYTES: f64 = 60.0;
const HOT_CALLS: f64 = 3.0;
/// Between two listings while webhooks arrive, and how many are waited for.
const TICK: Duration = Duration::from_secs(15);
const TICKS: u32 = 8;

/// Calls, bytes and CPU seconds so far.
fn spent(running: &Running) -> [f64; 3] {
    let calls = running.metric("lanner_source_requests_total");
    [calls, running.metric("lanner_source_response_bytes_total"), ticks(false)]
}

fn since(running: &Running, before: [f64; 3]) -> [f64; 3] {
    let now = spent(running);
    [now[0] - before[0], now[1] - before[1], now[2] - before[2]]
}

/// A registry of models with versions: a listing, a small look, and what is spent while webhooks arrive.
fn registry() -> bool {
    let mut registry = mlflow_suite::Registry::start(false);
    let names: Vec<String> = (0..MODELS).map(|number| format!("many/{number:05}.bin")).collect();
    registry.fill(&names);
    registry.fill_versions(VERSIONS);
    let runtime = support::runtime();
    let listing = runtime.block_on(listing(&registry));
    let hot = runtime.block_on(hot(&registry));
    let paced = runtime.block_on(paced(&registry, &names[0].replace('/', "-")));
    println!(
        "mlflow: {MODELS} models of {VERSIONS} versions: a listing {:.1} calls, {:.1} MB, {:.2} CPU-s (one careful \
         client: {REFERENCE_CALLS} calls, {REFERENCE_MEGABYTES} MB); a small look {:.1} calls, {:.1} kB, {:.4} CPU-s (at most \
         {HOT_CALLS}, {HOT_KILOBYTES}); while webhooks arrive {:.1} calls, {:.1} MB, {:.2} CPU-s for each {} s (at most half of a listing)",
        listing[0],
        listing[1] / 1e6,
        listing[2],
        hot[0],
        hot[1] / 1e3,
        hot[2],
        paced[0],
        paced[1] / 1e6,
        paced[2],
        TICK.as_secs()
    );
    let fits = listing[0] <= REFERENCE_CALLS + MORE_CALLS && listing[1] / 1e6 <= REFERENCE_MEGABYTES;
    fits && hot[0] <= HOT_CALLS && hot[1] / 1e3 <= HOT_KILOBYTES && paced[1] <= listing[1] / 2.0
}

/// One of several listings in a row.
async fn listing(registry: &mlflow_suite::Registry) -> [f64; 3] {
    let mut running = harness::start(registry.paced(3600, 1, 1));
    running.listed().await;
    let sweeps = "lanner_rescans_total{reason=\"sweep\"";
    let begun = running.metric(sweeps);
    running.until("a sweep to begin", |running| running.metric(sweeps) > begun).await;
    let (first, before) = (running.metric(sweeps), spent(&running));
    running.until("the sweeps", |running| running.metric(sweeps) >= first + SWEEPS).await;
    let each = running.metric(sweeps) - first;
    since(&running, before).map(|sum| sum / each)
}

/// One of several small looks.
async fn hot(registry: &mlflow_suite::Registry) -> [f64; 3] {
    let mut running = harness::start(registry.paced(1, 3600, 1));
    running.listed().await;
    let before = spent(&running);
    running.until("small looks", |running| since(running, before)[0] >= 30.0 * HOT_CALLS).await;
    let sum = since(&running, before);
    let looks = (sum[0] / HOT_CALLS).round();
    sum.map(|sum| sum / looks)
}

/// What is spent between two times at which everything could be listed, while webhooks arrive.
async fn paced(registry: &mlflow_suite::Registry, name: &str) -> [f64; 3] {
    let mut running = harness::start(registry.paced(3600, TICK.as_secs(), 4));
    running.listed().await;
    tokio::task::block_in_place(|| registry.alias(name, "2"));
    running.hints.push(1, serde_json::json!({ "data": { "name": name, "alias": "champion", "version": "2" } }));
    running.until("fewer listings", |running| running.state().notes.contains_key("listing_stretched")).await;
    let before = spent(&running);
    running.during(TICK * TICKS).await;
    since(&running, before).map(|sum| sum / f64::from(TICKS))
}
