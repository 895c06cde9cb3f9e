//! Selections as written: maps, lists of maps, keywords.

use crate::base::yaml::{Data, Node};
use crate::detect::diagnostic::{Level, Reporter, Span};

use super::condition::{self, Condition};
use super::modifier::{Modifier, clash};
use super::{NAME_CHARS_MAX, keys};

/// Values at one field.
const VALUES_MAX: usize = 20_000;
/// Maps in lists in maps; Sigma needs two.
const DEPTH_MAX: usize = 8;

/// The `detection` of a rule.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Detection {
    pub selections: Vec<Selection>,
    /// Any of them makes the rule match.
    pub conditions: Vec<(Condition, Node)>,
}

/// One named search.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    pub name: String,
    pub span: Span,
    /// `None` when it could not be read, which was reported.
    pub search: Option<Search>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Search {
    /// Members of a mapping.
    All(Vec<Search>),
    /// Members of a list.
    Any(Vec<Search>),
    Item(Item),
}

/// One field, or all values of the event, with what is asked of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// `None` for keywords: any value of the event.
    pub field: Option<String>,
    pub span: Span,
    /// With the place of each.
    pub modifiers: Vec<(Modifier, Span)>,
    /// Scalars only.
    pub values: Vec<Node>,
    /// The values were written as a list.
    pub listed: bool,
}

/// Reads `detection`; reports everything that is wrong in it.
pub fn read(rule: &Node, reporter: &mut Reporter<'_>) -> Detection {
    let Some(node) = rule.get("detection") else {
        keys::missing(rule, "detection", "it holds the selections and their condition", reporter);
        return Detection::default();
    };
    if node.as_map().is_none() {
        keys::wrong(node, "detection", "a mapping of selections", reporter);
        return Detection::default();
    }
    section(node, &[], reporter)
}

/// Reads selections and condition, but for keys of another meaning.
pub fn section(node: &Node, skip: &[&str], reporter: &mut Reporter<'_>) -> Detection {
    let mut detection = Detection { selections: Vec::new(), conditions: conditions(node, reporter) };
    for (name, value) in node.as_map().unwrap_or_default() {
        let span = Span::of(name);
        match name.as_text() {
            Some("condition") => {}
            Some(text) if skip.contains(&text) => {}
            Some("timeframe") => {
                let message = "`timeframe` belongs to aggregations, which Sigma 2 writes as correlations".to_owned();
                reporter.report(Level::Warning, "R005", span, message, None);
            }
            Some(text) if text.is_empty() || text.chars().count() > NAME_CHARS_MAX => {
                reporter.error("R018", span, format!("a selection's name has 1 to {NAME_CHARS_MAX} characters"));
            }
            Some(text) => {
                let search = search(value, 0, reporter);
                detection.selections.push(Selection { name: text.to_owned(), span, search });
            }
            None => keys::wrong(name, "a selection's name", "a text", reporter),
        }
    }
    if detection.selections.is_empty() {
        reporter.error("R018", Span::of(node), "there is no selection");
    }
    detection
}

fn conditions(node: &Node, reporter: &mut Reporter<'_>) -> Vec<(Condition, Node)> {
    let Some(written) = node.get("condition") else {
        keys::missing(node, "condition", "it says how the selections combine", reporter);
        return Vec::new();
    };
    let one = std::slice::from_ref(written);
    let nodes = written.as_list().unwrap_or(one);
    if nodes.is_empty() {
        reporter.error("R020", Span::of(written), "there is no condition in the list");
    }
    nodes.iter().filter_map(|node| condition_at(node, reporter)).collect()
}

fn condition_at(node: &Node, reporter: &mut Reporter<'_>) -> Option<(Condition, Node)> {
    let Some(text) = node.as_text() else {
        keys::wrong(node, "condition", "a text or a list of texts", reporter);
        return None;
    };
    match condition::parse(text) {
        Ok(condition) => Some((condition, node.clone())),
        Err(error) => {
            let before = text.get(..error.start).map_or(0, |before| before.chars().count());
            let span = reporter.inside(node, text, before, error.length);
            reporter.report(Level::Error, "R020", span, error.message, error.hint);
            None
        }
    }
}

