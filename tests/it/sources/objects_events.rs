//! Events of S3 by way of queues, and S3 as `moto` speaks it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use lanner::sources::objects::{Config, Events};
use lanner::sources::{Settings as _, Source};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::block_in_place;

use super::objects::watched;
use super::suite::{self, World};
use crate::peers::moto::{Moto, Way};
use crate::support::receiver::Receiver;
use crate::support::{free_port, run_python, runtime};

/// Puts at the same time.
const PUTS: usize = 16;
const KEY: &str = "team a/ü+1%/model.pkl";

/// A bucket called `models` of moto.
struct Bucket {
    moto: Moto,
    client: Arc<dyn ObjectStore>,
    runtime: Runtime,
    /// Holds the file of credentials.
    folder: TempDir,
}

impl Bucket {
    fn start() -> Self {
        let moto = Moto::start();
        moto.make_bucket("models");
        let client = moto.client("models");
        Self { moto, client, runtime: runtime(), folder: TempDir::new().unwrap() }
    }

    fn config(&self, by: &str) -> Config {
        let credentials: PathBuf = self.folder.path().join("credentials");
        std::fs::write(&credentials, "AWS_ACCESS_KEY_ID=AKIATEST\nAWS_SECRET_ACCESS_KEY=secret\n").unwrap();
        Config {
            url: "s3://models".to_owned(),
            endpoint: Some(format!("http://{by}")),
            credentials_file: Some(credentials),
            sweep_interval_secs: 1,
            request_timeout_secs: 3,
            ..Config::default()
        }
    }

    /// A source that learns of changes by a queue, and lists once in an hour.
    fn listening(&self, queue: &str) -> Config {
        let events = Some(Events { sqs: queue.to_owned() });
        Config { events, sweep_interval_secs: 3600, ..self.config(&self.moto.address()) }
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = Path::parse(name).unwrap();
        self.runtime.block_on(self.client.put(&path, bytes.to_vec().into())).unwrap();
    }

    fn delete(&self, name: &str) {
        self.runtime.block_on(self.client.delete(&Path::parse(name).unwrap())).unwrap();
    }
}

/// It takes any key: whether a stranger is refused is left to `SeaweedFS`. It forgets everything when it ends, so it only
/// stands still during the outage.
impl World for Bucket {
    fn source(&self, by: &str) -> Arc<dyn Source> {
        self.config(by).build().unwrap()
    }

    fn address(&self) -> String {
        self.moto.address()
    }

    fn stranger(&self) -> Option<Arc<dyn Source>> {
        None
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
        self.moto.pause(true);
    }

    fn start(&mut self) {
        self.moto.pause(false);
    }

    fn fill(&mut self, names: &[String]) {
        self.runtime.block_on(stream::iter(names).for_each_concurrent(PUTS, async |name| {
            let path = Path::parse(name).unwrap();
            self.client.put(&path, name.as_bytes().to_vec().into()).await.unwrap();
        }));
    }

