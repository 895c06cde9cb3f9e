//! Trees of protocol-buffer fields with the numbers that ONNX, TensorFlow, Core ML and Paddle use, and
//! JSON and YAML trees with the keys that configurations use.

#![no_main]

use lanner::artifact::{Limits, Memory, inspect};
use libfuzzer_sys::{arbitrary::{self, Arbitrary}, fuzz_target};
use serde_json::{Value, json};

const FILES: &[&str] = &["model.onnx", "saved_model.pb", "graph.pb", "model.meta", "model.mlmodel", "model.pdmodel", "checkpoint", "model.pb"];
const TEXTS: &[&str] = &[
    "config.json", "tokenizer_config.json", "model.safetensors.index.json", "MLmodel", "conda.yaml", "model_config.yaml", "adapter_config.json",
    "generation_config.json", "config.yaml", "notebook.ipynb", "model-symbol.json", "preprocessor_config.json", "schema.json", "config.pbtxt",
];
const KEYS: &[&str] = &[
    "auto_map", "class_name", "config", "module", "registered_name", "_target_", "weight_map", "chat_template", "layers", "flavors", "loader_module",
    "__loader__", "__class__", "__module__", "content", "cells", "source", "cell_type", "base_model_name_or_path", "nodes", "op", "trust_remote_code",
];
const WORDS: &[&str] = &[
    "Lambda", "keras.layers", "os", "system", "../../etc/passwd", "{{ ''.__class__.__mro__ }}", "PyFunc", "ReadFile", "onnxruntime", "Constant", "location",
    "https://models.test/a", "serve", "Custom", "!!python/object/apply:os.system", "builtins.eval",
];

#[derive(Debug, Arbitrary)]
enum Field<'t> {
    Number(u64),
    Word(u8),
    Text(&'t str),
    Bytes(&'t [u8]),
    Inner(Vec<(u8, Field<'t>)>),
    Fixed(u64),
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn wire(fields: &[(u8, Field<'_>)], depth: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, field) in fields {
        let tag = u64::from(number % 64 + 1) << 3;
        let mut counted = |bytes: &[u8]| {
            varint(tag | 2, &mut out);
            varint(bytes.len() as u64, &mut out);
            out.extend_from_slice(bytes);
        };
        match field {
            Field::Number(value) => {
                varint(tag, &mut out);
                varint(*value, &mut out);
            }
            Field::Fixed(value) => {
                varint(tag | 1, &mut out);
                out.extend(value.to_le_bytes());
            }
            Field::Word(word) => counted(WORDS[usize::from(*word) % WORDS.len()].as_bytes()),
            Field::Text(text) => counted(text.as_bytes()),
            Field::Bytes(bytes) => counted(bytes),
            Field::Inner(inner) if depth < 40 => counted(&wire(inner, depth + 1)),
            Field::Inner(_) => {}
        }
    }
    out
}

fn tree(field: &Field<'_>, depth: u32) -> Value {
    match field {
        Field::Number(value) => json!(value),
        Field::Fixed(value) => json!(f64::from_bits(*value)),
        Field::Word(word) => json!(WORDS[usize::from(*word) % WORDS.len()]),
        Field::Text(text) => json!(text),
        Field::Bytes(bytes) => json!(bytes),
        Field::Inner(inner) if depth > 60 || inner.is_empty() => Value::Null,
        Field::Inner(inner) if inner[0].0 % 4 == 0 => inner.iter().map(|(_, field)| tree(field, depth + 1)).collect(),
        Field::Inner(inner) => {
            let key = |number: u8| KEYS[usize::from(number) % KEYS.len()].to_owned();
            Value::Object(inner.iter().map(|(number, field)| (key(*number), tree(field, depth + 1))).collect())
        }
    }
}

fuzz_target!(|written: (u8, Vec<(u8, Field<'_>)>)| {
    let (number, fields) = written;
    let number = usize::from(number);
    let bytes = wire(&fields, 0);
    inspect(&Memory(bytes), FILES[number % FILES.len()], &Limits::default());
    let text = tree(&Field::Inner(fields), 0).to_string();
    inspect(&Memory(text.into_bytes()), TEXTS[number % TEXTS.len()], &Limits::default());
});
