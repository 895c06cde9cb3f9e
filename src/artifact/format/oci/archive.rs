//! Archives of images: layouts in a tar (`oci-archive`) and what `docker save` writes. What an index says of
//! the blobs is read first, so that each is looked at as what it is, under the name that it will have, and
//! compared with its digest and size.

use std::collections::{BTreeSet, HashMap};

use ::tar::Archive;

use super::{OLLAMA, PROMPTS, layer};
use crate::artifact::digest;
use crate::artifact::format::json::Json;
use crate::artifact::format::zip;
use crate::artifact::input::{Input, Stream};
use crate::artifact::inspection::Inspection;
use crate::event::Sha256;

/// Bytes of an index, a manifest or a configuration.
const JSON_MAX: u64 = 4 << 20;
/// Manifests of one archive, and indexes in indexes.
const MANIFESTS_MAX: usize = 1024;
const DEPTH_MAX: u32 = 8;
/// Names with which such an archive begins, beside digests.
const BEGINNINGS: &[&str] = &["blobs", "index.json", "oci-layout", "manifest.json", "repositories"];
/// Types of configurations of images that are run, and of layers that make up their filesystem.
const IMAGES: &[&str] = &["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const LAYERS: &[&str] = &["application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."];

/// What an archive says of its members.
#[derive(Default)]
pub struct Plan {
    parts: HashMap<String, Part>,
    members: Members,
    manifests: usize,
    /// What a manifest needs and the archive does not have.
    missing: BTreeSet<String>,
}

/// What is said of one member.
#[derive(Default)]
pub struct Part {
    title: Option<String>,
    media: String,
    pub digest: Option<Sha256>,
    size: Option<u64>,
    /// It is a part of an image's filesystem.
    root: bool,
}

/// Members by name, with their places.
type Members = HashMap<String, Place>;

struct Place {
    start: u64,
    size: u64,
    sha256: Option<Sha256>,
}

fn plain(name: &str) -> &str {
    name.trim_start_matches("./").trim_start_matches('/')
}

/// Reads the indexes of an archive of images; `None` for any other archive.
pub fn plan(input: Input<'_>) -> Option<Plan> {
    let mut archive = Archive::new(Stream::new(input));
    let mut members = Members::new();
    for entry in archive.entries_with_seek().ok()? {
        let Ok(entry) = entry else { break };
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let first = plain(&name).split(['/', '.']).next().unwrap_or_default();
        let begins = BEGINNINGS.iter().any(|known| plain(&name).starts_with(known)) || digest::digest(first).is_some();
        if members.is_empty() && !begins {
            return None;
        }
        let (start, size) = (entry.raw_file_position(), entry.size());
        // Here, where reading goes forward: a compressed archive cannot be read twice.
        let sha256 = entry.header().entry_type().is_file().then(|| digest::sha256(input.window(start, size))).flatten();
        members.insert(plain(&name).to_owned(), Place { start, size, sha256 });
        if members.len() > input.budget.limits.members_max as usize {
            break;
        }
    }
    let read = |name: &str| {
        let place = members.get(name).filter(|place| place.size <= JSON_MAX)?;
        Json::parse_python(&input.window(place.start, place.size).whole()?)
    };
    let index = read("index.json").filter(|index| index.get("manifests").is_some());
    let saved = read("manifest.json").filter(super::is_saved);
    if index.is_none() && saved.is_none() {
        return None;
    }
    let mut plan = Plan::default();
    if let Some(index) = index {
        plan.manifest(&index, &members, &read, 0);
    }
    for image in saved.iter().flat_map(Json::items) {
        plan.saved(image, &members, &read);
    }
    plan.members = members;
    Some(plan)
}

impl Plan {
    /// What is said of a member.
    pub fn part(&self, name: &str) -> Option<&Part> {
        self.parts.get(plain(name))
    }

    /// The digest of a member's bytes.
    pub fn digest(&self, name: &str) -> Option<Sha256> {
        self.members.get(plain(name))?.sha256
    }

    /// Says what is not there.
    pub fn finish(&self, inspection: &mut Inspection<'_>) {
        if let Some(path) = self.missing.first() {
            inspection.issue("truncated", &format!("what a manifest names is not in the archive: {path}"));
        }
        if self.manifests > MANIFESTS_MAX {
            inspection.issue("budget_exceeded", "there are more manifests than are followed");
        }
    }

    fn manifest(&mut self, json: &Json, members: &Members, read: &dyn Fn(&str) -> Option<Json>, depth: u32) {
        self.manifests = self.manifests.saturating_add(1);
        if depth > DEPTH_MAX || self.manifests > MANIFESTS_MAX {
            return;
        }
        for inner in json.get("manifests").map(Json::items).unwrap_or_default() {
            // Images for other machines need not be there.
            let Some(path) = self.note(inner, false, members, false) else { continue };
            if let Some(json) = read(&path) {
                self.manifest(&json, members, read, depth.saturating_add(1));
            }
        }
        let config = json.get("config");
        let kind = config.and_then(|config| config.get("mediaType")).and_then(Json::as_text).unwrap_or_default();
        let image = IMAGES.contains(&kind) && json.get("artifactType").is_none();
        if let Some(config) = config {
            self.note(config, false, members, true);
        }
        let lists = ["layers", "blobs"].iter().filter_map(|key| json.get(key));
        for layer in lists.flat_map(Json::items) {
            let kind = layer.get("mediaType").and_then(Json::as_text).unwrap_or_default();
            let root = image && super::title(layer).is_none() && LAYERS.iter().any(|start| kind.starts_with(start));
            self.note(layer, root, members, true);
        }
    }

    /// Remembers what a descriptor says; its path, if its bytes are there.
    fn note(&mut self, descriptor: &Json, root: bool, members: &Members, needed: bool) -> Option<String> {
        let text = |key: &str| descriptor.get(key).and_then(Json::as_text);
        let path = format!("blobs/{}", text("digest")?.replacen(':', "/", 1));
        if !members.contains_key(&path) {
            let elsewhere = descriptor.get("urls").is_some_and(|urls| !urls.items().is_empty());
            let empty = descriptor.get("data").is_some();
            if needed && !elsewhere && !empty {
                self.missing.insert(path);
            }
            return None;
        }
        let part = self.parts.entry(path.clone()).or_default();
        part.root |= root;
        part.digest = digest::digest(text("digest")?);
        part.size = part.size.or(descriptor.get("size").and_then(Json::as_u64));
        part.title = part.title.take().or(super::title(descriptor).map(str::to_owned));
        if part.media.is_empty() {
            text("mediaType").unwrap_or_default().clone_into(&mut part.media);
        }
        Some(path)
    }

    /// An image as `docker save` tells of it: its layers are not compressed, and its configuration has their
    /// digests.
    fn saved(&mut self, image: &Json, members: &Members, read: &dyn Fn(&str) -> Option<Json>) {
        let path = image.get("Config").and_then(Json::as_text).map(plain).unwrap_or_default();
        let digests: Vec<Option<Sha256>> = read(path)
            .as_ref()
            .and_then(|config| config.get("rootfs")?.get("diff_ids"))
            .map(Json::items)
            .unwrap_or_default()
            .iter()
            .map(|id| digest::digest(id.as_text()?))
            .collect();
        if members.contains_key(path) {
            // The configuration of such an archive is named by its digest.
            let config = self.parts.entry(path.to_owned()).or_default();
            config.digest = config.digest.or_else(|| digest::digest(path.strip_suffix(".json")?));
        } else {
            self.missing.insert(path.to_owned());
        }
        let layers = image.get("Layers").map(Json::items).unwrap_or_default();
        for (number, path) in layers.iter().filter_map(Json::as_text).map(plain).enumerate() {
            if !members.contains_key(path) {
                self.missing.insert(path.to_owned());
                continue;
            }
            let part = self.parts.entry(path.to_owned()).or_default();
            // What a layout says of the same bytes is more.
            if part.media.is_empty() {
                part.root = true;
                part.digest = part.digest.or(digests.get(number).copied().flatten());
            }
        }
    }
}

/// Compares a member with what is said of it, and looks at it as what it is.
pub fn look(inspection: &mut Inspection<'_>, data: Input<'_>, member: &str, part: &Part) {
    if part.size.is_some_and(|size| size != data.len()) {
        inspection.list("artifact.digest.mismatches", format!("size:{member}"));
    }
    if let Some(prompt) = part.media.strip_prefix(OLLAMA).filter(|kind| PROMPTS.contains(kind)) {
        match data.whole() {
            Some(bytes) => super::prompt(inspection, prompt, &String::from_utf8_lossy(&bytes)),
            None => inspection.issue("budget_exceeded", "the prompt is larger than one item may be"),
        }
    }
    let name = match &part.title {
        _ if part.root => layer::name(part.digest),
        Some(title) => title.clone(),
        None if part.media.contains("gguf") || part.media == [OLLAMA, "model"].concat() => "model.gguf".to_owned(),
        None => member.to_owned(),
    };
    zip::member_of(inspection, data, &name, "zip");
}

/// The name under which a member is told.
pub fn shown<'a>(member: &'a str, part: &'a Part) -> &'a str {
    part.title.as_deref().unwrap_or(member)
}
