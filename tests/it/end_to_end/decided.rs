//! What people decide about bytes that lie there already, and what happens to approved files afterwards.

use std::path::PathBuf;
use std::time::Duration;

use super::{rule, rules};
use crate::support::program::{Agent, lanner_in, stderr, stdout};
use crate::support::receiver::Receiver;
use crate::support::wait_for;

struct Node {
    directory: tempfile::TempDir,
    receiver: Receiver,
    agent: Option<Agent>,
}

impl Node {
    /// A node that serves `encoder`, with these bytes in place.
    fn serving(bytes: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let root = directory.path();
        std::fs::create_dir(root.join("serve")).expect("it is empty");
        std::fs::write(root.join("serve/model.bin"), bytes).expect("there is space");
        let receiver = Receiver::start();
        let config = format!(
            "sources: {{filesystem: [{{name: node, paths: [serve], serves: encoder, settle_millis: 100, settle_max_secs: 1}}]}}\n\
             sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
            receiver.url()
        );
        let agent = Some(Agent::start(root, &config).ready());
        Self { directory, receiver, agent }
    }

    fn served(&self) -> PathBuf {
        self.directory.path().join("serve/model.bin")
    }

    fn inventory(&self, arguments: &[&str]) -> String {
        let all = [&["inventory", "--config", "lanner.yaml", "--format", "json"], arguments].concat();
        let output = lanner_in(self.directory.path(), &all);
        stdout(&output) + &stderr(&output)
    }

    /// Decides about bytes as a version of a model.
    fn decide(&self, model: &str, version: &str, bytes: &str, more: &[&str]) {
        let from = self.directory.path().join(format!("{model}-{version}"));
        std::fs::create_dir_all(&from).expect("there is space");
        std::fs::write(from.join("model.bin"), bytes).expect("there is space");
        let from = from.display().to_string();
        let fixed = ["approve", model, "--model-version", version, "--from", &from, "--reason", "reviewed"];
        let text = self.inventory(&[&fixed, more].concat());
        assert!(text.contains("\"root\""), "{text}");
    }

    /// Puts bytes into service, and waits until the agent has seen them.
    fn serve(&self, bytes: &str) {
        std::fs::write(self.served(), bytes).expect("there is space");
        let digest = lanner::event::Sha256::of(bytes.as_bytes()).to_string();
        wait_for("the agent to have seen what is served", Duration::from_secs(20), || {
            self.inventory(&["check"])
                .lines()
                .any(|line| line.contains(&format!("\"sha256\":\"{digest}\"")))
                .then_some(())
        });
    }

    fn told(&self, wanted: &str) -> usize {
        rules(&self.receiver).iter().filter(|rule| *rule == wanted).count()
    }

    /// Waits until a rule has told so often; what the last time says.
    fn tells(&self, wanted: &str, times: usize, what: &str) -> String {
        wait_for(what, Duration::from_secs(20), || (self.told(wanted) == times).then_some(()));
        let taken = self.receiver.taken();
        let last = taken.iter().rfind(|delivery| rule(delivery) == wanted).expect("it was just counted");
        last.json().to_string()
    }

    fn stop(mut self) {
        assert_eq!(self.agent.take().and_then(Agent::stop), Some(0));
    }
}

#[test]
fn what_lies_there_when_somebody_decides_is_judged_again() {
    let node = Node::serving("one");
    std::thread::sleep(Duration::from_secs(1));
    node.decide("encoder", "2", "two", &[]);
    let text = node.tells("INV-002", 1, "bytes that were there before anything was approved");
    assert!(text.contains("unapproved") && text.contains("artifact.approval.expected_hash"), "{text}");

    node.serve("two");
    node.decide("encoder", "2", "two", &["--revoke"]);
    let text = node.tells("INV-002", 2, "bytes that are served when they are revoked");
    assert!(text.contains("revoked"), "{text}");
    // Approved again, and revoked again: that is news, however short the time.
    node.decide("encoder", "2", "two", &[]);
    std::thread::sleep(Duration::from_secs(5));
    node.decide("encoder", "2", "two", &["--revoke"]);
    node.tells("INV-002", 3, "the same, after it was put right");

    // The next version is approved: the one before may stay for an hour, and no longer.
    node.decide("encoder", "2", "two", &[]);
    std::thread::sleep(Duration::from_secs(5));
    node.decide("encoder", "3", "three", &[]);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(node.told("INV-002"), 3, "whoever approves a version has a while to put it there");
    let path = node.directory.path().join("state/lanner.db");
    let database = rusqlite::Connection::open(path).expect("it can be opened");
    database.busy_timeout(Duration::from_secs(5)).expect("it can be set");
    node.decide("encoder", "4", "four", &[]);
    let older = "UPDATE decision SET time = time - 3600000 WHERE id < (SELECT max(id) FROM decision)";
    database.execute_batch(older).expect("it can be written");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(node.told("INV-002"), 3, "a younger decision has a while of its own");
    database.execute_batch("UPDATE decision SET time = time - 3600000").expect("it can be written");
    let text = node.tells("INV-002", 4, "a version that did not make way");
    assert!(text.contains("superseded"), "{text}");

    // What was told of as superseded is told of at once when it is revoked.
    node.decide("encoder", "2", "two", &["--revoke"]);
    let text = node.tells("INV-002", 5, "a version that did not make way, and is revoked");
    assert!(text.contains("revoked"), "{text}");
    node.stop();
}

