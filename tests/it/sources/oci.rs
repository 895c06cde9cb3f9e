//! The source of OCI registries against the registry of the Docker project.

use std::collections::BTreeMap;
use std::time::Instant;

use lanner::event::{Fields, Value};
use lanner::sources::oci::{Config, Gate};
use lanner::sources::{RecordKind, Settings as _};
use serde_json::json;

use super::harness::{Running, start_with};
use crate::peers::registry::Registry;
use crate::support::runtime;

pub fn running(config: Config) -> (Running, tokio::runtime::Runtime) {
    let runtime = runtime();
    let source = config.build().unwrap();
    let running = runtime.block_on(async {
        let mut running = start_with(source, BTreeMap::new(), 4096);
        running.listed().await;
        running
    });
    (running, runtime)
}

fn config(registry: &Registry) -> Config {
    Config { registry: registry.host.clone(), sweep_interval_secs: 1, ..Config::default() }
}

/// Actions of the changes of one record, from how it stood before to how it stands now.
fn actions(running: &Running, old: Option<&Fields>, key: &str) -> Vec<(&'static str, Fields)> {
    let new = running.records.get(key).map(|record| &record.attributes);
    let kind = if key.starts_with("model/") { RecordKind::Model } else { RecordKind::ModelVersion };
    running.source.changes(kind, old, new).into_iter().map(|change| (change.action, change.fields)).collect()
}

fn text(fields: &Fields, path: &str) -> String {
    fields.get(path).and_then(Value::as_text).unwrap_or("(absent)").to_owned()
}

pub fn version(name: &str, digest: &str) -> String {
    format!("version/{}/{}", name.replace('/', "%2F"), digest.replace(':', "%3A"))
}

#[test]
fn tags_that_move_are_told_with_both_digests_and_what_the_gate_lacks() {
    let registry = Registry::start();
    let first = registry.artifact("team/llm", "v1", &[("model.bin", b"first")]);
    assert_eq!(registry.artifact("team/llm", "prod", &[("model.bin", b"first")]), first);
    let gate = Gate { tags: vec!["prod".to_owned()], signature: true, ..Gate::default() };
    let (mut running, runtime) = running(Config { gate, ..config(&registry) });
    let model = "model/team%2Fllm";
    let before = running.records[model].attributes.clone();
    assert_eq!(before["ml.model.aliases"], Value::from(vec!["prod", "v1"]));
    assert_eq!(before["ml.model.gate.open"], Value::from(vec!["prod=signature"]));

    let second = registry.artifact("team/llm", "prod", &[("model.bin", b"second")]);
    runtime.block_on(running.until("the tag to move", |running| !actions(running, Some(&before), model).is_empty()));
    let moved = actions(&running, Some(&before), model);
    assert_eq!(moved.len(), 1, "{moved:?}");
    let (action, fields) = &moved[0];
    assert_eq!(*action, "alias.moved");
    for (path, expected) in [
        ("ml.model.alias", "prod"),
        ("oci.tag", "prod"),
        ("ml.model.version", &*second),
        ("oci.manifest.digest", &*second),
        ("ml.model.previous_version", &*first),
        ("oci.manifest.previous_digest", &*first),
    ] {
        assert_eq!(text(fields, path), expected, "{path}");
    }
    assert_eq!(fields["ml.model.gate.missing"], Value::from(vec!["signature"]));
    assert!(running.records.contains_key(&version("team/llm", &first)), "another tag still leads there");

    // The last tag of the first version moves as well: that version was not deleted.
    let old = running.records[&version("team/llm", &first)].attributes.clone();
    registry.artifact("team/llm", "v1", &[("model.bin", b"second")]);
    let gone = version("team/llm", &first);
    runtime.block_on(running.until("the first version to go", |running| !running.records.contains_key(&gone)));
    assert_eq!(actions(&running, Some(&old), &gone)[0].0, "version.untagged");

    // A signature beside it: the tag of a signature is no version.
    let signature = second.replace(':', "-") + ".sig";
    registry.artifact("team/llm", &signature, &[("payload", b"signature")]);
    let signed = version("team/llm", &second);
    runtime.block_on(running.until("the signature", |running| {
        running.records[&signed].attributes["oci.signed"] == Value::from(true)
            && running.records[model].attributes["ml.model.gate.open"] == Value::List(Vec::new())
    }));
    assert_eq!(running.records[model].attributes["ml.model.aliases"], Value::from(vec!["prod", "v1"]));

    let old = running.records[&signed].attributes.clone();
    let whole = running.records[model].attributes.clone();
    registry.delete("team/llm", &second);
    runtime.block_on(running.until("the deletion", |running| running.records.is_empty()));
    let deleted = actions(&running, Some(&old), &signed);
    assert_eq!(deleted[0].0, "version.deleted");
    assert_eq!(deleted[0].1["ml.model.deleted_together"], Value::from(1_usize));
    assert_eq!(actions(&running, Some(&whole), model)[0].0, "model.deleted");
    runtime.block_on(running.stop());
}

