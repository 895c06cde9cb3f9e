//! Registries and stores that lie: what they say is bounded, checked, and told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lanner::event::Sha256;
use serde_json::json;

use super::addresses::{lines, scan, verdicts};
use crate::peers::stub::{self, Asked, Stub};
use crate::support::program::stdout;

const KIND: &str = "application/vnd.oci.image.manifest.v1+json";

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Sha256::of(bytes))
}

/// A registry of one manifest and one blob.
fn registry(manifest: Vec<u8>, blob: Vec<u8>) -> Stub {
    stub::start(move |asked| {
        let body = if asked.path.contains("/manifests/") { &manifest } else { &blob };
        (200, vec![("content-type", KIND.to_owned())], body.clone())
    })
}

fn layer(digest: &str, size: usize, title: &str) -> serde_json::Value {
    json!({ "digest": digest, "size": size, "annotations": { "org.opencontainers.image.title": title } })
}

fn manifest(layers: &[serde_json::Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({ "schemaVersion": 2, "mediaType": KIND, "layers": layers })).expect("it is JSON")
}

#[test]
fn sizes_that_lie_are_errors_of_one_file() {
    for (told, needle) in [(3, "more than the 3 bytes"), (500, "broke off")] {
        let blob = b"{\"a\": 1}".to_vec();
        let server = registry(manifest(&[layer(&digest(&blob), told, "a.json")]), blob);
        let output = scan(&[&format!("oci://{}/team/model:v1", server.host)], &[]);
        assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
        assert!(stdout(&output).contains(needle), "{needle}: {}", stdout(&output));
        // The manifest is there all the same.
        assert_eq!(lines(&output).len(), 2);
    }
}

#[test]
fn titles_that_climb_name_nothing() {
    let blob = b"{}".to_vec();
    let titles = ["../../etc/cron.d/x", "/etc/passwd", "", "a/../b", "./x"];
    let layers: Vec<_> = titles.iter().map(|title| layer(&digest(&blob), 2, title)).collect();
    let server = registry(manifest(&layers), blob);
    let output = scan(&[&format!("oci://{}/team/model:v1", server.host)], &[]);
    let found = verdicts(&output);
    assert_eq!(found.len(), 2, "one blob under the name of its digest, and the manifest: {found:?}");
    assert!(found.iter().all(|(path, _)| !path.contains("..") && !path.contains("etc")), "{found:?}");
}

#[test]
fn manifests_without_end_are_refused() {
    let endless = stub::start(|_| {
        let inner = json!({ "mediaType": KIND, "digest": format!("sha256:{}", "ab".repeat(32)), "size": 10 });
        let index = json!({ "schemaVersion": 2, "manifests": vec![inner; 100] });
        (200, Vec::new(), serde_json::to_vec(&index).expect("it is JSON"))
    });
    let output = scan(&[&format!("oci://{}/team/model:v1", endless.host)], &[]);
    assert_eq!(output.status.code(), Some(4));
    assert!(stdout(&output).contains("more manifests than are followed"), "{}", stdout(&output));

    let large = stub::start(|_| (200, Vec::new(), vec![b' '; 5 << 20]));
    let output = scan(&[&format!("oci://{}/team/model:v1", large.host)], &[]);
    assert!(stdout(&output).contains("larger than 4194304 bytes"), "{}", stdout(&output));

    let other = registry(manifest(&[]), Vec::new());
    let output = scan(&[&format!("oci://{}/team/model@sha256:{}", other.host, "cd".repeat(32))], &[]);
    assert!(stdout(&output).contains("the registry gives sha256:"), "{}", stdout(&output));
}

