//! `lanner scan` over whole collections: everything malicious told, nothing benign, within bounds.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::formats::{benign, bypasses, hostile};
use crate::support::program::{LANNER, lanner_in, stdout};

fn scan(root: &Path) -> Vec<Value> {
    let output = lanner_in(root, &["scan", "--format", "json", "."]);
    stdout(&output).lines().map(|line| serde_json::from_str(line).expect("each line is one object")).collect()
}

#[test]
fn every_class_of_the_bypass_list_is_malicious() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let samples = bypasses::samples();
    for (number, (id, name, bytes)) in samples.iter().enumerate() {
        let folder = directory.path().join(format!("{id}-{number}"));
        std::fs::create_dir(&folder).expect("it is empty");
        std::fs::write(folder.join(name), bytes).expect("there is space");
    }
    let told = scan(directory.path());
    assert_eq!(told.len(), samples.len());
    let missed: Vec<&Value> = told.iter().filter(|file| file["verdict"] != "malicious").collect();
    assert!(missed.is_empty(), "not malicious: {missed:#?}");
}

#[test]
fn what_real_libraries_write_has_no_finding_above_low() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    benign::write(directory.path());
    let told = scan(directory.path());
    assert!(told.len() >= 60, "only {} files", told.len());
    let loud: Vec<&Value> = told
        .iter()
        .filter(|file| {
            let findings = file["findings"].as_array().cloned().unwrap_or_default();
            findings.iter().any(|finding| !matches!(finding["severity"].as_str(), Some("low" | "informational")))
        })
        .collect();
    assert!(loud.is_empty(), "above low: {loud:#?}");
}

/// Sources, scripts, notebooks and configurations as a team keeps them beside its models.
#[test]
fn a_folder_of_ordinary_code_is_silent() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ordinary");
    let told = scan(&folder);
    assert!(told.len() >= 20, "only {} files", told.len());
    let loud: Vec<&Value> = told.iter().filter(|file| file["status"] != "clean").collect();
    assert!(loud.is_empty(), "not clean: {loud:#?}");
}

/// Memory that a scan may hold, whatever it reads: two workers, each with a symbolic stack and memo
/// of at most 100 MB, a few items of 16 MiB, and the program itself.
const RSS_MIB_MAX: u64 = 320;

#[test]
fn bombs_and_lies_stay_within_the_stated_memory() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let bombs = hostile::bombs();
    assert!(bombs.len() >= 6, "there are bombs of several kinds");
    for (number, (name, bytes)) in bombs.iter().enumerate() {
        std::fs::write(directory.path().join(format!("{number}-{name}")), bytes).expect("there is space");
    }
    let mut child = Command::new(LANNER)
        .args(["scan", "--format", "json", "."])
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program can be run");
    let mut peak = 0;
    while child.try_wait().expect("it can be waited for").is_none() {
        peak = peak.max(peak_mib(child.id()));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    println!("peak RSS over {} bombs: {peak} MiB", bombs.len());
    assert!(peak <= RSS_MIB_MAX, "{peak} MiB");
    for file in scan(directory.path()) {
        let told = !file["findings"].as_array().is_some_and(Vec::is_empty)
            || !file["issues"].as_array().is_some_and(Vec::is_empty);
        assert!(told, "silent: {file}");
    }
}

fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
