//! CNTK: the dictionary of the second format, with functions of the user's that the loader fetches
//! from a library or from Python; the first format by the texts of its nodes.

use super::protobuf::{Broken, DEPTH_MAX, Outline, Reader, Span};
use super::{Head, keras, probe, protobuf};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Kinds of functions that the user brings: those of a library, and those of Python.
const KINDS: &[&str] = &["NativeUserDefinedFunction", "UserDefinedFunction"];
/// What is loaded for such a function, and what is called in it.
const KEYS: &[&str] = &["module", "deserialize_method"];

/// Of the first format: bytes that are looked through, and texts that are kept, of some length.
const FIRST_MAX: usize = 16 << 20;
const TEXTS_MAX: usize = 100_000;
const TEXT_MIN: usize = 3;
/// Words in the name of an operation that the user brings.
const FOREIGN: &[&str] = &["UserDefined", "NativeUser", "PythonNode", "Plugin"];

pub fn identify(head: &Head<'_>) -> bool {
    is_first(head.bytes) || is_dictionary(head)
}

/// Marks of the first format are texts of wide characters, four bytes or two each.
fn is_first(head: &[u8]) -> bool {
    head.starts_with(b"B\0C\0N\0") || head.starts_with(b"B\0\0\0C\0\0\0N\0\0\0")
}

/// A version and a map, and in the map what every model has.
fn is_dictionary(head: &Head<'_>) -> bool {
    if !matches!(head.bytes, [8, 1..=3, 0x12, ..] | [0x12, ..]) {
        return false;
    }
    let has = |key: &str| memchr::memmem::find(head.bytes, key.as_bytes()).is_some();
    let known =
        ["root_uid", "primitive_functions", "CompositeFunction", "PrimitiveFunction"].iter().any(|key| has(key))
            || has("inputs") && has("uid") && has("version");
    known && Outline::of(Span::Far(head.input), 64).only(&[2], &[1])
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    if is_first(&input.read(0, 16)) {
        probe::search(inspection, input);
        first(inspection, input);
        return "cntk";
    }
    let reader = Reader::new();
    // Only the outermost message has to be one: what is in it may be numbers.
    let known = reader.fields(Span::Far(input), &mut |_, _| {});
    match known {
        Err(Broken::Malformed) => {
            probe::search(inspection, input);
            inspection.issue("malformed", "the model is cut off");
        }
        Err(Broken::Fields) => inspection.issue("budget_exceeded", "the model has more fields than are looked at"),
        Ok(()) => {}
    }
    Walk { inspection, reader: &reader, input }.node("", Span::Far(input), 0);
    "cntk"
}

/// The first format: sections between marks, and in them wide texts and numbers. Of a node its operation and its
/// name are told by their texts; its numbers have no length of their own, so that no walk goes through all of it.
fn first(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let width = if input.read(0, 4) == *b"B\0\0\0" { 4 } else { 2 };
    let bytes = input.read(0, FIRST_MAX);
    if (bytes.len() as u64) < input.len() {
        inspection.issue("budget_exceeded", "the model is longer than its nodes are looked for");
    }
    let sections: Vec<Vec<u8>> = ["BNodeList", "ENodeList"].iter().map(|mark| wide(mark, width)).collect();
    if sections.iter().any(|mark| memchr::memmem::find(&bytes, mark).is_none()) {
        inspection.issue("malformed", "the list of nodes is cut off");
    }
    for text in texts(&bytes, width) {
        if FOREIGN.iter().any(|kind| text.contains(kind)) {
            inspection.list("artifact.cntk.custom", format!("node:{text}"));
        }
        if [".so", ".dll", ".dylib"].iter().any(|end| text.ends_with(end)) {
            inspection.list("artifact.cntk.custom", format!("library:{text}"));
        }
        if text.len() >= 8 {
            probe::text(inspection, "node", &text, input);
        }
    }
}

fn wide(text: &str, width: usize) -> Vec<u8> {
    text.bytes().flat_map(|byte| std::iter::once(byte).chain(std::iter::repeat_n(0, width.saturating_sub(1)))).collect()
}

/// Runs of wide characters, wherever they begin.
fn texts(bytes: &[u8], width: usize) -> Vec<String> {
    let (mut found, mut run) = (Vec::new(), String::new());
    let mut at = 0_usize;
    while let Some(unit) = bytes.get(at..at.saturating_add(width)) {
        let plain = matches!(unit, [byte, rest @ ..] if (32..127).contains(byte) && rest.iter().all(|byte| *byte == 0));
        if plain {
            run.push(unit.first().copied().map_or(' ', char::from));
            at = at.saturating_add(width);
            continue;
        }
        if run.len() >= TEXT_MIN && found.len() < TEXTS_MAX {
            found.push(std::mem::take(&mut run));
        }
        // Where a text ends the next one may begin at any byte.
        run.clear();
        at = at.saturating_add(1);
    }
    if run.len() >= TEXT_MIN {
        found.push(run);
    }
    found
}

struct Walk<'i, 'b, 'r> {
    inspection: &'i mut Inspection<'b>,
    reader: &'r Reader,
    input: Input<'r>,
}

impl Walk<'_, '_, '_> {
    /// A dictionary, a value, a list: pairs are in the second field, texts in the eighth, and what
    /// else is a message is looked into.
    fn node(&mut self, key: &str, span: Span<'_>, depth: u32) {
        if depth > DEPTH_MAX {
            self.inspection.issue("budget_exceeded", "values are nested too deeply; the inner ones were not looked at");
            return;
        }
        let reader = self.reader;
        let next = depth.saturating_add(1);
        // What is broken here may well be numbers.
        let _known = reader.fields(span, &mut |number, value| {
            let Some(inner) = value.span() else { return };
            match number {
                8 => self.text(key, inner),
                2 => {
                    let name = reader.text(inner, 1).unwrap_or_default();
                    let _known = reader.fields(inner, &mut |number, value| {
                        if let Some(value) = value.span().filter(|_| number == 2) {
                            self.node(&name, value, next);
                        }
                    });
                }
                _ => {
                    if inner.len() > 64 {
                        protobuf::payload(self.inspection, inner, self.input);
                    }
                    self.node(key, inner, next);
                }
            }
        });
    }

    fn text(&mut self, key: &str, value: Span<'_>) {
        let text = value.text();
        if KINDS.contains(&text.as_str()) || KEYS.contains(&key) {
            self.inspection.list("artifact.cntk.custom", format!("{key}:{text}"));
        }
        if [".so", ".dll", ".dylib"].iter().any(|end| text.ends_with(end)) {
            self.inspection.list("artifact.cntk.custom", format!("library:{text}"));
        }
        // The loader opens the library under this very name.
        if key == "module" && keras::is_outside(&text) {
            self.inspection.list("artifact.container.escapes", &text);
        }
        if text.len() >= 8 {
            probe::text(self.inspection, key, &text, self.input);
        }
    }
}
