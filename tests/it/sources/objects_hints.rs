//! What stores say that happened: followed by a look at that one object, never believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanner::sources::Settings as _;
use lanner::sources::objects::Config;
use serde_json::{Value, json};

use super::harness::Running;
use super::objects::{Bucket, watched};
use crate::peers::stub;
use crate::support::receiver::Receiver;
use crate::support::runtime;

fn amazon(bucket: &str, key: &str) -> Value {
    json!({ "Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": { "bucket": { "name": bucket }, "object": { "key": key, "size": 1, "eTag": "x", "sequencer": "0055" } }
    }] })
}

/// The same event as each sender and carrier writes it; keys as these encode them.
fn dialects(bucket: &str, key: &str) -> Vec<(&'static str, Value)> {
    let form: String = url_form(key);
    let event = amazon(bucket, &form);
    let notification = json!({ "Type": "Notification", "TopicArn": "arn:x", "Message": event.to_string() });
    let google = json!({ "kind": "storage#object", "bucket": bucket, "name": key, "generation": "17" });
    let subject = format!("/blobServices/default/containers/{bucket}/blobs/{key}");
    vec![
        ("S3", event.clone()),
        ("SQS", json!({ "Messages": [{ "MessageId": "1", "Body": event.to_string() }] })),
        ("SNS", notification.clone()),
        ("SNS in SQS", json!({ "MessageId": "1", "Body": notification.to_string() })),
        (
            "EventBridge",
            json!({
                "detail-type": "Object Created", "source": "aws.s3",
                "detail": { "bucket": { "name": bucket }, "object": { "key": key }, "reason": "PutObject" }
            }),
        ),
        (
            "MinIO",
            json!({ "EventName": "s3:ObjectCreated:Put", "Key": format!("{bucket}/{key}"), "Records": event["Records"] }),
        ),
        (
            "SeaweedFS",
            json!({
                "event_type": "create", "key": format!("/buckets/{bucket}/{key}"), "message": { "new_entry": { "name": "x" } }
            }),
        ),
        (
            "Pub/Sub",
            json!({ "message": {
            "attributes": { "bucketId": bucket, "objectId": key, "eventType": "OBJECT_FINALIZE" },
            "data": STANDARD.encode(google.to_string()), "messageId": "1"
        }, "subscription": "projects/p/subscriptions/s" }),
        ),
        ("Pub/Sub without attributes", json!({ "message": { "data": STANDARD.encode(google.to_string()) } })),
        (
            "CloudEvents of Google",
            json!({
                "specversion": "1.0", "type": "google.cloud.storage.object.v1.finalized", "data": google
            }),
        ),
        (
            "Event Grid",
            json!([{ "subject": subject, "eventType": "Microsoft.Storage.BlobCreated", "data": { "api": "PutBlob" } }]),
        ),
        (
            "CloudEvents of Azure",
            json!({ "specversion": "1.0", "type": "Microsoft.Storage.BlobDeleted", "subject": subject }),
        ),
    ]
}

fn url_form(key: &str) -> String {
    key.bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            b'/' | b'.' | b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[test]
fn every_dialect_leads_to_the_object_and_nowhere_else() {
    let bucket = Bucket::seaweed();
    let key = "team a/ü+1%/model.pkl";
    bucket.put("other/model.pkl", b"not spoken of");
    let config = Config { sweep_interval_secs: 3600, ..bucket.config(&bucket.store.address(), true) };
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = watched(config).await;
        let mut id = 0;
        let mut push = |running: &Running, event: Value| {
            id += 1;
            running.hints.push(id, event);
        };
        let put = async |bytes: String| tokio::task::block_in_place(|| bucket.put(key, bytes.as_bytes()));
        for (number, (name, event)) in dialects("models", key).into_iter().enumerate() {
            // Of other buckets nothing is asked, and what was changed without a hint is not looked at.
            tokio::task::block_in_place(|| bucket.put("other/model.pkl", name.as_bytes()));
            for (_, foreign) in dialects("models-of-others", "other/model.pkl") {
                push(&running, foreign);
            }
            put(format!("bytes {number}")).await;
            push(&running, event.clone());
            running.until(name, |running| running.log == [format!("+{key}")]).await;
            assert_eq!(running.applied.last().unwrap().hint.as_str(), "webhook");
            running.log.clear();
            tokio::task::block_in_place(|| bucket.delete(key));
            push(&running, event);
            running.until(name, |running| running.log == [format!("-{key}")]).await;
            running.log.clear();
        }
        // What only says that the channel works.
        push(&running, json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "models" }));
        let hints = running.hints.clone();
        running.until("all hints to be followed", |_| hints.waiting().is_empty()).await;
        assert!(running.log.is_empty(), "{:?}", running.log);
        assert!((running.metric("lanner_rescans_total") - 1.0).abs() < 0.5, "no hint led to a listing");
        // What is not understood does.
        push(&running, json!({ "event_type": "delete", "key": "/buckets/models/other", "message": { "old_entry": { "is_directory": true } } }));
        running.until("a listing", |running| running.log == ["+other/model.pkl"]).await;
        running.stop().await;
    });
}

