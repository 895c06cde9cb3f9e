//! Watched repositories: refs that move as they should and as they should not, hints, and what a look costs.

use std::collections::BTreeMap;
use std::time::Duration;

use lanner::event::{Fields, Value};
use lanner::sources::git::Config;
use lanner::sources::{Change, RecordKind, Settings as _};
use serde_json::json;

use super::harness::{Running, start_with};
use crate::peers::git::{Repository, git_in};
use crate::support::runtime;

const REPOSITORY: &str = "repository/models";

pub fn config(repository: &Repository) -> Config {
    Config {
        repositories: vec![repository.path.clone()],
        sweep_interval_secs: 3600,
        poll_interval_secs: 1,
        ..Config::default()
    }
}

pub async fn listed(config: Config) -> Running {
    let mut running = start_with(config.build().unwrap(), BTreeMap::new(), 1024);
    running.listed().await;
    running
}

/// What became of a repository, from how it stood before: actions with the refs that they are about.
pub async fn changes(running: &mut Running, old: &mut Fields) -> Vec<Change> {
    let before = running.log.len();
    running
        .until("a change of the repository", |running| {
            running.log.iter().skip(before).any(|told| told == &format!("+{REPOSITORY}"))
        })
        .await;
    let new = running.records[REPOSITORY].attributes.clone();
    let changes = running.source.changes(RecordKind::Model, Some(old), Some(&new));
    *old = new;
    changes
}

pub fn actions(changes: &[Change]) -> Vec<String> {
    let about = |change: &Change| format!("{} {}", change.action, change.fields["ml.model.alias"].as_text().unwrap());
    let mut actions: Vec<String> = changes.iter().map(about).collect();
    actions.sort_unstable();
    actions
}

#[test]
fn a_push_and_a_rewritten_history_are_told_apart() {
    let repository = Repository::tree();
    let first = repository.commit(&[("model.pkl", b"one")], "one");
    runtime().block_on(async {
        let mut running = listed(config(&repository)).await;
        let mut old = running.records[REPOSITORY].attributes.clone();
        let second = repository.commit(&[("model.pkl", b"two")], "two");
        let told = changes(&mut running, &mut old).await;
        assert_eq!(actions(&told), ["alias.moved main"], "an ordinary commit");
        assert_eq!(told[0].fields["ml.model.version"], Value::from(&*second));
        assert_eq!(told[0].fields["ml.model.previous_version"], Value::from(&*first));
        assert_eq!(told[0].fields["git.claimed.author"], Value::from("Ada <ada@example.com>"));

        repository.git(&["checkout", "--quiet", "-b", "next"]);
        repository.commit(&[("next.pkl", b"three")], "three");
        assert_eq!(actions(&changes(&mut running, &mut old).await), ["alias.set next"]);
        repository.git(&["checkout", "--quiet", "main"]);
        repository.git(&["merge", "--quiet", "--no-ff", "-m", "merged", "next"]);
        assert_eq!(actions(&changes(&mut running, &mut old).await), ["alias.moved main"], "a merge");
        repository.git(&["branch", "--quiet", "-D", "next"]);
        assert_eq!(actions(&changes(&mut running, &mut old).await), ["alias.deleted next"]);

        // What the commit before was is not even there any more.
        repository.git(&["reset", "--quiet", "--hard", &first]);
        let third = repository.commit(&[("model.pkl", b"other")], "other");
        repository.git(&["reflog", "expire", "--expire=now", "--all"]);
        repository.git(&["gc", "--quiet", "--prune=now"]);
        let mut told = changes(&mut running, &mut old).await;
        if old["ml.model.alias_versions"].as_list().unwrap() != [Value::from(format!("main={third}"))] {
            told = changes(&mut running, &mut old).await;
        }
        assert!(actions(&told).contains(&"history.rewritten main".to_owned()), "{told:?}");
    });
}

#[test]
fn branches_that_people_rebase_may_be_rewritten() {
    let repository = Repository::tree();
    repository.commit(&[("model.pkl", b"one")], "one");
    runtime().block_on(async {
        let mut config = config(&repository);
        config.protected_branches = vec!["team/**".to_owned()];
        let mut running = listed(config).await;
        let mut old = running.records[REPOSITORY].attributes.clone();
        for (branch, expected) in [
            ("users/ada/topic", vec!["alias.moved users/ada/topic"]),
            ("team/topic", vec!["alias.moved team/topic", "history.rewritten team/topic"]),
        ] {
            repository.git(&["checkout", "--quiet", "-b", branch, "main"]);
            repository.commit(&[("topic.pkl", b"one")], "one");
            assert_eq!(actions(&changes(&mut running, &mut old).await), [format!("alias.set {branch}")]);
            repository.git(&["commit", "--quiet", "--amend", "-m", "another"]);
            assert_eq!(actions(&changes(&mut running, &mut old).await), expected);
        }
    });
}

