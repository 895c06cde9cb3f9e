//! The skeleton of a graph of `TensorFlow`: `SavedModel`, `MetaGraphDef` and `GraphDef`, told apart by their fields, with
//! the functions of their library.

use super::{Builder, Node, Port};
use crate::artifact::format::protobuf::{Outline, Reader, Span, Value};
use crate::artifact::input::Input;
use crate::artifact::outline::packed::{digits, print};
use crate::artifact::outline::take::Taking;

/// Attributes that tell where an operator came from, not what it does.
const ASIDE: &[&str] = &["_output_shapes", "_class", "_user_specified_name", "shared_name", "container", "value"];
/// Bytes of one attribute that count.
const ATTRIBUTE_MAX: usize = 64 << 10;
const INPUTS_MAX: usize = 4096;

pub fn take(taking: &mut Taking, input: Input<'_>) {
    let reader = Reader::new();
    let mut walk = Walk { reader: &reader, builder: Builder::default() };
    let span = Span::Far(input);
    let top = Outline::of(span, 4096);
    // A saved model has a version and meta graphs; a meta graph has its graph under 2; a graph has nodes under 1.
    if top.numbers(1) > 0 {
        walk.inner(span, 2, |walk, meta| walk.inner(meta, 2, Walk::graph));
    } else if top.spans(1) > 1 {
        walk.graph(span);
    } else {
        walk.inner(span, 2, Walk::graph);
    }
    if reader.broken.get().is_some() {
        taking.cut("the graph is broken, or has more fields than are looked at: it is not whole");
    }
    walk.builder.finish(taking);
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

    /// The messages under one number.
    fn inner(&mut self, span: Span<'_>, wanted: u64, mut look: impl FnMut(&mut Self, Span<'_>)) {
        self.each(span, |walk, number, value| {
            if let (true, Some(span)) = (number == wanted, value.span()) {
                look(walk, span);
            }
        });
    }

    fn graph(&mut self, span: Span<'_>) {
        self.each(span, |walk, number, value| match (number, value) {
            (1, Value::Span(node)) => walk.node(node, ""),
            (2, Value::Span(library)) => {
                // Names of a function's nodes mean nothing outside of it.
                let mut number = 0_u64;
                walk.inner(library, 1, |walk, function| {
                    number = number.saturating_add(1);
                    let scope = format!("function {number}/");
                    walk.inner(function, 3, |walk, node| walk.node(node, &scope));
                });
            }
            _ => {}
        });
    }

    fn node(&mut self, span: Span<'_>, scope: &str) {
        let mut node = Node::default();
        let mut attributes: Vec<String> = Vec::new();
        self.each(span, |walk, number, value| {
            let Some(span) = value.span() else { return };
            match number {
                1 => node.name = format!("{scope}{}", span.text()),
                2 => node.operator = span.text(),
                3 if node.inputs.len() < INPUTS_MAX => {
                    let text = span.text();
                    // `^name` only orders, `name:1` is another output of the same.
                    if !text.starts_with('^') {
                        node.inputs.push(format!("{scope}{}", text.split(':').next().unwrap_or_default()));
                    }
                }
                5 => attributes.extend(walk.attribute(span)),
                _ => {}
            }
        });
        attributes.sort();
        node.attributes = attributes.join("\0");
        match node.operator.as_str() {
            "Const" => {
                self.builder.constants.insert(node.name, node.attributes);
            }
            "Placeholder" => {
                let name = node.name.clone();
                self.builder.inputs.push(Port { name, shape: String::new(), ..Port::default() });
            }
            _ => {
                node.outputs.push(node.name.clone());
                self.builder.node(node);
            }
        }
    }

    /// Name and value of an attribute; names of functions are numbered anew with every export and are left out.
    fn attribute(&mut self, span: Span<'_>) -> Option<String> {
        let (mut name, mut print_of, mut function) = (String::new(), 0, false);
        self.each(span, |_, number, value| match (number, value.span()) {
            (1, Some(span)) => name = span.text(),
            (2, Some(span)) => {
                function = Outline::of(span, 64).spans(10) > 0;
                print_of = print(&span.start(ATTRIBUTE_MAX));
            }
            _ => {}
        });
        let aside = ASIDE.contains(&name.as_str()) || name.starts_with("_tf") || name.starts_with("config");
        (!aside).then(|| if function { format!("{name}=function") } else { format!("{name}={}", digits(print_of)) })
    }
}
