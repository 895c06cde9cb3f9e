//! One file that differs, as a line of JSON.

use serde_json::{Value, json};

use super::pair::{Change, How};
use crate::event::difference::Grade;
use crate::event::value;

pub fn line(change: &Change) -> String {
    let word = |word: &str| json!({ "path": change.name, "change": word });
    let from = |word: &str, from: &str| json!({ "path": change.name, "change": word, "from": from });
    let told: Value = match &change.how {
        How::Added => word("added"),
        How::Removed => word("removed"),
        How::Renamed(name) => from("renamed", name),
        How::Copied(name) => from("copied", name),
        How::Changed(changed) => json!({
            "path": change.name,
            "change": "changed",
            "grade": change.grade().map(Grade::as_str),
            "old": { "sha256": changed.old.sha256, "size": changed.old.size, "format": changed.formats[0] },
            "new": { "sha256": changed.new.sha256, "size": changed.new.size, "format": changed.formats[1] },
            "differences": changed.differences,
            "tensors": changed.rows,
            "facts": value::to_json(&changed.delta.fields()),
        }),
    };
    told.to_string()
}
