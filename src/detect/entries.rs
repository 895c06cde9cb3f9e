//! Files that are a list of entries under one key: overrides, and what scans are allowed to find.

use crate::base::yaml::{self, Data, Node};

use super::Source;
use super::diagnostic::{Reporter, Span};
use super::sigma::{FILE_BYTES_MAX, keys};

/// Entries in one file.
const ENTRIES_MAX: usize = 10_000;

/// All entries of a file, as they are written under `key`; everything that is wrong is reported.
/// `what` is what messages call the file.
pub fn read(source: &Source, key: &'static str, what: &str, reporter: &mut Reporter<'_>) -> Vec<Node> {
    if source.text.len() > FILE_BYTES_MAX {
        reporter.error("R001", Span::default(), format!("the file is larger than {FILE_BYTES_MAX} bytes"));
        return Vec::new();
    }
    let documents = match yaml::parse(&source.text) {
        Ok(documents) => documents,
        Err(error) => {
            let span = Span { line: error.line, column: error.column, length: 1 };
            reporter.error("R001", span, format!("no YAML: {}", error.message));
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    for node in documents.iter().filter(|node| node.data != Data::Null) {
        if node.as_map().is_none() {
            keys::wrong(node, what, &format!("a mapping with `{key}`"), reporter);
            continue;
        }
        keys::unknown(node, &[key], true, true, reporter);
        let Some(list) = node.get(key) else {
            keys::missing(node, key, "the entries stand in a list under it", reporter);
            continue;
        };
        match list.as_list() {
            Some(items) if items.len() + entries.len() > ENTRIES_MAX => {
                reporter.error("R001", Span::of(list), format!("there are more than {ENTRIES_MAX} entries"));
            }
            Some(items) => entries.extend(items.iter().cloned()),
            None if list.data == Data::Null => {}
            None => keys::wrong(list, key, "a list of entries", reporter),
        }
    }
    entries
}
