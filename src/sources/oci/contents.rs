//! What one manifest packs: who packed it, and its files under names that stay from one version to the next.

use std::collections::BTreeMap;

use super::api::Api;
use super::held::{Held, Share};
use super::manifest::{self, Descriptor, Manifest};
use crate::base::http::Failure;
use crate::base::text::shorten;
use crate::sources::remote;

/// Files of one version; more are left out, which is told.
const PARTS_MAX: usize = 2_000;
/// Manifests of one index.
const MANIFESTS_MAX: usize = 64;
/// Indexes in indexes.
const DEPTH_MAX: u32 = 3;
/// Annotations kept of a manifest, and bytes of all together.
const ANNOTATIONS_MAX: usize = 200;
const ANNOTATIONS_BYTES_MAX: usize = 64 << 10;
/// Characters of a media type.
const TYPE_CHARS_MAX: usize = 200;
/// The configuration that says nothing (image specification 1.1).
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Who packages models, by the beginning of a media type.
const PACKAGINGS: &[(&str, &str)] = &[
    ("application/vnd.cncf.model.", "modelpack"),
    ("application/vnd.cnai.model.", "modelpack"),
    ("application/vnd.kitops.modelkit.", "kitops"),
    ("application/vnd.docker.ai.", "docker-ai"),
    ("application/vnd.ollama.image.", "ollama"),
];
/// Configurations of images that run.
const IMAGES: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
/// Layers of such images.
const LAYERS: [&str; 3] = [
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.diff.",
    "application/vnd.docker.image.rootfs.foreign.diff.",
];
/// Annotations by which an image says that it carries a model.
const MODEL_ANNOTATIONS: [&str; 3] = ["org.cncf.model.", "org.cnai.model.", "ml."];

/// What a manifest, or an index with its manifests, packs.
#[derive(Debug, Default)]
pub struct Contents {
    pub packaging: &'static str,
    /// What the manifest says that it packs, else the kind of its configuration.
    pub kind: String,
    pub annotations: BTreeMap<String, String>,
    pub parts: Vec<Part>,
    /// What is not among them, and why: a reason from a closed set, and a sentence.
    pub missing: Vec<(&'static str, String)>,
    /// Paths, with what lies there.
    names: BTreeMap<String, String>,
    /// The last number of each name that several have.
    numbers: BTreeMap<String, usize>,
    /// Room for all of it.
    share: Option<Share>,
}

/// One file of a version.
#[derive(Debug)]
pub struct Part {
    /// Unique in the version, and the same in the next.
    pub path: String,
    pub media_type: String,
    /// `sha256:` and 64 digits.
    pub digest: String,
    pub size: Option<u64>,
    /// A manifest and no blob.
    pub is_manifest: bool,
    /// The name is that which whoever packed it gave.
    pub is_titled: bool,
}

/// Looks at what lies behind a digest; `layers`: also at the filesystems of images.
pub async fn fetch(api: &Api, digest: &str, layers: bool) -> Result<Contents, Failure> {
    let mut contents = Contents::default();
    let mut waiting = vec![(digest.to_owned(), String::new(), 0)];
    let mut manifests = 0;
    while let Some((digest, folder, depth)) = waiting.pop() {
        manifests += 1;
        let read = api.manifest(&digest).await.and_then(|fetched| {
            let parsed = Manifest::parse(&fetched.bytes).map_err(Failure::Garbage)?;
            Ok((fetched.bytes.len() as u64, parsed))
        });
        let (size, manifest) = match read {
            Ok(read) => read,
            Err(failure) if depth == 0 => return Err(failure),
            // A platform that was not pushed along: the others are looked at.
            Err(Failure::Gone) => continue,
            Err(failure @ (Failure::Garbage(_) | Failure::TooLarge { .. } | Failure::Rejected { .. })) => {
                contents.miss("manifest", format!("the manifest {digest}: {failure}"));
                continue;
            }
            Err(failure) => return Err(failure),
        };
        contents.manifest(&folder, &digest, size, &manifest, layers);
        for inner in &manifest.manifests {
            if manifest::sha256(&inner.digest).is_none() {
                contents.miss("digest", format!("a manifest in {digest} is named by no SHA-256"));
            } else if depth >= DEPTH_MAX || manifests + waiting.len() >= MANIFESTS_MAX {
                contents.miss("parts_max", format!("{digest} leads to more manifests than are followed"));
            } else {
                waiting.push((inner.digest.clone(), format!("{folder}{}/", inner.platform()), depth + 1));
            }
        }
    }
    Ok(contents)
}

impl Contents {
    fn manifest(&mut self, folder: &str, digest: &str, size: u64, manifest: &Manifest, layers: bool) {
        let config = manifest.files.iter().find(|file| file.is_config).map(|file| &*file.media_type);
        let packaging = packaging(manifest, config);
        // An index says little of itself: what its manifests are counts.
        if self.packaging.is_empty() || self.packaging == "index" {
            self.packaging = packaging;
            let kind = manifest.artifact_type.as_deref().or(config).unwrap_or_default();
            self.kind = shorten(kind, TYPE_CHARS_MAX);
        }
        for (key, value) in &manifest.annotations {
            let bytes: usize = self.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
            if self.annotations.len() >= ANNOTATIONS_MAX || bytes + key.len() + value.len() > ANNOTATIONS_BYTES_MAX {
                self.miss("annotations", format!("the annotations of {digest} are longer than what is kept"));
            } else {
                self.annotations.insert(key.clone(), value.clone());
            }
        }
        self.push(Part {
            path: format!("{folder}manifest.json"),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            digest: digest.to_owned(),
            size: Some(size),
            is_manifest: true,
            is_titled: true,
        });
        let mut left_out = 0;
        for file in &manifest.files {
            if LAYERS.iter().any(|kind| file.media_type.starts_with(kind)) && !layers {
                left_out += 1;
            } else if file.media_type != EMPTY {
                self.file(folder, file);
            }
        }
        if left_out > 0 && packaging == "modelcar" {
            let why = format!("{left_out} layers of {digest} are not fetched; set `image_layers` to look into them");
            self.miss("image_layers", why);
        }
    }