#[test]
fn a_history_that_was_rewritten_while_nobody_looked_is_told() {
    let repository = Repository::tree();
    let first = repository.commit(&[("model.pkl", b"one")], "one");
    repository.commit(&[("model.pkl", b"two")], "two");
    runtime().block_on(async {
        let running = listed(config(&repository)).await;
        let old = running.records[REPOSITORY].attributes.clone();
        drop(running.stop().await);
        repository.git(&["reset", "--quiet", "--hard", &first]);
        let running = listed(config(&repository)).await;
        let new = &running.records[REPOSITORY].attributes;
        let told = running.source.changes(RecordKind::Model, Some(&old), Some(new));
        assert_eq!(actions(&told), ["alias.moved main", "history.rewritten main"], "set back");
        let told = running.source.changes(RecordKind::Model, Some(new), Some(&old));
        assert_eq!(actions(&told), ["alias.moved main"], "and forward again");
    });
}

#[test]
fn a_tag_must_lead_where_it_always_did() {
    let repository = Repository::tree();
    let first = repository.commit(&[("model.pkl", b"one")], "one");
    repository.git(&["tag", "-a", "-m", "a version", "v1"]);
    repository.git(&["tag", "latest"]);
    runtime().block_on(async {
        let mut running = listed(config(&repository)).await;
        let mut old = running.records[REPOSITORY].attributes.clone();
        let (fixed, moving) = ("file/models/tags%2Fv1/model.pkl", "file/models/tags%2Flatest/model.pkl");
        assert_eq!(running.records[fixed].kind, RecordKind::VersionArtifact);
        assert_eq!(running.records[fixed].attributes["ml.model.version"], Value::from(&*first));
        assert_eq!(running.records[moving].kind, RecordKind::Artifact, "as the settings say");
        repository.git(&["checkout", "--quiet", "--detach"]);
        let second = repository.commit(&[("model.pkl", b"two")], "two");
        repository.git(&["tag", "-f", "latest"]);
        assert_eq!(actions(&changes(&mut running, &mut old).await), ["alias.moved tags/latest"]);
        repository.git(&["tag", "-f", "v1"]);
        let told = changes(&mut running, &mut old).await;
        assert_eq!(actions(&told), ["alias.moved tags/v1", "history.rewritten tags/v1"]);
        let version = |running: &Running| running.records[fixed].attributes["ml.model.version"].clone();
        running.until("the file", |running| version(running) == Value::from(&*second)).await;
        // Away, and back as something else.
        repository.git(&["tag", "-d", "v1"]);
        assert_eq!(actions(&changes(&mut running, &mut old).await), ["alias.deleted tags/v1"]);
        repository.git(&["tag", "v1", &first]);
        let told = changes(&mut running, &mut old).await;
        assert_eq!(actions(&told), ["alias.set tags/v1", "history.rewritten tags/v1"], "created anew elsewhere");
        // Away, and back as it was.
        repository.git(&["tag", "-d", "v1"]);
        assert_eq!(actions(&changes(&mut running, &mut old).await), ["alias.deleted tags/v1"]);
        repository.git(&["tag", "v1", &first]);
        assert_eq!(actions(&changes(&mut running, &mut old).await), ["alias.set tags/v1"]);
    });
}

#[test]
fn nothing_is_told_of_a_repository_that_is_packed_or_fetched_into() {
    let repository = Repository::tree();
    for number in 0..20_u8 {
        repository.commit(&[("model.pkl", &[number; 3000]), ("data/rows.csv", b"a,b\n1,2\n")], "another");
    }
    repository.git(&["tag", "v1"]);
    let other = Repository::bare();
    other.git(&["fetch", "--quiet", repository.path.to_str().unwrap(), "main:main"]);
    runtime().block_on(async {
        let mut config = config(&repository);
        config.sweep_interval_secs = 1;
        let mut running = listed(config).await;
        for arguments in [
            &["pack-refs", "--all"][..],
            &["gc", "--quiet", "--prune=now", "--aggressive"],
            &["repack", "-a", "-d", "-q", "--write-midx"],
            &["commit-graph", "write", "--reachable"],
            &["reflog", "expire", "--expire=now", "--all"],
        ] {
            repository.git(arguments);
            running.during(Duration::from_millis(1500)).await;
        }
        assert_eq!(running.log, [""; 0], "it is what it was");
        assert!(running.state().blind.is_empty(), "{:?}", running.state());
        // A branch that is fetched is one more, and nothing else.
        let path = other.path.to_str().unwrap();
        repository.git(&["fetch", "--quiet", path, "main:refs/heads/fetched"]);
        running.until("the branch", |running| running.records.contains_key("file/models/fetched/model.pkl")).await;
        assert!(running.log.iter().all(|told| told.starts_with('+')), "{:?}", running.log);
    });
}