fn search(node: &Node, depth: usize, reporter: &mut Reporter<'_>) -> Option<Search> {
    if depth > DEPTH_MAX {
        reporter.error("R018", Span::of(node), "selections are nested too deeply");
        return None;
    }
    match &node.data {
        Data::Map(members) if members.is_empty() => {
            reporter.error("R018", Span::of(node), "an empty selection would match every event");
            None
        }
        Data::Map(members) => {
            let mark = reporter.mark();
            let items =
                members.iter().filter_map(|(key, value)| item(key, value, reporter)).map(Search::Item).collect();
            (!reporter.errors_since(mark)).then_some(Search::All(items))
        }
        Data::List(items) if items.is_empty() => {
            reporter.error("R018", Span::of(node), "an empty list would match no event");
            None
        }
        Data::List(items) if items.len() > VALUES_MAX => {
            reporter.error("R018", Span::of(node), format!("a list has at most {VALUES_MAX} members"));
            None
        }
        Data::List(items) if items.iter().all(is_scalar) => Some(Search::Item(keywords(node, items.clone(), true))),
        Data::List(items) => {
            let searches: Option<Vec<_>> = items.iter().map(|item| search(item, depth + 1, reporter)).collect();
            searches.map(Search::Any)
        }
        Data::Null => {
            reporter.error("R018", Span::of(node), "the selection is empty");
            None
        }
        Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => {
            Some(Search::Item(keywords(node, vec![node.clone()], false)))
        }
    }
}

fn keywords(node: &Node, values: Vec<Node>, listed: bool) -> Item {
    Item { field: None, span: Span::of(node), modifiers: Vec::new(), values, listed }
}

fn item(key: &Node, value: &Node, reporter: &mut Reporter<'_>) -> Option<Item> {
    let Some(written) = key.as_text() else {
        keys::wrong(key, "a field's name", "a text", reporter);
        return None;
    };
    let mut parts = written.split('|');
    let field = parts.next().unwrap_or_default();
    if field.chars().count() > NAME_CHARS_MAX {
        reporter.error("R018", Span::of(key), format!("a field's name has at most {NAME_CHARS_MAX} characters"));
        return None;
    }
    let span = reporter.inside(key, written, 0, field.chars().count().max(1));
    let mut start = field.chars().count() + 1;
    let mut modifiers = Vec::new();
    for name in parts {
        let length = name.chars().count();
        let span = reporter.inside(key, written, start, length.max(1));
        modifiers.push((Modifier::read(name, span, reporter)?, span));
        start += length + 1;
    }
    let plain: Vec<Modifier> = modifiers.iter().map(|(modifier, _)| *modifier).collect();
    if let Some((index, message)) = clash(&plain) {
        let span = modifiers.get(index).map_or(span, |(_, span)| *span);
        reporter.error("R015", span, message);
        return None;
    }
    let (values, listed) = values(value, reporter)?;
    let field = (!field.is_empty()).then(|| field.to_owned());
    Some(Item { field, span, modifiers, values, listed })
}

fn values(node: &Node, reporter: &mut Reporter<'_>) -> Option<(Vec<Node>, bool)> {
    let Some(items) = node.as_list() else {
        if !is_scalar(node) {
            reporter.error("R018", Span::of(node), "a field's value is a scalar or a list of scalars, not a mapping");
            return None;
        }
        return Some((vec![node.clone()], false));
    };
    if items.is_empty() || items.len() > VALUES_MAX {
        let message = format!("a list of values has 1 to {VALUES_MAX} members");
        reporter.error("R018", Span::of(node), message);
        return None;
    }
    if let Some(odd) = items.iter().find(|item| !is_scalar(item)) {
        reporter.error("R018", Span::of(odd), format!("a list of values holds scalars, not {}", odd.kind()));
        return None;
    }
    Some((items.to_vec(), true))
}

const fn is_scalar(node: &Node) -> bool {
    match node.data {
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => true,
        Data::List(_) | Data::Map(_) => false,
    }
}
