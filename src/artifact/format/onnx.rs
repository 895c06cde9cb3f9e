//! ONNX: files that its tensors lie in, operators that are none of the standard's, and what hides in
//! raw data. Graphs are looked through with their subgraphs, attributes and functions.

use std::collections::BTreeSet;

use super::protobuf::{self, Broken, DEPTH_MAX, Outline, Reader, Span, Value};
use super::{Head, keras, pickle, shipped};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Domains of operators that runtimes bring along.
const DOMAINS: &[&str] = &[
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.microsoft.internal.nhwc",
    "com.microsoft.experimental",
    "com.microsoft.dml",
    "com.ms.internal.nhwc",
    "com.nvidia",
    "org.pytorch.aten",
    "org.pytorch.prim",
    "pkg.onnxscript.torch_lib",
    "pkg.onnxscript.torch_lib.common",
    "pkg.torch",
    "local",
];
/// Domains and operators that run Python.
const PYTHON: &[&str] = &["pyop", "pythonop", "pyfunc", "pyfunction", "pythonoperator", "pycustomop", "pythonscript"];
/// Fields of a model.
const SPANS: &[u64] = &[2, 3, 4, 6, 7, 8, 14, 20, 25, 26];
const NUMBERS: &[u64] = &[1, 5];

pub fn identify(head: &Head<'_>) -> bool {
    let named = super::extension(head.name) == "onnx";
    if !named && !matches!(head.bytes, [0x08, 1..=64, ..]) {
        return false;
    }
    let outline = Outline::of(Span::Far(head.input), 4096);
    let fits = outline.spans(7) > 0 && (outline.numbers(1) > 0 || outline.spans(8) > 0);
    if named {
        return fits || (outline.numbers(1) > 0 && !outline.whole);
    }
    let graph = || {
        super::protobuf::first(Span::Far(head.input), 7, |graph| {
            Outline::of(graph, 4096).only(&[1, 2, 5, 10, 11, 12, 13, 14, 15, 16], &[])
        })
    };
    fits && outline.whole && outline.only(SPANS, NUMBERS) && graph() == Some(true)
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let reader = Reader::new();
    let mut walk =
        Walk { inspection, reader: &reader, file: input, tensors: 0, domains: BTreeSet::new(), local: BTreeSet::new() };
    walk.model(Span::Far(input));
    let tensors = walk.tensors;
    // What the model defines itself needs no library.
    let foreign: Vec<String> = walk.domains.difference(&walk.local).cloned().collect();
    inspection.set("artifact.tensors.count", tensors);
    for domain in foreign.iter().filter(|domain| !DOMAINS.contains(&domain.as_str())) {
        inspection.list("artifact.onnx.domains", domain);
    }
    let outline = Outline::of(Span::Far(input), 4096);
    if outline.spans(7) == 0 || outline.spans(8) == 0 {
        inspection.issue("malformed", "the model lacks its graph, or does not say which operators it was written for");
    }
    match reader.broken.get() {
        Some(Broken::Malformed) => inspection.issue("malformed", "the model is cut off, or a part of it is no message"),
        Some(Broken::Fields) => inspection.issue("budget_exceeded", "the model has more fields than are looked at"),
        None => {}
    }
    "onnx"
}

struct Walk<'w, 'b, 'a> {
    inspection: &'w mut Inspection<'b>,
    reader: &'w Reader,
    file: Input<'a>,
    tensors: u64,
    /// Domains of operators that are used, and of functions that the model has itself.
    domains: BTreeSet<String>,
    local: BTreeSet<String>,
}

