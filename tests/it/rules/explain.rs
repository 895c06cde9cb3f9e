//! Why a rule matches or does not: the tree agrees with the matcher, and the blame is right.

use lanner::base::yaml::{self, Node};
use lanner::detect::explain::{Asked, Explanation, Part, explain};
use lanner::detect::{Loader, Schema, Source, shipped};
use lanner::event::subject::SubjectKind;
use lanner::event::{Event, EventKind, Fields, Place, Subject, value};
use serde_json::{Value, json};

use super::{declared, read, rule_of};
use crate::support::program::{lanner_in, stderr, stdout};

fn event(kind: EventKind, fields: Fields) -> Event {
    Event {
        id: "e".to_owned(),
        kind,
        time: jiff::Timestamp::UNIX_EPOCH,
        source: "test".to_owned(),
        product: "test".to_owned(),
        service: None,
        subject: Subject::new(SubjectKind::Artifact, "x".to_owned()),
        artifact: None,
        digest: None,
        place: Place::default(),
        fields,
    }
}

fn open(sources: &[Source], number: usize, fields: &Value) -> Explanation {
    let loader = Loader::new(Schema::open());
    let set = loader.load(sources).unwrap_or_else(|found| panic!("{}", found[0]));
    let fields = value::from_json(fields.clone());
    explain(&set, &loader, sources, number, Asked::Open(&fields)).expect("it can be explained")
}

/// What was missed, as the last name of each path and what was wanted.
fn missed(explanation: &Explanation) -> Vec<(String, bool)> {
    explanation.missed.iter().map(|one| (one.leaf.asks.clone(), one.wanted)).collect()
}

#[test]
fn the_tree_agrees_with_the_matcher_on_every_test_of_every_shipped_rule() {
    let (sources, loader) = (shipped::sources(), Loader::new(declared()));
    let set = loader.load(&sources).expect("shipped rules load");
    let mut explained = 0;
    for (number, rule) in set.rules().iter().enumerate() {
        for test in &rule.tests {
            let Some(kind) = rule.logsource.kind else { continue };
            let mut event = event(kind, test.event.clone());
            event.product = rule.logsource.product.clone().unwrap_or_default();
            event.service = rule.logsource.service.clone();
            let told = explain(&set, &loader, &sources, number, Asked::Ours(&event)).expect("it can be explained");
            let name = format!("{}: {}", rule.display_id(), test.name);
            assert_eq!(told.matches, test.matches, "{name}");
            assert_eq!(told.parts.iter().all(Part::holds), test.matches, "{name}");
            assert_eq!(told.missed.is_empty(), test.matches, "{name}");
            assert!(told.logsource.is_empty(), "{name}");
            explained += 1;
        }
    }
    assert!(explained > 150, "{explained}");
}

#[test]
fn the_tree_agrees_with_the_matcher_on_every_case_of_conformance() {
    let mut explained = 0;
    let files = std::fs::read_dir(super::detect_cases()).expect("there are cases");
    for file in files.map(|entry| entry.expect("it can be listed").path()).filter(|path| path.is_file()) {
        let documents = yaml::parse(&read(&file)).expect("YAML");
        for case in documents.first().and_then(Node::as_list).expect("a list of cases") {
            let name = case.get("name").and_then(Node::as_text).expect("a case has a name");
            let Some(detection) = case.get("detection").filter(|_| case.get("rejects").is_none()) else { continue };
            let sources = [rule_of(name, &detection.to_json())];
            let loader = Loader::new(Schema::open());
            // Cases with lists of values or several documents are not for here.
            let Ok(set) = loader.load(&sources) else { continue };
            for key in ["match", "miss"] {
                for asked in case.get(key).and_then(Node::as_list).unwrap_or_default() {
                    let fields = value::from_json(asked.to_json());
                    let told = explain(&set, &loader, &sources, 0, Asked::Open(&fields)).expect("it is explained");
                    let holds = told.parts.iter().all(Part::holds);
                    assert_eq!((told.matches, holds), (key == "match", key == "match"), "{name}: {}", asked.to_json());
                    explained += 1;
                }
            }
        }
    }
    assert!(explained > 300, "{explained}");
}

