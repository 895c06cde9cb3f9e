//! What all registries of models have in common: the keys of their records, and how a change of a model or version
//! is told.

pub mod changes;
pub mod source_uri;

use crate::base::text::shorten;
use crate::base::uri::{encode, encode_path};
use crate::event::value::to_json;
use crate::event::{Fields, Place, Subject, Value, digest};
use crate::sources::{Hint, Record, RecordKind};

/// Longer descriptions and tags are cut.
pub const TEXT_CHARS_MAX: usize = 2_000;
/// More tags on one thing are left out.
const TAGS_MAX: usize = 200;
/// Longer keys of tags are cut.
const TAG_CHARS_MAX: usize = 250;

pub fn model_key(name: &str) -> String {
    format!("model/{}", encode(name))
}

pub fn version_key(name: &str, version: &str) -> String {
    format!("{}{}", version_prefix(name), encode(version))
}

/// What the keys of all versions of a model begin with.
pub fn version_prefix(name: &str) -> String {
    format!("version/{}/", encode(name))
}

/// What the keys of all artifacts of all versions of a model begin with.
pub fn artifacts_prefix(name: &str) -> String {
    format!("artifact/{}/", encode(name))
}

/// What the keys of all artifacts of a version begin with.
pub fn artifact_prefix(name: &str, version: &str) -> String {
    format!("{}{}/", artifacts_prefix(name), encode(version))
}

pub fn artifact_key(name: &str, version: &str, path: &str) -> String {
    format!("{}{}", artifact_prefix(name, version), encode_path(path))
}

/// The record of a model or version: it has no bytes of its own, and its fields say how it stands.
pub fn record(key: String, kind: RecordKind, subject: Subject, attributes: Fields, hint: Hint) -> Record {
    Record {
        key,
        kind,
        signature: digest::of_parts(&[&to_json(&attributes).to_string()]).short(),
        subject,
        artifact: None,
        time: None,
        place: Place::default(),
        attributes,
        hint,
    }
}

pub fn put(fields: &mut Fields, path: &str, value: impl Into<Value>) {
    fields.insert(path.to_owned(), value.into());
}

/// Path, name and extension of a file inside a version.
pub fn file(fields: &mut Fields, path: &str) {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default();
    put(fields, "file.path", path);
    put(fields, "file.name", name);
    put(fields, "file.extension", extension);
}

pub fn describe(fields: &mut Fields, description: Option<&str>) {
    if let Some(text) = description.filter(|text| !text.is_empty()) {
        put(fields, "ml.model.description", shorten(text, TEXT_CHARS_MAX));
    }
}

/// Tags of a model or version, each a field below `prefix`.
pub fn tags<'t>(fields: &mut Fields, prefix: &str, tags: impl IntoIterator<Item = (&'t str, &'t str)>) {
    for (key, value) in tags.into_iter().take(TAGS_MAX) {
        put(fields, &format!("{prefix}{}", shorten(key, TAG_CHARS_MAX)), shorten(value, TEXT_CHARS_MAX));
    }
}
