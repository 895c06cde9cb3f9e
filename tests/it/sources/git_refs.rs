//! Which refs are looked at first, what became of those that were away, and what people get who name none.

use std::fmt::Write as _;
use std::time::Duration;

use lanner::event::Value;
use lanner::sources::git::Config;
use lanner::sources::{Change, RecordKind, Settings as _};

use super::git::{actions, changes, config, listed};
use super::harness::{Running, start_with};
use crate::peers::git::{Repository, git_in};
use crate::support::runtime;

const MAIN: &str = "refs/heads/main";

#[test]
fn what_a_clone_follows_is_protected_like_the_branch_itself() {
    let origin = Repository::tree();
    origin.commit(&[("model.pkl", b"one")], "one");
    origin.git(&["branch", "users/ada/topic"]);
    let clone = Repository::tree();
    clone.git(&["remote", "add", "origin", origin.path.to_str().unwrap()]);
    clone.git(&["fetch", "--quiet", "origin"]);
    runtime().block_on(async {
        let refs = vec!["refs/remotes/**".to_owned()];
        let mut running = listed(Config { refs, ..config(&clone) }).await;
        let mut old = running.records["repository/models"].attributes.clone();
        origin.commit(&[("model.pkl", b"two")], "two");
        clone.git(&["fetch", "--quiet", "origin"]);
        let told = changes(&mut running, &mut old).await;
        assert_eq!(actions(&told), ["alias.moved refs/remotes/origin/main"], "an ordinary push");
        origin.git(&["commit", "--quiet", "--amend", "-m", "another"]);
        clone.git(&["fetch", "--quiet", "origin"]);
        let told = changes(&mut running, &mut old).await;
        let expected = ["alias.moved refs/remotes/origin/main", "history.rewritten refs/remotes/origin/main"];
        assert_eq!(actions(&told), expected, "a forced one");
        // What nobody protects may be rewritten by those whose it is.
        origin.git(&["checkout", "--quiet", "users/ada/topic"]);
        origin.git(&["commit", "--quiet", "--amend", "-m", "rebased"]);
        clone.git(&["fetch", "--quiet", "origin"]);
        let told = changes(&mut running, &mut old).await;
        assert_eq!(actions(&told), ["alias.moved refs/remotes/origin/users/ada/topic"]);
    });
}

#[test]
fn a_protected_branch_that_was_away_comes_back_as_it_was_or_is_told() {
    let repository = Repository::bare();
    let first = repository.import(MAIN, &[(b"model.pkl", Some(b"one"))]);
    let second = repository.import(MAIN, &[(b"model.pkl", Some(b"two"))]);
    runtime().block_on(async {
        let mut running = listed(config(&repository)).await;
        let mut old = running.records["repository/models"].attributes.clone();
        let mut set = async |commit: Option<&str>| {
            match commit {
                Some(commit) => repository.git(&["update-ref", MAIN, commit]),
                None => repository.git(&["update-ref", "-d", MAIN]),
            };
            actions(&changes(&mut running, &mut old).await)
        };
        assert_eq!(set(None).await, ["alias.deleted main"]);
        assert_eq!(set(Some(&second)).await, ["alias.set main"], "as it was");
        assert_eq!(set(None).await, ["alias.deleted main"]);
        assert_eq!(set(Some(&first)).await, ["alias.set main", "history.rewritten main"], "set back");
        assert_eq!(set(None).await, ["alias.deleted main"]);
        assert_eq!(set(Some(&second)).await, ["alias.set main"], "further than it was");
    });
}

/// Refs to one commit, written as `git pack-refs` would.
fn flood(repository: &Repository, prefix: &str, count: usize, commit: &str) {
    let mut lines = String::new();
    for number in 0..count {
        writeln!(lines, "create {prefix}{number:05} {commit}").unwrap();
    }
    repository.git_with(&["update-ref", "--stdin"], lines.as_bytes());
    repository.git(&["pack-refs", "--all"]);
}

fn has(running: &Running, reference: &str) -> bool {
    running.records.contains_key(&format!("file/models/{reference}/model.pkl"))
}

