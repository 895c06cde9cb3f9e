//! Correlations, clause by clause: `tests/cases/detect/correlations/*.yml`.
//!
//! A case has rules, events with their times in seconds, and the alerts that must be raised: which
//! rule, and when its window ended. `limits` may narrow what is remembered.

use std::path::PathBuf;

use lanner::base::yaml::{self, Node};
use lanner::detect::correlation::{Correlator, Limits, Sight, View};
use lanner::detect::{self, RuleSet, Schema, Source};
use lanner::event::{Fields, value};
use serde_json::Value as Json;

#[test]
fn every_timeline_raises_its_alerts() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/detect/correlations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut failures, mut checked) = (Vec::new(), 0);
    for file in files {
        let documents = yaml::parse(&super::read(&file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in documents.first().and_then(Node::as_list).expect("a list of cases") {
            checked += 1;
            let name = case.get("name").and_then(Node::as_text).expect("a case has a name");
            assert!(case.get("clause").is_some(), "{name}: which clause?");
            if let Err(failure) = check(&case.to_json()) {
                failures.push(format!("{name}: {failure}"));
            }
        }
    }
    assert!(checked >= 30, "only {checked} cases were read");
    assert!(failures.is_empty(), "{} of {checked}:\n{}", failures.len(), failures.join("\n"));
}

fn check(case: &Json) -> Result<(), String> {
    let set = rules(case)?;
    let mut correlator = Correlator::new(&set, limits(case), false);
    let mut raised = Vec::new();
    for (index, event) in case["events"].as_array().expect("a case has events").iter().enumerate() {
        let mut members = event.as_object().expect("an event is a mapping").clone();
        let at = millis(members.remove("at").expect("an event has a time").as_f64());
        let arrival = members.remove("arrival").map(|arrival| millis(arrival.as_f64()));
        let id = members.remove("id").map_or_else(|| format!("event {index}"), |id| id.to_string());
        let source = members.remove("source").map(|source| source.to_string()).unwrap_or_default();
        let fields: Fields = value::from_json(Json::Object(members));
        let view = View { fields: &fields, nested: true };
        let sight = Sight { id: &id, time_millis: at, arrival_millis: arrival, source: &source, view };
        for fired in correlator.observe(&set, &set.open_hits(&fields), &sight) {
            let rule = set.rule(fired.rule).expect("it is a rule of the set");
            if !rule.silent {
                raised.push((rule.title.clone(), rule.name.clone(), fired.until_millis));
            }
        }
    }
    let wanted = case["alerts"].as_array().expect("a case has alerts, if none");
    let fits = raised.len() == wanted.len()
        && raised.iter().zip(wanted).all(|((title, name, until), wanted)| {
            let rule = wanted["rule"].as_str();
            (rule == Some(title) || rule == name.as_deref()) && millis(wanted["at"].as_f64()) == *until
        });
    if !fits {
        return Err(format!("raised {raised:?} instead of {}", case["alerts"]));
    }
    let counts = correlator.counts();
    for (what, found) in [
        ("late", counts.late),
        ("groups", counts.groups as u64),
        ("evictions", counts.evictions.iter().sum()),
        ("uncounted", counts.uncounted.iter().sum()),
    ] {
        match case["counts"].get(what).and_then(Json::as_u64) {
            Some(wanted) if wanted != found => return Err(format!("{what}: {found} instead of {wanted}")),
            Some(_) | None => {}
        }
    }
    Ok(())
}

fn rules(case: &Json) -> Result<RuleSet, String> {
    let documents = case["rules"].as_array().expect("a case has rules");
    let text: Vec<String> = documents.iter().map(ToString::to_string).collect();
    detect::load(&[Source::new("rules.yml", text.join("\n---\n"))], &Schema::open())
        .map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn limits(case: &Json) -> Limits {
    let of = |name: &str| case["limits"].get(name).and_then(Json::as_u64);
    let count = |name: &str, otherwise: usize| of(name).map_or(otherwise, |count| usize::try_from(count).unwrap());
    let otherwise = Limits::default();
    Limits {
        lateness_millis: of("lateness").map_or(otherwise.lateness_millis, |seconds| seconds.cast_signed() * 1000),
        groups_max: count("groups_max", otherwise.groups_max),
        group_entries_max: count("group_entries_max", otherwise.group_entries_max),
        bytes_max: count("bytes_max", otherwise.bytes_max),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "cases are written by hand")]
fn millis(seconds: Option<f64>) -> i64 {
    (seconds.expect("a time in seconds") * 1000.0).round() as i64
}
