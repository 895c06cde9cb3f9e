//! A watched hub, against the stand-in that the hub's own client takes for one.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use lanner::event::{Fields, Value};
use lanner::sources::huggingface::Config;
use lanner::sources::{RecordKind, Settings as _, Source};
use serde_json::json;

use super::harness::{Running, start_with};
use super::suite::{World, everything};
use crate::peers::hub::{Hub, Repository, TOKEN, start};

pub const ID: &str = "team/model";

pub fn config(endpoint: &str, token: Option<&std::path::Path>) -> Config {
    Config {
        endpoint: Some(endpoint.to_owned()),
        repositories: vec![ID.to_owned()],
        token_file: token.map(Into::into),
        sweep_interval_secs: 1,
        ..Config::default()
    }
}

pub struct Hubs {
    running: crate::peers::hub::Running,
    folder: tempfile::TempDir,
}

impl Hubs {
    /// A hub with one repository, which only those can read who have the token.
    pub fn private() -> Self {
        let running = start(&[(ID, &[("config.json", b"{}")])]);
        running.hub.lock().unwrap().repositories.get_mut(ID).unwrap().private = true;
        Self { running, folder: tempfile::tempdir().unwrap() }
    }

    pub fn hub(&self) -> MutexGuard<'_, Hub> {
        self.running.hub.lock().unwrap()
    }

    fn edit(&self, edit: impl FnOnce(&mut Repository)) {
        let mut hub = self.hub();
        let repository = hub.repositories.get_mut(ID).unwrap();
        edit(repository);
        repository.push(false);
    }

    pub fn token(&self, token: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(token);
        std::fs::write(&path, token).unwrap();
        path
    }
}

impl World for Hubs {
    fn source(&self, by: &str) -> Arc<dyn Source> {
        config(&format!("http://{by}"), Some(&self.token(TOKEN))).build().unwrap()
    }

    fn address(&self) -> String {
        self.running.url.strip_prefix("http://").unwrap().to_owned()
    }

    fn stranger(&self) -> Option<Arc<dyn Source>> {
        Some(config(&self.running.url, Some(&self.token("hf_guessed"))).build().unwrap())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        self.edit(|repository| drop(repository.files.insert(name.to_owned(), bytes.to_vec())));
    }

    fn delete(&mut self, name: &str) {
        self.edit(|repository| drop(repository.files.remove(name)));
    }

    fn key(&self, name: &str, _bytes: &[u8]) -> String {
        format!("/main/{}", lanner::base::uri::encode_path(name))
    }

    fn stop(&mut self) {
        self.hub().down = true;
    }

    fn start(&mut self) {
        self.hub().down = false;
    }

    fn fill(&mut self, names: &[String]) {
        let mut hub = self.hub();
        hub.page = 1000;
        let repository = hub.repositories.get_mut(ID).unwrap();
        repository.files.extend(names.iter().map(|name| (name.clone(), name.as_bytes().to_vec())));
        repository.push(false);
    }

    fn hint(&self, _name: &str) -> Option<serde_json::Value> {
        Some(
            json!({ "event": { "action": "update", "scope": "repo.content" }, "repo": { "type": "model", "name": ID } }),
        )
    }

    fn odd_names(&self) -> Vec<&'static str> {
        vec!["späte/mo del.bin", "a+b%20c.pkl", "x#y?z.pt", "🤗.safetensors", "deep/er/and/deep/er/config.json"]
    }
}

#[test]
fn keeps_the_contract_of_all_sources() {
    everything(&mut Hubs::private());
}

const REPOSITORY: &str = "repository/team/model";

/// Actions that became of a repository, from how it stood before.
async fn actions(running: &mut Running, old: &Fields) -> Vec<&'static str> {
    let before = running.log.len();
    running
        .until("a change of the repository", |running| {
            running.log.iter().skip(before).any(|told| told == &format!("+{REPOSITORY}"))
        })
        .await;
    let new = &running.records[REPOSITORY].attributes;
    let mut actions: Vec<_> = running
        .source
        .changes(RecordKind::Model, Some(old), Some(new))
        .into_iter()
        .map(|change| change.action)
        .collect();
    actions.sort_unstable();
    actions
}

