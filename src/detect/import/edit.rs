//! One file of rules: what to change where, or why it cannot be.

use std::collections::BTreeSet;

use crate::base::yaml::{self, Data, Node};
use crate::detect::schema::Schema;

use super::mapping::{Entry, Mapping, PARTS};

/// What is added to each rule and each correlation.
const MARK: &str = "lanner:\n    imported: true\n";

/// Why a file cannot be imported, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// From 1.
    pub line: usize,
    /// The text is no YAML, or no rule: not for a mapping to mend.
    pub broken: bool,
    pub message: String,
}

/// A stretch of the text and what takes its place.
#[derive(Debug)]
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

/// The file over our own fields; the error holds every obstacle.
pub fn import(text: &str, mapping: &Mapping, schema: &Schema) -> Result<String, Vec<Obstacle>> {
    let broken = |line, message| vec![Obstacle { line, broken: true, message }];
    let documents = yaml::parse(text).map_err(|error| broken(error.line, error.message))?;
    let mut editor = Editor::new(text, mapping, schema);
    for logsource in documents.iter().filter_map(|document| document.get("logsource")) {
        editor.used.extend(mapping.find(logsource));
    }
    let wanted: Vec<Node> = documents.iter().map(|document| editor.document(document)).collect();
    editor.mark(&documents);
    if !editor.obstacles.is_empty() {
        return Err(editor.obstacles);
    }
    let changed = editor.apply();
    let found = yaml::parse(&changed).unwrap_or_default();
    let same = found.len() == wanted.len() && found.iter().zip(&wanted).all(|(a, b)| a.to_json() == b.to_json());
    if same {
        Ok(changed)
    } else {
        Err(broken(1, "the file is written in a way that cannot be changed safely; write it in block style".to_owned()))
    }
}

struct Editor<'t> {
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
    mapping: &'t Mapping,
    schema: &'t Schema,
    /// Entries that rules of this file use: correlations have no logsource of their own.
    used: Vec<&'t Entry>,
    edits: Vec<Edit>,
    obstacles: Vec<Obstacle>,
    told: BTreeSet<String>,
}

impl<'t> Editor<'t> {
    fn new(text: &'t str, mapping: &'t Mapping, schema: &'t Schema) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let (used, edits, obstacles, told) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
        Self { text, lines, mapping, schema, used, edits, obstacles, told }
    }

    /// The document as it should become; the edits that make it so are noted.
    fn document(&mut self, document: &Node) -> Node {
        let Some(members) = document.as_map() else {
            self.obstacle(document, true, format!("a rule is a mapping, not {}", document.kind()));
            return document.clone();
        };
        let entry = match document.get("logsource") {
            Some(logsource) => self.mapping.find(logsource),
            None => self.used.first().copied().filter(|first| self.used.iter().all(|other| other == first)),
        };
        let Some(entry) = entry else {
            let place = document.get("logsource").unwrap_or(document);
            let message = match document.get("logsource") {
                Some(logsource) => format!("no mapping for the logsource {}", logsource.to_json()),
                None => {
                    "a correlation is imported in one file with the rules that it counts, all of one mapping".to_owned()
                }
            };
            self.obstacle(place, false, message);
            return document.clone();
        };
        let aliases = document.get("correlation").and_then(|correlation| correlation.get("aliases"));
        let aliases: BTreeSet<String> = aliases
            .and_then(Node::as_map)
            .unwrap_or_default()
            .iter()
            .filter_map(|(name, _)| name.as_text().map(str::to_owned))
            .collect();
        let mut changed: Vec<(Node, Node)> = Vec::new();
        for (key, value) in members {
            let value = match key.as_text() {
                Some("logsource") => self.logsource(key, value, entry),
                Some("detection" | "filter") => self.each(value, |editor, name, value| match name {
                    "condition" | "rules" => value.clone(),
                    _ => editor.selection(value, entry),
                }),
                Some("fields") => self.names(value, entry, &BTreeSet::new()),
                Some("correlation") => self.each(value, |editor, name, value| match name {
                    "group-by" => editor.names(value, entry, &aliases),
                    "condition" => editor.each(value, |editor, name, value| match name {
                        "field" => editor.names(value, entry, &aliases),
                        _ => value.clone(),
                    }),
                    "aliases" => editor.each(value, |editor, _, value| {
                        editor.each(value, |editor, _, value| editor.names(value, entry, &BTreeSet::new()))
                    }),
                    _ => value.clone(),
                }),
                _ => value.clone(),
            };
            changed.push((key.clone(), value));
        }
        if document.get("lanner").is_none() && !is_filter(document) {
            let node = |data| Node { line: 0, column: 0, data };
            let mark = vec![(node(Data::Text("imported".to_owned())), node(Data::Bool(true)))];
            changed.push((node(Data::Text("lanner".to_owned())), node(Data::Map(mark))));
        }
        Node { data: Data::Map(changed), ..*document }
    }

