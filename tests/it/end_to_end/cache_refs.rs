//! What becomes of references, snapshots and listings in the cache of the hub's own client, which makes them here.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lanner::event::Sha256;

use super::subject;
use crate::peers::hub::{Running, start};
use crate::support::program::{Agent, stderr};
use crate::support::receiver::Receiver;
use crate::support::{python, wait_for};

const ID: &str = "acme/ranker";
const FILES: [(&str, &[u8]); 3] =
    [("config.json", b"{}"), ("modeling.py", b"x = 1\n"), ("model.bin", b"weights, and no pickle")];
/// Longer than the client takes between a snapshot and the reference to it.
const LONG: Duration = Duration::from_secs(6);

/// The hub, a folder of caches, and an agent that watches it.
struct World {
    folder: tempfile::TempDir,
    hub: Running,
    receiver: Receiver,
    agent: Option<Agent>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        std::fs::create_dir(folder.path().join("home")).expect("there is space");
        Self { folder, hub: start(&[(ID, &FILES)]), receiver: Receiver::start(), agent: None }
    }

    fn watch(&mut self) {
        let config = format!(
            "sources:\n  filesystem: [{{name: cache, paths: [home], sweep_interval_secs: 1, settle_millis: 100}}]\n\
             sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
            self.receiver.url()
        );
        self.agent = Some(Agent::start(self.folder.path(), &config).ready());
    }

    fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join("home").join(name)
    }

    fn repository(&self, name: &str) -> PathBuf {
        self.home(name).join("hub/models--acme--ranker")
    }

    /// Runs the hub's own client.
    fn client(&self, name: &str, call: &str) {
        let output = Command::new(python())
            .args(["-c", &format!("from huggingface_hub import hf_hub_download, snapshot_download\n{call}")])
            .env("HF_ENDPOINT", &self.hub.url)
            .env("HF_HOME", self.home(name))
            .env("HF_HUB_DISABLE_TELEMETRY", "1")
            .env("HF_HUB_DISABLE_XET", "1")
            .output()
            .expect("Python can be run");
        assert!(output.status.success(), "{}", stderr(&output));
    }

    /// A commit on the hub: the file is another. The commit.
    fn push(&self, file: &str, bytes: &[u8]) -> String {
        let mut hub = self.hub.hub.lock().expect("no test panics while it holds this");
        let repository = hub.repositories.get_mut(ID).expect("it is there");
        repository.earlier.insert(repository.commit.clone(), repository.files.clone());
        repository.files.insert(file.to_owned(), bytes.to_vec());
        repository.push(false);
        repository.commit.clone()
    }

    fn looks(&self) {
        let agent = self.agent.as_ref().expect("it watches");
        let before = agent.metric("lanner_rescans_total", "source=\"cache\"");
        wait_for("three walks", Duration::from_mins(1), || {
            (agent.metric("lanner_rescans_total", "source=\"cache\"") >= before + 3.0).then_some(())
        });
    }

    /// Lets what is there grow old.
    fn age(&self) {
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            self.looks();
        }
    }

    fn told(&self) -> BTreeSet<(String, String)> {
        let all = self.receiver.taken().into_iter().map(|one| (super::rule(&one), subject(&one)));
        all.filter(|(rule, _)| rule.starts_with("SCN-040")).collect()
    }

    #[track_caller]
    fn tells(&self, expected: &[(&str, &Path)]) {
        let expected: BTreeSet<_> =
            expected.iter().map(|(rule, path)| ((*rule).to_owned(), path.display().to_string())).collect();
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.told() != expected && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
        self.looks();
        assert_eq!(self.told(), expected);
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("there is space");
}

#[test]
fn a_reference_that_moves_without_a_download_is_told_and_what_the_client_does_is_not() {
    let mut world = World::new();
    world.client("a", "snapshot_download('acme/ranker')");
    let main = world.repository("a").join("refs/main");
    let first = std::fs::read_to_string(&main).expect("the client wrote it");
    world.watch();
    world.age();
    // Benign twins: a commit that is fetched whole, one of which a file is, and one that was fetched by its own name first.
    world.push("modeling.py", b"x = 2\n");
    world.client("a", "snapshot_download('acme/ranker')");
    world.push("config.json", b"{\"a\": 1}");
    world.client("a", "hf_hub_download('acme/ranker', 'config.json')");
    world.age();
    let last = world.push("config.json", b"{\"a\": 2}");
    world.client("a", &format!("snapshot_download('acme/ranker', revision='{last}')"));
    world.age();
    world.client("a", "snapshot_download('acme/ranker')");
    assert_eq!(std::fs::read_to_string(&main).expect("it is there"), last);
    world.looks();
    world.tells(&[]);

    write(&main, &first);
    world.tells(&[("SCN-040f", &main)]);
    // The client sets it right.
    world.client("a", "snapshot_download('acme/ranker')");
    assert_eq!(std::fs::read_to_string(&main).expect("it is there"), last);
    world.tells(&[("SCN-040f", &main)]);
    // A snapshot that somebody made of what is there.
    let planted = world.repository("a").join("snapshots").join("0".repeat(40));
    std::fs::create_dir(&planted).expect("there is space");
    let blob = std::fs::read_link(world.repository("a").join("snapshots").join(&first).join("modeling.py"));
    symlink(blob.expect("it is a link"), planted.join("modeling.py")).expect("there is space");
    world.age();
    write(&main, &"0".repeat(40));
    world.tells(&[("SCN-040f", &main), ("SCN-040g", &main)]);
    assert_eq!(world.agent.take().expect("it watches").stop(), Some(0));
}