    fn many(&self) -> usize {
        3_000
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
fn a_bucket_of_moto_is_watched() {
    suite::everything(&mut Bucket::start());
}

#[test]
fn events_are_followed_before_any_listing_whichever_way_they_come() {
    for way in [Way::Direct, Way::Topic, Way::Bus] {
        let bucket = Bucket::start();
        let queue = bucket.moto.queue("models", way);
        let runtime = runtime();
        runtime.block_on(async {
            let mut running = watched(bucket.listening(&queue)).await;
            block_in_place(|| bucket.put(KEY, b"one"));
            running.until("the new object", |running| running.log == [format!("+{KEY}")]).await;
            assert_eq!(running.applied[0].hint.as_str(), "webhook", "{way:?}");
            block_in_place(|| bucket.delete(KEY));
            running.until("its end", |running| running.log.last() == Some(&format!("-{KEY}"))).await;
            assert!((running.metric("lanner_rescans_total") - 1.0).abs() < 0.5, "no event led to a listing");
            let hints = running.hints.clone();
            running.until("all to be followed", |_| hints.waiting().is_empty()).await;
            let taken = running.metric("lanner_hints_received_total{outcome=\"taken\"");
            assert!(taken >= 2.0, "{way:?}: {taken}");
            let state = running.state();
            let notes: Vec<&String> = state.notes.keys().collect();
            assert!(state.blind.is_empty() && notes == ["listing_stretched"], "{way:?}: {state:?}");
            // Before it stops: a message that is kept and not deleted yet would come again, to nobody.
            running.until("the queue to be empty", |_| block_in_place(|| bucket.moto.messages(&queue)) == 0).await;
            running.stop().await;
        });
    }
}

#[test]
fn a_message_is_deleted_when_it_is_kept_and_one_without_meaning_when_it_was_told() {
    let bucket = Bucket::start();
    let queue = bucket.moto.queue("models", Way::Direct);
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = watched(bucket.listening(&queue)).await;
        // There is no room: the queue keeps it, and the source says so.
        running.kept_hints.full.store(true, Ordering::Relaxed);
        block_in_place(|| bucket.put(KEY, b"one"));
        running.until("blindness", |running| running.state().blind.contains_key("no_events")).await;
        assert_eq!(block_in_place(|| bucket.moto.messages(&queue)), 1);
        assert!(running.log.is_empty(), "{:?}", running.log);
        running.kept_hints.full.store(false, Ordering::Relaxed);
        running.until("the object", |running| running.log == [format!("+{KEY}")]).await;
        running.until("sight", |running| running.state().blind.is_empty()).await;
        // Poison, what is of another bucket, and what only says that the channel works.
        let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"models"}"#;
        let other = r#"{"Records":[{"s3":{"bucket":{"name":"others"},"object":{"key":"a"}}}]}"#;
        block_in_place(|| {
            for body in ["no JSON", "{\"Records\": 7}", test, other] {
                bucket.moto.send(&queue, body);
            }
        });
        let outcome = |outcome: &str| format!("lanner_hints_received_total{{outcome=\"{outcome}\"");
        running.until("all of them", |running| running.metric(&outcome("malformed")) >= 2.0).await;
        // The store sent such a sign itself when it was told of the queue.
        running.until("all of them", |running| running.metric(&outcome("ignored")) >= 2.0).await;
        assert!(running.state().notes["events"].starts_with("2 messages"), "{:?}", running.state());
        assert!(running.state().blind.is_empty());
        running.during(Duration::from_secs(2)).await;
        assert_eq!(block_in_place(|| bucket.moto.messages(&queue)), 0);
        assert_eq!(running.log.len(), 1, "{:?}", running.log);
        assert_eq!(running.kept_hints.all.lock().unwrap().len(), 1, "only what may say something is kept");
        running.stop().await;
    });
}

#[test]
fn a_queue_that_is_not_there_is_told_and_listings_go_on() {
    let bucket = Bucket::start();
    let gone = format!("{}/123456789012/none", bucket.moto.url);
    let nobody = format!("http://127.0.0.1:{}/123456789012/none", free_port());
    let runtime = runtime();
    for queue in [gone, nobody] {
        let config = Config { sweep_interval_secs: 1, ..bucket.listening(&queue) };
        bucket.put("a.bin", queue.as_bytes());
        runtime.block_on(async {
            let mut running = watched(config).await;
            running.until("blindness", |running| running.state().blind.contains_key("no_events")).await;
            assert!(running.state().blind["no_events"].contains(&queue), "{:?}", running.state());
            let before = running.log.len();
            block_in_place(|| bucket.put("a.bin", b"changed"));
            running.until("the change", |running| running.log.len() > before).await;
            running.stop().await;
        });
    }
}

