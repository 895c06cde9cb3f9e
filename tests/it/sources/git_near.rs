//! Repositories that belong together: working trees of one, clones that borrow objects; and what only looks like it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use lanner::sources::git::Config;
use tempfile::TempDir;

use super::git::listed;
use super::harness::Running;
use crate::peers::git::git_in;
use crate::support::runtime;

/// A folder of repositories, as a server or a person has it.
struct Folder(TempDir);

impl Folder {
    /// With one repository in it, `main`, that has a working tree.
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.git("", &["init", "--quiet", "-b", "main", "main"]);
        folder.commit("main", "one");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn git(&self, name: &str, arguments: &[&str]) -> String {
        git_in(&self.path(name), self.0.path(), arguments, b"")
    }

    fn commit(&self, name: &str, text: &str) {
        std::fs::write(self.path(name).join("model.pkl"), text).unwrap();
        self.git(name, &["add", "--all"]);
        self.git(name, &["commit", "--quiet", "-m", text]);
    }

    fn config(&self, names: &[&str]) -> Config {
        let repositories = names.iter().map(|name| self.path(name)).collect();
        Config { repositories, sweep_interval_secs: 1, poll_interval_secs: 1, ..Config::default() }
    }
}

fn files(running: &Running) -> Vec<&str> {
    running.records.keys().filter_map(|key| key.strip_prefix("file/")).collect()
}

#[test]
fn working_trees_of_one_repository_are_told_once_and_clones_borrow_what_is_watched() {
    let folder = Folder::new();
    folder.git("main", &["worktree", "add", "--quiet", "-b", "topic", "../topic"]);
    folder.commit("topic", "two");
    folder.git("", &["clone", "--quiet", "--shared", "--bare", "main", "shared.git"]);
    folder.git("", &["init", "--quiet", "-b", "main", "--separate-git-dir", "store.git", "apart"]);
    folder.commit("apart", "three");
    runtime().block_on(async {
        let mut running = listed(folder.config(&[""])).await;
        let expected = [
            "main/main/model.pkl",
            "main/topic/model.pkl",
            "shared/main/model.pkl",
            "shared/topic/model.pkl",
            "store/main/model.pkl",
        ];
        assert_eq!(files(&running), expected);
        assert!(running.state().blind.is_empty(), "{:?}", running.state());
        let note = running.state().notes["worktrees"].clone();
        assert!(note.contains("is a working tree of `") && note.contains("1 more"), "{note}");
        for key in expected {
            let artifact = running.records[&format!("file/{key}")].artifact.clone().unwrap();
            running.source.store().unwrap().open(&artifact).await.unwrap();
        }
        // A commit in the linked one is a commit of the repository.
        folder.commit("topic", "four");
        running.until("the commit", |running| running.log.contains(&"+file/main/topic/model.pkl".to_owned())).await;
    });
    // Each by its own name; where `HEAD` of each is watched, each is told.
    runtime().block_on(async {
        let running = listed(folder.config(&["topic", "main"])).await;
        assert_eq!(files(&running), ["main/main/model.pkl", "main/topic/model.pkl"]);
        let config = Config { refs: vec!["HEAD".to_owned()], ..folder.config(&["topic", "main"]) };
        let running = listed(config).await;
        assert_eq!(files(&running), ["main/HEAD/model.pkl", "topic/HEAD/model.pkl"]);
    });
}

