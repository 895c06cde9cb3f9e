//! Artifacts that are too large to be fetched: looked into by parts, in real stores, and what such a look does not say.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lanner::event::Sha256;

use super::{calls_os_system, rule, rules, subject};
use crate::peers::hub;
use crate::peers::objects::Store;
use crate::peers::registry::Registry;
use crate::support::program::{Agent, lanner_in, stdout};
use crate::support::receiver::Receiver;
use crate::support::{python, wait_for};

/// Bytes of weights in each artifact.
const WEIGHTS: usize = 24 << 20;
/// What is fetched whole.
const WHOLE_MAX: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells of every artifact that was looked into in parts, as long as no digest is claimed to be known.
const RULE: &str = "title: Looked into in parts
id: 0b8f4f2e-70a8-4a86-8a5a-4f0d4e2a9c11
status: test
description: Says which artifacts were looked into in parts.
tags: [atlas.aml.t0018]
logsource: {category: artifact_scan}
detection:
  parts: {artifact.partial: true}
  digest: {artifact.hash|exists: true}
  condition: parts and not digest
level: low
falsepositives: [none]
lanner:
  short_id: TST-004
  atlas_version: \"2026.09\"
  phase: operations
  mitigations: [AML.M0014]
  tests:
    - {name: hit, event: {artifact.partial: true}, match: true}
    - {name: miss, event: {artifact.partial: true, artifact.hash: 'sha256:00'}, match: false}
";

/// An archive as PyTorch writes it, its pickle and directory behind the weights.
fn torch(pickle: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let (path, data) = (folder.path().join("model.pt"), folder.path().join("data.pkl"));
    std::fs::write(&data, pickle).expect("there is space");
    let script = format!(
        "import sys, zipfile\n\
         with zipfile.ZipFile(sys.argv[1], 'w') as archive:\n\
        \x20   archive.writestr('model/data/0', bytes({WEIGHTS}))\n\
        \x20   archive.writestr('model/data.pkl', open(sys.argv[2], 'rb').read())\n\
        \x20   archive.writestr('model/version', b'3')\n"
    );
    let made = Command::new(python()).args(["-c", &script]).arg(&path).arg(&data).status();
    assert!(made.expect("Python can be run").success());
    std::fs::read(&path).expect("it was written")
}

fn safetensors() -> Vec<u8> {
    let header = format!("{{\"w\":{{\"dtype\":\"U8\",\"shape\":[{WEIGHTS}],\"data_offsets\":[0,{WEIGHTS}]}}}}");
    let header = header.as_bytes();
    [&(header.len() as u64).to_le_bytes(), header, &vec![0; WEIGHTS]].concat()
}

/// A model with this chat template.
fn gguf(template: &str) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend([1_u64.to_le_bytes(), 1_u64.to_le_bytes()].concat());
    bytes.extend([text("tokenizer.chat_template"), 8_u32.to_le_bytes().to_vec(), text(template)].concat());
    bytes.extend([text("token_embd.weight"), 1_u32.to_le_bytes().to_vec()].concat());
    bytes.extend([(WEIGHTS as u64 / 4).to_le_bytes().as_slice(), &0_u32.to_le_bytes(), &0_u64.to_le_bytes()].concat());
    bytes.resize(bytes.len().next_multiple_of(32) + WEIGHTS, 0);
    bytes
}

const BENIGN: &[u8] = b"\x80\x02}q\x00X\x06\x00\x00\x00weightq\x01K\x01s.";
const TEMPLATE: &str = "{% for message in messages %}{{ message['content'] }}{% endfor %}";
const ATTACK: &str = "{{ cycler.__init__.__globals__.os.popen('id').read() }}";

fn start(root: &Path, source: &str, receiver: &Receiver) -> Agent {
    std::fs::write(root.join("rule.yml"), RULE).expect("there is space");
    let config = format!(
        "rules: {{paths: [rule.yml]}}\nsources:\n  {source}\nsinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        receiver.url()
    );
    Agent::start(root, &config).ready()
}

/// Names of what this rule told of.
fn told(receiver: &Receiver, id: &str) -> Vec<String> {
    let mut all: Vec<String> = receiver.taken().iter().filter(|delivery| rule(delivery) == id).map(subject).collect();
    all.sort();
    all.dedup();
    all
}

