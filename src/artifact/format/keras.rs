//! Keras' configurations, in `.keras` archives, HDF5 attributes and plain JSON: what rebuilding the
//! model would import, call, read or run, at any depth.
//!
//! Every value of a key that is written twice is looked at: which one counts is the reader's choice.

mod bytecode;
mod names;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::json::Json;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Deepest object looked at; the parser goes no deeper.
const DEPTH_MAX: u32 = 128;
/// Settings that name a file to read while the model is built.
const FILES: &[&str] = &["vocabulary", "vocabulary_file", "idf_weights", "filepath", "file_path"];
/// Settings of a `Lambda` layer that may hold code.
const CODE: &[&str] = &["function", "output_shape", "mask"];

/// A configuration as bytes. False when it is no JSON in any reading.
pub fn text(inspection: &mut Inspection<'_>, bytes: &[u8]) -> bool {
    let Some(json) = Json::parse_python(bytes) else { return false };
    look(inspection, &json);
    true
}

/// Looks through a configuration; JSON that is none of Keras' yields nothing.
pub fn look(inspection: &mut Inspection<'_>, json: &Json) {
    walk(inspection, json, 0);
}

fn walk(inspection: &mut Inspection<'_>, json: &Json, depth: u32) {
    if depth > DEPTH_MAX {
        inspection.issue("budget_exceeded", "the configuration is nested too deeply");
        return;
    }
    if json.get("class_name").is_some_and(|class| class.as_text().is_some()) {
        object(inspection, json);
    }
    for (key, value) in json.members() {
        if key == "__lambda__" {
            code(inspection, key, value);
        }
        walk(inspection, value, depth.saturating_add(1));
    }
    json.items().iter().for_each(|item| walk(inspection, item, depth.saturating_add(1)));
}

/// All values of a key.
fn values<'j>(json: &'j Json, key: &'j str) -> impl Iterator<Item = &'j Json> {
    json.members().iter().filter(move |(name, _)| name == key).map(|(_, value)| value)
}

fn texts<'j>(json: &'j Json, key: &'j str) -> impl Iterator<Item = &'j str> {
    values(json, key).filter_map(Json::as_text)
}

/// One serialised object: a layer, a loss, an initializer, a function.
fn object(inspection: &mut Inspection<'_>, json: &Json) {
    for key in ["class_name", "module", "registered_name", "config"] {
        if values(json, key).count() > 1 {
            inspection.list("artifact.keras.anomalies", "duplicate_key");
        }
    }
    for class in texts(json, "class_name") {
        references(inspection, json, class);
        let name = values(json, "config").find_map(|config| config.get("name")).and_then(Json::as_text);
        let name = name.unwrap_or(class);
        for config in values(json, "config") {
            settings(inspection, class, name, config);
        }
    }
}

/// The names that would be imported or looked up for one object.
fn references(inspection: &mut Inspection<'_>, json: &Json, class: &str) {
    let functions: Vec<&str> = texts(json, "config").chain(texts(json, "fn")).collect();
    let names = match class {
        "function" => functions,
        _ => vec![class],
    };
    let registered: Vec<&str> =
        texts(json, "registered_name").filter(|name| !matches!(*name, "function" | "")).collect();
    let modules: Vec<&str> = texts(json, "module").collect();
    for name in names.iter().chain(&registered) {
        let bare = name.rsplit('>').next().unwrap_or(name);
        if modules.is_empty() && names::is_gadget("keras", bare) {
            inspection.list("artifact.keras.gadgets", bare);
        }
        for module in &modules {
            let full = format!("{module}.{bare}");
            match names::judge(module, bare) {
                names::Kind::Known => {}
                names::Kind::Foreign => inspection.list("artifact.keras.references", full),
                names::Kind::Gadget => inspection.list("artifact.keras.gadgets", full),
            }
        }
    }
}

fn settings(inspection: &mut Inspection<'_>, class: &str, name: &str, config: &Json) {
    let bare = class.rsplit(['>', '.']).next().unwrap_or(class);
    match bare {
        "__lambda__" => code(inspection, name, config),
        "Lambda" => lambda(inspection, name, config),
        "TorchModuleWrapper" => torch(inspection, config),
        // Operations of TensorFlow by their public name, called when the graph is rebuilt.
        "TFOpLambda" | "SlicingOpLambda" | "ClassMethod" | "InstanceMethod" => {
            for function in texts(config, "function").filter(|function| names::is_operation_gadget(function)) {
                inspection.list("artifact.keras.gadgets", format!("tensorflow.{function}"));
            }
        }
        _ => {}
    }
    for key in FILES {
        for path in texts(config, key).filter(|path| is_outside(path)) {
            inspection.list("artifact.keras.paths", format!("{bare}:{path}"));
        }
    }
}