    /// A mapping with other values; anything else stays.
    fn each(&mut self, node: &Node, mut change: impl FnMut(&mut Self, &str, &Node) -> Node) -> Node {
        let Some(members) = node.as_map() else { return node.clone() };
        let changed = members.iter().map(|(key, value)| {
            let changed = change(self, key.as_text().unwrap_or_default(), value);
            (key.clone(), changed)
        });
        let data = Data::Map(changed.collect());
        Node { data, ..*node }
    }

    fn selection(&mut self, node: &Node, entry: &Entry) -> Node {
        let data = match &node.data {
            Data::List(items) => Data::List(items.iter().map(|item| self.selection(item, entry)).collect()),
            Data::Map(members) => {
                let mut changed: Vec<(Node, Node)> = Vec::with_capacity(members.len());
                for (key, value) in members {
                    let (key, value) = self.item(key, value, entry);
                    if changed.iter().any(|(other, _)| other.data == key.data) {
                        let name = key.as_text().unwrap_or_default();
                        self.obstacle(&key, false, format!("two fields of one selection would become `{name}`"));
                    }
                    changed.push((key, value));
                }
                Data::Map(changed)
            }
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => node.data.clone(),
        };
        Node { data, ..*node }
    }

    fn item(&mut self, key: &Node, value: &Node, entry: &Entry) -> (Node, Node) {
        let written = key.as_text().unwrap_or_default();
        let (name, modifiers) = written.split_once('|').map_or((written, None), |(a, b)| (a, Some(b)));
        let refers = modifiers.is_some_and(|all| all.split('|').any(|one| one == "fieldref"));
        let value = if refers { self.names(value, entry, &BTreeSet::new()) } else { value.clone() };
        if name.is_empty() {
            return (key.clone(), value);
        }
        let becomes = self.name(key, name, entry);
        let written = modifiers.map_or(becomes.clone(), |modifiers| format!("{becomes}|{modifiers}"));
        (Node { data: Data::Text(written), ..*key }, value)
    }

    /// One name or a list of names, but for those that stand for others.
    fn names(&mut self, node: &Node, entry: &Entry, but: &BTreeSet<String>) -> Node {
        let data = match &node.data {
            Data::List(items) => Data::List(items.iter().map(|item| self.names(item, entry, but)).collect()),
            Data::Text(name) if !but.contains(name) => Data::Text(self.name(node, name, entry)),
            other => other.clone(),
        };
        Node { data, ..*node }
    }

    /// What becomes of a field, whose name begins where `node` does.
    fn name(&mut self, node: &Node, name: &str, entry: &Entry) -> String {
        match entry.fields.get(name) {
            Some(becomes) => {
                self.replace(node, name, becomes);
                becomes.clone()
            }
            None if self.schema.kind_of(name).is_some() => name.to_owned(),
            None => {
                if self.told.insert(name.to_owned()) {
                    self.obstacle(node, false, format!("the field `{name}` is not mapped"));
                }
                name.to_owned()
            }
        }
    }

