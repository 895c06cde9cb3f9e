//! What lies there, compared with what was signed: in memory for every kind of thing, and real folders.

use std::os::unix::fs::symlink;
use std::path::Path;

use lanner::artifact::Stop;
use lanner::provenance::{EntryKind, Outcome, ReadError, Reason, Request, verify};
use lanner::sources::folder::Local;
use serde_json::json;
use tempfile::TempDir;

use super::maker::{Memory, Scene};
use super::{Case, hold};

const CASES: &[Case] = &[
    ("as it was signed", None, |_| {}),
    ("a byte changed", Some(Reason::DigestMismatch), |s| change(s, "weights.bin", |bytes| bytes[0] ^= 1)),
    ("a byte more", Some(Reason::DigestMismatch), |s| change(s, "weights.bin", |bytes| bytes.push(0))),
    ("a byte less", Some(Reason::DigestMismatch), |s| change(s, "weights.bin", |bytes| bytes.truncate(2499))),
    ("emptied", Some(Reason::DigestMismatch), |s| change(s, "weights.bin", Vec::clear)),
    ("two files swapped", Some(Reason::DigestMismatch), |s| {
        let (one, other) = (s.content.files["config.json"].clone(), s.content.files["weights.bin"].clone());
        s.content.files.insert("config.json".to_owned(), other);
        s.content.files.insert("weights.bin".to_owned(), one);
    }),
    ("missing", Some(Reason::MissingFile), |s| drop(s.content.files.remove("sub/tokens.txt"))),
    ("all missing", Some(Reason::MissingFile), |s| s.content.files.clear()),
    ("renamed", Some(Reason::MissingFile), |s| rename(s, "config.json", "Config.json")),
    ("moved into a folder", Some(Reason::MissingFile), |s| rename(s, "config.json", "sub/config.json")),
    ("one more", Some(Reason::UnsignedFile), |s| add(s, "evil.py")),
    ("one more, empty", Some(Reason::UnsignedFile), |s| drop(s.content.files.insert("x".to_owned(), Vec::new()))),
    ("one more deep down", Some(Reason::UnsignedFile), |s| add(s, "a/b/c/d/evil.py")),
    ("a hidden one", Some(Reason::UnsignedFile), |s| add(s, ".hidden")),
    ("a name that is no text", Some(Reason::UnsignedFile), |s| kind(s, "\\xff", EntryKind::Unnameable)),
    ("one more that looks like what is left out", Some(Reason::UnsignedFile), |s| {
        s.ignored(&["ignore"]);
        add(s, "ignore-me");
    }),
    ("what is left out, further down", Some(Reason::UnsignedFile), |s| {
        s.ignored(&[".git"]);
        add(s, "sub/.git/config");
    }),
    ("left out by the signer", None, |s| {
        s.ignored(&[".git", "notes.txt"]);
        add(s, ".git/hooks/post-checkout");
        add(s, "notes.txt");
    }),
    ("left out by whoever verifies", None, |s| {
        s.allowed.ignore = vec!["cache".to_owned()];
        add(s, "cache/x/y");
    }),
    ("everything allowed", None, |s| {
        s.allowed.unsigned = true;
        add(s, "evil.py");
        kind(s, "pipe", EntryKind::Special);
        kind(s, "link", EntryKind::LinkToFile { inside: false });
    }),
    ("everything allowed, but a byte changed", Some(Reason::DigestMismatch), |s| {
        s.allowed.unsigned = true;
        change(s, "weights.bin", |bytes| bytes[0] ^= 1);
    }),
    ("everything allowed, but a link instead", Some(Reason::Symlink), |s| {
        s.allowed.unsigned = true;
        kind(s, "weights.bin", EntryKind::LinkToFile { inside: true });
    }),
    ("a pipe", Some(Reason::SpecialFile), |s| kind(s, "pipe", EntryKind::Special)),
    ("a pipe instead of a file", Some(Reason::SpecialFile), |s| kind(s, "weights.bin", EntryKind::Special)),
    ("a pipe among what is left out", None, |s| {
        s.ignored(&["run"]);
        kind(s, "run/pipe", EntryKind::Special);
    }),
    ("a link", Some(Reason::Symlink), |s| kind(s, "link", EntryKind::LinkToFile { inside: true })),
    ("a link to nowhere", Some(Reason::Symlink), |s| kind(s, "link", EntryKind::LinkElsewhere)),
    ("a link to a folder", Some(Reason::Symlink), |s| kind(s, "link", EntryKind::LinkToFolder { inside: true })),
    ("a link instead of a file", Some(Reason::Symlink), |s| {
        kind(s, "weights.bin", EntryKind::LinkToFile { inside: true });
    }),
    ("links allowed, inside", None, |s| {
        s.serialization()["allow_symlinks"] = json!(true);
        kind(s, "weights.bin", EntryKind::LinkToFile { inside: true });
    }),
    ("links allowed, outside", Some(Reason::Symlink), |s| {
        s.serialization()["allow_symlinks"] = json!(true);
        kind(s, "weights.bin", EntryKind::LinkToFile { inside: false });
    }),
    ("links allowed, outside on wish", None, |s| {
        s.serialization()["allow_symlinks"] = json!(true);
        s.allowed.follow_links = true;
        kind(s, "weights.bin", EntryKind::LinkToFile { inside: false });
    }),
    ("links allowed, to other bytes", Some(Reason::DigestMismatch), |s| {
        s.serialization()["allow_symlinks"] = json!(true);
        kind(s, "weights.bin", EntryKind::LinkToFile { inside: true });
        change(s, "weights.bin", |bytes| bytes[0] ^= 1);
    }),
    ("links allowed, one more", Some(Reason::UnsignedFile), |s| {
        s.serialization()["allow_symlinks"] = json!(true);
        kind(s, "link", EntryKind::LinkToFile { inside: true });
    }),
    ("links allowed, a folder more", Some(Reason::UnsignedFile), |s| {
        s.serialization()["allow_symlinks"] = json!(true);
        kind(s, "link", EntryKind::LinkToFolder { inside: true });
    }),
    ("links on wish, but the signer allowed none", Some(Reason::Symlink), |s| {
        s.allowed.follow_links = true;
        kind(s, "weights.bin", EntryKind::LinkToFile { inside: true });
    }),
    ("a folder that cannot be read", Some(Reason::Unreadable), |s| kind(s, "secret", EntryKind::Unreadable)),
    ("a file that cannot be read", Some(Reason::Unreadable), |s| {
        s.content.errors.insert("weights.bin".to_owned(), ReadError::Failed("permission denied".to_owned()));
    }),
    ("a file that changes meanwhile", Some(Reason::Changed), |s| {
        s.content.errors.insert("weights.bin".to_owned(), ReadError::Changed);
    }),
    ("a file that is gone meanwhile", Some(Reason::MissingFile), |s| {
        s.content.errors.insert("weights.bin".to_owned(), ReadError::Gone);
    }),
    ("a file that becomes a link meanwhile", Some(Reason::Symlink), |s| {
        s.content.errors.insert("weights.bin".to_owned(), ReadError::Link);
    }),
    ("a file that comes meanwhile", Some(Reason::Changed), |s| s.content.late = Some("late.py".to_owned())),
    ("one that comes meanwhile among what is left out", None, |s| {
        s.ignored(&["run"]);
        s.content.late = Some("run/late".to_owned());
    }),
    ("the signature itself", None, |s| {
        s.allowed.signature = Some("model.sig".to_owned());
        add(s, "model.sig");
    }),
    ("a link in the place of the signature", Some(Reason::Symlink), |s| {
        s.allowed.signature = Some("model.sig".to_owned());
        kind(s, "model.sig", EntryKind::LinkToFile { inside: true });
    }),
    ("another signature", Some(Reason::UnsignedFile), |s| {
        s.allowed.signature = Some("model.sig".to_owned());
        add(s, "sub/model.sig");
    }),
];

