//! Real repositories as places of entries: what every source must do, done by that of Git, for plain files and for those
//! of LFS.

use std::path::PathBuf;
use std::sync::Arc;

use lanner::event::Sha256;
use lanner::sources::git::Config;
use lanner::sources::{Settings as _, Source};

use super::suite::{self, World};
use crate::peers::git::Repository;

const MAIN: &str = "refs/heads/main";

fn config(repository: &Repository) -> Config {
    Config {
        repositories: vec![repository.path.clone()],
        include: Vec::new(),
        sweep_interval_secs: 1,
        // Everything is found by listings alone.
        poll_interval_secs: 3600,
        ..Config::default()
    }
}

fn key(name: &str) -> String {
    format!("/main/{}", lanner::base::uri::encode_path(name))
}

/// A bare repository of plain files.
struct Plain {
    repository: Repository,
    /// Packs that are cut off, with what they held.
    cut: Vec<(PathBuf, Vec<u8>)>,
}

impl World for Plain {
    fn source(&self, _by: &str) -> Arc<dyn Source> {
        config(&self.repository).build().unwrap()
    }

    fn address(&self) -> String {
        String::new()
    }

    fn stranger(&self) -> Option<Arc<dyn Source>> {
        None
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        self.repository.import(MAIN, &[(name.as_bytes(), Some(bytes))]);
    }

    fn delete(&mut self, name: &str) {
        self.repository.import(MAIN, &[(name.as_bytes(), None)]);
    }

    fn key(&self, name: &str, _bytes: &[u8]) -> String {
        key(name)
    }

    fn stop(&mut self) {
        std::fs::rename(&self.repository.path, self.repository.folder().join("away")).unwrap();
    }

    fn start(&mut self) {
        std::fs::rename(self.repository.folder().join("away"), &self.repository.path).unwrap();
    }

    fn fill(&mut self, names: &[String]) {
        let files: Vec<(&[u8], Option<&[u8]>)> =
            names.iter().map(|name| (name.as_bytes(), Some(name.as_bytes()))).collect();
        self.repository.import(MAIN, &files);
    }

    fn odd_names(&self) -> Vec<&'static str> {
        vec![
            "späte/mo del.bin",
            "a+b%20c.pkl",
            "x#y?z.pt",
            "🤗.safetensors",
            "deep/er/and/deep/er/config.json",
            "odd/ünï\u{202e}code.pkl",
            "odd/back\\slash.bin",
            "odd/line\nbreak.bin",
            "odd/quo\"te.bin",
            "odd/...",
            "main@refs/heads/main:x.bin",
        ]
    }

    /// Packs are cut off as a branch moves: half of what it leads to is there.
    fn damage(&mut self) -> bool {
        let next = "refs/next/main";
        self.repository.git(&["update-ref", next, MAIN]);
        let commit = self.repository.import(next, &[(b"slow/other.bin", Some(b"other"))]);
        self.repository.git(&["repack", "-a", "-d", "-q"]);
        for pack in self.repository.packs("pack") {
            let bytes = std::fs::read(&pack).unwrap();
            let mut permissions = std::fs::metadata(&pack).unwrap().permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
            std::fs::set_permissions(&pack, permissions).unwrap();
            std::fs::write(&pack, &bytes[..20]).unwrap();
            self.cut.push((pack, bytes));
        }
        std::fs::write(self.repository.path.join(MAIN), format!("{commit}\n")).unwrap();
        true
    }

    fn mend(&mut self) {
        for (pack, bytes) in self.cut.drain(..) {
            std::fs::write(pack, bytes).unwrap();
        }
    }
}

#[test]
fn plain_files_keep_the_contract_of_all_sources() {
    let repository = Repository::bare();
    suite::everything(&mut Plain { repository, cut: Vec::new() });
}

/// A working tree whose files are kept by LFS.
struct Lfs {
    repository: Repository,
}

impl World for Lfs {
    fn source(&self, _by: &str) -> Arc<dyn Source> {
        // Of plain files only the one that says what LFS keeps is there.
        Config { include: vec!["no-plain-file".to_owned()], ..config(&self.repository) }.build().unwrap()
    }

    fn address(&self) -> String {
        String::new()
    }

    fn stranger(&self) -> Option<Arc<dyn Source>> {
        None
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        self.repository.commit(&[(name, bytes)], "put");
    }

    fn delete(&mut self, name: &str) {
        self.repository.git(&["rm", "--quiet", "--", name]);
        self.repository.git(&["commit", "--quiet", "-m", "delete"]);
    }

    fn key(&self, name: &str, _bytes: &[u8]) -> String {
        key(name)
    }

    fn stop(&mut self) {
        std::fs::rename(&self.repository.path, self.repository.folder().join("away")).unwrap();
    }

