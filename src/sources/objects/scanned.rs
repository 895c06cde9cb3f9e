//! An address in a bucket, for looking into what lies there once.

use std::ops::Range;

use super::bucket::{Pages, Shared};
use crate::sources::remote::{Body, Entry, FILES_MAX, PAGES_MAX, Remote, RemoteError};
use crate::sources::{BoxFuture, StoreError};

/// A bucket as the place of an address.
pub struct Scanned(pub Shared);

impl Scanned {
    async fn entries(&self) -> Result<Vec<Entry>, RemoteError> {
        let bucket = &*self.0;
        let place = bucket.place();
        let mut pages = Pages::new(bucket, &place.prefix, false, PAGES_MAX);
        let mut entries = Vec::new();
        while let Some(objects) = pages.next().await.map_err(|failure| RemoteError::of(&failure, bucket.access()))? {
            let meant = objects.iter().filter(|object| place.covers(&object.key) && !object.is_folder());
            entries.extend(meant.map(|object| bucket.entry(object)));
            if entries.len() > FILES_MAX {
                let message = format!("there are more than {FILES_MAX} objects; name a longer prefix");
                return Err(RemoteError::Failed(message));
            }
        }
        if entries.is_empty() && !place.prefix.is_empty() { Err(RemoteError::Missing) } else { Ok(entries) }
    }
}

impl Remote for Scanned {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>, RemoteError>> {
        Box::pin(self.entries())
    }

    fn read<'a>(&'a self, entry: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>> {
        self.0.get(entry, range)
    }
}
