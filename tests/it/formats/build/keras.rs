//! Keras' configurations and archives.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{hdf5, zip};

/// Marshalled code that names these, in base64: the beginning of a code object and its texts. No
/// Python could run it.
pub fn bytecode(names: &[&str]) -> String {
    let mut bytes = vec![0xe3, 0, 0, 0, 0];
    for name in names {
        bytes.extend([0xda, u8::try_from(name.len()).expect("short names only")]);
        bytes.extend_from_slice(name.as_bytes());
    }
    STANDARD.encode(bytes)
}

/// An object as Keras 3 writes it.
pub fn object(module: &str, class: &str, config: &Value) -> Value {
    json!({"module": module, "class_name": class, "config": config, "registered_name": null})
}

/// A function as Keras 3 writes it.
pub fn function(module: &str, name: &str) -> Value {
    json!({"module": module, "class_name": "function", "config": name, "registered_name": name})
}

/// A layer that runs bytecode with these names.
pub fn lambda(names: &[&str]) -> Value {
    let code = json!({"class_name": "__lambda__", "config": {"code": bytecode(names), "defaults": null}});
    object("keras.layers", "Lambda", &json!({"name": "scale", "function": code, "arguments": {}}))
}

/// A model of these layers.
pub fn model(layers: &[Value]) -> Value {
    object("keras", "Sequential", &json!({"name": "sequential", "layers": layers}))
}

/// A layer as any model has it.
pub fn dense() -> Value {
    let zeros = object("keras.initializers", "Zeros", &json!({}));
    object(
        "keras.layers",
        "Dense",
        &json!({"name": "dense", "units": 8, "activation": "relu", "bias_initializer": zeros}),
    )
}

/// An archive around a configuration as written.
pub fn archive(config: &[u8]) -> Vec<u8> {
    zip::archive(&members(config))
}

/// The members of an archive.
pub fn members(config: &[u8]) -> Vec<zip::Member> {
    vec![
        zip::member("metadata.json", br#"{"keras_version": "3.15.1", "date_saved": "2026-01-02@03:04:05"}"#),
        zip::member("config.json", config),
        zip::member("model.weights.h5", &hdf5::keras("{}", true)),
    ]
}
