//! Buckets of object stores: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.
//!
//! `object_store` knows how to find credentials and how to sign; it also lists and reads, but gives up a
//! whole listing because of one key that is no path (`a//b`, `..`), and such a key can be written by
//! anybody who may write at all. Buckets are therefore listed and read here, signed by that library.

mod azure;
mod bucket;
mod checksums;
mod config;
mod direct;
mod events;
mod google;
mod health;
mod hints;
mod queue;
mod records;
mod s3;
mod scanned;
mod signer;
mod versions;
mod watch;
mod xml;

use std::sync::Arc;
use std::time::Duration;

use super::remote::{Remote, RemoteError};
use crate::base::environment::variables;
use crate::base::secret::Secret;
use bucket::{Access, Shared};
pub use config::{Address, Config, Events};
pub use direct::Direct;

/// Time for one request about an address that is looked at once.
const TIMEOUT: Duration = Duration::from_secs(30);

/// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` and `abfs[s]://container@account…/prefix`, with
/// the variables that other tools for the store know: `AWS_ACCESS_KEY_ID`, `GOOGLE_APPLICATION_CREDENTIALS`,
/// `AZURE_STORAGE_ACCOUNT_NAME` and so on; else the identity of the machine or pod.
pub fn open(address: &str) -> Result<Arc<dyn Remote>, RemoteError> {
    let with = Access { variables: secret(variables()), timeout: TIMEOUT };
    Ok(Arc::new(scanned::Scanned(bucket(Place::parse(address)?, &with)?)))
}

/// Variables, of which any may be a secret.
fn secret(all: impl Iterator<Item = (String, String)>) -> Vec<(String, Secret)> {
    all.map(|(name, value)| (name, Secret::new(value))).collect()
}

fn bucket(place: Place, with: &Access) -> Result<Shared, RemoteError> {
    Ok(match place.scheme.as_str() {
        "s3" => Arc::new(s3::Bucket::open(place, with)?),
        "gs" => Arc::new(google::Bucket::open(place, with)?),
        "az" | "abfs" | "abfss" => Arc::new(azure::Bucket::open(place, with)?),
        other => {
            let message = format!("`{other}://` is no object store; write s3://, gs://, az:// or abfss://");
            return Err(RemoteError::Address(message));
        }
    })
}

/// A bucket, and the part of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    scheme: String,
    bucket: String,
    /// A key, or what keys under a folder begin with; no slash at the end, empty for all.
    prefix: String,
}

impl Place {
    fn parse(address: &str) -> Result<Self, RemoteError> {
        let wrong = || RemoteError::Address(format!("`{address}` names no bucket; write s3://bucket/prefix"));
        let (scheme, rest) = address.split_once("://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        if bucket.is_empty() || !bucket.chars().all(named) {
            return Err(wrong());
        }
        let prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Self { scheme: scheme.to_owned(), bucket: bucket.to_owned(), prefix })
    }

    /// Name of the bucket or container itself, without the account that it is of.
    fn name(&self) -> &str {
        self.bucket.split('@').next().unwrap_or(&self.bucket)
    }

    /// Whether a key is meant: the key itself, or one in the folder of that name.
    fn covers(&self, key: &str) -> bool {
        self.prefix.is_empty()
            || key.strip_prefix(&self.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// A key below the prefix; of the key that is meant itself its last part.
    fn below<'k>(&self, key: &'k str) -> &'k str {
        match key.strip_prefix(&self.prefix) {
            Some("") | None => key.rsplit('/').next().unwrap_or(key),
            Some(rest) if self.prefix.is_empty() => rest,
            Some(rest) => rest.strip_prefix('/').unwrap_or(rest),
        }
    }

    fn of_key(&self, key: &str) -> String {
        format!("{}://{}/{key}", self.scheme, self.bucket)
    }

    /// The key in an address that [`Self::of_key`] made.
    fn key_of<'a>(&self, address: &'a str) -> Option<&'a str> {
        address.strip_prefix(&self.scheme)?.strip_prefix("://")?.strip_prefix(&self.bucket)?.strip_prefix('/')
    }
}
