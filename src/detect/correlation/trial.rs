//! The tests inside correlation rules: events in time, and whether they must raise an alert.

use crate::detect::rule::{Rule, Timeline};
use crate::detect::ruleset::{RuleSet, TestFailure};
use crate::event::{EventKind, Value};

use super::correlator::{Correlator, Sight};
use super::limits::Limits;
use super::lookup::View;

/// The tests of all correlations of a set that went wrong.
pub fn failures(set: &RuleSet) -> Vec<TestFailure> {
    let correlations = set.rules().iter().enumerate().filter(|(_, rule)| rule.correlation.is_some());
    correlations
        .flat_map(|(number, rule)| rule.timelines.iter().filter_map(move |line| failure(set, number, rule, line)))
        .collect()
}

fn failure(set: &RuleSet, number: usize, rule: &Rule, line: &Timeline) -> Option<TestFailure> {
    let raised = run(set, number, line);
    let as_said = (raised > 0) == line.matches && line.alerts.is_none_or(|wanted| wanted == raised);
    if as_said {
        return None;
    }
    let test = match line.alerts {
        Some(wanted) => format!("{} ({raised} alerts instead of {wanted})", line.name),
        None => line.name.clone(),
    };
    let (path, rule) = (rule.path.clone(), rule.display_id().to_owned());
    Some(TestFailure { rule, path, line: line.line, test, expected: line.matches })
}

/// Alerts that the correlation with this number raises for the events.
fn run(set: &RuleSet, number: usize, line: &Timeline) -> u64 {
    let mut correlator = Correlator::new(set, Limits::default(), false);
    let mut raised = 0;
    for (index, event) in line.events.iter().enumerate() {
        // Without a category the event is of whichever kind the rules look at.
        let category = event.fields.get("event.category").and_then(Value::as_text);
        let kind = category.and_then(EventKind::from_category);
        let covers = |number: &usize| {
            let of = set.rule(*number).and_then(|rule| rule.logsource.kind);
            of.is_none() || kind.is_none() || of == kind
        };
        let hits: Vec<usize> = set.open_hits(&event.fields).into_iter().filter(covers).collect();
        let id = event.fields.get("event.id").and_then(Value::as_text).map(str::to_owned);
        let id = id.unwrap_or_else(|| format!("event {index}"));
        let view = View { fields: &event.fields, nested: true };
        let sight = Sight { id: &id, time_millis: event.at_millis, arrival_millis: None, source: "", view };
        let fired = correlator.observe(set, &hits, &sight);
        raised += fired.iter().filter(|fired| fired.rule == number).count() as u64;
    }
    raised
}
