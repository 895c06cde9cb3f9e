//! Rules: what they mean, what is said when they are wrong, and those that are shipped.

mod conformance;
mod correlation;
mod diagnostics;
mod differential;
mod evidence;
mod explain;
mod hostile;
mod import;
mod interop;
mod lines;
mod lists;
mod manual;
mod mended;
mod naive;
mod overrides;
mod profile;
mod public;
mod replay;
mod resume;
mod shipped;
mod timelines;
mod values;
mod windows;

use std::path::PathBuf;

use lanner::agent::rules::declared_fields;
use lanner::detect::{Schema, Source};

/// The cases of one suite under `tests/cases/detect`.
fn detect_cases() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/detect")
}

fn cases(area: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/rules").join(area)
}

fn read(path: &std::path::Path) -> String {
    lanner::base::files::read_text(path, 1 << 20).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn declared() -> Schema {
    Schema::declared(declared_fields())
}

/// A rule in JSON, which is YAML too.
fn rule_of(title: &str, detection: &serde_json::Value) -> Source {
    let rule = serde_json::json!({"title": title, "logsource": {"category": "test"}, "detection": detection});
    Source::new("rule.yml", rule.to_string())
}
