//! The registry of the Docker project as a place of entries: what every source must do, done by that of OCI registries.

use std::collections::BTreeMap;
use std::sync::Arc;

use lanner::event::Sha256;
use lanner::sources::oci::Config;
use lanner::sources::{Settings as _, Source};
use serde_json::json;
use tempfile::TempDir;

use super::suite::{self, World};
use crate::peers::registry::{PASSWORD, Registry, USER};

/// Entries are repositories of one file, whose title is the entry's name.
pub struct Images {
    registry: Registry,
    folder: TempDir,
    /// The manifest of each entry with its bytes.
    pushed: BTreeMap<(String, Vec<u8>), String>,
    last: BTreeMap<String, String>,
}

impl Images {
    pub fn start() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        std::fs::write(folder.path().join("wrong"), "guessed").unwrap();
        Self { registry: Registry::with_password(), folder, pushed: BTreeMap::new(), last: BTreeMap::new() }
    }

    fn config(&self, by: &str, password: &str) -> Config {
        Config {
            registry: by.to_owned(),
            username: Some(USER.to_owned()),
            password_file: Some(self.folder.path().join(password)),
            sweep_interval_secs: 1,
            ..Config::default()
        }
    }
}

fn repository(name: &str) -> String {
    let digest = Sha256::of(name.as_bytes()).to_string();
    format!("entries/{}", digest.get(..16).unwrap())
}

impl World for Images {
    fn source(&self, by: &str) -> Arc<dyn Source> {
        self.config(by, "password").build().unwrap()
    }

    fn address(&self) -> String {
        self.registry.host.clone()
    }

    fn stranger(&self) -> Option<Arc<dyn Source>> {
        Some(self.config(&self.registry.host, "wrong").build().unwrap())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        let digest = self.registry.artifact(&repository(name), "v1", &[(name, bytes)]);
        self.pushed.insert((name.to_owned(), bytes.to_vec()), digest.clone());
        self.last.insert(name.to_owned(), digest);
    }

    fn delete(&mut self, name: &str) {
        self.registry.delete(&repository(name), &self.last[name]);
    }

    fn key(&self, name: &str, bytes: &[u8]) -> String {
        let digest = &self.pushed[&(name.to_owned(), bytes.to_vec())];
        let digest = digest.replace(':', "%3A");
        format!("/{digest}/{}", lanner::base::uri::encode_path(name))
    }

    fn stop(&mut self) {
        self.registry.stop();
    }

    fn start(&mut self) {
        self.registry.again();
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
            "odd/a+b#c?d&e.bin",
            "odd/back\\slash.bin",
            "odd/blobs/sha256:0/x.bin",
            "odd/name~2",
            "odd/...",
        ]
    }

    fn hint(&self, name: &str) -> Option<serde_json::Value> {
        let target = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": repository(name), "tag": "v1"
        });
        Some(json!({ "events": [{ "action": "push", "target": target, "request": { "useragent": "oras/1.2.0" } }] }))
    }

    fn many(&self) -> usize {
        300
    }
}

#[test]
fn it_does_what_every_source_of_a_registry_does() {
    suite::everything(&mut Images::start());
}
