//! Correlations computed the slow way: all events kept, every window counted anew.
//!
//! It shares no code with the engine, only the meaning that `docs/correlation.md` states.

use std::collections::{BTreeMap, BTreeSet};

/// An event of a random timeline.
#[derive(Debug, Clone)]
pub struct Happening {
    pub at: i64,
    /// Which of the rules it matches: 0 to 2.
    pub kind: usize,
    pub user: Option<u8>,
    pub number: i32,
    pub id: u16,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Question {
    CountAtLeast(usize),
    CountBelow(usize),
    ValuesAtLeast(usize),
    SumAbove(i32),
    MeanAbove(i32),
    MedianAbove(i32),
    All,
    AllInOrder,
    FirstWithoutThird,
}

#[derive(Debug, Default)]
struct Group {
    /// Time, arrival, kind, number.
    entries: Vec<(i64, usize, usize, i32)>,
    /// Id and time.
    ids: Vec<(u16, i64)>,
    fired: Vec<i64>,
}

/// Alerts in the order in which they are raised: group and end of window.
pub fn alerts(question: Question, timespan: i64, lateness: i64, events: &[Happening]) -> Vec<(u8, i64)> {
    let mut groups: BTreeMap<u8, Group> = BTreeMap::new();
    let (mut raised, mut clock) = (Vec::new(), i64::MIN);
    for (arrival, event) in events.iter().enumerate() {
        if event.at < clock.saturating_sub(lateness) {
            continue;
        }
        clock = clock.max(event.at);
        let Some(user) = event.user else { continue };
        if !counts(question, event.kind) {
            continue;
        }
        let group = groups.entry(user).or_default();
        let newest = group.entries.iter().map(|entry| entry.0).max();
        let late = newest.is_some_and(|newest| event.at < newest - lateness);
        let repeat = group.ids.iter().any(|(id, at)| *id == event.id && (at - event.at).abs() <= timespan);
        if late || repeat {
            continue;
        }
        group.ids.push((event.id, event.at));
        group.entries.push((event.at, arrival, event.kind, event.number));
        let ends: BTreeSet<i64> = group.entries.iter().map(|entry| entry.0).collect();
        for end in ends.into_iter().filter(|end| (event.at..=event.at + timespan).contains(end)) {
            if group.fired.iter().any(|fired| (end - fired).abs() <= timespan) {
                continue;
            }
            let mut window: Vec<_> =
                group.entries.iter().filter(|entry| (end - timespan..=end).contains(&entry.0)).copied().collect();
            window.sort_unstable();
            if holds(question, &window) {
                group.fired.push(end);
                raised.push((user, end));
            }
        }
    }
    raised
}

/// Questions about numbers are put to the first rule only.
const fn counts(question: Question, kind: usize) -> bool {
    match question {
        Question::All | Question::AllInOrder | Question::FirstWithoutThird => true,
        Question::CountAtLeast(_)
        | Question::CountBelow(_)
        | Question::ValuesAtLeast(_)
        | Question::SumAbove(_)
        | Question::MeanAbove(_)
        | Question::MedianAbove(_) => kind == 0,
    }
}

fn holds(question: Question, window: &[(i64, usize, usize, i32)]) -> bool {
    let numbers: Vec<i32> = window.iter().map(|entry| entry.3).collect();
    let sum: i32 = numbers.iter().sum();
    let length = i32::try_from(window.len()).expect("timelines are small");
    let has = |kind: usize| window.iter().any(|entry| entry.2 == kind);
    match question {
        Question::CountAtLeast(least) => window.len() >= least,
        Question::CountBelow(most) => window.len() < most,
        Question::ValuesAtLeast(least) => numbers.iter().collect::<BTreeSet<_>>().len() >= least,
        Question::SumAbove(bound) => sum > bound,
        Question::MeanAbove(bound) => sum > bound * length,
        Question::MedianAbove(bound) => {
            let mut sorted = numbers;
            sorted.sort_unstable();
            let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
            low + high > 2 * bound
        }
        Question::All => has(0) && has(1) && has(2),
        Question::FirstWithoutThird => has(0) && !has(2),
        Question::AllInOrder => {
            // Every choice of three.
            window.iter().enumerate().any(|(first, one)| {
                one.2 == 0
                    && window
                        .iter()
                        .enumerate()
                        .skip(first + 1)
                        .any(|(second, two)| two.2 == 1 && window.iter().skip(second + 1).any(|three| three.2 == 2))
            })
        }
    }
}

impl Question {
    pub const ALL: [Self; 11] = [
        Self::CountAtLeast(1),
        Self::CountAtLeast(3),
        Self::CountBelow(2),
        Self::ValuesAtLeast(3),
        Self::SumAbove(6),
        Self::MeanAbove(2),
        Self::MedianAbove(2),
        Self::All,
        Self::AllInOrder,
        Self::FirstWithoutThird,
        Self::SumAbove(-3),
    ];

    /// The `correlation` of a rule that asks this, without group and timespan.
    pub fn rule(self) -> serde_json::Value {
        let of = |kind: &str, condition: serde_json::Value| serde_json::json!({"type": kind, "rules": ["k0"], "condition": condition});
        let every = |kind: &str| serde_json::json!({"type": kind, "rules": ["k0", "k1", "k2"]});
        match self {
            Self::CountAtLeast(least) => of("event_count", serde_json::json!({"gte": least})),
            Self::CountBelow(most) => of("event_count", serde_json::json!({"lt": most})),
            Self::ValuesAtLeast(least) => of("value_count", serde_json::json!({"field": "number", "gte": least})),
            Self::SumAbove(bound) => of("value_sum", serde_json::json!({"field": "number", "gt": bound})),
            Self::MeanAbove(bound) => of("value_avg", serde_json::json!({"field": "number", "gt": bound})),
            Self::MedianAbove(bound) => of("value_median", serde_json::json!({"field": "number", "gt": bound})),
            Self::All => every("temporal"),
            Self::AllInOrder => every("temporal_ordered"),
            Self::FirstWithoutThird => {
                serde_json::json!({"type": "temporal", "rules": ["k0", "k1", "k2"], "condition": "k0 and not k2"})
            }
        }
    }
}