    fn start(&mut self) {
        std::fs::rename(self.repository.folder().join("away"), &self.repository.path).unwrap();
    }

    fn fill(&mut self, names: &[String]) {
        for name in names {
            let path = self.repository.path.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        self.repository.commit(&[], "fill");
    }

    fn odd_names(&self) -> Vec<&'static str> {
        vec!["späte/mo del.bin", "a+b%20c.pkl", "x#y?z.pt", "🤗.safetensors", "deep/er/and/deep/er/weights.bin"]
    }

    /// The object that the branch leads to is there by half.
    fn damage(&mut self) -> bool {
        let before = self.repository.head();
        let commit = self.repository.commit(&[("slow/other.bin", b"other")], "other");
        self.repository.git(&["update-ref", MAIN, &before]);
        let (folder, rest) = commit.split_at(2);
        let object = self.repository.inner().join("objects").join(folder).join(rest);
        std::fs::rename(&object, self.repository.folder().join("whole")).unwrap();
        let bytes = std::fs::read(self.repository.folder().join("whole")).unwrap();
        std::fs::write(&object, &bytes[..bytes.len() / 2]).unwrap();
        std::fs::write(self.repository.inner().join(MAIN), format!("{commit}\n")).unwrap();
        true
    }

    fn mend(&mut self) {
        let commit = std::fs::read_to_string(self.repository.inner().join(MAIN)).unwrap();
        let (folder, rest) = commit.trim().split_at(2);
        let object = self.repository.inner().join("objects").join(folder).join(rest);
        std::fs::rename(self.repository.folder().join("whole"), object).unwrap();
    }

    fn many(&self) -> usize {
        2_000
    }
}

#[test]
fn files_of_lfs_keep_the_contract_of_all_sources() {
    suite::everything(&mut Lfs { repository: Repository::lfs("*.bin *.pkl *.pt *.safetensors") });
}

/// A bare repository of pointers of LFS, whose bytes are elsewhere.
pub struct Pointers(Plain);

impl Pointers {
    pub fn make() -> Self {
        Self(Plain { repository: Repository::bare(), cut: Vec::new() })
    }
}

fn pointer(bytes: &[u8]) -> Vec<u8> {
    let digest = Sha256::of(bytes);
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {}\n", bytes.len()).into_bytes()
}

impl World for Pointers {
    fn source(&self, by: &str) -> Arc<dyn Source> {
        self.0.source(by)
    }

    fn address(&self) -> String {
        self.0.address()
    }

    fn stranger(&self) -> Option<Arc<dyn Source>> {
        None
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        self.0.put(name, &pointer(bytes));
    }

    fn delete(&mut self, name: &str) {
        self.0.delete(name);
    }

    fn key(&self, name: &str, bytes: &[u8]) -> String {
        self.0.key(name, bytes)
    }

    fn stop(&mut self) {
        self.0.stop();
    }

    fn start(&mut self) {
        self.0.start();
    }

    fn fill(&mut self, names: &[String]) {
        let pointers: Vec<Vec<u8>> = names.iter().map(|name| pointer(name.as_bytes())).collect();
        let files: Vec<(&[u8], Option<&[u8]>)> =
            names.iter().zip(&pointers).map(|(name, bytes)| (name.as_bytes(), Some(&**bytes))).collect();
        self.0.repository.import(MAIN, &files);
        self.0.repository.git(&["gc", "--quiet"]);
    }

    fn odd_names(&self) -> Vec<&'static str> {
        self.0.odd_names()
    }
}

#[test]
fn ten_thousand_pointers_are_listed_once() {
    let mut world = Pointers::make();
    world.fill(&(0..10_000).map(|number| format!("many/{number:05}.bin")).collect::<Vec<_>>());
    let runtime = crate::support::runtime();
    runtime.block_on(async {
        let source = world.source("");
        let mut running = super::harness::start_with(source, std::collections::BTreeMap::new(), 1024);
        running.listed().await;
        assert_eq!(running.records.len(), 10_001);
        let objects = |running: &super::harness::Running| running.metric("lanner_source_requests_total");
        let first = objects(&running);
        println!("{first} objects read for the first listing of 10,000 pointers");
        running.during(std::time::Duration::from_secs(3)).await;
        assert!((objects(&running) - first).abs() < 0.5, "no object is read again");
        world.put("many/00007.bin", b"another");
        running.until("the change", |running| running.log.len() == 2).await;
        running.until("the cost to be counted", |running| objects(running) > first).await;
        running.during(std::time::Duration::from_secs(2)).await;
        let more = objects(&running) - first;
        println!("{more} for one more");
        assert!(more <= 6.0, "a commit, two trees and one pointer, asked for its size and read: {more}");
    });
}
