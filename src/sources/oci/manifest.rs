//! Manifests and indexes (OCI image specification 1.1, Docker schema 2): what they name.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::event::Sha256;
use crate::sources::remote;

/// Where packagings write what a layer was called.
const TITLES: [&str; 2] = ["org.opencontainers.image.title", "org.cncf.model.filepath"];

/// A manifest, or an index of manifests.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Manifest {
    config: Option<Descriptor>,
    layers: Vec<Descriptor>,
    /// Of the artifact manifests of an earlier draft.
    blobs: Vec<Descriptor>,
    pub manifests: Vec<Descriptor>,
    /// Only Docker's schema 1 has these.
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// What a manifest says of one blob or manifest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Descriptor {
    media_type: String,
    pub digest: String,
    /// Bytes.
    pub size: u64,
    annotations: Option<BTreeMap<String, String>>,
    platform: Option<Platform>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Manifest {
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("the manifest is not understood, at byte {}", error.column()))?;
        if manifest.fs_layers.is_some() {
            return Err(
                "the manifest is of Docker's schema 1, which names no media types; push the image anew".to_owned()
            );
        }
        Ok(manifest)
    }

    /// Configuration and layers, each once.
    pub fn files(&self) -> impl Iterator<Item = &Descriptor> {
        self.config.iter().chain(&self.layers).chain(&self.blobs)
    }
}

impl Descriptor {
    /// Whether the digest can be part of a request.
    pub fn is_plain(&self) -> bool {
        self.digest.split_once(':').is_some_and(|(algorithm, hex)| {
            !algorithm.is_empty()
                && algorithm.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && hex.len() >= 32
                && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }

    /// The name that the packaging gave, else one of the digest and the kind.
    pub fn name(&self) -> String {
        let annotations = self.annotations.as_ref();
        let title = TITLES.iter().find_map(|title| annotations?.get(*title)).filter(|title| remote::is_plain(title));
        title.cloned().unwrap_or_else(|| format!("{}{}", self.digest.replace(':', "-"), self.ending()))
    }

    fn ending(&self) -> &'static str {
        let kind = self.media_type.as_str();
        let endings = [
            ("tar+gzip", ".tar.gz"),
            ("tar.gzip", ".tar.gz"),
            ("tar+zstd", ".tar.zst"),
            ("tar", ".tar"),
            ("json", ".json"),
            ("gguf", ".gguf"),
            ("safetensors", ".safetensors"),
        ];
        endings.into_iter().find(|(last, _)| kind.ends_with(last)).map_or("", |(_, ending)| ending)
    }

    /// `linux-amd64`, else the digest: the folder of one manifest of an index.
    pub fn platform(&self) -> String {
        let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match &self.platform {
            Some(Platform { os, architecture, variant })
                if word(os) && word(architecture) && variant.as_deref().is_none_or(word) =>
            {
                let variant = variant.as_ref().map(|variant| format!("-{variant}")).unwrap_or_default();
                format!("{os}-{architecture}{variant}")
            }
            _ => self.digest.replace(':', "-"),
        }
    }
}

/// A digest, if it is a SHA-256.
pub fn sha256(digest: &str) -> Option<Sha256> {
    digest.strip_prefix("sha256:")?.parse().ok()
}
