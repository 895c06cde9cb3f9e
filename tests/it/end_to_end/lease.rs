//! Two agents that could poll one hub: one does, and the other goes on when it is gone.

use std::time::Duration;

use crate::peers::hub::start;
use crate::peers::kube::{Kube, TOKEN};
use crate::support::program::Agent;
use crate::support::{get, peers, wait_for};

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

#[test]
fn a_lease_of_kubernetes_is_renewed_handed_on_and_lost() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let (hub, kube) = (start(&[("team/model", &[("config.json", b"{}")])]), Kube::start());
    std::fs::write(root.join("token"), TOKEN).expect("there is space");
    std::fs::write(root.join("namespace"), "mlops").expect("there is space");
    let config = format!(
        "sources:\n  huggingface: [{{name: hub, endpoint: \"{}\", repositories: [team/model], sweep_interval_secs: 1}}]\n\
         leases: [{{source: hub, kubernetes: {{name: lanner-hub, server: \"{}\", service_account: \"{}\"}}}}]\n",
        hub.url,
        kube.url,
        root.display()
    );
    let agent = |name: &str| {
        let folder = root.join(name);
        std::fs::create_dir(&folder).expect("there is space");
        Agent::start(&folder, &config).ready()
    };
    let says = |agent: &Agent, what: &str| {
        let status = get(&agent.url("/api/v1/status")).map(|(_, text)| text).unwrap_or_default();
        status.contains(what)
    };
    let polls = |agent: &Agent| agent.metric("lanner_source_requests_total", "hub") > 0.0;
    let first = agent("first");
    assert!(polls(&first));
    let second = agent("second");
    wait_for("the second to stand by", Duration::from_secs(30), || says(&second, "another agent polls").then_some(()));
    assert!(!polls(&second), "it asks for nothing");
    let lease = kube.lease("lanner-hub").expect("it was made");
    assert_eq!(lease["metadata"]["labels"]["team"], "platform", "what others wrote there stays");
    std::fs::write(root.join("lease.json"), lease.to_string()).expect("there is space");
    let validate = std::process::Command::new(peers().join("venv/bin/kubernetes-validate"))
        .arg(root.join("lease.json"))
        .output()
        .expect("it starts");
    assert!(validate.status.success(), "{validate:?}");

    // Whoever stops hands it on at once.
    assert_eq!(first.stop(), Some(0));
    wait_for("the second to go on", Duration::from_secs(10), || polls(&second).then_some(()));
    // Whoever cannot renew it gives up before others may take it.
    let third = agent("third");
    wait_for("the third to stand by", Duration::from_secs(30), || says(&third, "another agent polls").then_some(()));
    kube.set_down(true);
    wait_for("the second to give up", Duration::from_secs(30), || {
        says(&second, "the Lease mlops/lanner-hub").then_some(())
    });
    assert!(!polls(&third), "nobody knows that it may");
    kube.set_down(false);
    wait_for("one of them to go on", Duration::from_secs(40), || {
        (says(&second, "another agent polls") || says(&third, "another agent polls")).then_some(())
    });
    // And whoever is killed is waited for.
    let (holder, other) = if says(&second, "another agent polls") { (third, second) } else { (second, third) };
    let before = other.metric("lanner_source_requests_total", "hub");
    holder.kill();
    wait_for("the other to go on", Duration::from_mins(1), || {
        (other.metric("lanner_source_requests_total", "hub") > before).then_some(())
    });
    let transitions = kube.lease("lanner-hub").expect("it is there")["spec"]["leaseTransitions"].as_u64();
    assert!(transitions >= Some(2), "{transitions:?}");
    assert_eq!(other.stop(), Some(0));
}