#[test]
fn a_sweep_asks_for_little_and_never_again_for_a_manifest_that_is_known() {
    const COUNT: usize = 300;
    let registry = Registry::start();
    for number in 0..COUNT {
        registry.artifact(&format!("models/m{number:03}"), "v1", &[("model.bin", format!("{number}").as_bytes())]);
    }
    let begun = Instant::now();
    let (mut running, runtime) = running(config(&registry));
    let took = begun.elapsed();
    runtime.block_on(running.until("sweeps", |running| running.metric("lanner_rescans_total") >= 4.0));
    runtime.block_on(running.stop());
    // What the test itself asked for is no reading.
    let mut asked = registry.asked_by("lanner/");
    asked.retain(|request| request.starts_with("HEAD ") || request.starts_with("GET "));
    let listings: Vec<&[String]> = asked.split(|request| request.contains("/_catalog")).skip(1).collect();
    let count = |requests: &[String], start: &str, part: &str| {
        requests.iter().filter(|request| request.starts_with(start) && request.contains(part)).count()
    };
    println!(
        "{COUNT} repositories of one tag: 1 + {} requests in {took:?} for the first listing, 1 + {} for each sweep",
        listings[0].len(),
        listings[1].len()
    );
    assert_eq!(listings[0].len(), 3 * COUNT, "tags, a HEAD for each, and each manifest");
    for sweep in &listings[1..3] {
        assert_eq!(sweep.len(), 2 * COUNT, "tags, and a HEAD for each");
        assert_eq!(count(sweep, "HEAD", "/manifests/v1"), COUNT);
    }
    assert_eq!(count(&asked, "GET", "/manifests/"), COUNT, "each manifest once");
    assert_eq!(count(&asked, "GET", "/blobs/"), 0, "bytes are fetched by whoever asks for them");
}

#[test]
fn few_requests_are_spent_in_turn_and_nothing_is_told_as_gone_meanwhile() {
    let registry = Registry::start();
    for number in 0..20 {
        registry.artifact(&format!("models/m{number:02}"), "v1", &[("model.bin", b"x")]);
    }
    let (mut running, runtime) = running(Config { requests_max: 8, ..config(&registry) });
    assert_eq!(
        running.records.keys().filter(|key| key.starts_with("model/")).count(),
        20,
        "the first listing is whole"
    );
    registry.artifact("models/m19", "v2", &[("model.bin", b"y")]);
    runtime.block_on(running.until("the last repository", |running| {
        running.records["model/models%2Fm19"].attributes["ml.model.aliases"] == Value::from(vec!["v1", "v2"])
    }));
    assert!(running.state().notes.contains_key("requests_max"), "{:?}", running.state());
    assert!(running.state().blind.is_empty());
    assert!(!running.log.iter().any(|told| told.starts_with('-')), "{:?}", running.log);
    runtime.block_on(running.stop());
}