#[test]
fn a_token_is_fetched_where_the_registry_says_and_sent_back() {
    let blob = b"{}".to_vec();
    let manifest = manifest(&[layer(&digest(&blob), 2, "a.json")]);
    let server = stub::start(move |asked: Asked| {
        let host = asked.header("host").unwrap_or_default().to_owned();
        if asked.path.starts_with("/token") {
            let scoped =
                asked.path.contains("service=models") && asked.path.contains("scope=repository%3Ateam%2Fmodel%3Apull");
            return if scoped {
                (200, Vec::new(), b"{\"token\": \"let-in\"}".to_vec())
            } else {
                (400, Vec::new(), Vec::new())
            };
        }
        if asked.header("authorization") != Some("Bearer let-in") {
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"models\",scope=\"whatever\"");
            return (401, vec![("www-authenticate", challenge)], Vec::new());
        }
        let body = if asked.path.contains("/manifests/") { &manifest } else { &blob };
        (200, Vec::new(), body.clone())
    });
    let output = scan(&[&format!("oci://{}/team/model:v1", server.host)], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert_eq!(lines(&output).len(), 2);
}

/// A bucket whose listing is this.
fn bucket(listing: String) -> Stub {
    stub::start(move |asked| {
        if asked.path.contains("list-type=2") {
            (200, Vec::new(), listing.clone().into_bytes())
        } else {
            (200, Vec::new(), b"{}".to_vec())
        }
    })
}

fn variables(server: &Stub) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", format!("http://{}", server.host)),
        ("AWS_ACCESS_KEY_ID", "AKIAX".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "y".to_owned()),
    ]
}

fn scan_bucket(server: &Stub) -> std::process::Output {
    let variables = variables(server);
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    scan(&["s3://models"], &variables)
}

#[test]
fn one_key_that_is_no_path_does_not_hide_the_others() {
    let keys = ["a//b.json", "a/../../b.json", "/lead.json", "ok.json", "new%0Aline.json", "%F0%9F%98%80.json"];
    let of = |key: &&str| format!("<Contents><Key>{key}</Key><Size>2</Size><ETag>&quot;e&quot;</ETag></Contents>");
    let contents = keys.iter().map(of).collect::<Vec<_>>().concat();
    let server = bucket(format!("<ListBucketResult><EncodingType>url</EncodingType>{contents}</ListBucketResult>"));
    let output = scan_bucket(&server);
    let lines = lines(&output);
    assert_eq!(lines.len(), keys.len(), "{}", stdout(&output));
    let unreadable: Vec<_> = lines.iter().filter(|line| line["status"] == "unreadable").collect();
    assert_eq!(unreadable.len(), 1, "{}", stdout(&output));
    assert!(unreadable[0]["reason"].to_string().contains(".."), "{}", stdout(&output));
    assert!(lines.iter().any(|line| line["path"] == "s3://models/😀.json" && line["status"] == "clean"));
}

#[test]
fn listings_that_are_none_are_errors() {
    for (listing, needle) in [
        ("<html>a login page</html>", "no listing of a bucket"),
        ("<ListBucketResult><Contents>", "no listing of a bucket"),
        ("{\"not\": \"XML\"}", "no listing of a bucket"),
        ("<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>", "without a size"),
        ("<ListBucketResult><NextContinuationToken>again</NextContinuationToken></ListBucketResult>", "without end"),
        (
            "<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult><Contents><Key>&a;</Key><Size>x</Size></Contents></ListBucketResult>",
            "without a size",
        ),
    ] {
        let output = scan_bucket(&bucket(listing.to_owned()));
        assert_eq!(output.status.code(), Some(4), "{listing}: {}", stdout(&output));
        assert!(stdout(&output).contains(needle), "{listing}: {}", stdout(&output));
    }
}

#[test]
fn an_object_replaced_after_the_listing_is_not_read() {
    let replaced = stub::start(|asked| {
        if asked.path.contains("list-type=2") {
            let listing = "<ListBucketResult><Contents><Key>a.json</Key><Size>2</Size><ETag>\"old\"</ETag></Contents></ListBucketResult>";
            return (200, Vec::new(), listing.as_bytes().to_vec());
        }
        assert_eq!(asked.header("if-match"), Some("\"old\""));
        (412, Vec::new(), Vec::new())
    });
    let output = scan_bucket(&replaced);
    assert_eq!(output.status.code(), Some(4));
    assert!(stdout(&output).contains("replaced after it was listed"), "{}", stdout(&output));
}

