//! Killed at random points, nothing is lost and nothing gets a second identity.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{calls_os_system, rule, subject};
use crate::support::program::Agent;
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
    let config = format!(
        "sources: {{filesystem: [{{name: models, paths: [models], settle_millis: 50, sweep_interval_secs: 5}}]}}\n\
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
    assert_eq!(agent.stop(), Some(0));
}
