//! What was said as a record, and how a change of it is told.

use jiff::Timestamp;

use super::data::{Artifact, Data, Gone, Model, Version};
use super::fetch::Allowed;
use crate::base::uri::{encode, encode_path};
use crate::event::subject::SubjectKind;
use crate::event::{ArtifactRef, Fields, Subject, Value, identity};
use crate::sources::models::changes::{Deletions, Ways, change, text};
use crate::sources::models::{self, describe, put, source_uri, tags};
use crate::sources::{Change, Hint, Record, RecordKind, Statement};

/// What all records have in common.
pub struct Maker<'a> {
    /// Name of the source, which is that of its store.
    pub source: &'a str,
    /// Where bytes may be fetched from.
    pub allowed: &'a Allowed,
    pub hint: Hint,
}

/// The key of what is spoken of.
pub fn key(data: &Data) -> String {
    match data {
        Data::Model(Model { name, .. }) => models::model_key(name),
        Data::Version(Version { model, number, .. }) => models::version_key(model, number),
        Data::Artifact(Artifact { model, version, path, .. })
        | Data::Gone(Gone { model, version, path: Some(path) }) => {
            artifact_key(model.as_deref(), version.as_deref(), path)
        }
        Data::Gone(Gone { model: Some(model), version: Some(version), path: None }) => {
            models::version_key(model, version)
        }
        Data::Gone(Gone { model, .. }) => models::model_key(model.as_deref().unwrap_or_default()),
    }
}

fn artifact_key(model: Option<&str>, version: Option<&str>, path: &str) -> String {
    match (model, version) {
        (Some(model), Some(version)) => models::artifact_key(model, version, path),
        (Some(model), None) => format!("file-of/{}/{}", encode(model), encode_path(path)),
        (None, _) => format!("file/{}", encode_path(path)),
    }
}

impl Maker<'_> {
    /// An address from which nothing may be fetched, if the bytes are said to lie at one.
    pub fn refuses<'d>(&self, data: &'d Data) -> Option<&'d str> {
        let Data::Artifact(Artifact { url: Some(url), .. }) = data else { return None };
        self.allowed.resolve(url).is_none().then_some(url)
    }

    /// What was said, by whom and when.
    pub fn statement(&self, data: Data, sender: &str, time: Timestamp) -> Statement {
        let key = key(&data);
        let (record, existing) = match data {
            Data::Model(model) => (self.model(key, &model, sender), model.existing),
            Data::Version(version) => (self.version(key, &version, sender), version.existing),
            Data::Artifact(artifact) => (self.artifact(key, &artifact, sender), artifact.existing),
            Data::Gone(_) => return Statement::Gone(key),
        };
        let record = Record { time: Some(time), ..record };
        if existing { Statement::Stood(record) } else { Statement::Stands(record) }
    }

    fn model(&self, key: String, model: &Model, sender: &str) -> Record {
        let mut fields = named(Some(&model.name), model.registry.as_deref().unwrap_or(sender));
        let pairs = model.aliases.iter().map(|(alias, version)| format!("{alias}={version}"));
        put(&mut fields, "ml.model.alias_versions", pairs.collect::<Vec<_>>());
        put(&mut fields, "ml.model.aliases", model.aliases.keys().cloned().collect::<Vec<_>>());
        if let Some(private) = model.private {
            put(&mut fields, "ml.model.private", private);
        }
        describe(&mut fields, model.description.as_deref());
        put_tags(&mut fields, "ml.model.tags.", &model.tags);
        let subject = Subject::new(SubjectKind::Model, &*model.name);
        models::record(key, RecordKind::Model, subject, fields, self.hint)
    }

    fn version(&self, key: String, version: &Version, sender: &str) -> Record {
        let mut fields = named(Some(&version.model), version.registry.as_deref().unwrap_or(sender));
        put(&mut fields, "ml.model.version", &*version.number);
        put(&mut fields, "ml.model.aliases", version.aliases.clone());
        if let Some(stage) = &version.stage {
            put(&mut fields, "ml.model.stage", &**stage);
        }
        if let Some(source) = &version.source {
            put(&mut fields, "ml.model.source", &**source);
            put(&mut fields, "ml.model.source.scheme", source_uri::scheme(source));
            put(&mut fields, "ml.model.source.traversal", source_uri::traversal(source));
            if let Some(pinned) = source_uri::pinned(source) {
                put(&mut fields, "ml.model.source.pinned", pinned);
            }
        }
        if let Some(run) = &version.run {
            put(&mut fields, "ml.run.id", &**run);
        }
        describe(&mut fields, version.description.as_deref());
        put_tags(&mut fields, "ml.model.version.tags.", &version.tags);
        let subject = Subject::new(SubjectKind::ModelVersion, format!("{}/{}", version.model, version.number));
        models::record(key, RecordKind::ModelVersion, subject, fields, self.hint)
    }

    fn artifact(&self, key: String, artifact: &Artifact, sender: &str) -> Record {
        let mut fields = named(artifact.model.as_deref(), artifact.registry.as_deref().unwrap_or(sender));
        models::file(&mut fields, &artifact.path);
        if let Some(version) = &artifact.version {
            put(&mut fields, "ml.model.version", &**version);
        }
        if let Some(size) = artifact.size {
            put(&mut fields, "file.size", size);
        }
        let claimed = artifact.sha256.map(|digest| format!("sha256:{digest}"));
        let identity = claimed.clone().or_else(|| artifact.etag.clone()).unwrap_or_default();
        if let Some(tag) = &artifact.etag {
            put(&mut fields, "ml.artifact.etag", &**tag);
        }
        if let Some(claimed) = claimed {
            put(&mut fields, "artifact.claimed_hash", claimed);
        }
        let address = artifact.url.as_deref().and_then(|url| self.allowed.resolve(url));
        if let Some(url) = &address {
            put(&mut fields, "ml.artifact.url", &**url);
        }
        put(&mut fields, identity::FIELD, identities(artifact));
        let (kind, subject) = match (&artifact.model, &artifact.version) {
            (Some(model), Some(version)) => {
                (RecordKind::VersionArtifact, Subject::new(SubjectKind::ModelVersion, format!("{model}/{version}")))
            }
            (_, None) | (None, _) => (RecordKind::Artifact, Subject::new(SubjectKind::Artifact, &*artifact.path)),
        };
        let lineage = match &artifact.model {
            Some(model) => format!("{model}/{}", artifact.path),
            None => artifact.path.clone(),
        };
        let size = artifact.size.map(|size| size.to_string()).unwrap_or_default();
        Record {
            key,
            kind,
            signature: format!("{size} {identity} {}", artifact.etag.as_deref().unwrap_or("-")),
            subject,
            artifact: address.map(|path| ArtifactRef {
                store: self.source.to_owned(),
                path,
                version: Some(artifact.version.clone().unwrap_or(identity)),
                lineage,
            }),
            time: None,
            place: crate::event::Place::default(),
            attributes: fields,
            hint: self.hint,
        }
    }
}

