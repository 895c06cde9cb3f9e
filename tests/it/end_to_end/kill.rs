//! Killed at random points, nothing is lost and nothing gets a second identity.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{calls_os_system, rule, subject};
use crate::support::program::{Agent, lanner_in, stdout};
use crate::support::receiver::Receiver;
use crate::support::{Numbers, free_port, wait_for};

const FINDINGS: usize = 500;
const KILLS: usize = 100;

#[test]
fn every_finding_survives_a_hundred_kills() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    let receiver = Receiver::on(free_port(), |_| (200, Vec::new()));
    std::fs::create_dir(root.join("rules")).expect("it is empty");
    std::fs::write(root.join("rules/changed.yml"), CHANGED).expect("there is space");
    let config = format!(
        "rules: {{paths: [rules]}}\nsources: {{filesystem: [{{name: models, paths: [models], settle_millis: 50, sweep_interval_secs: 5}}]}}\n\
         sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
        receiver.url()
    );
    let mut agent = Agent::start(root, &config);
    let mut numbers = Numbers(20_261_123);
    let mut written = 0;
    for round in 0..KILLS {
        let upto = FINDINGS * (round + 1) / KILLS;
        while written < upto {
            let name = format!("models/m-{written:03}.pkl");
            std::fs::write(root.join(name), calls_os_system(&format!("word-{written}"))).expect("there is space");
            written += 1;
        }
        std::thread::sleep(Duration::from_millis(numbers.below(700)));
        let port = agent.port;
        agent.kill();
        let (told, known) = (subjects(&receiver), inventory(root));
        let lost: Vec<&String> = told.iter().filter(|subject| !known.contains_key(*subject)).collect();
        assert!(lost.is_empty(), "round {round}: told of and not in the inventory: {lost:?}");
        agent = Agent::start_again(root, port);
    }
    let agent = agent.ready();
    let told = || -> BTreeMap<String, BTreeSet<String>> {
        let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for delivery in receiver.taken().iter().filter(|delivery| rule(delivery) == "SCN-002") {
            told.entry(subject(delivery)).or_default().insert(delivery.header("webhook-id").to_owned());
        }
        told
    };
    wait_for("every finding to be delivered", Duration::from_secs(120), || (told().len() >= FINDINGS).then_some(()));
    let told = told();
    assert_eq!(told.len(), FINDINGS, "each file is one finding");
    for (subject, ids) in &told {
        assert_eq!(ids.len(), 1, "repeats about `{subject}` carry one id");
    }
    for (path, changes) in inventory(root) {
        assert_eq!(changes, 1, "`{path}` was written once, and no restart takes it for changed");
    }
    let changed = receiver.taken().iter().filter(|delivery| rule(delivery) == "TST-001").count();
    assert_eq!(changed, 0, "nothing is told as changed");
    assert_eq!(agent.stop(), Some(0));
}

/// Files of which something was delivered.
fn subjects(receiver: &Receiver) -> BTreeSet<String> {
    receiver.taken().iter().filter(|delivery| rule(delivery) == "SCN-002").map(subject).collect()
}

/// Rows of the inventory that hold bytes, with how often they changed.
fn inventory(root: &std::path::Path) -> BTreeMap<String, u64> {
    let output = lanner_in(root, &["inventory", "--config", "lanner.yaml", "--format", "json", "list"]);
    let rows = stdout(&output);
    let rows = rows.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    rows.filter(|row| row["sha256"].is_string())
        .map(|row| (row["key"].as_str().unwrap_or_default().to_owned(), row["changes"].as_u64().unwrap_or(0)))
        .collect()
}

/// Tells of every artifact whose bytes are said to have changed.
const CHANGED: &str = r"
title: Changed
id: 5f3f7d7e-6a9b-4b7a-9a4e-2f8e5a1c9d00
name: changed
status: test
description: Any change of bytes.
author: Lanner
date: 2026-11-29
tags: [atlas.aml.t0018]
logsource: {category: artifact_change}
detection: {selection: {event.action: modified}, condition: selection}
falsepositives: [everything]
level: low
lanner:
  short_id: TST-001
  atlas_version: '2026.09'
  phase: operations
  mitigations: [AML.M0014]
  tests:
    - {name: changed, event: {event.action: modified}, match: true}
    - {name: new, event: {event.action: created}, match: false}
";
