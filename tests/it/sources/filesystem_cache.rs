//! Caches of the hub that somebody made in order to break whoever holds them against themselves.

use std::os::unix::fs::symlink;
use std::path::Path;

use lanner::sources::filesystem::Config;
use tempfile::TempDir;

use super::harness::start;
use crate::support::runtime;

const COMMIT: &str = "0123456789012345678901234567890123456789";

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Makes a repository with one file in a snapshot, whose listing and reference are as given.
fn repository(root: &Path, name: &str, listing: impl Fn(&Path), reference: impl Fn(&Path)) {
    let folder = root.join(name);
    write(&folder.join("snapshots").join(COMMIT).join("model.py"), b"x = 1\n");
    std::fs::create_dir_all(folder.join("trees")).unwrap();
    std::fs::create_dir_all(folder.join("refs")).unwrap();
    listing(&folder.join("trees").join(format!("{COMMIT}.json")));
    reference(&folder.join("refs/main"));
}

fn pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn listings_and_references_that_are_none_stop_nobody_and_say_nothing() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let commit = |path: &Path| write(path, COMMIT.as_bytes());
    let many: serde_json::Map<String, serde_json::Value> =
        (0..60_000).map(|number| (number.to_string(), serde_json::json!({}))).collect();
    let many = serde_json::json!({ "files": many }).to_string();
    repository(root, "models--a--pipe", pipe, commit);
    repository(root, "models--a--loop", |path| symlink(path, path).unwrap(), commit);
    repository(root, "models--a--elsewhere", |path| symlink("/dev/zero", path).unwrap(), commit);
    repository(root, "models--a--large", |path| write(path, &vec![b' '; 33 << 20]), commit);
    repository(root, "models--a--many", |path| write(path, many.as_bytes()), commit);
    repository(root, "models--a--deep", |path| write(path, "[".repeat(1 << 20).as_bytes()), commit);
    repository(root, "models--a--types", |path| write(path, br#"{"files":{"model.py":7}}"#), commit);
    repository(
        root,
        "models--a--names",
        |path| write(path, br#"{"files":{"model.py":{"blob_id":"../../x"}}}"#),
        commit,
    );
    repository(root, "models--a--reference", |path| write(path, b"{}"), pipe);
    repository(root, "models--a--text", |path| write(path, b"{}"), |path| write(path, &[0xff; 4000]));
    // And one that says something, beside a folder that is named like a repository and hides nothing.
    let unlisted = |path: &Path| write(path, br#"{"files":{}}"#);
    repository(root, "models--a--told", unlisted, |path| write(path, "f".repeat(40).as_bytes()));
    write(&root.join("models--a--told/snapshots").join(COMMIT).join("models--b--c/code.py"), b"y = 1\n");
    runtime().block_on(async {
        let config = Config { paths: vec![root.to_owned()], ..Config::default() };
        let mut running = start(config);
        running.listed().await;
        let mut told: Vec<(String, Vec<String>)> = Vec::new();
        for (key, record) in &running.records {
            let flags = record.attributes.keys().filter(|name| name.starts_with("file.cache."));
            // That says nothing against a file.
            let flags: Vec<String> = flags.filter(|name| *name != "file.cache.commit").cloned().collect();
            if !flags.is_empty() {
                told.push((key.strip_prefix(root.to_str().unwrap()).unwrap().to_owned(), flags));
            }
        }
        let snapshot = format!("/models--a--told/snapshots/{COMMIT}");
        let expected = [
            ("/models--a--told/refs/main".to_owned(), vec!["file.cache.dangling".to_owned()]),
            (format!("{snapshot}/model.py"), vec!["file.cache.unlisted".to_owned()]),
            (format!("{snapshot}/models--b--c/code.py"), vec!["file.cache.unlisted".to_owned()]),
        ];
        assert_eq!(told, expected);
        running.stop().await;
    });
}
