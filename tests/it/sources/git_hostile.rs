//! Repositories that somebody made to hurt whoever reads them, and such that are merely broken or half there.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use lanner::sources::git::Config;
use lanner::sources::{Settings as _, StoreError};

use super::git::{config, listed};
use super::harness::{Running, start_with};
use crate::peers::git::{Repository, git_in};
use crate::support::runtime;

const MAIN: &str = "refs/heads/main";

fn blind(config: Config, reason: &str) -> Running {
    runtime().block_on(async {
        let mut running = start_with(config.build().unwrap(), BTreeMap::new(), 1024);
        running.until(reason, |running| running.state().blind.contains_key(reason)).await;
        running
    })
}

fn one(repository: &Repository) -> String {
    repository.import(MAIN, &[(b"model.pkl", Some(b"one")), (b"other/data.csv", Some(b"1,2\n"))])
}

#[test]
fn names_that_no_file_may_have_are_told_and_the_others_listed() {
    let repository = Repository::bare();
    let blob = repository.blob(b"x");
    let inner = repository.raw_tree(&[("100644", b"y.pkl", &blob)]);
    let long = [b"l".repeat(5000), b".pkl".to_vec()].concat();
    let tree = repository.raw_tree(&[
        ("100644", b"..", &blob),
        ("40000", b".GIT", &inner),
        ("100644", b"../../escape.pkl", &blob),
        ("100644", b"good.pkl", &blob),
        ("100644", b"good.pkl", &blob),
        ("100644", &long, &blob),
        ("100644", b"latin\xe9.pkl", &blob),
        ("100644", b"\x01\x1b[31m.pkl", &blob),
        ("40000", b"twice", &inner),
        ("120000", b"link.pkl", &blob),
        ("160000", b"module", "1111111111111111111111111111111111111111"),
        ("100755", b"run.pkl", &blob),
    ]);
    repository.commit_tree(MAIN, &tree);
    runtime().block_on(async {
        let running = listed(config(&repository)).await;
        let keys: Vec<&str> = running.records.keys().filter_map(|key| key.strip_prefix("file/models/main/")).collect();
        assert_eq!(keys, ["%01%1B%5B31m.pkl", "good.pkl", "latin%E9.pkl", "run.pkl", "twice/y.pkl"]);
        let latin = &running.records["file/models/main/latin%E9.pkl"];
        assert_eq!(latin.attributes["file.path"].as_text(), Some("latin\\xe9.pkl"));
        let opened = running.source.store().unwrap().open(latin.artifact.as_ref().unwrap()).await.unwrap();
        assert_eq!(opened.len(), 1);
        let state = running.state();
        assert!(state.blind["malformed"].contains("4 more"), "{state:?}");
        assert!(state.notes["submodules"].contains("1 submodules") && state.notes.contains_key("links"), "{state:?}");
    });
}

