//! The mapping file: which logsource becomes which of ours, and which field.

use std::collections::BTreeMap;

use crate::base::yaml::{self, Node};
use crate::detect::diagnostic::{Diagnostic, Level, Reporter, Span};
use crate::detect::schema::Schema;
use crate::detect::{Source, sigma::keys};
use crate::event::EventKind;

/// The parts of a logsource that mean something.
pub const PARTS: [&str; 3] = ["category", "product", "service"];
const KEYS: &[&str] = &["logsource", "becomes", "fields"];
/// Entries of one file.
const ENTRIES_MAX: usize = 10_000;

/// Entries in their order: the first that fits a rule's logsource is taken.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    entries: Vec<Entry>,
}

/// What becomes of the rules of one logsource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// What a rule's logsource must have, in small letters.
    logsource: BTreeMap<String, String>,
    /// The logsource that it gets instead.
    pub becomes: BTreeMap<String, String>,
    /// Names of fields there → names here.
    pub fields: BTreeMap<String, String>,
}

impl Mapping {
    /// The mapping that comes with the program.
    pub fn built_in(schema: &Schema) -> Self {
        let source = Source::new("the built-in mapping", include_str!("mapping.yml"));
        Self::read(&source, schema).unwrap_or_default()
    }

    /// Reads a mapping file; the error holds everything that is wrong with it.
    pub fn read(source: &Source, schema: &Schema) -> Result<Self, Vec<Diagnostic>> {
        let mut reporter = Reporter::new(source);
        let entries = read(source, schema, &mut reporter);
        let found = reporter.into_found();
        if found.iter().any(|diagnostic| diagnostic.severity == Level::Error) {
            Err(found)
        } else {
            Ok(Self { entries })
        }
    }

    /// The entry for a logsource as it was written.
    pub fn find(&self, logsource: &Node) -> Option<&Entry> {
        let has = |(part, wanted): (&String, &String)| {
            logsource.get(part).and_then(Node::as_text).is_some_and(|found| found.trim().eq_ignore_ascii_case(wanted))
        };
        self.entries.iter().find(|entry| entry.logsource.iter().all(has))
    }
}

fn read(source: &Source, schema: &Schema, reporter: &mut Reporter<'_>) -> Vec<Entry> {
    let documents = match yaml::parse(&source.text) {
        Ok(documents) => documents,
        Err(error) => {
            let span = Span { line: error.line, column: error.column, ..Span::default() };
            reporter.error("R001", span, error.message);
            return Vec::new();
        }
    };
    let list = documents.first().and_then(|document| document.get("mappings")).and_then(Node::as_list);
    let Some(list) = list.filter(|list| list.len() <= ENTRIES_MAX) else {
        let hint = "it is a mapping with the key `mappings`, a list of `logsource`, `becomes` and `fields`; see docs/mapping.md";
        reporter.error_hint("R054", Span::default(), "this is no mapping file".to_owned(), hint);
        return Vec::new();
    };
    list.iter().map(|node| entry(node, schema, reporter)).collect()
}

fn entry(node: &Node, schema: &Schema, reporter: &mut Reporter<'_>) -> Entry {
    keys::unknown(node, KEYS, true, true, reporter);
    let logsource = parts(node, "logsource", reporter);
    let becomes = parts(node, "becomes", reporter);
    let known = becomes.get("category").is_some_and(|category| EventKind::from_category(category).is_some());
    if !known && !schema.is_open() {
        let hint = format!("`category` is one of {}", EventKind::ALL.map(EventKind::category).join(", "));
        let span = node.get("becomes").map_or_else(|| Span::of(node), Span::of);
        reporter.error_hint("R010", span, "`becomes` names no kind of event".to_owned(), hint);
    }
    let mut fields = BTreeMap::new();
    for (name, becomes) in node.get("fields").and_then(Node::as_map).unwrap_or_default() {
        let (Some(name), Some(path)) = (name.as_text(), becomes.as_text()) else {
            keys::wrong(becomes, "fields", "a mapping of names to names", reporter);
            continue;
        };
        if schema.kind_of(path).is_none() {
            let hint = schema.nearest(path).map(|near| format!("did you mean `{near}`?"));
            reporter.report(Level::Error, "R012", Span::of(becomes), format!("there is no field `{path}`"), hint);
        }
        fields.insert(name.to_owned(), path.to_owned());
    }
    Entry { logsource, becomes, fields }
}

fn parts(node: &Node, key: &str, reporter: &mut Reporter<'_>) -> BTreeMap<String, String> {
    let Some(map) = node.get(key).filter(|map| map.as_map().is_some_and(|members| !members.is_empty())) else {
        let span = node.get(key).map_or_else(|| Span::of(node), Span::of);
        let hint = "a mapping with `category`, `product` or `service`";
        reporter.error_hint("R054", span, format!("`{key}` is missing, or says nothing"), hint);
        return BTreeMap::new();
    };
    keys::unknown(map, &PARTS, true, true, reporter);
    PARTS.iter().filter_map(|part| Some(((*part).to_owned(), keys::text(map, part, reporter)?))).collect()
}
