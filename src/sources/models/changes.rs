//! How a change of a model or version is told.

use std::collections::{BTreeMap, BTreeSet};

use super::version_key;
use crate::event::{Fields, Value};
use crate::sources::{Change, RecordKind};

/// How many versions were found deleted together, by key.
#[derive(Debug, Default)]
pub struct Deletions(BTreeMap<String, usize>);

/// How a registry asks for approval, and what it found deleted.
pub struct Ways<'a> {
    /// Whether an alias asks for approval before it may point to a version.
    pub gated: &'a dyn Fn(&str) -> bool,
    pub deletions: &'a Deletions,
}

/// Deletions remembered until the agent asks about them.
const DELETIONS_MAX: usize = 50_000;

impl Deletions {
    pub fn note(&mut self, keys: &[String]) {
        if self.0.len() + keys.len() > DELETIONS_MAX {
            self.0.clear();
        }
        self.0.extend(keys.iter().map(|key| (key.clone(), keys.len())));
    }

    fn together(&self, fields: &Fields) -> usize {
        let (name, version) = (text(fields, "ml.model.name"), text(fields, "ml.model.version"));
        self.0.get(&version_key(name, version)).copied().unwrap_or(1)
    }
}

pub fn changes(kind: RecordKind, old: Option<&Fields>, new: Option<&Fields>, ways: &Ways<'_>) -> Vec<Change> {
    match kind {
        RecordKind::Model => model(old, new, ways.gated),
        RecordKind::ModelVersion => version(old, new, ways.deletions),
        RecordKind::Artifact | RecordKind::VersionArtifact | RecordKind::Webhook | RecordKind::LoggedModel => {
            Vec::new()
        }
    }
}

fn model(old: Option<&Fields>, new: Option<&Fields>, gated: &dyn Fn(&str) -> bool) -> Vec<Change> {
    let nothing = Fields::new();
    let mut changes = Vec::new();
    match (old, new) {
        (None, Some(_)) => changes.push(change("model.created", [])),
        (Some(_), None) => return vec![change("model.deleted", [])],
        (Some(old), Some(new)) if differ(old, new, "ml.model.tags.") => changes.push(change("model.tagged", [])),
        (Some(_), Some(_)) | (None, None) => {}
    }
    changes.extend(aliases(old.unwrap_or(&nothing), new.unwrap_or(&nothing), gated));
    changes
}

/// How the aliases of a model moved.
pub fn aliases(old: &Fields, new: &Fields, gated: &dyn Fn(&str) -> bool) -> Vec<Change> {
    let (before, after) = (pairs(old, "ml.model.alias_versions"), pairs(new, "ml.model.alias_versions"));
    let mut changes = Vec::new();
    for (alias, version) in &after {
        let previous = before.get(alias);
        if previous == Some(version) {
            continue;
        }
        let mut fields = vec![("ml.model.alias", Value::from(*alias)), ("ml.model.version", Value::from(*version))];
        fields.extend(previous.map(|previous| ("ml.model.previous_version", Value::from(*previous))));
        let gated = gated(alias);
        fields.push(("ml.model.gate.configured", gated.into()));
        if gated {
            let open = list(new, "ml.model.gate.open").filter_map(|item| item.split_once('='));
            let missing: Vec<&str> = open.filter(|(name, _)| name == alias).map(|(_, tag)| tag).collect();
            fields.push(("ml.model.gate.missing", missing.into()));
        }
        changes.push(change(if previous.is_some() { "alias.moved" } else { "alias.set" }, fields));
    }
    for (alias, version) in before.iter().filter(|(alias, _)| !after.contains_key(*alias)) {
        let fields = [("ml.model.alias", Value::from(*alias)), ("ml.model.previous_version", Value::from(*version))];
        changes.push(change("alias.deleted", fields));
    }
    changes
}

fn version(old: Option<&Fields>, new: Option<&Fields>, deletions: &Deletions) -> Vec<Change> {
    match (old, new) {
        (None, Some(_)) => vec![change("version.created", [])],
        (Some(old), None) => {
            vec![change("version.deleted", [("ml.model.deleted_together", deletions.together(old).into())])]
        }
        (Some(old), Some(new)) => {
            let mut changes = Vec::new();
            let stage = text(old, "ml.model.stage");
            if stage != text(new, "ml.model.stage") {
                changes.push(change("version.stage_changed", [("ml.model.previous_stage", stage.into())]));
            }
            if differ(old, new, "ml.model.version.tags.") {
                changes.push(change("version.tagged", []));
            }
            if text(old, "ml.model.description") != text(new, "ml.model.description") {
                changes.push(change("version.described", []));
            }
            changes
        }
        (None, None) => Vec::new(),
    }
}

/// One change with its fields.
pub fn change(action: &'static str, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Change {
    Change { action, fields: fields.into_iter().map(|(path, value)| (path.to_owned(), value)).collect() }
}

/// Whether any field of a family differs.
pub fn differ(old: &Fields, new: &Fields, family: &str) -> bool {
    let of = |fields: &Fields| -> BTreeSet<(String, String)> {
        fields
            .iter()
            .filter(|(path, _)| path.starts_with(family))
            .map(|(path, value)| (path.clone(), value.as_text().unwrap_or_default().to_owned()))
            .collect()
    };
    of(old) != of(new)
}

/// `alias=version`; a version has no `=`, and neither has an alias.
fn pairs<'a>(fields: &'a Fields, path: &str) -> BTreeMap<&'a str, &'a str> {
    list(fields, path).filter_map(|item| item.rsplit_once('=')).collect()
}

/// The texts of a list.
pub fn list<'a>(fields: &'a Fields, path: &str) -> impl Iterator<Item = &'a str> {
    fields.get(path).and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_text)
}

pub fn text<'a>(fields: &'a Fields, path: &str) -> &'a str {
    fields.get(path).and_then(Value::as_text).unwrap_or_default()
}
