//! Rules and events that were written to hurt: no panic, and an end in reasonable time.

use std::fmt::Write as _;

use lanner::detect::{self, RuleSet, Schema, Source, shipped};
use lanner::event::{Fields, Value, value};
use proptest::prelude::*;
use serde_json::json;

use super::{declared, rule_of};

/// Loads a text both ways; only that it comes back matters.
fn try_text(text: &str) {
    let sources = [Source::new("hostile.yml", text)];
    for schema in [Schema::open(), declared()] {
        match detect::load(&sources, &schema) {
            Ok(set) => {
                set.test();
                set.matches_open(&Fields::new());
            }
            Err(found) => {
                assert!(!found.is_empty());
                assert!(found.iter().all(|diagnostic| !diagnostic.to_string().is_empty()));
            }
        }
    }
}

fn load(detection: &serde_json::Value) -> RuleSet {
    detect::load(&[rule_of("t", detection)], &Schema::open()).unwrap_or_else(|found| panic!("{}", found[0]))
}

#[test]
fn shipped_rules_cut_anywhere() {
    for source in shipped::sources().iter().step_by(7) {
        let cuts = source.text.char_indices().map(|(at, _)| at).step_by(3);
        for cut in cuts {
            try_text(source.text.get(..cut).unwrap());
        }
    }
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        for depth in [10, 60, 70, 5_000] {
            let nested = format!("{}x{}", open.repeat(depth), close.repeat(depth));
            try_text(&nested);
            try_text(&format!("title: t\nlogsource: {{category: a}}\ndetection:\n  s: {nested}\n  condition: s\n"));
        }
    }
}

#[test]
fn conditions_are_bounded() {
    for condition in [
        format!("{}s{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("{}s", "not ".repeat(5_000)),
        vec!["s"; 5_000].join(" and "),
        "s ".repeat(100_000),
    ] {
        let rule = rule_of("t", &json!({"s": {"f": "a"}, "condition": condition}));
        let found = detect::load(&[rule], &Schema::open()).unwrap_err();
        assert_eq!(found[0].code, "R020");
    }
}

#[test]
fn selections_named_again_and_again_are_bounded() {
    let values: Vec<String> = (0..500).map(|number| format!("a*{number}")).collect();
    let condition = vec!["1 of them"; 1_000].join(" and ");
    let rule = rule_of("t", &json!({"s": {"f": values}, "condition": condition}));
    let found = detect::load(&[rule], &Schema::open()).unwrap_err();
    assert_eq!(found[0].code, "R020");
}

#[test]
fn alias_bombs_are_refused() {
    let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (name, before) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f"), ("h", "g")] {
        let nine = vec![format!("*{before}"); 9].join(", ");
        writeln!(text, "{name}: &{name} [{nine}]").unwrap();
    }
    let found = detect::load(&[Source::new("bomb.yml", text)], &Schema::open()).unwrap_err();
    assert_eq!(found[0].code, "R001");
}

#[test]
fn files_that_are_too_large_are_refused() {
    let text = "#".repeat(5 << 20);
    let found = detect::load(&[Source::new("large.yml", text)], &Schema::open()).unwrap_err();
    assert_eq!(found[0].code, "R001");
}

#[test]
fn a_thousand_problems_are_not_all_kept() {
    let selections: serde_json::Map<_, _> =
        (0..2_000).map(|number| (format!("s{number}"), json!({"f|x": "a"}))).collect();
    let mut detection = json!({"condition": "1 of them"});
    detection.as_object_mut().unwrap().extend(selections);
    let found = detect::load(&[rule_of("t", &detection)], &Schema::open()).unwrap_err();
    assert!((100..=200).contains(&found.len()), "{}", found.len());
}

#[test]
fn long_values_and_bad_patterns_end() {
    let set = load(&json!({"s": {"f": "*a*a*a*a*a*a*a*a*a*a*b"}, "t": {"f|re": "(a*)*b"}, "condition": "s or t"}));
    let fields = Fields::from([("f".to_owned(), Value::from("a".repeat(1 << 20)))]);
    assert!(set.matches_open(&fields).is_empty());
}

#[test]
fn deep_events_end() {
    let mut value = json!("x");
    for _ in 0..100 {
        value = json!({"a": [value, value_of(3)]});
    }
    let set =
        load(&json!({"s": {vec!["a"; 100].join("."): "x"}, "k": ["nothing of the kind"], "condition": "1 of them"}));
    assert!(set.matches_open(&value::from_json(value)).is_empty());
}