#[test]
fn a_hub_that_leads_elsewhere_gets_no_token() {
    let elsewhere = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&elsewhere);
    let other = stub::start(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        (200, Vec::new(), b"[]".to_vec())
    });
    let target = other.host.clone();
    let hub = stub::start(move |asked| {
        if asked.path.contains("/revision/") {
            return (200, Vec::new(), format!("{{\"sha\": \"{}\"}}", "ab".repeat(20)).into_bytes());
        }
        (200, vec![("link", format!("<http://{target}/next>; rel=\"next\""))], b"[]".to_vec())
    });
    let endpoint = format!("http://{}", hub.host);
    let output = scan(&["hf://team/model"], &[("HF_ENDPOINT", &endpoint), ("HF_TOKEN", "hf_secret")]);
    assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
    assert!(stdout(&output).contains("without end"), "{}", stdout(&output));
    assert_eq!(elsewhere.load(Ordering::Relaxed), 0);
}

#[test]
fn keys_that_only_some_readers_know_hide_no_layer() {
    let (good, bad) = (b"{}".to_vec(), super::calls_os_system("layers"));
    let of = |layers: &str, bytes: &[u8], title: &str| {
        format!("\"{layers}\": [{}]", layer(&digest(bytes), bytes.len(), title))
    };
    for manifest in [
        format!("{{{}}}", of("Layers", &bad, "model.pkl")),
        format!("{{{}, {}}}", of("layers", &good, "a.json"), of("Layers", &bad, "model.pkl")),
        format!("{{{}, {}}}", of("layers", &bad, "model.pkl"), of("layers", &good, "a.json")),
        format!("{{\"manifests\": null, {}}}", of("layers", &bad, "model.pkl")),
    ] {
        let (good, bad, served) = (good.clone(), bad.clone(), manifest.clone());
        let server = stub::start(move |asked| {
            let body = if asked.path.contains("/manifests/") {
                served.clone().into_bytes()
            } else if asked.path.ends_with(&digest(&bad)) {
                bad.clone()
            } else {
                good.clone()
            };
            (200, Vec::new(), body)
        });
        let output = scan(&[&format!("oci://{}/team/model:v1", server.host)], &[]);
        assert_eq!(output.status.code(), Some(1), "{manifest}: {}", stdout(&output));
        let told = stdout(&output).contains("is read by some and not by others");
        assert_eq!(told, !manifest.contains("null"), "{manifest}: {}", stdout(&output));
    }
}

