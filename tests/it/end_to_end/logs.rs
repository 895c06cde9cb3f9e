//! A job's log through rotation and restarts: every line once.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::support::program::Agent;
use crate::support::receiver::Receiver;
use crate::support::{Numbers, get, wait_for};

const LINES: usize = 1500;

/// A rule that matches every numbered line, so that each line can be counted at the other end.
const RULE: &str = "title: Numbered line
id: 5b0ea6d2-53a2-4c6f-8a43-0d9f6d1c7a10
status: test
description: Matches every numbered line of the test's writer.
tags: [atlas.aml.t0050]
logsource: {category: training_log}
detection:
  line: {log.line|startswith: 'sequence '}
  condition: line
level: low
falsepositives: [none]
fields: [log.line]
lanner:
  short_id: TST-001
  atlas_version: \"2026.09\"
  phase: model-development
  mitigations: [AML.M0024]
  tests:
    - {name: a numbered line, event: {log.line: sequence 7}, match: true}
    - {name: another line, event: {log.line: epoch 7}, match: false}
";

struct Bench {
    directory: tempfile::TempDir,
    receiver: Receiver,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        std::fs::create_dir(directory.path().join("logs")).expect("it is empty");
        std::fs::write(directory.path().join("rule.yml"), RULE).expect("there is space");
        Self { directory, receiver: Receiver::start() }
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn start(&self) -> Agent {
        let config = format!(
            "rules: {{shipped: false, paths: [rule.yml]}}\nalerts: {{repeat_after_secs: 0}}\n\
             sources: {{logs: [{{name: jobs, paths: [\"{}/logs/*.log\"], start_at: beginning}}]}}\n\
             sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
            self.root().display(),
            self.receiver.url()
        );
        Agent::start(self.root(), &config).ready()
    }

    /// Distinct alerts for each line.
    fn told(&self) -> BTreeMap<usize, std::collections::BTreeSet<String>> {
        let mut told: BTreeMap<usize, std::collections::BTreeSet<String>> = BTreeMap::new();
        for delivery in self.receiver.taken() {
            let json = delivery.json();
            let line = json.pointer("/data/evidences/0/data/log.line").and_then(serde_json::Value::as_str);
            let number = line.and_then(|line| line.strip_prefix("sequence ")?.parse().ok());
            told.entry(number.expect("the evidence shows the line"))
                .or_default()
                .insert(delivery.header("webhook-id").to_owned());
        }
        told
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("the log can be opened")
}

#[test]
fn rename_rotation_and_restarts_lose_and_repeat_nothing() {
    let bench = Bench::new();
    let path = bench.root().join("logs/train.log");
    let mut log = append(&path);
    let mut agent = bench.start();
    let mut numbers = Numbers(7);
    for number in 0..LINES {
        writeln!(log, "sequence {number}").expect("there is space");
        if number % 250 == 249 {
            let rotated = bench.root().join(format!("logs/train.log.{}", number / 250));
            std::fs::rename(&path, rotated).expect("it can be renamed");
            log = append(&path);
        }
        if numbers.below(150) == 0 {
            let port = agent.port;
            if numbers.below(2) == 0 {
                agent.kill();
            } else {
                // Before it runs at all, a signal finds nobody who could end in order.
                wait_for("the agent to run", Duration::from_secs(30), || get(&agent.url("/livez")));
                assert_eq!(agent.stop(), Some(0));
            }
            agent = Agent::start_again(bench.root(), port);
        }
        if number % 20 == 0 {
            std::thread::sleep(Duration::from_millis(numbers.below(60)));
        }
    }
    wait_for("every line", Duration::from_secs(120), || (bench.told().len() >= LINES).then_some(()));
    for (number, ids) in bench.told() {
        assert_eq!(ids.len(), 1, "line {number} is one alert");
    }
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_copytruncate_may_have_lost_is_counted() {
    let bench = Bench::new();
    let path = bench.root().join("logs/train.log");
    let mut log = append(&path);
    let agent = bench.start();
    for number in 0..100 {
        writeln!(log, "sequence {number}").expect("there is space");
    }
    wait_for("the first hundred", Duration::from_secs(60), || (bench.told().len() >= 100).then_some(()));
    std::fs::copy(&path, bench.root().join("logs/train.log.1")).expect("there is space");
    OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(0)).expect("it can be truncated");
    for number in 100..150 {
        writeln!(log, "sequence {number}").expect("there is space");
    }
    wait_for("the rest", Duration::from_secs(60), || (bench.told().len() >= 150).then_some(()));
    assert!(bench.told().values().all(|ids| ids.len() == 1), "nothing is told twice");
    let lost = wait_for("the truncation to be counted", Duration::from_secs(10), || {
        let count = agent.metric("lanner_log_possible_loss_total", "reason=\"truncated\"");
        (count >= 1.0).then_some(count)
    });
    assert!(lost >= 1.0);
    assert_eq!(agent.stop(), Some(0));
}
