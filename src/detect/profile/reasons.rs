//! Why a rule is looked at often, and why looking takes long.

use std::fmt;

use crate::detect::pattern::TextTest;
use crate::detect::predicate::{Expression, Matcher};
use crate::detect::program::gate;
use crate::detect::program::meter::Wake;
use crate::detect::ruleset::RuleSet;

/// Reasons that are told of one rule.
const REASONS_MAX: usize = 8;
/// Characters of an expression that are shown.
const SHOWN_CHARS: usize = 40;

/// One reason; fields are called as the rule calls them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No text must be there for the rule to match.
    NoWitness,
    /// Any value of some field wakes it.
    AnyValue,
    /// No text must be there for the regular expression to match: it is tried on every value.
    Ungated { field: String, expression: String },
    /// A regular expression, tried where its text was found.
    Gated { field: String, expression: String },
    /// Values are compared one by one.
    OneByOne { field: String, what: &'static str },
}

impl Reason {
    /// For programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoWitness => "no_witness",
            Self::AnyValue => "any_value",
            Self::Ungated { .. } => "regex_without_text",
            Self::Gated { .. } => "regex",
            Self::OneByOne { .. } => "one_by_one",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWitness => write!(f, "no text wakes it: looked at with every event"),
            Self::AnyValue => write!(f, "any value of a field wakes it"),
            Self::Ungated { field, expression } => {
                write!(f, "regular expression on `{field}` without a fixed text: `{expression}`")
            }
            Self::Gated { field, expression } => write!(f, "regular expression on `{field}`: `{expression}`"),
            Self::OneByOne { field, what } => write!(f, "{what} on `{field}`"),
        }
    }
}

impl RuleSet {
    /// What makes the rule with this number expensive, as far as it can be told from the rule.
    pub(super) fn reasons(&self, rule: usize, wake: Wake) -> Vec<Reason> {
        let mut reasons = match wake {
            Wake::Always => vec![Reason::NoWitness],
            Wake::AnyValue => vec![Reason::AnyValue],
            Wake::Texts(_) => Vec::new(),
        };
        let name = |slot: usize| self.field_name(slot).to_owned();
        if let Some(expression) = self.expression(rule) {
            collect(expression, &name, &mut reasons);
        }
        // What is tried on every value weighs more than what is tried on some.
        reasons.sort_by_key(|reason| match reason {
            Reason::NoWitness | Reason::AnyValue => 0,
            Reason::Ungated { .. } => 1,
            Reason::Gated { .. } => 2,
            Reason::OneByOne { .. } => 3,
        });
        reasons.truncate(REASONS_MAX);
        reasons
    }
}

fn collect(expression: &Expression, name: &dyn Fn(usize) -> String, reasons: &mut Vec<Reason>) {
    match expression {
        Expression::All(members) | Expression::Any(members) => {
            for member in members {
                collect(member, name, reasons);
            }
        }
        Expression::Not(inner) => collect(inner, name, reasons),
        Expression::Field { slot, matchers, .. } => {
            for matcher in matchers {
                add(reason(matcher, || name(*slot)), reasons);
            }
        }
        Expression::Keywords { matchers, .. } => {
            for matcher in matchers {
                add(reason(matcher, || "keywords".to_owned()), reasons);
            }
        }
        Expression::Reference { slot, .. } => {
            add(Some(Reason::OneByOne { field: name(*slot), what: "comparison with another field" }), reasons);
        }
        // A look at whether the field is there costs nothing to speak of.
        Expression::Exists { .. } | Expression::Present { .. } => {}
    }
}

fn add(reason: Option<Reason>, reasons: &mut Vec<Reason>) {
    if let Some(reason) = reason.filter(|reason| !reasons.contains(reason)) {
        reasons.push(reason);
    }
}

fn reason(matcher: &Matcher, field: impl Fn() -> String) -> Option<Reason> {
    let one_by_one = |what| Some(Reason::OneByOne { field: field(), what });
    match matcher {
        Matcher::Regex(regex) => {
            let expression = crate::base::text::shorten(regex.as_str(), SHOWN_CHARS);
            Some(match gate::of_regex(regex.as_str()) {
                Some(_) => Reason::Gated { field: field(), expression },
                None => Reason::Ungated { field: field(), expression },
            })
        }
        Matcher::Text { test: TextTest::Glob(_), .. } => one_by_one("pattern with wildcards"),
        Matcher::Text { test: TextTest::Contains(text), .. } if text.len() < gate::LENGTH_MIN + 1 => {
            one_by_one("text of fewer than 4 bytes, anywhere in a value,")
        }
        Matcher::Text { test: TextTest::Prefix(text) | TextTest::Suffix(text), .. } if text.len() < 2 => {
            one_by_one("text of one byte")
        }
        Matcher::Text { test, cased: true } if !matches!(test, TextTest::Anything) => one_by_one("case"),
        Matcher::Network(_) => one_by_one("network"),
        Matcher::Compare(..) => one_by_one("comparison of numbers"),
        Matcher::Time(..) => one_by_one("part of a time"),
        Matcher::Text { .. } | Matcher::Number(_) | Matcher::Bool(_) | Matcher::Null => None,
    }
}
