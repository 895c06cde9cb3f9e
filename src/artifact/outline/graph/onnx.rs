//! The skeleton of an ONNX model (onnx.proto: `ModelProto`, `GraphProto`, `NodeProto`, `AttributeProto`, `TensorProto`).

use super::{Builder, Node, Port};
use crate::artifact::format::protobuf::{DEPTH_MAX, Reader, Span, Value};
use crate::artifact::input::Input;
use crate::artifact::outline::packed::{digits, print};
use crate::artifact::outline::take::Taking;
use crate::base::text::shorten;

/// Names of inputs and outputs of one operator.
const NAMES_MAX: usize = 4096;
/// Longest text of an attribute that counts as it is; of a longer one its digest does.
const TEXT_MAX: u64 = 1 << 20;

pub fn take(taking: &mut Taking, input: Input<'_>) {
    let reader = Reader::new();
    let mut walk = Walk { reader: &reader, builder: Builder::default() };
    walk.each(Span::Far(input), |walk, number, value| {
        let Some(span) = value.span() else { return };
        match number {
            7 => walk.graph(span, 0),
            8 => walk.version(span),
            25 => walk.function(span),
            _ => {}
        }
    });
    if reader.broken.get().is_some() {
        taking.cut("the model is broken, or has more fields than are looked at: its graph is not whole");
    }
    walk.builder.finish(taking);
}

/// Adds one part of a list.
fn put(out: &mut String, part: impl std::fmt::Display) {
    out.push_str(&part.to_string());
    out.push(',');
}

struct Walk<'w> {
    reader: &'w Reader,
    builder: Builder,
}

