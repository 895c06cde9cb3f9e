//! Notifications of a registry (distribution): which repositories were changed, as far as they say.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::config::is_repository;

/// Repositories of one notification; where there are more, a listing answers them all.
const REPOSITORIES_MAX: usize = 64;
/// What blobs are called there.
const BLOB: &str = "application/octet-stream";

#[derive(Deserialize)]
struct Event {
    action: String,
    target: Target,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    repository: String,
    media_type: Option<String>,
    tag: Option<String>,
}

/// Repositories to look at: none for what changes nothing, such as the pulls that our own looks are; `None` where it is
/// not understood, so that only a listing can tell.
pub fn repositories(body: &Value) -> Option<BTreeSet<String>> {
    let events = match body.get("events") {
        Some(Value::Array(events)) => events.as_slice(),
        Some(_) => return None,
        None => std::slice::from_ref(body),
    };
    let mut found = BTreeSet::new();
    for event in events {
        let Event { action, target } = Event::deserialize(event).ok()?;
        let blob = target.media_type.as_deref() == Some(BLOB) && target.tag.is_none();
        if matches!(&*action, "pull") || blob {
            continue;
        }
        if !is_repository(&target.repository) || found.len() >= REPOSITORIES_MAX {
            return None;
        }
        found.insert(target.repository);
    }
    Some(found)
}
