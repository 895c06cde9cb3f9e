//! Any order of events: correlations agree with a naive computation, stay within their bounds, and
//! are the same after a death in the middle.

#![no_main]

#[path = "../../tests/it/rules/naive.rs"]
mod naive;

use std::collections::BTreeMap;

use lanner::detect::correlation::{Correlator, Fired, Limits, Sight, View};
use lanner::detect::{self, RuleSet, Schema, Source};
use lanner::event::correlation::Memo;
use lanner::event::{Fields, Value};
use libfuzzer_sys::{arbitrary::{self, Arbitrary}, fuzz_target};
use naive::{Happening, Question};

const TIMESPAN: i64 = 10_000;

#[derive(Debug, Arbitrary)]
struct Script {
    lateness: u8,
    groups_max: u8,
    entries_max: u8,
    /// After which event everything that was not committed is lost.
    death: u8,
    /// How many events before that the last commit was.
    lost: u8,
    events: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
struct Step {
    /// Half a second each, and back when negative.
    by: i8,
    kind: u8,
    user: u8,
    number: i8,
    id: u8,
}

fn set() -> RuleSet {
    let mut documents: Vec<String> = (0..3)
        .map(|kind| {
            format!("title: Kind {kind}\nname: k{kind}\nlogsource: {{category: test}}\ndetection: {{s: {{kind: {kind}}}, condition: s}}\n")
        })
        .collect();
    for question in Question::ALL {
        let mut rule = question.rule();
        rule["group-by"] = serde_json::json!(["user"]);
        rule["timespan"] = serde_json::json!("10s");
        let rule = serde_json::json!({"title": format!("{question:?}"), "correlation": rule, "level": "high"});
        documents.push(rule.to_string());
    }
    detect::load(&[Source::new("rules.yml", documents.join("\n---\n"))], &Schema::open()).expect("the rules are sound")
}

fn observe(correlator: &mut Correlator, set: &RuleSet, event: &Happening) -> Vec<Fired> {
    let mut fields = Fields::from([
        ("kind".to_owned(), Value::from(event.kind)),
        ("number".to_owned(), Value::Int(event.number.into())),
    ]);
    if let Some(user) = event.user {
        fields.insert("user".to_owned(), Value::from(user.to_string()));
    }
    let view = View { fields: &fields, nested: false };
    let id = event.id.to_string();
    let sight = Sight { id: &id, time_millis: event.at, arrival_millis: None, source: "", view };
    correlator.observe(set, &set.open_hits(&fields), &sight)
}

/// What was written down, kept as simply as can be: the rows that are left after all changes.
#[derive(Debug, Default, Clone)]
struct Rows {
    groups: BTreeMap<String, (Memo, BTreeMap<(i64, i64, u16), Memo>, Vec<Memo>)>,
    others: BTreeMap<String, Memo>,
}

impl Rows {
    fn write(&mut self, memo: Memo) {
        let name = |correlation: &str, group: &dyn std::fmt::Display| format!("{correlation} {group}");
        match &memo {
            Memo::Group { correlation, group, .. } => {
                let row = self.groups.entry(name(correlation, group));
                row.and_modify(|row| row.0 = memo.clone()).or_insert_with(|| (memo.clone(), BTreeMap::new(), Vec::new()));
            }
            Memo::Count { correlation, group, counted } => {
                let row = self.groups.get_mut(&name(correlation, group)).expect("groups come first");
                row.1.insert((counted.time, counted.seq, counted.part), memo.clone());
            }
            Memo::Strip { correlation, group, time, seq, part } => {
                let row = self.groups.get_mut(&name(correlation, group)).expect("groups come first");
                if let Some(Memo::Count { counted, .. }) = row.1.get_mut(&(*time, *seq, *part)) {
                    counted.evidence = None;
                }
            }
            Memo::Fired { correlation, group, .. } => {
                let row = self.groups.get_mut(&name(correlation, group)).expect("groups come first");
                row.2.push(memo.clone());
            }
            Memo::Trim { correlation, group, time, seq, fired_before } => {
                let row = self.groups.get_mut(&name(correlation, group)).expect("groups come first");
                row.1.retain(|place, _| (place.0, place.1) >= (*time, *seq));
                row.2.retain(|fired| matches!(fired, Memo::Fired { time, .. } if time >= fired_before));
            }
            Memo::Forget { correlation, group } => drop(self.groups.remove(&name(correlation, group))),
            Memo::Drop { correlation } => {
                let prefix = format!("{correlation} ");
                self.groups.retain(|name, _| !name.starts_with(&prefix));
            }
            Memo::Watermark { source, .. } => drop(self.others.insert(format!("source {source}"), memo)),
            Memo::Next { .. } => drop(self.others.insert("next".to_owned(), memo)),
        }
    }