#[test]
fn what_seaweedfs_says_by_itself_is_followed() {
    let receiver = Receiver::start();
    let bucket = Bucket::telling(&receiver.url());
    let config = Config { sweep_interval_secs: 3600, ..bucket.config(&bucket.store.address(), true) };
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = watched(config).await;
        let (mut passed, mut id) = (0, 0);
        let mut pass = |running: &Running| {
            let deliveries = receiver.deliveries();
            for delivery in &deliveries[passed..] {
                id += 1;
                running.hints.push(id, delivery.json());
            }
            passed = deliveries.len();
        };
        tokio::task::block_in_place(|| bucket.put("fraud/model.pkl", b"one"));
        let deadline = std::time::Instant::now() + super::harness::PATIENCE;
        while running.log.is_empty() && std::time::Instant::now() < deadline {
            pass(&running);
            running.during(Duration::from_millis(50)).await;
        }
        assert_eq!(running.log.first().map(String::as_str), Some("+fraud/model.pkl"));
        tokio::task::block_in_place(|| bucket.delete("fraud/model.pkl"));
        while !running.records.is_empty() && std::time::Instant::now() < deadline {
            pass(&running);
            running.during(Duration::from_millis(50)).await;
        }
        assert_eq!(running.log.last().map(String::as_str), Some("-fraud/model.pkl"));
        running.stop().await;
    });
}

#[test]
fn hints_of_anybody_cost_little_and_break_nothing() {
    let asked = Arc::new(AtomicI64::new(0));
    let count = Arc::clone(&asked);
    let server = stub::start(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        let listing = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        (200, Vec::new(), listing.as_bytes().to_vec())
    });
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, "AWS_SKIP_SIGNATURE=true\n").unwrap();
    let config = Config {
        url: "s3://models/team".to_owned(),
        endpoint: Some(format!("http://{}", server.host)),
        credentials_file: Some(file),
        sweep_interval_secs: 3600,
        ..Config::default()
    };
    assert!(config.clone().build().is_ok());
    let deep = (0..9).fold(amazon("models", "team/x"), |inner, _| json!({ "Body": inner.to_string() }));
    let many: Vec<Value> = (0..5_000).map(|number| amazon("models", &format!("team/{number}"))).collect();
    let same: Vec<Value> = (0..5_000).map(|_| amazon("models", "team/same")).collect();
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = watched(config).await;
        let hints = running.hints.clone();
        let before = asked.load(Ordering::Relaxed);
        let odd = [
            // Understood: one look for one object, none for what is not watched.
            (json!(same), 1),
            (amazon("models", "elsewhere/x"), 0),
            (amazon("models", "team/.git/x"), 0),
            // Not understood, or about too much: one listing.
            (json!(null), 1),
            (json!([]), 1),
            (json!("{"), 1),
            (json!({ "Records": [{}] }), 1),
            (json!({ "Records": "x" }), 1),
            (json!({ "message": { "data": "%%%" } }), 1),
            (deep, 1),
            (json!(many), 1),
            (amazon("models", "team/%FF"), 1),
        ];
        for (id, (event, _)) in (1..).zip(&odd) {
            running.hints.push(id, event.clone());
            running.until("it to be followed", |_| hints.waiting().is_empty()).await;
        }
        let calls = asked.load(Ordering::Relaxed) - before;
        assert_eq!(calls, odd.iter().map(|(_, calls)| calls).sum::<i64>());
        assert!(running.log.is_empty() && running.state().blind.is_empty(), "{:?}", running.state());
        running.stop().await;
    });
}