/// A layer that runs a function of its own: as bytecode, or by name.
fn lambda(inspection: &mut Inspection<'_>, name: &str, config: &Json) {
    for key in CODE {
        for value in values(config, key) {
            match value {
                // Bytecode, defaults and closure, as the older formats write it.
                Json::List(items) if items.first().is_some_and(|first| first.as_text().is_some()) => {
                    code(inspection, name, value);
                }
                // The same as a tuple of the legacy format.
                Json::Map(_) => {
                    let texts = |items: &&Json| items.items().first().is_some_and(|first| first.as_text().is_some());
                    for items in values(value, "items").filter(texts) {
                        code(inspection, name, items);
                    }
                }
                // A function by its name is looked up among what the program has registered.
                Json::Text(_)
                    if *key == "function" && !texts(config, "function_type").any(|kind| kind == "function") =>
                {
                    code(inspection, name, value);
                }
                Json::Null | Json::Bool(_) | Json::Whole(_) | Json::Float(_) | Json::Text(_) | Json::List(_) => {}
            }
        }
    }
}

/// Marshalled bytecode in base64: which names in it execute, import or reach out.
fn code(inspection: &mut Inspection<'_>, name: &str, value: &Json) {
    inspection.list("artifact.keras.lambdas", name);
    let written = match value {
        Json::Text(text) => vec![text.as_str()],
        Json::List(items) => items.iter().take(1).filter_map(Json::as_text).collect(),
        Json::Map(_) => texts(value, "code").collect(),
        Json::Null | Json::Bool(_) | Json::Whole(_) | Json::Float(_) => Vec::new(),
    };
    for text in written {
        let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let Ok(bytes) = STANDARD.decode(&packed) else {
            inspection.list("artifact.keras.code", "opaque");
            continue;
        };
        for word in bytecode::sinks(&bytes) {
            inspection.list("artifact.keras.code", word);
        }
    }
}

/// A module of PyTorch, as a pickle in base64.
fn torch(inspection: &mut Inspection<'_>, config: &Json) {
    for text in texts(config, "module") {
        inspection.list("artifact.keras.gadgets", "TorchModuleWrapper");
        let Ok(bytes) = STANDARD.decode(text.trim().as_bytes()) else { continue };
        let budget = inspection.budget;
        if bytes.len() > budget.item_max() || !budget.member() {
            inspection.issue("budget_exceeded", "a wrapped module of PyTorch was not looked into");
            continue;
        }
        let bytes = crate::artifact::Memory(bytes);
        inspection.member("TorchModuleWrapper", |inspection| {
            super::inspect_member(inspection, Input::new(&bytes, budget), "module.pt");
        });
    }
}

/// A path or an address that lies outside of the artifact.
pub fn is_outside(path: &str) -> bool {
    let slashes = path.replace('\\', "/");
    let drive = matches!(slashes.as_bytes(), [letter, b':', b'/', ..] if letter.is_ascii_alphabetic());
    let address = slashes.contains("://") || slashes.starts_with("file:");
    slashes.starts_with(['/', '~']) || drive || address || slashes.split('/').any(|part| part == "..")
}

/// A member of a `.keras` archive. Keras reads it in any of Unicode's encodings.
pub fn member(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) {
    let Some(bytes) = input.whole() else {
        inspection.issue("budget_exceeded", "the configuration is larger than one item may be");
        return;
    };
    if std::str::from_utf8(&bytes).is_ok_and(|text| !text.contains('\0')) && Json::parse(&bytes).is_some() {
        super::inspect_member(inspection, input, name);
    } else if text(inspection, &bytes) {
        inspection.list("artifact.keras.anomalies", "unusual_json");
    } else {
        inspection.list("artifact.keras.anomalies", "unparsed");
        inspection.issue("malformed", "the configuration is no valid JSON, or nested too deeply");
        super::inspect_member(inspection, input, name);
    }
}

/// True when a member is a configuration that Keras reads.
pub fn is_config(name: &str) -> bool {
    matches!(name, "config.json" | "metadata.json")
}
