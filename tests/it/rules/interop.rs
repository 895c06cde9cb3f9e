//! Our rules in the hands of the reference implementation, pySigma: read, validated, converted.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::python;

/// Validators of pySigma that our rules pass, all of those that need no network but these: `namespace_tag`
/// does not know `atlas` yet, `number_as_string` and `custom_attributes` are matters of taste that we
/// decided otherwise (versions are texts; our keys stand under `lanner`), `filename_length` counts to 70.
const VALIDATORS: [&str; 18] = [
    "all_of_them_condition",
    "control_character",
    "dangling_condition",
    "dangling_detection",
    "double_wildcard",
    "duplicate_filename",
    "duplicate_references",
    "duplicate_tag",
    "duplicate_title",
    "escaped_wildcard",
    "fieldname_logsource",
    "identifier_existence",
    "identifier_uniqueness",
    "invalid_modifier_combinations",
    "specific_instead_of_generic_logsource",
    "tag_format",
    "them_condition_with_single_detection",
    "wildcards_instead_of_modifiers",
];

/// Read and validated like the others, but this backend makes no query of a rule that consists of two
/// regular expressions on one field and nothing else.
const WITHOUT_QUERY: [&str; 1] = ["trn-003b-known-installer-piped.yml"];

#[test]
fn every_shipped_rule_is_read_validated_and_converted_by_pysigma() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = walkdir::WalkDir::new(root.join("detections"))
        .into_iter()
        .map(|entry| entry.expect("it can be listed").into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    files.sort();
    let output = Command::new(python())
        .arg(root.join("tests/peers/convert.py"))
        .arg(VALIDATORS.join(","))
        .args(&files)
        .output()
        .expect("Python can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("No module named"), "pySigma is not installed; run `make peers`\n{said}");
    assert!(output.status.success(), "{said}");
    let told = String::from_utf8_lossy(&output.stdout);
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(told.len(), files.len());
    let mut wrong = Vec::new();
    for file in &told {
        let texts = |key: &str| file[key].as_array().expect("a list").iter().map(Value::to_string).collect::<Vec<_>>();
        for text in texts("errors").into_iter().chain(texts("issues")) {
            wrong.push(format!("{}: {text}", file["path"]));
        }
        let known = WITHOUT_QUERY.iter().any(|name| file["path"].as_str().is_some_and(|path| path.ends_with(name)));
        let queries = texts("queries");
        if queries.is_empty() != known || queries.iter().any(|query| query.len() < 10) {
            wrong.push(format!("{}: queries {queries:?}", file["path"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
