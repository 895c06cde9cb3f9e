//! Digests that S3 keeps of large objects, and what is made of them.

use std::time::Duration;

use lanner::event::{Sha256, Value};
use lanner::sources::objects::Config;
use tempfile::TempDir;
use tokio::task::block_in_place;

use super::harness::Running;
use super::objects::{Bucket, watched};
use crate::peers::moto::Moto;
use crate::support::{run_python, runtime};

/// Larger objects are asked about.
const LEAST: u64 = 1000;

/// Puts an object with Amazon's own client: with a digest of the whole, in parts, or without any.
const PUT: &str = "
import boto3, sys
from botocore.config import Config
url, key, secret, name, how, letter = sys.argv[1:]
s3 = boto3.client('s3', endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret, region_name='us-east-1',
    config=Config(request_checksum_calculation='when_required', s3={'addressing_style': 'path'}))
body = letter.encode() * (6 << 20 if how == 'parts' else 2000)
if how == 'whole':
    s3.put_object(Bucket='models', Key=name, Body=body, ChecksumAlgorithm='SHA256')
elif how == 'parts':
    upload = s3.create_multipart_upload(Bucket='models', Key=name, ChecksumAlgorithm='SHA256')['UploadId']
    parts = []
    for number, part in enumerate((body[:5 << 20], body[5 << 20:]), 1):
        made = s3.upload_part(Bucket='models', Key=name, UploadId=upload, PartNumber=number, Body=part, ChecksumAlgorithm='SHA256')
        parts.append({'PartNumber': number, 'ETag': made['ETag'], 'ChecksumSHA256': made['ChecksumSHA256']})
    s3.complete_multipart_upload(Bucket='models', Key=name, UploadId=upload, MultipartUpload={'Parts': parts})
else:
    s3.put_object(Bucket='models', Key=name, Body=body)
";

async fn keeps_the_digest_of_the_whole_and_no_other(url: &str, keys: [&str; 2], config: Config) {
    let put = |name: &str, how: &str, letter: &str| {
        block_in_place(|| run_python(PUT, &[url, keys[0], keys[1], name, how, letter]));
    };
    put("whole.bin", "whole", "a");
    put("parts.bin", "parts", "a");
    put("plain.bin", "plain", "a");
    let mut running = watched(Config { checksum_bytes_min: LEAST, ..config }).await;
    let claimed = |running: &Running, key: &str| running.records[key].attributes.get("artifact.claimed_hash").cloned();
    let digest = |letter: u8| Some(Value::from(format!("sha256:{}", Sha256::of(&[letter; 2000]))));
    assert_eq!(claimed(&running, "whole.bin"), digest(b'a'));
    assert_eq!(claimed(&running, "parts.bin"), None, "a digest of digests is none of the whole");
    assert_eq!(claimed(&running, "plain.bin"), None);
    // Asked once, not with each listing.
    let calls = |running: &Running| running.metric("lanner_source_requests_total");
    let (before, listings) = (calls(&running), running.metric("lanner_rescans_total"));
    running.during(Duration::from_secs(3)).await;
    let asked = calls(&running) - before;
    assert!(asked <= running.metric("lanner_rescans_total") - listings + 1.5, "one call for a listing: {asked}");
    // The same bytes put again are the same; others are others.
    let signature = running.records["whole.bin"].signature.clone();
    put("whole.bin", "whole", "a");
    running.until("the new time", |running| running.log.contains(&"+whole.bin".to_owned())).await;
    assert_eq!(running.records["whole.bin"].signature, signature);
    put("whole.bin", "whole", "b");
    running.until("other bytes", |running| running.records["whole.bin"].signature != signature).await;
    assert_eq!(claimed(&running, "whole.bin"), digest(b'b'));
    running.stop().await;
}

#[test]
fn seaweedfs_is_asked_for_the_digest_of_large_objects() {
    let bucket = Bucket::seaweed();
    let variables = bucket.store.variables();
    let value = |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value).unwrap();
    let keys = [value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY")];
    let config = bucket.config(&bucket.store.address(), true);
    runtime().block_on(keeps_the_digest_of_the_whole_and_no_other(value("AWS_ENDPOINT_URL"), keys, config));
}

#[test]
fn moto_is_asked_for_the_digest_of_large_objects() {
    let moto = Moto::start();
    moto.make_bucket("models");
    let folder = TempDir::new().unwrap();
    let credentials = folder.path().join("credentials");
    std::fs::write(&credentials, "AWS_ACCESS_KEY_ID=AKIATEST\nAWS_SECRET_ACCESS_KEY=secret\n").unwrap();
    let config = Config {
        url: "s3://models".to_owned(),
        endpoint: Some(moto.url.clone()),
        credentials_file: Some(credentials),
        sweep_interval_secs: 1,
        ..Config::default()
    };
    runtime().block_on(keeps_the_digest_of_the_whole_and_no_other(&moto.url, ["AKIATEST", "secret"], config));
}
