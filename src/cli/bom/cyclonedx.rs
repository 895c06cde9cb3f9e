//! The bill as CycloneDX 1.6 (ECMA-424): one component for the model, one for each file, with what was measured.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{File, Measured};
use crate::state::{ApprovedFile, approval};

/// Facts about which a bill tells, by the name of its property.
const FACTS: [(&str, &str); 6] = [
    ("artifact.issues", "lanner:issues"),
    ("artifact.pickle.globals", "lanner:pickle:globals"),
    ("artifact.onnx.operators", "lanner:onnx:operators"),
    ("artifact.config.architectures", "lanner:config:architectures"),
    ("artifact.tokenizer.digest", "lanner:tokenizer:digest"),
    ("artifact.chat_template.digest", "lanner:chat_template:digest"),
];
/// Formats that hold data to train on, not models.
const DATA: [&str; 6] = ["csv", "jsonl", "parquet", "arrow", "feather", "numpy"];
/// Formats that hold a model.
const MODELS: [&str; 20] = [
    "safetensors",
    "gguf",
    "pytorch",
    "pytorch-legacy",
    "torchscript",
    "pt2",
    "onnx",
    "keras",
    "hdf5",
    "savedmodel",
    "tflite",
    "executorch",
    "coreml",
    "pickle",
    "joblib",
    "skops",
    "xgboost",
    "lightgbm",
    "catboost",
    "msgpack",
];
/// Items of one property: a bill is read by people, too.
const ITEMS_MAX: usize = 64;

/// The whole document.
pub fn document(model: &Measured, now: Timestamp) -> Value {
    let root = root(&model.files);
    let mut main = json!({
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": model.name,
        "properties": main_properties(model, &root),
        "modelCard": { "modelParameters": parameters(&model.files) },
    });
    if let Some(version) = &model.version {
        main["version"] = json!(version);
    }
    let complete = if model.unread.is_empty() { "complete" } else { "incomplete" };
    let references: Vec<String> = (0..model.files.len()).map(reference).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(&root),
        "version": 1,
        "metadata": {
            "timestamp": now.to_string(),
            "lifecycles": [{ "phase": "operations" }],
            "tools": { "components": [
                { "type": "application", "name": "lanner", "version": env!("CARGO_PKG_VERSION") },
            ] },
            "component": main,
        },
        "components": model.files.iter().enumerate().map(component).collect::<Vec<_>>(),
        "dependencies": [{ "ref": "model", "dependsOn": references }],
        "compositions": [{ "aggregate": complete, "assemblies": ["model"] }],
    })
}

fn reference(index: usize) -> String {
    format!("file-{}", index + 1)
}

fn root(files: &[File]) -> String {
    let files: Vec<ApprovedFile> = files
        .iter()
        .map(|file| ApprovedFile { path: file.path.clone(), sha256: file.sha256, size: file.size })
        .collect();
    approval::root(&files).to_string()
}

/// An identifier that is the same for the same bytes: 122 bits of the digest, in the form of RFC 9562's version 8.
fn serial(root: &str) -> String {
    let part = |start: usize, end: usize| root.get(start..end).unwrap_or_default();
    format!("urn:uuid:{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

fn main_properties(model: &Measured, root: &str) -> Vec<Value> {
    let mut all = vec![property("lanner:root:sha256", root)];
    all.push(property("lanner:files", &model.files.len().to_string()));
    let bytes = model.files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
    all.push(property("lanner:bytes", &bytes.to_string()));
    all.extend(model.unread.iter().take(ITEMS_MAX).map(|why| property("lanner:unread", why)));
    all
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

/// Numbers of a model that can be counted, and the architecture that its configuration names.
fn parameters(files: &[File]) -> Value {
    let architectures: Vec<String> = files
        .iter()
        .filter_map(|file| file.report.facts.get("artifact.config.architectures"))
        .flat_map(|value| match serde_json::Value::from(value) {
            Value::Array(items) => items,
            other => vec![other],
        })
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect();
    let mut parameters = json!({});
    if let Some(first) = architectures.first() {
        parameters["modelArchitecture"] = json!(first);
    }
    parameters
}

fn component((index, file): (usize, &File)) -> Value {
    let format = file.report.format.as_str();
    let kind = match format {
        format if MODELS.contains(&format) => "machine-learning-model",
        format if DATA.contains(&format) => "data",
        _ => "file",
    };
    json!({
        "type": kind,
        "bom-ref": reference(index),
        "name": file.path,
        "hashes": [{ "alg": "SHA-256", "content": file.sha256 }],
        "properties": properties(file),
        "evidence": {
            "identity": [{
                "field": "hash",
                "confidence": 1,
                "concludedValue": file.sha256,
                "methods": [{ "technique": "hash-comparison", "confidence": 1, "value": "all bytes were read" }],
            }],
            "occurrences": file.places.iter().map(|place| json!({ "location": place })).collect::<Vec<_>>(),
        },
    })
}

fn properties(file: &File) -> Vec<Value> {
    let mut all =
        vec![property("lanner:format", &file.report.format), property("lanner:bytes", &file.size.to_string())];
    if !file.segments.is_empty() {
        let elements = |shape: &[u64]| shape.iter().fold(1_u64, |product, length| product.saturating_mul(*length));
        let mut types: BTreeMap<&str, u64> = BTreeMap::new();
        for segment in &file.segments {
            let count = types.entry(&segment.dtype).or_default();
            *count = count.saturating_add(elements(&segment.shape));
        }
        let total = types.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        all.push(property("lanner:tensors", &file.segments.len().to_string()));
        all.push(property("lanner:parameters", &total.to_string()));
        all.extend(
            types.iter().map(|(dtype, count)| property(&format!("lanner:parameters:{dtype}"), &count.to_string())),
        );
    }
    for (fact, name) in FACTS {
        let Some(value) = file.report.facts.get(fact) else { continue };
        let items = match Value::from(value) {
            Value::Array(items) => items,
            other => vec![other],
        };
        for item in items.iter().take(ITEMS_MAX) {
            all.push(property(name, &item.as_str().map_or_else(|| item.to_string(), str::to_owned)));
        }
        if items.len() > ITEMS_MAX {
            all.push(property(&format!("{name}:left_out"), &(items.len() - ITEMS_MAX).to_string()));
        }
    }
    all.extend(file.report.issues.iter().take(ITEMS_MAX).map(|issue| property("lanner:issue", &issue.detail)));
    all.extend(file.approvals.iter().take(ITEMS_MAX).map(|approval| property("lanner:approval", approval)));
    all
}
