//! An index on a real web server: what every source must do, and what an index says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lanner::base::uri::encode_path;
use lanner::event::Sha256;
use lanner::sources::cloudevents::IndexConfig;
use lanner::sources::{Settings as _, Source};
use serde_json::{Value, json};

use super::harness::start;
use super::suite::{self, World};
use crate::peers::web::{TOKEN, Web};
use crate::support::runtime;

/// Entries are artifacts, in files beside the index.
pub struct Catalog {
    web: Web,
    entries: BTreeMap<String, Value>,
}

impl Catalog {
    pub fn start() -> Self {
        let catalog = Self { web: Web::with_token(), entries: BTreeMap::new() };
        std::fs::write(catalog.web.process.folder().join("token"), TOKEN).unwrap();
        std::fs::write(catalog.web.process.folder().join("wrong"), "guessed").unwrap();
        catalog.write();
        catalog
    }

    fn config(&self, by: &str, token: &str) -> IndexConfig {
        IndexConfig {
            url: format!("http://{by}/index.json"),
            token_file: Some(self.web.process.folder().join(token)),
            sweep_interval_secs: 1,
            ..IndexConfig::default()
        }
    }

    fn add(&mut self, name: &str, bytes: &[u8]) {
        self.web.put(&format!("files/{name}"), bytes);
        let data = json!({
            "path": name, "size": bytes.len(), "sha256": Sha256::of(bytes).to_string(),
            "url": format!("files/{}", encode_path(name)),
        });
        self.entries.insert(name.to_owned(), json!({ "type": "io.lanner.artifact.v1", "data": data }));
    }

    fn write(&self) {
        let all: Vec<&Value> = self.entries.values().collect();
        self.web.put("index.json", serde_json::to_string(&all).unwrap().as_bytes());
    }
}

impl World for Catalog {
    fn source(&self, by: &str) -> Arc<dyn Source> {
        self.config(by, "token").build().unwrap()
    }

    fn address(&self) -> String {
        self.web.host.clone()
    }

    fn stranger(&self) -> Option<Arc<dyn Source>> {
        Some(self.config(&self.web.host, "wrong").build().unwrap())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        self.add(name, bytes);
        self.write();
    }

    fn delete(&mut self, name: &str) {
        self.entries.remove(name);
        self.write();
    }

    fn key(&self, name: &str, _bytes: &[u8]) -> String {
        format!("file/{}", encode_path(name))
    }

    fn stop(&mut self) {
        self.web.process.stop();
    }

    fn start(&mut self) {
        self.web.process.again();
    }

    fn fill(&mut self, names: &[String]) {
        for name in names {
            self.add(name, b"small");
        }
        self.write();
    }

    fn odd_names(&self) -> Vec<&'static str> {
        vec![
            "odd/with space.pkl",
            "odd/ünï\u{202e}code.pkl",
            "odd/per%2Fcent.pkl",
            "odd/a+b#c?d&e.bin",
            "odd/back\\slash.bin",
            "odd/name~2",
            "odd/...",
        ]
    }
}

#[test]
fn it_does_what_every_source_does() {
    suite::everything(&mut Catalog::start());
}

/// Runs one index through a source that reads it each second.
fn reading(index: &str, check: impl AsyncFnOnce(&Web, super::harness::Running)) {
    let web = Web::start();
    web.put("index.json", index.as_bytes());
    // What was written just now may be written again within the same second.
    std::thread::sleep(Duration::from_secs(3));
    let config = IndexConfig { url: web.url("index.json"), sweep_interval_secs: 1, ..IndexConfig::default() };
    runtime().block_on(async {
        let running = start(config);
        check(&web, running).await;
    });
}

#[test]
fn an_unchanged_index_costs_an_answer_without_a_body() {
    let index = r#"[{"type": "io.lanner.model.v1", "data": {"model": "fraud", "aliases": {"champion": "1"}}}]"#;
    reading(index, async |_, mut running| {
        running.listed().await;
        running.during(Duration::from_secs(4)).await;
        let (calls, bytes) =
            (running.metric("lanner_source_requests_total"), running.metric("lanner_source_response_bytes_total"));
        assert!(calls >= 3.0, "{calls}");
        assert!(
            (bytes - 2.0 * f64::from(u32::try_from(index.len()).unwrap())).abs() < 0.1,
            "it was read twice: {bytes}"
        );
        assert_eq!(running.log, [""; 0]);
        drop(running.stop().await);
    });
}

