//! How models are packed into images and artifacts, and what of it is told.

use std::collections::BTreeMap;

use lanner::event::{Sha256, Value};
use lanner::sources::oci::Config;
use lanner::sources::{Settings as _, StoreError};
use serde_json::{Value as Json, json};

use super::harness::{Running, start_with};
use crate::peers::registry::Registry;
use crate::support::runtime;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Pushes a manifest of layers: type, title, bytes.
fn push(registry: &Registry, name: &str, config: &str, layers: &[(&str, Option<&str>, &[u8])], more: &Json) -> String {
    let layers: Vec<Json> = layers
        .iter()
        .map(|(kind, title, bytes)| {
            let mut layer = json!({ "mediaType": kind, "digest": registry.blob(name, bytes), "size": bytes.len() });
            if let Some(title) = title {
                layer["annotations"] = json!({ "org.opencontainers.image.title": title });
            }
            layer
        })
        .collect();
    let settings = format!("{{\"config of\":\"{config}\"}}").into_bytes();
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": config, "digest": registry.blob(name, &settings), "size": settings.len() },
        "layers": layers,
    });
    for (key, value) in more.as_object().unwrap() {
        manifest[key] = value.clone();
    }
    registry.manifest(name, "v1", &manifest)
}

fn listed(config: Config) -> (Running, tokio::runtime::Runtime) {
    let runtime = runtime();
    let source = config.build().unwrap();
    let running = runtime.block_on(async {
        let mut running = start_with(source, BTreeMap::new(), 4096);
        running.listed().await;
        running
    });
    (running, runtime)
}

/// Paths of the files of a repository's version.
fn paths(running: &Running, name: &str) -> Vec<String> {
    let start = format!("artifact/{}/", name.replace('/', "%2F"));
    let records = running.records.range(start.clone()..).take_while(|(key, _)| key.starts_with(&start));
    records.map(|(_, record)| record.attributes["file.path"].as_text().unwrap().to_owned()).collect()
}

fn packaging(running: &Running, name: &str) -> String {
    let start = format!("version/{}/", name.replace('/', "%2F"));
    let (_, record) = running.records.range(start.clone()..).next().filter(|(key, _)| key.starts_with(&start)).unwrap();
    record.attributes["oci.packaging"].as_text().unwrap().to_owned()
}

#[test]
fn every_packaging_is_known_and_its_files_keep_their_names() {
    let registry = Registry::start();
    let weight = "application/vnd.cncf.model.weight.v1.raw";
    push(
        &registry,
        "p/modelpack",
        "application/vnd.cncf.model.config.v1+json",
        &[(weight, Some("weights/model.safetensors"), b"1"), ("application/vnd.cncf.model.doc.v1.raw", None, b"2")],
        &json!({ "artifactType": "application/vnd.cncf.model.manifest.v1+json",
                "annotations": { "approved_by": "release board" } }),
    );
    push(
        &registry,
        "p/kitops",
        "application/vnd.kitops.modelkit.config.v1+json",
        &[("application/vnd.kitops.modelkit.model.v1.tar+gzip", None, b"3")],
        &json!({}),
    );
    push(
        &registry,
        "p/docker",
        "application/vnd.docker.ai.model.config.v0.1+json",
        &[("application/vnd.docker.ai.gguf.v3", None, b"4")],
        &json!({}),
    );
    let ollama = |part: &str| format!("application/vnd.ollama.image.{part}");
    push(
        &registry,
        "p/ollama",
        "application/vnd.docker.container.image.v1+json",
        &[(&ollama("model"), None, b"5"), (&ollama("template"), None, b"6"), (&ollama("template"), None, b"7")],
        &json!({}),
    );
    push(
        &registry,
        "p/oras",
        "application/vnd.unknown.config.v1+json",
        &[
            ("application/octet-stream", Some("a.pkl"), b"8"),
            ("application/octet-stream", Some("a.pkl"), b"9"),
            ("application/octet-stream", Some("a.pkl~2"), b"10"),
            ("application/octet-stream", Some("../../etc/passwd"), b"11"),
        ],
        &json!({}),
    );
    let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
    let image = "application/vnd.oci.image.config.v1+json";
    push(
        &registry,
        "p/modelcar",
        image,
        &[(layer, None, b"12")],
        &json!({ "annotations": { "org.cncf.model.name": "m" } }),
    );
    push(&registry, "p/image", image, &[(layer, None, b"13")], &json!({}));
    let config = Config { registry: registry.host.clone(), repositories: vec!["p/*".to_owned()], ..Config::default() };
    let (running, runtime) = listed(config.clone());
    for (name, files) in [
        ("modelpack", &["config.json", "doc.v1.raw", "manifest.json", "weights/model.safetensors"][..]),
        ("kitops", &["config.json", "manifest.json", "model.v1.tar-gzip"]),
        ("docker-ai", &["config.json", "gguf.v3", "manifest.json"]),
        ("ollama", &["config.json", "manifest.json", "model", "template", "template~2"]),
        ("oras", &["a.pkl", "a.pkl~2", "a.pkl~2~2", "config.json", "manifest.json", "octet-stream"]),
        ("modelcar", &["config.json", "manifest.json"]),
        ("image", &["config.json", "manifest.json"]),
    ] {
        let repository = if name == "docker-ai" { "p/docker".to_owned() } else { format!("p/{name}") };
        assert_eq!(packaging(&running, &repository), name);
        assert_eq!(paths(&running, &repository), files, "{name}");
    }
    assert!(running.state().notes["image_layers"].contains("p/modelcar"), "{:?}", running.state());
    let approved = running.records.values().filter(|record| {
        record.attributes.get("ml.model.version.tags.approved_by") == Some(&Value::from("release board"))
    });
    assert!(approved.count() > 1, "annotations are what others call tags of a version");

    // The bytes of each file are those that were pushed, and their record says which they should be.
    let store = running.source.store().unwrap();
    let mut sizes = 0;
    for (key, record) in running.records.iter().filter(|(key, _)| key.starts_with("artifact/")) {
        let artifact = record.artifact.as_ref().unwrap();
        let opened = runtime.block_on(store.open(artifact)).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(Value::from(opened.len()), record.attributes["file.size"], "{key}");
        let mut bytes = vec![0; usize::try_from(opened.len()).unwrap()];
        assert_eq!(opened.read_at(0, &mut bytes).unwrap(), bytes.len());
        let digest = format!("sha256:{}", Sha256::of(&bytes));
        assert_eq!(Value::from(digest), record.attributes["artifact.claimed_hash"], "{key}");
        sizes += opened.len();
    }
    assert!(sizes > 0);
    let mut elsewhere = running.records.values().find_map(|record| record.artifact.clone()).unwrap();
    for path in ["oci://other.example.com/p/oras/blobs/sha256-0", "oci://", "/etc/passwd", "oci://../x/blobs/sha256-1"]
    {
        path.clone_into(&mut elsewhere.path);
        assert!(matches!(runtime.block_on(store.open(&elsewhere)), Err(StoreError::Refused(_))), "{path}");
    }
    elsewhere.path = format!("oci://{}/p/oras/blobs/sha256-{}", registry.host, "0".repeat(64));
    assert!(matches!(runtime.block_on(store.open(&elsewhere)), Err(StoreError::Gone)));
    runtime.block_on(running.stop());

    let (running, runtime) = listed(Config { image_layers: true, ..config });
    for name in ["p/modelcar", "p/image"] {
        assert_eq!(paths(&running, name), ["config.json", "manifest.json", "oci.image.layer.v1.tar-gzip"]);
    }
    runtime.block_on(running.stop());
}

