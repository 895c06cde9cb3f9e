//! What the real libraries write raises nothing.

use std::path::Path;
use std::process::Command;

use lanner::artifact::{FileBytes, Limits, inspect};

use super::{ALARMING, declared};
use crate::support::python;

/// Fewest files for the test to mean anything.
const FILES_MIN: usize = 300;

/// Has the real libraries write their files into a folder.
pub fn write(folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/benign.py");
    let status = Command::new(python()).arg(script).arg(folder).status().expect("the peers' Python starts");
    assert!(status.success(), "the benign files could not be written");
}

#[test]
fn what_real_libraries_write_raises_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path());
    let mut count = 0;
    let mut alarms = Vec::new();
    for entry in walkdir::WalkDir::new(folder.path()) {
        let entry = entry.expect("the folder can be listed");
        if !entry.file_type().is_file() {
            continue;
        }
        count += 1;
        let bytes = FileBytes::open(entry.path()).expect("the file can be opened");
        let report = inspect(&bytes, &entry.path().to_string_lossy(), &Limits::default());
        declared(&report);
        let facts: Vec<_> =
            ALARMING.iter().filter_map(|path| report.facts.get(*path).map(|value| (path, value))).collect();
        let not_inspected = report.issues.iter().all(|issue| issue.code == "not_inspected");
        if !facts.is_empty() || !not_inspected {
            alarms.push(format!("{}: {facts:?} {:?}", entry.path().display(), report.issues));
        }
    }
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
    assert!(count >= FILES_MIN, "only {count} files");
}
