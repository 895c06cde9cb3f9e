//! A sequence that a crash cuts in two is found, once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::rule;
use crate::support::program::Agent;
use crate::support::receiver::Receiver;
use crate::support::{Numbers, wait_for};

const JOBS: usize = 24;

/// Two rules that raise nothing by themselves, and the sequence of both in one file.
fn rules() -> String {
    let base = |word: &str, number: u8| {
        format!(
            "title: Line that says {word}
id: 5b0ea6d2-53a2-4c6f-8a43-0d9f6d1c7b0{number}
name: says_{word}
status: test
description: Matches a line of the test's writer.
tags: [atlas.aml.t0050]
logsource: {{category: training_log}}
detection:
  line: {{log.line|startswith: '{word} '}}
  condition: line
level: low
falsepositives: [none]
fields: [log.line, log.file.path]
lanner:
  short_id: TST-10{number}
  atlas_version: \"2026.09\"
  phase: model-development
  mitigations: [AML.M0024]
  tests:
    - {{name: the word, event: {{log.line: {word} 7}}, match: true}}
    - {{name: another line, event: {{log.line: epoch 7}}, match: false}}
"
        )
    };
    let sequence = "title: First alpha, then omega
id: 5b0ea6d2-53a2-4c6f-8a43-0d9f6d1c7b09
status: test
description: Both lines of the test's writer in one file, in order.
tags: [atlas.aml.t0050]
correlation:
  type: temporal_ordered
  rules: [says_alpha, says_omega]
  group-by: [log.file.path]
  timespan: 30m
level: high
falsepositives: [none]
lanner:
  short_id: TST-109
  atlas_version: \"2026.09\"
  phase: model-development
  mitigations: [AML.M0024]
  tests:
    - name: in order
      events:
        - {at: 0, log.line: alpha 1, log.file.path: a}
        - {at: 5, log.line: omega 1, log.file.path: a}
      match: true
      alerts: 1
    - name: the wrong order
      events:
        - {at: 0, log.line: omega 1, log.file.path: a}
        - {at: 5, log.line: alpha 1, log.file.path: a}
      match: false
";
    [base("alpha", 1), base("omega", 2), sequence.to_owned()].join("---\n")
}

fn write(root: &Path, job: usize, word: &str) {
    let path = root.join(format!("logs/job-{job:02}.log"));
    let mut log = OpenOptions::new().create(true).append(true).open(path).expect("the log can be opened");
    writeln!(log, "{word} {job}").expect("there is space");
}

/// Alert ids by the file that they are about.
fn told(receiver: &Receiver) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for delivery in receiver.taken() {
        assert_eq!(rule(&delivery), "TST-109", "the rules that are counted raise nothing by themselves");
        let json = delivery.json();
        let file = json.pointer("/data/evidences/0/data/log.file.path").and_then(serde_json::Value::as_str);
        let file = file.expect("the evidence shows the group").to_owned();
        told.entry(file).or_default().insert(delivery.header("webhook-id").to_owned());
    }
    told
}

