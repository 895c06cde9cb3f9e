//! How a change of a repository is told: tags that move, and versions to which none leads any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Fields, Value};
use crate::sources::models::changes::{self, Deletions, Ways, text};
use crate::sources::models::version_key;
use crate::sources::{Change, RecordKind};

/// Untagged versions remembered until the agent asks about them.
const UNTAGGED_MAX: usize = 50_000;

/// What became of versions that are told as gone.
#[derive(Debug, Default)]
pub struct Fates {
    deletions: Deletions,
    untagged: BTreeSet<String>,
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

    fn is_untagged(&self, old: &Fields) -> bool {
        self.untagged.contains(&version_key(text(old, "ml.model.name"), text(old, "ml.model.version")))
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
