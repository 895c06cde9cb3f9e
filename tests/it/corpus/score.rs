//! Manifests, and what scanners say of their files.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A line of a manifest.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Sample {
    /// Under the folder of the manifest.
    pub path: String,
    /// `malicious`, `suspicious` or `benign`.
    pub label: String,
    pub class: String,
    pub format: String,
    #[serde(default)]
    pub why: String,
}

/// How severe the worst finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Nothing,
    Any,
    High,
}

/// Verdicts by path, and what they cost.
#[derive(Debug, Default)]
pub struct Scores {
    verdicts: HashMap<PathBuf, Verdict>,
    pub crashes: usize,
    /// Files of which nothing was said in the time that there was.
    pub unanswered: Vec<PathBuf>,
    pub cpu_seconds: Option<f64>,
    pub peak_mib: Option<u64>,
}

impl Scores {
    /// What was found in a file; a crash is no finding, nor is no answer.
    pub fn of(&self, path: &Path) -> Verdict {
        self.verdicts.get(path).copied().unwrap_or(Verdict::Nothing)
    }
}

/// Reads the manifest of a folder.
pub fn manifest(folder: &Path) -> Vec<Sample> {
    let text = std::fs::read_to_string(folder.join("manifest.jsonl")).expect("the manifest can be read");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of the manifest is a sample")).collect()
}

/// Writes a manifest where there is none.
pub fn write_manifest(folder: &Path, samples: &[Sample]) {
    let path = folder.join("manifest.jsonl");
    if path.exists() {
        return;
    }
    let mut text = String::new();
    for sample in samples {
        let line = serde_json::to_string(sample).expect("a sample can be written");
        writeln!(text, "{line}").expect("a string takes text");
    }
    std::fs::write(path, text).expect("the manifest can be written");
}

/// Scans folders with the program, with the rules that users get.
pub fn of_lanner(folders: &[(&PathBuf, &Vec<Sample>)]) -> Scores {
    let output = Command::new(env!("CARGO_BIN_EXE_lanner"))
        .arg("scan")
        .args(folders.iter().map(|(folder, _)| folder))
        .args(["--format", "json"])
        .output()
        .expect("the program can be run");
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 1 | 4)), "{code:?}: {}", String::from_utf8_lossy(&output.stderr));
    let mut scores = Scores::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let told: Value = serde_json::from_str(line).expect("a line is JSON");
        let path = told.get("path").and_then(Value::as_str).expect("a line names its file");
        let findings = told.get("findings").and_then(Value::as_array).into_iter().flatten();
        let worst = findings
            .map(|finding| match finding.get("severity").and_then(Value::as_str) {
                Some("high" | "critical") => Verdict::High,
                _ => Verdict::Any,
            })
            .max();
        scores.verdicts.insert(PathBuf::from(path), worst.unwrap_or(Verdict::Nothing));
    }
    for (folder, samples) in folders {
        for sample in *samples {
            let path = folder.join(&sample.path);
            assert!(scores.verdicts.contains_key(&path), "nothing is told of {}", path.display());
        }
    }
    scores
}

/// Reads what `tests/corpus/peers.py` wrote.
pub fn of_peer(results: &Path) -> Scores {
    let text = std::fs::read_to_string(results).expect("the results can be read");
    let told: Value = serde_json::from_str(&text).expect("the results are JSON");
    let mut scores = Scores {
        cpu_seconds: told.get("cpu_seconds").and_then(Value::as_f64),
        peak_mib: told.get("peak_mib").and_then(Value::as_u64),
        ..Scores::default()
    };
    for (path, verdict) in told.get("files").and_then(Value::as_object).into_iter().flatten() {
        let verdict = match verdict.as_u64() {
            Some(2) => Verdict::High,
            Some(1) => Verdict::Any,
            Some(3) => {
                scores.crashes += 1;
                Verdict::Nothing
            }
            Some(4) => {
                scores.unanswered.push(PathBuf::from(path));
                Verdict::Nothing
            }
            _ => Verdict::Nothing,
        };
        scores.verdicts.insert(PathBuf::from(path), verdict);
    }
    scores
}