#[test]
fn trees_without_end_end() {
    let repository = Repository::bare();
    let blob = repository.blob(b"x");
    // A tree that holds itself, as near as one can come: each level names the one below eight times.
    let mut tree = repository.raw_tree(&[("100644", b"x.pkl", &blob)]);
    for _ in 0..20 {
        let names: [&[u8]; 8] = [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"];
        let entries: Vec<(&str, &[u8], &str)> = names.iter().map(|name| ("40000", *name, &*tree)).collect();
        tree = repository.raw_tree(&entries);
    }
    repository.commit_tree("refs/heads/bomb", &tree);
    // One folder in another, and in another.
    let mut deep = repository.raw_tree(&[("100644", b"x.pkl", &blob)]);
    for _ in 0..200 {
        deep = repository.raw_tree(&[("40000", b"d", &deep)]);
    }
    repository.commit_tree("refs/heads/deep", &deep);
    one(&repository);
    let begun = Instant::now();
    runtime().block_on(async {
        let running = listed(Config { files_max: 100_000, ..config(&repository) }).await;
        let files: Vec<&String> = running.records.keys().filter(|key| key.starts_with("file/")).collect();
        assert_eq!(files, ["file/models/main/model.pkl", "file/models/main/other/data.csv"]);
        assert!(running.kept.contains(&"file/models/bomb/".to_owned()), "{:?}", running.kept);
        let refs = format!("{:?}", running.records["repository/models"].attributes["ml.model.aliases"]);
        assert!(refs.contains("bomb") && refs.contains("deep") && refs.contains("main"), "moves are told: {refs}");
        let blind = running.state().blind;
        assert!(blind["too_large"].contains("files_max") && blind["malformed"].contains("64 deep"), "{blind:?}");
    });
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn objects_that_are_larger_than_they_should_be_are_refused_before_there_is_room_for_them() {
    let repository = Repository::bare();
    let zeros = |header: &str, megabytes: usize| {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        packed.write_all(header.as_bytes()).unwrap();
        for _ in 0..megabytes {
            packed.write_all(&vec![0; 1 << 20]).unwrap();
        }
        packed.finish().unwrap()
    };
    let place = |id: &str, bytes: &[u8]| {
        let path = repository.path.join("objects").join(&id[..2]).join(&id[2..]);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let bomb = "b".repeat(40);
    place(&bomb, &zeros(&format!("blob {}\0", 200 << 20), 200));
    // It says that it is small, and is not.
    let liar = "c".repeat(40);
    place(&liar, &zeros("blob 3\0", 200));
    let tree = "d".repeat(40);
    place(&tree, &zeros(&format!("tree {}\0", 200 << 20), 200));
    let (forged, honest) = ("e".repeat(40), repository.blob(b"honest"));
    place(&forged, &{
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(b"blob 2000\0").unwrap();
        packed.write_all(&[b'x'; 2000]).unwrap();
        packed.finish().unwrap()
    });
    let root = repository.raw_tree(&[
        ("100644", b"bomb.pkl", &bomb),
        ("100644", b"forged.pkl", &forged),
        ("100644", b"honest.pkl", &honest),
        ("100644", b"liar.pkl", &liar),
        ("40000", b"wide", &tree),
    ]);
    std::fs::write(repository.path.join(MAIN), format!("{}\n", repository.git(&["commit-tree", "-m", "x", &root])))
        .unwrap();
    runtime().block_on(async {
        let running = listed(Config { artifact_bytes_max: 1 << 20, ..config(&repository) }).await;
        let open = async |name: &str| {
            let record = &running.records[&format!("file/models/main/{name}")];
            running.source.store().unwrap().open(record.artifact.as_ref().unwrap()).await
        };
        assert_eq!(open("honest.pkl").await.unwrap().len(), 6);
        assert!(matches!(open("bomb.pkl").await, Err(StoreError::Refused(why)) if why.contains("1048576")));
        assert!(matches!(open("forged.pkl").await, Err(StoreError::Refused(why)) if why.contains("not what its name")));
        assert!(!running.records.contains_key("file/models/main/liar.pkl"), "what cannot be read is not told");
        assert!(running.kept.contains(&"file/models/main/".to_owned()));
        assert!(!running.state().blind.is_empty());
    });
}

#[test]
fn what_leads_out_of_the_repository_is_not_followed_unless_it_is_named() {
    let (lender, borrower) = (Repository::bare(), Repository::bare());
    let commit = one(&lender);
    let alternates = borrower.path.join("objects/info/alternates");
    std::fs::write(&alternates, format!("{}\n", lender.path.join("objects").display())).unwrap();
    borrower.git(&["update-ref", MAIN, &commit]);
    let running = blind(config(&borrower), "outside");
    assert!(running.state().blind.contains_key("missing_objects"), "{:?}", running.state());
    assert!(!running.records.keys().any(|key| key.starts_with("file/")));
    runtime().block_on(async {
        let running = listed(Config { outside: vec![lender.path.clone()], ..config(&borrower) }).await;
        assert!(running.records.contains_key("file/models/main/model.pkl"), "{:?}", running.state());
        assert!(running.state().blind.is_empty(), "{:?}", running.state());
    });
    // Alternates in a circle end.
    let back = lender.path.join("objects/info/alternates");
    std::fs::write(back, format!("{}\n", borrower.path.join("objects").display())).unwrap();
    runtime().block_on(async {
        let running = listed(Config { outside: vec![lender.path.clone()], ..config(&borrower) }).await;
        assert!(running.records.contains_key("file/models/main/model.pkl"), "{:?}", running.state());
    });
    // A folder whose `.git` is a link, or names another folder.
    for made in [0, 1] {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join(".git");
        if made == 0 {
            symlink(&lender.path, &inner).unwrap();
        } else {
            std::fs::write(&inner, format!("gitdir: {}\n", lender.path.display())).unwrap();
        }
        let config = Config { repositories: vec![folder.path().to_owned()], ..config(&lender) };
        let running = blind(config, "outside");
        assert!(running.records.is_empty() && !running.listed);
    }
}

#[test]
fn pipes_devices_and_links_in_the_place_of_files_hold_nobody_up() {
    let kinds: [&dyn Fn(&Path); 3] = [
        &|path| {
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        },
        &|path| symlink("/dev/zero", path).unwrap(),
        &|path| symlink("/etc/passwd", path).unwrap(),
    ];
    for place in ["HEAD", "config", "packed-refs", "refs/heads/evil", "objects/info/alternates", "commondir"] {
        for kind in kinds {
            let repository = Repository::bare();
            one(&repository);
            let path = repository.path.join(place);
            std::fs::remove_file(&path).ok();
            kind(&path);
            let begun = Instant::now();
            runtime().block_on(async {
                let mut running = start_with(config(&repository).build().unwrap(), BTreeMap::new(), 1024);
                // Nobody reads `HEAD` where it is not watched.
                let seen = |running: &Running| running.listed || !running.state().blind.is_empty();
                running.until(place, seen).await;
                let blind = running.state().blind;
                assert!(place == "HEAD" || !blind.is_empty(), "{place}: {blind:?}");
                assert!(!format!("{blind:?}").contains("root:"), "nothing of what lies elsewhere is told");
            });
            assert!(begun.elapsed() < Duration::from_secs(10), "{place}: {:?}", begun.elapsed());
        }
    }
}

#[test]
fn a_clone_that_is_not_whole_is_told_and_nothing_of_it_counts_as_deleted() {
    let origin = Repository::bare();
    for number in 0..3_u8 {
        origin.import(MAIN, &[(b"model.pkl", Some(&[number; 2000])), (b"pointer.bin", Some(&[number; 10]))]);
    }
    origin.git(&["config", "uploadpack.allowFilter", "true"]);
    let folder = tempfile::tempdir().unwrap();
    let from = format!("file://{}", origin.path.display());
    let clone = |name: &str, option: &str| {
        let path = folder.path().join(name);
        git_in(
            folder.path(),
            folder.path(),
            &["clone", "--quiet", "--bare", option, &from, path.to_str().unwrap()],
            b"",
        );
        Config { repositories: vec![path], ..config(&origin) }
    };
    // A shallow clone has all files of its tip; of its history nothing is said that is not known.
    let shallow = clone("shallow.git", "--depth=1");
    runtime().block_on(async {
        let mut running = listed(shallow).await;
        assert!(running.records.contains_key("file/shallow/main/model.pkl"));
        assert!(running.state().blind.is_empty(), "{:?}", running.state());
        let old = running.records["repository/shallow"].attributes.clone();
        origin.import(MAIN, &[(b"model.pkl", Some(b"new"))]);
        origin.import(MAIN, &[(b"model.pkl", Some(b"newer"))]);
        let path = folder.path().join("shallow.git");
        git_in(
            &path,
            folder.path(),
            &["fetch", "--quiet", "--depth=1", "--update-shallow", "origin", "+main:main"],
            b"",
        );
        running.until("the fetch", |running| running.log.iter().any(|told| told == "+repository/shallow")).await;
        let new = &running.records["repository/shallow"].attributes;
        let told = running.source.changes(lanner::sources::RecordKind::Model, Some(&old), Some(new));
        let told: Vec<&str> = told.iter().map(|change| change.action).collect();
        assert_eq!(told, ["alias.moved"], "whether the history was rewritten cannot be told");
    });
    let missing = |config: Config| runtime().block_on(listed(config));
    let running = missing(clone("partial.git", "--filter=blob:none"));
    assert!(running.kept.contains(&"file/partial/main/".to_owned()), "{:?}", running.kept);
    assert!(running.state().blind["missing_objects"].contains("partial"), "{:?}", running.state());
    let running = missing(clone("treeless.git", "--filter=tree:0"));
    assert!(running.kept.contains(&"file/treeless/main/".to_owned()), "{:?}", running.kept);
}

#[test]
fn replacements_and_grafts_change_nothing_and_packs_that_are_broken_are_told() {
    let repository = Repository::bare();
    let first = one(&repository);
    let second = repository.import(MAIN, &[(b"model.pkl", Some(b"two"))]);
    repository.git(&["replace", &second, &first]);
    let root = repository.git(&["rev-parse", &format!("{first}^{{tree}}")]);
    std::fs::write(repository.path.join("info/grafts"), format!("{second}\n")).unwrap();
    runtime().block_on(async {
        let running = listed(config(&repository)).await;
        let record = &running.records["file/models/main/model.pkl"];
        let opened = running.source.store().unwrap().open(record.artifact.as_ref().unwrap()).await.unwrap();
        let mut bytes = [0; 3];
        opened.read_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"two", "what the commit says, and not what replaces it");
    });
    assert!(!root.is_empty());
    // Bits that turn in a pack, wherever they are: no panic, no other bytes, and a reason.
    repository.git(&["replace", "-d", &second]);
    repository.git(&["repack", "-a", "-d", "-q"]);
    repository.git(&["prune-packed"]);
    let pack = repository.packs("pack").pop().unwrap();
    let index = repository.packs("idx").pop().unwrap();
    for path in [&pack, &index] {
        let whole = std::fs::read(path).unwrap();
        std::fs::remove_file(path).unwrap();
        let mut told = 0;
        for at in (0..whole.len()).step_by(if path == &pack { 7 } else { 31 }) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            std::fs::write(path, &bytes).unwrap();
            runtime().block_on(async {
                let mut running = start_with(config(&repository).build().unwrap(), BTreeMap::new(), 1024);
                running.until("an answer", |running| running.listed || !running.state().blind.is_empty()).await;
                told += usize::from(!running.state().blind.is_empty());
                let Some(record) = running.records.get("file/models/main/model.pkl") else { return };
                if let Ok(opened) = running.source.store().unwrap().open(record.artifact.as_ref().unwrap()).await {
                    let mut bytes = [0; 3];
                    opened.read_at(0, &mut bytes).unwrap();
                    assert_eq!(&bytes, b"two", "byte {at} of {}", path.display());
                }
            });
        }
        assert!(told > 5, "{told} of {}", path.display());
        std::fs::write(path, whole).unwrap();
    }
}

#[test]
fn names_of_objects_may_be_longer_and_other_ways_to_keep_refs_are_refused_by_name() {
    let repository = Repository::bare_sha256();
    one(&repository);
    repository.git(&["gc", "--quiet"]);
    runtime().block_on(async {
        let running = listed(config(&repository)).await;
        let record = &running.records["file/models/main/model.pkl"];
        assert!(record.signature.starts_with("git:") && record.signature.len() > 64, "{}", record.signature);
        let opened = running.source.store().unwrap().open(record.artifact.as_ref().unwrap()).await.unwrap();
        assert_eq!(opened.len(), 3);
    });
    let repository = Repository::bare();
    repository.git(&["config", "core.repositoryformatversion", "1"]);
    let file = repository.path.join("config");
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str("[extensions]\n\trefStorage = reftable\n[include]\n\tpath = /dev/zero\n");
    std::fs::write(file, text).unwrap();
    let running = blind(config(&repository), "unsupported");
    let why = running.state().blind["unsupported"].clone();
    assert!(why.contains("refstorage") && why.contains("git refs migrate --ref-format=files"), "{why}");
    let running = blind(
        Config { repositories: vec![std::env::temp_dir().join("no-such-folder")], ..config(&repository) },
        "no_repository",
    );
    assert!(!running.listed);
}

#[test]
fn every_byte_is_what_git_itself_says() {
    let repository = Repository::bare();
    let mut numbers = crate::support::Numbers(7);
    let mut large: Vec<u8> = (0..6 << 20).map(|_| u8::try_from(numbers.next() & 0xff).unwrap()).collect();
    let mut rows = Vec::new();
    for version in 0..80_u32 {
        rows.extend(format!("{version},{}\n", numbers.next()).into_bytes());
        large[(version as usize * 77_777) % (6 << 20)] ^= 0xff;
        let branch = if version % 20 == 19 { format!("refs/heads/at-{version}") } else { MAIN.to_owned() };
        let weights: Option<&[u8]> = (version % 20 == 19).then_some(&large);
        let mut files: Vec<(&[u8], Option<&[u8]>)> =
            vec![(b"rows.csv", Some(&rows)), (b"small.pkl", Some(b"")), (b"a/b.csv", Some(&rows[..1]))];
        files.extend(weights.map(|weights| (&b"weights.bin"[..], Some(weights))));
        repository.import(&branch, &files);
    }
    let ask = |key: &str| {
        let (branch, path) = key.strip_prefix("file/models/").unwrap().split_once('/').unwrap();
        repository.git(&["rev-parse", &format!("{branch}:{path}")])
    };
    for packed in [false, true] {
        if packed {
            repository.git(&["-c", "pack.window=50", "-c", "pack.depth=50", "repack", "-a", "-d", "-f", "-q"]);
            repository.git(&["prune-packed", "-q"]);
        }
        runtime().block_on(async {
            let running = listed(config(&repository)).await;
            assert!(running.records.len() >= 20, "{:?}", running.records.keys());
            for (key, record) in running.records.iter().filter(|(key, _)| key.starts_with("file/")) {
                let opened = running.source.store().unwrap().open(record.artifact.as_ref().unwrap()).await.unwrap();
                let mut bytes = vec![0; usize::try_from(opened.len()).unwrap()];
                let mut read = 0;
                while read < bytes.len() {
                    read += opened.read_at(read as u64, &mut bytes[read..]).unwrap();
                }
                let said = repository.git_with(&["hash-object", "--stdin"], &bytes);
                assert_eq!(said, ask(key), "{key}");
            }
        });
    }
}

#[test]
fn nothing_is_written_and_no_program_is_run() {
    let repository = Repository::lfs("*.bin");
    repository.commit(&[("model.bin", b"one"), ("plain.pkl", b"two")], "x");
    let mark = repository.folder().join("ran");
    let touch = format!("touch {}", mark.display());
    for key in
        ["core.fsmonitor", "core.sshCommand", "filter.lfs.smudge", "filter.lfs.process", "diff.external", "core.pager"]
    {
        repository.git(&["config", key, &touch]);
    }
    let hook = repository.inner().join("hooks/post-checkout");
    std::fs::write(&hook, format!("#!/bin/sh\n{touch}\n")).unwrap();
    let snapshot = || {
        let walk = walkdir::WalkDir::new(&repository.path).sort_by_file_name().into_iter();
        let stat = |path: &Path| {
            path.symlink_metadata().map(|one| (one.ino(), one.mtime_nsec(), one.ctime_nsec(), one.len())).unwrap()
        };
        walk.map(|entry| entry.unwrap().into_path()).map(|path| (stat(&path), path)).collect::<Vec<_>>()
    };
    // Somebody else's: whose it is makes no difference to reading it.
    for (_, path) in snapshot() {
        std::os::unix::fs::lchown(path, Some(1234), Some(1234)).ok();
    }
    let before = snapshot();
    runtime().block_on(async {
        let running = listed(config(&repository)).await;
        for key in ["file/models/main/model.bin", "file/models/main/plain.pkl"] {
            let artifact = running.records[key].artifact.as_ref().unwrap();
            running.source.store().unwrap().open(artifact).await.unwrap();
        }
    });
    assert_eq!(snapshot(), before);
    assert!(!mark.exists());
}