#[test]
fn a_push_and_a_rewritten_history_are_told_apart() {
    let runtime = crate::support::runtime();
    let hub = start(&[(ID, &[("a.bin", b"1")])]);
    let source = config(&hub.url, None).build().unwrap();
    runtime.block_on(async {
        let mut running = start_with(source, std::collections::BTreeMap::new(), 1024);
        running.listed().await;
        let old = running.records[REPOSITORY].attributes.clone();
        push(&hub, "a.bin", b"2", false);
        assert_eq!(actions(&mut running, &old).await, ["alias.moved"], "an ordinary push");
        let old = running.records[REPOSITORY].attributes.clone();
        push(&hub, "a.bin", b"3", true);
        assert_eq!(actions(&mut running, &old).await, ["alias.moved", "history.rewritten"]);
    });
}

fn push(hub: &crate::peers::hub::Running, path: &str, bytes: &[u8], force: bool) {
    let mut hub = hub.hub.lock().unwrap();
    let repository = hub.repositories.get_mut(ID).unwrap();
    repository.files.insert(path.to_owned(), bytes.to_vec());
    repository.push(force);
}

#[test]
fn a_name_that_somebody_else_took_and_a_repository_that_was_opened_are_told() {
    let runtime = crate::support::runtime();
    let hub = start(&[(ID, &[("a.bin", b"1")])]);
    hub.hub.lock().unwrap().repositories.get_mut(ID).unwrap().private = true;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let source = config(&hub.url, Some(&folder.path().join("token"))).build().unwrap();
    runtime.block_on(async {
        let mut running = start_with(source, std::collections::BTreeMap::new(), 1024);
        running.listed().await;
        let old = running.records[REPOSITORY].attributes.clone();
        assert_eq!(old["ml.model.private"], Value::from(true));
        hub.hub.lock().unwrap().repositories.get_mut(ID).unwrap().private = false;
        assert_eq!(actions(&mut running, &old).await, ["model.opened"]);
        // Behind a gate, and not any more; that another lets people in opens nothing.
        for (gated, expected) in
            [(json!("auto"), vec![]), (json!("manual"), vec![]), (json!(false), vec!["model.opened"])]
        {
            let old = running.records[REPOSITORY].attributes.clone();
            hub.hub.lock().unwrap().repositories.get_mut(ID).unwrap().gated = gated.clone();
            if gated == json!("manual") {
                running.during(Duration::from_secs(3)).await;
                assert_eq!(running.records[REPOSITORY].attributes, old);
            } else {
                assert_eq!(actions(&mut running, &old).await, expected, "{gated}");
            }
        }
        let old = running.records[REPOSITORY].attributes.clone();
        let mut less = old.clone();
        less.remove("ml.model.private");
        assert_eq!(
            running.source.changes(RecordKind::Model, Some(&old), Some(&less)),
            [],
            "what is left out says nothing"
        );
        let old = running.records[REPOSITORY].attributes.clone();
        {
            let mut hub = hub.hub.lock().unwrap();
            let repository = hub.repositories.get_mut(ID).unwrap();
            repository.number = 7;
            repository.created = Some("2026-11-01T00:00:00.000Z".to_owned());
        }
        assert_eq!(actions(&mut running, &old).await, ["model.recreated"]);
    });
}