#[test]
fn crashes_in_the_middle_of_sequences_lose_and_repeat_no_alert() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("logs")).expect("it is empty");
    std::fs::write(root.join("rules.yml"), rules()).expect("there is space");
    let receiver = Receiver::start();
    let config = format!(
        "rules: {{shipped: false, paths: [rules.yml]}}\nalerts: {{repeat_after_secs: 0}}\n\
         sources: {{logs: [{{name: jobs, paths: [\"{}/logs/*.log\"], start_at: beginning}}]}}\n\
         sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
        root.display(),
        receiver.url()
    );
    let mut agent = Agent::start(root, &config).ready();
    let mut numbers = Numbers(11);
    let kill = |agent: Agent| {
        let port = agent.port;
        agent.kill();
        Agent::start_again(root, port)
    };
    for job in 0..JOBS {
        write(root, job, "alpha");
        // Before it is read, before it is stored, or after.
        std::thread::sleep(Duration::from_millis(numbers.below(400)));
        agent = kill(agent);
        write(root, job, "omega");
        std::thread::sleep(Duration::from_millis(numbers.below(400)));
        if numbers.below(2) == 0 {
            agent = kill(agent);
        }
    }
    let agent = agent.ready();
    wait_for("every sequence", Duration::from_secs(120), || (told(&receiver).len() >= JOBS).then_some(()));
    // One more, told after all others: what would be told twice has been told by now.
    write(root, JOBS, "alpha");
    write(root, JOBS, "omega");
    wait_for("the last sequence", Duration::from_secs(60), || (told(&receiver).len() > JOBS).then_some(()));
    for (file, ids) in told(&receiver) {
        assert_eq!(ids.len(), 1, "the sequence in {file} is one alert");
    }
    assert!(agent.metric("lanner_correlation_groups", "") >= 1.0, "the metrics tell what is held");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_stop_and_a_reload_in_the_middle_keep_the_sequence() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("logs")).expect("it is empty");
    std::fs::write(root.join("rules.yml"), rules()).expect("there is space");
    let receiver = Receiver::start();
    let config = format!(
        "rules: {{shipped: false, paths: [rules.yml]}}\n\
         sources: {{logs: [{{name: jobs, paths: [\"{}/logs/*.log\"], start_at: beginning}}]}}\n\
         sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
        root.display(),
        receiver.url()
    );
    let agent = Agent::start(root, &config).ready();
    let held = |agent: &Agent| agent.metric("lanner_correlation_entries", "");
    write(root, 1, "alpha");
    wait_for("the first line", Duration::from_secs(30), || (held(&agent) >= 1.0).then_some(()));
    let port = agent.port;
    assert_eq!(agent.stop(), Some(0));
    let agent = Agent::start_again(root, port).ready();
    // Another description of a rule that is counted: other rules, the same question.
    std::fs::write(root.join("rules.yml"), rules().replace("Matches a line", "Finds a line")).expect("there is space");
    agent.signal("HUP");
    wait_for("the reload", Duration::from_secs(30), || {
        (agent.metric("lanner_config_reloads_total", "success") >= 1.0).then_some(())
    });
    write(root, 1, "omega");
    wait_for("the sequence", Duration::from_secs(30), || (told(&receiver).len() == 1).then_some(()));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_correlations_let_go_is_told_as_an_alert_about_the_agent() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("logs")).expect("it is empty");
    std::fs::write(root.join("rules.yml"), rules()).expect("there is space");
    let receiver = Receiver::start();
    let config = format!(
        "rules: {{paths: [rules.yml]}}\ncorrelation: {{groups_max: 2}}\n\
         sources: {{logs: [{{name: jobs, paths: [\"{}/logs/*.log\"], start_at: beginning}}]}}\n\
         sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
        root.display(),
        receiver.url()
    );
    let agent = Agent::start(root, &config).ready();
    // Each file is a group, and there is room for two.
    for job in 0..5 {
        write(root, job, "alpha");
    }
    wait_for("three evictions", Duration::from_secs(60), || {
        let evicted = agent.metric("lanner_correlation_evictions_total", "reason=\"groups\"");
        (evicted >= 3.0).then_some(())
    });
    let told = wait_for("the alert", Duration::from_secs(60), || {
        receiver.taken().into_iter().find(|delivery| rule(delivery) == "HLT-002")
    });
    let told = told.json().to_string();
    assert!(told.contains("correlation.groups_max"), "the alert says what helps: {told}");
    assert!((agent.metric("lanner_correlation_evictions_total", "reason=\"groups\"") - 3.0).abs() < 0.1);
    assert!(agent.metric("lanner_correlation_groups", "") <= 2.0, "the bound is held");
    assert_eq!(agent.stop(), Some(0));
}
