//! Stores that leave things out, and stores that lie: what they say is bounded, and what is not understood is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lanner::sources::StoreError;
use lanner::sources::objects::Config;
use tempfile::TempDir;

use super::harness::{Running, start};
use super::objects::watched;
use crate::peers::stub::{self, Answer, Asked, Stub};
use crate::support::runtime;

/// A source of a stub, with the folder of its credentials.
fn config(server: &Stub, scheme: &str) -> (Config, TempDir) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("credentials");
    let text = "AWS_ACCESS_KEY_ID=AKIAX\nAWS_SECRET_ACCESS_KEY=y\nGOOGLE_SKIP_SIGNATURE=true\n\
                AZURE_STORAGE_ACCOUNT_NAME=account\nAZURE_STORAGE_ACCOUNT_KEY=c2VjcmV0\n";
    std::fs::write(&file, text).unwrap();
    let config = Config {
        url: format!("{scheme}://models"),
        endpoint: Some(format!("http://{}", server.host)),
        credentials_file: Some(file),
        sweep_interval_secs: 1,
        ..Config::default()
    };
    (config, folder)
}

fn is_listing(asked: &Asked) -> bool {
    ["list-type=2", "comp=list", "maxResults="].iter().any(|part| asked.path.contains(part))
}

fn page(contents: &str, rest: &str) -> Vec<u8> {
    format!("<ListBucketResult><EncodingType>url</EncodingType>{rest}{contents}</ListBucketResult>").into_bytes()
}

fn object(key: &str, size: usize, rest: &str) -> String {
    format!("<Contents><Key>{key}</Key><Size>{size}</Size>{rest}</Contents>")
}

/// Waits until the source says why it does not see.
fn blindness(server: &Stub, scheme: &str) -> (String, String) {
    let (config, _folder) = config(server, scheme);
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = start(config);
        running.until("blindness", |running| !running.state().blind.is_empty()).await;
        assert!(!running.listed, "half a listing is none");
        let blind = running.state().blind;
        running.stop().await;
        blind.into_iter().next().unwrap()
    })
}

async fn bytes(running: &Running, key: &str) -> Result<Vec<u8>, StoreError> {
    let store = running.source.store().unwrap();
    let opened = store.open(running.records[key].artifact.as_ref().unwrap()).await?;
    let mut bytes = vec![0; usize::try_from(opened.len()).unwrap()];
    let read = opened.read_at(0, &mut bytes).unwrap();
    assert_eq!(read, bytes.len());
    Ok(bytes)
}

#[test]
fn a_listing_without_tags_is_watched_by_size_and_time() {
    let round = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&round);
    let server = stub::start(move |asked: Asked| -> Answer {
        assert!(asked.header("if-match").is_none(), "there is no tag to hold it to");
        let round = now.load(Ordering::Relaxed);
        if !is_listing(&asked) {
            return (200, Vec::new(), format!("bytes of round {round}").into_bytes());
        }
        let time = format!("<LastModified>2026-01-0{}T00:00:00.{}Z</LastModified>", 1 + round / 2, round % 2);
        (200, Vec::new(), page(&object("model.pkl", 16, &time), ""))
    });
    let (config, _folder) = config(&server, "s3");
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = watched(config).await;
        assert!(!running.records["model.pkl"].attributes.contains_key("ml.artifact.etag"));
        assert_eq!(bytes(&running, "model.pkl").await.unwrap(), b"bytes of round 0");
        running.during(Duration::from_secs(3)).await;
        assert!(running.log.is_empty(), "{:?}", running.log);
        // As many bytes, at another time.
        round.store(2, Ordering::Relaxed);
        running.until("the other time", |running| running.log == ["+model.pkl"]).await;
        assert_eq!(bytes(&running, "model.pkl").await.unwrap(), b"bytes of round 2");
        running.stop().await;
    });
}

#[test]
fn keys_that_no_request_can_name_are_told_and_hide_no_others() {
    let keys = [
        ("a//b.bin", "a//b.bin"),
        ("/lead.bin", "/lead.bin"),
        ("new%0Aline.bin", "new\nline.bin"),
        ("plus%2B+%25.bin", "plus+ %.bin"),
        ("tail/", "tail/"),
        ("back%5Cslash.bin", "back\\slash.bin"),
        ("%F0%9F%98%80.bin", "😀.bin"),
    ];
    let unreadable = ["a/../../b.bin", "./c.bin", "..", "no%FFtext.bin", &"x".repeat(5000)].map(str::to_owned);
    let all = keys.iter().map(|(key, _)| (*key).to_owned()).chain(unreadable.clone());
    let contents: String = all.map(|key| object(&key, 4, "<ETag>&quot;e&quot;</ETag>")).collect();
    let contents = contents + &object("folder/", 0, "");
    let server = stub::start(move |asked: Asked| -> Answer {
        if is_listing(&asked) {
            // One key is asked for by its beginning.
            let prefix = asked.path.split("prefix=").nth(1).unwrap_or_default().split('&').next().unwrap_or_default();
            let listed: String = contents
                .split_inclusive("</Contents>")
                .filter(|part| {
                    prefix.is_empty() || part.contains(&format!("<Key>{}</Key>", prefix.replace("%2F", "/")))
                })
                .collect();
            return (200, Vec::new(), page(&listed, ""));
        }
        assert!(!asked.path.contains(".."), "{}", asked.path);
        assert_eq!(asked.header("if-match"), Some("\"e\""));
        (200, Vec::new(), b"data".to_vec())
    });
    let (config, _folder) = config(&server, "s3");
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = watched(config).await;
        let mut told: Vec<&str> = running.records.keys().map(String::as_str).collect();
        let mut expected: Vec<&str> = keys.iter().map(|(_, key)| *key).collect();
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected);
        for (_, key) in keys {
            assert_eq!(bytes(&running, key).await.unwrap(), b"data", "{key}");
        }
        running.until("blindness", |running| running.state().blind.contains_key("unreadable_key")).await;
        let sentence = running.state().blind["unreadable_key"].clone();
        assert!(sentence.contains("a/../../b.bin") && sentence.contains("(and 4 more)"), "{sentence}");
        running.stop().await;
    });
}

