//! Windows of many entries: what is kept up while entries come, late ones too, and go is what anyone
//! would compute from the window's entries alone.

use std::collections::BTreeSet;

use lanner::detect::correlation::{Correlator, Limits, Sight, View};
use lanner::detect::{self, RuleSet, Schema, Source};
use lanner::event::value;
use serde_json::json;

use crate::support::Numbers;

const TIMESPAN: i64 = 60_000;
const LATENESS: i64 = 300_000;

#[derive(Debug, Clone)]
struct Seen {
    at: i64,
    arrival: usize,
    kind: usize,
    numbers: Vec<f64>,
}

fn set_of(kinds: usize, correlation: &serde_json::Value) -> RuleSet {
    let rule = |kind: usize| {
        json!({
            "title": format!("Kind {kind}"), "name": format!("k{kind}"), "logsource": {"category": "test"},
            "detection": {"s": {"kind": kind}, "condition": "s"}
        })
    };
    let mut documents: Vec<String> = (0..kinds).map(|kind| rule(kind).to_string()).collect();
    let mut correlation = correlation.clone();
    correlation["rules"] = json!((0..kinds).map(|kind| format!("k{kind}")).collect::<Vec<_>>());
    correlation["timespan"] = json!(format!("{}s", TIMESPAN / 1000));
    documents.push(json!({"title": "All", "correlation": correlation, "level": "high"}).to_string());
    detect::load(&[Source::new("rules.yml", documents.join("\n---\n"))], &Schema::open())
        .unwrap_or_else(|found| panic!("{}", found[0]))
}

/// Ends of the windows that are told of.
fn told(set: &RuleSet, events: &[Seen]) -> Vec<i64> {
    let limits = Limits { lateness_millis: LATENESS, ..Limits::default() };
    let mut correlator = Correlator::new(set, limits, false);
    let observe = |event: &Seen| {
        let facts = value::from_json(json!({"kind": event.kind, "v": event.numbers}));
        let (id, view) = (event.arrival.to_string(), View { fields: &facts, nested: false });
        let sight = Sight { id: &id, time_millis: event.at, arrival_millis: None, source: "", view };
        correlator.observe(set, &set.open_hits(&facts), &sight).iter().map(|one| one.until_millis).collect::<Vec<_>>()
    };
    events.iter().flat_map(observe).collect()
}

/// The same from the window's entries alone, for each event that comes.
fn naive(events: &[Seen], holds: impl Fn(&[&Seen]) -> bool) -> Vec<i64> {
    let (mut fired, mut kept): (Vec<i64>, Vec<&Seen>) = (Vec::new(), Vec::new());
    for event in events {
        kept.insert(kept.partition_point(|other| other.at <= event.at), event);
        let ends: BTreeSet<i64> = kept.iter().map(|entry| entry.at).collect();
        for end in ends.range(event.at..=event.at + TIMESPAN) {
            if fired.iter().any(|told| (end - told).abs() <= TIMESPAN) {
                continue;
            }
            let window: Vec<&Seen> =
                kept.iter().filter(|entry| (end - TIMESPAN..=*end).contains(&entry.at)).copied().collect();
            if holds(&window) {
                fired.push(*end);
            }
        }
    }
    fired
}

/// Some hundred events in each window, one in eight late by up to two windows.
fn stream(length: usize, kinds: u64, numbers: usize, seed: u64) -> Vec<Seen> {
    let mut dice = Numbers(seed);
    let mut small = |below: u64| i64::try_from(dice.below(below)).expect("it is small");
    let mut now = 1_000_000;
    (0..length)
        .map(|arrival| {
            now += small(500);
            let back = if small(8) == 0 { small(120_000) } else { 0 };
            // The last kinds are rare.
            let kind = usize::try_from(small(kinds).min(small(kinds * 3))).expect("it is small");
            #[expect(clippy::cast_precision_loss, reason = "quarters of small numbers")]
            let numbers = (0..numbers).map(|_| (small(4_000) - 2_000) as f64 / 4.0).collect();
            Seen { at: now - back, arrival, kind, numbers }
        })
        .collect()
}

fn numbers_of(window: &[&Seen]) -> Vec<f64> {
    window.iter().flat_map(|entry| entry.numbers.iter().copied()).collect()
}

/// Both agree, and there was something to agree upon.
fn agree(kinds: usize, correlation: &serde_json::Value, events: &[Seen], holds: impl Fn(&[&Seen]) -> bool) {
    let (ours, wanted) = (told(&set_of(kinds, correlation), events), naive(events, holds));
    assert_eq!(ours, wanted, "{correlation}");
    assert!(!wanted.is_empty(), "{correlation} was never told");
}

