//! What is computed over a window, kept up while entries enter and leave it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use crate::detect::number::Number;

use super::entry::{Datum, Entry};
use super::exact::Exact;
use super::order::{self, Steps};
use super::plan::{Condition, Kind, Parts, Plan};
use super::sorted::Sorted;

/// Values are digests already: their own bits spread them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

pub type Spreading = BuildHasherDefault<Spread>;

/// The running figure of one window.
#[derive(Debug, Clone)]
pub enum Aggregate {
    Events(usize),
    /// How often each value occurs.
    Values(HashMap<u64, u32, Spreading>),
    /// Whole numbers apart from floats; both are added up exactly.
    Sum {
        whole: i128,
        floats: Option<Box<Exact>>,
        count: usize,
    },
    Sorted(Sorted),
    /// How often each rule matched.
    Parts(Vec<u32>),
}

/// A window: some of a group's entries.
#[derive(Debug, Clone)]
pub struct Window<'g> {
    pub entries: &'g VecDeque<Entry>,
    pub range: Range<usize>,
}

impl<'g> Window<'g> {
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'g Entry> + use<'g> {
        self.entries.range(self.range.clone())
    }
}

impl Aggregate {
    pub fn new(plan: &Plan) -> Self {
        match plan.kind {
            Kind::EventCount => Self::Events(0),
            Kind::ValueCount => Self::Values(HashMap::default()),
            Kind::ValueSum | Kind::ValueAvg => Self::Sum { whole: 0, floats: None, count: 0 },
            Kind::ValuePercentile(_) | Kind::ValueMedian => Self::Sorted(Sorted::default()),
            Kind::Temporal | Kind::TemporalOrdered => Self::Parts(vec![0; plan.parts.len()]),
        }
    }

    pub fn add(&mut self, entry: &Entry) {
        match (self, &entry.datum) {
            (Self::Events(count), _) => *count += 1,
            (Self::Parts(counts), _) => {
                if let Some(count) = counts.get_mut(usize::from(entry.part)) {
                    *count = count.saturating_add(1);
                }
            }
            (Self::Values(counts), Datum::Value(value)) => *counts.entry(*value).or_insert(0) += 1,
            (Self::Values(counts), Datum::Values(values)) => {
                for value in values {
                    *counts.entry(*value).or_insert(0) += 1;
                }
            }
            (Self::Sum { whole, floats, count }, Datum::Numbers(numbers)) => {
                for number in numbers {
                    *count += 1;
                    match number {
                        Number::Int(number) => *whole = whole.saturating_add(*number),
                        Number::Float(float) => floats.get_or_insert_default().add(*float),
                    }
                }
            }
            (Self::Sorted(sorted), Datum::Numbers(numbers)) => {
                numbers.iter().for_each(|number| sorted.insert(*number));
            }
            // A group's entries are made by its own plan.
            (Self::Values(_) | Self::Sum { .. } | Self::Sorted(_), _) => {}
        }
    }

    pub fn remove(&mut self, entry: &Entry) {
        match (self, &entry.datum) {
            (Self::Events(count), _) => *count = count.saturating_sub(1),
            (Self::Parts(counts), _) => {
                if let Some(count) = counts.get_mut(usize::from(entry.part)) {
                    *count = count.saturating_sub(1);
                }
            }
            (Self::Values(counts), Datum::Value(value)) => leave(counts, *value),
            (Self::Values(counts), Datum::Values(values)) => values.iter().for_each(|value| leave(counts, *value)),
            (Self::Sum { whole, floats, count }, Datum::Numbers(numbers)) => {
                for number in numbers {
                    *count = count.saturating_sub(1);
                    match number {
                        Number::Int(number) => *whole = whole.saturating_sub(*number),
                        Number::Float(float) => floats.get_or_insert_default().remove(*float),
                    }
                }
            }
            (Self::Sorted(sorted), Datum::Numbers(numbers)) => {
                numbers.iter().for_each(|number| sorted.remove(*number));
            }
            (Self::Values(_) | Self::Sum { .. } | Self::Sorted(_), _) => {}
        }
    }

