//! How a change of a repository is told.

use std::collections::BTreeSet;

use crate::event::{Fields, Value};
use crate::sources::models::changes::{aliases, change, list, text};
use crate::sources::{Change, RecordKind};

/// Files that are told of at once; the record names them all.
const FLAGGED_MAX: usize = 20;

pub fn changes(kind: RecordKind, old: Option<&Fields>, new: Option<&Fields>) -> Vec<Change> {
    match (kind, old, new) {
        // It went away, and somebody else came back under its name.
        (RecordKind::Model, None, Some(new)) if new.contains_key("ml.model.previous_created") => {
            [vec![change("model.recreated", [])], flagged(&Fields::new(), new)].concat()
        }
        (RecordKind::Model, None, Some(new)) => {
            [vec![change("model.created", [])], flagged(&Fields::new(), new)].concat()
        }
        (RecordKind::Model, Some(_), None) => vec![change("model.deleted", [])],
        (RecordKind::Model, Some(old), Some(new)) => repository(old, new),
        // Of bytes that are not fetched the hub's word is all there is.
        (RecordKind::VersionArtifact, Some(old), Some(new)) if differs(old, new, "ml.artifact.etag") => {
            vec![change("artifact.tampered", [("artifact.previous_hash", text(old, "artifact.claimed_hash").into())])]
        }
        (..) => Vec::new(),
    }
}

fn repository(old: &Fields, new: &Fields) -> Vec<Change> {
    let mut changes = Vec::new();
    let created = "ml.model.created";
    // Somebody else has the name now: what was known of it says nothing of what is there.
    if differs(old, new, "ml.model.owner.id") || differs(old, new, created) {
        let fields = [
            ("ml.model.previous_created", Value::from(text(old, created))),
            (created, Value::from(text(new, created))),
        ];
        changes.push(change("model.recreated", fields));
    }
    if was_opened(old, new) {
        changes.push(change("model.opened", []));
    }
    let before = pairs(old, "ml.model.rewritten");
    let now = pairs(new, "ml.model.alias_versions");
    for (branch, commit) in pairs(new, "ml.model.rewritten").into_iter().filter(|pair| !before.contains(pair)) {
        let at = now.iter().find(|(name, _)| *name == branch).map(|(_, commit)| *commit);
        let fields = [
            ("ml.model.alias", Value::from(branch)),
            ("ml.model.version", Value::from(at.unwrap_or_default())),
            ("ml.model.previous_version", Value::from(commit)),
        ];
        changes.push(change("history.rewritten", fields));
    }
    changes.extend(flagged(old, new));
    // Branches and tags; the hub has no gate of ours.
    changes.extend(aliases(old, new, &|_| false));
    changes
}

/// Files that the hub's own scanners flag, and did not before.
fn flagged(old: &Fields, new: &Fields) -> Vec<Change> {
    let before: BTreeSet<(&str, &str)> = pairs(old, "ml.model.scan.issues").into_iter().collect();
    let new = pairs(new, "ml.model.scan.issues").into_iter().filter(|issue| !before.contains(issue));
    let tell = |(path, level): (&str, &str)| {
        change("issue.created", [("file.path", Value::from(path)), ("ml.artifact.scan.level", Value::from(level))])
    };
    new.take(FLAGGED_MAX).map(tell).collect()
}

/// Whether a text was known, is known, and is another: what a hub leaves out says nothing.
fn differs(old: &Fields, new: &Fields, path: &str) -> bool {
    let (before, after) = (text(old, path), text(new, path));
    !before.is_empty() && !after.is_empty() && before != after
}

/// A list of `name=commit`.
fn pairs<'f>(fields: &'f Fields, path: &str) -> Vec<(&'f str, &'f str)> {
    list(fields, path).filter_map(|pair| pair.rsplit_once('=')).collect()
}

/// Whether only those who are let in could read it, and now everybody can: what a hub leaves out says nothing.
fn was_opened(old: &Fields, new: &Fields) -> bool {
    let bars = ["ml.model.private", "ml.model.gated"];
    let closed = |fields: &Fields| bars.iter().any(|bar| is(fields, bar));
    closed(old) && !closed(new) && bars.iter().all(|bar| !is(old, bar) || new.contains_key(*bar))
}

fn is(fields: &Fields, path: &str) -> bool {
    fields.get(path).is_some_and(|value| *value == Value::from(true))
}