impl Walk<'_, '_, '_> {
    fn each(&mut self, span: Span<'_>, mut look: impl FnMut(&mut Self, u64, Value<'_>)) {
        let reader = self.reader;
        // What is broken is remembered by the reader.
        let _known = reader.fields(span, &mut |number, value| look(self, number, value));
    }

    fn model(&mut self, span: Span<'_>) {
        self.each(span, |walk, number, value| {
            let Some(span) = value.span() else { return };
            match number {
                7 => walk.graph(span, 0),
                14 => walk.metadata(span),
                20 => walk.each(span, |walk, number, value| {
                    if let (1 | 2, Some(span)) = (number, value.span()) {
                        walk.graph(span, 1);
                    }
                }),
                25 => walk.function(span),
                _ => {}
            }
        });
    }

    fn function(&mut self, span: Span<'_>) {
        self.each(span, |walk, number, value| {
            let Some(span) = value.span() else { return };
            match number {
                7 => walk.node(span, 1),
                10 => {
                    walk.local.insert(span.text());
                }
                11 => walk.attribute(span, 1),
                14 => walk.metadata(span),
                _ => {}
            }
        });
    }

    fn graph(&mut self, span: Span<'_>, depth: u32) {
        if depth > DEPTH_MAX {
            self.inspection.issue("budget_exceeded", "graphs are nested too deeply; the inner ones were not looked at");
            return;
        }
        self.each(span, |walk, number, value| {
            let Some(span) = value.span() else { return };
            match number {
                1 => walk.node(span, depth),
                5 => walk.tensor(span),
                15 => walk.sparse(span),
                16 => walk.metadata(span),
                _ => {}
            }
        });
    }

    fn node(&mut self, span: Span<'_>, depth: u32) {
        let (mut operator, mut domain) = (String::new(), String::new());
        self.each(span, |walk, number, value| {
            let Some(span) = value.span() else { return };
            match number {
                4 => operator = span.text(),
                5 => walk.attribute(span, depth),
                7 => domain = span.text(),
                9 => walk.metadata(span),
                _ => {}
            }
        });
        let lower = operator.to_ascii_lowercase();
        if PYTHON.contains(&lower.as_str()) || domain.to_ascii_lowercase().contains("python") {
            self.inspection.list("artifact.onnx.operators", format!("{domain}:{operator}"));
        }
        if self.domains.len() < self.file.budget.limits.list_items_max.saturating_mul(2) {
            self.domains.insert(domain);
        }
    }

    fn attribute(&mut self, span: Span<'_>, depth: u32) {
        let mut name = String::new();
        self.each(span, |walk, number, value| {
            let Some(span) = value.span() else { return };
            match number {
                1 => name = span.text(),
                4 => {
                    walk.file_of(&name, span);
                    walk.bytes(span);
                }
                9 => walk.bytes(span),
                5 | 10 => walk.tensor(span),
                6 | 11 => walk.graph(span, depth.saturating_add(1)),
                22 | 23 => walk.sparse(span),
                _ => {}
            }
        });
    }

    /// Engines and libraries that a runtime loads from a path in an attribute.
    fn file_of(&mut self, name: &str, span: Span<'_>) {
        let names = name == "ep_cache_context"
            || ["library", "lib_path", "plugin_path", "so_path", "shared_lib"].iter().any(|part| name.contains(part));
        if !names || span.len() > 4096 {
            return;
        }
        let text = span.text();
        let path = !text.contains('\0') && !text.contains('\u{fffd}');
        if path && keras::is_outside(&text) {
            self.inspection.list("artifact.container.escapes", text);
        }
    }

    fn sparse(&mut self, span: Span<'_>) {
        self.each(span, |walk, number, value| {
            if let (1 | 2, Some(span)) = (number, value.span()) {
                walk.tensor(span);
            }
        });
    }

    fn tensor(&mut self, span: Span<'_>) {
        self.tensors = self.tensors.saturating_add(1);
        self.each(span, |walk, number, value| {
            let Some(span) = value.span() else { return };
            match number {
                6 | 9 => walk.bytes(span),
                13 => walk.external(span),
                16 => walk.metadata(span),
                _ => {}
            }
        });
    }

    /// Where the data of a tensor lies: a file beside the model, in its folder or below it.
    fn external(&mut self, span: Span<'_>) {
        let (Some(key), Some(place)) = (self.reader.text(span, 1), self.reader.text(span, 2)) else { return };
        let lies = matches!(key.as_str(), "offset" | "length") && !place.bytes().all(|byte| byte.is_ascii_digit());
        if key != "location" {
            if lies {
                self.inspection.list("artifact.onnx.external_data", format!("{key}:{place}"));
            }
            return;
        }
        let special = place.starts_with('$') || place.contains('\0') || place.trim().is_empty();
        if keras::is_outside(&place) || special {
            self.inspection.list("artifact.onnx.external_data", place);
        }
    }

    /// Raw data and texts: no programs, and no pickles.
    fn bytes(&mut self, span: Span<'_>) {
        protobuf::payload(self.inspection, span, self.file);
    }

    fn metadata(&mut self, span: Span<'_>) {
        let (Some(key), Some(value)) = (self.reader.text(span, 1), self.reader.text(span, 2)) else { return };
        if shipped::holds_code(&value) {
            self.inspection.list("artifact.metadata.suspicious", &key);
        }
        if pickle::in_text(self.inspection, &value, self.file) {
            self.inspection.list("artifact.metadata.suspicious", &key);
        }
        // The bytes as they are: a pickle is no text.
        self.each(span, |walk, number, value| {
            if let (2, Some(span)) = (number, value.span()) {
                walk.bytes(span);
            }
        });
    }
}