#[test]
fn percentiles_and_medians_of_many_numbers() {
    let events = stream(1_200, 1, 4, 11);
    let quantile = |window: &[&Seen], share: f64| {
        let mut sorted = numbers_of(window);
        sorted.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "windows are small")]
        let rank = share * (sorted.len() - 1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank in a list")]
        let below = rank as usize;
        let above = (below + 1).min(sorted.len() - 1);
        (sorted[above] - sorted[below]).mul_add(rank - rank.floor(), sorted[below])
    };
    for (percentile, bound) in [(50, 40.0), (90, 420.0), (99, 494.0)] {
        let condition = json!({"field": "v", "percentile": percentile, "gte": bound});
        let correlation = json!({"type": "value_percentile", "condition": condition});
        agree(1, &correlation, &events, |window| quantile(window, f64::from(percentile) / 100.0) >= bound);
    }
    let correlation = json!({"type": "value_median", "condition": {"field": "v", "lt": -30.0}});
    agree(1, &correlation, &events, |window| quantile(window, 0.5) < -30.0);
}

#[test]
fn sums_and_averages_of_many_numbers() {
    let events = stream(1_200, 1, 4, 12);
    // Quarters are added up without loss, so any order gives the same sum.
    let correlation = json!({"type": "value_sum", "condition": {"field": "v", "gt": 12_000.25}});
    agree(1, &correlation, &events, |window| numbers_of(window).iter().sum::<f64>() > 12_000.25);
    #[expect(clippy::cast_precision_loss, reason = "windows are small")]
    let average = |window: &[&Seen]| numbers_of(window).iter().sum::<f64>() / numbers_of(window).len() as f64;
    let correlation = json!({"type": "value_avg", "condition": {"field": "v", "lt": -20.5}});
    agree(1, &correlation, &events, |window| average(window) < -20.5);
}

#[test]
fn chains_of_rules_one_after_the_other() {
    let events = stream(1_500, 9, 0, 13);
    let longest = |window: &[&Seen]| {
        let mut ends = [0; 9];
        for entry in window {
            let before = ends[..entry.kind].iter().max().copied().unwrap_or(0);
            ends[entry.kind] = ends[entry.kind].max(before + 1);
        }
        ends.into_iter().max().unwrap_or(0)
    };
    for wanted in [4, 6, 8] {
        let correlation = json!({"type": "temporal_ordered", "condition": {"gte": wanted}});
        agree(9, &correlation, &events, |window| longest(window) >= wanted);
    }
    let in_order = |window: &[&Seen], wanted: &[usize]| {
        let mut left = wanted.iter().peekable();
        for entry in window {
            let _ = left.next_if(|next| **next == entry.kind);
        }
        left.peek().is_none()
    };
    let has = |window: &[&Seen], kind: usize| window.iter().any(|entry| entry.kind == kind);
    // Which rules are to be in order changes with those that matched.
    let correlation = json!({"type": "temporal_ordered", "condition": "k4 and (k5 or k6 or k7) and not k8"});
    agree(9, &correlation, &events, |window| {
        let wanted: Vec<usize> = (4..8).filter(|kind| has(window, *kind)).collect();
        has(window, 4) && wanted.len() > 1 && !has(window, 8) && in_order(window, &wanted)
    });
}

#[test]
fn sums_of_floats_lose_nothing() {
    let exact = |numbers: &[f64], sum: f64| {
        let correlation = |condition| json!({"type": "value_sum", "condition": condition});
        let one = |arrival, numbers: &[f64]| Seen { at: 1_000_000, arrival, kind: 0, numbers: numbers.to_vec() };
        let equal = set_of(1, &correlation(json!({"field": "v", "eq": sum})));
        assert_eq!(told(&equal, &[one(0, numbers)]).len(), 1, "{numbers:?} are {sum}");
        let backwards: Vec<f64> = numbers.iter().rev().copied().collect();
        assert_eq!(told(&equal, &[one(0, &backwards)]).len(), 1, "{backwards:?} are {sum}");
    };
    exact(&[1e16, 1.0, -1e16], 1.0);
    exact(&[1e308, 1e308, -1e308], 1e308);
    exact(&[0.1; 10], 1.0);
    exact(&[5e-324, 5e-324, 5e-324], 1.5e-323);
    exact(&[1e300, -1e-300, -1e300], -1e-300);
    exact(&[f64::MAX, -f64::MAX, 0.5], 0.5);
    // Half way between two doubles, and a little beyond it.
    exact(&[9_007_199_254_740_992.0, 1.0], 9_007_199_254_740_992.0);
    exact(&[9_007_199_254_740_992.0, 1.0, 1e-300], 9_007_199_254_740_994.0);
    exact(&[-9_007_199_254_740_992.0, -1.0, -1e-300], -9_007_199_254_740_994.0);
    exact(&[2.0_f64.powi(-1022), -5e-324], f64::from_bits(0x000f_ffff_ffff_ffff));
    // A large number that has gone leaves nothing behind.
    let set = set_of(1, &json!({"type": "value_sum", "condition": {"field": "v", "eq": 0.2}}));
    let one = |arrival: usize, at, number| Seen { at, arrival, kind: 0, numbers: vec![number] };
    let events = [one(0, 0, 1e30), one(1, 50_000, 0.1), one(2, 70_000, 0.1), one(3, 90_000, 1.0)];
    assert_eq!(
        told(&set, &events),
        naive(&events, |window| (numbers_of(window).iter().sum::<f64>() - 0.2).abs() < 1e-9)
    );
}