impl Walk<'_> {
    fn each(&mut self, span: Span<'_>, mut look: impl FnMut(&mut Self, u64, Value<'_>)) {
        let reader = self.reader;
        // What is broken is remembered by the reader.
        let _known = reader.fields(span, &mut |number, value| look(self, number, value));
    }

    fn version(&mut self, span: Span<'_>) {
        let (mut domain, mut version) = (String::new(), 0);
        self.each(span, |_, number, value| match (number, value) {
            (1, Value::Span(span)) => domain = shorten(&span.text(), 100),
            (2, Value::Number(number)) => version = number,
            _ => {}
        });
        if self.builder.versions.len() < 64 {
            self.builder.versions.insert(domain, version);
        }
    }

    fn function(&mut self, span: Span<'_>) {
        self.each(span, |walk, number, value| {
            if let (7, Some(span)) = (number, value.span()) {
                walk.node(span, 1);
            }
        });
    }

    fn graph(&mut self, span: Span<'_>, depth: u32) {
        if depth > DEPTH_MAX {
            self.builder.cut = true;
            return;
        }
        // Data first: which inputs of an operator are data decides what the operator is.
        self.each(span, |walk, number, value| {
            if let (5 | 15, Some(span)) = (number, value.span()) {
                let (name, shape) = walk.tensor(span, number == 15);
                walk.builder.constants.insert(name, shape);
            }
        });
        self.each(span, |walk, number, value| {
            let Some(span) = value.span() else { return };
            match number {
                1 => walk.node(span, depth),
                11 if depth == 0 => {
                    let port = walk.port(span);
                    // Older models list their weights among the inputs.
                    if !walk.builder.constants.contains_key(&port.name) && walk.builder.inputs.len() < NAMES_MAX {
                        walk.builder.inputs.push(port);
                    }
                }
                12 if depth == 0 && walk.builder.outputs.len() < NAMES_MAX => {
                    let port = walk.port(span);
                    walk.builder.outputs.push(port);
                }
                _ => {}
            }
        });
    }

    fn node(&mut self, span: Span<'_>, depth: u32) {
        let mut node = Node::default();
        let mut attributes: Vec<String> = Vec::new();
        let mut constant = None;
        self.each(span, |walk, number, value| {
            let Some(span) = value.span() else { return };
            match number {
                1 if node.inputs.len() < NAMES_MAX => node.inputs.push(span.text()),
                2 if node.outputs.len() < NAMES_MAX => node.outputs.push(span.text()),
                3 => node.name = span.text(),
                4 => node.operator = span.text(),
                5 => {
                    let (text, tensor) = walk.attribute(span, depth);
                    constant = constant.take().or(tensor);
                    attributes.push(text);
                }
                7 => node.domain = span.text(),
                _ => {}
            }
        });
        if node.operator == "Constant" && matches!(node.domain.as_str(), "" | "ai.onnx") {
            let shape = constant.unwrap_or_else(|| "constant".to_owned());
            for output in node.outputs {
                self.builder.constants.insert(output, shape.clone());
            }
            return;
        }
        attributes.sort();
        node.attributes = attributes.join("\0");
        self.builder.node(node);
    }

    /// The text of an attribute without weights, and the shape of a tensor that it holds.
    fn attribute(&mut self, span: Span<'_>, depth: u32) -> (String, Option<String>) {
        let (mut name, mut text, mut shape) = (String::new(), String::new(), None);
        self.each(span, |walk, number, value| match (number, value) {
            (1, Value::Span(span)) => name = span.text(),
            (2 | 3 | 7 | 8, Value::Number(number)) => put(&mut text, number),
            (4 | 9 | 7 | 8, Value::Span(span)) => {
                let bytes = span.start(usize::try_from(span.len().min(TEXT_MAX)).unwrap_or(0));
                put(&mut text, digits(print(&bytes)));
                shape = Some(format!("list {}", span.len()));
            }
            (5 | 10, Value::Span(span)) => {
                let (_, found) = walk.tensor(span, false);
                put(&mut text, &found);
                shape = Some(found);
            }
            (22 | 23, Value::Span(span)) => {
                let (_, found) = walk.tensor(span, true);
                put(&mut text, &found);
                shape = Some(found);
            }
            (6 | 11, Value::Span(span)) => {
                text.push_str("graph;");
                walk.graph(span, depth.saturating_add(1));
            }
            _ => {}
        });
        (format!("{name}={text}"), shape)
    }

    /// Name, type and shape of a tensor.
    fn tensor(&mut self, span: Span<'_>, sparse: bool) -> (String, String) {
        let (mut name, mut kind, mut sides) = (String::new(), 0, String::new());
        self.each(span, |walk, number, value| match (number, value) {
            (1, Value::Span(span)) if sparse => {
                let (inner, shape) = walk.tensor(span, false);
                name = inner;
                sides.push_str(&shape);
            }
            (1, Value::Number(side)) => put(&mut sides, side),
            // Sides packed into one field.
            (1, Value::Span(span)) => put(&mut sides, format_args!("{:?}", span.start(256))),
            (2, Value::Number(number)) => kind = number,
            (8, Value::Span(span)) => name = span.text(),
            _ => {}
        });
        (name, format!("{kind}[{sides}]"))
    }

    /// An input or output with its type and shape.
    fn port(&mut self, span: Span<'_>) -> Port {
        let mut port = Port::default();
        self.each(span, |walk, number, value| match (number, value) {
            (1, Value::Span(span)) => port.name = span.text(),
            (2, Value::Span(span)) => walk.shape(span, &mut port.shape, 0),
            _ => {}
        });
        port
    }

    /// A type: numbers of elements, sides and names of sides in the order in which they stand.
    fn shape(&mut self, span: Span<'_>, out: &mut String, depth: u32) {
        // tensor_type.shape.dim: three messages in each other.
        if depth > 4 || out.len() > 256 {
            return;
        }
        self.each(span, |walk, number, value| match value {
            Value::Number(number) => put(out, number),
            Value::Span(span) if depth == 3 && number == 2 => put(out, shorten(&span.text(), 40)),
            Value::Span(span) if depth < 3 => walk.shape(span, out, depth.saturating_add(1)),
            Value::Span(_) => {}
        });
        if depth == 0 {
            *out = out.trim_end_matches(',').to_owned();
        }
    }
}
