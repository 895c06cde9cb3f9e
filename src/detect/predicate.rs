//! What a rule asks of one event.

use std::collections::HashSet;

use aho_corasick::AhoCorasick;
use regex::Regex;

use crate::event::Value;

use super::correlation::plan::Bound;
use super::frame::{Frame, Scalar};
use super::moment::TimePart;
use super::network::Network;
use super::number::Number;
use super::pattern::TextTest;
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
    /// One of these folded texts is the whole value.
    ExactAny(HashSet<String>),
    /// One of these folded texts is in the value.
    ContainsAny(AhoCorasick),
    Regex(Regex),
    Network(Network),
    Number(Number),
    Bool(bool),
    Null,
    Compare(Comparison, Number),
    /// A part of a time stands so to the number.
    Time(TimePart, Bound, Number),
}

/// How one text stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Equal,
    Contains,
    StartsWith,
    EndsWith,
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
                let others = &frame.slot(*other).scalars;
                frame.slot(*slot).scalars.iter().any(|a| others.iter().any(|b| relation.holds(a, b, *cased)))
            }
        }
    }
}

impl Matcher {
    fn matches(&self, scalar: &Scalar<'_>) -> bool {
        match self {
            Self::Text { test, cased: true } => test.matches(scalar.text()),
            Self::Text { test, cased: false } => test.matches(scalar.folded()),
            Self::ExactAny(texts) => texts.contains(scalar.folded()),
            Self::ContainsAny(texts) => texts.is_match(scalar.folded()),
            Self::Regex(expression) => expression.is_match(scalar.text()),
            Self::Network(network) => network.contains(scalar.text()),
            Self::Number(number) => same_number(scalar.value, *number),
            Self::Bool(wanted) => match scalar.value {
                Value::Bool(flag) => flag == wanted,
                Value::Text(text) => text.eq_ignore_ascii_case(if *wanted { "true" } else { "false" }),
                Value::Null | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => false,
            },
            Self::Compare(comparison, number) => {
                Number::of(scalar.value).is_some_and(|found| comparison.holds(found.compare(*number)))
            }
            Self::Time(part, bound, number) => {
                part.of(scalar.value).is_some_and(|found| bound.holds(Number::Int(found.into()), *number))
            }
            // Asked of the field, not of a value.
            Self::Null => false,
        }
    }
}

/// A whole number equals a text that spells it so: `007` is not 7, as an identifier is no number.
fn same_number(value: &Value, number: Number) -> bool {
    match (value, number) {
        (Value::Text(text), Number::Int(number)) => *text == number.to_string(),
        _ => Number::of(value).is_some_and(|found| found.compare(number).is_eq()),
    }
}

impl Relation {
    fn holds(self, a: &Scalar<'_>, b: &Scalar<'_>, cased: bool) -> bool {
        let (a, b) = if cased { (a.text(), b.text()) } else { (a.folded(), b.folded()) };
        match self {
            Self::Equal => a == b,
            Self::Contains => a.contains(b),
            Self::StartsWith => a.starts_with(b),
            Self::EndsWith => a.ends_with(b),
        }
    }
}

/// Joins matchers that one pass can answer; the answer to "any of them" stays the same.
pub fn join(matchers: Vec<Matcher>) -> Vec<Matcher> {
    let (mut exact, mut parts, mut rest) = (HashSet::new(), Vec::new(), Vec::new());
    for matcher in matchers {
        match matcher {
            Matcher::Text { test: TextTest::Exact(text), cased: false } => {
                exact.insert(text);
            }
            Matcher::Text { test: TextTest::Contains(part), cased: false } => parts.push(part),
            other => rest.push(other),
        }
    }
    if !exact.is_empty() {
        rest.push(Matcher::ExactAny(exact));
    }
    let contains = |part| Matcher::Text { test: TextTest::Contains(part), cased: false };
    // Few parts are found faster one by one.
    match (parts.len() > 3).then(|| AhoCorasick::new(parts.iter().map(|part| part.needle()))) {
        Some(Ok(automaton)) => rest.push(Matcher::ContainsAny(automaton)),
        Some(Err(_)) | None => rest.extend(parts.into_iter().map(contains)),
    }
    rest
}
