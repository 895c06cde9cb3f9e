//! A model that is served from a bucket: its object is overwritten behind everybody's back, and everything that looks
//! like it and is harmless.

use std::time::Duration;

use super::{calls_os_system, rule, rules, subject};
use crate::peers::moto::{Moto, Way};
use crate::peers::objects::Store;
use crate::support::program::{Agent, lanner_in, stderr, stdout};
use crate::support::receiver::Receiver;
use crate::support::{free_port, wait_for};

const SWEEP_SECS: u64 = 2;
const KEY: &str = "serving/fraud/model.pkl";

/// A pickle of `{"weight": number}`.
fn weights(number: u8) -> Vec<u8> {
    [b"\x80\x02}q\x00X\x06\x00\x00\x00weightq\x01K".as_slice(), &[number], b"s."].concat()
}

#[test]
fn an_approved_model_overwritten_in_a_bucket_is_found_and_its_benign_twins_are_not() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let store = Store::seaweed();
    store.make_bucket("models");
    store.put("models", KEY, &weights(1));
    let receiver = Receiver::start();
    std::fs::write(root.join("credentials"), store.credentials(true)).expect("there is space");
    let config = format!(
        "sources:\n  objects: [{{name: bucket, url: \"s3://models/serving\", serves: \"*\", endpoint: \"{}\", \
         credentials_file: credentials, sweep_interval_secs: {SWEEP_SECS}}}]\n\
         sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        store.endpoint(&store.address()),
        receiver.url(),
    );
    let agent = Agent::start(root, &config).ready();
    let inventory = |arguments: &[&str]| {
        let all = [&["inventory", "--config", "lanner.yaml", "--format", "json"], arguments].concat();
        let output = lanner_in(root, &all);
        format!("{}{}", stdout(&output), stderr(&output))
    };
    wait_for("the model to be looked into", Duration::from_secs(60), || {
        inventory(&["list", KEY]).contains("\"sha256\":\"").then_some(())
    });
    // A review of the very bytes that are served.
    std::fs::create_dir(root.join("reviewed")).expect("there is space");
    std::fs::write(root.join("reviewed/model.pkl"), weights(1)).expect("there is space");
    let approve =
        ["approve", "fraud", "--from", "reviewed", "--model-version", "1", "--reason", "reviewed", "--by", "eve"];
    let said = inventory(&approve);
    assert!(said.contains("\"approved\""), "{said}");
    wait_for("what is served to count as approved", Duration::from_secs(60), || {
        inventory(&["check", "fraud"]).contains("\"status\":\"approved\"").then_some(())
    });

    // Harmless: the same bytes put again, and another object beside the models.
    let sweeps = agent.metric("lanner_rescans_total", "bucket");
    store.put("models", KEY, &weights(1));
    store.put("models", "elsewhere/fraud/model.pkl", &weights(9));
    store.put("models", "serving/notes.txt", b"what the models are for");
    wait_for("three sweeps", Duration::from_secs(60), || {
        (agent.metric("lanner_rescans_total", "bucket") >= sweeps + 3.0).then_some(())
    });
    assert_eq!(rules(&receiver), Vec::<String>::new(), "nothing of this is worth an alert");
    assert!(inventory(&["check", "fraud"]).contains("\"status\":\"approved\""));

    // The attack: as many bytes, one number apart.
    store.put("models", KEY, &weights(2));
    let attacked = std::time::Instant::now();
    let alert = wait_for("the alert", Duration::from_secs(60), || {
        receiver.taken().into_iter().find(|delivery| rule(delivery) == "INV-001")
    });
    println!("found after {:?} with sweeps every {SWEEP_SECS} s", attacked.elapsed());
    assert!(subject(&alert).contains("s3://models/serving/fraud/model.pkl"), "{}", alert.json());
    // And one that would run something.
    store.put("models", KEY, &calls_os_system("owned"));
    wait_for("the program in it", Duration::from_secs(60), || {
        rules(&receiver).iter().any(|rule| rule == "SCN-002").then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_store_that_tells_of_an_overwritten_model_is_heard_long_before_the_next_listing() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let port = free_port();
    let store = Store::seaweed_telling(&format!("http://127.0.0.1:{port}/api/v1/hints/bucket"));
    store.make_bucket("models");
    store.put("models", KEY, &weights(1));
    let receiver = Receiver::start();
    std::fs::write(root.join("credentials"), store.credentials(true)).expect("there is space");
    let config = format!(
        "state: {{path: state}}\nhttp: {{listen: \"127.0.0.1:{port}\"}}\n\
         sources:\n  objects: [{{name: bucket, url: \"s3://models\", endpoint: \"{}\", \
         credentials_file: credentials, sweep_interval_secs: 86400}}]\n\
         receivers: [{{source: bucket, scheme: bearer}}]\n\
         sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        store.endpoint(&store.address()),
        receiver.url(),
    );
    std::fs::write(root.join("lanner.yaml"), config).expect("there is space");
    let agent = Agent::start_again(root, port).ready();
    store.put("models", KEY, &calls_os_system("owned"));
    let attacked = std::time::Instant::now();
    wait_for("the program in it", Duration::from_secs(60), || {
        rules(&receiver).iter().any(|rule| rule == "SCN-002").then_some(())
    });
    println!("found after {:?} with a listing a day", attacked.elapsed());
    assert!(agent.metric("lanner_hints_received_total", "bucket") > 0.0);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn an_event_in_a_queue_leads_to_an_overwritten_model_and_the_doctor_takes_none() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let moto = Moto::start();
    moto.make_bucket("models");
    moto.put("models", KEY, &weights(1));
    let queue = moto.queue("models", Way::Direct);
    let receiver = Receiver::start();
    std::fs::write(root.join("credentials"), "AWS_ACCESS_KEY_ID=AKIATEST\nAWS_SECRET_ACCESS_KEY=secret\n")
        .expect("there is space");
    let config = |queue: &str| {
        format!(
            "sources:\n  objects: [{{name: bucket, url: \"s3://models\", endpoint: \"{}\", events: {{sqs: \"{queue}\"}}, \
             credentials_file: credentials, sweep_interval_secs: 86400}}]\n\
             sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
            moto.url,
            receiver.url(),
        )
    };
    let doctor = |queue: &str| {
        std::fs::write(root.join("doctor.yaml"), format!("state: {{path: state}}\n{}", config(queue)))
            .expect("there is space");
        let output = lanner_in(root, &["doctor", "--config", "doctor.yaml", "--timeout", "20"]);
        (output.status.code(), stdout(&output))
    };
    let waiting = moto.messages(&queue);
    assert!(waiting > 0, "the store says that it begins to tell");
    let (code, said) = doctor(&queue);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(moto.messages(&queue), waiting, "the doctor takes nothing");
    let (code, said) = doctor(&queue.replace("lanner", "none"));
    assert!(code == Some(1) && said.contains("is there such a queue"), "{said}");

    let agent = Agent::start(root, &config(&queue)).ready();
    // Harmless: the same bytes again, and other weights.
    moto.put("models", KEY, &weights(1));
    moto.put("models", KEY, &weights(2));
    let hints = |outcome: &str| agent.metric("lanner_hints_received_total", &format!("outcome=\"{outcome}\""));
    wait_for("both to be heard of", Duration::from_secs(60), || (hints("taken") >= 2.0).then_some(()));
    assert_eq!(rules(&receiver), Vec::<String>::new(), "nothing of this is worth an alert");
    moto.put("models", KEY, &calls_os_system("owned"));
    let attacked = std::time::Instant::now();
    wait_for("the program in it", Duration::from_secs(60), || {
        rules(&receiver).iter().any(|rule| rule == "SCN-002").then_some(())
    });
    println!("found after {:?} with a listing a day", attacked.elapsed());
    wait_for("the queue to be empty", Duration::from_secs(60), || (moto.messages(&queue) == 0).then_some(()));
    assert_eq!(agent.stop(), Some(0));
}
