//! What a rule asks of one event.

use regex::Regex;

use super::correlation::plan::Bound;
use super::frame::Frame;
use super::moment::TimePart;
use super::network::Network;
use super::number::Number;
use super::pattern::TextTest;
use super::relation::Relation;
use super::sigma::modifier::Comparison;

/// A rule's question as a tree.
#[derive(Debug, Clone)]
pub enum Expression {
    /// All of them; of none it is true.
    All(Vec<Expression>),
    /// At least one; of none it is false.
    Any(Vec<Expression>),
    Not(Box<Expression>),
    /// The field has a value for the matchers.
    Field {
        slot: usize,
        matchers: Vec<Matcher>,
        every: bool,
    },
    /// Some value of the event, whatever its field, does.
    Keywords {
        matchers: Vec<Matcher>,
        every: bool,
    },
    /// The field is there, even if null.
    Exists {
        slot: usize,
        wanted: bool,
    },
    /// The field is there and not null.
    Present {
        slot: usize,
    },
    /// One value of the field stands so to one value of the other.
    Reference {
        slot: usize,
        other: usize,
        relation: Relation,
        cased: bool,
    },
}

/// What is asked of one value.
#[derive(Debug, Clone)]
pub enum Matcher {
    Text {
        test: TextTest,
        cased: bool,
    },
    Regex(Regex),
    Network(Network),
    Number(Number),
    Bool(bool),
    Null,
    Compare(Comparison, Number),
    /// A part of a time stands so to the number.
    Time(TimePart, Bound, Number),
}

/// One scalar of an event, however it is kept.
pub trait Look {
    fn plain(&self) -> Plain;
    /// As text: numbers in decimal, `true` and `false`.
    fn text(&self) -> &str;
    /// The text in lower case.
    fn folded(&self) -> &str;
}

/// What a scalar is, beside its text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plain {
    Bool(bool),
    Int(i128),
    Float(f64),
    Text,
}

impl Expression {
    pub fn holds(&self, frame: &Frame<'_>) -> bool {
        match self {
            Self::All(members) => members.iter().all(|member| member.holds(frame)),
            Self::Any(members) => members.iter().any(|member| member.holds(frame)),
            Self::Not(inner) => !inner.holds(frame),
            Self::Field { slot, matchers, every } => {
                let slot = frame.slot(*slot);
                let null = slot.null || !slot.present;
                let hit = |matcher: &Matcher| match matcher {
                    Matcher::Null => null,
                    matcher => slot.scalars.iter().any(|scalar| matcher.matches(scalar)),
                };
                if *every { matchers.iter().all(hit) } else { matchers.iter().any(hit) }
            }
            Self::Keywords { matchers, every } => {
                let hit = |matcher: &Matcher| frame.all().iter().any(|scalar| matcher.matches(scalar));
                if *every { matchers.iter().all(hit) } else { matchers.iter().any(hit) }
            }
            Self::Exists { slot, wanted } => frame.slot(*slot).present == *wanted,
            Self::Present { slot } => {
                let slot = frame.slot(*slot);
                slot.present && !(slot.null && slot.scalars.is_empty())
            }
            Self::Reference { slot, other, relation, cased } => {
                let texts = |slot: &usize| -> Vec<_> {
                    let scalars = &frame.slot(*slot).scalars;
                    scalars.iter().map(|one| if *cased { one.text() } else { one.folded() }).collect()
                };
                relation.any(&texts(slot), &texts(other))
            }
        }
    }
}

impl Matcher {
    pub fn matches(&self, scalar: &impl Look) -> bool {
        match self {
            Self::Text { test, cased: true } => test.matches(scalar.text()),
            Self::Text { test, cased: false } => test.matches(scalar.folded()),
            Self::Regex(expression) => expression.is_match(scalar.text()),
            Self::Network(network) => network.contains(scalar.text()),
            Self::Number(number) => same_number(scalar, *number),
            Self::Bool(wanted) => match scalar.plain() {
                Plain::Bool(flag) => flag == *wanted,
                Plain::Text => scalar.text().eq_ignore_ascii_case(if *wanted { "true" } else { "false" }),
                Plain::Int(_) | Plain::Float(_) => false,
            },
            Self::Compare(comparison, number) => {
                number_of(scalar).is_some_and(|found| comparison.holds(found.compare(*number)))
            }
            Self::Time(part, bound, number) => {
                part.of(scalar).is_some_and(|found| bound.holds(Number::Int(found.into()), *number))
            }
            // Asked of the field, not of a value.
            Self::Null => false,
        }
    }
}

/// A whole number equals a text that spells it so: `007` is not 7, as an identifier is no number.
fn same_number(scalar: &impl Look, number: Number) -> bool {
    match (scalar.plain(), number) {
        (Plain::Text, Number::Int(number)) => scalar.text() == number.to_string(),
        _ => number_of(scalar).is_some_and(|found| found.compare(number).is_eq()),
    }
}

/// The number that a scalar is, or that its text spells in decimal.
pub fn number_of(scalar: &impl Look) -> Option<Number> {
    match scalar.plain() {
        Plain::Bool(_) => None,
        Plain::Int(number) => Some(Number::Int(number)),
        Plain::Float(number) => number.is_finite().then_some(Number::Float(number)),
        Plain::Text => Number::parse(scalar.text()),
    }
}
