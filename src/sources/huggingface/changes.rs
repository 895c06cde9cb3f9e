//! How a change of a repository is told.

use std::collections::BTreeMap;

use crate::event::{Fields, Value};
use crate::sources::{Change, RecordKind};

pub fn changes(kind: RecordKind, old: Option<&Fields>, new: Option<&Fields>) -> Vec<Change> {
    match (kind, old, new) {
        // It went away, and somebody else came back under its name.
        (RecordKind::Model, None, Some(new)) if new.contains_key("ml.model.previous_created") => {
            vec![change("model.recreated", [])]
        }
        (RecordKind::Model, None, Some(_)) => vec![change("model.created", [])],
        (RecordKind::Model, Some(_), None) => vec![change("model.deleted", [])],
        (RecordKind::Model, Some(old), Some(new)) => repository(old, new),
        // Of bytes that are not fetched the hub's word is all there is.
        (RecordKind::VersionArtifact, Some(old), Some(new)) => {
            let told = |fields| text(fields, "ml.artifact.etag");
            let differ = !told(old).is_empty() && told(old) != told(new);
            let before = text(old, "artifact.claimed_hash");
            if differ {
                vec![change("artifact.tampered", [("artifact.previous_hash", before.into())])]
            } else {
                Vec::new()
            }
        }
        (..) => Vec::new(),
    }
}

fn repository(old: &Fields, new: &Fields) -> Vec<Change> {
    let mut changes = Vec::new();
    let (owner, created) = ("ml.model.owner.id", "ml.model.created");
    let differs = |path: &str| {
        let (before, after) = (text(old, path), text(new, path));
        !before.is_empty() && !after.is_empty() && before != after
    };
    // Somebody else has the name now: what was known of it says nothing of what is there.
    if differs(owner) || differs(created) {
        let fields = [
            ("ml.model.previous_created", Value::from(text(old, created))),
            ("ml.model.created", Value::from(text(new, created))),
        ];
        changes.push(change("model.recreated", fields));
    }
    if is(old, "ml.model.private") && !is(new, "ml.model.private") {
        changes.push(change("model.opened", []));
    }
    let (before, after) = (references(old), references(new));
    let known = pairs(old, "ml.model.rewritten");
    for (branch, commit) in pairs(new, "ml.model.rewritten").into_iter().filter(|pair| !known.contains(pair)) {
        let fields = [
            ("ml.model.alias", Value::from(branch)),
            ("ml.model.version", Value::from(after.get(branch).copied().unwrap_or_default())),
            ("ml.model.previous_version", Value::from(commit)),
        ];
        changes.push(change("history.rewritten", fields));
    }
    for (name, commit) in &after {
        let previous = before.get(name);
        if previous == Some(commit) {
            continue;
        }
        let mut fields = vec![("ml.model.alias", Value::from(*name)), ("ml.model.version", Value::from(*commit))];
        fields.extend(previous.map(|previous| ("ml.model.previous_version", Value::from(*previous))));
        changes.push(change(if previous.is_some() { "alias.moved" } else { "alias.set" }, fields));
    }
    for (name, commit) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        let fields = [("ml.model.alias", Value::from(*name)), ("ml.model.previous_version", Value::from(*commit))];
        changes.push(change("alias.deleted", fields));
    }
    changes
}

fn change(action: &'static str, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Change {
    Change { action, fields: fields.into_iter().map(|(path, value)| (path.to_owned(), value)).collect() }
}

/// Branches and tags with their commits.
fn references(fields: &Fields) -> BTreeMap<&str, &str> {
    pairs(fields, "ml.model.alias_versions").into_iter().collect()
}

/// A list of `name=commit`.
fn pairs<'f>(fields: &'f Fields, path: &str) -> Vec<(&'f str, &'f str)> {
    let pairs = fields.get(path).and_then(Value::as_list).unwrap_or_default();
    pairs.iter().filter_map(Value::as_text).filter_map(|pair| pair.rsplit_once('=')).collect()
}

fn text<'a>(fields: &'a Fields, path: &str) -> &'a str {
    fields.get(path).and_then(Value::as_text).unwrap_or_default()
}

fn is(fields: &Fields, path: &str) -> bool {
    fields.get(path).is_some_and(|value| *value == Value::from(true))
}
