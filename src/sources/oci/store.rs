//! Fetches the blobs and manifests of which the source tells.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::api::Api;
use super::config::{Checked, is_repository};
use super::manifest;
use crate::event::ArtifactRef;
use crate::sources::remote::{Body, Entry, Locate, Remote, RemoteError};
use crate::sources::{BoxFuture, StoreError};

/// Repositories whose tokens are kept.
const KEPT_MAX: usize = 1_000;

pub struct Blobs {
    checked: Arc<Checked>,
    repositories: Mutex<BTreeMap<String, Arc<Api>>>,
}

impl Blobs {
    pub const fn new(checked: Arc<Checked>) -> Self {
        Self { checked, repositories: Mutex::new(BTreeMap::new()) }
    }

    fn repository(&self, name: &str) -> Arc<Api> {
        let mut kept = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        Arc::clone(kept.entry(name.to_owned()).or_insert_with(|| Arc::new(self.checked.repository(name))))
    }

    /// Repository, and what to ask it for: `blobs/sha256:…`.
    fn parse<'p>(&self, path: &'p str) -> Option<(&'p str, String)> {
        let rest = path.strip_prefix("oci://")?.strip_prefix(&*self.checked.config.registry)?.strip_prefix('/')?;
        let named = ["blobs", "manifests"].iter().find_map(|kind| {
            let (repository, rest) = rest.split_once(&format!("/{kind}/sha256:"))?;
            Some((repository, *kind, rest.split('/').next()?))
        });
        let unnamed = || {
            let (repository, digits) = rest.rsplit_once("/blobs/sha256-")?;
            Some((repository, "blobs", digits))
        };
        let (repository, kind, digits) = named.or_else(unnamed)?;
        let digest = format!("sha256:{digits}");
        let known = is_repository(repository) && self.checked.watches(repository);
        (known && manifest::sha256(&digest).is_some()).then(|| (repository, format!("{kind}/{digest}")))
    }
}

impl Locate for Blobs {
    fn locate<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<(Arc<dyn Remote>, Entry), StoreError>> {
        Box::pin(async move {
            let refused = || StoreError::Refused("it is not one of the registry that is watched".to_owned());
            let (repository, key) = self.parse(&artifact.path).ok_or_else(refused)?;
            let api = self.repository(repository);
            // What a manifest says of sizes is no more than somebody's word.
            let size = api.size(&key).await?;
            let digest = key.split_once('/').map(|(_, digest)| digest.to_owned()).unwrap_or_default();
            let entry = Entry {
                address: artifact.path.clone(),
                size,
                claimed: manifest::sha256(&digest),
                version: Some(digest),
                key,
                note: None,
                unreadable: None,
            };
            Ok((Arc::new(Blob { api }) as Arc<dyn Remote>, entry))
        })
    }
}

struct Blob {
    api: Arc<Api>,
}

impl Remote for Blob {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>, RemoteError>> {
        Box::pin(async { Err(RemoteError::Failed("one blob is no listing".to_owned())) })
    }

    fn read<'a>(&'a self, entry: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>> {
        Box::pin(self.api.read(&entry.key, range, entry.size))
    }
}
