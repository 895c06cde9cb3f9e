//! Records of repositories and their files, in declared fields.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::address::{Address, Kind};
use super::api::{About, File, References, Scans};
use crate::base::text::shorten;
use crate::base::uri::{encode, encode_path};
use crate::event::subject::SubjectKind;
use crate::event::value::to_json;
use crate::event::{ArtifactRef, Fields, Place, Subject, digest};
use crate::sources::models::{self, put};
use crate::sources::{Hint, Record, RecordKind};

/// Branches and tags of one repository that are kept.
const REFERENCES_MAX: usize = 1000;
/// Flagged files of one repository that are kept.
const ISSUES_MAX: usize = 200;
/// Characters of a level.
const LEVEL_MAX: usize = 32;

/// What a repository is called, with its collection unless that is the one of models.
pub fn name(address: &Address) -> String {
    match address.kind {
        Kind::Model => address.id.clone(),
        Kind::Dataset => format!("datasets/{}", address.id),
        Kind::Space => format!("spaces/{}", address.id),
    }
}

pub fn repository_key(name: &str) -> String {
    format!("repository/{}", encode_path(name))
}

/// What the keys of all files at a revision begin with.
pub fn files_prefix(name: &str, revision: &str) -> String {
    format!("file/{}/{}/", encode_path(name), encode(revision))
}

/// Who had a name: the number of the repository, and when it was created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owner {
    pub number: String,
    pub created: String,
}

impl Owner {
    pub fn of(about: &About) -> Self {
        let created = time(about.created.as_deref()).map(|created| created.to_string());
        Self { number: shorten(&about.number, 64), created: created.unwrap_or_default() }
    }

    /// Whether both are known, and differ: what a hub leaves out says nothing.
    pub fn is_another(&self, other: &Self) -> bool {
        let differ = |one: &str, two: &str| !one.is_empty() && !two.is_empty() && one != two;
        differ(&self.number, &other.number) || differ(&self.created, &other.created)
    }
}

/// Who has a name, and who had it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub owner: Owner,
    pub before: Option<Owner>,
}

impl Held {
    /// Who has a name now, given who had it; true if that is somebody else. Who had it before is said for as long as the
    /// repository stays (`told`): one that went and came back as it was is nobody else's.
    pub fn next(known: Option<Self>, now: Owner, told: bool) -> (Self, bool) {
        match known {
            None => (Self { owner: now, before: None }, false),
            Some(known) if known.owner.is_another(&now) => (Self { owner: now, before: Some(known.owner) }, true),
            Some(known) => {
                let known_or = |now: String, known: String| if now.is_empty() { known } else { now };
                let owner = Owner {
                    number: known_or(now.number, known.owner.number),
                    created: known_or(now.created, known.owner.created),
                };
                (Self { owner, before: known.before.filter(|_| told) }, false)
            }
        }
    }
}

/// How a file is looked at.
pub struct Look<'a> {
    /// What it is part of must never change.
    pub fixed: bool,
    /// It is fetched and looked into.
    pub fetched: bool,
    /// How bad the hub's own scanners find it.
    pub level: Option<&'a str>,
}

/// Files that the hub's scanners flag, as `path=level`.
fn issues(scans: &Scans) -> Vec<String> {
    let all = scans.files_with_issues.iter().take(ISSUES_MAX);
    let mut all: Vec<String> =
        all.map(|one| format!("{}={}", shorten(&one.path, 200), shorten(&one.level, LEVEL_MAX))).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What all records have in common.
pub struct Maker<'a> {
    /// Name of the source, which is that of its store.
    pub source: &'a str,
    pub endpoint: &'a str,
    pub hint: Hint,
}

