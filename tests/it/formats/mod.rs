//! What inspection finds in artifacts: made by hand where they are hostile, by the real libraries
//! where they are benign.

pub mod build;

mod arrays;
pub mod benign;
mod beside;
mod boosters;
pub mod bypasses;
mod checkpoints;
mod classes;
mod columns;
mod comparison;
mod configurations;
mod containers;
mod corpus_benign;
mod datasets;
mod devices;
mod false_alarms;
mod flatbuffers;
mod graphs;
mod hdf5;
mod hidden;
mod hiding_places;
pub mod hostile;
mod images;
mod keras;
mod llamafile;
mod midst;
mod places;
mod quantised;
mod r;
mod repositories;
mod scripts;
mod serialized;
mod sevenz;
mod skops;
mod statements;
mod tables;
mod torch;
mod unpickler;
mod vetted;
mod xml;

use lanner::artifact::{Limits, Memory, Report, fields, inspect};
use lanner::event::{FieldType, Value};

/// Inspects bytes, and holds that every fact is declared with its type.
pub fn report(bytes: &[u8], name: &str) -> Report {
    let report = inspect(&Memory(bytes.to_vec()), name, &Limits::default());
    declared(&report);
    report
}

/// Every fact is declared, and of the declared type.
pub fn declared(report: &Report) {
    for (path, value) in &report.facts {
        let field = fields().iter().find(|field| field.path == path);
        let kind = field.map(|field| field.kind);
        let fits = match value {
            Value::Bool(_) => kind == Some(FieldType::Bool),
            Value::Int(_) => kind == Some(FieldType::Integer),
            Value::Text(_) => kind == Some(FieldType::Text),
            Value::List(_) => kind == Some(FieldType::TextList),
            Value::Float(_) => kind == Some(FieldType::Float),
            Value::Null | Value::Map(_) => false,
        };
        assert!(fits, "fact `{path}` = {value:?} is declared as {kind:?}");
    }
    assert!(
        lanner::artifact::facts::FORMATS.contains(&report.format.as_str()),
        "format `{}` is not declared",
        report.format
    );
}

/// Cuts a sample at many places, and turns bits and whole numbers of it over.
pub fn survives(bytes: &[u8], name: &str) {
    let step = (bytes.len() / 300).max(1);
    for at in (0..bytes.len()).step_by(step) {
        report(bytes.get(..at).unwrap_or_default(), name);
        for value in [[0xff; 8], [0; 8], [0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0], [0x80, 0, 0, 0, 1, 0, 0, 0]] {
            let mut damaged = bytes.to_vec();
            for (to, from) in damaged.iter_mut().skip(at).zip(value) {
                *to = from;
            }
            report(&damaged, name);
        }
        let mut flipped = bytes.to_vec();
        if let Some(byte) = flipped.get_mut(at) {
            *byte ^= 1 << (at % 8);
        }
        report(&flipped, name);
    }
}

/// Items of a list fact; empty when it is absent.
pub fn list(report: &Report, path: &str) -> Vec<String> {
    let items = report.facts.get(path).and_then(Value::as_list).unwrap_or_default();
    items.iter().filter_map(Value::as_text).map(str::to_owned).collect()
}

/// Facts that a benign artifact never has.
pub const ALARMING: &[&str] = &[
    "artifact.pickle.dangerous",
    "artifact.pickle.unlisted",
    "artifact.pickle.suspicious_arguments",
    "artifact.pickle.nested_loaders",
    "artifact.pickle.nested",
    "artifact.pickle.anomalies",
    "artifact.pickle.broken",
    "artifact.container.anomalies",
    "artifact.container.escapes",
    "artifact.container.bomb",
    "artifact.embedded_executables",
    "artifact.tensors.anomalies",
    "artifact.gguf.anomalies",
    "artifact.chat_template.unsafe",
    "artifact.chat_template.unparsed",
    "artifact.tensors.hidden_payloads",
    "artifact.metadata.suspicious",
    "artifact.remote_code",
    "artifact.config.dangerous_targets",
    "artifact.config.interpolations",
    "artifact.config.duplicate_keys",
    "artifact.config.foreign_paths",
    "artifact.site_file.lines",
    "artifact.xml.anomalies",
    "artifact.r.active",
    "artifact.hidden_unicode",
    "artifact.notebook.dangers",
    "artifact.skops.dangerous",
    "artifact.skops.untrusted",
    "artifact.skops.anomalies",
    "artifact.packaging.dangers",
    "artifact.secrets",
    "artifact.extension_mismatch",
    "artifact.code.sinks",
    "artifact.code.dangers",
    "artifact.code.loaded_sinks",
    "artifact.keras.lambdas",
    "artifact.keras.code",
    "artifact.keras.gadgets",
    "artifact.keras.references",
    "artifact.keras.paths",
    "artifact.keras.anomalies",
    "artifact.hdf5.external",
    "artifact.hdf5.anomalies",
    "artifact.onnx.external_data",
    "artifact.onnx.domains",
    "artifact.onnx.operators",
    "artifact.chat_template.instructions",
    "artifact.tensorflow.operators",
    "artifact.torch.operators",
    "artifact.tensorflow.data_operators",
    "artifact.tflite.custom_operators",
    "artifact.executorch.operators",
    "artifact.coreml.custom",
    "artifact.paddle.operators",
    "artifact.arrow.pickled_types",
    "artifact.torch7.functions",
    "artifact.llamafile.arguments",
    "artifact.mxnet.custom",
    "artifact.cntk.custom",
    "artifact.mnn.custom",
    "artifact.torch.foreign",
    "artifact.tensorrt.foreign_plugins",
    "artifact.tensorrt.libraries",
    "artifact.rknn.libraries",
    "artifact.dataset.formulas",
    "artifact.digest.mismatches",
    "artifact.oci.dangers",
    "artifact.oci.urls",
];
