//! Reading the keys of a mapping, with a report for each that is missing, misspelt or misshapen.

use crate::base::text;
use crate::base::yaml::{Data, Node};
use crate::detect::diagnostic::{Level, Reporter, Span};

/// The text at `key`; numbers and booleans are no texts.
pub fn text(map: &Node, key: &str, reporter: &mut Reporter<'_>) -> Option<String> {
    let node = map.get(key)?;
    let found = node.as_text();
    if found.is_none() {
        wrong(node, key, "a text", reporter);
    }
    found.map(|text| text.trim().to_owned())
}

/// The texts at `key`; none when it is absent.
pub fn texts(map: &Node, key: &str, reporter: &mut Reporter<'_>) -> Vec<(String, Span)> {
    let Some(node) = map.get(key) else {
        return Vec::new();
    };
    let Some(items) = node.as_list() else {
        if node.data != Data::Null {
            wrong(node, key, "a list of texts", reporter);
        }
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| {
            let text = item.as_text().map(|text| (text.to_owned(), Span::of(item)));
            if text.is_none() {
                wrong(item, key, "a list of texts", reporter);
            }
            text
        })
        .collect()
}

/// Reports that a required key is missing.
pub fn missing(map: &Node, key: &str, why: &str, reporter: &mut Reporter<'_>) {
    let misspelt = map.as_map().into_iter().flatten().find(|(name, _)| {
        name.as_text().is_some_and(|name| text::distance(name, key) <= 2 && name.len().abs_diff(key.len()) <= 2)
    });
    match misspelt {
        Some((name, _)) => {
            let written = name.as_text().unwrap_or_default();
            let message = format!("unknown key `{written}`, and `{key}` is missing");
            reporter.error_hint("R003", Span::of(name), message, format!("did you mean `{key}`?"));
        }
        None => reporter.error_hint("R003", Span::of(map).part(0, 1), format!("`{key}` is missing"), why.to_owned()),
    }
}

/// Reports keys that are not known: as an error where only ours may stand, else as a warning when
/// one looks like a slip, because Sigma lets everybody add keys of their own.
pub fn unknown(map: &Node, known: &[&str], only: bool, strict: bool, reporter: &mut Reporter<'_>) {
    for (name, _) in map.as_map().unwrap_or_default() {
        let written = name.as_text().unwrap_or_default();
        if known.contains(&written) {
            continue;
        }
        let near = text::nearest(written, known.iter().copied());
        let severity = if only || strict { Level::Error } else { Level::Warning };
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        if only || near.is_some() {
            reporter.report(severity, "R005", Span::of(name), format!("unknown key `{written}`"), Some(hint));
        }
    }
}

/// Reports a value of the wrong kind.
pub fn wrong(node: &Node, key: &str, wanted: &str, reporter: &mut Reporter<'_>) {
    reporter.error("R004", Span::of(node), format!("`{key}` is {wanted}, not {}", node.kind()));
}
