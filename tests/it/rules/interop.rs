//! Our rules in the hands of the reference implementation, pySigma: read, validated, converted.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::python;

/// Validators of pySigma that our rules pass: all but those in [`LEFT_OUT`].
const VALIDATORS: [&str; 28] = [
    "all_of_them_condition",
    "cartag",
    "control_character",
    "custom_attributes",
    "cvetag",
    "dangling_condition",
    "dangling_detection",
    "detection_tag",
    "double_wildcard",
    "duplicate_filename",
    "duplicate_references",
    "duplicate_tag",
    "duplicate_title",
    "escaped_wildcard",
    "fieldname_logsource",
    "filename_length",
    "identifier_existence",
    "identifier_uniqueness",
    "invalid_modifier_combinations",
    "number_as_string",
    "specific_instead_of_generic_logsource",
    "stptag",
    "tag_format",
    "them_condition_with_single_detection",
    "tlptag",
    "tlpv1_tag",
    "tlpv2_tag",
    "wildcards_instead_of_modifiers",
];

/// Validators that are not run: the first two download a catalogue with the first tag that they see, and
/// raise an error where there is no network. The last one knows no namespace `atlas` and so finds fault
/// with every rule of ours; its list of namespaces is fixed in its code.
const LEFT_OUT: [&str; 3] = ["attacktag", "d3_fendtag", "namespace_tag"];

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
        .arg(LEFT_OUT.join(","))
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