#[test]
fn the_blame_is_the_smallest_set_of_parts() {
    let detection = json!({
        "far": {"a": 1, "b": 2, "c": 3},
        "near": {"d": 4, "e|contains": ["x", "y"]},
        "out": {"f": "known"},
        "condition": "(far or near) and not out"
    });
    let rule = [rule_of("t", &detection)];
    let told = open(&rule, 0, &json!({"a": 1, "d": 4, "e": "zzz", "f": "known"}));
    assert_eq!(missed(&told), [("e|contains".to_owned(), true), ("f".to_owned(), false)]);
    assert_eq!(told.missed[0].path.last().map(String::as_str), Some("e|contains"));
    assert!(told.missed[0].path.contains(&"near".to_owned()), "{:?}", told.missed[0].path);
    let told = open(&rule, 0, &json!({"a": 1, "d": 4, "e": "an y"}));
    assert!(told.matches && told.missed.is_empty());
    // Of several values, each says whether it was the one.
    let shown = serde_json::to_value(&told).expect("plain data").to_string();
    assert!(shown.contains(r#"{"holds":false,"value":"\"x\""},{"holds":true,"value":"\"y\""}"#), "{shown}");
}

#[test]
fn what_was_found_is_shown_and_a_slip_in_a_name_is_guessed() {
    let rule = [rule_of("t", &json!({"s": {"process.nane": "x"}, "condition": "s"}))];
    let told = open(&rule, 0, &json!({"process.name": "x"}));
    assert_eq!(told.missed[0].leaf.found.to_string(), "absent; the event has `process.name`");
    let rule = [rule_of("t", &json!({"s": {"a.b": "x"}, "condition": "s"}))];
    for (event, found) in [
        (json!({"a": {"b": "y"}}), "\"y\"".to_owned()),
        (json!({"a": [{"b": 1}, {"b": true}]}), "1, true".to_owned()),
        (json!({"a.b": null}), "null".to_owned()),
        (json!({"a.b": []}), "an empty list".to_owned()),
        (json!({"a.b": vec![0; 20]}), "0, 0, 0, 0, 0, 0, 0, 0 and 12 more".to_owned()),
        (json!({"a.b": "z".repeat(500)}), format!("\"{}…", "z".repeat(118))),
    ] {
        assert_eq!(open(&rule, 0, &event).missed[0].leaf.found.to_string(), found, "{event}");
    }
}

#[test]
fn the_logsource_is_explained_first() {
    let (sources, loader) = (shipped::sources(), Loader::new(declared()));
    let set = loader.load(&sources).expect("shipped rules load");
    let number = set.rules().iter().position(|rule| rule.display_id() == "SCN-002").expect("it is shipped");
    let fields = value::from_json(json!({"artifact.pickle.dangerous_calls": ["os.system"]}));
    let event = event(EventKind::TrainingLog, fields);
    let told = explain(&set, &loader, &sources, number, Asked::Ours(&event)).expect("it can be explained");
    assert!(!told.matches && told.missed.is_empty(), "no part is to blame");
    assert_eq!((told.logsource[0].part, told.logsource[0].wanted.as_str()), ("category", "artifact_scan"));
    assert_eq!(told.logsource[0].found.as_deref(), Some("training_log"));
    assert!(told.parts.iter().all(Part::holds), "its parts hold all the same");
}

#[test]
fn a_filter_that_leaves_the_event_out_is_to_blame() {
    let text = "title: R\nid: 6f3c2a5e-0000-4000-8000-000000000001\nlogsource: {category: c}\n\
        detection: {s: {f: 1}, condition: s}\n---\ntitle: Our scanner\nlogsource: {category: c}\n\
        filter:\n  rules: [6f3c2a5e-0000-4000-8000-000000000001]\n  ours: {user: scanner}\n  condition: not ours\n";
    let sources = [Source::new("r.yml", text)];
    let told = open(&sources, 0, &json!({"f": 1, "user": "scanner"}));
    assert_eq!(told.parts.len(), 2);
    assert_eq!(missed(&told), [("user".to_owned(), false)]);
    assert!(told.missed[0].path[0].starts_with("filter `Our scanner`"), "{:?}", told.missed[0].path);
    assert!(open(&sources, 0, &json!({"f": 1, "user": "x"})).matches);
}

#[test]
fn a_correlation_says_in_which_group_and_window_an_event_counts() {
    let text = "title: Logon failed\nname: failed\nlogsource: {category: c}\ndetection: {s: {f: 1}, condition: s}\n---\n\
        title: Many\nlevel: high\ncorrelation: {type: event_count, rules: [failed], group-by: [user], timespan: 5m, \
        condition: {gte: 10}}\n";
    let sources = [Source::new("r.yml", text)];
    let told = open(&sources, 1, &json!({"f": 1, "user": "ann"}));
    let shown = told.correlation.clone().expect("it is a correlation");
    assert!(told.matches && shown.parts[0].counts);
    assert_eq!((shown.window_millis, shown.asks.as_str()), (300_000, "the number of events ≥ 10"));
    assert_eq!(shown.parts[0].group[0].1.to_string(), "\"ann\"");
    let told = open(&sources, 1, &json!({"f": 1}));
    assert!(!told.matches && told.correlation.expect("still one").parts[0].rule.matches, "it has no group");
    assert!(!open(&sources, 1, &json!({"f": 2, "user": "ann"})).matches);
}

#[test]
fn the_verb_ends_as_scripts_expect() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let lines = "{\"event.category\": \"training_log\", \"log.line\": \"epoch 1\"}\n\
        {\"event.category\": \"artifact_scan\", \"artifact.pickle.dangerous_calls\": [\"os.system\"]}\n[1]\n";
    std::fs::write(root.join("e.jsonl"), lines).expect("there is space");
    let call = |arguments: &[&str]| lanner_in(root, &[&["explain", "--event", "e.jsonl"], arguments].concat());
    let hit = call(&["--rule", "scn-002", "--line", "2"]);
    assert_eq!(hit.status.code(), Some(0), "{}", stderr(&hit));
    assert!(stdout(&hit).starts_with("✓ SCN-002"), "no colour when nobody looks: {}", stdout(&hit));
    let miss = call(&["--rule", "SCN-002", "--line", "1"]);
    assert_eq!(miss.status.code(), Some(1));
    assert!(stdout(&miss).contains("the rule looks at category artifact_scan, the event is training_log"));
    assert!(stdout(&miss).contains("missed because:"));
    let json: Value =
        serde_json::from_str(&stdout(&call(&["--rule", "SCN-002", "--line", "2", "--format", "json"]))).expect("JSON");
    assert_eq!((&json["rule"], &json["matches"]), (&"SCN-002".into(), &true.into()));
    for (arguments, code) in [
        (vec!["--rule", "NO-SUCH", "--line", "2"], 3),
        (vec!["--rule", "SCN-002", "--line", "3"], 3),
        (vec!["--rule", "SCN-002"], 3),
        (vec!["--rule", "SCN-002", "--line", "9"], 2),
        (vec!["--rule", "SCN-002", "--line", "0"], 2),
        (vec!["--rule", "SCN-002", "--line", "2", "--rules", "missing"], 2),
    ] {
        assert_eq!(call(&arguments).status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_rule_that_is_only_counted_says_by_whom() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "title: One\nname: one\nlogsource: {category: test}\ndetection: {s: {f: x}, condition: s}\n---\n\
                 title: Many\ncorrelation: {type: event_count, rules: [one], timespan: 1m, condition: {gte: 3}GENERATE}\n";
    std::fs::write(folder.path().join("e.json"), r#"{"f": "x"}"#).unwrap();
    let run = |generate: &str, format: &str| {
        std::fs::write(folder.path().join("r.yml"), rules.replace("GENERATE", generate)).unwrap();
        let asked =
            ["explain", "--rules", "r.yml", "--open-schema", "--rule", "One", "--event", "e.json", "--format", format];
        let done = lanner_in(folder.path(), &asked);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        stdout(&done)
    };
    assert!(run("", "text").contains("no alert of its own: Many only counts it"), "{}", run("", "text"));
    let told: Value = serde_json::from_str(&run("", "json")).unwrap();
    assert_eq!((&told["silent"], &told["counted_by"]), (&json!(true), &json!(["Many"])));
    assert!(!run(", generate: true", "text").contains("no alert"));
    let told: Value = serde_json::from_str(&run(", generate: true", "json")).unwrap();
    assert_eq!((&told["silent"], &told["counted_by"]), (&json!(false), &json!(["Many"])));
}
