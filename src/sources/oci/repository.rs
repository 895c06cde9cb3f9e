//! One repository: its tags, and the manifests to which they lead.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde::Deserialize;

use super::api::Api;
use super::config::{Checked, is_tag};
use super::contents::{self, Contents};
use super::held::Share;
use super::listing::Names;
use super::manifest;
use crate::base::http::Failure;
use crate::base::text::shorten;

/// Tags asked for at the same time.
const TAGS_AT_ONCE: usize = 4;
/// Names of tags that are read at all.
const NAMES_MAX: usize = 100_000;
/// Types of artifacts that are signatures, by their beginning.
const SIGNATURES: [&str; 3] =
    ["application/vnd.dev.sigstore.bundle", "application/vnd.dev.cosign.", "application/vnd.cncf.notary.signature"];

/// What is known of a repository.
pub struct Repository {
    pub api: Api,
    /// Tags that are looked at, and the digests of the manifests to which they lead.
    pub tags: BTreeMap<String, String>,
    /// What those manifests pack.
    pub versions: BTreeMap<String, Contents>,
    /// Digests of manifests beside which a signature lies.
    pub signed: BTreeSet<String>,
    /// It was looked at.
    pub seen: bool,
    /// The registry knows none of this name.
    pub absent: bool,
    /// What the last look could not see: a reason from a closed set, and a sentence.
    pub troubles: Vec<(&'static str, String)>,
    /// Manifests that could not be read.
    pub unread: BTreeSet<String>,
    /// Requests that the last look took, about.
    pub cost: u64,
    /// Room for the tags.
    share: Option<Share>,
}

/// What became of the versions to which no tag leads any more.
#[derive(Debug, Default)]
pub struct Left {
    /// Another version has their tag: they are still there for whoever asks by digest.
    pub untagged: Vec<String>,
    pub deleted: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Index {
    manifests: Vec<Referrer>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Referrer {
    artifact_type: Option<String>,
}

impl Repository {
    pub const fn new(api: Api) -> Self {
        Self {
            api,
            tags: BTreeMap::new(),
            versions: BTreeMap::new(),
            signed: BTreeSet::new(),
            seen: false,
            absent: false,
            troubles: Vec::new(),
            unread: BTreeSet::new(),
            cost: 0,
            share: None,
        }
    }

    /// Looks at all tags; manifests are fetched only where their digest is not known.
    pub async fn look(&mut self, checked: &Checked) -> Result<Left, Failure> {
        let listed = self.api.tags(NAMES_MAX).await;
        self.absent = matches!(listed, Err(Failure::Gone));
        let listed = if self.absent { Names::default() } else { listed? };
        let (mut troubles, mut unread) = (Vec::new(), BTreeSet::new());
        let mut cost = 1;
        if listed.more {
            troubles.push(("tags_max", format!("there are more than {NAMES_MAX} tags in one repository")));
        }
        let mut signed: BTreeSet<String> = listed.names.iter().filter_map(|tag| signature(tag)).collect();
        let beside = |tag: &&String| tag.strip_prefix("sha256-").is_some_and(|rest| rest.len() >= 64);
        let indexes: BTreeSet<&String> = listed.names.iter().filter(beside).collect();
        let named = listed.names.iter().filter(|tag| !beside(tag));
        let mut wanted: Vec<&String> = named.filter(|tag| is_tag(tag) && checked.reads(tag)).collect();
        if wanted.len() > checked.config.tags_max {
            let (count, most) = (wanted.len(), checked.config.tags_max);
            troubles.push(("tags_max", format!("a repository has {count} tags, and `tags_max` is {most}")));
            wanted.truncate(most);
        }
        let mut tags = BTreeMap::new();
        for chunk in wanted.chunks(TAGS_AT_ONCE) {
            cost += chunk.len() as u64;
            let asked: Vec<_> =
                chunk.iter().map(|tag| self.api.resolve(tag, self.tags.get(*tag).map(String::as_str))).collect();
            for (tag, resolved) in chunk.iter().zip(join_all(asked).await) {
                match resolved {
                    Ok(digest) => drop(tags.insert((*tag).clone(), digest)),
                    // Deleted since the list was made.
                    Err(Failure::Gone) => {}
                    Err(failure) if is_its_own(&failure) => {
                        troubles.push(("manifest", format!("the tag `{}`: {failure}", shorten(tag, 100))));
                        // Where it led before counts until it is known better.
                        tags.extend(self.tags.get(*tag).map(|known| ((*tag).clone(), known.clone())));
                    }
                    Err(failure) => return Err(failure),
                }
            }
        }
        self.share = None;
        let bytes: usize = tags.iter().map(|(tag, digest)| tag.len() + digest.len()).sum();
        let share = checked.held.take(bytes as u64);
        if share.is_none() {
            return Err(Failure::Garbage(
                "there are more tags than are kept; watch fewer repositories or tags".to_owned(),
            ));
        }
        self.share = share;
        let digests: BTreeSet<&String> = tags.values().collect();
        for digest in &digests {
            if self.versions.contains_key(*digest) {
                continue;
            }
            let mut full = || {
                let sentence = "there are more and longer manifests than are kept; watch fewer repositories or tags";
                troubles.push(("memory", sentence.to_owned()));
                unread.insert((*digest).clone());
            };
            if checked.held.take(1).is_none() {
                full();
                continue;
            }
            cost += 1;
            match contents::fetch(&self.api, digest, checked.config.image_layers).await {
                Ok(contents) => {
                    if let Some(contents) = contents.keep(&checked.held) {
                        self.versions.insert((*digest).clone(), contents);
                    } else {
                        full();
                    }
                }
                Err(failure) if matches!(failure, Failure::Gone) || is_its_own(&failure) => {
                    troubles.push(("manifest", format!("the manifest {digest}: {failure}")));
                    unread.insert((*digest).clone());
                }
                Err(failure) => return Err(failure),
            }
        }
        if checked.config.gate.signature {
            let gated = tags.iter().filter(|(tag, _)| checked.gated(tag)).map(|(_, digest)| digest);
            for digest in gated.collect::<BTreeSet<_>>() {
                if !signed.contains(digest) {
                    cost += 1;
                    if self.is_signed(digest, &indexes).await? {
                        signed.insert(digest.clone());
                    }
                }
            }
        }
        let left = self.left(&tags);
        self.versions.retain(|digest, _| digests.contains(digest));
        (self.tags, self.signed, self.seen, self.cost) = (tags, signed, true, cost);
        (self.troubles, self.unread) = (troubles, unread);
        Ok(left)
    }

    /// What becomes of the versions that are known, given where tags lead now.
    fn left(&self, now: &BTreeMap<String, String>) -> Left {
        let mut left = Left::default();
        let still: BTreeSet<&String> = now.values().collect();
        let before: BTreeSet<&String> = self.tags.values().collect();
        for digest in before.difference(&still) {
            let moved = self.tags.iter().any(|(tag, known)| known == *digest && now.contains_key(tag));
            if moved { &mut left.untagged } else { &mut left.deleted }.push((*digest).clone());
        }
        left
    }

    /// Whether the registry knows a signature that refers to a manifest, by its referrers or the tag that stands for
    /// them where there are none (distribution specification 1.1).
    async fn is_signed(&self, digest: &str, indexes: &BTreeSet<&String>) -> Result<bool, Failure> {
        let bytes = match self.api.referrers(digest).await {
            Ok(bytes) => bytes,
            Err(failure) if matches!(failure, Failure::Gone) || is_its_own(&failure) => {
                let tag = digest.replace(':', "-");
                if !indexes.contains(&tag) {
                    return Ok(false);
                }
                match self.api.manifest(&tag).await {
                    Ok(fetched) => fetched.bytes,
                    Err(failure) if matches!(failure, Failure::Gone) || is_its_own(&failure) => return Ok(false),
                    Err(failure) => return Err(failure),
                }
            }
            Err(failure) => return Err(failure),
        };
        let index: Index = serde_json::from_slice(&bytes).unwrap_or_default();
        let is_signature = |kind: &str| SIGNATURES.iter().any(|start| kind.starts_with(start));
        Ok(index.manifests.iter().any(|one| one.artifact_type.as_deref().is_some_and(is_signature)))
    }
}

/// The manifest for which a tag holds a signature: `sha256-….sig`.
fn signature(tag: &str) -> Option<String> {
    let digest = format!("sha256:{}", tag.strip_prefix("sha256-")?.strip_suffix(".sig")?);
    manifest::sha256(&digest).map(|_| digest)
}

/// Whether a failure says something of what was asked for, and nothing of the registry.
const fn is_its_own(failure: &Failure) -> bool {
    matches!(failure, Failure::Garbage(_) | Failure::TooLarge { .. } | Failure::Rejected { .. })
}
