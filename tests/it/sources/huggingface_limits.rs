//! What the hub says beside its listings: how many files there are, how many calls it still takes, and what its scanners
//! flag.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lanner::event::Value;
use lanner::sources::{RecordKind, Settings as _};

use super::harness::start_with;
use super::huggingface::{ID, config};
use crate::peers::hub::start;
use crate::support::runtime;

/// Calls in a window, and its length.
const QUOTA: (u32, Duration) = (12, Duration::from_secs(5));

#[test]
fn calls_are_spread_before_the_hub_refuses_them() {
    let runtime = runtime();
    let hub = start(&[(ID, &[("a.bin", b"1")]), ("team/other", &[("b.bin", b"2")])]);
    hub.hub.lock().unwrap().quota = Some(QUOTA);
    let mut config = config(&hub.url, None);
    config.repositories.push("team/other".to_owned());
    let began = Instant::now();
    runtime.block_on(async {
        let mut running = start_with(config.build().unwrap(), BTreeMap::new(), 1024);
        running.listed().await;
        running.until("it to be told", |running| running.state().notes.contains_key("paced")).await;
        assert!(running.state().notes["paced"].contains("raise `sweep_interval_secs`"), "{:?}", running.state());
        let paced = |running: &super::harness::Running| running.metric("lanner_source_paced_seconds_total");
        running.until("three windows", |_| began.elapsed() > QUOTA.1 * 3).await;
        assert!(running.state().blind.is_empty(), "{:?}", running.state());
        assert!(paced(&running) > 1.0, "{}", paced(&running));
        running.stop().await;
    });
    let hub = hub.hub.lock().unwrap();
    assert_eq!(hub.refused, 0, "of {} calls", hub.asked.len());
    assert!(hub.asked.len() > 24, "as many as are allowed are made: {}", hub.asked.len());
}

#[test]
fn that_calls_are_held_back_is_told_while_they_are_and_no_longer() {
    let runtime = runtime();
    let names: Vec<String> = (0..12).map(|number| format!("team/model-{number}")).collect();
    let files: &[(&str, &[u8])] = &[("a.bin", b"1")];
    let all: Vec<_> = names.iter().map(|name| (name.as_str(), files)).collect();
    let hub = start(&all);
    hub.hub.lock().unwrap().quota = Some((12, Duration::from_secs(12)));
    let mut config = config(&hub.url, None);
    config.repositories = names;
    config.sweep_interval_secs = 3_600;
    runtime.block_on(async {
        let mut running = start_with(config.build().unwrap(), BTreeMap::new(), 1024);
        running.until("it to be told", |running| running.state().notes.contains_key("paced")).await;
        assert!(!running.state().synced, "the first listing is held up: {:?}", running.state());
        // No calls are left to be spread.
        hub.hub.lock().unwrap().quota = None;
        running.listed().await;
        running.until("it to be over", |running| !running.state().notes.contains_key("paced")).await;
        running.stop().await;
    });
}

#[test]
fn what_the_hub_refuses_is_asked_again_when_its_window_is_over() {
    let runtime = runtime();
    let hub = start(&[(ID, &[("a.bin", b"1")])]);
    hub.hub.lock().unwrap().quota = Some((2, Duration::from_secs(3)));
    runtime.block_on(async {
        // Two clients share what is left: one cannot know of the other.
        let sources = [config(&hub.url, None), config(&hub.url, None)].map(|config| config.build().unwrap());
        let [mut one, mut two] = sources.map(|source| start_with(source, BTreeMap::new(), 1024));
        one.listed().await;
        two.listed().await;
        drop((one.stop().await, two.stop().await));
    });
    assert!(hub.hub.lock().unwrap().refused > 0, "somebody was refused, and came back");
}

#[test]
fn what_the_hubs_scanners_flag_is_told_with_the_repository_and_the_file() {
    let runtime = runtime();
    let hub = start(&[(ID, &[("a.bin", b"1"), ("b.bin", b"2")])]);
    let flag = |issues| hub.hub.lock().unwrap().repositories.get_mut(ID).unwrap().issues = issues;
    flag(Some(vec![("a.bin", "caution")]));
    runtime.block_on(async {
        let mut running = start_with(config(&hub.url, None).build().unwrap(), BTreeMap::new(), 1024);
        running.listed().await;
        let (repository, file) = ("repository/team/model", "file/team/model/main/b.bin");
        let old = running.records[repository].attributes.clone();
        assert_eq!(old["ml.model.scan.issues"], Value::from(vec!["a.bin=caution"]));
        assert!(!running.records[file].attributes.contains_key("ml.artifact.scan.level"));
        flag(Some(vec![("a.bin", "caution"), ("b.bin", "unsafe")]));
        running
            .until("the flag", |running| {
                running.records[file].attributes.get("ml.artifact.scan.level") == Some(&Value::from("unsafe"))
            })
            .await;
        let new = running.records[repository].attributes.clone();
        let changes = running.source.changes(RecordKind::Model, Some(&old), Some(&new));
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].action, "issue.created");
        assert_eq!(changes[0].fields["file.path"], Value::from("b.bin"));
        // Found by the first listing, it is told as well; looked at again, or taken back, it is nothing new.
        let at_first = running.source.changes(RecordKind::Model, None, Some(&new));
        assert_eq!(at_first.iter().filter(|change| change.action == "issue.created").count(), 2);
        assert_eq!(running.source.changes(RecordKind::Model, Some(&new), Some(&old)), []);
        running.stop().await;
    });
}

#[test]
fn files_that_a_mirror_hides_are_told_and_are_neither_there_nor_gone() {
    let runtime = runtime();
    let files: [(&str, &[u8]); 4] = [("b.bin", b"1"), ("c.bin", b"2"), ("d.bin", b"3"), ("e.bin", b"4")];
    let hub = start(&[(ID, &files)]);
    runtime.block_on(async {
        let mut running = start_with(config(&hub.url, None).build().unwrap(), BTreeMap::new(), 1024);
        running.listed().await;
        assert_eq!(running.records.len(), 5);
        {
            let mut hub = hub.hub.lock().unwrap();
            hub.without_links = true;
            let repository = hub.repositories.get_mut(ID).unwrap();
            repository.files.insert("a.bin".to_owned(), b"5".to_vec());
            repository.push(false);
        }
        running.until("blindness", |running| running.state().blind.contains_key("truncated")).await;
        assert!(running.state().blind["truncated"].contains("3 of 5 files"), "{:?}", running.state());
        running.until("what is listed", |running| running.records.keys().any(|key| key.ends_with("/a.bin"))).await;
        running.during(Duration::from_secs(4)).await;
        assert_eq!(running.records.len(), 6, "{:?}", running.log);
        // The same commit, as soon as all of it is listed.
        hub.hub.lock().unwrap().without_links = false;
        running.until("sight", |running| running.state().blind.is_empty()).await;
        assert_eq!(running.records.len(), 6, "{:?}", running.log);
        running.stop().await;
    });
}