#[test]
fn a_repository_may_be_packed_while_it_is_looked_at() {
    let repository = Repository::bare();
    let name = |number: usize| format!("model-{number:02}.pkl");
    let put = |number: usize| {
        let bytes = vec![u8::try_from(number).unwrap(); 5000];
        repository.import("refs/heads/main", &[(name(number).as_bytes(), Some(&bytes))]);
    };
    put(0);
    std::thread::scope(|threads| {
        let packing = threads.spawn(|| {
            for number in 1..40 {
                put(number);
                let branch = format!("refs/heads/side-{}", number % 3);
                repository.git(&["update-ref", &branch, "main"]);
                repository.git(&["pack-refs", "--all"]);
                repository.git(&["repack", "-a", "-d", "-f", "-q"]);
                repository.git(&["prune-packed", "-q"]);
            }
        });
        runtime().block_on(async {
            let mut running = listed(config(&repository)).await;
            let mut looks = 0;
            while !packing.is_finished() {
                looks += 1;
                running.hints.push(looks, json!({ "repository": { "name": "models" } }));
                running.during(Duration::from_millis(10)).await;
            }
            let last = format!("file/models/main/{}", name(39));
            running.until("the last file", |running| running.records.contains_key(&last)).await;
            assert!(running.log.iter().all(|told| told.starts_with('+')), "nothing went: {:?}", running.log);
            for number in 0..40 {
                assert!(running.records.contains_key(&format!("file/models/main/{}", name(number))), "{number}");
            }
            assert!(looks > 20, "{looks}");
        });
    });
}

#[test]
fn what_is_watched_is_configured() {
    let repository = Repository::tree();
    repository.commit(&[("model.pkl", b"1"), ("README.md", b"2"), ("tmp/b.pkl", b"3"), ("a/prompts/x.md", b"4")], "x");
    for branch in ["release/1", "release/2/fix", "topic"] {
        repository.git(&["branch", branch]);
    }
    repository.git(&["tag", "v1"]);
    repository.git(&["update-ref", "refs/pull/1/head", "main"]);
    let keys = |edit: &dyn Fn(&mut Config)| {
        let mut config = config(&repository);
        edit(&mut config);
        let running = runtime().block_on(listed(config));
        let files = running.records.keys().filter_map(|key| key.strip_prefix("file/models/"));
        files.map(str::to_owned).collect::<Vec<_>>()
    };
    let one = |refs: &[&str]| refs.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>();
    let main = |config: &mut Config| config.refs = one(&["main"]);
    assert_eq!(keys(&main), ["main/a/prompts/x.md", "main/model.pkl", "main/tmp/b.pkl"]);
    assert_eq!(
        keys(&|config| {
            main(config);
            (config.include, config.exclude) = (vec!["*.md".to_owned()], vec!["a".to_owned()]);
        }),
        ["main/README.md"]
    );
    let models = |config: &mut Config| config.include = vec!["model.pkl".to_owned()];
    let with = |refs: &[&str]| keys(&|config| (models(config), config.refs = one(refs)).1);
    assert_eq!(with(&["release/*"]), ["release%2F1/model.pkl"]);
    assert_eq!(with(&["refs/pull/*/head"]), ["refs%2Fpull%2F1%2Fhead/model.pkl"]);
    assert_eq!(with(&["HEAD"]), ["HEAD/model.pkl"]);
    assert_eq!(keys(&models).len(), 5, "all branches and tags, and nothing else");
}

#[test]
fn a_push_is_found_at_once_when_somebody_says_so() {
    let repository = Repository::bare();
    repository.import("refs/heads/main", &[(b"model.pkl", Some(b"one"))]);
    runtime().block_on(async {
        let mut config = config(&repository);
        config.poll_interval_secs = 3600;
        let mut running = listed(config).await;
        repository.import("refs/heads/main", &[(b"model.pkl", Some(b"two"))]);
        running.hints.push(1, json!({ "ref": "refs/heads/main", "repository": { "full_name": "team/models" } }));
        running.until("the push", |running| running.log.contains(&"+file/models/main/model.pkl".to_owned())).await;
        let hints = running.hints.clone();
        running.until("the hint to be answered", |_| hints.waiting().is_empty()).await;
        let hinted = running.applied.iter().all(|record| record.hint == lanner::sources::Hint::Webhook);
        assert!(hinted, "{:?}", running.applied);
    });
}