/// Each of these would take seconds, or gigabytes, if it were taken at its word.
#[test]
fn rules_of_great_size_are_refused_quickly() {
    let many = |count: usize, text: &str| (0..count).map(|number| format!("{text}{number}")).collect::<Vec<_>>();
    let alternatives = vec!["a?b+c*d{3,9}"; 60_000].join("|");
    let cases = [
        ("R001", json!({"s": {"f": many(300_000, "a")}, "condition": "s"})),
        ("R018", json!({"s": {"f|contains": many(30_000, "a")}, "condition": "s"})),
        ("R018", json!({"s": many(30_000, "a"), "condition": "s"})),
        ("R017", json!({"s": {"f|re": "(a{1000}){1000}"}, "condition": "s"})),
        ("R017", json!({"s": {"f|re": "((((a{50}){50}){50}){50}){50}"}, "condition": "s"})),
        ("R017", json!({"s": {"f|re|i": r"(\w{100}){100}"}, "condition": "s"})),
        ("R017", json!({"s": {"f|re": alternatives}, "condition": "s"})),
        ("R017", json!({"s": {"f|re": many(2_000, "a[a-z]{20}")}, "condition": "s"})),
        ("R017", json!({"s": {"f|re": "(".repeat(100_000)}, "condition": "s"})),
        ("R016", json!({"s": {"f|windash|base64offset": " -a".repeat(50)}, "condition": "s"})),
    ];
    for (code, detection) in cases {
        let rule = rule_of("t", &detection);
        let begun = std::time::Instant::now();
        let found = detect::load(&[rule], &Schema::open()).unwrap_err();
        let shown = found[0].to_string();
        assert!(found.iter().any(|found| found.code == code), "{code} expected, not {shown}");
        assert!(shown.len() < 1_000, "{shown}");
        assert!(begun.elapsed().as_secs() < 10, "{code}: {:?} in a build without optimisation", begun.elapsed());
    }
}

/// Three megabytes of long texts, spelt in every way: the first event makes the program.
#[test]
fn long_texts_do_not_hold_up_the_first_event() {
    let values: Vec<String> = (0..300).map(|number| format!("{number}{}", "long text ".repeat(1_000))).collect();
    let set = detect::load(
        &[rule_of("t", &json!({"s": {"f|utf16|base64offset|contains": values}, "condition": "s"}))],
        &Schema::open(),
    )
    .unwrap_or_else(|found| panic!("{}", found[0]));
    let begun = std::time::Instant::now();
    assert!(set.json_hits("{\"f\": \"y\"}", None).expect("it is JSON").is_empty());
    assert!(begun.elapsed().as_secs() < 5, "{:?} in a build without optimisation", begun.elapsed());
}

#[test]
fn long_chains_of_conclusions_are_bounded() {
    let mut detection = serde_json::Map::new();
    let mut condition = vec!["s0".to_owned()];
    for number in 0..500 {
        detection.insert(format!("s{number}"), json!({format!("f{number}"): 1}));
        condition.push(format!("(not s{number} or s{})", number + 1));
    }
    detection.insert("s500".to_owned(), json!({"f": 1}));
    detection.insert("condition".to_owned(), json!(condition.join(" and ")));
    load(&serde_json::Value::Object(detection));
}

#[test]
fn correlations_of_great_size_are_refused() {
    let rule = "title: r\nname: r\nlogsource: {category: a}\ndetection: {s: {f: 1}, condition: s}\n";
    let correlation = |name: &str, parts: &[String], more: &str| {
        let parts = parts.join(", ");
        format!(
            "---\ntitle: {name}\nname: {name}\ncorrelation: {{type: temporal, rules: [{parts}], timespan: 1h{more}}}\n"
        )
    };
    // A chain that is too long, far too many parts, far too deep a condition.
    let links: String = (0..40)
        .rev()
        .map(|number| correlation(&format!("c{number}"), &["r".to_owned(), format!("c{}", number + 1)], ""))
        .collect();
    let chain = format!("{rule}{links}{}", correlation("c40", &["r".to_owned()], ""));
    let crowd = format!("{rule}{}", correlation("c", &vec!["r".to_owned(); 5_000], ""));
    let condition = format!(", condition: {}r{}", "(".repeat(200), ")".repeat(200));
    let deep = format!("{rule}{}", correlation("c", &["r".to_owned()], &condition));
    for (code, text) in [("R062", chain), ("R061", crowd), ("R020", deep)] {
        let found = detect::load(&[Source::new("c.yml", text)], &Schema::open()).unwrap_err();
        assert!(found.iter().any(|found| found.code == code), "{code}: {}", found[0]);
    }
}

#[test]
fn ten_thousand_filters_for_one_rule_are_one_expression() {
    let rule = "title: r\nname: r\nlogsource: {category: a}\ndetection: {s: {f: 1}, condition: s}\n";
    let filter =
        |number: usize| format!("---\ntitle: f\nfilter: {{rules: any, s: {{g: {number}}}, condition: not s}}\n");
    let filters: String = (0..9_000).map(filter).collect();
    let set = detect::load(&[Source::new("f.yml", format!("{rule}{filters}"))], &Schema::open()).unwrap();
    let fields = |other: i64| value::from_json(json!({"f": 1, "g": other}));
    assert_eq!(set.rules()[0].filters.len(), 9_000);
    assert!(set.matches_open(&fields(8_999)).is_empty());
    assert_eq!(set.matches_open(&fields(9_000)).len(), 1);
}