#[test]
fn a_store_behind_the_registry_is_told_no_password() {
    let asked_of_stranger = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&asked_of_stranger);
    let stranger = stub::start(move |asked: Asked| {
        let host = asked.header("host").unwrap_or_default().to_owned();
        log.lock()
            .expect("nobody panicked")
            .push((asked.path.clone(), asked.header("authorization").map(str::to_owned)));
        (401, vec![("www-authenticate", format!("Bearer realm=\"http://{host}/steal\",service=\"x\""))], Vec::new())
    });
    let blob = b"{}".to_vec();
    let manifest = manifest(&[layer(&digest(&blob), 2, "a.json")]);
    let target = stranger.host.clone();
    let server = stub::start(move |asked: Asked| {
        if asked.path.contains("/manifests/") {
            (200, Vec::new(), manifest.clone())
        } else {
            (307, vec![("location", format!("http://{target}/blob"))], Vec::new())
        }
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let auths = format!("{{\"auths\": {{\"{}\": {{\"auth\": \"YWxpY2U6U0VDUkVUUFc=\"}}}}}}", server.host);
    std::fs::write(folder.path().join("config.json"), auths).expect("there is space");
    let config = folder.path().to_str().expect("it is text");
    let output = scan(&[&format!("oci://{}/team/model:v1", server.host)], &[("DOCKER_CONFIG", config)]);
    assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
    let asked = asked_of_stranger.lock().expect("nobody panicked").clone();
    assert!(!asked.is_empty() && asked.iter().all(|(path, pass)| path == "/blob" && pass.is_none()), "{asked:?}");
}

#[test]
fn what_could_not_be_fetched_is_neither_clean_nor_malicious() {
    let bad = super::calls_os_system("nothing");
    // The store tells of no bytes, and has some.
    let server = registry(manifest(&[layer(&digest(&bad), 0, "model.pkl")]), bad);
    let output = scan(&[&format!("oci://{}/team/model:v1", server.host)], &[]);
    assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
    // Parts that do not come are no false name of a file.
    let hub = stub::start(|asked| {
        if asked.path.contains("/revision/") {
            (200, Vec::new(), format!("{{\"sha\": \"{}\"}}", "ab".repeat(20)).into_bytes())
        } else if asked.path.contains("/tree/") {
            let files = json!([{ "type": "file", "path": "model.safetensors", "size": 50_000_000 }, { "type": "file", "path": "b.pkl" }, { "type": "file", "path": "n".repeat(5000), "size": 1 }]);
            (200, Vec::new(), serde_json::to_vec(&files).expect("it is JSON"))
        } else {
            (403, Vec::new(), Vec::new())
        }
    });
    let endpoint = format!("http://{}", hub.host);
    let output = scan(&["hf://team/model", "--whole-max", "1000"], &[("HF_ENDPOINT", &endpoint)]);
    assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
    assert!(lines(&output).iter().all(|line| line["status"] == "unreadable"), "{}", stdout(&output));
    assert!(stdout(&output).contains("HTTP 403"), "{}", stdout(&output));
    assert!(stdout(&output).contains("longer than a path may be"), "{}", stdout(&output));
}

#[test]
fn one_manifest_of_several_that_is_missing_hides_no_other() {
    let bad = super::calls_os_system("amd64");
    let inner = manifest(&[layer(&digest(&bad), bad.len(), "model.pkl")]);
    let index = json!({ "manifests": [
        { "mediaType": KIND, "digest": digest(&inner), "size": inner.len(), "platform": { "os": "linux", "architecture": "amd64" } },
        { "mediaType": KIND, "digest": digest(b"gone"), "size": 4, "platform": { "os": "linux", "architecture": "arm64" } },
        { "mediaType": KIND, "digest": "../../../../other?x=1", "size": 4 },
    ] });
    let index = serde_json::to_vec(&index).expect("it is JSON");
    let server = stub::start(move |asked| {
        assert!(!asked.path.contains("other"), "{}", asked.path);
        if asked.path.ends_with("/manifests/v1") || asked.path.ends_with(&digest(&index)) {
            (200, Vec::new(), index.clone())
        } else if asked.path.ends_with(&digest(&inner)) {
            (200, Vec::new(), inner.clone())
        } else if asked.path.ends_with(&digest(&bad)) {
            (200, Vec::new(), bad.clone())
        } else {
            (404, Vec::new(), Vec::new())
        }
    });
    let output = scan(&[&format!("oci://{}/team/model:v1", server.host)], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert_eq!(lines(&output).iter().filter(|line| line["status"] == "unreadable").count(), 2, "{}", stdout(&output));
}

#[test]
fn listings_take_no_longer_than_one_file() {
    let number = Arc::new(AtomicU32::new(0));
    let endless = stub::start(move |_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let next = number.fetch_add(1, Ordering::Relaxed);
        let page =
            format!("<ListBucketResult><NextContinuationToken>{next}</NextContinuationToken></ListBucketResult>");
        (200, Vec::new(), page.into_bytes())
    });
    let began = std::time::Instant::now();
    let variables = variables(&endless);
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let output = scan(&["s3://models", "--timeout", "1"], &variables);
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(stdout(&output).contains("--timeout"), "{}", stdout(&output));
}
