//! What rules cost: counts are exact, reasons are right, and nobody takes them for alerts.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::program::{lanner_in, stderr, stdout};

/// Rules of each sort of cost; `f` is their field.
fn rules() -> String {
    let rule = |title: &str, detection: &Value| {
        let rule = json!({
            "title": title, "name": title, "logsource": {"category": "test"}, "detection": detection, "level": "low",
        });
        format!("{rule}\n---\n")
    };
    let one = |title: &str, key: &str, value: &Value| {
        let mut selection = serde_json::Map::new();
        selection.insert(key.to_owned(), value.clone());
        rule(title, &json!({"s": selection, "condition": "s"}))
    };
    let all = [
        one("rare", "f|contains", &json!("needle")),
        one("gated", "f|re", &json!("needle[0-9]+")),
        one("ungated", "f|re", &json!("[a-z][0-9]{3}")),
        rule("never said", &json!({"s": {"f|contains": "common"}, "condition": "not s"})),
        one("short", "f|contains", &json!("x")),
        "title: Many\nname: many\nlevel: high\ncorrelation: {type: event_count, rules: [rare], group-by: [g], \
         timespan: 1m, condition: {gte: 2}, generate: true}\n"
            .to_owned(),
    ];
    all.concat()
}

/// Ten events, of which three hold the needle, one of them with digits.
fn events() -> String {
    let text = |number: usize| match number {
        2 | 5 => "a needle in hay".to_owned(),
        7 => "needle42 is common".to_owned(),
        other => format!("common hay {other}"),
    };
    let line = |number: usize| {
        json!({"f": text(number), "g": number % 2, "@timestamp": 1_700_000_000 + number}).to_string() + "\n"
    };
    (0..10).map(line).collect()
}

fn put(root: &Path) {
    std::fs::write(root.join("r.yml"), rules()).expect("there is space");
    std::fs::write(root.join("e.jsonl"), events()).expect("there is space");
}

const REPLAY: [&str; 5] = ["replay", "--open-schema", "--rules", "r.yml", "e.jsonl"];

#[test]
fn counts_are_exact_and_reasons_are_told() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    put(directory.path());
    let call = |more: &[&str]| lanner_in(directory.path(), &[&REPLAY[..], more].concat());
    let output = call(&["--profile=100", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (told, alerts): (Vec<Value>, Vec<Value>) = lines.into_iter().partition(|line| line.get("profile").is_some());
    let plain = call(&["--format", "json"]);
    let plain: Vec<Value> = stdout(&plain).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(plain == alerts && !alerts.is_empty(), "the alerts are the same with a profile and without one");
    let of = |kind: &'static str| told.iter().filter(move |line| line["profile"] == kind);
    for (name, woken, matched, reasons) in [
        ("rare", 3, 3, vec![]),
        ("gated", 3, 1, vec!["regex"]),
        ("ungated", 10, 0, vec!["any_value", "regex_without_text"]),
        ("never said", 10, 2, vec!["no_witness"]),
        ("short", 10, 0, vec!["any_value", "one_by_one"]),
    ] {
        let line = of("rule").find(|line| line["rule"] == name).unwrap_or_else(|| panic!("{name}: {told:?}"));
        let counts = [&line["evaluated"], &line["woken"], &line["matched"]];
        assert_eq!(counts, [&json!(10), &json!(woken), &json!(matched)], "{name}");
        let codes: Vec<&str> =
            line["why"].as_array().expect("a list").iter().filter_map(|why| why["code"].as_str()).collect();
        assert_eq!(codes, reasons, "{name}");
    }
    assert_eq!(of("rule").count(), 5, "a correlation is no rule of events");
    let many = of("correlation").next().expect("there is one");
    let wanted = json!({"profile": "correlation", "rule": "Many", "events": 3, "groups": 2, "fired": 1});
    assert_eq!(many, &wanted);
    let stages: Vec<&str> = of("stage").filter_map(|line| line["stage"].as_str()).collect();
    assert_eq!(stages, ["parse", "read", "search", "correlate"]);
    let nanos: u64 = of("stage").filter_map(|line| line["nanos"].as_u64()).sum();
    assert!(nanos > 0, "parsing takes time");
    let shares: f64 = of("stage").chain(of("rule")).filter_map(|line| line["share"].as_f64()).sum();
    assert!((shares - 1.0).abs() < 1e-6, "all shares make the whole: {shares}");
}

#[test]
fn people_see_a_table_and_as_many_rules_as_they_ask_for() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    put(directory.path());
    let call = |more: &[&str]| lanner_in(directory.path(), &[&REPLAY[..], more].concat());
    let output = call(&["--profile=2"]);
    let (shown, table) = (stdout(&output), stderr(&output));
    assert_eq!(shown, stdout(&call(&[])), "standard output holds alerts only");
    assert!(table.contains("rules, of which 2 of 5:"), "{table}");
    assert!(table.contains("correlation Many: 3 events counted, 2 groups, fired 1"), "{table}");
    let all = stderr(&call(&["--profile"]));
    assert!(all.contains("regular expression on `f` without a fixed text: `[a-z][0-9]{3}`"), "{all}");
    assert!(all.contains("no text wakes it: looked at with every event"), "{all}");
    assert!(!stderr(&call(&[])).contains("no text wakes it"), "only when asked");
}

#[test]
fn a_profile_never_gets_into_the_file_of_alerts() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    put(directory.path());
    let more = ["--profile", "--format", "json", "--output", "a.jsonl", "--state", "s"];
    let output = lanner_in(directory.path(), &[&REPLAY[..], &more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let alerts = std::fs::read_to_string(directory.path().join("a.jsonl")).expect("it was written");
    assert!(!alerts.is_empty() && !alerts.contains("\"profile\""), "{alerts}");
    assert!(stdout(&output).lines().all(|line| line.contains("\"profile\"")), "{}", stdout(&output));
}