#[test]
fn a_tag_must_not_change_and_a_hint_is_followed() {
    let runtime = crate::support::runtime();
    let hub = start(&[(ID, &[("model.pkl", b"one")])]);
    let commit = {
        let mut hub = hub.hub.lock().unwrap();
        let repository = hub.repositories.get_mut(ID).unwrap();
        let commit = repository.commit.clone();
        repository.tags.insert("v1".to_owned(), commit.clone());
        repository.earlier.insert(commit.clone(), repository.files.clone());
        commit
    };
    let mut config = config(&hub.url, None);
    config.repositories = vec![format!("{ID}@v1"), ID.to_owned()];
    config.sweep_interval_secs = 3600;
    runtime.block_on(async {
        let mut running = start_with(config.build().unwrap(), std::collections::BTreeMap::new(), 1024);
        running.listed().await;
        let (fixed, moving) = ("file/team/model/v1/model.pkl", "file/team/model/main/model.pkl");
        assert_eq!(running.records[fixed].kind, RecordKind::VersionArtifact);
        assert_eq!(running.records[fixed].attributes["ml.model.version"], Value::from(&*commit));
        assert_eq!(running.records[moving].kind, RecordKind::Artifact);
        let claimed = format!("sha256:{}", lanner::event::Sha256::of(b"one"));
        assert_eq!(running.records[moving].attributes["artifact.claimed_hash"], Value::from(&*claimed));
        // A push, and the tag goes along: the hub's webhook says so, and the next listing is an hour away.
        {
            let mut hub = hub.hub.lock().unwrap();
            let repository = hub.repositories.get_mut(ID).unwrap();
            repository.files.insert("model.pkl".to_owned(), b"two".to_vec());
            repository.push(false);
            let commit = repository.commit.clone();
            repository.tags.insert("v1".to_owned(), commit);
        }
        let body = json!({
            "event": { "action": "update", "scope": "repo.content" },
            "repo": { "type": "model", "name": ID, "headSha": "0" }, "webhook": { "id": "1", "version": 3 },
        });
        running.hints.push(1, body);
        running
            .until("both revisions", |running| {
                [fixed, moving].iter().all(|key| running.log.contains(&format!("+{key}")))
            })
            .await;
        let hints = running.hints.clone();
        running.until("the hint to be answered", |_| hints.waiting().is_empty()).await;
    });
}

#[test]
fn what_one_may_not_read_keeps_nobody_from_the_others_and_authors_are_followed() {
    let runtime = crate::support::runtime();
    let hub = start(&[(ID, &[("a.bin", b"1")]), ("team/secret", &[("b.bin", b"2")]), ("other/model", &[])]);
    hub.hub.lock().unwrap().repositories.get_mut("team/secret").unwrap().private = true;
    let mut config = config(&hub.url, None);
    config.repositories = vec!["team/secret".to_owned()];
    config.authors = vec!["team".to_owned()];
    runtime.block_on(async {
        let mut running = start_with(config.build().unwrap(), std::collections::BTreeMap::new(), 1024);
        running.listed().await;
        let keys: Vec<&String> = running.records.keys().collect();
        assert_eq!(keys, ["file/team/model/main/a.bin", REPOSITORY], "and nothing of others");
        assert_eq!(running.kept, ["repository/team/secret", "file/team/secret/main/"]);
        assert!(running.state().blind["unauthorized"].contains("team/secret"), "{:?}", running.state());
        let asked = hub.hub.lock().unwrap().asked.len();
        running.during(Duration::from_secs(3)).await;
        assert_eq!(running.log, [""; 0]);
        let calls = hub.hub.lock().unwrap().asked.len() - asked;
        assert!(calls <= 4 * 3, "two calls for what did not change, one for the author, one for the refused: {calls}");
        // A new repository of the author.
        let new = Repository { commit: "c".repeat(40), ..Repository::default() };
        hub.hub.lock().unwrap().repositories.insert("team/new".to_owned(), new);
        running.until("the new repository", |running| running.records.contains_key("repository/team/new")).await;
    });
}

