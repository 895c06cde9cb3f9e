//! Buckets of Google Cloud Storage and containers of Azure Blob Storage.

use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _};
use reqwest::Url;

use super::Place;
use crate::base::http;
use crate::sources::remote::{Body, Entry, FILES_MAX, Remote, RemoteError};
use crate::sources::{BoxFuture, StoreError};

const GOOGLE_ACCESS: &str =
    "set GOOGLE_APPLICATION_CREDENTIALS to a file of credentials, or GOOGLE_SKIP_SIGNATURE=true for a public bucket";
const AZURE_ACCESS: &str = "set AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_KEY or the \
                            variables of an identity, or AZURE_SKIP_SIGNATURE=true for a public container";

pub struct Bucket {
    place: Place,
    store: Arc<dyn ObjectStore>,
    access: &'static str,
}

impl Bucket {
    pub fn open(address: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Self, RemoteError> {
        let place = Place::parse(address)?;
        http::provider();
        let access = if place.scheme == "gs" { GOOGLE_ACCESS } else { AZURE_ACCESS };
        let root = format!("{}://{}/", place.scheme, place.bucket);
        let url = Url::parse(&root).map_err(|error| RemoteError::Address(error.to_string()))?;
        let own = |name: &str| name.starts_with("GOOGLE_") || name.starts_with("AZURE_");
        let options = variables.filter(|(name, value)| own(name) && !value.is_empty());
        let (store, _) = object_store::parse_url_opts(&url, options)
            .map_err(|error| RemoteError::Denied(format!("{}; {access}", http::chain(&error))))?;
        Ok(Self { place, store: Arc::from(store), access })
    }

    async fn entries(&self) -> Result<Vec<Entry>, RemoteError> {
        let prefix = Path::parse(&self.place.prefix).map_err(|error| RemoteError::Address(error.to_string()))?;
        let mut entries = Vec::new();
        if !self.place.prefix.is_empty() {
            match self.store.head(&prefix).await {
                Ok(object) => entries.push(self.entry(object)),
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed(&error)),
            }
        }
        let mut listing = self.store.list(Some(&prefix).filter(|_| !self.place.prefix.is_empty()));
        while let Some(object) = listing.try_next().await.map_err(|error| self.failed(&error))? {
            let entry = self.entry(object);
            if self.place.covers(&entry.key) && entries.first().is_none_or(|first| first.key != entry.key) {
                entries.push(entry);
            }
            if entries.len() > FILES_MAX {
                let message = format!("there are more than {FILES_MAX} objects; name a longer prefix");
                return Err(RemoteError::Failed(message));
            }
        }
        if entries.is_empty() && !self.place.prefix.is_empty() { Err(RemoteError::Missing) } else { Ok(entries) }
    }

    fn entry(&self, object: ObjectMeta) -> Entry {
        let key = object.location.to_string();
        Entry {
            address: self.place.of_key(&key),
            key,
            size: object.size,
            claimed: None,
            version: object.e_tag,
            note: None,
            unreadable: None,
        }
    }

    fn failed(&self, error: &Error) -> RemoteError {
        match error {
            Error::NotFound { .. } => RemoteError::Missing,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                RemoteError::Denied(format!("{}; {}", http::chain(error), self.access))
            }
            error => RemoteError::Failed(http::chain(error)),
        }
    }

    async fn get(&self, entry: &Entry, range: Range<u64>) -> Result<Body, StoreError> {
        let options = GetOptions {
            range: (!range.is_empty()).then(|| GetRange::Bounded(range.clone())),
            if_match: entry.version.clone(),
            ..GetOptions::default()
        };
        let path = Path::parse(&entry.key).map_err(|error| StoreError::Refused(error.to_string()))?;
        let result = self.store.get_opts(&path, options).await.map_err(refusal)?;
        if !range.is_empty() && result.range != range {
            return Err(StoreError::Refused("the store gave another part than was asked for".to_owned()));
        }
        Ok(result.into_stream().map_err(refusal).boxed())
    }
}

fn refusal(error: Error) -> StoreError {
    match error {
        Error::NotFound { .. } => StoreError::Gone,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => StoreError::Denied(Box::new(error)),
        Error::Precondition { .. } => StoreError::Refused("it was replaced after it was listed".to_owned()),
        error => StoreError::Transient(Box::new(error)),
    }
}

impl Remote for Bucket {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>, RemoteError>> {
        Box::pin(self.entries())
    }

    fn read<'a>(&'a self, entry: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>> {
        Box::pin(self.get(entry, range))
    }
}
