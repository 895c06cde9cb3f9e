//! Buckets of real servers: `SeaweedFS`, fake-gcs-server, Azurite.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use lanner::event::Value;
use lanner::sources::objects::Config;
use lanner::sources::{Settings as _, Source};
use object_store::ObjectStore;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::harness::{Running, start};
use super::suite::{self, World};
use crate::peers::objects::Store;
use crate::support::runtime;

/// Puts at the same time.
const PUTS: usize = 64;

/// A bucket called `models` of a real store.
pub struct Bucket {
    pub store: Store,
    scheme: &'static str,
    client: Arc<dyn ObjectStore>,
    runtime: Runtime,
    /// Holds files of credentials.
    folder: TempDir,
}

impl Bucket {
    pub fn seaweed() -> Self {
        let store = Store::seaweed();
        store.make_bucket("models");
        Self::of(store, "s3")
    }

    /// `SeaweedFS` that tells an address of everything that happens.
    pub fn telling(url: &str) -> Self {
        let store = Store::seaweed_telling(url);
        store.make_bucket("models");
        Self::of(store, "s3")
    }

    pub fn google() -> Self {
        Self::of(Store::google_on_disk("models"), "gs")
    }

    pub fn azure() -> Self {
        Self::of(Store::azure("models", &[("other/notes.txt", b"notes")]), "az")
    }

    fn of(store: Store, scheme: &'static str) -> Self {
        let client = store.client("models");
        Self { store, scheme, client, runtime: runtime(), folder: TempDir::new().unwrap() }
    }

    /// A source that lists every second.
    pub fn config(&self, by: &str, known: bool) -> Config {
        let credentials: PathBuf = self.folder.path().join(if known { "known" } else { "stranger" });
        std::fs::write(&credentials, self.store.credentials(known)).unwrap();
        Config {
            url: format!("{}://models", self.scheme),
            endpoint: Some(self.store.endpoint(by)),
            credentials_file: Some(credentials),
            sweep_interval_secs: 1,
            ..Config::default()
        }
    }

    pub fn put(&self, name: &str, bytes: &[u8]) {
        self.runtime.block_on(self.store.put_with(&*self.client, "models", name, bytes));
    }

    pub fn delete(&self, name: &str) {
        self.runtime.block_on(self.store.delete_with(&*self.client, "models", name));
    }
}

impl World for Bucket {
    fn source(&self, by: &str) -> Arc<dyn Source> {
        self.config(by, true).build().unwrap()
    }

    fn address(&self) -> String {
        self.store.address()
    }

    fn stranger(&self) -> Option<Arc<dyn Source>> {
        (self.scheme != "gs").then(|| self.config(&self.store.address(), false).build().unwrap())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        Self::put(self, name, bytes);
    }

    fn delete(&mut self, name: &str) {
        Self::delete(self, name);
    }

    fn key(&self, name: &str, _bytes: &[u8]) -> String {
        name.to_owned()
    }

    fn stop(&mut self) {
        self.store.stop();
    }

    fn start(&mut self) {
        self.store.start();
    }

    fn fill(&mut self, names: &[String]) {
        let began = Instant::now();
        self.runtime.block_on(stream::iter(names).for_each_concurrent(PUTS, async |name| {
            self.store.put_with(&*self.client, "models", name, name.as_bytes()).await;
        }));
        println!("{}: {} objects put in {:?}", self.scheme, names.len(), began.elapsed());
    }

    fn hint(&self, name: &str) -> Option<serde_json::Value> {
        Some(match self.scheme {
            "s3" => json!({ "Records": [{
                "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                "s3": { "bucket": { "name": "models" }, "object": { "key": name } }
            }] }),
            "gs" => json!({ "message": { "attributes": {
                "bucketId": "models", "objectId": name, "eventType": "OBJECT_FINALIZE"
            } } }),
            _ => json!([{
                "subject": format!("/blobServices/default/containers/models/blobs/{name}"),
                "eventType": "Microsoft.Storage.BlobCreated", "data": {}
            }]),
        })
    }

    fn many(&self) -> usize {
        // Google's stand-in takes 240 a second on a disk, the others a thousand.
        if self.scheme == "gs" { 3_000 } else { 10_000 }
    }

    fn odd_names(&self) -> Vec<&'static str> {
        vec![
            "odd/na me+ü&<'(%25=?#;,@!$*)~.bin",
            "odd/😀/模型.safetensors",
            "odd/a%2Fb.bin",
            "odd/...",
            "odd/.hidden",
            "odd/\"quoted\".bin",
        ]
    }
}

#[test]
fn a_bucket_of_seaweedfs_is_watched() {
    suite::everything(&mut Bucket::seaweed());
}

#[test]
fn a_bucket_of_google_is_watched() {
    suite::everything(&mut Bucket::google());
}

