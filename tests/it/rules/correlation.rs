//! The correlator against a naive one, beyond restarts and reloads, and within its bounds.

use lanner::detect::correlation::{Correlator, Fired, Limits, Sight, View};
use lanner::detect::{self, RuleSet, Schema, Source};
use lanner::event::correlation::Memo;
use lanner::event::{Fields, Value};
use lanner::state::Notebook;
use proptest::prelude::*;

use super::naive::{self, Happening, Question};
use crate::support::Numbers;

const TIMESPAN: i64 = 10_000;

/// Three rules, one for each kind, and the correlations.
fn set_of(correlations: &[(String, serde_json::Value)]) -> RuleSet {
    let mut documents: Vec<String> = (0..3)
        .map(|kind| {
            serde_json::json!({
                "title": format!("Kind {kind}"), "name": format!("k{kind}"), "logsource": {"category": "test"},
                "detection": {"s": {"kind": kind}, "condition": "s"}
            })
            .to_string()
        })
        .collect();
    documents.extend(correlations.iter().map(|(title, correlation)| {
        serde_json::json!({"title": title, "correlation": correlation, "level": "high"}).to_string()
    }));
    detect::load(&[Source::new("rules.yml", documents.join("\n---\n"))], &Schema::open())
        .unwrap_or_else(|found| panic!("{}", found[0]))
}

fn asking(question: Question) -> (String, serde_json::Value) {
    let mut rule = question.rule();
    rule["group-by"] = serde_json::json!(["user"]);
    rule["timespan"] = serde_json::json!("10s");
    (format!("{question:?}"), rule)
}

fn observe(correlator: &mut Correlator, set: &RuleSet, event: &Happening) -> Vec<Fired> {
    let mut fields = Fields::from([
        ("kind".to_owned(), Value::from(event.kind)),
        ("number".to_owned(), Value::Int(event.number.into())),
    ]);
    if let Some(user) = event.user {
        fields.insert("user".to_owned(), Value::from(user.to_string()));
    }
    let id = event.id.to_string();
    let view = View { fields: &fields, nested: false };
    let sight = Sight { id: &id, time_millis: event.at, arrival_millis: None, source: "", view };
    correlator.observe(set, &set.open_hits(&fields), &sight)
}

fn told(fired: &[Fired]) -> Vec<(u8, i64)> {
    fired.iter().map(|fired| (fired.group_text().parse().expect("users are numbers"), fired.until_millis)).collect()
}