#[test]
fn an_index_is_told_with_the_files_of_each_platform() {
    let registry = Registry::start();
    let image = "application/vnd.oci.image.config.v1+json";
    let kind = "application/vnd.cncf.model.weight.v1.raw";
    let inner = push(&registry, "p/both", image, &[(kind, Some("model.bin"), b"1")], &json!({}));
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            { "mediaType": MANIFEST, "digest": inner, "size": 1, "platform": { "os": "linux", "architecture": "amd64" } },
        ],
    });
    registry.manifest("p/both", "v1", &index);
    let (running, runtime) = listed(Config { registry: registry.host.clone(), ..Config::default() });
    assert_eq!(packaging(&running, "p/both"), "modelpack");
    assert_eq!(
        paths(&running, "p/both"),
        ["linux-amd64/config.json", "linux-amd64/manifest.json", "linux-amd64/model.bin", "manifest.json"]
    );
    runtime.block_on(running.stop());
}

#[test]
fn what_is_more_than_is_kept_is_told() {
    let registry = Registry::start();
    let names: Vec<String> = (0..2_500).map(|number| format!("part-{number:04}.bin")).collect();
    let layers: Vec<Json> = {
        let digest = registry.blob("p/large", b"part");
        let layer = |name: &String| {
            json!({ "mediaType": "application/octet-stream", "digest": digest, "size": 4,
                    "annotations": { "org.opencontainers.image.title": name } })
        };
        names.iter().map(layer).collect()
    };
    let notes = json!({ "a-long-one": "x".repeat(100_000), "short": "y" });
    let digest = push(
        &registry,
        "p/large",
        "application/vnd.unknown.config.v1+json",
        &[],
        &json!({ "layers": layers, "annotations": notes }),
    );
    let (running, runtime) = listed(Config { registry: registry.host.clone(), ..Config::default() });
    assert_eq!(paths(&running, "p/large").len(), 2_000);
    let blind = running.state().blind;
    assert!(blind["parts_max"].contains(&digest), "{blind:?}");
    assert!(blind["annotations"].contains(&digest), "{blind:?}");
    let record = running.records.values().find(|record| record.key.ends_with("part-0001.bin")).unwrap();
    assert_eq!(record.attributes["ml.model.version.tags.short"], Value::from("y"));
    runtime.block_on(running.stop());
}
