//! Files that a repository names and others keep: Git LFS and DVC, both real.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use lanner::event::{Sha256, Value};
use lanner::sources::git::Config;
use lanner::sources::{Record, RecordKind, StoreError};

use super::git::{config, listed};
use super::harness::Running;
use crate::peers::git::Repository;
use crate::support::runtime;

const KEY: &str = "file/models/main/model.bin";

fn sweeping(repository: &Repository) -> Config {
    Config { sweep_interval_secs: 1, ..config(repository) }
}

/// The bytes that the source's store gives for a record.
async fn bytes(running: &Running, record: &Record) -> Result<Vec<u8>, StoreError> {
    let opened = running.source.store().unwrap().open(record.artifact.as_ref().unwrap()).await?;
    let mut bytes = vec![0; usize::try_from(opened.len()).unwrap()];
    assert_eq!(opened.read_at(0, &mut bytes).unwrap(), bytes.len());
    Ok(bytes)
}

fn object(repository: &Repository, content: &[u8]) -> PathBuf {
    let hex = Sha256::of(content).to_string();
    repository.inner().join("lfs/objects").join(&hex[..2]).join(&hex[2..4]).join(hex)
}

#[test]
fn a_pointer_tells_digest_and_size_and_its_bytes_are_opened_where_they_are() {
    let repository = Repository::lfs("*.bin");
    repository.commit(&[("model.bin", b"weights of a model")], "a model");
    runtime().block_on(async {
        let mut running = listed(sweeping(&repository)).await;
        let record = running.records[KEY].clone();
        let claimed = format!("sha256:{}", Sha256::of(b"weights of a model"));
        assert_eq!(record.attributes["artifact.claimed_hash"], Value::from(&*claimed));
        assert_eq!(record.attributes["file.size"], Value::from(18_u64));
        assert_eq!(record.attributes["git.kept_by"], Value::from("lfs"));
        assert_eq!(bytes(&running, &record).await.unwrap(), b"weights of a model");
        // Somebody writes to the storage: told anew, with the promise that it breaks.
        let path = object(&repository, b"weights of a model");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&path, b"weights of another").unwrap();
        running.until("the tampered object", |running| running.log == [format!("+{KEY}")]).await;
        assert_eq!(bytes(&running, &running.records[KEY]).await.unwrap(), b"weights of another");
        // The object goes: what the pointer says is all that is left, and nothing counts as deleted.
        std::fs::rename(&path, repository.folder().join("aside")).unwrap();
        running.until("the pointer alone", |running| running.records[KEY].artifact.is_none()).await;
        assert_eq!(running.records[KEY].attributes["artifact.claimed_hash"], Value::from(&*claimed));
        // Re-pointed to bytes that are not here.
        let old = running.records[KEY].attributes.clone();
        repository.commit(&[("model.bin", b"another model")], "another");
        std::fs::remove_file(object(&repository, b"another model")).unwrap();
        running
            .until("the other pointer", |running| {
                let record = &running.records[KEY];
                record.artifact.is_none() && record.signature.contains(&Sha256::of(b"another model").to_string())
            })
            .await;
        let new = &running.records[KEY].attributes;
        let told = running.source.changes(RecordKind::Artifact, Some(&old), Some(new));
        assert_eq!(told.iter().map(|change| change.action).collect::<Vec<_>>(), ["artifact.repointed"]);
        assert!(running.log.iter().all(|told| told.starts_with('+')), "{:?}", running.log);
    });
}

