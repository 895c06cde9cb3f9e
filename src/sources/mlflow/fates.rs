//! What became of versions and aliases that are gone: which versions went together, and which aliases that led to one
//! lead nowhere now.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::api::Model;
use super::{logged, webhooks};
use crate::event::{Fields, Value};
use crate::sources::models::changes::{self, Deletions, Ways, list, text};
use crate::sources::models::version_key;
use crate::sources::{Change, RecordKind};

/// Aliases taken away that are remembered.
const LEFT_MAX: usize = 50_000;

/// Read when a change is told, kept up by whoever lists.
#[derive(Debug, Default)]
pub struct Fates {
    deletions: Deletions,
    /// Where the aliases of each model lead now.
    standing: BTreeMap<String, BTreeMap<String, String>>,
    /// Aliases that led to a version lately, by its key, and when they left it.
    left: BTreeMap<String, BTreeMap<String, Timestamp>>,
}

impl Fates {
    /// Versions that were found deleted together, by key.
    pub fn deleted(&mut self, keys: &[String]) {
        self.deletions.note(keys);
    }

    /// A model as it stands now.
    pub fn model(&mut self, model: &Model, now: Timestamp) {
        let aliases: BTreeMap<String, String> =
            model.aliases.iter().map(|alias| (alias.alias.clone(), alias.version.clone())).collect();
        let before = if aliases.is_empty() {
            self.standing.remove(&model.name)
        } else {
            self.standing.insert(model.name.clone(), aliases)
        };
        let standing = self.standing.get(&model.name);
        for (alias, version) in before.into_iter().flatten() {
            if standing.and_then(|aliases| aliases.get(&alias)) == Some(&version) {
                continue;
            }
            if self.left.len() >= LEFT_MAX {
                self.left.clear();
            }
            self.left.entry(version_key(&model.name, &version)).or_default().insert(alias, now);
        }
    }

    pub fn model_gone(&mut self, name: &str) {
        self.standing.remove(name);
    }

    /// Forgets aliases that left their version before `since`.
    pub fn forget(&mut self, since: Timestamp) {
        self.left.retain(|_, aliases| {
            aliases.retain(|_, when| *when >= since);
            !aliases.is_empty()
        });
    }

    /// Aliases that led to a version until it went, or until shortly before, and lead to no other now.
    fn lost<'a>(&'a self, old: &'a Fields) -> Vec<&'a str> {
        let (name, version) = (text(old, "ml.model.name"), text(old, "ml.model.version"));
        let left = self.left.get(&version_key(name, version)).into_iter().flatten().map(|(alias, _)| &**alias);
        let all: BTreeSet<&str> = list_of(old).chain(left).collect();
        let standing = self.standing.get(name);
        let stands = |alias: &str| standing.and_then(|aliases| aliases.get(alias)).is_some_and(|to| to != version);
        all.into_iter().filter(|alias| !stands(alias)).collect()
    }
}

/// How long an alias counts as lost with its version after it was taken away: whoever removes a version may take its
/// aliases away first.
pub fn memory(sweep_secs: u64) -> SignedDuration {
    let sweeps = i64::try_from(sweep_secs.saturating_mul(4)).unwrap_or(i64::MAX);
    SignedDuration::from_secs(sweeps.clamp(3_600, 86_400 * 7))
}

fn list_of(fields: &Fields) -> impl Iterator<Item = &str> {
    list(fields, "ml.model.aliases")
}

/// As for every registry; of a version that is gone also which aliases were lost with it.
pub fn changes(
    kind: RecordKind,
    old: Option<&Fields>,
    new: Option<&Fields>,
    gated: &dyn Fn(&str) -> bool,
    fates: &Fates,
) -> Vec<Change> {
    match kind {
        RecordKind::Webhook => return webhooks::changes(old, new),
        RecordKind::LoggedModel => return logged::changes(old, new),
        RecordKind::Artifact | RecordKind::VersionArtifact | RecordKind::Model | RecordKind::ModelVersion => {}
    }
    let mut changes = changes::changes(kind, old, new, &Ways { gated, deletions: &fates.deletions });
    if let (RecordKind::ModelVersion, Some(old), None) = (kind, old, new) {
        let lost = Value::from(fates.lost(old));
        for change in &mut changes {
            change.fields.insert("ml.model.aliases_lost".to_owned(), lost.clone());
        }
    }
    changes
}
