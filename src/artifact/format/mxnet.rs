//! `MXNet`: the symbol file, whose custom operators are code of the application, and the file of
//! parameters.

use super::cursor::{Cursor, Cut, Read};
use super::json::Json;
use super::{Head, probe};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Arrays of one file, and names.
const ARRAYS_MAX: u64 = 1_000_000;
const NAME_MAX: usize = 4096;
/// Deepest graph within a graph.
const DEPTH_MAX: u32 = 32;

pub fn identify(head: &Head<'_>) -> bool {
    head.bytes.starts_with(&[0x12, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) && head.input.len() >= 24
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let mut cursor = Cursor::at(input, 16);
    match arrays(inspection, &mut cursor) {
        Ok(()) if cursor.left() > 0 => {
            let end = cursor.position;
            super::trailing_data(inspection, input, end);
        }
        Ok(()) => {}
        Err(Cut) => {
            inspection.list("artifact.tensors.anomalies", "out_of_bounds");
            inspection.issue("malformed", "a count or a length reaches beyond the end, or an array is none");
            probe::search(inspection, input);
        }
    }
    "mxnet"
}

/// A symbol file: true when the JSON is one.
pub fn symbol(inspection: &mut Inspection<'_>, json: &Json, input: Input<'_>) -> bool {
    let is_graph = json.get("nodes").is_some_and(|nodes| nodes.items().iter().any(|node| node.get("op").is_some()))
        && json.get("arg_nodes").is_some()
        && json.get("heads").is_some();
    if is_graph {
        graph(inspection, json, input, 0);
    }
    is_graph
}

fn graph(inspection: &mut Inspection<'_>, json: &Json, input: Input<'_>, depth: u32) {
    if depth > DEPTH_MAX {
        inspection.issue("budget_exceeded", "graphs are nested too deeply; the inner ones were not looked at");
        return;
    }
    for node in json.get("nodes").map(Json::items).unwrap_or_default() {
        let operator = node.get("op").and_then(Json::as_text).unwrap_or_default();
        let attributes = ["attrs", "attr", "param"].iter().filter_map(|key| node.get(key)).flat_map(Json::members);
        let mut kind = "";
        for (key, value) in attributes.filter_map(|(key, value)| Some((key, value.as_text()?))) {
            if key == "op_type" {
                kind = value;
            }
            if key == "library" || key.ends_with("lib_path") {
                inspection.list("artifact.mxnet.custom", format!("library:{value}"));
            }
            if value.split(['/', '\\']).any(|part| part == "..") || value.starts_with("file:") {
                inspection.list("artifact.container.escapes", value);
            }
            probe::text(inspection, key, value, input);
        }
        // Operators that Python, or a library beside the model, defines.
        if matches!(operator, "Custom" | "_Native" | "_NDArray" | "_CustomFunction" | "_Custom") {
            inspection.list("artifact.mxnet.custom", format!("{operator}:{kind}"));
        }
        for inner in node.get("subgraphs").map(Json::items).unwrap_or_default() {
            graph(inspection, inner, input, depth.saturating_add(1));
        }
    }
}

fn arrays(inspection: &mut Inspection<'_>, cursor: &mut Cursor<'_>) -> Read<()> {
    let count = cursor.number(8)?;
    if count > ARRAYS_MAX || count > cursor.left() {
        return Err(Cut);
    }
    inspection.set("artifact.tensors.count", count);
    let mut bytes = 0_u64;
    for _ in 0..count {
        bytes = bytes.saturating_add(array(inspection, cursor)?);
    }
    inspection.set("artifact.tensors.bytes", bytes);
    let names = cursor.number(8)?;
    if names > cursor.left() {
        return Err(Cut);
    }
    for _ in 0..names {
        let length = cursor.number(8)?;
        let name = cursor.text(length, NAME_MAX)?;
        if probe::code(&name) {
            inspection.list("artifact.metadata.suspicious", name);
        }
    }
    Ok(())
}

/// One array: its version, its shape, where it lay, its type, its numbers. Of a sparse one only the
/// numbers that are stored are there, and indices behind them.
fn array(inspection: &mut Inspection<'_>, cursor: &mut Cursor<'_>) -> Read<u64> {
    let magic = cursor.number(4)?;
    // In the last version an array of no dimensions is a number, before it was none.
    let scalar = magic == 0xf993_faca;
    let mut indices = 0;
    let mut stored = None;
    let elements = match magic {
        0xf993_faca | 0xf993_fac9 => {
            // Kinds of storage: dense, or -1 where none was told, then rows, then rows and columns.
            indices = match cursor.number(4)? {
                0 | 0xffff_ffff => 0,
                sparse @ (1 | 2) => sparse,
                _ => return Err(Cut),
            };
            if indices > 0 {
                stored = Some(shape(cursor, true)?.unwrap_or(0));
            }
            shape(cursor, scalar)?
        }
        0xf993_fac8 => shape(cursor, scalar)?,
        // The first version has no mark: the number of dimensions stands here.
        0 => None,
        dimensions => Some(product(cursor, dimensions, 4)?),
    };
    let Some(elements) = elements else { return Ok(0) };
    cursor.skip(8)?;
    let mut parts = vec![(stored.unwrap_or(elements), cursor.number(4)?)];
    for _ in 0..indices {
        let kind = cursor.number(4)?;
        parts.push((shape(cursor, true)?.unwrap_or(0), kind));
    }
    let mut total = 0_u64;
    for (elements, kind) in parts {
        let size = elements.checked_mul(width(kind).ok_or(Cut)?).ok_or(Cut)?;
        let position = cursor.position;
        probe::data(inspection, cursor.span(size)?, position);
        total = total.saturating_add(size);
    }
    Ok(total)
}

/// Bytes of a number, by its type.
fn width(kind: u64) -> Option<u64> {
    Some(match kind {
        0 | 4 => 4,
        1 | 6 => 8,
        2 | 8 | 12 => 2,
        3 | 5 | 7 => 1,
        _ => return None,
    })
}

/// How many elements a shape has; `None` when it is none.
fn shape(cursor: &mut Cursor<'_>, scalar: bool) -> Read<Option<u64>> {
    match cursor.number(4)? {
        0xffff_ffff => Ok(None),
        0 if !scalar => Ok(None),
        dimensions => product(cursor, dimensions, 8).map(Some),
    }
}

fn product(cursor: &mut Cursor<'_>, dimensions: u64, width: usize) -> Read<u64> {
    if dimensions > 64 {
        return Err(Cut);
    }
    (0..dimensions).try_fold(1_u64, |product, _| product.checked_mul(cursor.number(width)?).ok_or(Cut))
}
