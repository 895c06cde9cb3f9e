//! Mistakes and broken surroundings: a clear message each time, and everything else goes on.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lanner::artifact::Report;
use lanner::event::{Fields, Portrait, Sha256};
use lanner::sources::RecordKind;
use lanner::state::commit::Seen;
use lanner::state::{Blob, Commit, Mode, RecordChange, State};

use super::{calls_os_system, rule, rules};
use crate::support::program::{Agent, lanner_in, stderr, stdout};
use crate::support::receiver::Receiver;
use crate::support::{free_port, get, wait_for};

const RULE: &str = "title: Misspelt
id: 0b7e1c4e-7a39-4d35-9d53-9c9e0a6d1f11
status: test
description: Has a field that nobody declares.
tags: [atlas.aml.t0011]
logsource: {category: artifact_scan}
detection:
  calls: {artifact.pickle.dangerus_calls|contains: os.system}
  condition: calls
level: high
falsepositives: [none]
lanner:
  short_id: TST-002
  atlas_version: \"2026.09\"
  phase: model-development
  mitigations: [AML.M0014]
  tests:
    - {name: hit, event: {artifact.pickle.dangerous_calls: [os.system]}, match: true}
    - {name: miss, event: {artifact.pickle.dangerous_calls: [x]}, match: false}
";

#[test]
fn a_misspelt_field_is_named_with_its_line_and_what_was_meant() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::write(directory.path().join("rule.yml"), RULE).expect("there is space");
    let output = lanner_in(directory.path(), &["rules", "check", "--rules", "rule.yml"]);
    let told = stdout(&output) + &stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    for wanted in ["rule.yml:8", "artifact.pickle.dangerus_calls", "artifact.pickle.dangerous_calls"] {
        assert!(told.contains(wanted), "`{wanted}` is not in:\n{told}");
    }
    let output = lanner_in(directory.path(), &["scan", "--rules", "rule.yml", "."]);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_running_agent_keeps_its_rules_when_new_ones_are_wrong() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    let right = RULE.replace("dangerus", "dangerous");
    std::fs::write(root.join("rule.yml"), &right).expect("there is space");
    let receiver = Receiver::start();
    let config = format!(
        "rules: {{paths: [rule.yml]}}\nsources: {{filesystem: [{{name: models, paths: [models], settle_millis: 50}}]}}\n\
         sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
        receiver.url()
    );
    let agent = Agent::start(root, &config).ready();
    std::fs::write(root.join("rule.yml"), RULE).expect("there is space");
    agent.signal("HUP");
    wait_for("the failure in a metric", Duration::from_secs(30), || {
        (agent.metric("lanner_config_reloads_total", "failure") >= 1.0).then_some(())
    });
    assert_eq!(agent.metric("lanner_config_last_reload_successful", ""), 0.0);
    assert!(agent.log().contains("rule.yml:8"), "the log names the place: {}", agent.log());
    std::fs::write(root.join("models/a.pkl"), calls_os_system("a")).expect("there is space");
    wait_for("the old rules at work", Duration::from_secs(30), || {
        let rules = rules(&receiver);
        (rules.contains(&"TST-002".to_owned()) && rules.contains(&"SCN-002".to_owned())).then_some(())
    });
    // Mended, and noticed without a signal.
    std::fs::write(root.join("rule.yml"), right.replace("level: high", "level: low")).expect("there is space");
    wait_for("the mended rules", Duration::from_secs(30), || {
        (agent.metric("lanner_config_last_reload_successful", "") >= 1.0).then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn three_mistakes_in_a_configuration_are_three_messages_with_lines_and_hints() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let text = "http: {listen: nowhere}\nsources:\n  filesystem:\n    - name: models\n      path: [models]\n\
                sinks:\n  webhook:\n    - name: hook\n      url: not a url\nmuets: []\n";
    std::fs::write(directory.path().join("lanner.yaml"), text).expect("there is space");
    let output = lanner_in(directory.path(), &["config", "check", "lanner.yaml"]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    for wanted in ["lanner.yaml:5", "did you mean `paths`", "lanner.yaml:10", "did you mean `mutes`"] {
        assert!(told.contains(wanted), "`{wanted}` is not in:\n{told}");
    }
    let text = text.replace("path:", "paths:").replace("muets", "mutes").replace("name: hook", "name: models");
    std::fs::write(directory.path().join("lanner.yaml"), text).expect("there is space");
    let told = stderr(&lanner_in(directory.path(), &["run", "--config", "lanner.yaml"]));
    for wanted in ["lanner.yaml:1", "127.0.0.1:9464", "lanner.yaml:8", "used twice", "lanner.yaml:9", "no URL"] {
        assert!(told.contains(wanted), "`{wanted}` is not in:\n{told}");
    }
}

#[test]
fn an_unreachable_registry_blinds_one_source_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    let receiver = Receiver::start();
    let config = format!(
        "sources:\n  filesystem: [{{name: models, paths: [models], settle_millis: 50}}]\n\
         \x20 mlflow: [{{name: registry, tracking_uri: \"http://127.0.0.1:{}\"}}]\n\
         sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
        free_port(),
        receiver.url()
    );
    let agent = Agent::start(root, &config);
    let verbose = wait_for("readiness to name the blind source", Duration::from_secs(60), || {
        let (status, text) = get(&agent.url("/readyz?verbose"))?;
        (status == 503 && text.contains("[-] source/registry") && text.contains("[+] source/models")).then_some(text)
    });
    assert!(verbose.contains("[+] state"), "{verbose}");
    std::fs::write(root.join("models/a.pkl"), calls_os_system("a")).expect("there is space");
    wait_for("the other source's finding", Duration::from_secs(30), || {
        receiver.taken().iter().any(|delivery| rule(delivery) == "SCN-002").then_some(())
    });
    assert_eq!(get(&agent.url("/livez")).map(|(status, _)| status), Some(200));
    wait_for("blind seconds to be counted", Duration::from_secs(20), || {
        (agent.metric("lanner_source_blind_seconds_total", "registry") >= 1.0).then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
}

/// A small file system of its own, which takes a user namespace or root.
fn tiny_disk(root: &Path) -> Option<TinyDisk> {
    let path = root.join("state");
    std::fs::create_dir(&path).ok()?;
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&path).status();
    mounted.is_ok_and(|status| status.success()).then_some(TinyDisk { path })
}

struct TinyDisk {
    path: std::path::PathBuf,
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.path).status().ok();
    }
}

