//! Filters as written (Sigma filters specification 2.1): what rules must not be told of here.

use crate::base::yaml::Node;
use crate::detect::catalogue;
use crate::detect::diagnostic::{Level, Reporter, Span};
use crate::detect::schema::Schema;

use super::condition::Condition;
use super::detection::{self, Detection};
use super::logsource::Logsource;
use super::{keys, rule};

/// A filter, its names not looked up yet.
#[derive(Debug, Clone)]
pub struct Filter {
    pub title: String,
    pub uuid: Option<String>,
    pub id_span: Span,
    /// The rules that it is for.
    pub targets: Targets,
    /// It applies only where this covers the rule's; everywhere when it is empty.
    pub logsource: Logsource,
    pub detection: Detection,
    /// Where it begins.
    pub span: Span,
}

/// Which rules a filter is for.
#[derive(Debug, Clone)]
pub enum Targets {
    /// Every rule whose logsource it covers.
    Any,
    /// Those that have one of these names, ids or tags.
    Named { rules: Vec<(String, Span)>, tags: Vec<(String, Span)> },
}

const KEYS: &[&str] = &[
    "title",
    "id",
    "name",
    "description",
    "author",
    "date",
    "modified",
    "taxonomy",
    "references",
    "status",
    "license",
    "logsource",
    "filter",
    "lanner",
];
/// Names and tags of one filter.
const TARGETS_MAX: usize = 10_000;

/// Reads the document; `None` when it makes no sense, which is reported.
pub fn read(document: &Node, path: &str, schema: &Schema, reporter: &mut Reporter<'_>) -> Option<Filter> {
    let mark = reporter.mark();
    keys::unknown(document, KEYS, false, !schema.is_open(), reporter);
    if document.get("title").is_none() {
        keys::missing(document, "title", "a filter needs one, to be named in lists", reporter);
    }
    let title = keys::text(document, "title", reporter).unwrap_or_else(|| path.to_owned());
    let uuid = rule::id(document, !schema.is_open(), reporter);
    let logsource = logsource(document, schema, reporter);
    let node = document.get("filter")?;
    if node.as_map().is_none() {
        keys::wrong(node, "filter", "a mapping of rules, selections and condition", reporter);
        return None;
    }
    let targets = targets(document, node, reporter);
    let detection = detection::section(node, &["rules"], reporter);
    keeps(&detection, reporter);
    let id_span = document.get("id").map(Span::of).unwrap_or_default();
    let filter = Filter { title, uuid, id_span, targets: targets?, logsource, detection, span: Span::of(node) };
    (!reporter.errors_since(mark)).then_some(filter)
}

/// Rules name what they look at already, so a filter that names rules may leave it out.
fn logsource(document: &Node, schema: &Schema, reporter: &mut Reporter<'_>) -> Logsource {
    if document.get("logsource").is_none() {
        return Logsource::default();
    }
    Logsource::partial(document, schema, reporter)
}

fn targets(document: &Node, node: &Node, reporter: &mut Reporter<'_>) -> Option<Targets> {
    let tags = document.get("lanner").map(|ours| tags(ours, reporter)).unwrap_or_default();
    let written = match node.get("rules") {
        Some(written) => written,
        None if !tags.is_empty() => return Some(Targets::Named { rules: Vec::new(), tags }),
        None => {
            keys::missing(node, "rules", "a list of names or ids of rules, or `any`", reporter);
            return None;
        }
    };
    if written.as_text().is_some_and(|text| text.eq_ignore_ascii_case("any")) {
        return Some(Targets::Any);
    }
    let rules = match written.as_text() {
        Some(text) => vec![(text.to_owned(), Span::of(written))],
        None => keys::texts(node, "rules", reporter),
    };
    if rules.len() > TARGETS_MAX || (rules.is_empty() && tags.is_empty()) {
        let message = format!("a filter names 1 to {TARGETS_MAX} rules, or `any`");
        reporter.error("R070", Span::of(written), message);
    }
    Some(Targets::Named { rules, tags })
}

/// `lanner: {tags: [atlas.aml.t0010]}`: Sigma itself has no way to name rules by their tags.
fn tags(ours: &Node, reporter: &mut Reporter<'_>) -> Vec<(String, Span)> {
    if ours.as_map().is_none() {
        keys::wrong(ours, "lanner", "a mapping of tags", reporter);
        return Vec::new();
    }
    keys::unknown(ours, &["tags"], true, true, reporter);
    let tags = keys::texts(ours, "tags", reporter);
    for (tag, span) in tags.iter().filter(|(tag, _)| tag.starts_with("atlas.") && catalogue::from_tag(tag).is_none()) {
        let message = format!("`{tag}` names nothing in ATLAS {}", crate::event::atlas::VERSION);
        reporter.report(Level::Warning, "R030", *span, message, None);
    }
    tags
}

/// The condition is added to the rule's, so one without `not` keeps what it describes, and nothing else.
fn keeps(detection: &Detection, reporter: &mut Reporter<'_>) {
    for (condition, node) in detection.conditions.iter().filter(|(condition, _)| !negates(condition)) {
        let hint = match condition {
            Condition::Name(word) => format!("write `not {}` to leave out what it describes", word.text),
            Condition::And(_) | Condition::Or(_) | Condition::Not(_) | Condition::Of { .. } => {
                "write `not (…)` to leave out what it describes".to_owned()
            }
        };
        let message = "the rules will report only what this filter describes".to_owned();
        reporter.report(Level::Warning, "R072", Span::of(node), message, Some(hint));
    }
}

fn negates(condition: &Condition) -> bool {
    match condition {
        Condition::Not(_) => true,
        Condition::And(sides) | Condition::Or(sides) => sides.iter().any(negates),
        Condition::Name(_) | Condition::Of { .. } => false,
    }
}