impl Maker<'_> {
    /// `rewritten` names branches with the commit that is no part of their history any more, as `branch=commit`;
    /// `before` is what had this name before, where that was another repository.
    pub fn repository(
        &self,
        name: &str,
        about: &About,
        references: &References,
        rewritten: &[String],
        before: Option<&Owner>,
    ) -> Record {
        let mut fields = self.fields(name);
        let all = references.branches.iter().chain(&references.tags).take(REFERENCES_MAX);
        let mut all: Vec<_> = all.filter(|one| !one.name.is_empty()).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        let names: Vec<String> = all.iter().map(|one| shorten(&one.name, 200)).collect();
        let pairs: Vec<String> =
            all.iter().map(|one| format!("{}={}", shorten(&one.name, 200), shorten(&one.commit, 64))).collect();
        put(&mut fields, "ml.model.aliases", names);
        put(&mut fields, "ml.model.alias_versions", pairs);
        if let Some(private) = about.private {
            put(&mut fields, "ml.model.private", private);
        }
        if let Some(gated) = &about.gated {
            put(&mut fields, "ml.model.gated", *gated != serde_json::Value::Bool(false) && !gated.is_null());
        }
        put(&mut fields, "ml.model.owner.id", shorten(&about.number, 64));
        if let Some(scans) = &about.scans {
            put(&mut fields, "ml.model.scan.done", scans.done);
            put(&mut fields, "ml.model.scan.issues", issues(scans));
        }
        if let Some(created) = time(about.created.as_deref()) {
            put(&mut fields, "ml.model.created", created.to_string());
        }
        // What a look said once is no change of the repository.
        let signature = digest::of_parts(&[&to_json(&fields).to_string()]).short();
        if !rewritten.is_empty() {
            put(&mut fields, "ml.model.rewritten", rewritten.to_vec());
        }
        if let Some(before) = before {
            put(&mut fields, "ml.model.previous_created", before.created.as_str());
        }
        Record {
            key: repository_key(name),
            kind: RecordKind::Model,
            signature,
            subject: Subject::new(SubjectKind::Model, name),
            artifact: None,
            time: time(about.modified.as_deref()),
            place: Place::default(),
            attributes: fields,
            hint: self.hint,
        }
    }

    /// One file at a commit. What must never change is part of a version; a branch moves.
    pub fn file(&self, address: &Address, commit: &str, file: &File, look: &Look<'_>) -> Record {
        let &Look { fixed, fetched, level } = look;
        let name = name(address);
        let mut fields = self.fields(&name);
        if let Some(level) = level {
            put(&mut fields, "ml.artifact.scan.level", shorten(level, LEVEL_MAX));
        }
        if fixed {
            put(&mut fields, "ml.model.version", commit);
        }
        put(&mut fields, "ml.model.aliases", vec![address.revision.clone()]);
        models::file(&mut fields, &file.path);
        if let Some(size) = file.size() {
            put(&mut fields, "file.size", size);
        }
        put(&mut fields, "ml.artifact.etag", file.identity());
        if let Some(claimed) = file.sha256() {
            put(&mut fields, "artifact.claimed_hash", format!("sha256:{claimed}"));
        }
        let artifact = ArtifactRef {
            store: self.source.to_owned(),
            path: address.of_file(&file.path),
            // Its bytes are those of this commit, whatever is pushed until they are fetched.
            version: Some(commit.to_owned()),
            lineage: format!("{name}/{}", file.path),
        };
        Record {
            key: format!("{}{}", files_prefix(&name, &address.revision), encode_path(&file.path)),
            kind: if fixed { RecordKind::VersionArtifact } else { RecordKind::Artifact },
            signature: file.identity(),
            subject: Subject::new(SubjectKind::ModelVersion, format!("{name}/{}", address.revision)),
            artifact: fetched.then_some(artifact),
            time: None,
            place: Place::default(),
            attributes: fields,
            hint: self.hint,
        }
    }

    fn fields(&self, name: &str) -> Fields {
        let mut fields = Fields::new();
        put(&mut fields, "ml.model.registry", self.endpoint);
        put(&mut fields, "ml.model.name", name);
        fields
    }
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}
