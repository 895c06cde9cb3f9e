//! Buckets of object stores: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.
//!
//! `object_store` knows how to find credentials and how to sign; it also lists and reads, but gives up a
//! whole listing because of one key that is no path (`a//b`, `..`), and such a key can be written by
//! anybody who may write at all. S3 is therefore listed and read here, signed by that library.

mod other;
mod s3;
mod xml;

use std::sync::Arc;

use super::remote::{Remote, RemoteError};
use crate::base::environment::variables;

/// `s3://bucket/prefix`, with the variables that other tools for S3 know: `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`; else the identity of
/// the machine or pod.
pub fn open_s3(address: &str) -> Result<Arc<dyn Remote>, RemoteError> {
    Ok(Arc::new(s3::Bucket::open(address, variables())?))
}

/// `gs://bucket/prefix`, `az://container/prefix` and `abfs[s]://container@account…/prefix`, with the
/// variables of their own tools: `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_NAME` and so on.
pub fn open_other(address: &str) -> Result<Arc<dyn Remote>, RemoteError> {
    Ok(Arc::new(other::Bucket::open(address, variables())?))
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

    /// Whether a key is meant: the key itself, or one in the folder of that name.
    fn covers(&self, key: &str) -> bool {
        self.prefix.is_empty()
            || key.strip_prefix(&self.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn of_key(&self, key: &str) -> String {
        format!("{}://{}/{key}", self.scheme, self.bucket)
    }
}