/// What the bytes are wherever they lie: a version of a registry that is named. An address may hold one version after
/// another.
fn identities(artifact: &Artifact) -> Vec<String> {
    match (&artifact.registry, &artifact.model, &artifact.version) {
        (Some(registry), Some(model), Some(version)) => {
            vec![identity::of_version(registry, model, version, &artifact.path)]
        }
        (..) => Vec::new(),
    }
}

fn named(model: Option<&str>, registry: &str) -> Fields {
    let mut fields = Fields::new();
    put(&mut fields, "ml.model.registry", registry);
    if let Some(model) = model {
        put(&mut fields, "ml.model.name", model);
    }
    fields
}

fn put_tags(fields: &mut Fields, prefix: &str, all: &std::collections::BTreeMap<String, String>) {
    tags(fields, prefix, all.iter().map(|(key, value)| (&**key, &**value)));
}

/// What must hold of a model and of the bytes of a version, once it was said.
pub const fn lasting(kind: RecordKind) -> &'static [&'static str] {
    match kind {
        RecordKind::Model => &["ml.model.private"],
        RecordKind::VersionArtifact => &OF_BYTES,
        RecordKind::Artifact | RecordKind::ModelVersion | RecordKind::Webhook | RecordKind::LoggedModel => &[],
    }
}

/// What tells bytes from others, the best first.
const OF_BYTES: [&str; 3] = [identity::CLAIMED, "ml.artifact.etag", "file.size"];

/// How a change is told: as in every registry, and of bytes that are not fetched by what is said of them.
pub fn changes(kind: RecordKind, old: Option<&Fields>, new: Option<&Fields>) -> Vec<Change> {
    let ways = Ways { gated: &|_| false, deletions: &Deletions::default() };
    let mut all = models::changes::changes(kind, old, new, &ways);
    let Some((old, new)) = old.zip(new) else { return all };
    let is = |fields: &Fields, value: bool| fields.get("ml.model.private") == Some(&Value::from(value));
    if kind == RecordKind::Model && is(old, true) && is(new, false) {
        all.push(change("model.opened", []));
    }
    // Of bytes that are fetched, what they are is told.
    let believed = !new.contains_key("ml.artifact.url");
    if kind == RecordKind::VersionArtifact && believed && are_others(old, new) {
        let previous = text(old, "artifact.claimed_hash");
        all.push(change("artifact.tampered", [("artifact.previous_hash", previous.into())]));
    }
    all
}

/// Whether bytes are others by the best that both say of them: digest, else tag, else size.
fn are_others(old: &Fields, new: &Fields) -> bool {
    let both = OF_BYTES.into_iter().find_map(|path| Some((old.get(path)?, new.get(path)?)));
    both.is_some_and(|(old, new)| old != new)
}