#[test]
fn a_pointer_may_become_a_file_and_a_file_a_pointer() {
    let repository = Repository::lfs("*.bin");
    repository.commit(&[("model.bin", b"kept by LFS")], "a model");
    runtime().block_on(async {
        let mut running = listed(sweeping(&repository)).await;
        repository.git(&["lfs", "untrack", "*.bin"]);
        std::fs::write(repository.path.join(".gitattributes"), "").unwrap();
        repository.git(&["add", "--renormalize", "."]);
        repository.commit(&[("model.bin", b"in Git itself")], "not by LFS");
        running.until("the file", |running| running.records[KEY].signature.starts_with("git:")).await;
        assert_eq!(bytes(&running, &running.records[KEY]).await.unwrap(), b"in Git itself");
        assert!(!running.records[KEY].attributes.contains_key("artifact.claimed_hash"));
        repository.git(&["lfs", "track", "*.bin"]);
        repository.commit(&[("model.bin", b"by LFS again")], "by LFS");
        running.until("the pointer", |running| running.records[KEY].signature.starts_with("sha256:")).await;
        assert_eq!(bytes(&running, &running.records[KEY]).await.unwrap(), b"by LFS again");
    });
}

#[test]
fn storage_may_lie_elsewhere_and_working_trees_share_it() {
    let repository = Repository::lfs("*.bin");
    repository.git(&["config", "lfs.storage", "kept"]);
    repository.commit(&[("model.bin", b"one")], "a model");
    assert!(!object(&repository, b"one").exists());
    let linked = repository.folder().join("linked");
    repository.git(&["worktree", "add", "--quiet", linked.to_str().unwrap(), "-b", "other"]);
    runtime().block_on(async {
        let running = listed(sweeping(&repository)).await;
        assert_eq!(bytes(&running, &running.records[KEY]).await.unwrap(), b"one");
        // A linked working tree leads to a folder that nobody said it may.
        let mut config = sweeping(&repository);
        config.repositories = vec![linked.clone()];
        let mut running = super::harness::start(config.clone());
        running.until("refusal", |running| running.state().blind.contains_key("outside")).await;
        assert!(running.state().blind["outside"].contains("name that folder in `outside`"), "{:?}", running.state());
        config.outside = vec![repository.path.clone()];
        let running = listed(config).await;
        let record = &running.records["file/linked/other/model.bin"];
        assert_eq!(bytes(&running, record).await.unwrap(), b"one");
        // Storage outside: the pointer is told, the bytes are not opened.
        let elsewhere = repository.folder().join("elsewhere");
        repository.git(&["config", "lfs.storage", elsewhere.to_str().unwrap()]);
        repository.commit(&[("model.bin", b"two")], "kept elsewhere");
        std::fs::remove_dir_all(repository.inner().join("kept")).unwrap();
        let running = listed(sweeping(&repository)).await;
        assert!(running.records[KEY].artifact.is_none());
        assert!(running.state().blind.contains_key("outside"), "{:?}", running.state());
        let running = listed(Config { outside: vec![elsewhere], ..sweeping(&repository) }).await;
        assert_eq!(bytes(&running, &running.records[KEY]).await.unwrap(), b"two");
        assert!(running.state().blind.is_empty(), "{:?}", running.state());
    });
}

