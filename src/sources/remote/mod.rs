//! What lies at an address: a repository of a hub, a bucket, an image, a version of a model. It is listed,
//! and its files are read whole or in parts, with bounds.

pub mod answer;
mod ranged;
mod retry;
mod spool;
mod store;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::{BoxFuture, StoreError, huggingface, mlflow, objects, oci};
use crate::artifact::Stop;
use crate::base::http::{self, Failure};
use crate::event::Sha256;

pub use ranged::{BLOCK, Missed, Ranged};
pub use retry::patiently;
pub use spool::spool;
pub use store::{Fetched, Locate, Located};

/// Files that one address may hold.
pub const FILES_MAX: usize = 100_000;
/// Pages of one listing.
pub const PAGES_MAX: usize = 2_000;
/// Bytes of one answer that is not an artifact.
pub const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// Bytes of a name.
pub const NAME_MAX: usize = 4096;

/// How often is asked whether anybody still waits.
const STOP_EVERY: Duration = Duration::from_millis(100);

/// One file at an address, as the store tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The address of the file itself, for example `s3://models/fraud/model.pkl`.
    pub address: String,
    /// What the store calls it: a path, a key, a digest.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// The digest that the store promises.
    pub claimed: Option<Sha256>,
    /// What changes with the bytes: a commit, a digest, a generation, an entity tag.
    pub version: Option<String>,
    /// What whoever looks at it should know.
    pub note: Option<String>,
    /// Why it cannot be asked for, although the store names it.
    pub unreadable: Option<String>,
}

/// Bytes on their way.
pub type Body = BoxStream<'static, Result<Bytes, StoreError>>;

/// One address.
pub trait Remote: Send + Sync {
    /// Every file there is, in no certain order.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>, RemoteError>>;
    /// Bytes of a file, of which none is outside of the range. That is empty only for a file of no bytes: then
    /// there must be none.
    fn read<'a>(&'a self, entry: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>>;
}

/// Why an address does not lead on: what happened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It is not written as an address of its kind is.
    #[error("{0}")]
    Address(String),
    /// Nothing is there.
    #[error("there is nothing at this address")]
    Missing,
    /// A person must act, mostly about credentials.
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Failed(String),
}

impl RemoteError {
    /// What a failed call means at an address, with what helps when access was denied.
    pub fn of(failure: &Failure, access: &str) -> Self {
        match failure {
            Failure::Gone => Self::Missing,
            Failure::Denied { status: 300..=399 } => {
                Self::Failed(format!("{}; it leads elsewhere", http::chain(failure)))
            }
            Failure::Denied { .. } => Self::Denied(format!("{failure}; {access}")),
            failure => Self::Failed(http::chain(failure)),
        }
    }
}

/// How addresses of one kind begin, and what makes sense of the rest.
struct Scheme {
    prefix: &'static str,
    /// As a person would write one.
    example: &'static str,
    open: fn(&str) -> Result<Arc<dyn Remote>, RemoteError>,
}

static SCHEMES: &[Scheme] = &[
    Scheme { prefix: "hf://", example: "hf://org/model@revision/file", open: huggingface::open },
    Scheme { prefix: "oci://", example: "oci://registry/repository:tag", open: oci::open },
    Scheme { prefix: "models:/", example: "models:/name/version", open: mlflow::open },
    Scheme { prefix: "s3://", example: "s3://bucket/prefix", open: objects::open },
    Scheme { prefix: "gs://", example: "gs://bucket/prefix", open: objects::open },
    Scheme { prefix: "az://", example: "az://container/prefix", open: objects::open },
    Scheme { prefix: "abfs://", example: "abfs://container@account.dfs.core.windows.net/prefix", open: objects::open },
    Scheme {
        prefix: "abfss://",
        example: "abfss://container@account.dfs.core.windows.net/prefix",
        open: objects::open,
    },
];

/// Whether a text is meant as an address and not as a path.
pub fn is_address(text: &str) -> bool {
    let letters = |scheme: &str| scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric());
    SCHEMES.iter().any(|scheme| text.starts_with(scheme.prefix))
        || text.split_once("://").is_some_and(|(scheme, _)| letters(scheme))
}

/// Makes sense of an address; nothing is asked of anybody yet.
pub fn open(address: &str) -> Result<Arc<dyn Remote>, RemoteError> {
    if let Some(scheme) = SCHEMES.iter().find(|scheme| address.starts_with(scheme.prefix)) {
        return (scheme.open)(address);
    }
    let known: Vec<&str> = SCHEMES.iter().map(|scheme| scheme.example).collect();
    Err(RemoteError::Address(format!("no address that is known here; known are {}", known.join(", "))))
}

/// Waits for the work, or until `stop` says that nobody does.
pub async fn until<T>(stop: &Stop, work: impl Future<Output = T>) -> Option<T> {
    let stopped = async {
        while !stop.now() {
            tokio::time::sleep(STOP_EVERY).await;
        }
    };
    tokio::select! {
        done = work => Some(done),
        () = stopped => None,
    }
}

/// A part of a path that a listing names, if it can be part of an address and of a request: neither
/// empty nor one that climbs.
pub fn is_plain(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