#[test]
fn data_sets_and_spaces_of_an_author_are_followed_and_one_without_any_is_noted() {
    let runtime = crate::support::runtime();
    let hub =
        start(&[(ID, &[("a.bin", b"1")]), ("datasets/team/clicks", &[("b.bin", b"2")]), ("spaces/team/demo", &[])]);
    let mut config = config(&hub.url, None);
    config.repositories.clear();
    config.authors = ["datasets/team", "spaces/team", "tean", "spaces/tean"].map(str::to_owned).to_vec();
    runtime.block_on(async {
        let mut running = start_with(config.build().unwrap(), std::collections::BTreeMap::new(), 1024);
        running.listed().await;
        let keys: Vec<&String> = running.records.keys().collect();
        let (clicks, demo) = ("repository/datasets/team/clicks", "repository/spaces/team/demo");
        assert_eq!(keys, ["file/datasets/team/clicks/main/b.bin", clicks, demo], "and no models");
        let missing = &running.state().notes["missing"];
        assert!(missing.contains("`tean`") && missing.contains("`spaces/tean`"), "{missing}");
        let new = Repository { commit: "c".repeat(40), ..Repository::default() };
        hub.hub.lock().unwrap().repositories.insert("datasets/team/new".to_owned(), new);
        running.until("a new one", |running| running.records.contains_key("repository/datasets/team/new")).await;
    });
}

#[test]
fn settings_that_make_no_sense_are_told() {
    let problems = |edit: &dyn Fn(&mut Config)| {
        let mut config = config("http://127.0.0.1:1", None);
        edit(&mut config);
        config.build().err().unwrap_or_default().join("; ")
    };
    assert_eq!(problems(&|_| {}), "");
    assert!(problems(&|config| config.repositories.clear()).contains("neither"));
    assert!(problems(&|config| config.repositories = vec!["a/b/c.bin".to_owned()]).contains("names a file"));
    assert!(problems(&|config| config.repositories = vec!["../x".to_owned()]).contains("no address"));
    assert!(problems(&|config| config.authors = vec!["a/b".to_owned()]).contains("no name"));
    assert_eq!(problems(&|config| config.authors = vec!["datasets/acme".to_owned()]), "");
    assert!(problems(&|config| config.endpoint = Some("ftp://x".to_owned())).contains("HF_ENDPOINT"));
    assert!(problems(&|config| config.token_file = Some("/nowhere".into())).contains("cannot be read"));
}

#[test]
fn a_name_is_remembered_when_its_repository_goes() {
    let runtime = crate::support::runtime();
    let hub = start(&[(ID, &[("a.bin", b"1")])]);
    let source = config(&hub.url, None).build().unwrap();
    runtime.block_on(async {
        let mut running = start_with(source, std::collections::BTreeMap::new(), 1024);
        running.listed().await;
        let mut repository = hub.hub.lock().unwrap().repositories.remove(ID).unwrap();
        running.until("it to be gone", |running| !running.records.contains_key(REPOSITORY)).await;
        repository.number = 7;
        hub.hub.lock().unwrap().repositories.insert(ID.to_owned(), repository);
        running.until("somebody else", |running| running.records.contains_key(REPOSITORY)).await;
        let new = &running.records[REPOSITORY].attributes;
        let changes = running.source.changes(RecordKind::Model, None, Some(new));
        assert_eq!(changes.first().map(|change| change.action), Some("model.recreated"));
        // What a hub leaves out is no proof.
        let mut less = new.clone();
        less.insert("ml.model.owner.id".to_owned(), Value::from(""));
        let changes = running.source.changes(RecordKind::Model, Some(new), Some(&less));
        assert!(changes.is_empty(), "{changes:?}");
    });
}

