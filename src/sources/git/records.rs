//! Records of repositories and of their files, in declared fields.

use gix_hash::ObjectId;

use super::dvc::Md5;
use super::look::{Branch, Look, Stored};
use super::refs::short;
use super::tree::shown;
use crate::base::uri::{encode, encode_path, encode_path_bytes};
use crate::event::subject::SubjectKind;
use crate::event::value::to_json;
use crate::event::{ArtifactRef, Fields, Place, Sha256, Subject, digest};
use crate::sources::models::{self, put};
use crate::sources::{Hint, Record, RecordKind};

/// Refs of one repository that its record names: those that are watched, and as many that no longer are.
pub const NAMED_MAX: usize = 2 * super::refs::REFS_MAX;

/// Which bytes a file has, by what names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Git(ObjectId),
    Lfs(Sha256),
    Dvc(Md5),
}

impl Identity {
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, hex) = text.split_once(':')?;
        match kind {
            "git" => Some(Self::Git(ObjectId::from_hex(hex.as_bytes()).ok()?)),
            "sha256" => Some(Self::Lfs(hex.parse().ok()?)),
            "md5" => Some(Self::Dvc(Md5::parse(hex)?)),
            _ => None,
        }
    }

    const fn kept_by(&self) -> &'static str {
        match self {
            Self::Git(_) => "git",
            Self::Lfs(_) => "lfs",
            Self::Dvc(_) => "dvc",
        }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Git(id) => write!(f, "git:{id}"),
            Self::Lfs(digest) => write!(f, "sha256:{digest}"),
            Self::Dvc(md5) => write!(f, "md5:{}", md5.as_str()),
        }
    }
}

/// One artifact of a tree.
pub struct Item {
    pub path: Box<[u8]>,
    pub identity: Identity,
    /// Bytes, as the repository says.
    pub size: Option<u64>,
    /// Where its bytes are on this host, if they are.
    pub stored: Stored,
    pub problem: Option<&'static str>,
}

pub fn repository_key(name: &str) -> String {
    format!("repository/{}", encode_path(name))
}

/// Where it is remembered where refs of a repository led.
pub fn memory_key(name: &str) -> String {
    format!("refs/{}", encode_path(name))
}

/// What the keys of all files at a ref begin with: those that Git knows, and those that DVC does.
pub fn prefixes(name: &str, reference: &str) -> [String; 2] {
    ["file", "dvc"].map(|kind| format!("{kind}/{}/{}/", encode(name), encode(short(reference))))
}

/// What the keys of all files of a repository begin with.
pub fn all_prefixes(name: &str) -> [String; 2] {
    ["file", "dvc"].map(|kind| format!("{kind}/{}/", encode(name)))
}

/// What all records of one look have in common.
pub struct Maker<'a> {
    /// Name of the source, which is that of its store.
    pub source: &'a str,
    pub look: &'a Look,
    pub hint: Hint,
}

impl Maker<'_> {
    /// The repository, and where its refs lead.
    pub fn repository(&self) -> Record {
        let mut fields = self.fields();
        let tips = self.look.tips.iter().take(NAMED_MAX).map(|(name, commit)| (short(name), commit));
        let (names, pairs): (Vec<String>, Vec<String>) =
            tips.map(|(name, commit)| (name.to_owned(), format!("{name}={commit}"))).unzip();
        put(&mut fields, "ml.model.aliases", names);
        put(&mut fields, "ml.model.alias_versions", pairs);
        if let Some((name, commit)) = &self.look.default {
            put(&mut fields, "git.default.branch", short(name));
            put(&mut fields, "git.default.commit", commit.to_string());
        }
        Record {
            key: repository_key(&self.look.name),
            kind: RecordKind::Model,
            signature: digest::of_parts(&[&to_json(&fields).to_string()]).short(),
            subject: Subject::new(SubjectKind::Model, &*self.look.name),
            artifact: None,
            time: None,
            place: Place::default(),
            attributes: fields,
            hint: self.hint,
        }
    }

    /// One file at a ref. What a tag leads to is part of a version; a branch moves.
    pub fn file(&self, branch: &Branch, item: &Item) -> Record {
        let (name, reference, path) = (&self.look.name, short(&branch.name), shown(&item.path));
        let identity = item.identity.to_string();
        let mut fields = self.fields();
        if let Some(tip) = branch.tip.as_ref().filter(|_| branch.fixed) {
            put(&mut fields, "ml.model.version", tip.commit.to_string());
        }
        put(&mut fields, "ml.model.aliases", vec![reference.to_owned()]);
        models::file(&mut fields, &path);
        if let Some(size) = item.stored.size().or(item.size) {
            put(&mut fields, "file.size", size);
        }
        put(&mut fields, "ml.artifact.etag", identity.as_str());
        put(&mut fields, "git.ref", branch.name.as_str());
        put(&mut fields, "git.kept_by", item.identity.kept_by());
        put(&mut fields, "git.bytes_here", item.stored.is_here());
        match &item.identity {
            Identity::Lfs(digest) => put(&mut fields, "artifact.claimed_hash", format!("sha256:{digest}")),
            // The digest of DVC was compared already: it is a promise only where it is broken.
            Identity::Dvc(_) if item.stored.is_broken() => put(&mut fields, "artifact.claimed_hash", identity.as_str()),
            Identity::Dvc(_) | Identity::Git(_) => {}
        }
        let size_differs = item.stored.size().zip(item.size).is_some_and(|(here, said)| here != said);
        if let Some(problem) = item.problem.or(size_differs.then_some("its size is not that of the bytes")) {
            put(&mut fields, "git.pointer_problem", problem);
        }
        let key = usize::from(matches!(item.identity, Identity::Dvc(_)));
        let prefix = prefixes(name, &branch.name).into_iter().nth(key).unwrap_or_default();
        let artifact = ArtifactRef {
            store: self.source.to_owned(),
            path: format!("{}@{}:{path}", self.look.place, branch.name),
            // Its bytes are these, wherever the ref leads until they are read.
            version: Some(identity.clone()),
            // A version is compared with the one before, and a branch with itself: others go their own ways.
            lineage: if branch.fixed { format!("{name}/{path}") } else { format!("{name}@{}:{path}", branch.name) },
        };
        Record {
            key: format!("{prefix}{}", encode_path_bytes(&item.path)),
            kind: if branch.fixed { RecordKind::VersionArtifact } else { RecordKind::Artifact },
            signature: format!("{identity} {}", item.stored.stamp()),
            subject: Subject::new(SubjectKind::ModelVersion, format!("{name}/{reference}")),
            artifact: item.stored.is_here().then_some(artifact),
            time: None,
            place: Place::default(),
            attributes: fields,
            hint: self.hint,
        }
    }

    fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        put(&mut fields, "ml.model.registry", self.look.place.as_str());
        put(&mut fields, "ml.model.name", self.look.name.as_str());
        fields
    }
}