#[test]
fn no_flood_of_refs_hides_protected_branches_and_tags() {
    let repository = Repository::bare();
    let commit = repository.import(MAIN, &[(b"model.pkl", Some(b"one"))]);
    repository.git(&["tag", "v1", &commit]);
    flood(&repository, "refs/heads/a", 11_000, &commit);
    runtime().block_on(async {
        let mut running = listed(config(&repository)).await;
        assert!(has(&running, "main") && has(&running, "tags%2Fv1") && has(&running, "a00000"), "by rank");
        assert!(running.state().blind["too_many_refs"].contains("10000 refs"), "{:?}", running.state());
        // A flood of tags, and one of branches that are protected: those that were known stay.
        flood(&repository, "refs/tags/a", 11_000, &commit);
        running.until("the tags", |running| has(running, "tags%2Fa00000")).await;
        assert!(has(&running, "main") && has(&running, "tags%2Fv1"));
        flood(&repository, "refs/heads/release/", 11_000, &commit);
        running.until("the branches", |running| has(running, "release%2F00000")).await;
        assert!(has(&running, "main"));
        let mut old = running.records["repository/models"].attributes.clone();
        running.during(Duration::from_secs(3)).await;
        let quiet = running.log.len();
        running.during(Duration::from_secs(3)).await;
        assert_eq!(running.log.len(), quiet, "what is chosen stays chosen");
        let blob = repository.blob(b"evil");
        repository.commit_tree(MAIN, &repository.raw_tree(&[("100644", b"model.pkl", &blob)]));
        let told = changes(&mut running, &mut old).await;
        assert!(actions(&told).contains(&"history.rewritten main".to_owned()), "{:?}", actions(&told));
    });
}

#[test]
fn what_is_kept_is_that_of_protected_branches_first() {
    let repository = Repository::bare();
    for number in 0..30_u8 {
        repository.import(&format!("refs/heads/a{number}"), &[(b"model.pkl", Some(&[number]))]);
    }
    repository.import(MAIN, &[(b"model.pkl", Some(b"one"))]);
    runtime().block_on(async {
        let running = listed(Config { records_max: 10, ..config(&repository) }).await;
        assert!(has(&running, "main"), "{:?}", running.records.keys());
        assert!(running.state().blind.contains_key("records_max"), "{:?}", running.state());
    });
}

/// What was told of the default branch until now: by what it is now, what it was, and what became of the history.
async fn defaults(running: &mut Running, old: &mut lanner::event::Fields) -> Vec<[String; 3]> {
    let told: Vec<Change> = changes(running, old).await;
    let text = |change: &Change, field: &str| change.fields[field].as_text().unwrap().to_owned();
    let told = told.iter().filter(|change| change.action == "default.changed");
    told.map(|change| {
        ["ml.model.alias", "git.default.previous", "git.default.history"].map(|field| text(change, field))
    })
    .collect()
}

#[test]
fn another_default_branch_is_told_with_what_it_has_of_the_one_before() {
    let repository = Repository::bare();
    repository.import(MAIN, &[(b"model.pkl", Some(b"one"))]);
    repository.git(&["branch", "next", "main"]);
    repository.import("refs/heads/next", &[(b"model.pkl", Some(b"two"))]);
    repository.import("refs/heads/evil", &[(b"model.pkl", Some(b"three"))]);
    runtime().block_on(async {
        let mut running = listed(config(&repository)).await;
        let mut old = running.records["repository/models"].attributes.clone();
        assert_eq!(old["git.default.branch"], Value::from("main"));
        let told = async |running: &mut Running, old: &mut _, branch: &str| {
            repository.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]);
            defaults(running, old).await
        };
        let change = |now: &str, before: &str, history: &str| vec![[now, before, history].map(str::to_owned)];
        assert_eq!(told(&mut running, &mut old, "next").await, change("next", "main", "continued"));
        repository.import("refs/heads/next", &[(b"model.pkl", Some(b"four"))]);
        assert_eq!(defaults(&mut running, &mut old).await, Vec::<[String; 3]>::new(), "an ordinary push");
        assert_eq!(told(&mut running, &mut old, "evil").await, change("evil", "next", "other"));
        // By way of a branch that is not there.
        assert_eq!(told(&mut running, &mut old, "none").await, Vec::<[String; 3]>::new());
        assert_eq!(told(&mut running, &mut old, "next").await, change("next", "evil", "other"));
        // Renamed, of which a look may see the half.
        repository.git(&["branch", "-m", "next", "trunk"]);
        let mut all = defaults(&mut running, &mut old).await;
        while all.is_empty() {
            all = defaults(&mut running, &mut old).await;
        }
        assert_eq!(all, change("trunk", "next", "same"));
    });
}

