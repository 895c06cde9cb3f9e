//! Lines whose JSON is not quite JSON: rules see them all the same.

use lanner::detect::{self, Schema};
use lanner::event::{Value, json, repair};
use proptest::prelude::*;
use serde_json::json;

use super::rule_of;
use crate::support::program::{lanner_in, stderr, stdout};

/// Writes what is left of a line when it is read, and how many places were wrong.
fn read(line: &str) -> Option<(String, usize)> {
    let (fields, places) = json::mended(line.as_bytes()).ok()?;
    Some((lanner::event::value::to_json(&fields).to_string(), places))
}

#[test]
fn odd_json_is_put_right_and_broken_json_is_not() {
    for (line, becomes, places) in [
        (r#"{"a":"x\udcffy"}"#, "{\"a\":\"x\u{fffd}y\"}", 1),
        (r#"{"a":"\ud83d\ude00"}"#, "{\"a\":\"\u{1f600}\"}", 0),
        (r#"{"a":"\ud83d\ude00\ud83d"}"#, "{\"a\":\"\u{1f600}\u{fffd}\"}", 1),
        (r#"{"a":"\ud83d\ud83d\ude00"}"#, "{\"a\":\"\u{fffd}\u{1f600}\"}", 1),
        (r#"{"\udc00":1}"#, "{\"\u{fffd}\":1}", 1),
        (r#"{"a":"\\udcff\udcff"}"#, "{\"a\":\"\\\\udcff\u{fffd}\"}", 1),
        (r#"{"a":1e400,"b":-1e400}"#, r#"{"a":"1e400","b":"-1e400"}"#, 2),
        (r#"{"loss":NaN,"b":[Infinity,-Infinity]}"#, r#"{"b":["Infinity","-Infinity"],"loss":"NaN"}"#, 3),
        ("{\"a\":\"x\u{1}\ty\"}", r#"{"a":"x\u0001\ty"}"#, 2),
        (r#"{"a":"NaN 1e400 \" {[","b":NaN}"#, r#"{"a":"NaN 1e400 \" {[","b":"NaN"}"#, 1),
    ] {
        assert_eq!(read(line), Some((becomes.to_owned(), places)), "{line}");
    }
    for line in
        ["", "NaN", "[NaN]", r#"{"a":"\udcff"#, r#"{"a":NaN"#, r#"{"a":"\x"}"#, r#"{"a":\udcff}"#, "{\"a\":1e400"]
    {
        assert_eq!(read(line), None, "{line}");
    }
    let (fields, places) = json::mended(b"{\"a\":\"x\xffy\",\"b\":1}").expect("it is put right");
    assert_eq!((fields.get("a"), places), (Some(&Value::from("x\u{fffd}y")), 1));
}

#[test]
fn what_lies_too_deep_becomes_a_text() {
    for (open, close) in [("[", "]"), ("{\"k\":", "}")] {
        for depth in [100, 126, 127, 128, 300, 100_000] {
            let line = format!("{{\"a\":{}\"a \\\"needle] }}\"{},\"b\":1}}", open.repeat(depth), close.repeat(depth));
            let set = detect::load(&[rule_of("t", &json!({"s": ["needle"], "condition": "s"}))], &Schema::open());
            let set = set.unwrap_or_else(|found| panic!("{}", found[0]));
            assert_eq!(set.json_hits(&line, None).expect("it is read"), [0], "{open} {depth} deep");
            let (fields, _) = json::mended(line.as_bytes()).expect("it is read");
            assert_eq!(set.open_hits(&fields), [0], "{open} {depth} deep, as facts");
            assert_eq!(fields.get("b"), Some(&Value::from(1_i64)), "{open} {depth} deep: what follows is read");
        }
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(|flag| json!(flag)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()).prop_map(|number| json!(number)),
        any::<String>().prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sound_json_stays_as_it_is(value in any_json()) {
        prop_assert_eq!(repair::repaired(value.to_string().as_bytes()), None);
        let pretty = serde_json::to_string_pretty(&value).expect("it is JSON");
        prop_assert_eq!(repair::repaired(pretty.as_bytes()), None);
    }

    #[test]
    fn anything_comes_back(bytes in prop::collection::vec(
        prop_oneof![3 => prop::sample::select(b"{}[]\",:\\udDcCfF8901NaIn-eE. \x01\xff".to_vec()), 1 => any::<u8>()], 0..80)) {
        if let Some((text, _)) = repair::repaired(&bytes) {
            // Once is enough, unless it was no JSON to begin with.
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert_eq!(repair::repaired(text.as_bytes()), None);
            }
        }
    }
}

#[test]
fn the_verbs_read_such_lines_and_say_so() {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let rule = "title: T\nid: 3f1c8a8e-2b44-4a5e-9d0b-6f1f4c1f0a12\nlogsource: {category: x}\n\
                detection: {s: {cmd|contains: curl}, condition: s}\nlevel: high\n";
    std::fs::write(folder.path().join("r.yml"), rule).expect("it can be written");
    let lines = b"{\"n\": \"\xff\xfe\n{\"n\": \"\\udcff\", \"cmd\": \"curl x\"}\n{\"n\": 1e999, \"cmd\": \"curl y\"}\n";
    std::fs::write(folder.path().join("e.jsonl"), lines).expect("it can be written");
    let done = lanner_in(folder.path(), &["replay", "--rules", "r.yml", "--open-schema", "e.jsonl"]);
    assert!(stderr(&done).contains("2 events, 2 alerts, 1 lines that are no event"), "{}", stderr(&done));
    for line in [2, 3] {
        let wanted = format!("e.jsonl:{line}: the JSON is wrong in 1 place(s), put right and read");
        assert!(stderr(&done).contains(&wanted), "{}", stderr(&done));
    }
    // The first line is none, and no line before the one that is asked for matters.
    for (line, code) in [("2", 0), ("3", 0), ("1", 3)] {
        let asked =
            ["explain", "--rules", "r.yml", "--open-schema", "--rule", "T", "--event", "e.jsonl", "--line", line];
        let done = lanner_in(folder.path(), &asked);
        assert_eq!(done.status.code(), Some(code), "line {line}: {}{}", stdout(&done), stderr(&done));
    }
}

#[test]
fn nothing_that_is_read_is_written_over() {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("rules")).expect("it can be made");
    let rule = "title: T\nlogsource: {category: x}\ndetection: {s: {cmd: a}, condition: s}\n";
    std::fs::write(path("rules/r.yml"), rule).expect("it can be written");
    std::fs::write(path("e.jsonl"), "{\"cmd\": \"a\"}\n").expect("it can be written");
    std::fs::hard_link(path("e.jsonl"), path("hard.jsonl")).expect("it can be linked");
    std::os::unix::fs::symlink("e.jsonl", path("soft.jsonl")).expect("it can be linked");
    let run = |more: &[&str]| {
        let mut asked = vec!["replay", "--rules", "rules", "--open-schema", "e.jsonl"];
        asked.extend(more);
        lanner_in(folder.path(), &asked)
    };
    for output in ["e.jsonl", "./e.jsonl", "hard.jsonl", "soft.jsonl", "rules/r.yml"] {
        for more in [vec!["--output", output], vec!["--output", "out", "--state", output]] {
            let done = run(&more);
            assert_eq!(done.status.code(), Some(2), "{more:?}: {}", stderr(&done));
            assert!(stderr(&done).contains("would write over"), "{more:?}: {}", stderr(&done));
        }
    }
    assert_eq!(run(&["--output", "out", "--state", "out"]).status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(path("e.jsonl")).expect("it is there"), "{\"cmd\": \"a\"}\n");
    assert_eq!(std::fs::read_to_string(path("rules/r.yml")).expect("it is there"), rule);
    assert_eq!(run(&["--output", "rules/out.jsonl"]).status.code(), Some(0));
}

#[test]
fn a_file_that_cannot_be_read_hides_no_other_problem() {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.yml"), b"title: \xff\n").expect("it can be written");
    std::fs::write(path("b.yml"), "x".repeat((4 << 20) + 1)).expect("it can be written");
    std::fs::write(path("c.yml"), "title: T\n").expect("it can be written");
    let filler = format!("# {}\n", "x".repeat(78)).repeat(40_000);
    let shipped = include_str!("../../../detections/agent-health/hlt-001-source-blind.yml");
    std::fs::write(path("d.yml"), filler + shipped).expect("it can be written");
    let done = lanner_in(folder.path(), &["rules", "check", "--rules", "."]);
    let told = stderr(&done) + &stdout(&done);
    assert_eq!(done.status.code(), Some(3), "{told}");
    for wanted in ["a.yml", "b.yml", "c.yml", "error[R001]: the file cannot be read", "error[R003]"] {
        assert!(told.contains(wanted), "{wanted} in\n{told}");
    }
    assert!(!told.contains("d.yml"), "a file of 3 MiB is one like another:\n{told}");
}
