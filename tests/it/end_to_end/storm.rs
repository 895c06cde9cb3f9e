//! Directories made and filled faster than any notification can follow.

use std::path::Path;
use std::time::Duration;

use crate::support::program::{Agent, lanner_in, stderr, stdout};
use crate::support::wait_for;

const ROUNDS: usize = 200;

/// `mkdir -p run-N/checkpoint-1`, and a checkpoint in it.
fn storm(root: &Path) {
    for round in 0..ROUNDS {
        let folder = root.join(format!("models/run-{round}/checkpoint-1"));
        std::fs::create_dir_all(&folder).expect("there is space");
        // A pickled number, another one each round, so that each is looked into.
        std::fs::write(folder.join("model.pt"), format!("I{round}\n.")).expect("there is space");
    }
}

fn inspected(root: &Path) -> usize {
    let output = lanner_in(
        root,
        &["inventory", "--config", "lanner.yaml", "--format", "json", "list", "model.pt", "--most", "100000"],
    );
    stdout(&output).lines().filter(|line| line.contains("\"sha256\":\"")).count()
}

#[test]
fn two_hundred_rounds_are_two_hundred_inspections() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    // The sweep is slower than the test waits: what is found is found by notifications and walks.
    let config = "sources: {filesystem: [{name: models, paths: [models], sweep_interval_secs: 600}]}\n";
    let agent = Agent::start(root, config).ready();
    storm(root);
    wait_for("200 of 200", Duration::from_secs(60), || (inspected(root) == ROUNDS).then_some(()));
    assert_eq!(agent.stop(), Some(0));
    a_list_that_is_cut_says_so(root);
}

fn a_list_that_is_cut_says_so(root: &Path) {
    for (verb, most, cut) in [("list", ROUNDS, false), ("list", ROUNDS - 1, true), ("history", 5, true)] {
        let most_text = most.to_string();
        let output = lanner_in(
            root,
            &["inventory", "--config", "lanner.yaml", "--format", "json", verb, "model.pt", "--most", &most_text],
        );
        let lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), most, "{verb}");
        assert!(lines.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{lines:?}");
        assert_eq!(stderr(&output).contains("--most"), cut, "{verb} {most}: {}", stderr(&output));
    }
}

#[test]
fn a_queue_that_overflowed_is_seen_and_made_good() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir_all(root.join("models/noise")).expect("it is empty");
    let config = "sources: {filesystem: [{name: models, paths: [models], sweep_interval_secs: 600, exclude: [\"noise-*\"], \
                  hint_hold_path: hold}]}\n";
    std::fs::write(root.join("hold"), b"").expect("it is empty");
    let agent = Agent::start(root, config).ready();
    // Each file is created and closed after writing: two notifications, and the queue holds 16,384.
    for number in 0..12_000 {
        std::fs::write(root.join(format!("models/noise/noise-{number}")), b"x").expect("there is space");
    }
    storm(root);
    std::fs::remove_file(root.join("hold")).expect("it is there");
    wait_for("200 of 200", Duration::from_secs(120), || (inspected(root) == ROUNDS).then_some(()));
    assert!(agent.metric("lanner_watch_overflows_total", "source=\"models\"") >= 1.0, "the overflow is told");
    assert_eq!(agent.stop(), Some(0));
}
