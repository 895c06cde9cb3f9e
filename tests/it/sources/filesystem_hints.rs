//! Hints are hints: storms, overflows, and file systems that give none.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lanner::sources::Hint;
use lanner::sources::filesystem::Watch;
use tempfile::TempDir;

use super::filesystem::{config, write};
use super::harness::{Running, start};

const ROUNDS: usize = 200;

/// What training jobs do: a directory, and at once a file in it.
fn train(root: &Path) {
    for round in 0..ROUNDS {
        write(&root.join(format!("run-{round}/checkpoint-1/model.pt")), "weights");
    }
}

fn models(running: &Running) -> usize {
    running
        .applied
        .iter()
        .filter(|record| record.key.ends_with("model.pt"))
        .map(|record| &record.key)
        .collect::<BTreeSet<_>>()
        .len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_in_a_new_directory_is_never_missed() {
    let folder = TempDir::new().unwrap();
    let mut running = start(config(folder.path()));
    running.listed().await;
    train(folder.path());
    running.until("200 of 200", |running| models(running) == ROUNDS).await;
    assert!(running.metric("lanner_reconcile_found_total").abs() < 0.5, "without the help of a sweep");
    assert!(running.metric("lanner_watch_overflows_total").abs() < 0.5);
    assert!(running.applied.iter().all(|record| record.hint == Hint::Inotify));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kernels_queue_overflows_and_nothing_is_missed() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("flood")).unwrap();
    let mut settings = config(folder.path());
    // While the first hint is held, the kernel queues what fits, and drops the rest.
    let hold = TempDir::new().unwrap();
    let held = hold.path().join("hold");
    fs::write(&held, "").unwrap();
    settings.hint_hold_path = Some(held.clone());
    let mut running = start(settings);
    running.listed().await;
    let events_max: usize =
        String::from_utf8(lanner::base::files::read(Path::new("/proc/sys/fs/inotify/max_queued_events"), 64).unwrap())
            .unwrap()
            .trim()
            .parse()
            .unwrap();
    let flood = folder.path().join("flood/noise.tmp");
    // Opening for writing and closing is one event each time, and a file of its own each, so that
    // the kernel merges none.
    for round in 0..events_max + 4096 {
        fs::write(flood.with_file_name(format!("{}.tmp", round % 64)), "x").unwrap();
    }
    train(folder.path());
    fs::remove_file(&held).unwrap();
    running.until("200 of 200", |running| models(running) == ROUNDS).await;
    assert!(running.metric("lanner_watch_overflows_total{source=\"models\"}") >= 1.0);
    assert!(running.metric("lanner_rescans_total{reason=\"overflow\"") >= 1.0);
    assert!(running.metric("lanner_reconcile_found_total") >= 1.0, "the walk found what no hint told");
    // And hints work again.
    write(&folder.path().join("run-7/checkpoint-2/model.pt"), "weights");
    running.until("a hint", |running| models(running) == ROUNDS + 1).await;
    let last = running.applied.last().expect("it was told");
    assert_eq!(last.hint, Hint::Inotify);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_queue_overflows_and_nothing_is_missed() {
    let folder = TempDir::new().unwrap();
    let mut settings = config(folder.path());
    settings.hint_queue_max = 2;
    let mut running = start(settings);
    running.listed().await;
    train(folder.path());
    running.until("200 of 200", |running| models(running) == ROUNDS).await;
    assert!(running.metric("lanner_watch_overflows_total{source=\"models\"}") >= 1.0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polling_finds_the_same_and_says_so() {
    let folder = TempDir::new().unwrap();
    let mut settings = config(folder.path());
    settings.watch = Watch::Poll;
    let mut running = start(settings);
    running.listed().await;
    assert!(running.state().notes.contains_key("polling") && running.state().blind.is_empty());
    train(folder.path());
    running.until("200 of 200", |running| models(running) == ROUNDS).await;
    assert!(running.applied.iter().all(|record| record.hint == Hint::Poll));
    fs::remove_dir_all(folder.path().join("run-3")).unwrap();
    running.until("a removal", |running| running.records.len() == ROUNDS - 1).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_finds_what_no_hint_told() {
    let folder = TempDir::new().unwrap();
    let inner = TempDir::new().unwrap();
    write(&inner.path().join("deep/model.pt"), "one");
    // A link on the way to a link is resolved once: that it leads elsewhere gives no hint.
    std::os::unix::fs::symlink("deep", inner.path().join("current")).unwrap();
    std::os::unix::fs::symlink(inner.path().join("current/model.pt"), folder.path().join("model.pt")).unwrap();
    let mut settings = config(folder.path());
    settings.sweep_interval_secs = 1;
    let mut running = start(settings);
    running.listed().await;
    write(&inner.path().join("other/model.pt"), "another");
    std::os::unix::fs::symlink("other", inner.path().join("next")).unwrap();
    fs::rename(inner.path().join("next"), inner.path().join("current")).unwrap();
    running.until("the sweep", |running| models(running) == 1).await;
    assert_eq!(running.applied[0].hint, Hint::Sweep);
    assert!((running.metric("lanner_reconcile_found_total") - 1.0).abs() < 0.5);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_source_can_run_again() {
    let folder = TempDir::new().unwrap();
    train(folder.path());
    let source = lanner::sources::Settings::build(config(folder.path())).unwrap();
    for _ in 0..3 {
        // A queue of one: it is in the middle of its listing when it is dropped.
        let mut running =
            super::harness::start_with(std::sync::Arc::clone(&source), std::collections::BTreeMap::new(), 1);
        running.until("a part of the listing", |running| !running.records.is_empty()).await;
        drop(running.abort());
    }
    let mut running = super::harness::start_with(source, std::collections::BTreeMap::new(), 16);
    running.listed().await;
    assert_eq!(running.records.len(), ROUNDS);
    running.stop().await;
}
