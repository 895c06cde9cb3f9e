//! Long lists and long values: as many answers as by trying every pair, in far fewer steps.

use lanner::detect::{self, RuleSet, Schema};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::rule_of;

fn load(detections: &[Value]) -> RuleSet {
    let sources: Vec<_> =
        detections.iter().enumerate().map(|(number, one)| rule_of(&format!("Rule {number}"), one)).collect();
    detect::load(&sources, &Schema::open()).unwrap_or_else(|found| panic!("{}", found[0]))
}

fn hits(set: &RuleSet, event: &Value) -> Vec<usize> {
    set.json_hits(&event.to_string(), None).expect("it is JSON")
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

/// How one text stands to another, as the words of the modifiers say.
type Relation = (&'static str, fn(&str, &str) -> bool);

const RELATIONS: [Relation; 4] = [
    ("", |one, other| one == other),
    ("|contains", |one, other| one.contains(other)),
    ("|startswith", |one, other| one.starts_with(other)),
    ("|endswith", |one, other| one.ends_with(other)),
];

#[test]
fn fields_of_long_lists_are_compared_as_by_pairs() {
    let set =
        load(&RELATIONS.map(|(modifier, _)| json!({"s": {format!("a|fieldref{modifier}"): "b"}, "condition": "s"})));
    let texts = |pattern, sizes| prop::collection::vec(pattern, sizes);
    // Texts that seldom stand so to one another, and too many to be compared pair by pair.
    let cases = (texts("[ab]{14,18}", 200..400), texts("[ab]{13,17}", 1..400));
    let mut seen = [[0; 2]; RELATIONS.len()];
    let outcome = runner(60).run(&cases, |(left, right)| {
        let found = hits(&set, &json!({"a": left, "b": right}));
        for (number, (modifier, holds)) in RELATIONS.iter().enumerate() {
            let wanted = left.iter().any(|one| right.iter().any(|other| holds(one, other)));
            prop_assert_eq!(found.contains(&number), wanted, "{} of {:?} and {:?}", modifier, &left, &right);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let event = |left: &str, right: &str| {
        let (mut left, mut right) = (vec![left.to_owned()], vec![right.to_owned()]);
        left.extend((0..3_000).map(|number| format!("x{number:09}")));
        right.extend((0..3_000).map(|number| format!("y{number:09}")));
        hits(&set, &json!({"a": left, "b": right}))
    };
    for (left, right) in [
        ("one", "one"),
        ("an onerous", "one"),
        ("onerous", "one"),
        ("someone", "one"),
        ("on", "one"),
        ("", ""),
        ("a", ""),
    ] {
        for (number, (modifier, holds)) in RELATIONS.iter().enumerate() {
            let wanted = holds(left, right);
            assert_eq!(event(left, right).contains(&number), wanted, "{left:?} {modifier} {right:?}");
            seen[number][usize::from(wanted)] += 1;
        }
    }
    assert!(seen.iter().flatten().all(|count| *count > 0), "each relation held and did not: {seen:?}");
}

#[test]
fn texts_that_are_much_alike_are_told_apart() {
    // One letter many times, then another: they have the same parts, wherever one looks.
    let text = |length: usize| format!("{}b", "a".repeat(length));
    let detections: Vec<Value> =
        (5..205).map(|length| json!({"s": {"f|contains": text(length)}, "condition": "s"})).collect();
    let set = load(&detections);
    for run in [0, 1, 4, 5, 6, 57, 203, 204, 205, 70_000] {
        for event in [text(run), format!("{}c", text(run)), format!("c{}", text(run)), "a".repeat(run)] {
            let wanted: Vec<usize> = (0..200).filter(|number| run >= number + 5 && event.contains('b')).collect();
            assert_eq!(hits(&set, &json!({"f": event})), wanted, "{run}");
        }
    }
    let both = format!("{} {}", text(8), text(6));
    assert_eq!(hits(&set, &json!({"f": [both, "aaa"]})), [0, 1, 2, 3]);
}

#[test]
fn keywords_are_found_as_deep_as_json_is_read() {
    let set = load(&[json!({"s": ["needle"], "condition": "s"})]);
    for depth in [1, 15, 17, 95, 96, 97, 120] {
        let objects = format!("{}\"a needle\"{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let lists = format!("{{\"a\":{}\"a needle\"{}}}", "[".repeat(depth), "]".repeat(depth));
        for line in [objects, lists] {
            let fields = lanner::event::json::fields(line.as_bytes()).expect("it is JSON");
            assert_eq!(set.json_hits(&line, None).expect("it is JSON"), [0], "JSON, {depth} deep");
            assert_eq!(set.open_hits(&fields), [0], "facts, {depth} deep");
            assert_eq!(set.plain_hits(&fields), [0], "plainly, {depth} deep");
        }
    }
}

#[test]
fn minus_zero_is_zero() {
    let set = load(&[json!({"s": {"v": 0}, "condition": "s"}), json!({"s": {"v|contains": "-"}, "condition": "s"})]);
    for line in ["{\"v\":-0.0}", "{\"v\":-0}", "{\"v\":0}", "{\"v\":0e5}"] {
        let fields = lanner::event::json::fields(line.as_bytes()).expect("it is JSON");
        assert_eq!(set.json_hits(line, None).expect("it is JSON"), [0], "{line}");
        assert_eq!(set.plain_hits(&fields), [0], "{line}");
    }
}
