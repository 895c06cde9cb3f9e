//! The formats: how each is recognised by its content, and looked into.
//!
//! To add one, write `format/<name>.rs` and a line in [`FORMATS`].

pub mod arrow;
pub mod beyond;
mod boosters;
mod checkpoint;
mod cntk;
pub mod columns;
mod compressed;
mod coreml;
pub mod cursor;
mod dataset;
mod devices;
pub mod executable;
pub mod flatbuffer;
mod fold;
pub mod gguf;
pub mod hdf5;
pub mod hidden;
pub mod json;
pub mod keras;
mod lines;
mod llamafile;
mod midst;
mod mnn;
mod mobile;
mod msgpack;
mod mxnet;
mod numpy;
mod ocdbt;
mod oci;
mod onnx;
mod paddle;
pub mod parquet;
pub mod pickle;
mod places;
mod probe;
pub mod protobuf;
mod r;
mod safetensors;
mod sentencepiece;
mod sevenz;
pub mod shipped;
mod skops;
mod tar;
mod template;
pub mod tensorflow;
pub mod tflite;
pub mod thrift;
mod torch7;
mod ubjson;
pub mod wide;
mod xml;
mod zarr;
pub mod zip;

pub(super) use pickle::{Tier, judge};

use super::Segment;
use super::input::Input;
use super::inspection::Inspection;

/// Bytes read to recognise a format.
const HEAD_BYTES: usize = 4096;

/// What is known before a format is chosen.
pub struct Head<'a> {
    /// The first [`HEAD_BYTES`], or fewer.
    pub bytes: &'a [u8],
    pub input: Input<'a>,
    /// Path or file name; a hint.
    pub name: &'a str,
}

