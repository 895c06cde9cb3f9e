//! Bills of materials: valid by the schema of CycloneDX, and true to the bytes.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::support::program::{lanner_in, stderr, stdout};
use crate::support::run_python;

/// Validates a document as the library of CycloneDX does, strictly.
const VALIDATE: &str = r"
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
print('valid' if problem is None else problem)
";

/// A model as a hub serves it, with one file that is anything but.
const MODEL: &str = r#"
import json, os, sys
import numpy
from safetensors.numpy import save_file
folder = sys.argv[1]
os.makedirs(os.path.join(folder, "tokenizer"))
save_file({"a": numpy.ones((3, 4), "float32"), "b": numpy.zeros(5, "float16")}, os.path.join(folder, "model.safetensors"))
json.dump({"architectures": ["BertModel"]}, open(os.path.join(folder, "config.json"), "w"))
open(os.path.join(folder, "train.csv"), "w").write("text,label\nhello,1\n")
open(os.path.join(folder, "tokenizer", 'na"me\n<b>\u202e.pkl'), "wb").write(b"cos\nsystem\n(S'true'\ntR.")
"#;

fn bill(root: &Path, arguments: &[&str]) -> serde_json::Value {
    let all = [&["bom"], arguments, &["--output", "bom.json"]].concat();
    let output = lanner_in(root, &all);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let path = root.join("bom.json");
    assert_eq!(run_python(VALIDATE, &[&path.display().to_string()]).trim(), "valid");
    serde_json::from_slice(&std::fs::read(path).expect("it was written")).expect("it is JSON")
}

#[test]
fn a_bill_is_valid_and_tells_what_the_bytes_are() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    run_python(MODEL, &[&root.join("encoder").display().to_string()]);
    let bom = bill(root, &["encoder", "--model-version", "3"]);
    assert_eq!(bom["metadata"]["component"]["name"], "encoder");
    assert_eq!(bom["metadata"]["component"]["version"], "3");
    assert_eq!(bom["metadata"]["component"]["modelCard"]["modelParameters"]["modelArchitecture"], "BertModel");
    let components = bom["components"].as_array().expect("there are some");
    assert_eq!(components.len(), 4, "every file is in it, whatever its name");
    let find = |name: &str| components.iter().find(|one| one["name"] == name).expect("it is in the bill");
    let weights = find("model.safetensors");
    let bytes = std::fs::read(root.join("encoder/model.safetensors")).expect("it is there");
    let digest = Sha256::digest(&bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    assert_eq!(weights["hashes"][0]["content"], digest.as_str());
    assert_eq!(weights["type"], "machine-learning-model");
    assert_eq!(find("train.csv")["type"], "data");
    let property = |name: &str| {
        let all = weights["properties"].as_array().expect("there are some");
        all.iter().find(|one| one["name"] == name).map(|one| one["value"].clone())
    };
    assert_eq!(property("lanner:parameters"), Some("17".into()));
    assert_eq!(property("lanner:parameters:F32"), Some("12".into()));
    assert_eq!(property("lanner:tensors"), Some("2".into()));
    let again = bill(root, &["encoder", "--model-version", "3"]);
    assert_eq!(again["serialNumber"], bom["serialNumber"], "the same bytes are the same bill");
    std::fs::write(root.join("encoder/train.csv"), "text,label\nhello,0\n").expect("there is space");
    let other = bill(root, &["encoder", "--model-version", "3"]);
    assert_ne!(other["serialNumber"], bom["serialNumber"]);
}

#[test]
fn what_cannot_be_read_is_said_and_makes_the_bill_incomplete() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("model")).expect("it is empty");
    std::fs::write(root.join("model/a.bin"), b"bytes").expect("there is space");
    std::os::unix::fs::symlink("nowhere", root.join("model/b.bin")).expect("a link can be made");
    let output = lanner_in(root, &["bom", "model"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("b.bin"), "{}", stderr(&output));
    let bom: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("it is JSON");
    assert_eq!(bom["compositions"][0]["aggregate"], "incomplete");
    let output = lanner_in(root, &["bom", "missing"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("does not exist"));
}