#[test]
fn placeholders_are_bounded() {
    let mut values = lanner::detect::Values::default();
    values.insert("many", (0..20_000).map(|number: i64| Value::from(number.to_string())).collect()).unwrap();
    values.insert("long", vec![Value::from("x".repeat(1 << 20)); 10]).unwrap();
    assert!(values.insert("more", vec![Value::from(1_i64); 20_001]).is_err());
    for text in ["%many%%many%", "%long%", "%many%.%long%"] {
        let loader = detect::Loader { schema: Schema::open(), values: values.clone() };
        let rule = rule_of("t", &json!({"s": {"f|expand": text}, "condition": "s"}));
        let found = loader.load(&[rule]).unwrap_err();
        assert_eq!(found[0].code, "R019", "{text}: {}", found[0]);
    }
}

fn value_of(number: i64) -> serde_json::Value {
    json!({"a": {"a": number}})
}

fn scalar() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|flag| json!(flag)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        "[ -~äΣ\\n\\\\*?%/]{0,12}".prop_map(|text| json!(text)),
    ]
}

fn modifiers() -> impl Strategy<Value = String> {
    let names = [
        "contains",
        "startswith",
        "endswith",
        "all",
        "neq",
        "cased",
        "exists",
        "windash",
        "base64",
        "base64offset",
        "wide",
        "utf16",
        "re",
        "i",
        "cidr",
        "lt",
        "gte",
        "fieldref",
        "expand",
        "hour",
        "week",
        "what",
    ];
    proptest::collection::vec(proptest::sample::select(names.to_vec()), 0..4)
        .prop_map(|names| [vec![""], names].concat().join("|"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_rule_or_a_diagnostic(text in "[ -~\\n:{}\\[\\]&*|>'\"-]{0,200}") {
        try_text(&text);
    }

    #[test]
    fn any_condition_is_read_or_refused(condition in "(s|t|x\\*|1 of |all of |not |and |or |\\(|\\)|them|é| ){0,20}") {
        let rule = rule_of("t", &json!({"s": {"f": 1}, "t": {"g": 2}, "condition": condition}));
        match detect::load(&[rule], &Schema::open()) {
            Ok(set) => prop_assert_eq!(set.rules().len(), 1),
            Err(found) => prop_assert!(found.iter().all(|found| matches!(found.code, "R020" | "R021" | "R022"))),
        }
    }

    #[test]
    fn any_item_meets_any_event(
        modifiers in modifiers(),
        values in proptest::collection::vec(scalar(), 0..4),
        event in proptest::collection::vec(scalar(), 0..4),
    ) {
        let detection = json!({"s": {format!("f{modifiers}"): values}, "condition": "s"});
        if let Ok(set) = detect::load(&[rule_of("t", &detection)], &Schema::open()) {
            let fields = value::from_json(json!({"f": event}));
            let hit = !set.matches_open(&fields).is_empty();
            let negated = json!({"s": {format!("f{modifiers}"): values}, "condition": "not s"});
            let negated = detect::load(&[rule_of("t", &negated)], &Schema::open()).unwrap();
            prop_assert_eq!(negated.matches_open(&fields).is_empty(), hit);
        }
    }
}

#[test]
fn thousands_of_expressions_fit_and_too_many_are_told_so() {
    let rule = |count: usize| {
        let all: Vec<String> = (0..count).map(|number| format!("a{number}b+c")).collect();
        detect::load(&[rule_of("t", &json!({"s": {"f|re": all}, "condition": "s"}))], &Schema::open())
    };
    let set = rule(1_200).unwrap_or_else(|found| panic!("{}", found[0]));
    assert_eq!(set.open_hits(&Fields::from([("f".to_owned(), Value::from("a1199bbc"))])), [0]);
    let found = rule(5_000).expect_err("it is beyond the bound");
    assert!(found.iter().all(|one| one.code == "R017"), "{}", found[0]);
    assert!(found[0].to_string().contains("of the rule take more than 33 MiB together"), "{}", found[0]);
}

#[test]
fn a_condition_that_names_too_much_is_told_once() {
    let mut detection = serde_json::Map::new();
    for number in 0..20_000 {
        detection.insert(format!("s{number}"), json!({"f": number}));
    }
    detection.insert("condition".to_owned(), json!(vec!["1 of s*"; 1_000].join(" and ")));
    let detection = serde_json::Value::from(detection);
    // One line of half a megabyte, in which places are looked for again and again.
    for title in ["t", "\u{e9}"] {
        let begun = std::time::Instant::now();
        let found = detect::load(&[rule_of(title, &detection)], &Schema::open()).expect_err("it is too much");
        assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), ["R020"], "{}", found[0]);
        assert!(begun.elapsed().as_secs() < 10, "{title}: {:?} in a build without optimisation", begun.elapsed());
    }
}