#[test]
fn a_queue_is_asked_with_the_signature_that_amazons_client_makes() {
    let receiver = Receiver::answering(free_port(), |_| (200, Vec::new(), b"{}".to_vec()));
    let queue = format!("http://127.0.0.1:{}/123456789012/lanner", receiver.port);
    let folder = TempDir::new().unwrap();
    let credentials = folder.path().join("credentials");
    std::fs::write(&credentials, "AWS_ACCESS_KEY_ID=AKIATEST\nAWS_SECRET_ACCESS_KEY=secret\nAWS_SESSION_TOKEN=token\n")
        .unwrap();
    let config = Config {
        url: "s3://models".to_owned(),
        endpoint: Some(format!("http://127.0.0.1:{}", receiver.port)),
        credentials_file: Some(credentials),
        region: Some("eu-central-1".to_owned()),
        events: Some(Events { sqs: queue }),
        ..Config::default()
    };
    let runtime = runtime();
    let asked = runtime.block_on(async {
        let mut running = super::harness::start(config);
        let is_queue = |one: &&crate::support::receiver::Delivery| !one.header("x-amz-target").is_empty();
        running.until("a request to the queue", |_| receiver.deliveries().iter().any(|one| is_queue(&one))).await;
        receiver.deliveries().iter().find(is_queue).cloned().unwrap()
    });
    assert_eq!(asked.header("x-amz-target"), "AmazonSQS.ReceiveMessage");
    assert_eq!(asked.json()["WaitTimeSeconds"], 20);
    let script = "
import json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
url, headers, body = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
request = AWSRequest('POST', url, headers=headers, data=body)
request.context['timestamp'] = headers['x-amz-date']
auth = SigV4Auth(Credentials('AKIATEST', 'secret', 'token'), 'sqs', 'eu-central-1')
text = auth.string_to_sign(request, auth.canonical_request(request))
print(auth.signature(text, request))
";
    let url = format!("http://127.0.0.1:{}/", receiver.port);
    let signed = ["content-type", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-target"];
    let headers: serde_json::Map<String, serde_json::Value> =
        signed.iter().map(|name| ((*name).to_owned(), asked.header(name).into())).collect();
    let signature = run_python(script, &[&url, &serde_json::Value::Object(headers).to_string(), &asked.body]);
    let told = asked.header("authorization");
    assert!(told.contains(&format!("SignedHeaders={}", signed.join(";"))), "{told}");
    assert!(told.ends_with(&format!("Signature={}", signature.trim())), "{told} {signature}");
}

#[test]
fn queues_that_are_none_are_refused() {
    let good = Config { url: "s3://models".to_owned(), ..Config::default() };
    let with = |url: &str, queue: &str| {
        let events = Some(Events { sqs: queue.to_owned() });
        Config { url: url.to_owned(), events, ..good.clone() }.build().err().unwrap_or_default().join("; ")
    };
    assert_eq!(with("s3://models", "https://sqs.eu-central-1.amazonaws.com/123456789012/lanner"), "");
    for queue in [
        "",
        "lanner",
        "https://sqs.eu-central-1.amazonaws.com/",
        "ftp://host/1/a",
        "https://a:b@host/1/a",
        "http://h/1/a?x=1",
    ] {
        assert!(with("s3://models", queue).contains("is no queue"), "{queue}: {}", with("s3://models", queue));
    }
    assert!(with("gs://models", "https://sqs.eu-central-1.amazonaws.com/1/a").contains("s3:// alone"));
}

#[test]
fn messages_whose_ids_are_none_are_not_taken_for_each_other() {
    let bucket = Bucket::start();
    let of = |key: &str| {
        let body =
            serde_json::json!({ "Records": [{ "s3": { "bucket": { "name": "models" }, "object": { "key": key } } }] });
        body.to_string()
    };
    let long = "x".repeat(1 << 20);
    // Twice each: two objects without an id, one event that is delivered once more, and two with an id that is none.
    let messages: Vec<serde_json::Value> =
        [("", "a", "1"), ("", "b", "2"), ("", "b", "3"), (&*long, "c", "4"), (&*long, "d", "5"), ("good", "e", "6")]
            .iter()
            .map(|(id, key, receipt)| serde_json::json!({ "MessageId": id, "ReceiptHandle": receipt, "Body": of(key) }))
            .collect();
    let answer = serde_json::json!({ "Messages": messages, "Failed": [] }).to_string().into_bytes();
    let given = std::sync::atomic::AtomicBool::new(false);
    let queue = Receiver::answering(free_port(), move |asked| {
        let first = asked.header("x-amz-target").ends_with("ReceiveMessage") && !given.swap(true, Ordering::Relaxed);
        (200, Vec::new(), if first { answer.clone() } else { b"{}".to_vec() })
    });
    let config = bucket.listening(&format!("http://127.0.0.1:{}/1/lanner", queue.port));
    runtime().block_on(async {
        let mut running = watched(config).await;
        running.until("all of them", |running| running.kept_hints.all.lock().unwrap().len() == 6).await;
        let all = running.kept_hints.all.lock().unwrap().clone();
        let names: std::collections::BTreeSet<&String> = all.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 6, "none is known already: {names:?}");
        assert!(names.iter().all(|name| (1..=128).contains(&name.len())), "what is kept of a name is short");
        running.stop().await;
    });
}