#[test]
fn lines_are_understood_and_what_is_not_keeps_everything_else() {
    let model = |name: &str, version: &str| json!({ "type": "io.lanner.model.v1", "data": { "model": name, "aliases": { "champion": version } } });
    let lines = format!("{}\n{}\n", model("a", "1"), model("b", "1"));
    reading(&lines, async |web, mut running| {
        running.listed().await;
        assert_eq!(running.records.len(), 2);
        // One that was understood before is not any more: it is not gone for that.
        let typo = json!({ "type": "io.lanner.model.v1", "data": { "model": "b", "alias": {} } });
        web.put("index.json", format!("{}\n{typo}\n", model("a", "2")).as_bytes());
        running.until("the change", |running| running.log == ["+model/a"]).await;
        running.until("blindness", |running| running.state().blind.contains_key("malformed")).await;
        let why = running.state().blind["malformed"].clone();
        assert!(why.contains("entry 1") && why.contains("alias"), "{why}");
        running.during(Duration::from_secs(2)).await;
        assert_eq!(running.records.len(), 2);
        // Nor when the text breaks off.
        web.put("index.json", b"[{\"type\": \"io.lanner.model.v1\"");
        running.during(Duration::from_secs(2)).await;
        assert_eq!(running.records.len(), 2);
        web.put("index.json", format!("{}\n", model("a", "2")).as_bytes());
        running.until("the deletion", |running| running.log.last().is_some_and(|told| told == "-model/b")).await;
        running.until("sight", |running| running.state().blind.is_empty()).await;
        drop(running.stop().await);
    });
}

#[test]
fn an_index_leads_to_no_other_server() {
    let elsewhere = Web::start();
    elsewhere.put("secret.pkl", b"secret");
    let entry = |path: &str, url: &str| json!({ "type": "io.lanner.artifact.v1", "data": { "path": path, "size": 6, "url": url } });
    let host = elsewhere.host.clone();
    let index = json!([
        entry("beside", "files/a.pkl"),
        entry("elsewhere", &format!("http://{host}/secret.pkl")),
        entry("metadata", "http://169.254.169.254/latest/meta-data/"),
        entry("climbing", "files/../../secret.pkl"),
        entry("encoded", "files/%2e%2e/%252e%252e/secret.pkl"),
        entry("file", "file:///etc/passwd"),
        entry("bucket", "s3://foreign/key"),
        entry("protocol", &format!("//{host}/secret.pkl")),
        entry("user", &format!("http://a:b@{host}/secret.pkl")),
    ]);
    reading(&index.to_string(), async |_, mut running| {
        running.listed().await;
        let fetched: Vec<&String> =
            running.records.iter().filter(|(_, record)| record.artifact.is_some()).map(|(key, _)| key).collect();
        assert_eq!(fetched, ["file/beside"]);
        assert_eq!(running.records.len(), 9, "what is not fetched is known all the same");
        drop(running.stop().await);
    });
}

#[test]
fn what_is_named_twice_is_malformed_and_a_user_in_the_address_is_none_of_ours() {
    let entry =
        |path: &str, size: u64| json!({ "type": "io.lanner.artifact.v1", "data": { "path": path, "size": size } });
    let index = json!([entry("a", 1), entry("b", 1), entry("a", 2)]);
    reading(&index.to_string(), async |_, mut running| {
        running.listed().await;
        running.during(Duration::from_secs(3)).await;
        let why = running.state().blind["malformed"].clone();
        assert!(why.contains("file/a") && why.contains("twice"), "{why}");
        assert_eq!(running.log, [""; 0], "it does not change from look to look");
        drop(running.stop().await);
    });
    let config =
        IndexConfig { url: "https://user:word@models.example/index.json".to_owned(), ..IndexConfig::default() };
    let problems = config.build().err().unwrap_or_default().join("\n");
    assert!(problems.contains("token_file") && !problems.contains("word@"), "{problems}");
}

#[test]
fn an_index_of_many_small_values_takes_no_more_than_its_size() {
    // As trees of values they would take forty times as much.
    let junk = format!("[{}1]", "{\"\":0},".repeat(200_000));
    reading(&junk, async |_, mut running| {
        running.listed().await;
        assert!(running.state().blind["malformed"].contains("entry 0"), "{:?}", running.state().blind);
        assert!(running.records.is_empty());
        drop(running.stop().await);
    });
}