#[test]
fn what_happened_between_two_looks_is_told_by_where_names_lead() {
    let repository = Repository::bare();
    let first = repository.import(MAIN, &[(b"model.pkl", Some(b"one"))]);
    repository.git(&["tag", "v1", &first]);
    let evil = repository.import("refs/heads/evil", &[(b"model.pkl", Some(b"two"))]);
    runtime().block_on(async {
        let mut running = listed(Config { poll_interval_secs: 3600, ..config(&repository) }).await;
        let mut old = running.records["repository/models"].attributes.clone();
        repository.git(&["tag", "-d", "v1"]);
        repository.git(&["tag", "v1", &evil]);
        // `HEAD` goes with the name.
        repository.git(&["branch", "-m", "main", "kept"]);
        repository.git(&["branch", "-m", "evil", "main"]);
        running.hints.push(1, serde_json::json!({ "repository": { "name": "models" } }));
        let told = changes(&mut running, &mut old).await;
        let expected = [
            "alias.deleted evil",
            "alias.moved main",
            "alias.moved tags/v1",
            "alias.set kept",
            "default.changed kept",
            "history.rewritten main",
            "history.rewritten tags/v1",
        ];
        assert_eq!(actions(&told), expected);
    });
}

#[test]
fn no_flood_of_protected_branches_hides_those_that_are_named_or_were_known() {
    let repository = Repository::bare();
    let commit = repository.import(MAIN, &[(b"model.pkl", Some(b"one"))]);
    for branch in ["trunk", "release/v9", "users/topic"] {
        repository.git(&["branch", branch, "main"]);
    }
    let blob = repository.blob(b"evil");
    let evil = repository.raw_tree(&[("100644", b"model.pkl", &blob)]);
    runtime().block_on(async {
        let mut running = listed(config(&repository)).await;
        let mut old = running.records["repository/models"].attributes.clone();
        flood(&repository, "refs/heads/release/", 11_000, &commit);
        running.until("the flood", |running| has(running, "release%2F00000")).await;
        let new = running.records["repository/models"].attributes.clone();
        let told = running.source.changes(RecordKind::Model, Some(&old), Some(&new));
        assert!(told.iter().all(|change| change.action == "alias.set"), "what is left out is not gone");
        // The agent starts anew, in the midst of the flood.
        let checkpoints = running.checkpoints.clone();
        drop(running);
        old = new;
        repository.commit_tree("refs/heads/trunk", &evil);
        repository.commit_tree("refs/heads/release/v9", &evil);
        let mut running = start_with(config(&repository).build().unwrap(), checkpoints, 1024);
        running.listed().await;
        let new = running.records["repository/models"].attributes.clone();
        let told = running.source.changes(RecordKind::Model, Some(&old), Some(&new));
        let expected =
            ["release/v9", "trunk"].map(|name| [format!("alias.moved {name}"), format!("history.rewritten {name}")]);
        let mut expected = expected.concat();
        expected.sort_unstable();
        assert_eq!(actions(&told), expected);
        // Nobody has seen this agent's memory: those that are named come first all the same.
        let running = listed(config(&repository)).await;
        assert!(has(&running, "main") && has(&running, "trunk") && !has(&running, "release%2Fv9"));
    });
}

#[test]
fn the_default_branch_is_protected_whatever_it_is_called() {
    let repository = Repository::bare();
    repository.import(MAIN, &[(b"model.pkl", Some(b"one"))]);
    repository.git(&["branch", "users/m/next", "main"]);
    let blob = repository.blob(b"evil");
    let evil = repository.raw_tree(&[("100644", b"model.pkl", &blob)]);
    runtime().block_on(async {
        let mut running = listed(config(&repository)).await;
        let mut old = running.records["repository/models"].attributes.clone();
        repository.git(&["symbolic-ref", "HEAD", "refs/heads/users/m/next"]);
        let told = defaults(&mut running, &mut old).await;
        assert_eq!(told, [["users/m/next", "main", "same"].map(str::to_owned)]);
        repository.commit_tree("refs/heads/users/m/next", &evil);
        let told = changes(&mut running, &mut old).await;
        assert_eq!(actions(&told), ["alias.moved users/m/next", "history.rewritten users/m/next"]);
    });
}

