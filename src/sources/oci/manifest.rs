//! Manifests and indexes (OCI image specification 1.1, Docker schema 2): what they name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::event::Sha256;
use crate::sources::remote;

/// Where packagings write what a layer was called.
const TITLES: [&str; 2] = ["org.opencontainers.image.title", "org.cncf.model.filepath"];

/// Bytes of a title; a longer one is none.
const TITLE_MAX: usize = 1024;

/// A manifest, or an index of manifests.
///
/// Other readers take `Layers` for `layers`, and of a key that is written twice the last: whatever any of them
/// may find is found here.
#[derive(Debug, Default)]
pub struct Manifest {
    /// Configuration, layers, and the blobs of the artifact manifests of an earlier draft.
    pub files: Vec<Descriptor>,
    pub manifests: Vec<Descriptor>,
    /// What the manifest says that it packs.
    pub artifact_type: Option<String>,
    pub annotations: BTreeMap<String, String>,
    /// A key that readers do not agree about.
    pub ambiguous: Option<String>,
    old: bool,
}

/// What a manifest says of one blob or manifest.
#[derive(Debug, Clone, Default)]
pub struct Descriptor {
    pub media_type: String,
    pub digest: String,
    /// Bytes; `None` when that is not told.
    pub size: Option<u64>,
    pub title: Option<String>,
    /// It is the configuration of its manifest.
    pub is_config: bool,
    platform: Option<Platform>,
    ambiguous: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// The pairs of an object as they are written, also those with the same key.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Pairs;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

/// The first key that is written twice, or otherwise than the specification does.
fn ambiguous<'k>(keys: impl Iterator<Item = &'k String>, known: &[&str]) -> Option<String> {
    let mut seen = BTreeSet::new();
    keys.filter(|key| known.iter().any(|known| known.eq_ignore_ascii_case(key)))
        .find(|key| !known.contains(&key.as_str()) || !seen.insert(key.to_ascii_lowercase()))
        .cloned()
}

impl Manifest {
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let Pairs(pairs) = serde_json::from_slice(bytes)
            .map_err(|error| format!("the manifest is not understood, at byte {}", error.column()))?;
        let known = ["config", "layers", "blobs", "manifests"];
        let mut manifest = Self { ambiguous: ambiguous(pairs.iter().map(|(key, _)| key), &known), ..Self::default() };
        for (key, value) in pairs {
            let key = key.to_ascii_lowercase();
            match (key.as_str(), &value) {
                ("artifacttype", Value::String(kind)) => manifest.artifact_type = Some(kind.clone()),
                ("annotations", Value::Object(annotations)) => {
                    let texts = annotations.iter().filter_map(|(name, text)| Some((name.clone(), text.as_str()?)));
                    manifest.annotations.extend(texts.map(|(name, text)| (name, text.to_owned())));
                }
                _ => {}
            }
            let each = match value {
                Value::Array(items) => items,
                Value::Null => Vec::new(),
                other => vec![other],
            };
            let each = each.iter().filter_map(Descriptor::of);
            match key.as_str() {
                "config" => manifest.files.extend(each.map(|one| Descriptor { is_config: true, ..one })),
                "layers" | "blobs" => manifest.files.extend(each),
                "manifests" => manifest.manifests.extend(each),
                "fslayers" => manifest.old = true,
                _ => {}
            }
        }
        if manifest.old {
            return Err(
                "the manifest is of Docker's schema 1, which names no media types; push the image anew".to_owned()
            );
        }
        let inner = manifest.files.iter().chain(&manifest.manifests).find_map(|one| one.ambiguous.clone());
        manifest.ambiguous = manifest.ambiguous.or(inner);
        Ok(manifest)
    }
}

impl Descriptor {
    fn of(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let known = ["mediaType", "digest", "size"];
        let named = |name: &str| {
            object
                .get(name)
                .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
        };
        let text = |name: &str| named(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let annotations = named("annotations").and_then(Value::as_object);
        let title = TITLES.iter().find_map(|title| annotations?.get(*title)?.as_str());
        Some(Self {
            media_type: text("mediaType"),
            digest: text("digest"),
            size: named("size").and_then(Value::as_u64),
            title: title.filter(|title| title.len() <= TITLE_MAX).map(ToOwned::to_owned),
            is_config: false,
            platform: named("platform").and_then(|value| Platform::deserialize(value).ok()),
            ambiguous: ambiguous(object.keys(), &known),
        })
    }

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
        let title = self.title.as_ref().filter(|title| remote::is_plain(title));
        title.cloned().unwrap_or_else(|| format!("{}{}", self.label(), self.ending()))
    }

    /// The digest as a part of an address.
    fn label(&self) -> String {
        if self.is_plain() { self.digest.replace(':', "-") } else { "without-digest".to_owned() }
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
            _ => self.label(),
        }
    }
}

/// A digest, if it is a SHA-256.
pub fn sha256(digest: &str) -> Option<Sha256> {
    digest.strip_prefix("sha256:")?.parse().ok()
}