#[test]
fn what_a_reference_led_to_before_decides_whether_it_was_led_back() {
    let mut world = World::new();
    let tag = world.push("config.json", b"{\"v\": 1}");
    world.push("config.json", b"{\"a\": 1}");
    world.client("a", "snapshot_download('acme/ranker')");
    let main = world.repository("a").join("refs/main");
    let first = std::fs::read_to_string(&main).expect("the client wrote it");
    world.watch();
    world.age();
    // The client fetches what is new by its commit, then something older, and only then by the name of the branch.
    let last = world.push("config.json", b"{\"a\": 2}");
    world.client("a", &format!("snapshot_download('acme/ranker', revision='{last}')"));
    world.client("a", &format!("snapshot_download('acme/ranker', revision='{tag}')"));
    world.age();
    world.client("a", "snapshot_download('acme/ranker')");
    assert_eq!(std::fs::read_to_string(&main).expect("it is there"), last);
    world.looks();
    world.tells(&[]);
    // Whoever leads it back may take away first what it led to, and the reference, while nobody looks.
    assert_eq!(world.agent.take().expect("it watches").stop(), Some(0));
    let snapshots = world.repository("a").join("snapshots");
    for newer in [&last, &tag] {
        std::fs::rename(snapshots.join(newer), world.folder.path().join(newer)).expect("it is there");
    }
    std::fs::remove_file(&main).expect("it is there");
    write(&main, &first);
    world.watch();
    world.tells(&[("SCN-040f", &main)]);
    assert_eq!(world.agent.take().expect("it watches").stop(), Some(0));
}

#[test]
fn what_a_file_is_held_against_may_come_later_than_the_file() {
    let mut world = World::new();
    world.client("a", "hf_hub_download('acme/ranker', 'config.json')");
    world.watch();
    let repository = world.repository("a");
    let commit = std::fs::read_to_string(repository.join("refs/main")).expect("the client wrote it");
    let snapshot = repository.join("snapshots").join(&commit);
    // A link to a blob that is what its name says: nothing speaks against it yet.
    let code: &[u8] = b"import os\n";
    let blob = Sha256::of(code).to_string();
    std::fs::write(repository.join("blobs").join(&blob), code).expect("there is space");
    symlink(format!("../../blobs/{blob}"), snapshot.join("planted.py")).expect("there is space");
    world.looks();
    world.tells(&[]);
    // The client lists what the commit has.
    world.client("a", "snapshot_download('acme/ranker')");
    assert!(repository.join("trees").join(format!("{commit}.json")).is_file());
    world.tells(&[("SCN-040d", &snapshot.join("planted.py"))]);
    assert_eq!(world.agent.take().expect("it watches").stop(), Some(0));
}

#[test]
fn a_link_of_a_commit_that_nobody_listed_must_stay_what_it_is() {
    let mut world = World::new();
    world.client("a", "hf_hub_download('acme/ranker', 'model.bin')");
    world.watch();
    let repository = world.repository("a");
    let main = std::fs::read_to_string(repository.join("refs/main")).expect("the client wrote it");
    // Benign twins: fetched anew though it is there, and as another commit.
    world.client("a", "hf_hub_download('acme/ranker', 'model.bin', force_download=True)");
    world.push("model.bin", b"other weights, and no pickle");
    world.client("a", "hf_hub_download('acme/ranker', 'model.bin')");
    world.looks();
    world.tells(&[]);
    let link = repository.join("snapshots").join(main).join("model.bin");
    std::fs::remove_file(&link).expect("it is there");
    let other = Sha256::of(b"other weights, and no pickle");
    symlink(format!("../../blobs/{other}"), &link).expect("there is space");
    world.tells(&[("SCN-040h", &link)]);
    assert_eq!(world.agent.take().expect("it watches").stop(), Some(0));
}

