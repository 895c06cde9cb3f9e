//! A bucket in which a registry keeps its artifacts, read beside the registry.

use std::sync::Arc;
use std::time::Duration;

use super::bucket::{Access, Object, Pages, Shared};
use super::scanned::Scanned;
use super::{Address, Place, bucket, health, records};
use crate::base::http::Failure;
use crate::base::secret::Secret;
use crate::sources::StoreError;
use crate::sources::remote::{Entry, Remote};

/// Pages of the listing of one folder.
const PAGES_MAX: usize = 1_000;
/// Objects and pages looked at for one key.
const KEY_PAGE: u32 = 10;
const KEY_PAGES_MAX: usize = 20;

/// A bucket, or what lies under a prefix of it.
pub struct Direct {
    bucket: Shared,
    url: String,
}

/// What lies below a folder.
#[derive(Debug, Default)]
pub struct Below {
    /// Path below the folder, what changes with the bytes, and how many bytes.
    pub files: Vec<(String, String, u64)>,
    /// Objects left out: too many, or such as cannot be asked for.
    pub left_out: usize,
}

impl Direct {
    /// Makes sense of the settings; nothing is asked of anybody yet. `given`: variables that go before those of the
    /// environment.
    pub fn open(address: &Address, given: Vec<(String, Secret)>, timeout: Duration) -> Result<Self, String> {
        let place = Place::parse(&address.url).map_err(|error| error.to_string())?;
        let access = Access { variables: address.variables(given)?, timeout };
        let bucket = bucket(place, &access).map_err(|error| error.to_string())?;
        Ok(Self { bucket, url: address.url.clone() })
    }

    /// Key of a path below the prefix.
    fn key(&self, path: &str) -> String {
        let (prefix, path) = (&self.bucket.place().prefix, path.trim_matches('/'));
        match (prefix.is_empty(), path.is_empty()) {
            (true, _) => path.to_owned(),
            (false, true) => prefix.clone(),
            (false, false) => format!("{prefix}/{path}"),
        }
    }

    /// Objects below a folder, at most so many; with each page one request is made.
    pub async fn list(&self, folder: &str, most: usize) -> Result<Below, Failure> {
        let mut prefix = self.key(folder);
        if !prefix.is_empty() {
            prefix.push('/');
        }
        let mut pages = Pages::new(&*self.bucket, &prefix, false, PAGES_MAX);
        let mut below = Below::default();
        while let Some(objects) = pages.next().await? {
            for object in objects.iter().filter(|object| !object.is_folder()) {
                let path = object.key.strip_prefix(&prefix).filter(|path| !path.is_empty());
                let readable = self.bucket.entry(object).unreadable.is_none() && !object.marker;
                match path.filter(|_| readable && below.files.len() < most) {
                    Some(path) => below.files.push((path.to_owned(), records::listed(object), object.size)),
                    None => below.left_out += 1,
                }
            }
            if below.left_out > most {
                break;
            }
        }
        Ok(below)
    }

    /// An object as it stands now, and the bucket to read it from.
    pub async fn find(&self, path: &str) -> Result<(Arc<dyn Remote>, Entry), StoreError> {
        let key = self.key(path);
        let mut pages = Pages::new(&*self.bucket, &key, false, KEY_PAGES_MAX).of(KEY_PAGE);
        let mut found: Option<Object> = None;
        while found.is_none()
            && let Some(objects) = pages.next().await?
        {
            found = objects.into_iter().find(|object| object.key == key);
        }
        let entry = self.bucket.entry(&found.ok_or(StoreError::Gone)?);
        Ok((Arc::new(Scanned(Arc::clone(&self.bucket))), entry))
    }

    /// What a failure means for a person.
    pub fn explain(&self, failure: &Failure) -> (&'static str, String) {
        health::explain(failure, &self.url, self.bucket.access())
    }
}
