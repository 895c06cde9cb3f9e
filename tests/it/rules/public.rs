//! Rules in the manner of public ones, by the thousand; and public ones themselves where they are at
//! hand, which are not ours to ship.
//!
//! `LANNER_SIGMA_RULES` names a folder of them, `LANNER_SIGMA_REGRESSION` a file with one JSON object a
//! line: `rule` (its text), `events`, `expect_at_least`.

#[path = "../../../benches/corpus/mod.rs"]
#[expect(dead_code, reason = "the bench uses more of it")]
mod corpus;

use std::path::Path;

use lanner::detect::{self, Labels, RuleSet, Schema, Source};
use lanner::event::json;

fn load(sources: &[Source]) -> RuleSet {
    detect::load(sources, &Schema::open())
        .unwrap_or_else(|found| panic!("{} problems, the first: {}", found.len(), found[0]))
}

fn generated() -> Vec<Source> {
    let texts = corpus::rules::all(3_141).into_iter().enumerate();
    texts.map(|(number, text)| Source::new(format!("{number}.yml"), text)).collect()
}

/// So many of the regression file's rules may stay silent.
const SILENT_MAX: usize = 1;

#[test]
fn thousands_of_rules_load() {
    let (sources, least) = if let Ok(folder) = std::env::var("LANNER_SIGMA_RULES") {
        (lanner::agent::rules::read(Path::new(&folder)).expect("the rules can be read"), 1)
    } else {
        (generated(), 3_141)
    };
    let set = load(&sources);
    println!("{} files, {} rules", sources.len(), set.rules().len());
    assert!(set.rules().len() >= least && set.rules().len() >= sources.len() * 9 / 10);
}

#[test]
fn the_rules_of_a_regression_file_fire_on_their_events() {
    let Ok(path) = std::env::var("LANNER_SIGMA_REGRESSION") else {
        return own_events_fire();
    };
    let text = std::fs::read_to_string(path).expect("the file can be read");
    let (mut rules, mut silent) = (0, Vec::new());
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
        let set =
            load(&[Source::new(case["path"].as_str().unwrap_or_default(), case["rule"].as_str().expect("a rule"))]);
        let events = case["events"].as_array().expect("a list of events");
        let fired = events.iter().filter(|event| {
            let text = event.to_string();
            let hits = set.json_hits(&text, None).expect("it is JSON");
            assert_eq!(hits, set.open_hits(&json::fields(text.as_bytes()).expect("it is an object")));
            !hits.is_empty()
        });
        rules += 1;
        if (fired.count() as u64) < case["expect_at_least"].as_u64().unwrap_or(1) {
            silent.push(case["path"].to_string());
        }
    }
    println!("{} of {rules} rules fire", rules - silent.len());
    assert!(rules > 0 && silent.len() <= SILENT_MAX, "{silent:?}");
}

/// Generated events meet generated rules, alike by way of the program, of JSON and of the plain rules.
fn own_events_fire() {
    let set = load(&generated());
    let process = Labels { category: Some("process_creation"), product: Some("windows"), service: None };
    let mut matched = 0;
    for event in corpus::events::processes(300) {
        let fields = json::fields(event.as_bytes()).expect("it is an object");
        let plain = set.plain_hits(&fields);
        assert_eq!(set.open_hits(&fields), plain, "{event}");
        assert_eq!(set.json_hits(&event, None).expect("it is JSON"), plain, "{event}");
        let of_it = |number: &usize| {
            set.rule(*number).is_some_and(|rule| {
                rule.logsource.category.as_deref() == process.category
                    && rule.logsource.product.as_deref() == process.product
            })
        };
        let hits = set.json_hits(&event, Some(process)).expect("it is JSON");
        assert_eq!(hits, plain.iter().copied().filter(of_it).collect::<Vec<_>>(), "{event}");
        matched += hits.len();
    }
    assert!(matched > 20, "only {matched} matches");
}
