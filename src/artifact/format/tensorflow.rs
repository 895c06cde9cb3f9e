//! `TensorFlow`'s graphs: `SavedModel`, `MetaGraph` and `GraphDef`. Operators that leave the graph, files
//! that it names, and what hides in constants and collections.

mod operators;
mod paths;

use std::sync::LazyLock;

use regex::Regex;

use paths::Paths;

use super::protobuf::{self, Broken, DEPTH_MAX, Outline, Reader, Span, Value};
use super::{Head, keras, shipped, zip};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// An operator in a graph that is written as text.
static OPERATOR: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"\bop\s*:\s*["']([^"'\n]+)["']"#).ok());

/// What a file holds at its top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SavedModel,
    MetaGraph,
    Graph,
    /// The configuration of Keras beside a `SavedModel`.
    Keras,
}

pub fn identify(head: &Head<'_>) -> bool {
    kind(head.input, head.bytes, head.name).is_some()
}

fn kind(input: Input<'_>, head: &[u8], name: &str) -> Option<Kind> {
    if !matches!(head.first(), Some(0x08 | 0x0a | 0x12 | 0x1a | 0x22)) {
        return None;
    }
    let file = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let span = Span::Far(input);
    let outline = Outline::of(span, 4096);
    // A file that is cut off is recognised by its name alone.
    let named = match file.as_str() {
        "saved_model.pb" => Some(Kind::SavedModel),
        "keras_metadata.pb" => Some(Kind::Keras),
        _ if super::extension(&file) == "meta" => Some(Kind::MetaGraph),
        _ => None,
    };
    if !outline.whole {
        return named;
    }
    let saved = outline.only(&[2], &[1]) && outline.spans(2) > 0;
    if saved && protobuf::first(span, 2, is_meta_graph) == Some(true) {
        return Some(Kind::SavedModel);
    }
    if is_meta_graph(span) {
        return Some(Kind::MetaGraph);
    }
    if outline.only(&[1], &[]) && protobuf::first(span, 1, is_keras) == Some(true) {
        return Some(Kind::Keras);
    }
    is_graph(span).then_some(Kind::Graph).or(named)
}

fn is_meta_graph(span: Span<'_>) -> bool {
    let outline = Outline::of(span, 4096);
    outline.only(&[1, 2, 3, 4, 5, 6, 7], &[])
        && outline.spans(2) > 0
        && outline.spans(1) < 2
        && (outline.spans(1) > 0 || outline.spans(4) > 0 || outline.spans(5) > 0)
        && protobuf::first(span, 2, |graph| graph.len() == 0 || is_graph(graph)) == Some(true)
}

/// A graph: nodes that have a name and an operator, or functions with their signatures.
fn is_graph(span: Span<'_>) -> bool {
    let outline = Outline::of(span, 4096);
    let node = |node: Span<'_>| {
        let outline = Outline::of(node, 4096);
        let operator = protobuf::first(node, 2, |operator| {
            let text = operator.start(256);
            !text.is_empty() && text.iter().all(u8::is_ascii_graphic)
        });
        outline.whole && outline.only(&[1, 2, 3, 4, 5, 6, 7], &[]) && outline.spans(1) == 1 && operator == Some(true)
    };
    let library = |library: Span<'_>| {
        let outline = Outline::of(library, 4096);
        outline.whole && outline.spans(1) > 0 && outline.only(&[1, 2, 3], &[])
    };
    outline.only(&[1, 2, 4, 5], &[3])
        && (protobuf::first(span, 1, node) == Some(true)
            || (outline.spans(1) == 0 && protobuf::first(span, 2, library) == Some(true)))
}

