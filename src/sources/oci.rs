//! Images and artifacts of an OCI registry: manifests, configurations and layers, named by their digests.

mod api;
mod credentials;
mod manifest;
mod token;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use oci_spec::distribution::Reference;

use self::api::{Api, Fetched};
use self::manifest::{Descriptor, Manifest};
use super::remote::{Body, Entry, Remote, RemoteError};
use super::{BoxFuture, StoreError};

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
    let written = text.strip_prefix("oci://").unwrap_or(text).trim_end_matches('/');
    let reference = Reference::try_from(written).map_err(|error| {
        RemoteError::Address(format!("`{text}` is no image ({error}); write oci://registry/repository:tag"))
    })?;
    let environment = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let api = Api::connect(&reference, &environment).map_err(RemoteError::Failed)?;
    Ok(Arc::new(Image { address: format!("oci://{written}"), reference, api }))
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
        let mut listing = Listing::default();
        let mut waiting = vec![(asked.to_owned(), String::new(), 0)];
        while let Some((asked, folder, depth)) = waiting.pop() {
            let fetched = self.api.manifest(&asked).await.map_err(|failure| RemoteError::of(&failure, ACCESS))?;
            let manifest = Manifest::parse(&fetched.bytes).map_err(RemoteError::Failed)?;
            listing.manifest(&self.address, &folder, &fetched);
            for file in manifest.files() {
                listing.blob(&self.address, &folder, file);
            }
            for inner in &manifest.manifests {
                if depth >= DEPTH_MAX || listing.manifests + waiting.len() >= MANIFESTS_MAX {
                    let message = "the index leads to more manifests than are followed; name one of them by its digest";
                    return Err(RemoteError::Failed(message.to_owned()));
                }
                waiting.push((inner.digest.clone(), format!("{folder}{}/", inner.platform()), depth + 1));
            }
        }
        Ok(listing.entries)
    }
}

/// What was found so far; no two files have one address.
#[derive(Default)]
struct Listing {
    entries: Vec<Entry>,
    named: BTreeSet<String>,
    manifests: usize,
}

impl Listing {
    fn manifest(&mut self, image: &str, folder: &str, fetched: &Fetched) {
        self.manifests += 1;
        self.push(Entry {
            address: format!("{image}/{folder}manifest.json"),
            key: format!("manifests/{}", fetched.digest),
            size: fetched.bytes.len() as u64,
            claimed: manifest::sha256(&fetched.digest),
            version: Some(fetched.digest.clone()),
            unreadable: None,
        });
    }

    fn blob(&mut self, image: &str, folder: &str, file: &Descriptor) {
        self.push(Entry {
            address: format!("{image}/{folder}{}", file.name()),
            key: format!("blobs/{}", file.digest),
            size: file.size,
            claimed: manifest::sha256(&file.digest),
            version: Some(file.digest.clone()),
            unreadable: (!file.is_plain()).then(|| "its digest is none".to_owned()),
        });
    }

    fn push(&mut self, mut entry: Entry) {
        if !self.named.insert(entry.address.clone()) {
            let digest = entry.version.as_deref().unwrap_or_default();
            // The same blob under the same name is one file.
            if self.entries.iter().any(|known| known.address == entry.address && known.version == entry.version) {
                return;
            }
            entry.address = format!("{}@{digest}", entry.address);
            self.named.insert(entry.address.clone());
        }
        self.entries.push(entry);
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
