//! Buckets that stand for beginnings of addresses: of the server's own scheme, and by older names of a store.

use lanner::event::ArtifactRef;
use lanner::sources::mlflow::{ArtifactBucket, Config};
use lanner::sources::{Settings as _, StoreError};
use serde_json::json;

use super::harness::{Running, start};
use crate::peers::mlflow::shared;
use crate::peers::objects::Store;
use crate::support::runtime;

async fn open(running: &Running, artifact: &ArtifactRef) -> Result<String, StoreError> {
    let opened = running.source.store().unwrap().open(artifact).await?;
    let mut bytes = vec![0; usize::try_from(opened.len()).unwrap()];
    assert_eq!(opened.read_at(0, &mut bytes).unwrap(), bytes.len());
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn what_is_mapped_is_read_from_the_bucket_and_nothing_else_is() {
    let store = Store::seaweed();
    store.make_bucket("models");
    let runtime = runtime();
    let server = runtime.block_on(shared());
    let (run, folder) = runtime.block_on(server.run("buckets"));
    // The proxy would give other bytes, if it were asked.
    runtime.block_on(server.put(&format!("{folder}/model/w.bin"), b"from the proxy"));
    store.put("models", &format!("proxied/{folder}/model/w.bin"), b"from the bucket");
    store.put("models", &format!("proxied/{folder}/model2/w.bin"), b"of a neighbour");
    store.put("models", "older/m/w.bin", b"by an older name");
    runtime.block_on(async {
        server.post("registered-models/create", json!({ "name": "mapped" })).await;
        server.register("mapped", &format!("mlflow-artifacts:/{folder}/model"), &run).await;
        server.register("mapped", "s3a://models/older/m", "").await;
    });
    let folder_of_secrets = tempfile::TempDir::new().unwrap();
    let secrets = folder_of_secrets.path().join("credentials");
    std::fs::write(&secrets, store.credentials(true)).unwrap();
    let bucket = |prefix: &str, url: Option<&str>| ArtifactBucket {
        prefix: prefix.to_owned(),
        url: url.map(str::to_owned),
        endpoint: Some(store.endpoint(&store.address())),
        credentials_file: Some(secrets.clone()),
        ..ArtifactBucket::default()
    };
    let config = Config {
        tracking_uri: Some(server.url.clone()),
        artifact_buckets: vec![
            bucket("mlflow-artifacts:/", Some("s3://models/proxied")),
            bucket("s3a://models/", None),
        ],
        ..Config::default()
    };
    runtime.block_on(async {
        let mut running = start(config.clone());
        running.listed().await;
        let keys: Vec<&String> = running.records.keys().filter(|key| key.starts_with("artifact/mapped/")).collect();
        assert_eq!(keys, ["artifact/mapped/1/w.bin", "artifact/mapped/2/w.bin"], "no neighbour's");
        for (key, expected) in [("1", "from the bucket"), ("2", "by an older name")] {
            let artifact = running.records[&format!("artifact/mapped/{key}/w.bin")].artifact.clone().unwrap();
            assert_eq!(open(&running, &artifact).await.unwrap(), expected);
        }
        let artifact = |path: &str| ArtifactRef {
            store: "mlflow".to_owned(),
            path: path.to_owned(),
            version: None,
            lineage: path.to_owned(),
        };
        for refused in
            ["mlflow-artifacts://elsewhere/1/x", "mlflow-artifacts:/../../etc/passwd", "s3://models/older/m/w.bin"]
        {
            assert!(matches!(open(&running, &artifact(refused)).await, Err(StoreError::Refused(_))), "{refused}");
        }
        let nothing = artifact("s3a://models/older/m/nothing");
        assert!(matches!(open(&running, &nothing).await, Err(StoreError::Gone)));
        running.stop().await;
    });
    for (prefix, url, word) in
        [("", None, "prefix"), ("mlflow-artifacts:/", None, "mlflow-artifacts"), ("x:/", Some("ftp://b/x"), "ftp")]
    {
        let wrong = Config { artifact_buckets: vec![bucket(prefix, url)], ..config.clone() };
        let problems = wrong.build().err().unwrap_or_default();
        assert!(problems.iter().any(|problem| problem.contains(word)), "{prefix}: {problems:?}");
    }
}