/// A family of formats.
pub struct Format {
    pub identify: fn(&Head<'_>) -> bool,
    /// Adds what is found; returns the name of the format, one of [`super::facts::FORMATS`].
    pub inspect: fn(&mut Inspection<'_>, Input<'_>, &str) -> &'static str,
}

/// In the order in which they are tried: those with a magic first, then structure, then text.
pub static FORMATS: &[Format] = &[
    Format { identify: zip::identify, inspect: zip::inspect },
    Format { identify: hdf5::identify, inspect: hdf5::inspect },
    Format { identify: gguf::identify, inspect: gguf::inspect },
    Format { identify: tflite::identify, inspect: tflite::inspect },
    Format { identify: mobile::identify, inspect: mobile::inspect },
    Format { identify: numpy::identify, inspect: numpy::inspect },
    Format { identify: arrow::identify, inspect: arrow::inspect },
    Format { identify: parquet::identify, inspect: parquet::inspect },
    Format { identify: mxnet::identify, inspect: mxnet::inspect },
    Format { identify: devices::identify, inspect: devices::inspect },
    Format { identify: ocdbt::identify, inspect: ocdbt::inspect },
    Format { identify: zarr::identify, inspect: zarr::inspect },
    Format { identify: compressed::identify, inspect: compressed::inspect },
    Format { identify: sevenz::identify, inspect: sevenz::inspect },
    Format { identify: compressed::is_archive, inspect: compressed::inspect_archive },
    Format { identify: llamafile::identify, inspect: llamafile::inspect },
    Format { identify: executable::identify, inspect: executable::inspect },
    Format { identify: tar::identify, inspect: tar::inspect },
    Format { identify: safetensors::identify, inspect: safetensors::inspect },
    Format { identify: r::identify, inspect: r::inspect },
    Format { identify: torch7::identify, inspect: torch7::inspect },
    Format { identify: boosters::identify, inspect: boosters::inspect },
    Format { identify: checkpoint::identify, inspect: checkpoint::inspect },
    Format { identify: mnn::identify, inspect: mnn::inspect },
    Format { identify: cntk::identify, inspect: cntk::inspect },
    Format { identify: hdf5::identify_behind, inspect: hdf5::inspect },
    Format { identify: sentencepiece::identify, inspect: sentencepiece::inspect },
    Format { identify: onnx::identify, inspect: onnx::inspect },
    Format { identify: tensorflow::identify, inspect: tensorflow::inspect },
    Format { identify: coreml::identify, inspect: coreml::inspect },
    Format { identify: paddle::identify, inspect: paddle::inspect },
    Format { identify: xml::identify, inspect: xml::inspect },
    Format { identify: msgpack::identify, inspect: msgpack::inspect },
    Format { identify: ubjson::identify, inspect: ubjson::inspect },
    Format { identify: dataset::identify, inspect: dataset::inspect },
    Format { identify: shipped::identify, inspect: shipped::inspect },
    Format { identify: |head| pickle::identify(head), inspect: |i, input, _| pickle::inspect(i, input) },
    Format { identify: checkpoint::identify_data, inspect: checkpoint::inspect_data },
    Format { identify: ocdbt::identify_data, inspect: ocdbt::inspect },
    Format { identify: |_| true, inspect: inspect_unknown },
];

/// What names claim: extension, the format's family as told in `artifact.declared_format`, and
/// the formats that such a file may well have.
static CLAIMS: &[(&str, &str, &[&str])] = &[
    ("safetensors", "safetensors", &["safetensors"]),
    ("gguf", "gguf", &["gguf"]),
    ("npy", "numpy", &["numpy"]),
    ("npz", "npz", &["npz", "zip"]),
    ("pt", "pytorch", PYTORCH),
    ("pth", "pytorch", PYTORCH),
    ("ckpt", "pytorch", PYTORCH),
    ("bin", "pytorch", BINARY),
    ("ptl", "pytorch", PYTORCH),
    ("pt2", "pt2", &["pt2", "zip"]),
    ("pkl", "pickle", PICKLE),
    ("pickle", "pickle", PICKLE),
    ("joblib", "joblib", PICKLE),
    ("dill", "pickle", PICKLE),
    ("keras", "keras", &["keras", "zip", "hdf5"]),
    ("h5", "hdf5", &["hdf5"]),
    ("hdf5", "hdf5", &["hdf5"]),
    ("onnx", "onnx", &["onnx", "unknown", "empty", "text"]),
    ("tflite", "tflite", &["tflite", "unknown", "empty", "zip"]),
    ("pte", "executorch", &["executorch", "unknown", "empty"]),
    ("pb", "protobuf", &["tensorflow", "savedmodel", "onnx", "coreml", "paddle", "unknown", "empty", "text", "json"]),
    ("meta", "tensorflow", &["tensorflow", "unknown", "empty", "text", "json", "yaml"]),
    ("mlmodel", "coreml", &["coreml", "unknown", "empty", "text", "yaml"]),
    ("pdmodel", "paddle", &["paddle", "unknown", "empty", "text", "json"]),
    ("ubj", "ubjson", BINARY_NO_PICKLE),
    ("json", "json", &["json", "text", "jinja", "xgboost", "mxnet", "jsonl", "oci-manifest", "oci-config"]),
    ("arrow", "arrow", TABLES),
    ("arrows", "arrow", TABLES),
    ("feather", "arrow", TABLES),
    ("parquet", "parquet", TABLES),
    ("msgpack", "msgpack", &["msgpack", "unknown", "empty"]),
    ("t7", "torch7", TORCH7),
    ("cbm", "catboost", &["catboost", "unknown", "empty"]),
    ("llamafile", "llamafile", &["llamafile", "unknown", "empty"]),
    ("mnn", "mnn", &["mnn", "unknown", "empty"]),
    ("ocdbt", "ocdbt", &["ocdbt", "unknown", "empty"]),
    ("rknn", "rknn", &["rknn", "unknown", "empty"]),
    ("engine", "tensorrt", ENGINES),
    ("plan", "tensorrt", ENGINES),
    ("txt", "text", TEXTS),
    ("md", "text", TEXTS),
    ("csv", "text", TEXTS),
    ("tsv", "text", TEXTS),
    ("jsonl", "jsonl", TEXTS),
    ("ndjson", "jsonl", TEXTS),
    ("yaml", "yaml", TEXTS),
    ("yml", "yaml", TEXTS),
    ("jinja", "jinja", TEXTS),
    ("py", "python", TEXTS),
    ("png", "image", &["unknown"]),
    ("jpg", "image", &["unknown"]),
    ("zip", "zip", &["zip", "npz", "keras", "pytorch", "torchscript"]),
    ("skops", "skops", &["skops"]),
    ("pmml", "pmml", &["pmml", "xml", "text", "empty"]),
    ("xml", "xml", &["xml", "pmml", "openvino", "text", "empty"]),
    ("rds", "r-data", R_DATA),
    ("rda", "r-data", R_DATA),
    ("rdata", "r-data", R_DATA),
    ("mar", "mar", &["mar", "zip", "gzip"]),
    // PyTorch's own guide calls checkpoints so.
    ("tar", "tar", &["tar", "pytorch-tar", "nemo", "pytorch", "pytorch-legacy", "oci-archive"]),
    ("nemo", "nemo", &["nemo", "tar", "gzip"]),
];
const PYTORCH: &[&str] = &[
    "pytorch",
    "pytorch-legacy",
    "pytorch-tar",
    "torchscript",
    "torch-mobile",
    "torch-package",
    "pt2",
    "pickle",
    "joblib",
    "zip",
    "site-path",
    "tf-checkpoint",
    "unknown",
    "empty",
];
const TABLES: &[&str] = &["arrow", "feather", "parquet", "unknown", "empty"];
/// PyTorch's checkpoints are called so as well.
const TORCH7: &[&str] =
    &["torch7", "pytorch", "pytorch-legacy", "pytorch-tar", "torchscript", "pickle", "unknown", "empty"];
const ENGINES: &[&str] = &["tensorrt", "torchscript", "pytorch", "zip", "unknown", "empty", "text", "json", "yaml"];
const PICKLE: &[&str] = &[
    "pickle",
    "joblib",
    "pytorch",
    "pytorch-legacy",
    "pytorch-tar",
    "zlib",
    "gzip",
    "bzip2",
    "xz",
    "lzma",
    "lz4",
    "zstd",
    "unknown",
    "empty",
];
const R_DATA: &[&str] = &["r-data", "gzip", "bzip2", "xz", "unknown", "empty"];
const BINARY: &[&str] = &[
    "pytorch",
    "pytorch-legacy",
    "pytorch-tar",
    "torchscript",
    "torch-mobile",
    "mnn",
    "pickle",
    "joblib",
    "unknown",
    "empty",
    "json",
    "text",
    "gguf",
    "safetensors",
    "numpy",
    "zip",
    "gzip",
    "zlib",
    "zstd",
    "lz4",
    "arrow",
    "catboost",
    "cntk",
    "lightgbm",
    "msgpack",
    "mxnet",
    "ncnn",
    "ocdbt",
    "rknn",
    "tensorrt",
    "tf-checkpoint",
    "torch7",
    "ubjson",
    "xgboost",
];
const BINARY_NO_PICKLE: &[&str] = &["xgboost", "ubjson", "unknown", "empty", "zip", "hdf5", "json"];
const TEXTS: &[&str] = &[
    "text",
    "json",
    "oci-manifest",
    "oci-config",
    "yaml",
    "xml",
    "python",
    "jinja",
    "requirements",
    "script",
    "notebook",
    "csv",
    "jsonl",
    "lightgbm",
    "ncnn",
    "xgboost",
    "mxnet",
    "torch7",
    "empty",
    "unknown",
];

/// Formats in which a program or a pickle has no place, wherever it lies.
const MOSTLY_WEIGHTS: &[&str] = &[
    "gguf",
    "hdf5",
    "onnx",
    "tensorflow",
    "savedmodel",
    "tflite",
    "coreml",
    "paddle",
    "safetensors",
    "arrow",
    "parquet",
    "msgpack",
    "torch7",
    "xgboost",
    "ubjson",
    "lightgbm",
    "catboost",
    "mxnet",
    "cntk",
    "tf-checkpoint",
    "torch-mobile",
    "mnn",
    "ocdbt",
];
/// Formats that are pickles, or hold some: of those the machine tells, of programs their midst does.
const PICKLED_WEIGHTS: &[&str] =
    &["pickle", "joblib", "pytorch", "pytorch-legacy", "pytorch-tar", "torchscript", "keras", "npz", "nemo"];

/// Formats that are numbers but for a header and names.
const NUMBERS: &[&str] = &[
    "safetensors",
    "gguf",
    "numpy",
    "npz",
    "pytorch",
    "torchscript",
    "torch-mobile",
    "keras",
    "onnx",
    "tflite",
    "mnn",
    "coreml",
    "paddle",
];

/// Inspects a whole artifact.
pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    let format = dispatch(inspection, input, name);
    // Of bytes that did not come nothing is known.
    if let Some((_, declared, allowed)) = claim(name).filter(|_| !input.budget.unreadable.get()) {
        inspection.set("artifact.declared_format", *declared);
        if !allowed.contains(&format) && format != "empty" && !is_pointer(input) {
            inspection.set("artifact.extension_mismatch", true);
            if matches!(format, "7z" | "rar" | "cab" | "iso") {
                inspection.list("artifact.container.anomalies", "unexpected_container");
            }
        }
    }
    format
}