    fn restore(&self, set: &RuleSet, limits: Limits) -> Correlator {
        let mut restoring = Correlator::restore(set, limits);
        self.others.values().cloned().for_each(|memo| restoring.take(memo));
        for (group, counted, fired) in self.groups.values() {
            restoring.take(group.clone());
            counted.values().cloned().for_each(|memo| restoring.take(memo));
            fired.iter().cloned().for_each(|memo| restoring.take(memo));
        }
        let (correlator, unreadable) = restoring.done();
        assert_eq!(unreadable, 0, "rows that cannot be read");
        correlator
    }
}

fn told(fired: &[Fired]) -> Vec<String> {
    fired.iter().map(|one| serde_json::to_string(&(&one.id, one.evidence())).expect("it is JSON")).collect()
}

fuzz_target!(|script: Script| {
    thread_local! {
        static SET: RuleSet = set();
    }
    SET.with(|set| run(set, &script));
});

fn run(set: &RuleSet, script: &Script) {
    let mut now: i64 = 1_000_000;
    let events: Vec<Happening> = script
        .events
        .iter()
        .take(120)
        .map(|step| {
            let at = now + i64::from(step.by) * 500;
            now = now.max(at);
            Happening {
                at,
                kind: usize::from(step.kind % 3),
                user: (step.user % 8 < 7).then_some(step.user % 8),
                number: i32::from(step.number % 8),
                id: u16::from(step.id),
            }
        })
        .collect();
    let lateness = i64::from(script.lateness) * 200;

    // The same alerts as the naive computation, with bounds that nothing reaches.
    let roomy = Limits { lateness_millis: lateness, ..Limits::default() };
    let mut correlator = Correlator::new(set, roomy, false);
    let fired: Vec<Fired> = events.iter().flat_map(|event| observe(&mut correlator, set, event)).collect();
    for question in Question::ALL {
        let title = format!("{question:?}");
        let of_it = fired.iter().filter(|one| set.rule(one.rule).is_some_and(|rule| rule.title == title));
        let found: Vec<(u8, i64)> =
            of_it.map(|one| (one.group_text().parse().expect("users are numbers"), one.until_millis)).collect();
        assert_eq!(found, naive::alerts(question, TIMESPAN, lateness, &events), "{title}");
    }

    // The same alerts with a death in the middle, within bounds that are tight.
    let tight = Limits {
        groups_max: usize::from(script.groups_max % 32) + 1,
        group_entries_max: usize::from(script.entries_max % 16) + 1,
        ..roomy
    };
    let mut whole = Correlator::new(set, tight, true);
    let death = usize::from(script.death).min(events.len());
    let commit = death.saturating_sub(usize::from(script.lost % 8));
    let (mut rows, mut expected, mut alerts) = (Rows::default(), Vec::new(), Vec::new());
    for (number, event) in events.iter().enumerate() {
        if number == commit {
            whole.take_memos().into_iter().for_each(|memo| rows.write(memo));
        }
        let fired = told(&observe(&mut whole, set, event));
        if number < commit {
            alerts.extend(fired.clone());
        }
        expected.extend(fired);
        let counts = whole.counts();
        assert!(counts.groups <= tight.groups_max, "{counts:?}");
        assert!(counts.entries <= counts.groups * tight.group_entries_max * 3, "{counts:?}");
    }
    let mut restored = rows.restore(set, tight);
    for event in events.get(commit..).unwrap_or_default() {
        alerts.extend(told(&observe(&mut restored, set, event)));
    }
    if commit < events.len() {
        assert_eq!(alerts, expected, "a death changed the alerts");
    }
}