    fn logsource(&mut self, key: &Node, node: &Node, entry: &Entry) -> Node {
        let members = node.as_map().unwrap_or_default();
        let parts = members.iter().filter(|(part, _)| part.as_text().is_some_and(|part| PARTS.contains(&part)));
        let (Some(first), Some(last)) = (parts.clone().next(), parts.clone().next_back()) else { return node.clone() };
        // The parts become others, line for line; what else is there, such as a definition, stays.
        let written: Vec<String> =
            PARTS.iter().filter_map(|part| Some(format!("{part}: {}", entry.becomes.get(*part)?))).collect();
        let on_lines = parts.clone().all(|(part, value)| part.line == value.line && part.line > key.line);
        let apart = parts.clone().map(|(part, _)| part.line).collect::<BTreeSet<_>>().len() == parts.clone().count();
        if on_lines && apart {
            let indent = " ".repeat(first.0.column - 1);
            let lines: String = written.iter().map(|line| format!("{indent}{line}\n")).collect::<Vec<_>>().concat();
            for (number, (part, _)) in parts.clone().enumerate() {
                let (start, end) = self.line(part.line);
                self.edits.push(Edit { start, end, text: if number == 0 { lines.clone() } else { String::new() } });
            }
        } else if parts.clone().count() == members.len() && last.1.line == first.0.line {
            let start = self.offset(first.0.line, first.0.column);
            let end =
                self.text.get(start..).and_then(|rest| rest.find(['}', '\n'])).map_or(self.text.len(), |at| start + at);
            self.edits.push(Edit { start, end, text: written.join(", ") });
        } else {
            self.obstacle(node, true, "the logsource is written in a way that cannot be changed safely".to_owned());
        }
        let text = |text: &str| Node { line: 0, column: 0, data: Data::Text(text.to_owned()) };
        let mut changed: Vec<(Node, Node)> =
            entry.becomes.iter().map(|(part, value)| (text(part), text(value))).collect();
        changed.extend(
            members.iter().filter(|(part, _)| !part.as_text().is_some_and(|part| PARTS.contains(&part))).cloned(),
        );
        Node { data: Data::Map(changed), ..*node }
    }

    /// Adds to each document that it was imported.
    fn mark(&mut self, documents: &[Node]) {
        for (number, document) in documents.iter().enumerate() {
            if document.get("lanner").is_some() || is_filter(document) {
                continue;
            }
            let from = document.line;
            let until = documents.get(number + 1).map_or(self.lines.len() + 1, |next| next.line);
            // The line that ends the document, or the end of the text.
            let ends = |line: &usize| {
                let (start, end) = self.line(*line);
                self.text.get(start..end).is_some_and(|line| line.starts_with("---") || line.starts_with("..."))
            };
            let at = (from + 1..until).find(ends).map_or(self.text.len(), |line| self.line(line).0);
            let broken = self.text.get(..at).is_some_and(|before| !before.is_empty() && !before.ends_with('\n'));
            let text = format!("{}{MARK}", if broken { "\n" } else { "" });
            self.edits.push(Edit { start: at, end: at, text });
        }
    }

    fn replace(&mut self, node: &Node, name: &str, becomes: &str) {
        let at = self.offset(node.line, node.column);
        let rest = self.text.get(at..).unwrap_or_default();
        let quote = usize::from(rest.starts_with(['\'', '"']));
        if rest.get(quote..).is_some_and(|rest| rest.starts_with(name)) {
            self.edits.push(Edit { start: at + quote, end: at + quote + name.len(), text: becomes.to_owned() });
        } else {
            self.obstacle(node, true, format!("`{name}` is written in a way that cannot be changed safely"));
        }
    }

    /// A line from its beginning to after its end.
    fn line(&self, line: usize) -> (usize, usize) {
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        (start, self.lines.get(line).copied().unwrap_or(self.text.len()))
    }

    fn offset(&self, line: usize, column: usize) -> usize {
        let (start, end) = self.line(line);
        let text = self.text.get(start..end).unwrap_or_default();
        start + text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at)
    }

    fn obstacle(&mut self, node: &Node, broken: bool, message: String) {
        self.obstacles.push(Obstacle { line: node.line, broken, message });
    }

    fn apply(mut self) -> String {
        self.edits.sort_by_key(|edit| (edit.start, edit.end));
        let (mut changed, mut at) = (String::with_capacity(self.text.len() + 64), 0);
        for edit in self.edits {
            // Two nodes of one place come from an alias: both ask for the same.
            if edit.start < at {
                continue;
            }
            changed.push_str(self.text.get(at..edit.start).unwrap_or_default());
            changed.push_str(&edit.text);
            at = edit.end;
        }
        changed.push_str(self.text.get(at..).unwrap_or_default());
        changed
    }
}

/// A filter is no rule, and has no place for the mark of one.
fn is_filter(document: &Node) -> bool {
    document.get("filter").is_some()
}
