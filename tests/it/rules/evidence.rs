//! What an alert shows, and which rules look at an event.

use jiff::Timestamp;
use lanner::detect::{self, RuleSet, Schema, Source};
use lanner::event::subject::SubjectKind;
use lanner::event::{Event, EventKind, Fields, Place, Subject, Value, value};
use serde_json::json;

fn event(kind: EventKind, product: &str, service: Option<&str>, fields: &serde_json::Value) -> Event {
    Event {
        id: String::new(),
        kind,
        time: Timestamp::UNIX_EPOCH,
        source: "test".to_owned(),
        product: product.to_owned(),
        service: service.map(str::to_owned),
        subject: Subject::new(SubjectKind::Artifact, "m"),
        artifact: None,
        digest: None,
        place: Place::default(),
        fields: value::from_json(fields.clone()),
    }
    .sealed()
}

fn load(rule: &str) -> RuleSet {
    detect::load(&[Source::new("rule.yml", rule)], &Schema::open()).unwrap_or_else(|found| panic!("{}", found[0]))
}

#[test]
fn a_rule_looks_at_its_kind_product_and_service() {
    let set = load(
        "title: t\nlogsource: {category: training_log, product: kubernetes, service: ray}\n\
         detection: {s: {log.line|contains: x}, condition: s}\n",
    );
    let line = json!({"log.line": "x"});
    let hits = |kind, product, service| set.matches(&event(kind, product, service, &line)).len();
    assert_eq!(hits(EventKind::TrainingLog, "kubernetes", Some("ray")), 1);
    assert_eq!(hits(EventKind::TrainingLog, "Kubernetes", Some("RAY")), 1);
    assert_eq!(hits(EventKind::TrainingLog, "docker", Some("ray")), 0);
    assert_eq!(hits(EventKind::TrainingLog, "kubernetes", None), 0);
    assert_eq!(hits(EventKind::ModelRegistry, "kubernetes", Some("ray")), 0);
}

#[test]
fn every_kind_of_event_can_be_matched() {
    for kind in EventKind::ALL {
        let category = kind.category();
        let set = load(&format!(
            "title: t\nlogsource: {{category: {category}}}\ndetection: {{s: {{event.category: {category}}}, condition: s}}\n"
        ));
        for other in EventKind::ALL {
            assert_eq!(set.matches(&event(other, "x", None, &json!({}))).len(), usize::from(other == kind));
        }
    }
}

#[test]
fn evidence_is_what_the_rule_lists_and_asks_about() {
    let set = load(
        "title: t\nlogsource: {category: artifact_scan}\nfields: [file.path, ml.model.tags.*, absent]\n\
         detection: {s: {artifact.pickle.calls|contains: x, artifact.hash|exists: false}, condition: s}\n",
    );
    let fields = json!({
        "file.path": "a/b", "artifact.pickle.calls": ["xy"], "other": 1,
        "ml.model.tags.team": "red", "ml.model.tags.owner": "ann"
    });
    let event = event(EventKind::ArtifactScan, "filesystem", None, &fields);
    let rules = set.matches(&event);
    let evidence = rules[0].evidence(&event);
    let expected = json!({
        "file.path": "a/b", "artifact.pickle.calls": ["xy"], "ml.model.tags.team": "red", "ml.model.tags.owner": "ann"
    });
    assert_eq!(serde_json::Value::Object(evidence), expected);
    assert_eq!(rules[0].referenced_fields, ["artifact.hash", "artifact.pickle.calls"]);
}

#[test]
fn evidence_is_bounded_and_says_what_it_leaves_out() {
    let set = load(
        "title: t\nlogsource: {category: artifact_scan}\nfields: [f.*, long]\ndetection: {s: {many: '*'}, condition: s}\n",
    );
    let mut fields = Fields::new();
    for number in 0..1_000 {
        fields.insert(format!("f.{number}"), Value::from("x"));
    }
    let mut event = event(EventKind::ArtifactScan, "filesystem", None, &json!({}));
    event.fields = fields;
    assert!(set.rules()[0].evidence(&event).len() < 100);
    event.fields = Fields::from([
        ("long".to_owned(), Value::from("é".repeat(100_000))),
        ("many".to_owned(), Value::from(vec!["member"; 5_000])),
    ]);
    let evidence = set.rules()[0].evidence(&event);
    assert!(evidence["long"].as_str().unwrap().ends_with('…'));
    assert!(evidence["long"].as_str().unwrap().chars().count() <= 400);
    assert_eq!(evidence["many"].as_array().unwrap().last().unwrap(), "… and 4976 more");
}

#[test]
fn the_digest_follows_the_texts_alone() {
    let rule =
        |title: &str| format!("title: {title}\nlogsource: {{category: a}}\ndetection: {{s: {{f: a}}, condition: s}}\n");
    let digest = |sources: &[Source]| detect::load(sources, &Schema::open()).unwrap().digest();
    let (a, b) = (Source::new("a.yml", rule("a")), Source::new("b.yml", rule("b")));
    let moved = Source::new("elsewhere.yml", rule("a"));
    assert_eq!(digest(&[a.clone(), b.clone()]), digest(&[b.clone(), moved]));
    assert_ne!(digest(std::slice::from_ref(&a)), digest(&[b]));
}

#[test]
fn failing_tests_name_the_rule_and_the_line() {
    let rule = "title: t\nlogsource: {category: training_log}\ndetection: {s: {log.line: a}, condition: s}\nlanner:\n  \
                short_id: TST-001\n  tests:\n    - {name: wrong, event: {log.line: b}, match: true}\n    \
                - {name: right, event: {log.line: b}, match: false}\n";
    let failures = load(rule).test();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].to_string(), "rule.yml:7: TST-001: the test `wrong` must match and does not");
}

#[test]
fn rule_sets_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&load("title: t\nlogsource: {category: artifact_scan}\ndetection: {s: {f|re: a}, condition: s}\n"));
}