/// True for the text that Git LFS leaves in the place of a file; it disguises nothing.
fn is_pointer(input: Input<'_>) -> bool {
    input.len() < 1024 && input.read(0, 64).starts_with(b"version https://git-lfs.github.com/spec/v1\n")
}

/// Inspects what lies in a container.
pub fn inspect_member(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    dispatch(inspection, input, name)
}

/// True for bytes of which a format is known.
pub fn is_known(input: Input<'_>) -> bool {
    let bytes = input.read(0, HEAD_BYTES);
    let head = Head { bytes: &bytes, input, name: "" };
    let (_, known) = FORMATS.split_last().unzip();
    known.is_some_and(|known| known.iter().any(|format| (format.identify)(&head)))
}

/// Tensors with their places, for formats that declare them in a header.
pub fn segments(input: Input<'_>) -> Vec<Segment> {
    let bytes = input.read(0, HEAD_BYTES);
    let head = Head { bytes: &bytes, input, name: "" };
    if gguf::identify(&head) {
        gguf::segments(input)
    } else if safetensors::identify(&head) {
        safetensors::segments(input)
    } else if zip::identify(&head) {
        zip::segments(input)
    } else if numpy::identify(&head) {
        numpy::segment(input, "array").into_iter().collect()
    } else {
        Vec::new()
    }
}

