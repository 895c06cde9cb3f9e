//! A directory tree as a place of entries: what every source must do, done by that of files, by its walks alone.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use lanner::sources::filesystem::{Config, Watch, paths};
use lanner::sources::{Settings as _, Source};
use tempfile::TempDir;

use super::suite::{self, World};

struct Tree {
    folder: TempDir,
}

impl Tree {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("models")).unwrap();
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn away(&self) -> PathBuf {
        self.folder.path().join("away")
    }
}

impl World for Tree {
    fn source(&self, _by: &str) -> Arc<dyn Source> {
        let config = Config {
            paths: vec![self.root()],
            settle_millis: 60,
            sweep_interval_secs: 1,
            poll_interval_secs: 3600,
            // No notification is looked at: everything is found by walks.
            watch: Watch::Poll,
            ..Config::default()
        };
        config.build().unwrap()
    }

    fn address(&self) -> String {
        String::new()
    }

    /// Whoever runs the tests may read everything.
    fn stranger(&self) -> Option<Arc<dyn Source>> {
        None
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn delete(&mut self, name: &str) {
        fs::remove_file(self.root().join(name)).unwrap();
    }

    fn key(&self, name: &str, _bytes: &[u8]) -> String {
        paths::escape(&self.root().join(name))
    }

    fn stop(&mut self) {
        fs::rename(self.root(), self.away()).unwrap();
    }

    fn start(&mut self) {
        fs::rename(self.away(), self.root()).unwrap();
    }

    fn fill(&mut self, names: &[String]) {
        for name in names {
            self.put(name, b"small");
        }
    }

    fn odd_names(&self) -> Vec<&'static str> {
        vec![
            "odd/with space.pkl",
            "odd/ünï\u{202e}code.pkl",
            "odd/per%2Fcent.pkl",
            "odd/back\\slash.bin",
            "odd/line\nbreak.bin",
            "odd/\u{1b}[31mred.bin",
            "odd/...",
            "odd/-rf",
        ]
    }

    fn has_hints(&self) -> bool {
        false
    }

    /// Something that is no directory lies where the models were.
    fn damage(&mut self) -> bool {
        self.stop();
        fs::write(self.root(), "a file").unwrap();
        true
    }

    fn mend(&mut self) {
        fs::remove_file(self.root()).unwrap();
        World::start(self);
    }
}

#[test]
fn a_directory_keeps_the_contract_of_all_sources() {
    suite::everything(&mut Tree::start());
}