fn sweeps(agent: &Agent) {
    let before = agent.metric("lanner_rescans_total", "large");
    wait_for("two listings", PATIENCE, || {
        (agent.metric("lanner_rescans_total", "large") >= before + 2.0).then_some(())
    });
}

#[test]
fn large_objects_are_looked_into_by_parts_once_and_nothing_is_said_of_their_digest() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let store = Store::seaweed();
    store.make_bucket("models");
    let attack = torch(&calls_os_system("owned"));
    let objects = [
        ("attack.pt", attack.clone()),
        ("twin.pt", torch(BENIGN)),
        ("twin.safetensors", safetensors()),
        ("attack.gguf", gguf(ATTACK)),
        ("twin.gguf", gguf(TEMPLATE)),
    ];
    for (key, bytes) in &objects {
        store.put("models", key, bytes);
    }
    store.put("models", "small.pkl", BENIGN);
    std::fs::write(root.join("credentials"), store.credentials(true)).expect("there is space");
    let receiver = Receiver::start();
    let source = format!(
        "objects: [{{name: large, url: \"s3://models\", endpoint: \"{}\", credentials_file: credentials, \
         artifact_bytes_max: {WHOLE_MAX}, sweep_interval_secs: 1}}]",
        store.endpoint(&store.address())
    );
    let agent = start(root, &source, &receiver);
    let looked = |agent: &Agent| agent.metric("lanner_artifacts_in_parts_total", "large");
    wait_for("all large ones to be looked into", PATIENCE, || {
        (told(&receiver, "TST-004").len() == objects.len()).then_some(())
    });
    wait_for("what they hold", PATIENCE, || (!told(&receiver, "SCN-002").is_empty()).then_some(()));
    sweeps(&agent);
    assert_eq!(looked(&agent), 5.0, "each of them once");
    assert_eq!(told(&receiver, "SCN-002"), ["s3://models/attack.pt"]);
    let alarms = receiver.taken().into_iter().filter(|delivery| rule(delivery) != "TST-004");
    let (mut about, mut digests) = (Vec::new(), 0);
    for delivery in alarms {
        about.push(subject(&delivery));
        digests += usize::from(delivery.json().to_string().contains(&Sha256::of(&attack).to_string()));
    }
    about.sort();
    about.dedup();
    assert_eq!(about, ["s3://models/attack.gguf", "s3://models/attack.pt"], "{:?}", rules(&receiver));
    assert_eq!(digests, 0, "nobody has read all of it");
    let (requests, bytes) =
        (agent.metric("lanner_parts_requests_total", "large"), agent.metric("lanner_parts_bytes_total", "large"));
    println!("{requests} requests and {bytes} bytes for {} of {WEIGHTS} bytes each", objects.len());
    assert!(requests <= 30.0 && bytes <= f64::from(12 << 20), "{requests} requests, {bytes} bytes");
    assert_eq!(agent.metric("lanner_events_dropped_total", "oversize"), 0.0);
    let list = lanner_in(root, &["inventory", "--config", "lanner.yaml", "--format", "json", "list", "attack.pt"]);
    assert!(!stdout(&list).contains(&Sha256::of(&attack).to_string()), "{}", stdout(&list));

    // What was looked at is known after a restart, and looked at again when it is another.
    let port = agent.port;
    assert_eq!(agent.stop(), Some(0));
    let agent = Agent::start_again(root, port).ready();
    sweeps(&agent);
    assert_eq!(looked(&agent), 0.0, "nothing changed");
    store.put("models", "twin.pt", &torch(&calls_os_system("late")));
    wait_for("the one that was replaced", PATIENCE, || (told(&receiver, "SCN-002").len() == 2).then_some(()));
    assert_eq!(looked(&agent), 1.0, "and no other");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_large_blob_of_a_registry_is_not_read_through_for_the_digest_in_its_name() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (registry, receiver) = (Registry::start(), Receiver::start());
    let attack = torch(&calls_os_system("owned"));
    registry.artifact("team/clf", "v1", &[("model.pt", &attack)]);
    registry.artifact("team/twin", "v1", &[("model.pt", &torch(BENIGN))]);
    let source = format!(
        "oci: [{{name: large, registry: \"{}\", artifact_bytes_max: {WHOLE_MAX}, sweep_interval_secs: 1}}]",
        registry.host
    );
    let agent = start(directory.path(), &source, &receiver);
    wait_for("both", PATIENCE, || (told(&receiver, "TST-004").len() == 2).then_some(()));
    wait_for("what one of them holds", PATIENCE, || (!told(&receiver, "SCN-002").is_empty()).then_some(()));
    sweeps(&agent);
    let found = told(&receiver, "SCN-002");
    assert!(found.len() == 1 && found[0].contains("team/clf"), "{found:?}");
    let other: Vec<String> =
        rules(&receiver).into_iter().filter(|id| !["SCN-002", "TST-004"].contains(&&**id)).collect();
    println!("beside it: {other:?}");
    assert!(agent.metric("lanner_parts_bytes_total", "large") <= f64::from(6 << 20));
    // What the registry promises is told as that.
    let claimed = format!("\"artifact.hash\":\"sha256:{}\"", Sha256::of(&attack));
    assert!(receiver.taken().iter().all(|delivery| !delivery.json().to_string().contains(&claimed)));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_store_without_ranges_is_told_and_nothing_else_breaks() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let files: [(&str, &[u8]); 2] = [("large.pt", &torch(BENIGN)), ("small.pkl", &calls_os_system("small"))];
    let hub = hub::start(&[("acme/ranker", &files)]);
    hub.hub.lock().expect("no test panics while it holds this").without_ranges = true;
    let receiver = Receiver::start();
    let source = format!(
        "huggingface: [{{name: large, endpoint: \"{}\", repositories: [acme/ranker], \
         artifact_bytes_max: {WHOLE_MAX}, sweep_interval_secs: 1}}]",
        hub.url
    );
    let agent = start(directory.path(), &source, &receiver);
    wait_for("what could not be read", PATIENCE, || {
        let taken = receiver.taken();
        let mut told = taken.iter().filter(|delivery| rule(delivery) == "HLT-003");
        told.any(|delivery| delivery.json().to_string().contains("does not give parts of files")).then_some(())
    });
    wait_for("the small one", PATIENCE, || (!told(&receiver, "SCN-002").is_empty()).then_some(()));
    sweeps(&agent);
    assert_eq!(agent.metric("lanner_events_dropped_total", "oversize"), 1.0, "it is asked for once");
    assert_eq!(told(&receiver, "TST-004"), Vec::<String>::new());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn large_files_of_a_hub_are_not_read_again_for_a_push_that_leaves_them_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let files: [(&str, &[u8]); 3] =
        [("attack.pt", &torch(&calls_os_system("owned"))), ("twin.pt", &torch(BENIGN)), ("config.json", b"{}")];
    let hub = hub::start(&[("acme/ranker", &files)]);
    let receiver = Receiver::start();
    let source = format!(
        "huggingface: [{{name: large, endpoint: \"{}\", repositories: [acme/ranker], \
         artifact_bytes_max: {WHOLE_MAX}, sweep_interval_secs: 1}}]",
        hub.url
    );
    let agent = start(directory.path(), &source, &receiver);
    wait_for("both", PATIENCE, || (told(&receiver, "TST-004").len() == 1).then_some(()));
    wait_for("what one of them holds", PATIENCE, || (!told(&receiver, "SCN-002").is_empty()).then_some(()));
    let looked = || agent.metric("lanner_artifacts_in_parts_total", "large");
    wait_for("both to be looked into", PATIENCE, || (looked() >= 2.0).then_some(()));
    let requests = agent.metric("lanner_parts_requests_total", "large");
    {
        let mut hub = hub.hub.lock().expect("no test panics while it holds this");
        let repository = hub.repositories.get_mut("acme/ranker").expect("it is there");
        repository.files.insert("config.json".to_owned(), b"{\"a\": 1}".to_vec());
        repository.push(false);
    }
    sweeps(&agent);
    sweeps(&agent);
    assert_eq!((looked(), agent.metric("lanner_parts_requests_total", "large")), (2.0, requests));
    let alarms: Vec<String> = rules(&receiver).into_iter().filter(|id| id != "TST-004").collect();
    assert_eq!(alarms, ["SCN-002"]);
    assert_eq!(agent.stop(), Some(0));
}
