//! Two agents that could poll one hub: one does, and the other goes on when it is gone.

use std::time::Duration;

use crate::peers::hub::start;
use crate::support::program::Agent;
use crate::support::{get, wait_for};

#[test]
fn one_of_two_agents_polls_and_the_other_takes_over() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let hub = start(&[("team/model", &[("config.json", b"{}")])]);
    let config = format!(
        "sources:\n  huggingface: [{{name: hub, endpoint: \"{}\", repositories: [team/model], sweep_interval_secs: 1}}]\n\
         leases: [{{source: hub, file: \"{}/hub.lock\"}}]\n",
        hub.url,
        directory.path().display()
    );
    let agent = |name: &str| {
        let folder = directory.path().join(name);
        std::fs::create_dir(&folder).expect("there is space");
        Agent::start(&folder, &config).ready()
    };
    let first = agent("first");
    let second = agent("second");
    assert!(first.metric("lanner_source_requests_total", "hub") > 0.0);
    let verbose = |agent: &Agent| get(&agent.url("/api/v1/status")).map(|(_, text)| text).unwrap_or_default();
    wait_for("the second to stand by", Duration::from_secs(30), || {
        verbose(&second).contains("another agent polls").then_some(())
    });
    assert!(second.metric("lanner_source_requests_total", "hub") < 0.5, "it asks for nothing");
    first.kill();
    wait_for("the second to go on", Duration::from_mins(1), || {
        (second.metric("lanner_source_requests_total", "hub") > 0.0).then_some(())
    });
    wait_for("no more standing by", Duration::from_secs(30), || {
        (!verbose(&second).contains("another agent polls")).then_some(())
    });
    assert_eq!(second.stop(), Some(0));
}
