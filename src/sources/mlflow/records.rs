//! Records of models, versions and their artifacts, in declared fields.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Config;
use super::api::{Model, Tag, Version};
use super::prompts;
use super::registry::{Held, Registry};
use super::runs;
use crate::base::text::shorten;
use crate::event::subject::SubjectKind;
use crate::event::{ArtifactRef, Fields, Place, Subject, identity};
use crate::sources::models::{self, TEXT_CHARS_MAX, describe, put, source_uri};
use crate::sources::{Hint, Record, RecordKind};

pub use crate::sources::models::{artifact_key, artifact_prefix, model_key, version_key};

/// What all records have in common.
pub struct Maker<'a> {
    pub config: &'a Config,
    pub registry: &'a str,
    pub hint: Hint,
}

impl Maker<'_> {
    /// `lacking` gives the approval tags that the version behind an alias lacks.
    pub fn model(&self, model: &Model, lacking: impl Fn(&str, &str) -> Vec<String>) -> Record {
        let mut fields = self.fields(&model.name);
        let mut aliases: Vec<_> = model.aliases.iter().collect();
        aliases.sort_by(|one, other| one.alias.cmp(&other.alias));
        let names: Vec<&str> = aliases.iter().map(|alias| &*alias.alias).collect();
        let pairs: Vec<String> = aliases.iter().map(|alias| format!("{}={}", alias.alias, alias.version)).collect();
        let open: Vec<String> = aliases
            .iter()
            .flat_map(|alias| {
                lacking(&alias.alias, &alias.version).into_iter().map(|tag| format!("{}={tag}", alias.alias))
            })
            .collect();
        put(&mut fields, "ml.model.aliases", names);
        put(&mut fields, "ml.model.alias_versions", pairs);
        put(&mut fields, "ml.model.gate.open", open);
        describe(&mut fields, model.description.as_deref());
        tags(&mut fields, "ml.model.tags.", &model.tags);
        self.record(
            model_key(&model.name),
            RecordKind::Model,
            Subject::new(SubjectKind::Model, &*model.name),
            model.last_updated_timestamp,
            fields,
        )
    }

    /// `location`: where the registry says that its bytes are.
    pub fn version(&self, version: &Version, registry: &Registry, location: Option<&str>) -> Record {
        let aliases = registry.aliases(&(version.name.clone(), version.version.clone()));
        let mut fields = self.fields(&version.name);
        let source = version.source.as_deref().unwrap_or_default();
        let run = version.run_id.as_deref().unwrap_or_default();
        put(&mut fields, "ml.model.version", &*version.version);
        put(&mut fields, "ml.model.stage", version.current_stage.as_deref().unwrap_or("None"));
        put(&mut fields, "ml.model.source", shorten(source, TEXT_CHARS_MAX));
        put(&mut fields, "ml.model.source.scheme", source_uri::scheme(source));
        let list = &self.config.allowed_sources;
        // What the server resolves the source to counts as well, unless it is the server's own disk.
        let location = location.filter(|place| !place.is_empty());
        let remote = location.filter(|place| !matches!(&*source_uri::scheme(place), "" | "file"));
        let places = [Some(source), remote].into_iter().flatten();
        put(&mut fields, "ml.model.source.allowed", places.clone().all(|place| source_uri::allowed(place, run, list)));
        put(&mut fields, "ml.model.source.traversal", places.clone().any(source_uri::traversal));
        if let Some(pinned) = source_uri::pinned(source) {
            put(&mut fields, "ml.model.source.pinned", pinned);
        }
        if let Some(location) = location {
            put(&mut fields, "ml.model.artifact.location", shorten(location, TEXT_CHARS_MAX));
        }
        if prompts::is_prompt(version) {
            put(&mut fields, "ml.prompt.name", &*version.name);
        }
        put(&mut fields, "ml.run.id", run);
        runs::fields(registry, version, &mut fields);
        put(&mut fields, "ml.model.aliases", aliases.iter().map(String::as_str).collect::<Vec<_>>());
        describe(&mut fields, version.description.as_deref());
        tags(&mut fields, "ml.model.version.tags.", &version.tags);
        self.record(
            version_key(&version.name, &version.version),
            RecordKind::ModelVersion,
            subject(version),
            version.last_updated_timestamp,
            fields,
        )
    }

    /// One file of a version; `uri` is the address of its bytes.
    pub fn artifact(
        &self,
        version: &Version,
        aliases: &BTreeSet<String>,
        path: &str,
        uri: &str,
        held: &Held,
    ) -> Record {
        let mut fields = self.fields(&version.name);
        if prompts::is_prompt(version) {
            put(&mut fields, "ml.prompt.name", &*version.name);
        }
        put(&mut fields, "ml.model.version", &*version.version);
        put(&mut fields, "ml.model.aliases", aliases.iter().map(String::as_str).collect::<Vec<_>>());
        // What its maker says of the version is held against what differs in its bytes.
        put(&mut fields, "ml.run.id", version.run_id.as_deref().unwrap_or_default());
        describe(&mut fields, version.description.as_deref());
        tags(&mut fields, "ml.model.version.tags.", &version.tags);
        models::file(&mut fields, path);
        if let Some(size) = held.size {
            put(&mut fields, "file.size", size);
        }
        // Of a bucket that is read directly it is known which server has it.
        let bucket = self.config.artifact_buckets.iter().find(|bucket| uri.starts_with(&bucket.prefix));
        let named = identity::of_version(self.registry, &version.name, &version.version, path);
        let address = bucket.map(|bucket| identity::of_address(bucket.endpoint.as_deref(), uri));
        put(&mut fields, identity::FIELD, std::iter::once(named).chain(address).collect::<Vec<_>>());
        let names: Vec<&str> = aliases.iter().map(String::as_str).collect();
        Record {
            key: artifact_key(&version.name, &version.version, path),
            kind: RecordKind::VersionArtifact,
            // A new alias is a good moment to read the bytes again.
            signature: format!("{} {}", held.signature, names.join(",")),
            subject: subject(version),
            artifact: Some(ArtifactRef {
                store: self.config.name.clone(),
                path: uri.replace('\\', "\\\\"),
                version: Some(version.version.clone()),
                lineage: format!("{}/{path}", version.name),
            }),
            time: None,
            place: Place::default(),
            attributes: fields,
            hint: self.hint,
        }
    }

    fn fields(&self, name: &str) -> Fields {
        let mut fields = Fields::new();
        put(&mut fields, "ml.model.registry", self.registry);
        put(&mut fields, "ml.model.name", name);
        if let Some((space, _)) = name.split_once('/').filter(|_| !self.config.workspaces.is_empty()) {
            put(&mut fields, "ml.model.workspace", space);
        }
        fields
    }

    pub fn record(&self, key: String, kind: RecordKind, subject: Subject, millis: i64, attributes: Fields) -> Record {
        let time = Timestamp::from_millisecond(millis).ok().filter(|_| millis > 0);
        Record { time, ..models::record(key, kind, subject, attributes, self.hint) }
    }
}

fn subject(version: &Version) -> Subject {
    Subject::new(SubjectKind::ModelVersion, format!("{}/{}", version.name, version.version))
}

pub fn tags(fields: &mut Fields, prefix: &str, tags: &[Tag]) {
    models::tags(fields, prefix, tags.iter().map(|tag| (&*tag.key, &*tag.value)));
}
