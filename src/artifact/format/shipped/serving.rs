//! What model servers are told to run: manifests of TorchServe, repositories of Triton, and
//! Python's own path files.

use std::sync::LazyLock;

use regex::Regex;

use super::hub::outside;
use super::{python, targets};
use crate::artifact::format::json::Json;
use crate::artifact::format::pickle::Tier;
use crate::artifact::format::places;
use crate::artifact::inspection::Inspection;

/// Handlers that come with TorchServe.
const HANDLERS: &[&str] =
    &["image_classifier", "image_segmenter", "object_detector", "text_classifier", "base_handler", "vision_handler"];
/// Values of one configuration that are looked at.
const VALUES_MAX: usize = 4096;
/// Lines by which packaging tools make editable installs and namespaces, without their texts.
const KNOWN_LINES: &[&str] = &[
    "import os; var = ; enabled = os.environ.get(var, ) == ; enabled and __import__().add_shim();",
    "import _virtualenv",
    "import os; var=; enabled = os.environ.get(var, ) == ; enabled and __import__().add_shim();",
];

static VALUE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?m)([A-Za-z_]+)\s*:\s*(?:"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)')"#).ok());
static EDITABLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^import __editable___\w+_finder; __editable___\w+_finder\.install\(\)$").ok());

/// `MAR-INF/MANIFEST.json`: the handler is imported by the server, requirements are installed.
pub fn manifest(inspection: &mut Inspection<'_>, json: &Json) {
    let Some(model) = json.get("model") else { return };
    for key in ["serializedFile", "modelFile", "extraFiles", "requirementsFile", "handler", "configFile"] {
        let Some(path) = model.get(key).and_then(Json::as_text) else { continue };
        path.split(',').for_each(|path| outside(inspection, path.trim()));
    }
    let Some(handler) = model.get("handler").and_then(Json::as_text) else { return };
    // `module:function` is imported from wherever the name leads.
    let name = handler.strip_suffix(".py").unwrap_or(handler).replace(".py:", ":");
    if name.contains([':', '.']) && !name.contains('/') && targets::verdict(&name) == Tier::Dangerous {
        inspection.list("artifact.config.dangerous_targets", handler);
    } else if !HANDLERS.contains(&handler) {
        inspection.list("artifact.remote_code", format!("handler:{handler}"));
    }
}

/// `config.pbtxt`: backends, libraries and environments that the server loads.
pub fn triton(inspection: &mut Inspection<'_>, text: &str) {
    let code: String = text.lines().map(|line| line.split('#').next().unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let mut parameter = String::new();
    let Some(pattern) = VALUE.as_ref() else { return };
    for found in pattern.captures_iter(&code).take(VALUES_MAX) {
        let value = found.get(2).or_else(|| found.get(3)).map_or("", |value| value.as_str());
        match found.get(1).map_or("", |key| key.as_str()) {
            "key" => value.clone_into(&mut parameter),
            "string_value" if parameter == "EXECUTION_ENV_PATH" => environment(inspection, value),
            "string_value" if parameter.to_ascii_lowercase().contains("library_path") => {
                inspection.list("artifact.remote_code", format!("op_library:{value}"));
            }
            "backend" => {
                outside(inspection, value);
                if value == "python" {
                    inspection.list("artifact.remote_code", "triton_backend:python");
                }
            }
            "name" | "default_model_filename" | "model_name" | "value_filename" => outside(inspection, value),
            "op_library_filename" if places::is_shared(value) || places::is_sensitive(value) => {
                inspection.list("artifact.container.escapes", value);
            }
            "op_library_filename" => inspection.list("artifact.remote_code", format!("op_library:{value}")),
            _ => {}
        }
    }
}

/// The packed environment whose interpreter runs a Python model.
fn environment(inspection: &mut Inspection<'_>, path: &str) {
    let inside = path.strip_prefix("$$TRITON_MODEL_DIRECTORY").unwrap_or(path);
    let climbs = inside.split(['/', '\\']).any(|part| part == "..");
    if climbs || places::is_shared(inside) || inside.contains("://") || inside.starts_with("\\\\") {
        inspection.list("artifact.container.escapes", path);
    } else {
        inspection.list("artifact.remote_code", format!("execution_env:{path}"));
    }
}

/// A `.pth` file of Python: paths, and lines that every start of the interpreter runs.
pub fn site(inspection: &mut Inspection<'_>, text: &str) {
    let mut unknown = String::new();
    for line in text.lines().map(|line| line.trim_start_matches('\u{feff}').trim_end()) {
        if !line.starts_with("import ") && !line.starts_with("import\t") {
            continue;
        }
        let skeleton: String = python::skeleton(line);
        let editable = EDITABLE.as_ref().is_some_and(|pattern| pattern.is_match(line));
        let namespace =
            skeleton.starts_with("import sys, types, os;has_mfs = sys.version_info > (3, 5);p = os.path.join(");
        if editable || KNOWN_LINES.contains(&skeleton.trim()) || namespace && python::sinks_of(line).is_empty() {
            continue;
        }
        let plain = line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" \t_.,".contains(&byte));
        inspection.list("artifact.site_file.lines", format!("{}:{line}", if plain { "import" } else { "code" }));
        unknown.push_str(&line.replace(';', "\n").replace("\n ", "\n"));
        unknown.push('\n');
    }
    python::inspect_loaded(inspection, &unknown);
}
