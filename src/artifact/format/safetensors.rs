//! safetensors: a length, a JSON header, and the bytes of the tensors without holes.
//!
//! Every defect of the header is told, not only the first: readers differ in what they forgive.

use std::collections::HashSet;

use super::json::{Json, Refused};
use super::{Head, executable, midst, pickle};
use crate::artifact::Segment;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Header size beyond which the reference implementation refuses a file.
const HEADER_MAX: u64 = 100_000_000;
/// Tensors whose beginning is read for embedded programs.
const STARTS_MAX: usize = 4096;

const TYPES: &[(&str, u64)] = &[
    ("BOOL", 8),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
    ("C64", 64),
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
];

pub fn identify(head: &Head<'_>) -> bool {
    let Some((length, rest)) = head.bytes.split_at_checked(8) else { return false };
    let length = <[u8; 8]>::try_from(length).map_or(0, u64::from_le_bytes);
    let json = rest.trim_ascii_start().starts_with(b"{");
    let fits = (2..=HEADER_MAX).contains(&length) && length <= head.input.len();
    json && (fits || head.name.to_ascii_lowercase().ends_with(".safetensors"))
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let Some(header) = header(inspection, input) else { return "safetensors" };
    let data = input.from(header.data);
    let mut tensors = Vec::new();
    let mut names = HashSet::new();
    for (name, value) in header.json.members() {
        if !names.insert(name.as_str()) {
            anomaly(inspection, "duplicate_name");
        }
        if name == "__metadata__" {
            metadata(inspection, value, input);
        } else {
            tensors.extend(tensor(inspection, name, value, data.len()));
        }
    }
    inspection.set("artifact.tensors.count", tensors.len());
    let bytes = tensors.iter().fold(0_u64, |sum, tensor| sum.saturating_add(tensor.end.saturating_sub(tensor.start)));
    inspection.set("artifact.tensors.bytes", bytes);
    layout(inspection, &mut tensors, data);
    midst::numbers(inspection, data);
    for tensor in tensors.iter().take(STARTS_MAX) {
        let start =
            data.read(tensor.start, 512.min(usize::try_from(tensor.end.saturating_sub(tensor.start)).unwrap_or(512)));
        look(
            inspection,
            &start,
            header.data.saturating_add(tensor.start),
            data.window(tensor.start, tensor.end.saturating_sub(tensor.start)),
        );
        if let Some(width) = midst::width(&tensor.dtype) {
            let numbers = data.window(tensor.start, tensor.end.saturating_sub(tensor.start));
            midst::low_bits(inspection, numbers, Some(width));
        }
    }
    if tensors.len() > STARTS_MAX {
        inspection.issue("budget_exceeded", "not every tensor was searched for programs at its start");
    }
    "safetensors"
}

/// Tensors with absolute places; those that lie outside of the file are left out.
pub fn segments(input: Input<'_>) -> Vec<Segment> {
    let Some((data, json)) = read_header(input).ok() else { return Vec::new() };
    let tensors = json.members().iter().filter(|(name, _)| name != "__metadata__");
    tensors
        .filter_map(|(name, value)| declared(name, value))
        .map(|segment| Segment {
            start: segment.start.saturating_add(data),
            end: segment.end.saturating_add(data),
            ..segment
        })
        .filter(|segment| segment.end <= input.len() && segment.start <= segment.end)
        .take(200_000)
        .collect()
}

/// Names of tensors that end beyond the end of the file.
pub fn beyond(input: Input<'_>) -> Vec<String> {
    let Some((data, json)) = read_header(input).ok() else { return Vec::new() };
    let tensors = json.members().iter().filter_map(|(name, value)| declared(name, value));
    tensors
        .filter(|segment| segment.end.saturating_add(data) > input.len())
        .map(|segment| segment.name)
        .take(200_000)
        .collect()
}

struct Header {
    /// Offset of the tensors' bytes.
    data: u64,
    json: Json,
}

