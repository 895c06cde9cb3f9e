//! A local copy compared with what a registry or hub has: digests where it promises them, bytes where it does not.
//! That says where the bytes come from, as far as TLS and the registry are trusted, and not who made them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use sha2::Digest as _;
use tokio::runtime::Builder;

use super::Args;
use crate::artifact::Stop;
use crate::base::http;
use crate::event::Sha256;
use crate::provenance::content::compare;
use crate::provenance::hash::Algorithm;
use crate::provenance::model::{ITSELF, Model, Piece};
use crate::provenance::{Allowed, Failure, Outcome, Reason};
use crate::sources::folder::Local;
use crate::sources::remote::{self, Entry, Remote, RemoteError};

/// How long it may take to list all, and to fetch what has no digest.
const PATIENCE: Duration = Duration::from_mins(10);

/// Compares the path with what lies at the address.
pub fn verify(args: &Args, address: &str) -> anyhow::Result<Outcome> {
    let shown = args.path.display();
    let content = Local::open(&args.path, Stop::default()).with_context(|| format!("`{shown}` cannot be opened"))?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let began = Instant::now();
    let stop = Stop::when(move || began.elapsed() > PATIENCE);
    let late = || RemoteError::Failed(format!("it takes longer than {PATIENCE:?}"));
    let found = runtime.block_on(remote::until(&stop, files(address))).unwrap_or_else(|| Err(late()));
    let files = found.map_err(|error| anyhow::anyhow!("`{address}`: {error}"))?;
    let model = Model {
        // Nobody signed it: there is no identity to tell of.
        root: Sha256::from_bytes([0; 32]),
        algorithm: Algorithm::Sha256,
        files,
        // Caches keep bytes aside; what counts is that they are the right ones.
        symlinks: true,
        ignored: Vec::new(),
    };
    let allowed = Allowed {
        ignore: args.ignore.iter().map(|entry| entry.trim_end_matches('/').to_owned()).collect(),
        unsigned: args.allow_unsigned,
        follow_links: true,
        signature: None,
    };
    let mut outcome = Outcome::verified();
    match model.check_ignored(&allowed.ignore) {
        Ok(()) => compare(&content, &model, &allowed, &mut outcome),
        Err(failure) => outcome.fail(failure),
    }
    if outcome.reason == Some(Reason::SubjectMismatch) {
        let what = "the address is one of a single file and the path a folder, or the other way round";
        return Ok(Outcome::failed(Failure::new(Reason::SubjectMismatch, what)));
    }
    Ok(outcome)
}

/// Every file at an address with its SHA-256.
async fn files(address: &str) -> Result<BTreeMap<String, Vec<Piece>>, RemoteError> {
    let address = address.trim_end_matches('/');
    let remote = remote::open(address)?;
    let mut files = BTreeMap::new();
    for entry in remote.list().await? {
        let below = entry.address.strip_prefix(address).unwrap_or_default();
        let name = match below.strip_prefix('/') {
            Some(name) if remote::is_plain(name) => name.to_owned(),
            _ if entry.address == address => ITSELF.to_owned(),
            _ => return Err(RemoteError::Failed(format!("`{}` is not under it", entry.address))),
        };
        let digest = match entry.claimed {
            Some(digest) => digest,
            None => fetched(&remote, &entry).await?,
        };
        files.insert(name, vec![Piece { end: None, digest: digest.as_bytes().to_vec() }]);
    }
    if files.is_empty() { Err(RemoteError::Missing) } else { Ok(files) }
}

/// The digest of a file for which none is promised.
async fn fetched(remote: &Arc<dyn Remote>, entry: &Entry) -> Result<Sha256, RemoteError> {
    let failed = |what: &str| RemoteError::Failed(format!("`{}`: {what}", entry.address));
    if let Some(why) = &entry.unreadable {
        return Err(failed(why));
    }
    let mut body = remote.read(entry, 0..entry.size).await.map_err(|error| failed(&http::chain(&error)))?;
    let (mut hasher, mut left) = (sha2::Sha256::new(), entry.size);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| failed(&http::chain(&error)))?;
        left = left.checked_sub(chunk.len() as u64).ok_or_else(|| failed("there are more bytes than it tells of"))?;
        hasher.update(&chunk);
    }
    if left == 0 { Ok(Sha256::from_bytes(hasher.finalize().into())) } else { Err(failed("the download broke off")) }
}
