//! Receivers that are down, and receivers that refuse.

use std::time::Duration;

use super::{calls_os_system, rule, subject};
use crate::support::program::{Agent, lanner_in, stdout};
use crate::support::receiver::Receiver;
use crate::support::{free_port, wait_for};

const FINDINGS: usize = 40;

fn write(root: &std::path::Path, number: usize) {
    let name = format!("models/m-{number:03}.pkl");
    std::fs::write(root.join(name), calls_os_system(&format!("word-{number}"))).expect("there is space");
}

#[test]
fn what_was_found_while_receivers_were_down_arrives_in_order() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    let (hook, manager) = (free_port(), free_port());
    let config = format!(
        "sources: {{filesystem: [{{name: models, paths: [models], settle_millis: 50}}]}}\n\
         sinks:\n  webhook: [{{name: hook, url: \"http://127.0.0.1:{hook}/hook\"}}]\n\
         \x20 alertmanager: [{{name: manager, url: \"http://127.0.0.1:{manager}\", resend_secs: 3600}}]\n\
         \x20 file: [{{name: file, path: alerts.jsonl}}]\n"
    );
    let agent = Agent::start(root, &config).ready();
    for number in 0..FINDINGS {
        write(root, number);
    }
    let file = root.join("alerts.jsonl");
    let lines = || std::fs::read_to_string(&file).unwrap_or_default();
    let scans = |text: &str| text.lines().filter(|line| line.contains("\"SCN-002\"")).count();
    wait_for("the file to hold every finding", Duration::from_secs(60), || (scans(&lines()) >= FINDINGS).then_some(()));
    assert_eq!(agent.metric("lanner_sink_up", "sink=\"hook\""), 0.0);
    wait_for("the queue in a metric", Duration::from_secs(20), || {
        (agent.metric("lanner_sink_queue_length", "sink=\"hook\"") >= 1.0).then_some(())
    });
    // Down for the whole run, restart included.
    let port = agent.port;
    assert_eq!(agent.stop(), Some(0));
    let agent = Agent::start_again(root, port).ready();

    let hook = Receiver::on(hook, |_| (200, Vec::new()));
    let manager = Receiver::on(manager, |_| (200, Vec::new()));
    let order: Vec<String> = lines()
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON")["id"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    wait_for("the webhook to take everything", Duration::from_secs(120), || {
        (hook.taken().len() >= order.len()).then_some(())
    });
    let ids: Vec<String> = hook.taken().iter().map(|delivery| delivery.header("webhook-id").to_owned()).collect();
    assert_eq!(ids, order, "in the order in which they were found");
    let posted = || -> Vec<String> {
        let batches = manager.taken();
        let alerts = batches.iter().flat_map(|delivery| delivery.json().as_array().cloned().unwrap_or_default());
        alerts.map(|alert| alert["annotations"]["alert_id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    wait_for("Alertmanager to take everything", Duration::from_secs(120), || {
        (posted().len() >= order.len()).then_some(())
    });
    assert_eq!(posted(), order);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_a_receiver_refuses_goes_on_the_dead_letter_list_and_the_rest_goes_on() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    let mended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mends = std::sync::Arc::clone(&mended);
    let receiver = Receiver::on(free_port(), move |delivery| {
        let refuses = delivery.body.contains("m-003.pkl") && !mends.load(std::sync::atomic::Ordering::Relaxed);
        (if refuses { 400 } else { 200 }, Vec::new())
    });
    let config = format!(
        "sources: {{filesystem: [{{name: models, paths: [models], settle_millis: 50}}]}}\n\
         sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
        receiver.url()
    );
    let agent = Agent::start(root, &config).ready();
    for number in 0..8 {
        write(root, number);
    }
    let found = || receiver.taken().iter().filter(|delivery| rule(delivery) == "SCN-002").count();
    wait_for("the other seven", Duration::from_secs(60), || (found() >= 7).then_some(()));
    let list = || {
        stdout(&lanner_in(root, &["alerts", "--config", "lanner.yaml", "--format", "json", "list", "--dead-letters"]))
    };
    let letters = wait_for("the refused one on the list", Duration::from_secs(20), || {
        let letters = list();
        letters.contains("SCN-002").then_some(letters)
    });
    assert!(letters.contains("400"), "the receiver's reason is told: {letters}");
    assert!(agent.metric("lanner_sink_dead_letters_total", "sink=\"hook\"") >= 1.0);

    mended.store(true, std::sync::atomic::Ordering::Relaxed);
    let retried = lanner_in(root, &["alerts", "--config", "lanner.yaml", "retry"]);
    assert!(retried.status.success(), "{}", stdout(&retried));
    wait_for("the refused one, tried again", Duration::from_secs(30), || {
        receiver.taken().iter().any(|delivery| subject(delivery).contains("m-003.pkl")).then_some(())
    });
    wait_for("an empty list", Duration::from_secs(10), || list().is_empty().then_some(()));
}

#[test]
fn a_receiver_that_asks_to_wait_is_waited_for_and_one_that_is_gone_is_left_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    let count = std::sync::atomic::AtomicUsize::new(0);
    let busy = Receiver::on(free_port(), move |_| {
        let first = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        if first { (429, vec![("retry-after", "2".to_owned())]) } else { (200, Vec::new()) }
    });
    let gone = Receiver::on(free_port(), |_| (410, Vec::new()));
    let config = format!(
        "sources: {{filesystem: [{{name: models, paths: [models], settle_millis: 50}}]}}\n\
         sinks: {{webhook: [{{name: busy, url: \"{}\"}}, {{name: gone, url: \"{}\"}}]}}\n",
        busy.url(),
        gone.url()
    );
    let agent = Agent::start(root, &config).ready();
    let began = std::time::Instant::now();
    for number in 0..3 {
        write(root, number);
    }
    wait_for("all three", Duration::from_secs(60), || (busy.taken().len() >= 3).then_some(()));
    assert!(began.elapsed() >= Duration::from_secs(2), "the wait that was asked for is kept");
    assert_eq!(gone.deliveries().len(), 1, "410 means: do not call again");
    let status = crate::support::get(&agent.url("/api/v1/status")).expect("it answers").1;
    assert!(status.contains("\"gone\":true"), "{status}");
}