fn read_header(input: Input<'_>) -> Result<(u64, Json), &'static str> {
    let length = <[u8; 8]>::try_from(input.read(0, 8).as_slice())
        .map(u64::from_le_bytes)
        .map_err(|_| "the header's length is cut off")?;
    let data = length.checked_add(8).filter(|data| *data <= input.len()).ok_or("the header reaches beyond the end")?;
    let bytes = input.window(8, length).whole().ok_or("the header is larger than one item may be")?;
    match Json::read(&bytes) {
        Ok(json) => Ok((data, json)),
        Err(Refused::Malformed) => Err("the header is no JSON"),
        Err(Refused::TooLarge) => Err("the header holds more tensors than are kept"),
    }
}

fn header(inspection: &mut Inspection<'_>, input: Input<'_>) -> Option<Header> {
    match read_header(input) {
        Ok((data, json)) => {
            if data.saturating_sub(8) > HEADER_MAX {
                anomaly(inspection, "header_size");
            }
            Some(Header { data, json })
        }
        Err(why) => {
            anomaly(inspection, "header_size");
            inspection.issue("malformed", why);
            None
        }
    }
}

fn anomaly(inspection: &mut Inspection<'_>, code: &str) {
    inspection.list("artifact.tensors.anomalies", code);
}

/// The tensor as the header declares it, with offsets into the data.
fn declared(name: &str, value: &Json) -> Option<Segment> {
    let [start, end] = value.get("data_offsets")?.items() else { return None };
    let shape = value.get("shape")?.items().iter().map(Json::as_u64).collect::<Option<Vec<_>>>()?;
    let dtype = value.get("dtype")?.as_text()?.to_owned();
    Some(Segment { name: name.to_owned(), dtype, shape, start: start.as_u64()?, end: end.as_u64()?, digest: None })
}

fn tensor(inspection: &mut Inspection<'_>, name: &str, value: &Json, data: u64) -> Option<Segment> {
    let Some(tensor) = declared(name, value) else {
        anomaly(inspection, "shape_mismatch");
        inspection.issue("malformed", "a tensor lacks its type, shape or offsets");
        return None;
    };
    if tensor.end > data || tensor.start > tensor.end {
        anomaly(inspection, "out_of_bounds");
    }
    let bits = TYPES.iter().find(|(dtype, _)| *dtype == tensor.dtype).map(|(_, bits)| *bits);
    let Some(bits) = bits else {
        anomaly(inspection, "unknown_type");
        return Some(tensor);
    };
    let size =
        tensor.shape.iter().try_fold(bits, |product, length| product.checked_mul(*length)).map(|bits| bits.div_ceil(8));
    if size != tensor.end.checked_sub(tensor.start) {
        anomaly(inspection, "shape_mismatch");
    }
    Some(tensor)
}

/// Tensors must follow one another without holes, from the first byte to the last.
fn layout(inspection: &mut Inspection<'_>, tensors: &mut [Segment], data: Input<'_>) {
    tensors.sort_by_key(|tensor| (tensor.start, tensor.end));
    let mut position = 0_u64;
    for tensor in tensors.iter() {
        if tensor.start < position && tensor.end > tensor.start {
            anomaly(inspection, "overlap");
        } else if tensor.start > position {
            anomaly(inspection, "gap");
            let start = data.read(position, 512);
            look(inspection, &start, position, data.window(position, tensor.start.saturating_sub(position)));
        }
        position = position.max(tensor.end);
    }
    if position < data.len() {
        anomaly(inspection, "trailing_data");
        super::trailing(inspection, data.from(position), position);
    }
}

fn look(inspection: &mut Inspection<'_>, start: &[u8], position: u64, input: Input<'_>) {
    if executable::kind(start).is_some_and(|kind| kind != "script") || start.starts_with(b"#!/") {
        executable::look(inspection, start, position);
    }
    if pickle::may_be_pickle(start, u64::MAX) && start.starts_with(&[0x80]) && pickle::attempt(inspection, input) {
        inspection.add("artifact.pickle.nested", 1);
    }
}

fn metadata(inspection: &mut Inspection<'_>, value: &Json, file: Input<'_>) {
    for (key, value) in value.members() {
        if let Some(text) = value.as_text()
            && (super::shipped::holds_code(text) || pickle::in_text(inspection, text, file))
        {
            inspection.list("artifact.metadata.suspicious", key);
        }
    }
}
