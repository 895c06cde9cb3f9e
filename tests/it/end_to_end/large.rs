//! A file of terabytes costs nothing to make, and holds up nobody but itself.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::{calls_os_system, rule, rules, subject};
use crate::support::program::{Agent, lanner_in, stdout};
use crate::support::receiver::Receiver;
use crate::support::wait_for;

const RULE: &str = "title: A file changed
id: 5f3ef9a7-68a5-44a2-8a0e-3c1f5a3b9d02
status: test
description: Says when a known file holds other bytes.
tags: [atlas.aml.t0018]
logsource: {category: artifact_change}
detection:
  changed: {event.action: modified}
  condition: changed
level: low
falsepositives: [none]
lanner:
  short_id: TST-003
  atlas_version: \"2026.09\"
  phase: operations
  mitigations: [AML.M0014]
  tests:
    - {name: hit, event: {event.action: modified}, match: true}
    - {name: miss, event: {event.action: created}, match: false}
";

/// A file that is all hole.
fn sparse(path: &Path, bytes: u64) {
    File::create(path).and_then(|file| file.set_len(bytes)).expect("the file system knows holes");
}

#[test]
fn a_file_that_takes_for_ever_holds_up_itself_only() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let models = root.join("models");
    std::fs::create_dir(&models).expect("it is empty");
    for name in ["known.bin", "leaves.bin"] {
        std::fs::write(models.join(name), "one").expect("there is space");
    }
    // More than there are places for records under way.
    for number in 0..80 {
        sparse(&models.join(format!("large-{number}.bin")), 40 << 30);
    }
    sparse(&models.join("huge.bin"), 4 << 40);
    std::fs::write(root.join("rule.yml"), RULE).expect("there is space");
    let receiver = Receiver::start();
    let config = format!(
        "rules: {{paths: [rule.yml]}}\ninspection: {{workers: 1, timeout_secs: 15}}\n\
         sources: {{filesystem: [{{name: models, paths: [models], settle_millis: 50, verify: {{interval_secs: 1}}}}]}}\n\
         sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
        receiver.url()
    );
    let agent = Agent::start(root, &config).ready();
    let refused = || agent.metric("lanner_events_dropped_total", "oversize");
    wait_for("the one that nothing could read in time", Duration::from_secs(5), || (refused() >= 1.0).then_some(()));
    wait_for("the others to be looked into", Duration::from_secs(5), || {
        let output = lanner_in(root, &["inventory", "--config", "lanner.yaml", "list", "known.bin"]);
        stdout(&output).contains("known.bin").then_some(())
    });

    std::fs::write(models.join("known.bin"), "two").expect("there is space");
    std::fs::write(models.join("new.pkl"), calls_os_system("new")).expect("there is space");
    std::fs::remove_file(models.join("leaves.bin")).expect("it is there");
    wait_for("what is found in a new file", Duration::from_secs(5), || {
        rules(&receiver).iter().any(|rule| rule == "SCN-002").then_some(())
    });
    wait_for("the change of a known file, as a change", Duration::from_secs(5), || {
        rules(&receiver).iter().any(|rule| rule == "TST-003").then_some(())
    });
    wait_for("the one that left to be forgotten", Duration::from_secs(5), || {
        let output = lanner_in(root, &["inventory", "--config", "lanner.yaml", "list", ""]);
        (!stdout(&output).contains("leaves.bin")).then_some(())
    });
    wait_for("the age of readings", Duration::from_secs(7), || {
        (agent.metric("lanner_last_full_verify_age_seconds", "models") > 0.0).then_some(())
    });
    assert_eq!(refused(), 1.0, "all of it while the first large one was read");

    wait_for("a large one to be given up before its time is over", Duration::from_secs(14), || {
        (refused() >= 2.0).then_some(())
    });
    let database = rusqlite::Connection::open(root.join("state/lanner.db")).expect("it can be opened");
    database.busy_timeout(Duration::from_secs(5)).expect("it can be set");
    wait_for("it to be marked for another try, for the disk may have been busy", Duration::from_secs(5), || {
        let ask = "SELECT count(*) FROM record WHERE signature LIKE 'slow:1:%' AND blob IS NULL";
        database.query_row(ask, [], |row| row.get::<_, i64>(0)).ok().filter(|count| *count > 0)
    });
    drop(database);
    for words in ["far longer than", "huge.bin"] {
        wait_for("what could not be read to be told", Duration::from_secs(10), || {
            let taken = receiver.taken();
            let mut told = taken.iter().filter(|delivery| rule(delivery) == "HLT-003" && subject(delivery) == "models");
            told.any(|delivery| delivery.json().to_string().contains(words)).then_some(())
        });
    }
    // Nor does it hold up the end; and what is known is known, though the first listing was never completed.
    let port = agent.port;
    assert_eq!(agent.stop(), Some(0));
    std::fs::write(models.join("known.bin"), "three").expect("there is space");
    let agent = Agent::start_again(root, port).ready();
    wait_for("the change meanwhile", Duration::from_secs(10), || {
        (rules(&receiver).iter().filter(|rule| *rule == "TST-003").count() == 2).then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_the_budget_reads_slowly_is_read_to_its_end() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    std::fs::write(root.join("models/weights.bin"), vec![7; 1 << 20]).expect("there is space");
    // Four seconds for all bytes, with an inspection that may take no more than two.
    let config = "inspection: {timeout_secs: 2}\n\
         sources: {filesystem: [{name: models, paths: [models], settle_millis: 50, verify: {interval_secs: 1, bytes_per_sec: 262144}}]}\n";
    let agent = Agent::start(root, config).ready();
    wait_for("the bytes to be read again", Duration::from_secs(30), || {
        (agent.metric("lanner_hashed_bytes_total", "") >= f64::from(2 << 20)).then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
}
