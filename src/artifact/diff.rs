//! What differs between two versions of one artifact.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Segment;
use super::facts::diff_path;
use crate::event::{Fields, Sha256, Value};

/// Items kept in one list of a delta.
const ITEMS_MAX: usize = 256;

/// One version, as the inventory remembers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub hash: Sha256,
    pub format: String,
    pub facts: Fields,
    pub segments: Vec<Segment>,
}

/// What changed from one version to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// Digest and format of the version before, as text.
    pub previous_hash: String,
    pub previous_format: String,
    /// True when the bytes are not the same.
    pub bytes_differ: bool,
    /// Items of list facts, and facts as a whole, that are new, by fact path.
    pub added: BTreeMap<String, Vec<String>>,
    pub removed: BTreeMap<String, Vec<String>>,
    /// Facts whose value differs: before and after, as text.
    pub changed: BTreeMap<String, (String, String)>,
    pub tensors: TensorDelta,
}

/// What changed among named tensors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorDelta {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
    pub reshaped: Vec<String>,
    /// Of the same shape, but of another type: converted, quantised.
    pub retyped: Vec<String>,
    /// Both versions have tensors, all digests are known, and nothing differs.
    pub equal: bool,
}

/// Compares two versions: digests, formats, facts, tensors.
pub fn diff(old: &Version, new: &Version) -> Delta {
    let mut delta = Delta {
        previous_hash: format!("sha256:{}", old.hash),
        previous_format: old.format.clone(),
        bytes_differ: old.hash != new.hash,
        tensors: tensors(&old.segments, &new.segments),
        ..Delta::default()
    };
    if old.format != new.format {
        delta.changed.insert("artifact.format".to_owned(), (old.format.clone(), new.format.clone()));
    }
    let paths: BTreeSet<&String> = old.facts.keys().chain(new.facts.keys()).collect();
    for path in paths {
        compare(&mut delta, path, old.facts.get(path), new.facts.get(path));
    }
    delta
}

fn compare(delta: &mut Delta, path: &str, old: Option<&Value>, new: Option<&Value>) {
    if old == new {
        return;
    }
    if let (Some(before), Some(after)) = (items(old), items(new)) {
        let added: Vec<String> = after.difference(&before).take(ITEMS_MAX).cloned().collect();
        let removed: Vec<String> = before.difference(&after).take(ITEMS_MAX).cloned().collect();
        if !added.is_empty() {
            delta.added.insert(path.to_owned(), added);
        }
        if !removed.is_empty() {
            delta.removed.insert(path.to_owned(), removed);
        }
        return;
    }
    match (old, new) {
        (Some(old), Some(new)) => {
            delta.changed.insert(path.to_owned(), (text(old), text(new)));
        }
        (None, Some(new)) => {
            delta.added.insert(path.to_owned(), vec![text(new)]);
        }
        (Some(old), None) => {
            delta.removed.insert(path.to_owned(), vec![text(old)]);
        }
        (None, None) => {}
    }
}

/// Items of a list fact; a fact that is absent is an empty list if the other side is a list.
fn items(value: Option<&Value>) -> Option<BTreeSet<String>> {
    match value {
        None => Some(BTreeSet::new()),
        Some(Value::List(items)) => Some(items.iter().map(text).collect()),
        Some(Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Map(_)) => None,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
            serde_json::Value::from(value).to_string()
        }
    }
}

fn tensors(old: &[Segment], new: &[Segment]) -> TensorDelta {
    let by_name = |segments: &[Segment]| -> BTreeMap<String, Segment> {
        segments.iter().map(|segment| (segment.name.clone(), segment.clone())).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let mut delta = TensorDelta::default();
    let mut known = true;
    for (name, segment) in &after {
        let Some(previous) = before.get(name) else {
            delta.added.push(name.clone());
            continue;
        };
        if previous.shape != segment.shape {
            delta.reshaped.push(name.clone());
        } else if previous.dtype != segment.dtype {
            delta.retyped.push(name.clone());
        }
        known &= previous.digest.is_some() && segment.digest.is_some();
        if previous.digest != segment.digest {
            delta.changed.push(name.clone());
        }
    }
    delta.removed = before.keys().filter(|name| !after.contains_key(*name)).cloned().collect();
    let TensorDelta { added, removed, changed, reshaped, retyped, equal: _ } = &delta;
    let same = [added, removed, changed, reshaped, retyped].iter().all(|names| names.is_empty());
    delta.equal = same && known && !before.is_empty() && !after.is_empty();
    let TensorDelta { added, removed, changed, reshaped, retyped, equal: _ } = &mut delta;
    for names in [added, removed, changed, reshaped, retyped] {
        names.truncate(ITEMS_MAX);
    }
    delta
}

impl Delta {
    /// True when the two versions are the same bytes with the same facts.
    pub fn is_empty(&self) -> bool {
        let TensorDelta { added, removed, changed, reshaped, retyped, equal: _ } = &self.tensors;
        let tensors = [added, removed, changed, reshaped, retyped].iter().all(|names| names.is_empty());
        !self.bytes_differ && self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty() && tensors
    }

    /// As facts for an `artifact_diff` event: [`super::facts::DIFF_FIELDS`], and
    /// `artifact.diff.added.X` and `artifact.diff.removed.X` for each list fact `artifact.X`.
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.insert("artifact.previous_hash".to_owned(), Value::from(self.previous_hash.as_str()));
        fields.insert("artifact.previous_format".to_owned(), Value::from(self.previous_format.as_str()));
        let paths: BTreeSet<&String> =
            self.changed.keys().chain(self.added.keys()).chain(self.removed.keys()).collect();
        let mut put = |path: String, items: Vec<String>| {
            if !items.is_empty() {
                fields.insert(path, Value::from(items));
            }
        };
        put("artifact.diff.changed".to_owned(), paths.into_iter().cloned().collect());
        for (way, facts) in [("added", &self.added), ("removed", &self.removed)] {
            for (path, items) in facts {
                if let Some(path) = diff_path(way, path) {
                    put(path, items.clone());
                }
            }
        }
        let TensorDelta { added, removed, changed, reshaped, retyped, equal } = &self.tensors;
        let ways = [added, removed, changed, reshaped, retyped].into_iter();
        for (way, names) in ["added", "removed", "changed", "reshaped", "retyped"].into_iter().zip(ways) {
            put(format!("artifact.diff.tensors.{way}"), names.clone());
        }
        fields.insert("artifact.diff.tensors.equal".to_owned(), Value::from(*equal));
        fields
    }
}
