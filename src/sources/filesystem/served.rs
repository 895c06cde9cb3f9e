//! Directories from which a model is served, and files that nobody else may write.

use std::path::{Path, PathBuf};

use super::paths;
use crate::event::{Fields, Value};
use crate::sources::Change;

/// Notes on a file that a model is served from it. `serves` is the model's name, or `*` for the first folder below
/// the root.
pub fn note(attributes: &mut Fields, serves: &str, path: &Path, roots: &[PathBuf]) {
    let model = match serves {
        "*" => folder(path, roots),
        name => Some(name.to_owned()),
    };
    if let Some(model) = model {
        attributes.insert("file.served".to_owned(), Value::from(true));
        attributes.insert("ml.model.name".to_owned(), Value::from(model));
    }
}

/// First folder below the longest root that holds a path.
fn folder(path: &Path, roots: &[PathBuf]) -> Option<String> {
    let below =
        roots.iter().filter_map(|root| path.strip_prefix(root).ok()).min_by_key(|below| below.as_os_str().len())?;
    let mut components = below.components();
    let first = components.next()?;
    // A file that lies in the root itself belongs to no folder.
    components.next().map(|_| paths::escape(Path::new(first.as_os_str())))
}

/// What happened to a file that nobody else may write, and whose bytes are the same: another name for it, or more who may write to it.
pub fn changes(old: &Fields, new: &Fields) -> Vec<Change> {
    if !matches!(new.get("file.exclusive"), Some(Value::Bool(true))) {
        return Vec::new();
    }
    let links = |fields: &Fields| match fields.get("file.links") {
        Some(Value::Int(links)) => *links,
        _ => 1,
    };
    let writers = |fields: &Fields| match fields.get("file.writable_by") {
        Some(Value::List(items)) => items.len(),
        _ => 0,
    };
    let mut changes = Vec::new();
    if links(new) > links(old) {
        changes.push(Change { action: "links.added", fields: Fields::new() });
    }
    if writers(new) > writers(old) {
        changes.push(Change { action: "mode.widened", fields: Fields::new() });
    }
    changes
}
