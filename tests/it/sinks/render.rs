//! Alerts in files: whole lines, in formats that others read.

use std::time::Duration;

use lanner::event::{Alert, Severity};
use lanner::sinks::file::{Config, File};
use lanner::sinks::{Sink as _, SinkError, stdout::Format};

use super::outbox::{Memory, deliver_until};
use super::{alert, alerts, expect_file};
use crate::support::runtime;

fn file(path: &std::path::Path, format: &str) -> File {
    let config: Config = serde_json::from_value(serde_json::json!({"name": "file", "path": path, "format": format}))
        .expect("these are its settings");
    File::new(config)
}

#[test]
fn a_finding_of_ocsf_is_as_expected() {
    let finding = lanner::alert::render::ocsf::finding(&alert(1, Severity::High));
    let text = serde_json::to_string_pretty(&finding).expect("it is JSON") + "\n";
    expect_file("sinks/ocsf.json", &text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn every_format_is_one_line_or_for_people() {
    let alert = alert(1, Severity::High);
    let json = Format::Json.render(&alert);
    assert_eq!(serde_json::from_str::<Alert>(&json).expect("it reads back"), alert);
    let ocsf = Format::Ocsf.render(&alert);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&ocsf).expect("it is JSON")["class_uid"], 2004);
    assert!(json.ends_with('\n') && json.lines().count() == 1 && ocsf.ends_with('\n') && ocsf.lines().count() == 1);
    let text = Format::Text.render(&alert);
    for part in ["SCN-002", "model-1.pkl", "AML.T0018.002"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_file_holds_every_alert_as_a_line() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("alerts.jsonl");
    let memory = Memory::with(alerts(600));
    let sink = std::sync::Arc::new(file(&path, "json"));
    runtime().block_on(deliver_until(sink, &memory, Duration::from_secs(20), |kept| kept.cursor == 600));
    let text = std::fs::read_to_string(&path).expect("it was written");
    let ids: Vec<String> =
        text.lines().map(|line| serde_json::from_str::<Alert>(line).expect("a line is an alert").id).collect();
    assert_eq!(ids, (1..=600).map(|number| format!("id-{number}")).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_leaves_no_half_line() {
    // The kernel's own full disk: every write fails.
    let full = file(std::path::Path::new("/dev/full"), "json");
    let batch = alerts(2);
    let result = runtime().block_on(full.deliver(&batch));
    assert!(matches!(result, Err(SinkError::Transient { .. })), "{result:?}");
}

#[test]
fn a_missing_folder_is_told_and_tried_again() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let sink = file(&directory.path().join("later/alerts.jsonl"), "ocsf");
    let batch = alerts(1);
    let result = runtime().block_on(sink.deliver(&batch));
    assert!(matches!(&result, Err(SinkError::Transient { what, .. }) if what.contains("later")), "{result:?}");
    std::fs::create_dir(directory.path().join("later")).expect("it is writable");
    runtime().block_on(sink.deliver(&batch)).expect("now it is there");
}
