//! `MXNet`: the symbol file, whose custom operators are code of the application, and the file of
//! parameters.

use super::cursor::{Cursor, Cut};
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
            inspection.list("artifact.tensors.anomalies", "trailing_data");
            super::trailing(inspection, input.from(end), end);
        }
        Ok(()) => {}
        Err(Fault::Cut) => {
            inspection.list("artifact.tensors.anomalies", "out_of_bounds");
            inspection.issue("malformed", "a count or a length reaches beyond the end, or an array is none");
        }
        Err(Fault::Sparse) => {
            inspection.issue("not_inspected", "a sparse array; what follows it was not looked at");
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
        let attributes = ["attrs", "attr", "param"]
            .iter()
            .filter_map(|key| node.get(key))
            .flat_map(|attributes| attributes.members());
        let mut kind = "";
        for (key, value) in attributes.filter_map(|(key, value)| Some((key, value.as_text()?))) {
            if key == "op_type" {
                kind = value;
            }
            if key == "library" || key.ends_with("lib_path") {
                inspection.list("artifact.mxnet.custom", format!("library:{value}"));
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

enum Fault {
    Cut,
    Sparse,
}

impl From<Cut> for Fault {
    fn from(_: Cut) -> Self {
        Self::Cut
    }
}

fn arrays(inspection: &mut Inspection<'_>, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let count = cursor.number(8)?;
    if count > ARRAYS_MAX || count > cursor.left() {
        return Err(Fault::Cut);
    }
    inspection.set("artifact.tensors.count", count);
    let mut bytes = 0_u64;
    for _ in 0..count {
        bytes = bytes.saturating_add(array(inspection, cursor)?);
    }
    inspection.set("artifact.tensors.bytes", bytes);
    let names = cursor.number(8)?;
    if names > cursor.left() {
        return Err(Fault::Cut);
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

/// One array: its version, its shape, where it lay, its type, its numbers.
fn array(inspection: &mut Inspection<'_>, cursor: &mut Cursor<'_>) -> Result<u64, Fault> {
    let magic = cursor.number(4)?;
    let (dimensions, width) = match magic {
        0xf993_faca | 0xf993_fac9 => {
            // The kind of storage: dense is 0, and -1 where none was told.
            if !matches!(cursor.number(4)?, 0 | 0xffff_ffff) {
                return Err(Fault::Sparse);
            }
            (cursor.number(4)?, 8)
        }
        0xf993_fac8 => (cursor.number(4)?, 8),
        // The first version has no mark: the number of dimensions stands here.
        dimensions => (dimensions, 4),
    };
    // Arrays of no known shape have nothing more.
    if dimensions == 0xffff_ffff || dimensions == 0 && magic != 0xf993_faca {
        return Ok(0);
    }
    if dimensions > 64 {
        return Err(Fault::Cut);
    }
    let mut elements = 1_u64;
    for _ in 0..dimensions {
        elements = elements.checked_mul(cursor.number(width)?).ok_or(Cut)?;
    }
    cursor.skip(8)?;
    let width = match cursor.number(4)? {
        0 | 4 => 4,
        1 | 6 => 8,
        2 | 8 | 12 => 2,
        3 | 5 | 7 => 1,
        _ => return Err(Fault::Cut),
    };
    let size = elements.checked_mul(width).ok_or(Cut)?;
    let position = cursor.position;
    let data = cursor.span(size)?;
    probe::data(inspection, data, position);
    Ok(size)
}