#[test]
fn all_repositories_of_a_server_are_found_and_one_that_goes_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let path = folder.path().join(name);
        git_in(folder.path(), folder.path(), &["init", "--quiet", "--bare", "-b", "main", path.to_str().unwrap()], b"");
        let stream = b"commit refs/heads/main\ncommitter A <a@b> 1 +0000\ndata 0\nM 100644 inline m.pkl\ndata 1\nx\n";
        git_in(&path, folder.path(), &["fast-import", "--quiet"], stream);
    };
    for name in ["acme/ranker.git", "acme/clicks.git", "other/ranker.git"] {
        make(name);
    }
    let config = Config { repositories: vec![folder.path().to_owned()], sweep_interval_secs: 1, ..Config::default() };
    runtime().block_on(async {
        let mut running = listed(config).await;
        let repositories = |running: &Running| {
            let keys = running.records.keys().filter_map(|key| key.strip_prefix("repository/"));
            keys.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(repositories(&running), ["acme/clicks", "acme/ranker", "other/ranker"]);
        make("acme/new.git");
        running.until("the new one", |running| running.records.contains_key("file/acme%2Fnew/main/m.pkl")).await;
        std::fs::remove_dir_all(folder.path().join("acme/clicks.git")).unwrap();
        running.until("it to be gone", |running| repositories(running).len() == 3).await;
        assert!(!running.records.contains_key("file/acme%2Fclicks/main/m.pkl"));
        // The whole folder away is no proof that anything is gone.
        let told = running.log.len();
        let away = folder.path().with_extension("away");
        std::fs::rename(folder.path(), &away).unwrap();
        running.until("blindness", |running| running.state().blind.contains_key("no_repository")).await;
        running.during(Duration::from_secs(3)).await;
        std::fs::rename(&away, folder.path()).unwrap();
        running.until("sight", |running| running.state().blind.is_empty()).await;
        assert_eq!(running.log.len(), told);
    });
}

/// Objects that a source has read so far.
fn read(running: &Running) -> f64 {
    running.metric("lanner_source_requests_total")
}

#[test]
fn what_did_not_change_is_not_read_again() {
    let repository = Repository::bare();
    let names: Vec<String> = (0..2_000).map(|number| format!("weights/{:02}/{number}.bin", number % 50)).collect();
    let pointer = |number: usize| {
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{number:064x}\nsize {number}\n").into_bytes()
    };
    let pointers: Vec<Vec<u8>> = (0..names.len()).map(pointer).collect();
    let files: Vec<(&[u8], Option<&[u8]>)> =
        names.iter().zip(&pointers).map(|(name, bytes)| (name.as_bytes(), Some(&**bytes))).collect();
    repository.import("refs/heads/main", &files);
    repository.git(&["gc", "--quiet"]);
    runtime().block_on(async {
        let mut config = config(&repository);
        config.sweep_interval_secs = 1;
        let mut running = listed(config).await;
        assert_eq!(running.records.len(), names.len() + 1);
        let first = read(&running);
        assert!(first >= 4_000.0, "each pointer was read: {first}");
        running.during(Duration::from_secs(4)).await;
        assert!((read(&running) - first).abs() < 0.5, "nothing changed, and no object was read: {}", read(&running));
        repository.import("refs/heads/main", &[(b"weights/07/7.bin", Some(&pointer(9999)))]);
        running.until("the change", |running| running.log.len() == 2).await;
        running.during(Duration::from_secs(2)).await;
        let more = read(&running) - first;
        assert!(more <= 8.0, "a commit, three trees and one pointer: {more}");
    });
}

#[test]
fn settings_that_make_no_sense_are_told() {
    let problems = |edit: &dyn Fn(&mut Config)| {
        let mut config = Config { repositories: vec!["/srv/git".into()], ..Config::default() };
        edit(&mut config);
        config.build().err().unwrap_or_default().join("; ")
    };
    assert_eq!(problems(&|_| {}), "");
    assert!(problems(&|config| config.repositories.clear()).contains("name at least one"));
    assert!(problems(&|config| config.refs = vec!["a[".to_owned()]).contains("`refs` has the glob"));
    assert!(problems(&|config| config.moving_tags = vec!["a[".to_owned()]).contains("`moving_tags`"));
    assert!(problems(&|config| config.include = vec!["a[".to_owned()]).contains("`include`"));
    assert!(problems(&|config| config.sweep_interval_secs = 0).contains("at least 1"));
    assert!(problems(&|config| config.repositories.push("/other/git".into())).contains("two that are called `git`"));
}
