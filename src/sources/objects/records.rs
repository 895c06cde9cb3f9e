//! The record of an object.

use super::Place;
use super::bucket::Object;
use super::config::Config;
use crate::event::subject::SubjectKind;
use crate::event::{ArtifactRef, Fields, Sha256, Subject, Value, identity};
use crate::sources::{Hint, Record, RecordKind};

/// The record of an object as it stands now. `restored`: the older version that these bytes were once before.
/// `claimed`: the digest that the store keeps of them.
pub fn record(
    config: &Config,
    place: &Place,
    object: &Object,
    restored: Option<&str>,
    claimed: Option<Sha256>,
    hint: Hint,
) -> Record {
    let address = place.of_key(&object.key);
    Record {
        key: object.key.clone(),
        kind: RecordKind::Artifact,
        signature: signature(object, claimed),
        subject: Subject::new(SubjectKind::Artifact, address.clone()),
        artifact: Some(ArtifactRef {
            store: config.name.clone(),
            path: address.replace('\\', "\\\\"),
            version: None,
            lineage: address.clone(),
        }),
        time: object.modified,
        place: crate::event::Place::default(),
        attributes: attributes(config, place, object, restored, claimed, address),
        hint,
    }
}

/// Changes with the bytes: their digest, where the store keeps it, else whatever may have changed with them.
fn signature(object: &Object, claimed: Option<Sha256>) -> String {
    claimed.map_or_else(|| listed(object), |claimed| format!("{} sha256:{claimed}", object.size))
}

/// Changes whenever the bytes may have: size, tag, time in seconds, and generation or version. Each of them may be
/// missing, or stay the same when others change.
pub fn listed(object: &Object) -> String {
    let time = object.modified.map_or(0, jiff::Timestamp::as_second);
    let or_none = |text: Option<&str>| text.unwrap_or("-").to_owned();
    format!("{} {} {time} {}", object.size, or_none(object.tag()), or_none(object.version.as_deref()))
}

fn attributes(
    config: &Config,
    place: &Place,
    object: &Object,
    restored: Option<&str>,
    claimed: Option<Sha256>,
    address: String,
) -> Fields {
    let mut fields = Fields::new();
    let mut put = |path: &str, value: Value| fields.insert(path.to_owned(), value);
    let name = object.key.rsplit('/').next().unwrap_or(&object.key);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default();
    put("file.path", object.key.as_str().into());
    put("file.name", name.into());
    put("file.extension", extension.into());
    put("file.size", object.size.into());
    if let Some(modified) = object.modified {
        put("file.modified", modified.to_string().into());
    }
    put(identity::FIELD, vec![identity::of_address(config.endpoint.as_deref(), &address)].into());
    put("ml.artifact.url", address.into());
    if let Some(tag) = object.tag() {
        put("ml.artifact.etag", tag.into());
    }
    if let Some(version) = &object.version {
        put("ml.artifact.generation", version.as_str().into());
    }
    if let Some(claimed) = claimed {
        put("artifact.claimed_hash", format!("sha256:{claimed}").into());
    }
    if let Some(restored) = restored {
        put("ml.artifact.restored_from", restored.into());
    }
    if let Some(model) = served(config.serves.as_deref(), place.below(&object.key)) {
        put("file.served", true.into());
        put("ml.model.name", model.into());
    }
    fields
}

/// The model that is served from an object: the one that is configured, or the first folder below the prefix.
fn served<'a>(serves: Option<&'a str>, below: &'a str) -> Option<&'a str> {
    match serves? {
        "*" => below.split_once('/').map(|(folder, _)| folder).filter(|folder| !folder.is_empty()),
        name => Some(name),
    }
}
