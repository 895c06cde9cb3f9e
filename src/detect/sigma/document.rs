//! One document of a rule file: a rule about events, a correlation of rules, or a filter for rules.

use crate::base::yaml::Node;
use crate::detect::diagnostic::{Reporter, Span};
use crate::detect::schema::Schema;

use super::correlation::{self, Correlation};
use super::filter::{self, Filter};
use super::rule::{self, Head, Written};

/// A document as written.
#[derive(Debug, Clone)]
pub enum Document {
    Rule(Box<Written>),
    /// `None` when its correlation makes no sense, which was reported.
    Correlation(Box<Head>, Option<Box<Correlation>>),
    Filter(Box<Filter>),
}

/// What makes a document something else than a rule about events.
const KINDS: &[&str] = &["correlation", "filter", "detection"];

/// Reads one document. `None` when it is none of these, which is reported.
pub fn read(node: &Node, path: &str, schema: &Schema, reporter: &mut Reporter<'_>) -> Option<Document> {
    if node.as_map().is_none() {
        reporter.error("R002", Span::of(node), format!("a rule is a mapping, not {}", node.kind()));
        return None;
    }
    let kinds: Vec<&str> = KINDS.iter().copied().filter(|key| node.get(key).is_some()).collect();
    if let [first, second, ..] = kinds.as_slice() {
        let message = format!("one document cannot have both `{first}` and `{second}`");
        let hint = "write two documents, with a line `---` between them";
        reporter.error_hint("R002", key_span(node, second), message, hint);
        return None;
    }
    if kinds.is_empty() && node.get("action").is_some() {
        let message = "`action` documents are not part of Sigma 2";
        let hint = "write out what they repeat; for counting write a correlation";
        reporter.error_hint("R009", key_span(node, "action"), message, hint);
        return None;
    }
    match kinds.first().copied() {
        Some("correlation") => {
            let (head, correlation) = correlation::read(node, path, schema, reporter);
            Some(Document::Correlation(Box::new(head), correlation.map(Box::new)))
        }
        Some("filter") => filter::read(node, path, schema, reporter).map(|filter| Document::Filter(Box::new(filter))),
        Some(_) | None => Some(Document::Rule(Box::new(rule::read(node, path, schema, reporter)))),
    }
}

fn key_span(node: &Node, key: &str) -> Span {
    let found = node.as_map().into_iter().flatten().find(|(name, _)| name.as_text() == Some(key));
    found.map(|(name, _)| Span::of(name)).unwrap_or_default()
}
