//! What an archive is for: PyTorch, NumPy, Keras, or no model at all.

use std::sync::LazyLock;

use regex::Regex;

use super::entries::{Entry, Source};
use crate::artifact::format;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// The format by the names of the members.
pub fn format(entries: &[Entry]) -> &'static str {
    let file = |wanted: &str| entries.iter().any(|entry| entry.name.rsplit('/').next() == Some(wanted));
    let npy = |entry: &&Entry| format::extension(&entry.name) == "npy";
    if file("constants.pkl") && entries.iter().any(|entry| entry.name.contains("/code/")) {
        "torchscript"
    } else if file("data.pkl") {
        "pytorch"
    } else if file("config.json")
        && (file("metadata.json") || entries.iter().any(|entry| entry.name.ends_with(".weights.h5")))
    {
        "keras"
    } else if entries.iter().any(|entry| entry.name == "MAR-INF/MANIFEST.json") {
        "mar"
    } else if entries.iter().any(|entry| entry.name == "schema.json")
        && entries.iter().all(|entry| is_skops(&entry.name))
    {
        "skops"
    } else if !entries.is_empty() && entries.iter().all(|entry| npy(&entry)) {
        "npz"
    } else {
        "zip"
    }
}

/// Names that skops gives: one schema, and arrays and bytes beside it.
fn is_skops(name: &str) -> bool {
    name == "schema.json"
        || matches!(format::extension(name).as_str(), "npy" | "npz" | "bin" | "") && !name.contains('/')
}

/// Looks at one member. The raw storages of a PyTorch file are weights, and only their beginning
/// is of interest.
pub fn member(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str, format: &'static str) {
    let torch = matches!(format, "pytorch" | "torchscript");
    let mut parts = name.rsplit('/');
    let (file, folder) = (parts.next().unwrap_or(name), parts.next().unwrap_or_default());
    let storage = torch && folder == "data" && file.bytes().all(|byte| byte.is_ascii_digit());
    let small = torch
        && matches!(file, "version" | "byteorder" | ".format_version" | ".storage_alignment" | "serialization_id");
    if small && input.len() < 64 {
        return;
    }
    if storage || small {
        let head = input.read(0, 4096);
        format::executable::look(inspection, &head, 0);
        if format::pickle::may_be_pickle(&head, input.len()) && format::pickle::attempt(inspection, input) {
            inspection.add("artifact.pickle.nested", 1);
        }
        return;
    }
    if format == "keras" && format::keras::is_config(name) {
        format::keras::member(inspection, input, name);
        return;
    }
    let head = input.read(0, 16);
    // TorchScript's code is compiled by its own interpreter, not by Python.
    if format == "torchscript" && format::extension(name) == "py" {
        script(inspection, input);
        if format::pickle::may_be_pickle(&head, input.len()) && format::pickle::attempt(inspection, input) {
            inspection.add("artifact.pickle.nested", 1);
        }
        return;
    }
    if format::executable::kind(&head).is_some_and(|kind| kind == "script") {
        format::executable::look(inspection, &head, 0);
    }
    let found = format::inspect_member(inspection, input, name);
    let source = format::extension(name) == "py" || found == "python";
    if source && format != "torchscript" {
        inspection.list("artifact.code_files", name);
    }
}

/// Operators of `TorchScript` that open files: the interpreter of a server runs them when the model is called.
static FILES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\b(?:torch|ops\.aten|ops\.prim|aten|ops\.torchaudio|ops\.image)\.(from_file|save|load|read_file|write_file)\(").ok()
});

fn script(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let Some(bytes) = input.whole() else {
        inspection.issue("budget_exceeded", "a script is larger than one item may be");
        return;
    };
    let text = String::from_utf8_lossy(&bytes);
    let Some(pattern) = FILES.as_ref() else { return };
    for found in pattern.captures_iter(&text).take(64).filter_map(|found| found.get(1)) {
        inspection.list("artifact.torchscript.operators", found.as_str());
    }
}

/// What can only be said of the archive as a whole.
pub fn finish(inspection: &mut Inspection<'_>, entries: &[Entry], format: &'static str, _name: &str) {
    let pickles = entries
        .iter()
        .filter(|entry| entry.source == Source::Directory && entry.name.rsplit('/').next() == Some("data.pkl"))
        .count();
    if format == "pytorch" && pickles > 1 {
        inspection.list("artifact.container.anomalies", "several_data_pickles");
    }
    if entries.is_empty() {
        inspection.issue("malformed", "the archive has no readable member");
    }
}
