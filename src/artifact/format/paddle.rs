//! Paddle's programs: operators that call Python, load, save or listen.

use super::protobuf::{self, Broken, Outline, Reader, Span};
use super::{Head, extension};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Operators that leave the program.
const OPERATORS: &[&str] = &[
    "py_func",
    "py_layer",
    "pyfunc",
    "load",
    "load_combine",
    "save",
    "save_combine",
    "listen_and_serv",
    "send",
    "recv",
    "fetch_barrier",
    "send_barrier",
    "read_file",
    "c_gen_nccl_id",
    "gen_nccl_id",
    "checkpoint_notify",
];

pub fn identify(head: &Head<'_>) -> bool {
    if !head.bytes.starts_with(&[0x0a]) {
        return false;
    }
    if extension(head.name) == "pdmodel" {
        return true;
    }
    let span = Span::Far(head.input);
    let outline = Outline::of(span, 256);
    // Blocks are numbered, have a parent, and their operators have a type.
    let block = |block: Span<'_>| {
        let outline = Outline::of(block, 4096);
        let operator = protobuf::first(block, 4, |operator| {
            Outline::of(operator, 256).only(&[1, 2, 3, 4], &[5]) && protobuf::first(operator, 3, |_| ()).is_some()
        });
        outline.only(&[3, 4], &[1, 2, 5])
            && outline.numbers(1) == 1
            && outline.numbers(2) == 1
            && operator == Some(true)
    };
    outline.whole && outline.only(&[1, 4, 5], &[]) && protobuf::first(span, 1, block) == Some(true)
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let reader = Reader::new();
    let spans = |span: Span<'_>, wanted: u64, look: &mut dyn FnMut(Span<'_>)| {
        // What is broken is remembered by the reader.
        let _known = reader.fields(span, &mut |number, value| {
            if let Some(span) = value.span().filter(|_| number == wanted) {
                look(span);
            }
        });
    };
    spans(Span::Far(input), 1, &mut |block| {
        spans(block, 4, &mut |operator| {
            spans(operator, 3, &mut |kind| {
                let kind = kind.text();
                if OPERATORS.contains(&kind.as_str()) {
                    inspection.list("artifact.paddle.operators", kind);
                }
            });
        });
    });
    match reader.broken.get() {
        Some(Broken::Malformed) => {
            inspection.issue("malformed", "the program is cut off, or a part of it is no message");
        }
        Some(Broken::Fields) => inspection.issue("budget_exceeded", "the program has more fields than are looked at"),
        None => {}
    }
    "paddle"
}
