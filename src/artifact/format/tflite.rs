//! `TensorFlow` Lite and `ExecuTorch`: `FlatBuffers` of operators and buffers. Operators that the
//! interpreter does not have itself, buffers that lie about their place, and what hides in them.

use super::flatbuffer::Table;
use super::tensorflow;
use super::{Head, executable, keras, pickle, places, shipped};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Operators, buffers and the like of one model.
const ITEMS_MAX: u64 = 100_000;
/// Number of the operator that stands for all custom ones.
const CUSTOM: u64 = 32;
/// Beginnings of the names of custom operators that come with the interpreter and its kin.
const KNOWN: &[&str] = &[
    "TFLite_",
    "Mediapipe",
    "MaxPoolingWithArgmax2D",
    "MaxUnpooling2D",
    "Convolution2DTransposeBias",
    "TransformTensorBilinear",
    "TransformLandmarks",
    "Landmarks2TransformMatrix",
    "AudioSpectrogram",
    "Mfcc",
    "TFSentencepiece",
    "tftext:",
    "edgetpu-custom-op",
    "ethos-u",
    "NumericVerify",
    "RaggedTensorToTensor",
    "Signal",
];

pub fn identify(head: &Head<'_>) -> bool {
    matches!(head.bytes.get(4..8), Some(b"TFL3")) || is_executorch(head.bytes)
}

fn is_executorch(head: &[u8]) -> bool {
    matches!(head.get(4..8), Some([b'E', b'T', tens, ones]) if tens.is_ascii_digit() && ones.is_ascii_digit())
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let executorch = is_executorch(&input.read(0, 8));
    let result = match Table::root(input) {
        Some(root) if executorch => program(inspection, input, root),
        Some(root) => model(inspection, input, root),
        None => Err(()),
    };
    if result.is_err() {
        inspection.list("artifact.tensors.anomalies", "out_of_bounds");
        inspection.issue("malformed", "an offset reaches beyond the end, or what it points to is none");
    }
    if executorch { "executorch" } else { "tflite" }
}

fn model(inspection: &mut Inspection<'_>, input: Input<'_>, root: Table<'_>) -> Result<(), ()> {
    let operators = root.tables(1, ITEMS_MAX);
    let buffers = root.tables(4, ITEMS_MAX);
    let metadata = root.tables(6, ITEMS_MAX);
    let subgraphs = root.tables(2, ITEMS_MAX);
    let mut broken = Ok(());
    for operator in operators.iter().flatten() {
        let Ok(code) = operator.text(1) else {
            broken = Err(());
            continue;
        };
        if operator.number(0, 1) == CUSTOM || operator.number(3, 4) == CUSTOM || !code.is_empty() {
            custom(inspection, &code);
        }
    }
    for tensor in subgraphs.iter().flatten().filter_map(|graph| graph.tables(0, ITEMS_MAX).ok()).flatten() {
        let number = tensor.number(2, 4);
        if buffers.as_ref().is_ok_and(|buffers| number > 0 && number >= buffers.len() as u64) {
            inspection.list("artifact.tensors.anomalies", "no_such_buffer");
        }
        if overflows(tensor) {
            inspection.list("artifact.tensors.anomalies", "overflow");
        }
    }
    let mut end = 0_u64;
    let mut total = 0_u64;
    for buffer in buffers.iter().flatten() {
        let (start, size) = place(*buffer)?;
        if size == 0 {
            continue;
        }
        if start.checked_add(size).is_none_or(|end| end > input.len()) {
            inspection.list("artifact.tensors.anomalies", "out_of_bounds");
            inspection.issue("truncated", "a buffer reaches beyond the end");
            continue;
        }
        end = end.max(start.saturating_add(size));
        total = total.saturating_add(size);
        look(inspection, input.window(start, size), start);
    }
    let count =
        subgraphs.iter().flatten().map(|graph| graph.vector(0, 4).ok().flatten().map_or(0, |v| v.count)).sum::<u64>();
    inspection.set("artifact.tensors.count", count);
    inspection.set("artifact.tensors.bytes", total);
    for entry in metadata.iter().flatten() {
        let name = entry.text(0)?;
        let buffer = usize::try_from(entry.number(1, 4)).ok().and_then(|at| buffers.as_ref().ok()?.get(at).copied());
        let Some(buffer) = buffer else {
            inspection.list("artifact.tensors.anomalies", "out_of_bounds");
            continue;
        };
        let (start, size) = place(buffer)?;
        let bytes = input.window(start, size).read(0, 64 << 10);
        if std::str::from_utf8(&bytes).is_ok_and(shipped::holds_code) {
            inspection.list("artifact.metadata.suspicious", name);
        }
    }
    operators.and(buffers).and(metadata).and(subgraphs).and(broken)
}