#[test]
fn listings_without_end_or_without_sense_are_no_listings() {
    let circle = stub::start(|_| {
        let next = "<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>";
        (200, Vec::new(), page(&object("a", 1, ""), next))
    });
    let cut = stub::start(|_| (200, Vec::new(), page(&object("a", 1, ""), "<IsTruncated>true</IsTruncated>")));
    let page_of_login = stub::start(|_| (200, Vec::new(), b"<html><body>Log in</body></html>".to_vec()));
    let large = stub::start(|_| (200, Vec::new(), vec![b' '; 9 << 20]));
    let unsized_blob = stub::start(|_| {
        let listing = "<EnumerationResults><Blobs><Blob><Name>a</Name></Blob></Blobs></EnumerationResults>";
        (200, Vec::new(), listing.as_bytes().to_vec())
    });
    let unsized_item = stub::start(|_| (200, Vec::new(), br#"{"items": [{"name": "a", "size": -1}]}"#.to_vec()));
    let elsewhere = stub::start(|_| (307, vec![("location", "http://127.0.0.1:9/".to_owned())], Vec::new()));
    let nothing = stub::start(|_| (404, Vec::new(), Vec::new()));
    for (server, scheme, reason, needle) in [
        (&circle, "s3", "garbage", "without end"),
        (&cut, "s3", "garbage", "does not say where"),
        (&page_of_login, "s3", "garbage", "no listing"),
        (&page_of_login, "gs", "garbage", "no listing"),
        (&page_of_login, "az", "garbage", "no listing"),
        (&large, "s3", "too_large", "8388608"),
        (&unsized_blob, "az", "garbage", "without a size"),
        (&unsized_item, "gs", "garbage", "without a size"),
        (&elsewhere, "s3", "redirected", "region"),
        (&nothing, "gs", "no_bucket", "no such bucket"),
    ] {
        let (told, sentence) = blindness(server, scheme);
        assert_eq!(told, reason, "{scheme}: {sentence}");
        assert!(sentence.contains(needle), "{scheme}: {needle}: {sentence}");
    }
}

#[test]
fn what_is_too_large_is_refused_and_what_is_gone_is_gone() {
    let there = Arc::new(AtomicUsize::new(1));
    let now = Arc::clone(&there);
    let server = stub::start(move |asked: Asked| -> Answer {
        let of = |key: &str, size: &str| format!(r#"{{"name": "{key}", "size": "{size}", "generation": "5"}}"#);
        if !is_listing(&asked) {
            assert!(asked.path.contains("alt=media") && asked.path.contains("generation=5"), "{}", asked.path);
            return (200, Vec::new(), b"four".to_vec());
        }
        let small =
            if now.load(Ordering::Relaxed) == 1 { format!(", {}", of("small.bin", "4")) } else { String::new() };
        let items = if asked.path.contains("prefix=small") {
            small.replacen(", ", "", 1)
        } else {
            of("large.bin", "9999999999") + &small
        };
        (200, Vec::new(), format!(r#"{{"kind": "storage#objects", "items": [{items}]}}"#).into_bytes())
    });
    let (config, _folder) = config(&server, "gs");
    let runtime = runtime();
    runtime.block_on(async {
        let running = watched(Config { artifact_bytes_max: 1000, sweep_interval_secs: 3600, ..config }).await;
        assert_eq!(bytes(&running, "small.bin").await.unwrap(), b"four");
        assert!(matches!(bytes(&running, "large.bin").await, Err(StoreError::Refused(why)) if why.contains("1000")));
        there.store(0, Ordering::Relaxed);
        assert!(matches!(bytes(&running, "small.bin").await, Err(StoreError::Gone)));
        // What another bucket holds is not fetched on behalf of this one.
        let mut artifact = running.records["small.bin"].artifact.clone().unwrap();
        artifact.path = "gs://others/small.bin".to_owned();
        let store = running.source.store().unwrap();
        assert!(matches!(store.open(&artifact).await.map(drop), Err(StoreError::Refused(_))));
        running.stop().await;
    });
}

#[test]
fn secrets_are_neither_told_nor_shown() {
    let server = stub::start(|_| (403, Vec::new(), Vec::new()));
    let (config, _folder) = config(&server, "az");
    let shown = format!("{config:?}");
    let (_, sentence) = blindness(&server, "az");
    for text in [shown, sentence] {
        assert!(!text.contains("c2VjcmV0") && !text.contains("sig="), "{text}");
    }
}