#[test]
fn a_queue_that_lies_costs_little_and_is_told() {
    let bucket = Bucket::start();
    bucket.put("a.bin", b"bytes");
    let many: Vec<serde_json::Value> = (0..5_000)
        .map(|number| serde_json::json!({ "MessageId": number.to_string(), "ReceiptHandle": "x", "Body": "[".repeat(200) }))
        .collect();
    let large = "x".repeat(2 << 20);
    let answers: [(&str, Vec<u8>); 6] = [
        ("no JSON", b"<html>".to_vec()),
        ("of other types", br#"{"Messages": [{"MessageId": 7}]}"#.to_vec()),
        ("without end", vec![b' '; 17 << 20]),
        ("many", serde_json::json!({ "Messages": many, "Failed": [] }).to_string().into_bytes()),
        (
            "a large one",
            serde_json::json!({ "Messages": [{ "MessageId": "1", "Body": large }], "Failed": [] })
                .to_string()
                .into_bytes(),
        ),
        (
            "none that can be deleted",
            serde_json::json!({ "Messages": [{ "Body": "{}" }], "Failed": [{}] }).to_string().into_bytes(),
        ),
    ];
    let runtime = runtime();
    for (name, answer) in answers {
        let queue = Receiver::answering(free_port(), move |_| (200, Vec::new(), answer.clone()));
        let config = bucket.listening(&format!("http://127.0.0.1:{}/1/lanner", queue.port));
        runtime.block_on(async {
            let mut running = watched(config).await;
            let asked = |target: &str| {
                let all = queue.deliveries();
                all.iter().filter(|one| one.header("x-amz-target").ends_with(target)).count()
            };
            if matches!(name, "many" | "a large one") {
                running.until(name, |running| running.state().notes.contains_key("events")).await;
                let first = queue.deliveries().into_iter().find(|one| one.header("x-amz-target").ends_with("Batch"));
                let most = first.map_or(0, |one| one.json()["Entries"].as_array().unwrap().len());
                assert!((1..=10).contains(&most), "{name}: {most}");
                assert!(running.state().notes["events"].len() < 1000, "{name}");
            } else {
                running.until(name, |running| running.state().blind.contains_key("no_events")).await;
                running.during(Duration::from_secs(1)).await;
                assert!(asked("ReceiveMessage") <= 5, "{name}: it is asked less and less often");
            }
            assert!(running.log.is_empty() && running.kept_hints.all.lock().unwrap().is_empty(), "{name}");
            running.stop().await;
        });
    }
}
