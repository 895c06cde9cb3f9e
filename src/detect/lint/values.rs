//! Values of one field.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::AhoCorasick;

use crate::base::text;
use crate::base::yaml::{Data, Node};
use crate::detect::diagnostic::{Level, Reporter, Span};
use crate::detect::pattern::{Pattern, fold};
use crate::detect::sigma::detection::Item;
use crate::detect::sigma::modifier::Modifier;

/// Values of one field that are compared with each other.
const COMPARED_MAX: usize = 5_000;

/// Reports values that add nothing, and those that do not mean what they look like.
pub fn check(item: &Item, reporter: &mut Reporter<'_>) {
    let has = |wanted: Modifier| item.modifiers.iter().any(|(modifier, _)| *modifier == wanted);
    if has(Modifier::Expand) {
        return;
    }
    let textual = item.modifiers.iter().all(|(modifier, _)| plain(*modifier));
    if has(Modifier::Re) {
        item.values.iter().for_each(|value| plain_expression(value, item, reporter));
    } else if textual {
        item.values.iter().for_each(|value| escaped_wildcard(value, reporter));
    }
    if item.values.len() > 1 && item.values.len() <= COMPARED_MAX {
        let fold_case = textual && !has(Modifier::Cased);
        twice(item, fold_case, reporter);
        if textual && !has(Modifier::All) && !has(Modifier::Neq) {
            covered(item, fold_case, reporter);
        }
    }
}

/// Modifiers under which a value is a text as it stands.
const fn plain(modifier: Modifier) -> bool {
    match modifier {
        Modifier::Contains
        | Modifier::StartsWith
        | Modifier::EndsWith
        | Modifier::All
        | Modifier::Neq
        | Modifier::Cased => true,
        Modifier::Exists
        | Modifier::Windash
        | Modifier::Encode(_)
        | Modifier::Re
        | Modifier::Flag(_)
        | Modifier::Cidr
        | Modifier::Compare(_)
        | Modifier::FieldRef
        | Modifier::Expand
        | Modifier::Time(_) => false,
    }
}

fn twice(item: &Item, fold_case: bool, reporter: &mut Reporter<'_>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for value in &item.values {
        let key = match &value.data {
            Data::Text(text) if fold_case => format!("text {}", fold(text)),
            other => format!("{other:?}"),
        };
        match seen.get(&key) {
            Some(line) => {
                let hint = format!("line {line} has it already");
                warn(value, "the value is written twice".to_owned(), Some(hint), reporter);
            }
            None => {
                seen.insert(key, value.line);
            }
        }
    }
}

fn warn(value: &Node, message: String, hint: Option<String>, reporter: &mut Reporter<'_>) {
    reporter.report(Level::Warning, "R025", Span::of(value), message, hint);
}

/// A value that contains another, where a part is looked for, adds nothing.
fn covered(item: &Item, fold_case: bool, reporter: &mut Reporter<'_>) {
    let anchor = item
        .modifiers
        .iter()
        .map(|(modifier, _)| *modifier)
        .find(|modifier| matches!(modifier, Modifier::Contains | Modifier::StartsWith | Modifier::EndsWith));
    // Keywords are looked for inside values.
    let anchor = anchor.or(if item.field.is_none() { Some(Modifier::Contains) } else { None });
    let Some(anchor) = anchor else { return };
    let mut texts: HashMap<String, &Node> = HashMap::new();
    for value in &item.values {
        let pattern = value.as_text().map(Pattern::parse);
        let Some(text) = pattern.as_ref().and_then(Pattern::as_plain).filter(|text| !text.is_empty()) else { continue };
        texts.entry(if fold_case { fold(text) } else { text.to_owned() }).or_insert(value);
    }
    let mut all: Vec<(&String, &&Node)> = texts.iter().collect();
    all.sort_by_key(|(_, node)| (node.line, node.column));
    let Ok(automaton) = AhoCorasick::new(all.iter().map(|(text, _)| text.as_str())) else { return };
    for (index, (text, node)) in all.iter().enumerate() {
        let covers = |found: &aho_corasick::Match| {
            let place = match anchor {
                Modifier::StartsWith => found.start() == 0,
                Modifier::EndsWith => found.end() == text.len(),
                _ => true,
            };
            place && found.pattern().as_usize() != index
        };
        let wider = automaton.find_overlapping_iter(text.as_str()).find(covers);
        if let Some((wider, _)) = wider.and_then(|found| all.get(found.pattern().as_usize())) {
            let message = format!("this adds nothing to `{}`, which is in the list, too", text::shorten(wider, 60));
            warn(node, message, Some("leave one of them out".to_owned()), reporter);
        }
    }
}

/// An expression of which nothing is special is a slower way to write a text.
fn plain_expression(value: &Node, item: &Item, reporter: &mut Reporter<'_>) {
    let Some(written) = value.as_text() else { return };
    // A keyword and an anchored expression read differently without it.
    if item.field.is_none()
        || item.modifiers.iter().any(|(modifier, _)| !matches!(modifier, Modifier::Re | Modifier::All))
    {
        return;
    }
    let inner = written.strip_prefix(".*").unwrap_or(written);
    let inner = inner.strip_suffix(".*").filter(|inner| !inner.ends_with('\\')).unwrap_or(inner);
    let (starts, inner) = inner.strip_prefix('^').map_or((false, inner), |inner| (true, inner));
    let (ends, inner) = inner.strip_suffix('$').map_or((false, inner), |inner| (true, inner));
    if inner.is_empty() || regex::escape(inner) != *inner || (starts && ends) || written.starts_with(".*^") {
        return;
    }
    let (modifier, shown) = match (starts, ends) {
        (true, _) => ("startswith|cased", inner),
        (_, true) => ("endswith|cased", inner),
        (false, false) => ("contains|cased", inner),
    };
    let hint = format!("write `{modifier}: {}`", text::shorten(shown, 80));
    let message = "the expression is a plain text".to_owned();
    reporter.report(Level::Warning, "R026", Span::of(value), message, Some(hint));
}

/// `C:\Temp\*` asks for a star: the backslash before it is no part of the path but an escape.
fn escaped_wildcard(value: &Node, reporter: &mut Reporter<'_>) {
    let Some(text) = value.as_text() else { return };
    let Some(path) = text.strip_suffix(r"\*").filter(|path| !path.ends_with('\\')) else { return };
    // A folder before it makes it the end of a path.
    let folder = path.rsplit_once('\\').is_some_and(|(_, name)| {
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '*'))
    });
    if folder {
        let hint = r"write `\\*` for a backslash and anything behind it".to_owned();
        let message = r"`\*` is a star itself, not any text in a folder".to_owned();
        reporter.report(Level::Warning, "R027", Span::of(value), message, Some(hint));
    }
}