#[test]
fn a_full_disk_is_told_and_what_was_found_is_stored_when_there_is_space_again() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    let disk = tiny_disk(root).expect("a small tmpfs can be mounted: run the tests as root");
    let receiver = Receiver::start();
    let config = format!(
        "sources: {{filesystem: [{{name: models, paths: [models], settle_millis: 50}}]}}\n\
         sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
        receiver.url()
    );
    let agent = Agent::start(root, &config).ready();
    let filler = disk.path.join("filler");
    // Takes all there is; the error that it is full ends it.
    let mut file = std::fs::File::create(&filler).expect("there is some space");
    while std::io::Write::write_all(&mut file, &[0; 1024]).is_ok() {}
    for number in 0..40 {
        let pickle = calls_os_system(&format!("word-{number}"));
        std::fs::write(root.join(format!("models/m-{number}.pkl")), pickle).expect("the models are elsewhere");
    }
    wait_for("the failure to be told", Duration::from_secs(60), || {
        let told = agent.log().contains("what was found cannot be stored");
        (told && get(&agent.url("/readyz"))?.0 == 503).then_some(())
    });
    assert!(agent.metric("lanner_state_commit_failures_total", "") >= 1.0);
    assert_eq!(get(&agent.url("/livez")).map(|(status, _)| status), Some(200), "it is alive, and says what is wrong");
    drop(file);
    std::fs::remove_file(&filler).expect("it can be removed");
    wait_for("every finding", Duration::from_secs(60), || {
        let found = receiver.taken().iter().filter(|delivery| rule(delivery) == "SCN-002").count();
        (found >= 40).then_some(())
    });
    wait_for("readiness", Duration::from_secs(30), || (get(&agent.url("/readyz"))?.0 == 200).then_some(()));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_large_state_that_is_corrupt_ends_the_agent_and_is_set_aside_by_the_next() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    fill(&root.join("state"), 70);
    let database = root.join("state/lanner.db");
    let mut bytes = std::fs::read(&database).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 65536].fill(0xff);
    std::fs::write(&database, bytes).expect("there is space");
    let agent = Agent::start(root, "sources: {filesystem: [{name: models, paths: [models]}]}\n");
    let port = agent.port;
    assert_eq!(agent.ended(), Some(1));
    let log = std::fs::read_to_string(root.join("agent.log")).expect("it was written");
    assert!(log.contains("the state is corrupt, and the agent stops"), "{log}");
    assert!(!root.join("state/lanner.db.corrupt-1").exists(), "it is in use until the end");
    let agent = Agent::start_again(root, port).ready();
    assert!(root.join("state/lanner.db.corrupt-1").exists(), "what was corrupt is kept for a person");
    assert_eq!(agent.stop(), Some(0));
    assert!(!root.join("state/lanner.db.condemned").exists(), "it counts once");
}

/// An inventory of so many MiB.
fn fill(state: &Path, mebibytes: u8) {
    let state = State::open(state, Mode::Agent).expect("a new state can be made").state;
    for index in 0..mebibytes {
        let mut report = Report { format: "text".to_owned(), ..Report::default() };
        report.facts.insert("artifact.note".to_owned(), "x".repeat(1 << 20).into());
        let sha256 = Sha256::of(&[index]);
        let blob = Blob { sha256, size: 1, hint: String::new(), report, segments: Vec::new() };
        let seen = Seen {
            key: format!("/elsewhere/{index}"),
            kind: RecordKind::Artifact,
            signature: "s".to_owned(),
            subject: format!("/elsewhere/{index}"),
            lineage: None,
            path: None,
            version: None,
            blob: Some(blob),
            portrait: Portrait::default(),
            read: true,
            attributes: Fields::new(),
        };
        let records = vec![RecordChange::Put(Box::new(seen))];
        let commit = Commit { source: "elsewhere".to_owned(), records, ..Commit::default() };
        state.commit(&[commit]).expect("it commits");
    }
}