fn timelines() -> impl Strategy<Value = Vec<Happening>> {
    // Mostly forward, with steps back of up to half a minute and many equal times.
    let happening = (-30_i64..12, 0..3_usize, prop::option::weighted(0.95, 0..2_u8), -3..5_i32, 0..60_u16);
    prop::collection::vec(happening, 1..50).prop_map(|steps| {
        let mut now = 100_000;
        let mut happening = |(step, kind, user, number, id): (i64, usize, Option<u8>, i32, u16)| {
            let at = if step < -8 { now + step.max(-20) * 1000 } else { now + step.max(0) * 1000 };
            now = now.max(at);
            Happening { at, kind, user, number, id }
        };
        steps.into_iter().map(&mut happening).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_a_naive_one(events in timelines(), lateness in prop::sample::select(vec![0_i64, 5_000, 300_000])) {
        let limits = Limits { lateness_millis: lateness, ..Limits::default() };
        for question in Question::ALL {
            let set = set_of(&[asking(question)]);
            let mut correlator = Correlator::new(&set, limits, false);
            let fired: Vec<Fired> = events.iter().flat_map(|event| observe(&mut correlator, &set, event)).collect();
            let expected = naive::alerts(question, TIMESPAN, lateness, &events);
            prop_assert_eq!(told(&fired), expected, "{:?}", question);
        }
    }
}

/// A long random stream over many users.
fn stream(length: usize, users: u64, seed: u64) -> Vec<Happening> {
    let mut numbers = Numbers(seed);
    let mut now: i64 = 1_000_000;
    let mut happening = |id: usize| {
        now += i64::try_from(numbers.below(700)).expect("it is small");
        let back = if numbers.below(8) == 0 { i64::try_from(numbers.below(9000)).expect("it is small") } else { 0 };
        Happening {
            at: now - back,
            kind: usize::try_from(numbers.below(3)).expect("it is small"),
            user: u8::try_from(numbers.below(users)).ok(),
            number: i32::try_from(numbers.below(9)).expect("it is small") - 3,
            id: u16::try_from(id % 60_000).expect("it is small"),
        }
    };
    (0..length).map(&mut happening).collect()
}

fn everything() -> RuleSet {
    set_of(&Question::ALL.map(asking))
}

/// The same stream through a correlator that dies now and then, and is restored from what was
/// committed; what came after the last commit comes again.
fn with_deaths(set: &RuleSet, limits: Limits, events: &[Happening], seed: u64) -> (Vec<String>, Correlator) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let mut notebook = Notebook::open(&directory.path().join("notes")).expect("it can be opened");
    let mut numbers = Numbers(seed);
    let (mut committed, mut at, mut kept) = (Vec::new(), 0, 0);
    let mut alerts: Vec<String> = Vec::new();
    let mut correlator = Correlator::restore(set, limits).done().0;
    while at < events.len() {
        for fired in observe(&mut correlator, set, &events[at]) {
            alerts.push(serde_json::to_string(&(fired.id.clone(), fired.evidence())).expect("it is JSON"));
        }
        at += 1;
        match numbers.below(40) {
            0 => {
                let memos = correlator.take_memos();
                notebook.commit(&memos, &[("at", at.to_string())]).expect("it commits");
                committed.clone_from(&alerts);
                kept = at;
            }
            1 => {
                // Dead: what was not committed is gone.
                alerts.clone_from(&committed);
                at = kept;
                let mut restoring = Correlator::restore(set, limits);
                notebook.remembered(&mut |memo| restoring.take(memo)).expect("it can be read");
                let (restored, unreadable) = restoring.done();
                assert_eq!(unreadable, 0);
                correlator = restored;
            }
            _ => {}
        }
    }
    (alerts, correlator)
}

#[test]
fn deaths_change_nothing() {
    let set = everything();
    let tight = Limits { groups_max: 25, bytes_max: 40_000, group_entries_max: 30, ..Limits::default() };
    for (limits, seed) in [(Limits::default(), 1), (tight, 2), (Limits { lateness_millis: 2000, ..tight }, 3)] {
        let events = stream(3000, 12, seed);
        let mut whole = Correlator::new(&set, limits, true);
        let fired: Vec<Fired> = events.iter().flat_map(|event| observe(&mut whole, &set, event)).collect();
        let expected: Vec<String> =
            fired.iter().map(|fired| serde_json::to_string(&(fired.id.clone(), fired.evidence())).unwrap()).collect();
        assert!(expected.len() > 100, "only {} alerts", expected.len());
        let (alerts, correlator) = with_deaths(&set, limits, &events, seed);
        assert_eq!(alerts.len(), expected.len());
        for (index, (alert, expected)) in alerts.iter().zip(&expected).enumerate() {
            assert_eq!(alert, expected, "alert {index} of seed {seed}");
        }
        let (held, before) = (correlator.counts(), whole.counts());
        assert_eq!((held.groups, held.entries, held.bytes), (before.groups, before.entries, before.bytes));
        if limits.groups_max < 100 {
            assert!(before.evictions.iter().sum::<u64>() > 0, "nothing was evicted: {before:?}");
        }
    }
}

#[test]
fn what_is_remembered_stays_within_its_bounds() {
    let set = everything();
    let limits = Limits { groups_max: 40, bytes_max: 60_000, group_entries_max: 20, ..Limits::default() };
    let mut correlator = Correlator::new(&set, limits, false);
    for event in stream(5000, 200, 5) {
        observe(&mut correlator, &set, &event);
        let counts = correlator.counts();
        assert!(counts.groups <= 40 && counts.bytes <= 60_000, "{counts:?}");
        assert!(counts.entries <= counts.groups * 20, "{counts:?}");
    }
    let counts = correlator.counts();
    assert!(counts.evictions.iter().sum::<u64>() > 100, "{counts:?}");
}

#[test]
fn groups_that_nothing_can_reach_any_more_are_let_go() {
    let set = everything();
    let mut correlator = Correlator::new(&set, Limits { lateness_millis: 1000, ..Limits::default() }, false);
    for event in stream(4000, 250, 9) {
        observe(&mut correlator, &set, &event);
    }
    let counts = correlator.counts();
    // Twelve seconds of events, three a second, in eleven correlations.
    assert!(counts.groups < 1500 && counts.evictions == [0; 3], "{counts:?}");
}

#[test]
fn a_reload_keeps_what_asks_the_same() {
    let happening = |at, id| Happening { at, kind: 0, user: Some(1), number: 1, id };
    let three = asking(Question::CountAtLeast(3));
    let old = set_of(&[three.clone(), asking(Question::ValuesAtLeast(3))]);
    // The rules stand in another order, one correlation is gone, one new.
    let new = set_of(&[asking(Question::All), three.clone()]);
    let mut correlator = Correlator::new(&old, Limits::default(), true);
    assert!(observe(&mut correlator, &old, &happening(0, 1)).is_empty());
    assert!(observe(&mut correlator, &old, &happening(1, 2)).is_empty());
    assert_eq!(correlator.counts().groups, 2);
    correlator.adopt(&new);
    assert_eq!(correlator.counts().groups, 1, "the group of the correlation that is still there");
    let fired = observe(&mut correlator, &new, &happening(2, 3));
    assert_eq!(fired.iter().map(|fired| fired.events).collect::<Vec<_>>(), [3]);
    let dropped = correlator.take_memos().into_iter().filter(|memo| matches!(memo, Memo::Drop { .. })).count();
    assert_eq!(dropped, 1);
    // One that asks something else begins anew.
    let mut changed = three.1;
    changed["timespan"] = serde_json::json!("11s");
    correlator.adopt(&set_of(&[("Changed".to_owned(), changed)]));
    assert_eq!(correlator.counts().groups, 0);
}

#[test]
fn an_alert_shows_its_window_and_the_events_that_made_it() {
    let set = set_of(&[asking(Question::CountAtLeast(100))]);
    let mut correlator = Correlator::new(&set, Limits::default(), false);
    let mut fired = Vec::new();
    for id in 0..100 {
        let event = Happening { at: i64::from(id) * 10, kind: 0, user: Some(7), number: 1, id };
        fired.extend(observe(&mut correlator, &set, &event));
    }
    let [fired] = fired.as_slice() else { panic!("{} alerts", fired.len()) };
    let evidence = fired.evidence();
    assert_eq!(evidence["user"], "7");
    let correlation = &evidence["correlation"];
    assert_eq!(correlation["value"], 100);
    assert_eq!(correlation["from"], "1970-01-01T00:00:00Z");
    assert_eq!(correlation["until"], "1970-01-01T00:00:00.99Z");
    let shown = correlation["shown"].as_array().expect("events are shown");
    let ids: Vec<_> = shown.iter().filter_map(|event| event["id"].as_str()).collect();
    let expected: Vec<String> = (0..8).chain(84..100).map(|id| id.to_string()).collect();
    assert_eq!(ids, expected, "the first and the last");
    assert_eq!((&shown[0]["rule"], &shown[0]["fields"]["kind"]), (&"Kind 0".into(), &0.into()));
}

#[test]
fn hostile_times_and_values_end() {
    let set = everything();
    let mut correlator = Correlator::new(&set, Limits::default(), true);
    for (id, at) in [i64::MIN, 0, i64::MAX, i64::MIN, i64::MAX, 5, -1].into_iter().enumerate() {
        let id = u16::try_from(id).expect("it is small");
        observe(&mut correlator, &set, &Happening { at, kind: usize::from(id % 3), user: Some(0), number: 1, id });
    }
    let fields = Fields::from([
        ("kind".to_owned(), Value::Int(0)),
        ("user".to_owned(), Value::from("x".repeat(1 << 20))),
        ("number".to_owned(), Value::Int(i128::MAX)),
    ]);
    let view = View { fields: &fields, nested: true };
    for id in 0..50 {
        let id = format!("{id}{}", "y".repeat(1 << 16));
        let sight = Sight { id: &id, time_millis: i64::MAX, arrival_millis: Some(i64::MAX), source: "s", view };
        correlator.observe(&set, &set.open_hits(&fields), &sight);
    }
    let counts = correlator.counts();
    assert!(counts.bytes < 2_000_000, "long values are not kept whole: {counts:?}");
    for number in 0..5000 {
        let source = format!("source {number}");
        let sight = Sight { id: "z", time_millis: 0, arrival_millis: None, source: &source, view };
        correlator.observe(&set, &[], &sight);
    }
    let memos = correlator.take_memos();
    let sources = memos.iter().filter(|memo| matches!(memo, Memo::Watermark { .. })).count();
    assert!(sources <= 1025, "{sources} sources are followed");
}

#[test]
fn an_event_counts_once_in_each_of_its_groups() {
    let rule = |name: &str, text: &str| {
        serde_json::json!({"title": name, "name": name, "logsource": {"category": "test"},
            "detection": {"s": {"k|contains": text}, "condition": "s"}})
    };
    let counts = serde_json::json!({"title": "Both", "correlation": {
        "type": "event_count", "rules": ["ra", "rb"], "group-by": ["host"], "timespan": "1m", "condition": {"gte": 2},
        "aliases": {"host": {"ra": "src", "rb": "dst"}}}});
    let documents = [rule("ra", "a"), rule("rb", "b"), counts].map(|one| one.to_string()).join("\n---\n");
    let set = detect::load(&[Source::new("rules.yml", documents)], &Schema::open()).unwrap();
    let told = |events: &[serde_json::Value]| {
        let mut correlator = Correlator::new(&set, Limits::default(), false);
        let mut groups = Vec::new();
        for (number, event) in events.iter().enumerate() {
            let fields = lanner::event::value::from_json(event.clone());
            let (id, view) = (number.to_string(), View { fields: &fields, nested: false });
            let sight = Sight { id: &id, time_millis: 1_000_000, arrival_millis: None, source: "", view };
            groups.extend(correlator.observe(&set, &set.open_hits(&fields), &sight).iter().map(Fired::group_text));
        }
        groups
    };
    // What the first rule makes of it hides nothing from the second.
    let (both, second) =
        (serde_json::json!({"k": "ab", "src": "A", "dst": "B"}), serde_json::json!({"k": "b", "dst": "B"}));
    assert_eq!(told(&[both.clone(), second.clone()]), ["B"]);
    assert_eq!(told(&[second.clone(), both.clone()]), ["B"]);
    assert_eq!(told(&[both.clone(), serde_json::json!({"k": "a", "src": "A"})]), ["A"]);
    // One event is one in a group, though both rules put it there.
    let twice = serde_json::json!({"k": "ab", "src": "B", "dst": "B"});
    assert_eq!(told(std::slice::from_ref(&twice)), Vec::<String>::new());
    assert_eq!(told(&[twice, second]), ["B"]);
}
