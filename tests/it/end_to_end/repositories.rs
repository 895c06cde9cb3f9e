//! Attacks on a Git repository, made with the real Git, LFS and DVC against the real agent; and their benign twins.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;
use std::time::Duration;

use lanner::event::Sha256;
use serde_json::Value;
use tempfile::TempDir;

use super::{calls_os_system, rules, subject};
use crate::peers::git::Repository;
use crate::support::program::{Agent, LANNER, lanner_in, stderr, stdout};
use crate::support::receiver::Receiver;
use crate::support::wait_for;

/// Pickles of plain data.
const BENIGN: &[u8] = b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.";
const BETTER: &[u8] = b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x02s.";

fn start(directory: &TempDir, repository: &Repository, receiver: &Receiver) -> Agent {
    let config = format!(
        "sources:\n  git: [{{name: git, repositories: [\"{}\"], sweep_interval_secs: 1, poll_interval_secs: 1}}]\n\
         sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        repository.path.display(),
        receiver.url()
    );
    Agent::start(directory.path(), &config).ready()
}

/// Waits until so many listings were made from now on.
fn sweeps(agent: &Agent, count: f64) {
    let done = || agent.metric("lanner_rescans_total", "source=\"git\"");
    let before = done();
    wait_for("sweeps", Duration::from_mins(1), || (done() >= before + count).then_some(()));
}

fn told(receiver: &Receiver, rule: &str) {
    wait_for(rule, Duration::from_mins(1), || rules(receiver).iter().any(|told| told == rule).then_some(()));
}

#[track_caller]
fn silent(agent: &Agent, receiver: &Receiver, what: &str) {
    sweeps(agent, 3.0);
    assert_eq!(rules(receiver), Vec::<String>::new(), "{what} raises nothing");
}

