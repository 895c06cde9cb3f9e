//! Zarr and OCDBT, in which Orbax keeps arrays: codecs that unpickle, and stores that are recognised
//! only.

use super::json::Json;
use super::{Head, checkpoint, probe};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Deepest object looked at.
const DEPTH_MAX: u32 = 32;

/// Manifests, nodes and versions of an OCDBT store.
pub fn identify(head: &Head<'_>) -> bool {
    matches!(head.bytes, [0x0c, 0xdb, 0x3a, 0x2a, ..] | [0x0c, 0xdb, 0x20, 0xde, ..] | [0x0c, 0xdb, 0x12, 0x34, ..])
}

pub fn inspect(inspection: &mut Inspection<'_>, _input: Input<'_>, _name: &str) -> &'static str {
    inspection.issue("not_inspected", "a part of an OCDBT store is recognised, but its entries are not looked at");
    "ocdbt"
}

/// The description of an array: one whose values are pickles is loaded when it is read.
pub fn describe(inspection: &mut Inspection<'_>, json: &Json, file: &str, input: Input<'_>) {
    if matches!(file, "_metadata" | "_checkpoint_metadata" | "array_metadatas" | "_sharding") {
        texts(inspection, file, json, input, 0);
    }
    if matches!(file, ".zarray" | ".zmetadata" | "zarr.json" | ".zgroup" | ".zattrs") {
        codecs(inspection, json, 0);
    }
}

/// What Orbax says of a checkpoint: names of classes and numbers, and no code.
fn texts(inspection: &mut Inspection<'_>, key: &str, json: &Json, input: Input<'_>, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    if let Some(text) = json.as_text().filter(|text| text.len() >= 4) {
        if matches!(key, "path" | "base" | "url") && checkpoint::leaves(text) {
            inspection.list("artifact.container.escapes", text);
        }
        probe::text(inspection, key, text, input);
    }
    for (key, value) in json.members() {
        texts(inspection, key, value, input, depth.saturating_add(1));
    }
    json.items().iter().for_each(|item| texts(inspection, key, item, input, depth.saturating_add(1)));
}

fn codecs(inspection: &mut Inspection<'_>, json: &Json, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    for (key, value) in json.members() {
        let name = value.as_text().unwrap_or_default();
        if matches!(key.as_str(), "id" | "name") && matches!(name, "pickle" | "numcodecs.pickle") {
            inspection.list("artifact.pickle.nested_loaders", "numcodecs.pickles.Pickle");
        }
        codecs(inspection, value, depth.saturating_add(1));
    }
    json.items().iter().for_each(|item| codecs(inspection, item, depth.saturating_add(1)));
}