#[test]
fn what_head_names_is_the_default_whatever_it_is() {
    let repository = Repository::bare();
    let main = repository.import(MAIN, &[(b"model.pkl", Some(b"one"))]);
    let evil = repository.import("refs/evil/one", &[(b"model.pkl", Some(b"two"))]);
    let other = repository.import("refs/evil/two", &[(b"model.pkl", Some(b"three"))]);
    let change = |now: &str, before: &str, history: &str| vec![[now, before, history].map(str::to_owned)];
    runtime().block_on(async {
        let mut running = listed(config(&repository)).await;
        let mut old = running.records["repository/models"].attributes.clone();
        repository.git(&["update-ref", "--no-deref", "HEAD", &evil]);
        assert_eq!(defaults(&mut running, &mut old).await, change("HEAD", "main", "other"), "a commit");
        repository.git(&["update-ref", "--no-deref", "HEAD", &other]);
        assert_eq!(defaults(&mut running, &mut old).await, change("HEAD", "HEAD", "other"), "another commit");
        repository.git(&["symbolic-ref", "HEAD", MAIN]);
        assert_eq!(defaults(&mut running, &mut old).await, change("main", "HEAD", "other"));
        repository.git(&["symbolic-ref", "HEAD", "refs/evil/one"]);
        assert_eq!(defaults(&mut running, &mut old).await, change("refs/evil/one", "main", "other"), "a ref");
        repository.git(&["update-ref", "refs/evil/one", &main]);
        assert_eq!(defaults(&mut running, &mut old).await, change("refs/evil/one", "refs/evil/one", "other"));
    });
}

#[test]
fn a_default_branch_that_was_away_for_a_while_is_told_once() {
    let repository = Repository::bare();
    repository.import(MAIN, &[(b"model.pkl", Some(b"one"))]);
    repository.git(&["branch", "next", "main"]);
    let next = repository.import("refs/heads/next", &[(b"model.pkl", Some(b"two"))]);
    runtime().block_on(async {
        let mut running = listed(config(&repository)).await;
        let mut old = running.records["repository/models"].attributes.clone();
        repository.git(&["symbolic-ref", "HEAD", "refs/heads/next"]);
        let told = defaults(&mut running, &mut old).await;
        assert_eq!(told, [["next", "main", "continued"].map(str::to_owned)]);
        repository.git(&["update-ref", "-d", "refs/heads/next"]);
        assert_eq!(actions(&changes(&mut running, &mut old).await), ["alias.deleted next"]);
        repository.git(&["update-ref", "refs/heads/next", &next]);
        assert_eq!(actions(&changes(&mut running, &mut old).await), ["alias.set next"]);
    });
}

#[test]
fn a_repository_apart_from_its_working_tree_has_no_default_branch() {
    let folder = tempfile::TempDir::new().unwrap();
    let git = |name: &str, arguments: &[&str]| git_in(&folder.path().join(name), folder.path(), arguments, b"");
    git("", &["init", "--quiet", "-b", "main", "--separate-git-dir", "models.git", "tree"]);
    git("tree", &["commit", "--quiet", "--allow-empty", "-m", "one"]);
    let repositories = vec![folder.path().join("models.git")];
    runtime().block_on(async {
        let config = Config { repositories, poll_interval_secs: 1, ..Config::default() };
        let mut running = listed(config).await;
        let mut old = running.records["repository/models"].attributes.clone();
        assert!(!old.contains_key("git.default.branch"), "{old:?}");
        git("tree", &["checkout", "--quiet", "--orphan", "topic"]);
        git("tree", &["commit", "--quiet", "--allow-empty", "-m", "two"]);
        assert_eq!(actions(&changes(&mut running, &mut old).await), ["alias.set topic"]);
    });
}

#[test]
fn what_is_checked_out_is_no_default_branch() {
    let repository = Repository::tree();
    repository.commit(&[("model.pkl", b"one")], "one");
    repository.git(&["branch", "topic"]);
    runtime().block_on(async {
        let mut running = listed(config(&repository)).await;
        assert!(!running.records["repository/models"].attributes.contains_key("git.default.branch"));
        repository.git(&["checkout", "--quiet", "topic"]);
        running.during(Duration::from_secs(3)).await;
        assert_eq!(running.log, [""; 0]);
    });
}