fn is_keras(node: Span<'_>) -> bool {
    let identifier = protobuf::first(node, 4, |identifier| identifier.text().starts_with("_tf_keras_"));
    identifier == Some(true) && Outline::of(node, 64).only(&[1, 3, 4, 5, 6], &[2])
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    let Some(kind) = kind(input, &input.read(0, 16), name) else { return "tensorflow" };
    let reader = Reader::new();
    let mut walk = Walk { inspection, reader: &reader, file: input, parts: 0 };
    let span = Span::Far(input);
    match kind {
        Kind::SavedModel => walk.spans(span, |walk, number, span| {
            if number == 2 {
                walk.meta_graph(span);
            }
        }),
        Kind::MetaGraph => walk.meta_graph(span),
        Kind::Graph => walk.graph(span),
        Kind::Keras => walk.spans(span, |walk, number, span| {
            if number == 1 {
                walk.configuration(span, 5);
            }
        }),
    }
    if walk.parts == 0 {
        inspection.issue("malformed", "the file lacks its graph, or what stands in the place of one is none");
    }
    match reader.broken.get() {
        Some(Broken::Malformed) => inspection.issue("malformed", "the graph is cut off, or a part of it is no message"),
        Some(Broken::Fields) => inspection.issue("budget_exceeded", "the graph has more fields than are looked at"),
        None => {}
    }
    if kind == Kind::SavedModel { "savedmodel" } else { "tensorflow" }
}

/// A graph written as text: its operators by their names.
pub fn text(inspection: &mut Inspection<'_>, text: &str) {
    let Some(pattern) = OPERATOR.as_ref() else { return };
    for name in pattern.captures_iter(text).filter_map(|found| found.get(1)) {
        operator(inspection, name.as_str());
    }
}

/// True for operators that write files as training does.
pub fn writes(name: &str) -> bool {
    paths::WRITERS.contains(&name)
}

/// Tells of an operator by its name alone.
pub fn operator(inspection: &mut Inspection<'_>, name: &str) {
    if let Some((fact, told)) = operators::judge(name, &[]) {
        inspection.list(fact, told);
    }
}

/// Under what the texts of a constant are kept.
const CONSTANT: &str = "const";

/// The texts of the constant of an attribute: short ones, such as paths are.
fn constant(reader: &Reader, attribute: Span<'_>) -> Vec<String> {
    let mut texts = Vec::new();
    let mut tensor = |number: u64, span: Span<'_>| {
        if number == 8 && span.len() < 4096 && texts.len() < 64 {
            texts.push(span.text());
        }
    };
    let inner = |span: Span<'_>, wanted: u64, look: &mut dyn FnMut(u64, Span<'_>)| {
        // What is broken is remembered by the reader.
        let _known = reader.fields(span, &mut |number, value| {
            if let Some(span) = value.span().filter(|_| wanted == 0 || number == wanted) {
                look(number, span);
            }
        });
    };
    inner(attribute, 2, &mut |_, value| inner(value, 8, &mut |_, span| inner(span, 0, &mut tensor)));
    texts
}

struct Walk<'w, 'b, 'a> {
    inspection: &'w mut Inspection<'b>,
    reader: &'w Reader,
    file: Input<'a>,
    /// Graphs and configurations seen.
    parts: u64,
}