fn change(scene: &mut Scene, name: &str, edit: fn(&mut Vec<u8>)) {
    edit(scene.content.files.get_mut(name).unwrap());
}

fn rename(scene: &mut Scene, from: &str, to: &str) {
    let bytes = scene.content.files.remove(from).unwrap();
    scene.content.files.insert(to.to_owned(), bytes);
}

fn add(scene: &mut Scene, name: &str) {
    scene.content.files.insert(name.to_owned(), b"import os".to_vec());
}

fn kind(scene: &mut Scene, name: &str, kind: EntryKind) {
    scene.content.kinds.insert(name.to_owned(), kind);
}

#[test]
fn what_lies_there_is_what_was_signed() {
    hold(CASES, Scene::key);
}

#[test]
fn all_that_differs_is_listed() {
    let mut scene = Scene::key();
    scene.ignored(&[".git"]);
    add(&mut scene, ".git/config");
    add(&mut scene, "evil.py");
    scene.content.files.remove("config.json");
    change(&mut scene, "weights.bin", |bytes| bytes[0] ^= 1);
    let outcome = scene.verify();
    assert_eq!(outcome.reason, Some(Reason::DigestMismatch));
    assert_eq!(outcome.files.names, ["config.json", "weights.bin"]);
    assert_eq!(outcome.unsigned.names, [".git/config", "evil.py"]);
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!(json["verdict"], "failed");
    assert_eq!(json["reason"], "digest_mismatch");
    assert_eq!(json["files"], json!(["config.json", "weights.bin"]));
    assert!(json["root_digest"].is_string() && json["signer"]["kind"] == "key");
}

