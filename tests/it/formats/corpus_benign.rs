//! The benign half of the corpus: what the real libraries write, with varied options, raises nothing. The light
//! tier runs always; `LANNER_CORPUS_HEAVY=1` adds frameworks of several gigabytes, as
//! `tests/corpus/setup-benign.sh` installs them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use lanner::artifact::{FileBytes, Limits, inspect};

use super::{ALARMING, declared, list};
use crate::support::python;

const DERIVED: &str = include_str!("../../../src/artifact/format/pickle/vetted.txt");
/// Fewest files of each tier for the test to mean anything.
const LIGHT_MIN: usize = 400;
const HEAVY_MIN: usize = 300;

/// Most files of the light tier of which only the digest is known: they say so, and are no alarm.
const LIGHT_UNREAD_MAX: usize = 16;

/// Has the real libraries write a tier into a folder; gives the lines of its manifest.
fn write(python: &Path, tier: &str, folder: &Path) -> Vec<serde_json::Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/benign.py");
    let made = Command::new(python).arg(script).arg(folder).arg(tier).output().expect("the peers' Python starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let manifest = std::fs::read_to_string(folder.join("manifest.jsonl")).expect("a manifest");
    manifest.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Names of the generator's own, and of classes that TorchScript compiles from the archive.
fn is_own(name: &str) -> bool {
    ["benign_", "__main__.", "__torch__.", "acme."].iter().any(|own| name.starts_with(own))
}

/// Looks into every file; nothing but what the manifest expects may be told of any. Gives how many were not
/// understood at all.
fn quiet(lines: &[serde_json::Value], folder: &Path) -> usize {
    let mut alarms = Vec::new();
    let mut unread = Vec::new();
    let mut missing = BTreeSet::new();
    let derived: BTreeSet<&str> = DERIVED.lines().collect();
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines {
        let text = |key: &str| line.get(key).and_then(serde_json::Value::as_str).expect("every key is there");
        let (path, class) = (text("path"), text("class"));
        *classes.entry(class).or_default() += 1;
        let bytes = FileBytes::open(&folder.join(path)).expect("the file can be opened");
        let report = inspect(&bytes, path, &Limits::default());
        declared(&report);
        let mut facts: Vec<_> =
            ALARMING.iter().filter_map(|fact| report.facts.get(*fact).map(|value| (fact, value))).collect();
        if line.get("expects").is_some() {
            facts.retain(|(fact, _)| **fact != "artifact.keras.references");
        }
        let names = list(&report, "artifact.pickle.globals");
        missing.extend(names.into_iter().filter(|name| !derived.contains(name.as_str())));
        let whole = report.issues.iter().all(|issue| issue.code == "not_inspected" && issue.member.is_empty());
        if !facts.is_empty() || !whole {
            alarms.push(format!("{path} ({}): {facts:?} {:?}", report.format, report.issues));
        } else if !report.issues.is_empty() {
            unread.push(path);
        }
    }
    println!("benign files by class: {classes:?}");
    println!("not derived yet: {missing:?}");
    assert!(missing.iter().all(|name| is_own(name)), "run tests/corpus/derive_allow.py: {missing:?}");
    println!("not understood: {unread:?}");
    assert!(alarms.is_empty(), "{} of {}\n{}", alarms.len(), lines.len(), alarms.join("\n"));
    unread.len()
}

#[test]
fn what_the_light_libraries_write_raises_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = write(&python(), "light", folder.path());
    assert!(lines.len() >= LIGHT_MIN, "only {} files", lines.len());
    let unread = quiet(&lines, folder.path());
    assert!(unread <= LIGHT_UNREAD_MAX, "{unread} files are not understood");
}

#[test]
fn what_the_heavy_libraries_write_raises_nothing() {
    if std::env::var_os("LANNER_CORPUS_HEAVY").is_none_or(|value| value != "1") {
        return;
    }
    let heavy = std::env::var_os("LANNER_HEAVY")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers/heavy"), PathBuf::from);
    let python = heavy.join("bin/python");
    assert!(python.exists(), "{} is missing: run tests/corpus/setup-benign.sh", python.display());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = write(&python, "heavy", folder.path());
    assert!(lines.len() >= HEAVY_MIN, "only {} files", lines.len());
    quiet(&lines, folder.path());
}
