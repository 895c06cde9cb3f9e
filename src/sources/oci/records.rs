//! Records of repositories, their manifests and what those pack, in declared fields.

use std::collections::{BTreeMap, BTreeSet};

use super::config::Checked;
use super::contents::{Contents, Part};
use super::repository::Repository;
use crate::base::text::shorten;
use crate::event::subject::SubjectKind;
use crate::event::{ArtifactRef, Fields, Place, Subject, identity};
use crate::sources::models::{self, TEXT_CHARS_MAX, describe, put};
use crate::sources::{Hint, Record, RecordKind};

/// Annotations in which packagings describe a model.
const DESCRIPTION: &str = "org.opencontainers.image.description";
/// Where a build says that it came from.
const SOURCE: &str = "org.opencontainers.image.source";

/// Bytes of annotations that each record of a version carries.
const ANNOTATIONS_BYTES_MAX: usize = 8 << 10;

/// What all records of one repository have in common.
pub struct Maker<'a> {
    pub checked: &'a Checked,
    pub name: &'a str,
    pub repository: &'a Repository,
    pub hint: Hint,
}

impl Maker<'_> {
    /// Versions to which tags lead, each with those tags.
    pub fn versions(&self) -> Vec<(&str, Vec<&str>, &Contents)> {
        let mut by_digest: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (tag, digest) in &self.repository.tags {
            by_digest.entry(digest).or_default().push(tag);
        }
        let known = |(digest, tags)| Some((digest, tags, self.repository.versions.get(digest)?));
        by_digest.into_iter().filter_map(known).collect()
    }

    pub fn model(&self) -> Record {
        let mut fields = self.fields();
        let tags = &self.repository.tags;
        let pairs: Vec<String> = tags.iter().map(|(tag, digest)| format!("{tag}={digest}")).collect();
        let gated = tags.iter().filter(|(tag, _)| self.checked.gated(tag));
        let open: BTreeSet<String> = gated
            .flat_map(|(tag, digest)| self.lacking(digest).into_iter().map(move |what| format!("{tag}={what}")))
            .collect();
        put(&mut fields, "ml.model.aliases", tags.keys().map(String::as_str).collect::<Vec<_>>());
        put(&mut fields, "ml.model.alias_versions", pairs);
        put(&mut fields, "ml.model.gate.open", open.into_iter().collect::<Vec<_>>());
        let subject = Subject::new(SubjectKind::Model, self.name);
        models::record(models::model_key(self.name), RecordKind::Model, subject, fields, self.hint)
    }

    /// What a version lacks of what the gate asks for.
    fn lacking(&self, digest: &str) -> Vec<String> {
        let gate = &self.checked.config.gate;
        let contents = self.repository.versions.get(digest);
        let has = |name: &String| contents.is_some_and(|contents| contents.annotations.contains_key(name));
        let mut lacking: Vec<String> = gate.required_annotations.iter().filter(|name| !has(name)).cloned().collect();
        if gate.signature && !self.repository.signed.contains(digest) {
            lacking.push("signature".to_owned());
        }
        lacking
    }

    pub fn version(&self, digest: &str, tags: &[&str], contents: &Contents) -> Record {
        let mut fields = self.of_version(digest, tags, contents);
        if let Some(source) = contents.annotations.get(SOURCE) {
            put(&mut fields, "ml.model.source", shorten(source, TEXT_CHARS_MAX));
        }
        models::record(
            models::version_key(self.name, digest),
            RecordKind::ModelVersion,
            self.subject(digest),
            fields,
            self.hint,
        )
    }

    pub fn artifact(&self, digest: &str, tags: &[&str], contents: &Contents, part: &Part) -> Record {
        let mut fields = self.of_version(digest, tags, contents);
        models::file(&mut fields, &part.path);
        put(&mut fields, "oci.media_type", &*part.media_type);
        put(&mut fields, "artifact.claimed_hash", &*part.digest);
        put(&mut fields, identity::FIELD, vec![identity::of_manifest(digest, &part.path)]);
        if let Some(size) = part.size {
            put(&mut fields, "file.size", size);
        }
        Record {
            key: models::artifact_key(self.name, digest, &part.path),
            kind: RecordKind::VersionArtifact,
            // A registry promises the same bytes for the same digest for ever.
            signature: part.digest.clone(),
            subject: self.subject(digest),
            artifact: Some(ArtifactRef {
                store: self.checked.config.name.clone(),
                path: self.address(part).replace('\\', "\\\\"),
                version: Some(digest.to_owned()),
                lineage: format!("{}/{}", self.name, part.path),
            }),
            time: None,
            place: Place::default(),
            attributes: fields,
            hint: self.hint,
        }
    }

    /// Where the bytes of a part are asked for. A name that its packer gave says what it should be; a blob without one
    /// is named as Ollama names it where it keeps it.
    fn address(&self, part: &Part) -> String {
        let repository = format!("oci://{}/{}", self.checked.config.registry, self.name);
        if part.is_manifest {
            format!("{repository}/manifests/{}/{}", part.digest, part.path)
        } else if part.is_titled {
            format!("{repository}/blobs/{}/{}", part.digest, part.path)
        } else {
            format!("{repository}/blobs/{}", part.digest.replace(':', "-"))
        }
    }

    fn of_version(&self, digest: &str, tags: &[&str], contents: &Contents) -> Fields {
        let mut fields = self.fields();
        put(&mut fields, "ml.model.version", digest);
        put(&mut fields, "ml.model.aliases", tags.to_vec());
        put(&mut fields, "oci.manifest.digest", digest);
        put(&mut fields, "oci.packaging", contents.packaging);
        put(&mut fields, "oci.artifact.type", &*contents.kind);
        put(&mut fields, "oci.signed", self.repository.signed.contains(digest));
        describe(&mut fields, contents.annotations.get(DESCRIPTION).map(String::as_str));
        let mut bytes = 0;
        let annotations =
            contents.annotations.iter().map(|(name, text)| (&**name, &**text)).take_while(|(name, text)| {
                bytes += name.len() + text.len().min(TEXT_CHARS_MAX);
                bytes <= ANNOTATIONS_BYTES_MAX
            });
        models::tags(&mut fields, "ml.model.version.tags.", annotations);
        fields
    }

    fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        put(&mut fields, "ml.model.registry", &*self.checked.config.registry);
        put(&mut fields, "ml.model.name", self.name);
        fields
    }

    fn subject(&self, digest: &str) -> Subject {
        Subject::new(SubjectKind::ModelVersion, format!("{}@{digest}", self.name))
    }
}