#[test]
fn more_names_than_anybody_reads_are_counted() {
    let mut scene = Scene::key();
    for number in 0..10_050 {
        add(&mut scene, &format!("many/{number}"));
    }
    let outcome = scene.verify();
    assert_eq!((outcome.unsigned.names.len(), outcome.unsigned.more), (10_000, 50));
    assert_eq!(serde_json::to_value(&outcome).unwrap()["unsigned_more"], 50);
}

/// The model of a scene in a real folder.
fn written(content: &Memory) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in &content.files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

fn look(scene: &Scene, path: &Path) -> Outcome {
    let signature = scene.written();
    let request = Request {
        signature: &signature,
        trust: &scene.trust,
        kind: scene.kind,
        allowed: scene.allowed.clone(),
        expected: None,
        wanted: scene.wanted.clone(),
        now: scene.now.parse().unwrap(),
    };
    verify(&request, &Local::open(path, Stop::default()).unwrap())
}

fn pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn real_folders_are_walked_without_waiting_or_following() {
    let scene = Scene::key();
    let folder = written(&scene.content);
    let at = |name: &str| folder.path().join(name);
    assert_eq!(look(&scene, folder.path()).reason, None);
    // The folder itself may be named through a link.
    let names = TempDir::new().unwrap();
    symlink(folder.path(), names.path().join("model")).unwrap();
    assert_eq!(look(&scene, &names.path().join("model")).reason, None);
    // An empty folder holds nothing that could be signed.
    std::fs::create_dir(at("empty")).unwrap();
    assert_eq!(look(&scene, folder.path()).reason, None);
    pipe(&at("pipe"));
    assert_eq!(look(&scene, folder.path()).reason, Some(Reason::SpecialFile));
    std::fs::remove_file(at("pipe")).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    assert_eq!(look(&scene, folder.path()).reason, Some(Reason::SpecialFile));
    drop(listener);
    std::fs::remove_file(at("socket")).unwrap();
    // The signed bytes, but under another name that somebody else may write to.
    let outside = TempDir::new().unwrap();
    std::fs::rename(at("weights.bin"), outside.path().join("weights.bin")).unwrap();
    symlink(outside.path().join("weights.bin"), at("weights.bin")).unwrap();
    let outcome = look(&scene, folder.path());
    assert_eq!((outcome.reason, outcome.files.names), (Some(Reason::Symlink), vec!["weights.bin".to_owned()]));
    std::fs::remove_file(at("weights.bin")).unwrap();
    pipe(&at("weights.bin"));
    assert_eq!(look(&scene, folder.path()).reason, Some(Reason::SpecialFile));
    std::fs::remove_file(at("weights.bin")).unwrap();
    std::fs::create_dir(at("weights.bin")).unwrap();
    assert_eq!(look(&scene, folder.path()).reason, Some(Reason::MissingFile));
    std::fs::remove_dir(at("weights.bin")).unwrap();
    std::fs::rename(outside.path().join("weights.bin"), at("weights.bin")).unwrap();
    // A folder that is a link is not walked.
    std::fs::rename(at("sub"), outside.path().join("sub")).unwrap();
    symlink(outside.path().join("sub"), at("sub")).unwrap();
    let outcome = look(&scene, folder.path());
    assert_eq!(outcome.reason, Some(Reason::MissingFile));
    assert_eq!(
        (outcome.files.names, outcome.unsigned.names),
        (vec!["sub/tokens.txt".to_owned()], vec!["sub".to_owned()])
    );
}

