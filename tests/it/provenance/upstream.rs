//! Public bundles with known verdicts, where somebody has them: `LANNER_OMS_SAMPLES` names their folder, which
//! holds `manifest.jsonl`. Without it there is nothing to try; none of them is part of the project.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::program::{lanner, stderr, stdout};

#[test]
fn public_bundles_have_their_verdicts() {
    let Some(folder) = std::env::var_os("LANNER_OMS_SAMPLES").map(PathBuf::from) else { return };
    let manifest = std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in manifest.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let place = |value: &Value| folder.join(text(value)).display().to_string();
        let root = folder.join(text(&case["dir"]));
        let mut arguments = vec![
            "verify".to_owned(),
            root.join(text(&case["model"])).display().to_string(),
            "--signature".to_owned(),
            root.join(text(&case["signature"])).display().to_string(),
            "--format".to_owned(),
            "json".to_owned(),
        ];
        let trust = &case["trust"];
        let mut give = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
        match case["mode"].as_str().unwrap() {
            "key" => give("--public-key", place(&trust["public_key"])),
            "certificate" => trust["ca"].as_array().unwrap().iter().for_each(|ca| give("--ca", place(ca))),
            _ => {
                give("--identity", text(&trust["identity"]));
                give("--issuer", text(&trust["issuer"]));
                // Every second case with the root that came with the program.
                if count % 2 == 0 {
                    give("--trusted-root", place(&trust["trusted_root"]));
                }
            }
        }
        for entry in case["policy"]["ignore_paths"].as_array().into_iter().flatten() {
            give("--ignore", text(entry));
        }
        let output = lanner(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let found: Value = serde_json::from_str(&stdout(&output)).unwrap_or_default();
        let expected = &case["expected"];
        let reasons = expected["reason_any"].as_array().unwrap();
        let same = found["verdict"] == expected["verdict"]
            && reasons.contains(&found["reason"])
            && found["files"] == expected["files"]
            && found["unsigned"] == expected["unsigned"]
            && output.status.code() == Some(i32::from(expected["verdict"] != "verified"));
        count += 1;
        if !same {
            wrong.push(format!("{}: {found} {} instead of {expected}", case["id"], stderr(&output)));
        }
    }
    println!("{} of {count} public bundles have their verdict", count - wrong.len());
    assert!(count > 0 && wrong.is_empty(), "{}", wrong.join("\n"));
}
