//! Generated rules and events: our programs against our own plain evaluation, and both against
//! another engine, `rsigma-eval`.
//!
//! What is known to differ is not generated: defects of that engine (patterns inside `startswith`
//! and `endswith`, lists behind `fieldref`, `base64offset`, `windash` and `/`, keywords with `all` and
//! of numbers, numbers beyond 2^53, minus zero, which it writes `-0`) and choices that the specification leaves open (see `docs/rules.md`). Each of these
//! has cases of its own under `tests/cases/detect`.

use std::cell::Cell;

use lanner::detect::{self, Schema};
use lanner::event::value;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rsigma_eval::event::JsonEvent;
use serde_json::{Value, json};

use super::rule_of;

/// Cases of a run; `LANNER_DIFFERENTIAL_CASES` asks for more.
const CASES: u32 = 4_000;
const EVENTS: usize = 4;

fn runner(seed: u8) -> TestRunner {
    let cases = std::env::var("LANNER_DIFFERENTIAL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    // The same cases in every run of the same number: what failed fails again.
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => "[abAB]{1,3}",
        2 => "[abAB]{3,9}",
        3 => prop::sample::select(vec!["abab", "ABBA", "bcmd.exe", "CMD.EXE", "\\cmd.exe", "x -enc y", "a.b-c", "äÖ", "İı", "ſK", "10.0.0.7", "true", "7", "42"])
            .prop_map(str::to_owned),
    ]
}

fn field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "n.a", "n.b", "n.a.b"])
}

/// A field with modifiers, and its values.
fn item() -> impl Strategy<Value = (String, Value)> {
    let text = prop::sample::select(vec![
        "",
        "|contains",
        "|startswith",
        "|endswith",
        "|cased",
        "|contains|cased",
        "|endswith|cased",
    ]);
    let texts = (field(), text, prop::collection::vec(word(), 1..4), any::<bool>()).prop_map(
        |(field, modifier, words, all)| {
            let all = if all && words.len() > 1 { "|all" } else { "" };
            let value = if words.len() == 1 { json!(words[0]) } else { json!(words) };
            (format!("{field}{modifier}{all}"), value)
        },
    );
    let patterns =
        (field(), prop::collection::vec(prop_oneof![word(), Just("*".to_owned()), Just("?".to_owned())], 2..5))
            // A backslash before a wildcard would be its escape.
            .prop_map(|(field, parts)| (field.to_owned(), json!(parts.concat().replace('\\', "/"))));
    let numbers = (field(), prop::sample::select(vec!["", "|lt", "|lte", "|gt", "|gte"]), -3_i64..9)
        .prop_map(|(field, modifier, number)| (format!("{field}{modifier}"), json!(number)));
    let expressions = (
        field(),
        prop::sample::select(vec!["|re", "|re|i"]),
        prop::sample::select(vec![
            "^ab",
            "b+$",
            "(?:abab|cmd)\\.exe",
            "a.b",
            "[AB]{2}",
            "(ab|ba)+",
            "cmd\\.exe$",
            "^(?:ab|b)",
        ]),
    )
        .prop_map(|(field, modifier, expression)| (format!("{field}{modifier}"), json!(expression)));
    let others = prop_oneof![
        field().prop_map(|field| (field.to_owned(), Value::Null)),
        (field(), any::<bool>()).prop_map(|(field, flag)| (format!("{field}|exists"), json!(flag))),
        (field(), any::<bool>()).prop_map(|(field, flag)| (field.to_owned(), json!(flag))),
        (field(), field()).prop_map(|(field, other)| (format!("{field}|fieldref"), json!(other))),
        field().prop_map(|field| (format!("{field}|cidr"), json!("10.0.0.0/8"))),
        field().prop_map(|field| (field.to_owned(), json!(""))),
    ];
    prop_oneof![6 => texts, 3 => patterns, 2 => numbers, 2 => expressions, 2 => others]
}

