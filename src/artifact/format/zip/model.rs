//! What an archive is for: PyTorch, NumPy, Keras, or no model at all.

use super::entries::{Entry, Source};
use super::torch;
use crate::artifact::format;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// The format by the names of the members.
pub fn format(entries: &[Entry]) -> &'static str {
    let file = |wanted: &str| entries.iter().any(|entry| entry.name.rsplit('/').next() == Some(wanted));
    let npy = |entry: &&Entry| format::extension(&entry.name) == "npy";
    let ends = |wanted: &str| {
        entries.iter().any(|entry| {
            entry.name == wanted || entry.name.strip_suffix(wanted).is_some_and(|start| start.ends_with('/'))
        })
    };
    if ends(".data/extern_modules") {
        "torch-package"
    } else if ends("archive_format") && entries.iter().any(|entry| is_program(&entry.name))
        || ends("serialized_exported_program.json")
    {
        "pt2"
    } else if file("constants.pkl") && entries.iter().any(|entry| entry.name.contains("/code/")) {
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

/// The graph of an exported program.
fn is_program(name: &str) -> bool {
    let json = format::extension(name) == "json";
    json && (name.contains("models/") || name.ends_with("serialized_exported_program.json"))
}

/// Names that skops gives: one schema, and arrays and bytes beside it.
fn is_skops(name: &str) -> bool {
    name == "schema.json"
        || matches!(format::extension(name).as_str(), "npy" | "npz" | "bin" | "") && !name.contains('/')
}

/// Looks at one member. The raw storages of a PyTorch file are weights, and only their beginning
/// is of interest.
pub fn member(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str, format: &'static str) {
    let torch = matches!(format, "pytorch" | "torchscript" | "torch-package" | "pt2");
    let mut parts = name.rsplit('/');
    let (file, folder) = (parts.next().unwrap_or(name), parts.next().unwrap_or_default());
    let storage = torch::is_storage(format, file, folder);
    let small = torch && torch::is_note(file);
    if small && input.len() < 64 {
        return;
    }
    if storage || small {
        let head = input.read(0, 4096);
        format::executable::look(inspection, &head, 0);
        if format::pickle::may_be_pickle(&head, input.len()) && format::pickle::attempt(inspection, input) {
            inspection.add("artifact.pickle.nested", 1);
        }
        format::midst::numbers(inspection, input);
        // A note is text, or nearly: every second byte of it spells one.
        if storage {
            format::midst::low_bits(inspection, input, None);
        }
        return;
    }
    if format == "llamafile" {
        format::llamafile::member(inspection, input, name);
        return;
    }
    if format == "keras" && format::keras::is_config(name) {
        format::keras::member(inspection, input, name);
        return;
    }
    let head = input.read(0, 16);
    if format == "pt2" && is_program(name) {
        torch::program(inspection, input);
        return;
    }
    if format == "torchscript" && file == "bytecode.pkl" {
        torch::bytecode(inspection, input);
    }
    // TorchScript's code is compiled by its own interpreter, not by Python.
    if format == "torchscript" && format::extension(name) == "py" {
        if format::pickle::may_be_pickle(&head, input.len()) && format::pickle::attempt(inspection, input) {
            inspection.add("artifact.pickle.nested", 1);
        }
        torch::code(inspection, input);
        return;
    }
    // An archive of no model may well hold scripts that are called so.
    let plain = format == "zip" && format::shipped::is_called_script(name);
    if !plain && format::executable::kind(&head).is_some_and(|kind| kind == "script") {
        format::executable::look(inspection, &head, 0);
    }
    let found = format::inspect_member(inspection, input, name);
    let source = format::extension(name) == "py" || found == "python";
    if source && format != "torchscript" {
        inspection.list("artifact.code_files", name);
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