#[test]
fn a_forced_push_that_replaces_a_model_reaches_people_and_ordinary_work_does_not() {
    let (directory, receiver) = (TempDir::new().expect("there is space"), Receiver::start());
    let repository = Repository::tree();
    let first = repository.commit(&[("model.pkl", BENIGN)], "a model");
    repository.git(&["tag", "v1"]);
    let agent = start(&directory, &repository, &receiver);
    // Benign twins: a new model, a branch that is merged, one that is merged by moving forward, one that is fetched,
    // and a repository that is packed anew.
    repository.commit(&[("model.pkl", BETTER), ("second.pkl", BENIGN)], "a better model");
    silent(&agent, &receiver, "an ordinary commit");
    repository.git(&["checkout", "--quiet", "-b", "topic"]);
    repository.commit(&[("third.pkl", BENIGN)], "on a branch");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.git(&["merge", "--quiet", "--ff-only", "topic"]);
    silent(&agent, &receiver, "a merge that moves forward");
    repository.git(&["branch", "-D", "topic"]);
    repository.git(&["gc", "--quiet", "--prune=now"]);
    silent(&agent, &receiver, "a branch that goes, and `git gc`");
    let other = Repository::bare();
    other.import("refs/heads/main", &[(b"other.pkl", Some(BENIGN))]);
    repository.git(&["fetch", "--quiet", other.path.to_str().expect("a text"), "main:refs/heads/fetched"]);
    silent(&agent, &receiver, "a branch that is fetched");
    repository.git(&["tag", "v2"]);
    silent(&agent, &receiver, "a new tag");

    repository.git(&["reset", "--quiet", "--hard", &first]);
    repository.commit(&[("model.pkl", &calls_os_system("owned"))], "a model");
    told(&receiver, "REG-006b");
    told(&receiver, "SCN-002");
    let about: Vec<String> = receiver.taken().iter().map(subject).collect();
    assert!(about.iter().any(|subject| subject.contains("models")), "{about:?}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_tag_that_is_moved_reaches_people_and_one_that_may_move_does_not() {
    let (directory, receiver) = (TempDir::new().expect("there is space"), Receiver::start());
    let repository = Repository::tree();
    repository.commit(&[("model.pkl", BENIGN)], "a model");
    repository.git(&["tag", "-a", "-m", "the first", "v1"]);
    repository.git(&["tag", "latest"]);
    let agent = start(&directory, &repository, &receiver);
    repository.commit(&[("model.pkl", BETTER)], "a better model");
    repository.git(&["tag", "-f", "latest"]);
    // Written anew, and leads where it did.
    repository.git(&["tag", "-f", "-a", "-m", "the first version", "v1", "v1^{}"]);
    silent(&agent, &receiver, "a tag that may move, and one that leads where it did");
    repository.git(&["tag", "-f", "-a", "-m", "the first", "v1", "main"]);
    told(&receiver, "REG-001");
    told(&receiver, "REG-006b");
    assert!(!rules(&receiver).iter().any(|rule| rule.starts_with("SCN")), "the bytes themselves are good");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_default_branch_that_is_exchanged_reaches_people_and_one_that_is_renamed_does_not() {
    let (directory, receiver) = (TempDir::new().expect("there is space"), Receiver::start());
    let repository = Repository::bare();
    repository.import("refs/heads/master", &[(b"model.pkl", Some(BENIGN))]);
    repository.git(&["symbolic-ref", "HEAD", "refs/heads/master"]);
    let agent = start(&directory, &repository, &receiver);
    // Benign twins: a new name for the branch, a push to it, and a branch that somebody has for himself.
    repository.git(&["branch", "-m", "master", "main"]);
    silent(&agent, &receiver, "a branch that is renamed");
    repository.import("refs/heads/main", &[(b"model.pkl", Some(BETTER))]);
    repository.import("refs/heads/users/ada/next", &[(b"model.pkl", Some(BENIGN))]);
    silent(&agent, &receiver, "a push, and another branch");
    // Nobody pushes to the protected branch, and whoever clones gets something else.
    repository.git(&["symbolic-ref", "HEAD", "refs/heads/users/ada/next"]);
    told(&receiver, "REG-018");
    assert!(!rules(&receiver).iter().any(|rule| rule == "REG-006b" || rule == "REG-018b"), "{:?}", rules(&receiver));
    repository.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    repository.git(&["branch", "develop", "main"]);
    repository.import("refs/heads/develop", &[(b"second.pkl", Some(BENIGN))]);
    sweeps(&agent, 3.0);
    repository.git(&["symbolic-ref", "HEAD", "refs/heads/develop"]);
    told(&receiver, "REG-018b");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn bytes_that_are_fetched_again_are_compared_with_what_their_own_branch_had() {
    let (directory, receiver) = (TempDir::new().expect("there is space"), Receiver::start());
    let repository = Repository::lfs("*.pkl");
    let suspect = calls_os_system("as it always was");
    repository.commit(&[("model.pkl", &suspect)], "a model");
    repository.git(&["checkout", "--quiet", "-b", "topic"]);
    repository.commit(&[("model.pkl", BENIGN)], "another");
    let agent = start(&directory, &repository, &receiver);
    let hex = Sha256::of(&suspect).to_string();
    let object = repository.inner().join("lfs/objects").join(&hex[..2]).join(&hex[2..4]).join(&hex);
    let aside = directory.path().join("aside");
    std::fs::rename(&object, &aside).expect("it is ours");
    sweeps(&agent, 3.0);
    // The newest that was seen at this path is that of another branch.
    repository.commit(&[("model.pkl", BETTER)], "a better one");
    sweeps(&agent, 3.0);
    std::fs::rename(&aside, &object).expect("it is ours");
    sweeps(&agent, 3.0);
    let told = rules(&receiver);
    assert!(told.iter().all(|rule| !rule.starts_with("DIF")), "nothing differs from what was there: {told:?}");
    assert!(told.iter().any(|rule| rule == "SCN-002"), "{told:?}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn an_object_of_lfs_that_was_tampered_with_and_a_pointer_to_poison_reach_people() {
    let (directory, receiver) = (TempDir::new().expect("there is space"), Receiver::start());
    let repository = Repository::lfs("*.pkl *.bin");
    repository.commit(&[("model.pkl", BENIGN), ("weights.bin", b"plain weights")], "models");
    let agent = start(&directory, &repository, &receiver);
    // Benign twins: another good model, and a storage that is tidied up.
    repository.commit(&[("model.pkl", BETTER)], "a better model");
    silent(&agent, &receiver, "a pointer to another good model");
    repository.git(&["lfs", "prune", "--force"]);
    repository.git(&["lfs", "fsck"]);
    silent(&agent, &receiver, "a storage that is tidied up");

    let hex = Sha256::of(b"plain weights").to_string();
    let path = repository.inner().join("lfs/objects").join(&hex[..2]).join(&hex[2..4]).join(&hex);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    std::fs::write(&path, b"other weights").expect("it is ours");
    told(&receiver, "SCN-040");
    assert!(!rules(&receiver).iter().any(|rule| rule == "SCN-002"));
    repository.commit(&[("model.pkl", &calls_os_system("owned"))], "a model");
    told(&receiver, "SCN-002");
    // One that is no pointer any more, under a name of which LFS knows nothing.
    assert!(!rules(&receiver).iter().any(|rule| rule == "SCN-040e"));
    let torn = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n";
    repository.commit(&[("torn.dat", torn)], "a pointer by hand");
    told(&receiver, "SCN-040e");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_cache_of_dvc_that_was_tampered_with_reaches_people_and_a_new_version_does_not() {
    let (directory, receiver) = (TempDir::new().expect("there is space"), Receiver::start());
    let repository = Repository::tree();
    repository.dvc(&["init", "--quiet"]);
    let add = |bytes: &[u8]| {
        std::fs::write(repository.path.join("model.pkl"), bytes).expect("there is space");
        repository.dvc(&["add", "--quiet", "model.pkl"]);
        repository.commit(&[], "a model kept by DVC");
    };
    add(BENIGN);
    let agent = start(&directory, &repository, &receiver);
    add(BETTER);
    silent(&agent, &receiver, "a new version");
    let text = std::fs::read_to_string(repository.path.join("model.pkl.dvc")).expect("DVC wrote it");
    let md5 = text.split("md5: ").nth(1).and_then(|rest| rest.get(..32)).expect("it names an MD5");
    let path = repository.path.join(".dvc/cache/files/md5").join(&md5[..2]).join(&md5[2..]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    std::fs::write(&path, b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x09s.").expect("it is ours");
    told(&receiver, "SCN-040");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn the_doctor_says_what_is_wrong_with_a_repository() {
    let directory = TempDir::new().expect("there is space");
    let good = Repository::bare();
    good.import("refs/heads/main", &[(b"model.pkl", Some(BENIGN))]);
    let config = format!(
        "state: {{path: state}}\nsources:\n  git:\n    - {{name: good, repositories: [\"{}\"]}}\n\
         \x20   - {{name: none, repositories: [\"{}\"]}}\n    - {{name: missing, repositories: [\"/no/such/folder\"]}}\n",
        good.path.display(),
        directory.path().display()
    );
    std::fs::write(directory.path().join("c.yaml"), config).expect("there is space");
    let output = lanner_in(directory.path(), &["doctor", "--config", "c.yaml", "--format", "json", "--timeout", "20"]);
    let lines = stdout(&output);
    let findings: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |name: &str| {
        let finding = findings.iter().find(|finding| finding["name"] == name).expect("it is told");
        (finding["reason"].as_str().expect("a text"), finding["detail"].as_str().unwrap_or_default())
    };
    assert_eq!(output.status.code(), Some(1), "{lines}");
    assert_eq!(of("good").0, "ok");
    assert_eq!(of("missing").0, "no_repository");
    assert!(of("none").0 == "unsupported" && of("none").1.contains("name a working tree"), "{lines}");
}

/// What the doctor finds of a source, run in a way of its own.
fn finding(directory: &TempDir, repository: &Repository, mut command: Command) -> (String, String) {
    let config = format!(
        "state: {{path: state}}\nsources: {{git: [{{name: git, repositories: [\"{}\"]}}]}}\n",
        repository.path.display()
    );
    std::fs::write(directory.path().join("c.yaml"), config).expect("there is space");
    command.args(["doctor", "--config", "c.yaml", "--format", "json", "--timeout", "60"]);
    let output = command.current_dir(directory.path()).output().expect("it can be run");
    let lines = stdout(&output);
    let findings = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let finding = findings.filter(|finding| finding["name"] == "git").collect::<Vec<_>>();
    let text =
        |key: &str| finding.iter().map(|one| one[key].as_str().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    (text("reason"), text("detail") + &stderr(&output))
}

#[test]
fn a_repository_that_may_not_be_read_is_told_with_what_helps() {
    let directory = TempDir::new().expect("there is space");
    let repository = Repository::bare();
    repository.import("refs/heads/main", &[(b"model.pkl", Some(BENIGN))]);
    // To root nothing is closed, unless it gives that up.
    let command = || {
        let is_root = std::fs::metadata(directory.path()).expect("it is there").uid() == 0;
        if !is_root {
            return Command::new(LANNER);
        }
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", LANNER]);
        command
    };
    for place in ["", "refs", "objects", "objects/pack", "config"] {
        let path = repository.path.join(place);
        let before = std::fs::metadata(&path).expect("it is there").permissions();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("it is ours");
        let (reason, detail) = finding(&directory, &repository, command());
        std::fs::set_permissions(&path, before).expect("it is ours");
        assert!(reason.contains("forbidden"), "{place}: {reason} {detail}");
        assert!(detail.contains("let the agent read the repository"), "{place}: {detail}");
        assert_eq!(finding(&directory, &repository, command()).0, "ok", "{place}");
    }
}

#[test]
fn trees_as_large_as_they_may_be_are_listed_within_the_bounds_of_memory() {
    let directory = TempDir::new().expect("there is space");
    let repository = Repository::bare();
    let torn = repository.blob(b"version https://git-lfs.github.com/spec/v1\n");
    let names: Vec<String> = (0..240_000).map(|number| format!("{number:06}{}", "n".repeat(90))).collect();
    let entries: Vec<(&str, &[u8], &str)> = names.iter().map(|name| ("100644", name.as_bytes(), &*torn)).collect();
    let tree = repository.raw_tree(&entries);
    for branch in ["refs/heads/one", "refs/heads/two", "refs/heads/three"] {
        // Each folder is another, and holds the same.
        let root = repository.raw_tree(&[("40000", branch.rsplit('/').next().unwrap_or_default().as_bytes(), &tree)]);
        repository.commit_tree(branch, &root);
    }
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -v 524288; exec \"$0\" \"$@\"", LANNER]);
    let (reason, detail) = finding(&directory, &repository, command);
    assert!(reason.contains("records_max") && reason.contains("too_large"), "{reason}: {detail}");
}