/// Operators by name: those of TensorFlow's own kernels, and those of the application.
fn custom(inspection: &mut Inspection<'_>, code: &str) {
    if let Some(name) = code.strip_prefix("Flex") {
        inspection.list("artifact.tflite.flex_operators", name);
        tensorflow::operator(inspection, name);
        // A checkpoint is written beside training, never by what runs on a device.
        if tensorflow::writes(name) {
            inspection.list("artifact.tensorflow.operators", name);
        }
    } else if !KNOWN.iter().any(|known| code.starts_with(known)) {
        inspection.list("artifact.tflite.custom_operators", code);
        tensorflow::operator(inspection, code);
    }
}

/// Sides whose product no size can hold: it wraps, and too little memory is made.
fn overflows(tensor: Table<'_>) -> bool {
    let Ok(Some(sides)) = tensor.vector(0, 4) else { return false };
    let bytes = sides.input.window(sides.start, sides.count.min(64).saturating_mul(4)).read(0, 256);
    let mut product = 1_u64;
    for side in bytes.chunks_exact(4) {
        let side = side.try_into().map_or(0, i32::from_le_bytes);
        // A side that is not known is -1, and one that is empty makes all empty.
        match u64::try_from(side) {
            Ok(0) | Err(_) => return false,
            Ok(side) => product = product.saturating_mul(side),
        }
    }
    product > 1 << 62
}

/// Where a buffer lies: in the model itself, or behind it.
fn place(buffer: Table<'_>) -> Result<(u64, u64), ()> {
    let (offset, size) = (buffer.number(1, 8), buffer.number(2, 8));
    if offset > 1 {
        return Ok((offset, size));
    }
    Ok(buffer.vector(0, 1)?.map_or((0, 0), |vector| (vector.start, vector.count)))
}

/// Programs and pickles where weights should be.
fn look(inspection: &mut Inspection<'_>, data: Input<'_>, position: u64) {
    let head = data.read(0, 512);
    if executable::kind(&head).is_some_and(|kind| kind != "script") || head.starts_with(b"#!/") {
        executable::look(inspection, &head, position);
    }
    if head.starts_with(&[0x80]) && pickle::may_be_pickle(&head, data.len()) && pickle::attempt(inspection, data) {
        inspection.add("artifact.pickle.nested", 1);
    }
}

/// An option of a delegate: a path in it leads to a library or to what is compiled.
fn setting(inspection: &mut Inspection<'_>, option: Table<'_>) -> Result<(), ()> {
    let Some(value) = option.vector(1, 1)? else { return Ok(()) };
    let bytes = value.input.window(value.start, value.count.min(4096)).read(0, 4096);
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim_end_matches('\0');
    if text.len() > 3 && (places::is_sensitive(text) || places::is_shared(text) && keras::is_outside(text)) {
        inspection.list("artifact.container.escapes", text);
    }
    Ok(())
}

/// A program of `ExecuTorch`: what it hands to other libraries, and segments behind it.
fn program(inspection: &mut Inspection<'_>, input: Input<'_>, root: Table<'_>) -> Result<(), ()> {
    let header = input.read(8, 24);
    let base = match header.get(16..24).and_then(|bytes| bytes.try_into().ok()) {
        Some(base) if header.starts_with(b"eh") => u64::from_le_bytes(base),
        Some(_) | None => 0,
    };
    let plans = root.tables(1, 1024)?;
    for plan in &plans {
        for delegate in plan.tables(7, ITEMS_MAX)? {
            inspection.list("artifact.executorch.delegates", delegate.text(0)?);
            for option in delegate.tables(2, 1024)? {
                setting(inspection, option)?;
            }
        }
        for operator in plan.tables(6, ITEMS_MAX)? {
            let name = operator.text(0)?;
            let domain = name.split("::").next().unwrap_or_default();
            if !matches!(
                domain,
                "aten" | "dim_order_ops" | "quantized_decomposed" | "executorch_prim" | "prim" | "et_copy"
            ) {
                inspection.list("artifact.executorch.operators", name);
            }
        }
    }
    for data in root.tables(3, ITEMS_MAX)? {
        if let Some(vector) = data.vector(0, 1)? {
            look(inspection, input.window(vector.start, vector.count), vector.start);
        }
    }
    for segment in root.tables(4, ITEMS_MAX)? {
        let (offset, size) = (segment.number(0, 8), segment.number(1, 8));
        let start = base.saturating_add(offset);
        if offset.checked_add(size).is_none() {
            inspection.list("artifact.tensors.anomalies", "overflow");
        }
        if start.checked_add(size).is_none_or(|end| end > input.len()) {
            inspection.list("artifact.tensors.anomalies", "out_of_bounds");
            inspection.issue("truncated", "a segment reaches beyond the end");
            continue;
        }
        look(inspection, input.window(start, size), start);
    }
    Ok(())
}
