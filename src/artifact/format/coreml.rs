//! Core ML: models and layers that are classes of the application, and models that lie elsewhere.

use super::protobuf::{Broken, DEPTH_MAX, Outline, Reader, Span};
use super::{Head, keras, shipped};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Pipelines, and where their models are.
const PIPELINES: &[u64] = &[200, 201, 202];
/// Networks of layers.
const NETWORKS: &[u64] = &[303, 403, 500];

pub fn identify(head: &Head<'_>) -> bool {
    let named = super::extension(head.name) == "mlmodel";
    let begins = matches!(head.bytes, [0x08, 1..=32, 0x12 | 0x50 | 0x8a..=0xff, ..]);
    if !begins && (!named || !head.bytes.starts_with(&[8])) {
        return false;
    }
    let outline = Outline::of(Span::Far(head.input), 256);
    let model = outline.fields.iter().any(|(number, (spans, _))| (200..=3000).contains(number) && *spans > 0);
    let known = outline.fields.keys().all(|number| matches!(number, 1 | 2 | 10 | 200..=3000));
    outline.numbers(1) > 0 && (named || (known && model && outline.whole && outline.spans(2) > 0))
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let reader = Reader::new();
    model(inspection, &reader, Span::Far(input), 0);
    match reader.broken.get() {
        Some(Broken::Malformed) => inspection.issue("malformed", "the model is cut off, or a part of it is no message"),
        Some(Broken::Fields) => inspection.issue("budget_exceeded", "the model has more fields than are looked at"),
        None => {}
    }
    "coreml"
}

/// Hands every text or message of a message to `look`.
fn spans(reader: &Reader, span: Span<'_>, look: &mut dyn FnMut(u64, Span<'_>)) {
    // What is broken is remembered by the reader.
    let _known = reader.fields(span, &mut |number, value| {
        if let Some(span) = value.span() {
            look(number, span);
        }
    });
}

fn model(inspection: &mut Inspection<'_>, reader: &Reader, span: Span<'_>, depth: u32) {
    if depth > DEPTH_MAX {
        inspection.issue("budget_exceeded", "pipelines are nested too deeply; the inner ones were not looked at");
        return;
    }
    spans(reader, span, &mut |number, span| match number {
        2 => description(inspection, reader, span),
        555 => class(inspection, reader, span, "model"),
        556 => linked(inspection, reader, span),
        number if PIPELINES.contains(&number) => {
            pipeline(inspection, reader, span, number != 202, depth);
        }
        number if NETWORKS.contains(&number) => spans(reader, span, &mut |number, layer| {
            if number == 1 {
                spans(reader, layer, &mut |number, span| {
                    if number == 500 {
                        class(inspection, reader, span, "layer");
                    }
                });
            }
        }),
        _ => {}
    });
}

/// Pipelines that classify or regress hold a plain one.
fn pipeline(inspection: &mut Inspection<'_>, reader: &Reader, span: Span<'_>, wrapped: bool, depth: u32) {
    spans(reader, span, &mut |number, span| {
        if number == 1 && wrapped {
            pipeline(inspection, reader, span, false, depth);
        } else if number == 1 {
            model(inspection, reader, span, depth.saturating_add(1));
        }
    });
}

/// The class of the application that runs.
fn class(inspection: &mut Inspection<'_>, reader: &Reader, span: Span<'_>, kind: &str) {
    let name = reader.text(span, 10).unwrap_or_default();
    inspection.list("artifact.coreml.custom", format!("{kind}:{name}"));
}

/// A model in another file: its name and the path on which it is searched.
fn linked(inspection: &mut Inspection<'_>, reader: &Reader, span: Span<'_>) {
    spans(reader, span, &mut |number, file| {
        if number == 1 {
            spans(reader, file, &mut |_, parameter| {
                let text = reader.text(parameter, 1).unwrap_or_default();
                inspection.list("artifact.coreml.custom", format!("linked:{text}"));
                if keras::is_outside(&text) {
                    inspection.list("artifact.container.escapes", text);
                }
            });
        }
    });
}

fn description(inspection: &mut Inspection<'_>, reader: &Reader, span: Span<'_>) {
    spans(reader, span, &mut |number, metadata| {
        if number == 100 {
            spans(reader, metadata, &mut |number, span| {
                let (key, text) = match number {
                    1..=4 => ("metadata".to_owned(), span.text()),
                    100 => (reader.text(span, 1).unwrap_or_default(), reader.text(span, 2).unwrap_or_default()),
                    _ => return,
                };
                if shipped::holds_code(&text) {
                    inspection.list("artifact.metadata.suspicious", key);
                }
            });
        }
    });
}
