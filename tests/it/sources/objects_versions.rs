//! Versions of objects: markers of deletion, and older versions that are put back.

use std::time::{Duration, Instant};

use lanner::event::Value;
use lanner::sources::objects::Config;

use super::harness::PATIENCE;
use super::objects::{Bucket, watched};
use crate::support::receiver::Receiver;
use crate::support::{run_python, runtime};

/// Calls of S3 that `object_store` does not have, signed by hand.
const CALL: &str = r#"
import datetime, hashlib, hmac, http.client, sys
from urllib.parse import quote
host, method, path, query, key, secret = sys.argv[1:7]
headers = dict(pair.split("=", 1) for pair in sys.argv[7].split(";") if pair)
body = sys.argv[8].encode()
now = datetime.datetime.now(datetime.timezone.utc)
stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
digest = hashlib.sha256(body).hexdigest()
headers |= {"host": host, "x-amz-date": stamp, "x-amz-content-sha256": digest}
names = sorted(headers)
canonical = "\n".join([method, quote(path), query, *[f"{name}:{headers[name]}" for name in names], "", ";".join(names), digest])
scope = f"{day}/us-east-1/s3/aws4_request"
text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
sign = lambda key, text: hmac.new(key, text.encode(), hashlib.sha256).digest()
signing = sign(sign(sign(sign(b"AWS4" + secret.encode(), day), "us-east-1"), "s3"), "aws4_request")
headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={';'.join(names)}, Signature={sign(signing, text).hex()}"
connection = http.client.HTTPConnection(host)
connection.request(method, quote(path) + ("?" + query if query else ""), body, headers)
answer = connection.getresponse()
assert answer.status < 300, (answer.status, answer.read())
print(answer.headers.get("x-amz-version-id", ""))
"#;

fn call(bucket: &Bucket, method: &str, path: &str, query: &str, headers: &str, body: &str) -> String {
    let credentials = bucket.store.credentials(true);
    let secrets: Vec<&str> = credentials.lines().filter_map(|line| Some(line.split_once('=')?.1)).collect();
    let host = bucket.store.address();
    run_python(CALL, &[&host, method, path, query, secrets[0], secrets[1], headers, body]).trim().to_owned()
}

fn put(bucket: &Bucket, bytes: &str) -> String {
    call(bucket, "PUT", "/models/fraud/model.pkl", "", "", bytes)
}

fn versioned() -> (Bucket, Config) {
    keeping_versions(Bucket::seaweed())
}

fn keeping_versions(bucket: Bucket) -> (Bucket, Config) {
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    call(&bucket, "PUT", "/models", "versioning=", "", enabled);
    let config = Config { versions: true, ..bucket.config(&bucket.store.address(), true) };
    (bucket, config)
}

#[test]
fn versions_are_told_and_markers_and_versions_put_back() {
    let (bucket, config) = versioned();
    let first = put(&bucket, "first bytes");
    assert!(!first.is_empty(), "the bucket keeps versions");
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = watched(config).await;
        let field = |running: &super::harness::Running, name: &str| {
            running.records.get("fraud/model.pkl").and_then(|record| record.attributes.get(name)).cloned()
        };
        assert_eq!(field(&running, "ml.artifact.generation"), Some(Value::from(first.as_str())));
        // The same bytes once more are another version, and nothing is put back by that.
        let again = put(&bucket, "first bytes");
        let other = put(&bucket, "other bytes");
        running
            .until("the third version", |running| {
                field(running, "ml.artifact.generation") == Some(Value::from(other.as_str()))
            })
            .await;
        assert_eq!(field(&running, "ml.artifact.restored_from"), None);
        // An older version copied over the newest, as consoles restore it.
        let source = format!("x-amz-copy-source=/models/fraud/model.pkl?versionId={first}");
        call(&bucket, "PUT", "/models/fraud/model.pkl", "", &source, "");
        running
            .until("what was put back", |running| {
                field(running, "ml.artifact.restored_from") == Some(Value::from(again.as_str()))
            })
            .await;
        // A marker: the object is gone, its versions are not.
        call(&bucket, "DELETE", "/models/fraud/model.pkl", "", "", "");
        running.until("the deletion", |running| running.records.is_empty()).await;
        running.until("a note of it", |running| running.state().notes.contains_key("deleted")).await;
        assert_eq!(running.log.last().map(String::as_str), Some("-fraud/model.pkl"));
        // Put again with the bytes from before the deletion.
        put(&bucket, "first bytes");
        running.until("the object", |running| field(running, "ml.artifact.restored_from").is_some()).await;
        running.stop().await;
    });
}

#[test]
fn a_hint_about_an_object_with_versions_tells_it_in_the_same_words() {
    let (bucket, config) = versioned();
    put(&bucket, "one");
    let config = Config { sweep_interval_secs: 3600, ..config };
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = watched(config).await;
        put(&bucket, "two");
        put(&bucket, "one");
        let event = serde_json::json!({ "Records": [{ "s3": { "bucket": { "name": "models" }, "object": { "key": "fraud/model.pkl" } } }] });
        running.hints.push(1, event.clone());
        running.until("the change", |running| running.log == ["+fraud/model.pkl"]).await;
        assert!(running.applied[0].attributes.contains_key("ml.artifact.restored_from"));
        // Again, and then a listing for one that is not understood: nothing new.
        running.hints.push(2, event);
        running.hints.push(3, serde_json::json!({ "what": "ever" }));
        let hints = running.hints.clone();
        running.until("both to be followed", |_| hints.waiting().is_empty()).await;
        assert_eq!(running.log, ["+fraud/model.pkl"]);
        running.stop().await;
    });
}

#[test]
fn what_seaweedfs_says_of_versions_leads_to_their_object() {
    let receiver = Receiver::start();
    let (bucket, config) = keeping_versions(Bucket::telling(&receiver.url()));
    let config = Config { sweep_interval_secs: 3600, ..config };
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = watched(config).await;
        put(&bucket, "one");
        let deadline = Instant::now() + PATIENCE;
        let (mut passed, mut id) = (0, 0);
        while running.log.is_empty() {
            assert!(Instant::now() < deadline, "never told: {:?}", receiver.deliveries());
            for delivery in &receiver.deliveries()[passed..] {
                (id, passed) = (id + 1, passed + 1);
                running.hints.push(id, delivery.json());
            }
            running.during(Duration::from_millis(50)).await;
        }
        assert_eq!(running.log[0], "+fraud/model.pkl");
        assert_eq!(running.applied[0].hint.as_str(), "webhook", "no listing was needed");
        running.stop().await;
    });
}
