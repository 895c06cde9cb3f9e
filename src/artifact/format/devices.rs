//! Models compiled for devices: `TensorRT`, RKNN, NCNN. Their code is the vendor's; what is told are
//! the plugins that one names, its description, and what does not belong into it.

use super::cursor::Cursor;
use super::json::Json;
use super::{Head, probe};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;
use crate::base::text::shorten;

/// Bytes of an engine that are searched for names of plugins, from its beginning.
const SEARCH_MAX: usize = 4 << 20;
/// Longest description.
const JSON_MAX: u64 = 16 << 20;
/// Deepest object looked at.
const DEPTH_MAX: u32 = 32;
/// Plugins that come with `TensorRT`; libraries beside it bring others.
const KNOWN: &[&str] = &[
    "BatchedNMS",
    "BatchTilePlugin",
    "Clip",
    "CoordConv",
    "CropAndResize",
    "CustomEmbLayerNorm",
    "CustomFCPlugin",
    "CustomGelu",
    "CustomQKVToContext",
    "CustomSkipLayerNorm",
    "DecodeBbox3D",
    "DetectionLayer",
    "DisentangledAttention",
    "EfficientNMS",
    "FlattenConcat",
    "GenerateDetection",
    "GridAnchor",
    "GroupNorm",
    "InstanceNormalization",
    "LReLU",
    "ModulatedDeformConv",
    "MultilevelCropAndResize",
    "MultilevelProposeROI",
    "MultiscaleDeformableAttn",
    "NMS",
    "NMSDynamic",
    "Normalize",
    "PillarScatter",
    "PriorBox",
    "ProposalDynamic",
    "ProposalLayer",
    "Proposal",
    "PyramidROIAlign",
    "Region",
    "Reorg",
    "ResizeNearest",
    "ROIAlign",
    "RPROI",
    "ScatterElements",
    "ScatterND",
    "SpecialSlice",
    "Split",
    "VoxelGenerator",
];

/// Beginnings of the names of the vendor's own libraries.
const OWN: &[&str] = &["libnv", "libcu", "libtensorrt", "libtrt", "nv", "cu"];
pub fn identify(head: &Head<'_>) -> bool {
    kind(head.bytes).is_some()
}

fn kind(head: &[u8]) -> Option<&'static str> {
    match head {
        // A mark, or its bytes turned around, and a version or a length.
        [b'f' | b'p', b't', b'r', b't', ..] => Some("tensorrt"),
        [b'R', b'K', b'N', b'N', 0, 0, 0, 0, ..] | [b'C', b'Y', b'P', b'T', b'R', b'K', b'N', b'N', ..] => Some("rknn"),
        [b'7', b'7', b'6', b'7', b'5', b'1', b'7', b'\n' | b'\r', ..] => Some("ncnn"),
        _ => None,
    }
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let head = input.read(0, 16);
    let Some(kind) = kind(&head) else { return "unknown" };
    match kind {
        "tensorrt" => engine(inspection, input),
        "rknn" => rknn(inspection, input, head.starts_with(b"CYPT")),
        _ => ncnn(inspection, input),
    }
    kind
}

/// An engine names the creators of its plugins; where it carries a library, that is a program.
fn engine(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let bytes = input.read(0, SEARCH_MAX);
    for (at, text) in texts(&bytes) {
        let plugin = text.ends_with("_TRT") || text.ends_with("Plugin") || text.ends_with("PluginDynamic");
        let name = text.trim_end_matches("_TRT");
        if plugin && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:.".contains(&byte)) {
            let known = text.ends_with("_TRT") && KNOWN.iter().any(|known| name.starts_with(known))
                || KNOWN.iter().any(|known| text.starts_with(known));
            inspection.list("artifact.tensorrt.plugins", text);
            if !known {
                inspection.list("artifact.tensorrt.foreign_plugins", text);
            }
        }
        let library = [".so", ".dll", ".dylib"].iter().any(|end| text.ends_with(end) || text.contains(".so."));
        let file = text.rsplit('/').next().unwrap_or(text);
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./+".contains(&byte));
        if library && plain && text.len() >= 7 && !OWN.iter().any(|own| file.starts_with(own)) {
            inspection.list("artifact.tensorrt.libraries", text);
        }
        if text.len() >= 12 && probe::code(text) {
            inspection.list("artifact.metadata.suspicious", format!("text@{at}"));
        }
    }
    // Libraries that were put into the engine lie in it whole.
    probe::search(inspection, input);
    if input.len() > bytes.len() as u64 {
        inspection.issue("not_inspected", "an engine is the vendor's own code: only its beginning was looked through");
    }
}