fn selection() -> impl Strategy<Value = Value> {
    let map = prop::collection::vec(item(), 1..4).prop_map(|items| Value::Object(items.into_iter().collect())).boxed();
    prop_oneof![
        4 => map.clone(),
        1 => prop::collection::vec(map, 1..3).prop_map(Value::Array),
        1 => prop::collection::vec("[abAB]{2,4}", 1..3).prop_map(|words| json!(words)),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "sel_a",
        "sel_b",
        "sel_c",
        "1 of sel_*",
        "all of sel_*",
        "1 of them",
        "all of them",
        "not sel_a",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

fn detection() -> impl Strategy<Value = Value> {
    (selection(), selection(), selection(), condition())
        .prop_map(|(a, b, c, condition)| json!({"sel_a": a, "sel_b": b, "sel_c": c, "condition": condition}))
}

fn scalar(nulls: bool) -> BoxedStrategy<Value> {
    let some = prop_oneof![
        6 => word().prop_map(Value::String),
        2 => prop::collection::vec(word(), 2..5).prop_map(|words| json!(words.join(" "))),
        2 => (-3_i64..9).prop_map(|number| json!(number)),
        1 => any::<bool>().prop_map(|flag| json!(flag)),
        1 => Just(json!("")),
        1 => prop::sample::select(vec![json!(1.5), json!(0.0), json!(7.0)]),
    ];
    if nulls { prop_oneof![9 => some, 1 => Just(Value::Null)].boxed() } else { some.boxed() }
}

/// Events that both engines read alike: without nulls and empty lists, and with at most one key or
/// path for a name, as that engine takes the first one only.
fn plain_event() -> BoxedStrategy<Value> {
    event(false)
}

/// Events of which only our own two ways are told to agree.
fn odd_event() -> BoxedStrategy<Value> {
    event(true)
}

fn event(odd: bool) -> BoxedStrategy<Value> {
    let list = prop::collection::vec(scalar(odd), usize::from(!odd)..3).prop_map(Value::Array);
    let any = prop_oneof![5 => scalar(odd), 1 => list].boxed();
    let object = |any: BoxedStrategy<Value>| {
        prop::collection::btree_map(prop::sample::select(vec!["a", "b"]), any, 0..3).prop_map(|members| {
            Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        })
    };
    let nested = object(any.clone()).boxed();
    let nested = if odd {
        let deep = object(prop_oneof![any.clone(), nested.clone()].boxed()).boxed();
        let dotted = (nested, prop::option::of(scalar(true))).prop_map(|(mut object, value)| {
            object.as_object_mut().expect("made above").extend(value.map(|value| ("a.b".to_owned(), value)));
            object
        });
        let one = prop_oneof![deep, dotted].boxed();
        prop_oneof![1 => one.clone(), 1 => prop::collection::vec(prop_oneof![3 => one, 1 => any.clone()], 0..4).prop_map(Value::Array)].boxed()
    } else {
        nested
    };
    let flat = prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c", "d", "n.a", "n.a.b"]), any, 0..5);
    (flat, prop::option::of(nested))
        .prop_map(move |(flat, nested)| {
            let mut members: serde_json::Map<String, Value> =
                flat.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            if odd || !members.contains_key("n.a") {
                members.extend(nested.map(|nested| ("n".to_owned(), nested)));
            }
            Value::Object(members)
        })
        .boxed()
}

#[test]
fn programs_answer_as_the_plain_rules_do() {
    let cases = (prop::collection::vec(detection(), 1..5), prop::collection::vec(odd_event(), EVENTS));
    let outcome = runner(1).run(&cases, |(detections, events)| {
        let sources: Vec<_> = detections
            .iter()
            .enumerate()
            .map(|(number, detection)| rule_of(&format!("Rule {number}"), detection))
            .collect();
        // A rule may be refused, for example one that can never match.
        let Ok(set) = detect::load(&sources, &Schema::open()) else {
            return Ok(());
        };
        for event in events {
            let fields = value::from_json(event.clone());
            let plain = set.plain_hits(&fields);
            prop_assert_eq!(&set.open_hits(&fields), &plain, "facts {}", event);
            let json = set.json_hits(&event.to_string(), None).expect("it is JSON");
            prop_assert_eq!(&json, &plain, "JSON {}", event);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn another_engine_agrees() {
    let cases = (detection(), prop::collection::vec(plain_event(), EVENTS));
    let (compared, hits) = (Cell::new(0_u32), Cell::new(0_u32));
    let mut runner = runner(2);
    let outcome = runner.run(&cases, |(detection, events)| {
        let source = rule_of("Generated", &detection);
        let Ok(set) = detect::load(std::slice::from_ref(&source), &Schema::open()) else {
            return Ok(());
        };
        let parsed = rsigma_parser::parse_sigma_yaml(&source.text);
        let mut engine = rsigma_eval::Engine::new();
        if parsed.is_err() || parsed.is_ok_and(|all| engine.add_collection(&all).is_err()) {
            return Ok(());
        }
        // That engine compares fields with lists of values not at all.
        let listless = source.text.contains("fieldref");
        for event in events {
            if listless && event.to_string().contains('[') {
                continue;
            }
            let ours = !set.open_hits(&value::from_json(event.clone())).is_empty();
            let theirs = !engine.evaluate(&JsonEvent::borrow(&event)).is_empty();
            prop_assert_eq!(ours, theirs, "event {} (left: ours)", event);
            hits.set(hits.get() + u32::from(ours));
        }
        compared.set(compared.get() + 1);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let (compared, hits, cases) = (compared.get(), hits.get(), runner.config().cases);
    assert!(compared > cases / 2 && hits > cases / 4, "{compared} of {cases} rules compared, {hits} matches");
}
