//! Numeric conditions of correlations: `{gte: 10, lt: 20}`.

use super::correlation::Limits;
use super::correlation::plan::{Bound, Condition, Kind};
use super::diagnostic::{Level, Reporter};
use super::number::Number;
use super::parts;
use super::sigma::correlation::{Bounds, Correlation, Wanted};
use super::sigma::modifier::Comparison;

/// Events of one group that are remembered, unless the configuration says otherwise.
const GROUP_ENTRIES: usize = Limits::DEFAULT.group_entries_max;

/// What is computed, with the percentile that the condition asks for.
pub fn kind(correlation: &Correlation) -> Kind {
    match (&correlation.condition, correlation.kind) {
        (Wanted::Bounds(Bounds { percentile: Some((percentile, _)), .. }), Kind::ValuePercentile(_)) => {
            Kind::ValuePercentile(*percentile)
        }
        (_, kind) => kind,
    }
}

/// Compiles bounds, and reports those that nothing or everything keeps within. `rules` is how many rules
/// the correlation counts; a temporal one counts how many different ones matched.
pub fn compile(written: &Bounds, kind: Kind, rules: usize, reporter: &mut Reporter<'_>) -> Condition {
    let bounds: Vec<(Bound, Number)> = written.limits.iter().map(|(bound, number, _)| (*bound, *number)).collect();
    let most = match kind {
        Kind::Temporal | Kind::TemporalOrdered => Some(rules),
        Kind::EventCount
        | Kind::ValueCount
        | Kind::ValueSum
        | Kind::ValueAvg
        | Kind::ValuePercentile(_)
        | Kind::ValueMedian => None,
    };
    let counts = match kind {
        Kind::EventCount | Kind::ValueCount | Kind::Temporal | Kind::TemporalOrdered => true,
        Kind::ValueSum | Kind::ValueAvg | Kind::ValuePercentile(_) | Kind::ValueMedian => false,
    };
    let tried = samples(&bounds, counts, most);
    let holds = |number: &Number| bounds.iter().all(|(bound, wanted)| bound.holds(*number, *wanted));
    if !tried.iter().any(holds) {
        let message = match most {
            Some(most) => format!("no number from 1 to {most} keeps within these bounds"),
            None => "no number keeps within these bounds".to_owned(),
        };
        reporter.error("R023", written.span, message);
    } else if counts && tried.iter().all(holds) {
        let message = "every single match keeps within these bounds".to_owned();
        let hint = "without a correlation the rule says the same".to_owned();
        reporter.report(Level::Warning, "R024", written.span, message, Some(hint));
    } else if counts && !tried.iter().filter(|number| remembered(**number)).any(holds) {
        let message =
            format!("of one group no more than {GROUP_ENTRIES} events are remembered, so this is never reached");
        let hint = "raise `correlation.group_entries_max` in the configuration, or ask for fewer".to_owned();
        reporter.report(Level::Warning, "R063", written.span, message, Some(hint));
    }
    let every = |(bound, wanted): &(Bound, Number)| {
        matches!(bound, Bound::Equal | Bound::Compare(Comparison::Gte))
            && most.and_then(|most| i128::try_from(most).ok()) == whole(*wanted)
    };
    if most.is_some() && bounds.len() == 1 && bounds.iter().all(every) {
        return parts::every(rules);
    }
    Condition::Bounds(bounds)
}

/// Whether so many may be counted.
fn remembered(number: Number) -> bool {
    whole(number).is_some_and(|whole| usize::try_from(whole).is_ok_and(|whole| whole <= GROUP_ENTRIES))
}

fn whole(number: Number) -> Option<i128> {
    match number {
        Number::Int(number) => Some(number),
        Number::Float(_) => None,
    }
}

/// Numbers among which one keeps within the bounds if any does, and one does not if any does not. A
/// window is looked at when something matched, so counts begin at 1.
fn samples(bounds: &[(Bound, Number)], counts: bool, most: Option<usize>) -> Vec<Number> {
    let mut tried = vec![Number::Int(1), Number::Int(i128::from(i64::MAX))];
    for (_, number) in bounds {
        match *number {
            Number::Int(whole) => tried.extend([-1, 0, 1].map(|step| Number::Int(whole.saturating_add(step)))),
            Number::Float(float) => {
                tried.extend([float.floor(), float, float.ceil(), float - 1.0, float + 1.0].map(as_number));
            }
        }
    }
    let floats: Vec<f64> = bounds.iter().map(|(_, number)| float_of(*number)).collect();
    if counts {
        let most = most.and_then(|most| i128::try_from(most).ok()).unwrap_or(i128::MAX);
        tried.extend((1..=most.min(256)).map(Number::Int));
        tried.retain(|number| whole(*number).is_some_and(|whole| (1..=most).contains(&whole)));
    } else {
        tried.push(Number::Float(-1e300));
        // Between two bounds there is always a number.
        tried.extend(floats.iter().flat_map(|a| floats.iter().map(move |b| Number::Float(f64::midpoint(*a, *b)))));
    }
    tried
}

#[expect(clippy::cast_possible_truncation, reason = "the float is whole and small")]
fn as_number(float: f64) -> Number {
    if float.fract() == 0.0 && float.abs() < 1e15 { Number::Int(float as i128) } else { Number::Float(float) }
}

#[expect(clippy::cast_precision_loss, reason = "a number between two bounds need not be exact")]
fn float_of(number: Number) -> f64 {
    match number {
        Number::Int(number) => number as f64,
        Number::Float(number) => number,
    }
}