/// Runs of printable characters, with their places.
fn texts(bytes: &[u8]) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0_usize;
    bytes.split(|byte| !(32..127).contains(byte)).filter_map(move |run| {
        let start = at;
        at = at.saturating_add(run.len()).saturating_add(1);
        let text = std::str::from_utf8(run).ok()?;
        (4..4096).contains(&text.len()).then_some((start, text))
    })
}

/// RKNN: a header, the model, and behind it a description in JSON.
fn rknn(inspection: &mut Inspection<'_>, input: Input<'_>, encrypted: bool) {
    if encrypted {
        inspection.issue("not_inspected", "the model is encrypted: only who has the key can look into it");
        return;
    }
    let mut cursor = Cursor::at(input, 8);
    let (Ok(version), Ok(size)) = (cursor.number(8), cursor.number(8)) else {
        inspection.issue("malformed", "the header is cut off");
        return;
    };
    let base = if version & 0xff > 1 { 64 } else { 24 };
    let place = [base, 24, 64].into_iter().find_map(|base| {
        let mut cursor = Cursor::at(input, size.checked_add(base).filter(|end| *end < input.len())?);
        let length = cursor.number(8).ok().filter(|length| *length <= cursor.left() && *length <= JSON_MAX)?;
        let start = cursor.position;
        (cursor.peek(1) == b"{").then_some((base, start, length))
    });
    let Some((base, start, length)) = place else {
        inspection.list("artifact.tensors.anomalies", "out_of_bounds");
        inspection.issue("malformed", "the length of the model, or of its description, reaches beyond the end");
        probe::search(inspection, input);
        // Old tools wrote the description alone, right behind the header.
        let bytes = input.window(24, size.min(JSON_MAX)).read(0, usize::try_from(size.min(JSON_MAX)).unwrap_or(0));
        if let Some(json) = Json::parse(&bytes) {
            walk(inspection, "json", &json, input, 0);
        }
        return;
    };
    probe::data(inspection, input.window(base, size), base);
    let start_of_it = input.window(base, size).read(0, 1 << 20);
    for (at, text) in texts(&start_of_it).filter(|(_, text)| text.len() >= 12 && probe::code(text)) {
        let place = base.saturating_add(at as u64);
        inspection.list("artifact.metadata.suspicious", format!("{}@{place}", shorten(text, 32)));
    }
    let bytes = input.window(start, length).read(0, usize::try_from(length).unwrap_or(0));
    match Json::parse(bytes.split(|byte| *byte == 0).next().unwrap_or_default()) {
        Some(json) => walk(inspection, "json", &json, input, 0),
        None => inspection.issue("malformed", "the description is no JSON"),
    }
    let end = start.saturating_add(length);
    if end < input.len() {
        let rest = input.read(end, 4096);
        if rest.iter().any(|byte| *byte != 0) {
            super::trailing_data(inspection, input, end);
        }
    }
}

fn walk(inspection: &mut Inspection<'_>, key: &str, json: &Json, input: Input<'_>, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    if let Some(text) = json.as_text().filter(|text| text.len() >= 4) {
        if [".so", ".dll", ".dylib"].iter().any(|end| text.ends_with(end)) {
            inspection.list("artifact.rknn.libraries", text);
        }
        probe::text(inspection, key, text, input);
    }
    json.members().iter().for_each(|(key, value)| walk(inspection, key, value, input, depth.saturating_add(1)));
    json.items().iter().for_each(|item| walk(inspection, key, item, input, depth.saturating_add(1)));
}

/// NCNN's text of layers: one that is not of its own has a name that it does not know.
fn ncnn(inspection: &mut Inspection<'_>, input: Input<'_>) {
    super::lines::inspect(inspection, input, "param", true);
}