fn dispatch(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    if input.len() == 0 {
        return "empty";
    }
    let bytes = input.read(0, HEAD_BYTES);
    let head = Head { bytes: &bytes, input, name };
    let Some(found) = FORMATS.iter().find(|format| (format.identify)(&head)) else { return "unknown" };
    let format = (found.inspect)(inspection, input, name);
    if MOSTLY_WEIGHTS.contains(&format) || (format == "unknown" && claim(name).is_some()) {
        midst::weights(inspection, input);
    } else if PICKLED_WEIGHTS.contains(&format) {
        midst::programs(inspection, input);
    }
    format
}

/// Says that there are more beginnings of programs and pickles than are looked at. Among numbers that is a
/// finding: there is no other reason for them. Tables and lists may well hold pickles of their own.
pub fn crowded(inspection: &mut Inspection<'_>, format: &str, name: &str, more: u64) {
    let numbers = NUMBERS.contains(&format) || (format == "unknown" && claim(name).is_some());
    if more == 0 || !(numbers || MOSTLY_WEIGHTS.contains(&format)) {
        return;
    }
    let what = "more beginnings of programs and pickles than are looked at";
    if numbers {
        inspection.list("artifact.tensors.hidden_payloads", what);
    }
    inspection.issue("budget_exceeded", &format!("there are {what}"));
}

/// What follows the end of the tensors, where nothing should.
pub fn trailing_data(inspection: &mut Inspection<'_>, input: Input<'_>, end: u64) {
    inspection.list("artifact.tensors.anomalies", "trailing_data");
    trailing(inspection, input.from(end), end);
}

/// Looks into what follows the end of a format, `position` bytes into it: a container, a program,
/// or a pickle that acts.
pub fn trailing(inspection: &mut Inspection<'_>, rest: Input<'_>, position: u64) {
    let start = rest.read(0, HEAD_BYTES);
    let padding = start.iter().take_while(|byte| **byte == 0).count() as u64;
    let (rest, position) = (rest.from(padding), position.saturating_add(padding));
    let bytes = rest.read(0, HEAD_BYTES);
    executable::look(inspection, &bytes, position);
    let head = Head { bytes: &bytes, input: rest, name: "trailing" };
    let container =
        [zip::identify, gguf::identify, numpy::identify, sevenz::identify, compressed::is_archive, tar::identify]
            .iter()
            .any(|identify| identify(&head));
    if container {
        inspection.member("trailing", |inspection| {
            dispatch(inspection, rest, "trailing");
        });
    } else if zip::has_members(rest) {
        inspection.member("trailing", |inspection| {
            zip::inspect(inspection, rest, "trailing");
        });
    } else if pickle::may_be_pickle(&bytes, rest.len()) && acts(inspection, rest) {
        inspection.add("artifact.pickle.nested", 1);
    }
}

/// True, and told, when what follows is a pickle that acts.
fn acts(inspection: &mut Inspection<'_>, rest: Input<'_>) -> bool {
    let mut is_one = false;
    inspection.member("trailing", |inspection| is_one = pickle::attempt(inspection, rest));
    is_one
}

fn claim(name: &str) -> Option<&'static (&'static str, &'static str, &'static [&'static str])> {
    let extension = extension(name);
    CLAIMS.iter().find(|(known, _, _)| *known == extension)
}

/// What follows the last dot of the file name, in lower case; empty when there is none.
fn extension(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.rsplit_once('.').map_or_else(String::new, |(_, extension)| extension.to_ascii_lowercase())
}

/// True when the name says that a pickle is what the file should be.
pub fn claims_pickle(name: &str) -> bool {
    claim(name).is_some_and(|(_, declared, _)| matches!(*declared, "pickle" | "joblib" | "pytorch"))
}

/// Nothing recognised: a pickle by name is run all the same, and an executable may lie at the start.
fn inspect_unknown(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    let head = input.read(0, HEAD_BYTES);
    executable::look(inspection, &head, 0);
    if claims_pickle(name) {
        pickle::inspect(inspection, input);
        inspection.issue("malformed", "the name claims a pickle, but the content is none that can be followed");
        return "unknown";
    }
    if zip::has_members(input) {
        return zip::inspect(inspection, input, name);
    }
    inspection.issue("not_inspected", "the format is not recognised; only its digest is known");
    "unknown"
}
