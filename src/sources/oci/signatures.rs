//! Signatures beside an image: referrers (distribution specification 1.1), the tag that stands for them where a
//! registry has none, and the tag of cosign's older versions.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use serde::Deserialize;

use super::api::Api;
use super::{ACCESS, manifest};
use crate::base::http::Failure;
use crate::event::Sha256;
use crate::provenance::BUNDLE_BYTES_MAX;
use crate::provenance::cosign::{Attached, SIGNATURES_MAX, SIMPLE_BYTES_MAX};
use crate::sources::StoreError;
use crate::sources::remote::RemoteError;

/// Bundles say so in the type of their artifact and of their layer.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";

/// Referrers that are looked at: others than signatures may be among them.
const REFERRERS_MAX: usize = 4 * SIGNATURES_MAX;

/// An image with what lies beside it.
#[derive(Debug)]
pub struct Signed {
    /// SHA-256 of the manifest that the address leads to.
    pub digest: Sha256,
    pub attached: Vec<Attached>,
    /// There are more signatures than were fetched.
    pub more: bool,
    /// What lies beside the image and should be a signature, but cannot be read.
    pub unread: usize,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Manifest {
    artifact_type: Option<String>,
    layers: Vec<Layer>,
    manifests: Vec<Layer>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Layer {
    media_type: String,
    artifact_type: Option<String>,
    digest: String,
    size: u64,
    annotations: BTreeMap<String, String>,
}

/// Fetches signatures of one image.
pub struct Beside<'a> {
    pub api: &'a Api,
    found: Vec<Attached>,
    more: bool,
    unread: usize,
}

impl<'a> Beside<'a> {
    pub const fn new(api: &'a Api) -> Self {
        Self { api, found: Vec::new(), more: false, unread: 0 }
    }

    /// The image, and all signatures beside it if they are asked for.
    pub async fn fetch(mut self, asked: &str, signatures: bool) -> Result<Signed, RemoteError> {
        let failed = |failure: &Failure| RemoteError::of(failure, ACCESS);
        let fetched = self.api.manifest(asked).await.map_err(|failure| failed(&failure))?;
        let digest = manifest::sha256(&fetched.digest)
            .ok_or_else(|| RemoteError::Failed("the image has no digest".to_owned()))?;
        if signatures {
            self.bundles(digest).await?;
            self.simple(digest).await?;
        }
        Ok(Signed { digest, attached: self.found, more: self.more, unread: self.unread })
    }

    /// What the registry says refers to the image; where it does not know, the index under a tag.
    async fn bundles(&mut self, digest: Sha256) -> Result<(), RemoteError> {
        let listed = match self.api.referrers(&format!("sha256:{digest}")).await {
            Err(Failure::Gone | Failure::Rejected { .. }) => self.tagged(&format!("sha256-{digest}")).await?,
            other => Some(other.map_err(|failure| RemoteError::of(&failure, ACCESS))?),
        };
        let Some(index) = listed.and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok()) else {
            return Ok(());
        };
        let is_bundle = |kind: &str| kind.starts_with(BUNDLE);
        // Some registries do not tell the type in the index.
        let bundles = index.manifests.iter().filter(|one| one.artifact_type.as_deref().is_none_or(is_bundle));
        for (number, one) in bundles.enumerate() {
            if self.full() || number >= REFERRERS_MAX {
                self.more = true;
                return Ok(());
            }
            let manifest = self.api.manifest(&one.digest).await.ok();
            let inner = manifest.and_then(|fetched| serde_json::from_slice::<Manifest>(&fetched.bytes).ok());
            // Whoever may write there can lay something broken beside: it is counted, and the others are read.
            let Some((inner, layer)) = inner.as_ref().and_then(|inner| Some((inner, inner.layers.first()?))) else {
                self.unread += 1;
                continue;
            };
            if inner.artifact_type.as_deref().is_some_and(is_bundle) || is_bundle(&layer.media_type) {
                self.found.push(Attached::Bundle(self.blob(layer, BUNDLE_BYTES_MAX).await?));
            }
        }
        Ok(())
    }

    /// Layers of the tag `sha256-….sig`, each a payload with its signature in the annotations.
    async fn simple(&mut self, digest: Sha256) -> Result<(), RemoteError> {
        let Some(bytes) = self.tagged(&format!("sha256-{digest}.sig")).await? else { return Ok(()) };
        let Ok(found) = serde_json::from_slice::<Manifest>(&bytes) else { return Ok(()) };
        for layer in found.layers.iter().filter(|layer| layer.media_type == SIMPLE) {
            if self.full() {
                return Ok(());
            }
            let text = |name: &str| layer.annotations.get(name).cloned();
            if let Some(signature) = text(SIGNATURE) {
                let payload = self.blob(layer, SIMPLE_BYTES_MAX).await?;
                let (certificate, chain) = (text(CERTIFICATE), text(CHAIN));
                self.found.push(Attached::Simple { payload, signature, certificate, chain });
            }
        }
        Ok(())
    }

    fn full(&mut self) -> bool {
        self.more |= self.found.len() >= SIGNATURES_MAX;
        self.more
    }

    async fn tagged(&self, tag: &str) -> Result<Option<Vec<u8>>, RemoteError> {
        match self.api.manifest(tag).await {
            Ok(fetched) => Ok(Some(fetched.bytes)),
            Err(Failure::Gone) => Ok(None),
            Err(failure) => Err(RemoteError::of(&failure, ACCESS)),
        }
    }

    /// The bytes of a blob, if they are those that its digest says.
    async fn blob(&self, layer: &Layer, bytes_max: u64) -> Result<Vec<u8>, RemoteError> {
        let failed = |what: &str| RemoteError::Failed(format!("the signature {}: {what}", layer.digest));
        let wanted = manifest::sha256(&layer.digest).ok_or_else(|| failed("its digest is none"))?;
        if layer.size == 0 || layer.size > bytes_max {
            return Err(failed(&format!("it has {} bytes", layer.size)));
        }
        let told = |error: StoreError| failed(&crate::base::http::chain(&error));
        let key = format!("blobs/{}", layer.digest);
        let mut body = self.api.read(&key, 0..layer.size, layer.size).await.map_err(told)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            bytes.extend_from_slice(&chunk.map_err(told)?);
            if bytes.len() as u64 > layer.size {
                return Err(failed("the registry gives more bytes than it tells of"));
            }
        }
        if Sha256::of(&bytes) == wanted { Ok(bytes) } else { Err(failed("the registry gives other bytes")) }
    }
}