#[test]
fn a_notification_leads_to_one_look_at_one_repository() {
    let registry = Registry::start();
    registry.artifact("team/llm", "v1", &[("model.bin", b"first")]);
    registry.artifact("team/other", "v1", &[("model.bin", b"first")]);
    let (mut running, runtime) = running(Config { sweep_interval_secs: 3600, ..config(&registry) });
    let event = |action: &str, kind: &str, agent: &str| {
        json!({ "events": [{
            "action": action,
            "target": { "mediaType": kind, "repository": "team/llm", "tag": "v1" },
            "request": { "useragent": agent },
        }] })
    };
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let asked = registry.asked_by("lanner/").len();
    // Our own pulls are told as well.
    running.hints.push(1, event("pull", manifest, "lanner/0.1.0"));
    let hints = running.hints.clone();
    runtime.block_on(running.until("the pull to be passed over", |_| hints.waiting().is_empty()));
    assert_eq!(registry.asked_by("lanner/").len(), asked, "a pull changes nothing");

    registry.artifact("team/llm", "v1", &[("model.bin", b"second")]);
    registry.artifact("team/other", "v1", &[("model.bin", b"second")]);
    running.hints.push(2, event("push", manifest, "skopeo/1.9.3"));
    runtime.block_on(
        running.until("what was pushed", |running| {
            running.log.iter().any(|told| told.starts_with("-version/team%2Fllm/"))
        }),
    );
    assert!(running.applied.iter().all(|record| record.hint.as_str() == "webhook"));
    assert!(!running.log.iter().any(|told| told.contains("team%2Fother")), "{:?}", running.log);

    // What is not understood leads to a listing.
    running.hints.push(3, json!({ "something": "else" }));
    runtime.block_on(
        running.until("the other", |running| running.log.iter().any(|told| told.starts_with("+version/team%2Fother/"))),
    );
    runtime.block_on(running.until("all hints to be answered", |_| hints.waiting().is_empty()));
    // What the one before has no tag for any more is gone once a second listing misses it, too.
    assert!(!running.log.iter().any(|told| told.starts_with("-version/team%2Fother/")), "{:?}", running.log);
    running.hints.push(4, json!({ "something": "else again" }));
    runtime
        .block_on(running.until("its deletion", |running| {
            running.log.iter().any(|told| told.starts_with("-version/team%2Fother/"))
        }));
    runtime.block_on(running.stop());
}

#[test]
fn settings_that_cannot_work_are_told_all_at_once() {
    let config = Config {
        registry: "https://registry.example.com/v2".to_owned(),
        repositories: vec!["models/[".to_owned()],
        sweep_interval_secs: 0,
        username: Some("scanner".to_owned()),
        ..Config::default()
    };
    let problems = config.build().err().unwrap();
    for part in ["`sweep_interval_secs`", "`registry`", "`repositories`"] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:?}");
    }
    let alone = Config { registry: "r.example.com".to_owned(), username: Some("me".to_owned()), ..Config::default() };
    assert!(alone.build().err().unwrap()[0].contains("password_file"));
}

#[test]
fn a_tag_that_moved_while_nobody_looked_leaves_a_version_and_one_that_went_deletes_it() {
    let registry = Registry::start();
    let moved = registry.artifact("team/llm", "v1", &[("model.bin", b"first")]);
    let kept = registry.artifact("team/llm", "v2", &[("model.bin", b"second")]);
    let deleted = registry.artifact("team/llm", "v3", &[("model.bin", b"third")]);
    let (before, runtime) = running(config(&registry));
    let before = runtime.block_on(before.stop()).records;
    // Nobody looks.
    registry.artifact("team/llm", "v1", &[("model.bin", b"second")]);
    registry.delete("team/llm", &deleted);
    let (after, runtime) = running(config(&registry));
    let old = |digest: &str| before[&version("team/llm", digest)].attributes.clone();
    assert!(after.records.contains_key(&version("team/llm", &kept)));
    let told = |digest: &str| actions(&after, Some(&old(digest)), &version("team/llm", digest))[0].0;
    assert_eq!(told(&moved), "version.untagged", "by its digest it is still there");
    assert_eq!(told(&deleted), "version.deleted");
    let model = "model/team%2Fllm";
    let actions: Vec<_> =
        actions(&after, Some(&before[model].attributes), model).into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, ["alias.moved", "alias.deleted"]);
    runtime.block_on(after.stop());
}