    fn file(&mut self, folder: &str, file: &Descriptor) {
        if manifest::sha256(&file.digest).is_none() {
            self.miss("digest", format!("`{}` is named by no SHA-256", shorten(&file.name(), 100)));
            return;
        }
        let title = file.title.as_deref().filter(|title| is_name(title));
        self.push(Part {
            path: format!("{folder}{}", title.map_or_else(|| untitled(file), ToOwned::to_owned)),
            media_type: shorten(&file.media_type, TYPE_CHARS_MAX),
            digest: file.digest.clone(),
            size: file.size,
            is_manifest: false,
            is_titled: title.is_some(),
        });
    }

    fn push(&mut self, mut part: Part) {
        // The same blob under the same name is one file; of others with that name each has a number.
        if self.names.get(&part.path) == Some(&part.digest) {
            return;
        }
        if self.parts.len() >= PARTS_MAX {
            self.miss("parts_max", format!("it has more than {PARTS_MAX} files"));
            return;
        }
        let base = part.path.clone();
        let mut number = self.numbers.get(&base).copied().unwrap_or(1);
        while self.names.contains_key(&part.path) {
            number += 1;
            part.path = format!("{base}~{number}");
        }
        if number > 1 {
            self.numbers.insert(base, number);
        }
        self.names.insert(part.path.clone(), part.digest.clone());
        self.parts.push(part);
    }

    /// Takes the room that it needs, if there is so much.
    pub fn keep(mut self, held: &Held) -> Option<Self> {
        (self.names, self.numbers) = (BTreeMap::new(), BTreeMap::new());
        let annotations = self.annotations.iter().map(|(key, value)| key.len() + value.len());
        let parts = self.parts.iter().map(|part| size_of::<Part>() + part.path.len() + part.media_type.len() + 71);
        let bytes: usize = annotations.chain(parts).sum();
        self.share = Some(held.take(bytes as u64)?);
        Some(self)
    }

    fn miss(&mut self, reason: &'static str, sentence: String) {
        if !self.missing.iter().any(|(known, _)| *known == reason) {
            self.missing.push((reason, sentence));
        }
    }
}

/// Who packed it, as far as its types say.
fn packaging(manifest: &Manifest, config: Option<&str>) -> &'static str {
    let layers = manifest.files.iter().filter(|file| !file.is_config).map(|file| &*file.media_type);
    let mut types = manifest.artifact_type.as_deref().into_iter().chain(config).chain(layers);
    let known = types.find_map(|kind| PACKAGINGS.iter().find(|(start, _)| kind.starts_with(start)));
    if let Some((_, packaging)) = known {
        return packaging;
    }
    let annotated = manifest.annotations.keys().any(|key| MODEL_ANNOTATIONS.iter().any(|start| key.starts_with(start)));
    match config {
        Some(config) if IMAGES.contains(&config) && annotated => "modelcar",
        Some(config) if IMAGES.contains(&config) => "image",
        None if !manifest.manifests.is_empty() => "index",
        _ => "oras",
    }
}

/// Whether a name can be part of a path and of a line.
fn is_name(title: &str) -> bool {
    remote::is_plain(title) && !title.chars().any(char::is_control)
}

/// What a part without a name is called: by its kind, so that it is called the same in the next version.
fn untitled(file: &Descriptor) -> String {
    if file.is_config {
        return "config.json".to_owned();
    }
    let kind = file.media_type.strip_prefix("application/").unwrap_or(&file.media_type);
    let known = PACKAGINGS.iter().find_map(|(start, _)| file.media_type.strip_prefix(start));
    let kind = known.unwrap_or_else(|| kind.strip_prefix("vnd.").unwrap_or(kind));
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = kind.chars().take(80).map(plain).collect();
    if is_name(&name) { name } else { "blob".to_owned() }
}