#[test]
fn a_decision_made_while_the_agent_is_away_is_not_overlooked() {
    let mut node = Node::serving("one");
    node.decide("encoder", "1", "one", &[]);
    std::thread::sleep(Duration::from_secs(5));
    let agent = node.agent.take().expect("it runs");
    let port = agent.port;
    assert_eq!(agent.stop(), Some(0));
    node.decide("encoder", "1", "one", &["--revoke"]);
    node.agent = Some(Agent::start_again(node.directory.path(), port).ready());
    node.tells("INV-002", 1, "what was revoked meanwhile");
    node.stop();
}

#[test]
fn a_place_that_serves_a_model_from_now_on_is_judged_though_its_bytes_are_the_same() {
    let mut node = Node::serving("one");
    let path = node.directory.path().join("lanner.yaml");
    let text = std::fs::read_to_string(&path).expect("it was written");
    let agent = node.agent.take().expect("it runs");
    let port = agent.port;
    assert_eq!(agent.stop(), Some(0));
    std::fs::write(&path, text.replace("encoder", "other")).expect("there is space");
    node.agent = Some(Agent::start_again(node.directory.path(), port).ready());
    node.decide("encoder", "2", "two", &[]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(node.told("INV-002"), 0, "nothing of the model is served");
    assert_eq!(node.agent.take().and_then(Agent::stop), Some(0));
    std::fs::write(&path, text).expect("there is space");
    node.agent = Some(Agent::start_again(node.directory.path(), port).ready());
    node.tells("INV-002", 1, "what is served from now on");
    node.stop();
}

#[test]
fn approved_files_that_leave_come_back_as_others_or_are_exchanged_are_told() {
    let node = Node::serving("two");
    node.decide("encoder", "1", "one", &[]);
    node.decide("encoder", "2", "two", &[]);
    node.decide("ranker", "1", "ranks", &[]);
    std::thread::sleep(Duration::from_secs(4));

    node.serve("evil");
    node.tells("INV-001", 1, "bytes that nobody approved");
    node.serve("two");
    node.serve("evil");
    node.tells("INV-001", 2, "the same again, after the approved bytes were back");
    node.serve("two");
    node.serve("ranks");
    let text = node.tells("INV-001", 3, "approved bytes of another model");
    assert!(text.contains("exchanged") && text.contains("ranker"), "{text}");
    node.serve("two");

    for (time, bytes) in [(1, "one"), (2, "one")] {
        std::fs::remove_file(node.served()).expect("it is there");
        let text = node.tells("INV-006", time, "an approved file that is gone");
        assert!(text.contains("previous_status"), "{text}");
        node.serve(bytes);
        node.tells("INV-003", time, "an older version that comes back by a detour");
        node.serve("two");
    }
    assert_eq!(node.told("INV-002"), 0, "what was there is known, though it was away");

    // Something that nothing could read in time.
    let file = std::fs::File::create(node.served()).expect("it can be written");
    file.set_len(16 << 40).or_else(|_| file.set_len(8 << 40)).expect("the file system knows holes");
    drop(file);
    let text = node.tells("INV-001", 4, "bytes that cannot be read in the place of approved ones");
    assert!(text.contains("unread"), "{text}");
    node.stop();
}

#[test]
fn an_approved_file_that_cannot_be_read_any_more_is_not_approved() {
    let node = Node::serving("one");
    node.decide("encoder", "1", "one", &[]);
    let status = |wanted: &str| {
        wait_for(wanted, Duration::from_secs(30), || {
            node.inventory(&["check"]).contains(&format!("\"status\":\"{wanted}\"")).then_some(())
        });
    };
    status("approved");
    std::thread::sleep(Duration::from_secs(4));

    // Whoever may read everything can read no file that never holds still.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let path = node.served();
    let writer = std::thread::spawn(move || {
        while stopped.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty) {
            std::fs::write(&path, "evil").expect("there is space");
            std::thread::sleep(Duration::from_micros(200));
        }
    });
    status("unread");
    let text = node.tells("INV-001", 1, "a file that cannot be read in the place of an approved one");
    assert!(text.contains("unread"), "{text}");
    let output = lanner_in(node.directory.path(), &["inventory", "--config", "lanner.yaml", "check"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    drop(stop);
    writer.join().expect("it writes to its end");

    let text = node.tells("INV-001", 2, "what it holds, once it can be read");
    assert!(text.contains("unapproved"), "{text}");
    node.serve("one");
    status("approved");
    node.stop();
}