#[test]
fn links_count_where_the_signer_allowed_them() {
    let mut scene = Scene::key();
    scene.serialization()["allow_symlinks"] = json!(true);
    let folder = written(&scene.content);
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("blobs")).unwrap();
    std::fs::rename(at("weights.bin"), at("blobs/1")).unwrap();
    symlink("blobs/1", at("weights.bin")).unwrap();
    scene.allowed.ignore = vec!["blobs".to_owned()];
    let outcome = look(&scene, folder.path());
    assert_eq!((outcome.reason, outcome.unsigned.names), (None, vec!["blobs/1".to_owned()]));
    // As the cache of the hub has it: the bytes lie beside.
    let outside = TempDir::new().unwrap();
    std::fs::rename(at("blobs/1"), outside.path().join("1")).unwrap();
    std::fs::remove_file(at("weights.bin")).unwrap();
    symlink(outside.path().join("1"), at("weights.bin")).unwrap();
    assert_eq!(look(&scene, folder.path()).reason, Some(Reason::Symlink));
    scene.allowed.follow_links = true;
    assert_eq!(look(&scene, folder.path()).reason, None);
    std::fs::remove_file(at("weights.bin")).unwrap();
    symlink("weights.bin", at("weights.bin")).unwrap();
    assert_eq!(look(&scene, folder.path()).reason, Some(Reason::Symlink));
}

#[test]
fn single_files_and_what_is_none() {
    let mut scene = Scene::key();
    scene.content = super::maker::files(&[(".", b"weights")]);
    scene.statement = super::maker::statement(&scene.content, "sha256");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("weights.bin");
    std::fs::write(&path, b"weights").unwrap();
    // Others beside it are none of its business.
    std::fs::write(folder.path().join("other"), b"1").unwrap();
    assert_eq!(look(&scene, &path).reason, None);
    symlink(&path, folder.path().join("link")).unwrap();
    assert_eq!(look(&scene, &folder.path().join("link")).reason, None);
    pipe(&folder.path().join("pipe"));
    assert_eq!(look(&scene, &folder.path().join("pipe")).reason, Some(Reason::SpecialFile));
    assert_eq!(look(&scene, folder.path()).reason, Some(Reason::SubjectMismatch));
    assert!(Local::open(&folder.path().join("nothing"), Stop::default()).is_err());
}

#[test]
fn deep_trees_end_and_so_does_patience() {
    let scene = Scene::key();
    let folder = written(&scene.content);
    std::fs::create_dir_all(folder.path().join("d/".repeat(80))).unwrap();
    assert_eq!(look(&scene, folder.path()).reason, Some(Reason::TooLarge));
    let stopped = Local::open(folder.path(), Stop::when(|| true)).unwrap();
    let signature = scene.written();
    let request = Request {
        signature: &signature,
        trust: &scene.trust,
        kind: scene.kind,
        allowed: scene.allowed.clone(),
        expected: None,
        wanted: scene.wanted.clone(),
        now: scene.now.parse().unwrap(),
    };
    assert_eq!(verify(&request, &stopped).reason, Some(Reason::Unreadable));
}