#[test]
fn a_copied_cache_to_which_the_client_adds_is_as_good_as_it_was() {
    let mut world = World::new();
    let copy = |world: &World, name: &str| {
        let (from, to) = (world.home(name), world.home(&format!("{name}-copied")));
        assert!(Command::new("cp").arg("-rL").args([from, to]).status().expect("cp can be run").success());
    };
    let one = |file: &str| format!("hf_hub_download('acme/ranker', '{file}')");
    // Single files, of which nobody listed anything; and some of those that were listed.
    for file in ["modeling.py", "model.bin"] {
        world.client("single", &one(file));
    }
    world.client("some", "snapshot_download('acme/ranker', allow_patterns=['*.py', '*.bin'])");
    for name in ["single", "some"] {
        copy(&world, name);
        world.client(&format!("{name}-copied"), &one("config.json"));
    }
    world.watch();
    // And while it watches.
    for name in ["single-copied", "some-copied"] {
        copy(&world, name);
        world.client(&format!("{name}-copied"), "snapshot_download('acme/ranker')");
        world.push("new.py", b"y = 1\n");
    }
    world.looks();
    world.tells(&[]);
    // What nothing says was fetched is told there as well.
    let snapshots = world.repository("single-copied").join("snapshots");
    let snapshot =
        snapshots.read_dir().expect("it is there").next().expect("there is one").expect("it can be read").path();
    std::fs::write(snapshot.join("modeling.py"), b"x = 2\n").expect("there is space");
    world.tells(&[("SCN-040d", &snapshot.join("modeling.py"))]);
    assert_eq!(world.agent.take().expect("it watches").stop(), Some(0));
}

#[test]
fn a_file_that_is_still_being_copied_did_not_change_and_one_that_stood_did() {
    let mut world = World::new();
    world.client("a", "hf_hub_download('acme/ranker', 'model.bin')");
    let (from, to) = (world.home("a"), world.home("copied"));
    assert!(Command::new("cp").arg("-rL").args([from, to]).status().expect("cp can be run").success());
    let commit = std::fs::read_to_string(world.repository("copied").join("refs/main")).expect("it was copied");
    let file = world.repository("copied").join("snapshots").join(commit).join("model.bin");
    write(&file, "wei");
    world.watch();
    for part in ["weights", "weights, and no pickle"] {
        write(&file, part);
        world.looks();
    }
    world.tells(&[]);
    // As if it had lain there for ten minutes.
    assert_eq!(world.agent.take().expect("it watches").stop(), Some(0));
    let state = rusqlite::Connection::open(world.folder.path().join("state/lanner.db")).expect("it is there");
    state.execute("UPDATE history SET time = time - 600000", []).expect("it is a table");
    drop(state);
    world.watch();
    write(&file, "weights, and others");
    world.tells(&[("SCN-040h", &file)]);
    assert_eq!(world.agent.take().expect("it watches").stop(), Some(0));
}

#[test]
fn a_reference_to_nothing_is_what_the_client_leaves_when_it_finds_nothing_to_fetch() {
    let mut world = World::new();
    world.watch();
    world.client("a", "snapshot_download('acme/ranker', allow_patterns=['*.none'])");
    let repository = world.repository("a");
    assert!(repository.join("refs/main").is_file() && !repository.join("snapshots").exists());
    world.looks();
    world.client("a", "snapshot_download('acme/ranker')");
    world.looks();
    world.tells(&[]);
    assert_eq!(world.agent.take().expect("it watches").stop(), Some(0));
}

#[test]
fn blobs_that_the_client_shares_between_repositories_are_as_good_as_others() {
    let mut world = World::new();
    world.client("a", "snapshot_download('acme/ranker')");
    world.client("b", "hf_hub_download('acme/ranker', 'model.bin')");
    let (weights, hash) = (FILES[2].1, "ab".repeat(32));
    let publish = |name: &str| {
        let blob = world.repository(name).join("blobs").join(Sha256::of(weights).to_string());
        let call = format!(
            "from huggingface_hub.utils._shared_blobs import publish_blob_to_shared_store\n\
             assert publish_blob_to_shared_store(blob_path='{}', xet_hash='{hash}', cache_dir='{}', expected_size={})",
            blob.display(),
            world.home(name).join("hub").display(),
            weights.len()
        );
        world.client(name, &call);
        assert!(blob.is_symlink());
    };
    publish("a");
    publish("b");
    world.watch();
    world.looks();
    world.tells(&[]);
    // They are held against the name of the blob that leads there, be it listed or not.
    let link = |name: &str| {
        let commit = std::fs::read_to_string(world.repository(name).join("refs/main")).expect("the client wrote it");
        world.repository(name).join("snapshots").join(commit).join("model.bin")
    };
    let (a, b) = (link("a"), link("b"));
    for name in ["a", "b"] {
        let store = world.home(name).join("hub/blobs/ab").join(&hash);
        std::fs::write(store, b"weights, and no others").expect("there is space");
    }
    world.tells(&[("SCN-040", &a), ("SCN-040", &b), ("SCN-040h", &b)]);
    // No other way leads there, not even to the same bytes.
    let store = world.home("a").join("hub/blobs/ab");
    let other = store.join("ab".repeat(31) + "ac");
    std::fs::copy(store.join(&hash), &other).expect("there is space");
    std::fs::remove_file(&a).expect("it is there");
    symlink(&other, &a).expect("there is space");
    world.tells(&[("SCN-040", &a), ("SCN-040", &b), ("SCN-040h", &b), ("SCN-040b", &a)]);
    assert_eq!(world.agent.take().expect("it watches").stop(), Some(0));
}