#[test]
fn a_container_of_azure_is_watched() {
    suite::everything(&mut Bucket::azure());
}

/// Starts a source and waits for its first listing.
pub async fn watched(config: Config) -> Running {
    let mut running = start(config);
    running.listed().await;
    running
}

#[test]
fn records_say_what_the_store_tells_and_globs_and_prefixes_choose() {
    let bucket = Bucket::seaweed();
    for key in ["team/ranker/model.PT", "team/ranker/notes.txt", "team/cache/.git/x.pt", "teams/other.pt", "team/x.tmp"]
    {
        bucket.put(key, key.as_bytes());
    }
    let config = Config {
        url: "s3://models/team/".to_owned(),
        include: vec!["*.PT".to_owned(), "*.pt".to_owned(), "*.tmp".to_owned()],
        serves: Some("*".to_owned()),
        ..bucket.config(&bucket.store.address(), true)
    };
    let runtime = runtime();
    runtime.block_on(async {
        let running = watched(config).await;
        let keys: Vec<&String> = running.records.keys().collect();
        assert_eq!(keys, ["team/ranker/model.PT"]);
        let record = &running.records["team/ranker/model.PT"];
        assert_eq!(record.subject.name, "s3://models/team/ranker/model.PT");
        let fields = &record.attributes;
        for (path, value) in [
            ("file.path", Value::from("team/ranker/model.PT")),
            ("file.name", Value::from("model.PT")),
            ("file.extension", Value::from("pt")),
            ("file.size", Value::from(20_u64)),
            ("ml.artifact.url", Value::from("s3://models/team/ranker/model.PT")),
            // That of one part is the MD5 of its bytes.
            ("ml.artifact.etag", Value::from("31b567663945b34bda79e7addf3d83e3")),
            ("file.served", Value::from(true)),
            ("ml.model.name", Value::from("ranker")),
        ] {
            assert_eq!(fields.get(path), Some(&value), "{path}");
        }
        assert!(fields.contains_key("file.modified") && record.time.is_some(), "{fields:?}");
        assert_eq!(running.state().watched, 1);
        running.stop().await;
    });
}

#[test]
fn bytes_replaced_by_as_many_are_found_and_told_once() {
    for bucket in [Bucket::seaweed(), Bucket::google(), Bucket::azure()] {
        bucket.put("fraud/model.pkl", b"one");
        let config = bucket.config(&bucket.store.address(), true);
        let runtime = runtime();
        let mut running = runtime.block_on(watched(config));
        let before = running.records["fraud/model.pkl"].clone();
        bucket.put("fraud/model.pkl", b"two");
        runtime.block_on(running.until("the other bytes", |running| running.log == ["+fraud/model.pkl"]));
        let after = &running.records["fraud/model.pkl"];
        assert_ne!(before.attributes["ml.artifact.etag"], after.attributes["ml.artifact.etag"], "{}", bucket.scheme);
        assert_eq!(before.attributes["file.size"], after.attributes["file.size"]);
        runtime.block_on(running.during(Duration::from_secs(3)));
        assert_eq!(running.log.len(), 1, "told once: {:?}", running.log);
        runtime.block_on(running.stop());
    }
}

#[test]
fn settings_that_cannot_be_right_are_refused_in_sentences() {
    let problems = |config: Config| config.build().err().unwrap_or_default();
    let good = Config { url: "s3://models".to_owned(), ..Config::default() };
    assert_eq!(problems(good.clone()), [""; 0]);
    for (config, needle) in [
        (Config::default(), "names no bucket"),
        (Config { url: "hf://org/model".to_owned(), ..good.clone() }, "no object store"),
        (Config { url: "s3://a b".to_owned(), ..good.clone() }, "names no bucket"),
        (Config { url: "gs://models".to_owned(), versions: true, ..good.clone() }, "`versions` is for s3://"),
        (
            Config { url: "az://models".to_owned(), region: Some("eu-1".to_owned()), ..good.clone() },
            "`region` is for s3://",
        ),
        (
            Config {
                url: "abfss://models@account.dfs.core.windows.net".to_owned(),
                endpoint: Some("http://127.0.0.1:10000".to_owned()),
                ..good.clone()
            },
            "`endpoint` and",
        ),
        (Config { endpoint: Some("somewhere".to_owned()), ..good.clone() }, "no address"),
        (Config { credentials_file: Some("/nowhere/at/all".into()), ..good.clone() }, "`credentials_file`"),
        (Config { include: vec!["{".to_owned()], ..good.clone() }, "`include`"),
        (Config { sweep_interval_secs: 0, ..good }, "`sweep_interval_secs` is 0"),
    ] {
        let found = problems(config);
        assert!(found.iter().any(|problem| problem.contains(needle)), "{needle}: {found:?}");
    }
}