    /// What was computed, when the condition holds. Whoever looks at many windows one after the other
    /// hands in what it follows of the order in them.
    pub fn holds(&self, plan: &Plan, window: &Window<'_>, mut steps: Option<&mut Steps>) -> Option<Number> {
        let found = self.figure(plan, window, steps.as_deref_mut())?;
        let holds = match (&plan.condition, self) {
            (Condition::Bounds(bounds), _) => bounds.iter().all(|(bound, wanted)| bound.holds(found, *wanted)),
            (Condition::Parts(parts), Self::Parts(counts)) => {
                present(parts, counts)
                    && (plan.kind != Kind::TemporalOrdered || order::in_order(parts, counts, window, steps))
            }
            // A condition over rules says of other kinds only that something was counted.
            (Condition::Parts(_), Self::Events(_) | Self::Values(_) | Self::Sum { .. } | Self::Sorted(_)) => true,
        };
        holds.then_some(found)
    }

    fn figure(&self, plan: &Plan, window: &Window<'_>, steps: Option<&mut Steps>) -> Option<Number> {
        match self {
            Self::Events(count) => whole(*count),
            Self::Values(counts) => whole(counts.len()),
            Self::Sum { whole: sum, floats, count } => sum_of(plan.kind, (*sum, floats.as_deref(), *count)),
            Self::Sorted(sorted) => quantile(sorted, plan.kind),
            Self::Parts(counts) => match (&plan.condition, plan.kind) {
                (Condition::Bounds(_), Kind::TemporalOrdered) => whole(order::longest(counts.len(), window, steps)),
                _ => whole(counts.iter().filter(|count| **count > 0).count()),
            },
        }
    }
}

fn leave(counts: &mut HashMap<u64, u32, Spreading>, value: u64) {
    if let Some(count) = counts.get_mut(&value) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&value);
        }
    }
}

fn whole(count: usize) -> Option<Number> {
    i128::try_from(count).ok().map(Number::Int)
}

#[expect(clippy::cast_precision_loss, reason = "a sum with floats in it is a float; counts are far below 2^53")]
fn sum_of(kind: Kind, (sum, floats, count): (i128, Option<&Exact>, usize)) -> Option<Number> {
    let total = match floats {
        // What is left when every float went is no different from there never having been one.
        Some(floats) if !floats.is_empty() => finite(sum as f64 + floats.sum()?)?,
        Some(_) | None => Number::Int(sum),
    };
    if kind == Kind::ValueSum {
        return (count > 0).then_some(total);
    }
    let divisor = i128::try_from(count).ok().filter(|divisor| *divisor > 0)?;
    match total {
        Number::Int(sum) if sum % divisor == 0 => Some(Number::Int(sum / divisor)),
        Number::Int(sum) => finite(sum as f64 / divisor as f64),
        Number::Float(sum) => finite(sum / divisor as f64),
    }
}

fn finite(float: f64) -> Option<Number> {
    float.is_finite().then_some(Number::Float(float))
}

/// The value below which so many percent lie, between two neighbours in proportion, so that the
/// median is the 50th percentile.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank within the bounded length of a list"
)]
fn quantile(sorted: &Sorted, kind: Kind) -> Option<Number> {
    let percent = match kind {
        Kind::ValuePercentile(percent) => percent.clamp(0.0, 100.0),
        _ => 50.0,
    };
    let last = sorted.len().checked_sub(1)?;
    let rank = percent / 100.0 * last as f64;
    let below = (rank.floor() as usize).min(last);
    let (low, high) = (sorted.get(below)?, sorted.get((below + 1).min(last))?);
    let share = rank - rank.floor();
    if share == 0.0 || low == high {
        return Some(low);
    }
    let (low, high) = (float(low), float(high));
    finite((high - low).mul_add(share, low))
}

#[expect(clippy::cast_precision_loss, reason = "between two values there is no exact one to keep")]
const fn float(number: Number) -> f64 {
    match number {
        Number::Int(whole) => whole as f64,
        Number::Float(float) => float,
    }
}

/// Whether the condition holds for rules that matched so often.
fn present(parts: &Parts, counts: &[u32]) -> bool {
    match parts {
        Parts::Part(number) => counts.get(*number).is_some_and(|count| *count > 0),
        Parts::All(members) => members.iter().all(|member| present(member, counts)),
        Parts::Any(members) => members.iter().any(|member| present(member, counts)),
        Parts::Not(inner) => !present(inner, counts),
    }
}
