//! Trees of files: what is told of them, under which names, and when.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lanner::event::{ArtifactRef, Value};
use lanner::sources::filesystem::{Config, paths};
use lanner::sources::{RecordKind, Settings, StoreError};
use tempfile::TempDir;

use super::harness::{Running, start};

pub fn config(root: &Path) -> Config {
    Config {
        name: "models".to_owned(),
        paths: vec![root.to_owned()],
        settle_millis: 60,
        // Nothing here may be owed to a sweep unless a test says so.
        sweep_interval_secs: 3600,
        poll_interval_secs: 1,
        ..Config::default()
    }
}

fn tree(files: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for file in files {
        write(&folder.path().join(file), file);
    }
    folder
}

pub fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn key(folder: &TempDir, name: &str) -> String {
    paths::escape(&folder.path().join(name))
}

fn names(running: &Running, folder: &TempDir) -> Vec<String> {
    let prefix = format!("{}/", folder.path().display());
    running.records.keys().map(|key| key.strip_prefix(&prefix).unwrap_or(key).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_what_is_there_with_its_attributes() {
    let folder = tree(&["a/model.PT", "notes.txt", ".git/objects/x", "b/half.tmp", "__pycache__/m.pyc"]);
    fs::set_permissions(folder.path().join("notes.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    let mut running = start(config(folder.path()));
    running.listed().await;
    assert_eq!(names(&running, &folder), ["a/model.PT", "notes.txt"]);
    let record = &running.records[&key(&folder, "notes.txt")];
    assert_eq!(record.kind, RecordKind::Artifact);
    assert_eq!(record.attributes["file.mode"], Value::from("0640"));
    assert_eq!(record.attributes["file.size"], Value::from(9_u64));
    assert_eq!(running.records[&key(&folder, "a/model.PT")].attributes["file.extension"], Value::from("pt"));
    assert_eq!(running.state().watched, 2);
    assert!(running.state().synced && running.state().blind.is_empty());
    let running = running.stop().await;
    assert!(running.log.is_empty(), "a listing is no change: {:?}", running.log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_writes_renames_and_removals() {
    let folder = tree(&["keep.pt", "old.pt"]);
    let mut running = start(config(folder.path()));
    running.listed().await;

    fs::write(folder.path().join("keep.pt"), "another").unwrap();
    let kept = format!("+{}", key(&folder, "keep.pt"));
    running.until("a write", |running| running.log == [kept.clone()]).await;

    fs::rename(folder.path().join("old.pt"), folder.path().join("new.pt")).unwrap();
    let renamed = [format!("-{}", key(&folder, "old.pt")), format!("+{}", key(&folder, "new.pt"))];
    running.until("a rename", |running| renamed.iter().all(|told| running.log.contains(told))).await;

    // Saved aside and renamed, as careful programs do: one change of one file.
    running.log.clear();
    fs::write(folder.path().join("keep.pt.tmp"), "third text").unwrap();
    fs::rename(folder.path().join("keep.pt.tmp"), folder.path().join("keep.pt")).unwrap();
    running.until("an atomic save", |running| running.log == [kept.clone()]).await;

    running.log.clear();
    fs::remove_file(folder.path().join("keep.pt")).unwrap();
    running.until("a removal", |running| running.log == [format!("-{}", key(&folder, "keep.pt"))]).await;
    assert!(running.metric("lanner_reconcile_found_total").abs() < 0.5, "hints told all of it");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_directories_that_move() {
    let folder = tree(&["run/checkpoint-1/model.pt", "run/checkpoint-2/model.pt"]);
    let outside = TempDir::new().unwrap();
    let mut running = start(config(folder.path()));
    running.listed().await;

    fs::rename(folder.path().join("run"), folder.path().join("done")).unwrap();
    running
        .until("a moved directory", |running| {
            names(running, &folder) == ["done/checkpoint-1/model.pt", "done/checkpoint-2/model.pt"]
        })
        .await;
    // The moved directory is still watched, under its new name.
    fs::write(folder.path().join("done/checkpoint-2/model.pt"), "changed").unwrap();
    let told = format!("+{}", key(&folder, "done/checkpoint-2/model.pt"));
    running.log.clear();
    running.until("a write below it", |running| running.log == [told.clone()]).await;

    fs::rename(folder.path().join("done"), outside.path().join("done")).unwrap();
    running.until("a directory moved out", |running| running.records.is_empty()).await;
    fs::rename(outside.path().join("done"), folder.path().join("back")).unwrap();
    running.until("a directory moved in", |running| running.records.len() == 2).await;
    fs::remove_dir_all(folder.path().join("back")).unwrap();
    write(&folder.path().join("back/model.pt"), "again");
    running.until("a directory made anew", |running| names(running, &folder) == ["back/model.pt"]).await;
    fs::write(folder.path().join("back/model.pt"), "and written").unwrap();
    running.log.clear();
    running.until("a write in it", |running| !running.log.is_empty()).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_names_and_loops_end() {
    let folder = tree(&["v1/model.pt", "v2/model.pt"]);
    let aside = tree(&["shared.pt"]);
    let root = folder.path();
    symlink("v1", root.join("current")).unwrap();
    symlink("..", root.join("v1/up")).unwrap();
    symlink("self", root.join("self")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink(aside.path().join("shared.pt"), root.join("linked.pt")).unwrap();
    let mut running = start(config(root));
    running.listed().await;
    assert_eq!(names(&running, &folder), ["current/model.pt", "linked.pt", "v1/model.pt", "v2/model.pt"]);
    let record = &running.records[&key(&folder, "linked.pt")];
    assert_eq!(record.attributes["file.target_path"], Value::from(key(&aside, "shared.pt")));
    let (one, two) =
        (&running.records[&key(&folder, "current/model.pt")], &running.records[&key(&folder, "v1/model.pt")]);
    assert_eq!(one.signature, two.signature, "the same bytes have the same signature");

    fs::write(aside.path().join("shared.pt"), "written where it lies").unwrap();
    running
        .until("a write to a link's target", |running| running.log == [format!("+{}", key(&folder, "linked.pt"))])
        .await;

    running.log.clear();
    symlink("v2", root.join("next")).unwrap();
    fs::rename(root.join("next"), root.join("current")).unwrap();
    let told = format!("+{}", key(&folder, "current/model.pt"));
    running.until("a link that leads elsewhere", |running| running.log.contains(&told)).await;
    assert!(running.metric("lanner_reconcile_found_total").abs() < 0.5, "hints told all of it");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mounted_config_map_is_swapped_without_a_removal() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let version = |round: usize| format!("..2026_01_31_12_00_0{round}.{}", 123_456_789 + round);
    write(&root.join(version(1)).join("rules.yaml"), "one");
    symlink(version(1), root.join("..data")).unwrap();
    symlink("..data/rules.yaml", root.join("rules.yaml")).unwrap();
    let mut running = start(config(root));
    running.listed().await;
    assert_eq!(names(&running, &folder), ["rules.yaml"]);
    for round in 2..6 {
        write(&root.join(version(round)).join("rules.yaml"), &"text".repeat(round));
        symlink(version(round), root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        fs::remove_dir_all(root.join(version(round - 1))).unwrap();
        running.until("a swap", |running| running.log.len() == round - 1).await;
    }
    assert!(running.log.iter().all(|told| *told == format!("+{}", key(&folder, "rules.yaml"))), "{:?}", running.log);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hugging_face_cache_is_told_by_its_snapshots() {
    let folder = TempDir::new().unwrap();
    let model = folder.path().join("models--org--tiny");
    let mut running = start(config(folder.path()));
    running.listed().await;
    write(&model.join("blobs/0a1b"), "weights");
    fs::create_dir_all(model.join("snapshots/c0ffee")).unwrap();
    symlink("../../blobs/0a1b", model.join("snapshots/c0ffee/model.safetensors")).unwrap();
    let name = "models--org--tiny/snapshots/c0ffee/model.safetensors";
    running.until("the snapshot", |running| names(running, &folder) == [name]).await;
    running.log.clear();
    fs::write(model.join("blobs/0a1b"), "poison!").unwrap();
    running.until("a write to the blob", |running| running.log == [format!("+{}", key(&folder, name))]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_no_text_come_back_whole() {
    let folder = TempDir::new().unwrap();
    let name = folder.path().join(OsStr::from_bytes(b"we\\ird\xff\x80.pt"));
    write(&name, "bytes");
    let mut running = start(config(folder.path()));
    running.listed().await;
    let record = running.records.values().next().unwrap().clone();
    assert!(record.key.ends_with("we\\\\ird\\xff\\x80.pt"), "{}", record.key);
    let store = running.source.store().unwrap();
    let opened = store.open(record.artifact.as_ref().unwrap()).await.unwrap();
    let mut bytes = [0; 16];
    assert_eq!(opened.read_at(0, &mut bytes).unwrap(), 5);
    drop(opened);
    // Within one tick of the file system's clock another change would bear the same time.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let opened = store.open(record.artifact.as_ref().unwrap()).await.unwrap();
    assert!(opened.unchanged());
    fs::write(&name, "other").unwrap();
    assert!(!opened.unchanged(), "same length, other bytes");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opens_regular_files_below_its_roots_only() {
    let folder = tree(&["a.pt"]);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path().join("pipe.pt"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let mut running = start(config(folder.path()));
    running.listed().await;
    assert_eq!(names(&running, &folder), ["a.pt"], "a pipe is not told");
    let store = running.source.store().unwrap();
    let open = async |path: String| {
        let artifact = ArtifactRef { store: "models".to_owned(), lineage: path.clone(), path, version: None };
        store.open(&artifact).await.map(drop)
    };
    assert!(open(key(&folder, "a.pt")).await.is_ok());
    assert!(matches!(open(key(&folder, "gone.pt")).await, Err(StoreError::Gone)));
    assert!(matches!(open(key(&folder, "pipe.pt")).await, Err(StoreError::Refused(_))));
    assert!(matches!(open(key(&folder, "../../etc/passwd")).await, Err(StoreError::Refused(_))));
    assert!(matches!(open("/etc/passwd".to_owned()).await, Err(StoreError::Refused(_))));
    assert!(matches!(open("\\q".to_owned()).await, Err(StoreError::Refused(_))));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn globs_choose() {
    let folder = tree(&["a.pt", "b.txt", "deep/c.pt", "deep/skip/d.pt", "logs/e.pt"]);
    let mut settings = config(folder.path());
    settings.include = vec!["*.pt".to_owned()];
    settings.exclude = vec!["deep/skip".to_owned(), "logs/**".to_owned()];
    let mut running = start(settings.clone());
    running.listed().await;
    assert_eq!(names(&running, &folder), ["a.pt", "deep/c.pt"]);
    write(&folder.path().join("deep/skip/x.pt"), "no");
    write(&folder.path().join("deep/f.pt"), "yes");
    running.until("a file", |running| !running.log.is_empty()).await;
    running.stop().await;
    settings.include = vec!["a{b".to_owned()];
    settings.paths = Vec::new();
    settings.hint_queue_max = 0;
    let problems = settings.build().err().expect("three mistakes");
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_root_is_waited_for_and_told() {
    let folder = TempDir::new().unwrap();
    let root: PathBuf = folder.path().join("mount/models");
    let mut running = start(config(&root));
    running.listed().await;
    assert_eq!(running.kept, [paths::escape(&root)], "what cannot be seen is not gone");
    assert!(running.state().blind["missing_root"].contains("mount/models"));
    write(&root.join("a.pt"), "one");
    running.until("the root", |running| running.records.len() == 1).await;
    running.until("sight", |running| running.state().blind.is_empty()).await;
    write(&root.join("b.pt"), "two");
    running.until("a hint from it", |running| running.records.len() == 2).await;
    // It goes away as a mount does: nothing is told as deleted.
    fs::rename(&root, folder.path().join("away")).unwrap();
    running.until("blindness", |running| running.state().blind.contains_key("missing_root")).await;
    fs::write(folder.path().join("away/a.pt"), "changed meanwhile").unwrap();
    fs::remove_file(folder.path().join("away/b.pt")).unwrap();
    running.log.clear();
    fs::rename(folder.path().join("away"), &root).unwrap();
    running.until("the difference", |running| running.log.len() == 2).await;
    let (one, two) = (paths::escape(&root.join("a.pt")), paths::escape(&root.join("b.pt")));
    running.log.sort();
    assert_eq!(running.log, [format!("+{one}"), format!("-{two}")]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_growing_file_is_told_once_it_stands_still_or_after_the_longest_wait() {
    let folder = tree(&["a.pt"]);
    let mut settings = config(folder.path());
    settings.settle_millis = 400;
    settings.settle_max_secs = 2;
    let mut running = start(settings);
    running.listed().await;
    let path = folder.path().join("grows.pt");
    let started = std::time::Instant::now();
    let mut told_at = None;
    while started.elapsed() < Duration::from_secs(4) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, b"more").unwrap();
        drop(file);
        running.during(Duration::from_millis(100)).await;
        if told_at.is_none() && !running.log.is_empty() {
            told_at = Some(started.elapsed());
        }
    }
    let told_at = told_at.expect("one that never stands still is told too");
    assert!(told_at >= Duration::from_millis(1900), "but late: {told_at:?}");
    running.during(Duration::from_millis(600)).await;
    running.log.clear();
    fs::write(&path, "the end").unwrap();
    let told = format!("+{}", key(&folder, "grows.pt"));
    running.until("its rest", |running| running.log.contains(&told)).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_served_is_named_and_who_else_may_write_is_told() {
    use lanner::event::Value;
    let folder = tree(&["fraud/model.bin", "loose.bin"]);
    let mut settings = config(folder.path());
    settings.serves = Some("*".to_owned());
    settings.exclusive = true;
    let mut running = start(settings);
    running.listed().await;
    let attributes = |running: &Running, name: &str| running.records[&key(&folder, name)].attributes.clone();
    let served = attributes(&running, "fraud/model.bin");
    assert_eq!(served.get("ml.model.name"), Some(&Value::from("fraud")), "the first folder is the model");
    assert_eq!(served.get("file.served"), Some(&Value::from(true)));
    assert_eq!(attributes(&running, "loose.bin").get("file.served"), None, "what lies in no folder is no model");

    let elsewhere = tempfile::tempdir_in(folder.path().parent().unwrap()).unwrap();
    fs::hard_link(folder.path().join("fraud/model.bin"), elsewhere.path().join("other-name.bin")).unwrap();
    let path = folder.path().join("fraud/model.bin");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let name = key(&folder, "fraud/model.bin");
    running
        .until("another name and a wider mode", |running| {
            let now = &running.records[&name].attributes;
            now.get("file.links") == Some(&Value::from(2_u64)) && now.contains_key("file.writable_by")
        })
        .await;
    let now = attributes(&running, "fraud/model.bin");
    let told = running.source.changes(lanner::sources::RecordKind::Artifact, Some(&served), Some(&now));
    assert_eq!(told.iter().map(|change| change.action).collect::<Vec<_>>(), ["links.added", "mode.widened"]);
    let back = running.source.changes(lanner::sources::RecordKind::Artifact, Some(&now), Some(&served));
    assert!(back.is_empty(), "a name that goes away is no alarm");
    running.stop().await;
}