/// What the real Git LFS puts in the place of a file.
fn smudged(repository: &Repository, bytes: &[u8]) -> Vec<u8> {
    let mut command = std::process::Command::new(crate::support::peer("git-lfs"));
    command.args(["smudge", "model.bin"]).current_dir(&repository.path).env("HOME", repository.folder());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    // It may end before it has read all.
    let writing = std::thread::spawn(move || drop(input.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output.stdout
}

#[test]
fn what_git_lfs_takes_for_a_pointer_is_one() {
    let repository = Repository::lfs("*.lfs");
    repository.commit(&[("kept.lfs", b"weights")], "what the pointers lead to");
    let digest = Sha256::of(b"weights");
    let version = "version https://git-lfs.github.com/spec/v1";
    let whole = format!("{version}\noid sha256:{digest}\nsize 7\n");
    let many = |text: &str, count: usize| text.repeat(count);
    let cases = [
        ("plain", whole.clone()),
        ("lines", whole.clone() + &many("\n", 2000)),
        ("blanks", whole.clone() + &many(" ", 2000)),
        ("megabytes", whole.clone() + &many("\n", 3 << 20)),
        ("trailing", whole.clone() + &many("\n", 1500) + "and more"),
        ("followed", whole.clone() + "and more"),
        ("leading", many("\n", 100) + &whole),
        ("far", many("\n", 2000) + &whole),
        ("wide", "\u{b}\u{c}\u{85}\u{a0}\u{3000}".to_owned() + &whole + "\u{2028}"),
        ("marked", "\u{feff}".to_owned() + &whole),
        ("returns", whole.replace('\n', "\r\n")),
        ("empty line", whole.replace("\noid", "\n\noid")),
        ("two blanks", whole.replace("version ", "version  ")),
        ("hawser", whole.replace("git-lfs.github", "hawser.github")),
        ("media", whole.replace(&version[8..], "http://git-media.io/v/2")),
        ("order", format!("{version}\nsize 7\noid sha256:{digest}\n")),
        ("last", format!("oid sha256:{digest}\nsize 7\n{version}\n")),
        ("plus", whole.replace("size 7", "size +7")),
        ("hexadecimal", whole.replace("size 7", "size 0x7")),
        ("key", whole.clone() + "zzz 1\n"),
        ("extensions", whole.clone() + &many("ext-0-x sha256:00\n", 50)),
    ];
    let blobs: Vec<(&[u8], Option<&[u8]>)> =
        cases.iter().map(|(name, text)| (name.as_bytes(), Some(text.as_bytes()))).collect();
    repository.import("refs/heads/cases", &blobs);
    for packed in [false, true] {
        if packed {
            repository.git(&["repack", "-a", "-d", "-f", "-q"]);
            let index = repository.packs("idx").remove(0);
            let listed = repository.git(&["verify-pack", "-v", index.to_str().unwrap()]);
            assert!(listed.contains("chain length"), "some are kept as differences");
        }
        runtime().block_on(async {
            let running = listed(Config { include: Vec::new(), ..sweeping(&repository) }).await;
            for (name, text) in &cases {
                let key = format!("file/models/cases/{}", name.replace(' ', "%20"));
                let record = running.records.get(&key).unwrap_or_else(|| panic!("{name} is not told"));
                let taken = smudged(&repository, text.as_bytes()) == b"weights";
                assert_eq!(record.attributes["git.kept_by"] == Value::from("lfs"), taken, "{name}");
                let bytes = bytes(&running, record).await.unwrap();
                let expected = if taken { b"weights".as_slice() } else { text.as_bytes() };
                assert_eq!(bytes, expected, "{name}");
                // Other programs look only at files that are shorter.
                let odd = record.attributes.contains_key("git.pointer_problem");
                assert!(!taken || odd == (text.len() >= 1024), "{name}");
            }
        });
    }
}

#[test]
fn pointers_that_are_none_are_told() {
    let repository = Repository::bare();
    let digest = "a".repeat(64);
    let version = "version https://git-lfs.github.com/spec/v1\n";
    let whole = format!("{version}oid sha256:{digest}\nsize 12\n");
    let extended = format!("{version}ext-0-x sha256:{digest}\noid sha256:{digest}\nsize 12\n");
    let broken = [
        ("no size", format!("{version}oid sha256:{digest}\n")),
        ("no digest", format!("{version}size 12\n")),
        ("short", format!("{version}oid sha256:{}\nsize 12\n", "a".repeat(63))),
        ("upper", format!("{version}oid sha256:{}\nsize 12\n", "A".repeat(64))),
        ("other", format!("{version}oid md5:{}\nsize 12\n", "a".repeat(32))),
        ("negative", format!("{version}oid sha256:{digest}\nsize -1\n")),
        ("huge", format!("{version}oid sha256:{digest}\nsize 99999999999999999999\n")),
        ("twice", format!("{version}oid sha256:{digest}\noid sha256:{digest}\nsize 1\n")),
        ("future", whole.replace("spec/v1", "spec/v9")),
        ("key", format!("{version}oid sha256:{digest}\nsize 12\nzzz 1\n")),
        ("order", format!("{version}size 12\noid sha256:{digest}\n")),
    ];
    let mut files: Vec<(&[u8], Option<&[u8]>)> =
        broken.iter().map(|(name, text)| (name.as_bytes(), Some(text.as_bytes()))).collect();
    files.push((b"whole", Some(whole.as_bytes())));
    files.push((b"extended", Some(extended.as_bytes())));
    files.push((b"large", Some(&[b'v'; 2000])));
    files.push((b"text", Some(b"version 2\n")));
    repository.import("refs/heads/main", &files);
    runtime().block_on(async {
        let running = listed(sweeping(&repository)).await;
        let of = |name: &str| running.records.get(&format!("file/models/main/{}", name.replace(' ', "%20")));
        for (name, text) in &broken {
            let record = of(name).unwrap_or_else(|| panic!("{name} is not told"));
            assert!(record.attributes.contains_key("git.pointer_problem"), "{name}");
            assert!(!record.attributes.contains_key("artifact.claimed_hash"), "{name}");
            assert_eq!(bytes(&running, record).await.unwrap(), text.as_bytes(), "what it is can be looked into");
        }
        for name in ["whole", "extended"] {
            assert!(!of(name).unwrap().attributes.contains_key("git.pointer_problem"), "{name}");
        }
        assert!(of("large").is_none() && of("text").is_none(), "neither is a pointer");
        let notes = running.state().notes;
        assert!(notes["odd"].contains("pointer of LFS") && notes["odd"].contains("10 more"), "{notes:?}");
        assert!(running.state().blind.is_empty(), "all of them are seen");
    });
}

fn cached(folder: &Path, md5: &str) -> PathBuf {
    folder.join(".dvc/cache/files/md5").join(&md5[..2]).join(&md5[2..])
}

#[test]
fn what_dvc_keeps_is_told_and_held_against_its_digests() {
    let repository = Repository::tree();
    repository.dvc(&["init", "--quiet"]);
    let write = |name: &str, text: &str| {
        let path = repository.path.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("deep/model.pkl", "a model\n");
    write("data/a.csv", "1\n");
    write("data/in/b.csv", "2\n");
    repository.dvc(&["add", "--quiet", "deep/model.pkl", "data"]);
    write(
        "dvc.yaml",
        "stages:\n  train:\n    cmd: cp deep/model.pkl out.bin\n    deps: [deep/model.pkl]\n    outs: [out.bin]\n",
    );
    repository.dvc(&["repro", "--quiet"]);
    repository.commit(&[], "kept by DVC");
    runtime().block_on(async {
        let mut running = listed(sweeping(&repository)).await;
        let keys: Vec<&str> = running.records.keys().filter_map(|key| key.strip_prefix("dvc/models/main/")).collect();
        assert_eq!(keys, ["data", "data/a.csv", "data/in/b.csv", "deep/model.pkl", "out.bin"]);
        assert!(running.state().blind.is_empty(), "{:?}", running.state());
        let key = "dvc/models/main/deep/model.pkl";
        let record = running.records[key].clone();
        let md5 = record.attributes["ml.artifact.etag"].as_text().unwrap().strip_prefix("md5:").unwrap().to_owned();
        assert_eq!(record.attributes["git.kept_by"], Value::from("dvc"));
        assert_eq!(bytes(&running, &record).await.unwrap(), b"a model\n");
        assert!(!record.attributes.contains_key("artifact.claimed_hash"), "the promise is kept");
        assert_eq!(bytes(&running, &running.records["dvc/models/main/data/in/b.csv"]).await.unwrap(), b"2\n");
        // The older layout of a cache.
        let old = repository.path.join(".dvc/cache").join(&md5[..2]).join(&md5[2..]);
        std::fs::create_dir_all(old.parent().unwrap()).unwrap();
        std::fs::rename(cached(&repository.path, &md5), &old).unwrap();
        running.until("the moved file", |running| running.records[key].signature != record.signature).await;
        assert_eq!(bytes(&running, &running.records[key]).await.unwrap(), b"a model\n");
        // Somebody writes to the cache.
        std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&old, "no model").unwrap();
        running
            .until("the broken promise", |running| {
                running.records[key].attributes.get("artifact.claimed_hash") == Some(&Value::from(format!("md5:{md5}")))
            })
            .await;
        std::fs::remove_file(&old).unwrap();
        running.until("the name alone", |running| running.records[key].artifact.is_none()).await;
        // A new version, and one that goes.
        write("deep/model.pkl", "a better model\n");
        std::fs::remove_file(repository.path.join("data/a.csv")).unwrap();
        repository.dvc(&["add", "--quiet", "deep/model.pkl", "data"]);
        repository.commit(&[], "better");
        running
            .until("the file to be gone", |running| !running.records.contains_key("dvc/models/main/data/a.csv"))
            .await;
        assert_eq!(bytes(&running, &running.records[key]).await.unwrap(), b"a better model\n");
    });
}

#[test]
fn files_of_dvc_that_make_no_sense_are_told_and_lead_nowhere() {
    let repository = Repository::tree();
    let md5 = "0123456789abcdef0123456789abcdef";
    let out = |path: &str, md5: &str| format!("outs:\n- md5: {md5}\n  path: {path}\n").into_bytes();
    let many: Vec<String> = (0..20_000).map(|number| format!("- {{md5: {md5}, path: a{number}}}")).collect();
    repository.commit(
        &[
            ("good.dvc", &out("sub/x.bin", md5)),
            ("climbs.dvc", &out("../../etc/passwd", md5)),
            ("absolute.dvc", &out("/etc/passwd", md5)),
            ("far.dvc", &out("s3://bucket/key", md5)),
            ("short.dvc", &out("x", "0123")),
            ("traversal.dvc", &out("x", "../../../../../../etc/passwd")),
            ("none.dvc", b"\x00\xff"),
            ("unclosed.dvc", b"outs: ["),
            ("many.dvc", format!("outs:\n{}\n", many.join("\n")).as_bytes()),
            ("folder.dvc", &out("folder", &format!("{md5}.dir"))),
            (
                "deep/dvc.lock",
                b"stages:\n  a:\n    outs:\n    - {path: ../up.bin, md5: 0123456789abcdef0123456789abcdef}\n",
            ),
        ],
        "odd",
    );
    // A list that its name does not vouch for.
    let list = cached(&repository.path, &format!("{md5}.dir"));
    std::fs::create_dir_all(list.parent().unwrap()).unwrap();
    std::fs::write(&list, r#"[{"md5": "0123456789abcdef0123456789abcdef", "relpath": "../../x"}]"#).unwrap();
    runtime().block_on(async {
        let mut running = listed(Config { include: vec!["nothing".to_owned()], ..sweeping(&repository) }).await;
        let keys: Vec<&str> = running
            .records
            .keys()
            .filter_map(|key| key.strip_prefix("dvc/models/main/"))
            .filter(|key| !key.starts_with('a'))
            .collect();
        assert_eq!(keys, ["folder", "sub/x.bin", "up.bin"], "inside of the repository");
        assert!(running.records.keys().filter(|key| key.contains("/main/a")).count() <= 10_000);
        assert!(running.state().blind["malformed"].contains("DVC"), "{:?}", running.state());
        assert!(running.state().notes["odd"].contains("outside of the repository"), "{:?}", running.state());
        running.during(Duration::from_secs(2)).await;
        assert_eq!(running.log, [""; 0]);
    });
}