/// What is blind of a folder `evil` beside the repository, made by somebody who can write there.
fn refused(folder: &Folder, names: &[&str]) -> String {
    let config = folder.config(names);
    runtime().block_on(async {
        let mut running = super::harness::start(config);
        running.until("refusal", |running| running.state().blind.contains_key("outside")).await;
        assert!(!running.records.keys().any(|key| key.starts_with("file/evil")), "{:?}", running.records.keys());
        running.state().blind["outside"].clone()
    })
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn nothing_is_followed_to_what_nobody_named_or_is_no_repository() {
    let (folder, other) = (Folder::new(), Folder::new());
    other.commit("main", "something else");
    let head = other.git("main", &["rev-parse", "main"]);
    let link = |target: &Path| {
        let path = folder.path("evil/.git");
        std::fs::remove_dir_all(folder.path("evil")).ok();
        write(&path, &format!("gitdir: {}\n", target.display()));
    };
    // Another repository that nobody named; as a working tree of it; as one that says to be its own.
    link(&other.path("main/.git"));
    assert!(refused(&folder, &[""]).contains("name that folder in `outside`"));
    other.git("main", &["worktree", "add", "--quiet", "-b", "x", folder.path("linked").to_str().unwrap()]);
    assert!(refused(&folder, &[""]).contains("name that folder in `outside`"));
    std::fs::remove_dir_all(folder.path("linked")).unwrap();
    // Folders that are watched, and no repositories: those that are not named so by what lies in them.
    for name in ["private", "main"] {
        write(&folder.path(name).join("objects/x"), "");
        link(&folder.path(name));
        refused(&folder, &["evil", "main"]);
        refused(&folder, &[""]);
    }
    // A link out of a folder that is watched.
    std::fs::remove_dir_all(folder.path("evil")).unwrap();
    symlink(other.path("main/.git"), folder.path("away")).unwrap();
    link(&folder.path("away"));
    refused(&folder, &[""]);
    // Objects of a repository that nobody named; a repository that is borrowed from may borrow no further either.
    std::fs::remove_dir_all(folder.path("evil")).unwrap();
    folder.git("", &["init", "--quiet", "--bare", "evil"]);
    write(&folder.path("evil/objects/info/alternates"), &format!("{}\n", other.path("main/.git/objects").display()));
    write(&folder.path("evil/refs/heads/main"), &format!("{head}\n"));
    refused(&folder, &[""]);
    write(&folder.path("evil/objects/info/alternates"), &format!("{}\n", folder.path("main/.git/objects").display()));
    let further = folder.path("main/.git/objects/info/alternates");
    write(&further, &format!("{}\n", other.path("main/.git/objects").display()));
    refused(&folder, &[""]);
    std::fs::remove_file(further).unwrap();
    // A link to what is watched is no way to borrow it.
    std::fs::remove_file(folder.path("evil/objects/info/alternates")).unwrap();
    std::fs::remove_file(folder.path("evil/refs/heads/main")).unwrap();
    symlink(folder.path("main/.git/refs/heads/main"), folder.path("evil/refs/heads/main")).unwrap();
    runtime().block_on(async {
        let mut running = super::harness::start(folder.config(&[""]));
        running.until("the listing", |running| running.listed).await;
        assert_eq!(files(&running), ["main/main/model.pkl"]);
        assert!(running.state().blind["outside"].contains("name that folder in `outside`"), "{:?}", running.state());
    });
}

#[test]
fn indexes_of_packs_of_the_first_version_are_read() {
    for format in ["sha1", "sha256"] {
        let folder = Folder::new();
        let option = format!("--object-format={format}");
        folder.git("", &["init", "--quiet", "-b", "main", &option, "old"]);
        for number in 0..20 {
            folder.commit("old", &format!("{number}"));
        }
        folder.git("old", &["-c", "pack.indexVersion=1", "repack", "-a", "-d", "-q"]);
        folder.git("old", &["prune-packed"]);
        let packs = std::fs::read_dir(folder.path("old/.git/objects/pack")).unwrap().map(|entry| entry.unwrap().path());
        let index = packs.filter(|path| path.extension().is_some_and(|end| end == "idx")).collect::<Vec<_>>();
        let [index] = index.as_slice() else { panic!("{index:?}") };
        let whole = std::fs::read(index).unwrap();
        assert!(!whole.starts_with(b"\xfftOc"), "it is of the first version");
        runtime().block_on(async {
            let running = listed(folder.config(&["old"])).await;
            let artifact = running.records["file/old/main/model.pkl"].artifact.clone().unwrap();
            assert_eq!(running.source.store().unwrap().open(&artifact).await.unwrap().len(), 2);
            assert!(running.state().blind.is_empty(), "{:?}", running.state());
        });
        // One that is cut off, or lies, is told.
        let mut permissions = index.metadata().unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
        std::fs::set_permissions(index, permissions).unwrap();
        let mut unsorted = whole.clone();
        unsorted[0] = 0x7f;
        for bytes in [&whole[..whole.len() / 2], &whole[..100], &unsorted] {
            std::fs::write(index, bytes).unwrap();
            runtime().block_on(async {
                let mut running = super::harness::start(folder.config(&["old"]));
                running.until("a reason", |running| running.state().blind.contains_key("corrupt")).await;
            });
        }
    }
}
