//! What a source does not go into: only what a mounted `ConfigMap` and a Hugging Face cache are made of, and nothing in
//! silence.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use lanner::sources::filesystem::paths;
use tempfile::TempDir;

use super::filesystem::{config, write};
use super::harness::{Running, start};

fn names(running: &Running, root: &Path) -> Vec<String> {
    let prefix = format!("{}/", root.display());
    running.records.keys().map(|key| key.strip_prefix(&prefix).unwrap_or(key).to_owned()).collect()
}

/// Named like what is set aside, and no part of what a mounted `ConfigMap` or a cache is made of.
const ALIKE: [&str; 9] = [
    "..2026_01_31/x.pt",
    "..2026_01_31_12_00_00.1",
    "..2026_01_31_12_00_00/x.pt",
    "..data/x.pt",
    "..data_tmp",
    "..hidden.pt",
    "..v1/x.pt",
    "blobs/x.pt",
    "snapshots/x.pt",
];
/// Set aside.
const ASIDE: [&str; 3] = ["..2026_01_31_12_00_01.1/x.pt", "datasets--a--b/blobs/x", "models--a--b/blobs/x"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_hides_behind_a_name_that_looks_like_a_store() {
    for before in [true, false] {
        let folder = TempDir::new().unwrap();
        let root = folder.path();
        let fill = || ALIKE.iter().chain(&ASIDE).for_each(|file| write(&root.join(file), file));
        if before {
            fill();
        }
        let mut running = start(config(root));
        running.listed().await;
        if !before {
            fill();
        }
        running.until("all that is no store", |running| names(running, root).len() >= ALIKE.len()).await;
        assert_eq!(names(&running, root), ALIKE, "listed at the start: {before}");
        fs::remove_dir_all(root.join("..data")).unwrap();
        fs::remove_file(root.join("..hidden.pt")).unwrap();
        running.until("removals", |running| names(running, root).len() == ALIKE.len() - 2).await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_many_links_is_told_by_each_also_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    write(&root.join("v1/model.pt"), "weights");
    for number in 0..6 {
        symlink("v1", root.join(format!("link-{number}"))).unwrap();
    }
    for _ in 0..2 {
        let mut running = start(config(root));
        running.listed().await;
        assert_eq!(running.records.len(), 7, "{:?}", names(&running, root));
        assert!(running.state().blind.is_empty());
        running.stop().await;
    }
    // More than are gone into: they are kept as they were, and the source says that it does not see them.
    for number in 6..70 {
        symlink("v1", root.join(format!("link-{number}"))).unwrap();
    }
    let mut running = start(config(root));
    running.listed().await;
    assert_eq!((running.records.len(), running.kept.len()), (65, 6), "{:?}", running.kept);
    assert!(names(&running, root).iter().any(|name| name == "v1/model.pt"), "its own path is not a matter of luck");
    assert!(running.kept.iter().all(|path| path.starts_with(&paths::escape(root))));
    assert!(running.state().blind["unreadable"].contains("more than 64 links"));
    running.stop().await;
}
