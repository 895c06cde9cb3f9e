//! Images and artifacts of an OCI registry: manifests, configurations and layers, named by their digests.
//!
//! Tags are names that move: each look asks where they lead now, by a `HEAD` each, and fetches only manifests whose
//! digest is new. What a digest names never changes, unless somebody writes to the registry's disk: bytes that are not
//! what their digest says are told as such.

mod api;
mod config;
mod contents;
mod credentials;
mod explain;
mod fates;
mod held;
mod listing;
mod manifest;
mod notification;
mod records;
mod repository;
mod signatures;
mod store;
mod token;
mod watch;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use oci_spec::distribution::Reference;

use self::api::{Api, Fetched};
use self::manifest::{Descriptor, Manifest};
use super::remote::{Body, Entry, FILES_MAX, Remote, RemoteError};
use super::{BoxFuture, StoreError};
use crate::base::environment::variable;
use crate::base::text::shorten;

pub use super::verify::Verify;
pub use config::{Config, Gate};
pub use signatures::Signed;

/// What helps when the registry does not let in.
const ACCESS: &str = "log in with `docker login`, `podman login` or `oras login`, and set DOCKER_CONFIG or \
                      REGISTRY_AUTH_FILE if the file is not in its usual place";
/// Manifests that one index may lead to.
const MANIFESTS_MAX: usize = 64;
/// Indexes in indexes.
const DEPTH_MAX: u32 = 3;

/// Makes sense of `oci://registry/repository[:tag][@digest]`. Credentials are those of `docker login` and
/// its kin; a registry on loopback is asked over plain HTTP, as they do.
pub fn open(text: &str) -> Result<Arc<dyn Remote>, RemoteError> {
    let (address, reference, api) = connect(text)?;
    Ok(Arc::new(Image { address, reference, api }))
}

/// The address as it was written, what it means, and how the registry is asked.
fn connect(text: &str) -> Result<(String, Reference, Api), RemoteError> {
    let written = text.strip_prefix("oci://").unwrap_or(text).trim_end_matches('/');
    let reference = Reference::try_from(written).map_err(|error| {
        RemoteError::Address(format!("`{text}` is no image ({error}); write oci://registry/repository:tag"))
    })?;
    let api = Api::connect(&reference, &variable).map_err(RemoteError::Failed)?;
    Ok((format!("oci://{written}"), reference, api))
}

/// An image with the signatures beside it, unless they are not asked for.
pub async fn signed(text: &str, signatures: bool) -> Result<Signed, RemoteError> {
    let (_, reference, api) = connect(text)?;
    let asked = reference.digest().or(reference.tag()).unwrap_or("latest");
    signatures::Beside::new(&api).fetch(asked, signatures).await
}

struct Image {
    /// As it was written.
    address: String,
    reference: Reference,
    api: Api,
}

impl Image {
    async fn entries(&self) -> Result<Vec<Entry>, RemoteError> {
        let asked = self.reference.digest().or(self.reference.tag()).unwrap_or("latest");
        let mut listing = Listing { image: &self.address, ..Listing::default() };
        let mut waiting = vec![(asked.to_owned(), String::new(), 0)];
        while let Some((asked, folder, depth)) = waiting.pop() {
            let read = match self.api.manifest(&asked).await {
                Ok(fetched) => {
                    Manifest::parse(&fetched.bytes).map(|manifest| (fetched, manifest)).map_err(RemoteError::Failed)
                }
                Err(failure) => Err(RemoteError::of(&failure, ACCESS)),
            };
            let (fetched, manifest) = match read {
                Ok(read) => read,
                Err(error) if depth == 0 => return Err(error),
                // One of several: the others are looked at.
                Err(error) => {
                    listing.unread(&folder, &asked, error.to_string());
                    continue;
                }
            };
            listing.manifest(&folder, &fetched, manifest.ambiguous.as_deref());
            for file in &manifest.files {
                listing.blob(&folder, file);
            }
            for inner in manifest.manifests {
                let folder = format!("{folder}{}/", inner.platform());
                if !inner.is_plain() {
                    listing.unread(&folder, &inner.digest, "its digest is none".to_owned());
                } else if depth >= DEPTH_MAX || listing.manifests + waiting.len() >= MANIFESTS_MAX {
                    let why = "the index leads to more manifests than are followed; name this one by its digest";
                    listing.unread(&folder, &inner.digest, why.to_owned());
                } else {
                    waiting.push((inner.digest, folder, depth + 1));
                }
            }
            if listing.entries.len() > FILES_MAX {
                return Err(RemoteError::Failed(format!("it holds more than {FILES_MAX} files")));
            }
        }
        Ok(listing.entries)
    }
}

/// What was found so far; no two files have one address.
#[derive(Default)]
struct Listing<'i> {
    image: &'i str,
    entries: Vec<Entry>,
    /// Addresses, with what lies there.
    named: BTreeMap<String, String>,
    manifests: usize,
}

impl Listing<'_> {
    fn manifest(&mut self, folder: &str, fetched: &Fetched, ambiguous: Option<&str>) {
        self.manifests += 1;
        let note = |key| {
            format!("the key `{}` is read by some and not by others; all that it names is looked at", shorten(key, 40))
        };
        self.push(Entry {
            address: format!("{}/{folder}manifest.json", self.image),
            key: format!("manifests/{}", fetched.digest),
            size: fetched.bytes.len() as u64,
            claimed: manifest::sha256(&fetched.digest),
            version: Some(fetched.digest.clone()),
            note: ambiguous.map(note),
            unreadable: None,
        });
    }

    fn blob(&mut self, folder: &str, file: &Descriptor) {
        let claimed = manifest::sha256(&file.digest);
        let unreadable = match file.size {
            _ if !file.is_plain() => Some("its digest is none"),
            None => Some("the manifest does not tell how large it is"),
            Some(_) => None,
        };
        self.push(Entry {
            address: format!("{}/{folder}{}", self.image, file.name()),
            key: format!("blobs/{}", file.digest),
            size: file.size.unwrap_or(0),
            claimed,
            version: Some(file.digest.clone()),
            note: claimed.is_none().then(|| "its digest is no SHA-256, and was not compared with the bytes".to_owned()),
            unreadable: unreadable.map(ToOwned::to_owned),
        });
    }

    /// A manifest that leads no further.
    fn unread(&mut self, folder: &str, digest: &str, why: String) {
        self.push(Entry {
            address: format!("{}/{folder}manifest.json", self.image),
            key: String::new(),
            size: 0,
            claimed: None,
            version: Some(shorten(digest, 100)),
            note: None,
            unreadable: Some(why),
        });
    }

    fn push(&mut self, mut entry: Entry) {
        let version = entry.version.clone().unwrap_or_default();
        match self.named.get(&entry.address) {
            // The same blob under the same name is one file.
            Some(known) if *known == version => return,
            Some(_) => entry.address = format!("{}@{version}", entry.address),
            None => {}
        }
        if self.named.insert(entry.address.clone(), version).is_none() {
            self.entries.push(entry);
        }
    }
}

impl Remote for Image {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>, RemoteError>> {
        Box::pin(self.entries())
    }

    fn read<'a>(&'a self, entry: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>> {
        Box::pin(self.api.read(&entry.key, range, entry.size))
    }
}
