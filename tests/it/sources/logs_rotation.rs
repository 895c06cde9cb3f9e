//! A writer with sequence numbers, rotations and crashes at random: what is lost or told twice
//! shows as a gap or a repeat.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lanner::sources::{Settings, Source};
use tempfile::TempDir;

use super::harness::start_with;
use super::logs::{append, config};

/// Small numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Takes in lines for a while, then crashes or stops; gives what was committed.
async fn session(
    source: &Arc<dyn Source>,
    checkpoints: BTreeMap<String, serde_json::Value>,
    mut write: impl FnMut(),
    dice: &mut Dice,
    told: &mut Vec<usize>,
) -> BTreeMap<String, serde_json::Value> {
    let mut running = start_with(Arc::clone(source), checkpoints, 1 + usize::try_from(dice.roll(64)).unwrap());
    for _ in 0..dice.roll(12) {
        write();
        running.during(Duration::from_millis(dice.roll(30))).await;
    }
    let (checkpoints, lines) = if dice.roll(3) == 0 {
        let mut running = running.stop().await;
        (std::mem::take(&mut running.checkpoints), std::mem::take(&mut running.lines))
    } else {
        running.abort()
    };
    told.extend(lines.iter().map(|line| line.text.strip_prefix("line ").unwrap().parse::<usize>().unwrap()));
    checkpoints
}

fn write_lines(log: &Path, next: &mut usize, count: u64) {
    let mut text = String::new();
    for _ in 0..count {
        writeln!(text, "line {next}").unwrap();
        *next += 1;
    }
    append(log, text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rename_rotation_loses_and_repeats_nothing() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("job.log");
    let source = config(folder.path()).build().unwrap();
    let (mut dice, mut writer) = (Dice(7), Dice(11));
    let (mut next, mut rotation, mut told) = (0, 0, (0..10).collect::<Vec<_>>());
    write_lines(&log, &mut next, 10);
    // A log that was rotated before it was ever seen is not known to be one.
    let mut running = start_with(Arc::clone(&source), BTreeMap::new(), 16);
    running.until("the first lines", |running| running.lines.len() == 10).await;
    let (mut checkpoints, _) = running.abort();
    let mut write = |next: &mut usize| {
        write_lines(&log, next, writer.roll(200));
        if writer.roll(3) == 0 {
            rotation += 1;
            fs::rename(&log, folder.path().join(format!("job.log.{rotation}"))).unwrap();
            write_lines(&log, next, 1 + writer.roll(3));
        }
    };
    for _ in 0..40 {
        checkpoints = session(&source, checkpoints, || write(&mut next), &mut dice, &mut told).await;
        // Also while nobody looks.
        write(&mut next);
    }
    let mut running = start_with(source, checkpoints, 64);
    let missing = next - told.len();
    running.until("the rest", |running| running.lines.len() >= missing).await;
    running.during(Duration::from_millis(500)).await;
    told.extend(running.lines.iter().map(|line| line.text.strip_prefix("line ").unwrap().parse::<usize>().unwrap()));
    assert_eq!(told, (0..next).collect::<Vec<_>>(), "every line once, in order");
    assert!(running.metric("lanner_log_possible_loss_total") < 0.5);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copying_and_cutting_repeats_nothing_and_states_the_loss() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("job.log");
    let mut running = super::harness::start(config(folder.path()));
    running.listed().await;
    let (mut writer, mut next) = (Dice(5), 0);
    write_lines(&log, &mut next, 1);
    running.until("the first line", |running| running.lines.len() == 1).await;
    for rotation in 1..=20 {
        write_lines(&log, &mut next, 50 + writer.roll(200));
        running.during(Duration::from_millis(writer.roll(40))).await;
        fs::copy(&log, folder.path().join(format!("job.log.{rotation}"))).unwrap();
        // What is written here is in neither file.
        write_lines(&log, &mut next, writer.roll(3));
        File::options().write(true).truncate(true).open(&log).unwrap();
        write_lines(&log, &mut next, 1);
        let last = format!("line {}", next - 1);
        running.until("the new beginning", |running| running.lines.last().is_some_and(|line| line.text == last)).await;
    }
    let told: Vec<usize> =
        running.lines.iter().map(|line| line.text.strip_prefix("line ").unwrap().parse().unwrap()).collect();
    assert!(told.windows(2).all(|pair| pair[0] < pair[1]), "in order, and none twice");
    assert!(running.metric("lanner_log_possible_loss_total{reason=\"truncated\"") >= 20.0);
    assert!(next - told.len() <= 40, "only what was written between copy and cut: {} of {next}", next - told.len());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_lines_go_through_quickly() {
    const LINES: usize = 100_000;
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("jobs_train-0_0b1c/pytorch/0.log");
    let mut text = String::new();
    for line in 0..LINES {
        writeln!(text, "2026-11-22T18:31:17.863238165Z stdout F step {line} loss 0.5 and some more words").unwrap();
    }
    append(&log, text);
    let mut running = start_with(config(folder.path()).build().unwrap(), BTreeMap::new(), 1024);
    running.until("all lines", |running| running.lines.len() == LINES).await;
    running.until("the count", |running| (running.metric("lanner_log_lines_total") - 100_000.0).abs() < 0.5).await;
    running.stop().await;
}