impl Walk<'_, '_, '_> {
    fn spans(&mut self, span: Span<'_>, mut look: impl FnMut(&mut Self, u64, Span<'_>)) {
        let reader = self.reader;
        // What is broken is remembered by the reader.
        let _known = reader.fields(span, &mut |number, value| {
            if let Value::Span(span) = value {
                look(self, number, span);
            }
        });
    }

    fn meta_graph(&mut self, span: Span<'_>) {
        self.spans(span, |walk, number, span| match number {
            2 => walk.graph(span),
            4 => walk.spans(span, |walk, number, span| {
                if number == 2 {
                    walk.collection(span);
                }
            }),
            6 => walk.spans(span, |walk, number, span| {
                if number == 2 {
                    walk.asset(&span.text());
                }
            }),
            7 => walk.objects(span),
            _ => {}
        });
    }

    /// Files that are copied beside the graph.
    fn asset(&mut self, name: &str) {
        if keras::is_outside(name) {
            zip::escapes(self.inspection, name);
        }
    }

    /// What a program stored with its graph: serialised messages, mostly.
    fn collection(&mut self, span: Span<'_>) {
        self.spans(span, |walk, number, span| {
            if matches!(number, 1 | 2 | 5) {
                walk.spans(span, |walk, number, span| {
                    if number == 1 {
                        walk.bytes(span, true);
                    }
                });
            }
        });
    }

    /// Objects that are rebuilt around the graph; those of Keras carry their configuration.
    fn objects(&mut self, span: Span<'_>) {
        self.spans(span, |walk, number, span| {
            if number == 1 {
                walk.spans(span, |walk, number, span| {
                    if number == 4 {
                        walk.configuration(span, 3);
                    }
                });
            }
        });
    }

    fn configuration(&mut self, span: Span<'_>, field: u64) {
        self.parts = self.parts.saturating_add(1);
        self.spans(span, |walk, number, span| {
            if number == field && span.start(1).starts_with(b"{") {
                let text = span.start(walk.file.budget.item_max());
                if !keras::text(walk.inspection, &text) {
                    walk.inspection.list("artifact.keras.anomalies", "unparsed");
                    walk.inspection.issue("malformed", "the configuration of Keras is no valid JSON");
                }
            }
        });
    }

    fn graph(&mut self, span: Span<'_>) {
        self.parts = self.parts.saturating_add(1);
        let mut paths = Paths::default();
        self.spans(span, |walk, number, span| match number {
            1 => walk.node(span, &mut paths),
            2 => walk.spans(span, |walk, number, span| {
                if number == 1 {
                    walk.function(span);
                }
            }),
            _ => {}
        });
        paths.tell(self.inspection);
    }

    fn function(&mut self, span: Span<'_>) {
        let mut paths = Paths::default();
        self.spans(span, |walk, number, span| {
            if number == 3 {
                walk.node(span, &mut paths);
            }
        });
        paths.tell(self.inspection);
    }

    fn node(&mut self, span: Span<'_>, paths: &mut Paths) {
        let (mut name, mut inputs) = (String::new(), Vec::new());
        let mut operator = String::new();
        let mut texts: Vec<(String, String)> = Vec::new();
        self.spans(span, |walk, number, span| match number {
            1 => name = span.text(),
            2 => operator = span.text(),
            3 if inputs.len() < 64 => inputs.push(span.text()),
            5 => {
                let (mut key, mut found) = (String::new(), Vec::new());
                walk.spans(span, |walk, number, span| match number {
                    1 => key = span.text(),
                    2 => walk.attribute(span, 0, &mut found),
                    _ => {}
                });
                if key == "value" {
                    CONSTANT.clone_into(&mut key);
                    found = self::constant(walk.reader, span);
                }
                texts.extend(found.into_iter().take(64).map(|text| (key.clone(), text)));
            }
            _ => {}
        });
        if let Some((fact, told)) = operators::judge(&operator, &texts) {
            self.inspection.list(fact, told);
        }
        let constants = texts.into_iter().filter(|(key, _)| key == CONSTANT).map(|(_, text)| text).collect();
        paths.node(name, operator, inputs, constants);
    }

    /// Texts of an attribute, and what its constants hold.
    fn attribute(&mut self, span: Span<'_>, depth: u32, texts: &mut Vec<String>) {
        if depth > DEPTH_MAX {
            return;
        }
        self.spans(span, |walk, number, span| match number {
            // A list has the same kinds of values under other numbers.
            1 => walk.spans(span, |walk, number, span| match number {
                2 => texts.push(span.text()),
                8 => walk.tensor(span),
                _ => {}
            }),
            2 => {
                texts.push(span.text());
                walk.bytes(span, false);
            }
            8 => walk.tensor(span),
            10 => walk.spans(span, |walk, number, span| {
                if number == 2 {
                    walk.spans(span, |walk, number, span| {
                        if number == 2 {
                            walk.attribute(span, depth.saturating_add(1), texts);
                        }
                    });
                }
            }),
            _ => {}
        });
    }

    fn tensor(&mut self, span: Span<'_>) {
        self.spans(span, |walk, number, span| {
            if matches!(number, 4 | 8) {
                walk.bytes(span, false);
            }
        });
    }

    /// Programs and pickles where numbers, names or messages should be.
    fn bytes(&mut self, span: Span<'_>, texts: bool) {
        let head = span.start(512);
        if texts && std::str::from_utf8(&head).is_ok_and(shipped::holds_code) {
            self.inspection.list("artifact.metadata.suspicious", "collection_def");
        }
        protobuf::payload(self.inspection, span, self.file);
    }
}