#[test]
fn a_tag_stays_one_and_what_is_not_fetched_is_told_by_its_digest() {
    let runtime = crate::support::runtime();
    let hub = start(&[(ID, &[("big.bin", b"one")])]);
    {
        let mut hub = hub.hub.lock().unwrap();
        let repository = hub.repositories.get_mut(ID).unwrap();
        let commit = repository.commit.clone();
        repository.tags.insert("v1".to_owned(), commit.clone());
        repository.earlier.insert(commit, repository.files.clone());
    }
    let mut config = config(&hub.url, None);
    config.repositories = vec![format!("{ID}@v1")];
    config.fetch = vec!["*.py".to_owned()];
    runtime.block_on(async {
        let mut running = start_with(config.build().unwrap(), std::collections::BTreeMap::new(), 1024);
        running.listed().await;
        let key = "file/team/model/v1/big.bin";
        let old = running.records[key].clone();
        assert!(old.artifact.is_none() && old.kind == RecordKind::VersionArtifact);
        // The tag is gone, and a commit of that name answers for it, as a branch would.
        {
            let mut hub = hub.hub.lock().unwrap();
            let repository = hub.repositories.get_mut(ID).unwrap();
            repository.files.insert("big.bin".to_owned(), b"two".to_vec());
            repository.push(false);
            repository.tags.clear();
            let files = repository.files.clone();
            repository.earlier.insert("v1".to_owned(), files);
        }
        running
            .until("other bytes", |running| {
                running.records.get(key).is_some_and(|record| record.signature != old.signature)
            })
            .await;
        let new = &running.records[key];
        assert_eq!(new.kind, RecordKind::VersionArtifact, "what was a tag must not change, whatever it is now");
        let changes = running.source.changes(new.kind, Some(&old.attributes), Some(&new.attributes));
        assert_eq!(changes.first().map(|change| change.action), Some("artifact.tampered"));
    });
}

#[test]
fn what_a_name_and_a_tag_were_is_known_after_a_restart() {
    let runtime = crate::support::runtime();
    let hub = start(&[(ID, &[("a.bin", b"1")])]);
    let repository = |edit: &dyn Fn(&mut Repository)| edit(hub.hub.lock().unwrap().repositories.get_mut(ID).unwrap());
    repository(&|repository| {
        let commit = repository.commit.clone();
        repository.tags.insert("v1".to_owned(), commit.clone());
        repository.earlier.insert(commit, repository.files.clone());
    });
    let source = || {
        let mut config = config(&hub.url, None);
        config.repositories.push(format!("{ID}@v1"));
        config.build().unwrap()
    };
    runtime.block_on(async {
        let mut running = start_with(source(), std::collections::BTreeMap::new(), 1024);
        running.listed().await;
        let gone = hub.hub.lock().unwrap().repositories.remove(ID).unwrap();
        running.until("it to be gone", |running| !running.records.contains_key(REPOSITORY)).await;
        let checkpoints = running.stop().await.checkpoints;
        // Nobody looks. It comes back as it was: nobody else has the name.
        hub.hub.lock().unwrap().repositories.insert(ID.to_owned(), gone);
        let mut running = start_with(source(), checkpoints, 1024);
        running.listed().await;
        assert!(!running.records[REPOSITORY].attributes.contains_key("ml.model.previous_created"));
        let checkpoints = running.stop().await.checkpoints;
        // Nobody looks, and somebody takes the name; the tag is a branch now.
        repository(&|repository| {
            repository.number = 7;
            repository.tags.clear();
            repository.earlier.insert("v1".to_owned(), [("a.bin".to_owned(), b"2".to_vec())].into());
        });
        let mut running = start_with(source(), checkpoints, 1024);
        running.listed().await;
        let taken = running.records[REPOSITORY].attributes.clone();
        let changes = running.source.changes(RecordKind::Model, None, Some(&taken));
        assert_eq!(changes.first().map(|change| change.action), Some("model.recreated"));
        let file = &running.records["file/team/model/v1/a.bin"];
        assert_eq!(file.kind, RecordKind::VersionArtifact, "it was a tag before the restart");
        // What was told stays so, and is told once: after another restart the name has its new owner.
        running.until("another listing", |running| running.metric("lanner_rescans_total") >= 3.0).await;
        assert_eq!(running.log, [""; 0]);
        let mut running = start_with(source(), running.stop().await.checkpoints, 1024);
        running.listed().await;
        assert!(!running.records[REPOSITORY].attributes.contains_key("ml.model.previous_created"));
        running.stop().await;
    });
}
