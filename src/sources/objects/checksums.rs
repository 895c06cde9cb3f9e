//! Digests that a store keeps of large objects: asked for once for each state of an object, before it is fetched.
//!
//! With one the same bytes put again are known as the same, and need not be fetched; and what is fetched is held against
//! it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};

use super::bucket::{Bucket, Object};
use super::records::listed;
use crate::base::http::Failure;
use crate::event::Sha256;

/// Objects of which it is known; of more nothing is asked.
const KNOWN_MAX: usize = 100_000;

/// What a store said of objects, by their keys.
#[derive(Debug, Default)]
pub struct Checksums {
    known: Mutex<BTreeMap<Box<str>, Said>>,
}

#[derive(Debug, Clone, Copy)]
struct Said {
    /// Over what the listing told of the object then.
    listed: u64,
    digest: Option<Sha256>,
}

impl Checksums {
    /// The digest of all bytes of an object as it is listed, where the store keeps one.
    pub async fn of(&self, bucket: &dyn Bucket, object: &Object) -> Result<Option<Sha256>, Failure> {
        let now = {
            let mut hasher = DefaultHasher::new();
            listed(object).hash(&mut hasher);
            hasher.finish()
        };
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            match known.get(&*object.key) {
                Some(said) if said.listed == now => return Ok(said.digest),
                None if known.len() >= KNOWN_MAX => return Ok(None),
                Some(_) | None => {}
            }
        }
        let digest = match bucket.checksum(object).await {
            Ok(digest) => digest,
            // It was replaced since, or the store does not know such a question: the bytes are fetched and hashed.
            Err(Failure::Gone | Failure::Denied { .. } | Failure::Rejected { .. }) => None,
            Err(failure) => return Err(failure),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(object.key.as_str().into(), Said { listed: now, digest });
        Ok(digest)
    }

    /// An object is gone.
    pub fn forget(&self, key: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
