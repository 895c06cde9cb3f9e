//! How a change of a repository is told: tags that move, and versions to which none leads any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Fields, Value};
use crate::sources::models::changes::{self, Deletions, Ways, list, text};
use crate::sources::models::version_key;
use crate::sources::{Change, RecordKind};

/// Untagged versions remembered until the agent asks about them.
const UNTAGGED_MAX: usize = 50_000;
/// Names of tags remembered, of all repositories.
const NAMES_MAX: usize = 200_000;

/// What became of versions that are told as gone.
#[derive(Debug, Default)]
pub struct Fates {
    deletions: Deletions,
    untagged: BTreeSet<String>,
    /// Names of the tags that each repository has now, as far as there is room: what moved while nobody looked is told
    /// by them.
    tags: BTreeMap<String, BTreeSet<String>>,
    names: usize,
}

impl Fates {
    /// Versions that were found deleted together, by key.
    pub fn deleted(&mut self, keys: &[String]) {
        self.deletions.note(keys);
    }

    /// Versions whose tags lead to others now. Those to which tags lead again are forgotten.
    pub fn untagged(&mut self, repository: &str, digests: &[String], tags: &BTreeMap<String, String>) {
        if self.untagged.len() + digests.len() > UNTAGGED_MAX {
            self.untagged.clear();
        }
        self.untagged.extend(digests.iter().map(|digest| version_key(repository, digest)));
        if !self.untagged.is_empty() {
            for digest in tags.values() {
                self.untagged.remove(&version_key(repository, digest));
            }
        }
    }

    /// The tags of a repository as they are now.
    pub fn tagged(&mut self, repository: &str, tags: &BTreeMap<String, String>) {
        let before = self.tags.remove(repository).map_or(0, |names| names.len());
        self.names = self.names.saturating_sub(before);
        if self.names + tags.len() <= NAMES_MAX {
            self.names += tags.len();
            self.tags.insert(repository.to_owned(), tags.keys().cloned().collect());
        }
    }

    /// Whether a tag that led to a version leads to another now.
    fn is_untagged(&self, old: &Fields) -> bool {
        let name = text(old, "ml.model.name");
        let moved = || {
            let now = self.tags.get(name);
            now.is_some_and(|now| list(old, "ml.model.aliases").any(|tag| now.contains(tag)))
        };
        self.untagged.contains(&version_key(name, text(old, "ml.model.version"))) || moved()
    }
}

/// As for every registry; what is said of an alias is said of the tag as well.
pub fn changes(
    kind: RecordKind,
    old: Option<&Fields>,
    new: Option<&Fields>,
    gated: &dyn Fn(&str) -> bool,
    fates: &Fates,
) -> Vec<Change> {
    if let (RecordKind::ModelVersion, Some(old), None) = (kind, old, new)
        && fates.is_untagged(old)
    {
        return vec![Change { action: "version.untagged", fields: Fields::new() }];
    }
    let mut changes = changes::changes(kind, old, new, &Ways { gated, deletions: &fates.deletions });
    for change in &mut changes {
        let names = [
            ("ml.model.alias", "oci.tag"),
            ("ml.model.version", "oci.manifest.digest"),
            ("ml.model.previous_version", "oci.manifest.previous_digest"),
        ];
        if change.action.starts_with("alias.") {
            for (common, own) in names {
                if let Some(value) = change.fields.get(common).and_then(Value::as_text).map(Value::from) {
                    change.fields.insert(own.to_owned(), value);
                }
            }
        }
    }
    changes
}
